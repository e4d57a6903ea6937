"""The image contract: what every public function accepts as images, and the conversion from arrays to tensors.

Images have shape ``(n_samples, height, width, 3)`` and are uint8, or floats in [0, 1]. Pictures of PIL's and nested
lists are converted; an `ImageCollection` stays what it is. What estimators accept besides is in
`invtransfer.estimators.inputs`.
"""

from os import PathLike

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from invtransfer.images.collection import ImageCollection
from invtransfer.images.conversion import (
    are_python_numbers,
    describe_dtype,
    to_image,
    to_unit_range,
    warn_if_nearly_black,
)


def check_images(X, name="X"):
    """Check images, and return them as an array.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width, 3), uint8 or float in [0, 1]
        RGB images; or pictures of PIL's in a list, which are turned upright and put on white; or nested lists, whose
        ints are 0 to 255; or an `ImageCollection`, whose images are checked when they are read.
    name : str
        Name of the argument in the caller's signature, with which errors begin.

    Returns
    -------
    X : ndarray or ImageCollection of shape (n_samples, height, width, 3), uint8 or float32
        The same images; uint8 arrays are not copied. Floats that are beyond 0 or 1 by at most 1e-5 are clipped.

    Raises
    ------
    ValueError
        If `X` is not an array of that shape, dtype and range, is empty, or holds NaN, infinity or paths.

    Warns
    -----
    UserWarning
        If uint8 images have no value above 1, and are not black.

    Examples
    --------
    >>> import numpy as np
    >>> check_images(np.zeros((2, 32, 32, 3), dtype="uint8")).shape
    (2, 32, 32, 3)
    >>> check_images(np.zeros((2, 3, 32, 32), dtype="uint8"))
    Traceback (most recent call last):
    ...
    ValueError: X has shape (2, 3, 32, 32), expected (n_samples, height, width, 3): channels come first,
    use X.transpose(0, 2, 3, 1)
    """
    if isinstance(X, ImageCollection):
        return X
    check_no_paths(X, name)
    counted, move_axes = are_python_numbers(X), "permute" if isinstance(X, torch.Tensor) else "transpose"
    X = as_array(_from_pil(X, name), name)
    if counted and X.dtype.kind in "iu" and X.ndim == 4 and X.size and X.min() >= 0 and X.max() <= 255:
        X = X.astype(np.uint8)
    if X.ndim != 4 or X.shape[3] != 3:
        hint = _shape_hint(X, name, move_axes)
        raise ValueError(f"{name} has shape {X.shape}, expected (n_samples, height, width, 3){hint}")
    if 0 in X.shape:
        raise ValueError(f"{name} has shape {X.shape}: it is empty, expected at least one image of one pixel")
    if X.dtype == np.uint8:
        warn_if_nearly_black(X, name, stacklevel=4)
        return X
    if not np.issubdtype(X.dtype, np.floating):
        raise ValueError(f"{name} has {describe_dtype(X, name)}")
    if not np.isfinite(X).all():
        raise ValueError(f"{name} holds NaN or infinity, expected floats in [0, 1]")
    try:
        return to_unit_range(X)
    except ValueError as error:
        raise ValueError(f"{name} {error}: divide by 255, or undo a normalisation, or pass uint8") from error


def check_no_paths(X, name):
    """Check that images are not given as paths.

    Parameters
    ----------
    X : object
        Anything.
    name : str
        Name of the argument in the caller's signature.

    Raises
    ------
    ValueError
        If `X` is a list, an array or a Series that begins with a path.

    Examples
    --------
    >>> check_no_paths(["1.png", "2.png"], "X")
    Traceback (most recent call last):
    ...
    ValueError: X holds paths, such as '1.png', expected images: invtransfer.load_images reads them from files
    """
    in_a_row = isinstance(X, (list, tuple)) or (isinstance(X, (np.ndarray, pd.Series)) and X.ndim == 1)
    first = next(iter(X), None) if in_a_row else None
    if isinstance(first, (str, PathLike)):
        raise ValueError(
            f"{name} holds paths, such as {str(first)!r}, expected images: invtransfer.load_images reads them from"
            " files"
        )


