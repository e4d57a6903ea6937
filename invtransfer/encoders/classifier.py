"""The network that is trained to classify images: normalisation, backbone, linear head."""

import copy
import difflib
from collections import OrderedDict
from numbers import Real

import torch
from torch import nn

from invtransfer.encoders.layers import LayerFeatures, explain_failure
from invtransfer.networks.architectures import NETWORKS, initialise
from invtransfer.networks.inference import first_weight
from invtransfer.surroundings import usual_torch


class Normalise(nn.Module):
    """Subtract the mean of each channel and divide by its standard deviation; both are saved with the weights.

    Parameters
    ----------
    mean, std : array-like of shape (n_channels,)
        Mean and standard deviation of the training images, whose values are in [0, 1].
    """

    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, images):
        """Return normalised images, of the shape of `images`."""
        return (images - self.mean) / self.std


@usual_torch()
def build_network(
    network,
    n_classes,
    *,
    image_shape=(32, 32, 3),
    width=1.0,
    layer=None,
    pool="auto",
    mean=None,
    std=None,
    generator=None,
):
    """Build a network of a normalisation, a backbone and a linear head.

    Parameters
    ----------
    network : str or torch.nn.Module
        Name of the backbone: "resnet18", "resnet50", "densenet121", "vgg11" or "vit"; or a module that takes images, of
        which a copy, with its weights, becomes the backbone.
    n_classes : int
        Number of outputs of the head.
    image_shape : tuple of int
        Shape (height, width, n_channels) of the images.
    width : float
        Multiple of the standard numbers of channels of a named backbone, of heads for "vit". 1.0 for a module.
    layer : str or None
        Layer of the backbone whose output is taken as the features, see `LayerFeatures`. None: the features of a named
        backbone; for a module, what it calls its feature, or the input of its last linear layer.
    pool : str
        How maps and token sequences of a layer or module become features, see `LayerFeatures`.
    mean, std : array-like of shape (n_channels,) or None
        Mean and standard deviation of the training images, whose values are in [0, 1]. None: 0 and 1.
    generator : torch.Generator or None
        Generator of the initial weights of a named backbone and of the head. None: these weights have no values, on the
        meta device, because they will be loaded.

    Returns
    -------
    network : torch.nn.Sequential
        Network from images to logits (n_samples, n_classes), with the parts `normalise`, `backbone` and `head`.

    Raises
    ------
    ValueError
        If there is no such network or layer, `width` is out of range, or the network cannot take images of this shape.
    TypeError
        If `network` is a class.

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
                f"width is {width!r}, expected 1.0: network is a module, {type(network).__name__}, whose layers have a"
                " fixed width"
            )
        network = getattr(network, "_orig_mod", network)  # of torch.compile
        backbone = LayerFeatures(copy.deepcopy(network).cpu().float(), layer, pool)
        n_features = _count_features(backbone, image_shape)
    else:
        builder = _get_builder(network)
        if not 0 < width <= 16:
            raise ValueError(f"width is {width!r}, expected a number above 0 and up to 16")
        with torch.device("meta"):  # shapes only, because torch would draw weights from its global generator
            backbone, n_features = builder(tuple(image_shape), width)
            if layer is not None:
                backbone = LayerFeatures(backbone, layer, pool)
                n_features = _count_features(backbone, image_shape)
        if generator is not None:
            backbone = backbone.to_empty(device="cpu")
            initialise(backbone, generator)
    head = nn.Linear(n_features, n_classes, device="meta")
    if generator is not None:
        head = head.to_empty(device="cpu")
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
        hint = f"; invtransfer.load_model({name!r}).model is a module" if ":" in str(name) else hint  # of a library
        raise ValueError(f"network is {name!r}, expected a torch module or one of: {', '.join(NETWORKS)}{hint}")
    return NETWORKS[name]


def _count_features(backbone, image_shape):
    """Return the number of features, by computing those of two black images."""
    height, width, n_channels = image_shape
    device = first_weight(backbone).device
    with torch.random.fork_rng([]), torch.no_grad(), explain_failure(backbone, image_shape):
        features = backbone.eval()(torch.zeros(2, n_channels, height, width, device=device))
    backbone.train()
    if features.ndim != 2 or len(features) != 2:
        raise ValueError(
            f"the {backbone.description} has shape {tuple(features.shape)} for 2 images, expected (2, n_features)"
        )
    return features.shape[1]
