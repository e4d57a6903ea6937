"""What if an encoder has more invariances than a task needs, or lacks some of them?

Question
    Encoders are pretrained with 1 to 8 transformations, each set containing the smaller ones, and transferred to target
    tasks with 1 to 8 of the same. The paper finds that superfluous invariances cost nothing, and that missing ones cost
    the more the more are missing (Section 5.2 and Appendix D.3; Figures 4 and 18).
Grid
    n_pretraining_transformations x seed, and architectures under paper. A seed draws the order in which transformations
    join the sets, and classes, images and weights anew. Source and target have different classes.
Cell
    Pretrain on the source with one set, probe on the target with each of the sets.
Cube
    transfer_accuracy over architecture x n_pretraining_transformations x seed x n_target_transformations;
    source_accuracy, the names of the transformations (the first n of which are the n-th set), status. Written
    to data/cubes/mismatch.nc.
Pattern
    Against an encoder that has precisely the target's transformations, one that has more loses nothing (mean over all
    such pairs; the paper: -0.002), one that lacks some loses accuracy (the paper: -0.31), and the more so the more are
    missing: each that is missing less is a gain on the same target. The first presupposes that encoders have learned
    their source, which those of many transformations need more samples and epochs for than quick has.
Cost
    On two CPU cores: smoke half a minute, quick a quarter of an hour; paper needs GPUs for days (--dry-run says).
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Section 5.2 and
    Appendix D.3.
"""

from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from invtransfer.cubes.files import describe
from invtransfer.paper.claims import claim, say_claims
from invtransfer.paper.command_line import carry_out, default_path, override, refuse, report, study_parser
from invtransfer.paper.datasets import PAPER_OBJECTS, load_pictures
from invtransfer.paper.protocol import (
    CHOICES,
    PROTOCOL,
    cell_arguments,
    check_sizes,
    estimate_seconds,
    find_data,
    fit_known,
    make_probe,
    pretrain,
)
from invtransfer.paper.tasks import draw_classes, objects_task
from invtransfer.plots import draw_curves, draw_matrices, spread_in_words
from invtransfer.transformations import TRANSFORMATIONS

DATA = Path(__file__).resolve().parent.parent / "data"
ARCHITECTURES = ["resnet18", "vgg11", "densenet121", "vit"]
PRESETS = {
    "smoke": PROTOCOL["smoke"] | {"n_transformations": 3, "levels": {"architecture": ["resnet18"]}},
    "quick": PROTOCOL["quick"] | {
        "n_samples": 7_000, "epochs": 8, "n_transformations": 8, "levels": {"architecture": ["resnet18"]},
    },
    "paper": PROTOCOL["paper"] | {
        "epochs": 100, "batch_size": 256, "n_transformations": 8, "levels": {"architecture": ARCHITECTURES},
    },
}  # fmt: skip
for preset in PRESETS.values():
    del preset["architecture"], preset["n_pairs"]  # it has levels; no sensitivity is measured


def draw_nested(seed, n):
    """Draw the order in which n transformations join the sets."""
    return np.random.default_rng([seed, 3]).permutation(list(TRANSFORMATIONS))[:n].tolist()


def cell(
    *, folder, seed, n_pretraining_transformations, n_transformations, n_classes, n_probe, n_test, checkpoints=None,
    **more,
):  # fmt: skip
    """Pretrain one encoder on one set of transformations, and probe it on a target of each set."""
    names = draw_nested(seed, n_transformations)
    objects, backgrounds = load_pictures(folder)
    source_classes, target_classes = draw_classes("disjoint", n_classes, len(objects), seed)

    source = objects_task(objects, source_classes, names[:n_pretraining_transformations], 2 * seed, backgrounds)
    encoder = pretrain(source, more, seed, checkpoints)

    accuracies = []
    for n_target in range(1, n_transformations + 1):
        parts = objects_task(objects, target_classes, names[:n_target], 2 * seed + 1, backgrounds)
        train, validation, test = (
            part.sample(n) for part, n in zip(parts, (n_probe, more["n_validation"], n_test), strict=True)
        )
        accuracies.append(fit_known(make_probe(more, seed, encoder), train, validation).score(*test))
    source_accuracy = encoder.score(*source[-1].sample(n_test))
    variables = {
        "transfer_accuracy": ("n_target_transformations", accuracies, "accuracy of the probe on the target task"),
        "source_accuracy": ((), source_accuracy, "accuracy on the source task"),
        "transformation": ("n_target_transformations", names, "transformation that joins the set"),
    }
    return describe(variables, {"n_target_transformations": np.arange(1, n_transformations + 1)})


def find(settings, objects, data):
    """Find the data; return where they are, as arguments of `cell`, their name and their identity."""
    return find_data("transforms2d", objects, data, settings["n_classes"])


def make_grid(settings):
    """Return the place and arguments of every cell, and the cube's coordinates."""
    coordinates = {
        "architecture": settings["levels"]["architecture"],
        "n_pretraining_transformations": list(range(1, settings["n_transformations"] + 1)),
        "seed": list(range(settings["seeds"])),
    }
    labels = [dict(zip(coordinates, place, strict=True)) for place in product(*coordinates.values())]
    return [(place, cell_arguments(settings, **place)) for place in labels], coordinates


