"""The command ``invtransfer``: what can be asked of cubes without writing a program."""

import argparse
import inspect
import re
import shlex
import sys
import warnings
from pathlib import Path

from invtransfer.cubes.assembly import STATUS, check_study_cube, is_whole
from invtransfer.cubes.export import export_csv
from invtransfer.cubes.files import load_cube, read, write
from invtransfer.cubes.kinds import find_kind
from invtransfer.cubes.merging import merge
from invtransfer.cubes.reproduction import reproduce
from invtransfer.cubes.status import format_status
from invtransfer.storage import check_writable, expand_path, format_error, parse_json, say

STUDY = "script of the study (default: studies/NAME.py)"
SHARED = {  # options that mean the same in all commands for models and images
    "transformations": {
        "nargs": "+", "metavar": "NAME", "help": "such as h_flip rotate (default: all 18); your own only in Python",
    },
    "layer": {"metavar": "NAME", "help": "layer whose output is taken (default: what the model calls its feature)"},
    "pool": {
        "default": "auto", "choices": ["auto", "class", "mean", "flatten"],
        "help": "how token sequences and maps become one row of features (default: auto)",
    },
    "size": {
        "type": int, "metavar": "N", "default": 224,
        "help": "side in pixels to which images are resized before they are transformed (default: 224; with 256, models"
        " that first resize images to 256 need not enlarge them)",
    },
    "device": {
        "metavar": "NAME", "default": "auto",
        "help": "such as cpu or cuda; auto: a GPU if there is one (default: auto)",
    },
    "batch_size": {"type": int, "metavar": "N", "help": "images per call of a model (default: as suits their size)"},
    "precision": {
        "default": "float32", "choices": ["float32", "bfloat16", "float16"],
        "help": "number format in which models compute (default: float32)",
    },
    "random_weights": {"action": "store_true", "help": "give models of libraries random weights"},
    "skip_unreadable": {"action": "store_true", "help": "leave out damaged files, with a warning"},
    "seed": {"type": int, "metavar": "N", "default": 0, "help": "seed of all random draws (default: 0)"},
}  # fmt: skip


def main(arguments=None):
    """Run the command.

    Parameters
    ----------
    arguments : list of str, optional
        Arguments of the command line; by default those of this process.

    Raises
    ------
    SystemExit
        With code 2 and one line on standard error if something is wrong with the arguments or files; with code 1 if a
        cell is not reproduced; with code 130 if it is interrupted (Ctrl-C).
    """
    parser = _make_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help(sys.stderr)
        parser.exit(2, f"\n{parser.prog}: no command was given, expected one of those above\n")
    name = f"{parser.prog} {options.command}"
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: say(f"{name}: warning: {message}", sys.stderr)
            code = options.run(options)
    except KeyboardInterrupt:
        parser.exit(130, f"\n{name}: interrupted\n")
    except (OSError, ValueError, TypeError, ImportError) as error:
        more = "; pip install 'invtransfer[plot]'" if "matplotlib" in str(error) else ""
        parser.exit(2, f"{name}: {format_error(error)}{more}\n")
    if code:
        parser.exit(code)


