"""Distances between the features of twins, and between those of different images, while images stream by.

Images are made and encoded in pieces; of each block of 256 pairs the features are kept until they have been compared,
and of the whole only distances. What a transformation leaves as it is, is encoded once for all transformations.
"""

import itertools
import math

import numpy as np
import xarray as xr

from invtransfer.analysis.representations import (
    PAIRS_PER_BLOCK,
    compare_within_blocks,
    distances,
    participation_ratio,
)
from invtransfer.encoders.encoding import PIECE_BYTES, device_of, encode_pieces
from invtransfer.randomness import derive_generator
from invtransfer.sources.transformed_images import TransformedImages

PER_PAIR = ("pair_distances", "random_distances", "object_distances", "nearer", "different")


def measure_twins(encoder, source, sets, n_pairs, *, twins="drawn", objects=False, plain=None, prepare=None, **options):
    """Measure how far the features of twins are apart, for several sets of transformations.

    Parameters
    ----------
    encoder : object
        As `open_encoder` returns it.
    source : Source
        Where the twins come from.
    sets : list of (tuple of Transformation or None)
        Transformations that are applied together; None: the source's own.
    n_pairs : int
        Number of pairs for each set.
    twins : {"drawn", "clean"}
        "drawn": the two images of a pair are two draws of the transformations. "clean": the first is the image as it
        is, and each transformation acts on the second.
    objects : bool
        Whether the first image is also compared with one that shows another object in its place; of sources that know
        objects.
    plain : ndarray of shape (n_pairs, n_features) or None
        Features of the images as they are, if they are known; without `objects`.
    prepare : callable or None
        Function from images to what the encoder is given. None: the images.
    **options
        `batch_size` and `precision` of `encode_pieces`.

    Returns
    -------
    measured : xarray.Dataset over "transformation", in the order of `sets`, and "pair"
        "pair_distances" of the twins; "random_distances" and "nearer" as `compare_within_blocks` returns them, "nearer"
        with objects instead of other images if `objects`; "object_distances", NaN unless `objects`; "different", 1
        where the images of a pair differ. Over "transformation": "participation_ratio" of the first images, the mean
        over whole blocks of 256 pairs.

    Raises
    ------
    ValueError
        As for `encode_pieces`.
    """
    found = {name: np.full((len(sets), n_pairs), np.nan) for name in PER_PAIR}
    ratios = [[] for _ in sets]
    n_at_once = _count_at_once(source.image_shape, source.dtype)
    streams = [_chosen(source, one, twins) for one in sets]

    def make_pieces():
        for block in range(0, n_pairs, PAIRS_PER_BLOCK):
            places = _cut(block, min(n_pairs, block + PAIRS_PER_BLOCK), n_at_once)
            # images that are made at once are made once for all sets
            kept = _show(source, places[0][1], block) if len(places) == 1 else None
            for start, n in places if plain is None else ():
                yield (block, None, "first", start, slice(None)), _show(source, n, start) if kept is None else kept
                if objects and twins == "clean":
                    yield (block, None, "object", start, slice(None)), _show(source, n, start, changed="object")
            for which, transformations in enumerate(streams):
                for start, n in places:
                    shown = _show(source, n, start) if kept is None else kept
                    made = _make(source, n, start, transformations, twins, objects)
                    first = made.get("first", shown)
                    found["different"][which, start : start + n] = (first != made["twin"]).any(axis=(1, 2, 3))
                    for role, images in made.items():
                        changed = (images != shown).any(axis=(1, 2, 3))
                        yield (block, which, role, start, changed), images[changed]

    def prepared():
        for key, images in make_pieces():
            yield key, images if prepare is None else prepare(images)

    n_features = None if plain is None else plain.shape[1]
    encoded = encode_pieces(encoder, prepared(), n_features=n_features, **options)
    base = {}  # features of the images of the block as they are, by role
    for (block, which), pieces in itertools.groupby(encoded, key=lambda piece: piece[0][:2]):
        n = min(n_pairs, block + PAIRS_PER_BLOCK) - block
        if plain is not None:
            base = {"first": plain[block : block + n]}
        Z = {}
        for (_, _, role, start, changed), features in pieces:
            if role not in Z:
                Z[role] = np.empty((n, features.shape[1]), np.float32) if which is None else base["first"].copy()
            rows = slice(start - block, start - block + (len(features) if which is None else len(changed)))
            Z[role][rows][changed] = features
        if which is None:
            base = Z
            continue
        Z = base | Z
        for name, values in _compare(Z["first"], Z["twin"], Z.get("object")).items():
            found[name][which, block : block + n] = values
        if n == PAIRS_PER_BLOCK or not ratios[which]:  # in fewer images, fewer directions are seen
            ratios[which].append(participation_ratio(Z["first"]))
    in_features = dict.fromkeys(("pair_distances", "random_distances", "object_distances"), "units of the features")
    dims = ("transformation", "pair")
    variables = {name: (dims, values, {"units": in_features.get(name, "1")}) for name, values in found.items()}
    return xr.Dataset(variables | {"participation_ratio": ("transformation", [np.mean(one) for one in ratios])})


