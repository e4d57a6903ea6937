"""A training that was stopped and goes on is the training that never stopped, bit for bit."""

import errno
import json
import os
import subprocess
import sys
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from disk_errors import fail_on_disk
from estimator_checks import own
from torch import nn

from invtransfer import FineTuner, InvariantPretrainer
from invtransfer.networks import checkpoints, training
from invtransfer.networks.checkpoints import Checkpoint, fingerprint_training
from invtransfer.networks.inference import compute_outputs
from invtransfer.networks.training import train
from invtransfer.storage import read_arrays, write_arrays

EPOCHS = 3


class Stop(Exception):
    """A kill that a test survives."""


class Drops(nn.Module):
    """What is easily forgotten: dropout, a frozen layer, a buffer that training changes and one that none can write."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2)
        self.norm = nn.BatchNorm2d(8)
        self.frozen = nn.Conv2d(8, 8, 1).requires_grad_(False)
        self.dropout = nn.Dropout(0.3)
        self.fc = nn.Linear(8, 4)
        self.register_buffer("steps", torch.zeros(()), persistent=False)
        self.register_buffer("ones", torch.ones(()).expand(8))

    def forward(self, images):
        if self.training:
            self.steps += 1
        features = self.frozen(self.norm(self.conv(images)).relu()).mean(dim=(2, 3)) * self.ones
        return self.fc(self.dropout(features * (1 + self.steps / 100)))


drops = partial(own, Drops)


def fit_until(monkeypatch, epoch, estimator, *data):
    """Write the state after each epoch, and stop after one of them."""
    save = Checkpoint.save

    def save_and_stop(self, history, best_weights):
        save(self, history, best_weights)
        if len(history["loss"]) == epoch:
            raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "is_due", lambda self: True)
        patch.setattr(Checkpoint, "save", save_and_stop)
        with pytest.raises(Stop):
            estimator.fit(*data)


def assert_same(one, other, X):
    assert one.history_ == other.history_
    assert list(one.weights_) == list(other.weights_)
    for name, value in one.weights_.items():
        np.testing.assert_array_equal(value, other.weights_[name], err_msg=name)
        assert value.strides == other.weights_[name].strides, name
    np.testing.assert_array_equal(one.transform(X), other.transform(X))


SETTINGS = {"epochs": EPOCHS, "batch_size": 16, "learning_rate": 0.02, "random_state": 0, "device": "cpu"}
KINDS = {
    "resnet18": lambda **more: InvariantPretrainer(width=0.0625, weight_decay=1e-3, **SETTINGS, **more),
    "muon": lambda **more: InvariantPretrainer(drops(), optimizer="muon", **SETTINGS, **more),
    "bfloat16": lambda **more: InvariantPretrainer(drops(), precision="bfloat16", **SETTINGS, **more),
    "cosine": lambda **more: InvariantPretrainer(drops(), schedule="cosine", **SETTINGS, **more),
    "dropout": lambda **more: InvariantPretrainer(drops(), **SETTINGS, **more),
    "transformations": lambda **more: InvariantPretrainer(drops(), transformations=["hue"], **SETTINGS, **more),
    "tuner": lambda **more: FineTuner(drops(), transformations=["rotate"], **SETTINGS, **more),
}


# properties


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_training_goes_on_to_the_same_weights(kind, source, tmp_path, monkeypatch):
    # all epochs are equally right, so that the first is the best: its weights are kept until the end, and come back
    monkeypatch.setattr(training, "compute_outputs", lambda network, X: 0 * compute_outputs(network, X))
    X, y = data = source.sample(32)
    undisturbed = KINDS[kind]().fit(X, y, *data)
    assert undisturbed.history_["best_epoch"] == 0
    for epoch in range(1, EPOCHS + 1) if kind == "dropout" else (2,):
        path = tmp_path / f"{epoch}.npz"
        fit_until(monkeypatch, epoch, KINDS[kind](checkpoint=path), X, y, *data)
        assert len(read_arrays(path)[1]["history"]["loss"]) == epoch
        assert_same(KINDS[kind](checkpoint=path).fit(X, y, *data), undisturbed, X)


def test_without_validation_and_stopped_after_each_epoch(source, tmp_path, monkeypatch):
    X, y = source.sample(48)
    undisturbed = KINDS["dropout"]().fit(X, y)
    make = partial(KINDS["dropout"], checkpoint=str(tmp_path / "new" / "state"))
    for epoch in range(1, EPOCHS + 1):
        fit_until(monkeypatch, epoch, make(), X, y)
    assert_same(make().fit(X, y), undisturbed, X)
    assert os.listdir(tmp_path / "new") == ["state"]


def fit_long(checkpoint=None):
    """Train for longer than two processes live."""
    X, y = np.random.default_rng(0).integers(256, size=(100, 16, 16, 3), dtype=np.uint8), np.arange(100) % 4
    settings = SETTINGS | {"epochs": 30, "batch_size": 10, "transformations": ["hue"], "checkpoint": checkpoint}
    return InvariantPretrainer(drops(), **settings).fit(X, y, X[:50], y[:50])


KILLED = """
import os, signal, sys, time
import numpy as np, torch
sys.path.insert(0, {folder!r})
from test_checkpoints import fit_long

