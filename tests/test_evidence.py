"""What is measured of labelled images, against hand arithmetic and a dual kernel ridge regression in float64."""

from functools import cached_property

import numpy as np
import pytest
from scipy import stats
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import StandardScaler

from invtransfer.analysis import evidence
from invtransfer.analysis.evidence import RIDGES, CrossValidatedProbe, _draw_partners
from invtransfer.analysis.intervals import (
    combine_gains,
    is_better_than_chance,
    mean_interval,
    ratio_interval,
    share_difference_interval,
    share_interval,
)


def make_features(n=60, n_features=5, n_classes=3, n_copies=2, seed=0):
    """Return features of overlapping classes, with folds and copies that are displaced along the first of them."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.arange(n) % n_classes)
    Z = rng.normal(size=(n, n_features)) + 1.5 * (codes[:, None] == np.arange(n_features))
    copies = Z + rng.normal(size=(n_copies, n, 1)) * np.eye(n_features)[0]
    return Z.astype(np.float32), codes, rng.permutation(np.arange(n) % 4), copies.astype(np.float32)


def make_probe(Z, codes, folds, **options):
    return CrossValidatedProbe(Z, codes, folds, np.random.default_rng(1), **options)


class DualProbe:
    """The probe by scikit-learn's dual kernel ridge regression, with a refit without each fold."""

    def __init__(self, Z, codes, folds, scale=True):
        self.scaler = StandardScaler(with_std=scale).fit(Z.astype(float))
        self.codes, self.folds, self.landmarks = codes, folds, self.scaler.transform(Z.astype(float))
        n = len(Z)
        pairs = [np.linalg.norm(self.landmarks[i] - self.landmarks[j]) for i in range(n) for j in range(i)]
        self.gamma = 1 / (2 * (3 * np.median(pairs)) ** 2)
        self.inverse = np.linalg.pinv(rbf_kernel(self.landmarks, gamma=self.gamma), rcond=1e-10, hermitian=True)
        self.targets = np.eye(codes.max() + 1)[codes]
        self.mean = self.targets.mean(axis=0)
        self.Z = Z
        self.ridge = min(RIDGES, key=lambda ridge: self.error(self.predict([Z], Z, ridge)).mean())
        self.clean = self.predict([Z], Z, self.ridge)

    def kernel(self, A, B):
        A, B = (
            rbf_kernel(self.scaler.transform(one.astype(float)), self.landmarks, gamma=self.gamma) for one in (A, B)
        )
        return A @ self.inverse @ B.T

    def fit(self, sets, rows, ridge):
        Z = np.concatenate([one[rows] for one in sets])
        y = np.concatenate([self.targets[rows] - self.mean] * len(sets))
        K = self.kernel(Z, Z)
        model = KernelRidge(alpha=ridge, kernel="precomputed")
        return Z, model.fit((K + K.T) / 2, y, np.full(len(y), 1 / len(sets))).dual_coef_

    def predict(self, sets, Z, ridge):
        """Predict each fold of Z from the other folds of several sets of features, each of which weighs the same."""
        predicted = np.empty(self.targets.shape)
        for fold in np.unique(self.folds):
            held_out = self.folds == fold
            seen, weights = self.fit(sets, ~held_out, ridge)
            predicted[held_out] = self.kernel(Z[held_out], seen) @ weights + self.mean
        return predicted

    def error(self, predicted):
        return ((predicted - self.targets) ** 2).sum(axis=1)

    def correct(self, predicted):
        return (predicted.argmax(axis=1) == self.codes).astype(float)

    def distance(self, a, b):
        """Compute the squared distance of two rows of features in the space of the kernel."""
        K = self.kernel(np.stack([a, b]), np.stack([a, b]))
        return max(K[0, 0] - 2 * K[0, 1] + K[1, 1], 0.0)

    def along(self, a, b):
        """Compute the squared length of the part of a difference that lies in the span of the centred weights."""
        weights, inverse = self.read_by
        read = (self.kernel(a[None], self.Z) - self.kernel(b[None], self.Z)) @ weights
        return (read @ inverse @ read.T).item()

    @cached_property
    def read_by(self):
        """Return the centred weights of the probe that saw all images, and their inverse products."""
        _, weights = self.fit([self.Z], np.arange(len(self.Z)), self.ridge)
        weights = weights - weights.mean(axis=1, keepdims=True)
        return weights, np.linalg.pinv(weights.T @ self.kernel(self.Z, self.Z) @ weights, rcond=1e-10)


