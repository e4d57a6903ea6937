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
    sensitivity, object_sensitivity, abx and participation_ratio (see SensitivityScorer, "companions_") over
    architecture x trained_on x pretraining_transformation x seed x evaluated_on x transformation; source_accuracy,
    source_seen (see studies/factors.py), status. Written to data/cubes/invariance_transfer.nc.
Claims
    On every kind of images, an encoder is less sensitive to its own transformation ("same") than to others ("other"),
    and than the encoder trained without any ("none"); invariances reach random patterns less well than objects; rotate
    and shear spill over to both flips, hue and grayscale to each other. Claims are over the transformations that were
    trained with, and seeds that have all encoders. "same" is compared with untrained encoders, too: a low sensitivity
    is no learned invariance where theirs is as low.
Departures
    See invtransfer/paper/presets.py for the recipes.
Cost
    On two CPU cores: smoke half a minute, quick a quarter of an hour, overnight hours (--dry-run says how many);
    paper needs GPUs for days.
    CIFAR is used if --evaluated-on-levels names it, as quick does with CIFAR-10, and paper with both.
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Section 5.1 and
    Appendix D.
"""

from itertools import product
from pathlib import Path

import xarray as xr

from invtransfer import SensitivityScorer
from invtransfer.analysis import claims, format_invariance, invariance_by_relation, spillover_in_distribution
from invtransfer.cubes.assembly import make_cell
from invtransfer.paper import Study, grids, main, presets, timing
from invtransfer.paper.distribution_shift import EVALUATED_ON, KINDS, find_shifted, make_kind, make_shifted
from invtransfer.paper.pretraining import pretrain
from invtransfer.plots import plot_invariance_transfer
from invtransfer.transformations import TRANSFORMATIONS

DATA = Path(__file__).resolve().parent.parent / "data"
ENCODERS = (*TRANSFORMATIONS, "none", "untrained")
SPILLOVERS = (("rotate", "h_flip"), ("rotate", "v_flip"), ("shear", "h_flip"), ("shear", "v_flip"))
SPILLOVERS += (("hue", "grayscale"), ("grayscale", "hue"))  # which the paper names in Appendix D.2
COMPANIONS = ("object_sensitivity", "abx", "participation_ratio")  # which tell collapse from learned invariance
LEVELS = {"architecture": ["resnet18"], "trained_on": list(KINDS), "pretraining_transformation": list(ENCODERS)}
PRESETS = presets.make_presets(
    leave_out=["architecture", "solver", "n_probe", "adam_epochs", "adam_learning_rate"],  # it has levels; no probes
    smoke={"levels": LEVELS | {"pretraining_transformation": ["h_flip", "hue", "none", "untrained"],
                               "evaluated_on": list(EVALUATED_ON[:3])}},
    quick={"n_samples": 4_000, "n_pairs": 64, "levels": LEVELS | {"evaluated_on": list(EVALUATED_ON[:4])}},
    overnight={"levels": LEVELS | {"evaluated_on": list(EVALUATED_ON[:4])}},
    paper={"levels": LEVELS | {"architecture": ["resnet18", "vgg11", "densenet121", "vit"],
                               "evaluated_on": list(EVALUATED_ON)}},
)  # fmt: skip


def cell(
    *, folder, data, trained_on, pretraining_transformation, evaluated_on, seed, n_classes, n_pairs, objects=None,
    checkpoints=None, **training,
):  # fmt: skip
    """Pretrain one encoder, and score its sensitivity to all transformations on each kind of images.

    `training` are further keywords of `pretrain`. `objects` says which objects `folder` holds: it tells cells from
    others, and is not read.
    """
    transformations = [pretraining_transformation] if pretraining_transformation in TRANSFORMATIONS else []
    drawn = {"folder": folder, "seed": seed, "n_classes": n_classes}
    source, others = make_kind(trained_on, transformations=transformations, **drawn)
    encoder, measured = pretrain(source, seed=seed, checkpoints=checkpoints, **training)
    shown = make_shifted(evaluated_on, trained_on, source, others, data=data, n_images=n_pairs, **drawn)
    scorer = SensitivityScorer(encoder, n_pairs=n_pairs, random_state=seed)
    profiles = [scorer.fit(images).profile_[["sensitivity", *COMPANIONS]] for images in shown]
    profile = xr.concat(profiles, "evaluated_on").assign_coords(evaluated_on=list(evaluated_on))
    return make_cell(measured).assign(profile.drop_vars("features", errors="ignore"))


def make_grid(settings):
    """Return the place and arguments of every cell, and the cube's coordinates."""
    levels = settings["levels"]

    def arguments(**labels):
        untrained = {"epochs": 0} if labels["pretraining_transformation"] == "untrained" else {}
        return grids.cell_arguments(settings, **labels, evaluated_on=levels["evaluated_on"]) | untrained

    along = ("architecture", "trained_on", "pretraining_transformation")
    return grids.full_grid({name: levels[name] for name in along} | {"seed": list(range(settings["seeds"]))}, arguments)


