import pytest
import torch

from metrics.ground_truth import GroundTruthScore, compare, psnr, silhouette_iou


def half(side: str) -> torch.Tensor:
    opacity = torch.zeros(1, 4, 4, 1)
    opacity[:, :, slice(0, 2) if side == "left" else slice(2, 4)] = 1
    return opacity


def test_equal_silhouettes_overlap_fully():
    assert silhouette_iou(half("left"), half("left")) == 1.0


def test_disjoint_silhouettes_do_not_overlap():
    assert silhouette_iou(half("left"), half("right")) == 0.0


def test_half_in_the_whole_overlaps_by_half():
    assert silhouette_iou(half("left"), torch.ones(1, 4, 4, 1)) == 0.5


def test_iou_is_the_mean_over_views():
    a, b = torch.cat([half("left"), half("left")]), torch.cat([half("left"), half("right")])
    assert silhouette_iou(a, b) == 0.5


def test_two_empty_views_agree():
    assert silhouette_iou(torch.zeros(2, 4, 4, 1), torch.zeros(2, 4, 4, 1)) == 1.0


def test_half_transparent_pixels_lie_outside():
    assert silhouette_iou(torch.full((1, 4, 4, 1), 0.5), torch.ones(1, 4, 4, 1)) == 0.0


def test_an_error_of_a_tenth_is_twenty_decibels():
    assert psnr(torch.full((2, 4, 4, 3), 0.5), torch.full((2, 4, 4, 3), 0.6)) == pytest.approx(20.0, abs=1e-4)


def test_psnr_is_the_mean_of_the_views_decibels():
    error = torch.tensor([0.1, 0.01])[:, None, None, None].expand(2, 4, 4, 3)
    assert psnr(torch.zeros(2, 4, 4, 3), error) == pytest.approx(30.0, abs=1e-4)


def test_equal_views_score_a_hundred_decibels():
    assert psnr(torch.ones(1, 4, 4, 3), torch.ones(1, 4, 4, 3)) == pytest.approx(100.0)


def test_comparison_holds_both_scores():
    image = torch.ones(1, 4, 4, 3)
    assert compare(image, half("left"), image, half("right")) == GroundTruthScore(silhouette_iou=0.0, psnr=100.0)
