"""What do the data look like: transformations, objects, photographs, and both in one picture?

Question
    Do the data look as the paper describes them? Figures like its 1, 5, 6 and 15, for any objects.
Grid
    Five figures. The first is named by --out, the others have a word added to its name:

    gallery.png           Figure 5 of the paper: each of the 18 transformations, one object (or photograph) to a row
    gallery-overview.png  Figure 1: several objects, rotated, in other hues, blurred, and under two sets of three
    gallery-combined.png  Figure 6: photographs, the same with objects on them, and objects on black
    gallery-patterns.png  Figure 15: random patterns, and photographs, under four transformations
    gallery-classes.png   no figure of the paper: every class, without transformation

    In a row the object and its background stay the same, and only the draw changes; but each random background is a
    fresh one, as in the data. In a set, each transformation has the same draws as alone.
Cell
    None: nothing is trained or measured.
Cube
    None. The figures go to data/cubes. Photographs are CIFAR-10's, or CIFAR-100's if --dataset says so; where CIFAR-10
    is not there, a stand-in of large objects takes its place in Figures 6 and 15, and they say so.
Cost
    Seconds on one CPU core.
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Sections 3.3 and
    4.2, Appendices A and D.1.
"""

import argparse
from pathlib import Path

import numpy as np

from invtransfer import TRANSFORMATIONS, TransformedImages, Transforms2D, load_backgrounds, load_objects
from invtransfer.images.checks import check_count
from invtransfer.paper.command_line import default_path, exit_on_error, parse_count
from invtransfer.paper.datasets import CIFAR, OBJECT_SIZE, load_objects_and_backgrounds
from invtransfer.paper.images_with_objects import POSITIONS, STAND_IN, load_labelled_images, make_combined
from invtransfer.plots.gallery import draw_groups, draw_named, draw_panels
from invtransfer.randomness import derive_generator
from invtransfer.sources.cifar import CIFAR10_CLASSES, cifar100_classes
from invtransfer.sources.pasting import centred_box
from invtransfer.storage import check_writable, say

DATA = Path(__file__).resolve().parent.parent / "data"
PRESETS = {"smoke": 3, "quick": 12, "paper": 12}  # images with each transformation
OVERVIEW = (["rotate"], ["hue"], ["blur"], ["rotate", "hue", "blur"], ["translate", "posterize", "noise"])
ON_PATTERNS = ("elastic", "pixelate", "translate", "hue")
N_COMBINED = 10  # columns of Figure 6, and objects to choose from


def object_sources(folder, image_size, seed):
    """Return the function from a class and transformations to a source of that one object, and the classes' names."""
    if folder == "random":
        objects = load_objects(folder, max(8, centred_box((image_size, image_size))[2]), seed)  # as pasted: not blurred
    else:
        objects = load_objects(folder, max(OBJECT_SIZE, image_size))
        own = (Path(folder) / "backgrounds").is_dir() and folder != "procedural"
        backgrounds = load_backgrounds(folder if own else "procedural", max(8, image_size))
        order = derive_generator(seed, "backgrounds of the gallery").permutation(len(backgrounds))

    def make_source(number, names):
        behind = "random" if folder == "random" else backgrounds[order[[number % len(order)]]]
        return Transforms2D(objects[number], names, backgrounds=behind, image_size=image_size, random_state=seed)

    return make_source, objects.names


def photograph_sources(dataset, folder, seed):
    """Return such a function for one photograph of each class, then the data set that they are from, and its title."""
    wanted = dataset if dataset in CIFAR else "cifar10"
    try:
        images, labels = load_labelled_images(wanted, folder)[1]
        names = CIFAR10_CLASSES if wanted == "cifar10" else cifar100_classes(folder)
        title = wanted.upper().replace("CIFAR", "CIFAR-")
    except FileNotFoundError as error:
        if dataset in CIFAR:
            raise
        print(f"CIFAR-10 is not there; in Figures 6 and 15 a stand-in takes its place ({error})")
        wanted, title, names = STAND_IN, "stand-in for CIFAR-10, which was not there", load_objects().names[-10:]
        images, labels = load_labelled_images(wanted, folder)[1]
    generator = derive_generator(seed, "photographs of the gallery")
    chosen = [generator.choice(np.flatnonzero(labels == label)) for label in range(len(names))]

    def make_source(number, names):
        return TransformedImages(images[[chosen[number]]], [number], names, random_state=seed)

    return make_source, names, wanted, title


def make_rows(make_source, names, n_classes, n_draws, seed):
    """Make, for each transformation, one image without and n_draws with it; a class to each row."""
    order = derive_generator(seed, "rows of the gallery").permutation(n_classes)
    sources = {name: make_source(order[row % n_classes], [name]) for row, name in enumerate(names)}
    return {
        name: np.concatenate([source.sample(1, transformations=())[0], source.sample(n_draws)[0]])
        for name, source in sources.items()
    }


