"""Images: what an image is, how pictures of any kind become one, and where a person's own are read from.

`checks` and `labels` are the contract that every public function holds people to; `loading` finds images in folders,
files of arrays and data sets, and `collection` reads them as they are needed; `files` and `conversion` read and convert
one picture; `copies` finds images that are there twice.
"""

from invtransfer.images.collection import ImageCollection
from invtransfer.images.loading import load_images

__all__ = ["ImageCollection", "load_images"]
