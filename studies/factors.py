"""How important is sharing the target's invariances, compared with other factors of pretraining?

Question
    Pairs of encoders differ in whether they were pretrained with the target task's transformations ("same") or with
    others ("disjoint"). Is the difference in transfer accuracy between them larger than the differences that the
    relation of the classes, the architecture and the number of training samples make? The paper finds that it is, or
    comparable (Section 4.1 and Appendix C.1; Figures 2, 3, 7 and 8).
Grid
    One factor is varied at a time, the others stay at their defaults: class_relation (subset: a third of the target's
    classes; disjoint, the default: as many others; same; superset: the target's and as many others), architecture,
    n_samples (on CIFAR: of each class), n_probe (samples that the probe is fitted on; not in the paper). Each level for
    both relations and every seed. Beside them two reference encoders of the default architecture: untrained, and
    trained without transformations; what the relations say does not bear on them. A seed draws objects,
    transformations (one of each category for the target, another of each for "disjoint"), images and weights anew;
    cells of one seed share the target, so contrasts between them are paired.
Cell
    Pretrain on the source, probe on the target, score sensitivity to each of the 18 transformations on the target's
    images.
Cube
    factor x relation x seed (x transformation): source_accuracy, transfer_accuracy, sensitivity with its interval,
    composed_sensitivity, which transformations source and target use, status, seconds. Written to data/cubes/.
Cost
    On two CPU cores: smoke half a minute, quick about a quarter of an hour; paper needs GPUs for days (--dry-run says).
    ViT keeps its own learning rate, schedule and weight decay in every preset.
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Section 4.1 and
    Appendices B and C.1.
"""

import hashlib
import json
from functools import lru_cache, partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from invtransfer import (
    FrozenFeatureProbe,
    InvariantPretrainer,
    SensitivityScorer,
    load_backgrounds,
    load_cifar10,
    load_cifar100,
    load_objects,
)
from invtransfer.analysis import factor_contrasts, summarise
from invtransfer.cubes import canonical
from invtransfer.networks import NETWORKS
from invtransfer.plots import plot_factors
from invtransfer.probing import SOLVERS
from invtransfer.running import default_path, override, plan_study, report, run_study, study_parser
from invtransfer.tasks import CLASS_RELATIONS, draw_classes, draw_transformations, images_task, objects_task
from invtransfer.training import SCHEDULES, seconds_per_image
from invtransfer.transformations import TRANSFORMATIONS

DATA = Path(__file__).resolve().parent.parent / "data"
PAPER_OBJECTS = "tillspeicher/transforms_2d_base"  # the authors' data set
OBJECT_SIZE = 64  # pixels that objects are loaded with, before they are scaled to the image
CIFAR = {  # reader, number of classes, images of each to train and to test on
    "cifar10": (load_cifar10, 10, 5_000, 1_000),
    "cifar100": (load_cifar100, 100, 500, 100),
}
CHOICES = {"class_relation": CLASS_RELATIONS, "architecture": list(NETWORKS), "schedule": SCHEDULES, "solver": SOLVERS}
CHOICES |= {"vit_schedule": SCHEDULES}
DEFAULTS = {  # what all presets share
    "class_relation": "disjoint", "architecture": "resnet18", "weight_decay": 0.0,
    "vit_learning_rate": 1e-3, "vit_schedule": "cosine", "vit_weight_decay": 1e-5,
    "adam_epochs": 200, "adam_learning_rate": 1e-3,  # of the probe's solver "adam"
}  # fmt: skip
PRESETS = {  # single numbers are the defaults that hold while another factor varies
    "smoke": DEFAULTS | {
        "seeds": 1, "levels": {"n_samples": [64, 128], "n_probe": [50, 128]},
        "n_classes": 4, "n_samples": 128, "width": 0.0625, "epochs": 2, "batch_size": 32, "learning_rate": 1e-2,
        "schedule": "one-cycle", "n_validation": 64, "solver": "lbfgs", "n_probe": 128, "n_test": 128, "n_pairs": 16,
    },
    "quick": DEFAULTS | {
        "seeds": 3, "levels": {"n_samples": [500, 2_000], "n_probe": [50, 200, 500, 2_000]},
        "n_classes": 15, "n_samples": 2_000, "width": 0.125, "epochs": 6, "batch_size": 64, "learning_rate": 1e-2,
        "schedule": "one-cycle", "n_validation": 500, "solver": "lbfgs", "n_probe": 2_000, "n_test": 2_000,
        "n_pairs": 200,
    },
    "paper": DEFAULTS | {
        "seeds": 10, "levels": {
            "n_samples": [1_000, 10_000, 50_000, 100_000, 500_000], "n_probe": [50, 200, 500, 2_000, 5_000],
        },
        "n_classes": 30, "n_samples": 50_000, "width": 1.0, "epochs": 50, "batch_size": 512, "learning_rate": 1e-3,
        "schedule": "constant", "n_validation": 10_000, "solver": "adam", "n_probe": 50_000, "n_test": 10_000,
        "n_pairs": 10_000,
    },
}  # fmt: skip
# What differs from the above. On CIFAR, n_samples is of each class; a tenth of each class's training images is held out
# for validation, so that CIFAR-100's 500, all there are, are 450 to train on. There are 5,000 test images for pairs.
DATASETS = {
    "transforms2d": {},
    "cifar10": {
        "smoke": {"n_samples": 32, "levels": {"n_samples": [16, 32]}},
        "quick": {"n_classes": 5, "n_samples": 400, "levels": {"n_samples": [100, 400]}},
        "paper": {
            "n_classes": 5, "n_samples": 4_500, "n_validation": 2_500, "n_probe": 22_500, "n_test": 5_000,
            "n_pairs": 5_000,
            "levels": {"n_samples": [10, 50, 200, 1_000, 4_500]},
        },
    },
    "cifar100": {
        "smoke": {"n_samples": 32, "levels": {"n_samples": [16, 32]}},
        "quick": {"n_classes": 50, "n_samples": 40, "levels": {"n_samples": [10, 40]}},
        "paper": {
            "n_classes": 50, "n_samples": 500, "n_validation": 2_500, "n_probe": 22_500, "n_test": 5_000,
            "n_pairs": 5_000,
            "levels": {"n_samples": [10, 50, 100, 250, 500]},
        },
    },
}  # fmt: skip


