"""The ordinary way to make images: one by one, with PIL and torchvision. Timings of this package compare with it."""

import numpy as np
import torch
from PIL import Image, ImageOps
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv

from invtransfer.sources.pasting import place_objects

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)  # of the channels, with which images are normalised
BILINEAR = InterpolationMode.BILINEAR


def open_objects(objects, size):
    """Place objects in the middle of images, and open these with PIL.

    Parameters
    ----------
    objects : ndarray of shape (n_objects, height, width, 4), uint8
        Objects with an alpha channel, such as ``load_objects().images``.
    size : int
        Side of the images, in pixels.

    Returns
    -------
    images : list of PIL.Image.Image
        RGBA.

    Examples
    --------
    >>> from invtransfer import load_objects
    >>> open_objects(load_objects(size=64).images[:2], 32)[1].size
    (32, 32)
    """
    placed = np.round(place_objects(objects, size) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    return [Image.fromarray(np.ascontiguousarray(image)) for image in placed]


def transform(name, image, draw):
    """Transform an image at random, as Transforms-2D does.

    Parameters
    ----------
    name : str
        One of `invtransfer.TRANSFORMATIONS`.
    image : PIL.Image.Image
        RGBA, of as many rows as columns; "erasing" makes 14 x 14 pixels transparent, those of 32 x 32.
    draw : numpy.random.Generator
        Generator that draws whether and how strongly it is transformed.

    Returns
    -------
    image : PIL.Image.Image
        RGBA, of the same size; maybe the same one.

    Examples
    --------
    >>> red = Image.new("RGBA", (32, 32), (255, 0, 0, 255))
    >>> transform("hue", red, np.random.default_rng(0)).getpixel((0, 0))[3]
    255
    """
    if name in ALWAYS:
        return ALWAYS[name](image, draw)
    return SOMETIMES[name](image, draw) if draw.random() < 0.5 else image


def show(image, background):
    """Paste an image on a background, and normalise it.

    Parameters
    ----------
    image : PIL.Image.Image
        RGBA.
    background : PIL.Image.Image
        RGB, of the same size. It stays as it is.

    Returns
    -------
    shown : torch.Tensor of shape (3, height, width), float32

    Examples
    --------
    >>> clear, white = Image.new("RGBA", (2, 2)), Image.new("RGB", (2, 2), (255, 255, 255))
    >>> show(clear, white)[0].tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """
    pasted = background.copy()
    pasted.paste(image, mask=image)
    return tv.normalize(tv.to_tensor(pasted), MEAN, STD, inplace=True)


def _on_colours(change, image):
    """Change the colours of a PIL image, and keep its alpha."""
    changed = change(image.convert("RGB"))
    changed.putalpha(image.getchannel("A"))
    return changed


def _translate(image, draw):
    """Move the object's bounding box to a place inside the image."""
    part = image.crop(image.getchannel("A").getbbox())
    moved = Image.new("RGBA", image.size)
    place = [int(draw.random() * (image.width - side + 1)) for side in part.size]
    moved.paste(part, place)
    return moved


def _noise(image, draw):
    """Add positive Gaussian noise to the colours."""
    pixels = np.array(image)
    field = draw.standard_normal((*pixels.shape[:2], 3), dtype=np.float32).clip(0, 1) * 255
    pixels[..., :3] = np.minimum(pixels[..., :3] + field, 255)
    return Image.fromarray(pixels)


def _elastic(image, draw):
    """Displace the pixels by a smooth field, as torchvision's ElasticTransform does."""
    field = torch.from_numpy(draw.random((1, 2, *image.size), dtype=np.float32) * 2 - 1)
    smooth = tv.gaussian_blur(field, [41, 41], [5.0, 5.0]) * 150 / image.width
    return tv.elastic_transform(image, smooth.permute(0, 2, 3, 1), BILINEAR)


def _erase(image, draw):
    """Make a square transparent."""
    x, y = (int(draw.random() * (image.width - 14 + 1)) for _ in range(2))
    image = image.copy()
    image.paste((0, 0, 0, 0), (x, y, x + 14, y + 14))
    return image


def _affine(image, scale=1.0, shear=(0.0, 0.0)):
    """Scale and shear about the centre."""
    return tv.affine(image, 0.0, [0, 0], scale, list(shear), BILINEAR)


ALWAYS = {  # a PIL image and a numpy Generator to the transformed image
    "translate": _translate,
    "rotate": lambda image, draw: tv.rotate(image, draw.uniform(0, 360), BILINEAR),
    "scale": lambda image, draw: _affine(image, scale=draw.uniform(0.4, 1.0)),
    "shear": lambda image, draw: _affine(image, shear=(draw.uniform(-50, 50), draw.uniform(-50, 50))),
    "hue": lambda image, draw: _on_colours(lambda rgb: tv.adjust_hue(rgb, draw.uniform(-0.5, 0.5)), image),
    "brightness": lambda image, draw: tv.adjust_brightness(image, draw.uniform(0, 2)),
    "blur": lambda image, draw: tv.gaussian_blur(image, [7, 7], [draw.uniform(0.1, 1.5)] * 2),
    "contrast": lambda image, draw: tv.adjust_contrast(image, draw.uniform(0, 2)),
}
SOMETIMES = {  # with probability 0.5
    "v_flip": lambda image, draw: tv.vflip(image),
    "h_flip": lambda image, draw: tv.hflip(image),
    "grayscale": lambda image, draw: image.convert("LA").convert("RGBA"),
    "posterize": lambda image, draw: _on_colours(lambda rgb: ImageOps.posterize(rgb, 1), image),
    "invert": lambda image, draw: _on_colours(ImageOps.invert, image),
    "sharpen": lambda image, draw: tv.adjust_sharpness(image, 7.0),
    "noise": _noise,
    "pixelate": lambda image, draw: image.reduce(2).resize(image.size, Image.Resampling.NEAREST),
    "elastic": _elastic,
    "erasing": _erase,
}
