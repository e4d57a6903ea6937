"""Images under distribution shift: of the same classes as in pretraining, of others, of another kind, and photographs.

The data of the paper's Section 5.1: encoders are pretrained on objects ("image") or on random patterns ("random").
"""

from invtransfer.objects import load_objects
from invtransfer.paper.datasets import CIFAR, PATTERN_SIZE, load_cifar, load_objects_and_backgrounds
from invtransfer.paper.inputs import find_task_data
from invtransfer.paper.tasks import draw_classes, objects_task
from invtransfer.randomness import derive_generator, derive_seed
from invtransfer.sources import TransformedImages
from invtransfer.storage import expand_path

KINDS = ("image", "random")
EVALUATED_ON = ("in_distribution", "mild_ood", "strong_ood", *CIFAR)


def make_kind(kind, *, folder, seed, n_classes, transformations=()):
    """Return sources of some classes of one kind of images, and a source of as many others.

    Parameters
    ----------
    kind : {"image", "random"}
        Objects, or random patterns, which `seed` draws.
    folder : str
        Where the objects are, see `load_objects_and_backgrounds`.
    seed : int
        Number of the repetition. All transformations have the same images.
    n_classes : int
        Number of classes of either.
    transformations : sequence of str
        Transformations of the first sources. The other one has none.

    Returns
    -------
    parts : tuple of (train, validation, test)
        Sources of images of `n_classes` classes.
    others : Transforms2D
        Source of images of other classes.
    """
    objects, backgrounds = load_objects_and_backgrounds(folder)
    if kind == "random":
        objects, backgrounds = load_objects("random", size=PATTERN_SIZE, random_state=seed), "random"
    classes, others = draw_classes("disjoint", n_classes, len(objects), seed)
    parts = objects_task(objects, classes, transformations, derive_seed(seed, "source"), backgrounds)
    return parts, objects_task(objects, others, (), derive_seed(seed, "other classes"), backgrounds)[-1]


def make_shifted(names, trained_on, parts, others, *, folder, data, seed, n_classes, n_images):
    """Return the sources of images that an encoder is evaluated on.

    Parameters
    ----------
    names : sequence of str
        "in_distribution": test images of the source; "mild_ood": other classes of its kind; "strong_ood": the other
        kind, which encoders of that kind were pretrained on; "cifar10" or "cifar100": photographs.
    trained_on : {"image", "random"}
        Kind of images of the source.
    parts, others
        The source, as `make_kind` returns it.
    folder, data : str
        Where the objects and CIFAR are.
    seed, n_classes
        As in `make_kind`.
    n_images : int
        Number of photographs, which `seed` draws.

    Returns
    -------
    sources : list of Transforms2D or TransformedImages
        For each of the names, a source without transformations but for that in distribution.
    """
    sources = []
    for name in names:
        if name in CIFAR:
            images, labels = load_cifar(name, data)[1]
            order = derive_generator(seed, "photographs").permutation(len(images))[:n_images]
            sources.append(TransformedImages(images[order], labels[order], random_state=seed))
        elif name == "strong_ood":
            other_kind = KINDS[1 - KINDS.index(trained_on)]
            sources.append(make_kind(other_kind, folder=folder, seed=seed, n_classes=n_classes)[0][-1])
        else:
            sources.append({"in_distribution": parts[-1], "mild_ood": others}[name])
    return sources


def find_shifted(*, objects, data, n_classes, levels, **_):
    """Find the images that encoders are trained and evaluated on.

    Parameters
    ----------
    objects, data, n_classes
        As in `find_task_data`.
    levels : dict of str to list
        Levels of the settings that vary. CIFAR is read if "evaluated_on" names it.
    **_
        Further settings of the study, which are not checked.

    Returns
    -------
    inputs : Inputs
        With "folder" and "data", which `make_shifted` takes.

    Raises
    ------
    ValueError, OSError
        As `find_task_data`.
    """
    data = str(expand_path(data, "data"))
    for dataset in CIFAR:
        if dataset in levels["evaluated_on"]:
            load_cifar(dataset, data)  # fails here if it is not there
    found = find_task_data(objects=objects, data=data, n_classes=n_classes)
    return found._replace(where=found.where | {"data": data})
