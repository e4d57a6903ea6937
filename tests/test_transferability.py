"""Scores of features for labels, and their spread over images."""

import numpy as np
import pytest
from scipy import optimize
from sklearn.covariance import ledoit_wolf
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from invtransfer.analysis import h_score, log_evidence, nearest_correct
from invtransfer.analysis.resampling import (
    balanced_interval,
    bootstrap_means,
    choose_kept,
    deal_groups,
    deal_into_folds,
    jackknife_deviations,
    jackknife_half_width,
    share_above,
    share_first,
)
from invtransfer.analysis.transferability import LEAST_NOISE


def planted(n, d, n_classes=3, noise=1.0, seed=0):
    """Features that are the label, one-hot, plus noise that differs between directions."""
    y = np.arange(n) % n_classes
    Z = np.random.default_rng(seed).normal(size=(n, d)) * np.linspace(0.5, 1.5, d) * noise
    Z[:, :n_classes] += np.eye(n_classes)[y]
    return Z, y


SHAPES = [(40, 4), (40, 40), (40, 90)]


# log evidence


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_log_evidence_is_that_of_bayesian_linear_regression(n, d):
    Z, y = planted(n, d)
    products = Z @ Z.T

    def negative(logarithms, labels):
        alpha, beta = np.exp(logarithms)
        covariance = products / alpha + np.eye(n) / beta
        squares = labels @ np.linalg.solve(covariance, labels)
        return (n * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] + squares) / 2

    best = [
        min(optimize.minimize(negative, start, (y == k,), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9})
            .fun for start in ([0, 0], [4, 2]))
        for k in range(3)
    ]  # fmt: skip
    assert log_evidence(Z, y) == pytest.approx(-np.mean(best) / n, abs=1e-8)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_log_evidence_is_the_fixed_point_of_the_paper(n, d):
    Z, y = planted(n, d)
    left, singular, _ = np.linalg.svd(Z, full_matrices=False)
    squares, evidences = singular**2, []
    for k in range(3):
        labels = (y == k).astype(float)
        alpha = beta = 1.0
        for _ in range(1_000):
            # the posterior mean in the basis of the right singular vectors
            m = beta * singular * (left.T @ labels) / (alpha + beta * squares)
            residual = np.square(labels - left @ (singular * m)).sum()
            gamma = (beta * squares / (alpha + beta * squares)).sum()
            alpha, beta = gamma / (m @ m), (n - gamma) / residual
        # Equation 2 of the paper, with the D - rank eigenvalues alpha of A that cancel against D log alpha left out
        evidences.append(
            n / 2 * np.log(beta) + len(squares) / 2 * np.log(alpha) - n / 2 * np.log(2 * np.pi) - beta / 2 * residual
            - alpha / 2 * (m @ m) - np.log(alpha + beta * squares).sum() / 2
        )  # fmt: skip
    assert log_evidence(Z, y) == pytest.approx(np.mean(evidences) / n, abs=1e-8)


def test_labels_without_any_rest_have_a_bound():
    # The labels are the features, with weights 1 and 0. The smaller the variance v of the noise, the larger the
    # evidence of 4 labels and 2 weights. For small v, both weights are known, so that 1 / alpha is their mean square,
    # 1/2. The covariance of two samples of one class is then 1/2 + v on and 1/2 off the diagonal: its determinant is
    # v (1 + v), and that of all v^2 (1 + v)^2. The labels 1, 1, 0, 0 lie along its eigenvalue 1 + v: 2 / (1 + v).
    Z, y = np.repeat(np.eye(2), 2, axis=0), [0, 0, 1, 1]
    v = LEAST_NOISE
    evidence = -(4 * np.log(2 * np.pi) + 2 * np.log(v) + 2 * np.log(1 + v) + 2 / (1 + v)) / 2
    assert log_evidence(Z, y) == pytest.approx(evidence / 4, abs=1e-6)


