"""Images that are read as they are needed: the class ImageCollection."""

import copy
import math
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral
from os import PathLike

import numpy as np

from invtransfer.images.conversion import to_image
from invtransfer.images.files import SKIP, naming, read_picture

N_THREADS = 4  # each holds one decoded file, of up to some hundred megabytes
# The images that were read last are kept up to this size: a measurement asks some forty times for each of a block.
KEPT_BYTES = 2**28


class ImageCollection:
    """Images that are read as they are needed, and taken wherever an array of images is: what `load_images` returns.

    It is indexed as an array is: ``images[3]`` is one image, ``images[:100]`` an array of a hundred, which are read
    then; ``np.asarray(images)`` reads all. The last 256 MiB of images that were read are kept. Whatever indexes with
    many rows, as scikit-learn does in a cross-validation, reads these images into memory; `subset` does not.

    Parameters
    ----------
    pictures : sequence
        What `load_images` found: paths of files, or anything indexable whose entries `load_images` describes.
    size : int or None
        Side of the images in pixels, as for `load_images`. None: all have the size of the first.
    labels : array-like of shape (n_images,), function without arguments that returns it, or None
        Labels of the pictures.
    class_names : sequence of str or None
        Names of the classes.
    in_threads : bool
        Whether several pictures are read at once; code of other people's may not bear it.
    keep : bool
        Whether to keep images that were read. Pictures that are arrays in memory are at hand anyway.

    Attributes
    ----------
    shape : tuple of int
        (n_images, height, width, 3).
    dtype : numpy.dtype
        uint8, or float32 for images in [0, 1].
    class_names : tuple of str or None
        Names of the classes.

    Raises
    ------
    ValueError
        If there is no picture, or the first cannot be read. Each is checked when it is read: one that is damaged, or
        of another size or type than the first, is an error that names it.
    OSError
        If the first is a file that cannot be read.

    Examples
    --------
    >>> images = ImageCollection([np.zeros((40, 60, 3), "uint8"), np.zeros((50, 50), "uint8")], size=32)
    >>> images.shape, images[:1].shape, images[1].shape
    ((2, 32, 32, 3), (1, 32, 32, 3), (32, 32, 3))
    """

    def __init__(self, pictures, size=None, labels=None, class_names=None, *, in_threads=True, keep=True):
        if not len(pictures):
            raise ValueError("data holds no image, expected at least one")
        self._pictures, self._size, self._labels = pictures, size, labels
        self._in_threads, self._keep, self._kept = in_threads, keep, OrderedDict()
        self._rows = np.arange(len(pictures))
        self.class_names = None if class_names is None else tuple(class_names)
        first = self._read_one(0)
        self.dtype, self.shape = first.dtype, (len(pictures), *first.shape)

    ndim = 4

    @property
    def first_size(self):
        """Height and width in pixels of the first picture, before it was brought to one size with the others."""
        return self._read_one(self._rows[0], as_it_is=True).shape[:2]

    @property
    def labels(self):
        """Labels, an array of shape (n_images,), or None if there are none; data sets may have to be read for them."""
        if callable(self._labels):
            self._labels = self._labels()
        return None if self._labels is None else np.asarray(self._labels)[self._rows]

    @property
    def files(self):
        """Paths of the pictures, a list, if they are image files; else None."""
        if not _is_path(self._pictures, 0):
            return None
        return [self._pictures[i] for i in self._rows]

    def subset(self, rows):
        """Choose some of the images; none is read.

        Parameters
        ----------
        rows : slice, array-like of int or of bool
            Which images, as an index of an array.

        Returns
        -------
        images : ImageCollection
            These images and their labels. What one of the two keeps, both keep.

        Raises
        ------
        IndexError
            If `rows` is none of these, or out of range.
        ValueError
            If no image is left.

        Examples
        --------
        >>> images = ImageCollection(np.zeros((5, 8, 8, 3), "uint8"), labels=list("abcde"))
        >>> images.subset([3, 1]).labels.tolist()
        ['d', 'b']
        """
        chosen = np.atleast_1d(self._numbers(rows))
        if not len(chosen):
            raise ValueError(f"rows is {rows!r}, which leaves no image")
        part = copy.copy(self)
        part._rows, part._kept, part.shape = self._rows[chosen], self._kept, (len(chosen), *self.shape[1:])
        return part

    def __len__(self):
        return self.shape[0]

    def __repr__(self):
        """Show number, size and dtype of the images, and the number of classes."""
        n, height, width, _ = self.shape
        classes = "" if self.class_names is None else f", {len(self.class_names)} classes"
        return f"ImageCollection({n} images of {height} x {width}, {self.dtype}{classes})"

    def __getitem__(self, key):
        """Read images: one for an int, an array for a slice or several indices; further indices as for an array."""
        rows, *rest = key if isinstance(key, tuple) and len(key) else (key,)
        simple = all(one is Ellipsis or isinstance(one, (slice, Integral)) for one in rest)
        if (rows is Ellipsis and rest) or rows is None or isinstance(rows, tuple) or not simple:
            raise IndexError(
                f"images cannot be indexed by {key!r}: which images come first, as an int, a slice or several numbers,"
                " and then ints or slices; np.asarray(images) is an array"
            )
        numbers = self._numbers(rows)
        if numbers.ndim == 0:
            return self._read(numbers[None])[0][tuple(rest)]
        return self._read(numbers)[(slice(None), *rest)]

    def __iter__(self):
        """Read one image after the other."""
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype=None, copy=None):
        """Read all images."""
        if copy is False:
            raise ValueError("the images are not in memory, so they cannot be had without a copy")
        X = self._read(np.arange(len(self)))
        return X if dtype is None else X.astype(dtype, copy=False)

    def __getstate__(self):
        """Leave out the images that are kept, which can be read again."""
        return vars(self) | {"_kept": OrderedDict()}

    def _numbers(self, rows):
        try:
            numbers = np.arange(len(self))[rows]
        except Exception as error:  # NumPy and others raise what they like
            raise IndexError(f"rows is {rows!r}, expected indices of {len(self)} images: {error}") from error
        if numbers.ndim > 1:
            raise IndexError(f"rows is {rows!r}, expected indices in one dimension")
        return numbers

    def _read(self, numbers):
        """Return the images of these numbers, (n, height, width, 3); each is read once, however often it is there."""
        X = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        wanted, first, inverse = np.unique(self._rows[numbers], return_index=True, return_inverse=True)
        found = {i: self._kept.get(i) for i in wanted.tolist()}  # once: another thread may drop them
        missing = [(place, i) for place, i in zip(first, found, strict=True) if found[i] is None]
        for place, image in zip(first, found.values(), strict=True):
            if image is not None:
                X[place] = image
        room = KEPT_BYTES // math.prod(self.shape[1:]) // self.dtype.itemsize if self._keep else 0
        for (place, i), image in zip(missing, self._read_each([i for _, i in missing]), strict=True):
            X[place] = image
            if room:
                self._kept[i] = X[place].copy()
                if len(self._kept) > room:
                    self._kept.popitem(last=False)  # the oldest
        if len(wanted) < len(numbers):
            X[:] = X[first[inverse]]
        return X

    def _read_each(self, missing):
        """Yield the pictures of these numbers as images."""
        if not self._in_threads or len(missing) < 2:
            yield from map(self._read_checked, missing)
            return
        with ThreadPoolExecutor(min(N_THREADS, len(missing))) as pool:
            yield from pool.map(self._read_checked, missing)

    def _read_checked(self, i):
        image = self._read_one(i)
        for kind, found, expected in (
            ("size", "{} x {}".format(*image.shape[:2]), "{} x {}".format(*self.shape[1:3])),
            ("dtype", image.dtype, self.dtype),
        ):
            if found != expected:
                hint = ": load_images(data, size=224) brings all to one" if kind == "size" else ""
                raise ValueError(f"{self._name(i)} has {kind} {found}, expected {expected}, as {self._name(0)}{hint}")
        return image

    def _read_one(self, i, as_it_is=False):
        size = None if as_it_is else self._size
        if _is_path(self._pictures, i):
            return to_image(read_picture(self._pictures[i], advice=SKIP), size)
        with naming(self._name(i), ValueError):
            return to_image(self._pictures[i], size)

    def _name(self, i):
        return str(self._pictures[i]) if _is_path(self._pictures, i) else f"data[{i}]"


def _is_path(pictures, i):
    """Tell whether a picture is a file; what is no list is not asked, since asking may be reading."""
    return isinstance(pictures, (list, tuple)) and isinstance(pictures[i], (str, PathLike))
