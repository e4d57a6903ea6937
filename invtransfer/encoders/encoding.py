"""Features of images, computed by any type of encoder."""

import itertools
import math
from collections import deque
from collections.abc import Mapping

import numpy as np
import torch
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from torch import nn

from invtransfer.encoders.layers import LayerFeatures, explain_failure
from invtransfer.encoders.many_layers import ManyLayers
from invtransfer.encoders.outputs import check_pool
from invtransfer.encoders.preprocessing import size_behind_preprocessing
from invtransfer.images.checks import as_array, check_images
from invtransfer.networks.devices import resolve_device
from invtransfer.networks.inference import (
    apply_in_batches,
    check_inference,
    choose_batch_size,
    compute_outputs,
    first_weight,
)

WATCHED = (LayerFeatures, ManyLayers)
PIECE_BYTES = 2**24  # size of the images that are read, or made, at once


def encode(encoder, X, batch_size=None, *, layer=None, pool="auto", precision="float32"):
    """Compute the features of images with a frozen encoder.

    Parameters
    ----------
    encoder : torch.nn.Module, fitted transformer or pipeline, callable or None
        One of:

        - a torch module, which receives float tensors in [0, 1] of shape (n_samples, 3, height, width), so that a
          normalisation of the images belongs in it; it runs on its own device, in its own dtype and in evaluation
          mode, and its mode, hooks and weights are not changed;
        - a fitted scikit-learn transformer or pipeline, whose `transform` receives each image as one row of
          the same values;
        - a function, which receives an array of images with the shape, dtype and range of `X`;
        - None: the pixels are the features.

        Modules, functions and transformers get copies of the images, which they may change.
    X : ndarray of shape (n_samples, height, width, n_channels), uint8 or float; or what `load_images` returns
        Images, which are read a piece at a time.
    batch_size : int or None
        Number of images per call of a module or function. The last batch is padded with copies of its first image, so
        that no feature depends on the size of its batch. None: by the size of the images, or that to which a model of
        `load_model` brings them, see `invtransfer.networks.inference.choose_batch_size`.
    layer : str or None
        Layer of a torch module whose output is taken as the features: a name listed by ``named_modules()``, or "" for
        the output of the module; a part of an output that is no tensor follows in brackets, as in "lstm[0]". None: what
        the module itself calls its feature; else the input of the last linear layer if that is the last layer with
        weights (the head of a classifier), else the output of the module. See `LayerFeatures`.
    pool : {"auto", "class", "mean", "flatten"}
        How token sequences and maps of a torch module become one row of features. "auto": as the module itself does,
        else the class token if it has one, else the mean over tokens or places. "class": the first token. "mean": the
        mean over all tokens or places. "flatten": one long row.
    precision : {"float32", "bfloat16", "float16"}
        Number format in which a torch module computes where it can choose (autocast); features are float32 anyway.

    Returns
    -------
    Z : ndarray of shape (n_samples, n_features), float32
        Features. Further dimensions of what a function or transformer returns are flattened.

    Raises
    ------
    TypeError
        If `encoder` is none of these.
    ValueError
        If `X` holds no images as `check_images` describes them, or none; if `encoder` does not return one row of finite
        numbers per image, has no such layer, or cannot take images of this size; if `layer` or `pool` is given and
        `encoder` is not a torch module, or `pool` is none of the four; if `batch_size` is not from 1 to 65,536, or
        there is no such `precision`.

    Examples
    --------
    >>> import numpy as np
    >>> images = np.zeros((5, 8, 8, 3), dtype="uint8")
    >>> encode(lambda X: X.mean(axis=(1, 2)), images).shape
    (5, 3)
    """
    given = X
    if not isinstance(getattr(X, "dtype", None), np.dtype):  # what has one may be on a disk, and is read piece by piece
        X = as_array(X, "X")
    if len(X.shape) != 4:
        raise ValueError(f"X has shape {X.shape}, expected (n_samples, height, width, n_channels)")
    if isinstance(X, np.ndarray) and X.shape[3] == 3:
        checked = check_images(given)
        X = X if X is given else checked  # an array stays as it is, also one of float64
    return encode_checked(encoder, X, batch_size, layer=layer, pool=pool, precision=precision)


