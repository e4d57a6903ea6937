"""What labelled images say about a transformation: what a probe gains, keeps and loses when images are transformed.

All is measured from features of the images and of some transformed copies of each, by one probe that is fitted on part
of the images and asked about the others. What it answers is kept per image, so that differences are paired and have
intervals.
"""

from functools import cache

import numpy as np
from scipy import linalg, stats
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import StandardScaler

N_LANDMARKS = 500  # images that features are compared with, by the kernel of the probe
N_COMPARED = 200  # images from whose distances the width of the kernel is set
KERNEL_WIDTH = 3.0  # in median distances of the features
RIDGES = np.geomspace(1e-4, 1, 9)  # of which the best for held-out images is taken
LEAST_SPREAD = 0.1  # of the median feature: one that hardly varies over images must not drown the others in copies
SMALLEST = 1e-7  # share of the largest direction of the kernel below which others are rounding
ROUNDING = 1e-6  # gains below are the rounding of predictions in float32
LUCK = 1e-3  # share of guessers that are taken for a probe that knows something


class CrossValidatedProbe:
    """A probe that is fitted anew without each fold of the images, and asked about this fold.

    The probe is a ridge regression of the classes on a Gaussian kernel of the features, which is wide: its answers are
    nearly those of a quadratic classifier. The kernel compares with at most 500 of the images (Nystroem), so that a fit
    needs one matrix of 500 x 500 per fold of any number of images and copies, and costs only its solution. In memory
    are 500 numbers of each image and, in `compare`, of each copy: 2 kB, several times over.

    Parameters
    ----------
    Z : ndarray of shape (n_images, n_features), float32
        Features of the images as they are.
    codes : ndarray of shape (n_images,), int64
        Class of each image, from 0.
    folds : ndarray of shape (n_images,), int64
        Fold of each image, from 0; each class is in at least two.
    generator : numpy.random.Generator
        It chooses the images that features are compared with, and pairs of images.
    scale : bool
        Whether each feature is divided by its standard deviation over the images, but by no less than a tenth of that
        of the median feature.

    Attributes
    ----------
    correct : ndarray of shape (n_images,), float64
        1 where the probe that did not see the image gives its class.
    errors : ndarray of shape (n_images,), float64
        Squared error of what it predicts for the image: the sum over classes of the squared difference to 1 for its
        class and 0 for others.
    ridge : float
        Penalty of the fit, the best of nine for held-out images.

    Examples
    --------
    >>> Z = np.repeat([[0.0, 1.0], [1.0, 0.0]], 10, axis=0) + np.random.default_rng(0).normal(size=(20, 2)) / 10
    >>> codes, folds = np.repeat([0, 1], 10), np.tile([0, 1], 10)
    >>> CrossValidatedProbe(Z, codes, folds, np.random.default_rng(0)).correct.mean()
    np.float64(1.0)
    """

    def __init__(self, Z, codes, folds, generator, *, scale=True):
        n_classes = int(codes.max()) + 1
        self._codes, self._folds = codes, [np.flatnonzero(folds == fold) for fold in range(folds.max() + 1)]
        self._scaler = StandardScaler(with_std=scale).fit(Z)
        if scale and len(spreads := np.sqrt(self._scaler.var_[self._scaler.var_ > 0])):
            self._scaler.scale_ = np.maximum(self._scaler.scale_, LEAST_SPREAD * np.median(spreads))
        order = generator.permutation(len(Z))
        some = self._scaler.transform(Z[order[:N_COMPARED]])
        width = KERNEL_WIDTH * np.median(cdist(some, some)[np.triu_indices(len(some), 1)])
        self._gamma = float(1 / (2 * width**2)) if width > 0 else 1.0  # most features may be the same
        self._landmarks = self._scaler.transform(Z[np.sort(order[:N_LANDMARKS])])
        self._root = _inverse_root(rbf_kernel(self._landmarks.astype(np.float64), gamma=self._gamma))
        self._targets = (codes[:, None] == np.arange(n_classes)).astype(np.float32)
        self._mean = self._targets.mean(axis=0)
        self._features = self._compute(Z)
        self._sums = self._sum(self._features)
        self.ridge, self._weights = self._fit_best(*self._sums)
        self.errors, self.correct = self._judge(self._weights)
        gram, moments = (part.sum(axis=0) for part in self._sums)
        whole = linalg.solve(gram + self._penalty(self.ridge), moments, assume_a="pos")
        centred = whole - whole.mean(axis=1, keepdims=True)
        self._directions = linalg.orth(centred) if np.any(centred) else centred[:, :0]
        self._same, self._other = _draw_partners(codes, generator)
        differences = self._features - self._features[self._other]
        self._usual_share = _divide(np.square(differences @ self._directions).sum(), np.square(differences).sum())

    def compare(self, Z_copies):
        """Measure what transformed copies of the images do to the probe.

        Parameters
        ----------
        Z_copies : ndarray of shape (n_copies, n_images, n_features), float32
            Features of copies of each image, drawn anew for each copy.

        Returns
        -------
        measured : dict of str to ndarray of shape (n_images,), float64
            "gain": how much smaller the squared error becomes when the probe is fitted on copies as well, with a
            penalty of its own. "accuracy_gain": likewise, how many more answers are right. "consistent": share of the
            copies for which the answer of the probe that saw no copies stays. "correct_transformed": share for which it
            is right. "retained": 1 where a probe that is fitted on copies alone, with a penalty of its own, is right
            about the image as it is.
            "relevant", "displaced": squared length of the displacement by the transformation along the directions that
            the probe reads, in units of that share between images, and in all directions. "explained": by which share
            the distance to another image of the class becomes smaller if the best of the copies is taken, minus that
            to an image of another class; NaN where the class has no other image.
        """
        copies = np.stack([self._compute(Z) for Z in Z_copies])
        sums = [self._sum(features) for features in copies]
        gram, moments = (sum(parts) for parts in zip(*sums, strict=True))
        n = len(copies)
        both = (self._sums[0] + gram) / (n + 1), (self._sums[1] + moments) / (n + 1)
        errors, correct = self._judge(self._fit_best(*both)[1])
        alone = self._fit_best(gram / n, moments / n)[1]
        answers, own = self._answer(self._features, self._weights), self._codes
        of_copies = np.array([self._answer(features, self._weights) for features in copies])
        displacements = copies - self._features
        along = np.square(displacements @ self._directions).sum(axis=(0, 2))
        return {
            "gain": self.errors - errors,
            "accuracy_gain": correct - self.correct,
            "consistent": (of_copies == answers).mean(axis=0),
            "correct_transformed": (of_copies == own).mean(axis=0),
            "retained": (self._answer(self._features, alone) == own).astype(float),
            "relevant": along / self._usual_share if self._usual_share > 0 else np.full(len(along), np.nan),
            "displaced": np.square(displacements).sum(axis=(0, 2)),
            "explained": self._explain(copies),
        }

    def _compute(self, Z):
        """Return the features of the kernel, in float32, which scikit-learn's kernels compute in twice the time."""
        scaled = self._scaler.transform(Z)
        squared = np.square(scaled).sum(axis=1)[:, None] + np.square(self._landmarks).sum(axis=1)
        squared -= 2 * scaled @ self._landmarks.T
        return np.exp(-self._gamma * np.maximum(squared, 0)) @ self._root

    def _sum(self, features):
        """Return what a fit needs of each fold."""
        parts = [(features[rows], self._targets[rows] - self._mean) for rows in self._folds]
        gram, moments = np.stack([Z.T @ Z for Z, _ in parts]), np.stack([Z.T @ y for Z, y in parts])
        return gram.astype(np.float64), moments.astype(np.float64)  # what is solved is nearly singular

    def _penalty(self, ridge):
        return ridge * np.eye(self._features.shape[1])

    def _fit(self, gram, moments, ridge):
        """Return the weights of the probe without each fold."""
        penalty, all_gram, all_moments = self._penalty(ridge), gram.sum(axis=0), moments.sum(axis=0)
        return [
            linalg.solve(all_gram - of_fold + penalty, all_moments - moment, assume_a="pos")
            for of_fold, moment in zip(gram, moments, strict=True)
        ]

    def _fit_best(self, gram, moments):
        """Return the ridge with the smallest error on held-out images, and the weights of the probe with it.

        The error is assumed to fall and then rise as the ridge grows: the search ends where the next one is worse.
        """

        @cache
        def fit(i):
            weights = self._fit(gram, moments, RIDGES[i])
            return self._judge(weights)[0].mean(), weights

        best = len(RIDGES) // 2
        for step in (-1, 1):
            while 0 <= best + step < len(RIDGES) and fit(best + step)[0] < fit(best)[0]:
                best += step
        return RIDGES[best], fit(best)[1]

    def _predict(self, features, weights):
        predicted = np.empty((len(features), len(self._mean)), np.float32)
        for rows, of_fold in zip(self._folds, weights, strict=True):
            predicted[rows] = features[rows] @ of_fold + self._mean
        return predicted

    def _answer(self, features, weights):
        return self._predict(features, weights).argmax(axis=1)

    def _judge(self, weights):
        """Return the squared errors and the right answers for images as they are."""
        predicted = self._predict(self._features, weights)
        errors = np.square(predicted - self._targets, dtype=np.float64).sum(axis=1)
        return errors, (predicted.argmax(axis=1) == self._codes).astype(float)

    def _explain(self, copies):
        shares = []
        for partners in (self._same, self._other):
            partner = self._features[partners]
            as_is = np.square(self._features - partner).sum(axis=1)
            best = np.minimum(as_is, np.square(copies - partner).sum(axis=2).min(axis=0))
            shares.append(1 - np.sqrt(_divide(best, as_is)))
        return np.where(self._same == np.arange(len(self._same)), np.nan, shares[0] - shares[1])