def test_log_evidence_of_no_features():
    # the label is noise alone, whose variance is its mean square: 1/4 and 3/4 of the samples are 1
    Z, y = np.zeros((8, 3)), [0, 0, 1, 1, 1, 1, 1, 1]
    expected = np.mean([-(np.log(2 * np.pi * v) + 1) / 2 for v in (0.25, 0.75)])
    assert log_evidence(Z, y) == pytest.approx(expected)
    # features at right angles to all labels say as little, whatever their size
    Z = np.array([1, -1, 1, -1, 1, -1, 1, -1.0])[:, None]
    assert log_evidence(Z, y) == pytest.approx(expected, abs=1e-9)


# H-score


@pytest.mark.parametrize(("n", "d"), [*SHAPES, (40, 1)])
def test_h_score_is_that_of_the_definition(n, d):
    Z, y = planted(n, d, n_classes=1 if d == 1 else 3)
    y = np.arange(n) % 3
    shrunk, shrinkage = ledoit_wolf(Z)
    assert (d == 1) == (shrinkage == 0)
    means = np.stack([Z[y == k].mean(axis=0) for k in y])
    between = np.cov(means, rowvar=False, bias=True).reshape(d, d)
    expected = (1 - shrinkage) * np.trace(np.linalg.inv(shrunk) @ between)
    assert h_score(Z, y) == pytest.approx(expected, rel=1e-9)


def test_h_score_by_arithmetic():
    # Deviations: first feature -3, -1, 1, 3 (variance 5), second +-1 (variance 1), uncorrelated. Class means: -2 and 2.
    Z, y = np.array([[-3.0, 1.0], [-1, -1], [1, -1], [3, 1]]) + 7, ["a", "a", "b", "b"]
    # Ledoit and Wolf: squared distance of diag(5, 1) from 3 * identity: 4 + 4 = 8. Mean of the fourth powers of lengths
    # 10, 2, 2, 10 (squared): (100 + 4 + 4 + 100) / 4 = 52; less 25 + 1 = 26; over n = 4: 6.5. Shrinkage: 6.5 / 8.
    shrinkage = 0.8125
    assert ledoit_wolf(Z)[1] == pytest.approx(shrinkage)
    # variance of class means: 4, along the first feature, of which the shrunk variance is 0.1875 * 5 + 0.8125 * 3
    expected = (1 - shrinkage) * 4 / (0.1875 * 5 + 0.8125 * 3)
    assert h_score(Z, y) == pytest.approx(expected)


def test_h_score_of_features_that_do_not_vary():
    assert h_score(np.full((6, 3), 0.1), [0, 1] * 3) == 0
    # the shrinkage of features that vary as much in all directions is 1
    assert h_score(np.array([[1, 0], [-1, 0], [0, 1], [0, -1.0]]), [0, 1, 0, 1]) == 0


# nearest neighbours


@pytest.mark.parametrize(("n_classes", "n_neighbors"), [(3, 1), (2, 5), (2, 39)])
def test_nearest_correct_is_scikit_learns_classifier_on_all_others(n_classes, n_neighbors):
    Z, y = planted(40, 6, n_classes, noise=0.6)  # neither of one neighbour nor of two classes are votes ever equal
    classifier = KNeighborsClassifier(n_neighbors)
    answers = cross_val_predict(classifier, StandardScaler().fit_transform(Z), y, cv=LeaveOneOut())
    correct = nearest_correct(Z, y, n_neighbors)
    assert (correct == (answers == y)).all()
    assert n_neighbors == 39 or 0.5 < correct.mean() < 1
    assert n_neighbors < 39 or not correct.any()  # 19 others of its own class, 20 of the other


def test_of_equal_votes_the_nearest_wins():
    # neighbours of 0: 1 (b), then 2, 3 (c), then 4 (b); and the nearest of those with two votes each is b
    Z, y = np.array([[0.0], [1], [2], [3], [4], [50]]), np.array(list("bbccba"))
    assert nearest_correct(Z, y, 4)[0]
    assert not nearest_correct(Z, np.array(list("cbccba")), 4)[0]
    # one vote each, of three classes
    assert nearest_correct(Z, np.array(list("bbcabb")), 3)[0]


