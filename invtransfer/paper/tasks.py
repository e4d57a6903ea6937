"""Source and target tasks of transfer: their classes, their transformations, and sources of their images."""

import hashlib
from functools import partial

import numpy as np
import pandas as pd

from invtransfer.images.checks import check_count
from invtransfer.paper.datasets import CIFAR, load_cifar, load_objects_and_backgrounds
from invtransfer.randomness import derive_generator, derive_seed
from invtransfer.sources import TransformedImages, Transforms2D
from invtransfer.transformations import TRANSFORMATIONS

CLASS_RELATIONS = ("subset", "disjoint", "same", "superset")
PARTS = ("training", "validation", "test")  # of a task, each with a random state of its own


def draw_transformations(seed):
    """Draw the transformations of a target task, and those of a source task that shares none with it.

    Parameters
    ----------
    seed : int
        Number of the repetition.

    Returns
    -------
    names : dict of str to list of str
        "same": the target's transformations, one of each category; "disjoint": another transformation of each category.

    Examples
    --------
    >>> names = draw_transformations(0)
    >>> len(names["same"]), set(names["same"]) & set(names["disjoint"])
    (3, set())
    """
    generator = derive_generator(seed, "transformations of tasks")
    by_category = {}
    for transformation in TRANSFORMATIONS.values():
        by_category.setdefault(transformation.category, []).append(transformation.name)
    pairs = [generator.choice(names, size=2, replace=False).tolist() for names in by_category.values()]
    return {"same": [pair[0] for pair in pairs], "disjoint": [pair[1] for pair in pairs]}


def draw_classes(class_relation, n_classes, n_available, seed):
    """Draw the classes of a source and a target task.

    Parameters
    ----------
    class_relation : {"subset", "disjoint", "same", "superset"}
        Classes of the source: a third of the target's (at least 2), as many others, the same, or the target's and as
        many others.
    n_classes : int
        Number of the target's classes.
    n_available : int
        Number of classes to choose from. All relations draw the same target.
    seed : int
        Number of the repetition.

    Returns
    -------
    source, target : ndarray of int
        Numbers of the classes.

    Raises
    ------
    ValueError
        If `class_relation` is another word, `n_classes` is not a whole number of at least 1, or there are fewer than
        two times as many classes.

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
    order = derive_generator(seed, "classes of tasks").permutation(n_available)
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
        Objects to choose from.
    classes : sequence of int
        Numbers of the objects to show.
    transformations : sequence of str or Transformation
        Transformations of all three sources.
    random_state : int
        Random state of the task; each of the three sources has one of its own.
    backgrounds : ndarray of shape (n_backgrounds, height, width, 3), uint8, "random" or None
        Backgrounds of all three sources, as in `Transforms2D`.

    Returns
    -------
    train, validation, test : Transforms2D

    Raises
    ------
    TypeError, ValueError
        As `Transforms2D`.
    IndexError, ValueError
        If `classes` are not numbers of objects, or holds one of them twice.

    Examples
    --------
    >>> from invtransfer import load_objects
    >>> train, validation, test = objects_task(load_objects("procedural"), [4, 7, 9], ["rotate"], 0)
    >>> test
    Transforms2D(3 objects, rotate, random_state=...)
    """
    shown = objects[classes]
    return tuple(
        Transforms2D(shown, transformations, backgrounds=backgrounds, random_state=derive_seed(random_state, part))
        for part in PARTS
    )


def images_task(training, test, classes, transformations, random_state):
    """Return sources of labelled images of some classes for training, validation and test.

    Parameters
    ----------
    training, test : tuple of (images, labels)
        Both parts of a data set, as `load_cifar10` returns them. A tenth of each class's training images is held out
        for validation, the same tenth in all tasks: no task trains on what another validates on. The classes take
        turns, so that the first n * k images of k classes are n of each class that has as many.
    classes : sequence of int
        Labels of the images to show.
    transformations : sequence of str or Transformation
        Transformations of all three sources.
    random_state : int
        Random state of the task, which decides the order of the training images and the transformations.

    Returns
    -------
    train, validation, test : TransformedImages

    Raises
    ------
    ValueError
        If one of the three has no image, which happens to validation if classes have fewer than 10 training images.
    TypeError, ValueError
        As `TransformedImages`.

    Examples
    --------
    >>> images, labels = np.zeros((100, 8, 8, 3), dtype="uint8"), np.repeat([0, 1], 50)
    >>> train, validation, test = images_task((images, labels), (images, labels), [1], ["hue"], random_state=0)
    >>> train
    TransformedImages(45 images, hue, random_state=...)
    """
    parts = divide_images(training, test, classes, random_state)
    return tuple(
        TransformedImages(*part, transformations, random_state=derive_seed(random_state, name))
        for name, part in zip(PARTS, parts, strict=True)
    )


