"""What if an encoder has more invariances than a task needs, or lacks some of them?

Question
    Encoders are pretrained with 1 to 8 transformations, each set containing the smaller ones, and transferred to target
    tasks with 1 to 8 of the same. The paper finds that superfluous invariances cost nothing, and that the cost of
    missing ones grows with their number (Section 5.2 and Appendix D.3; Figures 4 and 18).
Grid
    n_pretraining_transformations x seed, and architectures under paper. A seed draws the order in which transformations
    join the sets, and classes, images and weights anew. Source and target have different classes.
Cell
    Pretrain on the source with one set, probe on the target with each of the sets.
Cube
    transfer_accuracy over architecture x n_pretraining_transformations x seed x n_target_transformations;
    source_accuracy, the names of the transformations (the first n of which are the n-th set), source_seen and
    target_seen (see studies/factors.py), status. Written to data/cubes/mismatch.nc.
Claims
    Against an encoder that has precisely the target's transformations, one that has more loses nothing (mean over all
    such pairs; the paper: -0.002), and one that lacks some loses accuracy (the paper: -0.31). Each missing one
    that is added gains accuracy on the same target. The first claim presupposes that encoders have learned their
    source, which takes the more samples, the more transformations there are.
Departures
    The order of the sets is drawn anew for each seed. See invtransfer/paper/presets.py for the recipes.
Cost
    On two CPU cores: smoke half a minute, quick a quarter of an hour, overnight hours (--dry-run says how many);
    paper needs GPUs for days.
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Section 5.2 and
    Appendix D.3.
"""

from pathlib import Path

import numpy as np

from invtransfer import FrozenFeatureProbe
from invtransfer.analysis import claims, compare_with_exact, format_table
from invtransfer.cubes.assembly import make_cell
from invtransfer.paper import Study, grids, inputs, main, presets, tasks, timing
from invtransfer.paper.datasets import load_objects_and_backgrounds
from invtransfer.paper.pretraining import pretrain
from invtransfer.plots import plot_mismatch
from invtransfer.randomness import derive_generator, derive_seed
from invtransfer.transformations import TRANSFORMATIONS

DATA = Path(__file__).resolve().parent.parent / "data"
PRESETS = presets.make_presets(
    {"n_transformations": 8, "levels": {"architecture": ["resnet18"]}},
    leave_out=["architecture", "n_pairs"],  # it has levels; no sensitivity is measured
    smoke={"n_transformations": 2},
    quick={"n_samples": 48_000},
    overnight={"n_samples": 50_000},
    paper={"epochs": 100, "vit_epochs": 100, "batch_size": 256,
           "levels": {"architecture": ["resnet18", "vgg11", "densenet121", "vit"]}},
)  # fmt: skip


def draw_nested(seed, n):
    """Draw the order in which n transformations join the sets."""
    return derive_generator(seed, "nested transformations").permutation(list(TRANSFORMATIONS))[:n].tolist()


def cell(
    *, folder, seed, n_pretraining_transformations, n_transformations, n_classes, n_validation, solver, n_probe, n_test,
    adam_epochs=200, adam_learning_rate=1e-3, objects=None, checkpoints=None, **training,
):  # fmt: skip
    """Pretrain one encoder on one set of transformations, and probe it on a target of each set.

    `training` are further keywords of `pretrain`. `objects` says which objects `folder` holds: it tells cells from
    others, and is not read.
    """
    names = draw_nested(seed, n_transformations)
    shown, backgrounds = load_objects_and_backgrounds(folder)
    source_classes, target_classes = tasks.draw_classes("disjoint", n_classes, len(shown), seed)
    source_names = names[:n_pretraining_transformations]
    source = tasks.objects_task(shown, source_classes, source_names, derive_seed(seed, "source"), backgrounds)
    encoder, measured = pretrain(
        source, seed=seed, n_validation=n_validation, n_test=n_test, checkpoints=checkpoints, **training
    )
    probe = FrozenFeatureProbe(
        encoder, solver=solver, epochs=adam_epochs, learning_rate=adam_learning_rate, random_state=seed
    )
    accuracies, seen = [], []
    for n in range(1, n_transformations + 1):
        parts = tasks.objects_task(shown, target_classes, names[:n], derive_seed(seed, "target"), backgrounds)
        train, validation, test = tasks.sample_task(parts, n_probe, n_validation, n_test)
        accuracies.append(probe.fit(*train, *tasks.keep_known(validation, train[1])).score(*test))
        seen.append(tasks.share_seen(train[0], test[0]))
    along = "n_target_transformations"
    variables = measured | {
        "transfer_accuracy": (along, accuracies, "accuracy of the probe on the target task"),
        "target_seen": (along, seen, "share of the target's test images that the probe was fitted on"),
        "transformation": (along, names, "transformation that joins the set"),
    }
    return make_cell(variables, {along: np.arange(1, n_transformations + 1)})


