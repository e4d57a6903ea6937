"""The paper's protocol of transfer: its numbers in three sizes, and what the studies that follow it have in common.

A source task and a target task are drawn from a named data set, an encoder is pretrained on the source, and probes of
its frozen features are fitted on the target. Section 4.1 varies one factor of the pretraining at a time.
"""

from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from invtransfer.analysis import REFERENCE
from invtransfer.estimators.pretraining import InvariantPretrainer
from invtransfer.estimators.probing import SOLVERS, FrozenFeatureProbe
from invtransfer.networks.architectures import NETWORKS
from invtransfer.networks.training import SCHEDULES
from invtransfer.paper.datasets import CIFAR, identify, load_cifar, load_pictures
from invtransfer.paper.tasks import CLASS_RELATIONS, draw_classes, draw_transformations, images_task, objects_task
from invtransfer.paper.timing import seconds_per_image
from invtransfer.sources.blocks import TransformedImages

RELATIONS = ("same", "disjoint")  # of the source's transformations to the target's
REFERENCES = ("untrained", "no transformations")
CHOICES = {  # what some settings may be
    "class_relation": CLASS_RELATIONS, "architecture": list(NETWORKS), "solver": SOLVERS, "schedule": SCHEDULES,
    "vit_schedule": SCHEDULES,
}  # fmt: skip
_ALL = {  # what all sizes share
    "architecture": "resnet18", "weight_decay": 0.0,
    "vit_learning_rate": 1e-3, "vit_schedule": "cosine", "vit_weight_decay": 1e-5,
    "adam_epochs": 200, "adam_learning_rate": 1e-3,  # of the probe's solver "adam"
}  # fmt: skip
PROTOCOL = {
    "smoke": _ALL | {
        "seeds": 1, "n_classes": 4, "n_samples": 128, "width": 0.0625, "epochs": 2, "batch_size": 32,
        "learning_rate": 1e-2, "schedule": "one-cycle", "n_validation": 64, "solver": "lbfgs", "n_probe": 128,
        "n_test": 128, "n_pairs": 16,
    },
    "quick": _ALL | {
        "seeds": 3, "n_classes": 15, "n_samples": 2_000, "width": 0.125, "epochs": 6, "batch_size": 64,
        "learning_rate": 1e-2, "schedule": "one-cycle", "n_validation": 500, "solver": "lbfgs", "n_probe": 2_000,
        "n_test": 2_000, "n_pairs": 200,
    },
    "paper": _ALL | {
        "seeds": 10, "n_classes": 30, "n_samples": 50_000, "width": 1.0, "epochs": 50, "batch_size": 512,
        "learning_rate": 1e-3, "schedule": "constant", "n_validation": 10_000, "solver": "adam", "n_probe": 50_000,
        "n_test": 10_000, "n_pairs": 10_000,
    },
}  # fmt: skip
# What differs on CIFAR: there n_samples is of each class. A tenth of each class's training images is held out for
# validation, so that CIFAR-100's 500, all there are, are 450 to train on. There are 5,000 test images for pairs.
_CIFAR_PAPER = {"n_validation": 2_500, "n_probe": 22_500, "n_test": 5_000, "n_pairs": 5_000}
CIFAR_PROTOCOL = {
    "cifar10": {
        "smoke": {"n_samples": 32},
        "quick": {"n_classes": 5, "n_samples": 400},
        "paper": _CIFAR_PAPER | {"n_classes": 5, "n_samples": 4_500},
    },
    "cifar100": {
        "smoke": {"n_samples": 32},
        "quick": {"n_classes": 50, "n_samples": 40},
        "paper": _CIFAR_PAPER | {"n_classes": 50, "n_samples": 500},
    },
}
DATASETS = ("transforms2d", *CIFAR)


