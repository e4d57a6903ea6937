"""Data sets by name, read once per process: pictures for Transforms-2D, and CIFAR."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from invtransfer.objects.collections import load_backgrounds, load_objects
from invtransfer.sources.cifar import load_cifar10, load_cifar100

PAPER_OBJECTS = "tillspeicher/transforms_2d_base"  # the authors' data set
OBJECT_SIZE = 64  # pixels that objects are loaded with, before they are scaled to the image
PATTERN_SIZE = 22  # of random patterns, that of objects in 32 x 32 images: resizing would blur a pattern
COLLECTIONS = ("procedural", "random")  # of objects that are made in code
CIFAR = {  # reader, number of classes, images of each to train and to test on
    "cifar10": (load_cifar10, 10, 5_000, 1_000),
    "cifar100": (load_cifar100, 100, 500, 100),
}


@lru_cache
def load_pictures(folder):
    """Read objects, and backgrounds of their own where there are some.

    Parameters
    ----------
    folder : str
        "procedural", "random", or a folder as `load_objects` takes it.

    Returns
    -------
    objects : Objects
    backgrounds : ndarray of shape (n_backgrounds, height, width, 3), uint8, or None
        None: the folder has none, so that the procedural ones are used.

    Raises
    ------
    FileNotFoundError, ValueError, OSError
        As `load_objects` and `load_backgrounds`.

    Examples
    --------
    >>> objects, backgrounds = load_pictures("procedural")
    >>> len(objects), backgrounds
    (61, None)
    """
    own_backgrounds = folder not in COLLECTIONS and (Path(folder) / "backgrounds").is_dir()
    objects = load_objects(folder, size=PATTERN_SIZE if folder == "random" else OBJECT_SIZE)
    return objects, load_backgrounds(folder) if own_backgrounds else None


@lru_cache
def load_cifar(dataset, folder):
    """Read both parts of a CIFAR data set.

    Parameters
    ----------
    dataset : str
        "cifar10" or "cifar100".
    folder : str
        Where it is.

    Returns
    -------
    training, test : tuple of (images, labels)
        As of `load_cifar10`.

    Raises
    ------
    KeyError
        If `dataset` is another word.
    FileNotFoundError, OSError, ValueError, ImportError
        As `load_cifar10`.
    """
    load = CIFAR[dataset][0]
    return load(folder), load(folder, split="test")


def identify(folder):
    """Return what tells the pictures of a folder from others: their name, and a digest of their pixels and labels.

    Parameters
    ----------
    folder : str
        As for `load_pictures`.

    Returns
    -------
    name : str
        The name is the folder's, or the data set's if ``data/fetch.py transforms2d`` has brought it.

    Raises
    ------
    ValueError
        If the record of where they come from is damaged.
    FileNotFoundError, ValueError, OSError
        As `load_pictures`.

    Examples
    --------
    >>> identify("procedural")
    'procedural'
    """
    if folder in COLLECTIONS:
        return folder
    record, name = Path(folder, "SOURCE.json"), Path(folder).resolve().name
    if record.exists():
        try:
            name = json.loads(record.read_text())["data_set"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(
                f"{record} is not as data/fetch.py writes it: fetch the set again, or delete it"
            ) from error
    objects, backgrounds = load_pictures(folder)
    digest = hashlib.sha256(objects.images.tobytes() + "\n".join(objects.names).encode())
    digest.update(b"" if backgrounds is None else backgrounds.tobytes())
    return f"{name} {digest.hexdigest()[:12]}"
