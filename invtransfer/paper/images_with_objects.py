"""Images with objects on them: tasks on images or objects, and what an encoder keeps of both.

A task is named after what is labelled, and what else is shown: "images with objects" are labelled images such as
CIFAR's on which small objects were pasted, and "objects on images" are the same pictures, labelled with the object. The
data of the paper's Section 4.2 and Appendix C.3, where the four tasks are C/C, C+O/C, C+O/O and O/O.
"""

from functools import lru_cache

import numpy as np

from invtransfer.cubes.assembly import make_cell
from invtransfer.estimators.given_pairs import twin_sensitivity
from invtransfer.estimators.probing import FrozenFeatureProbe
from invtransfer.objects import load_objects
from invtransfer.paper.datasets import CIFAR, load_cifar, load_objects_and_backgrounds
from invtransfer.paper.inputs import Inputs, check_available, find_objects
from invtransfer.paper.tasks import PARTS, divide_images, keep_known, sample_task, share_seen
from invtransfer.randomness import derive_generator, derive_seed
from invtransfer.sources import ObjectsOnImages, Transforms2D
from invtransfer.storage import expand_path

TASKS = {  # what is shown, and which of it is the label
    "images alone": (("image",), "image"),
    "images with objects": (("image", "object"), "image"),
    "objects on images": (("image", "object"), "object"),
    "objects alone": (("object",), "object"),
}
CHANGED = ("image", "object")  # what twins differ in
POSITIONS = {"fixed": (21, 2), "random": "random"}  # of the object's box: x and y in pixels of a 32 x 32 image
STAND_IN = "transforms2d"
N_STAND_IN = 10  # classes of the stand-in, the last of the procedural objects


@lru_cache
def load_labelled_images(dataset, folder):
    """Read labelled images to paste objects on, once per process.

    Parameters
    ----------
    dataset : {"cifar10", "cifar100", "transforms2d"}
        Name of the data set. "transforms2d" is a stand-in that needs no download: ten of the procedural objects, large,
        rotated and in all hues.
    folder : str
        Where CIFAR is.

    Returns
    -------
    training, test : tuple of (images, labels)

    Raises
    ------
    ValueError
        If `dataset` is another word.
    OSError, ImportError
        If CIFAR cannot be read.

    Examples
    --------
    >>> (images, labels), test = load_labelled_images("transforms2d", "")
    >>> images.shape, len(set(labels.tolist()))
    ((2000, 32, 32, 3), 10)
    """
    if dataset in CIFAR:
        return load_cifar(dataset, folder)
    if dataset != STAND_IN:
        raise ValueError(f"dataset is {dataset!r}, expected one of: {', '.join([*CIFAR, STAND_IN])}")
    source = Transforms2D(load_objects("procedural", size=64)[-N_STAND_IN:], ["rotate", "hue"], random_state=0)
    return source.sample(2_000), source.sample(1_000, start=2_000)


