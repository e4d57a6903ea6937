import numpy as np
import pytest
import torch
from estimator_checks import Narrow, assert_all_pass, own
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from torch import nn

from invtransfer import TRANSFORMATIONS, InvariantPretrainer, SensitivityScorer, TransformedImages, Transforms2D


def mean_colour(X):
    return X.mean(axis=(1, 2))


@pytest.mark.filterwarnings("default")
def test_the_whole_suite_of_scikit_learn_passes():
    scorer = SensitivityScorer(transformations=["rotate", "hue", "blur"], n_pairs=20, random_state=0)
    assert_all_pass(scorer, n_checks=46)
    rows = np.random.default_rng(0).normal(size=(20, 5))  # such as those of the suite: all transformations take them
    assert clone(scorer).set_params(transformations=None, n_pairs=20).fit(rows).sensitivity_.notnull().all()


def test_an_image_is_in_one_pair_only(images):
    # 40 images, 10,000 pairs asked for: repeats of an image would be its own random partners
    scorer = SensitivityScorer(mean_colour, transformations=["hue"], random_state=0).fit(images)
    assert scorer.pair_distances_.sizes["pair"] == 40


def test_companions_leave_out_a_pair_that_is_alone_in_its_block():
    X = np.arange(257, dtype=np.uint16).astype(np.float32).reshape(257, 1, 1, 1).repeat(3, axis=3) / 256
    scorer = SensitivityScorer(mean_colour, transformations=["h_flip"], random_state=0).fit(X)
    assert scorer.companions_.abx.item() == 1  # a flip of one pixel changes nothing


def test_what_was_fitted_is_what_is_transformed(images):
    scorer = SensitivityScorer(mean_colour, transformations=["hue"], n_pairs=20, random_state=0).fit(images)
    columns = scorer.transform(images)
    scorer.set_params(transformations=["blur", "invert"])
    assert (scorer.transform(images) == columns).all()
    assert scorer.get_feature_names_out().tolist() == ["hue"]


def test_training_and_measuring_draw_different_numbers(images, monkeypatch):
    seeds = []
    from_checked = TransformedImages.from_checked

    def spy(*arguments, random_state, **more):
        seeds.append(random_state)
        return from_checked(*arguments, random_state=random_state, **more)

    monkeypatch.setattr(TransformedImages, "from_checked", spy)
    pretrainer = InvariantPretrainer(own(), epochs=0, transformations=["hue"], random_state=0)
    pretrainer.fit(images, np.arange(40) % 2)
    SensitivityScorer(transformations=["hue"], random_state=0).fit(images)
    assert len(set(seeds)) == 2


def test_planted_invariance_on_a_source(objects):
    black = np.zeros((1, 32, 32, 3), dtype=np.uint8)  # else a flipped object hides another part of its background
    source = Transforms2D(objects[:10], backgrounds=black, random_state=0)
    names = ["h_flip", "v_flip", "invert", "hue"]
    scorer = SensitivityScorer(mean_colour, transformations=names, n_pairs=300, random_state=0).fit(source)
    flips, others = scorer.sensitivity_.values[:2], scorer.sensitivity_.values[2:]
    assert (flips < 1e-4).all()  # the mean colour knows no left and right, whatever the object
    assert (others > 0.05).all()
    assert scorer.score(source) == pytest.approx(1 - scorer.sensitivity_.mean().item())


def test_an_encoder_of_grey_is_invariant_to_hue_less_than_to_nothing(objects):
    def grey(X):  # the weights of PIL's "L": grayscale does not change it
        return (X @ [0.299, 0.587, 0.114]).reshape(len(X), -1)

    source = Transforms2D(objects[:10], random_state=0)
    scorer = SensitivityScorer(grey, transformations=["grayscale", "invert"], n_pairs=200, random_state=0).fit(source)
    grayscale, invert = scorer.sensitivity_.values
    assert grayscale < 0.01 < 0.1 < invert  # not quite 0: pixels are rounded to 8 bits


