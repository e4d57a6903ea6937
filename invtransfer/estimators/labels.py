"""The classes among the labels that a classifier is given."""

import warnings

import numpy as np
from sklearn.utils.multiclass import check_classification_targets

FEW_SAMPLES = "The number of unique classes is greater than 50%"  # scikit-learn's warning; few samples are usual here


def find_classes(y):
    """Find the classes among labels, and the index of each label in them; a class may have few samples.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        Sorted labels.
    codes : ndarray of shape (n_samples,), int64
        Class indices.

    Raises
    ------
    ValueError
        If `y` holds continuous numbers, or one class only.

    Examples
    --------
    >>> find_classes(np.array(["b", "a", "b"]))
    (array(['a', 'b'], dtype='<U1'), array([1, 0, 1]))
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", FEW_SAMPLES)
        check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y holds one class only, {classes.tolist()[0]!r}, expected at least 2 classes")
    return classes, codes
