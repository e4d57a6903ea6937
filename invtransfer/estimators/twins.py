"""Distances between the features of twins, and between those of different images, while images stream by.

Images are made and encoded in pieces; of each block of 256 pairs the features are kept until they have been compared,
and of the whole only distances. What a transformation leaves as it is, is encoded once for all transformations.
"""

import itertools
import warnings

import numpy as np
import torch
import xarray as xr

from invtransfer.analysis.representations import (
    FEW_PAIRS,
    PAIRS_PER_BLOCK,
    compare_within_blocks,
    count_effective_pairs,
    distances,
    mean_random_distance,
    normalized_variance,
    participation_ratio,
    variance_moments,
)
from invtransfer.analysis.whitening import Whitening, make_whitening
from invtransfer.encoders.encoding import columns_of, count_at_once, describe_layers, encode_pieces
from invtransfer.encoders.repeating import N_REPEATED, warn_if_features_vary
from invtransfer.estimators.pairs import choose_acting, differ, make_plain, make_transformed

ROUNDING = 1e-5  # share of the mean distance between different images below which that of twins counts as 0
PER_PAIR = {  # what is measured of each pair, in each layer
    "pair_distances": "units of the features",
    "random_distances": "units of the features",
    "object_distances": "units of the features",
    "nearer": "1",
}
N_IMAGES_OF_COVARIANCE = 1_000  # images from whose features the covariance of Mahalanobis distances is estimated


def measure_twins(
    encoder, source, sets, n_pairs, *, twins="drawn", objects=False, plain=None, distance="euclidean", whitenings=None,
    answer=None, prepare=None, **options,
):  # fmt: skip
    """Measure how far the features of twins are apart, for several sets of transformations.

    Parameters
    ----------
    encoder : object
        As `open_encoder` returns it.
    source : Source
        Where the twins come from.
    sets : list of (tuple of Transformation or None)
        Transformations that are applied one after the other; None: the source's own.
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
    distance : {"euclidean", "cosine", "mahalanobis"}
        Distance between features.
    whitenings : list of Whitening or None
        As `make_whitenings` returns them, for "mahalanobis"; None for the others.
    answer : callable or None
        Function from features of the last layer to the answers of a probe. None: there is no probe.
    prepare : callable or None
        Function from images to what the encoder is given. None: the images.
    **options
        `batch_size` and `precision` of `encode_pieces`.

    Returns
    -------
    measured : xarray.Dataset over "layer", "transformation", in the order of `sets`, and "pair"
        "pair_distances" of the twins; "random_distances" and "nearer" as `compare_within_blocks` returns them, "nearer"
        with objects instead of other images if `objects`; "object_distances", NaN unless `objects`. Over "layer" and
        "transformation": "participation_ratio" of the first images, the mean over whole blocks of 256 pairs, and
        "normalized_variance", whatever the distance. Over "transformation" and "pair": "different", 1 where the images
        of a pair differ; and "changed", 1 where the answers to them differ, if there is a probe. Of several layers also
        the coordinate "layer", their names, and "depth".

    Raises
    ------
    ValueError
        As for `encode_pieces`; or if `distance` and `whitenings` do not belong together.
    """
    if (distance == "mahalanobis") != (whitenings is not None):
        raise ValueError(f"whitenings are for mahalanobis distances, and needed for them; distance is {distance!r}")
    metric = "euclidean" if distance == "mahalanobis" else distance  # that of whitened features
    if plain is not None and (objects or len(plain) < n_pairs):
        plain = None
    different, changed = np.zeros((len(sets), n_pairs)), np.full((len(sets), n_pairs), np.nan)
    pieces = _make_pieces(source, sets, n_pairs, twins, objects, plain is not None, different)
    prepared = ((key, images if prepare is None else prepare(images)) for key, images in pieces)
    n_features = None if plain is None else plain.shape[1]
    encoded = encode_pieces(encoder, prepared, n_features=n_features, **options)
    found = summed = None
    base = {}  # features of the images of the block as they are, by role
    for (block, which), group in itertools.groupby(encoded, key=lambda piece: piece[0][:2]):
        n = min(n_pairs, block + PAIRS_PER_BLOCK) - block
        if plain is not None:
            base = {"first": plain[block : block + n]}
        Z = _gather(group, block, n, base if which is not None else None)
        if which is None:
            base = Z
            continue
        Z = base | Z
        columns = columns_of(encoder)
        if found is None:
            found = {name: np.full((len(columns), len(sets), n_pairs), np.nan) for name in PER_PAIR}
            summed = [[_Sums() for _ in sets] for _ in columns]
        rows = slice(block, block + n)
        for layer, of_layer in enumerate(columns):
            parts = {role: _whiten(values[:, of_layer], whitenings, layer) for role, values in Z.items()}
            for name, values in _compare(parts["first"], parts["twin"], parts.get("object"), metric).items():
                found[name][layer, which, rows] = values
            summed[layer][which].add(Z["first"][:, of_layer], Z["twin"][:, of_layer])
        if answer is not None:
            answers = [np.asarray(answer(Z[role][:, columns[-1]])).reshape(n, -1) for role in ("first", "twin")]
            changed[which, rows] = (answers[0] != answers[1]).any(axis=1)
    dims = ("layer", "transformation", "pair")
    variables = {name: (dims, values, {"units": PER_PAIR[name]}) for name, values in found.items()}
    for name in ("participation_ratio", "normalized_variance"):
        variables[name] = (dims[:2], [[getattr(sums, name)() for sums in of_layer] for of_layer in summed])
    variables["different"] = (dims[1:], different, {"units": "1"})
    if answer is not None:
        variables["changed"] = (dims[1:], changed, {"units": "1"})
    return xr.Dataset(variables, describe_layers(encoder))


