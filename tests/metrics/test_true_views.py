import pytest
import torch

from data.errors import UserError
from data.toybox.grammar import build
from data.toybox.parts import Part
from data.toybox.raycast import render
from data.toybox.split import HELD_OUT
from data.toybox.subjects import SUBJECTS
from metrics.janus import janus, janus_cameras, read_rule, rule_file
from metrics.toybox_truth import toy_of
from metrics.true_views import TrueViews, fronted_toy

PROMPTS = [text for text in HELD_OUT if fronted_toy(text)][::4]
CAMERAS = janus_cameras(64)


def views(prompt: str, *fronts: int) -> torch.Tensor:
    return seen(build(toy_of(prompt), fronts=fronts))[0]


def seen(parts: list[Part]) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours and opacity."""
    return render(parts, CAMERAS).split((3, 1), dim=-1)


def test_views_of_the_true_toy_are_front_within_45_degrees():
    off = torch.rad2deg(torch.remainder(CAMERAS.azimuth + torch.pi, 2 * torch.pi) - torch.pi).abs()
    for prompt in PROMPTS:
        assert torch.equal(TrueViews().p_front(views(prompt, 0), prompt) > 0.5, off < 46), prompt


@pytest.mark.parametrize(("fronts", "is_janus"), [((0,), False), ((0, 180), True), ((0, 90, 180, 270), True)])
def test_true_toys_are_not_janus_and_toys_with_more_fronts_are(fronts, is_janus):
    rule = read_rule(rule_file("true_views"))
    for prompt in PROMPTS:
        shown = seen(build(toy_of(prompt), fronts=fronts))
        assert janus(*shown, prompt, TrueViews(), rule).is_janus == is_janus, prompt


@pytest.mark.parametrize("name", SUBJECTS)
def test_an_object_that_no_caption_means_is_told_from_its_solids(name):
    solids = lambda fronts: SUBJECTS[name].build(fronts=fronts)
    for fronts in ((0,), (0, 180), (0, 90, 180, 270)):
        score = janus(*seen(solids(fronts)), "a sks thing", TrueViews(solids), read_rule(rule_file("true_views")))
        assert score.is_janus == (fronts != (0,)) and score.front_arcs > 0, fronts


@pytest.mark.parametrize("prompt", ["a delicious hamburger", "a purple mushroom"])
def test_prompts_about_no_toy_with_a_front_are_refused(prompt):
    assert fronted_toy(prompt) is None
    with pytest.raises(UserError, match="no toy with a front"):
        TrueViews().p_front(torch.zeros(1, 8, 8, 3), prompt)