@pytest.mark.parametrize("scale", [True, False])
def test_probe_against_dual_ridge(scale):
    Z, codes, folds, _ = make_features()
    probe, dual = make_probe(Z, codes, folds, scale=scale), DualProbe(Z, codes, folds, scale=scale)
    assert probe.ridge == dual.ridge
    np.testing.assert_allclose(probe.errors, dual.error(dual.clean), atol=0.01)  # float32
    np.testing.assert_array_equal(probe.correct, dual.correct(dual.clean))
    assert 0.5 < probe.correct.mean() < 1  # neither chance, 0.33, nor trivial


def test_compare_against_dual_ridge():
    Z, codes, folds, copies = make_features(n=40)
    probe, dual = make_probe(Z, codes, folds), DualProbe(Z, codes, folds)
    measured = probe.compare(copies)
    both, alone = (  # each with the best penalty for images as they are
        min((dual.predict(sets, Z, ridge) for ridge in RIDGES), key=lambda one: dual.error(one).mean())
        for sets in ([Z, *copies], list(copies))
    )
    np.testing.assert_allclose(measured["gain"], dual.error(dual.clean) - dual.error(both), atol=0.01)
    np.testing.assert_array_equal(measured["accuracy_gain"], dual.correct(both) - dual.correct(dual.clean))
    of_copies = [dual.predict([Z], copy, dual.ridge) for copy in copies]
    for i in range(len(Z)):
        stays = [one[i].argmax() == dual.clean[i].argmax() for one in of_copies]
        assert measured["consistent"][i] == sum(stays) / 2
        assert measured["correct_transformed"][i] == sum(one[i].argmax() == codes[i] for one in of_copies) / 2
        assert measured["retained"][i] == (alone[i].argmax() == codes[i])


def test_displacements_against_dual_ridge():
    n = 20
    Z, codes, folds, copies = make_features(n)
    probe, dual = make_probe(Z, codes, folds), DualProbe(Z, codes, folds)
    measured = probe.compare(copies)
    moved = [sum(dual.distance(copy[i], Z[i]) for copy in copies) for i in range(n)]
    read = [sum(dual.along(copy[i], Z[i]) for copy in copies) for i in range(n)]
    usual = sum(dual.along(Z[i], Z[j]) for i, j in enumerate(probe._other))
    usual /= sum(dual.distance(Z[i], Z[j]) for i, j in enumerate(probe._other))
    np.testing.assert_allclose(measured["displaced"], moved, rtol=1e-2, atol=1e-4)
    np.testing.assert_allclose(measured["relevant"], np.array(read) / usual, rtol=2e-2, atol=1e-3)
    for i in range(n):
        shares = []
        for j in (probe._same[i], probe._other[i]):
            best = min(dual.distance(one, Z[j]) for one in (Z[i], *copies[:, i]))
            shares.append(1 - np.sqrt(best / dual.distance(Z[i], Z[j])))
        assert measured["explained"][i] == pytest.approx(shares[0] - shares[1], abs=2e-3)


def test_copies_equal_to_the_images():
    Z, codes, folds, _ = make_features()
    probe = make_probe(Z, codes, folds)
    measured = probe.compare(np.stack([Z, Z, Z]))
    np.testing.assert_allclose(measured["gain"], 0, atol=1e-6)
    assert combine_gains([measured["gain"]])[0] == 0
    for name in ("accuracy_gain", "relevant", "displaced", "explained"):
        np.testing.assert_array_equal(measured[name], 0)
    np.testing.assert_array_equal(measured["consistent"], 1)
    for name in ("correct_transformed", "retained"):
        np.testing.assert_array_equal(measured[name], probe.correct)


