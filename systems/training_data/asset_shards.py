"""One 3D file after the other to pictures, by several processes, and into shards. They import this module: keep it
light."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from data.captioned_assets import CaptionedAsset
from data.shards import SeenObject, encode
from data.tars import write_tar
from data.whole_file import write_text
from models.painted_file import UnreadableError
from renderers.studio import Studio
from systems.rng import step_generator
from systems.training_data.ahead import drawn_ahead

Members = list[tuple[str, bytes]]  # of a tar file


@dataclass(frozen=True)
class Failure:
    file: str
    reason: str


@dataclass(frozen=True)
class Shard:
    """What comes into one tar file."""

    path: Path
    assets: list[CaptionedAsset]

    @property
    def failures(self) -> Path:
        """The list of those that did not: there as soon as the tar file is, if there are any."""
        return self.path.with_suffix(".failed.jsonl")

    def write(self, results: Sequence[Members | Failure]) -> None:
        """The tar file last: it says that the shard is finished."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.failures.unlink(missing_ok=True)
        if failed := [result for result in results if isinstance(result, Failure)]:
            write_failures(self.failures, failed)
        write_tar(self.path, [member for result in results if not isinstance(result, Failure) for member in result])

    def read_failures(self) -> list[Failure]:
        lines = self.failures.read_text().splitlines() if self.failures.exists() else []
        return [Failure(**json.loads(line)) for line in lines]


def write_failures(path: Path, failed: Sequence[Failure]) -> None:
    write_text(path, "".join(json.dumps(asdict(one)) + "\n" for one in failed))


def plan_shards(folder: Path, assets: Sequence[CaptionedAsset], per_shard: int) -> list[Shard]:
    """`<split>-00000.tar` and so on: no shard has objects of two splits."""
    splits = dict.fromkeys(asset.split for asset in assets)
    shards = []
    for split in splits:
        own = [asset for asset in assets if asset.split == split]
        parts = [own[begin : begin + per_shard] for begin in range(0, len(own), per_shard)]
        shards += [Shard(folder / f"{split}-{index:05d}.tar", part) for index, part in enumerate(parts)]
    return shards


def fill(
    shards: Sequence[Shard], studio: Studio, folder: Path, seed: int, workers: int
) -> Iterator[tuple[CaptionedAsset, Members | Failure]]:
    """Writes the shards; each object on the way. folder: of the 3D files."""
    assets = [asset for shard in shards for asset in shard.assets]
    drawn = drawn_ahead(partial(photograph, studio, folder, assets, seed), range(len(assets)), workers)
    for shard in shards:
        results = []
        for asset in shard.assets:
            results.append(next(drawn))
            yield asset, results[-1]
        shard.write(results)


def photograph(
    studio: Studio, folder: Path, assets: Sequence[CaptionedAsset], seed: int, index: int
) -> Members | Failure:
    """The pictures of an object depend on the seed and on the name of its file, not on the other objects."""
    asset = assets[index]
    try:
        images, cameras = studio(str(folder / asset.file), step_generator(seed, zlib.crc32(asset.file.encode())))
    except UnreadableError as error:
        return Failure(asset.file, str(error))
    return encode(SeenObject(asset.key, images, cameras, asset.captions, asset.split, asset.file, asset.licence))
