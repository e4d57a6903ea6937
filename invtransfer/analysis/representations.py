"""Statistics of features: distances of twins and of other images, their ratio with an interval, and its companions.

Twins are two images that differ only in how they are transformed. Distances are kept per pair; ratios are formed once,
from the means over the whole set. Different images are compared within blocks of 256 consecutive pairs, so that the
cost grows with the number of pairs, not with its square, and no number depends on how features were computed.
"""

import numpy as np
from scipy import stats
from scipy.spatial.distance import cdist

PAIRS_PER_BLOCK = 256
FEW_PAIRS = 3  # below so many pairs that differ, the interval of a ratio says little
DISTANCES = ("euclidean", "cosine", "mahalanobis")
ROUNDING = 1e-12  # variance, as a share of the mean square, of features in float32 that vary by rounding alone


def distances(Z, Z_other, distance="euclidean"):
    """Compute the distance between the features of each pair.

    Parameters
    ----------
    Z, Z_other : ndarray of shape (n_pairs, n_features)
        Features of the first and of the second image of each pair.
    distance : {"euclidean", "cosine"}
        "cosine": 1 minus the cosine of the angle between the two. A row of zeros has no direction: its distance is 0 to
        another row of zeros, and 1 to any other row. The Mahalanobis distance is the Euclidean one of features that
        the map of `make_whitening` was applied to.

    Returns
    -------
    distances : ndarray of shape (n_pairs,), float64

    Raises
    ------
    ValueError
        If `distance` is another word.

    Examples
    --------
    >>> distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]]))
    array([5.])
    >>> distances(np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([[0.0, 3.0], [5.0, 0.0]]), "cosine")
    array([1., 0.])
    """
    if _is_cosine(distance):
        return np.square(_directions(Z) - _directions(Z_other)).sum(axis=1) / 2
    return np.sqrt(np.square(Z.astype(np.float64) - Z_other).sum(axis=1))


def _is_cosine(distance):
    if distance not in ("euclidean", "cosine"):
        hint = "; whiten the features and ask for 'euclidean'" if distance == "mahalanobis" else ""
        raise ValueError(f"distance is {distance!r}, expected 'euclidean' or 'cosine'{hint}")
    return distance == "cosine"


def _directions(Z):
    """Return rows of length 1; half the square of the distance between two of them is 1 minus their cosine.

    In this form, equal rows are at a distance of precisely 0, and none is below it. A row of zeros becomes a direction
    of its own, at right angles to all others.
    """
    largest = np.abs(Z).max(axis=1, keepdims=True, initial=0).astype(np.float64)
    zero = largest == 0
    Z = Z / np.where(zero, 1, largest)  # squares of large and of small numbers are no numbers
    length = np.sqrt(np.square(Z).sum(axis=1, keepdims=True))
    return np.hstack([Z / np.where(zero, 1, length), zero])


def compare_within_blocks(Z, Z_twin, distance="euclidean"):
    """Compare the first image of each pair with the second images of the other pairs, within blocks of 256 pairs.

    Parameters
    ----------
    Z, Z_twin : ndarray of shape (n_pairs, n_features)
        Features of the first and of the second image of each pair.
    distance : {"euclidean", "cosine"}
        As for `distances`.

    Returns
    -------
    random_distances : ndarray of shape (n_pairs,), float64
        Mean distance between the images of a pair and those of the other pairs of its block: from its first image to
        their second ones, and from their first images to its second one. NaN for a pair that is alone in its block.
    nearer : ndarray of shape (n_pairs,), float64
        Share of the other pairs of the block whose second image is farther from the first image of this pair than its
        own twin is; ties count half. NaN for a pair that is alone in its block.

    Raises
    ------
    ValueError
        If `distance` is another word.

    Examples
    --------
    >>> Z = np.array([[0.0], [1.0], [5.0]])
    >>> compare_within_blocks(Z, Z)
    (array([3. , 2.5, 4.5]), array([1., 1., 1.]))
    """
    cosine = _is_cosine(distance)
    random_distances, nearer = (np.full(len(Z), np.nan) for _ in range(2))
    for start in range(0, len(Z), PAIRS_PER_BLOCK):
        block = slice(start, start + PAIRS_PER_BLOCK)
        # Not as a product of matrices, see `participation_ratio`; cdist makes one for its "cosine".
        if cosine:
            between = cdist(_directions(Z[block]), _directions(Z_twin[block]), "sqeuclidean") / 2
        else:
            between = cdist(Z[block], Z_twin[block])
        n, own = len(between), np.diag(between).copy()
        if n == 1:
            continue
        random_distances[block] = (between.sum(0) + between.sum(1) - 2 * own) / (2 * (n - 1))
        wins = (between > own[:, None]).sum(1) + 0.5 * ((between == own[:, None]).sum(1) - 1)
        nearer[block] = wins / (n - 1)
    return random_distances, nearer