def _inverse_root(kernel):
    """Return the map from what a kernel compares with to its features, whose products are the kernel.

    Directions that are smaller than the rounding of a kernel in float32 are left out.
    """
    values, vectors = linalg.eigh(kernel)
    known = values > SMALLEST * values[-1]
    return (vectors[:, known] / np.sqrt(values[known])).astype(np.float32)


def _draw_partners(codes, generator):
    """Draw for each image another one of its class (itself if there is none), and one of another class."""
    order = generator.permutation(len(codes))
    by_class = order[np.argsort(codes[order], kind="stable")]
    sizes = np.bincount(codes)
    ends = np.cumsum(sizes)
    starts, places = (ends - sizes)[codes[by_class]], np.arange(len(codes))
    same = np.empty(len(codes), int)
    same[by_class] = by_class[starts + (places - starts + 1) % sizes[codes[by_class]]]
    n_others = len(codes) - sizes[codes[by_class]]
    other = np.empty(len(codes), int)
    steps = generator.integers(n_others)
    other[by_class] = by_class[(ends[codes[by_class]] + steps) % len(codes)]
    return same, other


def _divide(values, by):
    """Divide; NaN where the divisor is 0."""
    return np.asarray(values, float) / np.where(np.asarray(by) > 0, by, np.nan)


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
