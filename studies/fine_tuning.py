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
    transformations that source and target use, source_seen and target_seen (see studies/factors.py), status. The
    coordinate "tuning" names the paper's tables. Written to data/cubes/fine_tuning.nc.
Claims
    After fine-tuning on few samples "same" is above "disjoint"; with the most samples the difference is smaller, and
    not below 0 (within 0.02). Fine-tuning makes "disjoint" encoders less sensitive to the target's transformations,
    more so with more samples.
Departures
    Those of studies/factors.py; and quick fine-tunes for 10 epochs, overnight for 20, where the paper does for 50.
Cost
    On two CPU cores: smoke a minute, quick a quarter of an hour, overnight hours; paper needs GPUs for days.
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Appendix C.2.
"""

from functools import partial
from pathlib import Path

from invtransfer import FineTuner, FrozenFeatureProbe, SensitivityScorer
from invtransfer.analysis import (
    claims,
    count_once,
    drop_references,
    format_fine_tuning,
    paired_contrast,
    target_sensitivity,
)
from invtransfer.cubes.assembly import make_cell
from invtransfer.paper import Study, datasets, grids, inputs, main, presets, tasks, timing
from invtransfer.paper.pretraining import pretrain
from invtransfer.plots import plot_fine_tuning
from invtransfer.transformations import TRANSFORMATIONS

DATA = Path(__file__).resolve().parent.parent / "data"
RELATIONS, N_SAMPLES = {"class_relation": list(tasks.CLASS_RELATIONS)}, presets.N_SAMPLES["transforms2d"]
PRESETS = presets.make_presets(
    {"dataset": "transforms2d", "class_relation": "disjoint", "tuning_epochs": 50, "tuning_learning_rate": 1e-3},
    leave_out=["n_probe"],  # the probe is fitted on the samples that are tuned on
    smoke={"tuning_epochs": 1, "levels": {"class_relation": ["disjoint"], "n_tuning": [32, 64]}},
    quick={"tuning_epochs": 10, "n_pairs": 100,
           "levels": RELATIONS | {"n_samples": N_SAMPLES["quick"], "n_tuning": [200, 1_000]}},
    overnight={"tuning_epochs": 20, "levels": RELATIONS | {"n_samples": [2_000, 10_000], "n_tuning": [200, 2_000]}},
    paper={"levels": RELATIONS | {"architecture": list(presets.CHOICES["architecture"]),
                                  "n_samples": N_SAMPLES["paper"], "n_tuning": [200, 2_000]}},
)  # fmt: skip


def cell(
    *, folder, dataset, class_relation, relation, n_classes, seed, batch_size, n_validation, solver, n_tuning,
    tuning_epochs, tuning_learning_rate, n_test, n_pairs, adam_epochs=200, adam_learning_rate=1e-3, objects=None,
    checkpoints=None, **training,
):  # fmt: skip
    """Pretrain one encoder, and fine-tune a copy of it on each number of samples of the target.

    `training` are further keywords of `pretrain`. `objects` says which objects `folder` holds: it tells cells from
    others, and is not read.
    """
    source, target = tasks.make_tasks(
        folder=folder, dataset=dataset, class_relation=class_relation, relation=relation, seed=seed, n_classes=n_classes
    )
    encoder, measured = pretrain(
        source, seed=seed, batch_size=batch_size, n_validation=n_validation, n_test=n_test, checkpoints=checkpoints,
        **training,
    )  # fmt: skip

    train_target, validation, test = target[0], target[1].sample(n_validation), target[2].sample(n_test)
    anew = dataset in datasets.CIFAR  # photographs are transformed anew in every epoch, images of Transforms-2D never
    probe = FrozenFeatureProbe(solver=solver, epochs=adam_epochs, learning_rate=adam_learning_rate, random_state=seed)
    scorer = partial(SensitivityScorer, n_pairs=n_pairs, random_state=seed)
    before, after, sensitivities, seen = [], [], [], []
    for n in n_tuning:
        X, y = train_target.sample(n, transformations=() if anew else None)
        tuner = FineTuner(
            encoder, probe=probe, transformations=train_target.transformations if anew else (), epochs=tuning_epochs,
            batch_size=batch_size, learning_rate=tuning_learning_rate, random_state=seed,
            checkpoint=checkpoints and checkpoints / f"tuning-{n}.npz",
        ).fit(X, y, *tasks.keep_known(validation, y))  # fmt: skip
        seen.append(tasks.share_seen(X, test[0]))
        before.append(tuner.probe_.score(*test))
        after.append(tuner.score(*test))
        sensitivities.append(scorer(tuner).fit(target[-1]).sensitivity_.values)
    sensitivity = scorer(encoder).fit(target[-1]).sensitivity_
    names, along = sensitivity.transformation.values, "transformation"
    variables = measured | {
        "accuracy_before": ("n_tuning", before, "accuracy of the probe on the target task"),
        "transfer_accuracy": ("n_tuning", after, "accuracy on the target task after fine-tuning"),
        "target_seen": ("n_tuning", seen, "share of the target's test images that were tuned on"),
        "sensitivity_before": (along, sensitivity.values, "sensitivity of the encoder on the target"),
        "sensitivity": (("n_tuning", along), sensitivities, "sensitivity after fine-tuning, on the target"),
        "source_transformation": (along, tasks.mark_used(names, source), "used by the source"),
        "target_transformation": (along, tasks.mark_used(names, target), "used by the target"),
    }
    n_images = 9 * datasets.CIFAR[dataset].n_train // 10 * n_classes if anew else 1  # available for training
    tuning = [f"full-{n / n_images:g}" for n in n_tuning]
    return make_cell(variables, {**sensitivity.coords, "n_tuning": list(n_tuning), "tuning": ("n_tuning", tuning)})


def make_grid(settings):
    """Return the place and arguments of every cell, and the cube's coordinates."""
    factors = {name: levels for name, levels in settings["levels"].items() if name != "n_tuning"}
    return grids.factor_grid(settings | {"levels": factors, "n_tuning": sorted(settings["levels"]["n_tuning"])})


