"""How does invariance to a feature depend on its relevance for the task, and on how often it is there?

Question
    Encoders learn the classes of CIFAR-10 (C) from images with a small object (O) in the upper right corner. Relevance:
    in a fraction of the images the object is the one that belongs to the class, else any ("correlation"). Availability:
    objects say nothing about the class, and are there in a fraction of the images only. The paper finds that more
    relevant objects are predicted better from the features, and that objects are predicted worse as soon as they are
    there but irrelevant; the accuracy on the classes stays, up to the correlation of 1, where it drops (Appendix C.3;
    Figure 14).
Grid
    factor x seed: 9 values of correlation, 6 of availability, and two references, trained on images alone (C/C) and on
    objects alone (O/O). A seed draws the objects, which of them is pasted on which image, and weights anew.
Cell
    Pretrain on one of the data sets; probe on images with objects that are always there and uncorrelated, for the class
    of the image (C+O/C) and of the object (C+O/O); score sensitivity to changing either.
Cube
    transfer_accuracy over factor x seed x target; sensitivity (and its interval over pairs) over factor x seed x
    changed; source_accuracy, status. correlation=0 is availability=1, and availability=0 is C/C: these places
    share a cell. Written to data/cubes/relevance.nc.
Pattern
    Objects are predicted better, and sensitivity to them is higher, at correlation 1 than at 0, and both rise with the
    correlation (Spearman's rank correlation is above 0.5). Images are predicted worse at correlation 1 than at the
    levels between 0 and 1, and there as well as at 0 (within 0.05). Objects are predicted worse at availability 1 than
    at 0; images as well (within 0.05).
Cost
    On two CPU cores: smoke half a minute, quick a quarter of an hour; paper needs GPUs for days (--dry-run says). quick
    and paper need CIFAR-10 (python data/fetch.py cifar10); smoke takes a stand-in.
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Appendix C.3.
"""

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from scipy import stats

from invtransfer.analysis import REFERENCE
from invtransfer.cubes.files import describe
from invtransfer.paper.claims import claim, say_claims, say_mean
from invtransfer.paper.command_line import carry_out, default_path, override, refuse, report, study_parser
from invtransfer.paper.datasets import CIFAR, PAPER_OBJECTS
from invtransfer.paper.images_with_objects import (
    POSITIONS,
    STAND_IN,
    estimate_combined,
    find_combined,
    make_combined,
    measure_combined,
)
from invtransfer.paper.protocol import CHOICES, PROTOCOL, cell_arguments, pretrain
from invtransfer.plots import draw_curves, spread_in_words

