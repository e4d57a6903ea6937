"""How sensitive models are to transformations of a person's own images: what the command ``measure`` does.

Each image is compared with its transformed version. A cell is one model and one transformation; what a model computes
of the images as they are is kept for its next cell. What was measured with other weights or images is not taken for
this.
"""

import os
from functools import partial

import numpy as np
import torch
import xarray as xr

from invtransfer.analysis import format_table
from invtransfer.analysis.layers import select_last_layer
from invtransfer.analysis.representations import DISTANCES
from invtransfer.commands.models_and_images import (
    DESCRIPTIONS,
    NamedModels,
    check_arguments,
    digest_images,
    find_images,
    identify_images,
    load_for_models,
    read_images,
)
from invtransfer.cubes.assembly import STATUS
from invtransfer.cubes.files import read
from invtransfer.cubes.running import run_study
from invtransfer.encoders.encoding import describe_features, open_encoder
from invtransfer.estimators.pairs import ImagesOfPairs, order_of_pairs, take_images
from invtransfer.estimators.profiles import (
    SENSITIVITY,
    add_interactions,
    check_strengths,
    choose_interactions,
    measure_profile,
)
from invtransfer.estimators.twins import (
    N_IMAGES_OF_COVARIANCE,
    encode_plain,
    make_whitenings,
    warn_of_equal_features,
    warn_of_few,
)
from invtransfer.images.checks import check_count
from invtransfer.images.loading import load_images
from invtransfer.randomness import derive_seed
from invtransfer.sources.transformed_images import TransformedImages
from invtransfer.storage import parse_json
from invtransfer.transformations import get_transformations

DEPTH = "share of the model's convolutions and linear layers that have run when the layer is done"
KEPT_BYTES = 2**28  # size of features of images as they are that are kept for all transformations
LONG_NAMES = {
    "encoder": "name of the model, as load_model takes it", "transformation": "transformation of the second image",
    "category": "kind of transformation", "layer": "layer of the model", "strength": "how much of its full range",
    "then": "transformation after the first one", "image": "number of the image", "file": "file of the image",
}  # fmt: skip


