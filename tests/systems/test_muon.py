import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from systems.training.muon import MuonWithAdamW, split_matrices


def optimizer_of(matrix, vector, muon_rate=0.1, rate=0.01):
    return MuonWithAdamW([matrix], [vector], muon_rate, rate, weight_decay=0.0)


def test_all_directions_of_a_matrix_move_alike_and_vectors_as_adamw_moves_them(rng):
    matrix = torch.nn.Parameter(torch.zeros(8, 16))
    vector = torch.nn.Parameter(torch.zeros(4))
    optimizer = optimizer_of(matrix, vector)
    gradient = torch.randn(8, 16, generator=rng) * torch.logspace(0, -2, 8)[:, None]  # directions of all sizes
    matrix.grad, vector.grad = gradient, torch.tensor([3.0, -0.1, 5.0, -2.0])
    optimizer.step()
    singular = torch.linalg.svdvals(matrix.detach())
    assert singular.max() < 2 * singular.min() and torch.linalg.svdvals(gradient).max() > 10 * singular.min()
    torch.testing.assert_close(vector.detach(), -0.01 * torch.tensor([1.0, -1.0, 1.0, -1.0]))


def test_a_schedule_sets_both_rates_also_after_the_state_came_back():
    matrix, vector = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))
    optimizer = optimizer_of(matrix, vector)
    optimizer.load_state_dict(optimizer.state_dict())
    schedule = LambdaLR(optimizer, lambda step: 0.5**step)
    matrix.grad, vector.grad = torch.ones(2, 2), torch.ones(2)
    optimizer.step()
    schedule.step()
    assert [part.param_groups[0]["lr"] for part in optimizer.parts] == pytest.approx([0.05, 0.005])


def test_matrices_inside_the_layers_are_told_from_embeddings_and_biases():
    model = torch.nn.ModuleDict({"embedding": torch.nn.Embedding(3, 2), "layers": torch.nn.Linear(2, 2)})
    matrices, others = split_matrices(model, inside="layers")
    assert [m.shape for m in matrices] == [(2, 2)] and [o.shape for o in others] == [(3, 2), (2,)]
