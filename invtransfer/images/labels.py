"""Labels: what every public function accepts as labels of images, and the classes among them."""

import warnings
from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets

from invtransfer.images.checks import as_array

FEW_SAMPLES = "The number of unique classes is greater than 50%"  # scikit-learn's warning; few samples are usual here


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
    given, y = y, as_array(y, name)
    if y.shape != (n_samples,):
        raise ValueError(
            f"{name} has shape {y.shape}, expected ({n_samples},): one label per image{hint_of_one_hot(y, name)}"
        )
    check_no_label_missing(given, name)  # an array of texts has "nan"
    return y


def hint_of_one_hot(y, name):
    """Return what an error about the shape of labels says besides if they are one-hot rows.

    Parameters
    ----------
    y : ndarray
        Labels.
    name : str
        Name of the argument in the caller's signature.

    Returns
    -------
    hint : str
        Empty if they are not.

    Examples
    --------
    >>> hint_of_one_hot(np.eye(3), "y"), hint_of_one_hot(np.ones((3, 2)), "y")
    (', for one-hot rows np.argmax(y, axis=1)', '')
    """
    if y.ndim != 2 or y.shape[1] < 2 or y.dtype.kind not in "biuf":
        return ""
    is_one_hot = np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()
    return f", for one-hot rows np.argmax({name}, axis=1)" if is_one_hot else ""


def check_no_label_missing(y, name):
    """Check that no label is missing: None, NaN, or what pandas has in their place.

    Parameters
    ----------
    y : array-like
        Labels of any kind.
    name : str
        Name of the argument in the caller's signature.

    Raises
    ------
    ValueError
        If one is missing.

    Examples
    --------
    >>> check_no_label_missing(["a", None], "y")
    Traceback (most recent call last):
    ...
    ValueError: y has no label for 1 of 2 images, the first is image 1: leave them out
    """
    missing = pd.isna(np.asarray(y, dtype=object))
    if np.ndim(missing) == 1 and missing.any():  # scikit-learn tells of other shapes
        raise ValueError(
            f"{name} has no label for {missing.sum()} of {len(missing)} images, the first is image {missing.argmax()}:"
            " leave them out"
        )