def test_neighbours_of_ones_own_group_do_not_vote():
    Z, groups = np.array([[0.0], [0.1], [1.0], [5.0], [5.1], [6.0]]), list("ppqrrs")
    y = np.array([0, 0, 1, 0, 0, 1])
    assert nearest_correct(Z, y, 1).tolist() == [True, True, False, True, True, False]
    assert not nearest_correct(Z, y, 1, groups).any()  # the nearest of another group is of the other class
    Z, y = planted(40, 6, 2, noise=0.6)
    assert (nearest_correct(Z, y, 5, np.arange(40)) == nearest_correct(Z, y, 5)).all()
    with pytest.raises(ValueError, match="n_neighbors is 5, expected a whole number from 1 to 4$"):
        nearest_correct(Z[:6], y[:6], 5, groups)
    with pytest.raises(ValueError, match=r"groups has shape \(6,\), expected \(40,\): one group per sample"):
        nearest_correct(Z, y, 5, groups)


# what all have in common


@pytest.mark.parametrize("score", [log_evidence, h_score, nearest_correct])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_units_order_and_names_do_not_count(score, n, d):
    Z, y = planted(n, d)
    value = np.mean(score(Z, y))
    order = np.random.default_rng(0).permutation(n)
    others = [(1e30 * Z, y), (1e-30 * Z, y), (Z[order], y[order]), (Z, np.array(list("bca"))[y])]
    for same in (score(*other) for other in others):
        assert np.mean(same) == pytest.approx(value, abs=1e-9)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(d, d)))[0]
    if score is not nearest_correct:  # which is standardised
        assert score(Z @ turn, y) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("score", [log_evidence, h_score, nearest_correct])
def test_less_noise_is_better(score):
    values = [np.mean(score(*planted(300, 6, noise=noise))) for noise in (1.2, 0.6, 0.3)]
    assert values[0] < values[1] < values[2]


@pytest.mark.parametrize("score", [log_evidence, h_score, nearest_correct])
@pytest.mark.parametrize(
    ("Z", "y", "message"),
    [
        (np.ones((6, 2)), [0] * 6, "y holds one class only, 0, expected at least 2 classes"),
        (np.ones((6, 2)), [0, 1], "inconsistent numbers of samples"),
        (np.full((6, 2), np.nan), [0, 1] * 3, "contains NaN"),
        (np.ones(6), [0, 1] * 3, "Expected 2D array"),
        (np.ones((6, 2)), np.linspace(0, 1, 6), "continuous"),
    ],
)
def test_features_and_labels_that_are_wrong(score, Z, y, message):
    with pytest.raises(ValueError, match=message):
        score(Z, y)


@pytest.mark.parametrize("n_neighbors", [0, 6, True, 1.5, "all"])
def test_numbers_of_neighbours_that_are_wrong(n_neighbors):
    with pytest.raises(ValueError, match=f"n_neighbors is {n_neighbors!r}, expected a whole number from 1 to 5"):
        nearest_correct(np.ones((6, 2)), [0, 1] * 3, n_neighbors)


# resamples


def test_groups_have_as_many_of_each_class():
    codes = np.repeat([0, 1, 2], [23, 5, 2])
    groups = deal_into_folds(codes, 5, np.random.default_rng(0))
    assert np.bincount(groups).tolist() == [6] * 5
    for k, allowed in enumerate([{4, 5}, {1}, {0, 1}]):
        assert set(np.bincount(groups[codes == k], minlength=5)) <= allowed
    assert (deal_into_folds(codes, 5, np.random.default_rng(1)) != groups).any()


def test_groups_stay_together():
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(30), 5))
    codes = groups % 3
    for seed in range(5):
        folds = deal_into_folds(codes, 5, np.random.default_rng(seed), groups)
        assert all(len(set(folds[groups == group])) == 1 for group in range(30))
        assert all((np.bincount(folds[codes == k], minlength=5) == 10).all() for k in range(3))
    kept = choose_kept(codes, 10, rng, groups)
    assert (kept.sum(axis=0) == 8).all()
    assert all(len(set(rows[groups == group])) == 1 for rows in kept for group in range(30))


