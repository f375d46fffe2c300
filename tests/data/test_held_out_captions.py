from __future__ import annotations

from collections import Counter

import pytest
import torch

from data.errors import UserError
from data.toybox.captions import parse
from data.toybox.held_out_captions import held_out_captions, with_one_more
from data.toybox.split import HELD_OUT, is_held_out
from data.words import words_of


def test_captions_are_distinct_sentences_about_held_out_toys_and_say_nothing_of_views(rng: torch.Generator) -> None:
    captions = held_out_captions(400, rng)
    assert len(set(captions)) == len(captions) == 400
    assert all(is_held_out(parse(text)) for text in captions)
    assert not {"view", "front", "side", "back", "overhead", "background"} & {
        w for text in captions for w in words_of(text)
    }


def test_every_combination_has_as_many_captions(rng: torch.Generator) -> None:
    found = Counter((toy.kind, toy.color) for toy in map(parse, held_out_captions(10 * len(HELD_OUT), rng)))
    assert len(found) == len(HELD_OUT) and set(found.values()) == {10}


def test_fewer_captions_are_the_first_of_many() -> None:
    few, many = (held_out_captions(n, torch.Generator().manual_seed(3)) for n in (25, 60))
    assert many[:25] == few


def test_who_asks_for_more_sentences_than_there_are_is_told(rng: torch.Generator) -> None:
    with pytest.raises(UserError, match=r"have \d\d captions, not 500"):
        held_out_captions(500, rng, kinds=["car"])


def test_nobody_wears_hat_and_crown_nor_their_own_colour(rng: torch.Generator) -> None:
    toy = parse("a red dog wearing a blue hat")
    drawn = [with_one_more(toy, rng) for _ in range(60)]
    assert {worn.item for one in drawn for worn in one.worn} == {"hat", "scarf", "backpack"}
    assert all(len(one.worn) == 2 and "red" not in {worn.color for worn in one.worn} for one in drawn)