torch.set_num_threads({threads})
torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # which imports more, once for all that are forked

def start():
    child = os.fork()
    if child:
        return child
    try:
        np.savez({done!r}, **fit_long({state!r}).weights_)
        os._exit(0)
    finally:
        os._exit(1)

def written():
    return os.stat({state!r}).st_mtime_ns if os.path.exists({state!r}) else 0

rng = np.random.default_rng()
for _ in range(2):
    child, before = start(), written()
    while written() == before and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    print(os.WIFSIGNALED(os.waitpid(child, 0)[1]), written() > 0, flush=True)
assert os.waitpid(start(), 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs kill -9")
def test_killed_processes_lead_to_the_same_weights(tmp_path):
    state, done = str(tmp_path / "state"), str(tmp_path / "done.npz")
    code = KILLED.format(folder=os.path.dirname(__file__), threads=torch.get_num_threads(), state=state, done=done)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "True True\n" * 2), ran.stderr  # killed, and there was a state
    with np.load(done) as weights:
        undisturbed = fit_long().weights_
        assert weights.files == list(undisturbed)
        for name, value in undisturbed.items():
            np.testing.assert_array_equal(weights[name], value)
    assert sorted(os.listdir(tmp_path)) == ["done.npz", "state"]  # and nothing half-written