def test_copies_that_are_images_of_another_class():
    """They are displaced as images differ: the relevant share is 1, by its definition."""
    Z, codes, folds, _ = make_features()
    probe = make_probe(Z, codes, folds)
    measured = probe.compare(Z[probe._other][None])
    assert measured["relevant"].sum() / measured["displaced"].sum() == pytest.approx(1, rel=1e-5)
    assert (measured["explained"] <= 1e-6).all()  # the other image is reached wholly: its share is 1
    assert measured["retained"].mean() < 0.5 < probe.correct.mean()


def test_copies_that_are_their_class_explain_it():
    Z, codes, folds, _ = make_features()
    probe = make_probe(Z, codes, folds)
    assert probe.compare(Z[probe._same][None])["explained"].mean() > 0.5


@pytest.mark.parametrize("change", ["order", "constant", "unit"])
def test_what_changes_nothing(change):
    Z, codes, folds, copies = make_features()
    rows = np.random.default_rng(5).permutation(60) if change == "order" else np.arange(60)
    shift, unit = {"order": (0, 1), "constant": (np.float32(3), 1), "unit": (0, np.float32(1e3))}[change]
    one = make_probe(Z, codes, folds)
    other = make_probe(Z[rows] * unit + shift, codes[rows], folds[rows])
    assert one.ridge == other.ridge
    np.testing.assert_allclose(one.errors[rows], other.errors, atol=0.02)
    expected, found = one.compare(copies), other.compare(copies[:, rows] * unit + shift)
    for name in ("gain", "accuracy_gain", "consistent", "correct_transformed", "retained", "displaced"):
        np.testing.assert_allclose(expected[name][rows], found[name], atol=0.5 if "_" in name else 0.02, err_msg=name)


def test_more_images_than_landmarks(monkeypatch):
    monkeypatch.setattr(evidence, "N_LANDMARKS", 40)
    Z, codes, folds, copies = make_features(n=150)
    probe = make_probe(Z, codes, folds)
    assert len(probe._features) == 150
    assert probe._features.shape[1] <= 40
    assert probe.correct.mean() > 0.6
    assert all(np.isfinite(values).all() for values in probe.compare(copies).values())


def test_features_that_float32_does_not_tell_apart():
    Z, codes = np.array([[0.0], [0], [1e-30], [0]], np.float32), np.array([0, 1, 0, 1])
    probe = CrossValidatedProbe(Z, codes, np.array([0, 0, 1, 1]), np.random.default_rng(0), scale=False)
    assert np.isfinite(probe.errors).all()


def test_constant_features():
    _, codes, folds, _ = make_features()
    probe = make_probe(np.ones((60, 5), np.float32), codes, folds)
    assert probe.correct.mean() <= 0.4
    measured = probe.compare(np.ones((2, 60, 5), np.float32))
    assert np.isnan(ratio_interval(measured["relevant"], measured["displaced"])[0])
    np.testing.assert_allclose(measured["gain"], 0, atol=1e-6)


# partners


def test_partners():
    codes = np.array([0, 0, 0, 1, 1, 2])
    counts = np.zeros((6, 6), int), np.zeros((6, 6), int)
    n = 1_000
    for seed in range(n):
        for count, partners in zip(counts, _draw_partners(codes, np.random.default_rng(seed)), strict=True):
            count[np.arange(6), partners] += 1
    of_class = codes[:, None] == codes
    possible = (of_class & ~np.eye(6, dtype=bool)) | np.diag([False] * 5 + [True]), ~of_class
    for count, may in zip(counts, possible, strict=True):
        assert not count[~may].any()
        expected = np.broadcast_to(n / may.sum(axis=1, keepdims=True), (6, 6))[may]
        # a count of n draws with probability p has the variance n p (1 - p); 5 standard deviations
        np.testing.assert_array_less(abs(count[may] - expected), 5 * np.sqrt(expected * (1 - expected / n)) + 1e-9)


