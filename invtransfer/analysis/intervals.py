"""Intervals of means, shares and ratios over images or groups of them, and what gains and answers of a probe say."""

import numpy as np
from scipy import stats

ROUNDING = 1e-6  # gains below are the rounding of predictions in float32
LUCK = 1e-3  # share of guessers that are taken for a probe that knows something


def mean_interval(values, groups=None):
    """Compute a mean over images with its 95 % interval.

    Parameters
    ----------
    values : ndarray of shape (n_images,)
        NaN where there is none.
    groups : ndarray of shape (n_images,), int, or None
        As for `ratio_interval`.

    Returns
    -------
    mean, low, high : float
        Student's interval; NaN if there are fewer than 2 values.

    Examples
    --------
    >>> [round(float(value), 2) for value in mean_interval(np.array([1.0, 2.0, 3.0]))]
    [2.0, -0.48, 4.48]
    """
    return ratio_interval(values, np.ones(len(values)), groups)


def share_interval(values, groups=None):
    """Compute a mean share over images with its 95 % interval, which is within 0 and 1.

    Parameters
    ----------
    values : ndarray of shape (n_images,)
        1 or 0 for each image, or the share of its copies.
    groups : ndarray of shape (n_images,), int, or None
        As for `ratio_interval`.

    Returns
    -------
    share, low, high : float
        Clopper and Pearson's interval, which holds the share in at least 95 % of the cases. That of shares of copies,
        and of images in groups, is the same for as many single answers as would have their spread.

    References
    ----------
    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika
    26, 1934. For the number of answers: Korn and Graubard, "Confidence intervals for proportions with small expected
    number of positive counts estimated from survey data", Survey Methodology 24, 1998.

    Examples
    --------
    >>> [round(value, 3) for value in share_interval(np.ones(30))]  # 0.884 ** 30 is 0.025
    [1.0, 0.884, 1.0]
    """
    share, n = float(values.mean()), _count_answers(values, groups)
    low = stats.beta.ppf(0.025, n * share, n * (1 - share) + 1) if share > 0 else 0.0
    high = stats.beta.ppf(0.975, n * share + 1, n * (1 - share)) if share < 1 else 1.0
    return share, float(low), float(high)


def share_difference_interval(differences, groups=None):
    """Compute the difference of two shares over the same images with its 95 % interval, within -1 and 1.

    Parameters
    ----------
    differences : ndarray of shape (n_images,)
        1 for each image about which one is right alone, -1 for each about which the other one is, else 0.
    groups : ndarray of shape (n_images,), int, or None
        As for `ratio_interval`.

    Returns
    -------
    difference, low, high : float

    Notes
    -----
    Student's interval, over groups if there are any, as if there were two more images, with 1 and with -1 (after Bonett
    and Price): without them, four images about which one alone is right would decide, which happens by chance in one
    case of eight. In 2,000 simulated cases each, of 10 to 300 images, the interval held the difference in 95 to 100 %;
    of 4 to 30 groups, whose images are alike, in 92 to 96 %.

    References
    ----------
    Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on paired data",
    Journal of Educational and Behavioral Statistics 37, 2012.

    Examples
    --------
    >>> [round(value, 2) for value in share_difference_interval(np.repeat([0.0, 1.0], [96, 4]))]
    [0.04, -0.01, 0.09]
    """
    n = len(differences)
    more = np.append(differences, [1.0, -1.0])
    units = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    units = np.append(units, units.max() + [1, 2])
    _, low, high = mean_interval(more, units)
    if not np.any(differences):  # what happens in none of n images, or groups, may happen in so many
        rare = 1 - 0.025 ** (1 / (units.max() - 1))
        low, high = min(low, -rare), max(high, rare)
    return float(np.mean(differences)), max(low, -1.0), min(high, 1.0)


def _count_answers(values, groups):
    """Count the independent answers, 1 or 0, whose mean would scatter as that of shares, or of images in groups.

    Groups make at most as many as images alone; where all answers are the same, each group counts as one.
    """
    share, n = float(values.mean()), len(values)
    variance = values.var(ddof=1)
    n_answers = max(n, share * (1 - share) / variance * n) if variance > 0 else n
    if groups is None:
        return n_answers
    n_groups = len(np.unique(groups))
    if not variance > 0:
        return n_groups
    inflation = (_standard_error(values, np.ones(n), groups) / _standard_error(values, np.ones(n))) ** 2
    inflation *= (stats.t.ppf(0.975, n_groups - 1) / stats.t.ppf(0.975, n - 1)) ** 2
    return n_answers / max(1, inflation)


