"""Where a prior is: a folder in diffusers' layout, one file, or a repository of the Hugging Face hub. Imports nothing
heavy, so that a wrong path is told at once."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from data.errors import UserError
from data.reading import leads_into
from data.whole_file import restored
from guidance.weights.file_format import file_format

REPOSITORY = Path(__file__).resolve().parents[1]
PARTS = ("unet", "vae", "scheduler", "text_encoder", "tokenizer")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class MissingPriorError(UserError):
    """There is nothing at that path: perhaps it has not been downloaded yet."""


@dataclass(frozen=True)
class HubId:
    """A repository of the hub, "owner/name", in diffusers' layout."""

    name: str


def find_prior(path: str) -> Path | HubId:
    """On disk relative to where the user stands or, for the embedded priors, to the repository; else on the hub."""
    candidates = [restored(candidate) for candidate in (Path(path).expanduser(), REPOSITORY / path)]
    found = next((c for c in candidates if c.exists()), None)
    if found is None and HUB_ID.fullmatch(path) and not any(c.parent.is_dir() for c in candidates):
        return HubId(path)
    if found is None:
        raise MissingPriorError(
            f"prior.path={path}: there is no such folder, nor such a file; point it at a prior in diffusers' layout, or"
            " at a .safetensors, .ckpt or .pt of Stable Diffusion 1 or 2, or of MVDream"
        )
    if found.is_file():
        try:
            file_format(found)
        except ValueError as error:
            raise UserError(f"prior.path={path}: this is a file {error}") from error
    else:
        check_parts(found, f"prior.path={path}")
    return found.resolve()


def copy_part(prior: Path, part: str, to: Path) -> None:
    """UserError for a link to what is not the prior's: it would be given away with the copy."""
    hub = prior.parent.name == "snapshots"  # whose cache has the files of a snapshot beside all snapshots
    for file in (prior / part).rglob("*"):
        if not leads_into(file, prior.parents[1] if hub else prior):
            raise UserError(f"prior.path={prior}: {file} is a link out of the folder; put the file in its place")
    shutil.copytree(prior / part, to / part)


def check_parts(folder: Path, key: str) -> None:
    missing = [part for part in PARTS if not (folder / part).is_dir()]
    if missing:
        raise UserError(f"{key}: it lacks {', '.join(missing)}/; a prior has {', '.join(PARTS)}/")