DATA = Path(__file__).resolve().parent.parent / "data"
TARGETS = ("C+O/C", "C+O/O")
REFERENCES = ("C/C", "O/O")
ALL = {
    "n_objects": 10, "dataset": "cifar10",
    "levels": {
        "correlation": [0.0, 0.2, 0.4, 0.6, 0.8, 0.85, 0.9, 0.95, 1.0], "availability": [0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
    },
}  # fmt: skip
PRESETS = {
    "smoke": PROTOCOL["smoke"] | ALL | {
        "dataset": STAND_IN, "levels": {"correlation": [0.0, 0.9, 1.0], "availability": [0.0, 0.5, 1.0]},
    },
    "quick": PROTOCOL["quick"] | ALL | {"n_samples": 4_000},
    "paper": PROTOCOL["paper"] | ALL | {
        "n_samples": 45_000, "n_validation": 5_000, "n_probe": 45_000, "epochs": 200, "adam_epochs": 100,
    },
}  # fmt: skip
for preset in PRESETS.values():
    del preset["n_classes"]  # all that there are
CHOICES = CHOICES | {"dataset": [*CIFAR, STAND_IN]}


def cell(*, folder, data, dataset, n_objects, pretraining, correlation, availability, seed, checkpoints=None, **more):
    """Pretrain one encoder, probe it for images and for objects, and score its sensitivity to both."""
    make = partial(
        make_combined, dataset=dataset, data=data, folder=folder, n_objects=n_objects, seed=seed,
        position=POSITIONS["fixed"],
    )  # fmt: skip
    source = make(pretraining, correlation=correlation, availability=availability)
    encoder = pretrain(source, more, seed, checkpoints)
    measured = measure_combined(encoder, {name: make(name) for name in TARGETS}, more, seed)
    accuracy = encoder.score(*source[-1].sample(more["n_test"]))
    return measured.merge(describe({"source_accuracy": ((), accuracy, "accuracy on the source task")}))


def find(settings, objects, data):
    """Find the data; return where they are, as arguments of `cell`, their name and their identity."""
    return find_combined(settings, objects, data)


def make_grid(settings):
    """Return the place and arguments of every cell, and the cube's coordinates."""
    factors = {f"{name}={level}": (name, level) for name, levels in settings["levels"].items() for level in levels}
    factors |= {f"{REFERENCE}={name}": (REFERENCE, name) for name in REFERENCES}
    coordinates = {
        "factor": list(factors),
        "factor_name": ("factor", [name for name, _ in factors.values()]),
        "level": ("factor", [str(level) for _, level in factors.values()]),
        "seed": list(range(settings["seeds"])),
    }
    grid = []
    for factor, (name, level) in factors.items():
        chosen = {"pretraining": "C+O/C", "correlation": 0.0, "availability": 1.0}
        if name == REFERENCE or (name, level) == ("availability", 0):  # images without objects are C/C
            chosen["pretraining"] = level if name == REFERENCE else "C/C"
        else:
            chosen[name] = float(level)
        for seed in coordinates["seed"]:
            grid.append(({"factor": factor, "seed": seed}, cell_arguments(settings, **chosen, seed=seed)))
    return grid, coordinates


def estimate(arguments):
    """Project the seconds of a cell."""
    return estimate_combined(arguments, len(TARGETS))


def select_factor(cube, name):
    """Return what belongs to one factor, over its levels as numbers."""
    chosen = cube.isel(factor=np.flatnonzero(cube.factor_name.values == name))
    return chosen.assign_coords(factor=chosen.level.values.astype(float)).rename(factor=name).sortby(name)


def rank(values):
    """Return, for each seed, Spearman's rank correlation of values with the levels of the correlation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)  # it is NaN then, which says so
        ranks = [stats.spearmanr(values.correlation, values.sel(seed=seed)).statistic for seed in values.seed]
    return xr.DataArray(ranks, dims="seed")


def find_claims(cube):
    """Return the paper's claims, our numbers, and whether they agree."""
    claims = []

    def compare(values, dim, sign, text, margin=0.0):
        if {0, 1} <= set(values[dim].values):
            claims.append(claim(text, values.sel({dim: 1}), sign, values.sel({dim: 0}), margin))

    part = select_factor(cube, "correlation")
    objects, images = (part.transfer_accuracy.sel(target=target, drop=True) for target in ("C+O/O", "C+O/C"))
    sensitivity = part.sensitivity.sel(changed="O", drop=True)
    for values, text in ((objects, "objects are predicted better"), (sensitivity, "objects change features more")):
        compare(values, "correlation", ">", f"{text} at correlation 1 than at 0")
        if part.sizes["correlation"] > 2:
            rising = f"{text} the higher the correlation (Spearman's rank correlation is above 0.5)"
            claims.append(claim(rising, rank(values), ">", 0.5))
    between = images.where((images.correlation > 0) & (images.correlation < 1)).mean("correlation")
    if 1 in images.correlation:
        text = "images are predicted worse at correlation 1 than between 0 and 1"
        claims.append(claim(text, images.sel(correlation=1), "<", between))
    if 0 in images.correlation:
        text = "images are predicted between 0 and 1 as well as at 0 (within 0.05, or better)"
        claims.append(claim(text, between, ">", images.sel(correlation=0), margin=0.05))
    part = select_factor(cube, "availability")
    objects, images = (part.transfer_accuracy.sel(target=target, drop=True) for target in ("C+O/O", "C+O/C"))
    compare(objects, "availability", "<", "objects are predicted worse at availability 1 than at 0")
    text = "images are predicted as well at availability 1 as at 0 (within 0.05, or better)"
    compare(images, "availability", ">", text, margin=0.05)
    return claims


def print_table(cube):
    """Print accuracies and sensitivities, and whether the pattern held."""
    print(f"\nmean ± std over seeds (n = {cube.sizes['seed']})\n")
    print(f"{'':<22}{'accuracy on C+O/C':<20}{'C+O/O':<20}{'sensitivity to C':<20}{'O':<20}")
    for factor in cube.factor.values:
        row = cube.sel(factor=factor)
        values = (*row.transfer_accuracy.transpose("target", ...), *row.sensitivity.transpose("changed", ...))
        print(f"{factor:<22}" + "".join(f"{say_mean(each):<20}" for each in values))
    print("\n" + say_claims(find_claims(cube)))


def plot(cube):
    """Draw the paper's Figure 14: accuracies, and below them sensitivities, over both factors."""
    from matplotlib.figure import Figure  # here, so that the study runs without the extra

    names = [name for name in ("correlation", "availability") if name in cube.factor_name.values]
    figure = Figure(figsize=(5.5 * max(2, len(names)), 9), layout="constrained")
    figure.suptitle(f"{cube.attrs['title']} ({spread_in_words(cube.sizes['seed'])})")
    if not names:
        figure.text(0.5, 0.5, "references alone, which are in the table", ha="center")
        return figure
    rows = figure.subfigures(2, len(names), squeeze=False)
    what = (("transfer_accuracy", "target", "accuracy on"), ("sensitivity", "changed", "sensitivity to changing"))
    for row, (variable, line, label) in zip(rows, what, strict=True):
        for part, name in zip(row, names, strict=True):
            references = {
                f"{entry}, trained on {level}": cube[variable].sel(
                    {"factor": f"{REFERENCE}={level}", line: entry}, drop=True
                )
                for level in REFERENCES if f"{REFERENCE}={level}" in cube.factor
                for entry in cube[line].values
            }  # fmt: skip
            draw_curves(
                part, select_factor(cube, name)[variable], x=name, line=line, references=references, limits=(0, None),
                x_label=f"{name} of the object", y_label=variable.replace("_", " "), line_label=label,
            )  # fmt: skip
    return figure


def check_levels(levels):
    """Refuse levels that are no fractions."""
    for name, values in levels.items():
        for value in values:
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is {value}, expected a number from 0 to 1")


def main():
    """Run the study from the command line."""
    parser = study_parser(__doc__, PRESETS, settings=PRESETS["paper"], choices=CHOICES)
    parser.add_argument("--objects", metavar="FOLDER", help="pictures, see data/README.md")
    parser.add_argument("--data", default=DATA / "sets", metavar="FOLDER", help="where CIFAR is (data/sets)")
    options = parser.parse_args()
    settings = override(PRESETS[options.preset], options)
    with refuse(parser):
        check_levels(settings["levels"])
        where, name, identity = find(settings, options.objects, options.data)
        settings |= identity
        levels = settings["levels"]
        sizes = {key: settings[key] for key in ("dataset", "n_objects")}
        make_combined("C+O/C", **where, **sizes, seed=0, correlation=max(levels["correlation"]))  # one for each label
        names = [name] + [settings["dataset"]] * (settings["dataset"] != PRESETS[options.preset]["dataset"])
        out = options.out or default_path(DATA / "cubes", "relevance", *names, options.preset)
        cube = carry_out(
            options, partial(cell, **where), *make_grid(settings), out, settings,
            paper=PRESETS["paper"] | {"objects": PAPER_OBJECTS}, estimate=estimate,
            study="relevance", title="Relevance and availability of an object",
        )  # fmt: skip
    if cube is not None:
        report(cube, out, print_table, plot)


if __name__ == "__main__":
    main()
