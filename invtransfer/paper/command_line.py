"""The one command line of all studies: presets, settings, what is to be computed, and the results."""

import argparse
import math
import os
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch

from invtransfer.cubes.assembly import STATUS, is_whole
from invtransfer.cubes.files import write
from invtransfer.cubes.running import UNDONE, plan_study, run_study
from invtransfer.paper.datasets import PAPER_OBJECTS
from invtransfer.paper.grids import LONG_NAMES
from invtransfer.paper.presets import MEANINGS
from invtransfer.storage import expand_path, format_error, format_json, say

NOT_OPTIONS = ("levels", "seeds")  # settings that have options of another kind


def main(study, arguments=None):
    """Run a study from the command line.

    Parameters
    ----------
    study : Study
        The study.
    arguments : list of str
        Arguments of the command line. None: those of this process.

    Raises
    ------
    SystemExit
        With code 2 and one line on standard error if the options or data are not valid; with code 1 if cells
        failed.
    """
    default = "quick" if "quick" in study.presets else next(iter(study.presets))
    *_, settings = study.presets.values()
    parser = make_parser(study.description, study.presets, default, settings=settings, choices=study.choices)
    parser.add_argument("--objects", metavar="FOLDER", help="folder of the objects to show, see data/README.md")
    if study.reads_cifar:
        parser.add_argument("--data", type=expand_path, metavar="FOLDER", help="where CIFAR is (default: data/sets)")
    options = parser.parse_args(arguments)
    with exit_on_error(parser):
        dataset, data = getattr(options, "dataset", None), getattr(options, "data", None) or Path(study.folder, "sets")
        settings = override(study.settings(options.preset, dataset), options)
        inputs = study.find(objects=options.objects, data=data, **settings)
        usual = study.presets[options.preset].get("dataset")
        names = [inputs.name, *([dataset] if dataset not in (None, usual) else []), options.preset]
        path = options.out or default_path(Path(study.folder, "cubes"), study.name, *names)
        settings |= inputs.identity
        only = options.only or ()  # places that are computed, states of the cells that are computed, or both
        grid, coordinates = select_places(*study.grid(settings), [label for label in only if label not in UNDONE])
        chosen = {"states": tuple(state for state in UNDONE if state in only) or UNDONE, "shard": options.shard}
        # the number of seeds is not recorded: a run with more contains one with fewer
        recorded = {name: value for name, value in settings.items() if name != "seeds"}
        if options.dry_run:
            torch.set_num_threads(options.threads)
            say(plan_study(grid, coordinates, path, recorded, study.estimate, options.jobs, **chosen))
            return
        attributes = {"study": study.name}
        if "paper" in study.presets:
            paper = study.settings("paper", settings["dataset"] if settings.get("dataset") in study.datasets else None)
            paper |= {"objects": PAPER_OBJECTS} if inputs.identity else {}
            attributes["paper_settings"] = format_json(paper)
        cube = run_study(
            partial(study.cell, **inputs.where), grid, coordinates, path, recorded, title=study.title,
            long_names=LONG_NAMES, attributes=attributes, jobs=options.jobs, threads=options.threads,
            scheduler=options.scheduler, **chosen,
        )  # fmt: skip
    _report(study, cube, path)