def cell_arguments(settings, **chosen):
    """Return the arguments of one cell: all of a study's settings that bear on it, and no others.

    Parameters
    ----------
    settings : dict
        Of the study. "levels" and "seeds" are left out; those that begin with "adam_" if the solver is another.
    **chosen
        What this cell has instead. For the architecture "vit", settings that begin with "vit_" replace those without,
        unless they are chosen; for others they are left out.

    Returns
    -------
    arguments : dict

    Examples
    --------
    >>> settings = {"seeds": 3, "solver": "lbfgs", "adam_epochs": 200, "schedule": "constant", "vit_schedule": "cosine"}
    >>> cell_arguments(settings, architecture="vit")
    {'solver': 'lbfgs', 'schedule': 'cosine', 'architecture': 'vit'}
    >>> cell_arguments(settings, architecture="vgg11", solver="adam")
    {'solver': 'adam', 'adam_epochs': 200, 'schedule': 'constant', 'architecture': 'vgg11'}
    """
    arguments = {name: value for name, value in settings.items() if name not in ("levels", "seeds")}
    vit = {name.removeprefix("vit_"): arguments.pop(name) for name in settings if name.startswith("vit_")}
    if (arguments | chosen).get("architecture") == "vit":
        arguments |= vit
    arguments |= chosen
    if arguments.get("solver") != "adam":
        arguments = {name: value for name, value in arguments.items() if not name.startswith("adam_")}
    return arguments


def make_pretrainer(arguments, seed, transformations=(), checkpoint=None):
    """Return the encoder of a cell, not yet trained.

    Parameters
    ----------
    arguments : dict
        Of a cell: architecture, width, epochs, batch_size, learning_rate, schedule, weight_decay, and others.
    seed : int
        Its random_state.
    transformations, checkpoint
        As for `InvariantPretrainer`.

    Returns
    -------
    encoder : InvariantPretrainer
    """
    names = ("width", "epochs", "batch_size", "learning_rate", "schedule", "weight_decay")
    chosen = {name: arguments[name] for name in names}
    chosen |= {"transformations": transformations, "checkpoint": checkpoint, "random_state": seed}
    return InvariantPretrainer(arguments["architecture"], **chosen)


def make_probe(arguments, seed, encoder=None):
    """Return the probe of a cell, not yet fitted.

    Parameters
    ----------
    arguments : dict
        Of a cell: solver, and for "adam" adam_epochs and adam_learning_rate, and others.
    seed : int
        Its random_state.
    encoder : object
        As for `FrozenFeatureProbe`; None: it is fitted on features.

    Returns
    -------
    probe : FrozenFeatureProbe
    """
    names = ("epochs", "learning_rate")
    chosen = {name: arguments[f"adam_{name}"] for name in names if f"adam_{name}" in arguments}
    return FrozenFeatureProbe(encoder, solver=arguments["solver"], random_state=seed, **chosen)


def fit_known(classifier, train, validation):
    """Fit a classifier, and leave out validation samples of classes that the training samples lack.

    Parameters
    ----------
    classifier : InvariantPretrainer, FrozenFeatureProbe or FineTuner
        Not yet fitted.
    train, validation : tuple of (X, y)
        Few training samples may lack a class. Its test images then count as wrong.

    Returns
    -------
    classifier : InvariantPretrainer, FrozenFeatureProbe or FineTuner
    """
    known = np.isin(validation[1], train[1])
    return classifier.fit(*train, *(part[known] for part in validation))


def estimate_seconds(arguments, n_trained, n_encoded):
    """Project how long a cell takes from a measured training step and forward pass.

    Making images and fitting probes is not in it, which is much of a small cell and little of a large one.

    Parameters
    ----------
    arguments : dict
        Of a cell: architecture, width, batch_size, and others.
    n_trained, n_encoded : int
        Images that pass through training steps, and through the network without gradients.

    Returns
    -------
    seconds : float
    """
    training, encoding = seconds_per_image(arguments["architecture"], arguments["width"], arguments["batch_size"])
    return n_trained * training + n_encoded * encoding


def find_pictures(objects):
    """Find the pictures that a command line names, and refuse what is not there before anything is computed.

    Parameters
    ----------
    objects : str or None
        As for `load_pictures`; None: "procedural".

    Returns
    -------
    folder, name, identity
        As of `find_data`.

    Raises
    ------
    ValueError, OSError
        As `load_pictures`.
    """
    folder = objects or "procedural"
    return folder, "" if folder == "procedural" else Path(folder).resolve().name, {"objects": identify(folder)}


