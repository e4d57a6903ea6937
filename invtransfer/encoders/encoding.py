"""Features of images, computed by any type of encoder."""

import numpy as np
from torch import nn

from invtransfer.encoders.layers import LayerFeatures, explain_failure
from invtransfer.encoders.outputs import check_pool
from invtransfer.images import check_count
from invtransfer.networks.inference import apply_in_batches, compute_outputs


def encode(encoder, X, batch_size=128, *, layer=None, pool="auto"):
    """Compute the features of images with a frozen encoder.

    Parameters
    ----------
    encoder : torch.nn.Module, fitted transformer or pipeline, callable or None
        One of:

        - a torch module, which receives float tensors in [0, 1] of shape (n_samples, 3, height, width), so that a
          normalisation of the images belongs in it; it runs on its own device, in its own dtype and in evaluation
          mode, and its mode, hooks and weights are not changed;
        - a fitted scikit-learn transformer or pipeline, whose `transform` receives each image as one row;
        - a function, which receives an array of images with the shape, dtype and range of `X`;
        - None: the pixels are the features.

        Modules, functions and transformers get copies of the images, which they may change.
    X : ndarray of shape (n_samples, height, width, n_channels), uint8 or float
        Images.
    batch_size : int
        Number of images per call of a module or function. The last batch is padded with copies of its first image, so
        that no feature depends on the size of its batch.
    layer : str or None
        Layer of a torch module whose output is taken as the features: a name listed by ``named_modules()``, or "" for
        the output of the module; a part of an output that is no tensor follows in brackets, as in "lstm[0]". None: what
        the module itself calls its feature; else the input of the last linear layer if that is the last layer with
        weights (the head of a classifier), else the output of the module. See `LayerFeatures`.
    pool : {"auto", "class", "mean", "flatten"}
        How token sequences and maps of a torch module become one row of features. "auto": as the module itself does,
        else the class token if it has one, else the mean over tokens or places. "class": the first token. "mean": the
        mean over all tokens or places. "flatten": one long row.

    Returns
    -------
    Z : ndarray of shape (n_samples, n_features), float32
        Features. Further dimensions of what a function or transformer returns are flattened.

    Raises
    ------
    TypeError
        If `encoder` is none of these.
    ValueError
        If `encoder` does not return one row of finite numbers per image, has no such layer, or cannot take images of
        this size; if `layer` or `pool` is given and `encoder` is not a torch module, or `pool` is none of the four; if
        `batch_size` is not from 1 to 65,536.

    Examples
    --------
    >>> import numpy as np
    >>> images = np.zeros((5, 8, 8, 3), dtype="uint8")
    >>> encode(lambda X: X.mean(axis=(1, 2)), images).shape
    (5, 3)
    """
    return encode_and_describe(encoder, X, batch_size, layer=layer, pool=pool)[0]


def encode_and_describe(encoder, X, batch_size=128, *, layer=None, pool="auto"):
    """Compute the features of images as `encode` does, and say where they are taken.

    Parameters
    ----------
    encoder, X, batch_size, layer, pool
        As for `encode`.

    Returns
    -------
    Z : ndarray of shape (n_samples, n_features), float32
        Features.
    description : str or None
        Where they are taken and how they are pooled, such as "output of layer3, mean over places", see `LayerFeatures`;
        None if `encoder` is no torch module.

    Raises
    ------
    TypeError, ValueError
        As for `encode`.

    Examples
    --------
    >>> images = np.zeros((5, 8, 8, 3), dtype="uint8")
    >>> Z, description = encode_and_describe(nn.Conv2d(3, 4, 3), images)
    >>> Z.shape, description
    ((5, 4), 'output of the module, mean over places')
    """
    batch_size = check_count(batch_size, "batch_size", high=65_536)
    check_pool(pool)
    if isinstance(encoder, type):
        raise TypeError(f"encoder is the class {encoder.__name__}, expected an instance of it")
    if not isinstance(encoder, nn.Module) and (layer is not None or pool != "auto"):
        wrong = f"layer is {layer!r}, expected None" if layer is not None else f"pool is {pool!r}, expected 'auto'"
        raise ValueError(f"{wrong}: encoder is of type {type(encoder).__name__}, which is no torch module")
    description = None
    if encoder is None:
        outputs = X
    elif isinstance(encoder, nn.Module):
        features = LayerFeatures(encoder, layer, pool)
        with explain_failure(encoder, X.shape[1:]):
            outputs = compute_outputs(features, X, batch_size)
        description = features.description
    elif hasattr(encoder, "transform") and hasattr(encoder, "image_shape_"):  # ours, which checks the shape of images
        outputs = encoder.transform(X if X.shape[3] == 3 else X.reshape(len(X), -1))
    elif hasattr(encoder, "transform"):
        outputs = encoder.transform(np.array(X).reshape(len(X), -1))
    elif callable(encoder):
        outputs = apply_in_batches(lambda batch: encoder(batch.copy()), X, batch_size)
    else:
        raise TypeError(
            f"encoder is of type {type(encoder).__name__}, expected a torch module, a fitted transformer,"
            " a function or None"
        )
    return _check_features(outputs, len(X)), description


def _check_features(outputs, n_samples):
    Z = np.asarray(outputs)
    if Z.ndim < 2 or len(Z) != n_samples:
        raise ValueError(f"encoder returned shape {Z.shape} for {n_samples} images, expected ({n_samples}, n_features)")
    if not (np.issubdtype(Z.dtype, np.number) or Z.dtype == bool) or np.iscomplexobj(Z):
        raise ValueError(f"encoder returned dtype {Z.dtype}, expected real numbers")
    with np.errstate(over="ignore"):  # infinite features raise an error below
        Z = Z.reshape(n_samples, -1).astype(np.float32, copy=False)
    bad = ~np.isfinite(Z).all(axis=1)
    if bad.any():
        raise ValueError(
            f"encoder returned NaN or infinity for {bad.sum()} of {n_samples} images, the first is image {bad.argmax()}"
        )
    return Z
