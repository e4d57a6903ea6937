"""Geometric transformations: translate, rotate, scale, shear and the two flips, and the resampling behind them.

They keep the contract of `invtransfer.transformations`. Pixels from outside the image are black, or transparent on
objects. Interpolation is bilinear between pixel centres and with premultiplied alpha, so that the colour of invisible
pixels never shows at an object's edge; pixels that end up with alpha 0 are black.
"""

import torch
from torch.nn import functional

LARGEST_SHIFT = 0.3
SMALLEST_VISIBLE_ALPHA = 0.5 / 255


def translate(images, position, share=1.0):
    """Move by whole pixels to `position`, given as a fraction of the range of allowed places.

    The tight bounding box of an object moves to one of the places that keep it inside the image, number
    ``floor(position * number of places)``. An object without a visible pixel is not changed. A whole image is shifted
    on each axis by up to 30 % of its side in either direction.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    position : Tensor of shape (n, 2), in [0, 1]
        x and y; (0, 0) is furthest to the left and top, (1, 1) furthest to the right and bottom.
    share : float
        Share of the way to that place that is gone, from 0 to 1.

    Returns
    -------
    images : Tensor of the same shape
        The moved images; no pixel value is interpolated.

    Notes
    -----
    The paper's released code shifts whole images by up to 15 %; its text, which is followed here, says 30 %. A pixel
    counts as visible if its alpha does not round to 0 in 8 bits.

    Examples
    --------
    One visible pixel in the middle of a row of three goes to the right end:

    >>> images = torch.zeros(1, 4, 1, 3)
    >>> images[0, :, 0, 1] = 1.0
    >>> translate(images, torch.tensor([[1.0, 0.0]]))[0, 3]
    tensor([[0., 0., 1.]])
    """
    height, width = images.shape[-2:]
    if images.shape[1] == 4:
        alpha = images[:, 3]
        shift_x, shift_y = (_box_shift(alpha.amax(1 + axis), position[:, axis], share) for axis in (0, 1))
    else:
        nearer = 0.5 + share * (position - 0.5)  # 0.5 is the place where the image is
        shift_x, shift_y = _side_shift(width, nearer[:, 0]), _side_shift(height, nearer[:, 1])
    x = torch.arange(width, device=images.device) - shift_x[:, None]
    y = torch.arange(height, device=images.device) - shift_y[:, None]
    source = y.clamp(0, height - 1)[:, :, None] * width + x.clamp(0, width - 1)[:, None, :]
    moved = images.flatten(2).gather(2, source.flatten(1)[:, None].expand(-1, images.shape[1], -1))
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
    return moved.view_as(images).mul_(inside[:, None].to(images.dtype))


def _box_shift(alpha, position, share):
    """Return the shift of the visible stretch of lines of pixels, (n, size), a share of the way to `position`, (n,)."""
    occupied = (alpha >= SMALLEST_VISIBLE_ALPHA).byte()
    first = occupied.argmax(1)
    n_places = first + occupied.flip(1).argmax(1) + 1
    shift = place(position, n_places) - first
    shift = shift if share == 1 else (shift * share).round().to(shift.dtype)
    return shift * occupied.amax(1)


def _side_shift(size, position):
    """Return the shift in [-30 %, 30 %] of `size`, in whole pixels, that `position`, (n,), stands for."""
    largest = int(LARGEST_SHIFT * size)
    return place(position, 2 * largest + 1) - largest


def rotate(images, angle):
    """Rotate counter-clockwise by `angle` degrees about the centre.

    Equivalent to ``torchvision.transforms.functional.rotate`` with bilinear interpolation.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    angle : Tensor of shape (n,), in degrees
        Any number; 90 takes the right side to the top.

    Returns
    -------
    images : Tensor of the same shape
        The turned images; corners that leave the frame are lost.

    Examples
    --------
    >>> images = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]).expand(1, 3, 3, 3)
    >>> rotate(images, torch.tensor([90.0]))[0, 0].round(decimals=4)
    tensor([[0., 1., 0.],
            [0., 0., 0.],
            [0., 0., 0.]])
    """
    angle = torch.deg2rad(angle)
    cosine, sine = angle.cos(), angle.sin()
    return affine(images, _matrix(cosine, -sine, sine, cosine))


def scale(images, factor):
    """Scale by `factor` about the centre; the rest of the frame becomes empty.

    Equivalent to ``torchvision.transforms.functional.affine(..., scale=factor)`` with bilinear interpolation.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    factor : Tensor of shape (n,), above 0
        Ratio of the new to the old length; above 1 magnifies.

    Returns
    -------
    images : Tensor of the same shape
        The scaled images.

    Notes
    -----
    As in PIL's and torchvision's affine transformations, pixels that shrink into one are not averaged.
    """
    step = 1 / factor
    nothing = torch.zeros_like(step)
    return affine(images, _matrix(step, nothing, nothing, step))


