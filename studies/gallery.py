"""What do the 18 transformations do to an image?

Question
    Does each transformation look as the paper describes it, on objects and on photographs? Example images as in the
    paper's Figures 1 and 5.
Grid
    18 transformations, grouped by category, and three combinations of several. In a row the object and its background
    (or the photograph) stay the same, and only the draw changes; the first image is not transformed.
Cell
    None: nothing is trained or measured.
Cube
    None. Two figures: the transformations, to data/cubes/gallery.png, and beside it, with "-classes" added to its name,
    the combinations and all classes without transformation.
Cost
    Seconds on one CPU core.
Reference
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Section 3.3 and
    Appendix A.1, Figures 1 and 5.
"""

import argparse
import math
from pathlib import Path

import numpy as np

from invtransfer import (
    TRANSFORMATIONS,
    TransformedImages,
    Transforms2D,
    load_backgrounds,
    load_cifar10,
    load_objects,
)
from invtransfer.cifar import CIFAR10_CLASSES
from invtransfer.cubes import check_writable
from invtransfer.images import check_count
from invtransfer.running import positive

DATA = Path(__file__).resolve().parent.parent / "data"
COMBINATIONS = (("rotate", "hue", "blur"), ("translate", "posterize", "noise"), ("shear", "brightness", "erasing"))
PRESETS = {"smoke": {"n_draws": 3}, "quick": {"n_draws": 12}}
DPI = 100  # pixels per inch
TILE = 64  # pixels that an image takes in the figure, at least: a whole multiple of its own, so that it stays crisp
GAP, LINE, MARGIN, TEXT = 4, 22, 14, 104  # pixels between images, of a line, around everything, for names of rows


def transforms2d_sources(folder, image_size, seed):
    """Return the function from a class and transformations to a source of that one object, and the classes' names."""
    objects = load_objects(folder, size=max(64, image_size))
    backgrounds = load_backgrounds(size=max(8, image_size))
    order = np.random.default_rng([seed, 1]).permutation(len(backgrounds))

    def make_source(number, names):
        behind = backgrounds[order[[number % len(order)]]]
        return Transforms2D(objects[number], names, backgrounds=behind, image_size=image_size, random_state=seed)

    return make_source, objects.names


def cifar10_sources(folder, seed):
    """Return the same for one photograph of each class of CIFAR-10."""
    images, labels = load_cifar10(folder, split="test")
    generator = np.random.default_rng([seed, 1])
    chosen = [generator.choice(np.flatnonzero(labels == label)) for label in range(len(CIFAR10_CLASSES))]

    def make_source(number, names):
        return TransformedImages(images[[chosen[number]]], [number], names, random_state=seed)

    return make_source, CIFAR10_CLASSES


def make_rows(make_source, lists, n_classes, n_draws, seed):
    """Make, for each list of transformations, one image without and several with them; a class to each row.

    Returns an array of shape (n_rows, 1 + n_draws, height, width, 3), uint8.
    """
    order = np.random.default_rng([seed, 0]).permutation(n_classes)
    rows = []
    for row, names in enumerate(lists):
        source = make_source(order[row % n_classes], names)
        rows.append(np.concatenate([source.sample(1, transformations=())[0], source.sample(n_draws)[0]]))
    return np.stack(rows)