def _make_parser():
    parser = argparse.ArgumentParser("invtransfer", description="Measure models, or ask something about a cube.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    _add_measure(commands)
    _add_advise(commands)
    command = _add(commands, _status, "show how far a study or a measurement is, also while it runs")
    command.add_argument("path", metavar="CUBE_OR_FOLDER", help="a cube, its folder .cells, or a folder of cubes")

    command = _add(commands, _merge, "merge cubes of the same study")
    command.add_argument("cubes", nargs="+", metavar="CUBE.nc", help="two or more cubes")
    command.add_argument("-o", "--out", required=True, type=expand_path, metavar="CUBE.nc", help="where the union goes")
    command.add_argument("--study", type=expand_path, metavar="FILE.py", help=STUDY)

    command = _add(commands, _reproduce, "compute one cell again and compare it bit for bit")
    command.add_argument("cube", metavar="CUBE.nc", help="cube of a study")
    command.add_argument(
        "--cell", nargs="+", required=True, metavar="NAME=LABEL",
        help="place of the cell, with a label along each dimension: factor=architecture=vit,relation=same,seed=0",
    )  # fmt: skip
    command.add_argument("--study", type=expand_path, metavar="FILE.py", help=STUDY)
    command.add_argument("--objects", metavar="FOLDER", help="folder of the objects, if not the default ones")
    command.add_argument("--data", type=expand_path, metavar="FOLDER", help="where CIFAR is (default: data/sets)")

    command = _add(commands, _page, "write a cube as a page to look at in a browser")
    command.add_argument(
        "cube", type=expand_path, metavar="CUBE.nc", help="cube of a measurement, of advice or of a study"
    )
    command.add_argument(
        "-o", "--out", type=expand_path, metavar="PAGE.html", help="where the page goes (default: beside the cube)"
    )
    command.add_argument(
        "--images", type=expand_path, metavar="PATH",
        help="the images that were measured: the page shows those that each transformation moves most and least",
    )  # fmt: skip
    command.add_argument("--study", type=expand_path, metavar="FILE.py", help=STUDY)

    command = _add(commands, _export, "write a cube as tables for other programs")
    command.add_argument("cube", type=expand_path, metavar="CUBE.nc", help="cube of measure or advise, or of a study")
    command.add_argument("--to", choices=["csv"], default="csv", help="format of the tables (default: csv)")
    command.add_argument(
        "-o", "--out", type=expand_path, metavar="FOLDER", help="where they go (default: beside the cube)"
    )
    command.add_argument("--overwrite", action="store_true", help="replace tables of the same name")

    command = _add(commands, _compare, "put a cube's values beside published ones")
    command.add_argument("cube", metavar="CUBE.nc", help="cube of a study")
    command.add_argument("csv", metavar="PUBLISHED.csv", help="published values, from data/published/")
    command.add_argument("--ignore", nargs="+", default=[], metavar="NAME", help="settings that may differ, or: all")
    command.add_argument("--figure", type=expand_path, metavar="FILE.png", help="also draw it; needs matplotlib")
    return parser


def _add_measure(commands):
    """Add the command that has most options."""
    command = _add(commands, _measure, "measure what models ignore in your own images")
    _add_models_and_images(command, "folder of images, or file of arrays")
    pairs = "largest number of images that are measured (default: 1000)"
    command.add_argument("--pairs", type=int, metavar="N", default=1_000, help=pairs)
    layers = "layers measured in one pass: blocks, or names that all models have (default: only --layer)"
    command.add_argument("--layers", nargs="+", metavar="NAME", help=layers)
    strengths = "strengths of the transformations, above 0 and up to 1, such as 0.1 0.25 0.5 1 (default: 1)"
    command.add_argument("--strengths", nargs="+", type=float, metavar="S", help=strengths)
    distance = "distance between features (default: euclidean)"
    command.add_argument(
        "--distance", default="euclidean", choices=["euclidean", "cosine", "mahalanobis"], help=distance
    )
    pairs = "transformations that are also measured one after the other: all, or pairs such as rotate,blur"
    command.add_argument("--interactions", nargs="+", metavar="PAIR", help=pairs)


def _add_advise(commands):
    command = _add(commands, _advise, "say which invariances a task of labelled images needs")
    _add_models_and_images(command, "folder with a folder of images for each class, or file of arrays with labels")
    images = "largest number of images that are used (default: all)"
    command.add_argument("--most-images", type=int, metavar="N", help=images)
    groups = "regular expression for paths, such as patient[0-9]+: images that match with the same text stay together"
    command.add_argument("--groups", metavar="REGEX", help=groups)
    draws = "transformed copies of each image, for each transformation (default: 4)"
    command.add_argument("--draws", type=int, metavar="N", default=4, help=draws)


def _add_models_and_images(command, images):
    """Add what all commands for models and images take."""
    models = (
        "such as torchvision:resnet50, timm:NAME, hf:NAME, encoder.npz, or mine.py:make_encoder, which is a function"
        " without arguments that returns a torch module"
    )
    command.usage = "%(prog)s MODEL [MODEL ...] --images PATH --out CUBE.nc [OPTION ...]"  # options take what follows
    command.add_argument("models", nargs="+", metavar="MODEL", help=models)
    command.add_argument("--images", required=True, type=expand_path, metavar="PATH", help=images)
    command.add_argument("--out", required=True, type=expand_path, metavar="CUBE.nc", help="where the cube goes")
    for name, options in SHARED.items():
        command.add_argument(f"--{name.replace('_', '-')}", **options)


def _add(commands, run, summary):
    """Add a command. Its name is the name of the function, and its description the function's docstring."""
    command = commands.add_parser(run.__name__.strip("_"), help=summary, description=inspect.getdoc(run))
    command.set_defaults(run=run)
    return command


def _measure(options):
    """Measure how sensitive models are to transformations of your own images.

    Each image is compared with its transformed version; every image is transformed. The command prints a table, and
    leaves a labelled netCDF cube and a figure. If it is stopped, the same command goes on. All models see the same
    transformed images.
    """
    from invtransfer.commands.measuring import (  # here: the other commands load no torch
        format_measurement,
        measure_models,
    )
    from invtransfer.plots import plot_measurement

    _check_figure(options.out)
    cube = measure_models(
        options.models, options.images, options.out, n_pairs=options.pairs,
        layers="blocks" if options.layers == ["blocks"] else options.layers, strengths=options.strengths,
        distance=options.distance, interactions=_parse_pairs(options.interactions), **_shared(options),
    )  # fmt: skip
    _show(cube, options.out, format_measurement, plot_measurement, _point_to_advice(cube, options))


def _advise(options):
    """Say which invariances a task needs, from labelled images of your own.

    The images lie in a folder for each class. Each is transformed a few times at random; does a probe that tells the
    classes apart gain if it also sees such copies, in the pixels and in the features of your models? The command prints
    for each model a table, with advice about each transformation: pretrain with it (encourage, try) or not (stay
    sensitive, avoid), or do nothing, and how sure that is. It leaves a labelled netCDF cube and a figure. If it is
    stopped, the same command goes on with the models and transformations that are not done. All models see the same
    copies.
    """
    from invtransfer.commands.task_advice import (  # here: the other commands load no torch
        advise_on_task,
        format_task_advice,
    )
    from invtransfer.plots import plot_advice

    _check_figure(options.out)
    cube = advise_on_task(
        options.models,
        options.images,
        options.out,
        groups=options.groups,
        most_images=options.most_images,
        n_draws=options.draws,
        **_shared(options),
    )
    _show(cube, options.out, format_task_advice, plot_advice)


def _shared(options):
    """Return the options that all commands for models and images have."""
    return {name: getattr(options, name) for name in SHARED}


def _check_figure(out):
    """Raise an error if there is a file in the place of the figure of a cube that there is not."""
    figure = out.with_suffix(".png")
    if figure.exists() and not out.exists():
        raise ValueError(
            f"{figure} exists, but {out.name} does not: the figure would overwrite it; choose another --out, or move it"
            " away"
        )


def _show(cube, out, format_cube, plot, more=""):
    """Print a cube and draw its figure, as far as its cells are done; raise an error if some failed."""
    failed = cube.status.values == STATUS.index("failed")
    if not failed.all():
        figure = out.with_suffix(".png")
        try:
            plot(cube).savefig(figure, dpi=110)
        except ModuleNotFoundError as error:
            figure = f"none: {error}; pip install 'invtransfer[plot]'"
        say(f"\n{format_cube(cube)}\n\nfigure  {figure}")
    say(f"cube    {out}{more}")
    if failed.any():
        raise ValueError(
            f"{failed.sum()} of {failed.size} measurements failed; the first: {cube.message.values[failed][0]};"
            f" tracebacks are in {out.with_suffix('.log')}; the same command tries them again"
        )


def _point_to_advice(cube, options):
    """Return a line that points to the advice for images that lie in a folder for each class, else nothing."""
    classes = {Path(name).parent for name in cube.file.values.tolist()} if "file" in cube.coords else set()
    if len(classes) < 2:
        return ""
    words = ["invtransfer", "advise", *options.models, "--images", str(options.images)]
    words += ["--out", str(options.out.with_name(f"{options.out.stem}-advice.nc"))]
    for name, value in _shared(options).items():
        if value not in (SHARED[name].get("default"), None, False):
            values = value if isinstance(value, list) else [value]
            words += [f"--{name.replace('_', '-')}", *(map(str, values) if value is not True else ())]
    return f"\nadvice  which invariances it takes to tell these classes apart: {shlex.join(words)}"


def _parse_pairs(texts):
    """Return what `interactions` stands for: "all", pairs of names, or None."""
    if texts is None or texts == ["all"]:
        return texts and "all"
    for text in texts:
        if text.count(",") != 1:
            raise ValueError(f"--interactions has {text!r}, expected pairs such as rotate,blur, or only all")
    return [tuple(text.split(",")) for text in texts]


def _status(options):
    """Show how far a study or a measurement is.

    It lists which cells are done, running, failed (and why) or missing, how long a cell takes, and about how long the
    rest will take. Nothing is changed, so you can ask while the study runs, from any machine that sees the folder.
    """
    say(format_status(options.path))


def _merge(options):
    """Merge cubes of the same study.

    They may be shards that were computed on machines without a common disk, or runs of other seeds or levels. If two
    cubes hold different values of a finished cell, all such conflicts are named, and nothing is written. A finished
    cell is taken where another cube has none or a failed one. With your copy of the study's script, its claims are
    checked again.
    """
    if options.out.exists():
        raise ValueError(f"{options.out} exists: choose another --out, or move it away")
    check_writable(options.out)
    cube, notes = merge([read(path) for path in options.cubes], options.cubes)
    name = cube.attrs.get("study")
    if options.study or (name and Path("studies", f"{name}.py").exists()):
        study = _load_study(name, options.study)
        try:
            cube, text = study.check_claims(cube)
        except Exception as error:  # whatever the script raises, as of cells that are missing: the union is kept
            text = f"claims  not checked: {type(error).__name__}: {error}"
        notes += [f"{text}\n"] * bool(text)
    write(cube, options.out)
    say("\n".join([*notes, f"cube    {options.out}"]))


def _reproduce(options):
    """Compute one cell of a cube again, and compare all its values bit for bit.

    The cell is computed from the arguments that the cube holds, with as many threads as it had. If values differ, the
    command says which versions, code or hardware differ, and ends with code 1. It runs your copy of the study's script;
    nothing in the cube is executed.
    """
    pairs = [text.partition("=") for argument in options.cell for text in argument.split(",")]
    for name, equals, label in pairs:
        if not (name and equals and label):
            raise ValueError(f"--cell has {name + equals + label!r}, expected NAME=LABEL, such as seed=0")
    cube = read(options.cube)
    check_study_cube(cube, options.cube)
    kind = find_kind(cube)
    if kind in ("measurement", "advice"):
        raise ValueError(f"{options.cube} is a measurement: run its command again, with another --out, and compare")
    if kind == "own study":
        raise ValueError(
            f"{options.cube} is a cube of your own study, whose function the command does not know: call it with the"
            " arguments that the cube has for the place, see invtransfer.cubes.reproduce"
        )
    if kind != "study" or "settings" not in cube.attrs:
        raise ValueError("the cube is not a study's, or of an earlier version: it does not say how to compute a cell")
    study = _load_study(cube.attrs["study"], options.study)
    function = study.bind(parse_json(cube.attrs["settings"], "settings", dict), options.objects, options.data)
    text, identical = reproduce(cube, {name: label for name, _, label in pairs}, function)
    say(text)
    return 0 if identical else 1


def _load_study(name, path):
    """Return the study of a cube, from the script at a path, or else from that of its name."""
    from invtransfer.paper import load_study  # here, so that the other commands load no torch

    if path is None and not re.fullmatch("[a-z][a-z0-9_]*", str(name)):
        raise ValueError(f"study is {name!r}, expected the name of a script")
    study = load_study(path or Path("studies", f"{name}.py"))
    if study.name != name:
        raise ValueError(f"--study is the study {study.name!r}, but the cube is of the study {name!r}")
    return study


def _page(options):
    """Write a cube as a page: one HTML file for a browser, which needs no network.

    The page says what was measured and what stands out, with figures, tables that sort, how to read them, how the
    numbers came about, and the command that repeats it. For the cube of a study it runs your copy of the study's
    script; nothing in the cube is executed.
    """
    from invtransfer import pages  # here, so that the other commands start sooner

    path = options.out or options.cube.with_suffix(".html")
    cube = read(options.cube)
    pages.check_page(path)
    kind = find_kind(cube)
    if options.images and kind != "measurement":
        raise ValueError(f"--images is for cubes of invtransfer measure, and {options.cube} is none")
    if options.study and kind != "study":
        raise ValueError(f"--study is for cubes of studies, and {options.cube} is none")
    if kind == "study":
        study = _load_study(cube.attrs["study"], options.study)
        from invtransfer.analysis.claims import describe_claims

        claims = study.claims(cube) if study.claims is not None and is_whole(cube) else []
        page = pages.make_study_page(cube, study, describe_claims(claims))
    elif kind == "advice":
        page = pages.make_advice_page(cube, options.cube.name)
    elif kind in ("measurement", "profile"):
        page = pages.make_profile_page(cube, options.cube.name, *_find_images(cube, options.images))
    elif kind == "timings":
        page = pages.make_speed_page(cube, options.cube.name)
    elif kind == "own study":
        raise ValueError(
            f"{options.cube} is a cube of your own study, which has no page: plot it with xarray or"
            " invtransfer.plots.draw_curves, or export it (invtransfer export)"
        )
    else:
        raise ValueError(f"{options.cube} is no cube of invtransfer measure or advise, or of a study")
    pages.write_page(page, path)
    say(f"page    {path}")


def _find_images(cube, path):
    """Return the pairs of images that a measurement compared, and their classes, if a page shall show them."""
    if path is None:
        return None, None
    from invtransfer.commands.measuring import make_pairs  # here, so that a page without images loads no torch

    say(f"images  {path}: reading, and drawing those that each transformation moves most and least")
    return make_pairs(cube, path)


def _export(options):
    """Write a cube as tables, for spreadsheets, R or pandas.

    There is one table for each set of dimensions, so that no value is repeated; a list of all columns with their units
    and meaning; and the attributes, which say how the numbers came about.
    """
    folder, stem = options.out or options.cube.parent, options.cube.stem
    paths = export_csv(read(options.cube), folder, stem, overwrite=options.overwrite)
    say("\n".join(map(str, paths)))


def _compare(options):
    """Put a cube's values beside published ones.

    Only values of the same settings are compared. The table says which settings differ, and what was not compared.
    """
    from invtransfer.plots import plot_comparison  # here, so that the other commands start sooner
    from invtransfer.published import compare_to_published, format_comparison

    ignore = "all" if "all" in options.ignore else options.ignore
    comparison = compare_to_published(load_cube(options.cube), options.csv, ignore)
    say(format_comparison(comparison))
    if options.figure:
        plot_comparison(comparison).savefig(options.figure, dpi=110)


if __name__ == "__main__":
    main()
