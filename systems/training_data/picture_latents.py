"""Captioned pictures as the 2D part of a training: real ones, in the place of single views of the 3D objects."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int, UInt8
from rich.progress import track
from torch import Tensor

from data.errors import UserError
from data.pictures import CaptionedPictures
from data.ranges import PositiveInt
from guidance.autoencoder import Autoencoder
from guidance.tokenizer import BOS, EOS, PAD, UNKNOWN, Tokenizer
from systems.training_data.ahead import drawn_ahead
from systems.training_data.kept import kept
from systems.training_data.latent_cache import ALL, LatentBatch, Latents, encoded, integers
from systems.training_data.readable import (
    ReadablePictures,
    Unreadable,
    attempt,
    check_most,
    first_image,
    leave_out,
)

KEY = "system.pictures.path"
CHUNK = 64  # pictures encoded together
LOOKED_AT = 500  # captions: together, and of a stream before it begins


@runtime_checkable
class PictureLatents(Protocol):
    def draw(self, count: int, rng: torch.Generator, wanted: slice = ALL) -> LatentBatch:
        """Random pictures with their captions; nothing is known of their cameras."""
        ...


@runtime_checkable
class PictureSource(Protocol):
    def __call__(self, autoencoder: Autoencoder, tokenizer: Tokenizer, workers: int = 0) -> PictureLatents:
        """Opens them, once it is known where and how they are encoded."""
        ...


class WithPictures:
    """Objects as `objects` has them; single pictures are captioned ones, whatever side they shall show."""

    def __init__(self, objects: Latents, pictures: PictureLatents) -> None:
        self.objects, self.pictures = objects, pictures

    def draw_objects(
        self, n_objects: int, rng: torch.Generator, among: int | None = None, wanted: slice = ALL
    ) -> LatentBatch:
        return self.objects.draw_objects(n_objects, rng, among, wanted)

    def draw_pictures(self, is_frontal: Bool[Tensor, "b"], rng: torch.Generator, wanted: slice = ALL) -> LatentBatch:
        return self.pictures.draw(len(is_frontal), rng, wanted)


class PictureCache:
    """All of them, encoded."""

    def __init__(self, latents: Float[Tensor, "n c y x"], ids: Int[Tensor, "n l"]) -> None:
        self.latents, self.ids = latents, ids

    def draw(self, count: int, rng: torch.Generator, wanted: slice = ALL) -> LatentBatch:
        index = integers(len(self.latents), count, rng)
        return _anywhere(self.latents[index].float(), self.ids[index].long())


class PictureStream:
    """Each is read, and encoded, when a step asks for it: for more of them than memory holds. Another stands in
    the place of one that cannot be read.

    workers: processes that read those of a step; 0: this one.
    """

    def __init__(
        self, pictures: CaptionedPictures, autoencoder: Autoencoder, tokenizer: Tokenizer, workers: int = 0
    ) -> None:
        self.count, self.autoencoder, self.tokenizer = len(pictures), autoencoder, tokenizer
        self.pictures = ReadablePictures(pictures, workers)

    def draw(self, count: int, rng: torch.Generator, wanted: slice = ALL) -> LatentBatch:
        index = integers(self.count, count, rng)[wanted]
        seen = self.pictures(index.tolist())
        ids = self.tokenizer([picture.caption for picture in seen])
        return _anywhere(_encoded([picture.image for picture in seen], self.autoencoder), ids.to(rng.device)).within(
            count, wanted
        )


class CachedPictures:
    """path: as of data.pictures.CaptionedPictures. cache_path: a file of all of them, encoded, which is written anew
    when they or the autoencoder have changed; their captions are read each time. What cannot be read is left out."""

    def __init__(self, path: str, cache_path: str, size: PositiveInt = 64) -> None:
        self.pictures, self.cache_path = CaptionedPictures(path, size, KEY), Path(cache_path)

    def __call__(self, autoencoder: Autoencoder, tokenizer: Tokenizer, workers: int = 0) -> PictureCache:
        first = _encoded([first_image(self.pictures)], autoencoder)
        asked = repr(self.pictures.settings)
        origin = hashlib.sha256(first.cpu().numpy().tobytes() + asked.encode()).hexdigest()
        saved = kept(self.cache_path, origin, lambda: _encode_all(self.pictures, autoencoder, workers))
        place, ids = _read_captions(self.pictures, saved["number"].tolist(), tokenizer)
        check_known(ids, tokenizer, self.pictures)
        device = autoencoder.mean.device
        return PictureCache(saved["latents"][place].to(device), ids.to(device))


class StreamedPictures:
    """path: as of data.pictures.CaptionedPictures."""

    def __init__(self, path: str, size: PositiveInt = 64) -> None:
        self.pictures = CaptionedPictures(path, size, KEY)

    def __call__(self, autoencoder: Autoencoder, tokenizer: Tokenizer, workers: int = 0) -> PictureStream:
        some = range(0, len(self.pictures), -(-len(self.pictures) // LOOKED_AT))
        found = [attempt(self.pictures.caption, i) for i in some]
        check_most([one for one in found if isinstance(one, Unreadable)], len(found))
        check_known(tokenizer([text for text in found if isinstance(text, str)]), tokenizer, self.pictures)
        return PictureStream(self.pictures, autoencoder, tokenizer, workers)


def _read_captions(
    pictures: CaptionedPictures, numbers: Sequence[int], tokenizer: Tokenizer
) -> tuple[Int[Tensor, "m"], Int[Tensor, "m l"]]:
    """Of the pictures with these numbers the places of those whose captions can be read, and the captions."""
    places, ids, unreadable = list[int](), [], []
    for start in range(0, len(numbers), LOOKED_AT):
        found = list(enumerate((attempt(pictures.caption, i) for i in numbers[start : start + LOOKED_AT]), start))
        said = {place: text for place, text in found if isinstance(text, str)}
        places += said
        if said:
            ids.append(tokenizer(list(said.values())).int())
        unreadable += [one for _, one in found if isinstance(one, Unreadable)]
    leave_out(unreadable, len(numbers))
    return torch.tensor(places), torch.cat(ids)


def _encode_all(pictures: CaptionedPictures, autoencoder: Autoencoder, workers: int) -> dict[str, Tensor]:
    """Those that can be read, and their numbers."""
    drawn = drawn_ahead(partial(attempt, pictures.image), range(len(pictures)), workers)
    latents, numbers, waiting, unreadable = [], [], [], []
    for i, image in enumerate(track(drawn, total=len(pictures), description="Encoding pictures", transient=True)):
        if isinstance(image, Unreadable):
            unreadable.append(image)
        else:
            waiting.append(image)
            numbers.append(i)
        if waiting and (len(waiting) == CHUNK or i + 1 == len(pictures)):
            latents.append(_encoded(waiting, autoencoder).half().cpu())
            waiting = []
    leave_out(unreadable, len(pictures))
    return {"latents": torch.cat(latents), "number": torch.tensor(numbers)}


def _encoded(images: list[UInt8[Tensor, "h w 3"]], autoencoder: Autoencoder) -> Float[Tensor, "b c y x"]:
    return encoded(autoencoder, torch.stack(images).float() / 255)


def _anywhere(latents: Float[Tensor, "b c y x"], ids: Int[Tensor, "b l"]) -> LatentBatch:
    nowhere = latents.new_zeros(len(latents), 16)
    return LatentBatch(latents, nowhere, nowhere[:, 0], ids)


def check_known(ids: Int[Tensor, "n l"], tokenizer: Tokenizer, pictures: CaptionedPictures) -> None:
    """UserError if more than half of the words of the captions say nothing to the tokenizer."""
    if not tokenizer.words:
        return
    is_word = (ids != PAD) & (ids != BOS) & (ids != EOS)
    known = 1 - int((ids == UNKNOWN).sum()) / max(int(is_word.sum()), 1)
    if known < 0.5:
        raise UserError(
            f"{pictures.key}={pictures.path}: the tokenizer knows {known:.0%} of the words of its captions, less than"
            " half; say captions in its words, or a prior that reads any"
        )
