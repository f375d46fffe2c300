from __future__ import annotations

import pytest

from data.plain_text import one_line


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
