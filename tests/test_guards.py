"""`.ci/guards.py` in small projects of its own: within the limits, and beyond each of them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / ".ci" / "guards.py"
LIMITS = """
[tool.continuity]
max-lines = 1000
max-file-lines = 300
max-readme-lines = 10
max-vague = 7
max-subject = 72
commits-after = "{base}"
"""
PLAIN = '"""Return the open anomalies of a scan, newest first."""\n'
VAGUE = '"""Whoever asks this is told what it is, and such others."""\n'


def git(project: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false")
    run = subprocess.run(["git", "-C", project, *identity, *arguments], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def commit(project: Path, subject: str) -> None:
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--allow-empty", "--message", subject)


def write(project: Path, name: str, content: str) -> None:
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text(content)


def guards(project: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, ".ci/guards.py"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project that git does not keep."""
    write(tmp_path, ".ci/guards.py", "")
    shutil.copy(SCRIPT, tmp_path / ".ci")
    write(tmp_path, "pyproject.toml", LIMITS.format(base="HEAD"))
    write(tmp_path, "README.md", "# Small\n\nA small project with short sentences.\n")
    write(tmp_path, "app/models.py", PLAIN)
    return tmp_path


@pytest.fixture
def project(folder: Path) -> Path:
    """The same project in a clone: a base commit with a long subject, then one within the limits."""
    git(folder, "init", "--quiet")
    commit(folder, "An old subject " * 10)
    write(folder, "pyproject.toml", LIMITS.format(base=git(folder, "rev-parse", "HEAD")))
    commit(folder, "Record the base commit")
    return folder


@pytest.mark.needs("git")
def test_a_project_within_the_limits_passes(project: Path) -> None:
    run = guards(project)
    assert (run.returncode, run.stderr) == (0, "")
    assert "1 commit subjects (limit 72)" in run.stdout


@pytest.mark.needs("git")
@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("app/long.py", "x = 1\n" * 301, "app/long.py has 301 lines, more than max-file-lines = 300"),
        ("tests/test_long.py", "x = 1\n" * 301, "tests/test_long.py has 301 lines, more than max-file-lines = 300"),
        ("README.md", "word\n" * 11, "README.md has 11 lines, more than max-readme-lines = 10"),
        ("app/vague.py", VAGUE, "app: 30.0 % vague words, more than max-vague = 7\n    app/vague.py:1: 6 vague words"),
        ("app/vague.py", f"# {VAGUE}", "app: 30.0 % vague words, more than max-vague = 7"),
        ("README.md", VAGUE, "README.md: 54.5 % vague words, more than max-vague = 7"),
        ("docs/more.md", VAGUE, "docs/more.md: 54.5 % vague words, more than max-vague = 7"),
    ],
)
def test_a_file_beyond_a_limit_fails_before_git_knows_it(project: Path, name: str, content: str, problem: str) -> None:
    write(project, name, content)
    run = guards(project)
    assert run.returncode == 1
    assert problem in run.stderr


@pytest.mark.needs("git")
def test_too_much_production_code_fails_and_tests_do_not_count(project: Path) -> None:
    for number in range(4):
        write(project, f"tests/test_{number}.py", "x = 1\n" * 300)
    assert guards(project).returncode == 0
    for number in range(4):
        write(project, f"app/part_{number}.py", "x = 1\n" * 300)
    assert "lines of production Python, more than max-lines = 1000" in guards(project).stderr


@pytest.mark.needs("git")
def test_code_blocks_code_spans_and_tests_are_no_prose(project: Path) -> None:
    write(project, "docs/more.md", f"```python\n{VAGUE}```\n\n  ```sh\n  {VAGUE}  ```\n\n`it that this what`\n")
    write(project, "tests/test_vague.py", VAGUE)
    assert guards(project).returncode == 0


# --- Commit subjects -------------------------------------------------------------------------------------
@pytest.mark.needs("git")
def test_a_long_subject_after_the_base_fails(project: Path) -> None:
    commit(project, "x" * 72)
    assert guards(project).returncode == 0
    commit(project, "y" * 73)
    run = guards(project)
    assert run.returncode == 1
    assert run.stderr.endswith(f"a subject of 73 characters, more than max-subject = 72: {'y' * 73}\n")


@pytest.mark.needs("git")
def test_a_shallow_clone_that_ends_before_the_base_is_measured_whole(project: Path, tmp_path: Path) -> None:
    commit(project, "y" * 73)
    commit(project, "Mend a thing")
    for depth, code in ((1, 0), (2, 1)):
        shallow = tmp_path / f"depth{depth}"
        git(project, "clone", "--quiet", "--depth", str(depth), project.as_uri(), str(shallow))
        assert guards(shallow).returncode == code


@pytest.mark.needs("git")
def test_a_base_that_is_no_commit_of_the_history_fails(project: Path) -> None:
    write(project, "pyproject.toml", LIMITS.format(base="0" * 40))
    assert "is no commit of this history" in guards(project).stderr


def test_without_git_all_else_is_measured(folder: Path) -> None:
    run = guards(folder)
    assert (run.returncode, run.stderr) == (0, "")
    assert "no git history here: commit subjects not measured" in run.stdout
    write(folder, "app/long.py", "x = 1\n" * 301)
    assert guards(folder).returncode == 1
