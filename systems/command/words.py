"""What a configuration will say to its prior, and whether the prior has learned those words; without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig

from data.errors import UserError
from guidance.prior_folder import find_prior
from guidance.vocabulary import check_sentences, read_vocabulary
from guidance.wording import Wording
from systems.command.prompt_list import prompt_list
from systems.command.subject import learned_sentences, with_token


def check_words(config: DictConfig, with_suffix: bool, prompts: Sequence[str] | None = None) -> None:
    """with_suffix: a prompt processor will add to the prompt. prompts: null, those of the configuration."""
    found = find_prior(config.prior.path)
    vocabulary = with_token(config, read_vocabulary(found) if isinstance(found, Path) else None)
    prompts = _prompts(config) if prompts is None else prompts
    said = [text for prompt in prompts for text in _sentences(config, prompt)] if with_suffix else prompts
    check_sentences([*said, *learned_sentences(config)], vocabulary, config.prompt_processor.unknown)


def _prompts(config: DictConfig) -> list[str]:
    """A job of many prompts has them in `prompts` or in `file`; one that draws captions of its own has no `prompts`."""
    if "file" in config.job:
        own = "prompts" not in config.job and config.job.file is None
        return [] if own else prompt_list(config.prompt, config.job.get("prompts"), config.job.file)
    return [str(config.prompt or "")]


def _sentences(config: DictConfig, prompt: str) -> list[str]:
    """All that guidance/prompts.py will say to the prior about a prompt."""
    asked = config.prompt_processor
    views = asked.get("view_words") or {}
    if "wording" not in views:
        return [prompt + asked.suffix, asked.negative_prompt]
    try:
        wording: Wording = instantiate(views["wording"])
    except InstantiationException as error:
        raise error.__cause__ if isinstance(error.__cause__, UserError) else error from None
    side, front, back, above = wording(prompt, asked.suffix)
    return [side, front, back, *([] if views.get("overhead") is None else [above]), asked.negative_prompt]