def estimate(arguments):
    """Project the seconds of a cell."""
    n_encoded = arguments["n_probe"] + arguments["n_validation"] + arguments["n_test"]
    n_encoded = n_encoded * arguments["n_transformations"] + arguments["epochs"] * arguments["n_validation"]
    return estimate_seconds(arguments, arguments["epochs"] * arguments["n_samples"], n_encoded)


def compare_with_exact(accuracy):
    """Return what accuracy changes if an encoder has more, and if it has fewer, than precisely the target's."""
    n = accuracy.n_target_transformations
    accuracy = accuracy.reindex(n_pretraining_transformations=n.values)  # a part of the grid may lack some
    exact = accuracy.sel(n_pretraining_transformations=n).reset_coords(drop=True)
    change = accuracy - exact
    n_missing = n - accuracy.n_pretraining_transformations
    return change.where(n_missing < 0), change.where(n_missing > 0)


def find_claims(accuracy):
    """Return the paper's claims, our numbers, and whether they agree; accuracy is of one architecture."""
    dims = ["n_pretraining_transformations", "n_target_transformations"]
    change = compare_with_exact(accuracy)
    more, fewer = (values.mean(dims) for values in change)
    accuracy = accuracy.reindex(n_pretraining_transformations=accuracy.n_target_transformations.values)
    n_missing = accuracy.n_target_transformations - accuracy.n_pretraining_transformations
    step = accuracy.shift(n_pretraining_transformations=-1) - accuracy  # within a target: some are harder than others
    steps = step.where(n_missing > 0).groupby(n_missing.rename("n_missing")).mean(...).sel(n_missing=slice(1, None))
    known = steps.size > 0 and steps.notnull().all()
    numbers = ", ".join(f"{value:+.3f}" for value in steps.values) if known else "?"
    rises = bool((steps > 0).all()) if known else None
    return [
        claim("lacking some of the target's transformations costs accuracy", fewer, "<", 0.0),
        claim("having more costs less than a tenth of that", more, ">", fewer / 10),
        (f"one less missing gains accuracy, from 1 to {steps.size} missing", numbers, rises),
    ]


def print_table(cube):
    """Print accuracies, and whether the pattern held, for each architecture."""
    for architecture in cube.architecture.values:
        accuracy = cube.transfer_accuracy.sel(architecture=architecture, drop=True)
        mean = accuracy.mean("seed")
        print(f"\n{architecture}: accuracy on the target, mean over seeds (n = {accuracy.sizes['seed']})")
        print("pretrained with   " + "".join(f"{n:>7}" for n in mean.n_target_transformations.values) + "  of target")
        for n in mean.n_pretraining_transformations.values:
            row = mean.sel(n_pretraining_transformations=n).values
            print(f"{n:>15}   " + "".join(f"{value:>7.3f}".replace("nan", "  ?") for value in row))
        print(say_claims(find_claims(accuracy)))


def plot(cube):
    """Draw the paper's Figure 4 for each architecture, and the same numbers as a matrix."""
    from matplotlib.figure import Figure  # here, so that the study runs without the extra

    n = cube.sizes["architecture"]
    figure = Figure(figsize=(max(10, 5 * n), 9), layout="constrained")
    upper, lower = figure.subfigures(2, 1)
    names = {"x_label": "transformations of the target", "y_label": "accuracy on the target"}
    draw_curves(
        upper, cube.transfer_accuracy, x="n_target_transformations", line="n_pretraining_transformations",
        panel="architecture", line_label="transformations in pretraining", **names,
    )  # fmt: skip
    draw_matrices(
        lower, cube.transfer_accuracy, rows="n_pretraining_transformations", columns="n_target_transformations",
        panel="architecture", label="accuracy on the target", row_label="transformations in pretraining",
        column_label=names["x_label"],
    )  # fmt: skip
    figure.suptitle(f"{cube.attrs['title']} ({spread_in_words(cube.sizes['seed'])})")
    return figure


def main():
    """Run the study from the command line."""
    parser = study_parser(__doc__, PRESETS, settings=PRESETS["paper"], choices=CHOICES)
    parser.add_argument("--objects", metavar="FOLDER", help="pictures, see data/README.md")
    options = parser.parse_args()
    settings = override(PRESETS[options.preset], options)
    with refuse(parser):
        where, name, identity = find(settings, options.objects, None)
        settings |= identity
        check_sizes(settings)
        if settings["n_transformations"] > len(TRANSFORMATIONS):
            raise ValueError(f"n_transformations is {settings['n_transformations']}, but there are only 18")
        out = options.out or default_path(DATA / "cubes", "mismatch", name, options.preset)
        cube = carry_out(
            options, partial(cell, **where), *make_grid(settings), out, settings,
            paper=PRESETS["paper"] | {"objects": PAPER_OBJECTS}, estimate=estimate,
            study="mismatch", title="More and fewer invariances than a task needs",
        )  # fmt: skip
    if cube is not None:
        report(cube, out, print_table, plot, DATA / "published" / "mismatch.csv")


if __name__ == "__main__":
    main()
