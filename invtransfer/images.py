"""The image contract: what every public function accepts as images, and the conversion from arrays to tensors.

Images have shape ``(n_samples, height, width, 3)`` and are uint8, or floats in [0, 1]. Estimators also accept 2-D
``X``: flattened images if ``image_shape`` is known, otherwise one row of pixels per sample, of any range.
"""

from os import PathLike

import numpy as np
import torch
from sklearn.utils.validation import validate_data
from torch.utils.data import Dataset


def check_images(X, name="X"):
    """Check images, and return them as an array.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width, 3), uint8 or float in [0, 1]
        RGB images.
    name : str
        Name of the argument in the caller's signature, with which errors begin.

    Returns
    -------
    X : ndarray of shape (n_samples, height, width, 3), uint8 or float32
        The same images; uint8 arrays are not copied.

    Raises
    ------
    ValueError
        If `X` is not an array of that shape, dtype and range, is empty, or holds NaN or infinity.

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
    X = _as_array(X, name)
    if X.ndim != 4 or X.shape[3] != 3:
        raise ValueError(f"{name} has shape {X.shape}, expected (n_samples, height, width, 3){_shape_hint(X, name)}")
    if 0 in X.shape:
        raise ValueError(f"{name} has shape {X.shape}: it is empty, expected at least one image of one pixel")
    if X.dtype == np.uint8:
        return X
    if not np.issubdtype(X.dtype, np.floating):
        raise ValueError(f"{name} has dtype {X.dtype}, expected uint8 (0 to 255) or floats in [0, 1]")
    if not np.isfinite(X).all():
        raise ValueError(f"{name} holds NaN or infinity, expected floats in [0, 1]")
    low, high = float(X.min()), float(X.max())
    if low < 0 or high > 1:
        raise ValueError(
            f"{name} holds floats from {low:.4g} to {high:.4g}, expected [0, 1]: divide by 255, or undo a"
            " normalisation, or pass uint8"
        )
    return X.astype(np.float32, copy=False)


def _as_array(values, name):
    if isinstance(values, (str, PathLike, Dataset)):
        raise ValueError(
            f"{name} is of type {type(values).__name__}, expected an array: read the images first, and stack them with"
            " np.stack([np.asarray(image) for image in images])"
        )
    try:
        return np.asarray(values)
    except Exception as error:  # ValueError of lists of several lengths, RuntimeError of tensors that need a gradient
        shapes = sorted({_shape(value) for value in values}) if isinstance(values, (list, tuple)) else []
        if len(shapes) > 1 and all(len(shape) == 3 for shape in shapes):
            raise ValueError(
                f"{name} holds images of {len(shapes)} sizes, such as {shapes[0]} and {shapes[-1]}: resize them to one"
            ) from error
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{name} is of type {type(values).__name__}, which numpy cannot convert to an array: {reason}"
        ) from error


def _shape(value):
    """Return the shape of what may be an image of any library, () if numpy cannot tell."""
    try:
        return np.shape(value)
    except Exception:
        return ()


def _shape_hint(X, name):
    if X.ndim == 3 and X.shape[2] == 3:
        return f": one image is {name}[None]"
    if X.ndim == 4 and X.shape[1] == 3:
        return f": channels come first, use {name}.transpose(0, 2, 3, 1)"
    if X.ndim == 4 and X.shape[3] == 4:
        return f": convert photographs to RGB with {name}[..., :3]; objects are pasted on backgrounds by Transforms2D"
    if X.ndim == 4 and X.shape[3] == 1:
        return f": grey images are np.repeat({name}, 3, axis=3)"
    return ""


def check_labels(y, n_samples, name="y"):
    """Check labels, and return them as an array.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of any sortable kind.
    n_samples : int
        Number of images.
    name : str
        Name of the argument in the caller's signature.

    Returns
    -------
    y : ndarray of shape (n_samples,)
        The same labels.

    Raises
    ------
    ValueError
        If `y` is not an array or not one-dimensional, or its length differs from `n_samples`.

    Examples
    --------
    >>> check_labels([0, 1], 3)
    Traceback (most recent call last):
    ...
    ValueError: y has shape (2,), expected (3,): one label per image
    """
    y = _as_array(y, name)
    if y.shape != (n_samples,):
        raise ValueError(f"{name} has shape {y.shape}, expected ({n_samples},): one label per image")
    return y


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


def validate_input(estimator, X, y="no_validation", *, reset):
    """Check the data that an estimator was given, and return it as images.

    Parameters
    ----------
    estimator : estimator
        It has the parameter `image_shape`; with `reset`, its attributes `image_shape_` and `n_features_in_` are set.
    X : array-like of shape (n_samples, height, width, 3) or (n_samples, n_features)
        Images, flattened images, or rows of pixels.
    y : array-like of shape (n_samples,)
        Labels; omitted if there are none.
    reset : bool
        True in `fit`, where the image shape is set; False elsewhere, where `X` must have that shape.

    Returns
    -------
    X : ndarray of shape (n_samples, height, width, n_channels)
        Images with 3 channels, or rows of pixels, of shape (n_samples, 1, n_features, 1).
    y : ndarray of shape (n_samples,)
        The labels, if they were given.

    Raises
    ------
    ValueError
        If `X` or `y` is not as described, or the images have another shape than in `fit`.
    TypeError
        If scikit-learn cannot convert `X` to an array of numbers.

    Warns
    -----
    DataConversionWarning
        If `y` has shape (n_samples, 1).
    """
    listed = isinstance(X, (list, tuple)) and len(X) and len(_shape(X[0])) == 3
    if listed or isinstance(X, (torch.Tensor, str, PathLike, Dataset)):
        X = _as_array(X, "X")
    y = _as_array(y, "y") if isinstance(y, torch.Tensor) else y
    if estimator.image_shape is not None:
        check_image_shape(estimator.image_shape)
    if getattr(X, "ndim", 2) > 2:
        X = check_images(X)
        shape = X.shape[1:]
        _check_shape(shape, estimator.image_shape if reset else estimator.image_shape_)
        checked = validate_data(
            estimator, X, y, dtype=None, ensure_2d=False, allow_nd=True, ensure_all_finite=False, reset=reset
        )
        X, *labels = checked if isinstance(checked, tuple) else (checked,)
        if reset:
            estimator.n_features_in_ = int(np.prod(shape))
    else:
        with np.errstate(over="ignore"):  # validate_data refuses infinity
            checked = validate_data(estimator, X, y, dtype=[np.float32, np.float64, np.uint8], reset=reset)
        X, *labels = checked if isinstance(checked, tuple) else (checked,)
        shape = estimator.image_shape if reset else estimator.image_shape_
        X = _unflatten(X, shape if shape is not None else (1, X.shape[1], 1))
    if reset:
        estimator.image_shape_ = tuple(int(size) for size in X.shape[1:])
    return (X, *labels) if labels else X


def validate_validation(estimator, X_val, y_val):
    """Check the validation data of a classifier, which is optional.

    Parameters
    ----------
    estimator : estimator
        It has `classes_` and `image_shape_`, set by `fit`.
    X_val, y_val : array-like or None
        Images and labels, as for `validate_input`.

    Returns
    -------
    X_val : ndarray of shape (n_samples, height, width, n_channels) or None
        Images.
    codes : ndarray of shape (n_samples,), int64, or None
        Position of each label in `classes_`.

    Raises
    ------
    ValueError
        If only one of the two is given, a label is not in `classes_`, or as `validate_input`.
    TypeError
        As for `validate_input`.
    """
    if (X_val is None) != (y_val is None):
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(f"{missing} is None, expected validation images and their labels, or neither")
    if X_val is None:
        return None, None
    X_val = validate_input(estimator, X_val, reset=False)
    y_val = check_labels(y_val, len(X_val), "y_val")
    unknown = np.setdiff1d(y_val, estimator.classes_)
    if len(unknown):
        raise ValueError(f"y_val holds labels that y does not: {unknown[:5].tolist()}")
    return X_val, np.searchsorted(estimator.classes_, y_val)


def check_image_shape(image_shape):
    """Check the parameter `image_shape` of an estimator.

    Parameters
    ----------
    image_shape : tuple of int
        (height, width, 3).

    Raises
    ------
    ValueError
        If `image_shape` is anything else.

    Examples
    --------
    >>> check_image_shape((32, 32))
    Traceback (most recent call last):
    ...
    ValueError: image_shape is (32, 32), expected (height, width, 3), whole numbers of at least 1
    """
    whole = isinstance(image_shape, (tuple, list)) and all(isinstance(n, (int, np.integer)) for n in image_shape)
    if not whole or len(image_shape) != 3 or min(image_shape) < 1 or image_shape[2] != 3:
        raise ValueError(f"image_shape is {image_shape!r}, expected (height, width, 3), whole numbers of at least 1")


def _check_shape(shape, expected):
    if expected is not None and tuple(shape) != tuple(expected):
        raise ValueError(f"X has images of shape {tuple(shape)}, expected {tuple(expected)}")


def _unflatten(X, shape):
    height, width, n_channels = shape
    if X.shape[1] != height * width * n_channels:
        raise ValueError(
            f"X has {X.shape[1]} features, expected {height * width * n_channels}: images of image_shape {tuple(shape)}"
        )
    X = X.reshape(-1, height, width, n_channels)
    return X if n_channels == 1 else check_images(X)


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
