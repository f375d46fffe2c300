import numpy as np
import pytest
import torch

from data.errors import UserError
from data.samplers import FourViews, Orbit, turntable
from data.toy_views import ToyViews
from data.toybox.body import Style, draw_style
from data.toybox.captions import FILLERS, VOCABULARY, caption, draw_caption, known_words, parse
from data.toybox.grammar import COLORS, CREATURES, KINDS, Toy, Worn, build, draw_toy
from data.toybox.parts import BOX, FRUSTUM, Part, ball, box, frustum
from data.toybox.raycast import BACKGROUND, LIGHT, render, visible_surface
from data.toybox.split import HELD_OUT, draw_training_toy, is_held_out
from data.words import words_of

NERF_RADIUS = 0.6  # conf/renderer/hashgrid.yaml: nothing exists beyond


def test_every_caption_can_be_turned_back_into_its_toy(rng):
    for _ in range(2000):
        toy = draw_toy(rng, list(KINDS))
        text = draw_caption(toy, rng)
        assert parse(text) == toy, text
        assert parse(caption(toy)) == toy


def test_captions_use_listed_words_only(rng):
    listed = set(VOCABULARY)
    assert len(listed) == len(VOCABULARY)
    for _ in range(500):
        assert set(words_of(draw_caption(draw_toy(rng, list(KINDS)), rng))) <= listed


def test_synonyms_and_word_order_mean_the_same_toy():
    toy = Toy("dog", "red", (Worn("hat", "blue"),))
    for text in ("crimson puppy with azure hat", "a blue hat on a red dog", "A red dog wearing a blue hat, 3d asset"):
        assert parse(text) == toy


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a red toy", "names 0 kinds"),
        ("a red dog and a blue cat", "names 2 kinds"),
        ("a car wearing a blue hat", "car wears nothing"),
        ("a dog wearing a hat", "gives the hat no colour"),
        ("a dog that is red wearing a hat", "gives the hat no colour"),
        ("a photo of a cat in paris", "says photo, paris"),
    ],
)
def test_captions_without_one_toy_are_refused(text, complaint):
    with pytest.raises(UserError, match=complaint):
        parse(text)


def test_a_prior_of_some_kinds_does_not_know_the_words_of_others():
    known = known_words(["dog", "car"])
    assert {"puppy", "automobile", "crimson", "hat"} <= set(known) and not {"bus", "coach", "cat"} & set(known)


def test_details_stand_out_from_the_body_whatever_its_colour():
    for kind in KINDS:
        for color in COLORS:
            colors = [part.color for part in build(Toy(kind, color))]
            assert len(set(colors)) > 1 and COLORS[color] in colors
    ears = [p.color for p in build(parse("a brown dog")) if p.color != COLORS["brown"]]
    assert COLORS["black"] in ears


def test_training_never_draws_a_held_out_combination(rng):
    assert all(is_held_out(parse(text)) for text in HELD_OUT)
    assert is_held_out(parse("a red dog wearing a blue hat and a pink scarf"))
    assert not is_held_out(parse("a red dog wearing a pink hat"))
    for _ in range(5000):
        toy = draw_training_toy(rng, list(KINDS)[:12])
        assert not is_held_out(toy)


def test_there_are_enough_kinds_colours_and_accessories():
    assert len(KINDS) >= 24 and len(COLORS) == 10 and len(CREATURES) >= 8
    assert not set(FILLERS) & set(KINDS)


@pytest.mark.parametrize("kind", list(KINDS))
def test_toys_fit_the_picture_and_their_front_differs_from_their_back(kind):
    worn = (Worn("backpack", "red"), Worn("hat", "green")) if kind in CREATURES else ()
    toy = Toy(kind, KINDS[kind][1], worn)
    views = render(build(toy), turntable(4, 64))
    alpha = views[..., 3]
    border = torch.cat([alpha[:, 0], alpha[:, -1], alpha[:, :, 0], alpha[:, :, -1]])
    assert border.max() == 0
    assert 0.04 < alpha.mean() < 0.5
    if kind not in ("cake", "apple", "cactus"):  # round things have no front
        assert (views[0] - views[2].flip(1)).abs().max() > 0.2


@pytest.mark.parametrize("kind", list(KINDS))
def test_no_view_crops_a_toy_however_it_is_dressed_and_stretched(kind):
    largest = [Style(1.06, limb, 1.06, (1.03, 1.03, 1.03)) for limb in (0.94, 1.06)]  # that `draw_style` can draw
    wardrobe = [("hat",), ("crown",), ("scarf",), ("backpack", "hat")] if kind in CREATURES else [()]
    nearest = turntable(5, 64, fov=45.0, framing=0.68 * (1 - 0.03))  # `FourViews` comes no closer
    for items in wardrobe:
        for style in (None, *largest):
            parts = build(Toy(kind, KINDS[kind][1], tuple(Worn(item, "red") for item in items)), style)
            assert max(_reach(part) for part in parts) <= NERF_RADIUS
            alpha = render(parts, nearest, supersampling=1)[..., 3]
            assert torch.cat([alpha[:, 0], alpha[:, -1], alpha[:, :, 0], alpha[:, :, -1]]).max() == 0


def _reach(part: Part) -> float:
    """How far the points of a part, many of its surface, lie from the origin at most."""
    angle = torch.linspace(0, 2 * torch.pi, 33)
    x, y = angle.cos(), angle.sin()
    circle = lambda radius, height: torch.stack([radius * x, radius * y, torch.full_like(x, height)], dim=1)
    if part.shape == BOX:
        points = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)
    elif part.shape == FRUSTUM:
        points = torch.cat([circle(1.0, -1.0), circle(part.taper, 1.0)])
    else:
        points = torch.cat([circle((1 - z * z) ** 0.5, z) for z in torch.linspace(-1, 1, 13).tolist()])
    return float((points @ torch.from_numpy(part.matrix).float().T + torch.from_numpy(part.center)).norm(dim=1).max())