def find_classes(y, name="y"):
    """Find the classes among labels, and the index of each label in them; a class may have few samples.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.
    name : str
        What errors call them.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        Sorted labels.
    codes : ndarray of shape (n_samples,), int64
        Class indices.

    Raises
    ------
    ValueError
        If `y` holds continuous numbers, labels that cannot be sorted together, or one class only.

    Examples
    --------
    >>> find_classes(np.array(["b", "a", "b"]))
    (array(['a', 'b'], dtype='<U1'), array([1, 0, 1]))
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", FEW_SAMPLES)
        try:
            check_classification_targets(y)
            classes, codes = np.unique(y, return_inverse=True)
        except (TypeError, ValueError) as error:
            reason = str(error).partition(". ")[0]  # such as "Unknown label type: continuous"
            if reason.endswith("continuous"):
                found = f"holds numbers such as {y[y % 1 != 0][0]:.6g}, expected classes: regression is not supported"
            elif len(kinds := sorted({type(one).__name__ for one in y})) > 1:
                found = f"holds labels of several types, {' and '.join(kinds)}, expected whole numbers or names"
            elif isinstance(y[0], Integral):
                found = f"has dtype {y.dtype}, expected whole numbers or names: give {name}.astype(int)"
            else:
                found = f"has dtype {y.dtype} and holds {type(y[0]).__name__}, expected classes, whole numbers or names"
            raise ValueError(f"{name} {found} ({reason})") from error
    if len(classes) < 2:
        raise ValueError(f"{name} holds one class only, {classes.tolist()[0]!r}, expected at least 2 classes")
    return classes, codes


def check_groups(groups, n_samples):
    """Check the groups of images that belong together, and number them.

    Parameters
    ----------
    groups : array-like of shape (n_samples,), or None
        Group of each image, such as the patient or the video, of any sortable kind.
    n_samples : int
        Number of images.

    Returns
    -------
    codes : ndarray of shape (n_samples,), int64, or None
        Number of the group of each image, from 0; None if there are no groups.

    Raises
    ------
    ValueError
        If `groups` has another shape, an image has none, or all images have the same.

    Examples
    --------
    >>> check_groups(["anna", "ben", "anna"], 3)
    array([0, 1, 0])
    >>> check_groups(["anna", "ben"], 3)
    Traceback (most recent call last):
    ...
    ValueError: groups has shape (2,), expected (3,): one group per image
    """
    if groups is None:
        return None
    given, groups = groups, as_array(groups, "groups")
    if groups.shape != (n_samples,):
        raise ValueError(f"groups has shape {groups.shape}, expected ({n_samples},): one group per image")
    missing = pd.isna(np.asarray(given, dtype=object))
    if missing.any():
        raise ValueError(
            f"groups has none for {missing.sum()} of {n_samples} images, the first is image {missing.argmax()}: give"
            " each a group, such as its own name"
        )
    try:
        names, codes = np.unique(groups, return_inverse=True)
    except TypeError as error:
        raise ValueError(f"groups holds values of several types, expected numbers or texts only: {error}") from error
    if len(names) < 2:
        raise ValueError(f"groups holds one group only, {names.tolist()[0]!r}, expected at least 2")
    return codes


def count_per_class(codes, groups=None):
    """Count the images of each class, or the groups that have images of it.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), int64
        Class index of each image.
    groups : ndarray of shape (n_samples,), int, or None
        Group of each image; None: images are counted.

    Returns
    -------
    counts : ndarray of shape (n_classes,), int64

    Examples
    --------
    >>> codes = np.array([0, 0, 0, 1, 1])
    >>> count_per_class(codes), count_per_class(codes, np.array([0, 0, 1, 0, 0]))
    (array([3, 2]), array([2, 1]))
    """
    counted = codes if groups is None else np.unique(np.stack([codes, groups]), axis=1)[0]
    return np.bincount(counted)


def find_repeated_classes(y, name="y", groups=None):
    """Find the classes that have at least two images, one to learn from and one to be tested, and leave others out.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.
    name : str
        What errors and warnings call them.
    groups : ndarray of shape (n_samples,), int, or None
        As `check_groups` returns them; at least two groups must have images of the class then.

    Returns
    -------
    rows : ndarray of shape (n_kept,), int64
        Numbers of the images of these classes.
    classes : ndarray of shape (n_classes,)
        Sorted labels of these classes.
    codes : ndarray of shape (n_kept,), int64
        Class indices of these images.

    Raises
    ------
    ValueError
        If there are fewer than two such classes, or as for `find_classes`.

    Warns
    -----
    UserWarning
        If classes are left out.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     find_repeated_classes(np.array(["b", "a", "lone", "b", "a"]))
    (array([0, 1, 3, 4]), array(['a', 'b'], dtype='<U4'), array([1, 0, 1, 0]))
    """
    classes, codes = find_classes(y, name)
    counts, unit = count_per_class(codes, groups), "image" if groups is None else "group"
    single = classes[counts < 2].tolist()
    if len(classes) - len(single) < 2:
        raise ValueError(
            f"{name} has {len(classes) - len(single)} of {len(classes)} classes with at least 2 {unit}s, expected at"
            f" least 2 such classes: one {unit} to learn from, and one to test on"
        )
    if single:
        named = ", ".join(repr(label) for label in single[:5]) + (", ..." if len(single) > 5 else "")
        warnings.warn(
            f"{name} holds {len(single)} of {len(classes)} classes with one {unit} only, which are left out: {named}",
            stacklevel=3,
        )
    rows = np.flatnonzero(counts[codes] > 1)
    return rows, *np.unique(np.asarray(y)[rows], return_inverse=True)
