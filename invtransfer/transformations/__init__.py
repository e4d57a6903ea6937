"""The 18 transformations of the paper, and how to apply several of them in a row.

==========  ===========  =========================================================  =======================  ===========
name        category     what it does                                               drawn uniformly          probability
==========  ===========  =========================================================  =======================  ===========
translate   geometric    moves an object anywhere inside, a whole image by <= 30 %  position 0 to 1          1
rotate      geometric    turns counter-clockwise about the centre                   angle 0 to 360°          1
scale       geometric    shrinks about the centre                                   factor 0.4 to 1          1
shear       geometric    slants in x and in y                                       angles -50 to 50°        1
v_flip      geometric    turns upside down                                                                   0.5
h_flip      geometric    swaps left and right                                                                0.5
hue         photometric  shifts the hue on the colour circle                        shift -0.5 to 0.5 turns  1
brightness  photometric  multiplies all colours                                     factor 0 to 2            1
grayscale   photometric  replaces all three colours by their luma                                            0.5
posterize   photometric  keeps only the highest bit of each colour                                           0.5
invert      photometric  replaces each colour by 1 minus itself                                              0.5
sharpen     photometric  multiplies by 7 the difference from a smoothed copy                                 0.5
blur        corruption   blurs with a Gaussian, cut off outside 7 x 7 px            sigma 0.1 to 1.5 px      1
noise       corruption   adds standard normal numbers, clipped to [0, 1]                                     0.5
pixelate    corruption   averages each block of 2 x 2 pixels                                                 0.5
elastic     corruption   displaces pixels smoothly, by about 2.4 px in x and in y                            0.5
erasing     corruption   makes 14 x 14 px black, on objects transparent             position 0 to 1          0.5
contrast    corruption   multiplies the difference from the mean grey               factor 0 to 2            1
==========  ===========  =========================================================  =======================  ===========

A transformation first *draws* one row of parameters per image, then *applies* them: all randomness is in ``draw``, and
``apply`` is pure. A draw can be stored, replayed and inspected. Where the probability is 0.5, the draw holds a boolean
``applied``. Lengths are in pixels (px) of a 32 x 32 image and scale with the image.

Every ``apply`` keeps this contract:

- ``images`` is a float32 tensor with straight (not premultiplied) alpha and values in [0, 1], of shape
  (n, 3, height, width) for whole images or (n, 4, height, width) for objects, on any device, of any height and width
  from one pixel on. The result has the same shape and range. The argument is never changed.
- Parameters are tensors on the same device whose first dimension is n. Image i of the result depends only on image i
  and row i.
- Objects are made to be pasted on a background: the colour of a pixel with alpha 0 does not matter.

References
----------
Speicher, Nanda and Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Appendix A.1.

Examples
--------
>>> import numpy as np
>>> rotate = TRANSFORMATIONS["rotate"]
>>> parameters = rotate.draw(2, np.random.default_rng(0), (32, 32))
>>> parameters["angle"].round()
array([306., 229.], dtype=float32)
>>> images = torch.rand(2, 3, 32, 32)
>>> apply_transformations(images, [rotate], [parameters]).shape
torch.Size([2, 3, 32, 32])
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from numbers import Real

import torch

from invtransfer.transformations.corruption import blur, contrast, elastic, erase, noise, pixelate
from invtransfer.transformations.draws import draw_applied, sometimes, sometimes_seeded, uniform
from invtransfer.transformations.geometric import h_flip, rotate, scale, shear, translate, v_flip
from invtransfer.transformations.photometric import brightness, grayscale, hue, invert, posterize, sharpen
from invtransfer.transformations.strength import change_nothing, keep, mix, shrink_constant, shrink_draw

__all__ = ["TRANSFORMATIONS", "Transformation", "apply_transformations", "get_transformations", "to_tensors"]


@dataclass(frozen=True)
class Transformation:
    """A random change of images, in two steps.

    Parameters
    ----------
    name : str
        Its name in tables and figures.
    category : str
        "geometric", "photometric" or "corruption" in the paper; any word for transformations of your own.
    draw : callable
        ``draw(n, generator, image_shape)`` returns a dict of arrays whose first dimension is n: the parameters of n
        images of `image_shape`, (height, width), drawn from a `numpy.random.Generator`.
    apply : callable
        ``apply(images, **parameters)`` returns the changed images; the module's docstring has the contract.
    weaken : callable
        ``weaken(draw, apply, strength)`` returns the two steps at a strength between 0 and 1, see `at` and the
        functions of `invtransfer.transformations.strength`. By default the image is mixed with the transformed one.

    Raises
    ------
    TypeError
        If `name` or `category` is not a string, or `draw`, `apply` or `weaken` is not callable.

    Notes
    -----
    To be pickled, and so to be sent to workers, the callables must be functions of a module or a `functools.partial`
    of one.

    Examples
    --------
    >>> slight = Transformation("slight rotation", "geometric", partial(uniform, angle=(-10.0, 10.0)), rotate)
    >>> slight
    Transformation(name='slight rotation', category='geometric')
    """

    name: str
    category: str
    draw: Callable = field(repr=False)
    apply: Callable = field(repr=False)
    weaken: Callable = field(default=mix, repr=False)

    def __post_init__(self):
        for name in ("name", "category"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name} is {getattr(self, name)!r}, expected a string")
        for name in ("draw", "apply", "weaken"):
            if not callable(getattr(self, name)):
                raise TypeError(f"{name} is {getattr(self, name)!r}, expected a function")

    def always(self):
        """Return the transformation with probability 1: it acts on every image, instead of with probability 0.5.

        Returns
        -------
        transformation : Transformation
            Its other parameters are the same draws. A transformation that acts on every image stays as it is, and so
            does one of your own whose draw has no entry "applied".

        Examples
        --------
        >>> import numpy as np
        >>> TRANSFORMATIONS["h_flip"].always().draw(3, np.random.default_rng(0), (32, 32))
        {'applied': array([ True,  True,  True])}
        """
        return replace(self, draw=partial(draw_applied, self.draw))

    def at(self, strength):
        """Return the transformation with its range shrunk towards the identity.

        Parameters
        ----------
        strength : float
            From 0, which changes nothing, to 1, the transformation as it is.

        Returns
        -------
        transformation : Transformation
            Of the same name, so that it draws the same numbers: image i is changed in the same way, but less.

        Raises
        ------
        ValueError
            If `strength` is not a number from 0 to 1.

        Notes
        -----
        Angles and shifts shrink towards no movement; factors of scale, brightness and contrast towards 1;
        the sigma of blur, the displacements of elastic and the side of erasing towards 0; the factor of sharpen
        towards 1. Grayscale, posterize, noise and pixelate are mixed with the image as it is. Flips and invert are done
        in full at any strength above 0: they mirror places or colours, and half a negative would be all grey.

        Examples
        --------
        >>> import numpy as np
        >>> TRANSFORMATIONS["scale"].at(0.5).draw(3, np.random.default_rng(0), (32, 32))["factor"].min() > 0.7
        np.True_
        """
        if isinstance(strength, bool) or not isinstance(strength, Real) or not 0 <= strength <= 1:
            raise ValueError(f"strength is {strength!r}, expected a number from 0 to 1")
        if strength == 1:
            return self
        if strength == 0:
            return replace(self, apply=change_nothing, weaken=keep)
        draw, apply = self.weaken(self.draw, self.apply, float(strength))
        return replace(self, draw=draw, apply=apply)


UNIT_SQUARE = ((0.0, 1.0), (0.0, 1.0))
ROUNDING = 1e-4  # by which a value may be beyond 0 and 1

TRANSFORMATIONS = {
    transformation.name: transformation
    for transformation in (
        Transformation(
            "translate",
            "geometric",
            partial(uniform, position=UNIT_SQUARE),
            partial(translate, share=1.0),
            partial(shrink_constant, share=0.0),
        ),
        Transformation(
            "rotate",
            "geometric",
            partial(uniform, angle=(0.0, 360.0)),
            rotate,
            partial(shrink_draw, angle=0.0, period=360.0),
        ),
        Transformation(
            "scale", "geometric", partial(uniform, factor=(0.4, 1.0)), scale, partial(shrink_draw, factor=1.0)
        ),
        Transformation(
            "shear",
            "geometric",
            partial(uniform, angles=((-50.0, 50.0), (-50.0, 50.0))),
            shear,
            partial(shrink_draw, angles=0.0),
        ),
        Transformation("v_flip", "geometric", sometimes, v_flip, keep),
        Transformation("h_flip", "geometric", sometimes, h_flip, keep),
        Transformation("hue", "photometric", partial(uniform, shift=(-0.5, 0.5)), hue, partial(shrink_draw, shift=0.0)),
        Transformation(
            "brightness",
            "photometric",
            partial(uniform, factor=(0.0, 2.0)),
            brightness,
            partial(shrink_draw, factor=1.0),
        ),
        Transformation("grayscale", "photometric", sometimes, grayscale),
        Transformation("posterize", "photometric", sometimes, posterize),
        Transformation("invert", "photometric", sometimes, invert, keep),
        Transformation(
            "sharpen", "photometric", sometimes, partial(sharpen, factor=7.0), partial(shrink_constant, factor=1.0)
        ),
        Transformation(
            "blur",
            "corruption",
            partial(uniform, sigma=(0.1, 1.5)),
            partial(blur, kernel=7.0),
            partial(shrink_draw, sigma=0.0),
        ),
        Transformation("noise", "corruption", sometimes_seeded, noise),
        Transformation("pixelate", "corruption", sometimes, pixelate),
        Transformation(
            "elastic",
            "corruption",
            sometimes_seeded,
            partial(elastic, alpha=150.0, sigma=5.0),
            partial(shrink_constant, alpha=0.0),
        ),
        Transformation(
            "erasing",
            "corruption",
            partial(sometimes, position=UNIT_SQUARE),
            partial(erase, side=14.0),
            partial(shrink_constant, side=0.0),
        ),
        Transformation(
            "contrast", "corruption", partial(uniform, factor=(0.0, 2.0)), contrast, partial(shrink_draw, factor=1.0)
        ),
    )
}


def get_transformations(names):
    """Return the transformations that a list of names and transformations stands for.

    Parameters
    ----------
    names : list of str or Transformation
        Names from `TRANSFORMATIONS`, transformations of your own, or both, in the order of application. May be empty.

    Returns
    -------
    transformations : tuple of Transformation
        One for each entry.

    Raises
    ------
    TypeError
        If `names` is a single string or not a list, or an entry is neither a string nor a Transformation.
    ValueError
        If a name is unknown or occurs twice.

    Examples
    --------
    >>> get_transformations(["rotate", "blur"])
    (Transformation(name='rotate', category='geometric'), Transformation(name='blur', category='corruption'))
    >>> get_transformations(["rotation"])
    Traceback (most recent call last):
    ...
    ValueError: transformations holds 'rotation', which is not a known name; did you mean 'rotate'? Known are: ...
    """
    if isinstance(names, str):
        raise TypeError(f"transformations is the string {names!r}, expected a list of names, such as [{names!r}]")
    if not isinstance(names, Iterable) or getattr(names, "ndim", 1) == 0:
        raise TypeError(f"transformations is {names!r}, expected a list of names or Transformation objects")
    transformations = tuple(_get_transformation(entry) for entry in names)
    seen = [transformation.name for transformation in transformations]
    for name in seen:
        if seen.count(name) > 1:
            raise ValueError(f"transformations holds {name!r} {seen.count(name)} times, expected each name once")
    return transformations


def _get_transformation(entry):
    if isinstance(entry, Transformation):
        return entry
    if not isinstance(entry, str):
        raise TypeError(f"transformations holds {entry!r}, expected names or Transformation objects")
    if entry not in TRANSFORMATIONS:
        nearest = get_close_matches(entry, TRANSFORMATIONS, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
        raise ValueError(
            f"transformations holds {entry!r}, which is not a known name{hint} Known are: {', '.join(TRANSFORMATIONS)}"
        )
    return TRANSFORMATIONS[entry]


def to_tensors(parameters, device=None):
    """Return drawn parameters as tensors.

    Parameters
    ----------
    parameters : dict of ndarrays or tensors
        The result of a transformation's ``draw``.
    device : torch.device, str or None
        Device of the tensors; None is the CPU.

    Returns
    -------
    parameters : dict of tensors
        Values that are on that device already are not copied.
    """
    return {name: torch.as_tensor(values, device=device) for name, values in parameters.items()}


def apply_transformations(images, transformations, parameters):
    """Apply several transformations one after the other.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
        Whole images, or objects with straight alpha.
    transformations : sequence of Transformation
        In the order of application.
    parameters : list of dicts of ndarrays or tensors
        One dict for each transformation: the result of its ``draw``.

    Returns
    -------
    images : Tensor of the same shape
        The transformed images; a copy even if there are no transformations.

    Raises
    ------
    ValueError
        If the numbers of dicts and transformations differ, or a transformation of your own returns another shape or
        dtype than it was given, or values beyond 0 and 1.
    TypeError
        If one of your own returns no tensor.

    Notes
    -----
    On a CPU, a few images at a time (64 of 32 x 32) are fastest, because they stay in the cache. Sources
    split their samples accordingly.
    """
    if len(transformations) != len(parameters):
        raise ValueError(
            f"parameters has {len(parameters)} entries, expected {len(transformations)}: one per transformation"
        )
    if not transformations:
        return images.clone()
    for transformation, drawn in zip(transformations, parameters, strict=True):
        ours = _is_of_this_package(transformation.apply)
        try:
            changed = transformation.apply(images, **to_tensors(drawn, images.device))
        except TypeError as error:  # such as a parameter that is drawn and not taken
            if ours:
                raise
            raise TypeError(f"apply of the transformation {transformation.name!r}: {error}") from error
        if not ours:
            _check_applied(transformation, changed, images)
        images = changed
    return images


def _is_of_this_package(function):
    """Tell whether a function, or what it is made of, is one of the 18, which keep the contract."""
    while isinstance(function, partial):
        inner = [one for one in function.args if callable(one)]
        function = inner[0] if inner else function.func
    return getattr(function, "__module__", "").startswith(__name__)


def _check_applied(transformation, changed, images):
    """Raise an error if a person's own transformation does not keep the contract."""
    made = f"apply of the transformation {transformation.name!r} returned"
    if not isinstance(changed, torch.Tensor):
        raise TypeError(f"{made} an object of type {type(changed).__name__}, expected a tensor")
    if changed.shape != images.shape or changed.dtype != images.dtype:
        raise ValueError(
            f"{made} {changed.dtype} of shape {tuple(changed.shape)}, expected {images.dtype} of shape"
            f" {tuple(images.shape)}, as it was given"
        )
    if changed.numel():
        low, high = (bound.item() for bound in changed.aminmax())
        if math.isnan(low):
            raise ValueError(f"{made} NaN, expected values from 0 to 1")
        if not (low >= -ROUNDING and high <= 1 + ROUNDING):
            raise ValueError(f"{made} values from {low:g} to {high:g}, expected 0 to 1: clamp them")
