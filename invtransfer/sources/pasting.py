"""Pasting objects on backgrounds: they are scaled, centred, shifted, and mixed by their alpha."""

import numpy as np
import torch
from PIL import Image

from invtransfer.images.checks import check_images
from invtransfer.objects import load_backgrounds

OBJECT_SIDE = 0.7  # fraction of the image's side, before any transformation (Speicher et al. 2024, Appendix A)


def place_objects(images, size, side=OBJECT_SIDE):
    """Scale objects to a fraction of the image's side and centre them.

    Parameters
    ----------
    images : ndarray of shape (n_objects, side, side, 4), uint8
        RGBA images.
    size : int or tuple of int
        Side in pixels of the images on which the objects are pasted, or (height, width).
    side : float
        Side of the objects, as a fraction of the image's shorter side.

    Returns
    -------
    placed : ndarray of shape (n_objects, 4, height, width), float32 in [0, 1]
        Transparent around the objects.

    Examples
    --------
    >>> opaque = np.full((1, 8, 8, 4), 255, dtype=np.uint8)
    >>> place_objects(opaque, (5, 6), side=0.4)[0, 3].astype(int)
    array([[0, 0, 0, 0, 0, 0],
           [0, 0, 1, 1, 0, 0],
           [0, 0, 1, 1, 0, 0],
           [0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0]])
    """
    height, width = np.broadcast_to(size, 2).tolist()
    left, top, side = centred_box((height, width), side)
    placed = np.zeros((len(images), 4, height, width), dtype=np.float32)
    resized = _resize(images, side).transpose(0, 3, 1, 2)
    placed[:, :, top : top + side, left : left + side] = resized / np.float32(255)
    return placed


def centred_box(image_shape, side=OBJECT_SIDE):
    """Return the box of an object before it is transformed.

    Parameters
    ----------
    image_shape : tuple of int
        (height, width) in pixels.
    side : float
        Side of the object, as a fraction of the image's shorter side.

    Returns
    -------
    left, top, side : int
        Top-left corner and side of the box, in pixels.

    Examples
    --------
    >>> centred_box((32, 40))
    (9, 5, 22)
    """
    height, width = image_shape
    side = max(1, round(side * min(height, width)))
    return (width - side) // 2, (height - side) // 2, side


def shift(objects, offsets):
    """Shift objects by whole pixels.

    Parameters
    ----------
    objects : torch.Tensor of shape (n, 4, height, width), float32
        Not changed.
    offsets : ndarray of shape (n, 2), int64
        Pixels by which each is shifted to the right and down, or to the left and up if negative; less than the image's
        sides.

    Returns
    -------
    shifted : torch.Tensor of shape (n, 4, height, width), float32
        Parts that leave the image are lost; new pixels are transparent.

    Examples
    --------
    >>> objects = torch.arange(3.0).expand(1, 4, 2, 3)
    >>> shift(objects, np.array([[1, 0]]))[0, 0]
    tensor([[0., 0., 1.],
            [0., 0., 1.]])
    """
    height, width = objects.shape[2:]
    from_pixels, to_pixels = objects.numpy(), np.zeros(objects.shape, dtype=np.float32)
    for before, after, (right, down) in zip(from_pixels, to_pixels, offsets.tolist(), strict=True):
        after[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = before[
            :, max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
        ]
    return torch.from_numpy(to_pixels)


def paste(objects, backgrounds, out=None):
    """Paste objects on backgrounds.

    Parameters
    ----------
    objects : torch.Tensor of shape (n, 4, height, width), float32 in [0, 1]
        With straight alpha.
    backgrounds : ndarray of shape (n, 3, height, width), uint8 or float32 in [0, 1]
        Visible where the alpha is below 1. Not changed.
    out : ndarray of shape (n, height, width, 3), with the dtype of `backgrounds`
        Array that the images are written into; None: a new one.

    Returns
    -------
    images : ndarray of shape (n, height, width, 3), with the dtype of `backgrounds`
        uint8 is rounded to the nearest level.

    Examples
    --------
    >>> half_red = torch.tensor([1.0, 0.0, 0.0, 0.5]).view(1, 4, 1, 1)
    >>> paste(half_red, np.full((1, 3, 1, 1), 100, dtype=np.uint8)).tolist()
    [[[[178, 50, 50]]]]
    """
    if out is None:
        out = np.empty((*backgrounds.shape[:1], *backgrounds.shape[2:], 3), dtype=backgrounds.dtype)
    mixed = torch.from_numpy(backgrounds).to(torch.float32, copy=True)
    if backgrounds.dtype == np.uint8:
        mixed = mixed.lerp_(objects[:, :3] * 255, objects[:, 3:]).round_()
    else:
        mixed = mixed.lerp_(objects[:, :3], objects[:, 3:])
    write_pixels(mixed, out)
    return out


def write_pixels(images, out):
    """Write images into an array whose channels come last, one channel after the other, which is fastest.

    Parameters
    ----------
    images : torch.Tensor of shape (n, 3, height, width), float32
        Images in the range of `out`, rounded if `out` is uint8.
    out : ndarray of shape (n, height, width, 3), uint8 or float32
        Array that the images are written into.
    """
    pixels = images.numpy().astype(out.dtype, copy=False)
    for channel in range(3):
        out[..., channel] = pixels[:, channel]


def prepare_backgrounds(backgrounds, size):
    """Resize backgrounds to squares, with their channels first.

    Parameters
    ----------
    backgrounds : array-like of shape (n_backgrounds, height, width, 3), "random" or None
        As for `Transforms2D`; None is ``load_backgrounds("procedural")``.
    size : int
        Side of the images in pixels.

    Returns
    -------
    backgrounds : ndarray of shape (n_backgrounds, 3, size, size), uint8, or None
        None if they are "random".

    Raises
    ------
    ValueError
        If `backgrounds` is another word, or does not hold images.
    """
    if backgrounds is None:
        backgrounds = load_backgrounds("procedural", size=max(size, 8))
    if isinstance(backgrounds, str):
        if backgrounds != "random":
            raise ValueError(
                f"backgrounds is {backgrounds!r}, expected images (see load_backgrounds), 'random' or None"
            )
        return None
    backgrounds = np.asarray(check_images(backgrounds, "backgrounds"))
    if backgrounds.dtype != np.uint8:
        backgrounds = np.round(backgrounds * 255).astype(np.uint8)
    return np.ascontiguousarray(_resize(backgrounds, size).transpose(0, 3, 1, 2))


def _resize(images, size):
    """Resize uint8 images to squares, bilinearly, with antialiasing and premultiplied alpha."""
    if images.shape[1:3] == (size, size):
        return images
    resized = [Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR) for image in images]
    return np.stack([np.asarray(image) for image in resized])
