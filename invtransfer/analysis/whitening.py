"""Whitening of features: the linear map after which the Euclidean distance is the Mahalanobis distance."""

from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits


class Whitening(NamedTuple):
    """A linear map of features that needs no matrix of n_features x n_features.

    Parameters
    ----------
    directions : ndarray or torch.Tensor of shape (n_directions, n_features), float64
        Orthonormal rows.
    scales : ndarray or torch.Tensor of shape (n_directions,), float64
        By how much more than `rest` features are multiplied in each of the directions; negative for less.
    rest : float
        What they are multiplied by in all other directions.
    """

    directions: object
    scales: object
    rest: float

    def apply(self, Z):
        """Map features.

        Parameters
        ----------
        Z : ndarray or torch.Tensor of shape (n_samples, n_features), float64
            Features, of the kind of the directions.

        Returns
        -------
        Z : of the same shape and kind
        """
        return self.rest * Z + (Z @ self.directions.T * self.scales) @ self.directions


def make_whitening(Z):
    """Make the linear map after which the Euclidean distance is the Mahalanobis distance.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Features whose covariance is taken, such as those of images without transformations; n_samples may be below
        n_features.

    Returns
    -------
    whitening : Whitening
        Symmetric map: the distance between rows to which it was applied is the Mahalanobis distance between those of
        `Z`, with their covariance shrunk towards a multiple of the identity as in Ledoit and Wolf (2004). A direction
        in which the shrunk covariance is 0 does not count; that is all of them if no feature varies, which makes all
        distances 0, and else none but in degenerate cases, such as two samples, which are not shrunk.

    References
    ----------
    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal of Multivariate
    Analysis 88, 2004.

    Examples
    --------
    >>> Z = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
    >>> W = make_whitening(Z).apply(np.eye(2))
    >>> W.round(3) + 0.0  # variances of 1/2 and 2, drawn towards 5/4: 0.91^-2 = 1.21, 0.88^-2 = 1.29
    array([[0.91, 0.  ],
           [0.  , 0.88]])
    """
    Z = Z.astype(np.float64) - Z[0]  # what is constant becomes precisely 0
    Z -= Z.mean(axis=0)
    if not Z.any():
        return Whitening(np.zeros((0, Z.shape[1])), np.zeros(0), 0.0)
    with threadpool_limits(1, user_api="blas"):  # whose waiting threads would slow down those of torch
        _, singular, directions = np.linalg.svd(Z, full_matrices=False)
    variances = np.square(singular) / len(Z)
    shrinkage = _find_shrinkage(Z, variances)
    floor = shrinkage * variances.sum() / Z.shape[1]  # the variance in directions in which no sample differs
    variances = (1 - shrinkage) * variances + floor
    least = variances.max() * max(Z.shape) * np.finfo(np.float64).eps
    scales = np.where(variances > least, np.maximum(variances, least) ** -0.5, 0)
    rest = floor**-0.5 if floor > least else 0.0
    return Whitening(directions, scales - rest, rest)


def _find_shrinkage(Z, variances):
    """Return Ledoit and Wolf's share from centred features and the eigenvalues of their covariance that are not 0.

    scikit-learn's function gives the same from all products of two features, which takes a minute with 100,000.
    """
    squares = np.square(variances).sum()  # of all entries of the covariance
    distance = squares - variances.sum() ** 2 / Z.shape[1]  # from the multiple of the identity
    error = (np.square(np.square(Z).sum(axis=1)).mean() - squares) / len(Z)
    return min(max(error, 0.0) / distance, 1.0) if distance > 0 else 0.0
