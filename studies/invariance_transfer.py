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
Pattern
    On every kind of images, an encoder is less sensitive to its own transformation ("same") than to others ("other"),
    and than the encoder trained without any ("none"); invariances reach random patterns less well than objects; rotate
    and shear spill over to both flips, hue and grayscale to each other. Claims are over the transformations that were
    trained with, and seeds that have all encoders. Untrained encoders are beside them: they may be little sensitive
    without having learned anything.
Cost
    On two CPU cores: smoke half a minute, quick a quarter of an hour; paper needs GPUs for days (--dry-run says).
    CIFAR is evaluated on where --evaluated-on-levels names it, which quick does for CIFAR-10 and paper for both.
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Section 5.1 and
    Appendix D.
"""

from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import xarray as xr

from invtransfer import SensitivityScorer, TransformedImages, load_objects
from invtransfer.analysis import invariance_by_relation, spillover
from invtransfer.paper.claims import claim, say_claims, say_mean
from invtransfer.paper.command_line import carry_out, default_path, override, refuse, report, study_parser
from invtransfer.paper.datasets import CIFAR, PAPER_OBJECTS, PATTERN_SIZE, load_cifar, load_pictures
from invtransfer.paper.protocol import CHOICES, PROTOCOL, cell_arguments, estimate_seconds, find_data, pretrain
from invtransfer.paper.tasks import draw_classes, objects_task
from invtransfer.plots import draw_curves, draw_matrices, spread_in_words
from invtransfer.transformations import TRANSFORMATIONS

DATA = Path(__file__).resolve().parent.parent / "data"
KINDS = ("image", "random")
EVALUATED_ON = ("in_distribution", "mild_ood", "strong_ood", *CIFAR)
ENCODERS = (*TRANSFORMATIONS, "none", "untrained")
SPILLOVERS = (("rotate", "h_flip"), ("rotate", "v_flip"), ("shear", "h_flip"), ("shear", "v_flip"))
SPILLOVERS += (("hue", "grayscale"), ("grayscale", "hue"))  # that the paper names in Appendix D.2
ALL = {"trained_on": list(KINDS), "pretraining_transformation": list(ENCODERS)}
PRESETS = {
    "smoke": PROTOCOL["smoke"] | {"levels": {
        "architecture": ["resnet18"], "trained_on": list(KINDS),
        "pretraining_transformation": ["h_flip", "hue", "none", "untrained"], "evaluated_on": list(EVALUATED_ON[:3]),
    }},
    "quick": PROTOCOL["quick"] | {"n_samples": 1_000, "n_pairs": 64, "levels": {
        "architecture": ["resnet18"], **ALL, "evaluated_on": list(EVALUATED_ON[:4]),
    }},
    "paper": PROTOCOL["paper"] | {"levels": {
        "architecture": ["resnet18", "vgg11", "densenet121", "vit"], **ALL, "evaluated_on": list(EVALUATED_ON),
    }},
}  # fmt: skip
NOT_USED = ("architecture", "solver", "n_probe", "adam_epochs", "adam_learning_rate")  # it has levels; no probes
PRESETS = {name: {k: v for k, v in preset.items() if k not in NOT_USED} for name, preset in PRESETS.items()}
CHOICES = CHOICES | {
    "trained_on": KINDS, "pretraining_transformation": ENCODERS, "evaluated_on": EVALUATED_ON,
}  # fmt: skip


def make_parts(kind, folder, seed, n_classes, transformations):
    """Return training, validation and test sources of some classes of one kind of images, and a source of others."""
    objects, backgrounds = load_pictures(folder)
    if kind == "random":
        objects, backgrounds = load_objects("random", size=PATTERN_SIZE, random_state=seed), "random"
    classes, others = draw_classes("disjoint", n_classes, len(objects), seed)
    parts = objects_task(objects, classes, transformations, 2 * seed, backgrounds)
    return parts, objects_task(objects, others, (), 2 * seed + 1, backgrounds)[-1]


def cell(
    *, folder, data, trained_on, pretraining_transformation, evaluated_on, seed, n_classes, n_test, n_pairs,
    checkpoints=None, **more,
):  # fmt: skip
    """Pretrain one encoder, and score its sensitivity to all transformations on each kind of images."""
    transformations = [pretraining_transformation] if pretraining_transformation in TRANSFORMATIONS else []
    source, others = make_parts(trained_on, folder, seed, n_classes, transformations)
    encoder = pretrain(source, more, seed, checkpoints)

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


def find(settings, objects, data):
    """Find the data; return where they are, as arguments of `cell`, their name and their identity."""
    for dataset in CIFAR:
        if dataset in settings["levels"]["evaluated_on"]:
            load_cifar(dataset, str(data))  # fails here if it is not there
    where, name, identity = find_data("transforms2d", objects, data, settings["n_classes"])
    return where | {"data": str(data)}, name, identity


def make_grid(settings):
    """Return the place and arguments of every cell, and the cube's coordinates."""
    levels = settings["levels"]
    coordinates = {name: levels[name] for name in ("architecture", "trained_on", "pretraining_transformation")}
    coordinates["seed"] = list(range(settings["seeds"]))
    grid = []
    for place in product(*coordinates.values()):
        labels = dict(zip(coordinates, place, strict=True))
        untrained = {"epochs": 0} if labels["pretraining_transformation"] == "untrained" else {}
        arguments = cell_arguments(settings, **labels, evaluated_on=levels["evaluated_on"])
        grid.append((labels, arguments | untrained))
    return grid, coordinates


