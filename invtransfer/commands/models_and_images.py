"""Models and images of a person's own: how the commands ``measure`` and ``advise`` check, load and tell them apart."""

import ast
import hashlib
import os
import re
import warnings
from pathlib import Path

import torch

from invtransfer.encoders.encoding import open_encoder
from invtransfer.estimators.models import LIBRARIES, find_module, load_model
from invtransfer.images.checks import check_count
from invtransfer.images.loading import load_images
from invtransfer.networks.devices import resolve_device
from invtransfer.networks.inference import check_inference
from invtransfer.storage import expand_path
from invtransfer.transformations import TRANSFORMATIONS, get_transformations

N_READ = 64  # images that are read at once
DESCRIPTIONS = {
    "features": "where the features are taken, and how they are pooled",
    "preprocessing": "what the model does with images first",
}


def check_arguments(models, images, path, transformations, size, batch_size, precision, seed):
    """Check what all commands for models and images take, before anything is loaded.

    Parameters
    ----------
    models : list of str
        Names of models, see `invtransfer.load_model`.
    images : path
        Folder of images, or file of arrays, see `invtransfer.load_images`.
    path : path-like
        Where the cube is written.
    transformations : list of str or None
        Names of transformations. None: all 18.
    size : int
        Side in pixels to which images are brought.
    batch_size : int or None
        Number of images per call of a model.
    precision : {"float32", "bfloat16", "float16"}
        Number format in which models compute where they can choose.
    seed : int
        Seed of random draws.

    Returns
    -------
    models : list of str
        Each once.
    images, path : pathlib.Path
        Those of the images are absolute.
    transformations : list of Transformation

    Raises
    ------
    ValueError
        If an argument is not as described, or the cube would lie among the images.
    FileNotFoundError
        If there are no such images.
    """
    images, path = find_images(images), expand_path(path)
    chosen = get_transformations(list(TRANSFORMATIONS) if transformations is None else transformations)
    models = list(dict.fromkeys(models))
    for value, name in ((models, "models"), (chosen, "transformations")):
        if not value:
            raise ValueError(f"{name} is empty, expected at least one")
    if path.suffix != ".nc":
        raise ValueError(f"cannot write {path}: the name of a cube ends in .nc")
    if images in path.resolve().parents:
        raise ValueError(f"cannot write {path}: it would lie among the images, in {images}")
    check_count(size, "size", high=4_096)
    check_inference(batch_size, precision)
    check_count(seed, "seed", low=0, high=2**32 - 1)
    return models, images, path, chosen


def find_images(images):
    """Return the absolute path of images.

    Parameters
    ----------
    images : path-like
        Folder of images, or file of arrays.

    Returns
    -------
    images : pathlib.Path

    Raises
    ------
    FileNotFoundError
        If there are none.
    """
    path = expand_path(images).resolve()
    if not path.exists():
        raise FileNotFoundError(f"images is {os.fspath(images)!r}, expected an existing folder or file of arrays")
    return path


def load_for_models(images, size, skip_unreadable):
    """Load images for models, and warn if they become larger than they are.

    Parameters
    ----------
    images : path
        Folder of images, or file of arrays, see `invtransfer.load_images`.
    size : int
        Side in pixels to which they are brought.
    skip_unreadable : bool
        Whether files that cannot be read are left out.

    Returns
    -------
    images : ImageCollection

    Raises
    ------
    ValueError, OSError, TypeError
        As for `load_images`.

    Warns
    -----
    UserWarning
        If the first image is smaller, which others may be, too, or files are left out.
    """
    loaded = load_images(images, size=size, skip_unreadable=skip_unreadable)
    height, width = loaded.first_size
    if (side := min(height, width)) < size:
        warnings.warn(
            f"the first image has {height} x {width} pixels, and is blurred as it is enlarged to {size} x {size}: a"
            f" size of at most {side} does not enlarge it",
            stacklevel=3,
        )
    return loaded


def read_images(images, rows):
    """Read images, so that one that cannot be read is named before anything is measured.

    Parameters
    ----------
    images : ImageCollection
        As `load_images` returns it.
    rows : ndarray of shape (n,), int64
        Which of them.

    Raises
    ------
    ValueError, OSError
        If one cannot be read, with its name.
    """
    for start in range(0, len(rows), N_READ):
        images[rows[start : start + N_READ]]