def combined_task(
    objects,
    training,
    test,
    *,
    task,
    position="random",
    correlation=0.0,
    availability=1.0,
    random_state=0,
):
    """Return sources of objects on labelled images, or of either alone, for training, validation and test.

    Parameters
    ----------
    objects : Objects
        Objects to paste, one class each.
    training, test : tuple of (images, labels)
        Both parts of a data set, as `load_cifar10` returns them. Validation images are held out as in `images_task`,
        and the classes take turns as there.
    task : {"images alone", "images with objects", "objects on images", "objects alone"}
        What the samples show and are labelled with: images, with their labels, without or with objects on them; or
        objects, with their numbers, on images or on black.
    position : "random" or tuple of int
        Position of the objects, as in `ObjectsOnImages`.
    correlation, availability : float in [0, 1]
        As in `ObjectsOnImages`; values other than the defaults need objects on images.
    random_state : int
        Random state of the task, which decides the order of the training images and the objects. Each of the three
        sources has one of its own.

    Returns
    -------
    train, validation, test : ObjectsOnImages

    Raises
    ------
    ValueError
        If `task` is another word, `correlation` or `availability` is given without objects on images, or one of the
        three has no image.
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
    ...     load_objects("procedural")[:10], (images, labels), (images, labels), task="objects on images"
    ... )
    >>> train
    ObjectsOnImages(10 objects, 90 images, label='object', no transformations, random_state=...)
    """
    if task not in TASKS:
        raise ValueError(f"task is {task!r}, expected one of: {', '.join(TASKS)}")
    shown, label = TASKS[task]
    if len(shown) == 1 and (correlation, availability) != (0, 1):
        raise ValueError(
            f"correlation is {correlation!r} and availability {availability!r}, expected 0 and 1 in the task {task!r}:"
            " they are of objects on images"
        )
    if "image" not in shown:
        images = training[0]
        parts = [(np.zeros((1, *images.shape[1:]), dtype=images.dtype), None)] * 3
    else:
        parts = divide_images(training, test, np.unique(training[1]), random_state)
    return tuple(
        ObjectsOnImages(
            objects,
            *part,
            label=label,
            position=position,
            correlation=correlation,
            availability=availability if "object" in shown else 0,
            random_state=derive_seed(random_state, name),
        )
        for name, part in zip(PARTS, parts, strict=True)
    )


def make_combined(name, *, dataset, data, folder, n_objects, seed, **more):
    """Return the sources of one task on images, objects or both.

    Parameters
    ----------
    name : str
        Name of the task, as for `combined_task`.
    dataset, data : str
        Labelled images and where they are, see `load_labelled_images`.
    folder : str
        Where the objects are, see `load_objects_and_backgrounds`.
    n_objects : int
        Number of objects that `seed` draws.
    seed : int
        Number of the repetition.
    **more
        position, correlation and availability, as in `combined_task`.

    Returns
    -------
    train, validation, test : ObjectsOnImages

    Raises
    ------
    ValueError
        If `n_objects` is smaller than 2, or there are fewer objects.
    ValueError, OSError, ImportError
        As `load_labelled_images` and `load_objects_and_backgrounds`.
    """
    objects = load_objects_and_backgrounds(folder)[0]
    if dataset == STAND_IN and folder == "procedural":
        objects = objects[:-N_STAND_IN]  # the others are what images show
    if not 2 <= n_objects <= len(objects):
        raise ValueError(f"n_objects is {n_objects}, expected 2 to {len(objects)}, as many as there are")
    chosen = objects[derive_generator(seed, "pasted objects").permutation(len(objects))[:n_objects]]
    images = load_labelled_images(dataset, data)
    return combined_task(chosen, *images, task=name, random_state=seed, **more)