def find_data(dataset, objects, data, n_classes):
    """Find what tasks are drawn from, and refuse what is not there or too little before anything is computed.

    Parameters
    ----------
    dataset : str
        "transforms2d", "cifar10" or "cifar100".
    objects : str or None
        Pictures for "transforms2d", as for `load_pictures`; None: procedural ones.
    data : path-like
        Where CIFAR is.
    n_classes : int
        Of the target task; the source task may have as many others.

    Returns
    -------
    where : dict
        "folder", for `make_tasks`.
    name : str
        For the names of files: "" is the default data set.
    identity : dict
        Settings that tell these data from others of the same `dataset`: "objects", see `identify`.

    Raises
    ------
    ValueError, OSError
        If there are fewer than two times `n_classes` classes, pictures are named for CIFAR, or data are not there.

    Examples
    --------
    >>> find_data("transforms2d", None, "data/sets", n_classes=30)
    ({'folder': 'procedural'}, '', {'objects': 'procedural'})
    """
    if dataset in CIFAR:
        if objects:
            raise ValueError("--objects is for --dataset transforms2d")
        load_cifar(dataset, str(data))
        folder, name, identity, n_available = str(data), dataset, {}, CIFAR[dataset][1]
    else:
        folder, name, identity = find_pictures(objects)
        n_available = len(load_pictures(folder)[0])
    draw_classes("disjoint", n_classes, n_available, seed=0)
    return {"folder": folder}, name, identity


def count_training_images(arguments):
    """Return the number of images that the encoder of a cell is trained on, of all classes.

    Parameters
    ----------
    arguments : dict
        Of a cell: dataset, n_samples, class_relation, n_classes, and others.

    Returns
    -------
    n : int

    Examples
    --------
    >>> cell = {"n_samples": 100, "class_relation": "superset", "n_classes": 5}
    >>> count_training_images(cell | {"dataset": "transforms2d"}), count_training_images(cell | {"dataset": "cifar10"})
    (100, 1000)
    """
    if arguments["dataset"] not in CIFAR:
        return arguments["n_samples"]
    n_available = CIFAR[arguments["dataset"]][1]
    source, _ = draw_classes(arguments["class_relation"], arguments["n_classes"], n_available, seed=0)
    return arguments["n_samples"] * len(source)


def make_tasks(*, folder, dataset, class_relation, relation, seed, n_classes):
    """Draw a source task and a target task from a named data set.

    Parameters
    ----------
    folder : str
        Of pictures as for `load_pictures`, or where CIFAR is.
    dataset : str
        "transforms2d", "cifar10" or "cifar100".
    class_relation : str
        See `draw_classes`.
    relation : str
        Of the source's transformations to the target's: "same", "disjoint", or "none" for a source without any.
    seed : int
        Of the repetition: all relations have the same target.
    n_classes : int
        Of the target.

    Returns
    -------
    source, target : tuple of (train, validation, test)
        Sources of images.

    Raises
    ------
    KeyError
        If `relation` is another word.
    ValueError
        As `draw_classes`: if `class_relation` is another word, or there are too few classes.
    FileNotFoundError, ValueError, OSError, ImportError
        As `load_pictures` or `load_cifar`.
    """
    drawn = draw_transformations(seed) | {"none": []}
    if dataset in CIFAR:
        n_available, make_task = CIFAR[dataset][1], partial(images_task, *load_cifar(dataset, folder))
    else:
        objects, backgrounds = load_pictures(folder)
        n_available, make_task = len(objects), partial(objects_task, objects, backgrounds=backgrounds)
    source_classes, target_classes = draw_classes(class_relation, n_classes, n_available, seed)
    source = make_task(source_classes, drawn[relation], 2 * seed)
    return source, make_task(target_classes, drawn["same"], 2 * seed + 1)


