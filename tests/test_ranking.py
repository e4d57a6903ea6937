"""Which of several encoders suits a labelled task."""

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict, cross_val_score

from invtransfer import FrozenFeatureProbe, SensitivityScorer, rank_encoders
from invtransfer.analysis import format_ranking, h_score, log_evidence, nearest_correct
from invtransfer.analysis.resampling import deal_into_folds
from invtransfer.encoders import encode
from invtransfer.estimators.ranking import SCORES
from invtransfer.randomness import derive_generator, derive_seed

N = 150
Y = np.array(["b", "a", "c"])[np.arange(N) % 3]
CODES = np.array([1, 0, 2])[np.arange(N) % 3]


@pytest.fixture(scope="module")
def X():
    """Images that carry their own number, by which an encoder can look up whatever features it likes."""
    X = np.random.default_rng(0).integers(256, size=(N, 4, 4, 3), dtype=np.uint8)
    X[:, 0, 0, 0] = np.arange(N)
    return X


@pytest.fixture(autouse=True)
def few_subsets(monkeypatch):
    """As few as each image needs to be left out twice, but for `ranking`, which is made before: they take most time."""
    monkeypatch.setattr("invtransfer.estimators.ranking.N_SUBSETS", 10)


def planted(noise, seed=0):
    """An encoder whose features are the label, one-hot, plus noise that differs between directions."""
    Z = np.random.default_rng(seed).normal(size=(N, 5)) * np.linspace(0.3, 1.7, 5) * noise
    Z[:, :3] += np.eye(3)[CODES]
    return lambda X: Z[X[:, 0, 0, 0]]


def random(X):
    return np.random.default_rng(5).normal(size=(N, 5))[X[:, 0, 0, 0]]


@pytest.fixture(scope="module")
def ranking(X):
    return rank_encoders({"worse": planted(1.5), "best": planted(0.3), "good": planted(0.7)}, X, Y, random_state=0)


def test_less_noise_ranks_higher_by_all_scores(ranking):
    assert ranking.encoder.values.tolist() == ["best", "good", "worse"]
    assert ranking.score.values.tolist() == list(SCORES)
    assert (ranking.value.diff("encoder") < 0).all()
    assert (ranking["first"].sel(encoder="best") > 0.95).all()
    np.testing.assert_allclose(ranking["first"].sum("encoder"), 1)
    assert (ranking.ahead[:2] > 0.95).all()
    assert np.isnan(ranking.ahead[2]).all()
    assert (ranking.interval.sel(bound="low") <= ranking.value).all()
    assert (ranking.interval.sel(bound="high") >= ranking.value).all()
    assert (ranking.difference_interval.sel(bound="high", score="probe_accuracy")[1:] < 0).all()


def test_random_features_are_at_chance(X):
    ranking = rank_encoders({"random": random}, X, Y, random_state=0)
    low, high = ranking.interval.sel(encoder="random", score="probe_accuracy").values
    assert ranking.attrs["chance"] == pytest.approx(1 / 3)
    assert low < 1 / 3 < high
    # 1.96 standard deviations of a share of 1/3 among 150, and the bootstrap's own of about it
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(2 / 9 / N), rel=0.15)
    assert (ranking["first"] == 1).all()
    assert (ranking.difference == 0).all()


def test_identical_encoders_share_the_first_place(X):
    ranking = rank_encoders({"one": planted(0.6), "same": planted(0.6)}, X, Y, n_resamples=50, random_state=0)
    # ties are shared, so that 0.5 is exact
    assert (ranking["first"] == 0.5).all()
    assert (ranking.ahead[0] == 0.5).all()
    assert (ranking.difference == 0).all()
    assert (ranking.difference_interval.sel(score=["h_score", "log_evidence"]) == 0).all()
    assert ranking.encoder.values.tolist() == ["one", "same"]  # in the order in which they were given


def test_encoders_as_good_as_one_another_differ_by_chance_only(X):
    ranking = rank_encoders({f"{i}": planted(0.6, seed=i) for i in range(3)}, X, Y, random_state=0)
    low, high = ranking.difference_interval.sel(score="probe_accuracy").values[1:].T
    # the first was chosen among three: twice 2.5 % of the cases are beyond; this seed is not one of them
    assert (high >= 0).all()
    assert (low < 0).all()
    assert ranking["first"].sel(score="probe_accuracy").max() < 0.99


