"""What a CLIP looks like on disk. Imports nothing heavy, so that a wrong folder is told at once."""

from __future__ import annotations

from pathlib import Path

from data.errors import UserError
from data.reading import read_json
from data.whole_file import restored

REPOSITORY = Path(__file__).resolve().parents[1]
PREPROCESSOR = "preprocessor_config.json"
NEEDED = {  # what a folder holds, and by which files it shows
    "config": ("config.json",),
    "weights": ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"),
    "tokenizer": ("tokenizer.json", "vocab.json"),
    "preprocessor": (PREPROCESSOR,),
}


def find_clip(path: str, key: str = "metric.clip.path") -> Path:
    """The folder, relative to where one stands or to this repository, if it looks like a CLIP; UserError names what is
    missing. key: under which the user named it."""
    candidates = [restored(candidate) for candidate in (Path(path).expanduser(), REPOSITORY / path)]
    folder = next((c for c in candidates if c.is_dir()), None)
    if folder is None:
        raise UserError(f"{key}={path}: there is no such folder; say {key}=assets/mini_clip, or your own CLIP")
    lacking = [part for part, files in NEEDED.items() if not any((folder / file).is_file() for file in files)]
    if lacking:
        raise UserError(
            f"{key}={path}: it has no {' and no '.join(lacking)} ({NEEDED[lacking[0]][0]}); give a folder that"
            " CLIPModel.save_pretrained wrote, with its tokenizer and its preprocessor"
        )
    try:
        kind = read_json(folder / "config.json").get("model_type")
    except (OSError, ValueError) as error:
        raise UserError(f"{key}={path}: its config.json cannot be read (it {error}); give a whole CLIP") from None
    if kind != "clip":
        raise UserError(f"{key}={path}: its config.json says model_type={kind}; give one that says clip")
    return folder.resolve()