def test_identity_transformations_give_zero(objects):
    from invtransfer import Transformation

    def draw(n, generator, image_shape):
        return {"unused": generator.random(n)}

    nothing = Transformation("nothing", "identity", draw, lambda images, unused: images)
    scorer = SensitivityScorer(transformations=[nothing], n_pairs=50, random_state=0)
    assert scorer.fit(Transforms2D(objects[:5])).sensitivity_.item() == 0


def test_rotating_or_scaling_the_features_changes_nothing(objects):
    source = Transforms2D(objects[:10], image_size=16, random_state=0)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    plain, turned = (
        SensitivityScorer(encoder, transformations=["rotate", "hue"], n_pairs=50, random_state=0)
        .fit(source)
        .sensitivity_
        for encoder in (mean_colour, lambda X: 7 * mean_colour(X) @ turn + 3)
    )
    assert np.allclose(plain, turned, rtol=1e-4)


def by_hand(X, X_twin):
    """Return the distance of each pair of twins, and the mean over all pairs of different images."""
    distances = np.linalg.norm(mean_colour(X)[:, None] - mean_colour(X_twin)[None], axis=2)
    return np.diag(distances), distances[~np.eye(len(X), dtype=bool)].mean()


def test_it_is_computed_as_the_definition_says(source):
    # means over all pairs, one ratio
    scorer = SensitivityScorer(mean_colour, transformations=["rotate"], n_pairs=64, random_state=5).fit(source)
    twins, others = by_hand(*source.twins(64, transformations=["rotate"]))
    assert np.allclose(scorer.pair_distances_.sel(transformation="rotate"), twins, rtol=1e-4)
    assert scorer.sensitivity_.item() == pytest.approx(twins.mean() / others, rel=1e-4)
    assert scorer.random_distances_.mean().item() == pytest.approx(others, rel=1e-4)


def test_composed_sensitivity_is_of_the_sources_own_transformations(source, objects):
    scorer = SensitivityScorer(mean_colour, transformations=["blur"], n_pairs=64, random_state=0).fit(source)
    twins, others = by_hand(*source.twins(64))
    assert scorer.composed_sensitivity_ == pytest.approx(twins.mean() / others, rel=1e-4)
    low, high = scorer.composed_sensitivity_interval_
    assert low < scorer.composed_sensitivity_ < high
    plain = SensitivityScorer(mean_colour, transformations=["blur"], n_pairs=64, random_state=0)
    assert np.isnan(plain.fit(Transforms2D(objects)).composed_sensitivity_)


def test_companions_are_computed_as_their_definitions_say(source):
    scorer = SensitivityScorer(mean_colour, transformations=["invert"], n_pairs=64, random_state=5).fit(source)
    X, X_twin = source.twins(64, transformations=["invert"])
    X_same, X_other = source.twins(64, transformations=["invert"], changed="object")
    np.testing.assert_array_equal(X, X_same)
    Z, Z_twin, Z_other = (mean_colour(images) for images in (X, X_twin, X_other))
    twins, others = np.linalg.norm(Z - Z_twin, axis=1), np.linalg.norm(Z - Z_other, axis=1)
    different = (X_twin != X).any(axis=(1, 2, 3))
    assert 0.3 < different.mean() < 0.7  # it acts with probability 0.5 on each of two draws: half of them differ
    measured = scorer.companions_.sel(transformation="invert")
    assert measured.object_sensitivity.item() == pytest.approx(twins.mean() / others.mean(), rel=1e-4)
    assert measured.abx.item() == pytest.approx((twins < others).mean())
    assert measured.different.item() == pytest.approx(different.mean())
    expected = twins[different].mean() / scorer.random_distances_.mean().item()
    assert measured.sensitivity_if_different.item() == pytest.approx(expected, rel=1e-4)
    eigenvalues = np.linalg.eigvalsh(np.cov(Z.T))
    expected = eigenvalues.sum() ** 2 / np.square(eigenvalues).sum()
    assert measured.participation_ratio.item() == pytest.approx(expected, rel=1e-4)
    assert all(variable.attrs.keys() == {"units", "long_name"} for variable in scorer.companions_.data_vars.values())


