"""Does it still matter which invariances an encoder had, once all of it is fine-tuned?

Question
    After a linear probe, all weights of the pairs of encoders of studies/factors.py are trained on a few or many
    samples of the target task. Does the difference that the source's transformations made remain, and how far does
    sensitivity move? The paper finds that it remains with few samples and diminishes with many, which come close to
    training anew (Appendix C.2; Figures 9 to 13).
Grid
    As in studies/factors.py: one factor varies at a time, each level for source transformations "same" and "disjoint"
    and every seed, and two reference encoders, "untrained" and trained without transformations.
Cell
    Pretrain on the source. For each n_tuning: fit a probe on that many samples of the target, and fine-tune a copy of
    the encoder from there on the same samples; accuracy before and after, sensitivity before and after. The paper does
    not say how many samples its probe was fitted on; with as many as are tuned on, nothing else is known of the target.
    Batches are those of pretraining, of which it says nothing either. CIFAR's images are transformed anew in every
    epoch of tuning, as in pretraining.
Cube
    accuracy_before and transfer_accuracy (after) over factor x relation x seed x n_tuning; sensitivity_before over
    factor x relation x seed x transformation, and sensitivity (after) over n_tuning as well; source_accuracy, which
    transformations source and target use, status. The coordinate "tuning" names the paper's tables. Written
    to data/cubes/fine_tuning.nc.
Pattern
    After fine-tuning on few samples "same" is above "disjoint"; with the most samples the difference is smaller, and
    not below 0 (within 0.02). Fine-tuning makes "disjoint" encoders less sensitive to the target's transformations, and
    the more so the more samples.
Cost
    On two CPU cores: smoke a minute, quick a quarter of an hour; paper needs GPUs for days (--dry-run says).
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Appendix C.2.
"""

from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from invtransfer import FineTuner, SensitivityScorer
from invtransfer.analysis import REFERENCE, count_once, paired_contrast
from invtransfer.cubes.files import describe
from invtransfer.networks.architectures import NETWORKS
from invtransfer.paper.claims import claim, say_claims, say_mean
from invtransfer.paper.command_line import carry_out, default_path, override, refuse, report, study_parser
from invtransfer.paper.datasets import CIFAR, PAPER_OBJECTS
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
from invtransfer.plots import draw_curves, spread_in_words
from invtransfer.transformations import TRANSFORMATIONS

DATA = Path(__file__).resolve().parent.parent / "data"
LEVELS = {  # on CIFAR, n_samples is of each class, and n_tuning a hundredth and a tenth of what there is to train on
    "smoke": {"class_relation": ["disjoint", "same"], "n_tuning": [32, 64]},
    "quick": {"class_relation": list(CLASS_RELATIONS), "n_samples": [500, 2_000], "n_tuning": [200, 1_000]},
    "paper": {
        "class_relation": list(CLASS_RELATIONS), "architecture": list(NETWORKS),
        "n_samples": [1_000, 10_000, 50_000, 100_000, 500_000], "n_tuning": [200, 2_000],
    },
}  # fmt: skip
CIFAR_LEVELS = {
    "cifar10": {
        "smoke": {}, "quick": {"n_samples": [100, 400], "n_tuning": [225, 1_125]},
        "paper": {"n_samples": [10, 50, 200, 1_000, 4_500], "n_tuning": [225, 2_250]},
    },
    "cifar100": {
        "smoke": {}, "quick": {"n_samples": [10, 40], "n_tuning": [225, 1_125]},
        "paper": {"n_samples": [10, 50, 100, 250, 500], "n_tuning": [225, 2_250]},
    },
}  # fmt: skip
LABELS = {"n_samples": "training samples of the source"}
TUNING = {
    "smoke": {"tuning_epochs": 2, "tuning_learning_rate": 1e-3},
    "quick": {"tuning_epochs": 10, "tuning_learning_rate": 1e-3, "n_pairs": 100},
    "paper": {"tuning_epochs": 50, "tuning_learning_rate": 1e-3},
}


def settings_of(preset, dataset):
    """Return all numbers of a preset on a data set; single ones are the defaults that hold while a factor varies."""
    settings = PROTOCOL[preset] | CIFAR_PROTOCOL.get(dataset, {}).get(preset, {}) | TUNING[preset]
    levels = LEVELS[preset] | CIFAR_LEVELS.get(dataset, {}).get(preset, {})
    del settings["n_probe"]  # the probe is fitted on what is tuned on
    return settings | {"class_relation": "disjoint", "dataset": dataset, "levels": levels}


