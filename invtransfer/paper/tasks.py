"""Source and target tasks of transfer: which classes, which transformations, and sources of their images."""

import numpy as np

from invtransfer.images import check_count
from invtransfer.sources.blocks import ObjectsOnImages, TransformedImages, Transforms2D
from invtransfer.transformations import TRANSFORMATIONS

CLASS_RELATIONS = ("subset", "disjoint", "same", "superset")


def draw_transformations(seed):
    """Draw the transformations of a target task, and others of a source task that shares none with it.

    Parameters
    ----------
    seed : int
        Of the repetition.

    Returns
    -------
    names : dict of str to list of str
        "same", the target's: one of each category; "disjoint": another one of each.

    Examples
    --------
    >>> names = draw_transformations(0)
    >>> len(names["same"]), set(names["same"]) & set(names["disjoint"])
    (3, set())
    """
    generator = np.random.default_rng([seed, 0])
    by_category = {}
    for transformation in TRANSFORMATIONS.values():
        by_category.setdefault(transformation.category, []).append(transformation.name)
    pairs = [generator.choice(names, size=2, replace=False).tolist() for names in by_category.values()]
    return {"same": [pair[0] for pair in pairs], "disjoint": [pair[1] for pair in pairs]}


def draw_classes(class_relation, n_classes, n_available, seed):
    """Draw the classes of a source and a target task.

    Parameters
    ----------
    class_relation : str
        Of the source's classes to the target's: "subset" (a third of them, at least 2), "disjoint" (as many others),
        "same", or "superset" (them and as many others).
    n_classes : int
        Of the target.
    n_available : int
        To choose from. All relations draw the same target.
    seed : int
        Of the repetition.

    Returns
    -------
    source, target : ndarray of int
        Numbers of the classes.

    Raises
    ------
    ValueError
        If there are less than two times `n_classes`, that is no whole number of at least 1, or there is no such
        relation.

    Examples
    --------
    >>> source, target = draw_classes("superset", 3, 10, seed=0)
    >>> len(source), set(target.tolist()) <= set(source.tolist())
    (6, True)
    >>> draw_classes("disjoint", 30, 45, seed=0)
    Traceback (most recent call last):
    ...
    ValueError: n_classes is 30: source and target need 60 classes, there are 45
    """
    if class_relation not in CLASS_RELATIONS:
        raise ValueError(f"class_relation is {class_relation!r}, expected one of: {', '.join(CLASS_RELATIONS)}")
    n_classes = check_count(n_classes, "n_classes")
    if 2 * n_classes > n_available:
        raise ValueError(
            f"n_classes is {n_classes}: source and target need {2 * n_classes} classes, there are {n_available}"
        )
    order = np.random.default_rng([seed, 1]).permutation(n_available)
    target, others = order[:n_classes], order[n_classes : 2 * n_classes]
    sources = {
        "subset": target[: max(2, round(n_classes / 3))],
        "disjoint": others,
        "same": target,
        "superset": np.concatenate([target, others]),
    }
    return sources[class_relation], target


def objects_task(objects, classes, transformations, random_state, backgrounds=None):
    """Return sources of images of some objects for training, validation and test.

    Parameters
    ----------
    objects : Objects
        To choose from.
    classes : sequence of int
        Numbers of those to show.
    transformations : sequence of str or Transformation
        Of all three.
    random_state : int
        Of the task; the three draw from different ones.
    backgrounds : ndarray of shape (n_backgrounds, height, width, 3), uint8, "random" or None
        Of all three, as for `Transforms2D`.

    Returns
    -------
    train, validation, test : Transforms2D

    Raises
    ------
    TypeError, ValueError
        As `Transforms2D`.
    IndexError, ValueError
        If `classes` are no numbers of objects, or holds one twice.

    Examples
    --------
    >>> from invtransfer import load_objects
    >>> train, validation, test = objects_task(load_objects("procedural"), [4, 7, 9], ["rotate"], 0)
    >>> test
    Transforms2D(3 objects, rotate, random_state=2)
    """
    shown = objects[classes]
    return tuple(
        Transforms2D(shown, transformations, backgrounds=backgrounds, random_state=3 * random_state + part)
        for part in range(3)
    )


def images_task(training, test, classes, transformations, random_state):
    """Return sources of labelled images of some classes for training, validation and test.

    Parameters
    ----------
    training, test : tuple of (images, labels)
        Both parts of a data set, as of `load_cifar10`. A tenth of each class's training images is for validation, the
        same one for all tasks: what one task validates on, none trains on. The classes take turns, so that the first
        n * k of k classes' images are n of each where that many are there.
    classes : sequence of int
        Labels to keep.
    transformations : sequence of str or Transformation
        Of all three.
    random_state : int
        Of the task: order of the training images, and transformations.

    Returns
    -------
    train, validation, test : TransformedImages

    Raises
    ------
    ValueError
        If no image is left for one of the three, as of classes with fewer than 10 training images none is held out.
    TypeError, ValueError
        As `TransformedImages`.

    Examples
    --------
    >>> images, labels = np.zeros((100, 8, 8, 3), dtype="uint8"), np.repeat([0, 1], 50)
    >>> train, validation, test = images_task((images, labels), (images, labels), [1], ["hue"], random_state=0)
    >>> train
    TransformedImages(45 images, hue, random_state=0)
    """
    parts = _divide(training, test, classes, random_state)
    return tuple(
        TransformedImages(*part, transformations, random_state=3 * random_state + i) for i, part in enumerate(parts)
    )