def settings_of(preset, dataset):
    """Return all numbers of a preset on a data set."""
    differing = DATASETS[dataset].get(preset, {})
    levels = {"class_relation": list(CLASS_RELATIONS), "architecture": list(NETWORKS)}
    levels |= PRESETS[preset]["levels"] | differing.get("levels", {})
    return PRESETS[preset] | differing | {"levels": levels, "dataset": dataset}


@lru_cache
def load_pictures(folder):
    """Return objects and, where the folder has some of its own, backgrounds (else None), once per process."""
    own_backgrounds = folder != "procedural" and (Path(folder) / "backgrounds").is_dir()
    return load_objects(folder, size=OBJECT_SIZE), load_backgrounds(folder) if own_backgrounds else None


@lru_cache
def load_cifar_parts(dataset, folder):
    """Return the training and the test part of a CIFAR data set, once per process."""
    load = CIFAR[dataset][0]
    return load(folder), load(folder, split="test")


def make_tasks(*, folder, dataset, class_relation, relation, seed, n_classes):
    """Return training, validation and test part of the source task and of the target task."""
    drawn = draw_transformations(seed) | {"none": []}
    if dataset in CIFAR:
        n_available, make_task = CIFAR[dataset][1], partial(images_task, *load_cifar_parts(dataset, folder))
    else:
        objects, backgrounds = load_pictures(folder)
        n_available, make_task = len(objects), partial(objects_task, objects, backgrounds=backgrounds)
    source_classes, target_classes = draw_classes(class_relation, n_classes, n_available, seed)
    source = make_task(source_classes, drawn[relation], 2 * seed)
    return source, make_task(target_classes, drawn["same"], 2 * seed + 1)


def available(source, n):
    """Return `n`, or the number of different images if a source task has fewer: some relations have fewer classes."""
    return min(n, getattr(source, "n_images", n))


def check_sizes(settings):
    """Refuse sizes that the data cannot fill, before anything is computed."""
    n_classes, n_probes = settings["n_classes"], [settings["n_probe"], *settings["levels"]["n_probe"]]
    if min(n_probes) < n_classes:
        raise ValueError(f"n_probe is {min(n_probes)}, expected at least one sample of each of {n_classes} classes")
    if settings["dataset"] not in CIFAR:
        return
    _, _, n_train, n_test = CIFAR[settings["dataset"]]
    n_held_out = n_train // 10
    for name, n, limit in (
        ("n_samples", max([settings["n_samples"], *settings["levels"]["n_samples"]]), n_train),
        ("n_probe", max(n_probes), (n_train - n_held_out) * n_classes),
        ("n_validation", settings["n_validation"], n_held_out * n_classes),
        ("n_test", settings["n_test"], n_test * n_classes),
        ("n_pairs", settings["n_pairs"], n_test * n_classes),
    ):
        if n > limit:
            what = "of each class" if name == "n_samples" else f"of {n_classes} classes"
            raise ValueError(f"{name} is {n}, but there are only {limit} images {what} for it")


