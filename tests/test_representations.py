"""Distances of features, their ratio and its interval, and what stands beside it."""

import numpy as np
import pytest
from scipy.spatial import distance as of_scipy
from sklearn.covariance import LedoitWolf, ledoit_wolf_shrinkage

from invtransfer.analysis.representations import (
    compare_within_blocks,
    count_effective_pairs,
    distances,
    leave_one_out,
    mean_random_distance,
    normalized_variance,
    participation_ratio,
    sensitivity_interval,
    variance_moments,
)
from invtransfer.analysis.whitening import _find_shrinkage, make_whitening


def test_distances():
    # 3-4-5 and 5-12-13 triangles
    assert distances(np.array([[0.0, 0], [1, 1]]), np.array([[3.0, 4], [6, 13]])).tolist() == [5, 13]


def test_cosine():
    Z, Z_other = np.array([[1.0, 0], [2, 0], [1, 1], [0, 3]]), np.array([[0.0, 5], [-1, 0], [1, 0], [0, 7]])
    # right angle, opposite, 45 degrees, the same direction
    assert distances(Z, Z_other, "cosine") == pytest.approx([1, 2, 1 - np.sqrt(0.5), 0], abs=1e-15)


def test_cosine_is_that_of_scipy():
    rng = np.random.default_rng(0)
    Z, Z_twin = rng.normal(1, size=(2, 7, 5)).astype(np.float32)
    every = np.array(
        [[of_scipy.cosine(*map(np.float64, pair)) for pair in zip([z] * 7, Z_twin, strict=True)] for z in Z]
    )
    np.testing.assert_allclose(distances(Z, Z_twin, "cosine"), np.diag(every), rtol=1e-12)
    random_distances, nearer = compare_within_blocks(Z, Z_twin, "cosine")
    others = ~np.eye(7, dtype=bool)
    expected = [(every[i][others[i]].mean() + every[:, i][others[i]].mean()) / 2 for i in range(7)]
    np.testing.assert_allclose(random_distances, expected, rtol=1e-12)
    np.testing.assert_allclose(nearer, [(every[i][others[i]] > every[i, i]).mean() for i in range(7)])


def test_cosine_of_equal_rows_is_precisely_0_whatever_their_size():
    Z = np.random.default_rng(0).normal(size=(100, 30))
    for scale in (1e-30, 1, 1e18, 1e200):
        assert not distances(Z * scale, Z * scale, "cosine").any()
        assert distances(Z * scale, Z[::-1], "cosine") == pytest.approx(distances(Z, Z[::-1], "cosine"))


def test_a_row_of_zeros_is_at_right_angles_to_all_but_its_like():
    Z, Z_other = np.array([[0.0, 0], [0, 0], [1, 2]]), np.array([[0.0, 0], [-3, 4], [0, 0]])
    assert distances(Z, Z_other, "cosine") == pytest.approx([0, 1, 1])
    # first images (0, 0), (0, 0), (1, 2), second ones (0, 0), (-3, 4), (0, 0); 1 x -3 + 2 x 4 = 5
    to_other = 1 - 5 / (5 * np.sqrt(5))
    expected = [(1 + 0 + 0 + 1) / 4, (0 + 0 + 1 + to_other) / 4, (1 + to_other + 0 + 0) / 4]
    assert compare_within_blocks(Z, Z_other, "cosine")[0] == pytest.approx(expected)


def test_unknown_distances():
    Z = np.ones((2, 2))
    for function in (distances, compare_within_blocks):
        with pytest.raises(ValueError, match="distance is 'manhattan', expected 'euclidean' or 'cosine'"):
            function(Z, Z, "manhattan")
        with pytest.raises(ValueError, match="whiten the features"):
            function(Z, Z, "mahalanobis")


@pytest.mark.parametrize(("n", "p"), [(200, 5), (12, 30)])
def test_mahalanobis_is_that_of_scipy_and_scikit_learn(n, p):
    rng = np.random.default_rng(0)
    Z = (rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) + 100).astype(np.float32)
    precision = np.linalg.inv(LedoitWolf().fit(Z.astype(float)).covariance_)
    W = make_whitening(Z).apply(np.eye(p))
    measured = distances(Z[:6] @ W, Z[6:12] @ W)
    expected = [of_scipy.mahalanobis(*pair, precision) for pair in zip(Z[:6].astype(float), Z[6:12], strict=True)]
    np.testing.assert_allclose(measured, expected, rtol=1e-9)
    np.testing.assert_allclose(W, W.T, rtol=1e-9, atol=1e-12 * np.abs(W).max())