def make_overview(make_source, names, seed, n_rows=4, n_draws=3):
    """Make panels of some classes: without transformation, and n_draws images for each set of them."""
    chosen = derive_generator(seed, "overview of the gallery").permutation(len(names))[:n_rows]
    panels = {"without": np.stack([make_source(number, ()).sample(1)[0] for number in chosen])}
    for row_names in OVERVIEW:
        rows = [make_source(number, row_names).sample(n_draws, start=i * n_draws)[0] for i, number in enumerate(chosen)]
        panels[" + ".join(row_names)] = np.stack(rows)
    return panels, [names[number] for number in chosen]


def make_combinations(photographs, data, folder, seed):
    """Make the images of Figure 6, (what is shown, position) to images, and the labels of their columns."""
    n_objects = min(N_COMBINED, len(load_objects_and_backgrounds(folder)[0]))
    more = {"dataset": photographs, "data": data, "folder": folder, "n_objects": n_objects, "seed": seed}
    images, labels = {}, {}
    for task in ("images alone", "objects on images", "objects alone"):
        for position in ("random",) if task == "images alone" else ("random", "fixed"):
            source = make_combined(task, position=POSITIONS[position], **more)[0]
            images[task, position], labels[task] = source.sample(N_COMBINED)
    return images, labels["images alone"], [source.class_names[label] for label in labels["objects alone"]]


def draw_transformations(rows):
    """Draw the paper's Figure 5: a row per transformation, by category."""
    groups = {}
    for name, images in rows.items():
        groups.setdefault(TRANSFORMATIONS[name].category, {})[name] = images
    return draw_groups(groups, above=("without", "with"))


def draw_combined(images, title, class_names, object_names):
    """Draw the paper's Figure 6; in a column, the photograph and the object stay the same."""
    heads = {
        "images alone": title,
        "objects on images": "the same images with objects, at a random position or in the upper right corner",
        "objects alone": "the same objects at the same positions, on black",
    }
    groups = {}
    for (shown, position), strip in images.items():
        groups.setdefault(heads[shown], {})["alone" if shown == "images alone" else position] = strip
    return draw_groups(groups, above=class_names, below=object_names, tile=96)


def draw_patterns(patterns, photographs, title):
    """Draw the paper's Figure 15: rows of random patterns, and rows of photographs."""
    groups = {"(a) random patterns on random backgrounds": patterns, f"(b) {title}": photographs}
    return draw_groups(groups, above=("without", "with"))


def make_parser():
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=list(PRESETS), default="quick", help="number of columns (default: quick)")
    parser.add_argument("--out", type=Path, metavar="PNG", help="where the figure of transformations goes")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="seed of images and draws (default: 1)")
    parser.add_argument("--dataset", choices=[STAND_IN, *CIFAR], default=STAND_IN, help="what is transformed")
    parser.add_argument("--objects", default="procedural", metavar="FOLDER", help='folder of objects, or "random"')
    parser.add_argument("--data", default=str(DATA / "sets"), metavar="FOLDER", help="where CIFAR is")
    parser.add_argument("--image-size", type=parse_count, default=32, metavar="N", help="side in pixels (default: 32)")
    return parser


def make_figures(options):
    """Return the figures by the word that is added to their name."""
    seed, n_draws = check_count(options.seed, "--seed", low=0), PRESETS[options.preset]
    make_photograph, class_names, photographs, title = photograph_sources(options.dataset, options.data, seed)
    make_pattern, pattern_names = object_sources("random", options.image_size, seed)
    make_source, names = make_photograph, class_names
    if options.dataset not in CIFAR:
        make_source, names = object_sources(options.objects, options.image_size, seed)
    combined, labels, object_names = make_combinations(photographs, options.data, options.objects, seed)
    classes = [make_source(number, ()).sample(1)[0] for number in range(len(names))]
    return {
        "": draw_transformations(make_rows(make_source, TRANSFORMATIONS, len(names), n_draws, seed)),
        "-overview": draw_panels(*make_overview(make_source, names, seed)),
        "-combined": draw_combined(combined, title, [class_names[label] for label in labels], object_names),
        "-patterns": draw_patterns(
            make_rows(make_pattern, ON_PATTERNS, len(pattern_names), n_draws, seed),
            make_rows(make_photograph, ON_PATTERNS, len(class_names), n_draws, seed),
            title,
        ),
        "-classes": draw_named(np.concatenate(classes), names),
    }


def main():
    """Make the figures from the command line."""
    parser = make_parser()
    options = parser.parse_args()
    if options.dataset in CIFAR and options.image_size != 32:
        parser.error("--image-size is for --dataset transforms2d: CIFAR's images have 32 x 32 pixels")
    words = ["" if options.dataset == STAND_IN else options.dataset]
    words.append("" if options.objects == "procedural" else Path(options.objects).resolve().name)
    out = options.out or default_path(DATA / "cubes", "gallery", *words, options.preset).with_suffix(".png")
    if out.suffix != ".png":
        parser.error(f"--out is {out}, expected a name that ends in .png")
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        parser.exit(2, f"{parser.prog}: figures need matplotlib: pip install 'invtransfer[plot]'\n")
    with exit_on_error(parser):
        check_writable(out)
        for word, figure in make_figures(options).items():
            path = out.with_stem(out.stem + word)
            figure.savefig(path)
            say(f"figure  {path}")


if __name__ == "__main__":
    main()
