"""The code blocks of README.md and docs/, by the marker above each block: `<!-- name -->`."""

import re
import shlex
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^ *<!-- ([\w-]+) -->\n *```\w*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PYTHON = ".venv/bin/python"


def text() -> str:
    """Return README.md and docs/ as one text."""
    return "\n".join(path.read_text() for path in DOCUMENTS)


def blocks() -> dict[str, str]:
    """Return every marked block by its marker."""
    return {marker: dedent(code) for marker, code in BLOCK.findall(text())}


def block(marker: str) -> str:
    return blocks()[marker]


def manage_commands(marker: str) -> list[list[str]]:
    """Return the arguments of `manage.py` on each line of the block, without redirections."""
    prefix = f"{PYTHON} manage.py "
    lines = [line for line in block(marker).splitlines() if line.startswith(prefix)]
    return [shlex.split(line.partition(" > ")[0], comments=True)[2:] for line in lines]