def _standard_error(values, by, groups=None):
    """Return the standard error of the ratio of two means over images, or over groups of them, by linearisation."""
    rests = values - values.mean() / by.mean() * by
    if groups is not None:
        rests = np.bincount(np.unique(groups, return_inverse=True)[1], rests)
    return np.sqrt(len(rests)) * rests.std(ddof=1) / by.sum()


def ratio_interval(values, by, groups=None):
    """Compute the ratio of two means over the same images with its 95 % interval.

    Parameters
    ----------
    values, by : ndarray of shape (n_images,)
        Numerator and denominator of each image; images with NaN in one of them are left out.
    groups : ndarray of shape (n_images,), int, or None
        Group of each image, such as the patient: images of a group tell less than as many of different groups. None:
        images are independent.

    Returns
    -------
    ratio, low, high : float
        The interval is Student's of the linearised ratio, over groups if there are any; NaN if there are fewer than 2
        images or groups, or the mean of the denominators is not above 0.

    Examples
    --------
    >>> ratio_interval(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    (0.5, 0.5, 0.5)
    """
    known = ~(np.isnan(values) | np.isnan(by))
    values, by = values[known], by[known]
    groups = None if groups is None else groups[known]
    n = len(values) if groups is None else len(np.unique(groups))
    if n < 2 or by.mean() <= np.finfo(np.float32).tiny:
        return np.nan, np.nan, np.nan
    ratio = values.mean() / by.mean()
    reach = stats.t.ppf(0.975, n - 1) * _standard_error(values, by, groups)
    return float(ratio), float(ratio - reach), float(ratio + reach)


def combine_gains(gains, groups=None):
    """Combine what probes of several views of the same images gain, each in units of its own spread.

    Parameters
    ----------
    gains : list of ndarray of shape (n_images,)
        Gain of each image; one for each view. A view whose gains are 0 up to rounding says nothing.
    groups : ndarray of shape (n_images,), int, or None
        As for `ratio_interval`.

    Returns
    -------
    z : float
        Mean of the sum over the views, divided by its standard error, as a standard normal number: if copies do
        nothing, 5 % of such numbers are above 1.645. 0 if no view says anything.
    n_effective : float
        Number of independent images over which that sum would have this standard error; without groups, that of the
        images.

    Notes
    -----
    The images are the same in all views, so the sum is taken image by image. The ratio is Student's t, which for few
    images is often large by chance; it is converted to the standard normal quantile of the same probability, by
    Wallace's approximation.

    References
    ----------
    Wallace, "Bounds on normal approximations to Student's and the chi-square distributions", Annals of Mathematical
    Statistics 30, 1959.

    Examples
    --------
    >>> z, n_effective = combine_gains([np.array([1.0, 2.0, 3.0])])
    >>> round(z, 2), n_effective, combine_gains([np.zeros(3)])
    (1.77, 3.0, (0.0, 3.0))
    """
    total = np.zeros(len(gains[0]))
    for gain in gains:
        if np.abs(gain).max() > ROUNDING and (spread := gain.std(ddof=1)) > 0:
            total += gain / spread
    n = float(len(total))
    error = _standard_error(total, np.ones(len(total)), groups)
    if not error > 0:
        return 0.0, n
    t, freedom = total.mean() / error, (len(total) if groups is None else len(np.unique(groups))) - 1
    size = (8 * freedom + 1) / (8 * freedom + 3) * np.sqrt(freedom * np.log1p(t**2 / freedom))
    return float(np.copysign(size, t)), n if groups is None else float(total.var(ddof=1) / error**2)


def is_better_than_chance(correct, chance, groups=None):
    """Tell whether the answers of a probe are better than those of a guesser, by more than luck.

    Parameters
    ----------
    correct : ndarray of shape (n_images,)
        1 where the answer is right, else 0.
    chance : float
        Share of right answers of a guesser, who always says the largest class.
    groups : ndarray of shape (n_images,), int, or None
        As for `ratio_interval`. As many answers count as for `share_interval`.

    Returns
    -------
    better : bool
        Whether fewer than 1 in 1,000 guessers have as many right answers.

    Notes
    -----
    1 in 1,000 rather than 1 in 20: images are judged by probes that saw almost the same images and whose penalty was
    chosen for the answers, so that accuracies for shuffled labels scatter more than those of guessers. An interval of
    the probe's own accuracy would not do: it has no width where few answers are all right by luck.

    Examples
    --------
    9 right answers of 9 are not enough to tell a probe from a coin, with 1 in 512; 10 of 10 are, with 1 in 1,024.

    >>> is_better_than_chance(np.ones(9), 0.5), is_better_than_chance(np.ones(10), 0.5)
    (False, True)
    """
    n = _count_answers(correct, groups)
    n_right = np.mean(correct) * n
    return bool(n_right > 0 and stats.beta.cdf(chance, n_right, n - n_right + 1) < LUCK)  # the binomial's, of any n
