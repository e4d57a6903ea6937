"""Networks for small images: a backbone from images to features, and a linear head on them."""

import difflib
import math
from collections import OrderedDict

import torch
from torch import nn


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


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al., 2016, Figure 5 left).

    Parameters
    ----------
    n_in, n_out : int
        Number of channels that come in and go out.
    stride : int
        Of the first convolution, and of the shortcut.
    """

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.stride = stride
        self.shortcut = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x):
        """Return features of shape (n_samples, n_out, height / stride, width / stride)."""
        # Strided before the 1 x 1 convolution, not by it: the same values, but the gradient of a strided one of few
        # channels writes out of bounds on CPUs (oneDNN issue 6035: wrong values or a crash, as of torch 2.15).
        subsampled = x[:, :, :: self.stride, :: self.stride]
        return torch.relu(self.residual(x) + self.shortcut(subsampled))


def resnet18(n_channels=3, width=1.0):
    """Build the backbone of a ResNet-18 for small images: 3 x 3 stem of stride 1, no max-pooling.

    Parameters
    ----------
    n_channels : int
        Of the images.
    width : float
        Times 64, 128, 256 and 512 channels in the four stages.

    Returns
    -------
    backbone : torch.nn.Sequential
        From images (n_samples, n_channels, height, width) to features (n_samples, n_features).
    n_features : int
        512 * width.

    References
    ----------
    He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016; Speicher et al. 2024, Appendix B.1.

    Examples
    --------
    >>> import torch
    >>> backbone, n_features = resnet18(width=0.125)
    >>> backbone(torch.zeros(2, 3, 32, 32)).shape, n_features
    (torch.Size([2, 64]), 64)
    """
    sizes = [max(1, round(n * width)) for n in (64, 128, 256, 512)]
    layers = [
        nn.Conv2d(n_channels, sizes[0], 3, padding=1, bias=False),
        nn.BatchNorm2d(sizes[0]),
        nn.ReLU(inplace=True),
    ]
    n_in = sizes[0]
    for n_out, stride in zip(sizes, (1, 2, 2, 2), strict=True):
        layers += [BasicBlock(n_in, n_out, stride), BasicBlock(n_out, n_out, 1)]
        n_in = n_out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), n_in


NETWORKS = {"resnet18": resnet18}


def build_network(name, n_classes, *, n_channels=3, width=1.0, mean=None, std=None, generator=None):
    """Build a classifier: normalisation, backbone, linear head.

    Parameters
    ----------
    name : str
        Of the backbone: "resnet18".
    n_classes : int
        Number of outputs of the head.
    n_channels : int
        Of the images.
    width : float
        Multiple of the backbone's standard numbers of channels.
    mean, std : array-like of shape (n_channels,)
        Of the training images, in [0, 1]; None: 0 and 1.
    generator : torch.Generator
        Of the initial weights; None: weights are not initialised, because they will be loaded.

    Returns
    -------
    network : torch.nn.Sequential
        With the parts `normalise`, `backbone` and `head`, from images to logits (n_samples, n_classes).

    Raises
    ------
    ValueError
        If there is no such network, or `width` is not a positive number.

    Examples
    --------
    >>> network = build_network("resnet18", 10, generator=torch.Generator().manual_seed(0))
    >>> sum(weight.numel() for weight in network.parameters())
    11173962
    >>> build_network("resnet81", 10)
    Traceback (most recent call last):
    ...
    ValueError: network is 'resnet81', expected one of: resnet18 (nearest: resnet18)
    """
    if name not in NETWORKS:
        nearest = difflib.get_close_matches(str(name), NETWORKS, n=1)
        hint = f" (nearest: {nearest[0]})" if nearest else ""
        raise ValueError(f"network is {name!r}, expected one of: {', '.join(NETWORKS)}{hint}")
    if not 0 < width <= 16:
        raise ValueError(f"width is {width!r}, expected a number above 0 and up to 16")
    with torch.device("meta"):  # shapes only: the weights come from `generator`, never from torch's global one
        backbone, n_features = NETWORKS[name](n_channels, width)
        head = nn.Linear(n_features, n_classes)
    parts = OrderedDict(
        normalise=Normalise([0.0] * n_channels if mean is None else mean, [1.0] * n_channels if std is None else std),
        backbone=backbone.to_empty(device="cpu"),
        head=head.to_empty(device="cpu"),
    )
    network = nn.Sequential(parts)
    if generator is not None:
        initialise(network, generator)
    return network


def initialise(network, generator):
    """Draw the weights of all linear, convolution and batch-norm layers, as torch does by default.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place.
    generator : torch.Generator
        Source of all randomness.

    Notes
    -----
    He's uniform distribution with a = sqrt(5), that is, uniform in +-1 / sqrt(fan_in).
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            bound = 1 / math.sqrt(module.weight[0].numel())
            with torch.no_grad():
                module.weight.uniform_(-bound, bound, generator=generator)
                if module.bias is not None:
                    module.bias.uniform_(-bound, bound, generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
