"""Images that are in a data set more than once."""

import hashlib
import warnings

import numpy as np

N_COMPARED = 64  # images that are read at once to find equal ones
MOST_COPIES = 0.05  # share of the images, below which copies hardly matter


def warn_of_copies(images, name="X", groups=None):
    """Warn of images that are equal to others, which a probe recognises in parts that it was not fitted on.

    Parameters
    ----------
    images : ndarray or ImageCollection of shape (n_images, ...)
        Images, or rows of their pixels or features.
    name : str
        What they are called in the message.
    groups : ndarray of shape (n_images,), int, or None
        Group of each image, which stays together; equal images of one group do no harm.

    Warns
    -----
    UserWarning
        If more than a twentieth are equal to others. It says how many.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     warn_of_copies(np.array([[1, 2], [3, 4], [1, 2]]))
    >>> str(caught[0].message).partition(":")[0]
    '1 of the 3 images in X are equal to others'
    """
    n = len(images)
    blocks = (np.asarray(images[start : start + N_COMPARED]) for start in range(0, n, N_COMPARED))
    digests = [hashlib.blake2b(one.tobytes(), digest_size=16).digest() for block in blocks for one in block]
    places = range(n) if groups is None else groups.tolist()
    n_copies = len(set(zip(digests, places, strict=True))) - len(set(digests))
    if n_copies > MOST_COPIES * n:
        where, remedy = ("", "; or give groups") if groups is None else (" of other groups", "")
        warnings.warn(
            f"{n_copies} of the {n} images in {name} are equal to others{where}: the probe is tested on some"
            f" images that it was fitted on, so that accuracies are too high; leave duplicates out{remedy}",
            stacklevel=3,
        )
