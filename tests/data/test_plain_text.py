from __future__ import annotations

import pytest

from data.plain_text import is_plain, one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no memory\r\n at  all\tnow", "no memory at all now"),
        ("\x1b[31mred\x1b[0m \x07bell \x9b2J", "red bell 2J"),
        ("\x1b]0;title\x07", "]0;title"),
        ("a\u202ecod.exe\u2066", "acod.exe"),
        ("größer, 犬\u2028二", "größer, 犬 二"),
    ],
)
def test_what_a_terminal_obeys_is_left_out_and_lines_become_one(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_what_no_file_takes_is_left_out() -> None:
    said = "a \x1b[31mred\x1b[0m dog\x1b]0;mine\x07\n\tand \u00e4\x9b\ud800\r."
    assert printable(said) == "a red dog]0;mine\n\tand \u00e4."
    assert is_plain("a \u00e4 $1") and not any(map(is_plain, ("a\nb", "a\0", "\x1b", "\ud800")))
