import torch

from data.cameras import Cameras
from data.samplers import turntable
from data.toybox.captions import parse
from data.toybox.grammar import build
from data.toybox.raycast import render
from metrics.toybox_truth import silhouette_on_grey, true_views
from renderers.output import RenderOutput
from systems.reports.truth import against_truth

DOG = "a red dog wearing a blue hat"


class Shown:
    """Looks like a toy, whatever its prompt says."""

    def __init__(self, prompt: str, shown: str) -> None:
        self.prompt, self.shown = prompt, parse(shown)

    def look(self, cameras: Cameras) -> RenderOutput:
        views = render(build(self.shown), cameras, supersampling=3)
        return RenderOutput(views[..., :3], views[..., 3:], views[..., 3:], None, None)


def score(prompt: str, shown: str) -> dict[str, float | bool]:
    return against_truth(Shown(prompt, shown))


def test_the_true_toy_scores_perfectly():
    perfect = {"truth_iou": 1.0, "truth_psnr": 100.0, "truth_sharpness": 1.0, "truth_facing": 1.0}
    assert score(DOG, DOG) == perfect | {"held_out": True}


def test_another_colour_costs_psnr_and_another_kind_costs_iou():
    green = score(DOG, "a green dog wearing a blue hat")
    assert green["truth_iou"] == 1.0 and green["truth_psnr"] < 25
    car = score(DOG, "a red car")
    assert car["truth_iou"] < 0.6
    assert not score("a red car", "a red car")["held_out"]


def test_a_prompt_about_no_toy_has_no_truth():
    assert score("a delicious hamburger", DOG) == {}


def test_the_silhouette_of_a_picture_on_grey_is_its_coverage():
    for text in (DOG, "a black cat", "a white house", "a brown bear"):
        rgb, opacity = true_views(parse(text), turntable(4, 64))
        wrong = (silhouette_on_grey(rgb) != (opacity > 0.3).float()).float().mean()
        assert wrong < 0.02, text  # steel in the shade is as grey as the background
    assert silhouette_on_grey(torch.full((1, 2, 2, 3), 0.5)).sum() == 0