def variance_moments(Z, Z_twin):
    """Sum up what the normalised variance is made of; the sums of blocks of pairs add up to those of all.

    Parameters
    ----------
    Z, Z_twin : ndarray of shape (n_pairs, n_features)
        Features of the first and of the second image of each pair.

    Returns
    -------
    moments : ndarray of shape (5, n_features), float64
        Sums over the pairs: of the first features, of the second ones, of the squares of both, and of the squares of
        their differences.

    Examples
    --------
    >>> variance_moments(np.array([[1.0], [2.0]]), np.array([[1.0], [4.0]])).ravel()
    array([ 3.,  5.,  5., 17.,  4.])
    """
    # Of float32, float64 loses nothing that counts: its squares are precise to 1e-16, and what varies in float32 at
    # all has a variance above 1e-14 of its mean square.
    Z, Z_twin = Z.astype(np.float64), Z_twin.astype(np.float64)
    squares = (np.square(one).sum(axis=0) for one in (Z, Z_twin, Z - Z_twin))
    return np.stack([Z.sum(axis=0), Z_twin.sum(axis=0), *squares])


def normalized_variance(moments, n_pairs):
    """Compute the normalised variance: the variance over transformations as a share of that over images.

    Parameters
    ----------
    moments : ndarray of shape (5, n_features)
        Sum of the `variance_moments` of all blocks.
    n_pairs : int
        Number of pairs.

    Returns
    -------
    normalized_variance : float
        Mean, over the features, of the variance over the two transformations of an image, averaged over images, divided
        by the variance over images under one transformation, averaged over the two: 0 if features are invariant, about
        1 if twins are as different as any two images. Features whose standard deviation over images is below a
        millionth of their size are left out, as rounding makes as much; NaN if all are, and with one pair.

    Notes
    -----
    Both variances are unbiased estimates, with n - 1 in the denominator, as in the published code. With only two
    transformations of each image it matters: with n, the variance over them would be half as large.

    References
    ----------
    Quiroga, Torrents-Barrena, Lanzarini and Puig-Valls, "Invariance measures for neural networks", Applied Soft
    Computing 132, 2023 (arXiv 2310.17404).

    Examples
    --------
    >>> Z, Z_twin = np.array([[1.0], [2.0]]), np.array([[1.0], [4.0]])
    >>> normalized_variance(variance_moments(Z, Z_twin), 2)  # (0 + 2) / 2 over (1/2 + 9/2) / 2
    0.4
    """
    if n_pairs < 2:
        return np.nan
    sums, squares = moments[:2], moments[2:4]
    over_images = ((squares - np.square(sums) / n_pairs) / (n_pairs - 1)).mean(axis=0)
    over_transformations = moments[4] / 2 / n_pairs
    varies = over_images > ROUNDING * squares.sum(axis=0) / (2 * n_pairs)
    return float((over_transformations[varies] / over_images[varies]).mean()) if varies.any() else np.nan


