"""Distances of features, their ratio and its interval, and what stands beside it."""

import numpy as np
import pytest

from invtransfer.analysis.representations import (
    compare_within_blocks,
    count_effective_pairs,
    distances,
    mean_random_distance,
    participation_ratio,
    sensitivity_interval,
)


def test_distances():
    # 3-4-5 and 5-12-13 triangles
    assert distances(np.array([[0.0, 0], [1, 1]]), np.array([[3.0, 4], [6, 13]])).tolist() == [5, 13]


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


def test_where_no_twin_moves_the_bound_says_how_many_were_looked_at():
    # that none of n pairs moves has a probability of (1 - p)^n, which is 0.025 for p = 1 - 0.025^(1/n)
    for n, high in ((10, 0.30850), (100, 0.03622)):
        measured = sensitivity_interval(np.zeros(n), np.ones(n))
        assert measured == pytest.approx((0, 0, high), abs=1e-5)


def test_one_pair_that_moves_has_no_upper_bound():
    measured = sensitivity_interval(np.array([0.0, 0, 0, 1]), np.ones(4))
    assert measured == (0.25, 0.0, np.inf)


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
