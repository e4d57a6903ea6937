"""Corruptions: blur, noise, pixelate, elastic, erasing and contrast.

They keep the contract of `invtransfer.transformations`. Lengths are in pixels of an image whose shorter side is 32, as
in the paper, and scale with the image: 7 px are 7/32 of the shorter side. A draw therefore looks the same at every
resolution. Averages over pixels are taken with premultiplied alpha.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from scipy.interpolate import make_interp_spline
from torch.nn import functional

from invtransfer.transformations.draws import normal_fields, uniform_fields
from invtransfer.transformations.geometric import centred_pixels, place, premultiply, resample_, unpremultiply_
from invtransfer.transformations.photometric import luma

REFERENCE_SIDE = 32


def blur(images, sigma, kernel=7.0):
    """Blur with a Gaussian of standard deviation `sigma` px, cut off outside a square of `kernel` px.

    Equivalent at 32 x 32 to ``torchvision.transforms.functional.gaussian_blur``, with the same reflection at the
    borders.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    sigma : Tensor of shape (n,), in px of a 32-px image, at least 0
        0 changes nothing.
    kernel : float, in px of a 32-px image
        Side of the square that is averaged, rounded to the nearest odd number of the image's own pixels.

    Returns
    -------
    images : Tensor of the same shape
        The blurred images.

    Examples
    --------
    >>> images = torch.zeros(1, 3, 32, 32)
    >>> images[..., 16] = 1.0
    >>> [round(v, 4) for v in blur(images, torch.tensor([0.5]))[0, 0, 0, 14:19].tolist()]
    [0.0003, 0.1065, 0.7866, 0.1065, 0.0003]
    """
    n, channels, height, width = images.shape
    scale = _scale(images)
    radius = round((kernel * scale - 1) / 2) if kernel * scale > 1 else 0
    down, across = _gaussian_matrices(sigma * scale, radius, height, width)
    blurred = torch.bmm(premultiply(images).reshape(n, channels * height, width), across.mT)
    blurred = torch.matmul(down[:, None], blurred.view(n, channels, height, width))
    return unpremultiply_(blurred)


def gaussian_matrix(sigma, radius, size):
    """Return the matrices that smooth a line of pixels with Gaussians; the line is reflected at its ends.

    Parameters
    ----------
    sigma : Tensor of shape (n,), in pixels, at least 0
        Standard deviations; 0 gives the identity.
    radius : int
        Distance in pixels beyond which weights are 0.
    size : int
        Length of the line in pixels.

    Returns
    -------
    matrix : Tensor of shape (n, size, size), float32
        ``matrix @ line`` is the smoothed line. Rows sum to 1.

    Notes
    -----
    On short lines, a product with a small dense matrix is faster than a convolution with one kernel per image, and
    needs no padding.

    Examples
    --------
    >>> gaussian_matrix(torch.tensor([1.0]), 1, 3).round(decimals=3)
    tensor([[[0.4520, 0.5480, 0.0000],
             [0.2740, 0.4520, 0.2740],
             [0.0000, 0.5480, 0.4520]]])
    """
    distance = torch.arange(-radius, radius + 1, dtype=sigma.dtype, device=sigma.device)
    # A thousandth of a pixel has the effect of 0, and can be divided by.
    weights = torch.exp(-0.5 * (distance / sigma.clamp(min=1e-3)[:, None]) ** 2)
    weights = weights / weights.sum(1, keepdim=True)
    # The weights of each pixel are added where they meet the line, which is mirrored at its ends.
    pixels = torch.arange(size, device=sigma.device)[:, None]
    met = pixels + torch.arange(-radius, radius + 1, device=sigma.device)
    met = _reflect(met, size)
    n, places = len(weights), (pixels * size + met).flatten()
    added = weights[:, None].expand(n, size, 2 * radius + 1).reshape(n, len(places))
    matrices = weights.new_zeros(n, size * size).scatter_add_(1, places.expand(n, -1), added)
    return matrices.view(n, size, size)


def _reflect(places, size):
    """Return the places of a line of pixels that others, beyond its ends, are mirrored to, once or more."""
    period = max(2 * (size - 1), 1)  # all places of a line of one pixel are that pixel
    return size - 1 - abs(size - 1 - places % period)


def _gaussian_matrices(sigma, radius, height, width):
    """Return `gaussian_matrix` for the columns and for the rows of images, the same one if they are square."""
    down = gaussian_matrix(sigma, radius, height)
    return down, down if width == height else gaussian_matrix(sigma, radius, width)


def noise(images, applied, seed):
    """Add noise as `add_noise` does, where `applied`.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    applied : Tensor of shape (n,), bool
        Which images to change.
    seed : Tensor of shape (n,), int64
        Seeds of the fields of noise, see `normal_fields`.

    Returns
    -------
    images : Tensor of the same shape
        The images, some of them noisy.
    """
    rows = applied.nonzero()[:, 0]
    field = torch.from_numpy(normal_fields(seed[rows].tolist(), (3, *images.shape[2:])))
    return images.index_copy(0, rows, add_noise(images.index_select(0, rows), field.to(images.device)))


def add_noise(images, field):
    """Add `field`, clipped to [0, 1], to the colours and clip the sum at 1.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    field : Tensor of shape (n, 3, height, width)
        Standard normal numbers.

    Returns
    -------
    images : Tensor of the same shape
        The noisy images; no pixel gets darker. Alpha does not change.

    Notes
    -----
    The paper's released code lets sums above 1 wrap around to black.
    """
    noisy = images.clone()
    noisy[:, :3].add_(field.clamp(0, 1)).clamp_(max=1)
    return noisy


def pixelate(images, applied):
    """Replace each block of 2 x 2 pixels by its mean, where `applied`.

    Equivalent to halving with PIL's BOX filter and doubling with its NEAREST, if height and width are even.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    applied : Tensor of shape (n,), bool
        Which images to change.

    Returns
    -------
    images : Tensor of the same shape
        The images, some of them at half resolution. If a side is odd, the last row or column is averaged alone.

    Notes
    -----
    The paper's released code reduces the resolution to 0.3; its text, which is followed here, says half.

    Examples
    --------
    >>> images = torch.tensor([[0.0, 1.0, 0.5]]).expand(1, 3, 1, 3)
    >>> pixelate(images, torch.tensor([True]))[0, 0]
    tensor([[0.5000, 0.5000, 0.5000]])
    """
    height, width = images.shape[-2:]
    # Doubling the last row or column of an odd size does not change its mean.
    rows = applied.nonzero()[:, 0]
    even = premultiply(images.index_select(0, rows))
    if height % 2 or width % 2:
        even = functional.pad(even, (0, width % 2, 0, height % 2), mode="replicate")
    halves = even[:, :, ::2] + even[:, :, 1::2]
    coarse = unpremultiply_((halves[..., ::2] + halves[..., 1::2]).div_(4))
    fine = coarse[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2).reshape(even.shape)
    return images.index_copy(0, rows, fine[:, :, :height, :width])


def elastic(images, applied, seed, alpha=150.0, sigma=5.0):
    """Distort images as `displace` does, where `applied`.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    applied : Tensor of shape (n,), bool
        Which images to change.
    seed : Tensor of shape (n,), int64
        Seeds of the fields of displacements, see `uniform_fields`.
    alpha, sigma : float
        As for `displace`.

    Returns
    -------
    images : Tensor of the same shape
        The images, some of them distorted.
    """
    rows = applied.nonzero()[:, 0]
    field = torch.from_numpy(uniform_fields(seed[rows].tolist(), (2, *images.shape[2:])))
    distorted = displace(images.index_select(0, rows), field, alpha, sigma)
    return images.index_copy(0, rows, distorted)


def displace(images, field, alpha=150.0, sigma=5.0):
    """Displace pixels by `field`, smoothed over `sigma` px and multiplied by `alpha` / 2 px.

    Equivalent at 32 x 32 to ``torchvision.transforms.ElasticTransform(alpha, sigma)`` with bilinear interpolation. The
    paper's parameters displace a pixel by 2.4 px in x and in y (root mean square).

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    field : Tensor of shape (n, 2, height, width), in [-1, 1]
        Independent uniform numbers; smoothed, they are the displacements in x and y at which each pixel of the result
        looks up the image.
    alpha : float
        Twice the displacement in pixels for a smoothed field of 1.
    sigma : float, in px of a 32-px image
        Standard deviation of the Gaussian that smooths the field and is cut off at 4 standard deviations.

    Returns
    -------
    images : Tensor of the same shape
        The distorted images.

    Notes
    -----
    The mean of independent numbers over a Gaussian of width s shrinks as 1 / s. For displacements that grow with the
    image, `sigma` is multiplied by the ratio of the image's shorter side to 32, and `alpha` by its square. torchvision
    divides by the sides, so that an oblong image is displaced by more pixels along its longer side; here displacements
    in pixels are the same in both directions.

    The smoothed field is computed at every third of a standard deviation and interpolated in between by cubic splines,
    which costs little at any size and changes displacements by less than 0.005 px of a 32-px image.
    """
    scale = _scale(images)
    (down, to_rows), (across, to_columns) = (
        map(torch.from_numpy, _smoothing_matrices(size, sigma * scale)) for size in images.shape[2:]
    )
    # In double precision: how products round depends on where in memory they are, which single precision would show.
    smooth = to_rows @ (down @ (field.cpu().double() @ across.mT)) @ to_columns.mT
    smooth = smooth.to(images.device, images.dtype)
    x, y = centred_pixels(images)
    pixels = torch.stack(torch.broadcast_tensors(x, y))
    return resample_(images, smooth.mul_(alpha / 2 * scale**2).add_(pixels))


@lru_cache(maxsize=16)
def _smoothing_matrices(size, sigma):
    """Return the matrix that smooths a line of pixels at some of them, and that which interpolates all from these."""
    n_nodes = math.ceil(3 * (size - 1) / sigma) + 1
    nodes = np.unique(np.linspace(0, size - 1, min(size, n_nodes)).round().astype(int))
    taps = np.arange(-int(4 * sigma), int(4 * sigma) + 1)
    weights = np.exp(-0.5 * (taps / sigma) ** 2)
    places = _reflect(nodes[:, None] + taps, size)
    smoothing = np.zeros((len(nodes), size))
    np.add.at(smoothing, (np.arange(len(nodes))[:, None], places), weights / weights.sum())
    interpolation = np.ones((1, 1))
    if size > 1:
        interpolation = make_interp_spline(nodes, np.eye(len(nodes)), k=3, bc_type="clamped")(np.arange(size))
    return smoothing, interpolation


def erase(images, applied, position, side=14.0):
    """Make a square of `side` px at `position` black, or transparent on objects, where `applied`.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    applied : Tensor of shape (n,), bool
        Which images to change.
    position : Tensor of shape (n, 2), in [0, 1]
        x and y of the square, as fractions of the range of places inside the image: (0, 0) is the top left, (1, 1) the
        bottom right.
    side : float, in px of a 32-px image
        Side of the square, rounded to whole pixels of the image, at least one.

    Returns
    -------
    images : Tensor of the same shape
        The images, some of them with a hole.

    Examples
    --------
    >>> images = torch.ones(1, 3, 4, 4)
    >>> erase(images, torch.tensor([True]), torch.tensor([[1.0, 0.0]]))[0, 0]
    tensor([[1., 1., 0., 0.],
            [1., 1., 0., 0.],
            [1., 1., 1., 1.],
            [1., 1., 1., 1.]])
    """
    height, width = images.shape[-2:]
    side = max(1, round(side * _scale(images)))
    x = torch.arange(width, device=images.device) - place(position[:, 0], width - side + 1)[:, None]
    y = torch.arange(height, device=images.device) - place(position[:, 1], height - side + 1)[:, None]
    x_hit = (x >= 0) & (x < side)
    y_hit = (y >= 0) & (y < side) & applied[:, None]
    keep = ~(y_hit[:, None, :, None] & x_hit[:, None, None, :])
    return images * keep.to(images.dtype)


def contrast(images, factor):
    """Multiply each colour's difference from the image's mean grey by `factor`, clipped to [0, 1].

    Equivalent to ``PIL.ImageEnhance.Contrast`` up to rounding, on whole images.

    Parameters
    ----------
    images : Tensor of shape (n, 3 or 4, height, width), float32 in [0, 1]
    factor : Tensor of shape (n,), at least 0
        0 gives a uniform grey, 1 changes nothing.

    Returns
    -------
    images : Tensor of the same shape
        The images with less or more contrast; alpha does not change.

    Notes
    -----
    An object's mean grey is the mean over its own pixels, weighted by alpha; PIL's includes the invisible ones.
    """
    grey = luma(images)
    if images.shape[1] == 4:
        alpha = images[:, 3]
        total = alpha.sum((1, 2)).clamp(min=torch.finfo(images.dtype).tiny)
        mean = (grey * alpha).sum((1, 2)) / total
    else:
        mean = grey.mean((1, 2))
    changed = images.clone()
    colours = changed[:, :3].mul_(factor[:, None, None, None])
    colours.add_(((1 - factor) * mean)[:, None, None, None]).clamp_(0, 1)
    return changed


def _scale(images):
    """Return how many pixels of the images one pixel of a 32-px image corresponds to."""
    return min(images.shape[-2:]) / REFERENCE_SIDE
