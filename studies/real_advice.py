"""Does the advice agree with what transformed copies do for a probe on images that it has not seen?

Question
    `InvarianceAdvisor` judges transformations from a few labelled images. Here the images are photographs, the network
    has ImageNet weights, and what the advice says is held against the simplest thing that a person would do with it:
    fit a linear probe of the network's features on copies as well, and test it on other images.
Grid
    network x seed. A seed draws the classes, the labelled images and the transformations. "trained" is
    EfficientNet-Lite0 of data/efficientnet.py, which says how to get its weights; "random" is torchvision's ResNet-18
    with random weights.
Cell
    Ask for advice from the labelled images. For each transformation, fit a logistic regression on the features of
    these images and of copies, and of the images alone; test both on other images of the data set, as they are.
Cube
    z and advised of the advice, and held_out_gain, the difference of the accuracies on other images, over network x
    seed x transformation; accuracy on other images without copies. Written to data/cubes/.
Claims
    Over the 18 transformations, z and held_out_gain have a rank correlation above 0; copies that are advised gain more
    on other images than those that are not.
Departures
    The paper has no such experiment. Images of CIFAR-10 are enlarged to 96 x 96 pixels.
Cost
    On two CPU cores: smoke ten seconds, quick a quarter of an hour.
Reference
    Data: Krizhevsky, "Learning multiple layers of features from tiny images", 2009. Network: Tan and Le,
    "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019.
"""

import importlib.util
from pathlib import Path

import numpy as np
import torch
import torchvision
import xarray as xr
from scipy.stats import spearmanr

from invtransfer import FrozenFeatureProbe, InvarianceAdvisor, TransformedImages
from invtransfer.analysis import claims, format_means
from invtransfer.cubes.assembly import make_cell
from invtransfer.encoders import encode
from invtransfer.paper import Study, grids, inputs, main, tasks
from invtransfer.plots import plot_real_advice
from invtransfer.randomness import derive_seed
from invtransfer.transformations import TRANSFORMATIONS

DATA = Path(__file__).resolve().parent.parent / "data"
NETWORKS = ("trained", "random")
QUICK = {
    "seeds": 3, "dataset": "cifar10", "n_classes": 5, "n_labelled": 300, "n_test": 2_000, "n_draws": 2, "size": 96,
    "levels": {"network": ["trained"]},
}  # fmt: skip
SMOKE = QUICK | {
    "seeds": 1, "dataset": "transforms2d", "n_labelled": 30, "n_test": 40, "n_draws": 1, "size": 32,
    "levels": {"network": ["random"]},
}  # fmt: skip
PRESETS = {
    "smoke": SMOKE, "quick": QUICK, "overnight": QUICK | {"seeds": 10, "n_labelled": 1_000, "n_draws": 4},
    "paper": QUICK | {"seeds": 10, "n_labelled": 2_000, "n_draws": 4, "size": 224},
}  # fmt: skip