def test_collapse_is_told_from_invariance(objects):
    """Two encoders of the same low sensitivity: one ignores the flip, the other sees little but the background."""
    source = Transforms2D(objects[:10], image_size=16, random_state=0)
    invariant = SensitivityScorer(lambda X: np.sort(X.reshape(len(X), -1).astype(float)), transformations=["h_flip"])
    collapsed = SensitivityScorer(lambda X: X[:, :2].reshape(len(X), -1) + 1e-3 * X[:, -2:].reshape(len(X), -1),
                                  transformations=["h_flip"])  # fmt: skip
    invariant, collapsed = (one.set_params(n_pairs=200).fit(source) for one in (invariant, collapsed))
    assert collapsed.sensitivity_.item() < 0.2
    assert invariant.companions_.abx.item() > 0.9 > 0.7 > collapsed.companions_.abx.item()


def test_of_images_without_objects_twins_are_compared_with_other_images(images):
    scorer = SensitivityScorer(mean_colour, transformations=["h_flip"], n_pairs=40, random_state=0).fit(images)
    assert np.isnan(scorer.companions_.object_sensitivity).all()
    assert scorer.companions_.abx.item() == 1  # the mean colour knows no left and right


@pytest.mark.filterwarnings("ignore:the features that the encoder jumps gives of an image depend on the other")
def test_a_mean_that_rests_on_few_pairs_is_warned_of(images):
    def jumps(X):  # all images but one have twins of the same feature
        return np.arange(len(X), dtype=float)[:, None] % 40 + 100 * (np.arange(len(X)) == 41)[:, None]

    scorer = SensitivityScorer(jumps, transformations=["hue"], n_pairs=40, random_state=0)
    with pytest.warns(UserWarning, match="the sensitivity to hue rests on fewer than 3 pairs of twins"):
        scorer.fit(images)


def test_refitting_on_a_plain_source_forgets_the_composition(source, objects):
    scorer = SensitivityScorer(mean_colour, transformations=["blur"], n_pairs=10, random_state=0).fit(source)
    assert np.isnan(scorer.fit(Transforms2D(objects)).composed_sensitivity_)


def test_labels_of_the_result(source):
    scorer = SensitivityScorer(mean_colour, n_pairs=20, random_state=0).fit(source)
    assert scorer.sensitivity_.transformation.values.tolist() == list(TRANSFORMATIONS)
    assert scorer.sensitivity_.category.sel(transformation="blur") == "corruption"
    assert scorer.pair_distances_.sizes == {"transformation": 18, "pair": 20}
    interval = scorer.sensitivity_interval_
    assert interval.bound.values.tolist() == ["low", "high"]
    assert (interval.sel(bound="low") <= scorer.sensitivity_).all()
    assert (interval.sel(bound="high") >= scorer.sensitivity_).all()
    assert scorer.get_feature_names_out().tolist() == list(TRANSFORMATIONS)
    assert scorer.layer_ is None


def test_images_give_what_a_source_of_them_gives(images):
    scorer = SensitivityScorer(mean_colour, transformations=["hue"], n_pairs=40, random_state=0).fit(images)
    from_source = SensitivityScorer(mean_colour, transformations=["hue"], n_pairs=40, random_state=0)
    from_source.fit(TransformedImages(images, random_state=scorer._seed))
    assert scorer.sensitivity_.equals(from_source.sensitivity_)


def test_transform_gives_a_column_per_transformation(images):
    scorer = SensitivityScorer(mean_colour, transformations=["h_flip", "brightness"], n_pairs=200, random_state=0)
    columns = scorer.fit(images).set_output(transform="pandas").transform(images)
    assert columns.columns.tolist() == ["h_flip", "brightness"]
    assert (columns["h_flip"] < 1e-4).all()
    # the mean over images is the sensitivity, up to the sampling of draws
    sensitivity = scorer.sensitivity_.sel(transformation="brightness").item()
    assert columns["brightness"].mean() == pytest.approx(sensitivity, rel=0.3)


