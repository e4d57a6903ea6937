"""What estimators are given: images, or rows of pixels, labels and validation data.

A 2-D ``X`` holds flattened images if ``image_shape`` is known, otherwise one row of pixels per sample, of any range.
Features that were saved look the same. `FrozenFeatureProbe` takes them, with no encoder; `SensitivityScorer` and
`InvarianceAdvisor` would transform them as grey pictures of height 1, which says nothing about the encoder.
"""

import math
import re
from os import PathLike

import numpy as np
import torch
from PIL import Image
from sklearn.utils.validation import validate_data
from torch.utils.data import DataLoader, Dataset

from invtransfer.encoders.encoding import gets_raw_pixels
from invtransfer.images.checks import as_array, check_images, check_no_paths, shape_of
from invtransfer.images.collection import ImageCollection
from invtransfer.images.labels import check_labels, check_no_label_missing, hint_of_one_hot
from invtransfer.transformations import TRANSFORMATIONS, get_transformations


def validate_input(estimator, X, y="no_validation", *, reset):
    """Check the data that an estimator was given, and return it as images.

    Parameters
    ----------
    estimator : estimator
        It has the parameter `image_shape`; with `reset`, its attributes `image_shape_` and `n_features_in_` are set.
    X : array-like of shape (n_samples, height, width, 3) or (n_samples, n_features)
        Images, flattened images, or rows of pixels; or what `load_images` returns.
    y : array-like of shape (n_samples,)
        Labels; omitted if there are none.
    reset : bool
        True in `fit`, where the image shape is set; False elsewhere, where `X` must have that shape.

    Returns
    -------
    X : ndarray or ImageCollection of shape (n_samples, height, width, n_channels)
        Images with 3 channels, or rows of pixels, of shape (n_samples, 1, n_features, 1). A collection is not read.
    y : ndarray of shape (n_samples,)
        The labels, if they were given.

    Raises
    ------
    ValueError
        If `X` or `y` is not as described, the images have another shape than in `fit`, or as for `check_range`.
    TypeError
        If scikit-learn cannot convert `X` to an array of numbers.

    Warns
    -----
    DataConversionWarning
        If `y` has shape (n_samples, 1).
    UserWarning
        If uint8 images have no value above 1, and are not black.
    """
    if isinstance(X, (list, tuple)) and not len(X):
        raise ValueError(f"X is an empty {type(X).__name__}, expected at least one image")
    listed = isinstance(X, (list, tuple)) and (isinstance(X[0], Image.Image) or len(shape_of(X[0])) == 3)
    check_no_paths(X, "X")
    if isinstance(X, (torch.Tensor, str, PathLike, Dataset, DataLoader)):
        X = as_array(X, "X")
    y = as_array(y, "y") if isinstance(y, torch.Tensor) else y
    check_no_label_missing(y, "y")
    if y is not None and not isinstance(y, str):  # of None, and of a text in place of labels, scikit-learn tells
        _check_one_each(y)
    if estimator.image_shape is not None:
        check_image_shape(estimator.image_shape)
    expected = estimator.image_shape if reset else estimator.image_shape_
    flat = not listed and getattr(X, "ndim", 2) <= 2
    if flat:
        # rows of pixels may have any range, which is that of their values, whatever their dtype; images may not
        are_images = expected is not None and expected[2] == 3
        rules = {"dtype": [np.float32, np.float64] + [np.uint8] * are_images}
    else:
        X = check_images(X)
        if expected is not None and X.shape[1:] != tuple(expected):
            raise ValueError(f"X has images of shape {X.shape[1:]}, expected {tuple(expected)}")
        rules = {"dtype": None, "ensure_2d": False, "allow_nd": True, "ensure_all_finite": False}
    # what is not in memory stays there: an array of the same shape, whose values take one byte in all, is checked
    given = np.broadcast_to(np.zeros((), X.dtype), X.shape) if isinstance(X, ImageCollection) else X
    with np.errstate(over="ignore"):  # validate_data refuses infinity
        checked = validate_data(estimator, given, y, reset=reset, **rules)
    given, *labels = checked if isinstance(checked, tuple) else (checked,)
    X = X if isinstance(X, ImageCollection) else given
    if flat:
        X = _unflatten(X, (1, X.shape[1], 1) if expected is None else expected)
    if reset:
        forget_fit(estimator)
        estimator.image_shape_ = X.shape[1:]
        estimator.n_features_in_ = math.prod(X.shape[1:])
    check_range(estimator, X.dtype, reset=reset)
    return (X, *labels) if labels else X


def _check_one_each(y):
    """Check that there is one label per image; scikit-learn warns of a column of them."""
    y = as_array(y, "y")
    if y.ndim != 1 and y.shape[1:] != (1,):
        raise ValueError(f"y has shape {y.shape}, expected (n_samples,): one label per image{hint_of_one_hot(y, 'y')}")


