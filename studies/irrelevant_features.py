"""Do encoders become invariant to what their task does not need, and does that harm transfer?

Question
    Images of CIFAR-10 (C) with small objects (O) pasted on them can be labelled with either; what is not the label is
    irrelevant. The paper finds that encoders become invariant to what was there and irrelevant, and so predict it less
    well than encoders that never saw it (Section 4.2; Table 1, Figure 6).
Grid
    position of the objects ("random", or "fixed" in the upper right corner) x pretraining x seed. Pretraining is on one
    of four tasks, "shown/label": C/C (images alone), C+O/C and C+O/O (objects on images), O/O (objects on black), or
    "untrained". A seed draws the objects, which of them is pasted on which image, and weights anew.
Cell
    Pretrain on one task, probe on all four, score sensitivity to changing the image under the same object (C) and to
    changing the object on the same image (O).
Cube
    transfer_accuracy over position x pretraining x seed x target; sensitivity (and its interval over pairs) over
    position x pretraining x seed x changed; source_accuracy, status. Written to
    data/cubes/irrelevant_features.nc.
Pattern
    C+O/C predicts objects worse than C/C does, and is less sensitive to them; C+O/O predicts images worse than O/O
    does, and is less sensitive to them; of the two that saw both, each is better at its own label. Over encoders, the
    accuracy on what is exchanged correlates with the sensitivity to exchanging it.
Cost
    On two CPU cores: smoke half a minute, quick a quarter of an hour; paper needs GPUs for days (--dry-run says). quick
    and paper need CIFAR-10 (python data/fetch.py cifar10); smoke takes a stand-in.
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Section 4.2.
"""

from functools import partial
from itertools import product
from pathlib import Path

import xarray as xr

from invtransfer.cubes.files import describe
from invtransfer.paper.claims import claim, say_claims, say_mean
from invtransfer.paper.command_line import carry_out, default_path, override, refuse, report, study_parser
from invtransfer.paper.datasets import CIFAR, PAPER_OBJECTS
from invtransfer.paper.images_with_objects import (
    POSITIONS,
    STAND_IN,
    TASKS,
    estimate_combined,
    find_combined,
    make_combined,
    measure_combined,
)
from invtransfer.paper.protocol import CHOICES, PROTOCOL, cell_arguments, pretrain
from invtransfer.plots import draw_matrices

DATA = Path(__file__).resolve().parent.parent / "data"
ENCODERS = (*TASKS, "untrained")
ALL = {"n_objects": 10, "dataset": "cifar10", "levels": {"position": list(POSITIONS), "pretraining": list(ENCODERS)}}
PRESETS = {
    "smoke": PROTOCOL["smoke"] | ALL | {"dataset": STAND_IN},
    "quick": PROTOCOL["quick"] | ALL | {"n_samples": 6_000, "epochs": 8},
    "paper": PROTOCOL["paper"] | ALL | {
        "n_samples": 45_000, "n_validation": 5_000, "n_probe": 45_000, "epochs": 200, "adam_epochs": 100,
    },
}  # fmt: skip
for preset in PRESETS.values():
    del preset["n_classes"]  # all that there are
CHOICES = CHOICES | {"dataset": [*CIFAR, STAND_IN], "position": list(POSITIONS), "pretraining": ENCODERS}


def cell(*, folder, data, dataset, n_objects, position, pretraining, seed, checkpoints=None, **more):
    """Pretrain one encoder, probe it on all four tasks, and score its sensitivity to images and to objects."""
    targets = {
        name: make_combined(
            name, dataset=dataset, data=data, folder=folder, n_objects=n_objects, seed=seed,
            position=POSITIONS[position],
        )
        for name in TASKS
    }  # fmt: skip
    source = targets["C/C" if pretraining == "untrained" else pretraining]
    encoder = pretrain(source, more, seed, checkpoints)
    measured = measure_combined(encoder, targets, more, seed)
    accuracy = encoder.score(*source[-1].sample(more["n_test"]))
    return measured.merge(describe({"source_accuracy": ((), accuracy, "accuracy on the source task")}))


def find(settings, objects, data):
    """Find the data; return where they are, as arguments of `cell`, their name and their identity."""
    return find_combined(settings, objects, data)


def make_grid(settings):
    """Return the place and arguments of every cell, and the cube's coordinates."""
    coordinates = settings["levels"] | {"seed": list(range(settings["seeds"]))}
    grid = []
    for place in product(*coordinates.values()):
        labels = dict(zip(coordinates, place, strict=True))
        untrained = {"epochs": 0} if labels["pretraining"] == "untrained" else {}
        grid.append((labels, cell_arguments(settings, **labels) | untrained))
    return grid, coordinates


def estimate(arguments):
    """Project the seconds of a cell."""
    return estimate_combined(arguments, len(TASKS))


