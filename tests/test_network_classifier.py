"""What `InvariantPretrainer` and `FineTuner` have in common, for networks with names and for modules of one's own."""

import pickle

import numpy as np
import pytest
import torch
from estimator_checks import assert_all_pass, digest, outputs, own, smallest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch import nn

from invtransfer import FineTuner, InvariantPretrainer, Transforms2D, load_encoder, save_encoder
from invtransfer.encoders.encoding import open_encoder
from invtransfer.networks.architectures import NETWORKS

QUICK = {"epochs": 2, "batch_size": 32, "random_state": 0}


@pytest.fixture(scope="module", autouse=True)
def named_network():
    """Make the network with a name the smallest: which it is decides nothing here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "resnet18", smallest)
        yield


@pytest.fixture(scope="module")
def target(objects):
    """Other objects than those of `source`, which the encoders that are tuned have learned."""
    return Transforms2D(objects[10:15], ["rotate", "blur"], image_size=16, random_state=5)


@pytest.fixture(scope="module", params=["pretrainer", "pretrainer of a module", "tuner", "tuner of a module"])
def make(request, source):
    """A function that makes an unfitted estimator with quick settings, and what else is given."""
    if request.param == "tuner":
        encoder = InvariantPretrainer(**QUICK).fit(*source.sample(64))
        return lambda **more: FineTuner(encoder, **(QUICK | more))
    if request.param == "tuner of a module":
        return lambda **more: FineTuner(own(), **(QUICK | more))
    network = {"network": own()} if request.param == "pretrainer of a module" else {}
    return lambda **more: InvariantPretrainer(**(network | QUICK | more))


@pytest.fixture(scope="module")
def fitted(make, target):
    return make().fit(*target.sample(64))


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "estimator",
    [InvariantPretrainer(epochs=2, learning_rate=3e-2, precision="float32"), FineTuner(None, epochs=1)],
    ids=["pretrainer", "tuner"],
)
def test_the_whole_suite_of_scikit_learn_passes(estimator):
    assert_all_pass(estimator.set_params(batch_size=32, random_state=0), n_checks=59)


def test_random_state_decides_and_no_global_generator(make, fitted, target):
    data = target.sample(64)
    torch.rand(1), np.random.rand(1)  # other states than those in which `fitted` was fitted  # noqa: NPY002
    before = torch.random.get_rng_state().tolist(), pickle.dumps(np.random.get_state())  # noqa: NPY002
    same = clone(fitted).fit(*data)
    others = [make(random_state=1).fit(*data), make(transformations=["noise"]).fit(*data)]
    assert digest(same.weights_) == digest(fitted.weights_)
    assert len({digest(one.weights_) for one in (same, *others)}) == 3
    assert before == (torch.random.get_rng_state().tolist(), pickle.dumps(np.random.get_state()))  # noqa: NPY002


def test_labels_of_any_kind_and_flattened_images(make, target):
    X, y = target.sample(64)
    rows, names = X.reshape(64, -1), np.array(list("edcba"))[y]
    estimator = make().fit(X, names)
    assert estimator.classes_.tolist() == list("abcde")
    assert set(estimator.predict(X)) <= set("abcde")
    assert np.allclose(estimator.predict_proba(X).sum(axis=1), 1)
    assert estimator.n_features_in_ == 16 * 16 * 3
    assert (estimator.transform(rows) == estimator.transform(X)).all()
    flat = make(image_shape=(16, 16, 3)).fit(rows, names)
    assert digest(flat.weights_) == digest(estimator.weights_)
    assert (flat.predict(rows) == estimator.predict(X)).all()


def test_uint8_and_float_images_give_the_same_features(fitted, target):
    X, _ = target.sample(20)
    assert np.allclose(fitted.transform(X), fitted.transform(X / 255.0), atol=1e-4)


def test_batch_composition_changes_no_feature(fitted, target):
    X, _ = target.sample(200)
    assert (fitted.transform(X[150:153]) == fitted.transform(X)[150:153]).all()


def test_a_pickle_holds_arrays_and_works(fitted, target):
    X, _ = target.sample(20)
    data = pickle.dumps(fitted)
    again = pickle.loads(data)
    assert (again.transform(X) == fitted.transform(X)).all()
    assert (again.predict_proba(X) == fitted.predict_proba(X)).all()
    assert all(isinstance(value, np.ndarray) for value in fitted.weights_.values())
    if not any(isinstance(value, nn.Module) for value in fitted.get_params().values()):
        assert b"torch" not in data


def test_the_module_is_a_copy_that_computes_the_same(fitted, target):
    X, _ = target.sample(20)
    Z = fitted.transform(X)
    module = fitted.module()
    assert not module.training
    assert np.allclose(outputs(module[:2], X), Z, atol=1e-4)
    assert np.allclose(softmax(outputs(module, X), axis=1), fitted.predict_proba(X), atol=1e-4)
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
    assert (fitted.transform(X) == Z).all()


def test_an_opened_copy_makes_its_network_once(fitted, target, monkeypatch):
    X, _ = target.sample(20)
    Z, opened = fitted.transform(X), open_encoder(fitted)
    monkeypatch.setattr(type(fitted), "module", None)
    assert (opened.transform(X) == Z).all()
    assert open_encoder(opened) is opened
    assert "_network" not in vars(fitted)


def test_an_opened_copy_can_be_fitted_again(make, fitted, target):
    X, y = target.sample(40)
    opened = fitted.opened().fit(X, y)
    assert (opened.transform(X) == make().fit(X, y).transform(X)).all()


def test_the_best_validation_epoch_is_kept(make, target):
    # validation labels are those of other classes, so that learning makes them rarer: an early epoch is the best
    X, y = target.sample(200)
    estimator = make(epochs=5, learning_rate=0.02).fit(X, y, X, (y + 1) % 5)
    accuracies = estimator.history_["val_accuracy"]
    assert estimator.history_["best_epoch"] == np.argmax(accuracies)
    # in another layout of memory the logits round otherwise, which may decide three images of 200
    assert estimator.score(X, (y + 1) % 5) == pytest.approx(max(accuracies), abs=0.015)
    assert len(estimator.history_["loss"]) == estimator.n_iter_ == 5


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epochs": -1}, "epochs is -1, expected a whole number of at least 0"),
        ({"batch_size": 1}, "batch_size is 1, expected a whole number of at least 2"),
        ({"learning_rate": 0}, "learning_rate is 0, expected a number above 0"),
        ({"learning_rate": np.nan}, "learning_rate is nan, expected a number above 0"),
        ({"learning_rate": 1e38}, "lower learning_rate=1e[+]38"),
        ({"weight_decay": -1}, "weight_decay is -1, expected a number of at least 0"),
        ({"schedule": "lineal"}, "schedule is 'lineal', expected one of: constant, one-cycle, cosine, linear"),
        ({"precision": "half"}, "precision is 'half', expected one of: auto, float32, bfloat16"),
        ({"device": "gpu"}, "device is 'gpu', expected 'auto', 'cpu', 'cuda', or another"),
        ({"image_shape": (16, 16)}, r"image_shape is \(16, 16\), expected \(height, width, 3\), whole numbers"),
        ({"image_shape": (8, 8, 3)}, r"X has images of shape \(16, 16, 3\), expected \(8, 8, 3\)"),
    ],
)
def test_bad_parameters_are_named(make, target, parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters).fit(*target.sample(20))


def test_bad_data_are_named(make, fitted, target):
    X, y = target.sample(20)
    for data, message in (
        ((X, np.full(20, 7)), "y holds one class only, 7, expected at least 2 classes"),
        ((X, y[:5]), "inconsistent numbers of samples"),
        ((X, y, X), "y_val is None, expected validation images and their labels, or neither"),
        ((X, y, X, np.full(20, 9)), r"y_val holds labels that y does not: \[9\]"),
    ):
        with pytest.raises(ValueError, match=message):
            make().fit(*data)
    with pytest.raises(ValueError, match=r"X has images of shape \(8, 16, 3\), expected \(16, 16, 3\)"):
        fitted.transform(X[:, :8])
    with pytest.raises(NotFittedError):
        make().transform(X)


class Twice(nn.Module):
    """A layer that comes twice, with the same weights under two names, and a number that is not a tensor."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.second.weight = self.first.weight

    def forward(self, images):
        return self.second(torch.relu(self.first(images))).mean((2, 3))

    def get_extra_state(self):
        return {"format": 1}

    def set_extra_state(self, state):
        assert state == {"format": 1}


