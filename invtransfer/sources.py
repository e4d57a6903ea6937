"""Where images come from: index-addressable sources of transformed images and their twins.

Sample i of a source is a function of ``(random_state, i)`` and nothing else: neither of the number of samples asked
for, nor of what was sampled before, nor of threads. Parameters are drawn in blocks of 256 consecutive indices, each
block and each stream (objects, backgrounds, every transformation) with a generator of its own. Two sources with one
`random_state` that differ in their transformations alone show the same objects on the same backgrounds.
"""

from abc import ABC, abstractmethod

import numpy as np
import torch
from PIL import Image

from invtransfer.images import check_count, check_images, check_labels
from invtransfer.objects import Objects, load_backgrounds
from invtransfer.randomness import derive_generator
from invtransfer.transformations import CPU_BLOCK_PIXELS, apply_transformations, get_transformations

BLOCK = 256  # consecutive samples whose parameters are drawn together
OBJECT_SIDE = 0.7  # of the image's side, before any transformation (Speicher et al. 2024, Appendix A)


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
        ValueError
            If `n` or `start` is no number of samples, or a transformation is unknown.
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
        ValueError
            If `n` or `start` is no number of samples, or a transformation is unknown.
        """
        chosen = self._chosen(transformations)
        return self._fill(n, start, chosen, twin=False), self._fill(n, start, chosen, twin=True)

    def _chosen(self, transformations):
        return self.transformations if transformations is None else get_transformations(transformations)

    def _fill(self, n, start, transformations, twin):
        X = np.empty((check_count(n, "n"), *self.image_shape), dtype=self.dtype)
        for indices in _blocks(n, start):
            first = indices[0] - start
            self._fill_block(X[first : first + len(indices)], indices, transformations, twin)
        return X


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
        if not isinstance(objects, Objects):
            raise TypeError(f"objects is of type {type(objects).__name__}, expected Objects, as load_objects returns")
        if not len(objects):
            raise ValueError("objects is empty, expected at least one object")
        size = check_count(image_size, "image_size", low=2, high=4096)
        self.class_names = objects.names
        self.transformations = get_transformations(transformations)
        self.random_state = check_count(random_state, "random_state", low=0)
        self.image_shape = (size, size, 3)
        self._objects = torch.from_numpy(place_objects(objects.images, size))
        self._backgrounds = _prepare_backgrounds(backgrounds, size)

    def __repr__(self):
        """Name what is shown and how it varies."""
        names = ", ".join(t.name for t in self.transformations) or "no transformations"
        return f"Transforms2D({len(self.class_names)} objects, {names}, random_state={self.random_state})"

    def _object_numbers(self, indices):
        generator = derive_generator(self.random_state, "objects", indices[0] // BLOCK)
        return generator.integers(len(self._objects), size=BLOCK)[indices % BLOCK]

    def _backgrounds_at(self, indices):
        generator = derive_generator(self.random_state, "backgrounds", indices[0] // BLOCK)
        if self._backgrounds is None:
            shape = (BLOCK, 3, *self.image_shape[:2])
            return generator.integers(256, size=shape, dtype=np.uint8)[indices % BLOCK]
        return self._backgrounds[generator.integers(len(self._backgrounds), size=BLOCK)[indices % BLOCK]]

    def _fill_block(self, X, indices, transformations, twin):
        numbers = torch.from_numpy(self._object_numbers(indices))
        backgrounds = self._backgrounds_at(indices)
        shape = self.image_shape[:2]
        drawn = [draw_rows(t, indices, shape, self.random_state, twin) for t in transformations]
        for rows in cache_sized(len(indices), shape):
            objects = self._objects.index_select(0, numbers[rows])
            parameters = [{name: values[rows] for name, values in one.items()} for one in drawn]
            paste(apply_transformations(objects, transformations, parameters), backgrounds[rows], out=X[rows])

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
    tensor = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float() / scale
    transformed = transform(tensor, transformations, indices, random_state, twin) * scale
    out = np.empty_like(images)
    _write_pixels(transformed.round_() if scale == 255 else transformed, out)
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


def place_objects(images, size):
    """Scale objects to 0.7 of the image's side and centre them.

    Parameters
    ----------
    images : ndarray of shape (n_objects, side, side, 4), uint8
        RGBA.
    size : int
        Side of the images to paste them in, in pixels.

    Returns
    -------
    placed : ndarray of shape (n_objects, 4, size, size), float32 in [0, 1]
        Transparent around the objects.
    """
    side = max(1, round(OBJECT_SIDE * size))
    first = (size - side) // 2
    placed = np.zeros((len(images), 4, size, size), dtype=np.float32)
    resized = _resize(images, side).transpose(0, 3, 1, 2)
    placed[:, :, first : first + side, first : first + side] = resized / np.float32(255)
    return placed


def paste(objects, backgrounds, out=None):
    """Paste objects on backgrounds.

    Parameters
    ----------
    objects : torch.Tensor of shape (n, 4, height, width), float32 in [0, 1]
        With straight alpha.
    backgrounds : ndarray of shape (n, 3, height, width), uint8
        What shows where the alpha is below 1.
    out : ndarray of shape (n, height, width, 3), uint8
        Where the images go; None: into a new array.

    Returns
    -------
    images : ndarray of shape (n, height, width, 3), uint8
    """
    if out is None:
        out = np.empty((*backgrounds.shape[:1], *backgrounds.shape[2:], 3), dtype=np.uint8)
    mixed = torch.from_numpy(backgrounds).float().lerp_(objects[:, :3] * 255, objects[:, 3:])
    _write_pixels(mixed.round_(), out)
    return out


def _write_pixels(images, out):
    """Write images (n, 3, height, width) into an array (n, height, width, 3), channel by channel: the fastest way."""
    pixels = images.numpy().astype(out.dtype, copy=False)
    for channel in range(3):
        out[..., channel] = pixels[:, channel]


def _prepare_backgrounds(backgrounds, size):
    """Return backgrounds (n_backgrounds, 3, size, size), or None for random ones."""
    if backgrounds is None:
        backgrounds = load_backgrounds("procedural", size=max(size, 8))
    if isinstance(backgrounds, str):
        if backgrounds != "random":
            raise ValueError(
                f"backgrounds is {backgrounds!r}, expected images (see load_backgrounds), 'random' or None"
            )
        return None
    backgrounds = check_images(backgrounds, "backgrounds")
    if backgrounds.dtype != np.uint8:
        backgrounds = np.round(backgrounds * 255).astype(np.uint8)
    return np.ascontiguousarray(_resize(backgrounds, size).transpose(0, 3, 1, 2))


def _resize(images, size):
    """Resize uint8 images to squares, bilinearly, antialiased, with premultiplied alpha."""
    if images.shape[1:3] == (size, size):
        return images
    resized = [Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR) for image in images]
    return np.stack([np.asarray(image) for image in resized])


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
    stop = check_count(start, "start", low=0) + n
    while start < stop:
        end = min(stop, (start // BLOCK + 1) * BLOCK)
        yield np.arange(start, end)
        start = end
