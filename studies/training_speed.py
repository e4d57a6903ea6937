"""How fast are networks trained: number formats, attention, and the recipe of the presets?

Question
    Is the reduced precision faster for every architecture, and harmless? Is the plain formula of attention faster than
    torch's kernel at this size? Does the recipe of the presets learn as much as Adam in a third of the time?
Grid
    Formats; all architectures in float32 and in the precision that "auto" chooses; two kinds of attention; accuracy in
    both precisions over seeds; two recipes x seeds.
Cell
    None: times are not cached. What is compared runs in turn, A B A B, in one process.
Cube
    training_time (format x repetition), network_time (network x chosen_precision x repetition), attention_time
    (attention x repetition), accuracy (precision x seed), recipe_time and recipe_accuracy (recipe x relation x
    recipe_seed), and value, low, high, target and verdict over measure, computed from them. Written to data/cubes/.
Cost
    On two CPU cores, which nothing else uses: smoke half a minute, quick seven minutes.
Reference
    The targets are this package's own. For the recipe see invtransfer/networks/optimizers.py.
"""

import time
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from invtransfer import FrozenFeatureProbe, InvariantPretrainer, Transforms2D, load_objects
from invtransfer.encoders.classifier import build_network
from invtransfer.networks.architectures import NETWORKS, SelfAttention
from invtransfer.networks.training import train
from invtransfer.paper import benchmarks, tasks
from invtransfer.paper.benchmarks import alternate, ratio, spread
from invtransfer.paper.grids import RELATIONS

DATA = Path(__file__).resolve().parent.parent / "data"
SIDE = 32  # pixels
SOURCE = ("rotate", "hue", "blur")  # of images that are trained on: one of each category
BATCH = 128  # images in a tensor
FORMATS = {  # precision, and whether the channels come last in memory
    "float32 channels-first": ("float32", False),
    "float32": ("float32", True),
    "bfloat16": ("bfloat16", True),
}
PRECISIONS = ("float32", "bfloat16")
ATTENTION = ("plain formula", "torch's kernel")
RECIPES = {  # training of quick's narrow ResNet-18
    "adam": {"optimizer": "adam", "learning_rate": 1e-2, "batch_size": 64, "epochs": 6, "n_samples": 2_000},
    "muon": {"optimizer": "muon", "learning_rate": 2e-2, "batch_size": 32, "epochs": 1, "n_samples": 4_000},
}
PRESETS = {
    "smoke": {
        "repetitions": 1, "n_steps": 1, "seeds": 2, "n_train": 128, "n_test": 128, "epochs": 1, "n_images_step": 32,
        "recipe_seeds": 1, "recipe_share": 0.02,
    },
    "quick": {
        "repetitions": 5, "n_steps": 10, "seeds": 5, "n_train": 1_500, "n_test": 2_000, "epochs": 6,
        "n_images_step": 512, "recipe_seeds": 10, "recipe_share": 1,
    },
}  # fmt: skip


def train_network(precision, channels_last, X, y):
    """Train a ResNet-18 for one epoch through the package's loop."""
    generator = torch.Generator().manual_seed(0)
    network = build_network("resnet18", 61, width=0.25, generator=generator)
    if not channels_last:  # the loop always asks for channels-last: refuse, and undo it on what comes in
        network.to = lambda *_, **__: network
        network.register_forward_pre_hook(lambda module, inputs: (inputs[0].contiguous(),))
    train(network, X, y, epochs=1, batch_size=BATCH, learning_rate=1e-3, precision=precision, generator=generator)


def time_training(settings):
    """Time one training step in each format; return seconds, (format, repetition)."""
    n_steps = settings["n_steps"]
    X, y = Transforms2D(load_objects(size=64), SOURCE, image_size=SIDE, random_state=0).sample(BATCH * n_steps)
    functions = [lambda chosen=chosen: train_network(*chosen, X, y) for chosen in FORMATS.values()]
    return alternate(functions, settings["repetitions"], "training") / n_steps


def time_networks(settings):
    """Time the training on one image for each architecture and precision; return seconds."""
    n, times = settings["n_images_step"], []
    X, y = Transforms2D(load_objects(size=64), SOURCE, image_size=SIDE, random_state=0).sample(n)

    def step(name, precision):
        generator = torch.Generator().manual_seed(0)
        network = build_network(name, 61, width=0.125, generator=generator)
        train(network, X, y, epochs=1, batch_size=32, learning_rate=1e-3, precision=precision, generator=generator)

    for name in NETWORKS:
        functions = [partial(step, name, precision) for precision in ("float32", "auto")]
        times.append(alternate(functions, settings["repetitions"], f"training of {name}") / n)

    def step_with_kernel():
        with mock.patch.object(SelfAttention, "attend", nn.functional.scaled_dot_product_attention):
            step("vit", "auto")

    functions = [partial(step, "vit", "auto"), step_with_kernel]
    return np.stack(times), alternate(functions, settings["repetitions"], "attention") / n


