"""From a picture of any kind (PIL's, an array, a tensor, nested lists) to an image: RGB, upright, of one size."""

import warnings

import numpy as np
import torch
from PIL import Image, ImageOps

CHANNELS = (1, 3, 4)  # grey, RGB, RGB and alpha
FEW_VALUES = 1_000  # in which nothing above 1 says little, as in one small image that is dark
ROUNDING = 1e-5  # by which a float may be beyond 0 and 1, as after resizing


def to_image(picture, size=None):
    """Convert a picture to an image.

    Parameters
    ----------
    picture : PIL.Image.Image or array-like
        A picture of PIL's, see `to_rgb`; or a tensor, array or nested lists of shape (height, width),
        (height, width, n_channels) or (n_channels, height, width), with 1, 3 or 4 channels, uint8 or float in [0, 1].
        The fourth channel is alpha.
    size : int or None
        The shorter side is resized to this number of pixels (bilinear, antialiased), and the square in the centre is
        cut out. None: the size is kept.

    Returns
    -------
    image : ndarray of shape (height, width, 3), uint8 or float32 in [0, 1]

    Raises
    ------
    ValueError
        If `picture` is none of these, its shape does not tell where the channels are, or its values are out of range.

    Examples
    --------
    >>> to_image(torch.ones(1, 6, 8)).shape
    (6, 8, 3)
    >>> to_image(np.zeros((60, 80, 4), "uint8"), size=32)[0, 0].tolist()  # transparent
    [255, 255, 255]
    """
    if not isinstance(picture, Image.Image):
        picture = _to_array(picture)
        if picture.dtype != np.uint8:
            return _fit_floats(_flatten_floats(picture), size)
        if picture.shape[2] == 3 and size is None:
            return picture
        picture = Image.fromarray(np.ascontiguousarray(picture if picture.shape[2] > 1 else picture[..., 0]))
    return np.asarray(_fit(to_rgb(picture), size))


def to_rgb(picture, *, alpha=False):
    """Turn a picture of PIL's upright, as its EXIF orientation says, and convert it to 8 bits per channel.

    Parameters
    ----------
    picture : PIL.Image.Image
        Picture of any mode with up to 8 bits per channel: grey, palette, CMYK and others.
    alpha : bool
        Whether to keep the transparency. If not, the picture is put on white.

    Returns
    -------
    picture : PIL.Image.Image of mode "RGB", or "RGBA" with `alpha`

    Raises
    ------
    ValueError
        If `picture` has more bits per channel, or another mode that PIL cannot convert.

    Examples
    --------
    >>> to_rgb(Image.new("LA", (1, 1), (0, 127))).getpixel((0, 0))
    (128, 128, 128)
    """
    cut = any(_is_cut(tile) for tile in getattr(picture, "tile", ()))
    if picture.mode.startswith(("I", "F")) or cut:
        mode = f"{picture.mode} of 16 bits" if picture.mode in ("RGB", "RGBA", "LA") else picture.mode
        raise ValueError(
            f"mode is {mode}, expected 8 bits per channel: divide its values by the largest that matters, and give an"
            " array of floats in [0, 1] (.npy, or .npz with labels)"
        )
    picture = ImageOps.exif_transpose(picture)
    if alpha:
        return picture.convert("RGBA")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def are_python_numbers(values):
    """Tell whether the first value inside nested lists is an int of Python's, which has no dtype.

    Parameters
    ----------
    values : object
        Anything.

    Returns
    -------
    are_numbers : bool

    Examples
    --------
    >>> are_python_numbers([[1, 2]]), are_python_numbers([np.array([1, 2])])
    (True, False)
    """
    for _ in range(5):  # images, rows, columns, channels, value
        if not isinstance(values, (list, tuple)) or not len(values):
            break
        values = values[0]
    return isinstance(values, int) and not isinstance(values, bool)


def to_unit_range(values):
    """Return floats in [0, 1] as float32; those that are beyond by rounding are clipped.

    Parameters
    ----------
    values : ndarray of floats

    Returns
    -------
    values : ndarray of the same shape, float32
        The same array if it is float32 and in [0, 1].

    Raises
    ------
    ValueError
        If a value is below 0 or above 1 by more than 1e-5, or NaN.

    Examples
    --------
    >>> to_unit_range(np.array([0.5, 1.0000002])).tolist()
    [0.5, 1.0]
    """
    low, high = float(values.min()), float(values.max())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # or NaN
        raise ValueError(f"holds floats from {low:.6g} to {high:.6g}, expected [0, 1]")
    values = values.astype(np.float32, copy=False)
    return values if low >= 0 and high <= 1 else values.clip(0, 1)