def make_tasks(*, folder, dataset, class_relation, relation, seed, n_classes):
    """Draw a source task and a target task from a data set.

    Parameters
    ----------
    folder : str
        Where the objects are, see `load_objects_and_backgrounds`, or where CIFAR is.
    dataset : {"transforms2d", "cifar10", "cifar100"}
        Data set of both tasks.
    class_relation : str
        Relation of the source's classes to the target's, see `draw_classes`.
    relation : {"same", "disjoint", "none"} or list of str
        Relation of the source's transformations to the target's; "none" is a source without transformations. A list:
        the source's transformations.
    seed : int
        Number of the repetition. All relations have the same target.
    n_classes : int
        Number of the target's classes.

    Returns
    -------
    source, target : tuple of (train, validation, test)
        Sources of images.

    Raises
    ------
    KeyError
        If `relation` is another word.
    ValueError
        If `class_relation` is another word, or there are too few classes.
    FileNotFoundError, ValueError, OSError, ImportError
        As `load_objects_and_backgrounds` or `load_cifar`.
    """
    drawn = draw_transformations(seed) | {"none": []}
    if dataset in CIFAR:
        n_available, make_task = CIFAR[dataset].n_classes, partial(images_task, *load_cifar(dataset, folder))
    else:
        objects, backgrounds = load_objects_and_backgrounds(folder)
        n_available, make_task = len(objects), partial(objects_task, objects, backgrounds=backgrounds)
    source_classes, target_classes = draw_classes(class_relation, n_classes, n_available, seed)
    names = drawn[relation] if isinstance(relation, str) else relation
    source = make_task(source_classes, names, derive_seed(seed, "source"))
    return source, make_task(target_classes, drawn["same"], derive_seed(seed, "target"))


def count_training_images(dataset, class_relation, n_classes, n_samples):
    """Count the images of all classes that the encoder of a cell is trained on.

    Parameters
    ----------
    dataset, class_relation, n_classes
        As in `make_tasks`.
    n_samples : int
        Number of training images; on CIFAR, of each class.

    Returns
    -------
    n : int

    Examples
    --------
    >>> [count_training_images(dataset, "superset", 5, n_samples=100) for dataset in ("transforms2d", "cifar10")]
    [100, 1000]
    """
    if dataset not in CIFAR:
        return n_samples
    source, _ = draw_classes(class_relation, n_classes, CIFAR[dataset].n_classes, seed=0)
    return n_samples * len(source)


def sample_training(source, n_samples, n_validation):
    """Sample the images that an encoder is trained and validated on.

    Parameters
    ----------
    source : tuple of (train, validation, test)
        Sources of images.
    n_samples : int
        Number of training images; for `TransformedImages`, of each class. Where there are fewer images, all are taken.
    n_validation : int
        Number of validation images, or all where there are fewer.

    Returns
    -------
    data : tuple of (X, y, X_val, y_val)
        Training and validation data for `fit`. Validation samples of classes that `y` lacks are left out.
    transformations : tuple of Transformation
        Transformations to draw anew in every epoch: given images, such as CIFAR's, are sampled without transformations,
        and transformed in training. Other sources are sets of fixed, transformed images, and this is empty.
    """
    train, validation, _ = source
    if isinstance(train, TransformedImages):
        n_classes = len(np.unique(train.labels))
        n_samples = count_available(train, n_samples * n_classes)
        data, transformations = train.sample(n_samples, transformations=()), train.transformations
    else:
        data, transformations = train.sample(n_samples), ()
    held_out = validation.sample(count_available(validation, n_validation))
    return (*data, *keep_known(held_out, data[1])), transformations


