"""How fast are images made, how much memory do they take, and what does the runner of studies add?

Question
    Do batches of tensors make images much faster than PIL does one by one? Is the data set in memory only once? What
    does the runner add to a cell, and do two processes compute cells of one thread twice as fast as one?
Grid
    Making images: 18 transformations x two implementations; and of whole photographs. Memory: made; made and trained
    on. Running: cells that do nothing and cells that train, computed in this process and in two others.
Cell
    None: times and memory are not cached. What is compared runs in turn, A B A B, in one process; memory is measured
    in a new process for each size.
Cube
    image_time (transformation x implementation x repetition), photograph_time (transformation x repetition), memory
    (stage x size), cell_time (kind x engine x repetition), and value, low, high, target and verdict over measure,
    computed from them. Times mean little on another machine, ratios more. Written to data/cubes/.
Cost
    On two CPU cores, which nothing else uses: smoke half a minute, quick seven minutes and 3 GB of memory.
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Appendix A.1, for
    the transformations. The targets are this package's own.
"""

import contextlib
import io
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from PIL import Image
from tqdm import tqdm

from invtransfer import (
    TRANSFORMATIONS,
    InvariantPretrainer,
    TransformedImages,
    Transforms2D,
    load_backgrounds,
    load_objects,
)
from invtransfer.cubes.assembly import STATUS
from invtransfer.cubes.running import run_study
from invtransfer.images.checks import to_tensor
from invtransfer.paper import benchmarks
from invtransfer.paper.benchmarks import alternate, peak_bytes, ratio, spread
from invtransfer.randomness import derive_generator

DATA = Path(__file__).resolve().parent.parent / "data"
SIDE = 32  # pixels
LARGE = 224  # pixels of photographs
SOURCE = ("rotate", "hue", "blur")  # of images that are trained on: one of each category
BATCH = 128  # images in a tensor
ENGINES = {"this process": 1, "two processes": 2}  # number of jobs
OVERHEAD = 0.05  # seconds that the runner may add to a cell
PRESETS = {
    "smoke": {
        "repetitions": 1, "seeds": 1, "n_images": 64, "n_held": 2_048, "n_few": 512, "n_photographs": 2,
        "n_empty": 10, "n_training": 2, "n_images_each": 128,
    },
    "quick": {
        "repetitions": 5, "seeds": 1, "n_images": 2_048, "n_held": 500_000, "n_few": 5_000, "n_photographs": 32,
        "n_empty": 100, "n_training": 12, "n_images_each": 512,
    },
}  # fmt: skip


def make_one_by_one(name, n, objects, backgrounds, draw):
    """Make images the ordinary way: each by itself, with PIL, then normalised tensors (batch, 3, side, side)."""
    from invtransfer.paper import one_by_one  # here, because it loads torchvision, which no other process needs

    tensors = []
    for _ in range(n):
        image = one_by_one.transform(name, objects[draw.integers(len(objects))], draw)
        tensors.append(one_by_one.show(image, backgrounds[draw.integers(len(backgrounds))]))
    return [torch.stack(tensors[start : start + BATCH]) for start in range(0, n, BATCH)]


def make_in_batches(source, n):
    """Make images with this package: uint8 arrays first, then normalised tensors (batch, 3, side, side)."""
    from invtransfer.paper.one_by_one import MEAN, STD

    mean, std = (torch.tensor(values).repeat(SIDE) for values in (MEAN, STD))
    X, _ = source.sample(n)
    batches = [to_tensor(X[start : start + BATCH]) for start in range(0, n, BATCH)]
    for batch in batches:  # by rows of pixels: ten times as fast as by channels, which come last in memory
        batch.permute(0, 2, 3, 1).flatten(2).sub_(mean).div_(std)
    return batches


