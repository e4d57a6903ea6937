"""Do encoders become invariant to what their task does not need, and does that harm transfer?

Question
    Images of CIFAR-10 with small objects pasted on them can be labelled with either; what is not the label is
    irrelevant. The paper finds that encoders become invariant to features that were there and irrelevant, and so
    predict them less well than encoders that never saw them (Section 4.2; Table 1, Figure 6).
Grid
    position of the objects ("random", or "fixed" in the upper right corner) x pretraining x seed. Pretraining is on one
    of four tasks, named after what is labelled: "images alone", "images with objects", "objects on images", "objects
    alone" (on black); the paper calls them C/C, C+O/C, C+O/O and O/O. Or it is "untrained". A seed draws the objects,
    which of them is pasted on which image, and weights anew.
Cell
    Pretrain on one task, probe on all four, score sensitivity to changing the image under the same object and to
    changing the object on the same image.
Cube
    transfer_accuracy over position x pretraining x seed x target; sensitivity (and its interval over pairs) over
    position x pretraining x seed x changed; source_accuracy, source_seen and target_seen (see studies/factors.py),
    status. Written to data/cubes/irrelevant_features.nc.
Claims
    An encoder of images with objects predicts objects worse than one of images alone, and is less sensitive to them;
    one of objects on images predicts images worse than one of objects alone, and is less sensitive to them; both are
    less sensitive to what is irrelevant than "untrained", too; of the two that saw both, each is better at its own
    label. Over all encoders, the accuracy on what is exchanged correlates with the sensitivity to exchanging it.
Departures
    A changed object is always another one, so that sensitivity to it can exceed 1, by about a ninth with 10 objects.
    Objects alone at the fixed position are 10 different images, so that all test images are among those trained on; at
    a random position most are. See invtransfer/paper/presets.py for the recipes.
Cost
    On two CPU cores: smoke half a minute, quick a quarter of an hour, overnight hours; paper needs GPUs for days. All
    but smoke, which takes a stand-in, need CIFAR-10 (python data/fetch.py cifar10).
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Section 4.2.
"""

from pathlib import Path

import numpy as np
import xarray as xr

from invtransfer.analysis import claims, format_means
from invtransfer.cubes.assembly import make_cell
from invtransfer.paper import Study, datasets, grids, images_with_objects, main, presets, timing
from invtransfer.paper.images_with_objects import POSITIONS, STAND_IN, TASKS
from invtransfer.paper.pretraining import pretrain
from invtransfer.plots import plot_irrelevant_features

DATA = Path(__file__).resolve().parent.parent / "data"
SAW_BOTH = {"image": "images with objects", "object": "objects on images"}  # by the label
ENCODERS, DATASETS = (*TASKS, "untrained"), (*datasets.CIFAR, STAND_IN)
PRESETS = presets.make_presets(
    {"n_objects": 10, "dataset": "cifar10", "levels": {"position": list(POSITIONS), "pretraining": list(ENCODERS)}},
    leave_out=["n_classes"],  # all classes are used
    smoke={"dataset": STAND_IN},
    quick={"n_samples": 20_000},
    overnight={"n_samples": 45_000},
    paper={"n_samples": 45_000, "n_validation": 5_000, "n_probe": 45_000, "epochs": 200,
           "vit_epochs": 200, "adam_epochs": 100},
)  # fmt: skip


def cell(
    *, folder, data, dataset, n_objects, position, pretraining, seed, n_validation, solver, n_probe, n_test, n_pairs,
    adam_epochs=200, adam_learning_rate=1e-3, objects=None, checkpoints=None, **training,
):  # fmt: skip
    """Pretrain one encoder, probe it on all four tasks, and score its sensitivity to images and to objects.

    `training` are further keywords of `pretrain`. `objects` says which objects `folder` holds: it tells cells from
    others, and is not read.
    """
    drawn = {"dataset": dataset, "data": data, "folder": folder, "n_objects": n_objects, "seed": seed}
    targets = {name: images_with_objects.make_combined(name, position=POSITIONS[position], **drawn) for name in TASKS}
    source = targets["images alone" if pretraining == "untrained" else pretraining]
    encoder, pretrained = pretrain(
        source, seed=seed, n_validation=n_validation, n_test=n_test, checkpoints=checkpoints, **training
    )
    measured = images_with_objects.measure_combined(
        encoder, targets, seed=seed, solver=solver, n_probe=n_probe, n_validation=n_validation, n_test=n_test,
        n_pairs=n_pairs, adam_epochs=adam_epochs, adam_learning_rate=adam_learning_rate,
    )  # fmt: skip
    return measured.merge(make_cell(pretrained))