def shear(images, angles):
    """Slant by `angles` in degrees, x and y, about the centre.

    Equivalent to ``torchvision.transforms.functional.affine(..., shear=[x, y])`` with bilinear interpolation.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    angles : Tensor of shape (n, 2), in degrees, within (-90, 90)
        x tilts vertical lines, y tilts horizontal lines. A positive x moves the top to the right, a positive y moves
        the left side down.

    Returns
    -------
    images : Tensor of the same shape
        The slanted images; parts that leave the frame are lost.
    """
    tangent_x, tangent_y = torch.deg2rad(angles).tan().unbind(1)
    return affine(images, _matrix(1 + tangent_x * tangent_y, tangent_x, tangent_y, torch.ones_like(tangent_x)))


def v_flip(images, applied):
    """Turn upside down where `applied`.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    applied : Tensor of shape (n,), bool
        Which images to flip.

    Returns
    -------
    images : Tensor of the same shape
        The images, some of them with their rows in reverse order.
    """
    rows = applied.nonzero()[:, 0]
    return images.index_copy(0, rows, images.index_select(0, rows).flip(2))


def h_flip(images, applied):
    """Swap left and right where `applied`.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    applied : Tensor of shape (n,), bool
        Which images to flip.

    Returns
    -------
    images : Tensor of the same shape
        The images, some of them with their columns in reverse order.
    """
    rows = applied.nonzero()[:, 0]
    return images.index_copy(0, rows, images.index_select(0, rows).flip(3))


def place(position, n_places):
    """Return which of several equally likely places a position in [0, 1] falls on.

    Parameters
    ----------
    position : Tensor of shape (n,), in [0, 1]
        0 falls on the first place, 1 on the last.
    n_places : int, or Tensor of shape (n,), int64
        Number of places, at least 1.

    Returns
    -------
    place : Tensor of shape (n,), int64
        From 0 to ``n_places - 1``.
    """
    n_places = torch.as_tensor(n_places, device=position.device)
    return torch.minimum((position * n_places).long(), n_places - 1)


def affine(images, matrix):
    """Resample so that the pixel at offset `o` from the centre, in pixels, shows what was at ``matrix @ o``.

    The matrix leads from the result to the source (backward resampling): 0.5 times the identity magnifies by 2.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    matrix : Tensor of shape (n, 2, 2)
        Maps offsets (x, y) in the result to offsets in `images`; x points right, y down.

    Returns
    -------
    images : Tensor of the same shape
        The resampled images.
    """
    x, y = centred_pixels(images)
    return resample_(images, matrix[:, :, 0, None, None] * x + matrix[:, :, 1, None, None] * y)


def _matrix(xx, xy, yx, yy):
    """Return the matrices [[xx, xy], [yx, yy]], (n, 2, 2), from four tensors of shape (n,)."""
    return torch.stack([xx, xy, yx, yy], dim=1).view(-1, 2, 2)


def centred_pixels(images):
    """Return the offsets of pixel centres from the image's centre, in pixels: x (width,) and y (height, 1)."""
    height, width = images.shape[-2:]
    x = torch.arange(width, dtype=images.dtype, device=images.device) - (width - 1) / 2
    y = torch.arange(height, dtype=images.dtype, device=images.device) - (height - 1) / 2
    return x, y[:, None]


def resample_(images, offsets):
    """Look up every pixel at `offsets`, in pixels from the image's centre, with bilinear interpolation.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    offsets : Tensor of shape (n, 2, height, width)
        The x and y in `images` that each pixel of the result shows. Overwritten.

    Returns
    -------
    images : Tensor of the same shape
        The resampled images, black or transparent where `offsets` points outside.
    """
    # grid_sample measures in halves of the image's side, so that the outer edges are at -1 and 1.
    half_sides = offsets.new_tensor(images.shape[:-3:-1]).view(2, 1, 1) / 2
    grid = offsets.div_(half_sides).permute(0, 2, 3, 1)
    looked_up = functional.grid_sample(premultiply(images), grid, padding_mode="zeros", align_corners=False)
    return unpremultiply_(looked_up)


def premultiply(images):
    """Return objects with their colours multiplied by alpha, and whole images unchanged.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]

    Returns
    -------
    images : Tensor of the same shape
        Images that can be averaged over pixels without an effect of invisible colours.
    """
    if images.shape[1] == 3:
        return images
    premultiplied = images.clone()
    premultiplied[:, :3] *= images[:, 3:]
    return premultiplied


def unpremultiply_(images):
    """Undo `premultiply` in place, after an average whose weights sum to at most 1.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32
        Whole images, or objects with premultiplied alpha, up to rounding in [0, 1].

    Returns
    -------
    images : Tensor of the same shape, in [0, 1]
        The argument itself, with straight alpha; black where alpha is 0.
    """
    if images.shape[1] == 4:
        images[:, :3] /= images[:, 3:].clamp(min=torch.finfo(images.dtype).tiny)
    return images.clamp_(0, 1)