def as_array(values, name):
    """Convert what a person has to an array.

    Parameters
    ----------
    values : array-like
        Array, tensor of any library, or list.
    name : str
        Name of the argument in the caller's signature.

    Returns
    -------
    values : ndarray

    Raises
    ------
    ValueError
        If `values` is a path or a data set, holds images of several sizes, or numpy cannot convert it.

    Examples
    --------
    >>> as_array([1, 2], "y")
    array([1, 2])
    """
    if isinstance(values, (str, PathLike, Dataset, DataLoader)):
        raise ValueError(
            f"{name} is of type {type(values).__name__}, expected an array: invtransfer.load_images reads images from"
            " folders, files and data sets"
        )
    try:
        array = np.asarray(values)
        return array.astype(str) if array.dtype.kind == "T" else array  # texts of any length, which few libraries take
    except Exception as error:  # ValueError of lists of several lengths, RuntimeError of tensors that need a gradient
        shapes = sorted({shape_of(value) for value in values}) if isinstance(values, (list, tuple)) else []
        if len(shapes) > 1 and all(len(shape) == 3 for shape in shapes):
            raise ValueError(
                f"{name} holds images of {len(shapes)} sizes, such as {shapes[0]} and {shapes[-1]}: bring them to one,"
                f" for instance with invtransfer.load_images({name}, size=224)"
            ) from error
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{name} is of type {type(values).__name__}, which numpy cannot convert to an array: {reason}"
        ) from error


def shape_of(value):
    """Return the shape of what may be an image of any library.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    shape : tuple of int
        () if numpy cannot tell.

    Examples
    --------
    >>> shape_of([[1, 2, 3]]), shape_of("image")
    ((1, 3), ())
    """
    try:
        return np.shape(value)
    except Exception:
        return ()


def _from_pil(X, name):
    """Return a list in which pictures of PIL's are images; anything else as it is."""
    if not isinstance(X, (list, tuple)) or not any(isinstance(picture, Image.Image) for picture in X):
        return X
    images = []
    for i, picture in enumerate(X):
        try:
            images.append(to_image(picture) if isinstance(picture, Image.Image) else picture)
        except Exception as error:  # PIL raises many kinds if a file is damaged, which it reads now
            raise ValueError(f"{name}[{i}] cannot be read as an image: {error}") from error
    return images


def _shape_hint(X, name, move_axes):
    if X.ndim == 3 and X.shape[2] == 3:
        return f": one image is {name}[None]"
    if X.ndim == 3:
        return f": grey images are np.repeat({name}[..., None], 3, axis=3)"
    if X.ndim == 4 and X.shape[1] == 3:
        return f": channels come first, use {name}.{move_axes}(0, 2, 3, 1)"
    if X.ndim == 4 and X.shape[3] == 4:
        return f": convert photographs to RGB with {name}[..., :3]; objects are pasted on backgrounds by Transforms2D"
    if X.ndim == 4 and X.shape[3] == 1:
        return f": grey images are np.repeat({name}, 3, axis=3)"
    return ""


def check_count(value, name, *, low=1, high=None):
    """Check a whole number, and return it as an int.

    Parameters
    ----------
    value : int
        The number.
    name : str
        Name of the argument in the caller's signature.
    low, high : int
        Smallest and largest value allowed; None: no upper bound.

    Returns
    -------
    value : int
        The same number.

    Raises
    ------
    ValueError
        If `value` is not a whole number or is out of range.

    Examples
    --------
    >>> check_count(-1, "n_pairs", low=2)
    Traceback (most recent call last):
    ...
    ValueError: n_pairs is -1, expected a whole number of at least 2
    """
    rule = f"of at least {low}" if high is None else f"from {low} to {high}"
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    if not whole or value < low or (high is not None and value > high):
        raise ValueError(f"{name} is {value!r}, expected a whole number {rule}")
    return int(value)


def to_tensor(X, device="cpu"):
    """Convert a batch to the tensor that a network takes.

    Parameters
    ----------
    X : ndarray of shape (n_samples, height, width, n_channels) or (n_samples, n_features), uint8 or float
        Images or features.
    device : torch.device or str
        Device of the tensor. uint8 is converted to float there, so that only a quarter of the bytes are sent.

    Returns
    -------
    tensor : torch.Tensor of shape (n_samples, n_channels, height, width) or (n_samples, n_features), float32
        Images in [0, 1] and in channels-last memory layout, or features.

    Examples
    --------
    >>> import numpy as np
    >>> to_tensor(np.full((1, 2, 5, 3), 255, dtype="uint8")).shape
    torch.Size([1, 3, 2, 5])
    """
    if not X.flags.writeable or min(X.strides) < 0:  # torch can express neither read-only memory nor X[::-1]
        X = X.copy()
    tensor = torch.from_numpy(X).to(device)
    if tensor.ndim == 4:
        tensor = tensor.permute(0, 3, 1, 2)
    if tensor.dtype == torch.uint8:
        return tensor.float().div_(255)
    return tensor.float()