def test_partners_do_not_pair_up():
    """Each image is the partner of one of its class: no image is asked for twice."""
    same, _ = _draw_partners(np.repeat([0, 1], [7, 5]), np.random.default_rng(0))
    assert sorted(same) == list(range(12))


# intervals


def test_mean_interval_against_scipy():
    values = np.random.default_rng(0).exponential(size=20)
    known = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean_interval(np.append(values, np.nan)) == pytest.approx((values.mean(), known.low, known.high))


def test_a_feature_that_hardly_varies_over_images_does_not_drown_the_others_in_copies():
    Z, codes, folds, copies = make_features(n=200)
    without = make_probe(Z, codes, folds).compare(copies)
    unit, moved = np.zeros((200, 1), np.float32), np.full((2, 200, 1), 0.8, np.float32)
    unit[7] = 1e-3  # as a unit that is nearly dead: 0.8 is ten thousand of its standard deviations
    probe = make_probe(np.append(Z, unit, axis=1), codes, folds)
    found = probe.compare(np.append(copies, moved, axis=2))
    for name in ("consistent", "correct_transformed", "retained"):
        assert found[name].mean() == pytest.approx(without[name].mean(), abs=0.1)
    constant = make_probe(np.ones((200, 2), np.float32), codes, folds)  # nothing varies
    assert constant.correct.mean() < 0.5


@pytest.mark.parametrize(("n", "share"), [(30, 0.9), (30, 0.97), (30, 0.99), (100, 0.97), (100, 0.99), (100, 0.5)])
def test_the_interval_of_a_share_covers_it_also_near_1(n, share):
    covered = 0
    for n_right in range(n + 1):  # all that can happen, with its probability
        _, low, high = share_interval((np.arange(n) < n_right).astype(float))
        assert 0 <= low < high <= 1
        covered += stats.binom.pmf(n_right, n, share) * (low <= share <= high)
    assert covered >= 0.95


def test_the_interval_of_a_share_by_hand():
    known = stats.binomtest(29, 30).proportion_ci(method="exact")
    assert share_interval((np.arange(30) > 0).astype(float)) == pytest.approx((29 / 30, known.low, known.high))
    assert share_interval(np.zeros(30))[:2] == (0, 0)
    halves = np.tile([0.25, 0.75], 50)  # a spread of 0.25, that of 4 times as many single answers
    _, low, high = share_interval(halves)
    _, low_of_400, high_of_400 = share_interval(np.tile([0.0, 1.0], 198))
    assert (low, high) == pytest.approx((low_of_400, high_of_400), abs=1e-12)


def test_ratio_interval_by_hand():
    # 6 / 4 = 1.5; the rests are -0.5, 0.5 and 0, of standard deviation 0.5: 4.303 * 0.5 / sqrt(3) / (4 / 3) = 0.932
    ratio, low, high = ratio_interval(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 2.0]))
    assert (ratio, low, high) == pytest.approx((1.5, 1.5 - 0.932, 1.5 + 0.932), abs=1e-3)


def test_ratio_interval_leaves_out_nan():
    values, by = np.array([1.0, np.nan, 2.0, 3.0, 4.0]), np.array([1.0, 5.0, 1.0, 2.0, np.nan])
    assert ratio_interval(values, by) == ratio_interval(values[[0, 2, 3]], by[[0, 2, 3]])


@pytest.mark.parametrize("by", [[0.0, 0.0], [0.0, 1e-308], [-1.0, 0.5], [np.nan, 1.0]])
def test_no_interval(by):
    assert np.isnan(ratio_interval(np.array([1.0, 2.0]), np.array(by))).all()


def test_intervals_hold_the_truth_in_95_percent():
    rng, n, n_runs = np.random.default_rng(0), 40, 400
    held = np.zeros(2)
    for _ in range(n_runs):
        by = 1 + 0.3 * rng.normal(size=n)
        values = 0.5 * by + 0.2 * rng.normal(size=n)
        for which, (_, low, high) in enumerate((mean_interval(values), ratio_interval(values, by))):
            held[which] += low <= 0.5 <= high
    # a share of 400 has the standard error sqrt(0.95 * 0.05 / 400) = 0.011; 3.5 of them
    np.testing.assert_allclose(held / n_runs, 0.95, atol=0.038)


