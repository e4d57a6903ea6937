"""Images from wherever a person has them, see `load_images`."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import PathLike, fspath
from pathlib import Path

import numpy as np
import pandas as pd
from torch.utils.data import DataLoader, IterableDataset

from invtransfer.images.arrays import ARRAY_SUFFIXES, open_arrays
from invtransfer.images.checks import check_count
from invtransfer.images.collection import N_THREADS, ImageCollection
from invtransfer.images.conversion import warn_if_nearly_black
from invtransfer.images.datasets import LABEL_COLUMNS, data_set_of, load_data_set
from invtransfer.images.files import (
    SKIP,
    list_folder,
    list_images,
    naming,
    open_picture,
    read_picture,
    warn_of_left_out,
)

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm",
)  # fmt: skip


LABEL_NAMES = (*LABEL_COLUMNS, "y", "class", "classes", "category")  # of arrays in files


def load_images(data, *, size=None, skip_unreadable=False):
    """Load a person's own images: whatever holds them, they are read as they are needed.

    Parameters
    ----------
    data : path, array-like, or data set
        One of:

        - a folder with one folder of image files per class, or a folder of image files;
        - a file of arrays: ``.npy`` or ``.npz``, which are mapped into memory unless they are compressed, or HDF5
          (with h5py installed). Of several arrays, one holds the images, and one called "label", "y" or the like the
          labels;
        - an array of shape (n_images, height, width, 3), in memory or on a disk; 1 or 4 channels, and channels that
          come first, are converted;
        - a list of arrays, tensors, pictures of PIL's, nested lists, or paths of image files, of any sizes; also as a
          Series of pandas's or a one-dimensional array, such as a column of paths in a table;
        - a map-style data set of torch's, whose entries are an image or (image, label), or a `DataLoader` of one, of
          which the data set is read, in its own order;
        - a data set of Hugging Face's, or another whose entries are dicts, with images in the column "image" or "img"
          and labels in "label", "labels", "target" or "targets", the first of these that there is; other columns are
          not read.
    size : int or None
        Side of the images in pixels, at most 4096: the shorter side is resized to it (bilinear, antialiased), and the
        square in the centre is cut out. None: all images must be of one size, which is kept.
    skip_unreadable : bool
        Whether files that are damaged, or no images, are left out, with a warning. All files are read once to find
        them; what is not in files is not affected.

    Returns
    -------
    images : ImageCollection
        All estimators and sources take it in place of an array of images. Its `labels` are the names of the folders,
        or what a data set or a file of arrays has, or None.

    Raises
    ------
    TypeError
        If `data` is none of these.
    ValueError
        If there is no image, sizes differ and `size` is None, or the images are not as described. An image is checked
        when it is read, so later use may raise this, too; the message names the file or the entry.
    OSError
        If a file cannot be read, or a link leads nowhere.
    ImportError
        If h5py is missing.

    Warns
    -----
    UserWarning
        If an array of a file is taken for labels although it has another name than those above. If files are left out
        (the warning says how many): damaged ones, with `skip_unreadable`, or images in a folder whose kind is not one
        of those below, such as .heic. Also if the first image is uint8 and not black, but has no value above 1.

    Notes
    -----
    Files of a folder are PNG, JPEG (also .jfif), WebP, BMP, TIFF, GIF (the first frame), PPM, PGM or PBM, as their
    names say; those in a list are what PIL reads. Hidden files, and files that are no images, are ignored.
    Classes and files are sorted by their names in Unicode's normal form C, so that the disk does not matter.

    Every picture becomes RGB with 8 bits per channel, as `load_objects` reads them: turned upright as its EXIF
    orientation says, transparency put on white, grey repeated, palettes and CMYK converted. 16 bits are refused. Arrays
    are uint8 or floats in [0, 1]. Their channels are the dimension of length 1, 3 or 4, the first or the last; it is an
    error if both are, except that arrays (no tensors) whose last dimension is 3 have their channels there.

    Files and lists are read in 4 threads, data sets one entry after the other, since their code may not be thread-safe.
    A data set must give the same image each time: leave random transforms out of it, and normalisation, which belongs
    in the encoder.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name, shape in {"cat": (80, 60), "dog": (50, 90)}.items():
    ...     (folder / name).mkdir()
    ...     Image.new("RGB", shape).save(folder / name / "1.png")
    >>> images = load_images(folder, size=32)
    >>> images
    ImageCollection(2 images of 32 x 32, uint8, 2 classes)
    >>> images.labels.tolist(), images[:1].shape
    (['cat', 'dog'], (1, 32, 32, 3))
    """
    size = None if size is None else check_count(size, "size", high=4096)
    if isinstance(data, (str, PathLike)):
        path = Path(os.path.expanduser(data))
        images = _load_folder(path, size, skip_unreadable) if path.is_dir() else _load_file(path, size)
    else:
        images = _load_object(data, size, skip_unreadable)
    warn_if_nearly_black(images[:1], "the first image of data", stacklevel=3)
    return images


def _load_object(data, size, skip_unreadable):
    """Load images from what is no path."""
    if isinstance(data, ImageCollection):
        return (
            data
            if size is None
            else ImageCollection(data, size, partial(_labels_of, data), data.class_names, in_threads=False)
        )
    if isinstance(data, DataLoader):
        data = data_set_of(data)
    in_a_row = hasattr(data, "__iter__") and not hasattr(data, "__getitem__") and not isinstance(data, type)
    if isinstance(data, IterableDataset) or in_a_row:
        raise ValueError(
            f"data is of type {type(data).__name__}, which gives images in a row and cannot be asked for the i-th: read"
            " as many as fit into memory with list(itertools.islice(data, 1000)), and load the list of their images"
        )
    if isinstance(data, dict):
        names = ", ".join(map(str, list(data)[:5]))
        raise TypeError(f"data is a {type(data).__name__} of {names}: give one of its parts, such as data['train']")
    if isinstance(data, pd.DataFrame):
        names = ", ".join(map(str, data.columns[:5]))
        raise TypeError(f"data is a DataFrame of {names}: give its column of paths, such as data['path']")
    if _is_column(data):
        data = list(np.asarray(data))
    if isinstance(data, (list, tuple)):
        if data and isinstance(data[0], tuple) and len(data[0]) == 2 and np.ndim(data[0][1]) == 0:
            if isinstance(data[0][0], (str, PathLike)):
                raise ValueError("data holds pairs of a path and a label: give the paths alone, and keep the labels")
            return load_data_set(data, size)  # of (image, label)
        pictures = _leave_out_unreadable(data) if skip_unreadable else data
        _check_sizes(pictures, size)
        return ImageCollection(pictures, size)
    if hasattr(data, "shape") and hasattr(data, "dtype") and hasattr(data, "__getitem__"):
        return _load_array(data, size)
    if isinstance(data, type) or not hasattr(data, "__getitem__") or not hasattr(data, "__len__"):
        raise TypeError(
            f"data is of type {type(data).__name__}, expected a path, an array, a list of pictures, or a data set"
        )
    return load_data_set(data, size)


def _is_column(data):
    """Tell whether data are a one-dimensional array or Series of paths or other objects, which is like a list."""
    return isinstance(data, (np.ndarray, pd.Series)) and data.ndim == 1 and np.asarray(data).dtype.kind in "OTU"


def _labels_of(images):
    return images.labels


# files


def _load_file(path, size):
    if not path.exists():
        raise FileNotFoundError(f"data is {fspath(path)!r}, expected an existing folder or file of arrays")
    if path.suffix.lower() not in ARRAY_SUFFIXES:
        raise ValueError(
            f"data is the file {path}, expected a folder of images, or arrays in .npy, .npz or .h5; a list of image"
            " files is also taken"
        )
    return _choose(path, open_arrays(path), size)


def _load_folder(folder, size, skip_unreadable):
    folders, files = list_folder(folder)
    if any(path.suffix.lower() in SUFFIXES for path in files.values()):
        if folders:
            raise ValueError(
                f"{folder} holds image files and the folders {', '.join(list(folders)[:5])}, expected a folder of each"
                " class, or images alone"
            )
        folders = {None: folder}
    listed = {name: list_images(path, SUFFIXES) for name, path in folders.items()}
    found = list(files.values())
    for path in folders.values() if None not in folders else ():
        inside, files_inside = list_folder(path)
        found += files_inside.values()
        if inside:
            raise ValueError(
                f"{path} holds images and the folders {', '.join(list(inside)[:5])}, expected images alone in the"
                " folder of a class"
            )
    paths = [path for images in listed.values() for path in images]
    if not paths:
        there = f", found {', '.join(list(files)[:5])}" if files else ""
        raise ValueError(
            f"{folder} has no image, expected {', '.join(SUFFIXES)}, or a folder of them for each class{there}"
        )
    warn_of_left_out(folder, found, SUFFIXES)
    names = [name for name, images in listed.items() for _ in images]
    if skip_unreadable:
        classes = dict(zip(paths, names, strict=True))
        paths = _leave_out_unreadable(paths)
        names = [classes[path] for path in paths]
    _check_sizes(paths, size)
    if None in listed:
        return ImageCollection(paths, size)
    return ImageCollection(paths, size, names, list(dict.fromkeys(names)))


def _leave_out_unreadable(pictures):
    """Return the pictures without the files that cannot be read, and warn of these; what is no file is kept."""
    with ThreadPoolExecutor(N_THREADS) as pool:
        errors = list(pool.map(_find_error, pictures))
    found = [error for error in errors if error is not None]
    if len(found) == len(pictures) > 0:
        raise ValueError(f"data holds {len(pictures)} files, none of which can be read; the first: {found[0]}")
    if found:
        warnings.warn(
            f"data holds {len(pictures)} images, of which {len(found)} cannot be read and are left out; the first:"
            f" {found[0]}",
            stacklevel=4,
        )
    return [picture for picture, error in zip(pictures, errors, strict=True) if error is None]


def _find_error(picture):
    """Return the error that reading a file raises; None if there is none, or if it is no file."""
    if isinstance(picture, (str, PathLike)):
        try:
            read_picture(picture)
        except OSError as error:
            if error.errno is not None:  # the disk is at fault, not the file
                raise
            return error
    return None


def _check_sizes(pictures, size):
    """Raise an error that names two files of different sizes, whose headers say so, unless all are brought to one."""
    if size is not None or not all(isinstance(picture, (str, PathLike)) for picture in pictures):
        return
    with ThreadPoolExecutor(N_THREADS) as pool:
        sizes = list(pool.map(_read_size, pictures))
    for path, (width, height) in zip(pictures, sizes, strict=True):
        if {width, height} != set(sizes[0]):  # an EXIF orientation, read with the pixels, may exchange the two sides
            raise ValueError(
                f"data holds images of different sizes, such as {pictures[0]} of {sizes[0][0]} x {sizes[0][1]} pixels"
                f" and {path} of {width} x {height}: load_images(data, size=224) brings all to one"
            )


def _read_size(path):
    with naming(path, OSError, advice=SKIP), open_picture(path) as picture:
        return picture.size


# arrays


def _load_array(array, size, labels=None):
    if len(array.shape) != 4:
        hint = ": one image is data[None]" if len(array.shape) == 3 and array.shape[2] == 3 else ""
        hint = hint or (": grey images are data[..., None]" if len(array.shape) == 3 else "")
        raise ValueError(f"data has shape {tuple(array.shape)}, expected (n_images, height, width, channels){hint}")
    return ImageCollection(array, size, labels, in_threads=False, keep=False)


def _choose(path, arrays, size):
    """Load the images among the arrays of a file, and their labels."""
    images = [name for name, array in arrays.items() if len(array.shape) == 4]
    if len(images) != 1:
        shapes = ", ".join(f"{name} {tuple(array.shape)}" for name, array in arrays.items()) or "nothing"
        are_grey = not images and any(len(array.shape) == 3 for array in arrays.values())
        hint = "save grey images as array[..., None]" if are_grey else "give the array"
        raise ValueError(
            f"{path} holds {shapes}, expected one array of shape (n_images, height, width, channels): {hint}"
        )
    n = len(arrays[images[0]])
    labels = [name for name, array in arrays.items() if tuple(array.shape) in ((n,), (n, 1))]
    named = [name for name in labels if name.rpartition("/")[2].lower() in LABEL_NAMES]
    if len(named) != 1 and len(labels) > 1:
        raise ValueError(
            f"{path} holds {' and '.join(labels)} of {n} values each, expected labels in one of them: call it 'label',"
            " or give images and labels as arrays"
        )
    others = [name for name in arrays if name not in labels and name.rpartition("/")[2].lower() in LABEL_NAMES]
    if others and not named:
        shape = tuple(arrays[others[0]].shape)
        raise ValueError(f"{path}: {others[0]} has shape {shape}, expected ({n},): one label per image")
    if labels and not named:
        warnings.warn(f"{path}: takes {labels[0]!r} for labels; call it 'label' if it holds them", stacklevel=4)
    labels = named or labels
    values = np.asarray(arrays[labels[0]]).reshape(n) if labels else None
    if values is not None and values.dtype.kind == "S":  # text as HDF5 and C keep it
        values = np.char.decode(values, "utf-8")
    return _load_array(arrays[images[0]], size, values)
