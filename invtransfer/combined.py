"""Images and objects in one picture: tasks on either, and what an encoder has kept of both.

"C" stands for labelled images such as CIFAR's and "O" for small objects pasted on them; "C+O/C" is a task on images
with objects, labelled with the class of the image. The data of the paper's Section 4.2 and Appendix C.3.
"""

from functools import lru_cache

import numpy as np
import xarray as xr

from invtransfer.datasets import CIFAR, load_cifar, load_pictures
from invtransfer.objects import load_objects
from invtransfer.protocol import make_probe
from invtransfer.sensitivity import twin_sensitivity
from invtransfer.sources import Transforms2D
from invtransfer.tasks import combined_task

TASKS = ("C/C", "C+O/C", "C+O/O", "O/O")  # what is shown / what is the label
CHANGED = {"C": "image", "O": "object"}
POSITIONS = {"fixed": (21, 2), "random": "random"}  # of the object's box: x and y in pixels of a 32 x 32 image
STAND_IN = "transforms2d"


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

    Examples
    --------
    >>> (images, labels), test = load_labelled("transforms2d", "")
    >>> images.shape, len(set(labels.tolist()))
    ((2000, 32, 32, 3), 10)
    """
    if dataset in CIFAR:
        return load_cifar(dataset, folder)
    source = Transforms2D(load_objects("procedural", size=64)[-10:], ["rotate", "hue"], random_state=0)
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
        If there are fewer objects.
    """
    objects = load_pictures(folder)[0]
    if n_objects > len(objects):
        raise ValueError(f"n_objects is {n_objects}, but there are only {len(objects)}")
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
        accuracies.append(make_probe(arguments, seed, encoder).fit(*train, *validation).score(*test))
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
    return xr.Dataset(
        {name: (dim, values, {"units": "1", "long_name": text}) for name, (dim, values, text) in variables.items()},
        {"target": list(targets), "changed": list(CHANGED)},
    )
