"""How well features suit labels, by scores that need no training: log evidence, H-score, and nearest neighbours.

All three compare features of the same images. None changes if all features are multiplied by one number.
"""

import warnings
from numbers import Integral

import numpy as np

LEAST_NOISE = 1e-6  # variance of labels of 0 and 1 that float32 cannot tell from 0: a standard deviation of 0.001
DECADES = 10  # alpha / beta is searched up to so many decades below and above the mean square of the singular values
STEP = 1.0  # of the grid, in decades, within which there is one maximum
N_SECTIONS = 24  # shrink what is left of 2 decades to 0.00002
ROUNDING = 1e-6  # standard deviation of a feature, in its root mean square, below which it is a constant
GOLDEN = (np.sqrt(5) - 1) / 2
NEIGHBORS_AT_ONCE = 2**20  # that are in memory; of a group, each has as many more as the group has others


def log_evidence(Z, y):
    """Compute how probable the labels are under Bayesian linear regression on features: LogME.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_features)
        Features; n_samples may be above or below n_features.
    y : array-like of shape (n_samples,)
        Labels of at least two classes.

    Returns
    -------
    evidence : float
        Logarithm of the marginal likelihood per sample, in nats, mean over the classes; higher is better.

    Raises
    ------
    ValueError
        If `Z` is not an array of finite numbers of this shape, or `y` not one label for each of its rows, of two
        classes or more.
    TypeError
        If scikit-learn cannot read `Z` or `y`.

    Notes
    -----
    For each class, its labels of 0 and 1 are the features times weights plus noise. The weights are normal with
    variance 1 / alpha, the noise is normal with variance 1 / beta, and there is no intercept. For a given ratio of
    alpha to beta, the best beta is known in closed form; so the evidence is maximised over one number. The published
    code goes to a fixed point of both instead, where the evidence is stationary, and stops after 11 steps, though
    features that have little to do with the labels can take a thousand. One more thing differs: where features explain
    labels without any rest, so that the evidence has no bound, the variance of the noise stays at 1e-6.

    References
    ----------
    You, Liu, Wang, Long, "LogME: practical assessment of pre-trained models for transfer learning", ICML 2021, arXiv
    2102.11005; You et al., "Ranking and tuning pre-trained models", JMLR 2022, arXiv 2110.10545.

    Examples
    --------
    >>> y = np.array([0, 0, 1, 1])
    >>> good, bad = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]]), np.array([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    >>> log_evidence(good, y) > log_evidence(bad, y)
    True
    """
    Z, codes = _check_features(Z, y)
    n, labels = len(Z), np.eye(codes.max() + 1)[codes]
    directions, squares = _decompose(Z)
    squares = squares[:, None]
    explained = np.square(directions.T @ labels)  # (rank, n_classes)
    rest = np.maximum(labels.sum(axis=0) - explained.sum(axis=0), 0)

    def evidence(decades):
        ratio = 10**decades * squares.mean() if len(squares) else np.ones(len(rest))  # alpha / beta
        misfit = rest + (explained * ratio / (squares + ratio)).sum(axis=0)
        noise = np.maximum(misfit / n, LEAST_NOISE)  # 1 / beta, of which the evidence is largest
        return -(n * np.log(2 * np.pi * noise) + misfit / noise + np.log1p(squares / ratio).sum(axis=0)) / 2

    return float(_maximise(evidence, len(rest)).mean() / n)


def _maximise(function, n):
    """Maximise n functions of one number each, of decades: the best of a grid, then golden sections around it."""
    grid = np.arange(-DECADES, DECADES + STEP, STEP)
    values = np.array([function(np.full(n, decade)) for decade in grid])
    best = grid[values.argmax(axis=0)]
    low, high = best - STEP, best + STEP
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(N_SECTIONS):  # one of the two numbers stays, the other is new
        is_left = at_left > at_right
        low, high = np.where(is_left, low, left), np.where(is_left, right, high)
        new = np.where(is_left, high - GOLDEN * (high - low), low + GOLDEN * (high - low))
        at_new = function(new)
        left, right = np.where(is_left, new, right), np.where(is_left, left, new)
        at_left, at_right = np.where(is_left, at_new, at_right), np.where(is_left, at_left, at_new)
    return np.maximum(np.maximum(at_left, at_right), values.max(axis=0))


