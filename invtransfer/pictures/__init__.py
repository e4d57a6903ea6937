"""What people bring: files, PIL images and arrays of any kind, read as they are needed and alike everywhere."""

from invtransfer.pictures.collection import ImageCollection

__all__ = ["ImageCollection"]
