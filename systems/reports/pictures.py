"""Renders and arrays as files that a person can open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from data.cameras import Cameras
from data.whole_file import whole
from models.backgrounds import Background
from renderers.output import RenderOutput, rgba


def to_bytes(image: Float[Tensor, "h w c"]) -> UInt8[np.ndarray, "h w c"]:
    return (image.clamp(0, 1) * 255).round().byte().cpu().numpy()


def frames(look: Callable[[Cameras], RenderOutput], cameras: Cameras) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """One render per camera, one at a time to bound the memory."""
    for index in range(len(cameras)):
        yield to_bytes(look(cameras[index : index + 1]).rgb[0])


def cut_outs(
    look: Callable[[Cameras], RenderOutput], background: Background, cameras: Cameras
) -> Iterator[UInt8[np.ndarray, "h w 4"]]:
    """The same without the background, for files with transparency."""
    for index in range(len(cameras)):
        seen = look(cameras[index : index + 1])
        behind = background(cameras[index : index + 1].rays().directions.to(seen.rgb.device), None)
        yield to_bytes(rgba(seen.rgb, seen.opacity, behind)[0])


def write_picture(path: Path, image: UInt8[np.ndarray, "h w c"]) -> None:
    with whole(path) as draft:
        iio.imwrite(draft, image)


def write_row(path: Path, images: list[UInt8[np.ndarray, "h w c"]]) -> None:
    write_rows(path, [images])


def write_rows(path: Path, rows: list[list[UInt8[np.ndarray, "h w c"]]]) -> None:
    write_picture(path, np.concatenate([np.concatenate(row, axis=1) for row in rows]))


def write_video(path: Path, images: list[UInt8[np.ndarray, "h w 3"]], fps: int) -> None:
    with whole(path) as draft:
        iio.imwrite(draft, np.stack(images), plugin="pyav", codec="libx264", fps=fps)
