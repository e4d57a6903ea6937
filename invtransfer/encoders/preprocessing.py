"""What a model of a library expects to be done with images before it sees them: size, crop and normalisation."""

import re
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional

IMAGE_METHODS = ("get_image_features", "encode_image")  # of models of images and text


class Preprocessing(nn.Module):
    """Resize images, cut out their centre, and normalise their channels.

    Parameters
    ----------
    size : tuple of int or None
        Height and width of the centre that is cut out, in pixels. Images that are smaller get a black border. None: all
        of the image.
    resize : int, tuple of int or None
        Before that, the length of the shorter side in pixels, or height and width whatever the shape was. None: images
        are not resized.
    mean, std : tuple of float
        Mean and standard deviation of each channel, for values in [0, 1].
    interpolation : str
        "nearest", "bilinear" or "bicubic". The last two average over pixels that are merged, as PIL does.

    Attributes
    ----------
    description : str
        What is done, in words.
    normalises : bool
        Whether values are changed by a mean or a standard deviation.

    Notes
    -----
    Equivalent to torchvision's ``Resize``, ``CenterCrop`` and ``Normalize`` for PIL images, without the rounding to 8
    bits in between. Images that have the size already are not resampled. It has no weights or buffers, and works on the
    device of the images.

    Examples
    --------
    >>> preprocessing = Preprocessing(size=(224, 224), resize=256, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    >>> preprocessing(torch.zeros(2, 3, 60, 80)).shape
    torch.Size([2, 3, 224, 224])
    >>> preprocessing.at_size(112).description
    'shorter side 128 (bilinear), centre 112 x 112, mean (0.5, 0.5, 0.5), std (0.2, 0.2, 0.2)'
    """

    def __init__(self, *, size=None, resize=None, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), interpolation="bilinear"):
        super().__init__()
        self.size, self.resize, self.interpolation = size, resize, interpolation
        self.mean, self.std = tuple(mean), tuple(std)
        self.normalises = set(self.mean) != {0} or set(self.std) != {1}
        self.description = ", ".join(self._describe())

    def forward(self, images):
        """Return the images of shape (n_samples, 3, height, width), floats in [0, 1] or uint8, as the model gets them.

        Floats keep their dtype; uint8 becomes float32.
        """
        if images.dtype == torch.uint8:
            images = images.float() / 255
        if self.resize is not None:
            images = self._resize(images)
        if self.size is not None:
            images = _cut_centre(images, self.size)
        mean, std = (images.new_tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        return (images - mean) / std

    def output_size(self, image_size):
        """Return the height and width of what the model gets.

        Parameters
        ----------
        image_size : tuple of int
            (height, width) of the images.

        Returns
        -------
        size : tuple of int
            (height, width).

        Examples
        --------
        >>> Preprocessing(resize=10).output_size((20, 40)), Preprocessing(size=(8, 8)).output_size((20, 40))
        ((10, 20), (8, 8))
        """
        return self.size or self._resized(tuple(image_size))

    def at_size(self, size):
        """Return the same preprocessing for images of another size.

        Parameters
        ----------
        size : int
            Height and width of what the model gets, in pixels. Images are resized by as much more or less, so that as
            large a part of them is cut out.

        Returns
        -------
        preprocessing : Preprocessing
        """
        return Preprocessing(
            size=(size, size), resize=self._scale_resize(size), mean=self.mean, std=self.std,
            interpolation=self.interpolation,
        )  # fmt: skip

    def extra_repr(self):
        """Return the description, for what is printed."""
        return self.description

    def _scale_resize(self, size):
        if self.resize is None or self.size is None:
            return size
        if isinstance(self.resize, int):
            return max(1, self.resize * size // min(self.size))
        return tuple(max(1, side * size // shown) for side, shown in zip(self.resize, self.size, strict=True))

    def _resized(self, size):
        """Return the height and width after images were resized, before the centre is cut out."""
        if self.resize is None:
            return size
        if not isinstance(self.resize, int):
            return tuple(self.resize)
        short, long = sorted(size)
        longer = self.resize * long // short
        return (self.resize, longer) if size[0] <= size[1] else (longer, self.resize)

    def _resize(self, images):
        height, width = self._resized(tuple(images.shape[-2:]))
        if (height, width) == tuple(images.shape[-2:]):
            return images
        smooth = self.interpolation != "nearest"
        exact = images if images.dtype == torch.float64 else images.float()  # torch resizes no halves on a CPU
        exact = functional.interpolate(
            exact, (height, width), mode=self.interpolation if smooth else "nearest-exact", antialias=smooth
        )
        if self.interpolation == "bicubic":  # which overshoots at edges, where PIL stays in range
            exact = exact.clamp(0, 1)
        return exact.to(images.dtype)

    def _describe(self):
        if self.resize is not None:
            sides = self.resize if isinstance(self.resize, int) else " x ".join(map(str, self.resize))
            yield f"{'shorter side' if isinstance(self.resize, int) else 'resized to'} {sides} ({self.interpolation})"
        if self.size is not None:
            yield f"centre {' x '.join(map(str, self.size))}"
        if self.size is None and self.resize is None:
            yield "size as it is"
        if not self.normalises:
            yield "no normalisation added"
        else:
            yield "mean " + _format_values(self.mean)
            yield "std " + _format_values(self.std)


class Preprocessed(nn.Sequential):
    """A model with its preprocessing in front.

    Parameters
    ----------
    preprocessing : Preprocessing
        What is done with images first.
    model : torch.nn.Module
        Model, of which those of images and text are asked by `get_image_features` or `encode_image`.

    Examples
    --------
    >>> Preprocessed(Preprocessing(size=(4, 4)), nn.Flatten())(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 48])
    """

    def __init__(self, preprocessing, model):
        super().__init__(OrderedDict(preprocessing=preprocessing, model=model))

    def forward(self, images):
        """Return what the model returns for images of shape (n_samples, 3, height, width)."""
        method = find_image_method(self.model)
        images = self.preprocessing(images)
        return self.model(images) if method is None else getattr(self.model, method)(images)

    def __getitem__(self, key):
        """Return one of the two parts, or some of them, as of any `torch.nn.Sequential`."""
        return nn.Sequential(OrderedDict(self.named_children()))[key]


def find_image_method(module):
    """Return the name of the method by which a model of images and text takes images; None for other models.

    Parameters
    ----------
    module : torch.nn.Module
        Any module.

    Returns
    -------
    name : str or None
    """
    return next((name for name in IMAGE_METHODS if callable(getattr(module, name, None))), None)


def model_behind(module):
    """Return the model behind its preprocessing, if there is some; else the module itself.

    Parameters
    ----------
    module : torch.nn.Module
        Any module.

    Returns
    -------
    model : torch.nn.Module
    """
    return module.model if isinstance(module, Preprocessed) else module


def layer_behind(module, layer):
    """Return the name of a layer in the model behind its preprocessing, also if it is named in the whole of both.

    Parameters
    ----------
    module : torch.nn.Module
        Any module.
    layer : object
        Name of a layer, with its part in brackets if it has one; anything else is returned as it is.

    Returns
    -------
    layer : object

    Examples
    --------
    >>> whole = Preprocessed(Preprocessing(), nn.Sequential(nn.Flatten()))
    >>> layer_behind(whole, "model.0"), layer_behind(whole, "0"), layer_behind(whole, "model[logits]")
    ('0', '0', '[logits]')
    """
    if not isinstance(layer, str) or not isinstance(module, Preprocessed):
        return layer
    names = dict(module.model.named_modules(remove_duplicate=False))
    inside = re.sub(r"^model(\.|$|(?=\[))", "", layer)
    return inside if layer.partition("[")[0] not in names and inside.partition("[")[0] in names else layer


def size_behind_preprocessing(module, image_size):
    """Return the height and width of what is computed: the preprocessing of `load_model` may resize the images.

    Parameters
    ----------
    module : torch.nn.Module
        Module that takes images.
    image_size : tuple of int
        (height, width) of the images.

    Returns
    -------
    size : tuple of int
        (height, width).

    Examples
    --------
    >>> size_behind_preprocessing(nn.Flatten(), (20, 40))
    (20, 40)
    """
    return module.preprocessing.output_size(image_size) if isinstance(module, Preprocessed) else tuple(image_size)


def _format_values(values):
    return f"({', '.join(f'{value:.4g}' for value in values)})"


def _cut_centre(images, size):
    """Cut out the centre; where the margin is odd, as torchvision does it."""
    margins = [side - wanted for side, wanted in zip(images.shape[-2:], size, strict=True)]
    if min(margins) < 0:
        vertical, horizontal = (max(-margin, 0) for margin in margins)
        borders = (horizontal // 2, (horizontal + 1) // 2, vertical // 2, (vertical + 1) // 2)
        images = functional.pad(images, borders)
    top, left = (round(max(margin, 0) / 2) for margin in margins)
    return images[..., top : top + size[0], left : left + size[1]]