def mean_random_distance(random_distances):
    """Compute the mean distance between different images, over all that were compared.

    Parameters
    ----------
    random_distances : ndarray of shape (..., n_pairs)
        As `compare_within_blocks` returns them.

    Returns
    -------
    mean : float, or ndarray of shape (...)
        Mean over the pairs of different images within blocks.

    Examples
    --------
    >>> mean_random_distance(np.array([3.0, 2.5, 4.5]))
    3.333...
    """
    n_others = _count_others(random_distances.shape[-1])
    mean = (np.where(n_others, random_distances, 0) * n_others).sum(-1) / n_others.sum()
    return mean if mean.ndim else float(mean)


def _count_others(n_pairs):
    """Return the number of other pairs in the block of each pair."""
    blocks = np.arange(n_pairs) // PAIRS_PER_BLOCK
    return np.bincount(blocks)[blocks] - 1


def sensitivity_interval(pair_distances, random_distances, groups=None):
    """Compute the ratio of the mean distance of twins to that of different images, and its 95 % interval over pairs.

    Parameters
    ----------
    pair_distances : ndarray of shape (n_pairs,)
        Distances between twins.
    random_distances : ndarray of shape (n_pairs,)
        Distances between images of different pairs, as `compare_within_blocks` returns them.
    groups : ndarray of shape (n_pairs,), int, or None
        Group of each pair, such as the patient: pairs of a group tell less than as many of different groups. None:
        pairs are independent.

    Returns
    -------
    sensitivity, low, high : float
        Ratio and bounds of its interval. All are NaN if different images have the same features; the bounds are NaN if
        there are fewer than 3 pairs, or groups.

    Notes
    -----
    The interval is Student's, of the logarithm of the ratio, with the variance of the jackknife that leaves out one
    pair at a time, together with all its comparisons to other pairs. If all twins are equal, or equally far apart,
    nothing varies. The bounds then allow for pairs of another kind (equal twins, or twins as different as two images)
    that a sample of n pairs can miss by chance: at most a share of 1 - 0.025 ** (1 / n) of all pairs. If the twins of
    one pair alone differ, the lower bound is 0, and the upper one that of the largest share of pairs that may differ as
    much as these, or as two images. If all images but one have the same features, there is no upper bound. With
    Gaussian features the interval contains the truth in 95 % of the cases from 10 pairs on, with lognormal distances in
    91 to 95 %. If one twin in twenty jumps far and the others hardly move, it holds the truth too rarely with fewer
    than 50 pairs (in 40 % of the cases with 10 pairs, 65 % with 20, 90 % with 50), because many samples contain no such
    twin. With groups, what the pairs of a group contribute to the logarithm is added up first, and the numbers of pairs
    above are those of groups.

    Examples
    --------
    >>> pairs, others = np.array([0.5, 0.7, 0.6, 0.5]), np.array([1.0, 1.1, 0.9, 1.0])
    >>> [round(value, 3) for value in sensitivity_interval(pairs, others)]
    [0.575, 0.403, 0.82]
    """
    n_pairs, n = len(pair_distances), len(pair_distances if groups is None else np.unique(groups))
    normaliser = mean_random_distance(random_distances) if n_pairs > 1 else 0.0
    sensitivity = float(pair_distances.mean() / normaliser) if normaliser else np.nan
    if n < 3 or np.isnan(sensitivity):
        return sensitivity, np.nan, np.nan
    hidden = 1 - 0.025 ** (1 / n)  # largest share of pairs of another kind that n pairs without any can hide
    if not pair_distances.any():
        return 0.0, 0.0, hidden
    without = leave_one_out(pair_distances, random_distances)
    if not np.isfinite(without).all():  # all other images have the same features
        return sensitivity, 0.0, np.inf
    if not (without > 0).all():  # one pair of twins differs, and the logarithm knows no bound
        share = stats.beta.ppf(0.975, 2, n - 1)  # Clopper and Pearson's upper bound of one in n
        return sensitivity, 0.0, float(share * max(1.0, n_pairs * sensitivity))
    logarithms = np.log(without)
    variance = (n - 1) * logarithms.var()
    if groups is not None:
        parts = np.bincount(np.unique(groups, return_inverse=True)[1], logarithms - logarithms.mean())
        variance = ((n_pairs - 1) / n_pairs) ** 2 * n**2 / (n - 1) * parts.var()
    half = stats.t.ppf(0.975, n - 1) * np.sqrt(variance)
    if half < np.sqrt(ROUNDING):  # nothing varies
        return sensitivity, sensitivity * (1 - hidden), sensitivity + hidden
    return sensitivity, float(sensitivity * np.exp(-half)), float(sensitivity * np.exp(half))