def combined_task(
    objects,
    training,
    test,
    *,
    shown,
    label,
    position="random",
    correlation=0.0,
    availability=1.0,
    random_state=0,
):
    """Return sources of objects on labelled images, or of either alone, for training, validation and test.

    Parameters
    ----------
    objects : Objects
        To paste, one class each.
    training, test : tuple of (images, labels)
        Both parts of a data set, as of `load_cifar10`. A tenth of each class's training images is for validation, the
        same as in `images_task`; the classes take turns as there.
    shown : {"C", "C+O", "O"}
        The images alone, objects on the images, or objects on black.
    label : {"C", "O"}
        Of the images, or numbers of the objects. Only what is shown can be the label.
    position : "random" or tuple of int
        Of the objects, as for `ObjectsOnImages`.
    correlation, availability : float in [0, 1]
        Of the objects, as for `ObjectsOnImages`; others than the defaults only if "C+O" is shown.
    random_state : int
        Of the task: order of the training images, and the objects. The three draw from different ones.

    Returns
    -------
    train, validation, test : ObjectsOnImages

    Raises
    ------
    ValueError
        If `shown` or `label` is another word, what is not shown is the label or has a correlation or availability, or
        no image is left for one of the three.
    TypeError, ValueError
        As `ObjectsOnImages`.

    References
    ----------
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Section 4.2.

    Examples
    --------
    >>> from invtransfer import load_objects
    >>> images, labels = np.zeros((100, 32, 32, 3), dtype="uint8"), np.repeat([0, 1], 50)
    >>> train, validation, test = combined_task(
    ...     load_objects("procedural")[:10], (images, labels), (images, labels), shown="C+O", label="O"
    ... )
    >>> train
    ObjectsOnImages(10 objects, 90 images, label='object', no transformations, random_state=0)
    """
    if shown not in ("C", "C+O", "O"):
        raise ValueError(f"shown is {shown!r}, expected 'C', 'C+O' or 'O'")
    if label not in ("C", "O"):
        raise ValueError(f"label is {label!r}, expected 'C' or 'O'")
    if label not in shown:
        raise ValueError(f"label is {label!r}, expected {shown!r}: nothing else is shown")
    if shown != "C+O" and (correlation, availability) != (0, 1):
        raise ValueError(
            f"correlation is {correlation!r} and availability {availability!r}, expected 0 and 1 where {shown!r} is"
            " shown: they are of objects on images"
        )
    if shown == "O":
        images = training[0]
        parts = [(np.zeros((1, *images.shape[1:]), dtype=images.dtype), None)] * 3
    else:
        parts = _divide(training, test, np.unique(training[1]), random_state)
    return tuple(
        ObjectsOnImages(
            objects,
            *part,
            label={"C": "image", "O": "object"}[label],
            position=position,
            correlation=correlation,
            availability=0 if shown == "C" else availability,
            random_state=3 * random_state + i,
        )
        for i, part in enumerate(parts)
    )


def _divide(training, test, classes, random_state):
    """Return images and labels of some classes for training, validation and test; those for training in random order.

    The classes take turns. What is for validation does not depend on the classes nor on `random_state`.
    """
    (images, labels), (test_images, test_labels) = training, test
    generator, is_held_out = np.random.default_rng([random_state, 2]), _hold_out(labels)
    parts = []
    for chosen in (np.isin(labels, classes) & ~is_held_out, np.isin(labels, classes) & is_held_out):
        order = generator.permutation(np.flatnonzero(chosen))
        order = order[np.argsort(_ranks(labels[order]), kind="stable")]
        parts.append((images[order], labels[order]))
    tested = np.isin(test_labels, classes)
    parts.append((test_images[tested], test_labels[tested]))
    return parts


def _hold_out(labels):
    """Mark a tenth of each class, chosen once and for all."""
    order = np.random.default_rng(0).permutation(len(labels))
    held_out = np.zeros(len(labels), dtype=bool)
    _, codes, counts = np.unique(labels[order], return_inverse=True, return_counts=True)
    held_out[order] = _ranks(labels[order]) < counts[codes] // 10
    return held_out


def _ranks(labels):
    """Return how many of the same label come before each."""
    ranks = np.empty(len(labels), dtype=int)
    for label in np.unique(labels):
        ranks[labels == label] = np.arange(np.count_nonzero(labels == label))
    return ranks