@pytest.mark.parametrize(("n", "n_views"), [(4, 1), (10, 2), (200, 2)])
def test_combined_gains_are_standard_normal_numbers(n, n_views):
    """Of views that see the same images, 5 % are above 1.645, and 5 % below -1.645; of few images, too."""
    rng, n_runs = np.random.default_rng(n), 1_500
    shared, own = rng.normal(size=(n_runs, 1, n)), rng.normal(size=(n_runs, n_views, n))
    z = np.array([combine_gains(list(gains))[0] for gains in (shared + own) * [[1.0], [100.0]][:n_views]])
    # the standard error of a share is sqrt(0.05 * 0.95 / 1,500) = 0.0056; 3.5 of them, and 0.003 for the formula
    assert (z > 1.645).mean() == pytest.approx(0.05, abs=0.023)
    assert (z < -1.645).mean() == pytest.approx(0.05, abs=0.023)


def test_combined_gains_by_hand():
    # The views have the standard deviations 1 and 10: their sum is 0, 2, 4, of mean 2 and standard error 2 / sqrt(3);
    # t = 1.732 of 2 degrees: 17 / 19 * sqrt(2 * log(1 + 3 / 2)) = 1.211
    views = [np.array([0.0, 1.0, 2.0]), np.array([0.0, 10.0, 20.0])]
    assert combine_gains(views)[0] == pytest.approx(1.211, abs=1e-3)
    assert combine_gains([-views[0], -views[1]])[0] == pytest.approx(-1.211, abs=1e-3)
    assert combine_gains([views[0], np.zeros(3)]) == combine_gains(views[:1])


def test_rounding_is_no_gain():
    assert combine_gains([np.random.default_rng(0).normal(1, 1, 100) * 1e-8])[0] == 0


def test_combined_gains_rank_as_students_t():
    gain = np.random.default_rng(0).normal(size=12)
    for shift in (0.1, 0.5, 1.0):
        exact = stats.norm.isf(stats.ttest_1samp(gain - gain.mean() + shift, 0, alternative="greater").pvalue)
        assert combine_gains([gain - gain.mean() + shift])[0] == pytest.approx(exact, rel=0.01)


def test_better_than_chance():
    # of guessers with chance 0.5, (1 + 12) / 2 ** 12 = 1 in 315 have at least 11 of 12 right, 1 in 4,096 all
    assert not is_better_than_chance(np.arange(12) < 11, 0.5)
    assert is_better_than_chance(np.arange(12) < 12, 0.5)
    # with chance 0.2, 32.1 of 100 are 3.03 standard deviations of 4 above 20
    assert not is_better_than_chance(np.arange(100) < 31, 0.2)
    assert is_better_than_chance(np.arange(100) < 35, 0.2)


@pytest.mark.parametrize(("n", "n_classes"), [(8, 2), (40, 2), (60, 4)])
def test_shuffled_labels_are_seldom_better_than_chance(n, n_classes):
    """Nominally 0.1 % of the runs; for few images of 2 classes, whose answers hang together, up to 3 %."""
    n_runs, found = 25, 0
    for seed in range(n_runs):
        Z, codes, _, _ = make_features(n, n_classes=n_classes, seed=seed)
        codes = np.random.default_rng(seed).permutation(codes)
        folds = np.empty(n, int)
        folds[np.argsort(codes, kind="stable")] = np.arange(n) % 4
        probe = make_probe(Z, codes, folds)
        found += is_better_than_chance(probe.correct, np.bincount(codes).max() / n)
    assert found <= stats.binom.isf(1e-3, n_runs, 0.03)


# groups