def measure_models(
    models, images, path, *, transformations=None, n_pairs=1_000, layer=None, layers=None, pool="auto", strengths=None,
    distance="euclidean", interactions=None, size=224, device="auto", batch_size=None, precision="float32",
    random_weights=False, skip_unreadable=False, seed=0,
):  # fmt: skip
    """Measure the sensitivity of models to transformations of images, and keep it in a cube.

    The numbers are those of `invtransfer.SensitivityScorer` with ``twins="clean"`` and the seed as its random_state.
    The same call goes on where an earlier one ended: what is measured is not measured again.

    Parameters
    ----------
    models : list of str
        Names of models, see `invtransfer.load_model`.
    images : path
        Folder of images, or file of arrays, see `invtransfer.load_images`.
    path : path-like
        Where the cube is written; its cells go beside it.
    transformations : list of str or None
        Names of transformations. None: all 18.
    n_pairs : int
        Largest number of images that are shown; of more, a random choice. Those beyond 256 MiB (1,700 of 224 x 224) are
        read anew for each transformation.
    layer : str or None
        Layer of the models whose output is taken as the features, see `invtransfer.encoders.LayerFeatures`.
    layers : "blocks", list of str, or None
        Layers that are measured together, see `invtransfer.SensitivityScorer`. None: only `layer`.
    pool : {"auto", "class", "mean", "flatten"}
        How token sequences and maps become one row of features.
    strengths, distance, interactions
        As for `invtransfer.SensitivityScorer`.
    size : int
        Side in pixels to which images are brought before they are transformed: the shorter side is resized, and the
        centre cut out. Each model then gets them as its own preprocessing says.
    device : str
        Device on which the models compute; "auto": a GPU if there is one.
    batch_size : int or None
        Number of images per call of a model. None: by their size and the device.
    precision : {"float32", "bfloat16", "float16"}
        Number format in which models compute where they can choose.
    random_weights : bool
        Whether models of libraries get random weights, and no files of weights are needed.
    skip_unreadable : bool
        Whether files that are damaged, or no images, are left out, with a warning.
    seed : int
        Seed of the choice of images and of all random draws, which are the same for all models. Random weights do not
        depend on it.

    Returns
    -------
    cube : xarray.Dataset
        Over "encoder", "transformation" and, as asked, "layer" and "strength": "sensitivity" with its interval and its
        companions; over "image" also the distances of each pair. "depth" and "features" of layers, "preprocessing" that
        a model got, "status" and "message". With interactions what `add_interactions` adds.

    Raises
    ------
    ValueError
        If an argument is not as described, or there is a cube of other settings, or with other interactions, at `path`.
    OSError, ImportError, TypeError
        As for `load_model` and `load_images`. All models are loaded and all images read before anything is measured.
    """
    models, images, path, chosen = check_arguments(
        models, images, path, transformations, size, batch_size, precision, seed
    )
    names = [t.name for t in chosen]
    check_count(n_pairs, "n_pairs", low=2)
    strengths = check_strengths(strengths)
    if distance not in DISTANCES:
        raise ValueError(f"distance is {distance!r}, expected one of: {', '.join(DISTANCES)}")
    pairs = choose_interactions(interactions, chosen, strengths)
    _check_pairs_kept(path, pairs)
    thens = {name: [then.name for first, then in pairs if first.name == name] for name in names}
    weights = "random" if random_weights else "default"
    named = NamedModels(weights, layer=layer, layers=layers, pool=pool, device=device)
    measurement = _Measurement(load_for_models(images, size, skip_unreadable), images, named, n_pairs, precision, seed)
    read_images(measurement.images, measurement.order)
    identities = named.identify(models)
    shown = {"images_digest": digest_images(measurement.images, measurement.order)}
    settings = {
        "n_pairs": n_pairs, "size": size, "layer": layer, "layers": layers, "pool": pool, "strengths": strengths,
        "distance": distance, "precision": precision, "weights": weights,
        "images": identify_images(images, measurement.images), "skip_unreadable": skip_unreadable, "seed": seed,
    }  # fmt: skip
    grid = [
        (
            place := {"encoder": model, "transformation": name},
            settings | place | {"thens": thens[name], "weights_digest": identities[model]} | shown,
        )
        for model in models
        for name in names
    ]
    coordinates = {
        "encoder": models, "transformation": names, "category": ("transformation", [t.category for t in chosen])
    }  # fmt: skip

    def finish(cube):
        _check_pairs_kept(path, pairs)  # once more: another run may have written some meanwhile
        return add_interactions(cube)

    cube = run_study(
        partial(measurement.measure, batch_size), grid, coordinates, path, settings, long_names=LONG_NAMES,
        title="Sensitivity of models to transformations", finish=finish, jobs=1, threads=torch.get_num_threads(),
    )  # fmt: skip
    if "pair_distance" in cube:  # a cell is done
        warn_of_few(*(cube[name].transpose(..., "image") for name in ("pair_distance", "random_distance")))
        warn_of_equal_features(cube.random_distance)
    return cube


def _check_pairs_kept(path, pairs):
    """Refuse to overwrite a cube of pairs of transformations that are not measured this time."""
    there = read(path) if path.exists() else xr.Dataset()
    if "pair_distance_together" not in there:
        return
    measured = there.pair_distance_together.transpose("transformation", "then", ...).notnull().values
    firsts, thens = np.nonzero(measured.reshape(*measured.shape[:2], -1).any(axis=-1))
    held = zip(there.transformation.values[firsts].tolist(), there.then.values[thens].tolist(), strict=True)
    lost = [pair for pair in held if pair not in {(first.name, then.name) for first, then in pairs}]
    if lost:
        raise ValueError(
            f"{path} holds the interactions {' '.join(map(','.join, lost))}, which this run does not have: ask"
            " for them, too, choose another --out, or move it away"
        )


