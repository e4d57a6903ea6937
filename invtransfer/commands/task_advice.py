"""Which invariances a task of labelled images needs, seen by several models: what the command ``advise`` does.

A cell is one model and all transformations, each of which is kept when it is done. What was found with other weights
or images is not taken for this.
"""

import re
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import torch

from invtransfer.analysis import format_table
from invtransfer.analysis.advice import (
    ADVICE,
    CLEAR,
    IGNORED,
    count_images,
    format_accuracies,
    format_advised_in,
    list_advised,
    order_advice,
    shorten_repeated,
)
from invtransfer.commands.models_and_images import (
    DESCRIPTIONS,
    NamedModels,
    check_arguments,
    digest_images,
    identify_images,
    load_for_models,
    read_images,
)
from invtransfer.cubes.assembly import STATUS
from invtransfer.cubes.files import read, write
from invtransfer.cubes.running import run_study
from invtransfer.estimators.advising import InvarianceAdvisor
from invtransfer.estimators.pairs import order_of_pairs
from invtransfer.images.checks import check_count
from invtransfer.images.labels import check_groups, find_repeated_classes
from invtransfer.randomness import derive_seed
from invtransfer.storage import DamagedFileError, parse_json

LONG_NAMES = {
    "encoder": "name of the model, as load_model takes it", "transformation": "transformation of the copies",
    "category": "kind of transformation", "view": "what the probe sees of an image", "class": "label of images",
}  # fmt: skip


def advise_on_task(
    models, images, path, *, transformations=None, groups=None, most_images=None, n_draws=4, layer=None, pool="auto",
    size=224, device="auto", batch_size=None, precision="float32", random_weights=False, skip_unreadable=False, seed=0,
):  # fmt: skip
    """Find out which invariances a task of labelled images needs, for each of some models, and keep it in a cube.

    The same call goes on where an earlier one ended: models that are done are not asked again, nor is the one
    that was being asked about transformations that are done. All see the same copies.

    Parameters
    ----------
    models : list of str
        Names of models, see `invtransfer.load_model`.
    images : path
        Folder that holds a folder of images for each class, or file of arrays with labels, see
        `invtransfer.load_images`. All images of classes that have at least two are used.
    path : path-like
        Where the cube is written; its cells go beside it.
    transformations : list of str or None
        Names of transformations. None: all 18.
    groups : str or None
        Regular expression for the paths of the image files within the folder, such as ``patient[0-9]+``: images whose
        paths match with the same text are a group, as for `InvarianceAdvisor.fit`. If the expression has a group in
        parentheses, its text counts. None: images are independent.
    most_images : int or None
        Largest number of images that are used; of more, a random choice. None: all.
    n_draws : int
        Number of transformed copies of each image, for each transformation.
    layer, pool
        As for `invtransfer.InvarianceAdvisor`; the layer is named as in the model.
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
        Seed of all random draws, of copies and of parts, which are the same for all models. Random weights do not
        depend on it.

    Returns
    -------
    cube : xarray.Dataset
        Over "encoder", "transformation" and "view": `evidence_` of `InvarianceAdvisor`. Over "encoder" and
        "transformation": "advice", "sentence" (what to do), and "rank" among those to pretrain with, from 1; 0 for
        others. Over "encoder": "n_images", "chance", "features", "preprocessing", "status" and "message"; over "class",
        too, "n_images_of_class".

    Raises
    ------
    ValueError
        If an argument is not as described, the images have no labels, fewer than 2 classes have 2 images or more,
        `groups` does not match a path, or there is a cube of other settings at `path`.
    OSError, ImportError, TypeError
        As for `load_model` and `load_images`. All models are loaded and all images read before anything is measured.

    Warns
    -----
    UserWarning
        If classes have one image only. They are left out.
    """
    models, images, path, chosen = check_arguments(
        models, images, path, transformations, size, batch_size, precision, seed
    )
    check_count(n_draws, "n_draws", high=1_000)
    if most_images is not None:
        check_count(most_images, "most_images", low=4)
    weights = "random" if random_weights else "default"
    named = NamedModels(weights, layer=layer, pool=pool, device=device)
    loaded = load_for_models(images, size, skip_unreadable)
    if loaded.labels is None:
        raise ValueError(
            f"{images} holds images without classes, expected a folder of images for each class, or a file of arrays"
            " with one label per image"
        )
    if most_images is not None and most_images < len(loaded):
        loaded = loaded.subset(np.sort(order_of_pairs(len(loaded), most_images, derive_seed(seed, "images of a task"))))
    grouped = None if groups is None else check_groups(find_groups(loaded, images, groups), len(loaded))
    rows, *_ = find_repeated_classes(loaded.labels, str(images), grouped)
    labels = loaded.labels.astype(str)
    read_images(loaded, rows)
    identities = named.identify(models)
    settings = {
        "transformations": [t.name for t in chosen], "most_images": most_images, "n_draws": n_draws, "size": size,
        "layer": layer, "pool": pool, "precision": precision, "weights": weights,
        "images": identify_images(images, loaded), "skip_unreadable": skip_unreadable, "seed": seed,
        "words_of_advice": list(ADVICE),  # cells of a version that had others are no part of this cube
    }  # fmt: skip
    if groups is not None:
        settings["groups"] = groups
    shown = {"images_digest": digest_images(loaded, rows)}
    grid = [
        (place := {"encoder": model}, settings | place | {"weights_digest": identities[model]} | shown)
        for model in models
    ]
    coordinates = {
        "encoder": models, "transformation": ("transformation", [t.name for t in chosen]),
        "category": ("transformation", [t.category for t in chosen]),
    }  # fmt: skip
    grouped = None if grouped is None else grouped[rows]
    return run_study(
        partial(_advise, named, loaded.subset(rows), labels[rows], grouped, batch_size), grid, coordinates, path,
        settings, long_names=LONG_NAMES, title="Invariances that a task needs", attributes={"command": "advise"},
        jobs=1, threads=torch.get_num_threads(),
    )  # fmt: skip


