import pickle
import re

import numpy as np
import pytest
import torch
from estimator_checks import assert_all_pass, digest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn

from invtransfer import FrozenFeatureProbe, InvariantPretrainer, SensitivityScorer, TransformedImages
from invtransfer.encoders.encoding import encode
from invtransfer.estimators import probing
from invtransfer.estimators.probing import decorrelate, decorrelate_leading


@pytest.fixture(scope="module")
def encoder(source):
    return InvariantPretrainer(width=0.0625, epochs=1, batch_size=32, random_state=0).fit(*source.sample(64))


def blobs(n=400, n_classes=4, spread=1.0, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    return (rng.normal(size=(n_classes, 6)) * 2)[y] + rng.normal(size=(n, 6)) * spread, y


@pytest.mark.parametrize("n_classes", [2, 4])
def test_lbfgs_is_scikit_learns_logistic_regression(n_classes):
    X, y = blobs(n_classes=n_classes)
    X = X.astype(np.float32)
    reference = make_pipeline(StandardScaler(), LogisticRegression(C=100.0, max_iter=1000)).fit(X, y)
    probe = FrozenFeatureProbe().fit(X, y)
    assert np.allclose(probe.predict_proba(X), reference.predict_proba(X), atol=1e-3)
    assert (probe.predict(X) == reference.predict(X)).all()
    assert probe.score(X, y) == reference.score(X, y)


def test_rounding_of_constant_features_is_not_blown_up():
    X, y = blobs(200)
    constant = (0.5 + 3e-8 * np.random.default_rng(0).normal(size=(200, 300))).astype(np.float32)
    probe, plain = (FrozenFeatureProbe().fit(Z[:100], y[:100]) for Z in (np.hstack([X, constant]), X))
    assert probe.score(np.hstack([X, constant])[100:], y[100:]) == plain.score(X[100:], y[100:])


def test_a_visible_answer():
    # the feature is the mean red of an image; class "red" has 200, class "dark" 10: any line between them separates
    X = np.zeros((20, 4, 4, 3), dtype=np.uint8)
    X[:10, ..., 0] = 200
    X[10:, ..., 0] = 10
    y = np.array(["red"] * 10 + ["dark"] * 10)
    probe = FrozenFeatureProbe(lambda images: images[..., 0].mean(axis=(1, 2))[:, None]).fit(X, y)
    assert probe.classes_.tolist() == ["dark", "red"]
    assert probe.predict(X[::9]).tolist() == ["red", "red", "dark"]
    # (200 + 10) / 2 = 105 is the mean of the standardised feature, where both classes are equally probable
    assert probe.predict_proba(np.full((1, 4, 4, 3), 105, dtype=np.uint8))[0] == pytest.approx([0.5, 0.5], abs=1e-3)


def mean_colour(images):
    return images.mean(axis=(1, 2))


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (mean_colour, "of type function"),
        (None, "None"),
        (FunctionTransformer().fit(np.zeros((2, 768))), "of type FunctionTransformer"),
    ],
    ids=["function", "pixels", "transformer"],
)
def test_pixels_of_another_range_are_refused_where_they_reach_the_encoder_as_they_are(images, raw, kind):
    y, floats = np.arange(40) % 2, images / 255
    probe = FrozenFeatureProbe(raw, C=1e-3).fit(images, y)
    message = f"X has pixels that are floats in [0, 1], expected uint8, 0 to 255, as in fit: the encoder is {kind},"
    with pytest.raises(ValueError, match=re.escape(message)):
        probe.predict(floats)
    with pytest.raises(ValueError, match="uint8, 0 to 255, expected floats in .0, 1., as in fit"):
        probe.fit(floats, y, X_val=images, y_val=y)
    scorer = SensitivityScorer(raw, transformations=["hue"], random_state=0).fit(images)
    for measure in (scorer.transform, scorer.score):
        with pytest.raises(ValueError, match="expected uint8, 0 to 255, as in fit"):
            measure(floats)
    source = TransformedImages(floats, y)
    with pytest.raises(ValueError, match="expected uint8, 0 to 255, as in fit"):
        scorer.score(source)
    assert scorer.fit(source).score(source) < 1  # fit forgets what was seen before


def test_networks_get_pixels_of_either_range_in_the_same_way(images, encoder):
    y, floats = np.arange(40) % 2, images / np.float32(255)
    probe = FrozenFeatureProbe(nn.Conv2d(3, 4, 3), C=1e-3).fit(images, y)
    assert np.allclose(probe.predict_proba(images), probe.predict_proba(floats), atol=1e-5)
    pipeline = make_pipeline(encoder, PCA(2, random_state=0).fit(encoder.transform(images)))
    probe = FrozenFeatureProbe(pipeline, C=1e-3).fit(images, y)
    assert np.allclose(probe.predict_proba(images), probe.predict_proba(floats), atol=1e-5)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"solver": "adam", "epochs": 10, "batch_size": 64, "learning_rate": 3e-2, "random_state": 0}],
    ids=["lbfgs", "adam"],
)
@pytest.mark.filterwarnings("default")
def test_the_whole_suite_of_scikit_learn_passes(parameters):
    assert_all_pass(FrozenFeatureProbe(**parameters), n_checks=54)


