"""How much faster is one cell than the protocol that the paper's authors released, at equal transfer accuracy?

Question
    A cell makes images, pretrains an encoder, probes it on the target task, and scores its sensitivity to the 18
    transformations. How long does that take here, and how long in the ordinary way, with the same network, the same
    numbers of images, and one thread each? The released code makes every image by itself, with PIL and torchvision, and
    again in every epoch; it trains for 50 epochs with Adam, a learning rate of 1e-3 and batches of 512; its probe is a
    linear layer trained for 200 epochs, in each of which the frozen backbone computes all features again; and
    sensitivities are averaged over batches.
Grid
    protocol ("invtransfer", "released") x seed. Both solve the same task: objects, classes and transformations are
    those of studies/factors.py, relation "same". Images are other draws of the same distribution.
Cell
    None: times are not cached. The protocols take turns, seed by seed, in one process.
Cube
    seconds over protocol x stage x seed; transfer_accuracy and source_accuracy over protocol x seed; sensitivity over
    protocol x seed x transformation. Written to data/cubes/cell_speed.nc.
Cost
    On one CPU core, which nothing else uses: smoke half a minute, quick half an hour.
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Sections 3 and 4.1
    and Appendix B.2; its released code.
"""

import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from threadpoolctl import threadpool_limits
from torch import nn
from tqdm import tqdm

from invtransfer import TRANSFORMATIONS, FrozenFeatureProbe, SensitivityScorer, load_backgrounds
from invtransfer.analysis import format_mean
from invtransfer.cubes.files import write
from invtransfer.cubes.provenance import find_origin, make_attributes
from invtransfer.encoders.classifier import build_network
from invtransfer.networks.architectures import initialise
from invtransfer.paper import benchmarks, one_by_one, tasks
from invtransfer.paper.command_line import exit_on_error, make_parser
from invtransfer.paper.datasets import load_objects_and_backgrounds
from invtransfer.paper.presets import PROTOCOL
from invtransfer.paper.pretraining import pretrain
from invtransfer.randomness import derive_generator, derive_seed
from invtransfer.storage import check_writable

DATA = Path(__file__).resolve().parent.parent / "data"
SIDE = 32  # pixels
STAGES = ("pretraining", "probing", "sensitivity")
RELEASED = {"epochs": 50, "probe_epochs": 200, "learning_rate": 1e-3, "batch_size": 512}
PRESETS = {
    "smoke": PROTOCOL["smoke"] | {"released": RELEASED | {"epochs": 1, "probe_epochs": 1}},
    "quick": PROTOCOL["quick"] | {"released": RELEASED},
}


class OneByOne(torch.utils.data.Dataset):
    """Transformed objects on backgrounds, each image made by itself whenever it is asked for."""

    def __init__(self, objects, backgrounds, classes, names, random_state, n, twin=False):
        self.objects, self.backgrounds, self.classes, self.names = objects, backgrounds, classes, names
        self.random_state, self.n, self.twin = random_state, n, twin

    def __len__(self):
        """Return the number of images."""
        return self.n

    def __getitem__(self, i):
        """Make image i, a normalised tensor (3, side, side), and its label."""
        draw = derive_generator(self.random_state, "image", i)
        label, background = draw.integers(len(self.classes)), draw.integers(len(self.backgrounds))
        draw = derive_generator(self.random_state, "twin" if self.twin else "transformations", i)
        image = self.objects[self.classes[label]]
        for name in self.names:
            image = one_by_one.transform(name, image, draw)
        return one_by_one.show(image, self.backgrounds[background]), label