class _Measurement:
    """The images, and what is known of them as they are by the model that was used last."""

    def __init__(self, images, folder, models, n_pairs, precision, seed):
        if len(images) < 2:
            raise ValueError("images holds one image, expected at least 2")
        self.images, self._folder, self._models, self._precision = images, folder, models, precision
        self._seed = _derive_seed(seed)
        self.order = order_of_pairs(len(images), n_pairs, self._seed)
        self._name = self._encoder = self._shown = None

    def measure(self, batch_size, *, encoder, transformation, thens, strengths, distance, **_):
        """Measure one cell; the other arguments are the same for all cells of this measurement."""
        source, known = self._show(encoder, batch_size, distance)
        first, *others = get_transformations([transformation, *thens])
        profile = measure_profile(
            self._encoder, source, [first], len(self.order), strengths=strengths, distance=distance,
            interactions=[(first, then) for then in others], twins="clean", batch_size=batch_size,
            precision=self._precision, **known,
        )  # fmt: skip
        if "layer" not in profile.dims:
            profile["features"] = describe_features(self._encoder)
        profile["preprocessing"] = self._encoder.module.preprocessing.description
        profile = profile.isel(transformation=0, drop=True).assign_coords(image=("pair", source.order))
        if files := self.images.files:
            names = [os.path.relpath(files[i], self._folder) for i in source.order]
            profile = profile.assign_coords(file=("pair", [name.encode(errors="replace").decode() for name in names]))
        return _make_cell(profile)

    def _show(self, model, batch_size, distance):
        """Return the source of a model's images, and what is known of its features of them as they are."""
        if self._name != model:
            self._name = self._encoder = self._shown = None  # before the next is loaded
            loaded = self._models.load(model)
            self._encoder = open_encoder(loaded, self._models.layer, self._models.pool, self._models.layers)
            self._name = model
        if self._shown is None:
            source = take_images(self.images, self._encoder, self._seed, self.order, self.order)
            encode = partial(
                encode_plain, self._encoder, source, name=model, batch_size=batch_size, precision=self._precision
            )
            try:
                plain = encode(len(self.order), most_bytes=KEPT_BYTES)
                known = {} if plain is None else {"plain": plain}
                if distance == "mahalanobis":
                    plain = encode(min(len(self.order), N_IMAGES_OF_COVARIANCE)) if plain is None else plain
                    known["whitenings"] = make_whitenings(self._encoder, plain)
                self._shown = source, known
            except Exception as error:  # the model is not tried again with each transformation
                self._shown = ValueError(f"{model}: {type(error).__name__}: {error}")
        if isinstance(self._shown, Exception):
            raise self._shown
        return self._shown


def _derive_seed(seed):
    """Return the seed of a measurement: that of `SensitivityScorer` with the same random_state, and so its numbers."""
    return derive_seed(seed, "sensitivity")


def _make_cell(profile):
    """Return the cell of a cube, which has no coordinates but labels."""
    cell = profile.drop_vars("object_sensitivity").swap_dims(pair="image")
    if "layer" in cell.dims:
        cell = cell.reset_coords(["depth", "features"])
    for name, text in (DESCRIPTIONS | {"depth": DEPTH}).items():
        if name in cell:
            cell[name].attrs["long_name"] = text
    for variable in cell.data_vars.values():
        variable.attrs.setdefault("units", "1")
    # of features in float32; half as large a cube
    small = {name: one.astype(np.float32) for name, one in cell.data_vars.items() if "image" in one.dims}
    return cell.assign(small).drop_vars("category", errors="ignore")