def select_label(cube, label):
    """Return accuracy on images with objects, labelled C or O, and sensitivity to exchanging what is the label."""
    accuracy = cube.transfer_accuracy.sel(target=f"C+O/{label}", drop=True)
    return accuracy, cube.sensitivity.sel(changed=label, drop=True)


def correlate(cube, label):
    """Return, for each seed, the correlation over trained encoders of accuracy on C or O and sensitivity to it.

    NaN for seeds that lack one of them, and of two, of which it is 1 or -1 whatever they are like.
    """
    trained = cube.sel(pretraining=[name for name in cube.pretraining.values if name != "untrained"])
    accuracy, sensitivity = select_label(trained, label)
    there = (accuracy + sensitivity).notnull().all("pretraining") & (trained.sizes["pretraining"] > 2)
    return xr.corr(accuracy, sensitivity, dim="pretraining").where(there)


def find_claims(cube):
    """Return the paper's claims, our numbers, and whether they agree; the cube is of one position."""
    claims, there = [], set(cube.pretraining.values)

    def compare(values, first, sign, second, words):
        if {first, second} <= there:
            one, two = (values.sel(pretraining=name) for name in (first, second))
            claims.append(claim(f"{first} {words} than {second}", one, sign, two))

    for saw_both, saw_one, label, name in (("C+O/C", "C/C", "O", "objects"), ("C+O/O", "O/O", "C", "images")):
        accuracy, sensitivity = select_label(cube, label)
        compare(accuracy, saw_both, "<", saw_one, f"predicts {name} worse")
        compare(sensitivity, saw_both, "<", saw_one, f"is less sensitive to {name}")
        compare(accuracy, f"C+O/{label}", ">", saw_both, f"predicts {name} better")
    for label in ("C", "O"):
        text = f"accuracy on {label} correlates with sensitivity to {label} over {len(there & set(TASKS))} encoders"
        claims.append(claim(text, correlate(cube, label), ">", 0.0))
    return claims


def print_table(cube):
    """Print the paper's Table 1 and whether the pattern held, for each position."""
    for position in cube.position.values:
        here = cube.sel(position=position, drop=True)
        print(f"\nobjects at a {position} position: mean ± std over seeds (n = {cube.sizes['seed']})\n")
        print(f"{'':<16}{'accuracy on':<68}sensitivity to changing")
        print(f"{'pretrained on':<16}" + "".join(f"{name:<17}" for name in [*here.target.values, *here.changed.values]))
        for name in here.pretraining.values:
            row = here.sel(pretraining=name)
            values = [*row.transfer_accuracy.transpose("target", ...), *row.sensitivity.transpose("changed", ...)]
            print(f"{name:<16}" + "".join(f"{say_mean(value):<17}" for value in values))
        print("\n" + say_claims(find_claims(here)))


def plot(cube):
    """Draw the paper's Table 1 as matrices."""
    from matplotlib.figure import Figure  # here, so that the study runs without the extra

    cube = cube.assign_coords(position=[f"{position} position" for position in cube.position.values])
    figure = Figure(figsize=(5.5 * cube.sizes["position"], 9), layout="constrained")
    upper, lower = figure.subfigures(2, 1)
    draw_matrices(
        upper, cube.transfer_accuracy, rows="pretraining", columns="target", panel="position",
        label="accuracy on the target", row_label="pretrained on", column_label="target: shown / label", limits=(0, 1),
    )  # fmt: skip
    draw_matrices(
        lower, cube.sensitivity, rows="pretraining", columns="changed", panel="position", limits=(0, 1),
        label="sensitivity (0: invariant)", row_label="pretrained on", column_label="changed: image (C) or object (O)",
    )  # fmt: skip
    figure.suptitle(f"{cube.attrs['title']} (mean of {cube.sizes['seed']} seeds)")
    return figure


def main():
    """Run the study from the command line."""
    parser = study_parser(__doc__, PRESETS, settings=PRESETS["paper"], choices=CHOICES)
    parser.add_argument("--objects", metavar="FOLDER", help="pictures, see data/README.md")
    parser.add_argument("--data", default=DATA / "sets", metavar="FOLDER", help="where CIFAR is (data/sets)")
    options = parser.parse_args()
    settings = override(PRESETS[options.preset], options)
    with refuse(parser):
        where, name, identity = find(settings, options.objects, options.data)
        settings |= identity
        names = [name] + [settings["dataset"]] * (settings["dataset"] != PRESETS[options.preset]["dataset"])
        out = options.out or default_path(DATA / "cubes", "irrelevant_features", *names, options.preset)
        cube = carry_out(
            options, partial(cell, **where), *make_grid(settings), out, settings,
            paper=PRESETS["paper"] | {"objects": PAPER_OBJECTS}, estimate=estimate,
            study="irrelevant_features", title="Irrelevant features and what encoders keep of them",
        )  # fmt: skip
    if cube is not None:
        report(cube, out, print_table, plot, DATA / "published" / "irrelevant_features.csv")


if __name__ == "__main__":
    main()
