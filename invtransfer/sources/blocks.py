"""Samples drawn in blocks: the abstract source, and the parameters that belong to the indices of samples.

Sample i of a source is a function of ``(random_state, i)`` and nothing else: it depends neither on the number of
samples that are asked for, nor on what was sampled before, nor on threads. Parameters are drawn in blocks of 256
consecutive indices; each block of each stream (objects, backgrounds, every transformation) has a generator of its own.
Two sources with the same `random_state` that differ only in their transformations show the same objects on the same
backgrounds.
"""

import math
from abc import ABC, abstractmethod

import numpy as np

from invtransfer.images.checks import check_count
from invtransfer.randomness import derive_generator
from invtransfer.surroundings import usual_torch
from invtransfer.transformations import get_transformations

BLOCK = 256  # consecutive samples whose parameters are drawn together
LAST = 2**62  # largest index of a sample; int64 ends soon after
MOST_BYTES = 2**40  # size of the images of one call; whoever asks for more has made a mistake
# 64 images of 32 x 32. What is allocated for so few, glibc keeps for the next part; it returns larger pieces to the
# system, and getting them anew doubles the time that resampling takes.
PART_PIXELS = 64 * 32 * 32


class Source(ABC):
    """Samples and twins, made block by block: what all sources share.

    A subclass sets `transformations`, `image_shape`, `dtype` and `random_state`, and defines which images and labels
    belong to consecutive indices. `changes` is what `twins` can change beside the transformations.
    """

    dtype = np.uint8
    changes = ()

    @abstractmethod
    def _fill_block(self, X, indices, transformations, twin):
        """Write the images of consecutive indices inside one block into `X`, (n, height, width, 3)."""

    @abstractmethod
    def _labels_at(self, indices):
        """Return one label per index, inside one block."""

    def sample(self, n, start=0, transformations=None):
        """Make consecutive samples.

        Parameters
        ----------
        n : int
            Number of samples.
        start : int
            Index of the first sample.
        transformations : sequence of str or Transformation
            Applied instead of the source's own; () shows the images as they are. None: the source's own.

        Returns
        -------
        X : ndarray of shape (n, height, width, 3), uint8 (or float32 in [0, 1], if the source has float images)
            Images.
        y : ndarray of shape (n,)
            Their labels.

        Raises
        ------
        TypeError
            If `transformations` is not a list of names or transformations.
        ValueError
            If `n` or `start` is not a whole number in range, the images would take more than 2**40 bytes, or a
            transformation is unknown.
        """
        X = self._fill(n, start, self._chosen(transformations), twin=False)
        return X, np.concatenate([self._labels_at(indices) for indices in _blocks(n, start)])

    def twins(self, n, start=0, transformations=None, *, changed=None):
        """Make pairs of images that differ in one respect only.

        Parameters
        ----------
        n : int
            Number of pairs.
        start : int
            Index of the first pair.
        transformations : sequence of str or Transformation
            Applied, and no others. None: the source's own.
        changed : {None, "object", "image"}
            None: the transformations are drawn twice for each pair, everything else is the same. "object", in sources
            that know objects: another object, uniform among the others, in the same place on the same background.
            "image", in `ObjectsOnImages`: the same object in the same place on another image, uniform among the others.
            For "object" and "image", the transformations are drawn once for each pair.

        Returns
        -------
        X, X_twin : ndarray of shape (n, height, width, 3), with the dtype of samples
            `X` holds the samples, if `transformations` is None.

        Raises
        ------
        TypeError, ValueError
            As for `sample`; ValueError also if `changed` is none of `changes`, what the source can change.

        Examples
        --------
        >>> from invtransfer import ObjectsOnImages, load_objects
        >>> source = ObjectsOnImages(load_objects("procedural"), np.zeros((1, 32, 32, 3), "uint8"), position=(0, 20))
        >>> X, X_twin = source.twins(50, changed="object")
        >>> bool((X != X_twin).any()), bool((X != X_twin)[:, :20].any()), bool((X != X_twin)[:, :, 12:].any())
        (True, False, False)
        """
        chosen = self._chosen(transformations)
        if changed is not None and changed not in self.changes:
            known = "".join(f"{name!r} or " for name in self.changes) + "None"
            raise ValueError(f"changed is {changed!r}, expected {known}{self._explain(changed)}")
        first = self._fill(n, start, chosen, twin=False)
        if changed is None:
            return first, self._fill(n, start, chosen, twin=True)
        return first, self._fill(n, start, chosen, twin=False, changed=changed)

    def _chosen(self, transformations):
        return self.transformations if transformations is None else get_transformations(transformations)

    @usual_torch()
    def _fill(self, n, start, transformations, twin, **options):
        n, start = check_count(n, "n"), check_count(start, "start", low=0, high=LAST)
        n_bytes = n * math.prod(self.image_shape) * np.dtype(self.dtype).itemsize
        if n_bytes > MOST_BYTES:
            raise ValueError(f"n is {n}: that many images take {n_bytes:,} bytes, expected at most {MOST_BYTES:,}")
        X = np.empty((n, *self.image_shape), dtype=self.dtype)
        for indices in _blocks(n, start):
            first = indices[0] - start
            self._fill_block(X[first : first + len(indices)], indices, transformations, twin, **options)
        return X

    def _integers(self, stream, indices, high):
        """Draw a whole number below `high` per index, inside one block; a row of numbers if `high` is a list."""
        drawn = self._block_generator(stream, indices).integers(high, size=(BLOCK, *np.shape(high)))
        return drawn[indices % BLOCK]

    def _block_generator(self, stream, indices):
        """Return the generator of a stream for the block that the indices are in."""
        return derive_generator(self.random_state, stream, indices[0] // BLOCK)

    def _explain(self, changed):
        """Return the end of a sentence that says why `twins` cannot change something."""
        return ": the source knows no objects" if changed == "object" else ""

    def _others(self, numbers, n, indices, stream):
        """Draw for each of `numbers` another number below `n`."""
        return (numbers + 1 + self._integers(stream, indices, n - 1)) % n

    def _format_draws(self):
        names = ", ".join(t.name for t in self.transformations) or "no transformations"
        return f"{names}, random_state={self.random_state}"


def draw_in_parts(transformations, indices, image_shape, random_state, twin=False, n_pixels=PART_PIXELS):
    """Draw the parameters of samples, and cut them into parts, which by default stay in a processor's cache.

    Parameters
    ----------
    transformations : sequence of Transformation
        In the order of application.
    indices, image_shape, random_state, twin
        As for `draw_rows`.
    n_pixels : int
        Largest number of pixels of a part of several images.

    Yields
    ------
    rows : slice
        The samples of the part: positions in `indices`.
    parameters : list of dict of str to ndarray
        Their parameters, as `apply_transformations` takes them.

    Examples
    --------
    >>> [rows for rows, parameters in draw_in_parts([], np.arange(150), (32, 32), random_state=0)]
    [slice(0, 64, None), slice(64, 128, None), slice(128, 192, None)]
    """
    drawn = [draw_rows(t, indices, image_shape, random_state, twin) for t in transformations]
    step = max(1, n_pixels // math.prod(image_shape))
    for start in range(0, len(indices), step):
        rows = slice(start, start + step)
        yield rows, [{name: values[rows] for name, values in one.items()} for one in drawn]


def draw_rows(transformation, indices, image_shape, random_state, twin=False):
    """Draw the parameters of one transformation that belong to the indices of samples.

    Parameters
    ----------
    transformation : Transformation
        Its name is the name of its stream of random numbers.
    indices : ndarray of shape (n,), int64
        Indices in any order; each block of 256 indices that occurs is drawn once.
    image_shape : tuple of int
        (height, width).
    random_state : int
        Seed of the source.
    twin : bool
        Whether to draw from the stream of the twins.

    Returns
    -------
    parameters : dict of str to ndarray
        One row per index.

    Raises
    ------
    TypeError, ValueError
        If the transformation's ``draw`` does not return a dict of arrays with a row per image.

    Examples
    --------
    >>> from invtransfer.transformations import TRANSFORMATIONS
    >>> rotate = TRANSFORMATIONS["rotate"]
    >>> first = draw_rows(rotate, np.arange(3), (32, 32), random_state=0)
    >>> again = draw_rows(rotate, np.array([2]), (32, 32), random_state=0)
    >>> bool(first["angle"][2] == again["angle"][0])
    True
    """
    stream = ("twin/" if twin else "transformation/") + transformation.name
    blocks = indices // BLOCK
    parameters = None
    for block in np.unique(blocks):
        drawn = transformation.draw(BLOCK, derive_generator(random_state, stream, block), image_shape)
        _check_drawn(transformation, drawn)
        here = blocks == block
        rows = {name: values[indices[here] % BLOCK] for name, values in drawn.items()}
        if here.all():
            return rows
        if parameters is None:
            parameters = {name: np.empty((len(indices), *v.shape[1:]), v.dtype) for name, v in rows.items()}
        for name, values in rows.items():
            parameters[name][here] = values
    return parameters


def _check_drawn(transformation, drawn):
    """Raise an error unless parameters were drawn as a transformation's docstring says."""
    made = f"draw of the transformation {transformation.name!r} returned"
    if not isinstance(drawn, dict):
        raise TypeError(f"{made} an object of type {type(drawn).__name__}, expected a dict of arrays")
    for name, values in drawn.items():
        if np.shape(values)[:1] != (BLOCK,):
            raise ValueError(
                f"{made} {name!r} of shape {np.shape(values)}, expected {BLOCK} as the first dimension: a row for each"
                " image that is asked for"
            )
        if not isinstance(values, np.ndarray):
            raise TypeError(f"{made} {name!r} of type {type(values).__name__}, expected an array of NumPy's")


def _blocks(n, start):
    """Yield the consecutive indices from `start` on, cut where a block ends."""
    n, start = check_count(n, "n"), check_count(start, "start", low=0, high=LAST)  # as ints, which do not overflow
    stop = start + n
    while start < stop:
        end = min(stop, (start // BLOCK + 1) * BLOCK)
        yield np.arange(start, end)
        start = end