def h_score(Z, y):
    """Compute how much of the variance of features lies between classes: the regularised H-score.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_features)
        Features; n_samples may be above or below n_features.
    y : array-like of shape (n_samples,)
        Labels of at least two classes.

    Returns
    -------
    score : float
        Trace of the inverse of the shrunk covariance of the features, times that of their class means, times 1 minus
        the shrinkage: from 0, if all classes have the same mean, to n_classes - 1.

    Raises
    ------
    ValueError, TypeError
        As for `log_evidence`.

    Notes
    -----
    The covariance is drawn towards a multiple of the identity as in Ledoit and Wolf (2004). Both covariances have
    n_samples in the denominator; the published code has n_samples - 1 in that of the class means. Where features vary
    so evenly in all directions that few samples could make the difference, the shrinkage is 1 and the score 0, whatever
    the class means are.

    References
    ----------
    Ibrahim, Ponomareva, Mazumder, "Newer is not always better: rethinking transferability metrics, their peculiarities,
    stability and performance", ECML PKDD 2022, arXiv 2110.06893. Bao et al., "An information-theoretic approach to
    transferability in task transfer learning", ICIP 2019.

    Examples
    --------
    >>> round(h_score([[-1], [-1], [1], [1]], ["a", "a", "b", "b"]), 3)  # all variance is between the two classes
    1.0
    >>> round(h_score([[-2], [0], [0], [2]], ["a", "a", "b", "b"]), 3)  # class means of -1 and 1: a variance of 1 of 2
    0.5
    """
    Z, codes = _check_features(Z, y)
    Z = Z - Z[0]  # what is constant becomes precisely 0
    Z -= Z.mean(axis=0)
    directions, squares = _decompose(Z)
    if not len(squares):
        return 0.0
    variances = squares / len(Z)
    shrinkage = _find_shrinkage(np.square(Z).sum(axis=1), variances, Z.shape[1])
    shrunk = (1 - shrinkage) * variances + shrinkage * variances.sum() / Z.shape[1]
    sums = np.eye(codes.max() + 1)[codes].T @ directions
    between = (np.square(sums) / np.bincount(codes)[:, None]).sum(axis=0)  # share of each direction's variance
    return float((1 - shrinkage) * (between * variances / shrunk).sum())


def _find_shrinkage(squared_lengths, variances, n_features):
    """Return Ledoit and Wolf's shrinkage, from lengths of centred rows and variances along principal directions."""
    if n_features == 1:
        return 0.0
    n, squared = len(squared_lengths), np.square(variances).sum()
    away = squared - variances.sum() ** 2 / n_features  # squared distance from the multiple of the identity
    noise = (np.square(squared_lengths).mean() - squared) / n  # what of it few samples make
    return 1.0 if noise >= away else max(0.0, noise / away)


