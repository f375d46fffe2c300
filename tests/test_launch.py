"""Wrong command lines: one sentence on stderr that names the key, the value and the way out, and exit code 2."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from omegaconf import DictConfig

import launch
from data.errors import UserError
from systems.command.command_line import tidy
from systems.command.ending import WENT_WRONG, user_error
from tests.conftest import Run

ROOT = Path(launch.__file__).parent
PROMPT = "prompt=a red dog"
ABOUT_A_FOLDER = {  # and its key
    "export": "run",
    "refine": "init_from",
    "mvdream_refine": "init_from",
    "render_assets": "assets",
    "train_prior_assets": "shards",
    "compare_assets": "shards",
    "count_fronts": "runs",
    "collect": "sweep",
    "dreambooth": "subject.pictures",
    "dreambooth_mvdream": "subject.pictures",
    "dreambooth_views": "subject.pictures",
}
WHOLE = set(
    ["evaluation", "job", "launcher", "system", "network", "budget", "experiment", "field", "rendering", "preservation"]
)  # chosen by others, all at once
CHOICES = sorted(
    f"{file.parent.name}={file.stem}"
    for file in (ROOT / "conf").glob("*/*.yaml")
    if file.parent.name not in WHOLE and file != ROOT / "conf" / "trainer" / "prior.yaml"
)
WITH = {  # what a choice makes sense with
    "row": ["experiment=table1"],
    "shape": ["renderer=dmtet"],
    "shape=mesh": ["renderer=dmtet", "shape.path=mine.glb"],
    "renderer=texture": ["geometry.path=mine.glb"],
    "guidance=dreambooth": ["subject=outputs/dreambooth/a-sks-dog-0"],
}
EXPERIMENTS = sorted(file.stem for file in (ROOT / "conf" / "experiment").glob("*.yaml"))
README = (ROOT / "README.md").read_text().splitlines()
EXAMPLES = [shlex.split(line, comments=True)[2:] for line in README if line.startswith("python launch.py ")]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("promt=x", "promt=x: there is no key promt; did you mean prompt?"),
        ("guidance.scal=3", "there is no key guidance.scal; did you mean guidance.scale?"),
        ("trainer.max_step=3", "there is no key trainer.max_step; did you mean trainer.max_steps?"),
        ("+guidance.foo=3", "guidance.foo: guidance.mv_sds.MultiViewSDS takes no foo"),
        ("renderer=hashgird", "renderer=hashgird: there is no such option; did you mean hashgrid?"),
        ("experiment=trian_prior", "experiment=trian_prior: there is no such option"),
        (
            "trainer.max_steps=abc",
            "trainer.max_steps=abc must be a whole number above 0, for instance",
        ),
        ("trainer.max_steps=-3", "trainer.max_steps=-3 must be a whole number above 0"),
        ("seed=dog", "seed=dog must be a whole number from 0 to 4294967295, for instance seed=0"),
        ("seed=-1", "seed=-1 must be a whole number from 0 to"),
        ("system.losses.opacity.weight=heavy", "system.losses.opacity.weight=heavy must be a number"),
        ("system.betas=[0.9]", "system.betas=[0.9] must be a list of 2 values"),
        ("system.losses.opacity._target_=systems.losses.Opacty", "did you mean systems.losses.Opacity?"),
        ("prior.path=/nowhere", "prior.path=/nowhere: there is no such folder"),
        ("prompt=a red dgo", "'dgo' (nearest: dog"),
        ("output=/dev/null/x", "/dev/null/x/text_to_3d/a-red-dog-0 cannot be written"),
        ("resume=/nowhere", "resume=/nowhere is not a checkpoint"),
        ("seed=0,1", "seed=0,1: several values need --multirun"),
        ("dog", "'dog' cannot be read: an override is key=value"),
        ("prompt=", 'prompt is empty: say prompt="'),
        ("seed=5000000000", "seed=5000000000 must be a whole number from 0 to 4294967295"),
        ("device=tpu", "device=tpu must be one of auto, cpu, cuda"),
        ("guidance.max_t=0.9", "system.schedules.guidance.max_t sets it; change that, or say '~system.schedules"),
        ("data.size=16", "system.schedules.sampler.size sets it"),
        ("system.learning_rates.geometry.encoding=big", "geometry.encoding=big must be a number, 0 or above, for"),
        ("data=null", "data=null: there is no such option; there are:"),
        ("prompt_processor.suffix=' in space'", "'in' or 'space'"),
        ("prompt_processor.negative_prompt=ugly", "has not learned 'ugly'"),
        ("prompt_file=toys.txt", "prompt=a red dog and prompt_file=toys.txt: say one of them"),
        ("shape=ellipsoid", "shape=...: nothing here takes a shape; another renderer or experiment does"),
        ("init_from=/nowhere", "init_from=/nowhere is no run folder"),
        ("experiment=refine", "init_from is missing: say init_from=outputs/text_to_3d/"),
        ("metric.clip.path=/nowhere", "clip.path=/nowhere: there is no such folder; say metric.clip.path=assets"),
        ("metric/distance=lpips", "metric.distance.path is missing"),
        ("metric/fronts=tld", "metric/fronts=tld: there is no such option; did you mean told?"),
        ("prompt_index=3", "prompt_index=3: of which file? Say prompt_file=FILE"),
    ],
)
def test_wrong_override_is_explained(run: Run, override: str, message: str) -> None:
    assert message in run.error(PROMPT, override)


def test_weights_that_are_needed_at_the_end_are_looked_for_at_once(run: Run) -> None:
    error = run.error(PROMPT, "metric/distance=lpips", "metric.distance.path=/nowhere.pth")
    assert "metric.distance.path=/nowhere.pth is not there: give the file of weights that metrics.consistency" in error


def test_a_field_chosen_beside_init_from_is_refused(run: Run, past: Path) -> None:
    error = run.error("renderer=dmtet", f"init_from={past}", "field@geometry.field=nerf")
    assert "field@geometry.field: with init_from the field is that of" in error


def test_a_damaged_config_of_another_run_is_named(run: Run, past: Path) -> None:
    (past / "config.yaml").write_text("prompt: [a red\n dog: {")
    assert f"init_from={past}: its config.yaml cannot be read" in run.error(PROMPT, f"init_from={past}")
    assert f"run={past}: its config.yaml cannot be read" in run.error("experiment=export", f"run={past}")


def test_missing_prompt_comes_with_an_example(run: Run) -> None:
    assert 'prompt is missing: say prompt="a red dog wearing a blue hat"' in run.error()


def test_full_size_prior_needs_a_path(run: Run) -> None:
    run.overrides = run.overrides[1:]
    error = run.error(PROMPT, "prior=mvdream")
    assert (
        "prior.path is missing: download sd-v2.1-base-4view.pt of the Hugging Face repository MVDream/MVDream" in error
    )
    assert "say prior.path=/where/you/put/it/sd-v2.1-base-4view.pt" in error
    assert "v2-1_768-ema-pruned.safetensors" in run.error(PROMPT, "prior=sd21")
    error = run.error(PROMPT, "prior=sd15", "prior.path=/not/there/yet.ckpt")
    assert "prior.path=/not/there/yet.ckpt: there is no such folder, nor such a file" in error
    assert "download v1-5-pruned-emaonly.safetensors of" in error


def test_a_prior_may_be_a_file_or_a_repository(run: Run, tmp_path: Path) -> None:
    run.overrides = run.overrides[1:]
    run.accepts("prompt=anything at all", "prior=mvdream", "prior.path=someone/a-model")
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("data.pkl", b"weights")
    run.accepts("prompt=anything at all", "prior=mvdream", f"prior.path={tmp_path / 'model.pt'}")
    (tmp_path / "model.pt").write_text("<!DOCTYPE html> Sign in to download")
    assert "model.pt: this is a file that holds a web page" in run.error(PROMPT, f"prior.path={tmp_path / 'model.pt'}")


def test_damaged_checkpoint_is_explained(run: Run, tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"not a checkpoint")
    assert "is damaged" in run.error(PROMPT, f"resume={tmp_path / 'last.ckpt'}")


def test_finished_run_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "text_to_3d" / "a-red-dog-0"
    folder.mkdir(parents=True)
    (folder / "metrics.json").touch()
    assert "finished run: say resume=never" in run.error(PROMPT)
    run.accepts(PROMPT, "resume=never")


def test_a_job_that_fails_at_once_leaves_what_it_was_to_replace(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "outputs" / "text_to_3d" / "a-red-dog-0"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text("good")

    def fails(*_: object) -> None:
        raise UserError("no")

    monkeypatch.setattr(launch, "_run_job", fails)
    monkeypatch.setattr(sys, "argv", ["launch.py", *run.overrides, PROMPT, "resume=never"])
    assert launch.main() == launch.WRONG_INPUT and (folder / "metrics.json").read_text() == "good"


def test_every_job_of_a_sweep_is_checked_before_the_first_starts(run: Run) -> None:
    assert "guidance=mv_sd: there is no such option" in run.error(PROMPT, "--multirun", "guidance=mv_sds,mv_sd")


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_passes_the_check(run: Run, mesh: Path, choice: str) -> None:
    others = WITH.get(choice, WITH.get(choice.split("=")[0], []))
    there = [re.sub("^subject=.*", f"subject={mesh.parent}", other.replace("mine.glb", str(mesh))) for other in others]
    run.accepts(PROMPT, choice, *there)


@pytest.mark.parametrize("arguments", EXAMPLES, ids=" ".join)
def test_every_example_of_the_readme_passes_the_check(
    run: Run, prior: str, past: Path, mesh: Path, pictures: str, arguments: list[str]
) -> None:
    """Fixtures stand in for full-size weights, past runs and meshes; not for the priors that a table's rows name."""
    if {"experiment=evaluate", "experiment=table1_scores"} & set(arguments):
        run.overrides.remove(prior)
    full_size = [argument for argument in arguments if argument.startswith("prior.path=/models/")]
    kept = [argument for argument in arguments if argument not in full_size]
    there = [re.sub(r"^(run|init_from)=.*", rf"\1={past}", argument) for argument in kept]
    there = [re.sub(r"path=mine.glb$", f"path={mesh}", argument) for argument in there]
    subject = [argument for argument in arguments if argument.startswith("subject=")]
    there = [re.sub("^subject=.*", f"subject={mesh.parent}", argument) for argument in there]
    there = [pictures if argument.startswith("subject.pictures=") else argument for argument in there]
    run.accepts(*there, *["prompt_processor.unknown=warn" for _ in full_size + subject])


