"""From the output of a layer to one row of features per image: which part of it, and how it is pooled."""

import dataclasses
from collections.abc import Mapping

import torch

POOLS = ("auto", "class", "mean", "flatten")
# What models call their feature, and the sequence or maps of which it is made.
FEATURES = (
    "pooler_output", "image_embeds", "features", "embeddings", "x_norm_clstoken", "last_hidden_state", "feature_maps",
)  # fmt: skip
UNPOOLED = ("last_hidden_state", "feature_maps")


def check_pool(pool):
    """Check the parameter `pool`.

    Parameters
    ----------
    pool : str
        One of `POOLS`.

    Raises
    ------
    ValueError
        If `pool` is anything else.

    Examples
    --------
    >>> check_pool("max")
    Traceback (most recent call last):
    ...
    ValueError: pool is 'max', expected one of: auto, class, mean, flatten
    """
    if not isinstance(pool, str) or pool not in POOLS:
        raise ValueError(f"pool is {pool!r}, expected one of: {', '.join(POOLS)}")


def find_feature(output, pool):
    """Find the part of an output that the model itself calls its feature.

    Parameters
    ----------
    output : object
        Output of a module.
    pool : str
        As for `LayerFeatures`. Unless it is "auto", parts that are not yet pooled come first.

    Returns
    -------
    name : str or None
        Name of the part; None if there is none.

    Examples
    --------
    >>> output = {"last_hidden_state": torch.zeros(2, 5, 4), "pooler_output": torch.zeros(2, 4)}
    >>> find_feature(output, "auto"), find_feature(output, "mean"), find_feature(torch.zeros(2, 4), "auto")
    ('pooler_output', 'last_hidden_state', None)
    """
    parts = parts_of(output) or {}
    order = FEATURES if pool == "auto" else UNPOOLED + FEATURES
    return next((name for name in order if name in parts), None)


def take_part(output, names, pool, layer=""):
    """Take the tensor that holds the features out of an output that may be a dict, list, tuple or data class.

    Parameters
    ----------
    output : object
        Output of a module.
    names : sequence of str
        Names, or numbers, of the part and of parts of it. What they leave open is the part that the model itself calls
        its feature, the only tensor, or the last of several maps.
    pool : str
        As for `LayerFeatures`.
    layer : str
        Layer whose output it is, for the message.

    Returns
    -------
    part : torch.Tensor
    names : tuple of str
        Names of the part, complete.

    Raises
    ------
    ValueError
        If there is no such part, or it is left open which one is meant.

    Examples
    --------
    >>> maps = [torch.zeros(2, 4, 8, 8), torch.zeros(2, 6, 4, 4)]
    >>> part, names = take_part(maps, (), "auto")
    >>> part.shape, names
    (torch.Size([2, 6, 4, 4]), ('1',))
    >>> take_part((torch.zeros(2, 4), torch.zeros(2, 4)), (), "auto")
    Traceback (most recent call last):
    ...
    ValueError: is of type tuple, expected a tensor: name another layer, or a part of this one, such as "[0]":
    [0] (2, 4), [1] (2, 4)
    """
    taken = ()
    for name in names:
        parts = parts_of(output) or {}
        if name.startswith("-") and isinstance(output, (list, tuple)) and name[1:].isdigit():
            name = str(len(parts) + int(name))
        if name not in parts:
            raise ValueError(f"is of type {type(output).__name__} and has no part {name!r}{_format_parts(parts)}")
        output, taken = parts[name], (*taken, name)
    while not isinstance(output, torch.Tensor):
        parts = parts_of(output)
        name = None if parts is None else _choose_part(output, parts, pool)
        if name is None:
            inner = "".join(f"[{name}]" for name in (*taken, next(iter(parts or {}), "")))
            hint = f', or a part of this one, such as "{layer}{inner}"{_format_parts(parts)}' if parts else ""
            raise ValueError(f"is of type {type(output).__name__}, expected a tensor: name another layer{hint}")
        output, taken = parts[name], (*taken, name)
        output = list(output) if name == "feature_maps" and isinstance(output, tuple) else output  # one after another
    return output, taken


