"""The manifest agrees line by line with the real `sha256sum -c`, for files inside the folder."""

import hashlib
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from health.probes import checksums
from health.probes.checksums import Digests

DIGEST = "a" * 64
Counts = tuple[int, int]


def verify(folder: Path) -> Counts:
    """Return the numbers of matching entries and of entries."""
    result = checksums.verify(folder, Digests())
    assert result["ok"] == (result["matched"] == result["total"] > 0)
    return result["matched"], result["total"]


def said_by_sha256sum(folder: Path) -> Counts:
    """Return the counts of the real tool, which prints `name: OK` or `name: FAILED ...` per entry."""
    done = subprocess.run(
        ["sha256sum", "-c", "checksums.sha256"], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    # Escaped names are printed escaped, so every entry is one line.
    lines = done.stdout.splitlines()
    return (sum(line.endswith(b": OK") for line in lines), len(lines))


def written_by_sha256sum(folder: Path, *names: bytes, options: tuple[str, ...] = ()) -> bytes:
    """Let the real tool write a manifest of these files, and return its content."""
    done = subprocess.run(["sha256sum", *options, "--", *names], cwd=folder, capture_output=True, check=True)
    (folder / "checksums.sha256").write_bytes(done.stdout)
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of scripts with unusual names."""
    for name in NAMES:
        path = os.path.join(os.fsencode(tmp_path), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"content of " + name)
    return tmp_path


NAMES = [
    b"plain.py",
    b"with space.py",
    b" leading.py",
    b"trailing ",
    b"back\\slash.py",
    b"new\nline.py",
    b"carriage\rreturn.py",
    b"ends with return\r",
    b"*star.py",
    b"caf\xc3\xa9.py",
    b"\xff\xfe not text.py",
    b"sub/folder/deep.py",
    b"a",
    b"x = y (z).py",
    b"#hash.py",
]
FORMS = [(), ("--binary",)]
needs_sha256sum = pytest.mark.needs("sha256sum")


@needs_sha256sum
@pytest.mark.parametrize("options", FORMS)
def test_it_agrees_where_all_is_well(folder: Path, options: tuple[str, ...]) -> None:
    written_by_sha256sum(folder, *NAMES, options=options)
    assert said_by_sha256sum(folder) == (len(NAMES), len(NAMES))
    assert verify(folder) == (len(NAMES), len(NAMES))


@needs_sha256sum
@pytest.mark.parametrize("options", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_it_agrees_where_one_file_differs(folder: Path, options: tuple[str, ...], name: bytes) -> None:
    written_by_sha256sum(folder, *NAMES, options=options)
    with open(os.path.join(os.fsencode(folder), name), "ab") as file:
        file.write(b"!")
    assert said_by_sha256sum(folder) == (len(NAMES) - 1, len(NAMES))
    assert verify(folder) == (len(NAMES) - 1, len(NAMES))


@needs_sha256sum
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), path.symlink_to(path.name)),
        lambda path: (path.unlink(), path.symlink_to("nowhere")),
        lambda path: (path.unlink(), path.symlink_to("/dev/null")),
    ],
    ids=["missing", "a folder", "a symlink loop", "a dangling link", "a device"],
)
def test_it_agrees_where_a_file_is_no_file(folder: Path, damage: object) -> None:
    written_by_sha256sum(folder, *NAMES)
    damage(folder / "plain.py")  # type: ignore[operator]
    assert said_by_sha256sum(folder) == (len(NAMES) - 1, len(NAMES))
    assert verify(folder) == (len(NAMES) - 1, len(NAMES))


@needs_sha256sum
def test_it_agrees_that_a_link_to_the_same_content_matches(folder: Path) -> None:
    written_by_sha256sum(folder, *NAMES)
    (folder / "plain.py").rename(folder / "moved")
    (folder / "plain.py").symlink_to("moved")
    assert verify(folder) == said_by_sha256sum(folder) == (len(NAMES), len(NAMES))


@needs_sha256sum
@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root reads everything")
def test_it_counts_a_file_that_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written_by_sha256sum(folder, *NAMES)
    whole = os.open

    def refusing(path: bytes, *arguments: int) -> int:
        if os.fsencode(path).endswith(b"plain.py"):
            raise PermissionError(13, "Permission denied")
        return whole(path, *arguments)

    monkeypatch.setattr("health.probes.checksums.os.open", refusing)
    assert verify(folder) == (len(NAMES) - 1, len(NAMES))


@needs_sha256sum
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.upper().replace(b".PY", b".py").replace(b"PLAIN", b"plain"),
        lambda text: b"# a comment\n\n" + text + b"not a line at all\n",
        lambda text: text.rstrip(b"\n"),
        lambda text: text + text,
        lambda text: text[1:],
        lambda text: b"\\" + text,
        lambda text: b"",
        lambda text: b"\n\n",
        lambda text: text[:64] + b"  -\n",
    ],
)
def test_it_agrees_on_odd_manifests(folder: Path, change: object) -> None:
    text = written_by_sha256sum(folder, b"plain.py")
    (folder / "checksums.sha256").write_bytes(change(text))  # type: ignore[operator]
    assert verify(folder) == said_by_sha256sum(folder)


@needs_sha256sum
@pytest.mark.parametrize("options", [("--tag",), ("--text", "--zero")])
def test_lines_in_a_different_format_are_malformed(folder: Path, options: tuple[str, ...]) -> None:
    written_by_sha256sum(folder, b"plain.py", b"a", options=options)
    assert verify(folder)[0] == 0


@pytest.mark.parametrize("name", [b"../outside.py", b"sub/../../outside.py", b"..", b"%s/outside.py"])
def test_a_file_outside_the_folder_is_counted_and_refused(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "outside.py").write_bytes(b"")
    inside = tmp_path / "inside"
    inside.mkdir()
    if b"%s" in name:
        name = name.replace(b"%s", os.fsencode(tmp_path))
    line = hashlib.sha256(b"").hexdigest().encode() + b"  " + name + b"\n"
    (inside / "checksums.sha256").write_bytes(line)
    assert verify(inside) == (0, 1)


@pytest.mark.parametrize("name", [b"./a.py", b"sub/../a.py", b"..a.py"])
def test_a_file_inside_the_folder_is_accepted_whatever_its_name(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / os.fsdecode(name)).write_bytes(b"")
    line = hashlib.sha256(b"").hexdigest().encode() + b"  " + name + b"\n"
    (tmp_path / "checksums.sha256").write_bytes(line)
    assert verify(tmp_path) == (1, 1)


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    # The digest of an empty file.
    (tmp_path / "checksums.sha256").write_text(f"{hashlib.sha256(b'').hexdigest()}  pipe.py\n")
    found: list[Counts] = []
    looking = threading.Thread(target=lambda: found.append(verify(tmp_path)), daemon=True)
    looking.start()
    looking.join(10)
    assert found == [(0, 1)]


def test_a_manifest_that_is_a_fifo_is_no_manifest(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "checksums.sha256")
    found: list[Counts] = []
    looking = threading.Thread(target=lambda: found.append(verify(tmp_path)), daemon=True)
    looking.start()
    looking.join(10)
    assert found == [(0, 0)]


def test_without_a_manifest_nothing_is_in_order(tmp_path: Path) -> None:
    assert verify(tmp_path) == (0, 0)


def test_a_name_with_a_nul_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "checksums.sha256").write_bytes(DIGEST.encode() + b"  a\0b\n")
    assert verify(tmp_path) == (0, 1)


def test_a_line_becomes_a_name_and_a_digest() -> None:
    assert list(checksums.parse(f"{DIGEST.upper()} *name\n".encode())) == [(b"name", DIGEST)]
