"""How sensitive models are to transformations of a person's own images: what the command ``measure`` does.

Each image is compared with its transformed version. A cell is one model and one transformation; what a model computes
of the images as they are is kept for its next cell.
"""

import functools
import hashlib
import os
from functools import partial
from pathlib import Path

import numpy as np
import torch

from invtransfer.analysis import format_table
from invtransfer.analysis.representations import sensitivity_interval
from invtransfer.cubes.assembly import STATUS, make_cell
from invtransfer.cubes.running import run_study
from invtransfer.encoders.encoding import describe_features, open_encoder
from invtransfer.encoders.outputs import check_pool
from invtransfer.estimators.models import LIBRARIES, load_model
from invtransfer.estimators.twins import encode_plain, measure_twins, order_of_pairs, take_images
from invtransfer.images import check_count
from invtransfer.networks.devices import resolve_device
from invtransfer.networks.inference import check_precision
from invtransfer.randomness import derive_seed
from invtransfer.sources.loading import load_images
from invtransfer.storage import expand_path, parse_json
from invtransfer.transformations import TRANSFORMATIONS, get_transformations

SENSITIVITY = ("sensitivity", "sensitivity_low", "sensitivity_high")
LONG_NAMES = {
    "model": "name of the model, as load_model takes it", "transformation": "transformation of the second image",
    "category": "kind of transformation",
}  # fmt: skip


def measure_models(
    models, images, path, *, transformations=None, n_pairs=1_000, layer=None, pool="auto", size=224, device="auto",
    batch_size=None, precision="float32", random_weights=False,
):  # fmt: skip
    """Measure the sensitivity of models to transformations of images, and keep it in a cube.

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
        Largest number of images that are shown; of more, a random choice.
    layer : str or None
        Layer of the models whose output is taken as the features, see `invtransfer.encoders.LayerFeatures`.
    pool : {"auto", "class", "mean", "flatten"}
        How token sequences and maps become one row of features.
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

    Returns
    -------
    cube : xarray.Dataset
        Over "model" and "transformation": "sensitivity" with its interval, its companions, "features" and
        "preprocessing" that a model got, "status" and "message"; over "image" also the distances of each pair.

    Raises
    ------
    ValueError
        If an argument is not as described, or there is a cube of other settings at `path`.
    OSError, ImportError, TypeError
        As for `load_model` and `load_images`. All models are loaded before anything is measured.
    """
    images = expand_path(images)
    names = list(TRANSFORMATIONS) if transformations is None else list(dict.fromkeys(transformations))
    chosen, models = get_transformations(names), list(dict.fromkeys(models))
    for value, name, low in ((n_pairs, "pairs", 2), (size, "size", 1), (batch_size, "batch_size", 1)):
        if value is not None:
            check_count(value, name, low=low, high=4_096 if name == "size" else None)
    check_pool(pool)
    check_precision(precision)
    resolve_device(device)
    settings = {
        "n_pairs": n_pairs, "size": size, "layer": layer, "pool": pool, "precision": precision,
        "weights": "random" if random_weights else "default", "image_files": _identify(images),
    }  # fmt: skip
    where = {"images": str(images), "device": str(device), "batch_size": batch_size}
    if len(load_images(images, size=size)) < 2:
        raise ValueError(f"images is {str(images)!r}, which holds one image, expected at least 2")
    for cached in (_load, _show_plain):
        cached.cache_clear()  # files may have changed
    for model in reversed(models):  # the first, with which the measurement begins, is loaded last
        _open(model, settings["weights"], str(device), layer, pool)
    grid = [
        (
            {"model": model, "transformation": name},
            settings | {"model": model, "model_files": _identify_model(model), "transformation": name},
        )
        for model in models
        for name in names
    ]
    coordinates = {
        "model": models, "transformation": names, "category": ("transformation", [t.category for t in chosen])
    }  # fmt: skip
    return run_study(
        partial(measure_cell, **where), grid, coordinates, path, settings, long_names=LONG_NAMES,
        title="Sensitivity of models to transformations", jobs=1, threads=torch.get_num_threads(),
    )  # fmt: skip


