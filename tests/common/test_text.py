"""Text of unknown origin is printed with every character visible."""

import pytest
from django.db import connection

from common.text import printable, printable_lines
from consistency.scan.sql import _literal


@pytest.mark.parametrize(
    "text",
    [
        "video 01 (final).mp4",
        "\\x1b[31m stays",
        "Tru\u031bo\u031b\u0300ng hop\u0323 e\u0302\u0301.mov",
        "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd \u0939\u093f\u0928\u094d\u0926\u0940 \u0e17\u0e35\u0e48.mp4",
        "\u732b\U0001f600\u2764\ufe0f 1\ufe0f\u20e3",
    ],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[2J\r\n\t\0", r"\x1b[2J\r\n\t\x00"),
        ("a\u202egnp.exe\u2066", r"a\u202egnp.exe\u2066"),
        ("a\u200bb\u200d\u00ad\ufeff\U000e0041", r"a\u200bb\u200d\xad\ufeff\U000e0041"),
        ("\u3164\uffa0\u2800", r"\u3164\uffa0\u2800"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_is_obeyed_or_not_seen_is_an_escape(text: str, seen: str) -> None:
    assert printable(text) == seen
    assert printable(seen) == seen


def test_a_pile_of_marks_ends_where_it_would_cover_other_lines() -> None:
    assert printable("z" + 60 * "\u0336" + "a\u0301") == "z" + 4 * "\u0336" + 56 * r"\u0336" + "a\u0301"
    assert printable("z" + 3 * "\u0301\u0489") == "z\u0301\u0489\u0301\u0489" + r"\u0301\u0489"


def test_lines_stay_lines() -> None:
    assert printable_lines("a\r\nb\u2028c\x1b") == "a\nb\nc\\x1b"


@pytest.mark.django_db
def test_sql_with_a_pile_of_marks_is_plain_and_means_the_same() -> None:
    text = "z\u0301" + 60 * "\u0336" + "'\\"
    statement = "SELECT " + _literal(text)
    assert statement.isascii()
    with connection.cursor() as cursor:
        cursor.execute(statement, None)
        assert cursor.fetchone() == (text,)