def make_pairs(cube, images):
    """Make the images that a measurement compared once more, to look at them.

    Parameters
    ----------
    cube : xarray.Dataset
        As `measure_models` returns it.
    images : path
        The folder or file that was measured.

    Returns
    -------
    pairs : dict of str to (sequence, sequence)
        For each transformation the images as they are, and transformed at the largest strength that was measured; in
        the order of the cube's "image", arrays of shape (size, size, 3), uint8, each made when it is asked for.
    labels : ndarray of shape (n_images,), or None
        Classes of all images of the folder or file, if it has any.

    Raises
    ------
    ValueError
        If the cube is not a measurement's, or the images are not those that were measured.
    OSError
        If images cannot be read.
    """
    settings = parse_json(cube.attrs.get("settings", "{}"), "settings", dict)
    if not {"images", "size", "n_pairs"} <= settings.keys() or "image" not in cube.coords:
        raise ValueError("the cube is no measurement of images, so that there are none to show")
    if "seed" not in settings:
        raise ValueError("the cube is of an earlier version, which drew in other ways: measure again to see its images")
    images = find_images(images)
    loaded = load_images(images, size=settings["size"], skip_unreadable=settings.get("skip_unreadable", False))
    *_, digest = identify_images(images, loaded).split(" ")
    if digest != settings["images"].split(" ")[-1]:
        raise ValueError(f"{images} holds other images than those that were measured, {settings['images']}")
    order, seed = cube.image.values, _derive_seed(settings["seed"])
    source = TransformedImages.from_checked(loaded, random_state=seed, order=order, draws=order, device="cpu")
    strength = (settings.get("strengths") or [1.0])[-1]
    pairs = {
        one.name: tuple(
            ImagesOfPairs(source, len(order), (one.at(strength),), "clean", role) for role in ("first", "twin")
        )
        for one in get_transformations(cube.transformation.values.tolist())
    }
    return pairs, loaded.labels


def format_measurement(cube):
    """Format the sensitivity of models to transformations as a table.

    Parameters
    ----------
    cube : xarray.Dataset
        As `measure_models` returns it.

    Returns
    -------
    text : str
        What was measured, in a sentence; a line for each transformation; and what each model got.
    """
    settings = parse_json(cube.attrs["settings"], "settings", dict)
    name, size = settings["images"].rpartition(" ")[0], settings["size"]
    head = (
        f"sensitivity (95 % interval) of {cube.sizes['image']} images of {name}, brought to {size} x {size}\n"
        "mean distance between the features of an image and of its transformed version, divided by the mean distance\n"
        "between different images:\n"
        "0: the model ignores the transformation, 1: it changes the features as much as another image does"
    )
    of_several = {"layer": "the last layer of each", "strength": "the largest strength"}
    if chosen := [text for dim, text in of_several.items() if dim in cube.dims]:
        head += f"\nhere: {' and '.join(chosen)}; the cube has all"
    shown = cube
    if "strength" in cube.dims:
        shown = shown.isel(strength=-1)
    if "layer" in cube.dims:
        shown = select_last_layer(shown)
    rows = [["transformation", *cube.encoder.values]]
    bounds = [shown[name].transpose("transformation", "encoder").values for name in SENSITIVITY]
    states = cube.status.transpose("transformation", "encoder").values
    for one, *values in zip(cube.transformation.values, states, *bounds, strict=True):
        rows.append([one, *map(_format_interval, *values)])
    done, lines = cube.status == STATUS.index("done"), []
    for encoder in cube.encoder.values:
        here = done.sel(encoder=encoder).values
        preprocessing, features = (
            shown[name].sel(encoder=encoder).values[here] for name in ("preprocessing", "features")
        )
        if here.any():
            lines.append(f"{encoder}: {preprocessing[0]}; features: {features[0]}")
    return "\n\n".join([head, format_table(rows), "\n".join(lines)])


def _format_interval(state, mean, low, high):
    if state != STATUS.index("done"):
        return STATUS[state]
    return "all features equal" if np.isnan(mean) else f"{mean:.3f} ({low:.3f} to {high:.3f})"
