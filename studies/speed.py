"""How fast is the package, and how much memory does it take, compared with the ordinary way?

Question
    Do batches of tensors make images much faster than PIL does one by one? Is the data set in memory only once?
    Does scoring sensitivity cost little more than the forward passes? Is the reduced precision faster, and harmless?
    Does the recipe of the presets learn as much as Adam in less time? What does the runner add to a cell, and do two
    processes compute cells of one thread twice as fast as one?
Grid
    Making images: 18 transformations x two implementations; and of whole photographs. Memory: made; made and trained
    on. Sensitivity: widths. Training: formats, and seeds for the accuracy; all architectures in both precisions; two
    kinds of attention; two recipes x seeds. Running: cells that do nothing and cells that train, computed in this
    process and in two others.
Cell
    None: times and memory are not cached. What is compared runs in turn, A B A B, in one process; memory is measured
    in a new process for each size.
Cube
    image_time (transformation x implementation x repetition), photograph_time (transformation x repetition), memory
    (stage x size), sensitivity_time (width x work x repetition), training_time (format x repetition), network_time
    (network x precision x repetition), attention_time (attention x repetition), accuracy (precision x seed),
    recipe_time and recipe_accuracy (recipe x relation x recipe_seed), cell_time (kind x engine x repetition), and
    value, low, high, target and verdict over measure, computed from them. Times mean little on another machine, ratios
    more. Written to data/cubes/.
Cost
    On two CPU cores, which nothing else uses: smoke a minute, quick about a quarter of an hour and 3 GB of memory.
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Appendix A.1, for
    the transformations. The targets are this package's own.
"""

import contextlib
import io
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import xarray as xr
from PIL import Image, ImageOps
from threadpoolctl import threadpool_limits
from torch import nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv
from tqdm import tqdm

from invtransfer import (
    TRANSFORMATIONS,
    FrozenFeatureProbe,
    InvariantPretrainer,
    SensitivityScorer,
    TransformedImages,
    Transforms2D,
    load_backgrounds,
    load_objects,
)
from invtransfer.cubes.assembly import STATUS
from invtransfer.cubes.files import write
from invtransfer.cubes.provenance import find_origin, make_attributes
from invtransfer.cubes.running import run_study
from invtransfer.encoders.classifier import build_network
from invtransfer.images import to_tensor
from invtransfer.networks.architectures import NETWORKS, SelfAttention
from invtransfer.networks.training import train
from invtransfer.paper import tasks
from invtransfer.paper.command_line import make_parser
from invtransfer.paper.grids import RELATIONS
from invtransfer.randomness import derive_generator
from invtransfer.sources.pasting import place_objects
from invtransfer.storage import check_writable

DATA = Path(__file__).resolve().parent.parent / "data"
SIDE = 32  # pixels
LARGE = 224  # pixels of photographs
SOURCE = ("rotate", "hue", "blur")  # of images that are trained on: one of each category
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)  # that both implementations normalise with
BATCH = 128  # images in a tensor
BILINEAR = InterpolationMode.BILINEAR
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
ENGINES = {"this process": 1, "two processes": 2}  # number of jobs
OVERHEAD = 0.05  # seconds that the runner may add to a cell
VERDICTS = ("missed", "met", "not_judged")
PRESETS = {
    "smoke": {
        "repetitions": 1, "n_images": 256, "n_held": 5_000, "n_few": 1_024, "n_pairs": 128, "widths": [0.02],
        "n_steps": 1, "seeds": 2, "n_train": 128, "n_test": 128, "epochs": 1,
        "n_empty": 10, "n_training": 2, "n_images_each": 128, "n_photographs": 2, "n_images_step": 32,
        "recipe_seeds": 1, "recipe_share": 0.02,
    },
    "quick": {
        "repetitions": 5, "n_images": 2_048, "n_held": 500_000, "n_few": 5_000, "n_pairs": 128, "widths": [0.125, 0.25],
        "n_steps": 10, "seeds": 5, "n_train": 1_500, "n_test": 2_000, "epochs": 6,
        "n_empty": 100, "n_training": 12, "n_images_each": 512, "n_photographs": 32, "n_images_step": 512,
        "recipe_seeds": 10, "recipe_share": 1,
    },
}  # fmt: skip


def on_colours(change, image):
    """Change the colours of a PIL image, and keep its alpha."""
    changed = change(image.convert("RGB"))
    changed.putalpha(image.getchannel("A"))
    return changed


