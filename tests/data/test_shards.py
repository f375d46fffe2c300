from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import data.shards
import data.tars
from data.cameras import Cameras
from data.errors import UserError
from data.samplers import FourViews
from data.shard_views import ShardViews
from data.shards import SeenObject, Shards, encode, resized
from data.tars import write_tar


def seen(key: str, rng: torch.Generator, n_view: int = 4, size: int = 8, split: str = "train") -> SeenObject:
    images = torch.randint(256, (n_view, size, size, 4), generator=rng, dtype=torch.uint8)
    cameras = FourViews(size=size, n_view=n_view).draw(n_view, rng)
    return SeenObject(key, images, cameras, [f"a {key}", f"the {key}"], split, f"{key}.glb", "CC0-1.0")


def shard(folder: Path, objects: list[SeenObject], split: str = "train") -> str:
    write_tar(folder / f"{split}-00000.tar", [member for one in objects for member in encode(one)])
    return str(folder)


def assert_same(a: SeenObject, b: SeenObject) -> None:
    assert replace(a, images=b.images, cameras=b.cameras) == b and torch.equal(a.images, b.images)
    assert_same_cameras(a.cameras, b.cameras)


def assert_same_cameras(a: Cameras, b: Cameras) -> None:
    assert (a.height, a.width) == (b.height, b.width)
    for name in ("c2w", "fov_y", "azimuth", "elevation", "distance"):
        assert torch.equal(getattr(a, name), getattr(b, name))


def test_what_is_written_is_read_bit_by_bit(tmp_path: Path, rng: torch.Generator) -> None:
    objects = [seen(key, rng) for key in ("fox", "boat", "tree-2")]
    shards = Shards(shard(tmp_path, objects))
    assert len(shards) == 3
    for index, one in enumerate(objects):
        assert_same(shards[index], one)


def test_some_views_are_those_with_their_cameras(tmp_path: Path, rng: torch.Generator) -> None:
    fox = seen("fox", rng, n_view=8)
    some = Shards(shard(tmp_path, [fox])).see(0, [1, 5])
    assert torch.equal(some.images, fox.images[[1, 5]])
    assert_same_cameras(some.cameras, fox.cameras[torch.tensor([1, 5])])


def test_the_same_objects_are_the_same_bytes(tmp_path: Path, rng: torch.Generator) -> None:
    fox = seen("fox", rng)
    contents = [Path(shard(tmp_path, [fox]), "train-00000.tar").read_bytes() for _ in range(2)]
    assert contents[0] == contents[1] and not list(tmp_path.glob("*.draft"))


def test_training_never_sees_another_split(tmp_path: Path, rng: torch.Generator) -> None:
    shard(tmp_path, [seen("fox", rng)])
    shard(tmp_path, [seen("boat", rng, split="heldout")], "heldout")
    assert [Shards(str(tmp_path), split)[0].key for split in ("train", "heldout")] == ["fox", "boat"]
    (tmp_path / "heldout-00000.tar").rename(tmp_path / "train-00001.tar")
    with pytest.raises(UserError, match=r"boat in .*train-00001.tar is damaged .*it is of the split heldout"):
        Shards(str(tmp_path))[1]


def test_a_folder_without_shards_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"system.views.path=.* holds no train-\*.tar: say the folder that"):
        Shards(str(tmp_path), key="system.views.path")


def test_damage_is_told_with_the_place(tmp_path: Path, rng: torch.Generator) -> None:
    path = Path(shard(tmp_path, [seen("fox", rng)])) / "train-00000.tar"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"IDAT", b"XXXX"))
    with pytest.raises(UserError, match=r"fox in .* is damaged"):
        Shards(str(tmp_path))[0]
    path.write_bytes(whole[:700])
    with pytest.raises(UserError, match=r"train-00000.tar"):
        Shards(str(tmp_path))
    path.write_bytes(b"no tar file" * 100)
    with pytest.raises(UserError, match="cannot be read as an uncompressed tar file"):
        Shards(str(tmp_path))


