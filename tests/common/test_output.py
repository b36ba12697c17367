"""Tables, lists and files that commands write."""

import errno
import json
import os
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest
from rich.text import Text

from common import output
from common.arguments import InvalidInputError
from common.output import (
    has_colour,
    held_report,
    json_list,
    new_table,
    render,
    table_text,
    terminal_lines,
    whole_file,
)


# --- Tables and lists ------------------------------------------------------------------------------------
def test_a_table_of_values_has_no_spaces_at_line_ends_and_escapes_control_characters() -> None:
    text = table_text(("id", "name"), [(1, None), (20, "\x1b[31mred"), (3, "x" * 3000)])
    assert text == "id  name\n1\n20  \\x1b[31mred\n3   " + "x" * 3000 + "\n"


def test_a_long_cell_is_cut_and_pads_no_other_row() -> None:
    lines = table_text(("name", "n"), [("a", 1), ("x" * 70, 2), ("y" * 100_000, 3), ("漢" * 31, 4)]).splitlines()
    assert lines == [
        "name" + " " * 58 + "n",
        "a" + " " * 61 + "1",
        "x" * 70 + "  2",
        "y" * 4096 + "…  3",
        "漢" * 31 + "  4",
    ]
    assert len(table_text(("name",), [("\x1b" * 100_000,)])) < 5000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('a,"\x1b[31m\r\x07\x9b\n"\r\nb\r\n', 'a,"\\x1b[31m\\r\\x07\\x9b\n"\nb\n'),
        ('{"a": "\x7f\u202e"}\n', '{"a": "\\x7f\\u202e"}\n'),
        ("\r", "\\r"),
        ("", ""),
    ],
)
def test_lines_for_a_terminal_hold_no_control_character(text: str, shown: str) -> None:
    assert terminal_lines(text) == shown


def test_a_table_folds_at_the_terminal_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = table_text(("id", "name"), [(1, "x" * 100)], terminal=True).splitlines()
    assert max(map(len, lines)) <= 40
    assert "".join(lines).count("x") == 100


def test_numbers_are_aligned_to_the_right() -> None:
    table = new_table("check", "found", numbers=("found",))
    table.add_row("a", "7")
    assert render(table) == "check  found\na          7\n"


def test_colours_are_escapes_only_where_wanted() -> None:
    assert render(Text("bad", "red"), terminal=True, colour=True) == "\x1b[31mbad\x1b[0m\n"
    assert render(Text("[bold]bad[/bold] :smile:", "red")) == "[bold]bad[/bold] :smile:\n"


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_follow_the_terminal_the_options_and_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert has_colour(Terminal(), no_color=False)
    assert not has_colour(Terminal(), no_color=True)
    assert not has_colour(StringIO(), no_color=False)
    assert has_colour(StringIO(), no_color=False, force_color=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not has_colour(Terminal(), no_color=False)


@pytest.mark.parametrize("rows", [[], [{"id": 1}], [{"id": 1}, {"id": 2}]])
def test_a_json_list_has_one_item_per_line(rows: list[dict[str, int]]) -> None:
    text = "".join(json_list("rows", rows))
    assert json.loads(text) == {"rows": rows}
    assert len(text.splitlines()) == len(rows) + 2


# --- Files -----------------------------------------------------------------------------------------------
def test_a_file_appears_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    existing, new = tmp_path / "existing", tmp_path / "new"
    existing.write_text("before")
    existing.chmod(0o604)
    umask = os.umask(0o027)
    try:
        for path in (existing, new):
            with whole_file(path) as file:
                file.write("after\r\n")
                assert path == new or path.read_text() == "before"
    finally:
        os.umask(umask)
    assert [path.read_bytes() for path in (existing, new)] == [b"after\r\n"] * 2
    assert [oct(path.stat().st_mode & 0o777) for path in (existing, new)] == ["0o604", "0o640"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["existing", "new"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    with whole_file(tmp_path / "link") as file:
        file.write("after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "after"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), SystemExit(143), KeyboardInterrupt()])
def test_after_an_exception_the_old_file_stands_alone(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "report"
    path.write_text("before")
    with suppress(type(error)), whole_file(path) as file:
        file.write("half")
        raise error
    assert [file.name for file in tmp_path.iterdir()] == ["report"]
    assert path.read_text() == "before"


def test_a_path_that_cannot_be_written_is_invalid_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (
        tmp_path / "no" / "file",
        tmp_path / "file" / "x",
        tmp_path,
        tmp_path / ("x" * 300),
        Path("/dev/null"),
    ):
        with pytest.raises(InvalidInputError, match=r"^cannot write "), whole_file(path):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("limit", [2, 1_000_000])
def test_a_held_report_returns_what_was_written(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(output, "MEMORY_LIMIT", limit)
    pieces = ["a\r\n", "漢\udcff", "\n", "é" * 9, "", "z"]
    with held_report() as held:
        held.writelines(pieces)
        held.seek(0)
        assert held.read() == "".join(pieces)