def translate(image, draw):
    """Move the object's bounding box to a place inside the image."""
    part = image.crop(image.getchannel("A").getbbox())
    moved = Image.new("RGBA", image.size)
    place = [int(draw.random() * (SIDE - side + 1)) for side in part.size]
    moved.paste(part, place)
    return moved


def noise(image, draw):
    """Add positive Gaussian noise to the colours."""
    pixels = np.array(image)
    field = draw.standard_normal((SIDE, SIDE, 3), dtype=np.float32).clip(0, 1) * 255
    pixels[..., :3] = np.minimum(pixels[..., :3] + field, 255)
    return Image.fromarray(pixels)


def elastic(image, draw):
    """Displace the pixels by a smooth field, as torchvision's ElasticTransform does."""
    field = torch.from_numpy(draw.random((1, 2, SIDE, SIDE), dtype=np.float32) * 2 - 1)
    smooth = tv.gaussian_blur(field, [41, 41], [5.0, 5.0]) * 150 / SIDE
    return tv.elastic_transform(image, smooth.permute(0, 2, 3, 1), BILINEAR)


def erase(image, draw):
    """Make a square transparent."""
    x, y = (int(draw.random() * (SIDE - 14 + 1)) for _ in range(2))
    image = image.copy()
    image.paste((0, 0, 0, 0), (x, y, x + 14, y + 14))
    return image


def affine(image, scale=1.0, shear=(0.0, 0.0)):
    """Scale and shear about the centre."""
    return tv.affine(image, 0.0, [0, 0], scale, list(shear), BILINEAR)


ALWAYS = {  # a PIL image and a numpy Generator to the transformed image
    "translate": translate,
    "rotate": lambda image, draw: tv.rotate(image, draw.uniform(0, 360), BILINEAR),
    "scale": lambda image, draw: affine(image, scale=draw.uniform(0.4, 1.0)),
    "shear": lambda image, draw: affine(image, shear=(draw.uniform(-50, 50), draw.uniform(-50, 50))),
    "hue": lambda image, draw: on_colours(lambda rgb: tv.adjust_hue(rgb, draw.uniform(-0.5, 0.5)), image),
    "brightness": lambda image, draw: tv.adjust_brightness(image, draw.uniform(0, 2)),
    "blur": lambda image, draw: tv.gaussian_blur(image, [7, 7], [draw.uniform(0.1, 1.5)] * 2),
    "contrast": lambda image, draw: tv.adjust_contrast(image, draw.uniform(0, 2)),
}
SOMETIMES = {  # with probability 0.5
    "v_flip": lambda image, draw: tv.vflip(image),
    "h_flip": lambda image, draw: tv.hflip(image),
    "grayscale": lambda image, draw: image.convert("LA").convert("RGBA"),
    "posterize": lambda image, draw: on_colours(lambda rgb: ImageOps.posterize(rgb, 1), image),
    "invert": lambda image, draw: on_colours(ImageOps.invert, image),
    "sharpen": lambda image, draw: tv.adjust_sharpness(image, 7.0),
    "noise": noise,
    "pixelate": lambda image, draw: image.reduce(2).resize((SIDE, SIDE), Image.Resampling.NEAREST),
    "elastic": elastic,
    "erasing": erase,
}


def make_one_by_one(name, n, objects, backgrounds, draw):
    """Make images the ordinary way: each by itself, with PIL, then normalised tensors (batch, 3, side, side)."""
    tensors = []
    for _ in range(n):
        image = objects[draw.integers(len(objects))]
        if name in ALWAYS:
            image = ALWAYS[name](image, draw)
        elif draw.random() < 0.5:
            image = SOMETIMES[name](image, draw)
        pasted = backgrounds[draw.integers(len(backgrounds))].copy()
        pasted.paste(image, mask=image)
        tensors.append(tv.normalize(tv.to_tensor(pasted), MEAN, STD, inplace=True))
    return [torch.stack(tensors[start : start + BATCH]) for start in range(0, n, BATCH)]


def make_in_batches(source, n):
    """Make images with this package: uint8 arrays first, then normalised tensors (batch, 3, side, side)."""
    mean, std = (torch.tensor(values).repeat(SIDE) for values in (MEAN, STD))
    X, _ = source.sample(n)
    batches = [to_tensor(X[start : start + BATCH]) for start in range(0, n, BATCH)]
    for batch in batches:  # by rows of pixels: ten times as fast as by channels, which come last in memory
        batch.permute(0, 2, 3, 1).flatten(2).sub_(mean).div_(std)
    return batches


