"""Does it still matter which invariances an encoder had, once all of it is fine-tuned?

Question
    After a linear probe, all weights of the pairs of encoders of studies/factors.py are trained on a few or many
    samples of the target task. Does the difference that the source's transformations made remain, and how far does
    sensitivity move? The paper finds that it remains with few samples and diminishes with many, which come close to
    training from scratch (Appendix C.2; Figures 9 to 13).
Grid
    As in studies/factors.py: one factor varies at a time, each level for source transformations "same" and "disjoint"
    and every seed, and two reference encoders, "untrained" and trained without transformations.
Cell
    Pretrain on the source. For each n_tuning: fit a probe on that many samples of the target, and fine-tune a copy of
    the encoder from there on the same samples; accuracy before and after, sensitivity before and after. The paper does
    not say how many samples its probe was fitted on; ours takes those that are tuned on, so no others are used. Batches
    are as large as in pretraining, because it does not give their size either. CIFAR's images are transformed anew in
    every epoch of tuning, as in pretraining.
Cube
    accuracy_before and transfer_accuracy (after) over factor x relation x seed x n_tuning; sensitivity_before over
    factor x relation x seed x transformation, and sensitivity (after) over n_tuning as well; source_accuracy, the
    transformations that source and target use, status. The coordinate "tuning" names the paper's tables. Written
    to data/cubes/fine_tuning.nc.
Claims
    After fine-tuning on few samples "same" is above "disjoint"; with the most samples the difference is smaller, and
    not below 0 (within 0.02). Fine-tuning makes "disjoint" encoders less sensitive to the target's transformations,
    more so with more samples.
Cost
    On two CPU cores: smoke a minute, quick a quarter of an hour; paper needs GPUs for days (--dry-run says how long).
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Appendix C.2.
"""

from pathlib import Path

from invtransfer import FineTuner, FrozenFeatureProbe, InvariantPretrainer, SensitivityScorer
from invtransfer.analysis import (
    count_once,
    drop_references,
    format_means,
    paired_contrast,
    stack_encoders,
    target_sensitivity,
)  # fmt: skip  # isort: skip
from invtransfer.cubes.assembly import make_cell
from invtransfer.networks.architectures import NETWORKS
from invtransfer.paper import Study, main, tasks
from invtransfer.paper.claims import claim, format_claims
from invtransfer.paper.datasets import CIFAR
from invtransfer.paper.grids import factor_grid
from invtransfer.paper.inputs import find_transfer_data
from invtransfer.paper.presets import CHOICES, CIFAR_PROTOCOL, make_presets, on_cifar
from invtransfer.paper.timing import project_seconds
from invtransfer.plots import plot_fine_tuning
from invtransfer.transformations import TRANSFORMATIONS

DATA = Path(__file__).resolve().parent.parent / "data"
RELATIONS = {"class_relation": list(tasks.CLASS_RELATIONS)}
PRESETS = make_presets(
    {"dataset": "transforms2d", "class_relation": "disjoint", "tuning_epochs": 50, "tuning_learning_rate": 1e-3},
    leave_out=["n_probe"],  # the probe is fitted on the samples that are tuned on
    smoke={"tuning_epochs": 2, "levels": {"class_relation": ["disjoint", "same"], "n_tuning": [32, 64]}},
    quick={"tuning_epochs": 10, "n_pairs": 100,
           "levels": RELATIONS | {"n_samples": [500, 2_000], "n_tuning": [200, 1_000]}},
    paper={"levels": RELATIONS | {"architecture": list(NETWORKS),
                                  "n_samples": [1_000, 10_000, 50_000, 100_000, 500_000], "n_tuning": [200, 2_000]}},
)  # fmt: skip
CIFAR_LEVELS = {  # n_samples is of each class; n_tuning is a hundredth and a tenth of the images of 5 or 50 classes
    "cifar10": {"smoke": {}, "quick": {"n_samples": [100, 400], "n_tuning": [225, 1_125]},
                "paper": {"n_samples": [10, 50, 200, 1_000, 4_500], "n_tuning": [225, 2_250]}},
    "cifar100": {"smoke": {}, "quick": {"n_samples": [10, 40], "n_tuning": [225, 1_125]},
                 "paper": {"n_samples": [10, 50, 100, 250, 500], "n_tuning": [225, 2_250]}},
}  # fmt: skip


