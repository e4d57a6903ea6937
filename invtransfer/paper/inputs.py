"""The data that a command line names: found, or refused if missing or too small, before anything is computed."""

from pathlib import Path
from typing import NamedTuple

from invtransfer.paper.datasets import CIFAR, COLLECTIONS, identify_objects, load_cifar, load_objects_and_backgrounds
from invtransfer.paper.tasks import draw_classes
from invtransfer.storage import expand_path


class Inputs(NamedTuple):
    """Where the data of a study are, and which data they are.

    Parameters
    ----------
    where : dict of str to str
        Arguments of the study's cell that say where the data are. They do not count as settings.
    name : str
        Name of the objects for the cube's file; empty for the default.
    identity : dict of str to str
        Settings that tell these data from others, such as "objects", see `identify_objects`.
    """

    where: dict
    name: str
    identity: dict


def find_objects(objects=None):
    """Find objects and backgrounds.

    Parameters
    ----------
    objects : str or None
        Their folder, see `load_objects_and_backgrounds`. None: "procedural".

    Returns
    -------
    inputs : Inputs

    Raises
    ------
    ValueError, OSError
        As `load_objects_and_backgrounds`.

    Examples
    --------
    >>> find_objects()
    Inputs(where={'folder': 'procedural'}, name='', identity={'objects': 'procedural'})
    """
    folder = objects or "procedural"
    if folder not in COLLECTIONS:
        folder = str(expand_path(folder, "objects"))
        folder = f"./{folder}" if folder in COLLECTIONS else folder  # a folder of that name, given as ./random
    name = "" if folder == "procedural" else Path(folder).resolve().name
    return Inputs({"folder": folder}, name, {"objects": identify_objects(folder)})


def find_task_data(*, objects, data, n_classes, dataset="transforms2d", **_):
    """Find the data that source and target tasks are drawn from.

    Parameters
    ----------
    objects : str or None
        Folder of the objects for "transforms2d". None: procedural objects.
    data : path-like
        Where CIFAR is.
    n_classes : int
        Number of classes of the target task; the source task may have as many others.
    dataset : {"transforms2d", "cifar10", "cifar100"}
        Data set of both tasks.
    **_
        Further settings of a study, which do not matter here.

    Returns
    -------
    inputs : Inputs
        With "folder", which `make_tasks` takes.

    Raises
    ------
    ValueError, OSError
        If there are fewer than two times `n_classes` classes, objects are named for CIFAR, or data are missing.

    Examples
    --------
    >>> find_task_data(objects=None, data="data/sets", n_classes=30).where
    {'folder': 'procedural'}
    """
    if dataset in CIFAR:
        if objects:
            raise ValueError("--objects is for --dataset transforms2d")
        data = str(expand_path(data, "data"))
        load_cifar(dataset, data)
        inputs, n_available = Inputs({"folder": data}, "", {}), CIFAR[dataset].n_classes
    else:
        inputs = find_objects(objects)
        n_available = len(load_objects_and_backgrounds(inputs.where["folder"])[0])
    draw_classes("disjoint", n_classes, n_available, seed=0)
    return inputs


def find_transfer_data(
    *, objects, data, n_classes, levels, n_samples, n_validation, n_test, n_pairs=0, n_probe=None, n_tuning=None,
    dataset="transforms2d", **_,
):  # fmt: skip
    """Find the data of tasks, and check that they have as many images as the settings ask for.

    Parameters
    ----------
    objects, data, dataset, n_classes
        As in `find_task_data`.
    levels : dict of str to list
        Levels of the settings that vary, which are checked as well.
    n_samples, n_validation, n_test, n_pairs : int
        Numbers of images to train on (on CIFAR, of each class), to validate on, to test on, and to measure on.
    n_probe, n_tuning : int or None
        Number of samples that a probe is fitted on, or an encoder is fine-tuned on. Without them, `levels` has
        "n_labelled".

    Returns
    -------
    inputs : Inputs

    Raises
    ------
    ValueError, OSError
        As `find_task_data`; ValueError also if there are fewer samples than classes, or fewer images than settings ask
        for.
    """
    inputs = find_task_data(objects=objects, data=data, dataset=dataset, n_classes=n_classes)
    given = {"n_probe": n_probe, "n_tuning": n_tuning, "n_labelled": None}
    probed = next(name for name, n in given.items() if n is not None or name in levels)
    sizes = levels.get(probed, []) + ([] if given[probed] is None else [given[probed]])
    if min(sizes) < n_classes:
        raise ValueError(f"{probed} is {min(sizes)}, expected at least one sample of each of {n_classes} classes")
    if dataset not in CIFAR:
        return inputs  # objects are drawn without end
    n_train, n_held_out = CIFAR[dataset].n_train, CIFAR[dataset].n_train // 10
    n_samples = max([n_samples, *levels.get("n_samples", [])])
    check_available({"n_samples": n_samples}, {"n_samples": n_train}, " of each class")
    check_available(
        {probed: max(sizes), "n_validation": n_validation, "n_test": n_test, "n_pairs": n_pairs},
        {probed: (n_train - n_held_out) * n_classes, "n_validation": n_held_out * n_classes}
        | dict.fromkeys(("n_test", "n_pairs"), CIFAR[dataset].n_test * n_classes),
        f" of {n_classes} classes",
    )
    return inputs


def check_available(sizes, limits, what=""):
    """Raise an error if a setting asks for more images than there are.

    Parameters
    ----------
    sizes : dict of str to int
        Settings by name.
    limits : dict of str to int
        Number of images that there are for each of the settings.
    what : str
        Which images are counted, such as " of 5 classes".

    Raises
    ------
    ValueError
        If one of the sizes is larger than its limit.

    Examples
    --------
    >>> check_available({"n_test": 5_001}, {"n_test": 5_000}, " of 5 classes")
    Traceback (most recent call last):
    ...
    ValueError: n_test is 5001, but there are only 5000 images of 5 classes for it
    """
    for name, size in sizes.items():
        if size > limits[name]:
            raise ValueError(f"{name} is {size}, but there are only {limits[name]} images{what} for it")