def warn_if_nearly_black(images, name, stacklevel):
    """Warn if images have levels from 0 to 255 of which none is above 1, as masks and floats that were cast have.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width, 3), uint8 or float
        Images; floats, and images that are black, are not warned of.
    name : str
        What the warning calls them.
    stacklevel : int
        As for `warnings.warn`.

    Warns
    -----
    UserWarning
        If no value is above 1, and at least 1000 are 1.

    Examples
    --------
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     warn_if_nearly_black(np.ones((1, 32, 32, 3), np.uint8), "X", stacklevel=2)
    >>> str(caught[0].message)[:50]
    'X has dtype uint8 and no value above 1, which is n'
    """
    if images.dtype != np.uint8 or images[0].max() > 1 or images.max() > 1:  # one image tells of most, quickly
        return
    if np.count_nonzero(images) >= FEW_VALUES:
        warnings.warn(
            f"{name} has dtype uint8 and no value above 1, which is nearly black: images in [0, 1] have a float dtype,"
            " and masks of 0 and 1 are multiplied by 255",
            stacklevel=stacklevel,
        )


def _is_cut(tile):
    """Tell whether PIL cuts colours of 16 bits to 8; only what is not yet read tells."""
    codec, _, _, how = tile
    return ";16" in str(how) or (codec.startswith("ppm") and isinstance(how, tuple) and how[1] > 255)


def describe_dtype(X, name):
    """Say what dtype images have, and what to do if it is neither uint8 nor a float.

    Parameters
    ----------
    X : ndarray
        Images of a dtype that is not accepted.
    name : str
        Name of the argument.

    Returns
    -------
    text : str

    Examples
    --------
    >>> describe_dtype(np.array([0, 200]), "X")
    'dtype int64, expected uint8 (0 to 255) or floats in [0, 1]: X holds 0 to 200, so astype("uint8") may be meant'
    """
    text = f"dtype {X.dtype}, expected uint8 (0 to 255) or floats in [0, 1]: "
    if X.dtype.kind not in "iu" or not X.size:
        return f"{text}convert {name} first"
    low, high = X.min(), X.max()
    if 1 < high <= 255 and low >= 0:
        return f'{text}{name} holds {low} to {high}, so astype("uint8") may be meant'
    return f"{text}{name} holds {low} to {high}, to be divided by the largest value there can be: 65535 for 16 bits"


def _to_array(picture):
    """Return a picture as an array of shape (height, width, n_channels), uint8 or float32."""
    known = picture
    if isinstance(picture, torch.Tensor):
        picture = picture.detach().cpu()
        picture = picture.float().numpy() if picture.is_floating_point() else picture.numpy()
    array = _channels_last(np.asarray(picture), isinstance(known, torch.Tensor))
    if array.dtype.kind in "iu" and are_python_numbers(known) and array.min() >= 0 and array.max() <= 255:
        return array.astype(np.uint8)
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f":
        raise ValueError(f"it has {describe_dtype(array, 'it')}")
    if not np.isfinite(array).all():
        raise ValueError("it holds NaN or infinity, expected floats in [0, 1]")
    try:
        return to_unit_range(array)
    except ValueError as error:
        raise ValueError(
            f"it {error}: divide by 255, or leave out a normalisation, which belongs in the encoder"
        ) from error


def _channels_last(array, is_tensor):
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(
            f"it has shape {array.shape}, expected an image: (height, width), (height, width, channels) or (channels,"
            " height, width)"
        )
    first, last = array.shape[0] in CHANNELS, array.shape[2] in CHANNELS
    if first and last and (is_tensor or array.shape[2] != 3):  # arrays are (height, width, 3) in the whole package
        raise ValueError(f"it has shape {array.shape}, where the channels may be the first dimension or the last")
    if not first and not last:
        raise ValueError(f"it has shape {array.shape}, expected 1, 3 or 4 channels, first or last")
    return array if last else array.transpose(1, 2, 0)


def _flatten_floats(array):
    """Return float images with 1, 3 or 4 channels as RGB on white."""
    if array.shape[2] == 4:
        alpha = array[..., 3:]
        return array[..., :3] * alpha + (1 - alpha)
    return np.repeat(array, 3, axis=2) if array.shape[2] == 1 else array


def _fit_floats(array, size):
    if size is None or array.shape[:2] == (size, size):
        return array
    channels = [_fit(Image.fromarray(np.ascontiguousarray(array[..., channel])), size) for channel in range(3)]
    return np.stack([np.asarray(channel) for channel in channels], axis=2).clip(0, 1)  # weights sum to 1 up to rounding


def _fit(picture, size):
    """Resize the shorter side to `size` and cut out the centre; only what remains is resized."""
    if size is None or picture.size == (size, size):
        return picture
    shorter = min(picture.size)
    resized = [size * side // shorter for side in picture.size]
    starts = [round((side - size) / 2) for side in resized]
    scales = [side / after for side, after in zip(picture.size, resized, strict=True)]
    low = [start * scale for start, scale in zip(starts, scales, strict=True)]
    high = [min((start + size) * scale, side) for start, scale, side in zip(starts, scales, picture.size, strict=True)]
    # Pillow's bilinear filter widens when it shrinks an image, and looks beyond the box
    return picture.resize((size, size), Image.Resampling.BILINEAR, box=(*low, *high))