def test_paths_in_a_tree_are_keys(run: Run) -> None:
    run.accepts(PROMPT, "system.learning_rates.geometry.encoding=0.02", "system.schedules.guidance.max_t.end=0.6")
    run.accepts(PROMPT, "~system.schedules.guidance.max_t", "guidance.max_t=0.9")


def test_sweep_skips_what_is_finished(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "text_to_3d" / "a-red-dog-0"
    folder.mkdir(parents=True)
    (folder / "metrics.json").touch()
    run.accepts(PROMPT, "seed=0,1", "--multirun")


@pytest.mark.parametrize("failure", [UserError("no"), ValueError("a bug")])
def test_job_that_fails_leaves_the_sweep_running_and_the_exit_code_tells(
    run: Run, failure: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seeds: list[int] = []

    def fails_first(config: DictConfig) -> None:
        seeds.append(config.seed)
        if config.seed == 0:
            raise failure

    monkeypatch.setattr(launch, "run", fails_first)
    monkeypatch.setattr(sys, "argv", ["launch.py", *run.overrides, PROMPT, "seed=0,1", "-m"])
    assert launch.main() == (launch.WRONG_INPUT if isinstance(failure, UserError) else WENT_WRONG)
    assert seeds == [0, 1]


def test_sweep_cannot_be_shown_as_one_configuration(run: Run) -> None:
    assert "leave out --multirun" in run.error(PROMPT, "--multirun", "seed=0,1", "--cfg", "job")


def test_flags_keep_their_values() -> None:
    assert tidy(["--cfg", "job", "seed=1"]) == ["seed=1", "--cfg", "job"]
    assert tidy(["-m", "--info", "config", "seed=1,2"])[-3:] == ["-m", "--info", "config"]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_passes_the_check(run: Run, name: str) -> None:
    reads_anything = "prompt_processor.unknown=warn"  # as full-size priors do; the fixture knows 15 words
    if name == "table1_scores":
        run.overrides = run.overrides[1:]  # its rows have priors of their own
    if name in ABOUT_A_FOLDER:  # accepted with one in tests/systems
        assert f"{ABOUT_A_FOLDER[name]} is missing" in run.error(PROMPT, f"experiment={name}")
    else:
        run.accepts(PROMPT, f"experiment={name}", reads_anything)


@pytest.mark.parametrize("name", sorted(file.stem for file in (ROOT / "conf" / "sampler").glob("*.yaml")))
def test_every_sampler_passes_the_check_of_those_who_sample(run: Run, name: str) -> None:
    run.accepts("experiment=sample", f"sampler={name}", PROMPT)
    run.accepts("experiment=evaluate_prior", f"sampler={name}")


def test_samplers_settings_are_checked(run: Run) -> None:
    assert "sampler.steps=0 must be a whole number above 0" in run.error("experiment=sample", PROMPT, "sampler.steps=0")
    spacing = "sampler.spacing._target_=guidance.sampling.orignal"
    assert "did you mean guidance.sampling.original?" in run.error(
        "experiment=sample", "sampler=original", PROMPT, spacing
    )
    wrong = "sampler.scheduler.timestep_spacin=leading"
    assert "timestep_spacin" in run.error("experiment=sample", "sampler=dpm", PROMPT, f"+{wrong}")


def test_sentence_is_no_hydra_expression(run: Run) -> None:
    assert tidy(["prompt=a dog, (red)", "seed=1"]) == ['prompt="a dog, (red)"', "seed=1"]
    assert tidy(['prompt="quoted"']) == ['prompt="quoted"']
    run.accepts("prompt=a red dog, wearing (a) 'blue' hat!")


def test_sweep_keeps_its_commas_and_sets_its_jobs_apart() -> None:
    prompt, *_, unnamed, variant, flag = tidy(["prompt=dog,cat", "-m", "quality=draft,high", "data=orbit"])
    assert (prompt, flag) == ("prompt=dog,cat", "-m")
    assert unnamed.endswith("exclude_keys=[data,folder.variant,prompt,seed]")
    assert variant == "folder.variant=${hydra:job.override_dirname}"


def test_given_checkpoint_of_this_run_continues_it(run: Run, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "last.ckpt", "w") as archive:
        archive.writestr("data.pkl", b"state")
    run.accepts(PROMPT, f"resume={tmp_path / 'last.ckpt'}")


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), (["promt=x"], 2), ([PROMPT, "--cfg", "job"], 0)])
def test_answers_that_need_no_torch_do_not_import_it(arguments: list[str], code: int) -> None:
    command = [sys.executable, "-X", "importtime", "launch.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert done.returncode == code
    assert "hydra" in imported and not {"torch", "pytorch_lightning", "diffusers"} & imported


def test_bug_is_told_from_a_mistake_of_the_user() -> None:
    mistake = RuntimeError("Hydra says: error in call to ...")
    mistake.__cause__ = UserError("prior.path=x: there is no such folder")
    assert user_error(mistake) is mistake.__cause__
    assert user_error(KeyError("x")) is None
