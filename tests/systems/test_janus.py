from pathlib import Path

import pytest
import torch

from data.cameras import Cameras
from data.errors import UserError
from data.toybox.captions import parse
from data.toybox.grammar import build
from data.toybox.raycast import render
from metrics.text_image import UnknownWordsError
from renderers.output import RenderOutput
from systems.reports.janus import Fronts, KnownFronts, ToldFronts, count_fronts, janus_of


class Shown:
    """The toy of its prompt, with fronts on these sides."""

    def __init__(self, prompt: str, *fronts: int, shown: str | None = None) -> None:
        self.prompt, self.parts = prompt, build(parse(shown or prompt), fronts=fronts)

    def look(self, cameras: Cameras) -> RenderOutput:
        views = render(self.parts, cameras)
        return RenderOutput(views[..., :3], views[..., 3:], views[..., 3:], None, None)


class Nothing:
    def __init__(self, prompt: str) -> None:
        self.prompt = prompt

    def look(self, cameras: Cameras) -> RenderOutput:
        grey, none = (torch.full((len(cameras), 64, 64, n), level) for n, level in ((3, 0.5), (1, 0.0)))
        return RenderOutput(grey, none, none, None, None)


class SeesFaces:
    """Tells a front by the white of its eyes; has heard of few things."""

    name, logit_scale = "sees_faces", 100.0

    def embed_images(self, images: torch.Tensor) -> torch.Tensor:
        white = (images.amin(dim=-1) > 0.86).flatten(1).any(dim=1).float()
        return torch.stack([white, 1 - white], dim=1)

    def embed_texts(self, texts: list[str]) -> torch.Tensor:
        if any("hamburger" in text for text in texts):
            raise UnknownWordsError("hamburger")
        return torch.tensor([[1.0, 0.0] if "front" in text else [0.0, 1.0] for text in texts])


@pytest.fixture
def told(tmp_path: Path) -> ToldFronts:
    (tmp_path / "rule.json").write_text('{"rule": {"threshold": 0.5, "margin": 0.05, "widest": 181.0}}')
    return ToldFronts(SeesFaces, str(tmp_path / "rule.json"))


def test_a_run_says_how_many_fronts_its_object_has_and_who_counted():
    found = [janus_of(Shown("a green robot", *fronts), KnownFronts()) for fronts in ((0,), (0, 180))]
    assert found == [
        {"janus": 0, "janus_front_arcs": 1, "janus_classifier": "true_views"},
        {"janus": 1, "janus_front_arcs": 2, "janus_classifier": "true_views"},
    ]


def test_on_the_way_a_ring_of_small_pictures_is_enough():
    for fronts, is_janus in (((0,), False), ((0, 180), True)):
        counted = count_fronts(Shown("a red dog wearing a blue hat", *fronts), KnownFronts(), 32, (20.0,))
        assert counted is not None and counted[1].front_arcs > 0 and counted[1].is_janus == is_janus


@pytest.mark.parametrize("prompt", ["a red dog wearing a blue hat", "a pink house"])
def test_an_empty_scene_is_faceless_for_every_prompt(prompt: str):
    """Grey from everywhere is as near to one view of a toy as to another, or nearest to its front."""
    found = janus_of(Nothing(prompt), KnownFronts())
    assert (found["janus"], found["janus_front_arcs"]) == (0, 0)


def test_prompts_about_no_toy_with_a_front_have_no_janus():
    assert janus_of(Shown("a delicious hamburger", 0, shown="a red dog"), KnownFronts()) == {}
    assert janus_of(Shown("a blue chair", 0), KnownFronts()) == {}


def test_a_model_with_view_words_counts_by_its_own_rule(told: ToldFronts):
    found = [janus_of(Shown("a red dog", *fronts), told) for fronts in ((), (0,))]
    assert [one["janus_front_arcs"] for one in found] == [0, 1]
    assert found[0]["janus_classifier"] == "sees_faces" and isinstance(told, Fronts)


def test_a_model_says_nothing_about_what_has_no_front_or_what_it_cannot_read(told: ToldFronts):
    assert janus_of(Shown("a blue chair", 0), told) == {}
    assert janus_of(Shown("a delicious hamburger", 0, shown="a red dog"), told) == {}


def test_a_model_without_a_rule_is_sent_to_be_calibrated():
    with pytest.raises(UserError, match=r"janus_sees_faces.json; python -m benchmarks.janus"):
        janus_of(Shown("a red dog", 0), ToldFronts(SeesFaces))
