"""Where images come from: index-addressable sources of transformed images and their twins."""

from invtransfer.sources.blocks import ObjectsOnImages, TransformedImages, Transforms2D
from invtransfer.sources.cifar import load_cifar10, load_cifar100

__all__ = ["ObjectsOnImages", "TransformedImages", "Transforms2D", "load_cifar10", "load_cifar100"]