def test_values_are_those_of_the_scores(X, ranking):
    seed = derive_seed(0, "ranking")
    folds = deal_into_folds(CODES, 5, derive_generator(seed, "folds"))
    for name, noise in {"best": 0.3, "good": 0.7, "worse": 1.5}.items():
        Z = encode(planted(noise), X)
        probe = cross_val_score(FrozenFeatureProbe(), Z, Y, cv=PredefinedSplit(folds))
        expected = [probe.mean(), probe.mean(), nearest_correct(Z, Y).mean(), h_score(Z, Y), log_evidence(Z, Y)]
        np.testing.assert_allclose(ranking.value.sel(encoder=name), expected, rtol=1e-12)


def test_rare_classes_count_as_much_in_the_balanced_accuracy(X):
    """Of 150 images, 5 or so are of the rare class; one encoder sees nothing, the other the class."""
    y = np.where(CODES == 0, np.arange(N) % 10 == 0, 0)
    blind, seeing = (lambda X: np.zeros((len(X), 1))), (lambda X: 9.0 * y[X[:, 0, 0, 0]][:, None])
    ranking = rank_encoders({"blind": blind, "seeing": seeing}, X, y, n_resamples=200, random_state=0)
    balanced = ranking.sel(score="balanced_accuracy")
    assert balanced.value.sel(encoder=["blind", "seeing"]).values.tolist() == [0.5, 1.0]
    assert ranking.value.sel(score="probe_accuracy", encoder="blind") == pytest.approx(1 - y.mean())
    # that the probe is right about these 5 does not say that it is about all others
    assert balanced.interval.sel(encoder="seeing", bound="low") < 0.9
    assert balanced["first"].sel(encoder="seeing") > 0.99
    assert "balanced accuracy" in format_ranking(ranking)


def test_the_balanced_accuracy_is_that_of_scikit_learn(X):
    y = np.where(np.arange(N) % 7 == 0, CODES, 0)  # classes of 136, 7 and 7 or so
    ranking = rank_encoders({"noisy": planted(0.8)}, X, y, n_resamples=20, random_state=0)
    folds = deal_into_folds(y, 5, derive_generator(derive_seed(0, "ranking"), "folds"))
    predicted = cross_val_predict(FrozenFeatureProbe(), encode(planted(0.8), X), y, cv=PredefinedSplit(folds))
    value = ranking.value.sel(encoder="noisy", score="balanced_accuracy").item()
    assert value == pytest.approx(balanced_accuracy_score(y, predicted))
    assert value < ranking.value.sel(encoder="noisy", score="probe_accuracy")


def test_four_images_of_a_class_decide_nothing():
    """One encoder is right about all of a rare class, and the other about none: 4 of 4 happens by chance in 1 of 8."""
    X, y = np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1).repeat(3, axis=3), (np.arange(100) < 4).astype(int)
    encoders = {"sees": lambda X: 9.0 * y[X[:, 0, 0, 0]][:, None], "does not": lambda X: np.zeros((len(X), 1))}
    ranking = rank_encoders(encoders, X, y, n_resamples=500, random_state=0)
    low, high = ranking.difference_interval.sel(encoder="does not", score="balanced_accuracy").values
    assert ranking.difference.sel(encoder="does not", score="balanced_accuracy") == -0.5
    assert low < -0.6
    assert high >= 0
    assert ranking.difference_interval.sel(encoder="sees").values.tolist() == [[0, 0]] * 5


def test_the_table_has_the_balanced_accuracy_where_classes_are_of_unequal_size(X, ranking):
    assert "balanced" not in format_ranking(ranking)  # of one size: it is the probe accuracy
    y = np.arange(N) < 15
    perfect = rank_encoders({"label": lambda X: 9.0 * y[X[:, 0, 0, 0]][:, None]}, X, y, n_resamples=200, random_state=0)
    text = format_ranking(perfect)
    assert "chance is 0.900, of the balanced accuracy 0.500" in text
    assert "balanced accuracy" in text.splitlines()[1]  # although both are 1: its interval is wider
    low = perfect.interval.sel(encoder="label", bound="low")
    assert low.sel(score="balanced_accuracy") < low.sel(score="probe_accuracy") - 0.02


