"""Transforms-2D: transformed objects on backgrounds, the paper's family of data sets."""

import numpy as np
import torch

from invtransfer.images.checks import check_count
from invtransfer.objects import Objects
from invtransfer.randomness import derive_generator
from invtransfer.sources.blocks import Source, draw_in_parts
from invtransfer.sources.pasting import paste, place_objects, prepare_backgrounds
from invtransfer.transformations import apply_transformations, get_transformations


class Transforms2D(Source):
    """Transformed objects on backgrounds: the paper's family of data sets.

    Parameters
    ----------
    objects : Objects
        Each object is a class, see `load_objects`.
    transformations : sequence of str or Transformation
        Names from `TRANSFORMATIONS` or transformations of your own, applied to the object in this order, before it is
        pasted.
    backgrounds : ndarray of shape (n_backgrounds, height, width, 3), uint8, "random" or None
        Each sample gets one of them, chosen uniformly. "random": a fresh pattern of uniform pixels for each sample.
        None: ``load_backgrounds("procedural")``.
    image_size : int
        Side of the images in pixels. Objects and backgrounds are resized to fit.
    random_state : int
        Seed. It determines each sample, together with the sample's index.

    Attributes
    ----------
    class_names : tuple of str
        Names of the objects; labels are positions in it.
    transformations : tuple of Transformation
        The transformations, in the order of application.
    image_shape : tuple of int
        (image_size, image_size, 3).

    Raises
    ------
    TypeError
        If `objects` is not an `Objects`, or `transformations` is not a list of names or transformations.
    ValueError
        If a transformation is unknown, a size is out of range, or `backgrounds` does not hold images.

    Notes
    -----
    Objects are scaled to 0.7 of the image's side and centred before they are transformed, as in the paper. Images are
    always made on the CPU, so that a GPU does not change them. Other kinds of processor and other versions of torch may
    round a few pixels of resampled objects to a neighbouring one of the 256 levels.

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
        size = check_count(image_size, "image_size", low=2, high=4096)
        self.class_names = objects.names
        self.transformations = get_transformations(transformations)
        self.random_state = check_count(random_state, "random_state", low=0)
        self.image_shape = (size, size, 3)
        self._objects = torch.from_numpy(place_objects(objects.images, size))
        self._backgrounds = prepare_backgrounds(backgrounds, size)

    def __repr__(self):
        """Show the number of objects, the transformations and the seed."""
        return f"Transforms2D({len(self.class_names)} objects, {self._format_draws()})"

    def _object_numbers(self, indices):
        return self._integers("objects", indices, len(self._objects))

    _labels_at = _object_numbers

    def _backgrounds_at(self, indices):
        if self._backgrounds is None:
            seeds, shape = self._integers("backgrounds", indices, 2**63 - 1), (3, *self.image_shape[:2])
            generators = (derive_generator(seed, "field") for seed in seeds)
            return np.stack([generator.integers(256, size=shape, dtype=np.uint8) for generator in generators])
        return self._backgrounds[self._integers("backgrounds", indices, len(self._backgrounds))]

    @property
    def changes(self):
        """What `twins` can change: the object, if there is another one."""
        return ("object",) if len(self._objects) > 1 else ()

    def _explain(self, changed):
        return ": there is one object" if changed == "object" else ""

    def _fill_block(self, X, indices, transformations, twin, changed=None):
        numbers = self._object_numbers(indices)
        if changed == "object":
            numbers = self._others(numbers, len(self._objects), indices, "other objects")
        numbers = torch.from_numpy(numbers)
        backgrounds = self._backgrounds_at(indices)
        for rows, parameters in draw_in_parts(transformations, indices, self.image_shape[:2], self.random_state, twin):
            objects = self._objects.index_select(0, numbers[rows])
            paste(apply_transformations(objects, transformations, parameters), backgrounds[rows], out=X[rows])