def cell(
    *, folder, dataset, class_relation, relation, seed, n_classes, n_tuning, n_validation, n_test, n_pairs,
    tuning_epochs, tuning_learning_rate, checkpoints=None, **more,
):  # fmt: skip
    """Pretrain one encoder, and fine-tune a copy of it on each number of samples of the target."""
    source, target = make_tasks(
        folder=folder, dataset=dataset, class_relation=class_relation, relation=relation, seed=seed, n_classes=n_classes
    )
    encoder = pretrain(source, more | {"n_validation": n_validation}, seed, checkpoints)
    test_source, (train_target, validation_target, test_target) = source[-1], target

    def score(encoder):
        return SensitivityScorer(encoder, n_pairs=n_pairs, random_state=seed).fit(test_target).sensitivity_

    validation, test = validation_target.sample(n_validation), test_target.sample(n_test)
    anew = dataset in CIFAR  # photographs are transformed anew in every epoch; Transforms-2D is a set of fixed images
    before, after, sensitivities = [], [], []
    for n in n_tuning:
        X, y = train_target.sample(n, transformations=() if anew else None)
        tuner = FineTuner(
            encoder, probe=make_probe(more, seed), transformations=train_target.transformations if anew else (),
            epochs=tuning_epochs, batch_size=more["batch_size"], learning_rate=tuning_learning_rate, random_state=seed,
            checkpoint=checkpoints and checkpoints / f"tuning-{n}.npz",
        )  # fmt: skip
        fit_known(tuner, (X, y), validation)
        before.append(tuner.probe_.score(*test))
        after.append(tuner.score(*test))
        sensitivities.append(score(tuner).values)
    sensitivity = score(encoder)
    names = sensitivity.transformation.values
    used = [
        np.isin(names, [t.name for t in part.transformations]).astype("int8") for part in (test_source, test_target)
    ]
    source_accuracy = encoder.score(*test_source.sample(available(test_source, n_test)))
    variables = {
        "source_accuracy": ((), source_accuracy, "accuracy on the source task"),
        "accuracy_before": ("n_tuning", before, "accuracy of the probe on the target task"),
        "transfer_accuracy": ("n_tuning", after, "accuracy on the target task after fine-tuning"),
        "sensitivity_before": (
            "transformation",
            sensitivity.values,
            "sensitivity of the encoder on the target",
        ),
        "sensitivity": (
            ("n_tuning", "transformation"),
            sensitivities,
            "sensitivity after fine-tuning, on the target",
        ),
        "source_transformation": ("transformation", used[0], "used by the source"),
        "target_transformation": ("transformation", used[1], "used by the target"),
    }
    n_images = 9 * CIFAR[dataset][2] // 10 * n_classes if dataset in CIFAR else 1  # that there are to train on
    tuning = [f"full-{n / n_images:g}" for n in n_tuning]
    return describe(variables, {**sensitivity.coords, "n_tuning": list(n_tuning), "tuning": ("n_tuning", tuning)})


def find(settings, objects, data):
    """Find the data; return where they are, as arguments of `cell`, their name and their identity."""
    return find_data(settings["dataset"], objects, data, settings["n_classes"])


def make_grid(settings):
    """Return the place and arguments of every cell, and the cube's coordinates."""
    levels = dict(settings["levels"])
    n_tuning = sorted(levels.pop("n_tuning"))
    places, coordinates = factor_grid(settings | {"levels": levels})
    return [(labels, arguments | {"n_tuning": n_tuning}) for labels, arguments in places], coordinates


def estimate(arguments):
    """Project the seconds of a cell."""
    tuned = len(arguments["n_tuning"])
    n_trained = arguments["epochs"] * count_training_images(arguments) + arguments["tuning_epochs"] * sum(
        arguments["n_tuning"]
    )
    n_encoded = (arguments["epochs"] + tuned * arguments["tuning_epochs"]) * arguments["n_validation"]
    n_encoded += sum(arguments["n_tuning"]) + (1 + 2 * tuned) * arguments["n_test"]
    n_encoded += 2 * (1 + tuned) * (1 + len(TRANSFORMATIONS)) * arguments["n_pairs"]  # the last is the composed one
    return estimate_seconds(arguments, n_trained, n_encoded)


def to_target(cube):
    """Return the mean sensitivity to the target's transformations, before (n_tuning 0) and after fine-tuning."""
    before = cube.sensitivity_before.expand_dims(n_tuning=[0])
    after = cube.sensitivity.drop_vars("tuning", errors="ignore")
    return xr.concat([before, after], "n_tuning").where(cube.target_transformation == 1).mean("transformation")


def without_references(cube):
    """Leave out the encoders that the relation does not bear on."""
    return cube.isel(factor=np.flatnonzero(cube.factor_name.values != REFERENCE))


