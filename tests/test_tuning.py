import pickle
from functools import partial

import numpy as np
import pytest
import torch
from estimator_checks import Narrow, digest, outputs, own
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import invtransfer.estimators.tuning
from invtransfer import (
    FineTuner,
    FrozenFeatureProbe,
    InvariantPretrainer,
    SensitivityScorer,
    Transforms2D,
    load_encoder,
    save_encoder,
)
from invtransfer.estimators.tuning import fold_standardisation

QUICK = {"epochs": 2, "batch_size": 32, "random_state": 0}


@pytest.fixture(scope="module")
def encoder(source):
    return InvariantPretrainer(width=0.0625, epochs=1, batch_size=32, random_state=0).fit(*source.sample(64))


@pytest.fixture(scope="module")
def target(objects):
    """Other objects than the encoder knows, and more: 6 classes to its 5."""
    return Transforms2D(objects[10:16], ["rotate", "blur"], image_size=16, random_state=5)


@pytest.fixture(scope="module")
def fitted(encoder, target):
    return FineTuner(encoder, **QUICK).fit(*target.sample(64))


class Red(nn.Module):
    """A classifier whose features are of the red of an image only, and which could see green and blue, too."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.dropout = nn.Dropout(0.1)
        self.fc = nn.Linear(8, 10)
        with torch.no_grad():
            self.conv.weight[:, 1:] = 0

    def forward(self, images):
        return self.fc(self.dropout(self.norm(self.conv(images)).relu().mean(dim=(2, 3))))


red = partial(own, Red)


def green_or_not(n, seed):
    """Return dark random images; class 1 has more green."""
    rng = np.random.default_rng(seed)
    X, y = rng.integers(100, size=(n, 8, 8, 3), dtype=np.uint8), np.arange(n) % 2
    X[y == 1, :, :, 1] += 60
    return X, y


# a visible answer


def test_a_folded_head_by_hand():
    # One feature, 1 and 5: mean 3, standard deviation 2. A weight of 6 on the standardised feature (z - 3) / 2 is a
    # weight of 3 on the feature z, with an offset that is 3 * 3 = 9 lower: 1 - 9 = -8.
    probe = FrozenFeatureProbe().fit(np.array([[1.0], [5.0]]), ["a", "b"])
    probe.coef_[1], probe.intercept_[1] = 6.0, 1.0
    head = fold_standardisation(probe)
    assert head.weight.tolist() == [[0.0], [3.0]]
    assert head.bias.tolist() == [0.0, -8.0]


def test_what_only_tuning_can_learn():
    # green decides the class, and the features do not see it: half of the answers of a probe are right, by chance,
    # with a binomial error of sqrt(0.5 * 0.5 / 400) = 0.025; tuned, six seeds of six gave 1.0
    X, y = green_or_not(200, seed=0)
    X_test, y_test = green_or_not(400, seed=1)
    settings = {"epochs": 10, "batch_size": 32, "learning_rate": 1e-2, "precision": "float32", "random_state": 0}
    tuner = FineTuner(red(), **settings).fit(X, y)
    assert 0.4 < tuner.probe_.score(X_test, y_test) < 0.6
    assert tuner.score(X_test, y_test) > 0.9


# an independent implementation


@pytest.fixture(scope="module")
def kinds(encoder, fitted, source):
    """All that can be tuned."""
    data = source.sample(64)
    return {
        "pretrainer": encoder,
        "layer of a pretrainer": InvariantPretrainer(width=0.0625, layer="stage3", epochs=1, random_state=0).fit(*data),
        "pretrainer of a module": InvariantPretrainer(red(), epochs=1, batch_size=32, random_state=0).fit(*data),
        "tuner": fitted,
        "tuner of a module": FineTuner(red(), **QUICK).fit(*data),
        "module": red(),
        "module of a pretrainer": encoder.module(),
        "pixels": None,
    }


KINDS = (
    "pretrainer", "layer of a pretrainer", "pretrainer of a module", "tuner", "tuner of a module", "module",
    "module of a pretrainer", "pixels",
)  # fmt: skip


@pytest.mark.parametrize(("kind", "n_classes"), [(kind, 6) for kind in KINDS] + [("pretrainer", 2), ("module", 2)])
def test_before_the_first_step_the_logits_are_the_probes(kinds, target, kind, n_classes):
    given = kinds[kind]
    X, y = target.sample(80)
    X, y = X[y < n_classes], y[y < n_classes]
    tuner = FineTuner(given, epochs=0).fit(X, y)
    probe = FrozenFeatureProbe(nn.Flatten() if given is None else given).fit(X, y)
    Z = given.transform(X) if hasattr(given, "transform") else outputs(tuner.module()[:-1], X)
    # the softmax of the probe forgets an offset that all classes share, so without the softmax
    by_hand = probe.scaler_.transform(Z.astype(np.float64)) @ probe.coef_.T + probe.intercept_
    np.testing.assert_allclose(outputs(tuner.module(), X), by_hand, atol=1e-4, rtol=1e-5)
    probabilities = probe.predict_proba(X)
    np.testing.assert_allclose(tuner.predict_proba(X), probabilities, atol=1e-4)
    first, second = np.sort(probabilities, axis=1)[:, [-1, -2]].T
    clear = first - second > 2e-4  # by more than both may round
    assert clear.any()
    assert (tuner.predict(X) == tuner.probe_.predict(X))[clear].all()
    assert tuner.history_ == {"loss": [], "best_epoch": -1}


def test_one_step_is_adams_from_the_probe(target):
    # all images in one step, without dropout: torch's own Adam on a module put together by hand
    X, y = target.sample(60)
    module = red()
    module.dropout.p = 0.0
    tuner = FineTuner(module, epochs=1, learning_rate=1e-2, precision="float32", device="cpu").fit(X, y)
    by_hand = red().train()
    by_hand.dropout.p = 0.0
    by_hand.fc = fold_standardisation(tuner.probe_)
    optimizer = torch.optim.Adam(by_hand.parameters(), lr=1e-2)
    tensor = torch.from_numpy(X).permute(0, 3, 1, 2).float() / 255
    nn.functional.cross_entropy(by_hand(tensor), torch.from_numpy(y)).backward()
    optimizer.step()
    tuned = tuner.module()
    np.testing.assert_allclose(tuned.head.weight.detach(), by_hand.fc.weight.detach(), atol=1e-5)
    np.testing.assert_allclose(tuned.backbone.module.conv.weight.detach(), by_hand.conv.weight.detach(), atol=1e-5)
    np.testing.assert_allclose(tuned.backbone.module.norm.running_var, by_hand.norm.running_var, rtol=1e-5)


# properties


def tune_and_spoil(encoder, X, y, epochs):
    """Tune an encoder, use it, and overwrite all weights that the tuner gives away."""
    tuner = FineTuner(encoder, epochs=epochs, batch_size=16, random_state=0).fit(X, y, X, y)
    tuner.predict(X)
    with torch.no_grad():
        for weight in tuner.module().parameters():
            weight.zero_()
    for value in tuner.weights_.values():
        value[...] = 0


@pytest.mark.parametrize("epochs", [0, 3])
def test_a_pretrainer_is_never_changed(encoder, target, epochs):
    X, y = target.sample(64)
    before, Z, parameters = digest(encoder.weights_), encoder.transform(X), dict(vars(encoder))
    tune_and_spoil(encoder, X, y, epochs)
    assert digest(encoder.weights_) == before
    assert (encoder.transform(X) == Z).all()
    assert vars(encoder) == parameters
    assert encoder.module().head.out_features == 5


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("epochs", [0, 3])
def test_a_module_is_never_changed(target, epochs, training):
    module = red().train(training)
    module.norm.eval()
    modes = [part.training for part in module.modules()]
    before = digest(module)
    tune_and_spoil(module, *target.sample(64), epochs)
    assert digest(module) == before
    assert [part.training for part in module.modules()] == modes
    assert all(weight.device.type == "cpu" and weight.grad is None for weight in module.parameters())
    assert module.fc.out_features == 10


def test_all_weights_and_statistics_are_tuned(encoder, fitted):
    for name, value in encoder.weights_.items():
        same = value.shape == fitted.weights_[name].shape and (value == fitted.weights_[name]).all()
        assert same == name.startswith("normalise"), name  # images are normalised as in pretraining


def test_weights_without_gradients_are_tuned_too(target):
    module = red().requires_grad_(False)
    tuned = FineTuner(module, **QUICK).fit(*target.sample(64)).module().backbone.module
    assert (tuned.conv.weight != module.conv.weight).any()
    assert (tuned.norm.weight != module.norm.weight).any()
    assert not any(weight.requires_grad for weight in module.parameters())


def test_tuning_adapts_to_other_objects(source, target):
    # Sixteen seeds of all that is random gave a gain of 0.31 +- 0.03, 0.26 at least: accuracies of 0.89 +- 0.04 after a
    # probe of 0.58 +- 0.04. The bound, 0.15, is five standard deviations below the mean, and far above no gain: the
    # difference of two accuracies on the same 300 images has an error of at most sqrt(2 * 0.25 / 300) = 0.04.
    X_test, y_test = target.sample(300, start=5000)
    settings = QUICK | {"learning_rate": 1e-2, "precision": "float32"}
    encoder = InvariantPretrainer(own(Narrow), **settings | {"epochs": 3}).fit(*source.sample(200))
    data = target.sample(300)
    tuner = FineTuner(encoder, **settings | {"epochs": 8, "schedule": "one-cycle"}).fit(*data)
    before = tuner.probe_.score(X_test, y_test)
    assert tuner.score(X_test, y_test) > before + 0.15
    assert before == pytest.approx(FrozenFeatureProbe(encoder).fit(*data).score(X_test, y_test))


def test_random_state_decides_a_probe_that_draws(target):
    X, y = target.sample(64)
    probe = FrozenFeatureProbe(solver="adam", epochs=2)
    tuners = (FineTuner(red(), probe=probe, **(QUICK | {"random_state": i})).fit(X, y) for i in (0, 0, 1))
    one, same, other = (tuner.probe_.coef_ for tuner in tuners)
    assert (one == same).all()
    assert (one != other).any()


def test_the_papers_settings_are_the_defaults():
    parameters = FineTuner(None).get_params()
    papers = {"schedule": "linear", "learning_rate": 1e-3, "epochs": 50, "batch_size": 512}
    assert papers.items() <= parameters.items()


def test_the_settings_of_the_probe(encoder, target):
    X, y = target.sample(64)
    probe = FrozenFeatureProbe("another", layer="another", C=0.1, random_state=7)
    tuner = FineTuner(encoder, probe=probe, **QUICK).fit(X, y)
    assert (tuner.probe_.C, tuner.probe_.random_state) == (0.1, 7)
    assert tuner.probe_.encoder is encoder
    assert (probe.encoder, probe.layer) == ("another", "another")
    assert not hasattr(probe, "coef_")


def test_the_layer_of_a_module(target):
    X, y = target.sample(64)
    for layer, description, n_features in ((None, "input of fc", 8), ("norm", "output of norm, mean over places", 8)):
        tuner = FineTuner(red(), layer=layer, **QUICK).fit(X, y)
        assert tuner.layer_ == tuner.probe_.layer_ == description
        assert tuner.transform(X).shape == (64, n_features)
        assert tuner.get_feature_names_out()[0] == "finetuner0"


@pytest.mark.parametrize(("n", "batch_size"), [(2, 512), (3, 2), (5, 2), (7, 2), (5, 4)])
def test_no_step_has_one_image(objects, n, batch_size):
    # 8 x 8 pixels are one pixel in the last stage, of which batch norm needs two
    X, y = Transforms2D(objects[:2], image_size=8, random_state=0).sample(20)
    encoder = InvariantPretrainer(width=0.0625, epochs=0, random_state=0).fit(X, y)
    tuner = FineTuner(encoder, epochs=1, batch_size=batch_size, random_state=0).fit(X[:n], np.arange(n) % 2)
    assert np.isfinite(tuner.history_["loss"]).all()


def test_a_module_of_another_dtype_is_tuned_in_float32(target):
    X, y = target.sample(64)
    double, single = (FineTuner(module, **QUICK | {"epochs": 0}).fit(X, y) for module in (red().double(), red()))
    assert {weight.dtype for weight in double.module().parameters()} == {torch.float32}
    np.testing.assert_allclose(double.transform(X), single.transform(X), atol=1e-6)


# scikit-learn, pickles, and being an encoder


def test_a_clone_shares_the_encoder_and_forgets_the_rest(encoder, fitted):
    tuner = clone(fitted)
    assert tuner.encoder is encoder
    assert tuner.get_params()["epochs"] == 2
    assert not hasattr(tuner, "weights_")
    again = pickle.loads(pickle.dumps(fitted))
    assert again.probe_.encoder is again.encoder


def test_cross_validation_and_grid_search(encoder, target):
    X, y = target.sample(48)
    assert cross_val_score(FineTuner(encoder, **QUICK), X, y, cv=2).shape == (2,)
    tuner = FineTuner(encoder, probe=FrozenFeatureProbe(), **QUICK)
    search = GridSearchCV(tuner, {"learning_rate": [1e-3, 1e-2], "probe__C": [1.0]}, cv=2).fit(X, y)
    assert search.best_estimator_.encoder is encoder
    assert search.best_estimator_.probe_.C == 1.0


def test_a_search_over_encoders_keeps_those_that_are_frozen(encoder, target, tmp_path):
    X, y = target.sample(60)
    search = GridSearchCV(FineTuner(None, **QUICK), {"encoder": [FrozenEstimator(encoder), None]}, cv=2).fit(X, y)
    alone = [cross_val_score(FineTuner(one, **QUICK), X, y, cv=2).mean() for one in (encoder, None)]
    assert search.cv_results_["mean_test_score"] == pytest.approx(alone)
    tuner = FineTuner(FrozenEstimator(encoder), **QUICK).fit(X, y)
    for number, one in enumerate((tuner, FrozenEstimator(tuner))):  # a file holds what is inside
        save_encoder(one, tmp_path / f"{number}.npz")
        assert np.array_equal(load_encoder(tmp_path / f"{number}.npz").transform(X), tuner.transform(X))


@pytest.mark.parametrize("kind", ["pretrainer", "module"])
def test_a_tuner_is_an_encoder(encoder, source, target, kind):
    X, y = target.sample(64)
    tuner = FineTuner(encoder if kind == "pretrainer" else red(), **QUICK).fit(X, y)
    before = digest(tuner.weights_)
    probe = FrozenFeatureProbe(tuner).fit(*source.sample(64))
    same = FrozenFeatureProbe().fit(tuner.transform(source.sample(64)[0]), source.sample(64)[1])
    assert np.allclose(probe.coef_, same.coef_)
    scorer = SensitivityScorer(tuner, transformations=["rotate"], n_pairs=30, random_state=0).fit(target)
    as_module = SensitivityScorer(tuner.module(), transformations=["rotate"], n_pairs=30, random_state=0).fit(target)
    assert scorer.sensitivity_.item() == pytest.approx(as_module.sensitivity_.item(), rel=1e-3)
    again = FineTuner(tuner, **QUICK).fit(*source.sample(64))
    assert again.layer_ == tuner.layer_
    assert again.predict_proba(X).shape == (64, 5)
    assert digest(tuner.weights_) == before


# errors


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (lambda X: X.mean(axis=(1, 2)), "encoder is of type function, which has no weights to tune, expected an Inv"),
        (make_pipeline(StandardScaler()), "encoder is of type Pipeline, which has no weights to tune"),
        (StandardScaler(), "encoder is of type StandardScaler, which has no weights to tune"),
        ("resnet18", "encoder is of type str, which has no weights to tune"),
        (Red, "encoder is the class Red, expected an instance of it"),
    ],
)
def test_encoders_without_weights_are_named(target, encoder, message):
    with pytest.raises(TypeError, match=message):
        FineTuner(encoder, **QUICK).fit(*target.sample(20))


def test_the_encoder_is_fitted(target):
    with pytest.raises(NotFittedError, match="This InvariantPretrainer instance is not fitted yet"):
        FineTuner(InvariantPretrainer()).fit(*target.sample(20))


def test_bad_arguments_are_named(encoder, target):
    X, y = target.sample(20)
    rows = X.reshape(20, -1)
    with pytest.raises(TypeError, match="probe is of type str, expected a FrozenFeatureProbe or None"):
        FineTuner(encoder, probe="adam").fit(X, y)
    for tuner, images, message in (
        (FineTuner(encoder, probe=FrozenFeatureProbe(C=-1.0)), X, "C is -1.0, expected a number above 0"),
        (FineTuner(encoder, layer="head"), X, "layer is 'head', expected None: encoder is of type InvariantPretrainer"),
        (FineTuner(red(), layer="cnov"), X, "layer is 'cnov', expected the name of a layer of Red"),
        (FineTuner(encoder), X[:, :8], r"shape \(8, 16, 3\), expected \(16, 16, 3\), as the encoder has$"),
        (FineTuner(encoder), rows, r"shape \(1, 768, 1\), expected .* has: give image_shape=\(16, 16, 3\)"),
    ):
        with pytest.raises(ValueError, match=message):
            tuner.fit(images, y)


def test_transformations_are_drawn_anew_in_every_epoch(encoder, target, monkeypatch):
    """The probe and the first epoch see one draw, each further epoch another; none sees the images as given."""
    X, y = target.sample(40, transformations=())
    seen, train = [], invtransfer.estimators.tuning.train

    def record(network, X, *arguments, renew, **more):
        seen.extend(renew(epoch) for epoch in range(3))
        return train(network, X, *arguments, renew=renew, **more)

    monkeypatch.setattr(invtransfer.estimators.tuning, "train", record)
    names = {"transformations": ["rotate", "hue"]}
    tuner = FineTuner(encoder, **names, **QUICK).fit(X, y)
    assert len({images.tobytes() for images in [X, *seen]}) == 4
    on_first = FrozenFeatureProbe(encoder, random_state=0).fit(seen[0], y)
    np.testing.assert_allclose(tuner.probe_.coef_, on_first.coef_)
    rows = X.reshape(40, -1)
    flat = FineTuner(encoder, image_shape=(16, 16, 3), **names, **QUICK).fit(rows, y)
    np.testing.assert_array_equal(flat.predict_proba(rows), tuner.predict_proba(X))
    assert flat.probe_.score(rows, y) == tuner.probe_.score(X, y)