def test_the_two_solvers_agree_within_half_a_point():
    # Both minimise one convex loss of the same fixed features, so processors differ by what is on the boundary up to
    # rounding: one of 4,000 samples is 0.00025, half a point is 20 of them. Four seeds of features gave up to 0.00125
    Z, y = blobs(6_000, spread=4.0)
    lbfgs = FrozenFeatureProbe().fit(Z[:2_000], y[:2_000])
    adam = FrozenFeatureProbe(solver="adam", epochs=30, random_state=0).fit(Z[:2_000], y[:2_000])
    scores = [probe.score(Z[2_000:], y[2_000:]) for probe in (lbfgs, adam)]
    assert 0.4 < scores[0] < 0.9  # chance is 0.25, and the classes overlap, so that there is something to decide
    assert abs(scores[0] - scores[1]) <= 0.005


def test_probing_images_is_probing_their_features(encoder, source):
    X, y = source.sample(100, start=10_000)
    Z = encoder.transform(X)
    assert np.allclose(
        FrozenFeatureProbe(encoder).fit(X, y).predict_proba(X), FrozenFeatureProbe().fit(Z, y).predict_proba(Z)
    )


def test_features_are_computed_once(source):
    calls = []

    def encode(images):
        calls.append(len(images))
        return images.mean(axis=(1, 2))

    FrozenFeatureProbe(encode, solver="adam", epochs=5, random_state=0).fit(*source.sample(300))
    # 300 images in batches, the last one filled up; not once per epoch; and 8 twice, to see whether features vary
    assert calls == [128, 128, 128, 8, 8]


def test_frozen_is_frozen(encoder, source):
    module = encoder.module()[:2].train()
    before = digest(module), digest(encoder.weights_)
    for solver in ("lbfgs", "adam"):
        for frozen in (module, encoder):
            probe = FrozenFeatureProbe(frozen, solver=solver, epochs=2).fit(*source.sample(100))
            probe.score(*source.sample(50))
    assert (digest(module), digest(encoder.weights_)) == before


def test_adam_keeps_the_best_validation_epoch():
    # validation labels are rotated, so each step of learning makes it worse: an early epoch is kept, with small weights
    X, y = blobs(spread=0.3)
    settings = {"solver": "adam", "epochs": 30, "batch_size": 50, "learning_rate": 0.1, "random_state": 0}
    with_validation = FrozenFeatureProbe(**settings).fit(X, y, X, (y + 1) % 4)
    without = FrozenFeatureProbe(**settings).fit(X, y)
    assert with_validation.score(X, (y + 1) % 4) >= without.score(X, (y + 1) % 4)
    assert np.abs(with_validation.coef_).max() < np.abs(without.coef_).max()


def test_clone_keeps_the_encoder_and_forgets_the_rest(encoder, source):
    probe = FrozenFeatureProbe(encoder, C=0.5).fit(*source.sample(50))
    twin = clone(probe)
    assert twin.encoder is encoder
    assert twin.C == 0.5
    assert not hasattr(twin, "coef_")


def test_cross_validation_and_pickles(encoder, source):
    X, y = source.sample(150)
    assert cross_val_score(FrozenFeatureProbe(encoder), X, y, cv=3).shape == (3,)
    probe = FrozenFeatureProbe(encoder).fit(X, y)
    assert (pickle.loads(pickle.dumps(probe)).predict_proba(X) == probe.predict_proba(X)).all()


def test_a_search_over_encoders_keeps_those_that_are_frozen(encoder, source):
    X, y = source.sample(90)
    search = GridSearchCV(FrozenFeatureProbe(), {"encoder": [FrozenEstimator(encoder), None]}, cv=3).fit(X, y)
    alone = [cross_val_score(FrozenFeatureProbe(one), X, y, cv=3).mean() for one in (encoder, None)]
    assert search.cv_results_["mean_test_score"] == pytest.approx(alone)
    for one in (nn.Flatten(), lambda X: X.mean(axis=(1, 2))):  # which need no wrapping, and may have it
        frozen = FrozenFeatureProbe(FrozenEstimator(one)).fit(X, y)
        assert (frozen.predict(X) == FrozenFeatureProbe(one).fit(X, y).predict(X)).all()
    frozen = FrozenFeatureProbe(FrozenEstimator(nn.Flatten()), C=np.inf, max_iter=10_000).fit(X, y)
    assert (frozen.predict(X / 255) == frozen.predict(X)).all()  # modules get images in [0, 1] in any case