@pytest.mark.parametrize("tuned", [False, True], ids=["pretrainer", "tuner"])
def test_weights_that_layers_share_stay_one(tuned, target, tmp_path):
    """In the module of a fitted estimator, one that is tuned further, and one that a file gave back."""
    X, y = target.sample(64)
    first = InvariantPretrainer(own(Twice), checkpoint=tmp_path / "state", **QUICK).fit(X, y, X_val=X, y_val=y)
    fitted = FineTuner(first, **QUICK).fit(X, y) if tuned else first
    save_encoder(fitted, tmp_path / "encoder.npz")
    for one in (fitted, load_encoder(tmp_path / "encoder.npz", own(Twice)), pickle.loads(pickle.dumps(fitted))):
        layers = one.module().backbone.module
        assert layers.second.weight is layers.first.weight
        assert digest(one.weights_) == digest(fitted.weights_)
        assert np.array_equal(one.transform(X), fitted.transform(X))
    assert digest(first.weights_) != digest(fitted.weights_) or not tuned


def test_a_file_whose_shared_weights_differ_is_refused(target, tmp_path):
    X, y = target.sample(64)
    fitted = InvariantPretrainer(own(Twice), **QUICK).fit(X, y)
    fitted.weights_["backbone.module.second.weight"] = fitted.weights_["backbone.module.second.weight"] + 1
    save_encoder(fitted, tmp_path / "encoder.npz")
    with pytest.raises(ValueError, match=r"backbone.module.first.weight and \S+second.weight differ, but are one"):
        load_encoder(tmp_path / "encoder.npz", own(Twice))
