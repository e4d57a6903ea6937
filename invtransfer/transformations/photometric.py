"""Photometric transformations: hue, brightness, grayscale, posterize, invert and sharpen.

They keep the contract of `invtransfer.transformations`, and do not change the alpha of objects.
"""

import torch

from invtransfer.transformations.geometric import premultiply

RED_SHARE, GREEN_SHARE, BLUE_SHARE = 0.299, 0.587, 0.114
HIGHEST_BIT = 128 / 255


def hue(images, shift):
    """Shift the hue by `shift` turns of the colour circle; saturation and value do not change.

    Equivalent to adding `shift` to the H of ``colorsys.rgb_to_hsv``, and to
    ``torchvision.transforms.functional.adjust_hue``.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    shift : Tensor of shape (n,), in turns
        1/3 turns red to green, green to blue, and blue to red; whole numbers change nothing.

    Returns
    -------
    images : Tensor of the same shape
        The recoloured images; greys do not change.

    Examples
    --------
    >>> red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    >>> hue(red, torch.tensor([0.5])).flatten().round(decimals=4)
    tensor([0., 1., 1.])
    """
    red, green, blue = images[:, :3].unbind(1)
    high = images[:, :3].amax(1)
    low = images[:, :3].amin(1)
    chroma = high - low
    # In sixths of a turn red is at 0, green at 2, blue at 4. A grey may have any hue, because its chroma is 0. lerp_
    # selects with masks of 0 and 1, four times as fast as torch.where.
    per_chroma = chroma.clamp(min=torch.finfo(images.dtype).tiny).reciprocal_()
    angle = (red - green).mul_(per_chroma).add_(4)
    angle.lerp_((blue - red).mul_(per_chroma).add_(2), (high == green).to(images.dtype))
    angle.lerp_((green - blue).mul_(per_chroma), (high == red).to(images.dtype))
    turns = angle.div_(6).add_(shift[:, None, None])
    turns -= turns.round()
    turned = images.clone()
    for channel, primary in enumerate((0, 1 / 3, 2 / 3)):
        # A primary colour has its full share up to 1/6 of the circle away from its own hue, and none from 1/3 on.
        share = (turns - primary).abs_().sub_(0.5).abs_().mul_(6).sub_(1).clamp_(0, 1)
        torch.addcmul(low, share, chroma, out=turned[:, channel])
    return turned


def brightness(images, factor):
    """Multiply all colours by `factor`, clipped at 1.

    Equivalent to ``PIL.ImageEnhance.Brightness`` up to rounding.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    factor : Tensor of shape (n,), at least 0
        0 gives black, 1 changes nothing.

    Returns
    -------
    images : Tensor of the same shape
        The darker or lighter images.
    """
    changed = images.clone()
    changed[:, :3].mul_(factor[:, None, None, None]).clamp_(max=1)
    return changed


def grayscale(images, applied):
    """Replace all three colours by their luma, 0.299 red + 0.587 green + 0.114 blue, where `applied`.

    Equivalent to PIL's conversion to mode "L" and back up to rounding.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    applied : Tensor of shape (n,), bool
        Which images to change.

    Returns
    -------
    images : Tensor of the same shape
        The images, some of them grey.
    """
    rows = applied.nonzero()[:, 0]
    chosen = images.index_select(0, rows)
    chosen[:, :3] = luma(chosen)[:, None]
    return images.index_copy(0, rows, chosen)


def luma(images):
    """Return the luma of each pixel: 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601).

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]

    Returns
    -------
    luma : Tensor of shape (n, height, width), float32 in [0, 1]
        Alpha is ignored.
    """
    return RED_SHARE * images[:, 0] + GREEN_SHARE * images[:, 1] + BLUE_SHARE * images[:, 2]


def posterize(images, applied):
    """Keep 1 bit of each colour, the highest of its 8-bit value, where `applied`.

    Equivalent to ``PIL.ImageOps.posterize(image, 1)``.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    applied : Tensor of shape (n,), bool
        Which images to change.

    Returns
    -------
    images : Tensor of the same shape
        The images, some of them with the values 0 and 128/255 only.

    Examples
    --------
    >>> images = torch.tensor([0.0, 127 / 255, 1.0]).view(1, 3, 1, 1)
    >>> posterize(images, torch.tensor([True])).flatten() * 255
    tensor([  0.,   0., 128.])
    """
    rows = applied.nonzero()[:, 0]
    chosen = images.index_select(0, rows)
    # The nearest 8-bit value is at least 128 from 127.5 / 255 on.
    torch.mul(chosen[:, :3] >= 0.5, HIGHEST_BIT, out=chosen[:, :3])
    return images.index_copy(0, rows, chosen)


def invert(images, applied):
    """Replace each colour by 1 minus itself, where `applied`.

    Equivalent to ``PIL.ImageOps.invert``.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    applied : Tensor of shape (n,), bool
        Which images to change.

    Returns
    -------
    images : Tensor of the same shape
        The images, some of them as negatives.
    """
    rows = applied.nonzero()[:, 0]
    chosen = images.index_select(0, rows)
    chosen[:, :3].neg_().add_(1)
    return images.index_copy(0, rows, chosen)


def sharpen(images, applied, factor=7.0):
    """Multiply the difference from a smoothed copy by `factor`, where `applied`.

    Equivalent to ``torchvision.transforms.functional.adjust_sharpness`` and, up to rounding, to
    ``PIL.ImageEnhance.Sharpness`` on whole images. The smoothed copy weights a pixel 5 and its eight neighbours 1; the
    image's outermost pixels are not smoothed.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    applied : Tensor of shape (n,), bool
        Which images to change.
    factor : float
        0 gives the smoothed copy, 1 changes nothing, above 1 sharpens.

    Returns
    -------
    images : Tensor of the same shape
        The images, some of them sharpened.

    Notes
    -----
    On objects the smoothed copy also weights each pixel by its alpha: the colour of invisible pixels has no effect,
    whereas in PIL and torchvision it shows at the object's edge.
    """
    height, width = images.shape[-2:]
    if min(height, width) < 3:
        return images.clone()
    rows = applied.nonzero()[:, 0]
    chosen = images.index_select(0, rows)
    smooth = _smooth(chosen)
    inner = chosen[:, :3, 1:-1, 1:-1]
    inner.copy_(smooth.lerp_(inner, factor).clamp_(0, 1))
    return images.index_copy(0, rows, chosen)


def _smooth(images):
    """Return the colours inside the one-pixel border, weighted 5 in the centre and 1 around it, and by alpha."""
    weighted = premultiply(images)
    columns = weighted[:, :, :-2] + weighted[:, :, 1:-1] + weighted[:, :, 2:]
    sums = columns[..., :-2] + columns[..., 1:-1] + columns[..., 2:]
    sums.add_(weighted[:, :, 1:-1, 1:-1], alpha=4)
    if images.shape[1] == 3:
        return sums.div_(13)
    return sums[:, :3].div_(sums[:, 3:].clamp(min=torch.finfo(images.dtype).tiny))