def make_parser(description, presets, default="quick", *, settings=None, choices=None):
    """Make a command line with the options that all studies have, and one option for each setting.

    Parameters
    ----------
    description : str
        Docstring of the study.
    presets : iterable of str
        Names for ``--preset``.
    default : str
        Preset that is run if none is named.
    settings : dict
        Settings of one preset. Each becomes an option that overrides it, see `override`. The entry "levels", a dict of
        str to list, makes options such as ``--width-levels 0.5 1``; "seeds" always has an option. None: no options.
    choices : dict of str to sequence
        Values that some of the settings may have.

    Returns
    -------
    parser : argparse.ArgumentParser
        With --preset, --out, --seeds, --jobs and --threads; and, if there are settings, with --scheduler, --shard,
        --only and --dry-run.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--preset", choices=list(presets), default=default, help=f"size of the study (default: {default})"
    )
    parser.add_argument(
        "--out",
        type=expand_path,
        metavar="CUBE.nc",
        help="where the cube goes; the run also writes CUBE.png, CUBE.log and CUBE.cells/ beside it, so do not redirect"
        " output to CUBE.log",
    )
    parser.add_argument("--seeds", type=parse_count, metavar="N", help="number of repetitions, with seeds 0 to N - 1")
    parser.add_argument("--jobs", type=parse_count, metavar="N", help="processes (default: one per GPU, or per core)")
    parser.add_argument("--threads", type=parse_count, default=1, metavar="N", help="threads per process (default: 1)")
    if settings is None:
        return parser
    parser.add_argument("--dry-run", action="store_true", help="list the cells, their states, and the projected time")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="LABEL",
        help="labels: the cube has only the places with these labels, such as: vit seed=0. Or states (failed, missing):"
        " the cube has all places, but only cells in these states are computed",
    )
    parser.add_argument(
        "--scheduler",
        metavar="WHERE",
        help="compute on a dask.distributed cluster: the scheduler's address (tcp://host:8786) or JSON file, or: local",
    )
    parser.add_argument(
        "--shard",
        type=parse_fraction,
        default=(1, 1),
        metavar="K/N",
        help="compute every N-th cell only, starting with the K-th, for N runs that share the work, such as a batch"
        " array; the last run to end, or the same command without --shard, completes the cube",
    )
    protocol = parser.add_argument_group("protocol", "settings of the preset, each of which can be overridden")
    choices = choices or {}
    for name, value in settings.items():
        if name not in NOT_OPTIONS:
            _add_setting(protocol, name, MEANINGS.get(name, ""), [value], choices.get(name))
    for name, levels in settings.get("levels", {}).items():
        meaning = f"levels of the factor {name}" + (f" ({MEANINGS[name]})" if name in MEANINGS else "")
        _add_setting(protocol, f"{name}_levels", meaning, levels, choices.get(name), nargs="+")
    return parser


def _add_setting(group, name, meaning, values, choices, **more):
    """Add an option for a setting."""
    kinds = {int: (parse_count, "N"), float: (parse_not_negative, "X"), str: (str, "NAME")}
    kind, metavar = kinds[type(values[0])]
    example = " ".join(map(str, values))
    option = f"--{name.replace('_', '-')}"
    values = f"one of {', '.join(choices)}" if choices and "nargs" not in more else f"such as {example}"
    text = f"{meaning}, {values}" if meaning else values
    group.add_argument(option, type=kind, choices=choices, metavar=metavar, help=text, **more)


def override(settings, options):
    """Return settings with the values that the command line gives.

    Parameters
    ----------
    settings : dict
        Settings of a preset; the entry "levels" is a dict of str to list.
    options : argparse.Namespace
        What a parser of `make_parser` returned.

    Returns
    -------
    settings : dict
        A new dict, in which each level occurs once.

    Examples
    --------
    >>> parser = make_parser("", ["quick"], settings={"epochs": 6, "levels": {"width": [0.5, 1.0]}})
    >>> options = parser.parse_args(["--epochs", "2", "--width-levels", "0.25"])
    >>> override({"epochs": 10, "levels": {"width": [1.0]}}, options)
    {'epochs': 2, 'levels': {'width': [0.25]}}
    """
    given = {name: value for name, value in vars(options).items() if value is not None}
    levels = dict(settings.get("levels", {}))
    for name, values in given.items():
        if name.endswith("_levels"):  # also for a factor that does not vary in the preset
            levels[name.removesuffix("_levels")] = list(dict.fromkeys(values))
    changed = {name: given.get(name, value) for name, value in settings.items()}
    return changed | ({"levels": levels} if levels else {})


def make_type(convert, expected):
    """Make a function that parses what is typed.

    Parameters
    ----------
    convert : callable
        Function from the text to a value. It raises ValueError if the text stands for none.
    expected : str
        What is expected, in words.

    Returns
    -------
    parse : callable
        Function from the text to the value, for argparse. It raises argparse.ArgumentTypeError, which says what was
        typed and what is expected, if the text stands for no value.

    Examples
    --------
    >>> parse_count("3"), parse_not_negative("1e-3"), parse_fraction("2/8")
    (3, 0.001, (2, 8))
    """

    def parse(text):
        try:
            return convert(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"is {text!r}, expected {expected}") from error

    return parse


def _count(text):
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError
    return int(text)


def _not_negative(text):
    number = float(text)
    if not 0 <= number < math.inf:
        raise ValueError
    return number


def _fraction(text):
    k, n = map(_count, text.split("/"))  # such as "2/8": the second of eight shards
    if k > n:
        raise ValueError
    return k, n


parse_count = make_type(_count, "a whole number of at least 1")
parse_not_negative = make_type(_not_negative, "a number of at least 0")
parse_fraction = make_type(_fraction, "K/N, such as 1/4, with K from 1 to N")


def default_path(folder, study, *parts):
    """Return where a study's cube goes unless the command line says otherwise.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the cubes.
    study : str
        Name of the study.
    *parts : str
        Words that tell this run from the default one; "" and "quick" are left out.

    Returns
    -------
    path : pathlib.Path

    Examples
    --------
    >>> default_path(Path("cubes"), "factors", "cifar10", "quick").name
    'factors-cifar10.nc'
    >>> default_path(Path("cubes"), "factors", "", "smoke").name
    'factors-smoke.nc'
    """
    return folder / ("-".join([study, *(part for part in parts if part not in ("", "quick"))]) + ".nc")


@contextmanager
def exit_on_error(parser):
    """End the program with one line and exit code 2 if the block raises an error that a user can cause.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Parser of the program.

    Raises
    ------
    SystemExit
        With code 2, if the block raises OSError, ValueError, RuntimeError or ImportError; the message goes to standard
        error.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        parser.exit(2, f"{parser.prog}: {format_error(error)}\n")


