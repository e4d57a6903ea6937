"""What does advice cost, compared with the bare forward passes that it needs?

Question
    How long does `InvarianceAdvisor` take for 18 transformations, beside bare forward passes of the images and of the
    copies that differ from them, at the batch size that is best for them? Which part of it do the probes take?
Grid
    Network and image size x number of images, of 4 classes, with 4 copies of each image and transformation.
Cell
    None: times are not cached. What is compared runs in turn, A B A B, in one process.
Cube
    time (case x work x repetition), n_encoded (case), and value, low, high, target and verdict over measure, computed
    from them. The probes' time is that within the fits with the network. Written to data/cubes/.
Cost
    On two CPU cores, which nothing else uses: smoke ten seconds, quick a quarter of an hour.
Reference
    The targets are this package's own.
"""

import time
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torchvision.models import resnet18

from invtransfer import InvarianceAdvisor, Transforms2D, load_objects
from invtransfer.analysis import format_table
from invtransfer.analysis.evidence import CrossValidatedProbe
from invtransfer.encoders.classifier import build_network
from invtransfer.paper import benchmarks
from invtransfer.paper.benchmarks import alternate, find_best_batch, ratio, run_forward, spread

DATA = Path(__file__).resolve().parent.parent / "data"
SMALL, LARGE = "ResNet-18 of width 0.125 at 32 x 32", "ResNet-18 at 224 x 224"
SIDES = {SMALL: 32, LARGE: 224}  # pixels
WORKS = ("fit", "probes of the fit", "forward passes")
MINUTE = 60.0  # seconds that 2,000 images may take
PRESETS = {
    "smoke": {"repetitions": 1, "seeds": 1, "cases": [[SMALL, 40]]},
    "quick": {"repetitions": 3, "seeds": 1, "cases": [[SMALL, 500], [SMALL, 2_000], [LARGE, 16]]},
}


def build(name):
    """Build one of the networks with random weights, from images to features."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = build_network("resnet18", 10, width=0.125, generator=generator)[:-1] if name == SMALL else resnet18()
    return model.eval()


@contextmanager
def timed_probes(seconds):
    """Append the time that probes take in the block to a list."""
    spent = 0.0

    def timed(method):
        def run(*arguments, **options):
            nonlocal spent
            start = time.perf_counter()
            try:
                return method(*arguments, **options)
            finally:
                spent += time.perf_counter() - start

        return run

    methods = {name: timed(getattr(CrossValidatedProbe, name)) for name in ("__init__", "compare")}
    with patch.multiple(CrossValidatedProbe, **methods):
        yield
    seconds.append(spent)


def time_case(name, n, repetitions):
    """Time advice and forward passes; return seconds, (work, repetition), and the number of images encoded."""
    model = build(name)
    X, y = Transforms2D(load_objects("procedural")[:4], image_size=SIDES[name], random_state=0).sample(n)
    advisor, probes = InvarianceAdvisor(model, random_state=0), []

    def fit():
        with timed_probes(probes):
            advisor.fit(X, y)

    fit()
    n_encoded = len(y) + round(float(advisor.evidence_.different.sum()) * len(y) * advisor.n_draws)
    images = find_best_batch(model, SIDES[name])
    whole, bare = alternate([fit, lambda: run_forward(model, images, n_encoded)], repetitions, f"{name}, {n} images")
    return np.stack([whole, probes[-repetitions:], bare]), n_encoded


def measure(settings):
    """Measure everything."""
    found = [time_case(name, n, settings["repetitions"]) for name, n in settings["cases"]]
    times, n_encoded = zip(*found, strict=True)
    values = {
        "time": (("case", "work", "repetition"), np.stack(times), "s", "time for 18 transformations"),
        "n_encoded": (("case",), np.array(n_encoded), "1", "number of images, and of copies that differ from them"),
    }
    coordinates = {
        "case": [f"{name}, {n:,} images" for name, n in settings["cases"]], "work": list(WORKS),
        "repetition": np.arange(settings["repetitions"]),
    }  # fmt: skip
    return benchmarks.make_cube(values, coordinates, {"case": "what advice is asked for"})


def conclude(cube):
    """Return what follows from the measurements, with its target."""
    rows = {}
    for case in cube.case.values:
        fit, probes, bare = cube.time.sel(case=case, drop=True).transpose("work", ...)
        rows[f"{case}: all but the probes, in forward passes"] = (*ratio(fit - probes, bare), "at most", 1.3)
        if "2,000" in case:
            rows[f"{case}: time of all, in minutes"] = (*spread(fit / MINUTE), "at most", 1.0)
    return rows


def format_times(cube):
    """Format the median times of each case."""
    rows = [["seconds, median", *cube.work.values, "images and copies"]]
    for case, times in zip(cube.case.values, cube.time.median("repetition").values, strict=True):
        rows.append([case, *(f"{one:.1f}" for one in times), f"{cube.n_encoded.sel(case=case).item():,}"])
    return format_table(rows)


def main():
    """Run the study from the command line."""
    path = DATA / "cubes" / "advising_speed.nc"
    benchmarks.main(__doc__, PRESETS, path, measure, conclude, title="Speed of advice, in ratios", table=format_times)


if __name__ == "__main__":
    main()