def fit(network, trained, training, validation, *, epochs, learning_rate, batch_size, generator):
    """Train some of a network's weights with Adam, image by image, and keep the best epoch on validation images."""
    optimizer = torch.optim.Adam(trained.parameters(), lr=learning_rate)
    loader = torch.utils.data.DataLoader(training, batch_size, shuffle=True, generator=generator)
    best, kept = -1.0, None
    for _ in range(epochs):
        network.eval()
        trained.train()
        for images, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
        accuracy = score(network, validation)
        if accuracy > best:
            best, kept = accuracy, {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(kept)


@torch.no_grad()
def score(network, images, batch_size=128):
    """Return the accuracy of a network on images that are made one by one."""
    network.eval()
    loader = torch.utils.data.DataLoader(images, batch_size)
    right = sum(int((network(batch).argmax(1) == labels).sum()) for batch, labels in loader)
    return right / len(images)


@torch.no_grad()
def measure_sensitivity(first, second, backbone, batch_size=128):
    """Return the mean over batches of the distance of twins, divided by that of the images of other pairs."""
    loaders = (torch.utils.data.DataLoader(images, batch_size) for images in (first, second))
    ratios = []
    for (images, _), (twins, _) in zip(*loaders, strict=True):
        Z, Z_twin = backbone(images), backbone(twins)
        between = torch.cdist(Z, Z_twin)
        others = between[~torch.eye(len(Z), dtype=torch.bool)]
        ratios.append(float(between.diagonal().mean() / others.mean()))
    return np.mean(ratios)


def run_released(seed, settings):
    """Compute a cell by the released protocol; return the seconds of each stage, accuracies and sensitivities."""
    objects, _ = load_objects_and_backgrounds("procedural")
    names = tasks.draw_transformations(seed)["same"]
    source, target = tasks.draw_classes("disjoint", settings["n_classes"], len(objects), seed)
    shown = one_by_one.open_objects(objects.images, SIDE)
    behind = [Image.fromarray(image) for image in load_backgrounds(size=SIDE)]

    def images(classes, part, n, names=names, twin=False):
        return OneByOne(shown, behind, classes, names, derive_seed(seed, part), n, twin)

    generator = torch.Generator().manual_seed(seed)
    network = build_network(
        settings["architecture"], settings["n_classes"], width=settings["width"], generator=generator
    )
    sizes, released = [settings[name] for name in ("n_validation", "n_test")], settings["released"]
    times = [time.perf_counter()]
    more = {"learning_rate": released["learning_rate"], "batch_size": released["batch_size"], "generator": generator}
    training = images(source, "training", settings["n_samples"])
    validation = images(source, "validation", sizes[0])
    fit(network, network, training, validation, epochs=released["epochs"], **more)
    source_accuracy = score(network, images(source, "test", sizes[1]))
    times.append(time.perf_counter())
    backbone = network[:-1].eval().requires_grad_(False)
    head = nn.Linear(network[-1].in_features, settings["n_classes"])
    initialise(head, generator)
    probe, training = nn.Sequential(backbone, head), images(target, "probing", settings["n_probe"])
    validation = images(target, "validation of the probe", sizes[0])
    fit(probe, head, training, validation, epochs=released["probe_epochs"], **more)
    accuracy = score(probe, images(target, "test of the probe", sizes[1]))
    times.append(time.perf_counter())
    sensitivities = [
        measure_sensitivity(
            *[images(target, "test of the probe", settings["n_pairs"], [name], twin) for twin in (False, True)],
            backbone,
        )
        for name in TRANSFORMATIONS
    ]
    times.append(time.perf_counter())
    return np.diff(times), accuracy, source_accuracy, sensitivities


def run_ours(seed, settings):
    """Compute the same cell with this package; return the same."""
    source, target = tasks.make_tasks(
        folder="procedural", dataset="transforms2d", class_relation="disjoint", relation="same", seed=seed,
        n_classes=settings["n_classes"],
    )  # fmt: skip
    names = ("n_samples", "n_validation", "n_test", "architecture", "width", "epochs", "batch_size", "learning_rate")
    given = {name: settings[name] for name in (*names, "schedule", "weight_decay", "optimizer")}
    times = [time.perf_counter()]
    encoder, measured = pretrain(source, seed=seed, **given)
    times.append(time.perf_counter())
    training, validation, test = (
        part.sample(settings[name]) for part, name in zip(target, ("n_probe", "n_validation", "n_test"), strict=True)
    )
    accuracy = FrozenFeatureProbe(encoder, random_state=seed).fit(*training, *validation).score(*test)
    times.append(time.perf_counter())
    scorer = SensitivityScorer(encoder, n_pairs=settings["n_pairs"], random_state=seed).fit(target[-1])
    times.append(time.perf_counter())
    return np.diff(times), accuracy, measured["source_accuracy"][1], scorer.sensitivity_.values


def measure(settings, seeds):
    """Run both protocols in turn, and return the cube."""
    rows = []
    for seed in tqdm(seeds, desc="cells"):
        rows.append([run(seed, settings) for run in (run_ours, run_released)])
    seconds, accuracy, source_accuracy, sensitivity = (
        np.array([[row[i] for row in pair] for pair in rows]).swapaxes(0, 1) for i in range(4)
    )
    values = {
        "seconds": (("protocol", "seed", "stage"), seconds, "s", "time of the stage"),
        "transfer_accuracy": (("protocol", "seed"), accuracy, "1", "accuracy of the probe on the target task"),
        "source_accuracy": (("protocol", "seed"), source_accuracy, "1", "accuracy on the source task"),
        "sensitivity": (("protocol", "seed", "transformation"), sensitivity, "1", "sensitivity on the target's images"),
    }
    coordinates = {"protocol": ["invtransfer", "released"], "seed": seeds, "stage": list(STAGES),
                   "transformation": list(TRANSFORMATIONS)}  # fmt: skip
    return benchmarks.make_cube(values, coordinates)


def print_results(cube):
    """Print times by stage, their ratios, and accuracies."""
    n = cube.sizes["seed"]
    print(f"\nseconds of a cell on one thread, mean over seeds (n = {n}), and how many times as fast ours is\n")
    parts = {stage: cube.seconds.sel(stage=stage) for stage in cube.stage.values}
    for stage, part in (parts | {"whole cell": cube.seconds.sum("stage")}).items():
        ours, theirs = (part.sel(protocol=name, drop=True) for name in cube.protocol.values)
        ratio = theirs / ours
        times = f"{ours.mean():>8.2f}{theirs.mean():>10.1f}{ratio.mean():>8.1f}"
        print(f"  {stage:<14}{times} ({ratio.min():.1f} to {ratio.max():.1f})")
    for name in ("source_accuracy", "transfer_accuracy"):
        values = cube[name]
        both = " against ".join(f"{values.sel(protocol=which).mean():.3f}" for which in cube.protocol.values)
        difference = values.sel(protocol="invtransfer") - values.sel(protocol="released")
        print(f"  {name.replace('_', ' ')}: {both} (difference {format_mean(difference, '+')})")


def main():
    """Run the study from the command line."""
    parser = make_parser(__doc__, PRESETS)
    options = parser.parse_args()
    settings = PRESETS[options.preset]
    out = options.out or DATA / "cubes" / ("cell_speed" + f"-{options.preset}" * (options.preset != "quick") + ".nc")
    if options.threads != 1 or options.jobs not in (None, 1):
        parser.error("what is timed must run alone, on one thread: leave --jobs and --threads out")
    with exit_on_error(parser):
        check_writable(out)
    torch.set_num_threads(1)
    with threadpool_limits(1):
        cube = measure(settings, list(range(options.seeds or settings["seeds"])))
    attributes = make_attributes(settings | {"preset": options.preset}, [find_origin(1)])
    write(cube.assign_attrs({"title": "Speed of a cell against the released protocol", **attributes}), out)
    print_results(cube)
    print(f"\ncube: {out}")


if __name__ == "__main__":
    main()