def cell(
    *, folder, dataset, objects=None, class_relation, architecture, n_samples, width, relation, seed, n_classes, epochs,
    batch_size, learning_rate, schedule, weight_decay, n_validation, n_probe, n_test, n_pairs, solver,
    adam_epochs=200, adam_learning_rate=1e-3,
):  # fmt: skip
    """Pretrain one encoder, probe it on the target with each number of samples, and score its sensitivity there."""
    source, target = make_tasks(
        folder=folder, dataset=dataset, class_relation=class_relation, relation=relation, seed=seed, n_classes=n_classes
    )
    train_source, validation_source, test_source = source
    train_target, validation_target, test_target = target

    if dataset in CIFAR:  # photographs are augmented anew in every epoch; Transforms-2D is a set of fixed images
        n_source_classes = len(np.unique(train_source.sample(train_source.n_images, transformations=())[1]))
        n = available(train_source, n_samples * n_source_classes)
        (X, y), augmentations = train_source.sample(n, transformations=()), train_source.transformations
    else:
        (X, y), augmentations = train_source.sample(n_samples), ()
    encoder = InvariantPretrainer(
        architecture, width=width, transformations=augmentations, epochs=epochs, batch_size=batch_size,
        learning_rate=learning_rate, schedule=schedule, weight_decay=weight_decay, random_state=seed,
    )  # fmt: skip
    encoder.fit(X, y, *validation_source.sample(available(validation_source, n_validation)))

    def encode(part, n):
        X, y = part.sample(n)
        return encoder.transform(X), y

    Z, labels = encode(train_target, max(n_probe))  # once: each probe sees the first of them
    validation, test = encode(validation_target, n_validation), encode(test_target, n_test)
    probe = FrozenFeatureProbe(solver=solver, epochs=adam_epochs, learning_rate=adam_learning_rate, random_state=seed)
    accuracies = []
    for n in n_probe:
        known = np.isin(validation[1], labels[:n])  # few samples may lack a class; its test images count as wrong
        accuracies.append(probe.fit(Z[:n], labels[:n], *(part[known] for part in validation)).score(*test))
    scorer = SensitivityScorer(encoder, n_pairs=n_pairs, random_state=seed).fit(test_target)

    low, high = scorer.sensitivity_interval_.transpose("bound", "transformation")
    names = scorer.sensitivity_.transformation.values
    used = [
        np.isin(names, [t.name for t in part.transformations]).astype("int8") for part in (test_source, test_target)
    ]
    source_accuracy = encoder.score(*test_source.sample(available(test_source, n_test)))
    values = {
        "source_accuracy": ((), source_accuracy, "accuracy on the source task"),
        "transfer_accuracy": ("n_probe", accuracies, "accuracy of the probe on the target task"),
        "sensitivity": ("transformation", scorer.sensitivity_.values, "sensitivity on the target's images"),
        "sensitivity_low": ("transformation", low.values, "lower end of its 95 % interval over pairs"),
        "sensitivity_high": ("transformation", high.values, "upper end of its 95 % interval over pairs"),
        "composed_sensitivity": (
            (),
            scorer.composed_sensitivity_,
            "sensitivity to the target's transformations together",
        ),
        "source_transformation": ("transformation", used[0], "used by the source"),
        "target_transformation": ("transformation", used[1], "used by the target"),
    }
    return xr.Dataset(
        {name: (dims, value, {"long_name": text, "units": "1"}) for name, (dims, value, text) in values.items()},
        coords={**scorer.sensitivity_.coords, "n_probe": list(n_probe)},
    )


def make_grid(settings, n_seeds, only=None):
    """Return the place and arguments of every cell, and the cube's coordinates."""
    levels = settings["levels"]
    own = {name: value for name, value in settings.items() if name != "levels"}
    vit = {name.removeprefix("vit_"): own.pop(name) for name in list(own) if name.startswith("vit_")}
    own = {name: value for name, value in own.items() if own["solver"] == "adam" or not name.startswith("adam_")}
    factors = {f"{name}={level}": (name, level) for name in levels for level in levels[name]}
    factors |= {f"reference={label}": ("reference", label) for label in ("untrained", "no transformations")}
    kept = {label: place for label, place in factors.items() if not only or {label, place[0]} & set(only)}
    for label in only or ():
        if label not in factors and label not in {name for name, _ in factors.values()}:
            raise ValueError(f"--only is {label!r}, expected a factor or a level of this study: {', '.join(factors)}")
    coordinates = {
        "factor": list(kept),
        "factor_name": ("factor", [name for name, _ in kept.values()]),
        "level": ("factor", [str(level) for _, level in kept.values()]),
        "relation": ["same", "disjoint"],
        "seed": list(range(n_seeds)),
    }
    cells = []
    for factor, relation, seed in product(kept, coordinates["relation"], coordinates["seed"]):
        name, level = kept[factor]
        n_probe = level if name == "n_probe" else own["n_probe"]
        arguments = own | {"relation": relation, "seed": seed}
        if name == "reference":
            arguments |= {"relation": "none"} | ({"epochs": 0} if level == "untrained" else {})
        elif name != "n_probe":
            arguments[name] = level
        if arguments["architecture"] == "vit":
            arguments |= vit
        # One encoder serves all numbers of probe samples: that of the default level of all other factors.
        default = name == "n_probe" or own.get(name) == level
        arguments["n_probe"] = sorted({n_probe, own["n_probe"], *levels["n_probe"]}) if default else [n_probe]
        cells.append(({"factor": factor, "relation": relation, "seed": seed}, arguments, {"n_probe": n_probe}))
    return cells, coordinates


