"""How parameters are drawn: one row per image, from one explicit generator.

Each function is called as ``draw(n, generator, image_shape)`` once its ranges are fixed with ``functools.partial``,
and returns a dict of arrays whose first dimension is `n`. Floats are float32, so that a draw is the same on every
device. It depends only on `n`, the generator's state and, for fields of pixels, the image's shape.
"""

import numpy as np

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


def sometimes_normal_field(n, generator, image_shape):
    """Draw, with probability 0.5, a field of standard normal numbers, one for each pixel and colour.

    Parameters
    ----------
    n, generator, image_shape
        As for `uniform`; here the field has the image's shape.

    Returns
    -------
    parameters : dict
        "applied", ndarray of shape (n,), bool; "field", ndarray of shape (n, 3, height, width), float32, which is 0
        where `applied` is false: numbers that are not used are not drawn.
    """
    applied = generator.random(n) < PROBABILITY
    field = np.zeros((n, 3, *image_shape), dtype=np.float32)
    field[applied] = generator.standard_normal((applied.sum(), 3, *image_shape), dtype=np.float32)
    return {"applied": applied, "field": field}


def sometimes_uniform_field(n, generator, image_shape):
    """Draw, with probability 0.5, a field of uniform numbers in [-1, 1], two (x and y) for each pixel.

    Parameters
    ----------
    n, generator, image_shape
        As for `uniform`; here the field has the image's shape.

    Returns
    -------
    parameters : dict
        "applied", ndarray of shape (n,), bool; "field", ndarray of shape (n, 2, height, width), float32, which is 0
        where `applied` is false: numbers that are not used are not drawn.
    """
    applied = generator.random(n) < PROBABILITY
    field = np.zeros((n, 2, *image_shape), dtype=np.float32)
    field[applied] = 2 * generator.random((applied.sum(), 2, *image_shape), dtype=np.float32) - 1
    return {"applied": applied, "field": field}