def scale_up(images):
    """Repeat the pixels of images, the last three dimensions, until they fill a tile."""
    times = max(1, TILE // images.shape[-2])
    return images.repeat(times, axis=-3).repeat(times, axis=-2)


def draw_strip(figure, images, left, top):
    """Put a row of images, (n, height, width, 3), into a figure, pixel on pixel, `left` and `top` in pixels."""
    full_width, full_height = figure.get_size_inches() * DPI
    for image in images:
        height, width = image.shape[:2]
        place = (left / full_width, 1 - (top + height) / full_height, width / full_width, height / full_height)
        axes = figure.add_axes(place)
        axes.imshow(image, interpolation="nearest", aspect="auto")
        axes.axis("off")
        left += width + GAP


def write_text(figure, text, left, top, **style):
    """Write text into a figure, at a place in pixels from its top left corner."""
    width, height = figure.get_size_inches() * DPI
    figure.text(left / width, 1 - top / height, text, **style)


def make_figure(width, height):
    """Return an empty white figure of a size in pixels."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")


def draw_transformations(rows):
    """Draw a row per transformation, under a heading per category."""
    rows = scale_up(rows)
    pitch = rows.shape[2] + GAP
    n_categories = len({t.category for t in TRANSFORMATIONS.values()})
    height = 2 * MARGIN + len(rows) * pitch + n_categories * LINE
    figure = make_figure(2 * MARGIN + TEXT + rows.shape[1] * pitch - GAP, height)
    left, top, category = MARGIN + TEXT, MARGIN, None
    for column, text in enumerate(("without", "with")):
        style = {"ha": "center", "va": "center", "size": 9, "color": "0.4"}
        write_text(figure, text, left + (column + 0.5) * pitch, top + LINE / 2 - GAP, **style)
    for transformation, images in zip(TRANSFORMATIONS.values(), rows, strict=True):
        if transformation.category != category:
            category = transformation.category
            write_text(figure, category, MARGIN, top + LINE / 2 - GAP, va="center", size=9, color="0.4")
            top += LINE
        write_text(figure, transformation.name, MARGIN, top + pitch / 2, va="center", size=13)
        draw_strip(figure, images, left, top)
        top += pitch
    return figure


def draw_classes(combined, classes, names):
    """Draw the combinations, and below them all classes with their names."""
    combined, classes = scale_up(combined), scale_up(classes)
    pitch = classes.shape[2] + GAP
    n_columns = max(combined.shape[1], min(len(classes), 10))
    n_lines = math.ceil(len(classes) / n_columns)
    height = 2 * MARGIN + (len(combined) + n_lines) * (pitch + LINE) + LINE
    figure = make_figure(2 * MARGIN + n_columns * pitch - GAP, height)
    top = MARGIN
    for images, combination in zip(combined, COMBINATIONS, strict=True):
        write_text(figure, " + ".join(combination), MARGIN, top + LINE - 4, va="baseline", size=10)
        draw_strip(figure, images, MARGIN, top + LINE)
        top += pitch + LINE
    top += LINE
    for start in range(0, len(classes), n_columns):
        draw_strip(figure, classes[start : start + n_columns], MARGIN, top)
        for column, name in enumerate(names[start : start + n_columns]):
            middle = MARGIN + column * pitch + (pitch - GAP) / 2
            style = {"ha": "center", "va": "center", "size": 7}
            write_text(figure, name.replace("_", " "), middle, top + pitch - GAP + LINE / 2, **style)
        top += pitch + LINE
    return figure


def make_parser():
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=list(PRESETS), default="quick", help="number of columns (default: quick)")
    parser.add_argument("--out", type=Path, metavar="PNG", help="where the figure of transformations goes")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="of the choice of images and draws (default: 1)"
    )
    parser.add_argument("--dataset", choices=["transforms2d", "cifar10"], default="transforms2d")
    parser.add_argument("--objects", metavar="FOLDER", help="other objects than the procedural ones")
    parser.add_argument("--data", default=DATA / "sets", metavar="FOLDER", help="where CIFAR-10 is")
    parser.add_argument("--image-size", type=positive, default=32, metavar="N", help="side in pixels (default: 32)")
    return parser


def main():
    """Make the figures from the command line."""
    parser = make_parser()
    options = parser.parse_args()
    if options.dataset == "cifar10" and (options.objects or options.image_size != 32):
        parser.error("--objects and --image-size are for --dataset transforms2d")
    folder = options.objects or "procedural"
    name = options.dataset if options.dataset == "cifar10" else Path(folder).name if options.objects else ""
    out = options.out or DATA / "cubes" / (f"gallery-{name}.png" if name else "gallery.png")
    if out.suffix != ".png":
        parser.error(f"--out is {out}, expected a name that ends in .png")
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        parser.exit(2, f"{parser.prog}: figures need matplotlib: pip install 'invtransfer[plot]'\n")
    try:
        check_writable(out)
        seed = check_count(options.seed, "--seed", low=0)
        if options.dataset == "cifar10":
            make_source, names = cifar10_sources(options.data, seed)
        else:
            make_source, names = transforms2d_sources(folder, options.image_size, seed)
        n_draws = PRESETS[options.preset]["n_draws"]
        singles = make_rows(make_source, [[name] for name in TRANSFORMATIONS], len(names), n_draws, seed)
        combined = make_rows(make_source, COMBINATIONS, len(names), n_draws, seed)
    except (OSError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    classes = np.concatenate([make_source(number, ()).sample(1)[0] for number in range(len(names))])
    figures = {
        out: draw_transformations(singles),
        out.with_stem(f"{out.stem}-classes"): draw_classes(combined, classes, names),
    }
    for path, figure in figures.items():
        figure.savefig(path)
        print(f"figure: {path}")


if __name__ == "__main__":
    main()
