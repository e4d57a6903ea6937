"""Resamples of images: how much a score would vary over other images of the same kind.

What is a mean over images is resampled with replacement, which is the bootstrap. Other scores are computed without a
group of images at a time, which is the delete-d jackknife: the bootstrap shows an image several times, and equal images
look like a class that is easy to tell.
"""

import numpy as np
from scipy import stats

N_GROUPS = 5  # a fifth of the images is left out at a time


def deal_into_groups(codes, n_groups, generator):
    """Deal images into groups at random, so that each group has as many of each class, up to one.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), int
        Class index of each image.
    n_groups : int
        Number of groups.
    generator : numpy.random.Generator
        Generator that shuffles the images of each class.

    Returns
    -------
    groups : ndarray of shape (n_samples,), int
        Number of the group of each image, from 0. Sizes of groups differ by one at most, and so do their numbers of
        images of one class.

    Examples
    --------
    >>> groups = deal_into_groups(np.array([0, 0, 1, 1, 1, 1]), 2, np.random.default_rng(0))
    >>> sorted(groups[:2].tolist()), sorted(groups[2:].tolist())
    ([0, 1], [0, 0, 1, 1])
    """
    order = np.lexsort((generator.random(len(codes)), codes))
    groups = np.empty(len(codes), dtype=int)
    groups[order] = np.arange(len(codes)) % n_groups
    return groups


def choose_kept(codes, n_subsets, generator):
    """Choose subsets of the images, each without one of five groups.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), int
        Class index of each image; each class has at least two images, and keeps at least one.
    n_subsets : int
        Number of subsets; rounded up to whole deals of five groups.
    generator : numpy.random.Generator
        Generator that deals.

    Returns
    -------
    kept : ndarray of shape (n_subsets, n_samples), bool
        Which images each subset has. Each image is left out equally often.

    Examples
    --------
    >>> kept = choose_kept(np.arange(10) % 2, 10, np.random.default_rng(0))
    >>> kept.shape, kept.sum(axis=0).tolist()
    ((10, 10), [8, 8, 8, 8, 8, 8, 8, 8, 8, 8])
    """
    n_groups = min(N_GROUPS, len(codes))
    deals = [deal_into_groups(codes, n_groups, generator) for _ in range(-(-n_subsets // n_groups))]
    return np.concatenate([groups != np.arange(n_groups)[:, None] for groups in deals])


def jackknife_deviations(values, kept):
    """Compute from scores of subsets how far the score of as many other images would be from its mean.

    Parameters
    ----------
    values : ndarray of shape (n_subsets, ...)
        Score of each subset.
    kept : ndarray of shape (n_subsets, n_samples), bool
        As `choose_kept` returns it.

    Returns
    -------
    deviations : ndarray of shape (n_subsets, ...), float64
        Deviations with mean 0, in units of the score, whose spread is that of the score over samples.

    Notes
    -----
    Let the score be a mean over n images of variance v, so that its own variance is v / n. The mean of m of them, drawn
    without replacement, has the variance v / m * (n - m) / n about the mean of all. The ratio of the two is
    m / (n - m), so deviations are multiplied by its square root: by 2 if a fifth is left out. To first order, other
    scores are means over images, too. Scores of fewer images are biased, but alike in all subsets: deviations are from
    their own mean.

    References
    ----------
    Shao and Wu, "A general theory for jackknife variance estimation", Annals of Statistics 17, 1989.

    Examples
    --------
    >>> kept = ~np.eye(5, dtype=bool)  # one of five images is left out
    >>> deviations = jackknife_deviations(np.array([kept_one.nonzero()[0].mean() for kept_one in kept]), kept)
    >>> float(np.square(deviations).mean()), float(np.arange(5).var(ddof=1) / 5)
    (0.5, 0.5)
    """
    n_kept = kept.sum(axis=1)
    scales = np.sqrt(n_kept / (kept.shape[1] - n_kept)).reshape(-1, *[1] * (values.ndim - 1))
    deviations = (values - values.mean(axis=0)) * scales
    return deviations - deviations.mean(axis=0)


def jackknife_half_width(deviations, n_free):
    """Compute the half width of a 95 % interval from the deviations of subsets.

    Parameters
    ----------
    deviations : ndarray of shape (n_subsets, ...)
        As `jackknife_deviations` returns them.
    n_free : int
        Number of images less number of classes, whose means are estimated: degrees of freedom of Student's quantile.

    Returns
    -------
    half : ndarray of shape (...)
        In units of the score.

    Examples
    --------
    >>> round(float(jackknife_half_width(np.array([-1.0, 1.0]), 1_000)), 2)
    1.96
    """
    return stats.t.ppf(0.975, max(1, n_free)) * np.sqrt(np.square(deviations).mean(axis=0))


def bootstrap_means(values, n_resamples, generator):
    """Compute means over images that are drawn with replacement, the same images for all columns.

    Parameters
    ----------
    values : ndarray of shape (n_samples, ...)
        A value of each image.
    n_resamples : int
        Number of resamples.
    generator : numpy.random.Generator
        Generator that draws the images.

    Returns
    -------
    means : ndarray of shape (n_resamples, ...), float64

    Examples
    --------
    >>> means = bootstrap_means(np.array([0.0, 1.0]), 1_000, np.random.default_rng(0))
    >>> np.unique(means)
    array([0. , 0.5, 1. ])
    """
    n = len(values)
    return np.array([values[generator.integers(n, size=n)].mean(axis=0) for _ in range(n_resamples)])


def share_first(resampled):
    """Compute in which share of the resamples each encoder has the largest score.

    Parameters
    ----------
    resampled : ndarray of shape (n_resamples, n_encoders, ...)
        Scores of the encoders on the same resamples.

    Returns
    -------
    shares : ndarray of shape (n_encoders, ...), float64
        They sum to 1 over the encoders: k encoders that are first together count 1 / k each.

    Examples
    --------
    >>> share_first(np.array([[2, 1], [2, 2]]))
    array([0.75, 0.25])
    """
    is_first = resampled == resampled.max(axis=1, keepdims=True)
    return (is_first / is_first.sum(axis=1, keepdims=True)).mean(axis=0)


def share_above(resampled, others):
    """Compute in which share of the resamples one score is above another; ties count half.

    Parameters
    ----------
    resampled, others : ndarray of shape (n_resamples, ...)
        Scores on the same resamples.

    Returns
    -------
    shares : ndarray of shape (...), float64

    Examples
    --------
    >>> share_above(np.array([[1], [2], [2], [0]]), np.array([[0], [1], [2], [2]]))
    array([0.625])
    """
    return ((resampled > others) + 0.5 * (resampled == others)).mean(axis=0)
