import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from invtransfer import InvariantPretrainer, TransformedImages, Transforms2D
from invtransfer.pretraining import channel_statistics

QUICK = {"width": 0.125, "epochs": 8, "batch_size": 32, "learning_rate": 1e-2, "schedule": "one-cycle"}


@pytest.fixture(scope="module")
def fitted(source):
    return InvariantPretrainer(**QUICK, random_state=0).fit(*source.sample(400))


def test_it_learns_and_generalises(fitted, source):
    assert fitted.score(*source.sample(200, start=1000)) > 0.8  # chance is 0.2
    assert fitted.transform(source.sample(3)[0]).shape == (3, 64)
    assert fitted.transform(source.sample(3)[0]).dtype == np.float32


def test_refitting_gives_the_same_weights(fitted, source):
    again = clone(fitted).fit(*source.sample(400))
    assert all((again.weights_[name] == value).all() for name, value in fitted.weights_.items())


def test_random_state_decides(source):
    data = source.sample(64)
    first, second = (InvariantPretrainer(width=0.0625, epochs=1, random_state=i).fit(*data).weights_ for i in (0, 1))
    assert any((first[name] != second[name]).any() for name in first)


def test_no_global_generator_is_read_or_written(source):
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    InvariantPretrainer(width=0.0625, epochs=1, transformations=["noise"], random_state=0).fit(*source.sample(64))
    assert (torch.random.get_rng_state() == torch_state).all()
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


def test_labels_of_any_kind(source):
    X, y = source.sample(64)
    names = np.array(["e", "d", "c", "b", "a"])[y]
    encoder = InvariantPretrainer(width=0.0625, epochs=1, random_state=0).fit(X, names)
    assert encoder.classes_.tolist() == ["a", "b", "c", "d", "e"]
    assert set(encoder.predict(X)) <= set("abcde")
    assert np.allclose(encoder.predict_proba(X).sum(axis=1), 1)


def test_flattened_images_are_the_same_images(fitted, source):
    X, y = source.sample(20)
    assert (fitted.transform(X.reshape(20, -1)) == fitted.transform(X)).all()
    X, y = source.sample(64)
    shapes = ({}, {"image_shape": (16, 16, 3)})
    four, two = (
        InvariantPretrainer(width=0.0625, epochs=1, random_state=0, **shape).fit(
            X if not shape else X.reshape(64, -1), y
        )
        for shape in shapes
    )
    assert all((four.weights_[name] == two.weights_[name]).all() for name in four.weights_)


def test_uint8_and_float_images_give_the_same_features(fitted, source):
    X, _ = source.sample(20)
    assert np.allclose(fitted.transform(X), fitted.transform(X / 255.0), atol=1e-4)


def test_batch_composition_changes_no_feature(fitted, source):
    X, _ = source.sample(200)
    assert (fitted.transform(X[150:153]) == fitted.transform(X)[150:153]).all()


def test_a_pickle_holds_arrays_and_works(fitted, source):
    X, _ = source.sample(10)
    data = pickle.dumps(fitted)
    assert all(isinstance(value, np.ndarray) for value in fitted.weights_.values())
    assert b"torch" not in data
    assert (pickle.loads(data).transform(X) == fitted.transform(X)).all()


def test_the_module_is_a_copy(fitted, source):
    X, _ = source.sample(10)
    before = fitted.transform(X)
    module = fitted.module()
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
    assert (fitted.transform(X) == before).all()
    # the module computes what transform does: images in, features out
    tensor = torch.from_numpy(X).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        assert np.allclose(fitted.module()[:2](tensor).numpy(), before, atol=1e-4)


def test_the_best_validation_epoch_is_kept(source):
    X_val, y_val = source.sample(100, start=5000)
    encoder = InvariantPretrainer(width=0.0625, epochs=4, batch_size=32, learning_rate=0.02, random_state=0)
    encoder.fit(*source.sample(200), X_val, y_val)
    accuracies = encoder.history_["val_accuracy"]
    assert encoder.history_["best_epoch"] == np.argmax(accuracies)
    assert encoder.score(X_val, y_val) == max(accuracies)


