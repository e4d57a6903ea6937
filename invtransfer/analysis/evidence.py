"""What labelled images say about a transformation: what a probe gains, keeps and loses when images are transformed.

All is measured from features of the images and of some transformed copies of each, by one probe that is fitted on part
of the images and asked about the others. What it answers is kept per image, so that differences are paired and have
intervals.
"""

from functools import cache

import numpy as np
from scipy import linalg
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import StandardScaler

N_LANDMARKS = 500  # images that features are compared with, by the kernel of the probe
N_COMPARED = 200  # images from whose distances the width of the kernel is set
KERNEL_WIDTH = 3.0  # in median distances of the features
RIDGES = np.geomspace(1e-4, 1, 9)  # of which the best for held-out images is taken
LEAST_SPREAD = 0.1  # of the median feature: one that hardly varies over images must not drown the others in copies
SMALLEST = 1e-7  # share of the largest direction of the kernel below which others are rounding


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
        known = width**2 > np.finfo(np.float32).tiny  # most features may be the same, or as good as
        self._gamma = float(1 / (2 * width**2)) if known else 1.0
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
