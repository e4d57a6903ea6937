"""A classifier: normalisation, backbone, linear head."""

import copy
import difflib
from collections import OrderedDict
from numbers import Real

import torch
from torch import nn

from invtransfer.encoders.layers import LayerFeatures, explain_failure
from invtransfer.networks.architectures import NETWORKS, initialise


class Normalise(nn.Module):
    """Subtract the mean and divide by the standard deviation of each channel, kept with the weights.

    Parameters
    ----------
    mean, std : array-like of shape (n_channels,)
        Of the training images, in [0, 1].
    """

    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, images):
        """Return normalised images, of the shape of `images`."""
        return (images - self.mean) / self.std


def build_network(
    network, n_classes, *, image_shape=(32, 32, 3), width=1.0, layer=None, mean=None, std=None, generator=None
):
    """Build a classifier: normalisation, backbone, linear head.

    Parameters
    ----------
    network : str or torch.nn.Module
        Name of the backbone: "resnet18", "resnet50", "densenet121", "vgg11" or "vit"; or a module from images to
        anything, of which a copy, with its weights, becomes the backbone.
    n_classes : int
        Number of outputs of the head.
    image_shape : tuple of int
        (height, width, n_channels) of the images.
    width : float
        Multiple of the standard numbers of channels of a named backbone.
    layer : str or None
        Layer of the backbone whose output the head gets, see `LayerFeatures`. None: the features
        of a named backbone; what goes into the last linear layer of a module.
    mean, std : array-like of shape (n_channels,)
        Of the training images, in [0, 1]; None: 0 and 1.
    generator : torch.Generator
        Of the initial weights, of a module those of its new head; None: weights are not initialised, because they will
        be loaded.

    Returns
    -------
    network : torch.nn.Sequential
        With the parts `normalise`, `backbone` and `head`, from images to logits (n_samples, n_classes).

    Raises
    ------
    ValueError
        If there is no such network or layer, `width` is not a positive number, or the network cannot take such images.
    TypeError
        If `network` is a class of modules.

    Examples
    --------
    >>> network = build_network("resnet18", 10, generator=torch.Generator().manual_seed(0))
    >>> sum(weight.numel() for weight in network.parameters())
    11173962
    >>> build_network("resnet81", 10)
    Traceback (most recent call last):
    ...
    ValueError: network is 'resnet81', expected a torch module or one of: resnet18, resnet50, densenet121, vgg11, vit
    (nearest: resnet18)
    """
    if not isinstance(width, Real):
        raise ValueError(f"width is {width!r}, expected a number above 0 and up to 16")
    if isinstance(network, nn.Module):
        if width != 1.0:
            raise ValueError(
                f"width is {width!r}, expected 1.0: network is a module, {type(network).__name__}, whose layers are"
                " as wide as they are"
            )
        backbone = LayerFeatures(copy.deepcopy(network).cpu().float(), layer)
        n_features = _count_features(backbone, image_shape)
    else:
        builder = _get_builder(network)
        if not 0 < width <= 16:
            raise ValueError(f"width is {width!r}, expected a number above 0 and up to 16")
        with torch.device("meta"):  # shapes only: the weights come from `generator`, never from torch's global one
            backbone, n_features = builder(tuple(image_shape), width)
            if layer is not None:
                backbone = LayerFeatures(backbone, layer)
                n_features = _count_features(backbone, image_shape)
        backbone = backbone.to_empty(device="cpu")
        if generator is not None:
            initialise(backbone, generator)
    head = nn.Linear(n_features, n_classes, device="meta").to_empty(device="cpu")
    if generator is not None:
        initialise(head, generator)
    mean = [0.0] * image_shape[2] if mean is None else mean
    std = [1.0] * image_shape[2] if std is None else std
    return nn.Sequential(OrderedDict(normalise=Normalise(mean, std), backbone=backbone, head=head))


def _get_builder(name):
    if isinstance(name, type) and issubclass(name, nn.Module):
        raise TypeError(f"network is the class {name.__name__}, expected an instance of it")
    if not isinstance(name, str) or name not in NETWORKS:
        nearest = difflib.get_close_matches(str(name), NETWORKS, n=1)
        hint = f" (nearest: {nearest[0]})" if nearest else ""
        raise ValueError(f"network is {name!r}, expected a torch module or one of: {', '.join(NETWORKS)}{hint}")
    return NETWORKS[name]


def _count_features(backbone, image_shape):
    """Return the number of features by computing those of two black images."""
    height, width, n_channels = image_shape
    device = next(backbone.parameters(), torch.empty(0)).device
    with torch.random.fork_rng([]), torch.no_grad(), explain_failure(backbone, image_shape):
        features = backbone.eval()(torch.zeros(2, n_channels, height, width, device=device))
    backbone.train()
    if features.ndim != 2 or len(features) != 2:
        raise ValueError(
            f"the {backbone.description} has shape {tuple(features.shape)} for 2 images, expected (2, n_features)"
        )
    return features.shape[1]