def make_grid(settings):
    """Return the place and arguments of every cell, and the cube's coordinates."""
    n_sets = settings["n_transformations"]
    if n_sets > len(TRANSFORMATIONS):
        raise ValueError(f"n_transformations is {n_sets}, but there are only {len(TRANSFORMATIONS)}")
    coordinates = settings["levels"] | {"n_pretraining_transformations": list(range(1, n_sets + 1))}
    coordinates |= {"seed": list(range(settings["seeds"]))}
    return grids.full_grid(coordinates, lambda **labels: grids.cell_arguments(settings, **labels))


def estimate(*, n_samples, epochs, n_validation, n_probe, n_test, n_transformations, **cell):
    """Project the seconds of a cell."""
    n_encoded = (n_probe + n_validation + n_test) * n_transformations + epochs * n_validation
    return timing.project_seconds(epochs * n_samples, n_encoded, **cell)


def find_claims(accuracy):
    """Check the paper's claims with the accuracies of one architecture."""
    sets = ["n_pretraining_transformations", "n_target_transformations"]
    more, fewer = (change.mean(sets) for change in compare_with_exact(accuracy))
    accuracy = accuracy.reindex(n_pretraining_transformations=accuracy.n_target_transformations.values)
    n_missing = accuracy.n_target_transformations - accuracy.n_pretraining_transformations
    step = accuracy.shift(n_pretraining_transformations=-1) - accuracy  # within a target: some are harder than others
    found = [
        claims.claim("lacking some of the target's transformations costs accuracy", fewer, "<", 0.0),
        claims.claim("having more costs less than a tenth of that", more, ">", fewer / 10),
    ]
    for n in range(1, int(n_missing.max()) + 1):
        gained = step.where(n_missing == n).mean(sets)
        found.append(claims.claim(f"having {n - 1} of them missing instead of {n} gains accuracy", gained, ">", 0.0))
    return found


def format_results(cube):
    """Format accuracies for each architecture."""
    parts = []
    for architecture in cube.architecture.values:
        accuracy = cube.transfer_accuracy.sel(architecture=architecture, drop=True)
        mean = accuracy.mean("seed").transpose("n_pretraining_transformations", ...)
        parts.append(
            f"{architecture}: accuracy on the target by number of its transformations (columns) and of those in"
            f" pretraining (rows), mean over seeds (n = {accuracy.sizes['seed']})"
        )
        rows = [["", *map(str, mean.n_target_transformations.values)]]
        for n, row in zip(mean.n_pretraining_transformations.values, mean.values, strict=True):
            rows.append([str(n), *("?" if np.isnan(value) else f"{value:.3f}" for value in row)])
        parts.append(format_table(rows))
    return "\n\n".join(parts)


STUDY = Study(
    name="mismatch", title="More and fewer invariances than a task needs", description=__doc__, folder=DATA,
    presets=PRESETS, choices=presets.CHOICES, find=inputs.find_transfer_data, cell=cell, grid=make_grid,
    estimate=estimate, table=format_results, figure=plot_mismatch,
    claims=lambda cube: claims.claims_of_parts(cube.transfer_accuracy, "architecture", find_claims),
    published="mismatch.csv", reads_cifar=False,
)  # fmt: skip

if __name__ == "__main__":
    main(STUDY)