def make_network(name, seed):
    """Return a network that takes images in [0, 1]."""
    if name == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return torchvision.models.resnet18(weights=None).eval()
    spec = importlib.util.spec_from_file_location("efficientnet", DATA / "efficientnet.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.efficientnet_lite0()


def enlarge(X, size):
    """Return images of (size, size) pixels, uint8."""
    images = torch.from_numpy(X).permute(0, 3, 1, 2).float()
    images = torch.nn.functional.interpolate(images, (size, size), mode="bilinear", antialias=True)
    return images.round().byte().permute(0, 2, 3, 1).contiguous().numpy()


def cell(*, folder, dataset, network, seed, n_classes, n_labelled, n_test, n_draws, size, objects=None):
    """Ask for advice, and test what copies do for a probe on other images.

    `objects` says which objects `folder` holds: it tells cells from others, and is not read.
    """
    _, target = tasks.make_tasks(
        folder=folder, dataset=dataset, class_relation="disjoint", relation="none", seed=seed, n_classes=n_classes
    )
    X, y = target[0].sample(n_labelled, transformations=())
    X_test, y_test = target[-1].sample(tasks.count_available(target[-1], n_test), transformations=())
    X, X_test = enlarge(X, size), enlarge(X_test, size)
    encoder = make_network(network, seed)
    advisor = InvarianceAdvisor(encoder, n_draws=n_draws, random_state=seed).fit(X, y)
    Z, Z_test = encode(encoder, X), encode(encoder, X_test)
    accuracy = FrozenFeatureProbe().fit(Z, y).score(Z_test, y_test)
    copies = TransformedImages(X, y, random_state=derive_seed(seed, "copies"))
    gains = []
    for name in TRANSFORMATIONS:
        X_copies, y_copies = copies.sample(n_draws * len(X), transformations=[name])
        probe = FrozenFeatureProbe().fit(np.concatenate([Z, encode(encoder, X_copies)]), np.concatenate([y, y_copies]))
        gains.append(probe.score(Z_test, y_test) - accuracy)
    advised = np.array([int(name in advisor.advised_) for name in TRANSFORMATIONS], np.int8)
    along = "transformation"
    variables = {
        "accuracy": ((), accuracy, "accuracy on other images of a probe that saw no copies"),
        "held_out_gain": (along, gains, "accuracy on other images of a probe that saw copies, minus that"),
        "z": (along, advisor.evidence_.z.values, "gain of the advisor's probe in standard errors"),
        "sensitivity": (along, advisor.evidence_.sensitivity.values, "sensitivity of the network's features"),
        "advised": (along, advised, "1 if the transformation is advised"),
    }
    return make_cell(variables, {along: list(TRANSFORMATIONS)})


def make_grid(settings):
    """Return the place and arguments of every cell, and the cube's coordinates."""
    coordinates = {"network": settings["levels"]["network"], "seed": list(range(settings["seeds"]))}
    return grids.full_grid(coordinates, lambda **labels: grids.cell_arguments(settings, **labels))


def estimate(*, n_labelled, n_test, n_draws, size, **_):
    """Project the seconds of a cell, at 20 ms for an image of 96 x 96 pixels."""
    n_encoded = 2 * n_labelled * (1 + n_draws * len(TRANSFORMATIONS)) + n_test
    return n_encoded * 0.02 * max(1, (size / 96) ** 2)


def find_claims(cube):
    """Check what the study claims, for each network."""

    def of_network(cube):
        agreement = xr.apply_ufunc(
            lambda z, gain: spearmanr(z, gain).statistic, cube.z, cube.held_out_gain, vectorize=True,
            input_core_dims=[["transformation"]] * 2,
        )  # fmt: skip
        gains = [cube.held_out_gain.where(cube.advised == i).mean("transformation") for i in (1, 0)]
        return [
            claims.claim("rank correlation of z and the gain on other images", agreement, ">", 0.0),
            claims.claim("copies that are advised gain more on other images", gains[0], ">", gains[1]),
        ]

    return claims.claims_of_parts(cube[["z", "held_out_gain", "advised"]], "network", of_network)


def format_results(cube):
    """Format z, the gain on other images and how often a transformation is advised, for each network."""
    parts = []
    for name in cube.network.values:
        one = cube.sel(network=name, drop=True)
        columns = {
            "z": one.z,
            "gain on other images": one.held_out_gain,
            "advised": one.advised.where(one.advised >= 0),
        }
        accuracy = one.accuracy.mean("seed").item()
        parts.append(f"{name}: accuracy on other images without copies {accuracy:.3f} (n = {cube.sizes['seed']} seeds)")
        parts.append(format_means(columns, "transformation"))
    return "\n\n".join(parts)


STUDY = Study(
    name="real_advice", title="Advice about photographs, and what copies do", description=__doc__,
    folder=DATA, presets=PRESETS, choices={"network": list(NETWORKS), "dataset": ["transforms2d", "cifar10"]},
    find=inputs.find_task_data, cell=cell, grid=make_grid, estimate=estimate, table=format_results,
    figure=plot_real_advice, claims=find_claims,
)  # fmt: skip

if __name__ == "__main__":
    main(STUDY)
