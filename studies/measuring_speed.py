"""What does it cost to measure a model of one's own, compared with its bare forward passes?

Question
    How long does it take to score the sensitivity to 18 transformations, beside bare forward passes of as many images
    at the batch size that is best for them? How much memory does it take besides the model, for many photographs? What
    do all blocks of a network cost, beside one layer?
Grid
    Model and image size x number of pairs; the kinds of twins, drawn and clean, and all blocks. Memory: few and many
    pairs; one layer and all blocks.
Cell
    None: times and memory are not cached. What is compared runs in turn, A B A B, in one process; memory is measured
    in a new process for each number of pairs, and each model and layers.
Cube
    time (case x work x repetition), memory (n_held), memory_of_layers (model x layers), and value, low, high, target
    and verdict over measure, computed from them. Forward passes are of 36 images for each pair: two draws of each
    transformation. Written to data/cubes/.
Cost
    On two CPU cores, which nothing else uses: smoke half a minute, quick twenty minutes.
Reference
    The targets are this package's own.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torchvision.models import VisionTransformer, resnet50
from tqdm import tqdm

from invtransfer import TRANSFORMATIONS, SensitivityScorer, load_images
from invtransfer.encoders.classifier import build_network
from invtransfer.paper import benchmarks
from invtransfer.paper.benchmarks import alternate, find_best_batch, peak_bytes, ratio, run_forward
from invtransfer.randomness import derive_generator

DATA = Path(__file__).resolve().parent.parent / "data"
LARGE, SMALL, VIT = "ResNet-50 at 224 x 224", "ResNet-18 of width 0.125 at 32 x 32", "ViT-S at 224 x 224"
SIDES = {LARGE: 224, SMALL: 32, VIT: 224}  # pixels
WORKS = ("fit, drawn twins", "fit, clean twins", "fit, all blocks", "forward passes")
LAYERS = {"one layer": None, "all blocks": "blocks"}
PRESETS = {
    "smoke": {"repetitions": 1, "seeds": 1, "cases": [[SMALL, 8]], "n_held": [10, 50], "models": [[SMALL, 8]]},
    "quick": {
        "repetitions": 3, "seeds": 1, "cases": [[LARGE, 8], [LARGE, 32], [VIT, 32], [SMALL, 8], [SMALL, 1_000]],
        "n_held": [10, 2_000], "models": [[LARGE, 256], [VIT, 256]],
    },
}  # fmt: skip


class Drawn(torch.utils.data.Dataset):
    """Images of random pixels, which are made when they are read."""

    def __init__(self, n, side):
        self.n, self.side = n, side

    def __len__(self):
        """Return the number of images."""
        return self.n

    def __getitem__(self, i):
        """Make image i."""
        return derive_generator(i, "random pixels").integers(256, size=(self.side, self.side, 3), dtype=np.uint8)


def build(name):
    """Build one of the models with random weights."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng([]):
        if name == SMALL:
            model = build_network("resnet18", 10, width=0.125, generator=generator)
        elif name == LARGE:
            model = resnet50()
        else:
            model = VisionTransformer(224, 16, num_layers=12, num_heads=6, hidden_dim=384, mlp_dim=1_536)
    return model.eval()


def time_cases(settings):
    """Time scoring and forward passes of each case; return seconds, (case, work, repetition)."""
    times = []
    for name, n_pairs in settings["cases"]:
        model = build(name)
        X = np.stack(list(map(Drawn(n_pairs, SIDES[name]).__getitem__, range(n_pairs))))
        images, n = find_best_batch(model, SIDES[name]), 2 * len(TRANSFORMATIONS) * n_pairs
        options = ({}, {"twins": "clean"}, {"layers": "blocks"})
        scorers = [SensitivityScorer(model, **more, random_state=0) for more in options]
        functions = [lambda scorer=scorer, X=X: scorer.fit(X) for scorer in scorers]
        functions.append(lambda model=model, images=images, n=n: run_forward(model, images, n))
        times.append(alternate(functions, settings["repetitions"], f"{name}, {n_pairs} pairs"))
    return np.stack(times)