def encode_checked(encoder, X, batch_size=None, *, layer=None, pool="auto", precision="float32"):
    """Compute the features of images that were checked, see `encode`.

    Parameters
    ----------
    encoder, batch_size, layer, pool, precision
        As for `encode`.
    X : ndarray or ImageCollection of shape (n_samples, height, width, n_channels)
        Images as `check_images` returns them.

    Returns
    -------
    Z : ndarray of shape (n_samples, n_features), float32

    Raises
    ------
    TypeError, ValueError
        As for `encode`.
    """
    check_inference(batch_size, precision)
    encoder = open_encoder(encoder, layer, pool)
    step = count_at_once(X.shape[1:], X.dtype)
    pieces = ((slice(i, i + step), X[i : i + step]) for i in range(0, len(X), step))
    Z = None
    for rows, features in _stream(encoder, pieces, batch_size, precision):
        Z = np.empty((len(X), features.shape[1]), np.float32) if Z is None else Z
        Z[rows] = features
    if Z is None:
        raise ValueError(f"X has shape {X.shape}, expected at least one image")
    bad = ~np.isfinite(Z).all(axis=1)
    if bad.any():
        raise ValueError(
            f"encoder returned NaN or infinity for {bad.sum()} of {len(Z)} images, the first is image {bad.argmax()}"
        )
    return Z


def open_encoder(encoder, layer=None, pool="auto", layers=None):
    """Check an encoder, and choose where the features of a torch module are taken.

    Parameters
    ----------
    encoder, layer, pool
        As for `encode`.
    layers : "blocks", list of str or None
        Layers of a torch module, or of the network of a fitted estimator of ours, whose features are computed side by
        side, see `ManyLayers`. None: those of `layer`.

    Returns
    -------
    encoder : LayerFeatures, ManyLayers, fitted transformer or pipeline, callable or None
        Of a torch module its `LayerFeatures`, whose `description` says after the first images where the features are
        taken, or its `ManyLayers`; a copy of an estimator of ours that keeps its network; else the argument itself.
        `encode` and `encode_pieces` take it.

    Raises
    ------
    TypeError, ValueError
        As for `encode`.
    NotFittedError
        If `encoder` is an estimator that knows that it is not fitted.

    Examples
    --------
    >>> features = open_encoder(nn.Conv2d(3, 4, 3))
    >>> encode(features, np.zeros((5, 8, 8, 3), dtype="uint8")).shape, features.description
    ((5, 4), 'output of the module, mean over places')
    """
    check_pool(pool)
    encoder = unwrap(encoder)
    if isinstance(encoder, type):
        raise TypeError(f"encoder is the class {encoder.__name__}, expected an instance of it")
    if layer is not None and layers is not None:
        raise ValueError(f"layer is {layer!r} and layers is {layers!r}, expected one of them")
    if isinstance(encoder, WATCHED) and layer is None and layers is None and pool == "auto":
        return encoder
    if isinstance(encoder, nn.Module):
        return LayerFeatures(encoder, layer, pool) if layers is None else ManyLayers(encoder, layers, pool)
    if layers is not None and _is_ours(encoder) and hasattr(encoder, "module"):
        return ManyLayers(encoder.module().to(device_of(encoder)), layers, pool)
    for name, value, usual in (("layer", layer, None), ("layers", layers, None), ("pool", pool, "auto")):
        if value != usual:
            raise ValueError(
                f"{name} is {value!r}, expected {usual!r}: encoder is of type {type(encoder).__name__}, which is no"
                " torch module"
            )
    if hasattr(encoder, "transform") and not getattr(encoder, "__sklearn_is_fitted__", lambda: True)():
        raise NotFittedError(
            f"encoder is of type {type(encoder).__name__}, and is not fitted. Fit it first; in the grid of a search,"
            " give sklearn.frozen.FrozenEstimator(encoder), because a grid's values are cloned, which forgets fits"
        )
    if _is_ours(encoder) and hasattr(encoder, "opened"):
        return encoder.opened()
    if encoder is not None and not hasattr(encoder, "transform") and not callable(encoder):
        raise TypeError(
            f"encoder is of type {type(encoder).__name__}, expected a torch module, a fitted transformer,"
            f" a function or None{_hint(encoder)}"
        )
    return encoder


def unwrap(encoder):
    """Return what is in a `FrozenEstimator`, which grids need around fitted estimators, and modules may have."""
    return encoder.estimator if isinstance(encoder, FrozenEstimator) else encoder