def forget_fit(estimator):
    """Forget what an earlier `fit` has learned, so that one which fails does not leave a mixture of both.

    Parameters
    ----------
    estimator : estimator
        Estimator whose `fit` begins; what scikit-learn has learned about the columns of its data stays.
    """
    for name in [name for name in vars(estimator) if name.endswith("_") and not name.endswith("_in_")]:
        delattr(estimator, name)


def check_range(estimator, dtype, *, reset):
    """Check that images have the range of those seen in `fit`, where the encoder gets the pixels as they are.

    Parameters
    ----------
    estimator : estimator
        It has the attribute `image_shape_`. Unless it is a network itself, its `encoder` decides, or those of a dict.
    dtype : dtype
        That of the images: uint8 stands for 0 to 255, others for 0 to 1.
    reset : bool
        True in `fit`, where the range is kept; False elsewhere, where it is checked.

    Raises
    ------
    ValueError
        If the images are of the other kind than in `fit`, and an encoder is a function, a transformer that is not
        of this package, or None. Rows of pixels may have any range.
    """
    given, kinds = bool(dtype == np.uint8), ("floats in [0, 1]", "uint8, 0 to 255")
    if reset:
        estimator._fitted_on_uint8 = given
    seen = getattr(estimator, "_fitted_on_uint8", given)
    is_network = hasattr(estimator, "module") or not hasattr(estimator, "encoder")
    if given == seen or is_network or estimator.image_shape_[2] == 1:
        return
    encoders = estimator.encoder.values() if isinstance(estimator.encoder, dict) else [estimator.encoder]
    for encoder in encoders:
        if gets_raw_pixels(encoder):
            kind = "None" if encoder is None else f"of type {type(encoder).__name__}"
            raise ValueError(
                f"X has pixels that are {kinds[given]}, expected {kinds[seen]}, as in fit: the encoder is {kind}, which"
                " gets pixels as they are"
            )


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
    try:
        X_val = validate_input(estimator, X_val, reset=False)
    except ValueError as error:  # scikit-learn's, too, call it X
        raise ValueError(re.sub(r"\bX\b", "X_val", str(error))) from error
    y_val = check_labels(y_val, len(X_val), "y_val")
    unknown = np.setdiff1d(y_val, estimator.classes_)
    if len(unknown):
        raise ValueError(f"y_val holds labels that y does not: {unknown[:5].tolist()}")
    return X_val, np.searchsorted(estimator.classes_, y_val)


def choose_transformations(transformations):
    """Return the transformations that an estimator is asked for.

    Parameters
    ----------
    transformations : sequence of str or Transformation, or None
        None: all 18 of `TRANSFORMATIONS`.

    Returns
    -------
    transformations : tuple of Transformation

    Raises
    ------
    TypeError, ValueError
        As for `get_transformations`; ValueError also if there is none.

    Examples
    --------
    >>> len(choose_transformations(None)), choose_transformations(["hue"])
    (18, (Transformation(name='hue', category='photometric'),))
    """
    chosen = get_transformations(list(TRANSFORMATIONS) if transformations is None else transformations)
    if not chosen:
        raise ValueError("transformations is empty, expected at least one, or None for all 18")
    return chosen


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


def check_encoders(encoders, name):
    """Check several encoders that are given by their names.

    Parameters
    ----------
    encoders : dict of str to encoder
        Encoders, which are not checked themselves.
    name : str
        Name of the argument in the caller's signature.

    Raises
    ------
    TypeError
        If `encoders` is not a dict, or a ``state_dict()``.
    ValueError
        If it is empty, or a name is no text.

    Examples
    --------
    >>> check_encoders({"resnet18": None, 50: None}, "encoders")
    Traceback (most recent call last):
    ...
    ValueError: encoders holds 50, expected names of encoders, such as 'resnet18'
    """
    if not isinstance(encoders, dict):
        raise TypeError(f"{name} is of type {type(encoders).__name__}, expected a dict of encoders by their names")
    if not encoders:
        raise ValueError(f"{name} is an empty dict, expected at least one encoder by its name")
    if all(isinstance(one, torch.Tensor) for one in encoders.values()):
        raise TypeError(f"{name} is the state_dict of a module, expected a dict of encoders: load it into its module")
    for key in encoders:
        if not isinstance(key, str):
            raise ValueError(f"{name} holds {key!r}, expected names of encoders, such as 'resnet18'")


def _unflatten(X, shape):
    height, width, n_channels = shape
    if X.shape[1] != height * width * n_channels:
        raise ValueError(
            f"X has {X.shape[1]} features, expected {height * width * n_channels}: images of image_shape {tuple(shape)}"
        )
    X = X.reshape(-1, height, width, n_channels)
    return X if n_channels == 1 else check_images(X)
