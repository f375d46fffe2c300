"""What a 3D file looks like: from which side, in which colours, in which light."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import trimesh
from jaxtyping import UInt8
from torch import Tensor

from data.errors import UserError
from data.samplers import FourViews, Orbit
from models.painted_file import UnreadableError, read_painted
from renderers.studio import Lighting, Studio
from tests.renderers.models3d import colored_box, grey_ball, sign

UNLIT = Lighting(sky=(0.0, 0.0), key=(0.0, 0.0), head=(0.0, 0.0))


def level_views(size: int = 32, elevation: float = 0.0) -> FourViews:
    return FourViews(size=size, elevation=(elevation, elevation), fov=(40.0, 40.0), jitter=0.0, start=0.0)


def pictures(path: Path, rng: torch.Generator, **options: object) -> UInt8[Tensor, "v h w 4"]:
    sampler = options.pop("sampler", level_views())
    lighting = options.pop("lighting", UNLIT)
    return Studio(sampler, lighting, **options)(str(path), rng)[0]


def middle(image: UInt8[Tensor, "h w 4"]) -> list[int]:
    return image[image.shape[0] // 2, image.shape[1] // 2].tolist()


@pytest.mark.parametrize("ending", [".glb", ".ply"])
def test_azimuth_0_sees_the_front_and_90_the_left_side(ending: str, tmp_path: Path, rng: torch.Generator) -> None:
    seen = [middle(view) for view in pictures(colored_box(tmp_path / f"box{ending}"), rng)]
    assert seen == [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255], [255, 255, 0, 255]]


def test_a_camera_above_sees_the_top(tmp_path: Path, rng: torch.Generator) -> None:
    seen = pictures(colored_box(tmp_path / "box.glb"), rng, sampler=level_views(elevation=89.0))
    assert all(middle(view) == [255, 255, 255, 255] for view in seen)


def test_a_file_in_our_axes_shows_x_first(tmp_path: Path, rng: torch.Generator) -> None:
    seen = pictures(colored_box(tmp_path / "box.glb"), rng, z_up=True)
    assert [middle(view)[:3] for view in seen[::2]] == [[0, 255, 0], [255, 255, 0]]


def test_a_ball_covers_the_disc_that_its_radius_says(tmp_path: Path, rng: torch.Generator) -> None:
    radius, distance = 0.4, 0.68 / math.tan(math.radians(20))
    seen = pictures(grey_ball(tmp_path / "ball.glb", 100), rng, extent=radius, sampler=level_views(64))
    disc = math.tan(math.asin(radius / distance)) / math.tan(math.radians(20))
    share = seen[..., 3].double().mean(dim=(1, 2)) / 255
    torch.testing.assert_close(share, torch.full_like(share, math.pi * disc**2 / 4), rtol=0.01, atol=0)


def test_outlines_are_soft_and_keep_their_colour(tmp_path: Path, rng: torch.Generator) -> None:
    seen = pictures(grey_ball(tmp_path / "ball.glb", 100, says_srgb=True), rng)
    partly = (seen[..., 3] > 0) & (seen[..., 3] < 255)
    assert partly.sum() > 50 and (seen[partly][:, :3] == 100).all() and (seen[seen[..., 3] == 0] == 0).all()


@pytest.mark.parametrize(("fit", "corner"), [("sphere", 0.5), ("box", 0.75)])
def test_objects_are_centred_and_fill_a_ball_or_a_box(fit: str, corner: float, tmp_path: Path) -> None:
    box = colored_box(tmp_path / "box.glb", (2.0, 2.0, 1.0))
    vertices = read_painted(str(box), False, "auto", 8).placed(fit, 0.5).surface.vertices
    torch.testing.assert_close(vertices.amin(dim=0), -vertices.amax(dim=0))
    assert vertices.norm(dim=1).max().item() == pytest.approx(corner)


@pytest.mark.parametrize(
    ("says_srgb", "colors", "level"),
    [(True, "auto", 55), (False, "auto", 128), (True, "linear", 128), (False, "srgb", 55)],
)
def test_vertex_colours_are_light_unless_the_file_says_otherwise(
    says_srgb: bool, colors: str, level: int, tmp_path: Path, rng: torch.Generator
) -> None:
    ball = grey_ball(tmp_path / "ball.glb", 55, says_srgb)
    assert middle(pictures(ball, rng, colors=colors)[0]) == [level] * 3 + [255]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_texture_is_upright_and_seen_from_both_sides(backwards: bool, tmp_path: Path, rng: torch.Generator) -> None:
    front, edge, back, _ = pictures(sign(tmp_path / "sign.glb", backwards=backwards), rng)
    for view in (front, back):
        assert view[10, 16].tolist() == [255, 0, 0, 255] and view[21, 16].tolist() == [0, 255, 0, 255]
    assert edge[..., 3].max() == 0  # from its edge a sheet is nothing


def test_a_sheet_is_lit_on_the_side_that_is_seen(tmp_path: Path, rng: torch.Generator) -> None:
    head = Lighting(sky=(0.0, 0.0), key=(0.0, 0.0), head=(0.5, 0.5))
    front, _, back, _ = pictures(sign(tmp_path / "sign.glb"), rng, lighting=head)
    assert front[10, 16, 0] > 240 and torch.equal(front, back.flip(1))


def test_the_key_light_stands_still_while_the_camera_goes_around(tmp_path: Path, rng: torch.Generator) -> None:
    key = Lighting(sky=(0.0, 0.0), key=(0.5, 0.5), head=(0.0, 0.0), azimuth=(0.0, 0.0), elevation=(0.0, 0.0))
    seen = pictures(grey_ball(tmp_path / "ball.glb", 255), rng, lighting=key)
    front, left, back, right = (middle(view)[0] for view in seen)
    assert front > 250 and abs(back - 128) <= 1 and abs(left - 128) < 20 and abs(right - 128) < 20


def test_without_normals_each_face_has_one_shade(tmp_path: Path, rng: torch.Generator) -> None:
    key = Lighting(sky=(0.3, 0.3), key=(0.3, 0.3), head=(0.0, 0.0))
    ball = trimesh.creation.icosphere(1)
    ball.export(tmp_path / "flat.glb", include_normals=False)
    ball.export(tmp_path / "smooth.glb", include_normals=True)
    shades = {}
    for name in ("flat", "smooth"):
        view = pictures(tmp_path / f"{name}.glb", rng, lighting=key, supersampling=1, sampler=level_views(64))[0]
        shades[name] = len(view[view[..., 3] == 255][:, 0].unique())
    assert shades["flat"] <= 40 and shades["smooth"] > 2 * shades["flat"]


def test_parts_of_a_scene_stand_where_it_puts_them(tmp_path: Path, rng: torch.Generator) -> None:
    left, right = trimesh.creation.icosphere(2), trimesh.creation.icosphere(2)
    left.visual.vertex_colors, right.visual.vertex_colors = [255, 0, 0], [0, 0, 255]
    scene = trimesh.Scene()
    scene.add_geometry(left, transform=trimesh.transformations.translation_matrix((-2, 0, 0)))
    scene.add_geometry(right, transform=trimesh.transformations.translation_matrix((2, 0, 0)))
    scene.export(tmp_path / "scene.glb")
    front = pictures(tmp_path / "scene.glb", rng)[0]
    assert front[16, 8].tolist() == [255, 0, 0, 255] and front[16, 23].tolist() == [0, 0, 255, 255]


def test_the_same_generator_gives_the_same_picture(tmp_path: Path) -> None:
    box = colored_box(tmp_path / "box.glb")
    draw = lambda seed: pictures(box, torch.Generator().manual_seed(seed), sampler=FourViews(16), lighting=Lighting())
    assert torch.equal(draw(1), draw(1)) and not torch.equal(draw(1), draw(2))


def test_views_come_in_groups(tmp_path: Path, rng: torch.Generator) -> None:
    with pytest.raises(UserError, match=r"job.studio.n_view=6: the sampler draws 4 together"):
        Studio(FourViews(), Lighting(), n_view=6)
    assert len(pictures(colored_box(tmp_path / "box.glb"), rng, sampler=Orbit(16), n_view=6)) == 6


def damaged(path: Path, kind: str) -> Path:
    if kind == "text":
        path.write_text("not a model")
    elif kind == "half":
        colored_box(path)
        path.write_bytes(path.read_bytes()[:700])
    elif kind == "points":
        trimesh.PointCloud([[0, 0, 0], [1, 1, 1]]).export(path)
    elif kind == "dot":
        trimesh.Trimesh([[1, 1, 1]] * 3, [[0, 1, 2]], process=False).export(path)
    elif kind == "nan":
        trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, float("nan"), 0]], [[0, 1, 2]], process=False).export(path)
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("text", "it cannot be read"),
        ("half", "it cannot be read"),
        ("points", "it holds no triangles"),
        ("dot", "all its points are in one place"),
        ("nan", "not all its coordinates are numbers"),
        ("missing", "the file is not there"),
    ],
)
def test_what_cannot_be_read_is_told(kind: str, reason: str, tmp_path: Path, rng: torch.Generator) -> None:
    with pytest.raises(UnreadableError, match=reason):
        pictures(damaged(tmp_path / "bad.glb", kind), rng)