def measure_cell(
    *, images, image_files, n_pairs, size, layer, pool, precision, weights, model, model_files, transformation, device,
    batch_size,
):  # fmt: skip
    """Measure the sensitivity of one model to one transformation.

    Parameters
    ----------
    images, n_pairs, size, layer, pool, precision, model, device, batch_size
        As for `measure_models`.
    weights : {"default", "random"}
        Weights of the model, if it is one of a library.
    image_files, model_files : str
        Tell a person's own files from others; they are not read.
    transformation : str
        Name of the transformation.

    Returns
    -------
    cell : xarray.Dataset
    """
    encoder, source, plain = _show_plain(
        images, n_pairs, size, layer, pool, precision, weights, model, device, batch_size
    )
    chosen = get_transformations([transformation])
    measured = measure_twins(
        encoder, source, [chosen], len(plain), twins="clean", plain=plain, batch_size=batch_size, precision=precision
    )[0]
    pair_distances, random_distances = measured.pair_distances.values, measured.random_distances.values
    sensitivity, low, high = sensitivity_interval(pair_distances, random_distances)
    along = "image"
    variables = {
        "sensitivity": ((), sensitivity, "distance of images to their transformed versions, over that to others"),
        "sensitivity_low": ((), low, "lower end of its 95 % interval over images"),
        "sensitivity_high": ((), high, "upper end of its 95 % interval over images"),
        "abx": ((), measured.nearer.mean().item(), "share of cases in which an image is nearer to its own transformed"
                " version than to that of another image"),
        "participation_ratio": ((), measured.participation_ratio.item(), "number of directions that features vary in"),
        "different": ((), measured.different.mean().item(), "share of the images that the transformation changes"),
        "pair_distance": (along, pair_distances, "distance of an image to its transformed version"),
        "random_distance": (along, random_distances, "mean distance of an image to the transformed versions of others"),
        "features": ((), describe_features(encoder), "where the features are taken, and how they are pooled"),
        "preprocessing": ((), encoder.module.preprocessing.description, "what the model does with images first"),
    }  # fmt: skip
    cell = make_cell(variables, {along: (along, source.order, {"long_name": "number of the image", "units": "1"})})
    for name in ("pair_distance", "random_distance"):
        cell[name].attrs["units"] = "units of the features"
    return cell


def _open(model, weights, device, layer, pool):
    layer = f"model.{layer}" if layer else layer  # of the part behind the preprocessing
    return open_encoder(_load(model, weights, device), layer, pool)


@functools.lru_cache(maxsize=1)
def _load(model, weights, device):
    random = weights == "random" and _is_of_library(model)
    loaded = load_model(model, weights=None if random else "default", random_state=0)
    return loaded.to(resolve_device(device))


@functools.lru_cache(maxsize=1)
def _show_plain(images, n_pairs, size, layer, pool, precision, weights, model, device, batch_size):
    """Return a model, the source of its images, and its features of the images as they are."""
    encoder = _open(model, weights, device, layer, pool)
    collection = load_images(images, size=size)
    seed = derive_seed(0, "measurement")
    order = order_of_pairs(len(collection), n_pairs, seed)
    source = take_images(collection, encoder, seed, order, order)
    return encoder, source, encode_plain(encoder, source, len(order), batch_size=batch_size, precision=precision)


def _is_of_library(model):
    return model.partition(":")[0] in LIBRARIES


def _identify_model(model):
    """Return what tells a person's own file from another one of the same name."""
    name = model.rpartition(":")[0] if ".py:" in model else model.removeprefix("hf:")
    path = Path(os.path.expanduser(name))
    return _identify(path) if path.exists() else ""


def _identify(path):
    """Return the name of a file or folder, and a digest of the names and sizes of the files."""
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    listed = "".join(f"{one.relative_to(path)} {one.stat().st_size}\n" for one in files)
    return f"{path.name} {hashlib.sha256(listed.encode(errors='surrogateescape')).hexdigest()[:12]}"


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
    name, size = settings["image_files"].rpartition(" ")[0], settings["size"]
    head = (
        f"sensitivity (95 % interval) of {cube.sizes['image']} images of {name}, brought to {size} x {size}\n"
        "mean distance between the features of an image and of its transformed version, over that to others:\n"
        "0: the model ignores the transformation, 1: it changes the features as much as another image does"
    )
    rows = [["transformation", *cube.model.values]]
    bounds = [cube[name].transpose("transformation", "model").values for name in SENSITIVITY]
    for one, *values in zip(cube.transformation.values, *bounds, strict=True):
        rows.append([one, *map(_format_interval, *values)])
    done, lines = cube.status == STATUS.index("done"), []
    for model in cube.model.values:
        here = done.sel(model=model).values
        preprocessing, features = (cube[name].sel(model=model).values[here] for name in ("preprocessing", "features"))
        if here.any():
            lines.append(f"{model}: {preprocessing[0]}; features: {features[0]}")
    return "\n\n".join([head, format_table(rows), "\n".join(lines)])


def _format_interval(mean, low, high):
    return "-" if np.isnan(mean) else f"{mean:.3f} ({low:.3f} to {high:.3f})"
