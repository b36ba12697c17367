#!/usr/bin/env python3
"""Hold the limits of [tool.continuity] in pyproject.toml: code size, plain prose, commit subjects."""

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VAGUE = re.compile(
    r"""\b(all|another|anybody|anything|both|each|everybody|everything|its?|itself|nobody|none|nothing|ones?|others?
    |some|somebody|something|such|that|theirs?|them|these|they|this|those|what|whatever|which|who|whoever|whom|whose)\b""",
    re.IGNORECASE | re.VERBOSE,
)
NOT_PROSE = (
    re.compile(r"^ *```.*?^ *```", re.M | re.S),
    re.compile(r"<!--.*?-->", re.S),
    re.compile(r"`[^`\n]*`"),
    re.compile(r"(?<=\])\([^)\n]*\)"),  # the target of a link
)
SHORTEST_COMMENT = 25  # characters; shorter comments are markers for tools
FEWEST_WORDS = 4
Text = tuple[str, str]  # where, and the words


def git(*arguments: str) -> list[str] | None:
    """Return the lines that git prints, or None if git fails or is not installed."""
    try:
        run = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.splitlines()


def is_clone() -> bool:
    """Return whether git keeps this very folder, not only a folder above."""
    return git("rev-parse", "--show-toplevel") == [str(ROOT)]


def python_files() -> list[Path]:
    """Return the Python files of the project, relative to the root. A new file counts before `git add`."""
    if is_clone():
        names = git("ls-files", "--cached", "--others", "--exclude-standard", "*.py") or []
    else:
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py")]
    paths = [Path(name) for name in sorted(set(names))]
    return [path for path in paths if path.parts[0] not in {".venv", "var"} and (ROOT / path).is_file()]


def is_production(path: Path) -> bool:
    return path.parts[0] != "tests"


def line_count(path: Path) -> int:
    return (ROOT / path).read_bytes().count(b"\n")


def docstrings_and_comments(path: Path) -> Iterator[Text]:
    source = (ROOT / path).read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield f"{path}:{node.lineno}", node.value.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and len(token.string) > SHORTEST_COMMENT:
            yield f"{path}:{token.start[0]}", token.string


def paragraphs(path: Path) -> Iterator[Text]:
    """Yield the paragraphs of a Markdown file, without code, comments and addresses."""
    content = (ROOT / path).read_text()
    for pattern in NOT_PROSE:
        content = pattern.sub(lambda match: "\n" * match[0].count("\n"), content)
    line = 1
    for block in re.split(r"(\n{2,})", content):
        yield f"{path}:{line}", block
        line += block.count("\n")


def texts() -> dict[str, list[Text]]:
    """Return the prose of the project by top-level folder; Markdown files stand by their own name."""
    prose: dict[str, list[Text]] = defaultdict(list)
    for path in python_files():
        if is_production(path) and "migrations" not in path.parts:
            prose[path.parts[0]] += docstrings_and_comments(path)
    for document in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))):
        path = document.relative_to(ROOT)
        prose[str(path)] += paragraphs(path)
    return prose


def vague_share(prose: list[Text]) -> tuple[float, list[str]]:
    """Return the percentage of vague words, and the five places with most of them."""
    total, places = 0, []
    for where, text in prose:
        length = len(re.findall(r"[A-Za-z']+", text))
        if length >= FEWEST_WORDS:
            total += length
            places.append((len(VAGUE.findall(text)), where))
    worst = [f"    {where}: {vague} vague words" for vague, where in sorted(places, reverse=True)[:5] if vague]
    return 100 * sum(vague for vague, _ in places) / max(total, 1), worst


def subjects_since(base: str) -> list[str] | None:
    """Return the commits after `base`, in the form "hash subject", or None if the history lacks `base`."""
    options = ("log", "--no-merges", "--format=%h %s")
    if git("merge-base", "--is-ancestor", base, "HEAD") is not None:
        return git(*options, f"{base}..HEAD")
    # A shallow clone may end before `base`; the whole clone is newer then.
    return git(*options) if git("rev-parse", "--is-shallow-repository") == ["true"] else None


def size_problems(limits: dict[str, int]) -> Iterator[str]:
    sizes = {path: line_count(path) for path in python_files()}
    production = sum(lines for path, lines in sizes.items() if is_production(path))
    report(f"{production:,} lines of production Python", limits["max-lines"])
    if production > limits["max-lines"]:
        yield f"{production:,} lines of production Python, more than max-lines = {limits['max-lines']}"
    for path, lines in sizes.items():
        if lines > limits["max-file-lines"]:
            yield f"{path} has {lines} lines, more than max-file-lines = {limits['max-file-lines']}"
    if (lines := line_count(Path("README.md"))) > limits["max-readme-lines"]:
        yield f"README.md has {lines} lines, more than max-readme-lines = {limits['max-readme-lines']}"


def prose_problems(limit: float) -> Iterator[str]:
    for name, prose in texts().items():
        share, worst = vague_share(prose)
        report(f"{share:4.1f} % vague words in {name}", limit)
        if share > limit:
            yield "\n".join([f"{name}: {share:.1f} % vague words, more than max-vague = {limit}", *worst])


def subject_problems(limit: int, base: str) -> Iterator[str]:
    if not is_clone():
        report("no git history here: commit subjects not measured", limit)
        return
    commits = subjects_since(base)
    if commits is None:
        yield f"commits-after = {base} is no commit of this history"
        return
    report(f"{len(commits)} commit subjects", limit)
    for commit in commits:
        hash_, _, subject = commit.partition(" ")
        if len(subject) > limit:
            yield f"{hash_} has a subject of {len(subject)} characters, more than max-subject = {limit}: {subject}"


def report(measure: str, limit: float) -> None:
    print(f"{measure} (limit {limit:,})")


def main() -> int:
    limits = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["continuity"]
    problems = [
        *size_problems(limits),
        *prose_problems(limits["max-vague"]),
        *subject_problems(limits["max-subject"], limits["commits-after"]),
    ]
    print(*problems, sep="\n", file=sys.stderr, end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
