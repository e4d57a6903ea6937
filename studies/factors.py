"""How important is sharing the target's invariances, compared with other factors of pretraining?

Question
    Pairs of encoders differ in whether they were pretrained with the target task's transformations ("same") or with
    others ("disjoint"). Is the difference in transfer accuracy between them larger than the differences that the
    relation of the classes, the number of training samples and the width of the network make? The paper finds that it
    is, or comparable (Section 4.1, Figures 2 and 3).
Grid
    One factor is varied at a time, the others stay at their defaults: class_relation (subset: a third of the target's
    classes; disjoint, the default: as many others; same; superset: the target's and as many others), n_samples, width.
    Each level for both relations and every seed. A seed draws objects, transformations (one of each category for the
    target, another of each for "disjoint"), images and weights anew; cells of one seed share the target.
Cell
    Pretrain on the source, probe on the target, score sensitivity to each of the 18 transformations on the target's
    images.
Cube
    factor x relation x seed (x transformation): source_accuracy, transfer_accuracy, sensitivity with its interval,
    composed_sensitivity, which transformations source and target use, status, seconds. Written to data/cubes/.
Cost
    On two CPU cores: smoke seconds, quick some minutes; paper needs a GPU for days.
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Section 4.1 and
    C.1.
"""

import hashlib
from functools import lru_cache, partial
from itertools import product
from pathlib import Path

import numpy as np
import xarray as xr

from invtransfer import (
    FrozenFeatureProbe,
    InvariantPretrainer,
    SensitivityScorer,
    load_cifar10,
    load_objects,
)
from invtransfer.analysis import factor_contrasts, summarise
from invtransfer.cifar import CIFAR10_CLASSES
from invtransfer.plots import plot_factors
from invtransfer.running import default_path, report, run_study, study_parser
from invtransfer.tasks import CLASS_RELATIONS, draw_classes, draw_transformations, images_task, objects_task

DATA = Path(__file__).resolve().parent.parent / "data"
OBJECT_SIZE = 64  # pixels that objects are loaded with, before they are scaled to the image
PRESETS = {  # single numbers are the defaults that hold while another factor varies
    "smoke": {
        "seeds": 1, "levels": {"n_samples": [64, 128], "width": [0.0625, 0.125]},
        "n_classes": 4, "n_samples": 128, "width": 0.0625, "epochs": 2, "batch_size": 32, "learning_rate": 1e-2,
        "schedule": "one-cycle", "n_validation": 64, "solver": "lbfgs", "n_probe": 128, "n_test": 128, "n_pairs": 16,
    },
    "quick": {
        "seeds": 3, "levels": {"n_samples": [500, 2_000], "width": [0.125, 0.25]},
        "n_classes": 15, "n_samples": 2_000, "width": 0.125, "epochs": 6, "batch_size": 64, "learning_rate": 1e-2,
        "schedule": "one-cycle", "n_validation": 500, "solver": "lbfgs", "n_probe": 2_000, "n_test": 2_000,
        "n_pairs": 200,
    },
    "paper": {
        "seeds": 10, "levels": {"n_samples": [1_000, 10_000, 50_000, 100_000, 500_000], "width": [0.5, 1.0]},
        "n_classes": 30, "n_samples": 50_000, "width": 1.0, "epochs": 50, "batch_size": 512, "learning_rate": 1e-3,
        "schedule": "constant", "n_validation": 10_000, "solver": "adam", "n_probe": 50_000, "n_test": 10_000,
        "n_pairs": 10_000,
    },
}  # fmt: skip
CIFAR10 = {  # what differs: 5 classes of 4,500 images to train on, 500 to validate on and 1,000 to test on
    "smoke": {},
    "quick": {"n_classes": 5},
    "paper": {
        "n_classes": 5, "n_samples": 22_500, "n_validation": 2_500, "n_probe": 22_500, "n_test": 5_000,
        "levels": {"n_samples": [50, 250, 1_000, 5_000, 22_500], "width": [0.5, 1.0]},
    },
}  # fmt: skip


@lru_cache
def load_cifar10_parts(folder):
    """Return CIFAR-10's training and test part, once per process."""
    return load_cifar10(folder), load_cifar10(folder, split="test")