def compare_recipes(settings):
    """Train and probe by each recipe; return seconds and accuracy, (recipe, relation, seed)."""
    share, shape = settings["recipe_share"], (len(RECIPES), len(RELATIONS), settings["recipe_seeds"])
    seconds, accuracy = np.empty(shape), np.empty(shape)
    for seed in tqdm(range(shape[2]), desc="recipes"):
        for column, relation in enumerate(RELATIONS):
            source, target = tasks.make_tasks(
                folder="procedural", dataset="transforms2d", class_relation="disjoint", relation=relation, seed=seed,
                n_classes=15,
            )  # fmt: skip
            train_set, test_set = (part.sample(int(2_000 * share)) for part in (target[0], target[2]))
            for row, recipe in enumerate(RECIPES.values()):
                given = {name: value for name, value in recipe.items() if name != "n_samples"}
                encoder = InvariantPretrainer(
                    "resnet18", width=0.125, schedule="one-cycle", device="cpu", random_state=seed, **given
                )
                images = source[0].sample(int(recipe["n_samples"] * share))
                start = time.perf_counter()
                encoder.fit(*images)
                seconds[row, column, seed] = time.perf_counter() - start
                accuracy[row, column, seed] = FrozenFeatureProbe(encoder).fit(*train_set).score(*test_set)
    return seconds, accuracy


def compare_accuracy(settings):
    """Return the test accuracy after training in each precision, (precision, seed)."""
    objects = load_objects(size=64)[:15]
    train_set = Transforms2D(objects, SOURCE, image_size=SIDE, random_state=0).sample(settings["n_train"])
    test_set = Transforms2D(objects, SOURCE, image_size=SIDE, random_state=1).sample(settings["n_test"])
    accuracy = np.empty((len(PRECISIONS), len(settings["seeds"])))
    for column, seed in enumerate(tqdm(settings["seeds"], desc="accuracy")):
        for row, precision in enumerate(PRECISIONS):
            encoder = InvariantPretrainer(
                "resnet18", width=0.125, epochs=settings["epochs"], batch_size=64, learning_rate=1e-2,
                schedule="one-cycle", precision=precision, device="cpu", random_state=seed,
            )  # fmt: skip
            accuracy[row, column] = encoder.fit(*train_set).score(*test_set)
    return accuracy


def measure(settings):
    """Measure everything."""
    network_time, attention_time = time_networks(settings)
    recipe_time, recipe_accuracy = compare_recipes(settings)
    of_recipes = ("recipe", "relation", "recipe_seed")
    values = {
        "training_time": (("format", "repetition"), time_training(settings), "s", "time of one training step"),
        "network_time": (
            ("network", "chosen_precision", "repetition"), network_time, "s", "training time of one image",
        ),
        "attention_time": (("attention", "repetition"), attention_time, "s", "training time of one image by a ViT"),
        "accuracy": (("precision", "seed"), compare_accuracy(settings), "1", "accuracy on test images"),
        "recipe_time": (of_recipes, recipe_time, "s", "time of the training"),
        "recipe_accuracy": (of_recipes, recipe_accuracy, "1", "accuracy of a probe on the target task"),
    }  # fmt: skip
    coordinates = {
        "repetition": np.arange(settings["repetitions"]), "format": list(FORMATS), "precision": list(PRECISIONS),
        "network": list(NETWORKS), "chosen_precision": ["float32", "auto"], "attention": list(ATTENTION),
        "recipe": list(RECIPES), "relation": list(RELATIONS), "recipe_seed": np.arange(settings["recipe_seeds"]),
        "seed": settings["seeds"],
    }  # fmt: skip
    return benchmarks.make_cube(values, coordinates, {"seed": "of weights", "recipe_seed": "of a task and weights"})


def conclude(cube):
    """Return what follows from the measurements, with its target."""
    first, float32, bfloat16 = (cube.training_time.sel(format=name, drop=True) for name in FORMATS)
    rows = {
        "channels-last, times as fast as channels-first": (*ratio(first, float32), "at least", 1.0),
        "bfloat16, times as fast as float32": (*ratio(float32, bfloat16), "at least", 1.0),
    }
    lost = cube.accuracy.sel(precision="float32", drop=True) - cube.accuracy.sel(precision="bfloat16", drop=True)
    in_stds = lost / cube.accuracy.sel(precision="float32", drop=True).std("seed", ddof=1)
    rows["accuracy that bfloat16 loses, in std over seeds"] = (*spread(in_stds, np.mean), "at most", 1.0)
    for name in cube.network.values:
        float32, auto = cube.network_time.sel(network=name, drop=True).transpose("chosen_precision", ...)
        rows[f"auto precision of {name}, times as fast as float32"] = (*ratio(float32, auto), "at least", 0.9)
    plain, kernel = cube.attention_time.transpose("attention", ...)
    rows["plain attention, times as fast as torch's kernel"] = (*ratio(kernel, plain), "at least", 1.0)
    adam, muon = cube.recipe_time.mean("relation").transpose("recipe", ...)
    shares = muon / adam
    rows["training time of the recipe, in that of Adam"] = (
        float(muon.mean() / adam.mean()), float(shares.min()), float(shares.max()), "at most", 1 / 3,
    )  # fmt: skip
    adam, muon = cube.recipe_accuracy.mean("relation").transpose("recipe", ...)
    rows["transfer accuracy of the recipe less that of Adam"] = (*spread(muon - adam, np.mean), "at least", -0.01)
    return rows


def main():
    """Run the study from the command line."""
    path = DATA / "cubes" / "training_speed.nc"
    benchmarks.main(__doc__, PRESETS, path, measure, conclude, title="Speed of training, in ratios")


if __name__ == "__main__":
    main()
