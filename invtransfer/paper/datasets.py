"""Data sets of the studies, read once per process: objects and backgrounds for Transforms-2D, and CIFAR."""

import hashlib
import json
from functools import lru_cache
from typing import NamedTuple

from invtransfer.objects import load_backgrounds, load_objects
from invtransfer.sources import load_cifar10, load_cifar100
from invtransfer.storage import expand_path

PAPER_OBJECTS = "tillspeicher/transforms_2d_base"  # the authors' data set
OBJECT_SIZE = 64  # pixels that objects are loaded with, before they are scaled to the image
PATTERN_SIZE = 22  # pixels of random patterns, as of objects in 32 x 32 images: resizing would blur a pattern
COLLECTIONS = ("procedural", "random")  # objects that are made in code


class CifarSizes(NamedTuple):
    """Numbers of classes of a CIFAR data set, and of training and test images of each class."""

    n_classes: int
    n_train: int
    n_test: int


CIFAR = {"cifar10": CifarSizes(10, 5_000, 1_000), "cifar100": CifarSizes(100, 500, 100)}


@lru_cache
def load_objects_and_backgrounds(folder):
    """Read objects, and backgrounds if the folder has some.

    Parameters
    ----------
    folder : str
        "procedural", "random", or a folder as `load_objects` takes it.

    Returns
    -------
    objects : Objects
    backgrounds : ndarray of shape (n_backgrounds, height, width, 3), uint8, or None
        None if the folder has no backgrounds, so that the procedural ones are used.

    Raises
    ------
    FileNotFoundError, ValueError, OSError
        As `load_objects` and `load_backgrounds`.

    Examples
    --------
    >>> objects, backgrounds = load_objects_and_backgrounds("procedural")
    >>> len(objects), backgrounds
    (61, None)
    """
    own_backgrounds = folder not in COLLECTIONS and (expand_path(folder, "folder") / "backgrounds").is_dir()
    objects = load_objects(folder, size=PATTERN_SIZE if folder == "random" else OBJECT_SIZE)
    return objects, load_backgrounds(folder) if own_backgrounds else None


@lru_cache
def load_cifar(dataset, folder):
    """Read both parts of a CIFAR data set.

    Parameters
    ----------
    dataset : {"cifar10", "cifar100"}
        Name of the data set.
    folder : str
        Where it is.

    Returns
    -------
    training, test : tuple of (images, labels)
        As `load_cifar10` returns them.

    Raises
    ------
    KeyError
        If `dataset` is another word.
    FileNotFoundError, OSError, ValueError, ImportError
        As `load_cifar10`.
    """
    load = {"cifar10": load_cifar10, "cifar100": load_cifar100}[dataset]
    return load(folder), load(folder, split="test")


def identify_objects(folder):
    """Return a text that identifies the objects and backgrounds of a folder.

    Parameters
    ----------
    folder : str
        As in `load_objects_and_backgrounds`.

    Returns
    -------
    identity : str
        "procedural" or "random"; else a name and a digest of all pixels and labels. The name is the folder's, or that
        of the data set if ``data/fetch.py transforms2d`` fetched it.

    Raises
    ------
    ValueError
        If the record of where they come from is damaged.
    FileNotFoundError, ValueError, OSError
        As `load_objects_and_backgrounds`.

    Examples
    --------
    >>> identify_objects("procedural")
    'procedural'
    """
    if folder in COLLECTIONS:
        return folder
    record, name = expand_path(folder, "folder") / "SOURCE.json", expand_path(folder).resolve().name
    if record.exists():
        try:
            name = json.loads(record.read_text())["data_set"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(
                f"{record} is not as data/fetch.py writes it: fetch the set again, or delete it"
            ) from error
    objects, backgrounds = load_objects_and_backgrounds(folder)
    digest = hashlib.sha256(objects.images.tobytes() + "\n".join(objects.names).encode())
    digest.update(b"" if backgrounds is None else backgrounds.tobytes())
    return f"{name} {digest.hexdigest()[:12]}"