def find_claims(cube):
    """Return the paper's claims, our numbers, and whether they agree; each pair of encoders counts once."""
    pairs, claims = without_references(cube), []
    n_few, n_many = cube.n_tuning.values[[0, -1]]
    if {"same", "disjoint"} <= set(pairs.relation.values) and pairs.sizes["factor"]:
        accuracy = count_once(pairs.transfer_accuracy, pairs.cell)
        gain = paired_contrast(accuracy, "relation", "same", "disjoint").mean("factor")
        few, many = (gain.sel(n_tuning=n, drop=True) for n in (n_few, n_many))
        claims.append(claim(f"same minus disjoint after {n_few} samples is above 0", few, ">", 0.0))
        if n_many > n_few:
            claims.append(claim(f"it is smaller after {n_many} than after {n_few}", many, "<", few))
            claims.append(claim(f"it is not below 0 after {n_many} (within 0.02)", many, ">", 0.0, margin=0.02))
    if "disjoint" in pairs.relation and pairs.sizes["factor"]:
        moved = count_once(to_target(pairs), pairs.cell).sel(relation="disjoint").mean("factor")
        before, few, many = (moved.sel(n_tuning=n, drop=True) for n in (0, n_few, n_many))
        text = "sensitivity of disjoint encoders to the target's transformations"
        claims.append(claim(f"{text}: after {n_few} below before", few, "<", before))
        if n_many > n_few:
            claims.append(claim(f"{text}: after {n_many} below after {n_few}", many, "<", few))
    return claims


def print_table(cube):
    """Print accuracies and sensitivities before and after, and whether the pattern held."""
    moved = to_target(cube)
    for n in cube.n_tuning.values:
        print(f"\n{n} samples of the target: mean ± std over seeds (n = {cube.sizes['seed']})\n")
        print(f"{'':<36}{'accuracy':<34}sensitivity to the target's transformations")
        print(f"{'':<36}{'before':<17}{'after':<17}{'before':<17}{'after':<17}")
        for factor in cube.factor.values:
            is_reference = factor.startswith(REFERENCE)
            for relation in cube.relation.values[: 1 if is_reference else None]:
                place = {"factor": factor, "relation": relation}
                row, sensitivity = cube.sel(**place, n_tuning=n), moved.sel(place)
                values = (row.accuracy_before, row.transfer_accuracy, sensitivity.sel(n_tuning=0))
                values += (sensitivity.sel(n_tuning=n),)
                name = factor if is_reference else f"{factor} {relation}"
                print(f"{name:<36}" + "".join(f"{say_mean(each):<17}" for each in values))
    print("\n" + say_claims(find_claims(cube)))


def plot(cube):
    """Draw the paper's Figures 9 to 11, before and after, and how far sensitivity moves."""
    from matplotlib.figure import Figure  # here, so that the study runs without the extra

    pairs = without_references(cube)
    names = list(dict.fromkeys(pairs.factor_name.values))
    figure = Figure(figsize=(max(11, 4.5 * len(names)), 4.6 * (1 + cube.sizes["n_tuning"])), layout="constrained")
    figure.suptitle(f"{cube.attrs['title']} ({spread_in_words(cube.sizes['seed'])})")
    if not names:
        figure.text(0.5, 0.5, "no pairs of encoders: references alone are in the table", ha="center")
        return figure
    *uppers, lower = figure.subfigures(1 + cube.sizes["n_tuning"], 1)
    stages = {"before": pairs.accuracy_before, "after": pairs.transfer_accuracy}
    lines = xr.concat(
        [values.sel(relation=relation, drop=True) for values in stages.values() for relation in pairs.relation.values],
        xr.Variable("line", [f"{stage}, {relation}" for stage in stages for relation in pairs.relation.values]),
        coords="minimal",
    )
    for part, n in zip(uppers, cube.n_tuning.values, strict=True):
        for panel, name in zip(np.atleast_1d(part.subfigures(1, len(names))), names, strict=True):
            levels = lines.sel(n_tuning=n, drop=True).isel(factor=np.flatnonzero(pairs.factor_name.values == name))
            levels = levels.assign_coords(factor=levels.level.values).rename(factor=name)
            draw_curves(
                panel, levels.drop_vars(["factor_name", "level"]), x=name, line="line", line_label="fine-tuning",
                x_label=LABELS.get(name, name.replace("_", " ")), limits=(0, 1),
                y_label=f"accuracy on the target\n({n} samples)",
            )  # fmt: skip
    moved = count_once(to_target(pairs), pairs.cell).mean("factor")
    moved = moved.assign_coords(n_tuning=["0 (before)", *map(str, cube.n_tuning.values)])
    draw_curves(
        lower, moved, x="n_tuning", line="relation", line_label="source transformations", limits=(0, None),
        x_label="samples that were fine-tuned on",
        y_label="sensitivity to the target's\ntransformations (0: invariant)",
    )  # fmt: skip
    return figure


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
        out = options.out or default_path(DATA / "cubes", "fine_tuning", name, options.preset)
        cube = carry_out(
            options, partial(cell, **where), *make_grid(settings), out, settings, paper=paper, estimate=estimate,
            study="fine_tuning",
            title="Full fine-tuning of encoders that share the target's transformations, and of others",
        )  # fmt: skip
    if cube is not None:
        report(cube, out, print_table, plot, DATA / "published" / "differences.csv")


if __name__ == "__main__":
    main()