def sample_task(task, *sizes):
    """Sample images of a task.

    Parameters
    ----------
    task : tuple of (train, validation, test)
        Sources of images.
    *sizes : int
        Number of samples of each.

    Returns
    -------
    training, validation, test : tuple of (X, y)
    """
    return tuple(part.sample(n) for part, n in zip(task, sizes, strict=True))


def share_seen(training, test):
    """Compute the share of test images that are identical to a training image.

    Few objects, little variation and a finite number of backgrounds make some images come twice: without
    transformations, images of an object differ in nothing but the background.

    Parameters
    ----------
    training, test : sequence of ndarray of shape (height, width, n_channels)
        Images that a network or a probe is fitted on, and tested on.

    Returns
    -------
    share : float
        From 0 to 1.

    Examples
    --------
    >>> share_seen(np.zeros((5, 1, 1, 3)), np.arange(12.0).reshape(4, 1, 1, 3) * [[[0, 1, 2]]])
    0.0
    >>> share_seen(np.zeros((5, 1, 1, 3)), [np.zeros((1, 1, 3)), np.ones((1, 1, 3))])
    0.5
    """
    seen = {hashlib.sha256(image.tobytes()).digest() for image in training}
    return float(np.mean([hashlib.sha256(image.tobytes()).digest() in seen for image in test]))


def keep_known(validation, y):
    """Leave out validation samples of classes that the training samples lack, which `fit` would refuse.

    Parameters
    ----------
    validation : tuple of (X_val, y_val)
        Validation data.
    y : ndarray of shape (n_samples,)
        Labels of the training samples. Few samples may lack a class; test images of that class then count as wrong.

    Returns
    -------
    X_val, y_val : ndarray
        The validation samples that are kept.

    Examples
    --------
    >>> keep_known((np.array([10, 20, 30]), np.array([0, 1, 2])), y=np.array([0, 2]))
    (array([10, 30]), array([0, 2]))
    """
    known = np.isin(validation[1], y)
    return tuple(part[known] for part in validation)


def mark_used(names, task):
    """Mark the transformations that a task uses.

    Parameters
    ----------
    names : sequence of str
        Names of transformations.
    task : tuple of (train, validation, test)
        Sources of images.

    Returns
    -------
    used : ndarray of shape (n_names,), int8
        1 for the transformations that the task uses, 0 for others.
    """
    return np.isin(names, [transformation.name for transformation in task[-1].transformations]).astype(np.int8)


def count_available(source, n):
    """Return the number of samples to take: at most the number of images, if the source has one.

    Parameters
    ----------
    source : source of images
        Sources of given images have `n_images`, which some class relations make small.
    n : int
        Number of samples wanted.

    Returns
    -------
    n : int
    """
    return min(n, getattr(source, "n_images", n))


def divide_images(training, test, classes, random_state):
    """Divide labelled images of some classes into training, validation and test.

    Parameters
    ----------
    training, test, classes, random_state
        As in `images_task`.

    Returns
    -------
    parts : list of (images, labels)
        Training images in random order, in which the classes take turns; validation images likewise, from a tenth of
        each class that depends neither on `classes` nor on `random_state`; test images.
    """
    (images, labels), (test_images, test_labels) = training, test
    generator, is_held_out = derive_generator(random_state, "order of images"), _hold_out(labels)
    parts = []
    for chosen in (np.isin(labels, classes) & ~is_held_out, np.isin(labels, classes) & is_held_out):
        order = generator.permutation(np.flatnonzero(chosen))
        order = order[np.argsort(_group_equal(labels[order]).cumcount().to_numpy(), kind="stable")]
        parts.append((images[order], labels[order]))
    tested = np.isin(test_labels, classes)
    parts.append((test_images[tested], test_labels[tested]))
    return parts


def _hold_out(labels):
    """Mark a tenth of each class, chosen once and for all."""
    order = derive_generator(0, "held-out images").permutation(len(labels))
    groups = _group_equal(labels[order])
    held_out = np.zeros(len(labels), dtype=bool)
    held_out[order] = groups.cumcount() < groups.transform("size") // 10
    return held_out


def _group_equal(labels):
    return pd.Series(labels).groupby(labels)