def test_a_row_of_transform_depends_on_its_image_alone(images):
    scorer = SensitivityScorer(transformations=["noise", "elastic"], n_pairs=10, random_state=0).fit(images)
    together = scorer.transform(images)
    assert np.allclose(scorer.transform(images[::-1])[::-1], together)
    assert np.allclose(scorer.transform(images[7:9]), together[7:9])


def test_random_state_decides(images):
    def fit(seed):
        scorer = SensitivityScorer(transformations=["rotate"], n_pairs=40, random_state=seed)
        return scorer.fit(images).sensitivity_.item()

    assert fit(0) == fit(0) != fit(1)


def test_a_pretrained_encoder_is_less_sensitive_to_what_it_was_trained_with(objects):
    """The planted truth of the whole toolkit, by the plainest statistic and by the scorer."""

    def fit(names):
        source = Transforms2D(objects[:10], names, image_size=16, random_state=0)
        settings = {"epochs": 4, "batch_size": 32, "learning_rate": 1e-2, "schedule": "one-cycle"}
        return InvariantPretrainer(own(Narrow), **settings, precision="float32", random_state=0).fit(
            *source.sample(400)
        )

    def mean_ratio(encoder):
        Z, Z_twin = (encoder.transform(images) for images in target.twins(100, transformations=["rotate"]))
        random_pairs = np.linalg.norm(Z - np.roll(Z_twin, 1, axis=0), axis=1)
        return np.linalg.norm(Z - Z_twin, axis=1).mean() / random_pairs.mean()

    target = Transforms2D(objects[30:40], image_size=16, random_state=1)  # other objects
    with_it, without = fit(["rotate"]), fit([])
    assert mean_ratio(with_it) < 0.75 * mean_ratio(without)  # twelve seeds gave a factor of 0.56 +- 0.05
    settings = {"transformations": ["rotate"], "n_pairs": 200, "random_state": 0}
    low, high = (SensitivityScorer(one, **settings).fit(target).sensitivity_interval_ for one in (with_it, without))
    # twelve seeds gave 0.18 +- 0.03 between the intervals
    assert low.sel(bound="high").item() < high.sel(bound="low").item()


def test_clone_and_cross_validation_keep_the_encoder(images):
    scorer = SensitivityScorer(mean_colour, transformations=["hue"], n_pairs=20, random_state=0)
    assert clone(scorer).encoder is mean_colour
    named = clone(scorer.set_output(transform="pandas")).fit(images).transform(images)
    assert named.columns.tolist() == ["hue"]  # what was set about outputs is kept as well
    scorer.set_output(transform="default")
    scores = cross_val_score(scorer, images, cv=2)
    assert scores.shape == (2,)
    assert (scores < 1).all()


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_pairs": 1}, ValueError, "n_pairs is 1, expected a whole number of at least 2"),
        ({"n_pairs": -5}, ValueError, "n_pairs is -5, expected a whole number of at least 2"),
        ({"transformations": ["bluur"]}, ValueError, "bluur.*blur"),
        ({"transformations": []}, ValueError, "transformations is empty"),
        ({"encoder": lambda X: X[:3, 0, 0]}, ValueError, r"encoder returned shape \(3, 3\) for a batch of 8 images"),
        ({"encoder": lambda X: np.full((len(X), 1), np.nan)}, ValueError, "encoder returned NaN"),
        ({"encoder": 3}, TypeError, "encoder is of type int"),
        ({"encoder": mean_colour, "layer": "fc"}, ValueError, "layer is 'fc', expected None: encoder is of type func"),
    ],
)
def test_bad_parameters_are_named(images, parameters, error, message):
    with pytest.raises(error, match=message):
        SensitivityScorer(**({"n_pairs": 10} | parameters)).fit(images)