def test_intervals_of_accuracies_are_those_of_a_share(ranking):
    """A share p of n has the standard deviation sqrt(p (1 - p) / n); percentiles of 1,000 means are 6 % off."""
    share = ranking.value.sel(score="probe_accuracy", encoder="worse").item()
    low, high = ranking.interval.sel(score="probe_accuracy", encoder="worse").values
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(share * (1 - share) / N), rel=0.2)


def test_no_mistake_is_no_certainty(X):
    ranking = rank_encoders({"label": planted(0.0), "wrong": planted(0.9)}, X, Y, n_resamples=20, random_state=0)
    low, high = ranking.interval.sel(encoder="label", score="probe_accuracy").values
    assert low**N == pytest.approx(0.025)  # with this accuracy, all 150 are right in 2.5 % of the cases
    assert high == 1


def test_equal_seeds_give_equal_rankings_and_others_do_not(X):
    encoders = {"a": planted(0.9), "b": planted(0.8)}
    alone, same, other = (rank_encoders({"b": encoders["b"]}, X, Y, n_resamples=20, random_state=i) for i in (0, 0, 1))
    xr.testing.assert_identical(alone, same)
    assert not alone.identical(other)
    # folds and resamples are the same, whoever else is there
    both = rank_encoders(encoders, X, Y, n_resamples=20, random_state=0).sel(encoder=["b"])
    xr.testing.assert_allclose(alone[["value", "interval"]], both[["value", "interval"]], rtol=1e-12)


def test_features_are_computed_once_and_where_they_are_asked_for(X):
    calls = []

    def counted(X):
        calls.append(len(X))
        return X.mean(axis=(1, 2))

    with torch.random.fork_rng([]):
        module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(16, 3))
    ranking = rank_encoders({"counted": counted}, X, Y, batch_size=50, n_resamples=10, random_state=0)
    assert calls == [50] * 5  # two of them ask whether its features depend on the batch
    assert ranking.features.values.tolist() == [""]
    assert ranking.n_features.values.tolist() == [3]
    ranking = rank_encoders({"module": module}, X, Y, layer="0", n_resamples=10, random_state=0)
    assert ranking.features.values.tolist() == ["output of 0, mean over places"]
    assert ranking.n_features.values.tolist() == [4]


def test_images_that_are_there_twice_are_warned_of(X):
    """A probe recognises them; fewer than one in twenty may be equal by chance."""
    y = np.arange(40) % 2
    with pytest.warns(
        UserWarning, match="^20 of the 40 images in X are equal to others: the probe is tested on"
    ) as caught:
        rank_encoders({"pixels": None}, np.concatenate([X[:20], X[:20]]), y, n_resamples=10, random_state=0)
    assert caught[0].filename == __file__
    rank_encoders({"pixels": None}, np.concatenate([X[:39], X[:1]]), y, n_resamples=10, random_state=0)


def test_a_rare_class_makes_no_fewer_folds(X):
    """All other probes would learn from half of the images; its two images lie in two folds."""
    y = np.repeat([0, 1, 2], [6, 3, 2])
    ranking = rank_encoders({"pixels": None}, X[:11], y, n_resamples=20, random_state=0)
    assert ranking.attrs["n_folds"] == 5
    assert (ranking.attrs["n_images"], ranking.attrs["n_classes"]) == (11, 3)
    assert np.isfinite(ranking.interval).all()
    few = X[:4]  # fewer than neighbours
    smallest = rank_encoders({"pixels": None}, few, [0, 1, 0, 1], n_resamples=20, random_state=0)
    assert np.isfinite(smallest.interval).all()
    assert smallest.attrs["n_folds"] == 2


def test_sensitivity_of_the_better_encoders(X):
    noises = {"a": 0.9, "b": 0.2, "c": 0.45, "d": 0.3}
    encoders = {name: planted(noise) for name, noise in noises.items()}
    values = [[3, 1, np.nan, 5], [0, 2, 1, 5], [1, 0, 0, 5], [2, np.nan, np.nan, 5], [9, 9, 9, 9]]
    sensitivity = xr.DataArray(
        values, {"encoder": [*"abcdz"], "transformation": ["hue", "rotate", "blur", "noise"]},
        ["encoder", "transformation"],
    )  # fmt: skip
    ranking = rank_encoders(encoders, X, Y, n_resamples=10, sensitivity=sensitivity.T, random_state=0)
    accuracy = ranking.value.sel(score="probe_accuracy", encoder=[*"abcd"]).values
    found = ranking.rank_correlation.sel(transformation="hue").item()
    assert found == pytest.approx(stats.spearmanr(accuracy, [3, 0, 1, 2]).statistic)
    assert found < -0.5
    rotate = stats.spearmanr(accuracy[:3], [1, 2, 0]).statistic
    assert ranking.rank_correlation.sel(transformation="rotate").item() == pytest.approx(rotate)
    assert np.isnan(ranking.rank_correlation.sel(transformation=["blur", "noise"])).all()  # two encoders; all the same
    assert ranking.n_encoders.values.tolist() == [4, 3, 2, 4]
    text = format_ranking(ranking)
    assert ["hue", f"{found:+.2f}", "4"] in [line.split() for line in text.splitlines()]


