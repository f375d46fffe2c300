"""Every sentence that a command line will say to a prior is known, and checked, before torch is loaded."""

from __future__ import annotations

from dataclasses import asdict
from inspect import signature
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from omegaconf import OmegaConf

import launch
from guidance.view_words import PerpNeg, ViewDependent
from guidance.wording import Template
from systems.command.check import compose_checked
from systems.command.overrides import parse
from tests.conftest import Run

ROOT = Path(launch.__file__).parent
PROMPT = "prompt=a red dog"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("view_words.wording.front=frontal", "'frontal' (nearest: front)"),
        ("view_words.overhead=60", "background, overhead view\": the prior has not learned 'overhead'"),
        ("view_words.wording.template=side view", 'wording.template="side view" must hold {prompt}'),
        ("view_words.front=wide", "prompt_processor.view_words.front=wide must be a number, 0 or above"),
        ("view_words.wording.left=left", "there is no key prompt_processor.view_words.wording.left"),
    ],
)
def test_wrong_view_words_are_explained(run: Run, override: str, message: str) -> None:
    assert message in run.error(PROMPT, "prompt_processor=view_dependent", f"prompt_processor.{override}")


def test_every_prompt_of_a_list_or_a_file_is_read_before_anything_is_drawn(run: Run, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a red dog\na green crar\n")
    assert "'crar' (nearest: car" in run.error("experiment=sample", f"job.file={tmp_path / 'prompts.txt'}")
    assert "'crar' (nearest: car" in run.error("experiment=sample", "job.prompts=[a red dog,a green crar]")
    assert 'prompt is missing: say prompt="' in run.error("experiment=sample")
    run.accepts("experiment=sample", "job.prompts=[a red dog,a green car]")


@pytest.mark.parametrize("processor", ["plain", "view_dependent", "perp_neg", "manual"])
@pytest.mark.parametrize(
    ("background", "suffix"), [("random", ", 3d asset, colorful background"), ("solid", ", 3d asset")]
)
def test_the_background_sets_the_suffix_of_every_prompt_processor(processor: str, background: str, suffix: str) -> None:
    overrides = [parse(text) for text in (PROMPT, f"prompt_processor={processor}", f"background={background}")]
    with initialize_config_dir(str(launch.CONF), version_base="1.3"):
        config = compose_checked(overrides)
    assert config.prompt_processor.suffix == suffix
    assert ("view_words" in config.prompt_processor) is (processor != "plain")


@pytest.mark.parametrize(("processor", "kind"), [("view_dependent", ViewDependent), ("perp_neg", PerpNeg)])
def test_view_words_are_configured_as_published_but_for_the_view_from_above(processor: str, kind: type) -> None:
    with initialize_config_dir(str(launch.CONF), version_base="1.3"):
        node = compose_checked([parse(PROMPT), parse(f"prompt_processor={processor}")]).prompt_processor.view_words
    configured = OmegaConf.to_container(node)
    defaults = {name: parameter.default for name, parameter in signature(kind).parameters.items()}
    listed = {name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()}
    words = {"_target_": "guidance.wording.Template", **asdict(Template())}
    own = {"_target_": f"guidance.view_words.{kind.__name__}", "overhead": None, "wording": words}
    assert configured == listed | own


def test_prompts_of_a_file_name_their_folders(run: Run, tmp_path: Path) -> None:
    (tmp_path / "toys.txt").write_text("a red dog\na green car\n")
    given = [f"prompt_file={tmp_path / 'toys.txt'}"]
    run.accepts(*given, "prompt_index=1")
    assert [folder.name for folder in (tmp_path / "outputs" / "text_to_3d").iterdir()] == ["a-green-car-0"]
    run.accepts(*given, "prompt_index=0,1", "--multirun")
    run.accepts(*given, "prompt_index=range(0,2)", "seed=0,1", "-m")
    assert {folder.name for folder in (tmp_path / "outputs" / "text_to_3d").iterdir() if folder.is_dir()} == {
        "a-green-car-0", "a-red-dog-0", "a-green-car-1", "a-red-dog-1",
    }  # fmt: skip


def test_every_prompt_of_a_file_is_checked_before_the_first_starts(run: Run, tmp_path: Path) -> None:
    (tmp_path / "toys.txt").write_text("a red dog\na red dgo\n")
    assert "'dgo' (nearest: dog" in run.error(f"prompt_file={tmp_path / 'toys.txt'}", "--multirun")
