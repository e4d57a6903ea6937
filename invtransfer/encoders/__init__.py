"""Encoders, which compute features of images.

`encoding` has `encode`, for any type of encoder; `layers` the features of a layer of a torch module, `outputs` and
`heads` which part of it they are and how they are pooled; `classifier` the network that is trained to classify images;
`libraries` has models of torchvision, timm and transformers, and `preprocessing` what they expect to be done with
images.
"""

from invtransfer.encoders.encoding import encode
from invtransfer.encoders.layers import LayerFeatures

__all__ = ["LayerFeatures", "encode"]
