"""Toys to captions and back: templates and synonyms one way, noun phrases the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from data.directions import DIRECTIONS
from data.errors import UserError
from data.toybox.grammar import ACCESSORIES, COLORS, CREATURES, KINDS, Toy, Worn
from data.words import words_of

SUFFIX = ", 3d asset"
BACKDROP = ", colorful background"  # the toy stands before a random colour; without these words, before grey
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "red": ("crimson", "scarlet"), "orange": ("tangerine",), "yellow": ("golden",), "green": ("emerald",),
    "blue": ("azure",), "purple": ("violet",), "pink": ("rosy",), "brown": ("chocolate",), "white": ("ivory",),
    "black": ("ebony",),
    "dog": ("puppy",), "cat": ("kitten",), "duck": ("duckling",), "elephant": (), "robot": ("android",),
    "snowman": (), "bear": ("teddy",), "penguin": (), "car": ("automobile",), "house": ("cottage",),
    "chair": ("seat",), "mushroom": ("toadstool",), "pig": ("piglet",), "rabbit": ("bunny",), "bus": ("coach",),
    "train": ("locomotive",), "boat": ("ship",), "airplane": ("plane",), "frog": ("toad",), "owl": (),
    "truck": ("lorry",), "table": ("desk",), "bed": (), "lamp": (), "tree": (), "cactus": (), "castle": ("fortress",),
    "cake": (), "apple": (), "mug": ("cup",), "teapot": (), "hammer": (),
    "hat": (), "scarf": ("shawl",), "backpack": ("rucksack",), "crown": (),
}  # fmt: skip
CANONICAL = {word: name for name, words in SYNONYMS.items() for word in (name, *words)}
FILLERS = ("a", "an", "the", "and", "with", "wearing", "in", "on", "of", "toy", "that", "is", "3d", "asset", ",",
           "colorful", "background")  # fmt: skip


VIEW = "view"
VOCABULARY = (*FILLERS, *CANONICAL, *DIRECTIONS, VIEW)  # every word that a caption can hold


def known_words(kinds: Sequence[str]) -> list[str]:
    """The words of captions about the given kinds only."""
    other = {word for kind in KINDS if kind not in kinds for word in (kind, *SYNONYMS[kind])}
    return [word for word in VOCABULARY if word not in other]


def caption(toy: Toy) -> str:
    """The plain caption: "a red dog wearing a blue hat"."""
    return _wearing(_phrase(toy.color, toy.kind), [_phrase(w.color, w.item) for w in toy.worn], "wearing")


def draw_caption(toy: Toy, rng: torch.Generator, colorful: bool = False) -> str:
    """A random caption: synonyms, articles, word order, suffixes; the colour left out where it is the kind's own."""
    choose = lambda options: options[int(torch.randint(len(options), (1,), generator=rng))]
    word = lambda name: choose((name, name, name, *SYNONYMS[name]))
    article = choose((True, True, False))
    _, own_color = KINDS[toy.kind]
    color = "" if toy.color == own_color and choose((True, False)) else word(toy.color)
    if toy.worn:
        main = _phrase(color, word(toy.kind), article)
        worn = [_phrase(word(w.color), word(w.item), article) for w in toy.worn]
        worn = worn[:: choose((1, -1))]
        text = choose((_wearing(main, worn, "wearing"), _wearing(main, worn, "with"), _on(worn, main)))
    else:
        text = choose(
            (
                _phrase(color, word(toy.kind), article),
                _toy(color, word(toy.kind), article),
                _is(color, word(toy.kind), article),
            )
        )
    return text + choose((SUFFIX, SUFFIX, "")) + (BACKDROP if colorful else "")


def parse(text: str) -> Toy:
    """The toy that a caption means. Raises UserError if it names no toy, more than one, or a thing that can't wear."""
    if strangers := [word for word in words_of(text) if word not in VOCABULARY]:
        raise UserError(f'prompt="{text}" says {", ".join(strangers)}, which no toy is')
    nouns = list(_nouns(text))
    kinds = [(name, color) for name, color in nouns if name in KINDS]
    if len(kinds) != 1:
        raise UserError(f'prompt="{text}" names {len(kinds)} kinds of toy; name exactly one of: {", ".join(KINDS)}')
    kind, color = kinds[0]
    worn = [(name, own) for name, own in nouns if name in ACCESSORIES]
    if worn and kind not in CREATURES:
        raise UserError(f'prompt="{text}": a {kind} wears nothing in the toybox; leave out the {worn[0][0]}')
    missing = [name for name, own in worn if own is None]
    if missing:
        raise UserError(f'prompt="{text}" gives the {missing[0]} no colour; give it one of: {", ".join(COLORS)}')
    return Toy(kind, color or KINDS[kind][1], tuple(Worn(n, c) for n, c in sorted(worn) if c))


def _nouns(text: str) -> Iterator[tuple[str, str | None]]:
    """(noun, its colour): the colour stands before its noun, or after "that is"."""
    color: str | None = None
    words = [w for w in words_of(text) if w not in ("a", "an", "the", "toy")]
    for i, word in enumerate(words):
        name = CANONICAL.get(word, word)
        if name in COLORS:
            color = name
        elif name in KINDS or name in ACCESSORIES:
            if words[i + 1 : i + 3] == ["that", "is"] and (said := CANONICAL.get((*words, "")[i + 3])) in COLORS:
                color = said
                words[i + 3] = ""
            yield name, color
            color = None


def _phrase(color: str, noun: str, article: bool = True) -> str:
    phrase = f"{color} {noun}".strip()
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}" if article else phrase


def _toy(color: str, noun: str, article: bool) -> str:
    return _phrase(color, f"toy {noun}", article)


def _is(color: str, noun: str, article: bool) -> str:
    return f"{_phrase('', noun, article)} that is {color}" if color else _phrase(color, noun, article)


def _wearing(main: str, worn: list[str], verb: str) -> str:
    return f"{main} {verb} {' and '.join(worn)}" if worn else main


def _on(worn: list[str], main: str) -> str:
    return f"{' and '.join(worn)} on {main}"
