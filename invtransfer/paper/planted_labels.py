"""Labels that are a transformation, so that an encoder which ignored it would lose them."""

import torch

from invtransfer.randomness import derive_generator
from invtransfer.transformations import TRANSFORMATIONS

PLANTED = {  # transformation -> its parameter, and the value of each class
    "hue": ("shift", [-0.5, -0.25, 0.0, 0.25]), "rotate": ("angle", [0.0, 90.0, 180.0, 270.0]),
    "h_flip": ("applied", [False, True]), "blur": ("sigma", [0.1, 0.5, 1.0, 1.5]),
}  # fmt: skip


def plant(name, X, seed):
    """Transform images by amounts that are their labels.

    Parameters
    ----------
    name : str
        Transformation, of those in `PLANTED`.
    X : ndarray of shape (n_samples, height, width, 3), uint8
        Images.
    seed : int
        Seed of the labels.

    Returns
    -------
    X : ndarray of the same shape, uint8
        Transformed images.
    y : ndarray of shape (n_samples,), int64
        Which of the amounts each image was transformed by.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = plant("h_flip", np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3), seed=2)
    >>> y.tolist(), X[:, 0, 0, 0].tolist()  # the second image is mirrored
    ([0, 1], [0, 15])
    """
    parameter, values = PLANTED[name]
    y = derive_generator(seed, f"planted {name}").integers(len(values), size=len(X))
    images = torch.from_numpy(X).permute(0, 3, 1, 2).float() / 255
    images = TRANSFORMATIONS[name].apply(images, **{parameter: torch.tensor(values)[torch.from_numpy(y)]})
    return (images * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy(), y