def _hint(encoder):
    """Say what to do with what is often taken for an encoder."""
    if isinstance(encoder, str):
        return f": invtransfer.load_model({encoder!r}) gives a model for a name"
    if isinstance(encoder, Mapping):
        tensors = encoder and all(isinstance(value, torch.Tensor) for value in encoder.values())
        return ": load a state_dict into its module" if tensors else ": give one encoder at a time"
    return ": leave out its last step, encoder[:-1]" if isinstance(encoder, Pipeline) else ""


def describe_features(encoder):
    """Say where features are taken, after they were computed.

    Parameters
    ----------
    encoder : object
        As `open_encoder` returned it.

    Returns
    -------
    description : str or None
        Where they are taken and how they are pooled, such as "output of layer3, mean over places", see `LayerFeatures`;
        None if the encoder is no torch module.

    Examples
    --------
    >>> describe_features(open_encoder(nn.Linear(2, 3)))
    'output of the module'
    >>> describe_features(open_encoder(len)) is None
    True
    """
    if isinstance(encoder, ManyLayers):
        return "; ".join(encoder.descriptions or [])
    return encoder.description if isinstance(encoder, LayerFeatures) else None


def count_at_once(image_shape, dtype):
    """Count the images that are read, or made, at once.

    Parameters
    ----------
    image_shape : tuple of int
        Shape (height, width, n_channels) of the images.
    dtype : numpy.dtype
        Their dtype.

    Returns
    -------
    n : int
        As many as fit into 16 MiB, and at least one.

    Examples
    --------
    >>> count_at_once((224, 224, 3), np.uint8), count_at_once((4_000, 6_000, 3), np.uint8)
    (111, 1)
    """
    return max(1, PIECE_BYTES // max(1, math.prod(image_shape) * np.dtype(dtype).itemsize))


def columns_of(encoder):
    """Return which columns of features belong to each layer, after some were computed.

    Parameters
    ----------
    encoder : object
        As `open_encoder` returned it.

    Returns
    -------
    columns : list of slice
        One for each layer; a single one of all features, unless several layers were asked for.

    Examples
    --------
    >>> columns_of(open_encoder(len))
    [slice(None, None, None)]
    """
    return encoder.columns if isinstance(encoder, ManyLayers) else [slice(None)]


def describe_layers(encoder):
    """Return the coordinates of several layers, after features were computed.

    Parameters
    ----------
    encoder : object
        As `open_encoder` returned it.

    Returns
    -------
    coordinates : dict
        "layer": names; "depth": share of the network that has run when a layer is done; "features": where they are
        taken, and how they are pooled; each with its dimension, "layer". Empty, unless several layers were asked for.

    Examples
    --------
    >>> describe_layers(open_encoder(len))
    {}
    """
    if not isinstance(encoder, ManyLayers):
        return {}
    described = {"layer": encoder.names, "depth": encoder.depths, "features": encoder.descriptions}
    return {name: ("layer", values) for name, values in described.items()}


def encode_pieces(encoder, pieces, batch_size=None, *, precision="float32", n_features=None):
    """Compute the features of images that come piece by piece, in full batches.

    What is left of a piece waits for the next one, so that many small pieces cost what one large one does, and no more
    images are in memory than those of a piece and a batch.

    Parameters
    ----------
    encoder : LayerFeatures, fitted transformer or pipeline, callable or None
        As `open_encoder` returns it.
    pieces : iterable of (object, ndarray of shape (n, height, width, n_channels))
        Images of one shape and dtype, each piece with a key. A piece may be empty, if one before it is not or
        `n_features` is known.
    batch_size, precision
        As for `encode`.
    n_features : int or None
        Number of features, if it is known.

    Yields
    ------
    key : object
        Key of the piece.
    Z : ndarray of shape (n, n_features), float32
        Features of its images, which do not depend on how images are divided into pieces.

    Raises
    ------
    ValueError
        As for `encode`.

    Examples
    --------
    >>> pieces = [("two", np.zeros((2, 8, 8, 3))), ("none", np.zeros((0, 8, 8, 3))), ("one", np.ones((1, 8, 8, 3)))]
    >>> [(key, Z.shape) for key, Z in encode_pieces(None, pieces)]
    [('two', (2, 192)), ('none', (0, 192)), ('one', (1, 192))]
    """
    for key, Z in _stream(encoder, pieces, batch_size, precision, n_features):
        if not (finite := np.isfinite(Z).all(axis=1)).all():
            raise ValueError(f"encoder returned NaN or infinity for {(~finite).sum()} of {len(Z)} images")
        yield key, Z


def _stream(encoder, pieces, batch_size, precision, n_features=None):
    waiting = deque()  # keys and numbers of images of the pieces that are not complete
    rest = None  # images that do not fill a batch
    Z = None if n_features is None else np.empty((0, n_features), np.float32)  # features that no piece has been given
    for key, images in itertools.chain(pieces, [(None, None)]):
        last = images is None
        if not last:
            waiting.append((key, len(images)))
            rest = images if rest is None or not len(rest) else np.concatenate([rest, images])
        elif rest is None:
            return
        size = batch_size or choose_size(encoder, rest.shape[1:3])
        n = len(rest) if last else len(rest) // size * size
        if n:
            computed = _compute_features(encoder, rest[:n], size, precision)
            Z, rest = computed if Z is None or not len(Z) else np.concatenate([Z, computed]), rest[n:]
        while waiting and Z is not None and waiting[0][1] <= len(Z):
            key, n = waiting.popleft()
            yield key, Z[:n]
            Z = Z[n:]


def choose_size(encoder, image_size):
    """Choose how many images an encoder gets at once if nobody says it.

    Parameters
    ----------
    encoder : object
        As `open_encoder` returned it.
    image_size : tuple of int
        (height, width) of the images.

    Returns
    -------
    batch_size : int
        That of `choose_batch_size`, by the device, and by the size to which the model brings the images.

    Examples
    --------
    >>> choose_size(None, (224, 224))
    8
    """
    seen = size_behind_preprocessing(getattr(encoder, "module", None), image_size)
    return choose_batch_size(seen, device_of(encoder))


def device_of(encoder):
    """Return the device on which an encoder computes.

    Parameters
    ----------
    encoder : object
        As `open_encoder` returned it.

    Returns
    -------
    device : torch.device
        That of the first weight of a torch module, or of an estimator of ours; the CPU for others.

    Examples
    --------
    >>> device_of(open_encoder(nn.Linear(2, 3)))
    device(type='cpu')
    """
    if isinstance(encoder, nn.Module):
        return first_weight(encoder).device
    return resolve_device(getattr(encoder, "device", "cpu") if _is_ours(encoder) else "cpu")


def gets_raw_pixels(encoder):
    """Tell whether an encoder gets the pixels of images as they are: uint8 from 0 to 255, floats from 0 to 1.

    Parameters
    ----------
    encoder : object
        As for `encode`.

    Returns
    -------
    raw : bool
        False for networks and estimators of this package, which get all images in [0, 1], and for a pipeline that
        begins with one; True for functions, transformers and None.

    Examples
    --------
    >>> gets_raw_pixels(nn.Flatten()), gets_raw_pixels(None)
    (False, True)
    """
    encoder = unwrap(encoder)
    first = encoder.steps[0][1] if isinstance(encoder, Pipeline) else encoder
    return not (isinstance(first, nn.Module) or _is_ours(first))


def _is_ours(encoder):
    """Tell whether an encoder is a fitted estimator of ours, which takes images and checks their shape."""
    return hasattr(encoder, "transform") and hasattr(encoder, "image_shape_")


def _compute_features(encoder, X, batch_size, precision):
    """Compute the features of images in memory; the last batch may be smaller."""
    if encoder is None:
        outputs = X
    elif isinstance(encoder, WATCHED):
        with explain_failure(encoder, X.shape[1:]):
            outputs = compute_outputs(encoder, X, batch_size, precision)
    elif _is_ours(encoder):
        outputs = encoder.transform(X if X.shape[3] == 3 else X.reshape(len(X), -1))
    elif hasattr(encoder, "transform"):
        outputs = encoder.transform(np.array(X).reshape(len(X), -1))
    else:
        with explain_failure(encoder, X.shape[1:]):
            outputs = apply_in_batches(lambda batch: encoder(batch.copy()), X, batch_size)
    return _check_features(outputs, len(X))


def _check_features(outputs, n_samples):
    Z = outputs.toarray() if sparse.issparse(outputs) else np.asarray(outputs)
    if Z.ndim < 2 or len(Z) != n_samples:
        raise ValueError(f"encoder returned shape {Z.shape} for {n_samples} images, expected ({n_samples}, n_features)")
    if not (np.issubdtype(Z.dtype, np.number) or Z.dtype == bool) or np.iscomplexobj(Z):
        raise ValueError(f"encoder returned dtype {Z.dtype}, expected real numbers")
    with np.errstate(over="ignore"):  # infinite features raise an error below
        return Z.reshape(n_samples, -1).astype(np.float32, copy=False)
