"""How transformations are weakened: what they draw or do is shrunk towards the identity.

Each function takes the two steps of a transformation and a strength between 0 and 1, and returns the two steps of the
weaker one.
"""

from functools import partial

import numpy as np


def shrink_draw(draw, apply, strength, *, period=None, **identity):
    """Shrink what is drawn towards the values that change nothing.

    Parameters
    ----------
    draw, apply : callable
        Steps of the transformation.
    strength : float
        Share of the distance from the identity that remains.
    period : float or None
        Number after which values repeat, such as 360 for angles: the shorter way to the identity is taken.
    **identity : float
        For parameters by name, the value that changes nothing.

    Returns
    -------
    draw, apply : callable

    Examples
    --------
    >>> steps = shrink_draw(lambda *_: {"angle": np.array([350.0, 90.0])}, None, 0.5, period=360.0, angle=0.0)
    >>> steps[0](2, None, (32, 32))
    {'angle': array([-5., 45.])}
    """
    return partial(_draw_shrunk, draw, strength, period, identity), apply


def _draw_shrunk(draw, strength, period, identity, n, generator, image_shape):
    parameters = draw(n, generator, image_shape)
    for name, nothing in identity.items():
        away = parameters[name] - np.float32(nothing)
        if period is not None:
            away = (away + period / 2) % period - period / 2
        parameters[name] = (nothing + strength * away).astype(parameters[name].dtype)
    return parameters


def shrink_constant(draw, apply, strength, **identity):
    """Shrink a constant of the second step, a `functools.partial`, towards the value that changes nothing.

    Parameters
    ----------
    draw, apply, strength
        As for `shrink_draw`.
    **identity : float
        For constants by name, the value that changes nothing.

    Returns
    -------
    draw, apply : callable
    """
    constants = {name: nothing + strength * (apply.keywords[name] - nothing) for name, nothing in identity.items()}
    return draw, partial(apply.func, **(apply.keywords | constants))


def mix(draw, apply, strength):
    """Mix the transformed image with the image as it is; the share of the transformed one is the strength.

    Parameters
    ----------
    draw, apply, strength
        As for `shrink_draw`.

    Returns
    -------
    draw, apply : callable
    """
    return draw, partial(_apply_mixed, apply, strength)


def _apply_mixed(apply, strength, images, **parameters):
    return images.lerp(apply(images.clone(), **parameters), strength)  # a copy, in which a person's own may write


def keep(draw, apply, strength):
    """Leave the transformation as it is at any strength: an image is mirrored, or made a negative, or not.

    Parameters
    ----------
    draw, apply, strength
        As for `shrink_draw`.

    Returns
    -------
    draw, apply : callable
    """
    return draw, apply


def change_nothing(images, **parameters):
    """Return a copy of images: every transformation at strength 0."""
    return images.clone()
