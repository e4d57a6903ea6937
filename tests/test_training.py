import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import invtransfer
from invtransfer import FineTuner, InvariantPretrainer
from invtransfer.networks.devices import resolve_device, resolve_precision, strides_beyond_input
from invtransfer.networks.training import learning_rate_factor, train
from invtransfer.paper.timing import seconds_per_image

PACKAGE = str(Path(invtransfer.__file__).parent)


def linear(n_features, n_classes, weight=0.0):
    layer = nn.Linear(n_features, n_classes)
    nn.init.constant_(layer.weight, weight)
    nn.init.zeros_(layer.bias)
    return layer


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def settings(**changed):
    return {"epochs": 1, "batch_size": 4, "learning_rate": 0.1, "generator": generator()} | changed


def test_the_first_step_of_adam_is_the_learning_rate():
    # Adam divides the gradient by its own size in the first step, so each weight moves by the learning rate, against
    # the gradient's sign: towards class 1 for the feature of class 1, away from class 0
    X, y = np.ones((4, 1), dtype=np.float32), np.ones(4, dtype=np.int64)
    layer = linear(1, 2)
    history = train(layer, X, y, **settings())
    assert layer.weight.flatten().tolist() == pytest.approx([-0.1, 0.1], abs=1e-5)
    assert history["loss"] == pytest.approx([np.log(2)], abs=1e-6)  # two equal classes before that step


def test_it_learns_what_can_be_learned():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=300)
    X = (np.eye(3)[y] + rng.normal(0, 0.2, (300, 3))).astype(np.float32)
    layer = linear(3, 3)
    history = train(layer, X, y, **settings(epochs=30, batch_size=32))
    assert history["loss"][-1] < 0.1 < history["loss"][0]
    accuracy = (layer(torch.from_numpy(X)).argmax(1).numpy() == y).mean()
    assert accuracy > 0.97


def test_every_sample_is_seen_once_an_epoch_in_batches_as_equal_as_can_be():
    seen = []

    class Spy(nn.Linear):
        def forward(self, X):
            seen.append(X.flatten().tolist())
            return super().forward(X)

    train(Spy(1, 2), np.arange(10, dtype=np.float32)[:, None], np.zeros(10, np.int64), **settings(epochs=2))
    assert [len(batch) for batch in seen] == [4, 3, 3, 4, 3, 3]
    assert sorted(sum(seen[:3], [])) == sorted(sum(seen[3:], [])) == list(range(10))
    assert seen[0] != seen[3]  # in another order


def test_the_best_validation_epoch_is_kept():
    # The training labels are the opposite of the validation labels: every epoch makes validation worse, so the best is
    # the first, whose weights are those after one epoch
    X = np.array([[1.0], [-1.0]], dtype=np.float32)
    y = np.array([1, 0])
    kept = linear(1, 2)
    with torch.no_grad():
        kept.weight[:] = torch.tensor([[0.35], [-0.35]])  # right on validation until three steps of 0.1 per weight
    history = train(kept, X, y, X_val=X, y_val=1 - y, **settings(epochs=8, batch_size=2))
    assert history["val_accuracy"][0] == 1.0
    assert history["val_accuracy"][-1] == 0.0
    assert history["best_epoch"] == 0
    assert kept.weight.flatten().tolist() == pytest.approx([0.25, -0.25], abs=1e-3)


def test_buffers_of_the_best_epoch_are_kept_also_if_no_file_would_hold_them():
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = linear(1, 2)
            self.register_buffer("steps", torch.zeros(()), persistent=False)

        def forward(self, X):
            self.steps += self.training
            return self.linear(X)

    X, y, kept = np.array([[1.0], [-1.0]], dtype=np.float32), np.array([1, 0]), Counts()
    with torch.no_grad():
        kept.linear.weight[:] = torch.tensor([[0.35], [-0.35]])  # as above, the first epoch is the best
    assert train(kept, X, y, X_val=X, y_val=1 - y, **settings(epochs=8, batch_size=2))["best_epoch"] == 0
    assert kept.steps.item() == 1


def test_without_validation_the_last_epoch_is_kept():
    X, y = np.ones((4, 1), dtype=np.float32), np.ones(4, dtype=np.int64)
    assert train(linear(1, 2), X, y, **settings(epochs=3))["best_epoch"] == 2