class _Sums:
    """What is summed over blocks of pairs, for one set of transformations and one layer."""

    def __init__(self):
        self._n_pairs, self._moments, self._ratios = 0, 0.0, []

    def add(self, Z, Z_twin):
        self._n_pairs += len(Z)
        self._moments = self._moments + variance_moments(Z, Z_twin)
        if len(Z) == PAIRS_PER_BLOCK or not self._ratios:  # in fewer images, fewer directions are seen
            self._ratios.append(participation_ratio(Z))

    def participation_ratio(self):
        return np.mean(self._ratios)

    def normalized_variance(self):
        return normalized_variance(self._moments, self._n_pairs)


def _make_pieces(source, sets, n_pairs, twins, objects, plain_is_known, different):
    """Yield images with what they are: block of pairs, set, role, first pair, and which images of these pairs.

    Images as they are have None for the set. Of the others, only those that a transformation changes are yielded.
    Writes into `different` which twins differ.
    """
    n_at_once = count_at_once(source.image_shape, source.dtype)
    streams = [choose_acting(source, one, twins) for one in sets]
    for block in range(0, n_pairs, PAIRS_PER_BLOCK):
        places = _cut(block, min(n_pairs, block + PAIRS_PER_BLOCK), n_at_once)
        # images that are made at once are made once for all sets
        kept = make_plain(source, places[0][1], block) if len(places) == 1 else None
        for start, n in () if plain_is_known else places:
            yield (block, None, "first", start, slice(None)), make_plain(source, n, start) if kept is None else kept
            if objects and twins == "clean":
                yield (block, None, "object", start, slice(None)), make_plain(source, n, start, changed="object")
        for which, transformations in enumerate(streams):
            for start, n in places:
                shown = make_plain(source, n, start) if kept is None else kept
                made = make_transformed(source, n, start, transformations, twins, objects)
                first = made.get("first", shown)
                different[which, start : start + n] = differ(first, made["twin"])
                for role, images in made.items():
                    acts = differ(images, shown)
                    yield (block, which, role, start, acts), images[acts]


def _gather(pieces, block, n, base):
    """Put the features of the pieces of a block in their rows, by role; of `base` where images are as they are."""
    Z = {}
    for (_, _, role, start, acts), features in pieces:
        if role not in Z:
            Z[role] = np.empty((n, features.shape[1]), np.float32) if base is None else base["first"].copy()
        rows = slice(start - block, start - block + (len(features) if base is None else len(acts)))
        Z[role][rows][acts] = features
    return Z


def make_whitenings(encoder, plain):
    """Make the linear maps after which Euclidean distances are Mahalanobis distances.

    Parameters
    ----------
    encoder : object
        As `open_encoder` returned it, after some features were computed.
    plain : ndarray of shape (n_images, n_features)
        Features of images as they are, of which at most 1,000 count.

    Returns
    -------
    whitenings : list of Whitening
        One for each layer, of tensors: torch computes with them, in the threads of the network.
    """
    plain = plain[:N_IMAGES_OF_COVARIANCE]
    made = [make_whitening(plain[:, of_layer]) for of_layer in columns_of(encoder)]
    return [Whitening(torch.from_numpy(one.directions), torch.from_numpy(one.scales), float(one.rest)) for one in made]


def _whiten(Z, whitenings, layer):
    """Turn Mahalanobis distances into Euclidean ones."""
    return Z if whitenings is None else whitenings[layer].apply(torch.from_numpy(Z).double()).numpy()