def test_a_ball_covers_the_disc_that_geometry_says():
    cameras = turntable(3, 64, elevation=20.0)
    views = render([ball((0, 0, 0), 0.4, (1, 0, 0))], cameras, supersampling=4)
    sine = 0.4 / cameras.distance[0]
    radius = sine / (1 - sine**2).sqrt() / torch.tan(cameras.fov_y[0] / 2) * 32  # of the tangent cone, in pixels
    torch.testing.assert_close(views[..., 3].sum(dim=(1, 2)), (torch.pi * radius**2).expand(3), rtol=5e-3, atol=0)


def test_solids_are_met_where_a_dense_search_along_the_ray_meets_them(rng):
    solids = {
        "box": (box((0.1, 0, 0), (0.4, 0.6, 0.3), (1, 1, 1), pitch=30), lambda q: (q.abs() <= 1).all(-1)),
        "cone": (
            frustum((0, 0, -0.3), (0.1, 0.2, 0.4), 0.3, (1, 1, 1), 0.1),
            lambda q: (
                (q[..., :2].norm(dim=-1) <= (1 + 1 / 3) / 2 + (1 / 3 - 1) / 2 * q[..., 2]) & (q[..., 2].abs() <= 1)
            ),
        ),
    }
    cameras = Orbit(size=24).draw(3, rng)
    rays = cameras.rays()
    t = torch.linspace(0.5, 4, 3000)
    for part, inside in solids.values():
        inverse = torch.from_numpy(part.matrix).float().inverse()
        points = rays.origins[..., None, :] + t[:, None] * rays.directions[..., None, :]
        local = (points - torch.from_numpy(part.center).float()) @ inverse.T
        covered = inside(local).any(dim=-1).float()
        alpha = render([part], cameras, supersampling=1)[..., 3]
        assert (alpha != covered).float().mean() < 0.004  # grazing rays


def test_background_is_grey_and_light_does_not_follow_the_camera():
    views = render([ball((0, 0, 0), 0.3, (0.8, 0.8, 0.8))], turntable(4, 33, elevation=0.0))
    assert (views[:, 0, 0, :3] == BACKGROUND).all()
    front, back = views[0, 16, 16, 0], views[2, 16, 16, 0]
    assert front > back + 0.05


def test_style_varies_the_toy_and_its_default_does_not(rng):
    toy = parse("a red dog")
    same = [torch.from_numpy(p.matrix) for p in build(toy, Style())]
    assert all(torch.equal(a, torch.from_numpy(b.matrix)) for a, b in zip(same, build(toy), strict=True))
    varied = build(toy, draw_style(rng))
    assert any(not torch.equal(a, torch.from_numpy(b.matrix)) for a, b in zip(same, varied, strict=True))


def test_views_come_with_their_toys_and_are_reproducible():
    source = ToyViews(Orbit(size=32), n_view=1, n_kinds=4)
    draw = lambda: source.draw(6, torch.Generator().manual_seed(1))
    assert draw().images.shape == (6, 32, 32, 3) and len(draw().toys) == 6
    assert torch.equal(draw().images, draw().images) and draw().toys == draw().toys
    assert {toy.kind for toy in draw().toys} <= set(list(KINDS)[:4])


def test_the_visible_surface_of_solids_is_where_their_equations_say():
    solids = [ball((0.0, 0.0, 0.0), 0.3, (1.0, 0.0, 0.0)), box((0.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.0, 0.0, 1.0))]
    points, normals = visible_surface(solids[:1], turntable(4, 32))
    torch.testing.assert_close(points, 0.3 * normals, atol=1e-5, rtol=0)
    assert len(points) > 500 and torch.unique(points.sign(), dim=0).shape[0] >= 4
    points, normals = visible_surface(solids[1:], turntable(4, 32))
    torch.testing.assert_close((points * normals).sum(dim=1), torch.full((len(points),), 0.25), atol=1e-5, rtol=0)
    assert set(normals.abs().flatten().round(decimals=4).tolist()) == {0.0, 1.0}


def test_toys_lit_from_any_side_are_the_same_toys_seen_from_the_same_places():
    draw = lambda relit: ToyViews(Orbit(size=16), n_view=1, relit=relit).draw(24, torch.Generator().manual_seed(0))
    usual, turned = draw(0.0), draw(1.0)
    assert usual.toys == turned.toys and torch.equal(usual.cameras.c2w, turned.cameras.c2w)
    assert not torch.equal(usual.images, turned.images)


def test_light_from_behind_shines_on_the_back():
    ring = turntable(2, 33, elevation=0.0)
    behind = np.array([-LIGHT[0], LIGHT[1], LIGHT[2]])
    grey = [ball((0, 0, 0), 0.3, (0.8, 0.8, 0.8))]
    front, back = render(grey, ring)[:, 16, 16, 0]
    assert front > back + 0.05
    torch.testing.assert_close(
        render(grey, ring, light=behind)[:, 16, 16, 0], torch.stack([back, front]), atol=1e-3, rtol=0
    )


def test_the_views_of_a_toy_are_those_that_its_cameras_are_drawn_for():
    with pytest.raises(UserError, match=r"n_view=2: 4 cameras are drawn together; say data.n_view=2, too"):
        ToyViews(FourViews(), n_view=2)
    assert ToyViews(FourViews(n_view=2), n_view=4).n_view == 4
