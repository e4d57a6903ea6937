"""Objects and backgrounds read from a folder in SI-Score's layout (see `load_objects` and `load_backgrounds`)."""

import warnings
from os import fspath
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_LAYOUT = "foregrounds/<category>/<name>.png and backgrounds/<name>.jpg"


def read_objects(source, size):
    """Read the first image of each category: uint8 images (n_categories, size, size, 4), and the categories' names."""
    categories = [entry for entry in _list(source, "foregrounds", "<category>") if entry.is_dir()]
    if not categories:
        raise ValueError(f"source has no category in {Path(source, 'foregrounds')}, expected {_LAYOUT}")
    images = [_read(_images_in(category)[0], "RGBA") for category in categories]
    return np.stack([_resize(_pad(image), size) for image in images]), tuple(category.name for category in categories)


def read_backgrounds(source, size):
    """Read all backgrounds, cropped to squares from the top left: uint8 images (n_backgrounds, size, size, 3)."""
    _list(source, "backgrounds", "<name>")
    backgrounds = []
    for path in _images_in(Path(source, "backgrounds")):
        image = _read(path, "RGB")
        side = min(image.size)
        backgrounds.append(_resize(image.crop((0, 0, side, side)), size))
    return np.stack(backgrounds)


def _list(source, folder, entry):
    """List the entries of a folder inside the source, sorted by name, without hidden ones."""
    root = Path(source)
    if not (root / folder).is_dir():
        found = ", ".join(sorted(path.name for path in root.iterdir())[:5]) or "nothing"
        raise ValueError(f"source is {fspath(source)!r}, expected {folder}/{entry} in it, found {found}")
    return sorted(path for path in (root / folder).iterdir() if not path.name.startswith("."))


def _images_in(folder):
    paths = [path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file()]
    images = sorted(path for path in paths if path.suffix.lower() in _SUFFIXES)
    if not images:
        found = ", ".join(sorted(path.name for path in paths)[:5]) or "nothing"
        raise ValueError(f"{folder} has no image, expected {', '.join(_SUFFIXES)}, found {found}")
    return images


def _read(path, mode):
    """Read an image file completely and upright, as RGB or RGBA with 8 bits per channel."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)  # a file of kilobytes may ask for gigabytes
            with Image.open(path) as image:
                if image.mode.startswith(("I", "F")):
                    raise ValueError(f"mode is {image.mode}, expected 8 bits per channel")
                return ImageOps.exif_transpose(image).convert(mode)
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError and others, depending on the damage
        raise OSError(f"{path} cannot be read as an image: {error}") from error


def _pad(image):
    """Pad an RGBA image to a square, centred, with transparent pixels; an odd one goes to the right or bottom."""
    side = max(image.size)
    square = Image.new("RGBA", (side, side))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def _resize(image, size):
    # Pillow's bilinear filter widens when it shrinks an image, and weights colours by alpha.
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
