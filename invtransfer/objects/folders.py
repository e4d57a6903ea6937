"""Objects and backgrounds read from a folder in SI-Score's layout (see `load_objects` and `load_backgrounds`)."""

from os import fspath
from pathlib import Path

import numpy as np
from PIL import Image

from invtransfer.images.files import list_folder, list_images, read_picture, warn_of_left_out

_SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp")
_LAYOUT = "foregrounds/<category>/<name>.png and backgrounds/<name>.jpg"


def read_objects(source, size):
    """Read the first image of each category: uint8 images (n_categories, size, size, 4), and the categories' names."""
    categories, _ = _list(source, "foregrounds", "<category>")
    if not categories:
        raise ValueError(f"source has no category in {Path(source, 'foregrounds')}, expected {_LAYOUT}")
    images = [read_picture(list_images(category, _SUFFIXES)[0], alpha=True) for category in categories.values()]
    found = [path for category in categories.values() for path in list_folder(category)[1].values()]
    warn_of_left_out(source, found, _SUFFIXES)
    return np.stack([_resize(_pad(image), size) for image in images]), tuple(categories)


def read_backgrounds(source, size):
    """Read all backgrounds, cropped to squares from the top left: uint8 images (n_backgrounds, size, size, 3)."""
    _, files = _list(source, "backgrounds", "<name>")
    backgrounds = []
    for path in list_images(Path(source, "backgrounds"), _SUFFIXES):
        image = read_picture(path)
        side = min(image.size)
        backgrounds.append(_resize(image.crop((0, 0, side, side)), size))
    warn_of_left_out(source, files.values(), _SUFFIXES)
    return np.stack(backgrounds)


def _list(source, folder, entry):
    """List the folders and files of a folder inside the source."""
    root = Path(source)
    if not (root / folder).is_dir():
        found = ", ".join(sorted(path.name for path in root.iterdir())[:5]) or "nothing"
        raise ValueError(f"source is {fspath(source)!r}, expected {folder}/{entry} in it, found {found}")
    return list_folder(root / folder)


def _pad(image):
    """Pad an RGBA image to a square, centred, with transparent pixels; an odd one goes to the right or bottom."""
    side = max(image.size)
    square = Image.new("RGBA", (side, side))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def _resize(image, size):
    # Pillow's bilinear filter widens when it shrinks an image, and weights colours by alpha.
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