def test_directions_without_variance_do_not_count_in_mahalanobis():
    assert not make_whitening(np.full((6, 3), 0.1)).apply(np.eye(3)).any()  # the mean of 0.1 is not quite 0.1
    assert not make_whitening(np.array([[1.0, 2.0]])).apply(np.eye(2)).any()
    # Two samples, (1, 1) and (-1, -1), are not shrunk. Along (1, 1) / sqrt 2 the variance is 2; across it there is none
    W = make_whitening(np.array([[1.0, 1], [-1, -1]])).apply(np.eye(2))
    assert distances(np.array([[1.0, 1], [1, -1]]) @ W, np.zeros((2, 2))) == pytest.approx([1, 0], abs=1e-12)
    # The same of any two samples: they are two standard deviations apart, and across the line between them none counts
    Z = np.random.default_rng(0).normal(size=(2, 7))
    W, across = make_whitening(Z).apply(np.eye(7)), np.linalg.svd(Z[:1] - Z[1:])[2][1:]
    assert distances(Z[:1] @ W, Z[1:] @ W) == pytest.approx(2)
    assert np.abs(across @ W).max() < 1e-9
    # A constant feature among others is given variance by the shrinkage
    Z = np.random.default_rng(0).normal(size=(20, 3)) * [1, 1, 0]
    precision = np.linalg.inv(LedoitWolf().fit(Z).covariance_)
    W = make_whitening(Z).apply(np.eye(3))
    np.testing.assert_allclose(W @ W, precision, atol=1e-9)


@pytest.mark.parametrize("shape", [(3, 2), (40, 1), (40, 7), (7, 40), (2, 5)])
def test_covariances_are_shrunk_as_scikit_learn_does(shape):
    Z = np.random.default_rng(0).lognormal(size=shape)
    Z -= Z.mean(axis=0)
    variances = np.linalg.svd(Z, compute_uv=False) ** 2 / len(Z)
    assert _find_shrinkage(Z, variances) == pytest.approx(ledoit_wolf_shrinkage(Z, assume_centered=True), abs=1e-12)


def test_whitening_takes_no_matrix_of_all_features():
    Z = np.random.default_rng(0).normal(size=(5, 100_000))
    assert distances(*map(make_whitening(Z).apply, (Z[:2], Z[2:4]))).shape == (2,)  # 80 GB of a square matrix


def normalized_variance_by_loops(activations):
    """The published formula, for an array (n_images, n_transformations, n_features)."""
    ratios = []
    for feature in np.moveaxis(activations, 2, 0):
        over_transformations = [np.var(of_image, ddof=1) for of_image in feature]
        over_images = [np.var(of_transformation, ddof=1) for of_transformation in feature.T]
        if np.mean(over_images) > 0:
            ratios.append(np.mean(over_transformations) / np.mean(over_images))
    return np.mean(ratios)


def sum_moments(Z, Z_twin, *cuts):
    return sum(map(variance_moments, np.split(Z, cuts), np.split(Z_twin, cuts)))


def test_normalized_variance_is_the_published_formula_whatever_the_blocks():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(50, 4)) * [1, 2, 3, 0]
    Z_twin = Z + rng.normal(size=Z.shape) * [0, 1, 9, 0]
    for cuts in ((), (1, 20, 33)):
        measured = normalized_variance(sum_moments(Z, Z_twin, *cuts), 50)
        assert measured == pytest.approx(normalized_variance_by_loops(np.stack([Z, Z_twin], 1)), rel=1e-12)


def test_normalized_variance_of_planted_truths():
    rng = np.random.default_rng(0)
    Z, other = rng.normal(size=(2, 20_000, 3))
    assert normalized_variance(variance_moments(Z, Z), len(Z)) == 0
    assert normalized_variance(variance_moments(Z, other), len(Z)) == pytest.approx(1, rel=0.03)
    # z and z + e / 2: (1/2)^2 / 2 over (1 + 1.25) / 2, that is 1 / 9
    assert normalized_variance(variance_moments(Z, Z + other / 2), len(Z)) == pytest.approx(1 / 9, rel=0.03)