def test_transformations_are_drawn_anew_each_epoch(images, monkeypatch):
    starts = []
    sample = TransformedImages.sample

    def spy(self, n, start=0):
        starts.append((n, start, [t.name for t in self.transformations]))
        return sample(self, n, start)

    monkeypatch.setattr(TransformedImages, "sample", spy)
    InvariantPretrainer(width=0.0625, epochs=3, transformations=["hue"], random_state=0).fit(images, np.arange(40) % 2)
    assert starts == [(40, 0, ["hue"]), (40, 40, ["hue"]), (40, 80, ["hue"])]


def test_pretraining_with_a_transformation_makes_invariant_to_it(objects):
    # the planted truth of the whole toolkit, by the plainest statistic: features of turned twins come closer together
    def mean_distance(encoder):
        X, X_twin = target.twins(200, transformations=["rotate"])
        Z, Z_twin = encoder.transform(X), encoder.transform(X_twin)
        random_pairs = np.linalg.norm(Z - np.roll(Z_twin, 1, axis=0), axis=1)
        return np.linalg.norm(Z - Z_twin, axis=1).mean() / random_pairs.mean()

    target = Transforms2D(objects[30:40], image_size=16, random_state=1)
    with_it, without = (
        InvariantPretrainer(**QUICK, random_state=0).fit(
            *Transforms2D(objects[:10], names, image_size=16, random_state=0).sample(600)
        )
        for names in (["rotate"], [])
    )
    assert mean_distance(with_it) < 0.8 * mean_distance(without)


def test_channel_statistics_are_numpys(images):
    mean, std = channel_statistics(images, block=7)
    assert np.allclose(mean, (images / 255).mean(axis=(0, 1, 2)))
    assert np.allclose(std, (images / 255).std(axis=(0, 1, 2)))


def bad(name, value, message):
    return pytest.param({name: value}, message, id=f"{name}={value}")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        bad("network", "resnet", r"network is 'resnet', expected one of: resnet18 \(nearest: resnet18\)"),
        bad("epochs", 0, "epochs is 0, expected a whole number of at least 1"),
        bad("batch_size", 1, "batch_size is 1, expected a whole number of at least 2"),
        bad("image_shape", (16, 16), r"image_shape is \(16, 16\), expected \(height, width, 3\), whole numbers"),
        bad("width", -1, "width is -1, expected a number above 0"),
        bad("schedule", "linear", "schedule is 'linear', expected one of: constant, one-cycle"),
        bad("precision", "half", "precision is 'half', expected one of: auto, float32, bfloat16"),
        bad("device", "gpu", "device is 'gpu', expected 'auto', 'cpu' or a device"),
        bad("learning_rate", 0, "learning_rate is 0, expected a number above 0"),
        bad("learning_rate", np.nan, "learning_rate is nan, expected a number above 0"),
        bad("weight_decay", -1, "weight_decay is -1, expected a number of at least 0"),
        bad("image_shape", (8, 8, 3), r"X has images of shape \(16, 16, 3\), expected \(8, 8, 3\)"),
    ],
)
def test_bad_parameters_are_named(source, parameters, message):
    X, y = source.sample(20)
    with pytest.raises(ValueError, match=message):
        InvariantPretrainer(**({"width": 0.0625, "epochs": 1} | parameters)).fit(X, y)


def test_bad_data_are_named(fitted, source):
    X, y = source.sample(20)
    encoder = InvariantPretrainer(width=0.0625, epochs=1)
    with pytest.raises(ValueError, match="y holds one class only, 7, expected at least 2 classes"):
        encoder.fit(X, np.full(20, 7))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        encoder.fit(X, y[:5])
    with pytest.raises(ValueError, match="y_val is None, expected validation images and their labels, or neither"):
        encoder.fit(X, y, X)
    with pytest.raises(ValueError, match=r"y_val holds labels that y does not: \[9\]"):
        encoder.fit(X, y, X, np.full(20, 9))
    with pytest.raises(ValueError, match=r"X has images of shape \(8, 16, 3\), expected \(16, 16, 3\)"):
        fitted.transform(X[:, :8])
    with pytest.raises(NotFittedError):
        encoder.transform(X)
    with pytest.raises(ValueError, match="transformations.*images"):
        InvariantPretrainer(width=0.0625, epochs=1, transformations=["hue"]).fit(
            np.random.default_rng(0).normal(size=(20, 8)), y
        )
