"""How does invariance to a feature depend on its relevance for the task, and on how often it is there?

Question
    Encoders learn the classes of CIFAR-10 from images with a small object in the upper right corner. Relevance:
    in a fraction of the images the object is the one of the class, else any object ("correlation"). Availability:
    objects say nothing about the class, and are there in a fraction of the images only. The paper finds that more
    relevant objects are predicted better from the features, and that objects are predicted worse as soon as they are
    there but irrelevant; the accuracy on the classes stays, up to the correlation of 1, where it drops (Appendix C.3;
    Figure 14).
Grid
    factor x seed: 9 values of correlation, 6 of availability, and two references, trained on images alone and on
    objects alone. A seed draws the objects, which of them is pasted on which image, and weights anew.
Cell
    Pretrain on one of the data sets; probe on images with objects that are always there and uncorrelated, for the class
    of the image ("images with objects") and of the object ("objects on images"); score sensitivity to changing either.
Cube
    transfer_accuracy over factor x seed x target; sensitivity (and its interval over pairs) over factor x seed x
    changed; source_accuracy, source_seen and target_seen (see studies/factors.py), status. correlation=0 is
    availability=1, and availability=0 is the reference trained on images alone: these places share a cell. Written to
    data/cubes/relevance.nc.
Claims
    Objects are predicted better, and sensitivity to them is higher, at correlation 1 than at 0, and both rise with the
    correlation (Spearman's rank correlation is above 0.5). Images are predicted worse at correlation 1 than between
    0 and 1, and between 0 and 1 as well as at 0 (within 0.05). Objects are predicted worse at availability 1 than
    at 0; images equally well (within 0.05).
Departures
    Those of studies/irrelevant_features.py.
Cost
    On two CPU cores: smoke half a minute, quick a quarter of an hour, overnight hours; paper needs GPUs for days. All
    but smoke, which takes a stand-in, need CIFAR-10 (python data/fetch.py cifar10).
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Appendix C.3.
"""

from functools import partial
from pathlib import Path

from invtransfer.analysis import REFERENCE, claims, format_means, rank_correlation, select_factor
from invtransfer.cubes.assembly import make_cell
from invtransfer.paper import Study, datasets, grids, images_with_objects, main, presets, timing
from invtransfer.paper.images_with_objects import POSITIONS, STAND_IN, make_combined
from invtransfer.paper.pretraining import pretrain
from invtransfer.plots import plot_relevance