def hold(n, threads):
    """Measure a small model on photographs; return how far the peak memory is above that before, in bytes."""
    torch.set_num_threads(threads)
    model = nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.Flatten())
    model(torch.zeros(8, 3, 224, 224))
    before = peak_bytes()
    scorer = SensitivityScorer(model, transformations=["rotate", "noise", "elastic"], n_pairs=n, random_state=0)
    scorer.fit(load_images(Drawn(n, 224)))
    return peak_bytes() - before


def hold_layers(name, n_pairs, layers, threads):
    """Measure layers of a model; return how far the peak memory is above that of one measurement before, in bytes."""
    torch.set_num_threads(threads)
    model, images = build(name), load_images(Drawn(n_pairs, SIDES[name]))
    scorer = SensitivityScorer(model, transformations=["rotate"], n_pairs=n_pairs, random_state=0)
    SensitivityScorer(model, transformations=["rotate"], n_pairs=16, random_state=0).fit(images)  # what a pass takes
    before = peak_bytes()
    scorer.set_params(layers=layers).fit(images)
    return peak_bytes() - before


def measure(settings):
    """Measure everything."""
    spawn, memory = multiprocessing.get_context("spawn"), []
    for n in tqdm(settings["n_held"], desc="holding photographs"):
        with ProcessPoolExecutor(1, spawn) as executor:
            memory.append(executor.submit(hold, n, torch.get_num_threads()).result())
    of_layers = []
    for (name, n), layers in tqdm(list(product(settings["models"], LAYERS.values())), desc="layers"):
        with ProcessPoolExecutor(1, spawn) as executor:
            of_layers.append(executor.submit(hold_layers, name, n, layers, torch.get_num_threads()).result())
    of_layers = np.array(of_layers, dtype=np.float64).reshape(-1, len(LAYERS))
    values = {
        "time": (("case", "work", "repetition"), time_cases(settings), "s", "time for 18 transformations"),
        "memory": (("n_held",), np.array(memory, dtype=np.float64), "byte", "peak memory above that of the model"),
        "memory_of_layers": (("model", "layers"), of_layers, "byte", "peak memory above that of a small measurement"),
    }
    coordinates = {
        "model": [f"{name}, {n} pairs" for name, n in settings["models"]], "layers": list(LAYERS),
        "case": [f"{name}, {n} pairs" for name, n in settings["cases"]], "work": list(WORKS),
        "repetition": np.arange(settings["repetitions"]), "n_held": settings["n_held"],
    }  # fmt: skip
    return benchmarks.make_cube(values, coordinates, {"n_held": "number of photographs", "case": "what is measured"})


def conclude(cube):
    """Return what follows from the measurements, with its target."""
    rows = {}
    for case in cube.case.values:
        drawn, clean, blocks, bare = cube.time.sel(case=case, drop=True).transpose("work", ...)
        rows[f"{case}: drawn twins, in forward passes"] = (*ratio(drawn, bare), "at most", 1.1)
        rows[f"{case}: clean twins, in forward passes"] = (*ratio(clean, bare), "at most", 1.1)
        rows[f"{case}: all blocks, in the time of one layer"] = (*ratio(blocks, drawn), "at most", 1.2)
    for n in cube.n_held.values:
        rows[f"memory for {n:,} photographs of 224 x 224, in GB"] = (
            float(cube.memory.sel(n_held=n)) / 1e9, np.nan, np.nan, "at most", 1.0,
        )  # fmt: skip
    for model in cube.model.values:
        one, blocks = cube.memory_of_layers.sel(model=model).values / 1e9
        rows[f"{model}: memory for all blocks beside one layer, in GB"] = (blocks - one, np.nan, np.nan, "at most", 0.2)
    return rows


def main():
    """Run the study from the command line."""
    path = DATA / "cubes" / "measuring_speed.nc"
    benchmarks.main(__doc__, PRESETS, path, measure, conclude, title="Speed of measuring, in ratios")


if __name__ == "__main__":
    main()
