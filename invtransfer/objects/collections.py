"""Objects and the backgrounds that they are pasted on: drawn in code, random patterns, or read from a folder.

Objects are RGBA images of one size, one per class. Backgrounds are RGB images. Nothing is downloaded, and nothing is
written to disk.
"""

import difflib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from os import PathLike, fspath
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from invtransfer.objects.landscapes import draw_backgrounds
from invtransfer.objects.things import OBJECTS, draw_objects

__all__ = ["Objects", "load_backgrounds", "load_objects"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_LAYOUT = "foregrounds/<category>/<name>.png and backgrounds/<name>.jpg"


@dataclass(frozen=True, eq=False, repr=False)
class Objects:
    """Images of things with transparent surroundings, one per class, and their names.

    Parameters
    ----------
    images : ndarray of shape (n_objects, size, size, 4), uint8
        Red, green, blue and alpha; colours are not multiplied by alpha ("straight").
    names : tuple of str, length n_objects
        What the images show, each name once.

    Raises
    ------
    TypeError
        If `images` is not an array, or `names` holds something else than strings.
    ValueError
        If `images` has another dtype or shape, is empty, or if `names` has another length or holds a name twice.

    Notes
    -----
    ``objects[key]`` is again an `Objects`, also for a single one. The key is a slice, an int, a name, a sequence or
    array of ints or of names, or a boolean mask with one entry per object.

    Examples
    --------
    >>> objects = load_objects("procedural", size=32)
    >>> objects
    Objects(61 objects of 32 x 32 pixels: apple, car, cat, mug, sock, ...)
    >>> objects[["mug", "apple"]].names
    ('mug', 'apple')
    >>> len(objects[:30])
    30
    """

    images: np.ndarray
    names: tuple[str, ...]

    def __post_init__(self):
        if not isinstance(self.images, np.ndarray):
            raise TypeError(f"images has type {type(self.images).__name__}, expected a numpy array")
        if self.images.dtype != np.uint8:
            raise ValueError(f"images has dtype {self.images.dtype}, expected uint8")
        shape = self.images.shape
        if len(shape) != 4 or shape[1] != shape[2] or shape[3] != 4 or 0 in shape:
            raise ValueError(f"images has shape {shape}, expected (n_objects, size, size, 4) with at least one object")
        sequence = isinstance(self.names, Iterable) and not isinstance(self.names, str)
        if not sequence or not all(isinstance(name, str) for name in self.names):
            raise TypeError(f"names is {self.names!r}, expected a sequence of strings")
        object.__setattr__(self, "names", tuple(str(name) for name in self.names))
        if len(self.names) != len(self.images):
            raise ValueError(f"names has length {len(self.names)}, expected that of images, {len(self.images)}")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise ValueError(f"names holds {', '.join(map(repr, twice))} more than once, expected each name once")

    def __len__(self):
        return len(self.images)

    def __repr__(self):
        count, size = self.images.shape[:2]
        names = ", ".join(self.names[:5]) + (", ..." if count > 5 else "")
        return f"Objects({count} object{'s' * (count > 1)} of {size} x {size} pixels: {names})"

    def __getitem__(self, key):
        """Select objects.

        Raises
        ------
        KeyError
            If there is no object of a name; the message suggests the nearest.
        IndexError
            If an index is out of range, a mask has another length, or `key` is of another kind.
        ValueError
            If the selection is empty or holds an object twice.
        """
        rows = self._rows(key)
        return Objects(self.images[rows], tuple(self.names[row] for row in rows))

    def _rows(self, key):
        """Turn any key into an integer array of shape (n_selected,)."""
        if isinstance(key, slice):
            return np.arange(len(self))[key]
        try:
            keys = np.atleast_1d(np.asarray(key, dtype=object if isinstance(key, str) else None))  # NumPy cuts NULs
        except (RuntimeError, TypeError, ValueError) as error:  # torch's, lists of several lengths
            raise IndexError(f"key is {key!r}, expected a slice, or ints, names or booleans: {error}") from error
        if keys.size == 0:
            return np.arange(0)
        if keys.ndim != 1 or keys.dtype.kind not in "iubUO":
            raise IndexError(f"key is {key!r}, expected a slice, or ints, names or booleans in one dimension")
        if keys.dtype.kind == "b":
            if len(keys) != len(self):
                raise IndexError(f"mask has length {len(keys)}, expected the number of objects, {len(self)}")
            return np.flatnonzero(keys)
        if keys.dtype.kind in "UO":
            return np.array([self._row(name) for name in keys])
        outside = keys[(keys < -len(self)) | (keys >= len(self))]
        if outside.size:
            raise IndexError(f"index {outside[0]} is out of range, expected -{len(self)} to {len(self) - 1}")
        return np.arange(len(self))[keys]

    def _row(self, name):
        if name in self.names:
            return self.names.index(name)
        nearest = difflib.get_close_matches(str(name), self.names, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"expected one of {', '.join(self.names)}"
        raise KeyError(f"no object has the name {str(name)!r}; {hint}")


def load_objects(source="procedural", size=128, random_state=0):
    """Load the objects of a collection.

    Parameters
    ----------
    source : {"procedural", "random"} or path, default="procedural"
        - "procedural": 61 everyday things (food, household, clothes, vehicles, animals) drawn in code. Categories are
          mixed, so that any run of consecutive classes has some of each.
        - "random": 61 random patterns, every pixel and colour uniform, opaque and square.
        - path: a folder in SI-Score's layout, ``foregrounds/<category>/*.png`` (PNG, JPEG or WebP). Of each category
          the file whose name sorts first is taken; classes are the categories, sorted by name. Images without alpha
          are opaque. Hidden files, and files of other kinds, are ignored.
    size : int in [8, 1024], default=128
        Side of the images in pixels.
    random_state : int, default=0
        Seed of the patterns of "random", at least 0; the other sources do not depend on it.

    Returns
    -------
    objects : Objects

    Raises
    ------
    TypeError
        If `size` or `random_state` is not an int, or `source` neither a str nor a path.
    ValueError
        If `size` is not in [8, 1024], `random_state` is negative, a folder does not have the layout, or a category
        in it has no image.
    FileNotFoundError
        If there is no such folder.
    OSError
        If an image file cannot be read.

    Notes
    -----
    As in the paper (appendix A.1), one image stands for a class: objects of a class differ by their transformations
    alone. The paper's images are SI-Score's [2]_: ``python data/fetch.py transforms2d`` brings them, and
    ``load_objects("data/sets/transforms2d")`` reads them. The procedural ones stand in for them where those are not at
    hand, with as many classes of similar kinds. Files are padded to a centred square and resized bilinearly, with
    antialiasing and with colours weighted by alpha; the authors' code stretches images that are not square instead.

    A random pattern has detail of one pixel only, and resizing blurs it. Load it at the size at which it is pasted:
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
    if not isinstance(source, str | PathLike):
        raise TypeError(f"source has type {type(source).__name__}, expected a str or a path")
    if source == "procedural":
        return Objects(draw_objects(size).copy(), tuple(OBJECTS))
    if source == "random":
        images = np.full((len(OBJECTS), size, size, 4), 255, np.uint8)
        images[..., :3] = np.random.default_rng(random_state).integers(0, 256, images[..., :3].shape, np.uint8)
        return Objects(images, tuple(f"pattern {i:02d}" for i in range(len(OBJECTS))))
    categories = [entry for entry in _list(source, "foregrounds", "<category>") if entry.is_dir()]
    if not categories:
        raise ValueError(f"source has no category in {Path(source, 'foregrounds')}, expected {_LAYOUT}")
    images = [_read(_images_in(category)[0], "RGBA") for category in categories]
    images = np.stack([_resize(_pad(image), size) for image in images])
    return Objects(images, tuple(category.name for category in categories))


def load_backgrounds(source="procedural", size=32):
    """Load backgrounds.

    Parameters
    ----------
    source : "procedural" or path, default="procedural"
        - "procedural": 867 landscapes drawn in code: mountains, sea, desert, forest and so on, by day and by night.
        - path: a folder in SI-Score's layout, ``backgrounds/*`` (PNG, JPEG or WebP), sorted by file name. Hidden
          files, and files of other kinds, are ignored.
    size : int in [8, 1024], default=32
        Side of the images in pixels.

    Returns
    -------
    backgrounds : ndarray of shape (n_backgrounds, size, size, 3), uint8

    Raises
    ------
    TypeError
        If `size` is not an int, or `source` neither a str nor a path.
    ValueError
        If `size` is not in [8, 1024], or a folder does not have the layout or has no image.
    FileNotFoundError
        If there is no such folder.
    OSError
        If an image file cannot be read.

    Notes
    -----
    Files are cropped to a square from the top left, then resized bilinearly with antialiasing, as in the paper. Its
    photographs are read with ``load_backgrounds("data/sets/transforms2d")``, once ``data/fetch.py transforms2d`` has
    brought them. Its random backgrounds, where every pixel is uniform, are not here: they are drawn afresh for each
    sample.

    Examples
    --------
    >>> load_backgrounds(size=16).shape
    (867, 16, 16, 3)
    """
    size = _check_int("size", size, 8, 1024)
    if not isinstance(source, str | PathLike):
        raise TypeError(f"source has type {type(source).__name__}, expected a str or a path")
    if source == "procedural":
        return draw_backgrounds(size).copy()
    _list(source, "backgrounds", "<name>")
    backgrounds = []
    for path in _images_in(Path(source, "backgrounds")):
        image = _read(path, "RGB")
        side = min(image.size)
        backgrounds.append(_resize(image.crop((0, 0, side, side)), size))
    return np.stack(backgrounds)


def _check_int(name, value, low, high=None):
    rule = f"an int in [{low}, {high}]" if high is not None else f"an int of at least {low}"
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, expected {rule}")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{name} is {value}, expected {rule}")
    return int(value)


def _list(source, folder, entry):
    """List what is in a folder of the source, sorted by name, without hidden entries."""
    root = Path(source)
    if not root.is_dir():
        raise FileNotFoundError(
            f'source is {fspath(source)!r}, expected "procedural"'
            f"{', ' + chr(34) + 'random' + chr(34) if folder == 'foregrounds' else ''} or an existing folder"
        )
    if not (root / folder).is_dir():
        found = ", ".join(sorted(path.name for path in root.iterdir())[:5]) or "nothing"
        raise ValueError(f"source is {fspath(source)!r}, expected {folder}/{entry} in it, found {found}")
    return sorted(path for path in (root / folder).iterdir() if not path.name.startswith("."))


def _images_in(folder):
    paths = [path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file()]
    images = sorted(path for path in paths if path.suffix.lower() in _SUFFIXES)
    if not images:
        found = ", ".join(sorted(path.name for path in paths)[:5]) or "nothing"
        raise ValueError(f"{folder} has no image, expected {', '.join(_SUFFIXES)}, found {found}")
    return images


def _read(path, mode):
    """Read an image file completely and upright, as RGB or RGBA with 8 bits per channel."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)  # some kilobytes may ask for gigabytes
            with Image.open(path) as image:
                if image.mode.startswith(("I", "F")):
                    raise ValueError(f"mode is {image.mode}, expected 8 bits per channel")
                return ImageOps.exif_transpose(image).convert(mode)
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError and others, whatever fits the damage
        raise OSError(f"{path} cannot be read as an image: {error}") from error


def _pad(image):
    """Pad an RGBA image to a square, centred, with transparent pixels; an odd one goes to the right or bottom."""
    side = max(image.size)
    square = Image.new("RGBA", (side, side))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def _resize(image, size):
    # Pillow's bilinear filter widens when it shrinks an image, and weights colours by alpha.
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
