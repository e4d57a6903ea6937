"""At which depth of a network does a learned invariance arise, and how does it grow with strength?

Question
    A ResNet-18 is pretrained to be invariant to one transformation of each category, rotate, hue and blur. Where in the
    network does the invariance arise, and is it an invariance to weak and strong transformations alike? The paper
    measures the last layer, at full strength (Section 5).
Grid
    pretraining ("three": with the three transformations; "none": without; "untrained": initial weights) x seed. A seed
    draws classes, images and weights anew, the same for all three, so that they are paired.
Cell
    Pretrain on images of some objects; measure the profile on images of other objects as they are: sensitivity to each
    of the 18 transformations, at each strength, of each block and of the feature. Twins are the image as it is and its
    transformed version.
Cube
    sensitivity, abx and slope (of the sensitivity at strength 0) over pretraining x seed x layer x transformation
    (x strength); depth of each layer; source_accuracy, source_seen, status. Written to data/cubes/depth.nc.
Claims
    Of the mean over the three transformations: "three" is below "none" in the last layer, at the largest and at the
    smallest strength; the difference is larger in the last layer than in the first block; and larger than that of the
    mean over the other transformations; and "three" is below "untrained" in the last layer: a low sensitivity is no
    learned invariance where that of an untrained network is as low. These are ours; the paper makes none on depth or
    strength.
Departures
    See invtransfer/paper/presets.py for the recipes.
Cost
    On two CPU cores: smoke ten seconds, quick two minutes, overnight hours (--dry-run says how many); paper needs
    GPUs for a day.
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Section 5.
"""

from pathlib import Path

from invtransfer import SensitivityScorer
from invtransfer.analysis import claims, format_means
from invtransfer.cubes.assembly import make_cell
from invtransfer.paper import Study, grids, inputs, main, presets, timing
from invtransfer.paper.distribution_shift import make_kind
from invtransfer.paper.pretraining import pretrain
from invtransfer.plots import plot_depth
from invtransfer.transformations import TRANSFORMATIONS

DATA = Path(__file__).resolve().parent.parent / "data"
PRETRAINING = {"three": ["rotate", "hue", "blur"], "none": [], "untrained": []}
LEVELS = {"pretraining": list(PRETRAINING), "strength": [0.25, 0.5, 1.0]}
PRESETS = presets.make_presets(
    leave_out=["solver", "n_probe", "adam_epochs", "adam_learning_rate"],  # no probes
    smoke={"levels": LEVELS | {"strength": [0.5, 1.0]}}, quick={"levels": LEVELS},
    overnight={"levels": LEVELS | {"strength": [0.1, 0.25, 0.5, 1.0]}},
    paper={"levels": LEVELS | {"strength": [0.1, 0.25, 0.5, 1.0]}},
)  # fmt: skip


def cell(*, folder, pretraining, strength, seed, n_classes, n_pairs, objects=None, checkpoints=None, **training):
    """Pretrain one encoder, and measure its profile on images of other objects.

    `training` are further keywords of `pretrain`. `objects` says which objects `folder` holds: it tells cells from
    others, and is not read.
    """
    source, others = make_kind(
        "image", folder=folder, seed=seed, n_classes=n_classes, transformations=PRETRAINING[pretraining]
    )
    encoder, measured = pretrain(source, seed=seed, checkpoints=checkpoints, **training)
    scorer = SensitivityScorer(
        encoder, layers="blocks", twins="clean", strengths=strength, n_pairs=n_pairs, random_state=seed
    )
    profile = scorer.fit(others).profile_[["sensitivity", "abx", "slope"]]
    return make_cell(measured).assign(profile.drop_vars("features"))


def make_grid(settings):
    """Return the place and arguments of every cell, and the cube's coordinates."""
    levels = settings["levels"]

    def arguments(pretraining, seed):
        untrained = {"epochs": 0} if pretraining == "untrained" else {}
        chosen = {"pretraining": pretraining, "seed": seed, "strength": levels["strength"]}
        return grids.cell_arguments(settings, **chosen) | untrained

    return grids.full_grid({"pretraining": levels["pretraining"], "seed": list(range(settings["seeds"]))}, arguments)


def estimate(*, strength, n_samples, epochs, n_validation, n_test, n_pairs, **cell):
    """Project the seconds of a cell."""
    n_encoded = (1 + len(TRANSFORMATIONS) * len(strength)) * n_pairs + n_test + epochs * n_validation
    return timing.project_seconds(epochs * n_samples, n_encoded, **cell)


def find_claims(cube):
    """Check what the study claims."""
    if not {"three", "none"} <= set(cube.pretraining.values):
        return []
    learned = cube.transformation.isin(PRETRAINING["three"])
    own, others = (cube.sensitivity.isel(transformation=where).mean("transformation") for where in (learned, ~learned))
    last, first = (own.isel(layer=place, strength=-1) for place in (-1, 0))
    weak = own.isel(layer=-1, strength=0)

    def gain(values):  # how much lower with the three transformations
        return values.sel(pretraining="none", drop=True) - values.sel(pretraining="three", drop=True)

    lowers = "pretraining with the three lowers the sensitivity to them"
    texts = (
        (f"{lowers}, in the last layer", gain(last), 0.0),
        (f"{lowers}, at the smallest strength", gain(weak), 0.0),
        (f"{lowers} by more in the last layer than in the first block", gain(last), gain(first)),
        (f"{lowers} by more than that to the others", gain(last), gain(others.isel(layer=-1, strength=-1))),
    )
    found = [claims.claim(text, values.reset_coords(drop=True), ">", other) for text, values, other in texts]
    if "untrained" in cube.pretraining.values:
        one, untrained = (last.sel(pretraining=name).reset_coords(drop=True) for name in ("three", "untrained"))
        found.append(
            claims.claim("pretrained with the three, it is less sensitive to them than untrained", one, "<", untrained)
        )
    return found


def format_results(cube):
    """Format the mean sensitivity to the three transformations, by depth and by strength."""
    own = cube.sensitivity.sel(transformation=PRETRAINING["three"]).mean("transformation")
    parts = [f"sensitivity to rotate, hue and blur, mean ± 95 % interval over seeds (n = {cube.sizes['seed']})"]
    for dim, shown in (("layer", own.isel(strength=-1)), ("strength", own.isel(layer=-1))):
        columns = {name: shown.sel(pretraining=name).reset_coords(drop=True) for name in cube.pretraining.values}
        parts.append(format_means(columns, dim))
    return "\n\n".join(parts)


def draw_figure(cube):
    """Draw the sensitivity over depth and strength."""
    return plot_depth(cube.assign_attrs(learned=PRETRAINING["three"]))


STUDY = Study(
    name="depth", title="Depth and strength of learned invariances", description=__doc__, folder=DATA, presets=PRESETS,
    choices=presets.CHOICES | {"pretraining": list(PRETRAINING)}, find=inputs.find_task_data, cell=cell, grid=make_grid,
    estimate=estimate, table=format_results, figure=draw_figure, claims=find_claims, reads_cifar=False,
)  # fmt: skip

if __name__ == "__main__":
    main(STUDY)