def alternate(functions, repetitions, description=None):
    """Time functions in turn, after one round that does not count; return seconds, (n_functions, repetitions)."""
    seconds = np.empty((len(functions), repetitions))
    for function in functions:
        function()
    for repetition in tqdm(range(repetitions), desc=description, disable=description is None):
        for row, function in enumerate(functions):
            start = time.perf_counter()
            function()
            seconds[row, repetition] = time.perf_counter() - start
    return seconds


def time_images(settings):
    """Time the making of one image; return seconds, (transformation, implementation, repetition)."""
    images, backgrounds = load_objects(size=64), load_backgrounds(size=SIDE)
    placed = np.round(place_objects(images.images, SIDE) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    pil_objects = [Image.fromarray(np.ascontiguousarray(image)) for image in placed]
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


def peak_bytes():
    """Return the most memory that this process has held so far, in bytes."""
    try:
        # ru_maxrss of a new process begins with what the process that started it has held; this does not.
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource  # not on Windows

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


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


def time_sensitivity(settings):
    """Time the scoring of 18 transformations, and as many bare forward passes: seconds, (width, work, repetition)."""
    n_pairs, times = settings["n_pairs"], []
    source = Transforms2D(load_objects(size=64), image_size=SIDE, random_state=0)
    batches = to_tensor(source.sample(3 * n_pairs)[0]).split(BATCH)  # twins, and another object beside each pair
    for width in settings["widths"]:
        generator = torch.Generator().manual_seed(0)
        encoder = build_network("resnet18", 10, width=width, generator=generator)[:-1].eval()
        scorer = SensitivityScorer(encoder, n_pairs=n_pairs, random_state=0)

        def forward(encoder=encoder):
            with torch.inference_mode():
                for _ in TRANSFORMATIONS:
                    for batch in batches:
                        encoder(batch)

        functions = [lambda scorer=scorer: scorer.fit(source), forward]
        times.append(alternate(functions, settings["repetitions"], f"sensitivity at width {width:g}"))
    return np.stack(times)


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


def compare_accuracy(settings, seeds):
    """Return the test accuracy after training in each precision, (precision, seed)."""
    objects = load_objects(size=64)[:15]
    train_set = Transforms2D(objects, SOURCE, image_size=SIDE, random_state=0).sample(settings["n_train"])
    test_set = Transforms2D(objects, SOURCE, image_size=SIDE, random_state=1).sample(settings["n_test"])
    accuracy = np.empty((len(PRECISIONS), len(seeds)))
    for column, seed in enumerate(tqdm(seeds, desc="accuracy")):
        for row, precision in enumerate(PRECISIONS):
            encoder = InvariantPretrainer(
                "resnet18", width=0.125, epochs=settings["epochs"], batch_size=64, learning_rate=1e-2,
                schedule="one-cycle", precision=precision, device="cpu", random_state=seed,
            )  # fmt: skip
            accuracy[row, column] = encoder.fit(*train_set).score(*test_set)
    return accuracy


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


def measure(settings, seeds):
    """Measure everything, and return the cube without its conclusions."""
    network_time, attention_time = time_networks(settings)
    recipe_time, recipe_accuracy = compare_recipes(settings)
    of_recipes = ("recipe", "relation", "recipe_seed")
    values = {
        "image_time": (
            ("transformation", "implementation", "repetition"), time_images(settings), "s", "time to make one image",
        ),
        "photograph_time": (
            ("transformation", "repetition"), time_photographs(settings), "s", "time to transform one photograph",
        ),
        "network_time": (
            ("network", "chosen_precision", "repetition"), network_time, "s", "training time of one image",
        ),
        "attention_time": (("attention", "repetition"), attention_time, "s", "training time of one image by a ViT"),
        "recipe_time": (of_recipes, recipe_time, "s", "time of the training"),
        "recipe_accuracy": (of_recipes, recipe_accuracy, "1", "accuracy of a probe on the target task"),
        "memory": (("stage", "size"), measure_memory(settings), "byte", "peak memory of a process"),
        "sensitivity_time": (
            ("width", "work", "repetition"), time_sensitivity(settings), "s", "time for 18 transformations",
        ),
        "training_time": (("format", "repetition"), time_training(settings), "s", "time of one training step"),
        "accuracy": (("precision", "seed"), compare_accuracy(settings, seeds), "1", "accuracy on test images"),
        "cell_time": (("kind", "engine", "repetition"), time_cells(settings), "s", "time that one cell more takes"),
    }  # fmt: skip
    coordinates = {
        "transformation": list(TRANSFORMATIONS),
        "implementation": ["invtransfer", "PIL and torchvision"],
        "repetition": np.arange(settings["repetitions"]),
        "stage": ["made", "made and trained on"],
        "size": [settings["n_few"], settings["n_held"]],
        "width": settings["widths"],
        "work": ["SensitivityScorer.fit", "forward passes"],
        "format": list(FORMATS),
        "precision": list(PRECISIONS),
        "network": list(NETWORKS),
        "chosen_precision": ["float32", "auto"],
        "attention": list(ATTENTION),
        "recipe": list(RECIPES),
        "relation": list(RELATIONS),
        "recipe_seed": np.arange(settings["recipe_seeds"]),
        "seed": seeds,
        "kind": ["empty", "training"],
        "engine": list(ENGINES),
    }
    cube = xr.Dataset(
        {name: (dims, data, {"long_name": text, "units": unit}) for name, (dims, data, unit, text) in values.items()},
        coords=coordinates,
    )
    texts = {"size": "number of images held", "width": "multiple of the ResNet-18's channels", "seed": "of weights"}
    for name in cube.coords:
        cube[name].attrs |= {"long_name": texts.get(name, name), "units": "1"}
    return cube


def compare(slow, quick):
    """Return the ratio of median times, averaged over other dimensions, and the least and largest of one repetition."""
    value = slow.median("repetition").mean() / quick.median("repetition").mean()
    others = [dim for dim in slow.dims if dim != "repetition"]
    single = slow.mean(others) / quick.mean(others)
    return float(value), float(single.min()), float(single.max())


def conclude(cube, judged):
    """Add the measures, with their targets and whether they are met, to the cube."""
    ours, theirs = (cube.image_time.sel(implementation=name, drop=True) for name in cube.implementation.values)
    rows = {"making images, times as fast as one by one": (*compare(theirs, ours), "at least", 8.0)}
    for stage in cube.stage.values:
        few, many = cube.memory.sel(stage=stage).values
        value = (many - few) / (3 * SIDE**2 * float(cube["size"][1] - cube["size"][0]))
        rows[f"memory for images {stage}, in their bytes"] = (value, np.nan, np.nan, "at most", 1.3)
    for width in cube.width.values:
        scorer, forward = (cube.sensitivity_time.sel(width=width, work=name, drop=True) for name in cube.work.values)
        rows[f"sensitivity at width {width:g}, in forward passes"] = (*compare(scorer, forward), "at most", 1.3)
    times = {name: cube.training_time.sel(format=name, drop=True) for name in FORMATS}
    first, float32, bfloat16 = times.values()
    rows["channels-last, times as fast as channels-first"] = (*compare(first, float32), "at least", 1.0)
    rows["bfloat16, times as fast as float32"] = (*compare(float32, bfloat16), "at least", 1.0)
    difference = cube.accuracy.sel(precision="bfloat16", drop=True) - cube.accuracy.sel(precision="float32", drop=True)
    in_stds = difference / cube.accuracy.sel(precision="float32", drop=True).std("seed", ddof=1)
    rows["bfloat16's accuracy less float32's, in std over seeds"] = (
        float(in_stds.mean()), float(in_stds.min()), float(in_stds.max()), "at most", 1.0,
    )  # fmt: skip
    for name in cube.network.values:
        float32, auto = cube.network_time.sel(network=name, drop=True).transpose("chosen_precision", ...)
        rows[f"auto precision of {name}, times as fast as float32"] = (*compare(float32, auto), "at least", 0.9)
    plain, kernel = cube.attention_time.transpose("attention", ...)
    rows["plain attention, times as fast as torch's kernel"] = (*compare(kernel, plain), "at least", 1.0)
    photographs = cube.photograph_time * 1_000
    name = photographs.transformation.values[photographs.median("repetition").argmax("transformation").item()]
    slowest, mean = photographs.sel(transformation=name), photographs.mean("transformation")
    for text, row, most in ((f"{name}, the slowest,", slowest, 3.0), ("the mean of 18", mean, 1.0)):
        statistics = (float(row.median()), float(row.min()), float(row.max()))
        rows[f"transforming {LARGE} x {LARGE} pixels, {text} in ms"] = (*statistics, "at most", most)
    adam, muon = cube.recipe_time.mean("relation").transpose("recipe", ...)
    ratio = muon / adam
    rows["training time of the recipe, in that of Adam"] = (
        float(muon.mean() / adam.mean()), float(ratio.min()), float(ratio.max()), "at most", 1 / 3,
    )  # fmt: skip
    adam, muon = cube.recipe_accuracy.mean("relation").transpose("recipe", ...)
    rows["transfer accuracy of the recipe less that of Adam"] = (
        float((muon - adam).mean()), float((muon - adam).min()), float((muon - adam).max()), "at least", -0.01,
    )  # fmt: skip
    empty, training = (cube.cell_time.sel(kind=name, drop=True) for name in cube.kind.values)
    for name in ENGINES:
        row = empty.sel(engine=name) / OVERHEAD
        statistics = (float(row.median()), float(row.min()), float(row.max()))
        rows[f"runner's overhead of a cell in {name}, in {OVERHEAD:g} s"] = (*statistics, "at most", 1.0)
    one, two = (training.sel(engine=name, drop=True) for name in ENGINES)
    rows["cells of one thread, times as fast with two processes"] = (*compare(one, two), "at least", 1.8)
    value, low, high, sense, target = (np.array(column) for column in zip(*rows.values(), strict=True))
    met = np.where(sense == "at least", value >= target, np.abs(value) <= target)
    verdict = np.where(judged, met, VERDICTS.index("not_judged")).astype(np.int8)
    texts = {
        "value": (value, "ratio of medians over repetitions; of memory, one run; of accuracy, mean over seeds"),
        "low": (low, "smallest in one repetition or seed"),
        "high": (high, "largest in one repetition or seed"),
        "sense": (sense, "whether the value should be at least or (its magnitude) at most the target"),
        "target": (target, "what the value is judged by"),
        "verdict": (verdict, "whether the target is met"),
    }
    cube = cube.assign_coords(measure=("measure", list(rows), {"long_name": "what is compared", "units": "1"}))
    for name, (data, text) in texts.items():
        cube[name] = ("measure", data, {"long_name": text, "units": "1"})
    cube.verdict.attrs |= {"flag_values": np.arange(3, dtype=np.int8), "flag_meanings": " ".join(VERDICTS)}
    return cube


def print_tables(cube):
    """Print times per transformation, accuracies, and all measures with target and verdict."""
    n, names = cube.sizes["repetition"], cube.implementation.values
    print(f"\nmicroseconds per image, median (least to largest) of {n} repetitions, one thread\n")
    print(f"{'':<16}" + "".join(f"{name:>26}" for name in names) + f"{'ratio':>8}")
    for name in cube.transformation.values:
        times = cube.image_time.sel(transformation=name) * 1e6
        columns = [(row.median().item(), row.min().item(), row.max().item()) for row in times]
        cells = [f"{median:.0f} ({low:.0f} to {high:.0f})" for median, low, high in columns]
        print(f"{name:<16}" + "".join(f"{text:>26}" for text in cells) + f"{columns[1][0] / columns[0][0]:>8.1f}")
    accuracies = [
        f"{name} {row.mean():.3f} ± {row.std(ddof=1):.3f}" for name, row in cube.accuracy.groupby("precision")
    ]
    print(f"\naccuracy, mean ± std over seeds (n = {cube.sizes['seed']}): {', '.join(accuracies)}")
    print(f"\n{'':<56}{'value':>7}{'least to largest':>18}{'target':>15}  verdict")
    for name in cube.measure.values:
        row = cube.sel(measure=name)
        spread = "" if np.isnan(row.low) else f"{row.low:.2f} to {row.high:.2f}"
        target = f"{row.sense.item()} {row.target:g}"
        print(f"{name:<56}{row.value:>7.2f}{spread:>18}{target:>15}  {VERDICTS[int(row.verdict)].replace('_', ' ')}")


def main():
    """Run the study from the command line."""
    parser = make_parser(__doc__, PRESETS)
    options = parser.parse_args()
    if options.jobs not in (None, 1):
        parser.error(f"--jobs is {options.jobs}, expected 1: what is timed must not run beside something else")
    settings = dict(PRESETS[options.preset])
    seeds = list(range(options.seeds or settings["seeds"]))
    out = options.out or DATA / "cubes" / ("speed.nc" if options.preset == "quick" else f"speed-{options.preset}.nc")
    try:
        check_writable(out)
    except OSError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0  # mean number of busy processes, last minute
    if load > 0.5:
        print(f"{load:.1f} other processes have been busy in the last minute: do not trust the times", file=sys.stderr)
    torch.set_num_threads(options.threads)
    with threadpool_limits(options.threads):
        cube = conclude(measure(settings, seeds), judged=options.preset != "smoke")
    settings |= {"preset": options.preset, "seeds": len(seeds), "threads": options.threads, "source": list(SOURCE)}
    attributes = {
        "title": "Speed and memory, in ratios",
        **make_attributes(settings, [find_origin(options.threads)]),
        "load_average": load,
    }
    write(cube.assign_attrs(attributes), out)
    print_tables(cube)
    print(f"\ncube: {out}")


if __name__ == "__main__":
    main()
