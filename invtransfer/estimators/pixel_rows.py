"""Rows of pixels of any range, as scikit-learn's data sets have them: grey images while they are transformed."""

import numpy as np


def find_pixel_range(X):
    """Find the range of pixels that rows of any range are scaled by, so that they can be transformed as grey images.

    Parameters
    ----------
    X : ndarray of shape (n_samples, height, width, n_channels)
        What `validate_input` returns.

    Returns
    -------
    low, extent : float
        Smallest value and range of rows of pixels; 0 and 1 for images, which are in [0, 1].

    Examples
    --------
    >>> find_pixel_range(np.array([2.0, 5.0]).reshape(1, 1, 2, 1))
    (2.0, 3.0)
    """
    if X.shape[3] == 3:
        return 0.0, 1.0
    low, high = float(X.min()), float(X.max())
    return low, max(high - low, float(np.finfo(np.float32).tiny))


def to_images(X, pixel_range):
    """Return rows of pixels of any range as grey images in [0, 1], and images as they are.

    Parameters
    ----------
    X : ndarray or ImageCollection of shape (n_samples, height, width, n_channels)
        What `validate_input` returns.
    pixel_range : tuple of float
        As `find_pixel_range` returns it.

    Returns
    -------
    images : ndarray or ImageCollection of shape (n_samples, height, width, 3)

    Examples
    --------
    >>> to_images(np.array([2.0, 5.0]).reshape(1, 1, 2, 1), (2.0, 3.0))[..., 0].tolist()
    [[[0.0, 1.0]]]
    """
    if X.shape[3] == 3:
        return X
    low, extent = pixel_range
    return np.repeat(np.clip((X - low) / extent, 0, 1).astype(np.float32), 3, axis=3)


def to_pixels(images, pixel_range):
    """Return grey images in [0, 1] as rows of pixels in their own range.

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width, 3)
        As `to_images` made them of rows of pixels, perhaps transformed.
    pixel_range : tuple of float
        As for `to_images`.

    Returns
    -------
    rows : ndarray of shape (n_samples, height, width, 1)

    Examples
    --------
    >>> to_pixels(np.ones((1, 1, 2, 3)), (2.0, 3.0)).tolist()
    [[[[5.0], [5.0]]]]
    """
    low, extent = pixel_range
    return images.mean(axis=3, keepdims=True) * extent + low
