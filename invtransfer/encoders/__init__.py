"""From images to features, whatever kind of encoder a person has."""

from invtransfer.encoders.encoding import encode
from invtransfer.encoders.layers import LayerFeatures

__all__ = ["LayerFeatures", "encode"]
