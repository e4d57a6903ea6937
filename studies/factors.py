"""How important is sharing the target's invariances, compared with other factors of pretraining?

Question
    Pairs of encoders differ in whether they were pretrained with the target task's transformations ("same") or with
    others ("disjoint"). Is the difference in transfer accuracy between them larger than the differences that the
    relation of the classes, the architecture and the number of training samples make? The paper finds it larger or
    comparable (Section 4.1 and Appendix C.1; Figures 2, 3, 7 and 8).
Grid
    One factor varies at a time, and the others stay at their defaults: class_relation (subset: a third of the target's
    classes; disjoint, the default: as many others; same; superset: the target's and as many others), architecture,
    n_samples (on CIFAR: per class), n_probe (samples that the probe is fitted on; not in the paper). Each level
    comes with both relations and every seed. Beside them are two reference encoders of the default architecture:
    untrained, and trained without transformations; they are the same for both relations. A seed draws objects,
    transformations (one of each category for the target, another of each for "disjoint"), images and weights anew.
    Cells of one seed share the target, so contrasts between them are paired.
Cell
    Pretrain on the source, probe on the target, score sensitivity to each of the 18 transformations on the target's
    images.
Cube
    factor x relation x seed (x transformation): source_accuracy, transfer_accuracy, sensitivity with its interval,
    composed_sensitivity, the transformations that source and target use, status; source_seen and target_seen, shares of
    test images that are identical to a training image. Written to data/cubes/.
Claims
    For each factor, "same minus disjoint" is larger than "within disjoint" and "within same".
Departures
    Transformations are one of each category, as in the released code; the text has them uniform among the 18. On CIFAR,
    encoders of more classes see more images, as in the paper. ViT has a learning rate, schedule, weight decay and
    number of epochs of its own in every preset. Training samples span a factor of 3 in quick and 25 in overnight, 500
    in the paper. See invtransfer/paper/presets.py for the recipes.
Cost
    On two CPU cores: smoke half a minute, quick 15 to 25 minutes, overnight a day; paper needs GPUs for days.
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Section 4.1 and
    Appendices B and C.1.
"""

from pathlib import Path

import xarray as xr

from invtransfer import FrozenFeatureProbe, SensitivityScorer
from invtransfer.analysis import (
    REFERENCE,
    claims,
    count_once,
    drop_references,
    factor_contrasts,
    fill_relations,
    format_means,
)
from invtransfer.cubes.assembly import make_cell
from invtransfer.paper import Study, grids, inputs, main, presets, tasks, timing
from invtransfer.paper.pretraining import pretrain
from invtransfer.plots import plot_factors
from invtransfer.transformations import TRANSFORMATIONS

DATA = Path(__file__).resolve().parent.parent / "data"
LEVELS = {name: list(presets.CHOICES[name]) for name in ("class_relation", "architecture")}
N_SAMPLES = presets.N_SAMPLES["transforms2d"]
PRESETS = presets.make_presets(
    {"dataset": "transforms2d", "class_relation": "disjoint"},
    smoke={"levels": {"class_relation": ["disjoint", "superset"], "architecture": ["resnet18", "vgg11", "vit"],
                      "n_samples": [32, 64], "n_probe": [50, 64]}},
    quick={"levels": LEVELS | {"n_samples": N_SAMPLES["quick"], "n_probe": [50, 200, 500, 2_000]}},
    overnight={"levels": LEVELS | {"n_samples": N_SAMPLES["overnight"], "n_probe": [50, 500, 2_000, 10_000, 50_000]}},
    paper={"levels": LEVELS | {"n_samples": N_SAMPLES["paper"], "n_probe": [50, 200, 500, 2_000, 5_000]}},
)  # fmt: skip
ON_CIFAR = presets.on_cifar(smoke={"n_samples": [16, 32]}, overnight={"n_probe": [50, 500, 2_000, 10_000]})


def cell(
    *, folder, dataset, class_relation, relation, n_classes, seed, n_validation, solver, n_probe, n_test, n_pairs,
    adam_epochs=200, adam_learning_rate=1e-3, objects=None, checkpoints=None, **training,
):  # fmt: skip
    """Pretrain one encoder, probe it on the target with each number of samples, and score its sensitivity there.

    `training` are further keywords of `pretrain`. `objects` says which objects `folder` holds: it tells cells from
    others, and is not read.
    """
    source, target = tasks.make_tasks(
        folder=folder, dataset=dataset, class_relation=class_relation, relation=relation, seed=seed, n_classes=n_classes
    )
    encoder, measured = pretrain(
        source, seed=seed, n_validation=n_validation, n_test=n_test, checkpoints=checkpoints, **training
    )
    # features are computed once: each probe sees the first of them
    samples = tasks.sample_task(target, max(n_probe), n_validation, n_test)
    seen = tasks.share_seen(samples[0][0], samples[-1][0])
    (Z, labels), validation, test = ((encoder.transform(X), y) for X, y in samples)
    probe = FrozenFeatureProbe(solver=solver, epochs=adam_epochs, learning_rate=adam_learning_rate, random_state=seed)
    fits = (probe.fit(Z[:n], labels[:n], *tasks.keep_known(validation, labels[:n])) for n in n_probe)
    accuracies = [fitted.score(*test) for fitted in fits]
    scorer = SensitivityScorer(encoder, n_pairs=n_pairs, random_state=seed).fit(target[-1])
    composed, (low, high) = scorer.composed_sensitivity_, scorer.sensitivity_interval_.transpose("bound", ...).values
    names, along = scorer.sensitivity_.transformation.values, "transformation"
    variables = measured | {
        "transfer_accuracy": ("n_probe", accuracies, "accuracy of the probe on the target task"),
        "target_seen": ((), seen, "share of the target's test images that the largest probe was fitted on"),
        "sensitivity": (along, scorer.sensitivity_.values, "sensitivity on the target's images"),
        "sensitivity_low": (along, low, "lower end of its 95 % interval over pairs"),
        "sensitivity_high": (along, high, "upper end of its 95 % interval over pairs"),
        "composed_sensitivity": ((), composed, "sensitivity to the target's transformations together"),
        "source_transformation": (along, tasks.mark_used(names, source), "used by the source"),
        "target_transformation": (along, tasks.mark_used(names, target), "used by the target"),
    }
    return make_cell(variables, {**scorer.sensitivity_.coords, "n_probe": list(n_probe)})


