"""What can be wrong with a subject is said in one sentence, before anything is loaded."""

import json
from pathlib import Path

import pytest

SUBJECT = "prompt=a sks dog wearing a blue hat"


@pytest.fixture
def learned(run, prior: str, tmp_path: Path) -> Path:
    """What can be seen of a finished DreamBooth run; and `run` goes without a prior of its own."""
    folder = tmp_path / "past"
    folder.mkdir()
    Path(prior.removeprefix("prior.path=")).rename(folder / "prior")
    file = folder / "prior" / "tokenizer" / "vocabulary.json"
    file.write_text(json.dumps({"words": [*json.loads(file.read_text())["words"], "sks"]}))
    run.overrides.remove(prior)
    return folder


def test_three_pictures_and_a_kind_are_enough(run, pictures) -> None:
    run.accepts("experiment=dreambooth", pictures, "subject.kind=dog")
    for preservation in ("parameters", "class_prior", "none"):
        run.accepts("experiment=dreambooth", pictures, "subject.kind=dog", f"preservation={preservation}")
    run.accepts("experiment=dreambooth", pictures, "subject.kind=dog", "system.rank=8", "system.parts=[unet]")
    run.accepts("experiment=dreambooth", pictures, "subject.kind=dog", "trainer.accumulate_grad_batches=2")
    run.accepts("experiment=dreambooth_mvdream", pictures, "subject.kind=dog")
    run.accepts("experiment=dreambooth_mvdream", pictures, "subject.kind=dog", "preservation=none")
    told = ("experiment=dreambooth_views", pictures, "subject.kind=dog", "subject.azimuths=[-30,0,30,60]")
    run.accepts(*told, "preservation=none")
    run.accepts(*told, "preservation.weight=3")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ([], "subject.pictures is missing"),
        (["subject.pictures=/nowhere"], "there is no such folder"),
        (["PICTURES"], "subject.kind is missing"),
        (["PICTURES", "subject.kind=wolf"], "has not learned 'wolf'"),
        (["PICTURES", "subject.kind=dog", "subject.token=red"], "learned already"),
        (["PICTURES", "subject.kind=dog", "subject.token='a b'"], "is not one word"),
        (["PICTURES", "subject.kind=dog", "subject.around=' snow'"], "has not learned 'snow'"),
        (
            ["PICTURES", "subject.kind=dog", "before_after.endings=['',' with a skateboard']"],
            "or 'skateboard'",
        ),
        (["PICTURES", "subject.kind=dog", "system.parts=[vae]"], "one of unet, text_encoder"),
        (["PICTURES", "subject.kind=dog", "system.rank=0"], "system.rank=0 must be a whole number above 0"),
        (["PICTURES", "subject.kind=dog", "preservation=parameter"], "did you mean parameters?"),
        (["PICTURES", "subject.kind=dog", "trainer.devices=2"], "DreamBooth trains in one process; leave it out"),
        (["PICTURES", "subject.kind=dog", "preservation.weight=-1"], "must be a number, 0 or above"),
    ],
)
def test_a_wrong_subject_is_told(run, pictures, overrides, told) -> None:
    assert told in run.error("experiment=dreambooth", *(pictures if one == "PICTURES" else one for one in overrides))


def test_where_the_pictures_were_taken_must_be_told_if_it_shall_be_known(run, pictures) -> None:
    told = "subject.azimuths=[]: there are 4 pictures; say [0,0,0,0], degrees, or null"
    assert told in run.error("experiment=dreambooth_views", pictures, "subject.kind=dog")


def test_two_pictures_are_too_few(run, pictures, tmp_path) -> None:
    for name in ("a.png", "d.png"):
        (tmp_path / "pictures" / name).unlink()
    assert "holds 2 pictures" in run.error("experiment=dreambooth", pictures, "subject.kind=dog")


def test_what_has_been_learned_may_be_said(run, learned) -> None:
    run.accepts("guidance=dreambooth", f"subject={learned}", SUBJECT)
    assert "has not learned 'zwx'" in run.error("guidance=dreambooth", f"subject={learned}", "prompt=a zwx dog")


def test_full_size_distillation_takes_the_prior_of_the_subject(run, learned) -> None:
    unknown = "prompt_processor.unknown=warn"  # of the words that it is to avoid
    run.accepts("experiment=mvdream", "guidance=dreambooth", f"subject={learned}", SUBJECT, unknown)


@pytest.mark.parametrize(
    ("subject", "told"),
    [
        ("", "subject is missing"),
        ("subject=/nowhere", "there is no such run"),
        ("subject=UNFINISHED", "has no prior/: the run did not finish"),
    ],
)
def test_a_run_that_has_learned_nothing_is_told(run, learned, tmp_path, subject, told) -> None:
    (tmp_path / "unfinished" / "checkpoints").mkdir(parents=True)
    given = [subject.replace("UNFINISHED", str(tmp_path / "unfinished"))] if subject else []
    assert told in run.error("guidance=dreambooth", *given, SUBJECT)