def test_groups_are_dealt_until_each_class_is_in_two_folds():
    codes, groups = (
        np.array([0, 1, 1, 1, 0, 0]),
        np.array([1, 0, 1, 1, 1, 2]),
    )  # class 0 in groups 1 and 2, 1 in 0 and 1
    for seed in range(30):
        folds = deal_groups(codes, 2, seed, groups)
        assert all(len(set(folds[codes == code])) == 2 for code in (0, 1))
    triangle = np.array([0, 1, 1, 2, 2, 0])  # in groups 0 0 1 1 2 2: two groups of three share a fold, and a class
    with pytest.raises(ValueError, match="groups holds 3 groups, which cannot be dealt into 2 folds"):
        deal_groups(triangle, 2, 0, np.arange(6) // 2)


def test_bootstrap_means_of_groups_spread_as_means_over_groups():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 10)
    values = rng.normal(size=40)[groups][:, None] + 0.1 * rng.normal(size=(400, 1))
    spread = bootstrap_means(values, 2_000, rng, groups).std()
    assert spread == pytest.approx(values.reshape(40, 10).mean(axis=1).std() / np.sqrt(40), rel=0.06)
    assert bootstrap_means(values, 200, rng).std() < spread / 2


def test_every_class_stays_in_every_subset():
    codes = np.repeat([0, 1, 2], [2, 2, 3])
    kept = choose_kept(codes, 12, np.random.default_rng(0))
    assert len(kept) == 15  # three deals of five groups
    assert (kept.sum(axis=0) == 12).all()
    assert all((np.bincount(codes[rows], minlength=3) > 0).all() for rows in kept)
    assert len(choose_kept(np.array([0, 0, 1, 1]), 4, np.random.default_rng(0))) == 4  # of four images, four groups


def test_the_scale_is_right_for_a_mean():
    # The variance of a mean over n images of one class is their variance, with n - 1, over n. Of a hundred deals, the
    # mean of the squared deviations is it but for chance: each is s^2 / n times a chi-square with one degree of
    # freedom, of which 500 have a relative standard error of sqrt(2 / 500) = 0.06; deals of five sum to 0: a bit more
    values = np.random.default_rng(0).normal(size=60)
    kept = choose_kept(np.zeros(60, int), 500, np.random.default_rng(1))
    deviations = jackknife_deviations(np.array([values[rows].mean() for rows in kept]), kept)
    assert np.square(deviations).mean() == pytest.approx(values.var(ddof=1) / 60, rel=3 * np.sqrt(2 / 500))
    assert abs(deviations.mean()) < 1e-12


@pytest.mark.parametrize("d", [6, 60])
def test_intervals_hold_the_mean_score_of_other_images(d):
    """Of Gaussian features, the interval of 95 % holds the mean over samples in 95 % of the cases, but for chance.

    With 25 cases the share has a standard deviation of sqrt(0.95 * 0.05 / 25) = 0.044. The mean itself, of 40 samples,
    is wrong by 1 / 6 of the score's standard deviation, which lowers the share by about 0.003. If deviations were not
    multiplied by 2, it would be 0.67.
    """
    n, rng = 60, np.random.default_rng(0)
    y = np.arange(n) % 3
    means, spread = rng.normal(size=(3, d)), np.linspace(0.5, 2, d)

    def draw():
        return means[y] + rng.normal(size=(n, d)) * spread

    def scores(Z, y):
        return np.array([h_score(Z, y), log_evidence(Z, y)])

    truth = np.mean([scores(draw(), y) for _ in range(40)], axis=0)
    hits = []
    for _ in range(25):
        Z, kept = draw(), choose_kept(y, 10, rng)
        deviations = jackknife_deviations(np.array([scores(Z[rows], y[rows]) for rows in kept]), kept)
        hits.append(np.abs(scores(Z, y) - truth) <= jackknife_half_width(deviations, n - 3))
    assert (np.mean(hits, axis=0) >= 0.95 - 3 * 0.044).all()


def test_bootstrap_means_are_paired_and_spread_as_means_do():
    values = np.random.default_rng(0).random((200, 2)) < [0.3, 0.3]
    values = np.concatenate([values, values[:, :1]], axis=1)
    means = bootstrap_means(values, 2_000, np.random.default_rng(1))
    assert (means[:, 0] == means[:, 2]).all()
    share = values[:, 0].mean()
    # a standard deviation of 2,000 numbers has a relative standard error of 1 / sqrt(4,000) = 0.016
    assert means[:, 0].std() == pytest.approx(np.sqrt(share * (1 - share) / 200), rel=0.05)


