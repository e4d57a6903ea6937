"""The images of pairs: which images twins are made of, and how each of them is made."""

import operator
from dataclasses import dataclass

import numpy as np

from invtransfer.encoders.encoding import device_of
from invtransfer.randomness import derive_generator
from invtransfer.sources.transformed_images import TransformedImages

ROUNDING = 1e-5  # of floats in [0, 1]: 1/400 of a step of uint8


def order_of_pairs(n_images, n_pairs, seed):
    """Choose the images that pairs are made of, in random order, so that sorted images meet those of all classes.

    Parameters
    ----------
    n_images : int
        Number of images.
    n_pairs : int
        Number of pairs that are asked for; at most one is made of each image.
    seed : int
        Seed of the order.

    Returns
    -------
    order : ndarray of shape (min(n_images, n_pairs),), int64
        Numbers of images.

    Examples
    --------
    >>> sorted(order_of_pairs(4, 10, seed=0).tolist()), len(order_of_pairs(100, 10, seed=0))
    ([0, 1, 2, 3], 10)
    """
    return derive_generator(seed, "order of pairs").permutation(n_images)[:n_pairs]


def take_images(images, encoder, seed, order, draws):
    """Make a source of given images, which are transformed on the encoder's device if it is a GPU.

    Parameters
    ----------
    images : ndarray or ImageCollection of shape (n_images, height, width, 3)
        As `check_images` returns them.
    encoder : object
        As `open_encoder` returned it.
    seed : int
        Seed of the transformations.
    order, draws : ndarray of shape (n,), int64, or None
        As for `TransformedImages.from_checked`.

    Returns
    -------
    source : TransformedImages
    """
    device = device_of(encoder)
    device = device if device.type == "cuda" else "cpu"  # other devices lack some of the operations
    return TransformedImages.from_checked(images, random_state=seed, order=order, draws=draws, device=device)


def differ(images, others):
    """Tell which images differ from others, by more than the rounding of floats.

    Parameters
    ----------
    images, others : ndarray of shape (n, height, width, n_channels)
        Images, both uint8 or both floats in [0, 1].

    Returns
    -------
    different : ndarray of shape (n,), bool

    Notes
    -----
    A grey photograph of floats that is made grey differs from itself in the seventh digit, which an encoder may see,
    and a probe may take for a gain.

    Examples
    --------
    >>> import numpy as np
    >>> images = np.full((2, 4, 4, 3), 0.5)
    >>> differ(images, images + np.array([1e-7, 0.1]).reshape(2, 1, 1, 1))
    array([False,  True])
    """
    if images.dtype.kind in "ui":
        return (images != others).any(axis=(1, 2, 3))
    return np.abs(images - others).max(axis=(1, 2, 3), initial=0) > ROUNDING


def choose_acting(source, transformations, twins):
    """Choose the transformations that make twins.

    Parameters
    ----------
    source : Source
        Where the twins come from.
    transformations : tuple of Transformation or None
        Transformations that are asked for; None: the source's own.
    twins : {"drawn", "clean"}
        As for `measure_twins`.

    Returns
    -------
    transformations : tuple of Transformation or None
        Of drawn twins, as they are given; of clean ones, those that always act.
    """
    if twins == "drawn":
        return transformations
    return tuple(t.always() for t in (source.transformations if transformations is None else transformations))


def make_plain(source, n, start, changed=None):
    """Make images without transformations.

    Parameters
    ----------
    source : Source
        Where the images come from.
    n, start : int
        Number of images, and which pair is the first.
    changed : {"object"} or None
        "object": with another object.

    Returns
    -------
    images : ndarray of shape (n, height, width, 3)
    """
    if changed is not None:
        return source.twins(n, start, transformations=(), changed=changed)[1]
    return source.sample(n, start, transformations=())[0]


def make_transformed(source, n, start, transformations, twins, objects=False):
    """Make the transformed images of pairs.

    Parameters
    ----------
    source : Source
        Where the twins come from.
    n, start : int
        Number of pairs, and which is the first.
    transformations : tuple of Transformation or None
        As `choose_acting` returns them.
    twins : {"drawn", "clean"}
        As for `measure_twins`.
    objects : bool
        Whether drawn twins have a third image, with another object.

    Returns
    -------
    images : dict of str to ndarray of shape (n, height, width, 3)
        By their role: "twin"; of drawn twins also "first", and "object" if it is asked for.
    """
    if twins == "clean":
        return {"twin": source.sample(n, start, transformations=transformations)[0]}
    made = dict(zip(("first", "twin"), source.twins(n, start, transformations=transformations), strict=True))
    if objects:
        made["object"] = source.twins(n, start, transformations=transformations, changed="object")[1]
    return made


@dataclass(frozen=True)
class ImagesOfPairs:
    """The first or the second images of the pairs that `measure_twins` makes, each made when it is asked for.

    Parameters
    ----------
    source : Source
        Where the twins come from.
    n_pairs : int
        Number of pairs.
    transformations : tuple of Transformation
        Transformations of the twins.
    twins : {"drawn", "clean"}
        As for `measure_twins`.
    role : {"first", "twin"}
        Which of the two images.

    Examples
    --------
    >>> from invtransfer.transformations import TRANSFORMATIONS
    >>> import numpy as np
    >>> X = np.zeros((5, 8, 8, 3), dtype="uint8")
    >>> source = TransformedImages(X, [0] * 5, random_state=0)
    >>> shown = ImagesOfPairs(source, 5, (TRANSFORMATIONS["invert"],), "clean", "twin")
    >>> len(shown), shown[3].mean()
    (5, np.float64(255.0))
    """

    source: object
    n_pairs: int
    transformations: tuple
    twins: str
    role: str

    def __len__(self):
        """Return the number of pairs."""
        return self.n_pairs

    def __getitem__(self, i):
        """Make the image of pair i, an array of shape (height, width, 3)."""
        i = range(self.n_pairs)[operator.index(i)]
        acting = choose_acting(self.source, self.transformations, self.twins)
        made = make_transformed(self.source, 1, i, acting, self.twins)
        return (made[self.role] if self.role in made else make_plain(self.source, 1, i))[0]