def identify_images(path, images):
    """Return the name of a folder or file of images, and a digest of what tells it from another of this name.

    Parameters
    ----------
    path : pathlib.Path
        The folder or file.
    images : ImageCollection
        What was loaded from there.

    Returns
    -------
    identity : str
        Name and digest, of the names and sizes of the files of a folder, or of all bytes of a file of arrays.
    """
    digest = hashlib.sha256()
    files = images.files
    for file in files or [path]:
        digest.update(f"{os.path.relpath(file, path)}\0{os.stat(file).st_size}\0".encode(errors="surrogateescape"))
    if not files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{path.name} {digest.hexdigest()[:12]}"


def digest_images(images, rows):
    """Return a digest of the files of images, which tells others of the same names and sizes from them.

    Parameters
    ----------
    images : ImageCollection
        As `load_images` returns it.
    rows : ndarray of shape (n,), int64
        Which of them.

    Returns
    -------
    digest : str
        Empty if they are no files of their own; `identify_images` tells those apart.
    """
    files = images.files
    if not files:
        return ""
    digest = hashlib.sha256()
    for i in rows:
        with open(files[i], "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


def _find_code(path):
    """Return a Python file and those beside it that it imports, and that these import, and so on."""
    known, waiting = set(), [path.resolve()]
    while waiting:
        file = waiting.pop()
        if file in known:
            continue
        known.add(file)
        if file.name == "__init__.py":
            waiting += file.parent.rglob("*.py")
        try:
            nodes = list(ast.walk(ast.parse(file.read_bytes())))
        except (SyntaxError, ValueError):  # running it says so
            continue
        names = [one.name for node in nodes if isinstance(node, ast.Import) for one in node.names]
        names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
        found = [find_module(name.partition(".")[0], path.resolve().parent) for name in names]
        waiting += [one for one in found if one is not None]
    return known


class NamedModels:
    """Models by their names, each loaded when it is asked for; only the last one is in memory.

    Parameters
    ----------
    weights : {"default", "random"}
        Whether models of libraries get random weights; those of files have their own.
    layer : str or None
        Layer whose output is taken as the features, named as in the model.
    layers : "blocks", list of str, or None
        Layers that are measured together.
    pool : {"auto", "class", "mean", "flatten"}
        How token sequences and maps become one row of features.
    device : str
        Device on which the models compute; "auto": a GPU if there is one.

    Attributes
    ----------
    layer, layers, pool : as the parameters
    """

    def __init__(self, weights, *, layer, pool, device, layers=None):
        self._weights, self.layer, self.layers = weights, layer, layers
        self.pool, self._device = pool, resolve_device(device)
        self._name = self._loaded = None

    def load(self, name):
        """Load a model, unless it is the one that was used last.

        Parameters
        ----------
        name : str
            Its name, as `invtransfer.load_model` takes it.

        Returns
        -------
        model : torch.nn.Module
            The model behind its preprocessing, which its attribute `preprocessing` describes.

        Raises
        ------
        ValueError, TypeError, OSError, ImportError
            As for `load_model`; or if the model has no such layer.
        """
        if self._name != name:
            self._name = self._loaded = None  # before the next is loaded
            random = self._weights == "random" and name.partition(":")[0] in LIBRARIES
            loaded = load_model(name, weights=None if random else "default", random_state=0).to(self._device)
            try:
                open_encoder(loaded, self.layer, self.pool, self.layers)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            self._name, self._loaded = name, loaded
        return self._loaded

    def identify(self, names):
        """Load models, and return what tells each from another one of the same name.

        Parameters
        ----------
        names : list of str
            Their names. The first, with which a measurement begins, is loaded last.

        Returns
        -------
        identities : dict of str to str
            A digest of code, parts and weights for each name.
        """
        return {name: self._identify(name) for name in reversed(names)}

    def _identify(self, name):
        model, digest = self.load(name), hashlib.sha256()
        if ".py:" in name:
            for file in sorted(_find_code(Path(os.path.expanduser(name.rpartition(":")[0])))):
                digest.update(file.read_bytes())
        # of parts that tell their settings, such as the stride of a convolution, and of the preprocessing
        digest.update(re.sub("0x[0-9a-f]+", "", repr(model)).encode(errors="surrogateescape"))
        for path, part in model.named_modules():
            digest.update(f"{path} {type(part).__qualname__}\0".encode())
        for path, value in model.state_dict().items():
            plain = isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_quantized
            if plain:  # conjugated and negative views are computed when they are read
                value = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
            data = value.flatten().view(torch.uint8).numpy() if plain else str(value).encode()
            digest.update(f"{path}\0".encode())
            digest.update(data)
        return digest.hexdigest()[:12]
