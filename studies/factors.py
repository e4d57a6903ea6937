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
    composed_sensitivity, which transformations source and target use, status. Written to data/cubes/.
Pattern
    For each factor, "same minus disjoint" is larger than "within disjoint" and "within same": the table's last column
    says whether it is.
Cost
    On two CPU cores: smoke half a minute, quick about a quarter of an hour; paper needs GPUs for days (--dry-run says).
    ViT keeps its own learning rate, schedule and weight decay in every preset.
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Section 4.1 and
    Appendices B and C.1.
"""

from functools import partial
from pathlib import Path

import numpy as np

from invtransfer import SensitivityScorer
from invtransfer.analysis import factor_contrasts, fill_relations, summarise
from invtransfer.cubes.files import describe
from invtransfer.networks.architectures import NETWORKS
from invtransfer.paper.command_line import carry_out, default_path, override, refuse, report, study_parser
from invtransfer.paper.datasets import PAPER_OBJECTS
from invtransfer.paper.protocol import (
    CHOICES,
    CIFAR_PROTOCOL,
    DATASETS,
    PROTOCOL,
    available,
    check_sizes,
    count_training_images,
    estimate_seconds,
    factor_grid,
    find_data,
    fit_known,
    make_probe,
    make_tasks,
    pretrain,
)
from invtransfer.paper.tasks import CLASS_RELATIONS
from invtransfer.plots import plot_factors
from invtransfer.transformations import TRANSFORMATIONS

DATA = Path(__file__).resolve().parent.parent / "data"
LEVELS = {  # of the factors that differ between presets and data sets; on CIFAR, n_samples is of each class
    "smoke": {
        "n_samples": {"transforms2d": [64, 128], "cifar10": [16, 32], "cifar100": [16, 32]},
        "n_probe": [50, 128],
    },
    "quick": {
        "n_samples": {"transforms2d": [500, 2_000], "cifar10": [100, 400], "cifar100": [10, 40]},
        "n_probe": [50, 200, 500, 2_000],
    },
    "paper": {
        "n_samples": {
            "transforms2d": [1_000, 10_000, 50_000, 100_000, 500_000],
            "cifar10": [10, 50, 200, 1_000, 4_500],
            "cifar100": [10, 50, 100, 250, 500],
        },
        "n_probe": [50, 200, 500, 2_000, 5_000],
    },
}


def settings_of(preset, dataset):
    """Return all numbers of a preset on a data set; single ones are the defaults that hold while a factor varies."""
    levels = {"class_relation": list(CLASS_RELATIONS), "architecture": list(NETWORKS)}
    levels |= {"n_samples": LEVELS[preset]["n_samples"][dataset], "n_probe": LEVELS[preset]["n_probe"]}
    differing = CIFAR_PROTOCOL.get(dataset, {}).get(preset, {})
    return PROTOCOL[preset] | differing | {"class_relation": "disjoint", "levels": levels, "dataset": dataset}


def cell(
    *, folder, dataset, class_relation, relation, seed, n_classes, n_validation, n_probe, n_test, n_pairs,
    checkpoints=None, **more,
):  # fmt: skip
    """Pretrain one encoder, probe it on the target with each number of samples, and score its sensitivity there."""
    source, target = make_tasks(
        folder=folder, dataset=dataset, class_relation=class_relation, relation=relation, seed=seed, n_classes=n_classes
    )
    encoder = pretrain(source, more | {"n_validation": n_validation}, seed, checkpoints)
    test_source, (train_target, validation_target, test_target) = source[-1], target

    def encode(part, n):
        X, y = part.sample(n)
        return encoder.transform(X), y

    Z, labels = encode(train_target, max(n_probe))  # once: each probe sees the first of them
    validation, test = encode(validation_target, n_validation), encode(test_target, n_test)
    probe = make_probe(more, seed)
    accuracies = []
    for n in n_probe:
        accuracies.append(fit_known(probe, (Z[:n], labels[:n]), validation).score(*test))
    scorer = SensitivityScorer(encoder, n_pairs=n_pairs, random_state=seed).fit(test_target)

    low, high = scorer.sensitivity_interval_.transpose("bound", "transformation")
    names = scorer.sensitivity_.transformation.values
    used = [
        np.isin(names, [t.name for t in part.transformations]).astype("int8") for part in (test_source, test_target)
    ]
    source_accuracy = encoder.score(*test_source.sample(available(test_source, n_test)))
    variables = {
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
    return describe(variables, {**scorer.sensitivity_.coords, "n_probe": list(n_probe)})


def find(settings, objects, data):
    """Find the data; return where they are, as arguments of `cell`, their name and their identity."""
    return find_data(settings["dataset"], objects, data, settings["n_classes"])


def make_grid(settings):
    """Return place, arguments and part of the cell for all of the cube, and its coordinates."""
    n_probes = {settings["n_probe"], *settings["levels"]["n_probe"]}
    places, coordinates = factor_grid(settings)
    names = dict(zip(coordinates["factor"], coordinates["factor_name"][1], strict=True))
    grid = []
    for labels, arguments in places:
        name, n_probe = names[labels["factor"]], arguments["n_probe"]
        # One encoder serves all numbers of probe samples: that of the default level of all other factors.
        default = name == "n_probe" or (name in settings and arguments[name] == settings[name])
        arguments |= {"n_probe": sorted(n_probes | {n_probe}) if default else [n_probe]}
        grid.append((labels, arguments, {"n_probe": n_probe}))
    return grid, coordinates


def estimate(arguments):
    """Project the seconds of a cell."""
    n_encoded = max(arguments["n_probe"]) + arguments["n_validation"] + 2 * arguments["n_test"]
    n_encoded += 2 * (1 + len(TRANSFORMATIONS)) * arguments["n_pairs"]  # the last is the composed one
    n_encoded += arguments["epochs"] * arguments["n_validation"]
    return estimate_seconds(arguments, arguments["epochs"] * count_training_images(arguments), n_encoded)


def print_table(cube):
    """Print the three differences of the paper's Figure 3 for each factor, and whether its pattern holds."""
    summary = summarise(factor_contrasts(fill_relations(cube).transfer_accuracy))
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
    parser = study_parser(__doc__, PROTOCOL, settings=protocol, choices=CHOICES)
    parser.add_argument("--dataset", choices=DATASETS, default="transforms2d", help="of both tasks")
    parser.add_argument("--objects", metavar="FOLDER", help="pictures to show, see data/README.md")
    parser.add_argument("--data", default=DATA / "sets", metavar="FOLDER", help="where CIFAR is (data/sets)")
    options = parser.parse_args()
    settings = override(settings_of(options.preset, options.dataset), options)
    paper = settings_of("paper", options.dataset)
    with refuse(parser):
        where, name, identity = find(settings, options.objects, options.data)
        settings |= identity
        paper |= {"objects": PAPER_OBJECTS} if identity else {}
        check_sizes(settings)
        out = options.out or default_path(DATA / "cubes", "factors", name, options.preset)
        cube = carry_out(
            options, partial(cell, **where), *make_grid(settings), out, settings, paper=paper, estimate=estimate,
            study="factors", title="Invariance and other factors of transfer",
        )  # fmt: skip
    if cube is not None:
        report(cube, out, print_table, plot_factors, DATA / "published" / "factors.csv")


if __name__ == "__main__":
    main()