def test_normalized_variance_of_features_far_from_0():
    rng = np.random.default_rng(0)
    Z = (1e3 + rng.normal(size=(10_000, 3))).astype(np.float32)
    Z_twin = (Z + 0.1 * rng.normal(size=Z.shape)).astype(np.float32)
    assert Z.dtype == Z_twin.dtype == np.float32
    expected = normalized_variance_by_loops(np.stack([Z, Z_twin], 1).astype(float))
    assert normalized_variance(sum_moments(Z, Z_twin, *range(256, 10_000, 256)), len(Z)) == pytest.approx(
        expected, 1e-6
    )


def test_features_that_vary_by_rounding_alone_are_left_out_of_normalized_variance():
    rng = np.random.default_rng(0)
    constant = np.full((1000, 1), 0.3, np.float32)
    rounded = np.where(rng.random((1000, 1)) < 0.5, constant, np.nextafter(constant, np.float32(1)))
    Z = rng.normal(size=(1000, 1)).astype(np.float32)
    Z_twin = Z[::-1].copy()
    alone = normalized_variance(variance_moments(Z, Z_twin), 1000)
    both = [np.hstack([one, constant, rounded]) for one in (Z, Z_twin)]
    assert normalized_variance(variance_moments(*both), 1000) == pytest.approx(alone)
    assert np.isnan(normalized_variance(variance_moments(constant, rounded), 1000))
    assert np.isnan(normalized_variance(variance_moments(Z[:1], Z_twin[:1]), 1))


def test_all_pairs_of_a_block_are_compared():
    # from 0, 1, 5 to the twins 0, 2, 5. Pair 0: to 2 and 5, and from 1 and 5 to 0: (2 + 5 + 1 + 5) / 4 = 3.25.
    # Pair 1: 1 to 0 and 5, and 0 and 5 to 2: (1 + 4 + 2 + 3) / 4 = 2.5. Pair 2: 5 and 3, 5 and 4: 17 / 4 = 4.25
    Z, Z_twin = np.array([[0.0], [1], [5]]), np.array([[0.0], [2], [5]])
    random_distances, nearer = compare_within_blocks(Z, Z_twin)
    assert random_distances.tolist() == [3.25, 2.5, 4.25]
    # own twins are 0, 1, 0 away; of 1, the twin of pair 0 is as near as its own, which counts half
    assert nearer.tolist() == [1, 0.75, 1]
    # the six distances of different images: 2, 5, 1, 4, 5, 3
    assert mean_random_distance(random_distances) == pytest.approx(20 / 6)


def test_blocks_are_of_256_pairs_whatever_is_computed_at_once():
    rng = np.random.default_rng(0)
    Z, Z_twin = rng.normal(size=(2, 600, 3))
    random_distances, nearer = compare_within_blocks(Z, Z_twin)
    for block in (slice(256), slice(256, 512), slice(512, 600)):
        alone = compare_within_blocks(Z[block], Z_twin[block])
        np.testing.assert_array_equal(random_distances[block], alone[0])
        np.testing.assert_array_equal(nearer[block], alone[1])
    every = np.linalg.norm(Z[:, None] - Z_twin[None], axis=2)
    block = np.arange(600) // 256
    there = (block[:, None] == block[None]) & ~np.eye(600, dtype=bool)
    assert mean_random_distance(random_distances) == pytest.approx(every[there].mean(), rel=1e-12)


def test_a_pair_alone_in_its_block_is_compared_with_none():
    Z = np.arange(257.0)[:, None]
    random_distances, nearer = compare_within_blocks(Z, Z)
    assert np.isnan([random_distances[256], nearer[256]]).all()
    assert mean_random_distance(random_distances) == mean_random_distance(random_distances[:256])
    measured = sensitivity_interval(np.append(np.full(256, 1.0), 257 * 0.5), random_distances)
    assert np.isfinite(measured).all()


def test_a_ratio_of_means_not_a_mean_of_ratios():
    # twins 1 and 3 apart (mean 2), others 2 and 6 (mean 4): 2 / 4 = 0.5
    sensitivity, low, high = sensitivity_interval(np.array([1.0, 3, 1, 3]), np.array([2.0, 6, 2, 6]))
    assert sensitivity == 0.5
    assert low < 0.5 < high


