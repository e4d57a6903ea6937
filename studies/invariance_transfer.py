"""Do invariances that were learned on one kind of images hold on others?

Question
    One encoder for each of the 18 transformations is pretrained to be invariant to it, on objects ("image") or on
    random patterns ("random"). Is it invariant to that transformation on objects that it has not seen, on the other
    kind of images, on photographs? The paper finds that it is, less so on unseen random patterns; and that some
    transformations spill over to others (Section 5.1 and Appendix D; Tables 2 to 5, Figures 16 and 17).
Grid
    trained_on x pretraining_transformation (the 18; "none": without; "untrained": initial weights) x seed, and four
    architectures under paper. A seed draws classes, patterns, images and weights anew, the same for all
    transformations, so that their encoders are paired.
Cell
    Pretrain on the source with one transformation; score sensitivity to each of the 18 on images without others, of the
    source's classes (in_distribution), of as many other classes of its kind (mild_ood), of the other kind (strong_ood),
    of CIFAR-10 and of CIFAR-100.
Cube
    sensitivity over architecture x trained_on x pretraining_transformation x seed x evaluated_on x transformation;
    source_accuracy, status. Written to data/cubes/invariance_transfer.nc.
Claims
    On every kind of images, an encoder is less sensitive to its own transformation ("same") than to others ("other"),
    and than the encoder trained without any ("none"); invariances reach random patterns less well than objects; rotate
    and shear spill over to both flips, hue and grayscale to each other. Claims are over the transformations that were
    trained with, and seeds that have all encoders. Untrained encoders are beside them: they may have a low sensitivity
    without having learned anything.
Cost
    On two CPU cores: smoke half a minute, quick a quarter of an hour; paper needs GPUs for days (--dry-run says).
    CIFAR is used if --evaluated-on-levels names it, as quick does with CIFAR-10, and paper with both.
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Section 5.1 and
    Appendix D.
"""

from itertools import product
from pathlib import Path

import numpy as np
import xarray as xr

from invtransfer import InvariantPretrainer, SensitivityScorer, TransformedImages, load_objects
from invtransfer.analysis import format_means, invariance_by_relation, spillover
from invtransfer.paper import Study, main, tasks
from invtransfer.paper.claims import claim, format_claims
from invtransfer.paper.datasets import CIFAR, PATTERN_SIZE, load_cifar, load_objects_and_backgrounds
from invtransfer.paper.grids import cell_arguments, full_grid
from invtransfer.paper.inputs import Inputs, find_task_data
from invtransfer.paper.presets import CHOICES, make_presets
from invtransfer.paper.timing import project_seconds
from invtransfer.plots import plot_invariance_transfer
from invtransfer.transformations import TRANSFORMATIONS

DATA = Path(__file__).resolve().parent.parent / "data"
KINDS = ("image", "random")
EVALUATED_ON = ("in_distribution", "mild_ood", "strong_ood", *CIFAR)
ENCODERS = (*TRANSFORMATIONS, "none", "untrained")
SPILLOVERS = (("rotate", "h_flip"), ("rotate", "v_flip"), ("shear", "h_flip"), ("shear", "v_flip"))
SPILLOVERS += (("hue", "grayscale"), ("grayscale", "hue"))  # which the paper names in Appendix D.2
LEVELS = {"architecture": ["resnet18"], "trained_on": list(KINDS), "pretraining_transformation": list(ENCODERS)}
PRESETS = make_presets(
    leave_out=["architecture", "solver", "n_probe", "adam_epochs", "adam_learning_rate"],  # it has levels; no probes
    smoke={"levels": LEVELS | {"pretraining_transformation": ["h_flip", "hue", "none", "untrained"],
                               "evaluated_on": list(EVALUATED_ON[:3])}},
    quick={"n_samples": 1_000, "n_pairs": 64, "levels": LEVELS | {"evaluated_on": list(EVALUATED_ON[:4])}},
    paper={"levels": LEVELS | {"architecture": ["resnet18", "vgg11", "densenet121", "vit"],
                               "evaluated_on": list(EVALUATED_ON)}},
)  # fmt: skip


