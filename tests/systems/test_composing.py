"""A sweep's runs are what Hydra would compose one by one, and most of them are not composed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hydra import initialize_config_dir
from omegaconf import DictConfig, OmegaConf

import launch
from systems.command.check import by_hydra
from systems.command.composing import Composer


class Counted:
    def __init__(self) -> None:
        self.n = 0

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        self.n += 1
        return by_hydra(overrides)


@pytest.fixture(autouse=True)
def in_conf() -> Iterator[None]:
    with initialize_config_dir(str(launch.CONF), version_base="1.3"):
        yield


def test_runs_that_differ_in_prompt_and_seed_alone_are_composed_once() -> None:
    counted = Counted()
    composer = Composer(counted)
    dirname = "hydra.job.config.override_dirname.exclude_keys=[prompt,seed]"
    for guidance in ("sds", "mv_sds"):
        for prompt in ('"a dog, red"', "null"):
            for seed in ("1", "${oc.env:NOWHERE,2}"):
                told = [f"prompt={prompt}", "radius=0.7", f"seed={seed}", f"guidance={guidance}", dirname]
                assert OmegaConf.to_container(composer(told)) == OmegaConf.to_container(by_hydra(told))
    assert counted.n == 2


def test_one_run_does_not_change_the_next() -> None:
    composer = Composer(by_hydra)
    composer(["prompt=a", "seed=1"]).folder.output = "elsewhere"
    assert composer(["prompt=b", "seed=2"]).folder.output == "outputs"


@pytest.mark.parametrize("other", ["~seed", "++seed=3", "name=b"])
def test_what_is_no_plain_value_of_the_two_is_composed(other: str) -> None:
    counted = Counted()
    composer = Composer(counted)
    composer(["prompt=a", "seed=1"])
    told = ["prompt=a", other] if "seed" in other else ["prompt=a", "seed=1", other]
    assert OmegaConf.to_container(composer(told)) == OmegaConf.to_container(by_hydra(told))
    assert counted.n == 2
