"""Captioned objects seen from several cameras, many in one tar file: what 3D files are rendered to, and read from.

A shard `<split>-00000.tar` holds of each object `<key>.<view>.png`, with transparency, and `<key>.json`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from data.cameras import Cameras
from data.captioned_assets import TRAIN
from data.errors import UserError
from data.pictures import DAMAGED
from data.reading import parse_table
from data.tars import Member, Samples

LARGEST_SIDE = 4096  # pixels
DETAILS = "json"
ANGLES = ("fov_y", "azimuth", "elevation", "distance")  # radians, but for the distance


@dataclass(frozen=True)
class SeenObject:
    key: str
    images: UInt8[Tensor, "v h w 4"]  # colour not multiplied by the opacity
    cameras: Cameras
    captions: list[str]
    split: str
    source: str  # the 3D file
    licence: str | None = None


def encode(seen: SeenObject) -> list[tuple[str, bytes]]:
    """Names and contents of its members."""
    cameras = seen.cameras
    details = {
        "captions": seen.captions,
        "split": seen.split,
        "source": seen.source,
        "licence": seen.licence,
        "height": cameras.height,
        "width": cameras.width,
        "c2w": cameras.c2w.tolist(),
        **{name: getattr(cameras, name).tolist() for name in ANGLES},
    }
    views = [(f"{seen.key}.{view}.png", _png(image)) for view, image in enumerate(seen.images)]
    return [*views, (f"{seen.key}.{DETAILS}", json.dumps(details, indent=1).encode())]


def _png(image: UInt8[Tensor, "h w 4"]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image.numpy()).save(file, "PNG")
    return file.getvalue()


class Shards:
    """The objects of one split, read when they are asked for. path: a folder of shards, or of the run that made them,
    or of several such runs: an object is then there once of each, in another light and from other heights.

    key: under which the user named the path.
    """

    def __init__(self, path: str, split: str = TRAIN, key: str = "path") -> None:
        self.path, self.split, self.key = path, split, key
        files = shard_files(path, split)
        if not files:
            raise UserError(
                f"{key}={path} holds no {split}-*.tar: say the folder that experiment=render_assets has written"
            )
        self.samples = Samples(files, key)
        if not len(self.samples):
            raise UserError(f"{key}={path}: its {split}-*.tar hold no object; its failed.jsonl may say why")

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> SeenObject:
        return self.see(index, range(self.n_views(index)))

    def name(self, index: int) -> str:
        return self.samples.names[index]

    def place(self, index: int) -> str:
        """Where an object lies, for a message."""
        return f"{self.name(index)} in {self.samples.tar(index)}"

    def n_views(self, index: int) -> int:
        return len(self.samples.endings(index)) - 1

    def captions(self, index: int) -> list[str]:
        """Without the pictures."""
        with self._telling_of(index):
            return [str(text) for text in self._details(index)["captions"]]

    def cameras(self, index: int) -> Cameras:
        with self._telling_of(index):
            return _cameras(self._details(index))

    def see(self, index: int, views: Sequence[int]) -> SeenObject:
        """Only some views of an object."""
        return self.see_chosen(index, lambda cameras: views)

    def see_chosen(self, index: int, choose: Callable[[Cameras], Sequence[int]]) -> SeenObject:
        """Only those that are chosen among the cameras of all."""
        parts = self.samples[index]
        with self._telling_of(index):
            details = self._details(index)
            cameras = _cameras(details)
            views = choose(cameras)
            cameras = cameras[torch.tensor(list(views), dtype=torch.long)]
            images = torch.stack([_picture(parts[f"{view}.png"], cameras) for view in views])
            described = details["captions"], details["split"], details["source"], details["licence"]
        return SeenObject(self.name(index), images, cameras, *described)

    def _details(self, index: int) -> dict:
        details = parse_table(self.samples[index][DETAILS].read())
        if details["split"] != self.split:
            raise ValueError(f"it is of the split {details['split']}")
        return details

    @contextmanager
    def _telling_of(self, index: int) -> Iterator[None]:
        """UserError with the place of what is damaged."""
        try:
            yield
        except (*DAMAGED, RuntimeError, Image.DecompressionBombError) as error:
            raise UserError(
                f"{self.key}={self.path}: {self.place(index)} is damaged ({error!r}); render it again"
            ) from error


def shard_files(path: str, split: str) -> list[Path]:
    """Where Shards would look; none if there are none of the split."""
    places = (Path(path), Path(path, "shards"), *sorted(Path(path).glob("*/shards")))
    return [file for place in places for file in sorted(place.glob(f"{split}-*.tar"))]


def _cameras(details: dict) -> Cameras:
    numbers = {name: torch.tensor(details[name], dtype=torch.float32) for name in ("c2w", *ANGLES)}
    return Cameras(**numbers, height=details["height"], width=details["width"])


def _picture(member: Member, cameras: Cameras) -> UInt8[Tensor, "h w 4"]:
    with Image.open(io.BytesIO(member.read()), formats=["PNG"]) as image:
        if image.size != (cameras.width, cameras.height) or max(image.size) > LARGEST_SIDE:
            raise ValueError(f"{member.name} is {image.width} x {image.height} pixels")
        return torch.from_numpy(np.array(image.convert("RGBA")))


def resized(seen: SeenObject, size: int) -> SeenObject:
    """Means of blocks of pixels; transparent ones do not count."""
    cameras = seen.cameras
    if cameras.height % size or cameras.width != cameras.height:
        there = f"{cameras.width} x {cameras.height}"
        raise UserError(f"size={size}: the pictures of {seen.key} are {there}; say a divisor of that")
    if cameras.height == size:
        return seen
    image = seen.images.movedim(-1, 1).double()
    color, opacity = image[:, :3], image[:, 3:]
    mean = lambda x: torch.nn.functional.avg_pool2d(x, cameras.height // size)
    share = mean(opacity)
    color = torch.where(share > 0, mean(color * opacity) / share.clamp(min=1e-9), 0.0)
    images = torch.cat([color, share], dim=1).round().byte().movedim(1, -1).contiguous()
    return replace(seen, images=images, cameras=replace(cameras, height=size, width=size))
