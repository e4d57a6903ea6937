"""The image contract: what every public door accepts, and the way from arrays to tensors.

Images are ``(n_samples, height, width, 3)``, uint8, or floats in [0, 1] of the same shape. Estimators also accept
2-D ``X``: flattened images if ``image_shape`` is known, else one row of pixels per sample, of any range.
"""

import numpy as np
import torch
from sklearn.utils.validation import validate_data


def check_images(X, name="X"):
    """Return `X` as an array of images, or say what is wrong with it.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width, 3), uint8 or float in [0, 1]
        RGB images.
    name : str
        What the caller calls the argument; errors begin with it.

    Returns
    -------
    X : ndarray of shape (n_samples, height, width, 3), uint8 or float32
        The same images; uint8 arrays are not copied.

    Raises
    ------
    ValueError
        If it is no array, the shape, dtype or range is another, the array is empty, or it holds NaN or infinity.

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
    try:
        return np.asarray(values)
    except Exception as error:  # ValueError of lists of several lengths, RuntimeError of tensors that need a gradient
        reason = " ".join(str(error).split())
        raise ValueError(f"{name} is of type {type(values).__name__}, which is no array: {reason}") from error


def _shape_hint(X, name):
    if X.ndim == 3 and X.shape[2] == 3:
        return f": one image is {name}[None]"
    if X.ndim == 4 and X.shape[1] == 3:
        return f": channels come first, use {name}.transpose(0, 2, 3, 1)"
    if X.ndim == 4 and X.shape[3] == 4:
        return ": objects with an alpha channel are pasted on backgrounds by Transforms2D first"
    if X.ndim == 4 and X.shape[3] == 1:
        return f": grey images are np.repeat({name}, 3, axis=3)"
    return ""


def check_labels(y, n_samples, name="y"):
    """Return `y` as an array of one label per image, or say what is wrong with it.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of any sortable kind.
    n_samples : int
        Number of images that they belong to.
    name : str
        What the caller calls the argument.

    Returns
    -------
    y : ndarray of shape (n_samples,)
        The same labels.

    Raises
    ------
    ValueError
        If `y` is no array, not one-dimensional or its length differs from `n_samples`.

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
    """Return `value` as an int between `low` and `high`, or say what is wrong with it.

    Parameters
    ----------
    value : int
        A number of things.
    name : str
        What the caller calls the argument.
    low, high : int
        Smallest and largest value allowed; None: no upper bound.

    Returns
    -------
    value : int
        The same number.

    Raises
    ------
    ValueError
        If `value` is not a whole number, or out of range.

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
    """Check what an estimator was given, and see it as images.

    Parameters
    ----------
    estimator : estimator
        With a parameter `image_shape`; on reset, gets `image_shape_` and `n_features_in_`.
    X : array-like of shape (n_samples, height, width, 3) or (n_samples, n_features)
        Images, flattened images, or rows of pixels.
    y : array-like of shape (n_samples,)
        Labels; left out where there are none.
    reset : bool
        True in fit, which sets the image shape; False where it must be met.

    Returns
    -------
    X : ndarray of shape (n_samples, height, width, n_channels)
        Images of 3 channels, or rows of pixels, of shape (n_samples, 1, n_features, 1).
    y : ndarray of shape (n_samples,)
        The labels, if any were given.

    Raises
    ------
    ValueError
        If `X` or `y` breaks the image contract, or the images have another shape than in fit.
    TypeError
        If `X` is nothing that scikit-learn makes an array of numbers of.

    Warns
    -----
    DataConversionWarning
        If `y` is a column.
    """
    if isinstance(X, torch.Tensor) or (isinstance(X, (list, tuple)) and len(X) and getattr(X[0], "ndim", 0) == 3):
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
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            checked = validate_data(estimator, X, y, dtype=[np.float32, np.float64, np.uint8], reset=reset)
        X, *labels = checked if isinstance(checked, tuple) else (checked,)
        shape = estimator.image_shape if reset else estimator.image_shape_
        X = _unflatten(X, shape if shape is not None else (1, X.shape[1], 1))
    if reset:
        estimator.image_shape_ = tuple(int(size) for size in X.shape[1:])
    return (X, *labels) if labels else X


def validate_validation(estimator, X_val, y_val):
    """Check the validation data of a classifier, which may be left out.

    Parameters
    ----------
    estimator : estimator
        With `classes_` and `image_shape_`, as fit has set them.
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
        If one is given without the other, a label is not among `classes_`, or as `validate_input`.
    TypeError
        As `validate_input`.
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
    """Say what is wrong with a parameter `image_shape`.

    Parameters
    ----------
    image_shape : tuple of int
        (height, width, 3).

    Raises
    ------
    ValueError
        If it is another.

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
    """Turn a batch into what a network takes.

    Parameters
    ----------
    X : ndarray of shape (n_samples, height, width, n_channels) or (n_samples, n_features), uint8 or float
        Images or features.
    device : torch.device or str
        Where the tensor goes, before it becomes float: a quarter of the bytes travel.

    Returns
    -------
    tensor : torch.Tensor of shape (n_samples, n_channels, height, width) or (n_samples, n_features), float32
        Images in [0, 1], in channels-last memory layout.

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