def sensitivity_intervals(pair_distances, random_distances):
    """Compute many sensitivities, with their intervals.

    Parameters
    ----------
    pair_distances, random_distances : ndarray of shape (..., n_pairs)
        As for `sensitivity_interval`.

    Returns
    -------
    intervals : ndarray of shape (3, ...)
        Sensitivities, and lower and upper bounds.

    Examples
    --------
    >>> pairs = np.array([[0.5, 0.7, 0.6, 0.5], [0.0, 0.0, 0.0, 0.0]])
    >>> sensitivity_intervals(pairs, np.ones((2, 4))).round(2)
    array([[0.57, 0.  ],
           [0.44, 0.  ],
           [0.75, 0.6 ]])
    """
    n = pair_distances.shape[-1]
    each = zip(pair_distances.reshape(-1, n), random_distances.reshape(-1, n), strict=True)
    found = np.array([sensitivity_interval(*one) for one in each], dtype=float)
    return np.moveaxis(found.reshape(*pair_distances.shape[:-1], 3), -1, 0)


def leave_one_out(pair_distances, random_distances):
    """Compute the sensitivity without each of the pairs in turn, that is, without all its distances.

    Parameters
    ----------
    pair_distances, random_distances : ndarray of shape (..., n_pairs)
        Distances as for `sensitivity_interval`, of at least 3 pairs; NaN where there are none.

    Returns
    -------
    sensitivities : ndarray of shape (..., n_pairs), float64
        Sensitivity of the other pairs: NaN or infinite if their different images have the same features.

    Examples
    --------
    >>> leave_one_out(np.array([1.0, 2.0, 6.0]), np.array([4.0, 4.0, 4.0]))
    array([1.   , 0.875, 0.375])
    """
    n_others = _count_others(pair_distances.shape[-1])
    compared = np.where(n_others, random_distances, 0) * n_others
    # Each distance between two pairs counts in both. Without a pair, its comparisons in both roles are missing.
    means = (pair_distances.sum(-1, keepdims=True) - pair_distances) / (pair_distances.shape[-1] - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        normalisers = (compared.sum(-1, keepdims=True) - 2 * compared) / (n_others.sum() - 2 * n_others)
        return means / normalisers


def count_effective_pairs(pair_distances):
    """Count the pairs that a mean distance rests on.

    Parameters
    ----------
    pair_distances : ndarray of shape (n_pairs,)
        Distances between twins.

    Returns
    -------
    n : float
        Square of the sum over the sum of squares: n_pairs if all distances are equal, 1 if one of them is all there is,
        0 if all are 0.

    Examples
    --------
    >>> count_effective_pairs(np.array([1.0, 1.0, 0.0, 0.0]))
    2.0
    """
    total = np.square(pair_distances).sum()
    return float(pair_distances.sum() ** 2 / total) if total else 0.0


def participation_ratio(Z):
    """Compute in how many directions features vary.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Features.

    Returns
    -------
    ratio : float
        Square of the sum of the eigenvalues of the covariance over the sum of their squares: n_features if features
        vary equally in all directions, 1 if in a single one, NaN if they do not vary.

    Examples
    --------
    >>> participation_ratio(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    2.0
    """
    Z = Z - Z.mean(axis=0, dtype=np.float64)
    # The same eigenvalues. Not a product of matrices: the threads of NumPy's BLAS wait for the next one at full speed,
    # and take the processors from the network that is computing in between, which doubles its time.
    squares = np.einsum("ij,kj->ik" if len(Z) < Z.shape[1] else "ij,ik->jk", Z, Z)
    total = np.square(squares).sum()
    return float(np.trace(squares) ** 2 / total) if total else np.nan