def test_the_jackknife_leaves_out_one_pair_with_all_its_comparisons():
    rng = np.random.default_rng(0)
    Z, Z_twin = rng.normal(size=(2, 12, 2))
    own = distances(Z, Z_twin)
    sensitivity, low, high = sensitivity_interval(own, compare_within_blocks(Z, Z_twin)[0])

    def ratio(kept):
        between = np.linalg.norm(Z[kept][:, None] - Z_twin[kept][None], axis=2)
        return own[kept].mean() / between[~np.eye(len(kept), dtype=bool)].mean()

    assert sensitivity == pytest.approx(ratio(np.arange(12)))
    logarithms = np.log([ratio(np.delete(np.arange(12), i)) for i in range(12)])
    error = np.sqrt(11 / 12 * np.square(logarithms - logarithms.mean()).sum())
    # Student's quantile of 0.975 for 11 degrees of freedom
    assert [low, high] == pytest.approx([sensitivity * np.exp(sign * 2.20099 * error) for sign in (-1, 1)], rel=1e-5)


def test_leaving_out_one_pair_of_many_arrays_at_once():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(257, 2))  # the last pair is alone in its block
    pair_distances, random_distances = rng.random((3, 257)), compare_within_blocks(Z, Z[::-1])[0]
    without = leave_one_out(pair_distances, np.tile(random_distances, (3, 1)))
    for one, expected in zip(pair_distances, without, strict=True):
        np.testing.assert_allclose(leave_one_out(one, random_distances), expected, rtol=1e-14)
    alone = pair_distances[:, :256].mean(1) / mean_random_distance(random_distances)
    np.testing.assert_allclose(without[:, 256], alone, rtol=1e-14)
    assert np.isnan(leave_one_out(np.full(5, np.nan), np.full(5, np.nan))).all()


def gaussian(n, rng):
    """Points z with N(0, 1) coordinates in 8 dimensions, twins z + 0.5 e, e like z: the truth is 1 / 3.

    Twins differ by 0.5 e, others by z - z' - 0.5 e, of std sqrt(1 + 1 + 0.25) = 1.5 per coordinate.
    """
    Z = rng.normal(size=(n, 8))
    return Z, Z + 0.5 * rng.normal(size=Z.shape), 1 / 3


def heavy_tails(n, rng):
    """The same with twins z + 0.1 s e, s lognormal with sigma 1: a tenth of the pairs makes two fifths of the mean.

    E|e| cancels where others do not move; they do by s: the truth is computed from a million pairs.
    """
    Z = rng.normal(size=(n, 8))
    return Z, Z + 0.1 * np.exp(rng.normal(size=(n, 1))) * rng.normal(size=Z.shape), 0.11445


@pytest.mark.parametrize(("draw", "least"), [(gaussian, 0.93), (heavy_tails, 0.90)])
@pytest.mark.parametrize("n_pairs", [10, 20, 100])
def test_the_interval_covers_the_truth(draw, least, n_pairs):
    rng, covered, n_trials = np.random.default_rng(0), 0, 1_000
    for _ in range(n_trials):
        Z, Z_twin, truth = draw(n_pairs, rng)
        _, low, high = sensitivity_interval(distances(Z, Z_twin), compare_within_blocks(Z, Z_twin)[0])
        covered += low <= truth <= high
    # the binomial error of 1,000 trials is 0.009; 2,000 trials gave 0.953 to 0.967 and 0.907 to 0.952
    assert covered / n_trials > least - 0.009


def test_the_interval_over_groups_holds_the_truth():
    """Ten pairs of each of 15 groups are moved alike: taken as independent, the interval is too narrow by far."""
    rng, n_trials, groups = np.random.default_rng(0), 400, np.repeat(np.arange(15), 10)
    truth = np.exp(0.5**2 / 2) * np.exp(0.1**2 / 2) / np.exp(0.3**2 / 2)  # of means of lognormal numbers
    held = np.zeros(2)
    for _ in range(n_trials):
        own = rng.lognormal(sigma=0.5, size=15)[groups] * rng.lognormal(sigma=0.1, size=150)
        others = rng.lognormal(sigma=0.3, size=150)
        for i, given in enumerate((groups, None)):
            _, low, high = sensitivity_interval(own, others, given)
            held[i] += low <= truth <= high
    over_groups, over_pairs = held / n_trials
    assert over_groups > 0.91  # lognormal distances; the standard error is 0.012
    assert over_pairs < 0.75


