"""Images and labels of data sets: those of torch, torchvision and Hugging Face, and what is like them."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch.utils.data import BatchSampler, IterableDataset, RandomSampler, SequentialSampler, Subset

from invtransfer.images.collection import ImageCollection
from invtransfer.images.conversion import to_image
from invtransfer.images.files import naming

IMAGE_COLUMNS, LABEL_COLUMNS = ("image", "img"), ("label", "labels", "target", "targets")
N_READ_TWICE = 4  # entries of a data set; one of a random flip stays unnoticed once in 16 times


def data_set_of(loader):
    """Return the data set of a loader that shows all of it, in any order.

    Parameters
    ----------
    loader : torch.utils.data.DataLoader
        Loader of a map-style data set, shuffled or not.

    Returns
    -------
    data : torch.utils.data.Dataset

    Raises
    ------
    ValueError
        If its sampler leaves entries out, or repeats some.

    Examples
    --------
    >>> data_set_of(torch.utils.data.DataLoader([1, 2, 3], batch_size=2, shuffle=True))
    [1, 2, 3]
    """
    batches = loader.batch_sampler
    sampler = batches.sampler if type(batches) is BatchSampler else loader.sampler
    all_of_it = type(sampler) is SequentialSampler or (
        type(sampler) is RandomSampler and not sampler.replacement and sampler.num_samples == len(loader.dataset)
    )
    iterable = isinstance(loader.dataset, IterableDataset)
    if not iterable and (type(batches) not in (BatchSampler, type(None)) or not all_of_it):
        raise ValueError(
            f"data is a DataLoader that chooses with {type(batches if all_of_it else sampler).__name__}, expected one"
            " that shows its whole data set: give the data set, or a Subset of it"
        )
    return loader.dataset


class _Pictures:
    """Pictures of a data set, whose entries may hold labels, too."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def __getitem__(self, i):
        return _split(self.data[i])[0]


def load_data_set(data, size=None):
    """Load a map-style data set: images as they are needed, and labels when they are first asked for.

    Parameters
    ----------
    data : data set
        Entries are an image, (image, label), or a dict with images in the column "image" or "img" and labels in
        "label", "labels", "target" or "targets".
    size : int or None
        As for `load_images`.

    Returns
    -------
    images : ImageCollection

    Raises
    ------
    ValueError
        If an entry is something else, or one of the first four is another image when it is read again.

    Examples
    --------
    >>> data = [(np.zeros((8, 8, 3), "uint8"), name) for name in ("cat", "dog")]
    >>> load_data_set(data)
    ImageCollection(2 images of 8 x 8, uint8)
    """
    pictures = _Pictures(data)
    images = ImageCollection(pictures, size, in_threads=False)  # tells of the first entry whether it is an image
    for i in range(min(len(data), N_READ_TWICE)):
        with naming(f"data[{i}]", ValueError):
            one, again = (to_image(pictures[i]) for _ in range(2))
        if not np.array_equal(one, again):
            raise ValueError(
                f"data[{i}] is another image when it is read again: leave random transforms out of the data set, as"
                " twins must differ by what is measured alone"
            )
    if len(_split(data[0])) == 1:
        return images
    return ImageCollection(pictures, size, partial(_read_labels, data), _find_class_names(data), in_threads=False)


def _split(entry):
    """Return the picture of an entry of a data set, and its label if there is one, as a tuple."""
    if isinstance(entry, Mapping):
        image = next((name for name in IMAGE_COLUMNS if name in entry), None)
        if image is None:
            raise ValueError(f"it has the columns {', '.join(map(str, entry))}, expected 'image' or 'img' among them")
        return (entry[image], *[entry[name] for name in LABEL_COLUMNS if name in entry][:1])
    if not isinstance(entry, (tuple, list)):
        return (entry,)
    if len(entry) not in (1, 2):
        raise ValueError(f"it is a {type(entry).__name__} of {len(entry)}, expected an image or (image, label)")
    return tuple(entry)


def _read_labels(data):
    """Return the labels of a data set, None if all are; if they are nowhere by themselves, all entries are read."""
    if isinstance(data, Subset):
        labels = _read_labels(data.dataset)
        return labels if labels is None else labels[np.asarray(data.indices)]
    column = next((name for name in LABEL_COLUMNS if name in (getattr(data, "column_names", None) or ())), None)
    if column is not None:
        with naming(f"data[{column!r}]", ValueError, "labels"):
            labels = list(data[column])
    elif type(data).__module__.startswith("torchvision.") and getattr(data, "target_transform", None) is None:
        labels = getattr(data, "targets", None)  # of other classes, entries may have other labels
    else:
        labels = None
    if labels is None:
        labels = [_read_label(data, i) for i in range(len(data))]
    if all(label is None for label in labels):
        return None
    return np.asarray([_check_label(label, i) for i, label in enumerate(labels)])


def _read_label(data, i):
    with naming(f"data[{i}]", ValueError, "an image and its label"):
        _, *label = _split(data[i])
        if not label:
            raise ValueError("it has no label, as data[0] has")
        return label[0]


def _check_label(label, i):
    """Return a label as one number or name."""
    if isinstance(label, (torch.Tensor, np.ndarray)) and label.ndim == 0:
        return label.item()
    if isinstance(label, (Sequence, Mapping, np.ndarray, torch.Tensor)) and not isinstance(label, (str, bytes)):
        raise ValueError(f"data[{i}] has a label of type {type(label).__name__}, expected one number or name per image")
    return label


def _find_class_names(data):
    """Return the names that a data set has for its classes, or None."""
    if isinstance(data, Subset):
        return _find_class_names(data.dataset)
    features = getattr(data, "features", None)
    column = next((name for name in LABEL_COLUMNS if isinstance(features, Mapping) and name in features), None)
    names = getattr(data, "classes", None) if column is None else getattr(features[column], "names", None)
    is_list = isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)
    return names if is_list else None
