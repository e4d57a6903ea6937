"""Muon: orthogonalised momentum for matrices, Adam for the rest."""

import numpy as np
import pytest
import torch
from torch import nn

from invtransfer.networks.architectures import NETWORKS
from invtransfer.networks.optimizers import MATCHED_RMS, MOMENTUM, Muon, make_optimizer, orthogonalise


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def nearest_orthogonal(matrix):
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    return left @ right


@pytest.mark.parametrize("shape", [(8, 72), (72, 8), (3, 500), (1, 9)])
def test_singular_values_move_to_one_and_singular_vectors_stay(shape):
    matrix = normal(*shape)
    (made,) = orthogonalise([matrix])
    values = torch.linalg.svdvals(made)
    assert made.shape == matrix.shape
    assert values.min() > 0.5
    assert values.max() < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    along = left.T @ made @ right.T
    torch.testing.assert_close(along, torch.diag(along.diagonal()), atol=1e-3, rtol=0)


def test_matrices_of_other_lengths_do_not_disturb_one_another():
    matrices = [normal(8, 20), normal(72, 8, seed=1), 1e-3 * normal(8, 8, seed=2)]
    for together, matrix in zip(orthogonalise(matrices), matrices, strict=True):
        torch.testing.assert_close(together, orthogonalise([matrix])[0], atol=1e-4, rtol=1e-3)


def test_no_gradient_at_all_moves_nothing():
    (made,) = orthogonalise([torch.zeros(3, 4)])
    assert (made == 0).all()


def test_a_step_has_the_size_that_the_learning_rate_says():
    network = nn.Sequential(nn.Conv2d(32, 16, 3), nn.Flatten(), nn.Linear(16, 2))
    before = {name: value.clone() for name, value in network.named_parameters()}
    optimizer = Muon(network, lr=0.01)
    gradients = {name: normal(*value.shape, seed=i) for i, (name, value) in enumerate(network.named_parameters())}
    for name, value in network.named_parameters():
        value.grad = gradients[name].clone()
    optimizer.step()
    moved = {name: before[name] - value.detach() for name, value in network.named_parameters()}
    expected = 0.01 * MATCHED_RMS * 288**0.5 * nearest_orthogonal(gradients["0.weight"].flatten(1))
    difference = moved["0.weight"].flatten(1) - expected
    assert difference.norm() < 0.3 * expected.norm()  # singular values are near 1, not 1
    for name in ("0.bias", "2.weight", "2.bias"):  # Adam's first step
        torch.testing.assert_close(moved[name], 0.01 * gradients[name].sign(), atol=1e-5, rtol=1e-3)


def test_momentum_is_nesterovs_and_the_penalty_is_of_l2():
    layer = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 1))
    with torch.no_grad():
        layer[0].weight.copy_(torch.eye(2))
    optimizer = Muon(layer, lr=1e-6, weight_decay=0.5)
    for gradient in (torch.diag(torch.tensor([1.0, 0.0])), torch.zeros(2, 2)):
        layer[0].weight.grad = gradient
        optimizer.step()
    first = torch.tensor([1.5, 0.5])  # the gradient and half of the weight
    expected = MOMENTUM * first + 0.5
    kept = optimizer.state[layer[0].weight]["momentum"].diagonal()
    torch.testing.assert_close(kept, expected, atol=1e-4, rtol=0)


def test_a_step_looks_ahead_along_the_momentum():
    network = nn.Sequential(nn.Linear(5, 4, bias=False), nn.Linear(4, 1))
    optimizer, first, second = Muon(network, lr=0.1), normal(4, 5), normal(4, 5, seed=1)
    for gradient in (first, second):
        before = network[0].weight.detach().clone()
        network[0].weight.grad = gradient.clone()
        optimizer.step()
    moved = before - network[0].weight.detach()
    ahead = second + MOMENTUM * (MOMENTUM * first + second)
    (expected,) = orthogonalise([ahead])
    torch.testing.assert_close(moved, 0.1 * MATCHED_RMS * 5**0.5 * expected, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("name", NETWORKS)
def test_convolutions_and_hidden_layers_are_matrices_and_all_weights_are_moved_once(name):
    backbone, n_features = NETWORKS[name](width=0.125)
    network = nn.Sequential(backbone, nn.Linear(n_features, 5))
    matrices, others = (group["params"] for group in Muon(network, lr=0.1).param_groups)
    layers = [m for m in backbone.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert {id(weight) for weight in matrices} == {id(layer.weight) for layer in layers}
    assert sorted(map(id, [*matrices, *others])) == sorted(map(id, network.parameters()))


def test_frozen_weights_stay():
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    network[0].weight.requires_grad_(False)
    before = network[0].weight.clone()
    optimizer = make_optimizer("muon", network, 0.1, 0.01)
    for _ in range(2):
        network(normal(5, 3)).sum().backward()
        optimizer.step()
    assert torch.equal(network[0].weight, before)


def test_a_head_alone_is_trained_by_adam():
    network = nn.Linear(3, 2)
    network(normal(5, 3)).sum().backward()
    before = network.weight.clone()
    make_optimizer("muon", network, 0.1, 0.0).step()
    torch.testing.assert_close((network.weight - before).abs(), torch.full((2, 3), 0.1), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": "sgd"}, "optimizer is 'sgd', expected one of: adam, muon"),
        ({"learning_rate": 0}, "learning_rate is 0, expected a number above 0"),
        ({"weight_decay": -1}, "weight_decay is -1, expected a number of at least 0"),
    ],
)
def test_bad_arguments(changed, message):
    with pytest.raises(ValueError, match=message):
        make_optimizer(
            **{"name": "muon", "network": nn.Linear(2, 2), "learning_rate": 0.1, "weight_decay": 0} | changed
        )
