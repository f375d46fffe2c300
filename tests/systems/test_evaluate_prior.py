import json

import pytest
import torch

from data.errors import UserError
from data.samplers import turntable
from guidance.sampling import DDIM
from metrics.ground_truth import psnr
from metrics.toybox_truth import toy_of, true_views
from systems.command.run_folder import RunFolder
from systems.evaluation.evaluate_prior import EvaluatePrior


@pytest.fixture
def evaluated(red_prior, tmp_path):
    def run(captions):
        folder = RunFolder(str(tmp_path), "evaluate", None, 0)
        folder.path.mkdir(parents=True)
        EvaluatePrior(red_prior, DDIM(steps=3), captions, cache_dir=str(tmp_path / "prompts")).run(folder, None)
        return json.loads(folder.metrics.read_text())

    return run


def test_a_prior_that_samples_nothing_but_red_gets_the_score_of_red(evaluated):
    found = evaluated(["a red dog wearing a blue hat"])
    rgb, opacity = true_views(toy_of("a red dog wearing a blue hat"), turntable(4, 16, 15.0))
    covered = (opacity > 0.5).float().mean(dim=(1, 2, 3)).mean()
    assert found["mean_silhouette_iou"] == pytest.approx(float(covered), abs=1e-4)
    red = torch.tensor([0.9, 0.1, 0.1])
    assert found["mean_psnr"] == pytest.approx(psnr(red.expand_as(rgb), rgb), abs=0.05)


def test_the_report_says_what_was_held_out_and_what_the_autoencoder_loses(evaluated):
    found = evaluated(["a green car", "a red car"])
    assert found["held_out"] is False and set(found["captions"]) == {"a green car", "a red car"}
    assert 10 < found["autoencoder_psnr"]["worst"] <= found["autoencoder_psnr"]["mean"] < 40
    assert found["seconds_per_sample"] > 0 and found["steps"] == 3


def test_a_caption_about_no_toy_is_refused(evaluated):
    with pytest.raises(UserError, match="about no toy"):
        evaluated(["a quantum computer"])