def test_the_sensitivity_of_a_scorer_fits(X):
    encoders = {"colour": lambda X: X.mean(axis=(1, 2)), "pixels": None, "red": lambda X: X[..., :1].mean(axis=(1, 2))}
    X, y = X[:60], Y[:60]
    scorer = SensitivityScorer(encoders, transformations=["hue", "h_flip"], random_state=0).fit(X)
    options = {"n_resamples": 10, "sensitivity": scorer.sensitivity_, "random_state": 0}
    ranking = rank_encoders(encoders, X, y, **options, needed=["h_flip"])
    assert ranking.rank_correlation.dims == ("transformation",)
    assert ranking.transformation.values.tolist() == ["hue", "h_flip"]
    # mean colours are the same in a mirror, and pixels are not
    needed = ranking.needed_sensitivity.sel(encoder=["colour", "pixels"]).values
    assert needed[0] == pytest.approx(0, abs=1e-6)
    assert needed[1] == scorer.sensitivity_.sel(encoder="pixels", transformation="h_flip").item() > 0.1
    lines = format_ranking(ranking).splitlines()
    assert lines[1].endswith("sensitivity to what is needed")
    assert [line.split()[-1] for line in lines if line.startswith("pixels")][0] == f"{needed[1]:.3f}"
    assert "needed_sensitivity" not in rank_encoders({"red": encoders["red"]}, X, y, **options, needed=[])


def test_what_was_not_measured_is_not_taken_for_ignored(X):
    values = [[np.nan, 0.05], [0.1, 0.06]]
    names = {"encoder": ["a", "b"], "transformation": ["hue", "blur"]}
    sensitivity = xr.DataArray(values, names, list(names))
    encoders, needed = {"a": lambda X: X.mean(axis=(1, 2)), "b": None}, iter(["hue", "blur"])
    ranking = rank_encoders(encoders, X[:30], Y[:30], sensitivity=sensitivity, needed=needed, n_resamples=10)
    found = ranking.needed_sensitivity.sel(encoder=["a", "b"]).values
    np.testing.assert_allclose(found, [np.nan, 0.08])


@pytest.mark.parametrize(
    ("needed", "message"),
    [
        ("hue", "needed is 'hue', expected a list of names of transformations"),
        (["blur"], "needed holds 'blur', expected transformations of sensitivity, which has: hue"),
    ],
)
def test_what_is_needed_must_be_measured(X, needed, message):
    sensitivity = xr.DataArray(
        [[0.5]], {"encoder": ["pixels"], "transformation": ["hue"]}, ["encoder", "transformation"]
    )
    with pytest.raises(ValueError, match=message):
        rank_encoders({"pixels": None}, X, Y, sensitivity=sensitivity, needed=needed)
    with pytest.raises(ValueError, match="which has: none"):
        rank_encoders({"pixels": None}, X, Y, needed=["hue"])


def test_a_ranking_goes_to_netcdf_and_back(ranking, tmp_path):
    ranking.to_netcdf(tmp_path / "ranking.nc")
    with xr.open_dataset(tmp_path / "ranking.nc") as read:
        xr.testing.assert_equal(read.load(), ranking)
    assert all({"units", "long_name"} <= one.attrs.keys() for one in ranking.data_vars.values())


