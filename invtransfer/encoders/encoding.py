"""From images to features, whatever kind of encoder a person has."""

import numpy as np
from torch import nn

from invtransfer.encoders.layers import LayerFeatures, explain_failure
from invtransfer.images import check_count
from invtransfer.networks.inference import apply_in_batches, compute_outputs


def encode(encoder, X, batch_size=128, *, layer=None):
    """Compute the features of images with a frozen encoder.

    Parameters
    ----------
    encoder : torch.nn.Module, fitted estimator, callable or None
        One of:

        - a torch module that takes float images in [0, 1] of shape (n_samples, 3, height, width), and gives the
          features at `layer`; it runs where it is, in evaluation mode, and is left as it was;
        - a fitted scikit-learn transformer or pipeline with `transform`; it gets each image as one row;
        - a function from arrays of images, in the shape, dtype and range of `X`, to features;
        - None: the pixels themselves.
    X : ndarray of shape (n_samples, height, width, n_channels), uint8 or float
        Images.
    batch_size : int
        Images that a module or function sees at once. The last batch is filled up with copies of its first image, so
        that no feature depends on how many others are in its batch.
    layer : str or None
        Of a torch module: name of the layer whose output are the features, "" for the module's own output. None: what
        goes into its linear head if it ends in one, else its output. See `LayerFeatures`.

    Returns
    -------
    Z : ndarray of shape (n_samples, n_features), float32
        Features; further dimensions, such as those of a feature map, are flattened.

    Raises
    ------
    TypeError
        If `encoder` is none of these.
    ValueError
        If it returns another number of rows than there are images, no numbers, NaN or infinity; if there is no such
        layer, or a layer is named of what is no torch module; if a torch module cannot take images of that size; if
        `batch_size` is not from 1 to 65,536.

    Examples
    --------
    >>> import numpy as np
    >>> images = np.zeros((5, 8, 8, 3), dtype="uint8")
    >>> encode(lambda X: X.mean(axis=(1, 2)), images).shape
    (5, 3)
    """
    check_count(batch_size, "batch_size", high=65_536)
    if isinstance(encoder, type):
        raise TypeError(f"encoder is the class {encoder.__name__}, expected an instance of it")
    if layer is not None and not isinstance(encoder, nn.Module):
        raise ValueError(
            f"layer is {layer!r}, expected None: encoder is of type {type(encoder).__name__}, which is no torch module"
        )
    if encoder is None:
        outputs = X
    elif isinstance(encoder, nn.Module):
        with explain_failure(encoder, X.shape[1:]):
            outputs = compute_outputs(LayerFeatures(encoder, layer), X, batch_size)
    elif hasattr(encoder, "transform"):
        ours = hasattr(encoder, "image_shape_")  # it takes images, and says if they have another shape than its own
        outputs = encoder.transform(X if ours and X.shape[3] == 3 else X.reshape(len(X), -1))
    elif callable(encoder):
        outputs = apply_in_batches(encoder, X, batch_size)
    else:
        raise TypeError(
            f"encoder is of type {type(encoder).__name__}, expected a torch module, a fitted transformer,"
            " a function or None"
        )
    return _check_features(outputs, len(X))


def _check_features(outputs, n_samples):
    Z = np.asarray(outputs)
    if Z.ndim < 2 or len(Z) != n_samples:
        raise ValueError(f"encoder returned shape {Z.shape} for {n_samples} images, expected ({n_samples}, n_features)")
    if not (np.issubdtype(Z.dtype, np.number) or Z.dtype == bool) or np.iscomplexobj(Z):
        raise ValueError(f"encoder returned dtype {Z.dtype}, expected real numbers")
    with np.errstate(over="ignore"):  # what becomes infinite is named below
        Z = Z.reshape(n_samples, -1).astype(np.float32, copy=False)
    bad = ~np.isfinite(Z).all(axis=1)
    if bad.any():
        raise ValueError(
            f"encoder returned NaN or infinity for {bad.sum()} of {n_samples} images, the first is image {bad.argmax()}"
        )
    return Z
