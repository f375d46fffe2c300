"""What is said about a view beside the prompt."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from data.cameras import Cameras
from data.directions import BACK, FRONT, OVERHEAD, SIDE, direction, wrapped_degrees
from data.errors import UserError
from data.ranges import NonNegativeFloat
from guidance.debiasing import MaskedLanguageModel, without_biased_words
from guidance.wording import Template, Wording

Weighted = tuple[Float[Tensor, "b l d"], Float[Tensor, "b"]]  # a text, and with which weight
Said = tuple[Float[Tensor, "b l d"], list[Weighted]]  # what each view shall show, and (Perp-Neg) what it shall not


@runtime_checkable
class ViewWords(Protocol):
    def sentences(self, prompt: str, suffix: str) -> list[str]:
        """All k that may be needed; they are encoded once."""
        ...

    def at(self, texts: Float[Tensor, "k l d"], cameras: Cameras) -> Said:
        """What each view is told, in terms of their embeddings."""
        ...


class SameWords:
    """The prompt, whatever the view: a multi-view prior sees the camera itself."""

    def sentences(self, prompt: str, suffix: str) -> list[str]:
        return [prompt + suffix]

    def at(self, texts: Float[Tensor, "k l d"], cameras: Cameras) -> Said:
        return texts.expand(len(cameras), -1, -1), []


class ViewDependent:
    """Each view gets the sentence of the direction that it is seen from, see data/directions.py.

    front, back: how far to either side they reach, degrees.
    overhead: the elevation above which a view is from above, degrees; null: none is.
    debias_model: the folder of a masked language model, see guidance/debiasing.py.
    """

    def __init__(
        self,
        wording: Wording | None = None,
        front: NonNegativeFloat = 45.0,
        back: NonNegativeFloat = 45.0,
        overhead: float | None = 60.0,
        debias_model: str | None = None,
    ) -> None:
        self.wording = wording or Template()
        self.front, self.back, self.overhead = front, back, overhead
        self.debias_model = debias_model

    def sentences(self, prompt: str, suffix: str) -> list[str]:
        return _worded(self.wording, prompt, suffix, self.overhead, self.debias_model)

    def at(self, texts: Float[Tensor, "k l d"], cameras: Cameras) -> Said:
        return texts[direction(cameras.azimuth, cameras.elevation, self.front, self.back, self.overhead)], []


class PerpNeg:
    """Between two directions, the mixture of their texts; away from the front and the side where they are not wanted.

    f_*: (a, b, c) of the weights -f(r), f(r) = a exp(-b r) + c. With r = 1 - |azimuth| / 90 before the side: the front
    -f_fs(r), the side -f_sf(1 - r). Behind it, with r = 2 - |azimuth| / 90: the front -f_fsb(r), the side -f_sb(r).
    From above: neither (Armandpour et al. 2023; the numbers are threestudio's).
    """

    def __init__(
        self,
        wording: Wording | None = None,
        overhead: float | None = 60.0,
        f_sb: tuple[float, float, float] = (1.0, 0.5, -0.606),
        f_fsb: tuple[float, float, float] = (1.0, 0.5, 0.967),
        f_fs: tuple[float, float, float] = (4.0, 0.5, -2.426),
        f_sf: tuple[float, float, float] = (4.0, 0.5, -2.426),
        debias_model: str | None = None,
    ) -> None:
        self.wording = wording or Template()
        self.overhead = overhead
        self.f_sb, self.f_fsb = _decay("f_sb", *f_sb), _decay("f_fsb", *f_fsb)
        self.f_fs, self.f_sf = _decay("f_fs", *f_fs), _decay("f_sf", *f_sf)
        self.debias_model = debias_model

    def sentences(self, prompt: str, suffix: str) -> list[str]:
        return _worded(self.wording, prompt, suffix, self.overhead, self.debias_model)

    def at(self, texts: Float[Tensor, "k l d"], cameras: Cameras) -> Said:
        turn = wrapped_degrees(cameras.azimuth).abs().to(texts) / 90  # 0 front, 1 side, 2 back
        above = direction(cameras.azimuth, cameras.elevation, overhead=self.overhead) == OVERHEAD
        ahead = turn < 1
        r = torch.where(ahead, 1 - turn, 2 - turn)
        front = -torch.where(ahead, self.f_fs(r), self.f_fsb(r)).masked_fill(above, 0)
        side = -torch.where(ahead, self.f_sf(1 - r), self.f_sb(r)).masked_fill(above, 0)
        near = torch.where(ahead, FRONT, SIDE).masked_fill(above, OVERHEAD)
        share = r.masked_fill(above, 1)[:, None, None]
        wanted = share * texts[near] + (1 - share) * texts[torch.where(ahead, SIDE, BACK)]
        return wanted, [(texts[which].expand_as(wanted), weight) for which, weight in ((FRONT, front), (SIDE, side))]


def _decay(name: str, a: float, b: float, c: float) -> Callable[[Float[Tensor, "b"]], Float[Tensor, "b"]]:
    """f(r) = a exp(-b r) + c, refused where it would draw the images to what they shall avoid."""
    if min(a + c, a * math.exp(-b) + c) < 0:
        raise UserError(
            f"prompt_processor.view_words.{name}={[a, b, c]}: a exp(-b r) + c must not be below 0 for r from 0 to 1;"
            " raise c"
        )
    return lambda r: a * torch.exp(-b * r) + c


def _worded(wording: Wording, prompt: str, suffix: str, overhead: float | None, debias_model: str | None) -> list[str]:
    """A sentence for each direction, the one from above only if a view may be; its prompt debiased if asked for."""
    n = OVERHEAD if overhead is None else OVERHEAD + 1
    if debias_model is None:
        return list(wording(prompt, suffix)[:n])
    prompts = without_biased_words(prompt, MaskedLanguageModel(debias_model))
    return [wording(debiased, suffix)[view] for view, debiased in enumerate(prompts[:n])]