def estimate(
    *, dataset, class_relation, n_classes, n_samples, epochs, n_validation, n_tuning, tuning_epochs, n_test, n_pairs,
    **cell,
):  # fmt: skip
    """Project the seconds of a cell."""
    n_images, n_tuned = tasks.count_training_images(dataset, class_relation, n_classes, n_samples), len(n_tuning)
    n_scored = 2 * (1 + n_tuned) * (1 + len(TRANSFORMATIONS)) * n_pairs  # each, and the target's together
    n_encoded = (epochs + n_tuned * tuning_epochs) * n_validation + sum(n_tuning) + (1 + 2 * n_tuned) * n_test
    return timing.project_seconds(epochs * n_images + tuning_epochs * sum(n_tuning), n_encoded + n_scored, **cell)


def find_claims(cube):
    """Check the paper's claims with our numbers; each pair of encoders counts once."""
    pairs, found = drop_references(cube), []
    n_few, n_many = cube.n_tuning.values[[0, -1]]
    if {"same", "disjoint"} <= set(pairs.relation.values) and pairs.sizes["factor"]:
        accuracy = count_once(pairs.transfer_accuracy, pairs.cell)
        gain = paired_contrast(accuracy, "relation", "same", "disjoint").mean("factor")
        few, many = (gain.sel(n_tuning=n, drop=True) for n in (n_few, n_many))
        found.append(claims.claim(f"same minus disjoint after {n_few} samples is above 0", few, ">", 0.0))
        if n_many > n_few:
            found.append(claims.claim(f"it is smaller after {n_many} than after {n_few}", many, "<", few))
            found.append(claims.claim(f"it is not below 0 after {n_many} (within 0.02)", many, ">", 0.0, margin=0.02))
    if "disjoint" in pairs.relation and pairs.sizes["factor"]:
        moved = count_once(target_sensitivity(pairs), pairs.cell).sel(relation="disjoint").mean("factor")
        before, few, many = (moved.sel(n_tuning=n, drop=True) for n in (0, n_few, n_many))
        text = "sensitivity of disjoint encoders to the target's transformations"
        found.append(claims.claim(f"{text}: after {n_few} below before", few, "<", before))
        if n_many > n_few:
            found.append(claims.claim(f"{text}: after {n_many} below after {n_few}", many, "<", few))
    return found


STUDY = Study(
    name="fine_tuning", title="Full fine-tuning of encoders that share the target's transformations, and of others",
    description=__doc__, folder=DATA, presets=PRESETS,
    # on CIFAR, n_tuning is a hundredth and a twentieth or tenth of the images of 5 or 50 classes
    datasets=presets.on_cifar(["n_probe"], quick={"n_tuning": [225, 1_125]}, paper={"n_tuning": [225, 2_250]}),
    choices=presets.CHOICES, find=inputs.find_transfer_data, cell=cell, grid=make_grid, estimate=estimate,
    table=format_fine_tuning, figure=plot_fine_tuning, claims=find_claims, published="differences.csv",
)  # fmt: skip

if __name__ == "__main__":
    main(STUDY)
