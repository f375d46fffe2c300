import pytest
import torch

from guidance.preservation import distance


def test_the_gradient_is_the_sign_of_the_change_over_the_number_of_weights():
    start = [torch.zeros(2, 3), torch.ones(4)]
    weights = [torch.tensor([[0.1, -0.2, 0.3], [0.0, -5.0, 1e-3]]).requires_grad_(), torch.zeros(4).requires_grad_()]
    (7.0 * distance(weights, start)).backward()
    torch.testing.assert_close(weights[0].grad, 7 / 10 * torch.tensor([[1.0, -1.0, 1.0], [0.0, -1.0, 1.0]]))
    torch.testing.assert_close(weights[1].grad, torch.full((4,), -7 / 10))


def test_nothing_pulls_where_nothing_has_moved():
    weights = [torch.randn(5, 5, requires_grad=True)]
    value = distance(weights, [weights[0].detach().clone()])
    value.backward()
    assert value == 0 and not weights[0].grad.any()


def test_the_distance_is_the_mean_change_whatever_the_shapes():
    start = [torch.randn(3, 4), torch.randn(7)]
    moved = [start[0] + 0.5, start[1] - 0.25]
    assert distance(moved, start).item() == pytest.approx((12 * 0.5 + 7 * 0.25) / 19)