def nearest_correct(Z, y, n_neighbors=5, groups=None):
    """Classify each sample by its nearest neighbours among the others, and say whether the answer is right.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_features)
        Features, which are standardised by `fit_scaler`.
    y : array-like of shape (n_samples,)
        Labels of at least two classes.
    n_neighbors : int
        Number of neighbours that vote, below n_samples. Of classes with as many votes, that of the nearest neighbour
        wins.
    groups : array-like of shape (n_samples,), or None
        Group of each sample, such as the patient. Those of its own group do not vote. None: all others may vote.

    Returns
    -------
    correct : ndarray of shape (n_samples,), bool
        Whether the answer is the label. Its mean is the accuracy, leaving out one sample, or its group, at a time.

    Raises
    ------
    ValueError, TypeError
        As for `log_evidence`, or if `n_neighbors` is not a whole number from 1 to n_samples less the size of the
        largest group (1 without groups), or `groups` has another length.

    References
    ----------
    Sorkhei et al., arXiv 2503.18528: the best of 23 scores that need no training, over 16 data sets.

    Examples
    --------
    >>> nearest_correct([[0.0], [0.1], [0.2], [5.0], [5.1], [0.4]], list("aaabbb"), n_neighbors=1)
    array([ True,  True,  True,  True,  True, False])
    """
    Z, codes = _check_features(Z, y)
    whole = isinstance(n_neighbors, Integral) and not isinstance(n_neighbors, bool)
    own = np.arange(len(Z)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if own.shape != (len(Z),):
        raise ValueError(f"groups has shape {own.shape}, expected ({len(Z)},): one group per sample")
    largest = int(np.bincount(own).max())
    if not whole or not 1 <= n_neighbors <= len(Z) - largest:
        raise ValueError(f"n_neighbors is {n_neighbors!r}, expected a whole number from 1 to {len(Z) - largest}")
    from sklearn.neighbors import NearestNeighbors

    Z = fit_scaler(Z).transform(Z)
    n_asked = int(n_neighbors) + largest - 1  # of its own group there are so many others
    index = NearestNeighbors(n_neighbors=n_asked + 1, algorithm="brute").fit(Z)  # with itself
    neighbors, step = np.empty((len(Z), int(n_neighbors)), int), max(1, NEIGHBORS_AT_ONCE // (n_asked + 1))
    for start in range(0, len(Z), step):
        piece = slice(start, start + step)
        found = index.kneighbors(Z[piece], return_distance=False)
        is_own = own[found] == own[piece, None]  # those of other groups first, in the order of their distances
        neighbors[piece] = np.take_along_axis(found, np.argsort(is_own, axis=1, kind="stable"), 1)[:, :n_neighbors]
    votes, rows = np.zeros((len(Z), codes.max() + 1)), np.arange(len(Z))
    for i in reversed(range(neighbors.shape[1])):  # of equal votes, that which ends in the nearest is larger
        voted = rows, codes[neighbors[:, i]]
        votes[voted] = np.floor(votes[voted]) + 1 + 0.5 / (i + 1)
    return votes.argmax(axis=1) == codes


def fit_scaler(Z):
    """Fit a scaler that standardises features, but leaves the rounding of constant ones as small as it is.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Features.

    Returns
    -------
    scaler : sklearn.preprocessing.StandardScaler
        Fitted. The scale is 1 for features whose standard deviation is at most a millionth of their root mean square,
        which float32 cannot tell from 0.

    Examples
    --------
    >>> fit_scaler(np.array([[0.0, 5.0, 5.0], [2.0, 5.0, 5.0000001]])).scale_
    array([1., 1., 1.])
    """
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(Z)
    scaler.scale_[scaler.var_ <= ROUNDING**2 * (scaler.var_ + scaler.mean_**2)] = 1
    return scaler


def _decompose(Z):
    """Return left singular vectors and squares of singular values of features, without those of rounding alone.

    They come from the smaller of ``Z @ Z.T`` and ``Z.T @ Z``, five times as fast as `numpy.linalg.svd`. Directions in
    which features vary by less than a millionth of what they do in another are lost; float32 knows no more.
    """
    wide = Z.shape[1] >= len(Z)
    squares, vectors = np.linalg.eigh(Z @ Z.T if wide else Z.T @ Z)
    kept = squares > squares.max(initial=0) * max(Z.shape) * np.finfo(Z.dtype).eps
    squares, vectors = squares[kept], vectors[:, kept]
    return vectors if wide else Z @ vectors / np.sqrt(squares), squares


def _check_features(Z, y):
    """Return features as float64, in units of the largest, and the class index of each row."""
    from sklearn.utils import check_X_y  # slow to import, and commands for cubes do without
    from sklearn.utils.multiclass import check_classification_targets

    Z, y = check_X_y(Z, y, dtype=np.float64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
        check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y holds one class only, {classes.tolist()[0]!r}, expected at least 2 classes")
    largest = np.abs(Z).max()
    return Z / (largest if largest else 1), codes