def small(tmp_path, **changed):
    """Train a linear classifier of random numbers, with a checkpoint."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)).astype(np.float32), rng.integers(2, size=20)
    network = nn.Linear(3, 2)
    nn.init.constant_(network.weight, 0.5), nn.init.zeros_(network.bias)
    generator = torch.Generator().manual_seed(changed.pop("seed", 0))
    settings = {"X": X, "y": y, "X_val": X, "y_val": y, "epochs": 3, "batch_size": 5, "learning_rate": 0.1}
    settings = {"network": network, "checkpoint": tmp_path / "state", "generator": generator} | settings | changed
    return train(**settings), settings["network"]


def test_a_finished_training_is_not_done_again(tmp_path, monkeypatch):
    history, network = small(tmp_path)
    monkeypatch.setattr(torch.optim.Adam, "step", None)
    again, same = small(tmp_path)
    assert again == history
    assert torch.equal(network.weight, same.weight)
    assert not same.training


def test_writing_takes_a_twentieth_of_the_time(tmp_path, monkeypatch):
    # a clock on which an epoch takes 10 s and writing 4 s, so that 80 s pass until the next: 8 epochs
    now, written = [0.0], []
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])

    def write(path, arrays, description):
        now[0] += 4.0
        written.append(len(description["history"]["loss"]))

    def renew(epoch):
        now[0] += 10.0
        return np.zeros((20, 3), np.float32)

    monkeypatch.setattr(checkpoints, "write_arrays", write)
    small(tmp_path, renew=renew, epochs=20, X_val=None, y_val=None)
    assert written == [1, 9, 17, 20]


def test_the_file_holds_arrays_and_json(tmp_path):
    small(tmp_path)
    arrays, description = read_arrays(tmp_path / "state")
    assert set(arrays) == {
        "network/weight", "network/bias", "best/weight", "best/bias", "random/order", "random/cpu",
        *(f"optimizer/{i}/{name}" for i in (0, 1) for name in ("step", "exp_avg", "exp_avg_sq")),
    }  # fmt: skip
    assert arrays["optimizer/0/step"] == 12  # 3 epochs of 4 steps
    assert json.loads(json.dumps(description)) == description


def test_addresses_in_memory_are_no_difference():
    class Odd(nn.Linear):
        def extra_repr(self):
            return object().__repr__()

    one, other = Odd(2, 2), Odd(2, 2)
    other.load_state_dict(one.state_dict())
    keep = [object() for _ in range(3)]
    assert fingerprint_training(one, torch.Generator(), {}, {}) == fingerprint_training(
        other, torch.Generator(), {}, {}
    )
    assert len(keep) == 3


# errors


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({"epochs": 4}, r"epochs \(3 there, 4 here\)"),
        ({"batch_size": 4, "learning_rate": 0.2}, r"batch_size \(5 .* 4 here\), learning_rate \(0.1 .* 0.2 here\)"),
        ({"schedule": "linear"}, r"schedule \('constant' there, 'linear' here\)"),
        ({"weight_decay": 1.0}, r"weight_decay \(0.0 there, 1.0 here\)"),
        ({"precision": "bfloat16"}, r"precision \('float32' there, 'bfloat16' here\)"),
        ({"X": np.zeros((20, 3), np.float32)}, "X"),
        ({"y": np.zeros(20, np.int64)}, "y"),
        ({"X_val": np.zeros((20, 3), np.float32)}, "X_val"),
        ({"X_val": None, "y_val": None}, "X_val, y_val"),
        ({"y_val": np.zeros(20, np.int64)}, "y_val"),
        ({"renew": lambda epoch: np.zeros((20, 3), np.float32)}, "transformations"),
        ({"seed": 1}, "random state"),
        ({"network": nn.Linear(3, 2)}, "initial weights"),
    ],
)  # fmt: skip
def test_a_checkpoint_of_another_training_is_named(tmp_path, changed, differs):
    small(tmp_path)
    before = (tmp_path / "state").read_bytes()
    message = f"checkpoint .*state belongs to another training, which differs in {differs}: delete it to train"
    with pytest.raises(ValueError, match=message):
        small(tmp_path, **changed)
    assert (tmp_path / "state").read_bytes() == before


def test_threads_and_layers_make_another_training(tmp_path):
    small(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        with pytest.raises(ValueError, match=rf"threads \({threads} there, {threads + 1} here\)"):
            small(tmp_path)
    finally:
        torch.set_num_threads(threads)
    images = {"X": np.zeros((20, 8, 8, 3), np.uint8), "X_val": None, "y_val": None}
    small(tmp_path / "dropout", network=drops(), **images)
    other = drops()
    other.dropout.p = 0.5
    with pytest.raises(ValueError, match="differs in layers: "):
        small(tmp_path / "dropout", network=other, **images)


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "lacking", "other shape"])
def test_a_damaged_checkpoint_is_a_warning(tmp_path, damage):
    history, network = small(tmp_path)
    path = tmp_path / "state"
    content = path.read_bytes()
    arrays, description = read_arrays(path)
    if damage in ("cut", "empty"):
        path.write_bytes(content[: len(content) // 2 if damage == "cut" else 0])
    elif damage == "changed":
        path.write_bytes(content[:2000] + bytes([content[2000] ^ 1]) + content[2001:])
    else:
        changed = {"lacking": {}, "other shape": {"network/bias": np.zeros(3, np.float32)}}[damage]
        del arrays["network/bias"]
        write_arrays(path, arrays | changed, description)
    with pytest.warns(UserWarning, match="checkpoint .*state is damaged, the training starts from the beginning: "):
        again, same = small(tmp_path)
    assert again == history
    assert torch.equal(network.weight, same.weight)
    assert read_arrays(path)[1] == description  # whole again


def test_files_of_another_kind_are_left_alone(tmp_path):
    write_arrays(tmp_path / "state", {"a": np.zeros(3)}, {"content": "encoder"})
    with pytest.raises(ValueError, match="checkpoint .*state holds no state of a training: name another file"):
        small(tmp_path)
    assert read_arrays(tmp_path / "state")[1] == {"content": "encoder"}
    with pytest.raises(TypeError, match="checkpoint is 5, expected the path of a file or folder"):
        small(tmp_path, checkpoint=5)
    with pytest.raises(OSError, match="cannot write .*: it is a folder"):
        small(tmp_path, checkpoint=tmp_path)


def test_a_full_disk_is_a_warning(tmp_path, monkeypatch):
    history, network = small(tmp_path / "whole")

    def write(path, arrays, description):
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoints, "write_arrays", write)
    with pytest.warns(UserWarning, match="training goes on, but checkpoint .*state was not written: No space left"):
        again, same = small(tmp_path)
    assert again == history
    assert torch.equal(network.weight, same.weight)


@pytest.mark.parametrize("estimator", [InvariantPretrainer, FineTuner])
def test_a_checkpoint_needs_a_random_state(source, tmp_path, estimator):
    X, y = source.sample(20)
    with pytest.raises(ValueError, match="random_state is None, expected a number with checkpoint="):
        estimator(drops(), epochs=1, checkpoint=tmp_path / "state").fit(X, y)
    with warnings.catch_warnings():
        estimator(drops(), epochs=0, random_state=0, checkpoint=tmp_path / "state").fit(X, y)
    assert os.listdir(tmp_path) == []  # nothing was trained


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE, errno.EIO])
def test_a_checkpoint_that_cannot_be_opened_is_not_overwritten(tmp_path, monkeypatch, number):
    network = torch.nn.Linear(2, 2)
    training = network, torch.optim.Adam(network.parameters()), torch.Generator()
    checkpoint = Checkpoint(tmp_path / "state.npz", *training, {"epochs": 3})
    checkpoint.save({"loss": [0.5]}, None)
    with monkeypatch.context() as patch:
        fail_on_disk(patch, "state.npz", number)
        with pytest.raises(OSError, match=r"state\.npz") as caught:
            checkpoint.restore()
    assert caught.value.errno == number
    assert checkpoint.restore()[0] == {"loss": [0.5]}


def test_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    network = torch.nn.Linear(2, 2)
    training = network, torch.optim.Adam(network.parameters()), torch.Generator()
    Checkpoint("~/deep/state.npz", *training, {"epochs": 3}).save({"loss": [0.5]}, None)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["state.npz"]
