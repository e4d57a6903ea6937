"""How parameters are drawn: one row per image, from one explicit generator.

Each function is called as ``draw(n, generator, image_shape)`` once its ranges are fixed with ``functools.partial``,
and returns a dict of arrays whose first dimension is `n`. Floats are float32, so that a draw is the same on every
device. It depends only on `n` and the generator's state. Where a transformation needs random numbers for each pixel,
the row holds a seed, from which the numbers are made when it is applied.
"""

import numpy as np

from invtransfer.randomness import derive_generator

PROBABILITY = 0.5


def uniform(n, generator, image_shape, **ranges):
    """Draw numbers uniformly from given ranges.

    Parameters
    ----------
    n : int
        Number of images.
    generator : numpy.random.Generator
        The only source of randomness.
    image_shape : tuple of (height, width)
        Not used: the numbers do not depend on it.
    **ranges : (low, high) or ((low, high), (low, high))
        Ranges by the names of the parameters. A pair gives one number per image, a pair of pairs gives two.

    Returns
    -------
    parameters : dict of ndarrays of shape (n,) or (n, 2), float32
        One row per image.

    Examples
    --------
    >>> parameters = uniform(4, np.random.default_rng(0), (32, 32), angle=(0, 360), position=((0, 1), (0, 1)))
    >>> {name: values.shape for name, values in parameters.items()}
    {'angle': (4,), 'position': (4, 2)}
    """
    parameters = {}
    for name, limits in ranges.items():
        low, high = np.moveaxis(np.asarray(limits, dtype=np.float32), -1, 0)
        share = generator.random((n, *low.shape), dtype=np.float32)
        parameters[name] = low + (high - low) * share
    return parameters


def sometimes(n, generator, image_shape, **ranges):
    """Draw whether a transformation is applied, with probability 0.5, and further numbers as `uniform` does.

    Parameters
    ----------
    n, generator, image_shape, **ranges
        As for `uniform`.

    Returns
    -------
    parameters : dict with "applied", ndarray of shape (n,), bool, and one entry per range
        One row per image.

    Examples
    --------
    >>> sometimes(4, np.random.default_rng(0), (32, 32))
    {'applied': array([False,  True,  True,  True])}
    """
    applied = generator.random(n) < PROBABILITY
    return {"applied": applied, **uniform(n, generator, image_shape, **ranges)}


def sometimes_seeded(n, generator, image_shape):
    """Draw whether a transformation is applied, with probability 0.5, and the seed of a field of pixels.

    Parameters
    ----------
    n, generator, image_shape
        As for `uniform`.

    Returns
    -------
    parameters : dict of ndarrays of shape (n,)
        "applied", bool; "seed", int64, from which `normal_fields` or `uniform_fields` makes the field of an image where
        it is needed: a draw of 256 images takes no more memory than that of one.
    """
    return {"applied": generator.random(n) < PROBABILITY, "seed": generator.integers(2**63 - 1, size=n)}


def draw_applied(draw, n, generator, image_shape):
    """Draw the parameters of a transformation, and apply it to all images.

    Parameters
    ----------
    draw : callable
        Function from the other arguments to a dict of parameters, one row per image.
    n, generator, image_shape
        As for `uniform`.

    Returns
    -------
    parameters : dict of ndarrays
        Those of `draw`, but for "applied", which is true for all images where there is such an entry.
    """
    parameters = draw(n, generator, image_shape)
    if not isinstance(parameters, dict) or "applied" not in parameters:  # what is no dict is named by who draws
        return parameters
    return parameters | {"applied": np.ones(n, dtype=bool)}


def normal_fields(seeds, shape):
    """Make fields of independent standard normal numbers, each a function of its seed and the shape.

    Parameters
    ----------
    seeds : sequence of int, of length n
        Seed of each field.
    shape : tuple of int
        Shape of a field.

    Returns
    -------
    fields : ndarray of shape (n, *shape), float32

    Examples
    --------
    >>> one, other = normal_fields([1, 2], (3, 4, 4)), normal_fields([2], (3, 4, 4))
    >>> bool((one[1] == other[0]).all())
    True
    """
    fields = np.empty((len(seeds), *shape), dtype=np.float32)
    for field, seed in zip(fields, seeds, strict=True):
        derive_generator(seed, "field").standard_normal(dtype=np.float32, out=field)
    return fields


def uniform_fields(seeds, shape):
    """Make fields of independent numbers, uniform in [-1, 1), each a function of its seed and the shape.

    Parameters
    ----------
    seeds, shape
        As for `normal_fields`.

    Returns
    -------
    fields : ndarray of shape (n, *shape), float32

    Examples
    --------
    >>> fields = uniform_fields([1, 2], (2, 32, 32))
    >>> bool((abs(fields) <= 1).all()), bool(fields.min() < -0.9), bool(fields.max() > 0.9)
    (True, True, True)
    """
    fields = np.empty((len(seeds), *shape), dtype=np.float32)
    for field, seed in zip(fields, seeds, strict=True):
        derive_generator(seed, "field").random(dtype=np.float32, out=field)
    return 2 * fields - 1