def check_repeats(encoder, source, n_pairs, *, name=None, prepare=None, **options):
    """Warn of an encoder that gives the first images of a source other features in another batch, or each time.

    Parameters
    ----------
    encoder, source, n_pairs, prepare, **options
        As for `measure_twins`.
    name : str or None
        Name of the encoder among several.

    Raises
    ------
    ValueError
        As for `encode_pieces`.

    Warns
    -----
    UserWarning
        As `warn_if_features_vary` does.
    """
    images = make_plain(source, min(n_pairs, N_REPEATED), 0)
    warn_if_features_vary(encoder, images if prepare is None else prepare(images), name, **options)


def encode_plain(encoder, source, n_pairs, *, name=None, prepare=None, most_bytes=None, **options):
    """Compute the features of images as they are, without transformations.

    Parameters
    ----------
    encoder, source, n_pairs, prepare, **options
        As for `measure_twins`, which takes the result as `plain`.
    name : str or None
        Name of the encoder among several.
    most_bytes : int or None
        Size of features that are not worth their memory.

    Returns
    -------
    plain : ndarray of shape (n_pairs, n_features), float32, or None
        None if they would be larger than `most_bytes`.

    Raises
    ------
    ValueError
        As for `encode_pieces`.

    Warns
    -----
    UserWarning
        As `check_repeats` does.
    """
    check_repeats(encoder, source, n_pairs, name=name, prepare=prepare, **options)
    n_at_once = count_at_once(source.image_shape, source.dtype)
    shown = ((start, make_plain(source, n, start)) for start, n in _cut(0, n_pairs, n_at_once))
    pieces = ((start, images if prepare is None else prepare(images)) for start, images in shown)
    plain = None
    for start, Z in encode_pieces(encoder, pieces, **options):
        if most_bytes is not None and Z[:1].nbytes * n_pairs > most_bytes:
            return None
        plain = np.empty((n_pairs, Z.shape[1]), np.float32) if plain is None else plain
        plain[start : start + len(Z)] = Z
    return plain


def warn_of_few(pair_distances, random_distances):
    """Warn of intervals that cannot be known, because a mean distance rests on too few pairs.

    Parameters
    ----------
    pair_distances, random_distances : xarray.DataArray over "pair", the last dimension, and others
        Distances between twins, and between different images, as `measure_twins` returns them.

    Warns
    -----
    UserWarning
        If fewer than 3 pairs make a mean distance.
    """
    few = []
    for place in np.ndindex(pair_distances.shape[:-1]):
        one, others = pair_distances[place], random_distances[place]
        moved = one.values[one.values > ROUNDING * mean_random_distance(others.values)]
        if 0 < count_effective_pairs(moved) < FEW_PAIRS:
            few.append(str(one.transformation.item()) if "transformation" in one.coords else one.name)
    if few:
        warnings.warn(
            f"the sensitivity to {', '.join(dict.fromkeys(few))} rests on fewer than {FEW_PAIRS} pairs of twins, so its"
            " interval is not known, or may be too narrow: measure more pairs",
            stacklevel=3,
        )


def warn_of_equal_features(random_distances):
    """Warn of encoders or layers whose features are the same for all images, so that they have no sensitivity.

    Parameters
    ----------
    random_distances : xarray.DataArray over "pair" and others
        Distances between different images, as `measure_twins` returns them.

    Warns
    -----
    UserWarning
        If all distances of an encoder, or of one of its layers, are 0. The message names them if there are several.
    """
    equal = (random_distances == 0).all([dim for dim in random_distances.dims if dim not in ("encoder", "layer")])
    places = equal.to_series() if equal.ndim else {"": equal.item()}
    named = [", ".join(place) if isinstance(place, tuple) else place for place, one in places.items() if one]
    if named:
        where = f" in {'; '.join(named)}" if equal.ndim else ""
        warnings.warn(
            f"all images have the same features{where}, so that there is no sensitivity: every value is NaN",
            stacklevel=3,
        )


def _cut(start, stop, n_at_once):
    """Return first number and length of pieces of at most `n_at_once` pairs."""
    return [(first, min(n_at_once, stop - first)) for first in range(start, stop, n_at_once)]


def _compare(Z, Z_twin, Z_object, metric):
    pair_distances = distances(Z, Z_twin, metric)
    random_distances, nearer = compare_within_blocks(Z, Z_twin, metric)
    compared = {"pair_distances": pair_distances, "random_distances": random_distances, "nearer": nearer}
    if Z_object is not None:
        compared["object_distances"] = to_object = distances(Z, Z_object, metric)
        compared["nearer"] = (to_object > pair_distances) + 0.5 * (to_object == pair_distances)
    return compared