def test_images_can_be_renewed_each_epoch():
    asked = []

    def renew(epoch):
        asked.append(epoch)
        return np.full((4, 1), epoch, dtype=np.float32)

    train(linear(1, 2), np.zeros((4, 1), np.float32), np.array([0, 1, 0, 1]), renew=renew, **settings(epochs=3))
    assert asked == [0, 1, 2]


def test_same_generator_same_weights_and_no_global_one():
    X = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    y = (X[:, 0] > 0).astype(np.int64)
    networks = [nn.Sequential(nn.Dropout(0.5), linear(4, 2)) for _ in range(4)]
    state = torch.random.get_rng_state()
    for seed, network in zip((0, 0, 1), networks, strict=False):
        train(network, X, y, **settings(epochs=2, generator=generator(seed)))
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(1)  # of another state of the global generator, dropout knows nothing
    train(networks[3], X, y, **settings(epochs=2))
    one, same, other, again = (network[1].weight for network in networks)
    assert torch.equal(one, same)
    assert torch.equal(one, again)
    assert (one != other).any()


def test_a_loss_that_is_no_number_is_an_error():
    X = np.full((4, 1), 1e38, dtype=np.float32)
    with pytest.raises(ValueError, match="the training loss became (nan|inf) in epoch 1: lower learning_rate=0.1"):
        train(linear(1, 2, weight=1e30), X, np.array([0, 1, 0, 1]), **settings())


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_weight_that_was_no_number_before_is_not_blamed_on_the_training(epochs):
    X, y = np.ones((4, 1), dtype=np.float32), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match="^weight of the network holds NaN or infinity already before training$"):
        train(linear(1, 2, weight=float("nan")), X, y, **settings(epochs=epochs))
    masked = nn.Sequential(linear(1, 2))
    masked.mask = nn.Parameter(torch.tensor(float("-inf")), requires_grad=False)
    train(masked, X, y, **settings(epochs=epochs))


def test_schedules():
    assert {learning_rate_factor("constant", step, 10) for step in range(10)} == {1.0}
    factors = [learning_rate_factor("one-cycle", step, 100) for step in range(100)]
    assert np.argmax(factors) == 20
    assert max(factors) == 1.0
    assert np.allclose(np.diff(factors[:20]), 1 / 21)
    assert np.allclose(np.diff(factors[21:]), -1 / 80)
    assert 0 < factors[-1] < 0.02
    assert learning_rate_factor("one-cycle", 0, 1) > 0  # a single step still learns
    # the first of 5 steps has all of the rate, and each has a fifth less: after the last it would be 0
    assert [learning_rate_factor("linear", step, 5) for step in range(6)] == [1.0, 0.8, 0.6, 0.4, 0.2, 0.0]
    with pytest.raises(ValueError, match="schedule is 'cosin', expected one of: constant, one-cycle"):
        learning_rate_factor("cosin", 0, 10)


def test_precision(monkeypatch):
    assert resolve_precision("bfloat16", torch.device("cpu")) == "bfloat16"
    assert resolve_precision("auto", torch.device("cpu")) in ("float32", "bfloat16")
    assert resolve_precision("auto", torch.device("mps")) == "float32"
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    plain, slow = nn.Conv2d(4, 4, 3), [nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 4, 3, dilation=2)]
    for network, expected in (
        (None, "bfloat16"), (plain, "bfloat16"), (slow[0], "float32"), (slow[1], "float32"),
        (nn.Sequential(*slow, plain, nn.Linear(4, 2)), "float32"),  # two that are slow, one linear layer
        (nn.Sequential(slow[0], nn.Linear(4, 2)), "bfloat16"),
    ):  # fmt: skip
        assert resolve_precision("auto", torch.device("cpu"), network) == expected
        assert resolve_precision("bfloat16", torch.device("cpu"), network) == "bfloat16"
    with pytest.raises(ValueError, match="precision is 'float16', expected one of: auto, float32, bfloat16"):
        resolve_precision("float16", torch.device("cpu"))


def test_device():
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ValueError, match="device is 'gpu', expected 'auto', .*: torch knows no such device"):
        resolve_device("gpu")


