"""Whether an encoder gives an image the same features each time, whatever other images are in its batch."""

import warnings

import numpy as np

from invtransfer.encoders.encoding import WATCHED, choose_size, columns_of, encode_checked
from invtransfer.encoders.layers import name_of

N_REPEATED = 8  # images that are encoded more than once
FAR = 0.05  # share of the spread of the features: far more than the rounding of bfloat16 in the same batch size
ROUNDING = 1e-3  # share of the size of the features: features that spread by less are equal but for rounding


def warn_if_features_vary(encoder, images, name=None, batch_size=None, precision="float32"):
    """Warn of an encoder that gives the same images different features each time or in a different batch.

    Parameters
    ----------
    encoder : object
        As `open_encoder` returned it. Fitted transformers, and None, are not asked.
    images : ndarray of shape (n_samples, height, width, n_channels), uint8 or float
        Images as the encoder gets them. The first 8 are encoded once more with half of them in another order, and a
        third time only if that differs.
    name : str or None
        Name of the encoder among several.
    batch_size, precision
        As for `encode`; a batch has 8 images if no size is given.

    Raises
    ------
    ValueError
        As for `encode`.

    Warns
    -----
    UserWarning
        If features differ by more than 5 % of the root mean square distance between those of different images.

    Examples
    --------
    >>> import warnings
    >>> images = np.random.default_rng(0).integers(256, size=(20, 8, 8, 3), dtype="uint8")
    >>> def centred(X):
    ...     return X.mean(axis=(1, 2)) - X.mean(axis=(0, 1, 2))
    >>> with warnings.catch_warnings(record=True, action="always") as warned:
    ...     warn_if_features_vary(centred, images)
    >>> str(warned[0].message)
    'the features that the encoder centred gives of an image depend on the other images in its batch, ...'
    """
    is_function = not isinstance(encoder, WATCHED)
    if is_function and (encoder is None or hasattr(encoder, "transform")):
        return
    images = images[:N_REPEATED]
    size = batch_size or min(N_REPEATED, choose_size(encoder, images.shape[1:3]))
    Z = encode_checked(encoder, images, size, precision=precision)
    # every second one, so that no batch has the same images, whatever its size
    in_other_batch = encode_checked(encoder, images[::-2], size, precision=precision)
    columns = columns_of(encoder)
    if not _is_far(in_other_batch, Z[::-2], Z, columns):
        return
    again = encode_checked(encoder, images, size, precision=precision)
    who = f"{'the encoder' if name is None else f'encoder {name!r},'} {name_of(getattr(encoder, 'module', encoder))}"
    if _is_far(again, Z, Z, columns):
        hint = " (call eval() on the model that it runs)" if is_function else ", even in evaluation mode"
        text = (
            f"{who} gives different features for the same images each time: dropout or sampling is switched on"
            f" inside it{hint}, so the results measure this randomness as well as the transformations"
        )
    else:
        text = (
            f"the features that {who} gives of an image depend on the other images in its batch, as with a batch"
            " normalisation that keeps no statistics, and so do all numbers that are made from them"
        )
    warnings.warn(text, stacklevel=2)


def _is_far(Z, Z_before, Z_all, columns):
    """Tell whether features of the same images differ, in any layer, by far more than rounding."""
    for of_layer in columns:
        rows, before, others = (one[:, of_layer].astype(np.float64) for one in (Z, Z_before, Z_all))
        spread = np.sqrt(2 * others.var(axis=0).sum())
        if _root_mean_square(rows - before) > max(FAR * spread, ROUNDING * _root_mean_square(others)):
            return True
    return False


def _root_mean_square(Z):
    return np.sqrt(np.square(Z).sum(axis=1).mean())
