"""Whole images and objects that transformations are tested on, and how results are compared with those of others."""

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from invtransfer.transformations import TRANSFORMATIONS, to_tensors

# Two float32 implementations of the same sum; sampling positions of about 16 px carry an error of about 2e-6 px.
SAME = 2e-5
# PIL rounds or truncates to 8 bits, some functions twice.
ROUNDED = 1.01 / 255
ROUNDED_TWICE = 2.01 / 255


def whole_images(n=4, height=32, width=32, seed=0):
    """Smooth clouds of colour with a hard-edged rectangle and disc, in steps of 1/255."""
    rng = np.random.default_rng(seed)
    clouds = ndimage.gaussian_filter(rng.standard_normal((n, 3, height, width)), (0, 0, 3, 3), mode="wrap")
    images = 0.5 + 0.25 * clouds / (clouds.std() + 1e-9)
    y, x = np.mgrid[:height, :width]
    images[:, 0, height // 5 : height // 2, width // 6 : width // 2] = 0.9
    images[:, 1:, np.hypot(y - 0.6 * height, x - 0.6 * width) < height / 5] = 0.1
    return torch.from_numpy(np.round(255 * images.clip(0, 1)) / 255).float()


def objects(n=4, height=32, width=32, seed=0):
    """The same colours with the alpha of a soft-edged disc left of and above the centre; noise where invisible."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    distance = np.hypot((y - 0.45 * height) / height, (x - 0.4 * width) / width)
    alpha = np.round(255 * np.clip((0.3 - distance) * 12, 0, 1)) / 255
    images = np.empty((n, 4, height, width))
    images[:, :3] = whole_images(n, height, width, seed).numpy()
    images[:, 3] = alpha
    invisible = np.broadcast_to(alpha == 0, (n, 3, height, width))
    images[:, :3][invisible] = np.round(255 * rng.random(invisible.sum())) / 255
    return torch.from_numpy(images).float()


CONTENT = {"whole": whole_images, "object": objects}


def premultiplied(images):
    """Colour times alpha, and alpha: what is seen of an object. Whole images as they are."""
    images = np.asarray(images).astype(np.float64)
    if images.shape[1] == 4:
        images[:, :3] *= images[:, 3:]
    return images


def assert_seen_alike(images, expected, tolerance=SAME):
    np.testing.assert_allclose(premultiplied(images), premultiplied(expected), rtol=0, atol=tolerance)


def to_pil(image):
    return Image.fromarray(np.round(255 * image.permute(1, 2, 0).numpy()).astype(np.uint8))


def from_pil(images):
    return torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2) / 255.0


def with_pil(function, images, *rows):
    """Call `function` on the colours of each image as PIL sees it, keeping alpha."""
    changed = [function(to_pil(image[:3]), *values) for image, *values in zip(images, *rows, strict=True)]
    return torch.cat([from_pil(changed), images[:, 3:]], dim=1)


def draw(name, n=4, height=32, width=32, seed=0):
    """Parameters of which, where that is a matter of chance, some rows are applied and some not."""
    generator = np.random.default_rng(seed)
    parameters = TRANSFORMATIONS[name].draw(n, generator, (height, width))
    return to_tensors(parameters)