def cell(
    *, folder, dataset, class_relation, relation, n_classes, seed, architecture, width, n_samples, epochs, batch_size,
    learning_rate, schedule, weight_decay, n_validation, solver, n_tuning, tuning_epochs, tuning_learning_rate, n_test,
    n_pairs, adam_epochs=200, adam_learning_rate=1e-3, objects=None, checkpoints=None,
):  # fmt: skip
    """Pretrain one encoder, and fine-tune a copy of it on each number of samples of the target.

    `objects` says which objects `folder` holds: it tells cells from others, and is not read.
    """
    source, target = tasks.make_tasks(
        folder=folder, dataset=dataset, class_relation=class_relation, relation=relation, seed=seed, n_classes=n_classes
    )
    data, transformations = tasks.sample_training(source, n_samples, n_validation)
    encoder = InvariantPretrainer(
        architecture, width=width, transformations=transformations, epochs=epochs, batch_size=batch_size,
        learning_rate=learning_rate, schedule=schedule, weight_decay=weight_decay, random_state=seed,
        checkpoint=checkpoints and checkpoints / "pretraining.npz",
    ).fit(*data)  # fmt: skip

    def score(encoder):
        return SensitivityScorer(encoder, n_pairs=n_pairs, random_state=seed).fit(target[-1]).sensitivity_

    train_target, validation, test = target[0], target[1].sample(n_validation), target[2].sample(n_test)
    anew = dataset in CIFAR  # photographs are transformed anew in every epoch; Transforms-2D is a set of fixed images
    probe = FrozenFeatureProbe(solver=solver, epochs=adam_epochs, learning_rate=adam_learning_rate, random_state=seed)
    before, after, sensitivities = [], [], []
    for n in n_tuning:
        X, y = train_target.sample(n, transformations=() if anew else None)
        tuner = FineTuner(
            encoder, probe=probe, transformations=train_target.transformations if anew else (), epochs=tuning_epochs,
            batch_size=batch_size, learning_rate=tuning_learning_rate, random_state=seed,
            checkpoint=checkpoints and checkpoints / f"tuning-{n}.npz",
        ).fit(X, y, *tasks.keep_known(validation, y))  # fmt: skip
        before.append(tuner.probe_.score(*test))
        after.append(tuner.score(*test))
        sensitivities.append(score(tuner).values)
    sensitivity = score(encoder)
    source_accuracy = encoder.score(*source[-1].sample(tasks.count_available(source[-1], n_test)))
    names, along = sensitivity.transformation.values, "transformation"
    variables = {
        "source_accuracy": ((), source_accuracy, "accuracy on the source task"),
        "accuracy_before": ("n_tuning", before, "accuracy of the probe on the target task"),
        "transfer_accuracy": ("n_tuning", after, "accuracy on the target task after fine-tuning"),
        "sensitivity_before": (along, sensitivity.values, "sensitivity of the encoder on the target"),
        "sensitivity": (("n_tuning", along), sensitivities, "sensitivity after fine-tuning, on the target"),
        "source_transformation": (along, tasks.mark_used(names, source), "used by the source"),
        "target_transformation": (along, tasks.mark_used(names, target), "used by the target"),
    }
    n_images = 9 * CIFAR[dataset].n_train // 10 * n_classes if anew else 1  # available for training
    tuning = [f"full-{n / n_images:g}" for n in n_tuning]
    return make_cell(variables, {**sensitivity.coords, "n_tuning": list(n_tuning), "tuning": ("n_tuning", tuning)})


def make_grid(settings):
    """Return the place and arguments of every cell, and the cube's coordinates."""
    levels = dict(settings["levels"])
    n_tuning = sorted(levels.pop("n_tuning"))
    places, coordinates = factor_grid(settings | {"levels": levels})
    return [(labels, arguments | {"n_tuning": n_tuning}) for labels, arguments in places], coordinates


def estimate(
    *, dataset, class_relation, n_classes, n_samples, epochs, n_validation, n_tuning, tuning_epochs, n_test, n_pairs,
    **cell,
):  # fmt: skip
    """Project the seconds of a cell."""
    n_images = tasks.count_training_images(dataset, class_relation, n_classes, n_samples)
    n_encoded = (epochs + len(n_tuning) * tuning_epochs) * n_validation + sum(n_tuning)
    n_encoded += (1 + 2 * len(n_tuning)) * n_test
    # each transformation, and the target's together, for the encoder and all that are tuned from it
    n_encoded += 2 * (1 + len(n_tuning)) * (1 + len(TRANSFORMATIONS)) * n_pairs
    return project_seconds(epochs * n_images + tuning_epochs * sum(n_tuning), n_encoded, **cell)


def find_claims(cube):
    """Check the paper's claims with our numbers; each pair of encoders counts once."""
    pairs, claims = drop_references(cube), []
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
        moved = count_once(target_sensitivity(pairs), pairs.cell).sel(relation="disjoint").mean("factor")
        before, few, many = (moved.sel(n_tuning=n, drop=True) for n in (0, n_few, n_many))
        text = "sensitivity of disjoint encoders to the target's transformations"
        claims.append(claim(f"{text}: after {n_few} below before", few, "<", before))
        if n_many > n_few:
            claims.append(claim(f"{text}: after {n_many} below after {n_few}", many, "<", few))
    return claims


def format_results(cube):
    """Format accuracies and sensitivities before and after, and the claims."""
    parts, moved = [], stack_encoders(target_sensitivity(cube).assign_coords(factor_name=cube.factor_name))
    for n in cube.n_tuning.values:
        row = cube.sel(n_tuning=n)
        columns = {
            "accuracy before": stack_encoders(row.accuracy_before),
            "accuracy after": stack_encoders(row.transfer_accuracy),
            "sensitivity before": moved.sel(n_tuning=0),
            "sensitivity after": moved.sel(n_tuning=n),
        }
        parts.append(
            f"{n} samples of the target: mean ± 95 % interval over seeds (n = {cube.sizes['seed']}); sensitivity is to"
            " the target's transformations"
        )
        parts.append(format_means(columns, "encoder"))
    return "\n\n".join([*parts, format_claims(find_claims(cube))])


STUDY = Study(
    name="fine_tuning", title="Full fine-tuning of encoders that share the target's transformations, and of others",
    description=__doc__, folder=DATA, presets=PRESETS, datasets=on_cifar(CIFAR_LEVELS, leave_out=["n_probe"]),
    choices=CHOICES | {"dataset": ["transforms2d", *CIFAR_PROTOCOL]}, find=find_transfer_data, cell=cell,
    grid=make_grid, estimate=estimate, table=format_results, figure=plot_fine_tuning, published="differences.csv",
)  # fmt: skip

if __name__ == "__main__":
    main(STUDY)
