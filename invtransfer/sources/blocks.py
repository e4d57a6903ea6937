"""Where images come from: index-addressable sources of transformed images and their twins.

Sample i of a source is a function of ``(random_state, i)`` and nothing else: neither of the number of samples asked
for, nor of what was sampled before, nor of threads. Parameters are drawn in blocks of 256 consecutive indices, each
block and each stream (objects, backgrounds, every transformation) with a generator of its own. Two sources with one
`random_state` that differ in their transformations alone show the same objects on the same backgrounds.
"""

import math
from abc import ABC, abstractmethod
from numbers import Integral, Real

import numpy as np
import torch

from invtransfer.images import check_count, check_images, check_labels
from invtransfer.objects import Objects
from invtransfer.randomness import derive_generator
from invtransfer.sources.pasting import (
    OBJECT_SIDE,
    centred_box,
    paste,
    place_objects,
    prepare_backgrounds,
    shift,
    write_pixels,
)
from invtransfer.transformations import CPU_BLOCK_PIXELS, apply_transformations, get_transformations

BLOCK = 256  # consecutive samples whose parameters are drawn together
LAST = 2**62  # index of a sample: beyond it, int64 ends
MOST_BYTES = 2**40  # of the images of one call; more are asked for by mistake


class Source(ABC):
    """What all sources share: samples and twins, block by block.

    A subclass sets `transformations`, `image_shape`, `dtype` and `random_state`, and says which images and labels
    belong to some consecutive indices.
    """

    dtype = np.uint8

    @abstractmethod
    def _fill_block(self, X, indices, transformations, twin):
        """Write the images of consecutive indices inside one block into `X`, (n, height, width, 3)."""

    @abstractmethod
    def _labels_at(self, indices):
        """Return one label per index, inside one block."""

    def sample(self, n, start=0, transformations=None):
        """Make the samples from `start` on.

        Parameters
        ----------
        n : int
            Number of samples.
        start : int
            Index of the first.
        transformations : sequence of str or Transformation
            Applied instead of the source's own; () shows the images as they are. None: the source's own.

        Returns
        -------
        X : ndarray of shape (n, height, width, 3), uint8 (or float32 in [0, 1], if made of float images)
            Images.
        y : ndarray of shape (n,)
            Their labels.

        Raises
        ------
        TypeError
            If `transformations` is no list of names or transformations.
        ValueError
            If `n` or `start` is no number of samples, so many images have more than 2**40 bytes, or a transformation is
            unknown.
        """
        X = self._fill(n, start, self._chosen(transformations), twin=False)
        return X, np.concatenate([self._labels_at(indices) for indices in _blocks(n, start)])

    def twins(self, n, start=0, transformations=None):
        """Make pairs of images that differ only in how they are transformed.

        Parameters
        ----------
        n : int
            Number of pairs.
        start : int
            Index of the first.
        transformations : sequence of str or Transformation
            Drawn twice for each pair; None: the source's own. Nothing else is applied.

        Returns
        -------
        X, X_twin : ndarray of shape (n, height, width, 3), of the dtype of samples
            The same images, but for the transformations.

        Raises
        ------
        TypeError
            If `transformations` is no list of names or transformations.
        ValueError
            If `n` or `start` is no number of samples, so many images have more than 2**40 bytes, or a transformation is
            unknown.
        """
        chosen = self._chosen(transformations)
        return self._fill(n, start, chosen, twin=False), self._fill(n, start, chosen, twin=True)

    def _chosen(self, transformations):
        return self.transformations if transformations is None else get_transformations(transformations)

    def _fill(self, n, start, transformations, twin, **options):
        n_bytes = check_count(n, "n") * math.prod(self.image_shape) * np.dtype(self.dtype).itemsize
        if n_bytes > MOST_BYTES:
            raise ValueError(f"n is {n}: so many images have {n_bytes:,} bytes, expected at most {MOST_BYTES:,}")
        X = np.empty((n, *self.image_shape), dtype=self.dtype)
        for indices in _blocks(n, start):
            first = indices[0] - start
            self._fill_block(X[first : first + len(indices)], indices, transformations, twin, **options)
        return X

    def _integers(self, stream, indices, high):
        """Draw one whole number below `high` per index, inside one block; a row of them if there are several `high`."""
        generator = derive_generator(self.random_state, stream, indices[0] // BLOCK)
        return generator.integers(high, size=(BLOCK, *np.shape(high)))[indices % BLOCK]


class Transforms2D(Source):
    """Objects, transformed, on backgrounds: the paper's family of data sets.

    Parameters
    ----------
    objects : Objects
        One class each, see `load_objects`.
    transformations : sequence of str or Transformation
        Names among the 18, or transformations of one's own, applied to the object in this order, before it is pasted.
    backgrounds : ndarray of shape (n_backgrounds, height, width, 3), uint8, "random" or None
        Chosen uniformly; "random" is a fresh pattern of uniform pixels for each image; None is
        ``load_backgrounds("procedural")``.
    image_size : int
        Side of the images in pixels. Objects and backgrounds are resized to fit.
    random_state : int
        Decides, with its index, all about a sample.

    Attributes
    ----------
    class_names : tuple of str
        Names of the objects; labels are their positions.
    transformations : tuple of Transformation
        Those applied, in order.
    image_shape : tuple of int
        (image_size, image_size, 3).

    Raises
    ------
    TypeError
        If `objects` are none, or `transformations` is no list of names or transformations.
    ValueError
        If a transformation is unknown, a size is out of range, or `backgrounds` are no images.

    Notes
    -----
    Objects are scaled to 0.7 of the image's side and centred before they are transformed, as in the paper. Images are
    always made on the CPU, so that a GPU changes nothing. Other kinds of processor and versions of torch may round a
    few pixels of resampled objects to the next of the 256 levels.

    References
    ----------
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Section 3.3.

    Examples
    --------
    >>> from invtransfer import Transforms2D, load_objects
    >>> source = Transforms2D(load_objects("procedural")[:30], transformations=["rotate", "blur"], random_state=0)
    >>> X, y = source.sample(100)
    >>> X.shape, X.dtype, y.shape
    ((100, 32, 32, 3), dtype('uint8'), (100,))
    >>> bool((source.sample(10, start=90)[0] == X[90:]).all())
    True
    """

    def __init__(self, objects, transformations=(), *, backgrounds=None, image_size=32, random_state=0):
        _check_objects(objects)
        size = check_count(image_size, "image_size", low=2, high=4096)
        self.class_names = objects.names
        self.transformations = get_transformations(transformations)
        self.random_state = check_count(random_state, "random_state", low=0)
        self.image_shape = (size, size, 3)
        self._objects = torch.from_numpy(place_objects(objects.images, size))
        self._backgrounds = prepare_backgrounds(backgrounds, size)

    def __repr__(self):
        """Name what is shown and how it varies."""
        names = ", ".join(t.name for t in self.transformations) or "no transformations"
        return f"Transforms2D({len(self.class_names)} objects, {names}, random_state={self.random_state})"

    def _object_numbers(self, indices):
        return self._integers("objects", indices, len(self._objects))

    def _backgrounds_at(self, indices):
        if self._backgrounds is None:
            generator = derive_generator(self.random_state, "backgrounds", indices[0] // BLOCK)
            shape = (BLOCK, 3, *self.image_shape[:2])
            return generator.integers(256, size=shape, dtype=np.uint8)[indices % BLOCK]
        return self._backgrounds[self._integers("backgrounds", indices, len(self._backgrounds))]

    def _fill_block(self, X, indices, transformations, twin):
        numbers = torch.from_numpy(self._object_numbers(indices))
        backgrounds = self._backgrounds_at(indices)
        shape = self.image_shape[:2]
        drawn = [draw_rows(t, indices, shape, self.random_state, twin) for t in transformations]
        for rows in cache_sized(len(indices), shape):
            objects = self._objects.index_select(0, numbers[rows])
            objects = apply_transformations(objects, transformations, _take(drawn, rows))
            paste(objects, backgrounds[rows], out=X[rows])

    _labels_at = _object_numbers


class TransformedImages(Source):
    """Whole images, such as CIFAR's, transformed.

    Parameters
    ----------
    images : array-like of shape (n_images, height, width, 3), uint8 or float in [0, 1]
        Sample i shows image i modulo `n_images`: a second round shows the same images in new draws.
    labels : array-like of shape (n_images,)
        Of the images; None: all samples are labelled with the number of their image.
    transformations : sequence of str or Transformation
        Names among the 18, or transformations of one's own, applied in this order.
    random_state : int
        Decides, with its index, all about a sample.

    Attributes
    ----------
    transformations : tuple of Transformation
        Those applied, in order.
    image_shape : tuple of int
        (height, width, 3).
    n_images : int
        Number of different images.

    Raises
    ------
    TypeError
        If `transformations` is no list of names or transformations.
    ValueError
        If images or labels are not as described, or a transformation is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> images = np.random.default_rng(0).integers(256, size=(20, 32, 32, 3), dtype="uint8")
    >>> source = TransformedImages(images, transformations=["h_flip"], random_state=0)
    >>> X, X_twin = source.twins(20)
    >>> X.shape
    (20, 32, 32, 3)
    """

    def __init__(self, images, labels=None, transformations=(), *, random_state=0):
        self._images = check_images(images, "images")
        self.dtype = self._images.dtype
        self.n_images = len(self._images)
        n_images = len(self._images)
        self._labels = np.arange(n_images) if labels is None else check_labels(labels, n_images, "labels")
        self.transformations = get_transformations(transformations)
        self.random_state = check_count(random_state, "random_state", low=0)
        self.image_shape = self._images.shape[1:]

    def __repr__(self):
        """Name what is shown and how it varies."""
        names = ", ".join(t.name for t in self.transformations) or "no transformations"
        return f"TransformedImages({len(self._images)} images, {names}, random_state={self.random_state})"

    def _fill_block(self, X, indices, transformations, twin):
        images = self._images[indices % len(self._images)]
        X[:] = transform_whole(images, transformations, indices, self.random_state, twin)

    def _labels_at(self, indices):
        return self._labels[indices % len(self._labels)]


class ObjectsOnImages(Source):
    """Small objects pasted on labelled images: the paper's CIFAR-10 + Transforms-2D.

    Parameters
    ----------
    objects : Objects
        One class each, see `load_objects`.
    images : array-like of shape (n_images, height, width, 3), uint8 or float in [0, 1]
        Sample i shows image i modulo n_images: a second round shows the same images with other objects.
    labels : array-like of shape (n_images,)
        Of the images; None: the number of the image.
    transformations : sequence of str or Transformation
        Names among the 18, or transformations of one's own, applied to the object in this order, in the middle of the
        image, before it is shifted to its position.
    label : {"image", "object"}
        What samples are labelled with: the label of the image, or the number of the object.
    position : "random" or tuple of int
        Top-left corner of the object's box. "random": uniform over all that keep the box inside the image; (x, y), in
        pixels: always there, and what reaches over the edge is cut.
    correlation : float in [0, 1]
        Probability that the object is the one that belongs to the image's label: object k to the k-th label in sorted
        order. Else it is drawn uniformly from all.
    availability : float in [0, 1]
        Probability that there is an object at all.
    scale : float in (0, 1]
        Side of the object, as a fraction of that in `Transforms2D`, which is 0.7 of the image's smaller side.
    random_state : int
        Decides, with its index, all about a sample.

    Attributes
    ----------
    class_names : tuple of str
        Names of the objects.
    transformations : tuple of Transformation
        Those applied, in order.
    image_shape : tuple of int
        (height, width, 3).

    Raises
    ------
    TypeError
        If `objects` are none, or `transformations` is no list of names or transformations.
    ValueError
        If images, labels or another argument are not as described, a transformation is unknown, `correlation` is above
        0 and there are fewer objects than labels, or `availability` is below 1 and samples are labelled by object.

    Notes
    -----
    At 32 x 32 pixels the default `scale` gives a box of 12 x 12. The paper's fixed position, (21, 2), cuts one column
    of it, so that 11 columns are seen.

    With one `random_state`, sources that differ only in `label`, `position`, `correlation` or `availability` share all
    else that is drawn. Images that have an object at a low availability have the same one at a higher.

    References
    ----------
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Section 4.2 and
    Appendices A.2 and C.3.

    Examples
    --------
    >>> from invtransfer import ObjectsOnImages, load_objects
    >>> images = np.random.default_rng(0).integers(256, size=(20, 32, 32, 3), dtype="uint8")
    >>> source = ObjectsOnImages(load_objects("procedural")[:10], images, label="object", position=(21, 2))
    >>> X, y = source.sample(20)
    >>> changed = (X != images).any(axis=(0, 3))  # rows and columns, of any of the images
    >>> [int(np.flatnonzero(changed.any(axis=axis)).min()) for axis in (0, 1)]
    [21, 2]
    """

    def __init__(
        self,
        objects,
        images,
        labels=None,
        transformations=(),
        *,
        label="image",
        position="random",
        correlation=0.0,
        availability=1.0,
        scale=0.55,
        random_state=0,
    ):
        _check_objects(objects)
        self._images = check_images(images, "images")
        n_images, height, width, _ = self._images.shape
        self._labels = np.arange(n_images) if labels is None else check_labels(labels, n_images, "labels")
        self.dtype = self._images.dtype
        self.class_names = objects.names
        self.transformations = get_transformations(transformations)
        self.image_shape = (height, width, 3)
        self.random_state = check_count(random_state, "random_state", low=0)
        if label not in ("image", "object"):
            raise ValueError(f"label is {label!r}, expected 'image' or 'object'")
        self._label = label
        self._position = _check_position(position, height, width)
        self._correlation = _check_probability(correlation, "correlation")
        self._availability = _check_probability(availability, "availability")
        if label == "object" and self._availability < 1:
            raise ValueError(f"availability is {availability!r}, expected 1 with label 'object': no object, no label")
        distinct, self._belonging = np.unique(self._labels, return_inverse=True)
        if self._correlation > 0 and len(objects) < len(distinct):
            raise ValueError(
                f"correlation is {correlation!r}, expected 0 with {len(objects)} objects: one belongs to each of the"
                f" {len(distinct)} labels"
            )
        if not _is_number(scale) or not 0 < scale <= 1:
            raise ValueError(f"scale is {scale!r}, expected a number above 0 and up to 1")
        side = OBJECT_SIDE * scale
        self._box = centred_box((height, width), side)
        self._objects = torch.from_numpy(place_objects(objects.images, (height, width), side))

    def __repr__(self):
        """Name what is shown and how it varies."""
        names = ", ".join(t.name for t in self.transformations) or "no transformations"
        counts = f"{len(self.class_names)} objects, {len(self._images)} images"
        return f"ObjectsOnImages({counts}, label={self._label!r}, {names}, random_state={self.random_state})"

    def twins(self, n, start=0, transformations=None, *, changed=None):
        """Make pairs of images that differ in one thing only.

        Parameters
        ----------
        n : int
            Number of pairs.
        start : int
            Index of the first.
        transformations : sequence of str or Transformation
            Of the objects; None: the source's own. Nothing else is applied.
        changed : {None, "object", "image"}
            None: the transformations are drawn twice for each pair, all else is the same. "object": another object,
            uniform among the others, in the same place on the same image. "image": the same object in the same place
            on another image, uniform among the others. With both, the transformations are drawn once for each pair.

        Returns
        -------
        X, X_twin : ndarray of shape (n, height, width, 3), of the dtype of samples
            The first are the samples, if `transformations` is None.

        Raises
        ------
        TypeError
            If `transformations` is no list of names or transformations.
        ValueError
            If `n` or `start` is no number of samples, so many images have more than 2**40 bytes, a transformation is
            unknown, `changed` is another word, there is no other object or image, or images without objects should
            change theirs.

        Examples
        --------
        >>> from invtransfer import ObjectsOnImages, load_objects
        >>> source = ObjectsOnImages(load_objects("procedural"), np.zeros((1, 32, 32, 3), "uint8"), position=(0, 20))
        >>> X, X_twin = source.twins(50, changed="object")
        >>> bool((X != X_twin).any()), bool((X != X_twin)[:, :20].any()), bool((X != X_twin)[:, :, 12:].any())
        (True, False, False)
        """
        if changed is None:
            return super().twins(n, start, transformations)
        if changed not in ("object", "image"):
            raise ValueError(f"changed is {changed!r}, expected 'object', 'image' or None")
        if changed == "object" and self._availability < 1:
            raise ValueError(
                f"changed is 'object', expected 'image' or None with availability {self._availability}: images without"
                " objects have none to change"
            )
        if len(self._objects if changed == "object" else self._images) < 2:
            raise ValueError(f"changed is {changed!r}, expected at least 2 {changed}s to choose from: there is one")
        chosen = self._chosen(transformations)
        return self._fill(n, start, chosen, twin=False), self._fill(n, start, chosen, twin=False, changed=changed)

    def _object_numbers(self, indices):
        numbers = self._integers("objects", indices, len(self._objects))
        belonging = self._belonging[indices % len(self._images)]
        return np.where(self._uniform("correlation", indices) < self._correlation, belonging, numbers)

    def _positions(self, indices):
        """Return the top-left corners (x, y) of the boxes, (n, 2)."""
        if self._position != "random":
            return np.tile(self._position, (len(indices), 1))
        (height, width), side = self.image_shape[:2], self._box[2]
        return self._integers("positions", indices, [width - side + 1, height - side + 1])

    def _uniform(self, stream, indices):
        """Draw one number in [0, 1) per index, inside one block."""
        generator = derive_generator(self.random_state, stream, indices[0] // BLOCK)
        return generator.random(BLOCK)[indices % BLOCK]

    def _others(self, numbers, n, indices, stream):
        """Draw a number below `n` for each of `numbers`, which is another."""
        return (numbers + 1 + self._integers(stream, indices, n - 1)) % n

    def _fill_block(self, X, indices, transformations, twin, changed=None):
        shown, numbers = indices % len(self._images), self._object_numbers(indices)
        if changed == "image":
            shown = self._others(shown, len(self._images), indices, "other images")
        if changed == "object":
            numbers = self._others(numbers, len(self._objects), indices, "other objects")
        X[:] = self._images[shown]
        pasted = np.flatnonzero(self._uniform("availability", indices) < self._availability)
        if not len(pasted):
            return
        shape, offsets = self.image_shape[:2], self._positions(indices) - self._box[:2]
        drawn = [draw_rows(t, indices, shape, self.random_state, twin) for t in transformations]
        for part in cache_sized(len(pasted), shape):
            rows = pasted[part]
            objects = self._objects[numbers[rows]]
            objects = apply_transformations(objects, transformations, _take(drawn, rows))
            X[rows] = paste(shift(objects, offsets[rows]), np.ascontiguousarray(X[rows].transpose(0, 3, 1, 2)))

    def _labels_at(self, indices):
        return self._labels[indices % len(self._labels)] if self._label == "image" else self._object_numbers(indices)


def transform(images, transformations, indices, random_state, twin=False):
    """Transform images with the parameters that belong to their indices.

    Parameters
    ----------
    images : torch.Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
        Whole images or objects with alpha.
    transformations : sequence of Transformation
        Applied in order.
    indices : ndarray of shape (n,), int64
        Index of each sample, in any order.
    random_state : int
        Of the source.
    twin : bool
        Draw from the streams of the twins.

    Returns
    -------
    images : torch.Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    """
    shape = tuple(images.shape[2:])
    parameters = [draw_rows(t, indices, shape, random_state, twin) for t in transformations]
    return apply_transformations(images, transformations, parameters)


def transform_whole(images, transformations, indices, random_state, twin=False):
    """Transform whole images, from array to array.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, 3), uint8 or float32 in [0, 1]
        Not changed.
    transformations, indices, random_state, twin
        As for `transform`.

    Returns
    -------
    images : ndarray of shape (n, height, width, 3), of the dtype of `images`
        uint8 is rounded to the nearest level.
    """
    if not len(transformations):
        return images
    scale = 255 if images.dtype == np.uint8 else 1
    channels_first = images.transpose(0, 3, 1, 2).copy()  # always: torch warns of read-only memory
    tensor = torch.from_numpy(channels_first).float() / scale
    transformed = transform(tensor, transformations, indices, random_state, twin) * scale
    out = np.empty_like(images)
    write_pixels(transformed.round_() if scale == 255 else transformed, out)
    return out


def draw_rows(transformation, indices, image_shape, random_state, twin=False):
    """Draw the parameters of one transformation that belong to the indices of some samples.

    Parameters
    ----------
    transformation : Transformation
        Named: its name is its stream of random numbers.
    indices : ndarray of shape (n,), int64
        In any order; each block of 256 indices that occurs is drawn once.
    image_shape : tuple of int
        (height, width).
    random_state : int
        Of the source.
    twin : bool
        Draw from the stream of the twins.

    Returns
    -------
    parameters : dict of str to ndarray
        One row per index.

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
        here = blocks == block
        rows = {name: values[indices[here] % BLOCK] for name, values in drawn.items()}
        if here.all():
            return rows
        if parameters is None:
            parameters = {name: np.empty((len(indices), *v.shape[1:]), v.dtype) for name, v in rows.items()}
        for name, values in rows.items():
            parameters[name][here] = values
    return parameters


def cache_sized(n, image_shape):
    """Cut n images into slices that stay in a processor's cache while they are transformed.

    Parameters
    ----------
    n : int
        Number of images.
    image_shape : tuple of int
        (height, width).

    Returns
    -------
    slices : list of slice

    Examples
    --------
    >>> cache_sized(150, (32, 32))
    [slice(0, 64, None), slice(64, 128, None), slice(128, 150, None)]
    """
    step = max(1, CPU_BLOCK_PIXELS // (image_shape[0] * image_shape[1]))
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def _blocks(n, start):
    """Yield the consecutive indices from `start` on, cut where a block ends."""
    check_count(n, "n")
    stop = check_count(start, "start", low=0, high=LAST) + n
    while start < stop:
        end = min(stop, (start // BLOCK + 1) * BLOCK)
        yield np.arange(start, end)
        start = end


def _take(parameters, rows):
    """Return some rows of the parameters of several transformations."""
    return [{name: values[rows] for name, values in one.items()} for one in parameters]


def _check_objects(objects):
    if not isinstance(objects, Objects):
        raise TypeError(f"objects is of type {type(objects).__name__}, expected Objects, as load_objects returns")
    if not len(objects):
        raise ValueError("objects is empty, expected at least one object")


def _check_position(position, height, width):
    """Return "random", or (x, y) as ints."""
    if isinstance(position, str) and position == "random":
        return position
    whole = isinstance(position, (tuple, list)) and all(isinstance(p, Integral) and _is_number(p) for p in position)
    if not whole or len(position) != 2 or not (0 <= position[0] < width and 0 <= position[1] < height):
        raise ValueError(
            f"position is {position!r}, expected 'random' or (x, y): whole numbers, x from 0 to {width - 1},"
            f" y from 0 to {height - 1}"
        )
    return int(position[0]), int(position[1])


def _check_probability(value, name):
    if not _is_number(value) or not 0 <= value <= 1:
        raise ValueError(f"{name} is {value!r}, expected a number from 0 to 1")
    return float(value)


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
