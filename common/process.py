"""End a process when its parent dies. Run as a file, start a program like this: process.py SIGNAL PARENT USER PROGRAM.

The launcher is a program of its own: the system calls belong between fork and exec, and a preexec_fn is unsafe with
threads.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, signal: int) -> None:
    """Have the kernel send `signal` to this process when the parent's thread ends. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal)
        if os.getppid() != parent:  # the parent died before the call
            sys.exit(1)


def drop_to(user: str) -> None:
    """Give up root's rights for good."""
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def main(signal: str, parent: str, user: str, *command: str) -> None:
    """Replace this process by `command`, or exit with the reason."""
    try:
        if user:
            drop_to(user)
        die_with_parent(int(parent), int(signal))  # after setuid, which clears the death signal
        os.execv(command[0], command)  # noqa: S606 - no shell is the point
    except (OSError, KeyError) as problem:
        sys.exit(f"cannot run {command[0]} as {user or 'this user'}: {problem}")


if __name__ == "__main__":
    main(*sys.argv[1:])
