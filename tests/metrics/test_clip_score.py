import math

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from metrics.clip_score import clip_scores, first_ranked, score
from metrics.text_image import TextImageModel
from metrics.views import ClipViews

ANGLES = {"east": 0.0, "north": 90.0, "west": 180.0, "northeast": 45.0}


class Compass:
    """Texts point where they say; a picture points to the angle that its first pixel's red holds, as a share of 360."""

    name, logit_scale = "compass", 10.0

    def embed_images(self, images: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b d"]:
        return unit(360 * images[:, 0, 0, 0])

    def embed_texts(self, texts: list[str]) -> Float[Tensor, "n d"]:
        return unit(torch.tensor([ANGLES[text] for text in texts]))


def unit(degrees: Tensor) -> Tensor:
    angle = torch.deg2rad(degrees)
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def pictures(*degrees: float) -> Tensor:
    return (torch.tensor(degrees) / 360)[:, None, None, None].expand(-1, 2, 2, 3)


def test_the_score_is_100_times_the_cosine_and_never_below_0():
    found = clip_scores(Compass(), pictures(0.0, 60.0, 135.0, 45.0), ["east", "east", "east", "north"])
    assert isinstance(Compass(), TextImageModel)
    torch.testing.assert_close(found, torch.tensor([100.0, 50.0, 0.0, 100 * math.sqrt(0.5)]))


def test_a_picture_is_retrieved_if_its_own_caption_is_the_nearest():
    found = score(Compass(), pictures(10.0, 30.0, 170.0), ["east", "east", "west"], ["east", "northeast", "west"])
    assert found.retrieved.tolist() == [True, False, True]
    assert found.clip_score.tolist() == pytest.approx([100 * math.cos(math.radians(d)) for d in (10, 30, 10)])
    assert (found.model, found.n_candidates) == ("compass", 3)


def test_a_tie_is_no_retrieval():
    cosine = torch.tensor([[0.5, 0.5], [0.5, 0.4]])
    assert first_ranked(cosine, torch.tensor([0, 0])).tolist() == [False, True]


class SideSayer(Compass):
    def embed_texts(self, texts: list[str]) -> Float[Tensor, "n d"]:
        """As seen from above, with the front to the east."""
        words = {"front": 0.0, "side": 90.0, "back": 180.0}
        return unit(torch.tensor([words[text.split(", ")[1].split()[0]] for text in texts]))


def test_the_views_of_a_picture_are_a_softmax_at_the_logit_scale():
    views = ClipViews(SideSayer())
    degrees = (0.0, 45.0, 180.0)
    logits = [[math.exp(10 * math.cos(math.radians(d - said))) for said in (0.0, 90.0, 180.0)] for d in degrees]
    expected = torch.tensor([row[0] / sum(row) for row in logits])
    torch.testing.assert_close(views.p_front(pictures(*degrees), "a dog"), expected)
    torch.testing.assert_close(views.p_views(pictures(*degrees), "a dog").sum(dim=1), torch.ones(3))