def test_a_member_that_is_huge_is_refused(
    tmp_path: Path, rng: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shard(tmp_path, [seen("fox", rng, size=64)])
    monkeypatch.setattr(data.tars, "LARGEST", 10_000)
    with pytest.raises(UserError, match=r"fox.0.png says it is \d+ bytes, more than 10000: leave it out"):
        Shards(path)


def test_a_picture_of_another_size_than_said_is_not_decoded(tmp_path: Path, rng: torch.Generator) -> None:
    fox, large = seen("fox", rng), seen("fox", rng, size=16)
    write_tar(tmp_path / "train-00000.tar", [*encode(large)[:-1], encode(fox)[-1]])
    with pytest.raises(UserError, match=r"fox.0.png is 16 x 16 pixels"):
        Shards(str(tmp_path))[0]


def test_links_and_paths_out_of_the_tar_are_never_followed(tmp_path: Path, rng: torch.Generator) -> None:
    fox = seen("fox", rng)
    with tarfile.open(tmp_path / "train-00000.tar", "w") as tar:
        link = tarfile.TarInfo("fox.9.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        for name, content in encode(fox):
            member = tarfile.TarInfo(f"../../{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    shards = Shards(str(tmp_path))
    assert len(shards) == 1 and torch.equal(shards[0].images, fox.images)
    assert [file.name for file in tmp_path.parent.parent.glob("fox*")] == []


def test_smaller_pictures_are_means_of_what_is_opaque(rng: torch.Generator) -> None:
    fox = seen("fox", rng, size=4)
    image = torch.zeros(4, 4, 4, 4, dtype=torch.uint8)
    image[:, :2, :2] = torch.tensor([200, 100, 0, 255], dtype=torch.uint8)
    image[:, 0, 0] = 0
    image[:, 2:, 2:] = 255
    small = resized(replace(fox, images=image), 2)
    assert small.images[0].tolist() == [[[200, 100, 0, 191], [0] * 4], [[0] * 4, [255] * 4]]
    assert (small.cameras.height, small.cameras.width) == (2, 2)
    with pytest.raises(UserError, match="size=3: the pictures of fox are 4 x 4"):
        resized(fox, 3)


def test_drawn_views_stand_over_grey_or_over_a_colour_that_captions_mention(
    tmp_path: Path, rng: torch.Generator
) -> None:
    path = shard(tmp_path, [replace(seen(key, rng), images=torch.zeros(4, 8, 8, 4).byte()) for key in ("fox", "boat")])
    batch = ShardViews(path, size=8).draw(64, rng)
    grey = (batch.images == 0.5).flatten(1).all(dim=1)
    assert torch.equal(grey, ~batch.colorful.repeat_interleave(4)) and 0 < grey.sum() < 256
    for words, colorful in zip(batch.draw_captions(3, rng), batch.colorful.tolist(), strict=True):
        assert all(("colorful background" in text) == colorful and ("fox" in text or "boat" in text) for text in words)


def test_an_opaque_picture_hides_its_background(tmp_path: Path, rng: torch.Generator) -> None:
    fox = seen("fox", rng)
    fox.images[..., 3] = 255
    batch = ShardViews(shard(tmp_path, [fox]), size=8, colorful=1.0).draw(1, rng)
    torch.testing.assert_close(batch.images, fox.images[..., :3].float() / 255)
    assert_same_cameras(batch.cameras, fox.cameras)


def test_of_more_views_those_are_drawn_that_are_evenly_apart(tmp_path: Path, rng: torch.Generator) -> None:
    path = shard(tmp_path, [seen("fox", rng, n_view=12)])
    starts = set()
    for _ in range(30):
        cameras = ShardViews(path, size=8).draw(1, rng).cameras
        torch.testing.assert_close(cameras.azimuth.diff(), torch.full((3,), torch.pi / 2))
        starts.add(round(float(cameras.azimuth[0]), 4))
    assert len(starts) == 3
    with pytest.raises(UserError, match=r"n_view=5: of the 12 views of fox in .*-00000.tar no 5 are evenly apart"):
        ShardViews(path, n_view=5, size=8).draw(1, rng)


def test_views_of_several_rings_are_never_mixed(tmp_path: Path, rng: torch.Generator) -> None:
    fox = seen("fox", rng, n_view=12)
    views = ShardViews(shard(tmp_path, [replace(fox, cameras=FourViews(size=8).draw(12, rng))]), size=8)
    for cameras in (views.draw(1, rng).cameras for _ in range(10)):
        torch.testing.assert_close(cameras.azimuth.diff(), torch.full((3,), torch.pi / 2))
        assert cameras.elevation.unique().numel() == 1


def test_draws_depend_on_the_generator_alone(tmp_path: Path, rng: torch.Generator) -> None:
    path = shard(tmp_path, [seen(key, rng) for key in ("fox", "boat", "tree")])
    draw = lambda: ShardViews(path, size=8).draw(8, torch.Generator().manual_seed(3))
    first, again = draw(), draw()
    assert torch.equal(first.images, again.images) and first.captions == again.captions


def test_runs_side_by_side_are_read_together(tmp_path: Path, rng: torch.Generator) -> None:
    for run, key in (("a-0", "fox"), ("a-1", "fox"), ("b-0", "boat")):
        (tmp_path / run / "shards").mkdir(parents=True)
        shard(tmp_path / run / "shards", [seen(key, rng)])
    shards = Shards(str(tmp_path))
    assert [shards.name(i) for i in range(len(shards))] == ["fox", "fox", "boat"]
    assert not torch.equal(shards[0].images, shards[1].images)
    assert torch.equal(Shards(str(tmp_path / "a-1"))[0].images, shards[1].images)


def test_captions_and_cameras_are_read_without_the_pictures(
    tmp_path: Path, rng: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    fox = seen("fox", rng)
    shards = Shards(shard(tmp_path, [fox]))
    monkeypatch.setattr(data.shards, "_picture", None)
    assert shards.captions(0) == ["a fox", "the fox"] and shards.name(0) == "fox"
    assert_same_cameras(shards.cameras(0), fox.cameras)


def test_settings_change_with_what_the_shards_hold(tmp_path: Path, rng: torch.Generator) -> None:
    fox = seen("fox", rng)
    path = shard(tmp_path, [fox])
    first, again = (ShardViews(path, size=8).settings for _ in range(2))
    assert first == again
    shard(tmp_path, [replace(fox, captions=["a cat", "the cat"])])  # as many bytes
    other = ShardViews(path, size=8).settings
    assert other != first
    shard(tmp_path, [seen("boat", rng)])
    assert ShardViews(path, size=8).settings not in (first, other)


@pytest.mark.parametrize("number", [10**400, "1", None, {}])
def test_an_angle_that_is_no_number_is_damage(tmp_path: Path, rng: torch.Generator, number: object) -> None:
    members = dict(encode(seen("fox", rng)))
    details = json.loads(members["fox.json"])
    members["fox.json"] = json.dumps(details | {"fov_y": [number] * 4}).encode()
    write_tar(tmp_path / "train-00000.tar", members.items())
    with pytest.raises(UserError, match=r"fox in .* is damaged .*; render it again"):
        Shards(str(tmp_path))[0]