def test_cosine_schedule_is_the_papers_for_the_vit():
    """1e-3 to 1e-5 over 50 epochs, after 5 epochs of warm-up (Appendix B.2); torch's own schedulers say the same."""
    n_batches = 7
    factors = [learning_rate_factor("cosine", step, 50 * n_batches, n_batches) for step in range(50 * n_batches)]
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1e-3)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 45 * n_batches - 1, eta_min=1e-5)
    for factor in factors[5 * n_batches :]:
        assert 1e-3 * factor == pytest.approx(decay.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        decay.step()
    assert np.diff(factors[: 5 * n_batches + 1]) == pytest.approx(1 / (5 * n_batches + 1))  # linear, up to 1
    assert factors[5 * n_batches] == 1
    assert factors[-1] == pytest.approx(0.01)
    short = [learning_rate_factor("cosine", step, 6 * n_batches, n_batches) for step in range(6 * n_batches)]
    assert np.argmax(short) == 4  # a tenth of 42 steps, where 5 epochs would be nearly all


def test_no_epochs_leave_the_initial_weights():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2))
    before = network[1].weight.clone()
    X, y = np.zeros((4, 2, 2, 3), dtype=np.uint8), np.array([0, 1, 0, 1])
    history = train(network, X, y, X_val=X, y_val=y, epochs=0, batch_size=2, learning_rate=1.0,
                    generator=torch.Generator().manual_seed(0))  # fmt: skip
    assert history == {"loss": [], "best_epoch": -1, "val_accuracy": []}
    assert torch.equal(network[1].weight, before)
    assert not network.training


def test_projected_seconds_grow_with_the_network():
    training, encoding = seconds_per_image("resnet18", 0.0625, 4)
    assert 0 < encoding < training
    assert seconds_per_image("resnet18", 1.0, 4)[0] > 2 * training  # 256 times the multiplications


def test_weights_that_break_in_the_last_step_are_found():
    class Overflow(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, gradient):
            return gradient * float("inf")

    class Broken(nn.Linear):
        def forward(self, x):
            return super().forward(Overflow.apply(x * self.weight.sum()))

    X, y = np.ones((4, 3), dtype=np.float32), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match="weight is not finite after training: lower learning_rate=0.1"):
        train(Broken(3, 2), X, y, epochs=1, batch_size=4, learning_rate=0.1, generator=generator())


@pytest.mark.parametrize("side", [1, 2, 3])
def test_strides_beyond_the_input_are_where_bfloat16_gradients_are_wrong(side):
    layer = nn.Conv2d(8, 16, 3, stride=2, padding=1)
    X = np.random.default_rng(0).integers(256, size=(4, side, side, 8), dtype=np.uint8)
    assert strides_beyond_input(layer, X) == (side == 1)
    assert not layer._forward_pre_hooks
    assert not strides_beyond_input(nn.Conv2d(8, 16, 3, padding=1), X)  # no stride


@pytest.mark.parametrize("estimator", [InvariantPretrainer, FineTuner])
def test_below_fit_there_are_train_and_one_epoch(images, estimator):
    frames = []

    class Spy(nn.Flatten):
        def forward(self, X):
            if self.training:
                frames.append([frame.function for frame in inspect.stack() if PACKAGE in frame.filename])
            return super().forward(X)

    estimator(Spy(), epochs=1, batch_size=40).fit(images, np.arange(40) % 2)
    assert frames == [["forward", "_train_epoch", "train", "fit"]]  # the first is that of LayerFeatures


def test_small_images_are_trained_in_float32_by_a_network_made_for_larger_ones():
    X, y = np.random.default_rng(0).integers(256, size=(16, 4, 4, 3), dtype=np.uint8), np.arange(16) % 2
    layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1)]
    module = nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 2))  # 4 x 4, 2 x 2, 1 x 1 and a stride of 2
    fitted = [
        InvariantPretrainer(module, epochs=3, batch_size=8, precision=precision, random_state=0).fit(X, y)
        for precision in ("bfloat16", "float32")
    ]
    for name, value in fitted[0].weights_.items():
        np.testing.assert_array_equal(value, fitted[1].weights_[name])
