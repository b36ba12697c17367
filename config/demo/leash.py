"""Becomes another program that dies with whoever started it, run as a file: leash.py SIGNAL PARENT USER PROGRAM ARGS.

A program of its own because the calls must happen between fork and exec, and a preexec_fn is unsafe beside threads.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1


def drop_to(user: str) -> None:
    """Leave root's rights for good."""
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def die_with(parent: int, signal: int) -> None:
    """Ask the kernel for `signal` when the thread that started us ends; elsewhere than on Linux nothing can."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal)
        if os.getppid() != parent:  # it died before the kernel knew whom to watch
            sys.exit(1)


def main(signal: str, parent: str, user: str, *command: str) -> None:
    """Never returns: this process is `command` afterwards, or it has said why it cannot be."""
    try:
        if user:
            drop_to(user)
        die_with(int(parent), int(signal))  # after setuid, which would clear it
        os.execv(command[0], command)  # noqa: S606 - no shell is the point
    except (OSError, KeyError) as problem:
        sys.exit(f"cannot run {command[0]} as {user or 'this user'}: {problem}")


if __name__ == "__main__":
    main(*sys.argv[1:])
