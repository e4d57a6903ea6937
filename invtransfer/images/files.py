"""Folders of image files: what is in them, in an order that no disk changes, and how one file is read."""

import os
import unicodedata
import warnings
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from invtransfer.images.conversion import to_rgb

HEIF_SUFFIXES = (".heic", ".heif")  # of photographs, for which PIL needs a package of its own
SKIP = "; skip_unreadable=True (in commands --skip-unreadable) leaves such files out"  # what load_images advises
NO_PICTURES = (".bufr", ".grib", ".h5", ".hdf", ".mpeg", ".mpg", ".pdf", ".ps")  # though PIL has them in its list


def list_folder(folder):
    """List what a folder holds, without hidden entries, sorted by name.

    Parameters
    ----------
    folder : path-like
        An existing folder.

    Returns
    -------
    folders, files : dict of str to pathlib.Path
        Paths by name. Names are in Unicode's normal form C, in which they are typed, whatever form the disk has.

    Raises
    ------
    OSError
        If the folder cannot be read, or a link in it leads nowhere: left out, it would shift what follows.
    ValueError
        If two names differ in their normal form only.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "cafe\u0301").mkdir()
    ...     list(list_folder(folder)[0]) == ["caf\u00e9"]
    True
    """
    folders, files = {}, {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name, path = to_normal_form(entry.name), Path(folder, entry.name)
            if name in folders or name in files:
                raise ValueError(f"{folder} holds {name!r} twice, in two forms of Unicode: rename one of them")
            if entry.is_dir():
                folders[name] = path
            elif entry.is_file():
                files[name] = path
            elif entry.is_symlink():
                raise FileNotFoundError(f"{path} is a link to {os.readlink(path)}, where nothing is")
    return dict(sorted(folders.items())), dict(sorted(files.items()))


def list_images(folder, suffixes):
    """List the image files of a folder, sorted by name; files of other kinds are left out.

    Parameters
    ----------
    folder : path-like
        An existing folder.
    suffixes : sequence of str
        Ends of the names of image files, in lower case.

    Returns
    -------
    paths : list of pathlib.Path

    Raises
    ------
    OSError
        As `list_folder`.
    ValueError
        As `list_folder`, or if there is no image.
    """
    folders, files = list_folder(folder)
    images = [path for path in files.values() if path.suffix.lower() in suffixes]
    if not images:
        found = ", ".join(sorted([*folders, *files])[:5]) or "nothing"
        raise ValueError(f"{folder} has no image, expected {', '.join(suffixes)}, found {found}")
    return images


def warn_of_left_out(folder, paths, suffixes):
    """Warn of files that are images by their names, but of kinds that are not read.

    Parameters
    ----------
    folder : path-like
        The folder that a person gave.
    paths : iterable of pathlib.Path
        All files that were found in it.
    suffixes : sequence of str
        Ends of the names of files that are read, in lower case.

    Warns
    -----
    UserWarning
        If there are such files, once, with their numbers. It is shown where a person called the caller's caller.
    """
    known = {*Image.registered_extensions(), *HEIF_SUFFIXES}.difference(suffixes, NO_PICTURES)
    found = Counter(path.suffix.lower() for path in paths)
    left_out = {suffix: n for suffix, n in sorted(found.items()) if suffix in known}
    if left_out:
        kinds = ", ".join(f"{n} {suffix}" for suffix, n in left_out.items())
        warnings.warn(
            f"{folder} holds images of kinds that are not read, which are left out: {kinds}; convert them to .png or"
            " .jpg, or move them away",
            stacklevel=4,
        )


def read_picture(path, *, alpha=False, advice=""):
    """Read an image file completely and upright.

    Parameters
    ----------
    path : path-like
        File of any kind that PIL reads; of several frames, the first.
    alpha : bool
        As for `to_rgb`.
    advice : str
        As for `naming`.

    Returns
    -------
    picture : PIL.Image.Image of mode "RGB", or "RGBA" with `alpha`

    Raises
    ------
    OSError
        If the file cannot be read, is no image, or has more than 8 bits per channel; the message names it.
    """
    with naming(path, OSError, advice=advice), open_picture(path) as picture:
        return to_rgb(picture, alpha=alpha)


def open_picture(path):
    """Open an image file, of which only the header is read; one of too many pixels is refused.

    Parameters
    ----------
    path : path-like
        File of any kind that PIL reads.

    Returns
    -------
    picture : PIL.Image.Image
        Its pixels are read when they are first used, or never.

    Raises
    ------
    ValueError
        If the file asks for more pixels than `PIL.Image.MAX_IMAGE_PIXELS`, for which PIL alone would only warn: a file
        of kilobytes may ask for gigabytes.
    OSError
        If PIL cannot open it.
    """
    picture = Image.open(os.path.expanduser(path))
    n_pixels, limit = picture.width * picture.height, Image.MAX_IMAGE_PIXELS
    if limit is not None and n_pixels > limit:
        picture.close()
        raise ValueError(f"Image size ({n_pixels} pixels) exceeds limit of {limit} pixels")
    return picture


@contextmanager
def naming(name, kind, what="an image", advice=""):
    """Name the picture in whatever error its reading raises.

    Parameters
    ----------
    name : path-like or str
        The picture.
    kind : type of Exception
        OSError for a file, of which an error of the disk stays that error; ValueError for anything else.
    what : str
        What was expected.
    advice : str
        What a person can do about it, with which the message ends, unless the disk is at fault.

    Raises
    ------
    OSError, ValueError
        An exception of that kind, if the block raises any.

    Examples
    --------
    >>> with naming("data[3]", ValueError):
    ...     raise KeyError("x")
    Traceback (most recent call last):
    ...
    ValueError: data[3] cannot be read as an image: 'x'
    """
    try:
        yield
    except Exception as error:  # PIL raises OSError, SyntaxError, ValueError and others, depending on the damage
        if kind is OSError and isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(name)) from error
        raise kind(f"{name} cannot be read as {what}: {error}{advice}") from error


def to_normal_form(name):
    """Return a name in Unicode's normal form C, in which keyboards type it; disks of Macs have form D.

    Parameters
    ----------
    name : str
        Name of a file or folder.

    Returns
    -------
    name : str

    Examples
    --------
    >>> len("cafe\u0301"), len(to_normal_form("cafe\u0301"))
    (5, 4)
    """
    return unicodedata.normalize("NFC", name)
