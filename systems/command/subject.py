"""The subject of a run, before anything heavy is loaded: what experiment=dreambooth learns, what guidance=dreambooth
has learned."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from data.errors import UserError
from data.subject_files import subject_files
from guidance.new_word import check_new_word

KEY = "subject"


def check_subject(config: DictConfig) -> None:
    """UserError if there are no pictures, or other azimuths, or if the folder is none of a finished DreamBooth run."""
    subject = OmegaConf.select(config, KEY)
    if isinstance(subject, DictConfig):
        count, azimuths = len(subject_files(subject.pictures)), subject.azimuths
        if azimuths is not None and len(azimuths) != count:
            example = ",".join("0" * count)
            raise UserError(
                f"subject.azimuths={azimuths}: there are {count} pictures; say [{example}], degrees, or null"
            )
        if not subject.kind:
            raise UserError("subject.kind is missing: say what the subject is one of, for instance subject.kind=dog")
    elif subject is not None:
        _check_learned(str(subject))


def _check_learned(folder: str) -> None:
    example = f"say {KEY}=outputs/dreambooth/a-sks-dog-0, the folder of a run of experiment=dreambooth"
    if not folder:
        raise UserError(f"{KEY} is missing: {example}")
    if Path(folder, "prior").is_dir():
        return
    if Path(folder, "checkpoints").is_dir():
        raise UserError(f"{KEY}={folder} has no prior/: the run did not finish, or was no DreamBooth run; {example}")
    raise UserError(f"{KEY}={folder}: there is no such run; {example}")


def with_token(config: DictConfig, vocabulary: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The words that the prior knows, and the one that it is about to learn; UserError if it knows that already."""
    subject = OmegaConf.select(config, KEY)
    if vocabulary is None or not isinstance(subject, DictConfig):
        return vocabulary
    check_new_word(str(subject.token), vocabulary)
    return (*vocabulary, str(subject.token))


def learned_sentences(config: DictConfig) -> list[str]:
    """What experiment=dreambooth says beside its prompt: of the pictures, and of what it draws at the end."""
    subject, drawn = OmegaConf.select(config, KEY), OmegaConf.select(config, "before_after.endings")
    if not isinstance(subject, DictConfig):
        return []
    suffix = config.prompt_processor.suffix
    return [f"{config.prompt}{subject.around}", *(f"{config.prompt}{ending}{suffix}" for ending in drawn or [""])]
