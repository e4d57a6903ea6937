"""From images to features, whatever kind of encoder a person has."""

import numpy as np
import torch
from sklearn.base import clone
from torch import nn

from invtransfer.images import to_tensor


def encode(encoder, X, batch_size=128):
    """Compute the features of images with a frozen encoder.

    Parameters
    ----------
    encoder : torch.nn.Module, fitted estimator, callable or None
        One of:

        - a torch module from float images in [0, 1] of shape (n_samples, 3, height, width) to features; it runs where
          it is, in evaluation mode, and is left as it was;
        - a fitted scikit-learn transformer or pipeline with `transform`; it gets each image as one row;
        - a function from arrays of images, in the shape, dtype and range of `X`, to features;
        - None: the pixels themselves.
    X : ndarray of shape (n_samples, height, width, n_channels), uint8 or float
        Images.
    batch_size : int
        Images that a module or function sees at once. The last batch is filled up with copies of its first image, so
        that no feature depends on how many others are in its batch.

    Returns
    -------
    Z : ndarray of shape (n_samples, n_features), float32
        Features; further dimensions, such as those of a feature map, are flattened.

    Raises
    ------
    TypeError
        If `encoder` is none of these.
    ValueError
        If it returns another number of rows than there are images, no numbers, NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> images = np.zeros((5, 8, 8, 3), dtype="uint8")
    >>> encode(lambda X: X.mean(axis=(1, 2)), images).shape
    (5, 3)
    """
    if isinstance(encoder, type):
        raise TypeError(f"encoder is the class {encoder.__name__}, expected an instance of it")
    if encoder is None:
        outputs = X
    elif isinstance(encoder, nn.Module):
        outputs = compute_outputs(encoder, X, batch_size)
    elif hasattr(encoder, "transform"):
        ours = hasattr(encoder, "image_shape_")  # it takes images, and says if they have another shape than its own
        outputs = encoder.transform(X if ours and X.shape[3] == 3 else X.reshape(len(X), -1))
    elif callable(encoder):
        outputs = np.concatenate([_call(encoder, *batch) for batch in _padded_batches(X, batch_size)])
    else:
        raise TypeError(
            f"encoder is of type {type(encoder).__name__}, expected a torch module, a fitted transformer,"
            " a function or None"
        )
    return _check_features(outputs, len(X))


def compute_outputs(network, X, batch_size=128):
    """Compute a network's output in evaluation mode, without gradients, in padded batches of one fixed size.

    Parameters
    ----------
    network : torch.nn.Module
        On any device; its mode (training or evaluation) is left as it was.
    X : ndarray of shape (n_samples, height, width, n_channels) or (n_samples, n_features)
        Images or features.
    batch_size : int
        Samples that are computed at once.

    Returns
    -------
    outputs : ndarray of shape (n_samples, ...), float32
        One row per sample.
    """
    device = next(network.parameters(), torch.empty(0)).device
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.inference_mode():
            return np.concatenate(
                [
                    _call(lambda batch: network(to_tensor(batch, device)), batch, n_kept)
                    for batch, n_kept in _padded_batches(X, batch_size)
                ]
            )
    finally:
        for module, mode in modes:
            module.training = mode


def _padded_batches(X, batch_size):
    """Yield batches of one size, and how many of their samples are not filling."""
    for start in range(0, len(X), batch_size):
        batch = X[start : start + batch_size]
        n_kept = len(batch)
        if n_kept < batch_size:
            batch = np.concatenate([batch, np.repeat(batch[:1], batch_size - n_kept, axis=0)])
        yield batch, n_kept


def _call(function, batch, n_kept):
    output = function(batch)
    if isinstance(output, torch.Tensor):
        output = output.detach().float().cpu().numpy()
    output = np.asarray(output)
    if output.ndim == 0 or len(output) != len(batch):
        raise ValueError(
            f"encoder returned shape {output.shape} for a batch of {len(batch)} images, expected one row per image"
        )
    return output[:n_kept]


def _check_features(outputs, n_samples):
    Z = np.asarray(outputs)
    if Z.ndim < 2 or len(Z) != n_samples:
        raise ValueError(f"encoder returned shape {Z.shape} for {n_samples} images, expected ({n_samples}, n_features)")
    if not (np.issubdtype(Z.dtype, np.number) or Z.dtype == bool) or np.iscomplexobj(Z):
        raise ValueError(f"encoder returned dtype {Z.dtype}, expected real numbers")
    Z = Z.reshape(n_samples, -1).astype(np.float32, copy=False)
    bad = ~np.isfinite(Z).all(axis=1)
    if bad.any():
        raise ValueError(
            f"encoder returned NaN or infinity for {bad.sum()} of {n_samples} images, the first is image {bad.argmax()}"
        )
    return Z


def clone_around_encoder(estimator):
    """Clone an estimator but keep its encoder, as it is: frozen, fitted, shared.

    Parameters
    ----------
    estimator : estimator
        With a parameter `encoder`.

    Returns
    -------
    clone : estimator
        Unfitted, with copies of all other parameters; a plain clone would forget what the encoder has learned.
    """
    parameters = estimator.get_params(deep=False)
    copies = {name: clone(value, safe=False) for name, value in parameters.items() if name != "encoder"}
    twin = type(estimator)(encoder=parameters["encoder"], **copies)
    for name in ("_metadata_request", "_sklearn_output_config"):  # set_fit_request, set_output: outlive a clone
        if name in vars(estimator):
            setattr(twin, name, vars(estimator)[name])
    return twin
