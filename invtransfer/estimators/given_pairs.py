"""Sensitivity to the difference between the images of pairs that a person gives: twin_sensitivity."""

import itertools

import numpy as np
import xarray as xr
from sklearn.utils import check_array

from invtransfer.analysis.representations import (
    PAIRS_PER_BLOCK,
    compare_within_blocks,
    distances,
    sensitivity_interval,
)
from invtransfer.encoders.encoding import count_at_once, encode_pieces, open_encoder
from invtransfer.encoders.repeating import warn_if_features_vary
from invtransfer.estimators.twins import warn_of_few
from invtransfer.images.checks import as_array, check_images, shape_of


def twin_sensitivity(encoder, X, X_twin, *, layer=None, pool="auto"):
    """Measure how sensitive a representation is to the difference between the two images of given pairs.

    Parameters
    ----------
    encoder : InvariantPretrainer, fitted transformer or pipeline, torch.nn.Module, callable or None
        Encoder from images to features, see `invtransfer.encoders.encode`. A torch module receives float tensors in
        [0, 1] of shape (n_samples, 3, height, width), so a normalisation of the images belongs in it; a function
        receives the array of images as given, uint8 or float of shape (n_samples, height, width, 3); a transformer
        receives each image as one row. None: the pixels are the features.
    X, X_twin : array-like of shape (n_pairs, height, width, 3), uint8 or float in [0, 1]
        First and second image of each pair. With `encoder` None also features that were saved, float arrays of shape
        (n_pairs, n_features).
    layer : str or None
        Layer of a torch module whose output is taken as the features: a name listed by ``named_modules()``, or "" for
        the output of the module; a part of an output that is no tensor follows in brackets, as in "lstm[0]". None: what
        the module itself calls its feature; else the input of the last linear layer if that is the last layer with
        weights (the head of a classifier), else the output of the module. See `invtransfer.encoders.LayerFeatures`.
    pool : {"auto", "class", "mean", "flatten"}
        How token sequences and maps of a torch module become one row of features. "auto": as the module itself does,
        else the class token if it has one, else the mean over tokens or places. "class": the first token. "mean": the
        mean over all tokens or places. "flatten": one long row.

    Returns
    -------
    sensitivity : float
        Mean distance between the features of the two images of a pair, divided by the mean distance between the first
        image of one pair and the second image of another, over all pairs within blocks of 256.
    low, high : float
        Bounds of its 95 % interval over pairs, see `invtransfer.analysis.representations.sensitivity_interval`.

    Raises
    ------
    ValueError
        If the images are not as described, their shapes or dtypes differ, there is only one pair, the encoder has no
        such layer, or it does not return one finite row per image.
    TypeError
        If `encoder` is of a type that cannot be used.

    Warns
    -----
    UserWarning
        If fewer than 3 pairs make the mean distance, so that its interval cannot be known; or if the encoder gives the
        same images different features each time or in a different batch.

    Notes
    -----
    If every twin is transformed, the sensitivity is higher than that of `SensitivityScorer`, whose twins are two draws:
    about half of them are identical if the transformation acts with probability 0.5.

    Examples
    --------
    >>> X = np.random.default_rng(0).integers(256, size=(100, 8, 8, 3), dtype="uint8")
    >>> sensitivity, low, high = twin_sensitivity(None, X, 255 - X)
    >>> bool(low < sensitivity < high)
    True

    Features that were saved:

    >>> Z = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> round(twin_sensitivity(None, Z, Z + [0.0, 0.1])[0], 3)
    0.088
    """
    are_features = encoder is None and len(shape_of(X)) == len(shape_of(X_twin)) == 2
    given = {"X": X, "X_twin": X_twin}
    if are_features:
        X, X_twin = (check_array(as_array(Z, name), dtype=np.float64, input_name=name) for name, Z in given.items())
    else:
        X, X_twin = (check_images(images, name) for name, images in given.items())
    if X.shape != X_twin.shape:
        raise ValueError(f"X_twin has shape {X_twin.shape}, expected the shape of X, {X.shape}")
    if X.dtype != X_twin.dtype:  # 0 to 255, or 0 to 1
        raise ValueError(f"X_twin has dtype {X_twin.dtype}, expected that of X, {X.dtype}")
    if len(X) < 2:
        raise ValueError("X has 1 pair, expected at least 2: twins are compared with different images")
    if are_features:
        measured = distances(X, X_twin), compare_within_blocks(X, X_twin)[0]
    else:
        encoder = open_encoder(encoder, layer, pool)
        warn_if_features_vary(encoder, X)
        measured = measure_given(encoder, X, X_twin)
    warn_of_few(*(xr.DataArray(one, dims="pair", name="the difference between X and X_twin") for one in measured))
    return sensitivity_interval(*measured)


def measure_given(encoder, X, X_twin):
    """Measure how far the features of the two images of given pairs are apart.

    Parameters
    ----------
    encoder : object
        As `open_encoder` returns it.
    X, X_twin : ndarray or ImageCollection of shape (n_pairs, height, width, 3), uint8 or float
        First and second image of each pair.

    Returns
    -------
    pair_distances, random_distances : ndarray of shape (n_pairs,), float64
        Distance between the features of the two images of a pair, and, as `compare_within_blocks` returns it, mean
        distance between those of different pairs.

    Raises
    ------
    ValueError
        As for `encode_pieces`.

    Examples
    --------
    >>> X = np.array([0.0, 0.2, 0.8]).reshape(3, 1, 1, 1)
    >>> [values.round(3).tolist() for values in measure_given(None, X, X)]
    [[0.0, 0.0, 0.0], [0.5, 0.4, 0.7]]
    """
    n, step = len(X), count_at_once(X.shape[1:], X.dtype)
    pieces = (
        ((block, role), images[start : min(start + step, block + PAIRS_PER_BLOCK)])
        for block in range(0, n, PAIRS_PER_BLOCK)
        for role, images in (("first", X), ("twin", X_twin))
        for start in range(block, min(n, block + PAIRS_PER_BLOCK), step)
    )
    pair_distances, random_distances = np.empty(len(X)), np.empty(len(X))
    Z = {}
    for (block, role), encoded in itertools.groupby(encode_pieces(encoder, pieces), key=lambda piece: piece[0]):
        Z[role] = np.concatenate([features for _, features in encoded])
        if role == "twin":
            rows = slice(block, block + len(Z[role]))
            pair_distances[rows] = distances(Z["first"], Z["twin"])
            random_distances[rows] = compare_within_blocks(Z["first"], Z["twin"])[0]
    return pair_distances, random_distances