def estimate(arguments):
    """Project the seconds of a cell."""
    n_encoded = 2 * len(TRANSFORMATIONS) * len(arguments["evaluated_on"]) * arguments["n_pairs"] + arguments["n_test"]
    n_encoded += arguments["epochs"] * arguments["n_validation"]
    return estimate_seconds(arguments, arguments["epochs"] * arguments["n_samples"], n_encoded)


def spillover_in_distribution(sensitivity):
    """Return what training with one transformation changes for the others, mean over both kinds of images.

    None if a part of the grid has nothing to compare, or to compare with.
    """
    found = {*sensitivity.pretraining_transformation.values, *sensitivity.evaluated_on.values}
    if not {"none", "in_distribution"} <= found or not found & set(TRANSFORMATIONS):
        return None
    return spillover(sensitivity.sel(evaluated_on="in_distribution", drop=True)).mean("trained_on")


def find_claims(sensitivity):
    """Return the paper's claims, our numbers, and whether they agree; sensitivity is of one architecture."""
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


def print_table(cube):
    """Print the paper's Table 2 and the largest spill-overs, and whether the pattern held, for each architecture."""
    for architecture in cube.architecture.values:
        sensitivity = cube.sensitivity.sel(architecture=architecture, drop=True)
        table = invariance_by_relation(sensitivity)
        places = sensitivity.evaluated_on.values
        print(f"\n{architecture}: sensitivity, mean ± std over seeds (n = {cube.sizes['seed']}); 0 is invariant\n")
        print(f"{'trained on':<12}{'relation':<12}" + "".join(f"{name:>18}" for name in places))
        for kind, relation in product(sensitivity.trained_on.values, table.relation.values):
            row = table.sel(trained_on=kind, relation=relation)
            print(f"{kind:<12}{relation:<12}" + "".join(f"{say_mean(row.sel(evaluated_on=n)):>18}" for n in places))
        change = spillover_in_distribution(sensitivity)
        if change is not None:
            change = change.mean("seed")
            pairs = change.stack(pair=change.dims).dropna("pair").sortby(lambda values: values)[:8]
            print("\nlargest spill-overs in-distribution (sensitivity less that of the encoder trained without):")
            for pair in pairs:
                names = f"{pair.pretraining_transformation.item()} to {pair.transformation.item()}"
                print(f"  {names:<28}{pair.item():+.2f}")
        print("\n" + say_claims(find_claims(sensitivity)))


def plot(cube):
    """Draw Table 2 as curves, and Figures 16 and 17 (in-distribution) as matrices, for each architecture."""
    from matplotlib.figure import Figure  # here, so that the study runs without the extra

    figure = Figure(figsize=(15, 15 * cube.sizes["architecture"]), layout="constrained")
    figure.suptitle(f"{cube.attrs['title']} ({spread_in_words(cube.sizes['seed'])})")
    parts = np.atleast_1d(figure.subfigures(cube.sizes["architecture"], 1))
    for part, architecture in zip(parts, cube.architecture.values, strict=True):
        part.suptitle(architecture)
        draw_architecture(part, cube.sensitivity.sel(architecture=architecture, drop=True))
    return figure


def draw_architecture(figure, sensitivity):
    """Draw the sensitivities of one architecture."""
    kinds = [f"trained on {kind}" for kind in sensitivity.trained_on.values]
    sensitivity = sensitivity.assign_coords(trained_on=kinds)
    places = sensitivity.evaluated_on.values
    place = "in_distribution" if "in_distribution" in places else places[0]
    upper, lower = figure.subfigures(2, 1, height_ratios=[1, 2.2])
    draw_curves(
        upper, invariance_by_relation(sensitivity), x="evaluated_on", line="relation", panel="trained_on",
        x_label="evaluated on", y_label="sensitivity (0: invariant)", line_label="transformation",
    )  # fmt: skip
    draw_matrices(
        lower, sensitivity.sel(evaluated_on=place, drop=True), rows="pretraining_transformation",
        columns="transformation", panel="trained_on", label=f"sensitivity, {place.replace('_', '-')} (0: invariant)",
        row_label="pretrained with", column_label="sensitivity to", limits=(0, 1),
    )  # fmt: skip


def main():
    """Run the study from the command line."""
    parser = study_parser(__doc__, PRESETS, settings=PRESETS["paper"], choices=CHOICES)
    parser.add_argument("--objects", metavar="FOLDER", help="pictures, see data/README.md")
    parser.add_argument("--data", default=DATA / "sets", metavar="FOLDER", help="where CIFAR is (data/sets)")
    options = parser.parse_args()
    settings = override(PRESETS[options.preset], options)
    with refuse(parser):
        where, name, identity = find(settings, options.objects, options.data)
        settings |= identity
        out = options.out or default_path(DATA / "cubes", "invariance_transfer", name, options.preset)
        cube = carry_out(
            options, partial(cell, **where), *make_grid(settings), out, settings,
            paper=PRESETS["paper"] | {"objects": PAPER_OBJECTS}, estimate=estimate,
            study="invariance_transfer", title="Invariance transfer under distribution shift",
        )  # fmt: skip
    if cube is not None:
        report(cube, out, print_table, plot, DATA / "published" / "invariance_transfer.csv")


if __name__ == "__main__":
    main()
