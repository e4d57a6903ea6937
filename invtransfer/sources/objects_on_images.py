"""Small objects pasted on labelled images: the paper's CIFAR-10 + Transforms-2D."""

from numbers import Integral, Real

import numpy as np
import torch

from invtransfer.images.checks import check_count, check_images
from invtransfer.images.labels import check_labels
from invtransfer.objects import Objects
from invtransfer.sources.blocks import BLOCK, Source, draw_in_parts
from invtransfer.sources.pasting import OBJECT_SIDE, centred_box, paste, place_objects, shift
from invtransfer.transformations import apply_transformations, get_transformations


class ObjectsOnImages(Source):
    """Small objects pasted on labelled images: the paper's CIFAR-10 + Transforms-2D.

    Parameters
    ----------
    objects : Objects
        Each object is a class, see `load_objects`.
    images : array-like of shape (n_images, height, width, 3), uint8 or float in [0, 1]
        Sample i shows image i modulo n_images: a second round shows the same images with other objects.
    labels : array-like of shape (n_images,)
        Labels of the images. None: each image's label is its number.
    transformations : sequence of str or Transformation
        Names from `TRANSFORMATIONS` or transformations of your own, applied in this order to the object while it is in
        the middle of the image, before it is shifted to its position.
    label : {"image", "object"}
        Whether a sample's label is that of its image or the number of its object.
    position : "random" or tuple of int
        Top-left corner of the object's box. "random": uniform over all positions that keep the box inside the image.
        (x, y) in pixels: the same for all samples; what lies beyond the edge of the image is cut off.
    correlation : float in [0, 1]
        Probability that the object is the one that belongs to the image's label (object k belongs to the k-th label in
        sorted order). Otherwise the object is drawn uniformly from all objects.
    availability : float in [0, 1]
        Probability that an image has an object.
    scale : float in (0, 1]
        Side of the object, as a fraction of its side in `Transforms2D`, which is 0.7 of the image's shorter side.
    random_state : int
        Seed. It determines each sample, together with the sample's index.

    Attributes
    ----------
    class_names : tuple of str
        Names of the objects.
    transformations : tuple of Transformation
        The transformations, in the order of application.
    image_shape : tuple of int
        (height, width, 3).

    Raises
    ------
    TypeError
        If `objects` is not an `Objects`, or `transformations` is not a list of names or transformations.
    ValueError
        If images, labels or another argument are not as described, a transformation is unknown, `correlation` is above
        0 and there are fewer objects than labels, or `availability` is below 1 and `label` is "object".

    Notes
    -----
    At 32 x 32 pixels the default `scale` gives a box of 12 x 12. The paper's fixed position, (21, 2), cuts off one
    column of it, so that 11 columns are visible.

    Sources with the same `random_state` that differ only in `label`, `position`, `correlation` or `availability` share
    everything else that is drawn. Images that have an object at a low availability have the same one at a higher.

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
        if not isinstance(objects, Objects):
            raise TypeError(f"objects is of type {type(objects).__name__}, expected Objects, as load_objects returns")
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
            raise ValueError(
                f"availability is {availability!r}, expected 1 with label 'object': images without objects have no"
                " label"
            )
        distinct, self._belonging = np.unique(self._labels, return_inverse=True)
        if self._correlation > 0 and len(objects) < len(distinct):
            raise ValueError(
                f"correlation is {correlation!r}, expected 0 with {len(objects)} objects: each of the"
                f" {len(distinct)} labels needs an object of its own"
            )
        if not _is_number(scale) or not 0 < scale <= 1:
            raise ValueError(f"scale is {scale!r}, expected a number above 0 and up to 1")
        side = OBJECT_SIDE * scale
        self._box = centred_box((height, width), side)
        self._objects = torch.from_numpy(place_objects(objects.images, (height, width), side))

    def __repr__(self):
        """Show the numbers of objects and images, the label, the transformations and the seed."""
        counts = f"{len(self.class_names)} objects, {len(self._images)} images"
        return f"ObjectsOnImages({counts}, label={self._label!r}, {self._format_draws()})"

    @property
    def changes(self):
        """What `twins` can change: the object if every image has one and there are others, and the image likewise."""
        there = {"object": len(self._objects) > 1 and self._availability == 1, "image": len(self._images) > 1}
        return tuple(name for name, possible in there.items() if possible)

    def _explain(self, changed):
        if changed == "object" and self._availability < 1:
            return f" with availability {self._availability}: images without objects have none to change"
        return f": there is one {changed}" if changed in ("object", "image") else ""

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
        """Draw a number in [0, 1) per index, inside one block."""
        return self._block_generator(stream, indices).random(BLOCK)[indices % BLOCK]

    def _fill_block(self, X, indices, transformations, twin, changed=None):
        shown, numbers = indices % len(self._images), self._object_numbers(indices)
        if changed == "image":
            shown = self._others(shown, len(self._images), indices, "other images")
        if changed == "object":
            numbers = self._others(numbers, len(self._objects), indices, "other objects")
        X[:] = self._images[shown]
        pasted = np.flatnonzero(self._uniform("availability", indices) < self._availability)
        offsets = self._positions(indices) - self._box[:2]
        for part, parameters in draw_in_parts(
            transformations, indices[pasted], self.image_shape[:2], self.random_state, twin
        ):
            rows = pasted[part]
            objects = apply_transformations(self._objects[numbers[rows]], transformations, parameters)
            X[rows] = paste(shift(objects, offsets[rows]), np.ascontiguousarray(X[rows].transpose(0, 3, 1, 2)))

    def _labels_at(self, indices):
        return self._labels[indices % len(self._labels)] if self._label == "image" else self._object_numbers(indices)


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
