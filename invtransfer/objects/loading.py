"""Where objects and backgrounds come from: drawn in code, random patterns, or a person's own folder.

Nothing is downloaded, and nothing is written to disk.
"""

from numbers import Integral
from os import PathLike, fspath

import numpy as np

from invtransfer.objects.folders import read_backgrounds, read_objects
from invtransfer.objects.landscapes import draw_backgrounds
from invtransfer.objects.objects import Objects
from invtransfer.objects.things import OBJECTS, draw_objects
from invtransfer.randomness import derive_generator
from invtransfer.storage import expand_path


def load_objects(source="procedural", size=128, random_state=0):
    """Load the objects of a collection.

    Parameters
    ----------
    source : {"procedural", "random"} or path, default="procedural"
        - "procedural": 61 everyday things (food, household, clothes, vehicles, animals) drawn in code. Categories are
          mixed, so that any run of consecutive classes has some of each.
        - "random": 61 random patterns, opaque and square; every pixel and colour is uniform.
        - path: a folder in SI-Score's layout, ``foregrounds/<category>/*.png`` (PNG, JPEG or WebP). Each category is a
          class, and the file whose name sorts first is its object; classes are sorted by name. Images without alpha are
          opaque. Hidden files and files of other kinds are ignored. Names are in Unicode's normal form C.
    size : int in [8, 1024], default=128
        Side of the images in pixels.
    random_state : int, default=0
        Seed of the "random" patterns, at least 0; the other sources do not depend on it.

    Returns
    -------
    objects : Objects

    Raises
    ------
    TypeError
        If `size` or `random_state` is not an int, or `source` is neither a str nor a path.
    ValueError
        If `size` is not in [8, 1024], `random_state` is negative, a folder does not have the layout, a category in it
        has no image, or two names differ in their normal form only.
    FileNotFoundError
        If the folder does not exist.
    OSError
        If an image file cannot be read, or a link leads nowhere.

    Warns
    -----
    UserWarning
        If a folder holds images of other kinds, such as .heic, which are left out.

    Notes
    -----
    As in the paper [1]_ (appendix A.1), one image stands for a class: objects of a class differ only in how they are
    transformed. The paper's images are SI-Score's [2]_: ``python data/fetch.py transforms2d`` fetches them, and
    ``load_objects("data/sets/transforms2d")`` reads them. The procedural objects stand in for them, with as many
    classes of similar kinds. Files are padded to a centred square and resized bilinearly, with antialiasing and with
    colours weighted by alpha; the authors' code stretches images that are not square instead.

    A random pattern has detail of one pixel only, which resizing blurs. Load it at the size at which it is pasted:
    objects take 0.7 of a side, which is 22 pixels in images of 32 x 32.

    References
    ----------
    .. [1] T. Speicher, V. Nanda, K. P. Gummadi, "Understanding the Role of Invariance in Transfer Learning",
       Transactions on Machine Learning Research, 2024.
    .. [2] J. Djolonga et al., "On Robustness and Transferability of Convolutional Neural Networks", CVPR 2021.

    Examples
    --------
    >>> load_objects("procedural", size=64)[["fish", "key"]]
    Objects(2 objects of 64 x 64 pixels: fish, key)
    >>> patterns = load_objects("random", size=22, random_state=0)
    >>> patterns.images.shape, patterns.names[:2]
    ((61, 22, 22, 4), ('pattern 00', 'pattern 01'))
    """
    size = _check_int("size", size, 8, 1024)
    random_state = _check_int("random_state", random_state, 0)
    source = _check_source(source, ("procedural", "random"))
    if source == "procedural":
        return Objects(draw_objects(size).copy(), tuple(OBJECTS))
    if source == "random":
        images = np.full((len(OBJECTS), size, size, 4), 255, np.uint8)
        images[..., :3] = derive_generator(random_state, "patterns").integers(0, 256, images[..., :3].shape, np.uint8)
        return Objects(images, tuple(f"pattern {i:02d}" for i in range(len(OBJECTS))))
    return Objects(*read_objects(source, size))


def load_backgrounds(source="procedural", size=32):
    """Load backgrounds.

    Parameters
    ----------
    source : "procedural" or path, default="procedural"
        - "procedural": 867 landscapes drawn in code: mountains, sea, desert, forest and so on, by day and by night.
        - path: a folder in SI-Score's layout, ``backgrounds/*`` (PNG, JPEG or WebP), sorted by file name. Hidden
          files and files of other kinds are ignored. Transparency is put on white.
    size : int in [8, 1024], default=32
        Side of the images in pixels.

    Returns
    -------
    backgrounds : ndarray of shape (n_backgrounds, size, size, 3), uint8

    Raises
    ------
    TypeError
        If `size` is not an int, or `source` is neither a str nor a path.
    ValueError
        If `size` is not in [8, 1024], a folder does not have the layout or has no image, or two names differ in their
        normal form only.
    FileNotFoundError
        If the folder does not exist.
    OSError
        If an image file cannot be read, or a link leads nowhere.

    Warns
    -----
    UserWarning
        If a folder holds images of other kinds, such as .heic, which are left out.

    Notes
    -----
    Files are cropped to a square from the top left, then resized bilinearly with antialiasing, as in the paper. Once
    ``data/fetch.py transforms2d`` has fetched its photographs, ``load_backgrounds("data/sets/transforms2d")`` reads
    them. The paper's random backgrounds, where every pixel is uniform, are not loaded: sources draw them afresh for
    each sample.

    Examples
    --------
    >>> load_backgrounds(size=16).shape
    (867, 16, 16, 3)
    """
    size = _check_int("size", size, 8, 1024)
    source = _check_source(source, ("procedural",))
    return draw_backgrounds(size).copy() if source == "procedural" else read_backgrounds(source, size)


def _check_int(name, value, low, high=None):
    rule = f"an int in [{low}, {high}]" if high is not None else f"an int of at least {low}"
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, expected {rule}")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{name} is {value}, expected {rule}")
    return int(value)


def _check_source(source, words):
    """Return the word or the expanded path of a folder; raise an error if `source` is neither."""
    if not isinstance(source, str | PathLike):
        raise TypeError(f"source has type {type(source).__name__}, expected a str or a path")
    if source in words:
        return source
    folder = expand_path(source, "source")
    if not folder.is_dir():
        expected = ", ".join(f'"{word}"' for word in words)
        raise FileNotFoundError(f"source is {fspath(folder)!r}, expected {expected} or an existing folder")
    return folder