@pytest.mark.parametrize(
    ("sizes", "accuracies"), [((90, 10), (0.95, 0.6)), ((90, 10), (0.9, 0.9)), ((5,) * 10, (0.9,) * 10)]
)
def test_the_interval_of_the_balanced_accuracy_holds_it(sizes, accuracies):
    """In 95 % and more of 300 cases; 42 of 50 are 3.6 standard deviations below. Equal ones differ in 4 % at most."""
    rng, codes, held, different = np.random.default_rng(0), np.repeat(np.arange(len(sizes)), sizes), 0, 0
    for _ in range(50):
        right = 1.0 * (rng.random((len(codes), 2)) < np.array(accuracies)[codes][:, None])
        _, low, high = balanced_interval(right[:, 0], codes, 200, rng)
        held += low <= np.mean(accuracies) <= high
        _, low, high = balanced_interval(right[:, 0] - right[:, 1], codes, 200, rng, bounds=(-1, 1))
        different += not low <= 0 <= high
    assert held >= 42
    assert different <= 7


def test_the_interval_of_the_balanced_accuracy_is_over_groups():
    rng = np.random.default_rng(0)
    groups, codes = np.repeat(np.arange(40), 10), np.repeat([0, 1], [300, 100])
    right = (np.arange(40) % 5 > 0)[groups]  # all images of a group, or none: 24 of 30 groups, and 8 of 10
    widths = [np.ptp(balanced_interval(right, codes, 500, rng, one)[1:]) for one in (None, groups)]
    assert widths[1] > 2 * widths[0]
    # a share of 0.8 of 30 groups, and of 10, has the standard deviations 0.07 and 0.13; one more of each adds to it
    assert 0.9 < widths[1] / (2 * 1.96 * np.hypot(0.073, 0.126) / 2) < 1.4


def test_a_group_that_is_added_to_a_class_is_as_large_as_those_of_the_class():
    """20 groups with 45 images of one class; 10 of these have an image of the rare one, too: it counts as 10 images."""
    rng, n = np.random.default_rng(0), 900
    groups, codes = np.append(np.arange(n) // 45, np.arange(10)), np.repeat([0, 1], [n, 10])
    right = np.append(np.ones(n, bool), np.arange(10) % 2 > 0)
    _, low, high = balanced_interval(right, codes, 500, rng, groups)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 10) / 2, rel=0.3)


def test_shares_count_ties_fairly():
    resampled = np.array([[3, 3, 1], [1, 2, 2], [5, 4, 3], [0, 0, 0]])
    # 1/2 + 0 + 1 + 1/3, 1/2 + 1/2 + 0 + 1/3, 0 + 1/2 + 0 + 1/3, of four resamples
    np.testing.assert_allclose(share_first(resampled), np.array([11 / 6, 8 / 6, 5 / 6]) / 4)
    np.testing.assert_allclose(share_above(resampled[:, :2], resampled[:, 1:]), [2 / 4, 3 / 4])  # 1/2 + 0 + 1 + 1/2


def test_rounding_of_constant_features_does_not_drown_the_others():
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 50)
    Z = rng.normal(size=(100, 4)).astype(np.float32) + 2 * y[:, None]
    noise = (0.5 + 3e-8 * rng.normal(size=(100, 200))).astype(np.float32)
    assert (nearest_correct(np.hstack([Z, noise]), y) == nearest_correct(Z, y)).all()
    assert nearest_correct(noise[:, :3] * 0 + 0.5, y).shape == (100,)  # nothing varies


def test_no_part_is_empty_where_groups_are_of_very_different_sizes():
    groups = np.array([4, 5, 9, 0, 9, 5, 9, 9, 9, 5, 7, 9, 5, 9, 9, 5, 9])
    codes = np.array([0, 2, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 2, 1, 1])
    for seed in range(30):
        folds = deal_into_folds(codes, 5, np.random.default_rng(seed), groups)
        assert np.bincount(folds).all()
        assert not choose_kept(codes, 20, np.random.default_rng(seed), groups).all(axis=1).any()
