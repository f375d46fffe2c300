"""What sets the runs of a folder apart, whatever the sweeps into it have varied."""

from __future__ import annotations

import json
from pathlib import Path

from systems.command.sweep import SweptRun
from systems.evaluation.settings import Settings
from tests.conftest import Run
from tests.systems.conftest import Leave
from tests.systems.test_collect import collect, status, table


def runs(*told: str) -> list[SweptRun]:
    return [SweptRun(f"{i}", "a dog", 0, "", tuple(text.split())) for i, text in enumerate(told)]


def test_a_setting_is_named_by_what_not_all_are_told() -> None:
    both = runs("prompt=dog guidance=sds quality=draft", "seed=1 quality=draft guidance.scale=5", "quality=draft")
    settings = Settings(both)
    assert settings.common == ["quality=draft"] and settings.keys == ["guidance", "guidance.scale"]
    assert [settings.name(run) for run in both] == ["guidance=sds", "guidance.scale=5", "default"]
    assert settings.values(both[0]) == {"guidance": "sds", "guidance.scale": ""}


def test_the_last_word_counts_and_signs_do_not() -> None:
    one, other = runs("+x=1 ++x=2 ~loss.sparsity", "x=2")
    settings = Settings([one, other])
    assert settings.common == ["x=2"] and settings.values(one) == {"~loss.sparsity": "~loss.sparsity"}
    assert (settings.name(one), settings.name(other)) == ("~loss.sparsity", "default")


def test_where_a_run_stands_and_who_watches_it_is_no_setting() -> None:
    settings = Settings(runs("x=1 output=a name=b logger=wandb trainer.logger.tags=[c]", "x=1 progress.row_every=2"))
    assert settings.common == ["x=1"] and settings.keys == []


def test_a_sweep_that_varies_nothing_and_one_that_nobody_wrote_down_keep_their_names() -> None:
    alike = runs("prompt=dog x=1", "prompt=cat x=1")
    assert {Settings(alike).name(run) for run in alike} == {"default"}
    found = SweptRun("better/still/dog-0", "dog", 0, "better/still", ())
    assert Settings([found]).name(found) == "better/still" and Settings([found]).common == []
    alone = SweptRun("x=1/dog-0", "dog", 0, "x=1", ("x=1",))
    assert Settings([alone]).name(alone) == "x=1"


def test_two_sweeps_into_one_folder_can_be_compared(leave: Leave, sweep: Path, run: Run) -> None:
    for variant, told, loss in (("guidance=sds", "guidance=sds", 1.0), ("scale=-5", "guidance=sds scale=-5", 2.0)):
        figures = json.dumps({"loss": loss})
        words = f"prompt=dog quality=draft {told}".split()
        leave(variant, said=status("finished"), told=words, metrics_json=figures)
    place = collect(sweep, run)
    assert [(one["setting"], one["loss"]) for one in table(place / "table.csv")] == [
        ("default", "1.0"),
        ("scale=-5", "2.0"),
    ]
    assert [(one["scale"], one["loss"]) for one in table(place / "runs.csv")] == [("", "1.0"), ("-5", "2.0")]
    for name in ("happened.md", "index.html", "run.log"):
        assert "\nall: quality=draft guidance=sds\n" in (place / name).read_text()