def select_places(grid, coordinates, only):
    """Keep the places of a grid that have the given labels.

    Parameters
    ----------
    grid : list of (dict, dict) or (dict, dict, dict)
        Grid as `run_study` takes it.
    coordinates : dict of str to list, or to tuple of (dimension, list)
        Coordinates of the cube.
    only : list of str or None
        Labels, such as "vit"; numbers, and labels that two dimensions have, with the name of their coordinate, such as
        "seed=0". Labels of further coordinates count for their dimension. A place is kept if it has one of the labels
        named along each dimension; dimensions without any do not matter. None: all places are kept.

    Returns
    -------
    grid : list
        The places that are kept.
    coordinates : dict
        The labels that are kept.

    Raises
    ------
    ValueError
        If there is no such label, two dimensions have it, or no place is left.

    Examples
    --------
    >>> places = [({"network": name, "seed": seed}, {}) for name in ("vit", "vgg11") for seed in (0, 1)]
    >>> coordinates = {"network": ["vit", "vgg11"], "seed": [0, 1]}
    >>> select_places(places, coordinates, ["vit", "seed=1"])
    ([({'network': 'vit', 'seed': 1}, {})], {'network': ['vit'], 'seed': [1]})
    """
    if not only:
        return grid, coordinates
    along = {name: (name, value) if isinstance(value, list) else value for name, value in coordinates.items()}
    found = {}  # text that names a label -> dimension -> positions along it
    for name, (dim, labels) in along.items():
        for i, label in enumerate(labels):
            for text in (f"{name}={label}", label):
                found.setdefault(text, {}).setdefault(dim, set()).add(i)
    kept = {}
    for text in only:
        dims = found.get(text, {})
        if len(dims) > 1:
            names = [f"{name}={text}" for name, (_, labels) in along.items() if text in labels]
            raise ValueError(f"--only is {text!r}, expected {' or '.join(names)}")
        if not dims:
            words = [
                label if isinstance(label, str) and len(found[label]) == 1 else f"{name}={label}"
                for name, (_, labels) in along.items()
                for label in labels
            ]
            raise ValueError(f"--only is {text!r}, expected labels of this study: {', '.join(dict.fromkeys(words))}")
        for dim, positions in dims.items():
            kept[dim] = kept.get(dim, set()) | positions
    left = {}
    for name, (dim, labels) in along.items():
        labels = [label for i, label in enumerate(labels) if dim not in kept or i in kept[dim]]
        left[name] = labels if name == dim else (dim, labels)
    places = [item for item in grid if all(label in left[dim] for dim, label in item[0].items())]
    if not places:
        raise ValueError(f"--only is {' '.join(only)!r}, but no place of this study has all of them")
    return places, left


def _report(study, cube, path):
    """Print the table, failures and files of a study, and draw its figure beside the cube.

    While cells are missing, the table is not printed, and no figure is drawn. If cells failed, it ends with code 1.
    """
    missing, failed = (cube.status.values == STATUS.index(state) for state in ("missing", "failed"))
    missing &= cube.cell.values != ""  # some places of the cube may have no cell
    if is_whole(cube):
        say(f"\n{study.table(cube)}")
        with_claims, text = study.check_claims(cube)
        if text:
            say(f"\n{text}")
            try:
                write(with_claims, path)
            except OSError as error:
                raise SystemExit(f"the cube is whole, but its claims cannot be added to it: {error}") from error
        figure = path.with_suffix(".png")
        try:
            study.figure(cube).savefig(figure, dpi=110)
        except ModuleNotFoundError as error:
            figure = f"none: {error}; pip install 'invtransfer[plot]'"
        say(f"\nfigure  {figure}")
    say(f"cube    {path}")
    if study.published is not None and is_whole(cube):
        table = os.path.relpath(Path(study.folder, "published", study.published))
        say(f"paper   invtransfer compare {path} {table} --ignore all")
    if missing.any():
        n_places = int((cube.cell != "").sum())
        say(f"missing {missing.sum()} of {n_places} places: the same command without --shard and --only adds them")
    if failed.any():
        raise SystemExit(
            f"{failed.sum()} of {failed.size} places of the cube failed; the first: {cube.message.values[failed][0]}\n"
            f"tracebacks are in {path.with_suffix('.log')}; the same command tries them again, --only failed only them"
        )
