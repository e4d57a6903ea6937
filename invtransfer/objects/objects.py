"""Objects: images of things with transparent surroundings, one per class, and how to select some of them."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from invtransfer.images.files import to_normal_form


@dataclass(frozen=True, eq=False, repr=False)
class Objects:
    """Images of things with transparent surroundings, one per class, and their names.

    Parameters
    ----------
    images : ndarray of shape (n_objects, size, size, 4), uint8
        Red, green, blue and alpha; colours are not multiplied by alpha ("straight" alpha).
    names : tuple of str, length n_objects
        What the images show; each name occurs once.

    Raises
    ------
    TypeError
        If `images` is not an array, or `names` is not a sequence of strings.
    ValueError
        If `images` has another dtype or shape or is empty, or if `names` has another length or holds a name twice.

    Notes
    -----
    ``objects[key]`` is an `Objects` too, even if it holds only one. The key is a slice, an int, a name, a sequence or
    array of ints or of names, or a boolean mask with one entry per object.

    Examples
    --------
    >>> from invtransfer import load_objects
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
        sequence = sequence and getattr(self.names, "ndim", 1) > 0  # arrays of one value look iterable
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
            If no object has the name; the message suggests the nearest one.
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
        except (RuntimeError, TypeError, ValueError) as error:  # of torch, or of lists of several lengths
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
        typed, there = to_normal_form(str(name)), [to_normal_form(one) for one in self.names]
        if typed in there:
            return there.index(typed)
        nearest = difflib.get_close_matches(str(name), self.names, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"expected one of {', '.join(self.names)}"
        raise KeyError(f"no object has the name {str(name)!r}; {hint}")
