"""Whole images, such as CIFAR's or a person's own photographs, transformed."""

import numpy as np
import torch

from invtransfer.images.checks import check_count, check_images
from invtransfer.images.labels import check_labels
from invtransfer.sources.blocks import PART_PIXELS, Source, draw_in_parts
from invtransfer.sources.pasting import write_pixels
from invtransfer.surroundings import usual_torch
from invtransfer.transformations import apply_transformations, get_transformations

PART_PIXELS_ON_GPU = 2**22  # 84 images of 224 x 224 at once: some hundred megabytes with what is computed between


class TransformedImages(Source):
    """Whole images, such as CIFAR's, transformed.

    Parameters
    ----------
    images : array-like of shape (n_images, height, width, 3), uint8 or float in [0, 1]
        Sample i shows image i modulo `n_images`: a second round shows the same images in new draws. Those of
        `load_images` are read when they are shown.
    labels : array-like of shape (n_images,)
        Labels of the images. None: each image's label is its number.
    transformations : sequence of str or Transformation
        Names from `TRANSFORMATIONS` or transformations of your own, applied in this order.
    random_state : int
        Seed. It determines each sample, together with the sample's index.

    Attributes
    ----------
    transformations : tuple of Transformation
        The transformations, in the order of application.
    image_shape : tuple of int
        (height, width, 3).
    n_images : int
        Number of different images.
    order : ndarray of shape (n_images,), int64, or None
        Numbers of the images that are shown, in this order; None: all, in theirs.

    Raises
    ------
    TypeError
        If `transformations` is not a list of names or transformations.
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
        images = check_images(images, "images")
        labels = None if labels is None else check_labels(labels, len(images), "labels")
        seed = check_count(random_state, "random_state", low=0)
        self._keep(images, labels, get_transformations(transformations), seed)

    @classmethod
    def from_checked(cls, images, transformations=(), *, random_state, order=None, draws=None, device="cpu"):
        """Make a source from arguments that were checked before; the images are not scanned again.

        Parameters
        ----------
        images : ndarray or ImageCollection of shape (n_images, height, width, 3), uint8 or float32 in [0, 1]
            As `check_images` returns them.
        transformations : tuple of Transformation
            As `get_transformations` returns them.
        random_state : int
            Seed, at least 0.
        order : ndarray of shape (n,), int64, or None
            Numbers of the images that are shown, in this order. None: all, in theirs.
        draws : ndarray of shape (n,), int64, or None
            Number of the draw with which each of them is transformed. None: the index of the sample.
        device : torch.device or str
            Device on which they are transformed; what is drawn is the same on all, and pixels are to one level of 255.

        Returns
        -------
        source : TransformedImages
        """
        source = cls.__new__(cls)
        source._keep(images, None, transformations, random_state, order, draws, device)
        return source

    def _keep(self, images, labels, transformations, random_state, order=None, draws=None, device="cpu"):
        self._images, self.dtype, self.image_shape = images, images.dtype, images.shape[1:]
        self.n_images = len(images if order is None else order)
        self._labels = np.arange(len(images)) if labels is None else labels
        self.transformations = transformations
        self.random_state = random_state
        self.order, self._draws, self._device = order, draws, torch.device(device)

    @property
    def labels(self):
        """Labels of the images that are shown, an array of shape (n_images,), in their order."""
        return self._labels_at(np.arange(self.n_images))

    def __repr__(self):
        """Show the number of images, the transformations and the seed."""
        return f"TransformedImages({self.n_images} images, {self._format_draws()})"

    def _fill_block(self, X, indices, transformations, twin):
        draws = indices if self._draws is None else self._draws[indices % self.n_images]
        rows = self._rows(indices)
        X[:] = transform_whole(self._images[rows], transformations, draws, self.random_state, twin, device=self._device)

    def _labels_at(self, indices):
        return self._labels[self._rows(indices)]

    def _rows(self, indices):
        """Return the numbers of the images that samples show."""
        shown = indices % self.n_images
        return shown if self.order is None else self.order[shown]


@usual_torch()
def transform_whole(images, transformations, indices, random_state, twin=False, *, device="cpu"):
    """Transform whole images, from array to array, with the parameters that belong to their indices.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, 3), uint8 or float32 in [0, 1]
        Not changed.
    transformations : sequence of Transformation
        Applied in order.
    indices : ndarray of shape (n,), int64
        Index of each sample, in any order.
    random_state : int
        Seed of the source.
    twin : bool
        Whether to draw from the streams of the twins.
    device : torch.device or str
        Device on which they are transformed.

    Returns
    -------
    images : ndarray of shape (n, height, width, 3), with the dtype of `images`
        uint8 is rounded to the nearest level. Without transformations, the argument itself.
    """
    if not len(transformations):
        return images
    scale = 255 if images.dtype == np.uint8 else 1
    out = np.empty_like(images)
    n_pixels = PART_PIXELS if torch.device(device).type == "cpu" else PART_PIXELS_ON_GPU
    for rows, parameters in draw_in_parts(transformations, indices, images.shape[1:3], random_state, twin, n_pixels):
        channels_first = images[rows].transpose(0, 3, 1, 2).copy()  # always: torch warns of read-only memory
        part = torch.from_numpy(channels_first).to(device).float() / scale
        part = apply_transformations(part, transformations, parameters) * scale
        write_pixels((part.round_() if scale == 255 else part).cpu(), out[rows])
    return out