def estimate_seconds(arguments):
    """Project how long a cell takes from a measured training step and forward pass.

    Making images and fitting probes is not in it, which is much of a small cell and little of a large one.
    """
    training, encoding = seconds_per_image(arguments["architecture"], arguments["width"], arguments["batch_size"])
    n_train = arguments["n_samples"]
    if arguments["dataset"] in CIFAR:
        n_available = CIFAR[arguments["dataset"]][1]
        n_train *= len(draw_classes(arguments["class_relation"], arguments["n_classes"], n_available, seed=0)[0])
    n_encoded = max(arguments["n_probe"]) + arguments["n_validation"] + 2 * arguments["n_test"]
    n_encoded += 2 * (1 + len(TRANSFORMATIONS)) * arguments["n_pairs"]  # the last is the composed one
    n_encoded += arguments["epochs"] * arguments["n_validation"]
    return arguments["epochs"] * n_train * training + n_encoded * encoding


def identify(folder):
    """Return what tells these images from others: their name, and a digest of their pixels and labels.

    The name is the folder's, or the data set's if ``data/fetch.py transforms2d`` has brought it.
    """
    if folder == "procedural":
        return folder
    record, name = Path(folder, "SOURCE.json"), Path(folder).resolve().name
    if record.exists():
        try:
            name = json.loads(record.read_text())["data_set"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{record} is not as data/fetch.py writes it: fetch the set again, or delete it"
            ) from error
    objects, backgrounds = load_pictures(folder)
    digest = hashlib.sha256(objects.images.tobytes() + "\n".join(objects.names).encode())
    digest.update(b"" if backgrounds is None else backgrounds.tobytes())
    return f"{name} {digest.hexdigest()[:12]}"


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
    references = cube.isel(factor=cube.factor_name.values == "reference", relation=0)
    for level, accuracy in zip(references.level.values, references.transfer_accuracy, strict=True):
        spread = f" ± {accuracy.std(ddof=1):.3f}" if accuracy.size > 1 else ""
        print(f"\n{level:<18} encoder: transfer accuracy {accuracy.mean():.3f}{spread}", end="")
    print()


def main():
    """Run the study from the command line."""
    protocol = {name: value for name, value in settings_of("paper", "transforms2d").items() if name != "dataset"}
    del protocol["seeds"]
    parser = study_parser(__doc__, PRESETS, settings=protocol, choices=CHOICES)
    parser.add_argument("--dataset", choices=list(DATASETS), default="transforms2d", help="of both tasks")
    parser.add_argument("--objects", metavar="FOLDER", help="pictures to show, see data/README.md")
    parser.add_argument("--data", default=DATA / "sets", metavar="FOLDER", help="where CIFAR is (data/sets)")
    options = parser.parse_args()
    settings = override(settings_of(options.preset, options.dataset), options)
    paper = settings_of("paper", options.dataset)
    n_seeds = settings.pop("seeds")
    try:
        if options.dataset in CIFAR:
            if options.objects:
                raise ValueError("--objects is for --dataset transforms2d")
            name, folder, n_available = options.dataset, options.data, CIFAR[options.dataset][1]
            load_cifar_parts(options.dataset, str(folder))  # fails here if it is not there
        else:
            folder = options.objects or "procedural"
            name = Path(folder).resolve().name if options.objects else ""
            n_available = len(load_pictures(folder)[0])
            settings["objects"] = identify(folder)
            paper["objects"] = PAPER_OBJECTS
        draw_classes("disjoint", settings["n_classes"], n_available, seed=0)
        check_sizes(settings)
        out = options.out or default_path(DATA / "cubes", "factors", name, options.preset)
        cells, coordinates = make_grid(settings, n_seeds, options.only)
        if options.dry_run:
            torch.set_num_threads(options.threads)
            print(plan_study(cells, coordinates, out, settings, estimate_seconds, options.jobs))
            return
        cube = run_study(
            partial(cell, folder=str(folder)), cells, coordinates, out, settings,
            title="Invariance and other factors of transfer", attributes={"paper_settings": canonical(paper)},
            jobs=options.jobs, threads=options.threads,
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    report(cube, out, print_table, plot_factors)


if __name__ == "__main__":
    main()
