"""The settings of trainings, as composed from the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import launch


def composed(*words: str) -> dict[str, object]:
    """Every value of a training under its dotted path."""
    with initialize_config_dir(str(launch.CONF), version_base="1.3"):
        tree = OmegaConf.to_container(compose("config", [*words, "prior.path=/models/sd"]), resolve=True)
    assert isinstance(tree, dict)
    return {path: value for key in ("system", "trainer", "folder") for path, value in leaves(tree[key], key)}


def leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from leaves(child, f"{path}.{key}")
    else:
        yield path, value


@pytest.mark.parametrize(("table", "batches"), [("table1", (16, 64)), ("table1_full_size", (1024, 4096))])
def test_rows_differ_in_what_the_table_compares_and_in_nothing_else(table: str, batches: tuple[int, int]) -> None:
    rows = {row: composed(f"experiment={table}", f"row={row}") for row in ("no_2d", "proposed", "proposed_4x")}
    proposed = rows["proposed"]
    differing = lambda row: {key: rows[row][key] for key in proposed if rows[row][key] != proposed[key]}
    named = lambda row: {"system.out": f".training/{table}/{row}", "folder.prompt": row}
    assert proposed["system.mixture.picture_share"] == 0.3 and proposed["system.batch_size"] == batches[0]
    assert differing("no_2d") == {"system.mixture.picture_share": 0.0, **named("no_2d")}
    assert differing("proposed_4x") == {"system.batch_size": batches[1], **named("proposed_4x")}


def test_mvdream_is_trained_as_published() -> None:
    """And, where nothing is published, as Stable Diffusion was."""
    settings = composed("experiment=train_mvdream")
    expected = {
        "system.batch_size": 4 * 1024,
        "trainer.max_steps": 50_000,
        "system.mixture.picture_share": 0.3,
        "system.mixture.n_view": 4,
        "system.caption_dropout": 0.1,
        "system.frozen": ["text_encoder"],
        "system.unet.latent_size": 256 // 8,
        "system.views.sampler.size": 256,
        "system.views.sampler.fov": [15.0, 60.0],
        "system.views.sampler.elevation": [0.0, 30.0],
        "system.unet.path": "/models/sd",
        "system.scheduler.prediction_type": "epsilon",
    }
    assert {key: settings[key] for key in expected} == expected


@pytest.mark.parametrize("experiment", ["train_prior", "train_prior_2d", "train_prior_assets", "train_clip", "table1"])
def test_whatever_measures_stands_before_what_writes_it_down(experiment: str) -> None:
    """Else a score is in the row of the next step, and the last one in none."""
    callbacks = composed(f"experiment={experiment}", "++shards=shards")["trainer.callbacks"]
    assert isinstance(callbacks, list)
    names = [callback["_target_"].rpartition(".")[2] for callback in callbacks]
    assert len(names) > 2 and names[-2:] == ["Progress", "Checkpoint"]
