"""The 18 transformations of the paper, and the way to apply them in a row.

A transformation first *draws* one row of parameters per image, then *applies* them: ``draw`` is where all randomness
is, ``apply`` is pure. A draw can be stored, replayed and looked at.

The contract of every ``apply``, said once:

- ``images`` is a float32 tensor with straight (not premultiplied) alpha, (n, 3, height, width) for whole images or
  (n, 4, height, width) for objects, values in [0, 1], on any device, of any height and width from one pixel on. The
  result has the same shape and range. The argument is never changed.
- Parameters are tensors on the same device whose first dimension is n. Image i of the result depends on image i and
  row i alone.
- Objects are meant to be seen on a background: the colour of a pixel with alpha 0 is of no consequence.

Lengths are in pixels of a 32 x 32 image and scale with the image. Where the paper says "with probability 0.5", the
draw holds a boolean ``applied``.

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

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial

import torch

from invtransfer.transformations.corruption import blur, contrast, elastic, erase, noise, pixelate
from invtransfer.transformations.draws import (
    sometimes,
    sometimes_normal_field,
    sometimes_uniform_field,
    uniform,
)
from invtransfer.transformations.geometric import h_flip, rotate, scale, shear, translate, v_flip
from invtransfer.transformations.photometric import brightness, grayscale, hue, invert, posterize, sharpen

__all__ = [
    "TRANSFORMATIONS",
    "Transformation",
    "apply_transformations",
    "get_transformations",
    "to_tensors",
]


@dataclass(frozen=True)
class Transformation:
    """A random change of images, in two steps.

    Parameters
    ----------
    name : str
        What tables and figures call it.
    category : str
        "geometric", "photometric" or "corruption" in the paper; any word of your own.
    draw : callable
        ``draw(n, generator, image_shape)`` returns a dict of arrays whose first dimension is n: the parameters of n
        images of `image_shape`, (height, width), drawn from a `numpy.random.Generator`.
    apply : callable
        ``apply(images, **parameters)`` returns the changed images; see the module for the contract.

    Raises
    ------
    TypeError
        If `name` or `category` is no string, or `draw` or `apply` cannot be called.

    Notes
    -----
    For pickles, and so for workers, both callables are functions of a module or a `functools.partial` of one.

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

    def __post_init__(self):
        for name in ("name", "category"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name} is {getattr(self, name)!r}, expected a string")
        for name in ("draw", "apply"):
            if not callable(getattr(self, name)):
                raise TypeError(f"{name} is {getattr(self, name)!r}, expected a function")


# 64 images of 32 x 32. What is allocated for so few, glibc keeps for the next; it hands larger pieces back to the
# system, and to get them anew doubles the time that resampling takes.
CPU_BLOCK_PIXELS = 64 * 32 * 32

UNIT_SQUARE = ((0.0, 1.0), (0.0, 1.0))

TRANSFORMATIONS = {
    transformation.name: transformation
    for transformation in (
        Transformation("translate", "geometric", partial(uniform, position=UNIT_SQUARE), translate),
        Transformation("rotate", "geometric", partial(uniform, angle=(0.0, 360.0)), rotate),
        Transformation("scale", "geometric", partial(uniform, factor=(0.4, 1.0)), scale),
        Transformation("shear", "geometric", partial(uniform, angles=((-50.0, 50.0), (-50.0, 50.0))), shear),
        Transformation("v_flip", "geometric", sometimes, v_flip),
        Transformation("h_flip", "geometric", sometimes, h_flip),
        Transformation("hue", "photometric", partial(uniform, shift=(-0.5, 0.5)), hue),
        Transformation("brightness", "photometric", partial(uniform, factor=(0.0, 2.0)), brightness),
        Transformation("grayscale", "photometric", sometimes, grayscale),
        Transformation("posterize", "photometric", sometimes, posterize),
        Transformation("invert", "photometric", sometimes, invert),
        Transformation("sharpen", "photometric", sometimes, partial(sharpen, factor=7.0)),
        Transformation("blur", "corruption", partial(uniform, sigma=(0.1, 1.5)), partial(blur, kernel=7.0)),
        Transformation("noise", "corruption", sometimes_normal_field, noise),
        Transformation("pixelate", "corruption", sometimes, pixelate),
        Transformation("elastic", "corruption", sometimes_uniform_field, partial(elastic, alpha=150.0, sigma=5.0)),
        Transformation("erasing", "corruption", partial(sometimes, position=UNIT_SQUARE), partial(erase, side=14.0)),
        Transformation("contrast", "corruption", partial(uniform, factor=(0.0, 2.0)), contrast),
    )
}


def get_transformations(names):
    """Return the transformations that a list of names stands for.

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
        If `names` is a single string or no list, or an entry is neither a string nor a Transformation.
    ValueError
        If a name is unknown or comes twice.

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
        What a transformation's ``draw`` returned.
    device : torch.device, str or None
        Where the tensors are to be; None is the CPU.

    Returns
    -------
    parameters : dict of tensors
        Without a copy where the values are on that device already.
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
        One dict for each transformation: what its ``draw`` returned.

    Returns
    -------
    images : Tensor of the same shape
        The transformed images, a copy even if there is no transformation.

    Raises
    ------
    ValueError
        If there are not as many dicts as transformations.
    """
    if len(transformations) != len(parameters):
        raise ValueError(
            f"parameters has {len(parameters)} entries, expected {len(transformations)}: one per transformation"
        )
    drawn = [to_tensors(one, images.device) for one in parameters]
    pixels = images.shape[2] * images.shape[3]
    block = max(1, CPU_BLOCK_PIXELS // pixels) if images.device.type == "cpu" else max(1, len(images))
    if not transformations:
        return images.clone()
    done = []
    for start in range(0, len(images), block):
        rows = slice(start, start + block)
        changed = images[rows]
        for transformation, one in zip(transformations, drawn, strict=True):
            changed = transformation.apply(changed, **{name: values[rows] for name, values in one.items()})
        done.append(changed)
    return done[0] if len(done) == 1 else torch.cat(done) if done else images.clone()