def estimate(*, evaluated_on, n_samples, epochs, n_validation, n_test, n_pairs, **cell):
    """Project the seconds of a cell."""
    n_encoded = 2 * len(TRANSFORMATIONS) * len(evaluated_on) * n_pairs + n_test + epochs * n_validation
    return timing.project_seconds(epochs * n_samples, n_encoded, **cell)


def find_claims(sensitivity):
    """Check the paper's claims with the sensitivities of one architecture."""
    found = []
    trained = [name for name in sensitivity.transformation.values if name in sensitivity.pretraining_transformation]
    if not trained:
        return found
    # Over the same transformations, and seeds that have all encoders: means over others would not compare.
    own = sensitivity.sel(transformation=trained)
    table = invariance_by_relation(own.where(own.notnull().all("pretraining_transformation")))
    same = table.sel(relation="same", drop=True)
    for kind, place in product(sensitivity.trained_on.values, sensitivity.evaluated_on.values):
        here = {"trained_on": kind, "evaluated_on": place}
        for other in ("other", "none", *{"untrained"}.intersection(table.relation.values)):
            text = f"trained on {kind}, evaluated on {place}: same is below {other}"
            found.append(claims.claim(text, same.sel(here), "<", table.sel(here).sel(relation=other)))
    unseen = {"image": ("mild_ood", "strong_ood"), "random": ("strong_ood", "mild_ood")}  # objects, patterns
    for kind, (on_objects, on_patterns) in unseen.items():
        if kind in same.trained_on and {on_objects, on_patterns} <= set(same.evaluated_on.values):
            objects, patterns = (same.sel(trained_on=kind, evaluated_on=place) for place in (on_objects, on_patterns))
            text = f"trained on {kind}: same is lower on unseen objects than on unseen patterns"
            found.append(claims.claim(text, objects, "<", patterns))
    change = spillover_in_distribution(sensitivity)
    if change is not None:
        for trained, other in SPILLOVERS:
            if trained in change.pretraining_transformation and other in change.transformation:
                values = change.sel(pretraining_transformation=trained, transformation=other)
                text = f"{trained} lowers the sensitivity to {other} in-distribution"
                found.append(claims.claim(text, values, "<", 0.0))
    return found


def format_results(cube):
    """Format the paper's Table 2 and the largest spill-overs for each architecture."""
    parts = []
    for architecture in cube.architecture.values:
        sensitivity, n = cube.sensitivity.sel(architecture=architecture, drop=True), cube.sizes["seed"]
        parts.append(f"{architecture}: sensitivity (0: invariant), mean ± 95 % interval over seeds (n = {n})")
        parts.append(format_invariance(sensitivity))
    return "\n\n".join(parts)


STUDY = Study(
    name="invariance_transfer", title="Invariance transfer under distribution shift", description=__doc__,
    folder=DATA, presets=PRESETS, choices=presets.CHOICES | {
        "trained_on": KINDS, "pretraining_transformation": ENCODERS, "evaluated_on": EVALUATED_ON,
    },
    find=find_shifted, cell=cell, grid=make_grid, estimate=estimate, table=format_results,
    claims=lambda cube: claims.claims_of_parts(cube.sensitivity, "architecture", find_claims),
    figure=plot_invariance_transfer, published="invariance_transfer.csv",
)  # fmt: skip

if __name__ == "__main__":
    main(STUDY)