def test_the_table(ranking):
    lines = format_ranking(ranking).splitlines()
    assert lines[0] == "value [95 % interval over images]; chance is 0.333"
    assert [line.split()[0] for line in lines[2:5]] == ["best", "good", "worse"]
    low, high = ranking.interval.sel(encoder="good", score="probe_accuracy").values
    value = ranking.value.sel(encoder="good", score="probe_accuracy").item()
    assert lines[3].startswith(f"good     {value:.3f} [{low:.3f}, {high:.3f}]  ")
    assert lines[-3].split()[:5] == ["worse", "0.00", "0.00", "0.00", "0.00"]
    assert lines[-1] == "best by probe accuracy: best, clearly ahead of all others"
    assert max(map(len, lines)) <= 120


def test_encoders_that_are_right_about_the_same_images_may_still_differ(X):
    ranking = rank_encoders({"a": planted(0.05), "b": planted(0.06)}, X, Y, n_resamples=20, random_state=0)
    assert (ranking.value.sel(score="probe_accuracy") == 1).all()
    between = ranking.difference_interval.sel(encoder="b", score="probe_accuracy").values
    # (1 - 0.0243) ** 150 = 0.025: what happens in 2.4 % of all images is not seen in 150 of them in 2.5 % of the cases
    assert between == pytest.approx([-0.0243, 0.0243], abs=1e-4)
    assert (ranking.difference_interval.sel(encoder="a") == 0).all()


def test_the_table_says_what_these_images_do_not_tell_apart_and_which_score_to_go_by(X):
    ranking = rank_encoders({"a": planted(0.7), "b": planted(0.7), "noise": random}, X, Y, random_state=0)
    assert format_ranking(ranking).splitlines()[-1] == "best by probe accuracy: a; these images do not tell it from: b"
    bounds = ranking.difference_interval.copy()
    bounds.loc[{"encoder": "noise", "score": ["h_score", "log_evidence"]}] = 1.0
    lines = format_ranking(ranking.assign(difference_interval=bounds)).splitlines()
    assert lines[-2] == "noise has clearly higher h score and log evidence"
    assert lines[-1].startswith("where scores disagree, go by probe accuracy: ")
    assert max(map(len, lines)) <= 120


def test_the_table_says_if_nothing_is_better_than_chance(X):
    lines = format_ranking(rank_encoders({"noise": random}, X, Y, random_state=0)).splitlines()
    assert lines[-2:] == ["best by probe accuracy: noise", "no encoder is clearly better than chance"]


def test_what_is_no_ranking(ranking):
    with pytest.raises(TypeError, match="ranking is of type dict, expected an xarray.Dataset"):
        format_ranking({})
    with pytest.raises(ValueError, match="ranking has no variable 'first', expected the result of rank_encoders"):
        format_ranking(ranking.drop_vars("first"))


LABELS = xr.DataArray(np.ones((1, 1)), {"encoder": ["a"], "transformation": ["hue"]}, ["encoder", "transformation"])


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"encoders": [None]}, TypeError, "encoders is of type list, expected a dict of encoders by their names"),
        ({"encoders": {}}, ValueError, "encoders is an empty dict, expected at least one encoder by its name"),
        ({"encoders": {1: None}}, ValueError, "encoders holds 1, expected names of encoders, such as 'resnet18'"),
        ({"encoders": {"a": "vit"}}, ValueError, "encoder 'a': TypeError: encoder is of type str, expected a torch"),
        ({"encoders": {"a": lambda X: X[:1]}}, ValueError, "encoder 'a': ValueError: encoder returned shape"),
        ({"layer": "fc"}, ValueError, "encoder 'a': ValueError: layer is 'fc', expected None: encoder is of type No"),
        ({"pool": "max"}, ValueError, "^pool is 'max'"),
        ({"precision": "int8"}, ValueError, "^precision is 'int8'"),
        ({"batch_size": 0}, ValueError, "^batch_size is 0, expected a whole number from 1 to 65536"),
        ({"n_folds": 1}, ValueError, "n_folds is 1, expected a whole number of at least 2"),
        ({"n_resamples": 1}, ValueError, "n_resamples is 1, expected a whole number from 2 to 1000000"),
        ({"y": ["a"] * N}, ValueError, "y holds one class only, 'a', expected at least 2 classes"),
        ({"y": [0, 1]}, ValueError, r"y has shape \(2,\), expected \(150,\): one label per image"),
        ({"y": [*"ab", *["c"] * (N - 2)]}, ValueError, "y has 1 of 3 classes with at least 2 images, expected at le"),
        ({"X": np.zeros((N, 4))}, ValueError, r"X has shape \(150, 4\)"),
        ({"sensitivity": [1]}, TypeError, "sensitivity is of type list, expected an xarray.DataArray"),
        ({"sensitivity": LABELS[0]}, ValueError, "sensitivity has no dimension 'encoder'"),
        ({"sensitivity": LABELS.assign_coords(encoder=["b"])}, ValueError, "sensitivity has no encoder 'a', .* has: b"),
        ({"sensitivity": LABELS.expand_dims("layer")}, ValueError, "sensitivity also has the dimension 'layer': se"),
    ],
)
def test_what_is_wrong_is_named(X, changed, error, message):
    given = {"encoders": {"a": None}, "X": X, "y": Y} | changed
    with pytest.raises(error, match=message):
        rank_encoders(**given)