def find_groups(images, folder, pattern):
    """Find the groups of images by their paths.

    Parameters
    ----------
    images : ImageCollection
        Images of a folder.
    folder : pathlib.Path
        The folder, from which on paths count.
    pattern : str
        Regular expression, see `advise_on_task`.

    Returns
    -------
    groups : list of str
        What matches in the path of each image.

    Raises
    ------
    ValueError
        If `pattern` is no regular expression, or does not match; or the images are no files.
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(f"groups is {pattern!r}, expected a regular expression: {error}") from error
    if images.files is None:
        raise ValueError(f"groups is {pattern!r}, which finds groups by the paths of files, but {folder} is an array")
    groups = []
    for path in images.files:
        name = Path(path).relative_to(folder).as_posix()
        found = compiled.search(name)
        text = found and found[1 if compiled.groups else 0]
        if not text:
            raise ValueError(f"groups is {pattern!r}, which does not match {name}")
        groups.append(text)
    return groups


def _advise(
    models, images, labels, groups, batch_size, /, *, encoder, transformations, n_draws, precision, seed, checkpoints,
    **_,
):  # fmt: skip
    """Compute one cell, and keep what is found of each transformation; the other arguments are the same for all."""
    try:
        model = models.load(encoder)
        advisor = InvarianceAdvisor(
            model, layer=models.layer, pool=models.pool, transformations=transformations, n_draws=n_draws,
            batch_size=batch_size, precision=precision, random_state=seed, verbose=True,
        )._fit(images, labels, groups, partial(_keep, checkpoints))  # fmt: skip
    except Exception as error:  # the message of the cell names the model
        raise ValueError(f"{encoder}: {type(error).__name__}: {error}") from error
    return _make_cell(advisor, labels, model.preprocessing.description)


def _keep(folder, name, measure):
    """Return what was found of a transformation before the command was stopped, or find it, and keep it in a file."""
    path = folder / f"{name}.nc"
    with suppress(FileNotFoundError, DamagedFileError):
        return read(path)
    found = measure()
    write(found, path)
    return found


def _make_cell(advisor, labels, preprocessing):
    """Return the cell of a cube: the evidence and the advice."""
    cell = advisor.evidence_.drop_vars("category")
    classes, counts = np.unique(labels, return_counts=True)
    table = advisor.advice_.loc[cell.transformation.values]
    ranks = {name: i for i, name in enumerate(advisor.advised_, start=1)}
    whole = {
        "advice": ("transformation", table.advice.tolist(), "what to do about the transformation, in a word"),
        "sentence": ("transformation", table["what to do"].tolist(), "what to do about the transformation, and why"),
        "rank": (
            "transformation", np.int32([ranks.get(name, 0) for name in table.index]),
            "place among the transformations to pretrain with, the most useful first; 0: not among them",
        ),
        "usable": (
            "view", cell.usable.values.astype(np.int8), "1 where the probe of the view is clearly better than chance"
        ),
        "n_images": ((), np.int32(len(labels)), "number of labelled images"),
        "n_folds": ((), np.int32(advisor.n_folds_), "number of parts; each is judged by a probe of the others"),
        "n_images_of_class": ("class", counts.astype(np.int32), "number of images of the class"),
        "chance": ((), cell.attrs["chance"], "share of images of the largest class"),
        "features": ((), advisor.layer_, DESCRIPTIONS["features"]),
        "preprocessing": ((), preprocessing, DESCRIPTIONS["preprocessing"]),
    }  # fmt: skip
    if "n_groups" in cell.attrs:
        whole["n_groups"] = ((), np.int32(cell.attrs["n_groups"]), "number of groups, which stay together in parts")
    described = {name: (dims, one, {"long_name": text, "units": "1"}) for name, (dims, one, text) in whole.items()}
    return cell.assign_coords({"class": classes}).assign(described).drop_attrs(deep=False)


def format_task_advice(cube):
    """Format the advice for a task as tables, one for each model.

    Parameters
    ----------
    cube : xarray.Dataset
        As `advise_on_task` returns it, with at least one model that did not fail.

    Returns
    -------
    text : str
        What was asked, in a sentence; for each model what it got, a line for each transformation, and what to pretrain
        with; and of several models which one has the best features.
    """
    settings = parse_json(cube.attrs["settings"], "settings", dict)
    name, size = settings["images"].rpartition(" ")[0], settings["size"]
    done = cube.isel(encoder=cube.status.values == STATUS.index("done"))
    n_copies = settings["n_draws"]
    parts = [
        f"which invariances a model needs to tell {cube.sizes['class']} classes apart in {count_images(done)} of"
        f" {name}, brought to {size} x {size}\n\n"
        f"z            positive: training a probe on {n_copies} transformed copies of each image as well helps;"
        " negative: it harms;\n"
        f"             in standard errors, clear beyond ±{CLEAR}; harm that is clear but small does not speak against"
        " it\n"
        f"sensitivity  0: the model ignores the transformation (below {IGNORED}); 1: it changes the features as much as"
        " another image\n"
        "advice       encourage, try: pretrain with it; stay sensitive: the label depends on it, do not;"
        " avoid: it harms, do not;\n"
        "             already ignored, nothing to gain: nothing to do; unknown: no probe is clearly better than chance"
    ]
    for encoder, state in zip(cube.encoder.values, cube.status.values, strict=True):
        if state != STATUS.index("done"):
            parts.append(f"{encoder}: {STATUS[state]}")
            continue
        one = cube.sel(encoder=encoder)
        order = order_advice(one.advice.values.tolist(), one.z.values.tolist())
        heads = ["transformation", "advice", "z", "sensitivity"]
        table = format_table([heads, *(_format_row(one.isel(transformation=i)) for i in order)], n_left=2).splitlines()
        sentences = ["what to do", *shorten_repeated(one.sentence.values[order].tolist())]
        parts.append(
            f"{encoder}: {one.preprocessing.item()}; features: {one.features.item()}\n"
            f"accuracy of the probe: {format_accuracies(one)}; the largest class: {one.chance.item():.2f}"
        )
        parts.append("\n".join(f"{line}  {sentence}" for line, sentence in zip(table, sentences, strict=True)))
        names = list_advised(one)
        given = f"transformations={names}).fit(X, y)"
        how = f"\nin Python: InvariantPretrainer(network, {given}; or, to tune,\n           FineTuner(model, {given}"
        parts.append(f"pretrain with: {format_advised_in(one)}{how * bool(names)}")
    if done.sizes["encoder"] > 1:
        parts.append(_format_models(done))
    return "\n\n".join(parts)


def _format_models(done):
    """Return a table of the models, that whose features tell the classes apart best first."""
    of_features, rows = done.sel(view="features"), [["model", "accuracy", "95 % interval"]]
    for i in np.argsort(-of_features.accuracy.values, kind="stable"):
        one = of_features.isel(encoder=i)
        interval = f"{one.accuracy_low.item():.2f} to {one.accuracy_high.item():.2f}"
        rows.append([str(one.encoder.item()), f"{one.accuracy.item():.2f}", interval])
    return (
        "models, by how well their features tell the classes apart: accuracy of the probe\n"
        f"(in Python, rank_encoders says which of them are clearly better)\n{format_table(rows)}"
    )


def _format_row(one):
    numbers = (one.z.item(), one.sensitivity.item())
    texts = ["no value" if np.isnan(number) else f"{number:.2f}" for number in numbers]
    return [str(one.transformation.item()), str(one.advice.item()), *texts]