def make_grid(settings):
    """Return the place and arguments of every cell, and the cube's coordinates."""

    def arguments(**labels):
        untrained = {"epochs": 0} if labels["pretraining"] == "untrained" else {}
        return grids.cell_arguments(settings, **labels) | untrained

    return grids.full_grid(settings["levels"] | {"seed": list(range(settings["seeds"]))}, arguments)


def estimate(*, n_samples, epochs, n_probe, n_validation, n_test, n_pairs, **cell):
    """Project the seconds of a cell."""
    sizes = {"n_probe": n_probe, "n_validation": n_validation, "n_test": n_test, "n_pairs": n_pairs}
    n_encoded = images_with_objects.count_encoded(len(TASKS), epochs=epochs, **sizes)
    return timing.project_seconds(epochs * n_samples, n_encoded, **cell)


def select_label(cube, label):
    """Return accuracy on images with objects, labelled with either, and sensitivity to exchanging what is the label."""
    accuracy = cube.transfer_accuracy.sel(target=SAW_BOTH[label], drop=True)
    return accuracy, cube.sensitivity.sel(changed=label, drop=True)


def correlate(cube, label):
    """Return, for each seed, the correlation over all encoders of the accuracy on a label and the sensitivity to it.

    NaN for seeds that lack an encoder, and for one or two encoders, whose correlation says nothing.
    """
    accuracy, sensitivity = select_label(cube, label)
    there = (accuracy + sensitivity).notnull().all("pretraining") & (cube.sizes["pretraining"] > 2)
    if not there.any():
        return there.where(False)
    whole = [values.isel(seed=np.flatnonzero(there)) for values in (accuracy, sensitivity)]
    return xr.corr(*whole, dim="pretraining").reindex(seed=cube.seed)


def find_claims(cube):
    """Check the paper's claims with the numbers of one position."""
    found, there = [], set(cube.pretraining.values)

    def compare(values, first, sign, second, words):
        if {first, second} <= there:
            one, two = (values.sel(pretraining=name) for name in (first, second))
            known = "an untrained one" if second == "untrained" else f"one of {second}"
            found.append(claims.claim(f"an encoder of {first} {words} than {known}", one, sign, two))

    for label, other in (("object", "image"), ("image", "object")):  # of the target, and of pretraining
        saw_both, saw_one, name = SAW_BOTH[other], f"{other}s alone", f"{label}s"
        accuracy, sensitivity = select_label(cube, label)
        compare(accuracy, saw_both, "<", saw_one, f"predicts {name} worse")
        for reference in (saw_one, "untrained"):
            compare(sensitivity, saw_both, "<", reference, f"is less sensitive to {name}")
        compare(accuracy, SAW_BOTH[label], ">", saw_both, f"predicts {name} better")
    for label in SAW_BOTH:
        text = f"accuracy on {label}s correlates with sensitivity to them over {len(there)} encoders"
        found.append(claims.claim(text, correlate(cube, label), ">", 0.0))
    return found


def format_results(cube):
    """Format the paper's Table 1 for each position."""
    parts = []
    for position in cube.position.values:
        here = cube.sel(position=position, drop=True)
        columns = {f"accuracy on {name}": here.transfer_accuracy.sel(target=name) for name in here.target.values}
        columns |= {f"sensitivity to the {name}": here.sensitivity.sel(changed=name) for name in here.changed.values}
        parts.append(f"objects at a {position} position: mean ± 95 % interval over seeds (n = {cube.sizes['seed']})")
        parts.append(format_means(columns, "pretraining"))
    return "\n\n".join(parts)


STUDY = Study(
    name="irrelevant_features", title="Irrelevant features and what encoders keep of them", description=__doc__,
    folder=DATA, presets=PRESETS, find=images_with_objects.find_images_with_objects, cell=cell, grid=make_grid,
    choices=presets.CHOICES | {"dataset": DATASETS, "position": list(POSITIONS), "pretraining": ENCODERS},
    estimate=estimate, table=format_results, figure=plot_irrelevant_features,
    claims=lambda cube: claims.claims_of_parts(cube, "position", find_claims), published="irrelevant_features.csv",
)  # fmt: skip

if __name__ == "__main__":
    main(STUDY)
