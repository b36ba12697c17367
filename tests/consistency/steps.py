"""The steps of attaching, as README.md has them."""

import re
import shlex
from textwrap import dedent

from config.demo.process import ROOT


def readme(language: str) -> list[str]:
    """The section's lines in this language, a block at a time."""
    section = (ROOT / "README.md").read_text().partition("## Attach to an existing platform")[2].partition("\n## ")[0]
    return [dedent(block) for block in re.findall(rf"```{language}\n(.*?)```", section, re.S)]


def sh(block: str) -> list[list[str]]:
    """The block's commands, each the arguments of `manage.py`."""
    python = ".venv/bin/python manage.py "
    assert "python manage.py" not in block.replace(python, "")
    return [shlex.split(line.partition(" > ")[0])[2:] for line in block.splitlines() if line.startswith(python)]