def test_bad_data_are_named(images, objects):
    with pytest.raises(ValueError, match="X has n_samples = 1, expected at least 2, since"):
        SensitivityScorer(n_pairs=10).fit(images[:1])
    scorer = SensitivityScorer(n_pairs=10, transformations=["hue"], random_state=0).fit(images)
    with pytest.raises(ValueError, match=r"X has images of shape \(8, 16, 3\), expected \(16, 16, 3\)"):
        scorer.transform(images[:, :8])
    with pytest.raises(ValueError, match=r"X has images of shape \(32, 32, 3\), expected \(16, 16, 3\), as in fit"):
        scorer.score(Transforms2D(objects[:3], image_size=32))


@pytest.mark.parametrize(
    ("layer", "description", "used"),
    [
        (None, "input of 3.1", slice(3)),
        ("1", "output of 1, mean over places", slice(2)),
        ("", "output of the module", slice(4)),
    ],
)
def test_the_layer_of_a_module(source, images, layer, description, used):
    torch.manual_seed(0)
    head = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), head)
    settings = {"transformations": ["hue", "rotate"], "n_pairs": 30, "random_state": 0}
    scorer = SensitivityScorer(module, layer=layer, **settings).fit(source)
    same = SensitivityScorer(module[used], layer="", **settings).fit(source)
    assert scorer.layer_ == description
    assert np.allclose(scorer.sensitivity_, same.sensitivity_)
    assert scorer.score(source) == pytest.approx(same.score(source))
    assert np.allclose(scorer.transform(images), same.transform(images))
    assert clone(scorer).layer == layer


def test_parameters_that_are_changed_after_fit_count_from_the_next_one_on():
    X = np.random.default_rng(0).integers(256, size=(20, 8, 8, 3), dtype=np.uint8)
    scorer = SensitivityScorer(None, transformations=["invert", "hue"], random_state=0).fit(X)
    columns, score = scorer.transform(X[:5]), scorer.score(X)
    scorer.set_params(distance="cosine", twins="clean", encoder=lambda X: X.mean(axis=(1, 2)))
    np.testing.assert_array_equal(scorer.transform(X[:5]), columns)
    assert scorer.score(X) == score


@pytest.mark.parametrize("distance", ["euclidean", "mahalanobis"])
def test_images_that_are_refused_leave_the_earlier_fit(distance):
    X = np.random.default_rng(0).integers(256, size=(20, 8, 8, 3), dtype=np.uint8)
    scorer = SensitivityScorer(transformations=["invert", "hue"], distance=distance, random_state=0).fit(X)
    columns = scorer.transform(X[:5])
    scorer.set_params(transformations=["blur", "noise"], random_state=1)
    with pytest.raises(ValueError, match="NaN"):
        scorer.fit(np.full((20, 8, 8, 3), np.nan))
    np.testing.assert_array_equal(scorer.transform(X[:5]), columns)
    assert scorer.get_feature_names_out().tolist() == scorer.sensitivity_.transformation.values.tolist()


def test_other_images_between_the_first_and_the_last_are_no_images_of_fit():
    X = np.random.default_rng(0).integers(256, size=(20, 8, 8, 3), dtype=np.uint8)
    scorer = SensitivityScorer(None, transformations=["h_flip"], twins="clean", random_state=0).fit(X)
    changed = X.copy()
    changed[scorer.profile_.image.values[10]] = 0
    with pytest.raises(ValueError, match="X has other images than in fit, or in another order"):
        scorer.make_twins(changed, "h_flip")


def test_a_fitted_scorer_shows_its_numbers(images):
    scorer = SensitivityScorer(transformations=["hue", "blur"], random_state=0)
    assert str(scorer) == repr(scorer)
    shown = [line.split() for line in str(scorer.fit(images)).splitlines()]
    assert shown[0] == ["sensitivity", "low", "high"]
    values = [scorer.sensitivity_.sel(transformation="hue"), *scorer.sensitivity_interval_.sel(transformation="hue")]
    assert shown[2] == ["hue", *(f"{value.item():.3f}" for value in values)]
    several = SensitivityScorer({"a": None, "b": None}, transformations=["hue"], strengths=[0.5, 1], random_state=0)
    assert "encoder transformation strength" in " ".join(str(several.fit(images)).split())
