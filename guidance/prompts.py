"""A prompt to the conditions of each rendered view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from data.cameras import Cameras
from data.cameras import condition as camera_condition
from guidance.prior import Avoided, Condition, Conditions, TextPrior
from guidance.prompt_cache import encode_cached
from guidance.view_words import SameWords, ViewWords
from guidance.vocabulary import check_sentences


@dataclass(frozen=True)
class PromptEmbeddings:
    texts: Float[Tensor, "k l d"]  # of the sentences of `view_words`
    negative: Float[Tensor, "1 l d"]
    view_words: ViewWords
    multi_view: bool

    def at(self, cameras: Cameras) -> Conditions:
        """One condition per camera."""
        camera = camera_condition(cameras)
        shown = camera if self.multi_view else None
        wanted, avoided = self.view_words.at(self.texts, cameras)
        negative = self.negative.expand_as(wanted)
        away = tuple(Avoided(Condition(text, shown), weight) for text, weight in avoided)
        return Conditions(Condition(wanted, shown), Condition(negative, shown), away, camera)


class PromptProcessor:
    """
    suffix: appended; the embedded priors and MVDream have learned that ", 3d asset" means a rendered object.
    view_words: what else is said about a view, by default nothing.
    unknown: what to do about words that the prior has not learned.
    cache_dir: where embeddings are kept between runs, so that the text encoder need not be loaded.
    """

    def __init__(
        self,
        prompt: str,
        negative_prompt: str = "",
        suffix: str = ", 3d asset",
        view_words: ViewWords | None = None,
        unknown: Literal["error", "warn"] = "error",
        cache_dir: str = "~/.cache/fourview/prompts",
    ) -> None:
        self.prompt = prompt
        self.negative_prompt = negative_prompt
        self.suffix = suffix
        self.view_words = view_words or SameWords()
        self.unknown = unknown
        self.cache_dir = Path(cache_dir).expanduser()

    def __call__(self, prior: TextPrior) -> PromptEmbeddings:
        return embed_all([self], prior)[0]

    def sentences(self) -> list[str]:
        """All that it says to a prior; the negative prompt last."""
        return [*self.view_words.sentences(self.prompt, self.suffix), self.negative_prompt]


def embed_all(processors: Sequence[PromptProcessor], prior: TextPrior) -> list[PromptEmbeddings]:
    """Of several prompts, for which a text encoder is loaded only once; all with the cache of the first."""
    said = [one.sentences() for one in processors]
    for one, texts in zip(processors, said, strict=True):
        check_sentences(texts, prior.vocabulary, one.unknown)
    encoded = encode_cached(prior, [text for texts in said for text in texts], processors[0].cache_dir)
    parts = encoded.split([len(texts) for texts in said])
    multi_view = prior.n_view > 1
    return [
        PromptEmbeddings(x[:-1], x[-1:], one.view_words, multi_view) for one, x in zip(processors, parts, strict=True)
    ]