def pretrain(source, arguments, seed, checkpoints=None):
    """Train an encoder on a source task.

    Parameters
    ----------
    source : tuple of (train, validation, test)
        As of `make_tasks`.
    arguments : dict
        Of a cell: as for `make_pretrainer`, and n_samples (of each class, for a source of given images) and
        n_validation.
    seed : int
        Of the encoder.
    checkpoints : pathlib.Path or None
        Folder where the state of the training is kept, so that after a kill it goes on from there; None: nowhere.

    Returns
    -------
    encoder : InvariantPretrainer
        Fitted. Given images, such as CIFAR's, are transformed anew in every epoch; other sources are sets of fixed
        images.
    """
    train, validation, _ = source
    if isinstance(train, TransformedImages):
        n_classes = len(np.unique(train.sample(train.n_images, transformations=())[1]))
        n = available(train, arguments["n_samples"] * n_classes)
        data, transformations = train.sample(n, transformations=()), train.transformations
    else:
        data, transformations = train.sample(arguments["n_samples"]), ()
    encoder = make_pretrainer(arguments, seed, transformations, checkpoints and checkpoints / "pretraining.npz")
    return fit_known(encoder, data, validation.sample(available(validation, arguments["n_validation"])))


def available(source, n):
    """Return a number of samples, or that of different images if a source has fewer: some relations have few classes.

    Parameters
    ----------
    source : source of images
        Those of given images know how many there are.
    n : int
        Number wanted.

    Returns
    -------
    n : int
    """
    return min(n, getattr(source, "n_images", n))


def check_sizes(settings):
    """Refuse sizes that the data cannot fill, before anything is computed.

    Parameters
    ----------
    settings : dict
        Of a study: n_classes, n_probe or n_tuning, and on CIFAR dataset, n_samples, n_validation, n_test, n_pairs;
        their "levels" count as well.

    Raises
    ------
    ValueError
        If there are fewer images than a number asks for, or fewer probe samples than classes.
    """
    n_classes, levels = settings["n_classes"], settings["levels"]
    probed = "n_probe" if "n_probe" in settings else "n_tuning"
    n_probes = [*levels.get(probed, []), *([settings[probed]] if probed in settings else [])]
    if min(n_probes) < n_classes:
        raise ValueError(f"{probed} is {min(n_probes)}, expected at least one sample of each of {n_classes} classes")
    if settings.get("dataset") not in CIFAR:
        return
    _, _, n_train, n_test = CIFAR[settings["dataset"]]
    n_held_out = n_train // 10
    for name, n, limit in (
        ("n_samples", max([settings["n_samples"], *levels.get("n_samples", [])]), n_train),
        (probed, max(n_probes), (n_train - n_held_out) * n_classes),
        ("n_validation", settings["n_validation"], n_held_out * n_classes),
        ("n_test", settings["n_test"], n_test * n_classes),
        ("n_pairs", settings["n_pairs"], n_test * n_classes),
    ):
        if n > limit:
            what = "of each class" if name == "n_samples" else f"of {n_classes} classes"
            raise ValueError(f"{name} is {n}, but there are only {limit} images {what} for it")


def factor_grid(settings, references=REFERENCES):
    """Vary one factor of the pretraining at a time, for both relations of the transformations and every seed.

    Parameters
    ----------
    settings : dict
        "levels" names the factors and lists their levels; the setting of the same name holds while another factor
        varies. "seeds" is the number of repetitions.
    references : sequence of str
        Encoders of all defaults that do not depend on the relation: "untrained", "no transformations".

    Returns
    -------
    places : list of (dict, dict)
        Labels along factor, relation and seed, and the arguments of the cell there, see `cell_arguments`.
    coordinates : dict
        Of the cube, as for `run_study`; "factor_name" and "level" are further coordinates along "factor".
    """
    levels = settings["levels"]
    factors = {f"{name}={level}": (name, level) for name in levels for level in levels[name]}
    factors |= {f"{REFERENCE}={label}": (REFERENCE, label) for label in references}
    coordinates = {
        "factor": list(factors),
        "factor_name": ("factor", [name for name, _ in factors.values()]),
        "level": ("factor", [str(level) for _, level in factors.values()]),
        "relation": list(RELATIONS),
        "seed": list(range(settings["seeds"])),
    }
    places = []
    for factor, relation, seed in product(factors, RELATIONS, coordinates["seed"]):
        name, level = factors[factor]
        chosen = {"relation": relation, "seed": seed}
        if name == REFERENCE:
            chosen |= {"relation": "none"} | ({"epochs": 0} if level == "untrained" else {})
        else:
            chosen[name] = level
        labels = {"factor": factor, "relation": relation, "seed": seed}
        places.append((labels, cell_arguments(settings, **chosen)))
    return places, coordinates
