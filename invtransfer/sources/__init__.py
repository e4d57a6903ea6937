"""Where images come from: index-addressable sources of transformed images and their twins."""

from invtransfer.sources.cifar import load_cifar10, load_cifar100
from invtransfer.sources.objects_on_images import ObjectsOnImages
from invtransfer.sources.transformed_images import TransformedImages
from invtransfer.sources.transforms2d import Transforms2D

__all__ = ["ObjectsOnImages", "TransformedImages", "Transforms2D", "load_cifar10", "load_cifar100"]