def cell(
    *, folder, dataset, class_relation, n_samples, width, relation, seed, n_classes, epochs, batch_size, learning_rate,
    schedule, n_validation, n_probe, n_test, n_pairs, solver,
):  # fmt: skip
    """Pretrain one encoder, probe it on the target, and score its sensitivity there."""
    drawn = draw_transformations(seed)
    if dataset == "cifar10":
        n_available, make_task = len(CIFAR10_CLASSES), partial(images_task, *load_cifar10_parts(folder))
    else:
        objects = load_objects(folder, size=OBJECT_SIZE)
        n_available, make_task = len(objects), partial(objects_task, objects)
    source_classes, target_classes = draw_classes(class_relation, n_classes, n_available, seed)
    train, validation, test = make_task(source_classes, drawn[relation], 2 * seed)
    target_train, target_validation, target_test = make_task(target_classes, drawn["same"], 2 * seed + 1)

    if dataset == "cifar10":  # photographs are augmented anew in every epoch; Transforms-2D is a set of fixed images
        (X, y), augmentations = train.sample(n_samples, transformations=()), drawn[relation]
    else:
        (X, y), augmentations = train.sample(n_samples), ()
    encoder = InvariantPretrainer(
        "resnet18", width=width, transformations=augmentations, epochs=epochs, batch_size=batch_size,
        learning_rate=learning_rate, schedule=schedule, random_state=seed,
    )  # fmt: skip
    encoder.fit(X, y, *validation.sample(n_validation))
    probe = FrozenFeatureProbe(encoder, solver=solver, random_state=seed)
    probe.fit(*target_train.sample(n_probe), *target_validation.sample(n_validation))
    scorer = SensitivityScorer(encoder, n_pairs=n_pairs, random_state=seed).fit(target_test)

    low, high = scorer.sensitivity_interval_.transpose("bound", "transformation")
    names = scorer.sensitivity_.transformation.values
    values = {
        "source_accuracy": ((), encoder.score(*test.sample(n_test)), "accuracy on the source task"),
        "transfer_accuracy": ((), probe.score(*target_test.sample(n_test)), "accuracy of the probe on the target task"),
        "sensitivity": ("transformation", scorer.sensitivity_.values, "sensitivity on the target's images"),
        "sensitivity_low": ("transformation", low.values, "lower end of its 95 % interval over pairs"),
        "sensitivity_high": ("transformation", high.values, "upper end of its 95 % interval over pairs"),
        "composed_sensitivity": (
            (),
            scorer.composed_sensitivity_,
            "sensitivity to the target's transformations together",
        ),
        "source_transformation": (
            "transformation",
            np.isin(names, drawn[relation]).astype("int8"),
            "used by the source",
        ),
        "target_transformation": ("transformation", np.isin(names, drawn["same"]).astype("int8"), "used by the target"),
    }
    return xr.Dataset(
        {name: (dims, value, {"long_name": text, "units": "1"}) for name, (dims, value, text) in values.items()},
        coords=scorer.sensitivity_.coords,
    )


def make_grid(settings, n_seeds):
    """Return the place and arguments of every cell, and the cube's coordinates."""
    levels = {"class_relation": CLASS_RELATIONS} | settings["levels"]
    defaults = {name: value for name, value in settings.items() if name != "levels"} | {"class_relation": "disjoint"}
    factors = {f"{name}={level}": (name, level) for name in levels for level in levels[name]}
    coordinates = {
        "factor": list(factors),
        "factor_name": ("factor", [name for name, _ in factors.values()]),
        "level": ("factor", [str(level) for _, level in factors.values()]),
        "relation": ["same", "disjoint"],
        "seed": list(range(n_seeds)),
    }
    cells = []
    for factor, relation, seed in product(factors, coordinates["relation"], coordinates["seed"]):
        name, level = factors[factor]
        place = {"factor": factor, "relation": relation, "seed": seed}
        cells.append((place, defaults | {name: level, "relation": relation, "seed": seed}))
    return cells, coordinates


def identify(folder):
    """Return what tells these objects from others: a digest of their pixels and names."""
    if folder == "procedural":
        return folder
    objects = load_objects(folder, size=OBJECT_SIZE)
    digest = hashlib.sha256(objects.images.tobytes() + "\n".join(objects.names).encode())
    return f"{Path(folder).resolve().name} {digest.hexdigest()[:12]}"


def print_table(cube):
    """Print the three differences of the paper's Figure 3 for each factor, and whether its pattern holds."""
    summary = summarise(factor_contrasts(cube.transfer_accuracy))
    print(f"\ndifferences in transfer accuracy, mean ± std over seeds (n = {cube.sizes['seed']})\n")
    print(
        f"{'factor':<16}{'within disjoint':>18}{'same minus disjoint':>22}{'within same':>18}{'invariance matters':>22}"
    )
    for name in summary.factor_name.values:
        row = summary.sel(factor_name=name)
        disjoint, between, same = row["mean"].values
        texts = [
            f"{mean:.3f} ± {std:.3f}".replace("nan", "?") for mean, std in zip(row["mean"], row["std"], strict=True)
        ]
        verdict = "?" if np.isnan(row["mean"]).any() else "more" if between > max(disjoint, same) else "less"
        print(f"{name:<16}{texts[0]:>18}{texts[1]:>22}{texts[2]:>18}{verdict + ' than it':>22}")


def main():
    """Run the study from the command line."""
    parser = study_parser(__doc__, PRESETS)
    parser.add_argument("--dataset", choices=["transforms2d", "cifar10"], default="transforms2d", help="of both tasks")
    parser.add_argument("--objects", metavar="FOLDER", help="objects to show, not the procedural ones: data/README.md")
    parser.add_argument("--data", default=DATA / "sets", metavar="FOLDER", help="where CIFAR-10 is (data/sets)")
    options = parser.parse_args()
    settings = dict(PRESETS[options.preset])
    n_seeds = options.seeds or settings["seeds"]
    del settings["seeds"]
    try:
        if options.dataset == "cifar10":
            if options.objects:
                raise ValueError("--objects is for --dataset transforms2d")
            name, folder, n_available = "cifar10", options.data, len(CIFAR10_CLASSES)
            load_cifar10(folder, split="test")
            settings |= {"dataset": "cifar10"} | CIFAR10[options.preset]
        else:
            name, folder = (
                (Path(options.objects).resolve().name if options.objects else ""),
                options.objects or "procedural",
            )
            n_available = len(load_objects(folder, size=OBJECT_SIZE))
            settings["dataset"] = identify(folder)
        draw_classes("disjoint", settings["n_classes"], n_available, seed=0)
        out = options.out or default_path(DATA / "cubes", "factors", name, options.preset)
        cells, coordinates = make_grid(settings, n_seeds)
        cube = run_study(
            partial(cell, folder=str(folder)), cells, coordinates, out, settings,
            title="Invariance and other factors of transfer", jobs=options.jobs, threads=options.threads,
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    report(cube, out, print_table, plot_factors)


if __name__ == "__main__":
    main()