def test_flattened_images(source):
    X, y = source.sample(60)

    def mean_colour(images):
        return images.mean(axis=(1, 2))

    flat = FrozenFeatureProbe(mean_colour, image_shape=(16, 16, 3)).fit(X.reshape(60, -1), y)
    assert (flat.predict(X.reshape(60, -1)) == FrozenFeatureProbe(mean_colour).fit(X, y).predict(X)).all()


def test_random_state_decides_adam():
    X, y = blobs()
    settings = {"solver": "adam", "epochs": 2}
    state = torch.random.get_rng_state()
    one, same, other = (FrozenFeatureProbe(**settings, random_state=i).fit(X, y).coef_ for i in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()
    assert (torch.random.get_rng_state() == state).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"solver": "sgd"}, "solver is 'sgd', expected one of: lbfgs, adam"),
        ({"solver": "adam", "epochs": 0}, "epochs is 0, expected a whole number of at least 1"),
        ({"solver": "adam", "batch_size": 0}, "batch_size is 0, expected a whole number of at least 1"),
        ({"solver": "adam", "learning_rate": -1}, "learning_rate is -1, expected a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan, expected a number above 0"),  # of the other solver
        ({"epochs": "5"}, "epochs is '5', expected"),
        ({"solver": "adam", "C": "1"}, "C is '1', expected a number above 0"),
        ({"C": -1.0}, "C is -1.0, expected a number above 0"),
        ({"encoder": lambda X: np.full((len(X), 2), np.nan)}, "encoder returned NaN or infinity for 400 of 400"),
        ({"image_shape": (2, 2, 3)}, r"X has 6 features, expected 12: images of image_shape \(2, 2, 3\)"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        FrozenFeatureProbe(**parameters).fit(*blobs())


def test_nothing_and_labels_of_several_types_are_named():
    with pytest.raises(ValueError, match="^X is an empty list, expected at least one image$"):
        FrozenFeatureProbe().fit([], [])
    for labels in ([1, "a"], ["a", 1]):
        with pytest.raises(
            ValueError, match="^y holds labels of several types, int and str, expected whole numbers or names"
        ):
            FrozenFeatureProbe().fit(blobs()[0], np.array(labels * 200, dtype=object))


def test_bad_data_are_named(source):
    X, y = source.sample(30)
    probe = FrozenFeatureProbe()
    with pytest.raises(ValueError, match="y holds one class only, 'a', expected at least 2 classes"):
        probe.fit(X, ["a"] * 30)
    with pytest.raises(ValueError, match="X_val is None, expected validation images and their labels"):
        probe.fit(X, y, y_val=y)
    with pytest.raises(ValueError, match=r"y_val has shape \(3,\), expected \(30,\)"):
        probe.fit(X, y, X, y[:3])
    with pytest.raises(NotFittedError):
        probe.predict(X)
    with pytest.raises(TypeError, match="encoder is of type str"):
        FrozenFeatureProbe("resnet18").fit(X, y)


def classifier():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    return nn.Sequential(body, nn.Linear(24, 5), nn.Linear(5, 3))


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize(
    ("layer", "description", "used"),
    [(None, "input of 2", slice(2)), ("0", "output of 0", slice(1)), ("", "output of the module", slice(3))],
)
def test_the_layer_of_a_module(source, solver, layer, description, used):
    X, y = source.sample(60)
    module = classifier()
    settings = {"solver": solver, "epochs": 2, "random_state": 0}
    probe = FrozenFeatureProbe(module, layer=layer, **settings).fit(X, y, X, y)
    assert probe.layer_ == description
    same = FrozenFeatureProbe(module[used], layer="", **settings).fit(X, y, X, y)
    assert (probe.predict_proba(X) == same.predict_proba(X)).all()


def test_grid_search_over_layers(source):
    X, y = source.sample(150)
    module = classifier()
    choices = {"layer": [None, "0.0", "0", ""], "C": [0.01, 1.0]}
    search = GridSearchCV(FrozenFeatureProbe(module), choices, cv=2, error_score="raise").fit(X, y)
    assert search.best_estimator_.encoder is module
    assert search.best_estimator_.layer == search.best_params_["layer"]
    assert len(set(search.cv_results_["mean_test_score"])) > 1


def test_only_modules_have_layers(encoder, source):
    X, y = source.sample(30)
    assert FrozenFeatureProbe(encoder).fit(X, y).layer_ is None
    assert FrozenFeatureProbe().fit(X, y).layer_ is None
    with pytest.raises(ValueError, match="layer is 'head', expected None: encoder is of type InvariantPretrainer, wh"):
        FrozenFeatureProbe(encoder, layer="head").fit(X, y)
    with pytest.raises(ValueError, match=r"layer is '7', .* the name of a layer of Sequential \(nearest: 0, 1, 2\)"):
        FrozenFeatureProbe(classifier(), layer="7").fit(X, y)
    # the module of a pretrained encoder ends in its head: its features are the encoder's
    assert FrozenFeatureProbe(encoder.module()).fit(X, y).layer_ == "input of head"
    # the memory layout of the images is another, and the probe would magnify how it rounds
    assert np.allclose(encode(encoder.module(), X), encoder.transform(X), atol=1e-5)


def test_features_are_computed_in_the_precision_that_was_chosen(source):
    dtypes = []

    class Watched(nn.Linear):
        def forward(self, x):
            dtypes.append(super().forward(x).dtype)
            return super().forward(x)

    with torch.random.fork_rng([]):
        module = nn.Sequential(nn.Flatten(), Watched(16 * 16 * 3, 5))
    X, y = source.sample(30)
    probe = FrozenFeatureProbe(module, layer="", precision="bfloat16").fit(X, y)
    probe.predict(X)
    assert dtypes == [torch.bfloat16] * 4  # two of them to see whether features vary
    with pytest.raises(ValueError, match="precision is 'int8', expected one of: float32, bfloat16, float16"):
        FrozenFeatureProbe(module, layer="", precision="int8").fit(X, y)


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_one_sample_of_each_class_is_enough_and_no_reason_to_warn(solver):
    X = np.eye(20)
    probe = FrozenFeatureProbe(solver=solver, epochs=20, learning_rate=0.1, random_state=0).fit(X, np.arange(20))
    assert probe.score(X, np.arange(20)) == 1


def test_a_probe_that_has_not_converged_says_so_in_one_line():
    Z = np.random.default_rng(0).normal(size=(60, 5)).astype("float32")
    with pytest.warns(ConvergenceWarning) as caught:
        FrozenFeatureProbe(max_iter=2).fit(Z, np.arange(60) % 3)
    assert [str(each.message) for each in caught] == ["the probe has not converged after max_iter=2"]


# many features


@pytest.mark.parametrize(("n", "d"), [(20, 50), (50, 50), (1, 9)])
def test_the_matrix_of_many_features_is_that_of_few(n, d):
    rng = np.random.default_rng(0)
    Z = StandardScaler().fit_transform(rng.normal(size=(n, d)) @ rng.normal(size=(d, d))).astype(np.float32)
    multiply = decorrelate_leading(Z)
    np.testing.assert_allclose(multiply(np.eye(d)), decorrelate(Z), atol=1e-4)  # of values up to 3.2, from float32
    assert multiply(Z).dtype == np.float32


def test_outside_the_span_of_some_samples_the_mean_variance_counts():
    """Of 4 independent features with variance 1, all directions are scaled by 1 / sqrt(1 + ridge)."""
    rng = np.random.default_rng(0)
    Z = StandardScaler().fit_transform(rng.normal(size=(20_000, 4))).astype(np.float32)
    scaled = decorrelate_leading(Z, ridge=0.21, n_leading=1)(Z) * 1.1
    outside = np.linalg.svd(Z[:1])[2][1:].T  # directions at right angles to the one sample
    np.testing.assert_allclose(scaled @ outside, Z @ outside, rtol=0.02, atol=0.02)


def test_adam_on_many_features_is_as_on_few(monkeypatch):
    X, y = blobs(60)
    settings = {"solver": "adam", "epochs": 10, "random_state": 0}
    few = FrozenFeatureProbe(**settings).fit(X, y, X, y)
    monkeypatch.setattr(probing, "MAX_FEATURES", 5)
    many = FrozenFeatureProbe(**settings).fit(X, y, X, y)
    np.testing.assert_allclose(many.coef_, few.coef_, atol=1e-3 * np.abs(few.coef_).max())


def test_adam_needs_memory_for_samples_times_features():
    rng, y = np.random.default_rng(0), np.arange(8) % 2
    Z = rng.normal(size=(8, 200_000))  # a whole matrix would take 149 GiB
    Z[:, :1000] += 3 * y[:, None]
    probe = FrozenFeatureProbe(solver="adam", epochs=2, random_state=0).fit(Z, y)
    assert probe.score(Z, y) == 1
    assert probe.coef_.shape == (2, 200_000)


def test_saved_features_are_taken_as_they_are():
    rng = np.random.default_rng(0)
    X, y = rng.integers(256, size=(60, 4, 4, 3), dtype=np.uint8), np.arange(60) % 3
    Z = X.mean(axis=(1, 2))
    saved, computed = FrozenFeatureProbe().fit(Z, y), FrozenFeatureProbe(lambda X: X.mean(axis=(1, 2))).fit(X, y)
    assert saved.predict_proba(Z) == pytest.approx(computed.predict_proba(X), abs=1e-4)