def make_grid(settings):
    """Return place, arguments and part of the cell for all of the cube, and its coordinates."""
    n_probes = {settings["n_probe"], *settings["levels"].get("n_probe", [])}
    places, coordinates = grids.factor_grid(settings)
    names = dict(zip(coordinates["factor"], coordinates["factor_name"][1], strict=True))
    grid = []
    for labels, arguments in places:
        name, n_probe = names[labels["factor"]], arguments["n_probe"]
        # One encoder serves all numbers of probe samples: that of the default level of all other factors.
        default = name == "n_probe" or (name in settings and arguments[name] == settings[name])
        arguments |= {"n_probe": sorted(n_probes | {n_probe}) if default else [n_probe]}
        grid.append((labels, arguments, {"n_probe": n_probe}))
    return grid, coordinates


def estimate(*, dataset, class_relation, n_classes, n_samples, epochs, n_validation, n_probe, n_test, n_pairs, **cell):
    """Project the seconds of a cell."""
    n_images = tasks.count_training_images(dataset, class_relation, n_classes, n_samples)
    n_scored = 2 * (1 + len(TRANSFORMATIONS)) * n_pairs  # each transformation, and the target's together
    n_encoded = max(n_probe) + n_validation + 2 * n_test + n_scored + epochs * n_validation
    return timing.project_seconds(epochs * n_images, n_encoded, **cell)


def find_claims(cube):
    """Check the paper's claims with our numbers."""
    contrasts, found = factor_contrasts(fill_relations(cube).transfer_accuracy), []
    for name in contrasts.factor_name.values:
        disjoint, between, same = contrasts.sel(factor_name=name).reset_coords(drop=True).transpose("contrast", "seed")
        for other, values in (("within disjoint", disjoint), ("within same", same)):
            found.append(claims.claim(f"{name}: same minus disjoint is larger than {other}", between, ">", values))
    return found


def format_results(cube):
    """Format the three differences of the paper's Figure 3 for each factor, and the references."""
    contrasts = factor_contrasts(fill_relations(cube).transfer_accuracy)
    columns = {name.replace("_", " "): contrasts.sel(contrast=name) for name in contrasts.contrast.values}
    parts = [f"differences in transfer accuracy: mean ± 95 % interval over seeds (n = {cube.sizes['seed']})"]
    parts.append(format_means(columns, "factor_name"))
    references = cube.isel(factor=cube.factor_name.values == REFERENCE, relation=0)
    if references.sizes["factor"]:
        parts.append(format_means({"transfer accuracy": references.transfer_accuracy}, "factor"))
    if "sensitivity" in cube:
        parts.append("sensitivity to the target's transformations, mean over encoders (if untrained, no invariance)")
        parts.append(format_means(compare_sensitivity(cube), "encoder"))
    return "\n\n".join(parts)


def compare_sensitivity(cube):
    """Compare the sensitivity of all encoders to the target's transformations with that of "same", paired by seed."""
    own = count_once(cube.sensitivity, cube.cell).where(cube.target_transformation == 1).mean("transformation")
    trained, references = drop_references(own), own.isel(factor=own.factor_name.values == REFERENCE, relation=0)
    parts = {relation: trained.sel(relation=relation).mean("factor") for relation in cube.relation.values.tolist()}
    parts |= {str(one.level.item()): one for one in references.transpose("factor", ...)}
    parts = {name: values.reset_coords(drop=True) for name, values in parts.items()}
    means = xr.concat(parts.values(), "encoder").assign_coords(encoder=list(parts))
    columns = {"sensitivity": means}
    if "same" in parts:
        columns["same minus it"] = means.sel(encoder="same", drop=True) - means
    return columns


STUDY = Study(
    name="factors", title="Invariance and other factors of transfer", description=__doc__, folder=DATA,
    presets=PRESETS, datasets=ON_CIFAR, choices=presets.CHOICES,
    find=inputs.find_transfer_data, cell=cell, grid=make_grid, estimate=estimate, table=format_results,
    figure=plot_factors, claims=find_claims, published="factors.csv",
)  # fmt: skip

if __name__ == "__main__":
    main(STUDY)