def encode_plain(encoder, source, n_pairs, **options):
    """Compute the features of images as they are, without transformations.

    Parameters
    ----------
    encoder, source, n_pairs, **options
        As for `measure_twins`, which takes the result as `plain`.

    Returns
    -------
    plain : ndarray of shape (n_pairs, n_features), float32

    Raises
    ------
    ValueError
        As for `encode_pieces`.
    """
    n_at_once = _count_at_once(source.image_shape, source.dtype)
    pieces = ((start, _show(source, n, start)) for start, n in _cut(0, n_pairs, n_at_once))
    return np.concatenate([Z for _, Z in encode_pieces(encoder, pieces, **options)])


def take_images(images, encoder, seed, order, draws):
    """Make a source of given images, which are transformed on the encoder's device if it is a GPU.

    Parameters
    ----------
    images : ndarray or ImageCollection of shape (n_images, height, width, 3)
        As `check_images` returns them.
    encoder : object
        As `open_encoder` returned it.
    seed : int
        Seed of the transformations.
    order, draws : ndarray of shape (n,), int64, or None
        As for `TransformedImages.from_checked`.

    Returns
    -------
    source : TransformedImages
    """
    device = device_of(encoder)
    device = device if device.type == "cuda" else "cpu"  # other devices lack some of the operations
    return TransformedImages.from_checked(images, random_state=seed, order=order, draws=draws, device=device)


def order_of_pairs(n_images, n_pairs, seed):
    """Choose the images that pairs are made of, in random order, so that sorted images meet those of all classes.

    Parameters
    ----------
    n_images : int
        Number of images.
    n_pairs : int
        Number of pairs that are asked for; at most one is made of each image.
    seed : int
        Seed of the order.

    Returns
    -------
    order : ndarray of shape (min(n_images, n_pairs),), int64
        Numbers of images.

    Examples
    --------
    >>> sorted(order_of_pairs(4, 10, seed=0).tolist()), len(order_of_pairs(100, 10, seed=0))
    ([0, 1, 2, 3], 10)
    """
    return derive_generator(seed, "order of pairs").permutation(n_images)[:n_pairs]


def measure_given(encoder, X, X_twin):
    """Measure how far the features of the two images of given pairs are apart.

    Parameters
    ----------
    encoder : object
        As `open_encoder` returns it.
    X, X_twin : ndarray or ImageCollection of shape (n_pairs, height, width, 3), uint8 or float
        First and second image of each pair.

    Returns
    -------
    pair_distances, random_distances : ndarray of shape (n_pairs,), float64
        Distance between the features of the two images of a pair, and, as `compare_within_blocks` returns it, mean
        distance between those of different pairs.

    Raises
    ------
    ValueError
        As for `encode_pieces`.

    Examples
    --------
    >>> X = np.array([0.0, 0.2, 0.8]).reshape(3, 1, 1, 1)
    >>> [values.round(3).tolist() for values in measure_given(None, X, X)]
    [[0.0, 0.0, 0.0], [0.5, 0.4, 0.7]]
    """
    blocks = _cut(0, len(X), PAIRS_PER_BLOCK)
    n_at_once = _count_at_once(X.shape[1:], X.dtype)
    pieces = (
        ((block, role), images[start : start + n])
        for block, n_block in blocks
        for role, images in (("first", X), ("twin", X_twin))
        for start, n in _cut(block, block + n_block, n_at_once)
    )
    pair_distances, random_distances = np.empty(len(X)), np.empty(len(X))
    Z = {}
    for (block, role), encoded in itertools.groupby(encode_pieces(encoder, pieces), key=lambda piece: piece[0]):
        Z[role] = np.concatenate([features for _, features in encoded])
        if role == "twin":
            rows = slice(block, block + len(Z[role]))
            pair_distances[rows] = distances(Z["first"], Z["twin"])
            random_distances[rows] = compare_within_blocks(Z["first"], Z["twin"])[0]
    return pair_distances, random_distances


def _chosen(source, transformations, twins):
    if twins == "drawn":
        return transformations
    return tuple(t.always() for t in (source.transformations if transformations is None else transformations))


def _count_at_once(image_shape, dtype):
    return max(1, PIECE_BYTES // (math.prod(image_shape) * np.dtype(dtype).itemsize))


def _cut(start, stop, n_at_once):
    """Return first number and length of pieces of at most `n_at_once` pairs."""
    return [(first, min(n_at_once, stop - first)) for first in range(start, stop, n_at_once)]


def _show(source, n, start, changed=None):
    """Return images without transformations, perhaps with another object."""
    if changed is not None:
        return source.twins(n, start, transformations=(), changed=changed)[1]
    return source.sample(n, start, transformations=())[0]


def _make(source, n, start, transformations, twins, objects):
    """Return the transformed images of pairs by their role."""
    if twins == "clean":
        return {"twin": source.sample(n, start, transformations=transformations)[0]}
    made = dict(zip(("first", "twin"), source.twins(n, start, transformations=transformations), strict=True))
    if objects:
        made["object"] = source.twins(n, start, transformations=transformations, changed="object")[1]
    return made


def _compare(Z, Z_twin, Z_object):
    pair_distances = distances(Z, Z_twin)
    random_distances, nearer = compare_within_blocks(Z, Z_twin)
    compared = {"pair_distances": pair_distances, "random_distances": random_distances, "nearer": nearer}
    if Z_object is not None:
        compared["object_distances"] = to_object = distances(Z, Z_object)
        compared["nearer"] = (to_object > pair_distances) + 0.5 * (to_object == pair_distances)
    return compared