def make_parts(kind, folder, seed, n_classes, transformations):
    """Return training, validation and test sources of some classes of one kind of images, and a source of others."""
    objects, backgrounds = load_objects_and_backgrounds(folder)
    if kind == "random":
        objects, backgrounds = load_objects("random", size=PATTERN_SIZE, random_state=seed), "random"
    classes, others = tasks.draw_classes("disjoint", n_classes, len(objects), seed)
    parts = tasks.objects_task(objects, classes, transformations, 2 * seed, backgrounds)
    return parts, tasks.objects_task(objects, others, (), 2 * seed + 1, backgrounds)[-1]


def cell(
    *, folder, data, trained_on, pretraining_transformation, evaluated_on, seed, n_classes, architecture, width,
    n_samples, epochs, batch_size, learning_rate, schedule, weight_decay, n_validation, n_test, n_pairs, objects=None,
    checkpoints=None,
):  # fmt: skip
    """Pretrain one encoder, and score its sensitivity to all transformations on each kind of images.

    `objects` says which objects `folder` holds: it tells cells from others, and is not read.
    """
    transformations = [pretraining_transformation] if pretraining_transformation in TRANSFORMATIONS else []
    source, others = make_parts(trained_on, folder, seed, n_classes, transformations)
    training, _ = tasks.sample_training(source, n_samples, n_validation)
    encoder = InvariantPretrainer(
        architecture, width=width, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate,
        schedule=schedule, weight_decay=weight_decay, random_state=seed,
        checkpoint=checkpoints and checkpoints / "pretraining.npz",
    ).fit(*training)  # fmt: skip

    other_kind = KINDS[1 - KINDS.index(trained_on)]
    sensitivities = []
    for name in evaluated_on:
        if name in CIFAR:
            images, labels = load_cifar(name, data)[1]
            order = np.random.default_rng([seed, 4]).permutation(len(images))[:n_pairs]
            shown = TransformedImages(images[order], labels[order], random_state=seed)
        elif name == "strong_ood":
            shown = make_parts(other_kind, folder, seed, n_classes, ())[0][-1]
        else:
            shown = {"in_distribution": source[-1], "mild_ood": others}[name]
        sensitivities.append(SensitivityScorer(encoder, n_pairs=n_pairs, random_state=seed).fit(shown).sensitivity_)
    sensitivity = xr.concat(sensitivities, "evaluated_on").assign_coords(evaluated_on=list(evaluated_on))
    accuracy = encoder.score(*source[-1].sample(n_test))
    return xr.Dataset(
        {
            "sensitivity": sensitivity.assign_attrs(units="1", long_name="sensitivity to the transformation"),
            "source_accuracy": ((), accuracy, {"units": "1", "long_name": "accuracy on the source task"}),
        }
    )


def find(*, objects, data, n_classes, levels, **_):
    """Find the data that encoders are trained and evaluated on."""
    for dataset in CIFAR:
        if dataset in levels["evaluated_on"]:
            load_cifar(dataset, str(data))  # fails here if it is not there
    inputs = find_task_data(objects=objects, data=data, n_classes=n_classes)
    return Inputs(inputs.where | {"data": str(data)}, inputs.name, inputs.identity)


def make_grid(settings):
    """Return the place and arguments of every cell, and the cube's coordinates."""
    levels = settings["levels"]

    def arguments(**labels):
        untrained = {"epochs": 0} if labels["pretraining_transformation"] == "untrained" else {}
        return cell_arguments(settings, **labels, evaluated_on=levels["evaluated_on"]) | untrained

    along = ("architecture", "trained_on", "pretraining_transformation")
    return full_grid({name: levels[name] for name in along} | {"seed": list(range(settings["seeds"]))}, arguments)


def estimate(*, evaluated_on, n_samples, epochs, n_validation, n_test, n_pairs, **cell):
    """Project the seconds of a cell."""
    n_encoded = 2 * len(TRANSFORMATIONS) * len(evaluated_on) * n_pairs + n_test + epochs * n_validation
    return project_seconds(epochs * n_samples, n_encoded, **cell)