def time_images(settings):
    """Time the making of one image; return seconds, (transformation, implementation, repetition)."""
    from invtransfer.paper.one_by_one import open_objects

    images, backgrounds = load_objects(size=64), load_backgrounds(size=SIDE)
    pil_objects = open_objects(images.images, SIDE)
    pil_backgrounds = [Image.fromarray(image) for image in backgrounds]
    n, draw, times = settings["n_images"], derive_generator(0, "images one by one"), []
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name in tqdm(TRANSFORMATIONS, desc="making images"):
            source = Transforms2D(images, [name], backgrounds=backgrounds, image_size=SIDE, random_state=0)
            functions = [
                lambda source=source: make_in_batches(source, n),
                lambda name=name: make_one_by_one(name, n, pil_objects, pil_backgrounds, draw),
            ]
            times.append(alternate(functions, settings["repetitions"]) / n)
    finally:
        torch.set_num_threads(before)
    return np.stack(times)


def time_photographs(settings):
    """Time one transformation of a photograph of 224 x 224 pixels on one thread; return seconds, as for images."""
    n = settings["n_photographs"]
    photographs = load_backgrounds(size=SIDE)[:n].repeat(LARGE // SIDE, axis=1).repeat(LARGE // SIDE, axis=2)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        sources = [TransformedImages(photographs, np.zeros(n, int), [name], random_state=0) for name in TRANSFORMATIONS]
        functions = [lambda source=source: source.sample(n) for source in sources]
        return alternate(functions, settings["repetitions"], "photographs") / n
    finally:
        torch.set_num_threads(before)


def hold(n, threads):
    """Make images and train the narrowest network on them; return the peak memory after each, in bytes."""
    torch.set_num_threads(threads)
    X, y = Transforms2D(load_objects(size=64), SOURCE, image_size=SIDE, random_state=0).sample(n)
    made = peak_bytes()
    InvariantPretrainer("resnet18", width=0.02, epochs=1, precision="float32", device="cpu", random_state=0).fit(X, y)
    return made, peak_bytes()


def measure_memory(settings):
    """Return the peak memory, (stage, size), of processes that hold few images and many."""
    spawn = multiprocessing.get_context("spawn")
    peaks = []
    for n in tqdm((settings["n_few"], settings["n_held"]), desc="holding images"):
        with ProcessPoolExecutor(1, spawn) as executor:
            peaks.append(executor.submit(hold, n, torch.get_num_threads()).result())
    return np.array(peaks, dtype=np.float64).T


def empty_cell(*, number):
    """Do nothing."""
    return xr.Dataset({"accuracy": ((), float(number))})


def training_cell(*, number, n_images):
    """Train a narrow ResNet-18 for one epoch."""
    X, y = Transforms2D(load_objects(size=64), SOURCE, image_size=SIDE, random_state=number).sample(n_images)
    encoder = InvariantPretrainer("resnet18", width=0.25, epochs=1, batch_size=64, device="cpu", random_state=number)
    return xr.Dataset({"loss": ((), encoder.fit(X, y).history_["loss"][0])})


def time_run(function, n_cells, jobs, more):
    """Return the seconds of a study of `n_cells` cells, one thread each."""
    grid = [({"number": number}, {"number": number} | more) for number in range(n_cells)]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        start = time.perf_counter()
        out = Path(folder) / "cube.nc"
        cube = run_study(function, grid, {"number": list(range(n_cells))}, out, {}, title="", jobs=jobs)
        seconds = time.perf_counter() - start
    if not (cube.status == STATUS.index("done")).all():
        raise RuntimeError(f"cells failed: {cube.message.values}")
    return seconds


def time_cells(settings):
    """Time one more cell, without the start of the engine; return seconds, (kind, engine, repetition)."""
    kinds = (
        (empty_cell, settings["n_empty"], {}),
        (training_cell, settings["n_training"], {"n_images": settings["n_images_each"]}),
    )
    seconds = np.empty((len(kinds), len(ENGINES), settings["repetitions"]))
    for repetition in tqdm(range(settings["repetitions"]), desc="running cells"):
        for row, (function, n_cells, more) in enumerate(kinds):
            for column, jobs in enumerate(ENGINES.values()):
                few, many = (time_run(function, n, jobs, more) for n in (2, 2 + n_cells))
                seconds[row, column, repetition] = (many - few) / n_cells
    return seconds


def measure(settings):
    """Measure everything."""
    values = {
        "image_time": (
            ("transformation", "implementation", "repetition"), time_images(settings), "s", "time to make one image",
        ),
        "photograph_time": (
            ("transformation", "repetition"), time_photographs(settings), "s", "time to transform one photograph",
        ),
        "memory": (("stage", "size"), measure_memory(settings), "byte", "peak memory of a process"),
        "cell_time": (("kind", "engine", "repetition"), time_cells(settings), "s", "time that one cell more takes"),
    }  # fmt: skip
    coordinates = {
        "transformation": list(TRANSFORMATIONS), "implementation": ["invtransfer", "PIL and torchvision"],
        "repetition": np.arange(settings["repetitions"]), "stage": ["made", "made and trained on"],
        "size": [settings["n_few"], settings["n_held"]], "kind": ["empty", "training"], "engine": list(ENGINES),
    }  # fmt: skip
    return benchmarks.make_cube(values, coordinates, {"size": "number of images held"})


def conclude(cube):
    """Return what follows from the measurements, with its target."""
    ours, theirs = (cube.image_time.sel(implementation=name, drop=True) for name in cube.implementation.values)
    rows = {"making images, times as fast as one by one": (*ratio(theirs, ours), "at least", 8.0)}
    for stage in cube.stage.values:
        few, many = cube.memory.sel(stage=stage).values
        value = (many - few) / (3 * SIDE**2 * float(cube["size"][1] - cube["size"][0]))
        rows[f"memory for images {stage}, in their bytes"] = (value, np.nan, np.nan, "at most", 1.3)
    photographs = cube.photograph_time * 1_000
    name = photographs.transformation.values[photographs.median("repetition").argmax("transformation").item()]
    slowest, mean = photographs.sel(transformation=name), photographs.mean("transformation")
    for text, row, most in ((f"{name}, the slowest,", slowest, 3.0), ("the mean of 18", mean, 1.0)):
        rows[f"transforming {LARGE} x {LARGE} pixels, {text} in ms"] = (*spread(row), "at most", most)
    empty, training = (cube.cell_time.sel(kind=name, drop=True) for name in cube.kind.values)
    for name in ENGINES:
        row = empty.sel(engine=name) / OVERHEAD
        rows[f"runner's overhead of a cell in {name}, in {OVERHEAD:g} s"] = (*spread(row), "at most", 1.0)
    one, two = (training.sel(engine=name, drop=True) for name in ENGINES)
    rows["cells of one thread, times as fast with two processes"] = (*ratio(one, two), "at least", 1.8)
    return rows


def format_times(cube):
    """Format the time to make an image by transformation and implementation."""
    names = cube.implementation.values
    lines = [f"microseconds per image, median (least to largest) of {cube.sizes['repetition']} repetitions, one thread"]
    lines += ["", f"{'':<16}" + "".join(f"{name:>26}" for name in names) + f"{'ratio':>8}"]
    for name in cube.transformation.values:
        columns = [spread(row) for row in cube.image_time.sel(transformation=name) * 1e6]
        cells = [f"{median:.0f} ({low:.0f} to {high:.0f})" for median, low, high in columns]
        lines.append(
            f"{name:<16}" + "".join(f"{text:>26}" for text in cells) + f"{columns[1][0] / columns[0][0]:>8.1f}"
        )
    return "\n".join(lines)


def main():
    """Run the study from the command line."""
    benchmarks.main(
        __doc__, PRESETS, DATA / "cubes" / "speed.nc", measure, conclude, title="Speed and memory, in ratios",
        table=format_times,
    )  # fmt: skip


if __name__ == "__main__":
    main()