def draw_grouped(rng, sizes, spread=1.0):
    """Return numbers of images, and their groups, whose own numbers vary as much as images do by themselves."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return spread * rng.normal(size=len(sizes))[groups] + rng.normal(size=len(groups)), groups


def test_intervals_over_groups_hold_the_truth():
    """Images of a group hang together: taken as independent, the interval is too narrow by far."""
    rng, n_runs, held = np.random.default_rng(0), 300, np.zeros(4)
    for _ in range(n_runs):
        values, groups = draw_grouped(rng, rng.integers(2, 15, 20))
        right = (values > 0).astype(float)
        found = mean_interval(values, groups), mean_interval(values)
        found += share_interval(right, groups), share_interval(right)
        held += [low <= truth <= high for (_, low, high), truth in zip(found, (0, 0, 0.5, 0.5), strict=True)]
    over_groups, over_images = held[[0, 2]] / n_runs, held[[1, 3]] / n_runs
    assert (over_groups > 0.95 - 0.045).all()  # the standard error is 0.013; 20 groups of different sizes
    assert (over_images < 0.75).all()


@pytest.mark.parametrize(("n_groups", "size"), [(100, 1), (6, 10)])
def test_intervals_of_differences_of_shares_hold_the_truth(n_groups, size):
    """Two probes, right about four fifths of the images, whose answers hang together within groups."""
    rng, n_runs, held = np.random.default_rng(0), 300, 0
    groups = np.repeat(np.arange(n_groups), size)
    for _ in range(n_runs):
        shares = rng.beta(1.6, 0.4, (2, n_groups))[:, groups]
        right = (rng.random(shares.shape) < shares).astype(float)
        _, low, high = share_difference_interval(right[1] - right[0], groups if size > 1 else None)
        held += low <= 0 <= high
    assert held / n_runs > 0.95 - 0.044  # the standard error is 0.013, 3.5 of them


def test_a_few_images_decide_no_difference():
    """Of images about which one probe alone is right, four of four have p = 1 / 8 in a sign test, and six 1 / 32."""
    for n, decides in ((4, False), (6, True)):
        difference, low, high = share_difference_interval(np.repeat([0.0, -1.0], [100 - n, n]))
        assert difference == -n / 100
        assert (high < 0) == decides
        assert -1 <= low < difference
    difference, low, high = share_difference_interval(np.zeros(20))
    assert (difference, low) == (0, -high)
    assert (1 - high) ** 20 == pytest.approx(0.025)  # what happens in so many images is not seen in 20 in 2.5 %
    assert share_difference_interval(np.zeros(20), np.arange(20) // 4)[2] > high  # 5 groups
    assert share_difference_interval(np.ones(2))[2] == 1


def test_gains_over_groups():
    """With as many images in each group, z is that of the groups' means."""
    rng = np.random.default_rng(0)
    values, groups = draw_grouped(rng, np.full(12, 5))
    order = rng.permutation(60)
    z, n_effective = combine_gains([(values + 0.5)[order]], groups[order])
    means = (values + 0.5).reshape(12, 5).mean(axis=1)
    assert z == pytest.approx(combine_gains([means])[0], rel=1e-9)
    assert n_effective == pytest.approx(values.var(ddof=1) / (means.var(ddof=1) / 12), rel=1e-9)
    assert combine_gains([values]) == (pytest.approx(combine_gains([values], np.arange(60))[0]), 60)


def test_answers_of_groups_that_agree_count_once():
    right, groups = np.ones(40), np.repeat(np.arange(4), 10)
    assert share_interval(right, groups) == share_interval(np.ones(4))
    assert is_better_than_chance(right, 0.5)
    assert not is_better_than_chance(right, 0.5, groups)  # 4 of 4: 1 guesser in 16
    mixed = np.repeat(np.arange(20) < 12, 10).astype(float)  # each group all right or all wrong
    share, low, high = share_interval(mixed, np.repeat(np.arange(20), 10))
    assert share == 0.6
    assert high - low == pytest.approx(np.subtract(*share_interval((np.arange(20) < 12) * 1.0)[:0:-1]), rel=0.1)
