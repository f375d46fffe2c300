from __future__ import annotations

from pathlib import Path

import pytest
import torch

from data.errors import UserError
from data.mixed_views import MixedViews
from data.samplers import FourViews
from data.shard_views import ShardViews
from data.toy_views import ToyViews
from data.views import ViewBatch, Views
from tests.data.test_shards import seen, shard


@pytest.fixture
def parts(tmp_path: Path, rng: torch.Generator) -> dict[str, Views]:
    path = shard(tmp_path, [seen(key, rng) for key in ("fox", "anvil")])
    return {"toys": ToyViews(FourViews(size=8)), "assets": ShardViews(path, size=8)}


def is_asset(batch: ViewBatch) -> list[bool]:
    said = batch.draw_captions(1, torch.Generator().manual_seed(0))
    return ["fox" in text or "anvil" in text for (text,) in said]


def test_objects_come_from_each_part_as_often_as_its_share_says(parts: dict[str, Views], rng: torch.Generator) -> None:
    few = MixedViews(parts, {"toys": 1.0, "assets": 3.0})
    share = torch.tensor(is_asset(few.draw(200, rng))).float().mean()
    assert abs(share - 0.75) < 5 * (0.75 * 0.25 / 200) ** 0.5
    assert all(is_asset(MixedViews(parts, {"toys": 0.0, "assets": 0.1}).draw(4, rng)))


def test_pictures_cameras_and_captions_are_of_the_same_object(parts: dict[str, Views], rng: torch.Generator) -> None:
    """Noise is what the pictures of the assets are here, and toys are smooth."""
    batch = MixedViews(parts, {"toys": 0.5, "assets": 0.5}).draw(40, rng)
    rough = batch.images.diff(dim=1).abs().mean(dim=(1, 2, 3)) > 0.15
    assert rough.unflatten(0, (40, 4)).tolist() == [[asset] * 4 for asset in is_asset(batch)]
    known = torch.cat([cameras.fov_y for cameras in _asset_cameras(parts)])
    of_asset = torch.isin(batch.cameras.fov_y, known).unflatten(0, (40, 4))
    assert of_asset.tolist() == [[asset] * 4 for asset in is_asset(batch)]


def _asset_cameras(parts: dict[str, Views]):
    shards = parts["assets"].shards
    return [shards.cameras(index) for index in range(len(shards))]


def test_draws_depend_on_the_generator_alone(parts: dict[str, Views]) -> None:
    mixed = MixedViews(parts, {"toys": 0.5, "assets": 0.5})
    first, again = (mixed.draw(8, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.images, again.images)
    first_said, again_said = (batch.draw_captions(2, torch.Generator().manual_seed(4)) for batch in (first, again))
    assert first_said == again_said and [len(texts) for texts in first_said] == [2] * 8


def test_parts_that_do_not_fit_are_told(parts: dict[str, Views]) -> None:
    with pytest.raises(UserError, match="shares are of toys: say one of each part, which are toys, assets"):
        MixedViews(parts, {"toys": 1.0})
    with pytest.raises(UserError, match="say none below 0, and one above"):
        MixedViews(parts, {"toys": 0.0, "assets": 0.0})
    parts["toys"].n_view = 1
    with pytest.raises(UserError, match=r"n_view differs between the parts \(toys 1, assets 4\)"):
        MixedViews(parts, {"toys": 0.5, "assets": 0.5})


def test_shares_and_what_the_parts_draw_are_settings(parts: dict[str, Views]) -> None:
    half, less = (MixedViews(parts, {"toys": 0.5, "assets": x}).settings for x in (0.5, 0.4))
    assert half != less
    parts["toys"].colorful = 0.1
    assert MixedViews(parts, {"toys": 0.5, "assets": 0.5}).settings != half
