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
    named = lambda row: {"system.out": f".training/{table}/{row}-0", "folder.prompt": row}
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


@pytest.mark.parametrize("views", ["toys", "toys_and_assets", "assets"])
def test_as_many_views_are_drawn_as_attend_to_each_other(views: str) -> None:
    settings = composed("experiment=train_mvdream", f"system/views={views}", "+shards=x", "system.mixture.n_view=2")
    drawn = {key: value for key, value in settings.items() if key.startswith("system.views.")}
    counts = [value for key, value in drawn.items() if key.endswith(".n_view") and ".sampler." not in key]
    assert counts and set(counts) == {2}


@pytest.mark.parametrize(
    ("first", "then", "reads"),
    [
        ("train_autoencoder", "refine_autoencoder", "autoencoder"),
        ("refine_autoencoder", "train_prior_2d", "autoencoder"),
        ("train_prior_2d", "train_prior", "unet"),
        ("train_prior_2d", "train_prior", "text_encoder"),
        ("train_autoencoder_gpu", "train_prior_2d_gpu", "autoencoder"),
        ("train_prior_2d_gpu", "train_prior_gpu", "unet"),
        ("train_prior_2d_gpu", "train_prior_gpu", "text_encoder"),
    ],
)
def test_a_stage_starts_from_the_one_before_it_of_its_seed(first: str, then: str, reads: str) -> None:
    found = [composed(f"experiment={then}", *seed)[f"system.{reads}.path"] for seed in ((), ("seed=3",))]
    assert found == [composed(f"experiment={first}", *seed)["system.out"] for seed in ((), ("seed=3",))]
    assert found[0] != found[1]


@pytest.mark.parametrize("experiment", ["table1", "table1_full_size", "train_prior", "train_mvdream", "train_clip"])
def test_runs_that_have_folders_of_their_own_have_weights_of_their_own(experiment: str) -> None:
    runs = ((), ("seed=1",), ("name=long",))
    assert len({composed(f"experiment={experiment}", *words)["system.out"] for words in runs}) == 3


@pytest.mark.parametrize("seed", [0, 2])
def test_the_table_scores_the_weights_of_its_seed(seed: int) -> None:
    with initialize_config_dir(str(launch.CONF), version_base="1.3"):
        rows = compose("config", ["experiment=table1_scores", f"seed={seed}"]).job.rows
    for row in ("no_2d", "proposed", "proposed_4x"):
        written = composed("experiment=table1", f"row={row}", f"seed={seed}")["system.out"]
        assert f"prior.path={written}" in rows[row]


@pytest.mark.parametrize("experiment", ["train_prior", "train_prior_2d", "train_prior_assets", "train_clip", "table1"])
def test_whatever_measures_stands_before_what_writes_it_down(experiment: str) -> None:
    """Else a score is in the row of the next step, and the last one in none."""
    callbacks = composed(f"experiment={experiment}", "++shards=shards")["trainer.callbacks"]
    assert isinstance(callbacks, list)
    names = [callback["_target_"].rpartition(".")[2] for callback in callbacks]
    assert len(names) > 2 and names[-2:] == ["Progress", "Checkpoint"]