def test_classes_with_one_image_are_left_out(X):
    X, y = X[:60], Y[:60]
    lone = np.array([*range(10, 17), *y[7:]])
    message = "y holds 7 of 10 classes with one image only, which are left out: .10., .11., .12., .13., .14., ..."
    with pytest.warns(UserWarning, match=message):
        one = rank_encoders({"pixels": None}, X, lone, n_resamples=50, random_state=0)
    other = rank_encoders({"pixels": None}, X[7:], y[7:], n_resamples=50, random_state=0)
    xr.testing.assert_identical(one, other)


def test_all_encoders_are_opened_before_one_is_run(X):
    with pytest.raises(ValueError, match="encoder 'second': TypeError"):
        rank_encoders({"first": lambda X: pytest.fail("was run"), "second": "vit"}, X, Y)


def test_intervals_are_over_groups(X):
    encoders = {"label": planted(0), "worse": planted(1.5)}
    grouped = rank_encoders(encoders, X, Y, groups=np.arange(N) // 10, n_resamples=50, random_state=0)
    scores = ["probe_accuracy", "nearest_accuracy"]
    perfect = grouped.interval.sel(encoder="label", score=scores)
    np.testing.assert_allclose(perfect, [[0.025 ** (1 / 15), 1]] * 2)  # 15 groups, all right
    behind = grouped.difference_interval.sel(encoder="worse", score=scores)
    assert (behind < 0).all()
    between = grouped.difference.sel(encoder="worse", score=scores)
    np.testing.assert_allclose(behind.sel(bound="low") + behind.sel(bound="high"), 2 * between, atol=0.03)  # Student's


def test_classes_of_few_images_in_groups_of_their_own():
    """Five parts are more than a class has images, which scikit-learn refuses."""
    X = np.arange(8, dtype=np.uint8)[:, None, None, None] * np.full((8, 2, 2, 3), 20, np.uint8)
    ranking = rank_encoders({"pixels": None}, X, np.arange(8) // 4, groups=np.arange(8), n_resamples=20, random_state=0)
    assert ranking.attrs["n_folds"] == 4
    assert np.isfinite(ranking.interval).all()


def test_images_of_a_group_do_not_tell_of_one_another():
    """Features that know the patient alone say nothing of the class."""
    rng = np.random.default_rng(0)
    patients = rng.permutation(np.repeat(np.arange(20), 6))
    X, y = rng.integers(256, size=(120, 4, 4, 3), dtype=np.uint8), patients % 2
    X[:, 0, 0, 0] = patients
    colours = rng.normal(size=(20, 25))  # a linear probe can tell all of them
    encoders = {"patient": lambda X: colours[X[:, 0, 0, 0]], "noise": lambda X: X[:, 1, 1]}
    alone = rank_encoders(encoders, X, y, n_resamples=100, random_state=0)
    grouped = rank_encoders(encoders, X, y, groups=patients, n_resamples=100, random_state=0)
    of_patient = grouped.sel(encoder="patient", score=["probe_accuracy", "nearest_accuracy"])
    assert (alone.value.sel(encoder="patient", score=["probe_accuracy", "nearest_accuracy"]) > 0.95).all()
    assert (of_patient.interval.sel(bound="low") < 0.5).all()
    assert (of_patient.interval.sel(bound="high") - of_patient.interval.sel(bound="low") > 0.25).all()
    assert (grouped.attrs["n_groups"], grouped.attrs["n_images"]) == (20, 120)
    assert "n_groups" not in alone.attrs
    with pytest.raises(ValueError, match=r"groups has shape \(3,\), expected \(120,\)"):
        rank_encoders(encoders, X, y, groups=[1, 2, 3])