def spillover_in_distribution(sensitivity):
    """Return what training with one transformation changes for the others, mean over both kinds of images.

    None if a part of the grid has nothing that can be compared.
    """
    found = {*sensitivity.pretraining_transformation.values, *sensitivity.evaluated_on.values}
    if not {"none", "in_distribution"} <= found or not found & set(TRANSFORMATIONS):
        return None
    return spillover(sensitivity.sel(evaluated_on="in_distribution", drop=True)).mean("trained_on")


def find_claims(sensitivity):
    """Check the paper's claims with the sensitivities of one architecture."""
    claims = []
    trained = [name for name in sensitivity.transformation.values if name in sensitivity.pretraining_transformation]
    if not trained:
        return claims
    # Over the same transformations, and seeds that have all encoders: means over others would not compare.
    own = sensitivity.sel(transformation=trained)
    table = invariance_by_relation(own.where(own.notnull().all("pretraining_transformation")))
    same = table.sel(relation="same", drop=True)
    for kind, place in product(sensitivity.trained_on.values, sensitivity.evaluated_on.values):
        here = {"trained_on": kind, "evaluated_on": place}
        for other in ("other", "none"):
            text = f"trained on {kind}, evaluated on {place}: same is below {other}"
            claims.append(claim(text, same.sel(here), "<", table.sel(here).sel(relation=other)))
    unseen = {"image": ("mild_ood", "strong_ood"), "random": ("strong_ood", "mild_ood")}  # objects, patterns
    for kind, (on_objects, on_patterns) in unseen.items():
        if kind in same.trained_on and {on_objects, on_patterns} <= set(same.evaluated_on.values):
            objects, patterns = (same.sel(trained_on=kind, evaluated_on=place) for place in (on_objects, on_patterns))
            text = f"trained on {kind}: same is lower on unseen objects than on unseen patterns"
            claims.append(claim(text, objects, "<", patterns))
    change = spillover_in_distribution(sensitivity)
    if change is not None:
        for trained, other in SPILLOVERS:
            if trained in change.pretraining_transformation and other in change.transformation:
                values = change.sel(pretraining_transformation=trained, transformation=other)
                claims.append(claim(f"{trained} lowers the sensitivity to {other} in-distribution", values, "<", 0.0))
    return claims


def format_spillovers(sensitivity):
    """Format the largest spill-overs; nothing if a part of the grid has none."""
    change = spillover_in_distribution(sensitivity)
    if change is None:
        return []
    change = change.mean("seed")
    pairs = change.stack(pair=change.dims).dropna("pair").sortby(lambda values: values)[:8]
    lines = ["largest spill-overs in-distribution (sensitivity minus that of the encoder trained without):"]
    for pair in pairs:
        names = f"{pair.pretraining_transformation.item()} to {pair.transformation.item()}"
        lines.append(f"  {names:<28}{pair.item():+.2f}")
    return ["\n".join(lines)]


def format_results(cube):
    """Format the paper's Table 2, the largest spill-overs and the claims, for each architecture."""
    parts = []
    for architecture in cube.architecture.values:
        sensitivity = cube.sensitivity.sel(architecture=architecture, drop=True)
        table = invariance_by_relation(sensitivity).stack(encoder=("trained_on", "relation"), create_index=False)
        labels = zip(table.trained_on.values, table.relation.values, strict=True)
        table = table.assign_coords(encoder=[f"trained on {kind}: {which}" for kind, which in labels])
        columns = {name: table.sel(evaluated_on=name) for name in table.evaluated_on.values}
        n = cube.sizes["seed"]
        parts.append(f"{architecture}: sensitivity (0: invariant), mean ± 95 % interval over seeds (n = {n})")
        parts += [format_means(columns, "encoder"), *format_spillovers(sensitivity)]
        parts.append(format_claims(find_claims(sensitivity)))
    return "\n\n".join(parts)


STUDY = Study(
    name="invariance_transfer", title="Invariance transfer under distribution shift", description=__doc__,
    folder=DATA, presets=PRESETS,
    choices=CHOICES | {"trained_on": KINDS, "pretraining_transformation": ENCODERS, "evaluated_on": EVALUATED_ON},
    find=find, cell=cell, grid=make_grid, estimate=estimate, table=format_results, figure=plot_invariance_transfer,
    published="invariance_transfer.csv",
)  # fmt: skip

if __name__ == "__main__":
    main(STUDY)