def measure_combined(
    encoder, targets, *, seed, solver, n_probe, n_validation, n_test, n_pairs, adam_epochs=200, adam_learning_rate=1e-3
):
    """Probe an encoder on tasks, and score its sensitivity to changing the image and to changing the object.

    Parameters
    ----------
    encoder : InvariantPretrainer
        Fitted encoder.
    targets : dict of str to tuple of (train, validation, test)
        Tasks by name, "images with objects" among them.
    seed : int
        Random state of the probes and of random pairs.
    solver : {"lbfgs", "adam"}
        Solver of the probes, see `FrozenFeatureProbe`.
    n_probe, n_validation, n_test, n_pairs : int
        Numbers of samples to fit, validate and test a probe on, and of pairs to measure sensitivity on.
    adam_epochs, adam_learning_rate
        Epochs and learning rate of the solver "adam".

    Returns
    -------
    cell : xarray.Dataset
        transfer_accuracy, and target_seen, the share of test images that the probe was fitted on, over target;
        sensitivity, with the ends of its 95 % interval over pairs, over changed.
    """
    accuracies, seen = [], []
    for parts in targets.values():
        train, validation, test = sample_task(parts, n_probe, n_validation, n_test)
        probe = FrozenFeatureProbe(
            encoder, solver=solver, epochs=adam_epochs, learning_rate=adam_learning_rate, random_state=seed
        )
        accuracies.append(probe.fit(*train, *keep_known(validation, train[1])).score(*test))
        seen.append(share_seen(train[0], test[0]))
    sensitivities = []
    for changed in CHANGED:
        pairs = targets["images with objects"][-1].twins(n_pairs, changed=changed)
        sensitivities.append(twin_sensitivity(encoder, *pairs))
    sensitivity, low, high = map(list, zip(*sensitivities, strict=True))
    text = "sensitivity to changing the image or the object, all else the same"
    variables = {
        "transfer_accuracy": ("target", accuracies, "accuracy of the probe on the target task"),
        "target_seen": ("target", seen, "share of the target's test images that the probe was fitted on"),
        "sensitivity": ("changed", sensitivity, text),
        "sensitivity_low": ("changed", low, "lower end of its 95 % interval over pairs"),
        "sensitivity_high": ("changed", high, "upper end of its 95 % interval over pairs"),
    }
    return make_cell(variables, {"target": list(targets), "changed": list(CHANGED)})


def count_encoded(n_targets, *, epochs, n_probe, n_validation, n_test, n_pairs):
    """Count the images that a cell encodes in pretraining and in `measure_combined`.

    Parameters
    ----------
    n_targets : int
        Number of tasks that are probed.
    epochs : int
        Epochs of pretraining, each of which is validated.
    n_probe, n_validation, n_test, n_pairs : int
        As in `measure_combined`.

    Returns
    -------
    n : int
    """
    return n_targets * (n_probe + n_validation + n_test) + 4 * n_pairs + n_test + epochs * n_validation


def find_images_with_objects(
    *, objects, data, levels, dataset, n_objects, n_samples, n_probe, n_validation, n_test, n_pairs, **_
):
    """Find images and objects that a command line names, and check that there are as many as the settings ask for.

    Parameters
    ----------
    objects : str or None
        Folder of the objects. None: procedural objects.
    data : path-like
        Where CIFAR is.
    levels : dict of str to list
        Levels of the settings that vary. Those of "correlation" and "availability" are checked.
    dataset : str
        Labelled images, see `load_labelled_images`.
    n_objects : int
        Number of objects.
    n_samples, n_probe, n_validation, n_test, n_pairs : int
        Numbers of images that the study asks for.
    **_
        Further settings of the study, which are not checked.

    Returns
    -------
    inputs : Inputs
        With "folder" and "data", which `make_combined` takes.

    Raises
    ------
    ValueError, OSError, ImportError
        If a level is not from 0 to 1, data are missing, or there are fewer images or objects than the study asks for.
    """
    for name in ("correlation", "availability"):
        for value in levels.get(name, ()):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is {value}, expected a number from 0 to 1")
    correlation = max(levels.get("correlation", [0.0]))
    found = find_objects(objects)
    where = found.where | {"data": str(expand_path(data, "data"))}
    (_, labels), (_, test_labels) = load_labelled_images(dataset, where["data"])
    make_combined("images with objects", **where, dataset=dataset, n_objects=n_objects, seed=0, correlation=correlation)
    n_held_out = int((np.unique(labels, return_counts=True)[1] // 10).sum())
    n_train, n_test_images = len(labels) - n_held_out, len(test_labels)
    check_available(
        {
            "n_samples": n_samples,
            "n_probe": n_probe,
            "n_validation": n_validation,
            "n_test": n_test,
            "n_pairs": n_pairs,
        },
        {"n_samples": n_train, "n_probe": n_train, "n_validation": n_held_out}
        | dict.fromkeys(("n_test", "n_pairs"), n_test_images),
    )
    return Inputs(where, found.name, found.identity)
