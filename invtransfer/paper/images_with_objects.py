"""Images and objects in one picture: tasks on either, and what an encoder has kept of both.

"C" stands for labelled images such as CIFAR's and "O" for small objects pasted on them; "C+O/C" is a task on images
with objects, labelled with the class of the image. The data of the paper's Section 4.2 and Appendix C.3.
"""

from functools import lru_cache

import numpy as np

from invtransfer.cubes.files import describe
from invtransfer.estimators.sensitivity import twin_sensitivity
from invtransfer.objects import load_objects
from invtransfer.paper.datasets import CIFAR, load_cifar, load_pictures
from invtransfer.paper.protocol import estimate_seconds, find_pictures, fit_known, make_probe
from invtransfer.paper.tasks import combined_task
from invtransfer.sources.blocks import Transforms2D

TASKS = ("C/C", "C+O/C", "C+O/O", "O/O")  # what is shown / what is the label
CHANGED = {"C": "image", "O": "object"}
POSITIONS = {"fixed": (21, 2), "random": "random"}  # of the object's box: x and y in pixels of a 32 x 32 image
STAND_IN = "transforms2d"
N_STAND_IN = 10  # classes of it, the last of the procedural objects


@lru_cache
def load_labelled(dataset, folder):
    """Read labelled images to paste objects on, once per process.

    Parameters
    ----------
    dataset : str
        "cifar10" or "cifar100"; or "transforms2d", a stand-in that needs no download: ten of the procedural objects,
        large, rotated and in all hues.
    folder : str
        Where CIFAR is.

    Returns
    -------
    training, test : tuple of (images, labels)

    Raises
    ------
    ValueError
        If there is no such data set.
    OSError, ImportError
        If CIFAR cannot be read.

    Examples
    --------
    >>> (images, labels), test = load_labelled("transforms2d", "")
    >>> images.shape, len(set(labels.tolist()))
    ((2000, 32, 32, 3), 10)
    """
    if dataset in CIFAR:
        return load_cifar(dataset, folder)
    if dataset != STAND_IN:
        raise ValueError(f"dataset is {dataset!r}, expected one of: {', '.join([*CIFAR, STAND_IN])}")
    source = Transforms2D(load_objects("procedural", size=64)[-N_STAND_IN:], ["rotate", "hue"], random_state=0)
    return source.sample(2_000), source.sample(1_000, start=2_000)


def make_combined(name, *, dataset, data, folder, n_objects, seed, **more):
    """Return the sources of one task on images, objects or both.

    Parameters
    ----------
    name : str
        "C/C", "C+O/C", "C+O/O" or "O/O".
    dataset, data : str
        Labelled images and where they are, see `load_labelled`.
    folder : str
        Of pictures, as for `load_pictures`.
    n_objects : int
        Number of objects, drawn by `seed`.
    seed : int
        Of the repetition.
    **more
        position, correlation and availability, as for `combined_task`.

    Returns
    -------
    train, validation, test : ObjectsOnImages

    Raises
    ------
    ValueError
        If there are fewer objects, or less than 2 are asked for.
    """
    objects = load_pictures(folder)[0]
    if dataset == STAND_IN and folder == "procedural":
        objects = objects[:-N_STAND_IN]  # the others are what images show
    if not 2 <= n_objects <= len(objects):
        raise ValueError(f"n_objects is {n_objects}, expected 2 to {len(objects)}, as many as there are")
    chosen = objects[np.random.default_rng([seed, 1]).permutation(len(objects))[:n_objects]]
    shown, label = name.split("/")
    return combined_task(chosen, *load_labelled(dataset, data), shown=shown, label=label, random_state=seed, **more)


def measure_combined(encoder, targets, arguments, seed):
    """Probe an encoder on tasks, and score its sensitivity to changing the image and to changing the object.

    Parameters
    ----------
    encoder : InvariantPretrainer
        Fitted.
    targets : dict of str to tuple of (train, validation, test)
        Tasks by name, "C+O/C" among them.
    arguments : dict
        Of a cell: as for `make_probe`, and n_probe, n_validation, n_test, n_pairs.
    seed : int
        Of the cell.

    Returns
    -------
    measured : xarray.Dataset
        transfer_accuracy over target; sensitivity, with the ends of its 95 % interval over pairs, over changed.
    """
    sizes = [arguments[name] for name in ("n_probe", "n_validation", "n_test")]
    accuracies = []
    for parts in targets.values():
        train, validation, test = (part.sample(n) for part, n in zip(parts, sizes, strict=True))
        accuracies.append(fit_known(make_probe(arguments, seed, encoder), train, validation).score(*test))
    sensitivities = []
    for changed in CHANGED.values():
        pairs = targets["C+O/C"][-1].twins(arguments["n_pairs"], changed=changed)
        sensitivities.append(twin_sensitivity(encoder, *pairs, random_state=seed))
    variables = {"transfer_accuracy": ("target", accuracies, "accuracy of the probe on the target task")}
    names = ("sensitivity", "sensitivity_low", "sensitivity_high")
    texts = ("sensitivity to changing the image (C) or the object (O), all else the same",)
    texts += ("lower end of its 95 % interval over pairs", "upper end of its 95 % interval over pairs")
    for name, values, text in zip(names, zip(*sensitivities, strict=True), texts, strict=True):
        variables[name] = ("changed", list(values), text)
    return describe(variables, {"target": list(targets), "changed": list(CHANGED)})


def estimate_combined(arguments, n_targets):
    """Project how long pretraining and `measure_combined` take.

    Parameters
    ----------
    arguments : dict
        Of a cell: as for `estimate_seconds`, and epochs, n_samples, n_probe, n_validation, n_test, n_pairs.
    n_targets : int
        Number of tasks.

    Returns
    -------
    seconds : float
    """
    n_encoded = n_targets * sum(arguments[name] for name in ("n_probe", "n_validation", "n_test"))
    n_encoded += 4 * arguments["n_pairs"] + arguments["n_test"] + arguments["epochs"] * arguments["n_validation"]
    return estimate_seconds(arguments, arguments["epochs"] * arguments["n_samples"], n_encoded)


def find_combined(settings, objects, data):
    """Find images and objects that a command line names, and refuse what is not there or too little.

    Parameters
    ----------
    settings : dict
        Of a study: dataset, n_objects, n_samples, n_probe, n_validation, n_test, n_pairs.
    objects : str or None
        Pictures, as for `load_pictures`; None: procedural ones.
    data : path-like
        Where CIFAR is.

    Returns
    -------
    where : dict
        "folder" and "data", as for `make_combined`.
    name : str
        Of the pictures, for the names of files: "" is the default.
    identity : dict
        Settings that tell these pictures from others.

    Raises
    ------
    ValueError, OSError, ImportError
        If data are not there, or there are fewer images or objects than are asked for.
    """
    folder, name, identity = find_pictures(objects)
    where = {"folder": folder, "data": str(data)}
    (_, labels), (_, test_labels) = load_labelled(settings["dataset"], where["data"])
    make_combined("O/O", **where, dataset=settings["dataset"], n_objects=settings["n_objects"], seed=0)
    n_held_out = int((np.unique(labels, return_counts=True)[1] // 10).sum())
    n_train, n_test = len(labels) - n_held_out, len(test_labels)
    for size, limit in (
        ("n_samples", n_train), ("n_probe", n_train), ("n_validation", n_held_out), ("n_test", n_test),
        ("n_pairs", n_test),
    ):  # fmt: skip
        if settings[size] > limit:
            raise ValueError(f"{size} is {settings[size]}, but there are only {limit} images for it")
    return where, name, identity