def test_groups_of_one_pair_are_pairs():
    own, others = np.random.default_rng(0).uniform(1, 2, (2, 40))
    expected = sensitivity_interval(own, others)
    assert sensitivity_interval(own, others, np.arange(40)[::-1]) == pytest.approx(expected, rel=1e-12)
    for groups, n in ((np.arange(40) // 4, 10), (np.arange(40) // 20, 2)):
        assert sensitivity_interval(np.zeros(40), others, groups)[2] == (
            pytest.approx(1 - 0.025 ** (1 / n)) if n > 2 else pytest.approx(np.nan, nan_ok=True)
        )


def test_where_no_twin_moves_the_bound_says_how_many_were_looked_at():
    # that none of n pairs moves has a probability of (1 - p)^n, which is 0.025 for p = 1 - 0.025^(1/n)
    for n, high in ((10, 0.30850), (100, 0.03622)):
        measured = sensitivity_interval(np.zeros(n), np.ones(n))
        assert measured == pytest.approx((0, 0, high), abs=1e-5)


def test_bounds_where_one_pair_moves():
    # one in four: the probability of one at most, (1 - p)^4 + 4 p (1 - p)^3, is 0.025 for p = 0.8059
    for distance, unit in ((1, 1), (0.5, 1), (3, 3)):  # it moves as far as another image, less, and three times as far
        measured = sensitivity_interval(np.array([0.0, 0, 0, distance]), np.ones(4))
        assert measured == (distance / 4, 0.0, pytest.approx(0.8059 * unit, abs=1e-4))
    none, one, two = (sensitivity_interval(np.repeat([0, 0.5], [1_000 - n, n]), np.ones(1_000))[2] for n in range(3))
    assert none < one < two < 0.01
    random_distances = np.array([1, 1, 1, 3]) / 3  # means to the others: without the last, all images are the same
    assert sensitivity_interval(np.array([1.0, 1, 1, 1]), random_distances)[1:] == (0, np.inf)


def test_what_cannot_be_known_is_nan():
    assert np.isnan(sensitivity_interval(np.zeros(3), np.zeros(3))).all()  # different images have the same features
    assert sensitivity_interval(np.array([1.0, 1]), np.array([2.0, 2]))[0] == 0.5
    assert np.isnan(sensitivity_interval(np.array([1.0, 1]), np.array([2.0, 2]))[1:]).all()


def test_effective_pairs():
    assert count_effective_pairs(np.full(7, 0.3)) == pytest.approx(7)
    assert count_effective_pairs(np.array([0.0, 5, 0])) == 1
    assert count_effective_pairs(np.zeros(3)) == 0


def test_participation_ratio():
    rng = np.random.default_rng(0)
    # eigenvalues 1 and 1/2, each twice: (1 + 1 + 1/2 + 1/2)^2 / (1 + 1 + 1/4 + 1/4) = 9 / 2.5 = 3.6
    Z = rng.normal(size=(100_000, 4)) * np.sqrt([1, 1, 0.5, 0.5]) + 7
    assert participation_ratio(Z) == pytest.approx(3.6, rel=0.01)
    assert participation_ratio(Z[:, :1]) == pytest.approx(1)
    few = Z[:3] @ rng.normal(size=(4, 50))  # more features than samples: the other product has the same eigenvalues
    eigenvalues = np.linalg.eigvalsh(np.cov(few.T))
    assert participation_ratio(few) == pytest.approx(eigenvalues.sum() ** 2 / np.square(eigenvalues).sum())
    assert np.isnan(participation_ratio(np.ones((5, 2))))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, 2.0])
def test_no_interval_has_width_zero(value):
    """Ten pairs that are equally far apart may hide 30 % that are not: 0.025 = 0.7 ** 10.3."""
    sensitivity, low, high = sensitivity_interval(np.full(10, value), np.ones(10))
    assert sensitivity == value
    assert (low, high) == pytest.approx((0.6915 * value, value + 0.3085), abs=1e-3)


@pytest.mark.parametrize(("n_pairs", "stated"), [(10, 0.40), (20, 0.65), (50, 0.90)])
def test_how_often_the_interval_holds_the_truth_if_twins_jump_rarely(n_pairs, stated):
    """One in twenty jumps by a whole image; the others move by 0.02. The tolerance is 4 standard errors."""
    rng, held, n_runs = np.random.default_rng(n_pairs), 0, 400
    for _ in range(n_runs):
        moved = np.where(rng.random(n_pairs) < 0.05, 1.0, 0.02) * rng.lognormal(sigma=0.1, size=n_pairs)
        _, low, high = sensitivity_interval(moved, rng.lognormal(sigma=0.1, size=n_pairs))
        held += low <= 0.05 + 0.95 * 0.02 <= high
    assert held / n_runs == pytest.approx(stated, abs=4 * (stated * (1 - stated) / n_runs) ** 0.5)
