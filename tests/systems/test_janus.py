from data.cameras import Cameras
from data.toybox.captions import parse
from data.toybox.grammar import build
from data.toybox.raycast import render
from renderers.output import RenderOutput
from systems.janus import janus_of


class Shown:
    """The toy of its prompt, with fronts on these sides."""

    def __init__(self, prompt: str, *fronts: int, shown: str | None = None) -> None:
        self.prompt, self.parts = prompt, build(parse(shown or prompt), fronts=fronts)

    def look(self, cameras: Cameras) -> RenderOutput:
        views = render(self.parts, cameras)
        return RenderOutput(views[..., :3], views[..., 3:], views[..., 3:], None, None)


def test_a_run_says_how_many_fronts_its_object_has_and_who_counted():
    found = [janus_of(Shown("a green robot", *fronts)) for fronts in ((0,), (0, 180))]
    assert found == [
        {"janus": 0, "janus_front_arcs": 1, "janus_classifier": "true_views"},
        {"janus": 1, "janus_front_arcs": 2, "janus_classifier": "true_views"},
    ]


def test_prompts_about_no_toy_with_a_front_have_no_janus():
    assert janus_of(Shown("a delicious hamburger", 0, shown="a red dog")) == {}
    assert janus_of(Shown("a blue chair", 0)) == {}