def parts_of(output):
    """Return the parts of an output by their names, but for those that are None.

    Parameters
    ----------
    output : object
        Output of a module.

    Returns
    -------
    parts : dict of str to object, or None
        None if it has no parts.

    Examples
    --------
    >>> parts_of((1, None, 2)), parts_of(torch.zeros(2))
    ({'0': 1, '2': 2}, None)
    """
    if isinstance(output, Mapping):  # also the outputs of Hugging Face's models
        parts = output.items()
    elif hasattr(output, "_asdict"):
        parts = output._asdict().items()
    elif isinstance(output, (list, tuple)):
        parts = enumerate(output)
    elif dataclasses.is_dataclass(output):
        names = [field.name for field in dataclasses.fields(output) if hasattr(output, field.name)]
        parts = ({name: getattr(output, name) for name in names} | getattr(output, "__dict__", {})).items()
    else:
        return None
    return {str(name): part for name, part in parts if part is not None}


def _choose_part(output, parts, pool):
    if (name := find_feature(output, pool)) is not None:
        return name
    if len(parts) == 1:
        return next(iter(parts))
    dimensions = {part.ndim if isinstance(part, torch.Tensor) else 0 for part in parts.values()}
    if dimensions not in ({3}, {4}):
        return None
    places = [part.shape[2:].numel() for part in parts.values()]
    pyramid = dimensions == {4} and places == sorted(places, reverse=True) and places[0] > places[-1]
    return list(parts)[-1] if pyramid or isinstance(output, list) else None


def _format_parts(parts):
    shown = [
        f"[{name}] {tuple(part.shape) if isinstance(part, torch.Tensor) else type(part).__name__}"
        for name, part in list(parts.items())[:10]
    ]
    return f": {', '.join(shown)}" if shown else ""


def pool_places(output, pool, image_size, n_prefix):
    """Pool maps and token sequences to one row per image.

    Parameters
    ----------
    output : torch.Tensor of shape (n, d), (n, tokens, d), (n, d, height, width) or (n, height, width, d)
        Features of n images. Channels are taken to come last only if the middle two sides fit the image and the last
        two do not.
    pool : str
        "auto": the class token if there is one, else the mean over tokens or places; "class": the first token; "mean";
        "flatten".
    image_size : tuple of int
        (height, width) of the images in pixels.
    n_prefix : int
        Number of tokens in front of those of the places, the first of which is the class token; 0 if the model has no
        class token.

    Returns
    -------
    features : torch.Tensor of shape (n, n_features)
    how : str
        What was done, such as "mean over places"; "" if nothing had to be.

    Raises
    ------
    ValueError
        If `pool` is "class" and `output` are maps.

    Notes
    -----
    A sequence in which every place of the image has one token has no class token: it is that of a layer before, such as
    the one that cuts the image into patches.

    Examples
    --------
    >>> tokens = torch.arange(10.0).view(1, 5, 2)  # a class token, and 2 x 2 places
    >>> pool_places(tokens, "auto", (8, 8), n_prefix=1)
    (tensor([[0., 1.]]), 'class token')
    >>> pool_places(tokens[:, 1:], "auto", (8, 8), n_prefix=1)
    (tensor([[5., 6.]]), 'mean over tokens')
    """
    if output.ndim < 3 or output.shape[1:].numel() == max(output.shape[1:]):  # maps of one place are rows
        return (output.flatten(1) if output.ndim > 2 else output), ""
    if pool == "flatten":
        return output.flatten(1), "flattened"
    if output.ndim == 3:
        n_tokens = output.shape[1]
        there = n_prefix and (_fits(n_tokens - n_prefix, image_size) or not _fits(n_tokens, image_size))
        if pool == "class" or (pool == "auto" and there):
            return output[:, 0], "class token"
        return output.mean(1), "mean over tokens"
    if pool == "class":
        raise ValueError(f"has maps of shape {tuple(output.shape[1:])}, which have no class token, but pool is 'class'")
    first, last = output.shape[1:3], output.shape[-2:]
    if output.ndim == 4 and _fits_grid(first, image_size) and not _fits_grid(last, image_size):
        return output.mean((1, 2)), "mean over places"
    return output.flatten(2).mean(2), "mean over places"


def _fits(n_places, image_size):
    """Tell whether patches of some size cut the image into so many places."""
    return any(rows * columns == n_places for rows, columns in _grids(image_size))


def _fits_grid(sides, image_size):
    return tuple(sides) in set(_grids(image_size))


def _grids(image_size):
    """Yield the numbers of rows and columns into which square patches cut an image; incomplete ones count, or not."""
    height, width = image_size
    for side in range(1, max(height, width) + 1):
        yield height // side, width // side
        yield -(-height // side), -(-width // side)