DATA = Path(__file__).resolve().parent.parent / "data"
TARGETS = ("images with objects", "objects on images")  # the same pictures, labelled with either
REFERENCES, FIXED = ("images alone", "objects alone"), POSITIONS["fixed"]
LEVELS = {
    "correlation": [0.0, 0.2, 0.4, 0.6, 0.8, 0.85, 0.9, 0.95, 1.0], "availability": [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
}  # fmt: skip
PRESETS = presets.make_presets(
    {"n_objects": 10, "dataset": "cifar10", "levels": LEVELS},
    leave_out=["n_classes"],  # all classes are used
    smoke={"dataset": STAND_IN, "levels": {"correlation": [0.0, 1.0], "availability": [0.0, 0.5, 1.0]}},
    quick={"n_samples": 20_000},
    overnight={"n_samples": 45_000},
    paper={"n_samples": 45_000, "n_validation": 5_000, "n_probe": 45_000, "epochs": 200,
           "vit_epochs": 200, "adam_epochs": 100},
)  # fmt: skip


def cell(
    *, folder, data, dataset, n_objects, pretraining, correlation, availability, seed, n_validation, solver, n_probe,
    n_test, n_pairs, adam_epochs=200, adam_learning_rate=1e-3, objects=None, checkpoints=None, **training,
):  # fmt: skip
    """Pretrain one encoder, probe it for images and for objects, and score its sensitivity to both.

    `training` are further keywords of `pretrain`. `objects` says which objects `folder` holds: it tells cells from
    others, and is not read.
    """
    make = partial(make_combined, dataset=dataset, data=data, folder=folder, n_objects=n_objects, seed=seed)
    source = make(pretraining, position=FIXED, correlation=correlation, availability=availability)
    encoder, pretrained = pretrain(
        source, seed=seed, n_validation=n_validation, n_test=n_test, checkpoints=checkpoints, **training
    )
    targets = {name: make(name, position=FIXED) for name in TARGETS}
    measured = images_with_objects.measure_combined(
        encoder, targets, seed=seed, solver=solver, n_probe=n_probe, n_validation=n_validation, n_test=n_test,
        n_pairs=n_pairs, adam_epochs=adam_epochs, adam_learning_rate=adam_learning_rate,
    )  # fmt: skip
    return measured.merge(make_cell(pretrained))


def make_grid(settings):
    """Return the place and arguments of every cell, and the cube's coordinates."""
    factors = [(name, level) for name, levels in settings["levels"].items() for level in levels]
    factors += [(REFERENCE, name) for name in REFERENCES]
    coordinates = grids.factor_coordinates(factors, seed=list(range(settings["seeds"])))
    grid = []
    for factor, (name, level) in zip(coordinates["factor"], factors, strict=True):
        chosen = {"pretraining": "images with objects", "correlation": 0.0, "availability": 1.0}
        if name == REFERENCE or (name, level) == ("availability", 0):
            chosen["pretraining"] = level if name == REFERENCE else "images alone"
        else:
            chosen[name] = float(level)
        for seed in coordinates["seed"]:
            grid.append(({"factor": factor, "seed": seed}, grids.cell_arguments(settings, **chosen, seed=seed)))
    return grid, coordinates


def estimate(*, n_samples, epochs, n_probe, n_validation, n_test, n_pairs, **cell):
    """Project the seconds of a cell."""
    sizes = {"n_probe": n_probe, "n_validation": n_validation, "n_test": n_test, "n_pairs": n_pairs}
    n_encoded = images_with_objects.count_encoded(len(TARGETS), epochs=epochs, **sizes)
    return timing.project_seconds(epochs * n_samples, n_encoded, **cell)


def find_claims(cube):
    """Check the paper's claims with our numbers."""
    finders = {"correlation": find_claims_of_correlation, "availability": find_claims_of_availability}
    parts = {name: select_factor(cube, name) for name in finders if name in cube.factor_name.values}
    return [one for name, part in parts.items() for one in finders[name](part)]


def compare_ends(values, dim, sign, text, margin=0.0):
    """Compare what is there at 1 with what is there at 0, if both are."""
    there = {0, 1} <= set(values[dim].values)
    return [claims.claim(text, values.sel({dim: 1}), sign, values.sel({dim: 0}), margin)] if there else []


def find_claims_of_correlation(part):
    """Check what the paper says of correlations."""
    found = []
    images, objects = (part.transfer_accuracy.sel(target=target, drop=True) for target in TARGETS)
    sensitivity = part.sensitivity.sel(changed="object", drop=True)
    for values, text in ((objects, "objects are predicted better"), (sensitivity, "objects change features more")):
        found += compare_ends(values, "correlation", ">", f"{text} at correlation 1 than at 0")
        if part.sizes["correlation"] > 2:
            rising = f"{text} the higher the correlation (Spearman's rank correlation is above 0.5)"
            found.append(claims.claim(rising, rank_correlation(values, "correlation"), ">", 0.5))
    between = images.where((images.correlation > 0) & (images.correlation < 1)).mean("correlation")
    if 1 in images.correlation:
        text = "images are predicted worse at correlation 1 than between 0 and 1"
        found.append(claims.claim(text, images.sel(correlation=1), "<", between))
    if 0 in images.correlation:
        text = "images are predicted between 0 and 1 as well as at 0 (within 0.05, or better)"
        found.append(claims.claim(text, between, ">", images.sel(correlation=0), margin=0.05))
    return found


def find_claims_of_availability(part):
    """Check what the paper says of availability."""
    images, objects = (part.transfer_accuracy.sel(target=target, drop=True) for target in TARGETS)
    worse = "objects are predicted worse at availability 1 than at 0"
    as_well = "images are predicted as well at availability 1 as at 0 (within 0.05, or better)"
    found = compare_ends(objects, "availability", "<", worse)
    return found + compare_ends(images, "availability", ">", as_well, margin=0.05)


def format_results(cube):
    """Format accuracies and sensitivities."""
    columns = {f"accuracy on {name}": cube.transfer_accuracy.sel(target=name) for name in cube.target.values}
    columns |= {f"sensitivity to the {name}": cube.sensitivity.sel(changed=name) for name in cube.changed.values}
    title = f"mean ± 95 % interval over seeds (n = {cube.sizes['seed']})"
    return "\n\n".join([title, format_means(columns, "factor")])


STUDY = Study(
    name="relevance", title="Relevance and availability of an object", description=__doc__, folder=DATA,
    presets=PRESETS, choices=presets.CHOICES | {"dataset": [*datasets.CIFAR, STAND_IN]},
    find=images_with_objects.find_images_with_objects, cell=cell, grid=make_grid, estimate=estimate,
    table=format_results, figure=plot_relevance, claims=find_claims,
)  # fmt: skip

if __name__ == "__main__":
    main(STUDY)
