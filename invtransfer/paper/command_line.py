"""The command line that all studies share: presets, overrides, what is to be done, and how it came out."""

import argparse
import math
import os
from contextlib import contextmanager
from pathlib import Path

import torch

from invtransfer.cubes.files import STATUS
from invtransfer.cubes.running import UNDONE, plan_study, run_study
from invtransfer.storage import canonical


def study_parser(description, presets, default="quick", *, settings=None, choices=None):
    """Return a command line with the options that all studies have, and one for each number of a protocol.

    Parameters
    ----------
    description : str
        The study's docstring.
    presets : iterable of str
        Names for ``--preset``.
    default : str
        The preset that is run if none is named.
    settings : dict
        Names and values of one preset: each becomes an option that overrides it, see `override`. The entry "levels", a
        dict of str to list, makes options such as ``--width-levels 0.5 1``; "seeds" has its own. None: no such options.
    choices : dict of str to sequence
        What some of the settings may be.

    Returns
    -------
    parser : argparse.ArgumentParser
        With --preset, --out, --seeds, --jobs and --threads; and with --scheduler, --shard, --only and --dry-run, if
        there are settings.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--preset", choices=list(presets), default=default, help=f"size of the study (default: {default})"
    )
    parser.add_argument("--out", type=Path, metavar="CUBE.nc", help="where the cube goes; the figure goes beside it")
    parser.add_argument("--seeds", type=positive, metavar="N", help="number of repetitions, with seeds 0 to N - 1")
    parser.add_argument("--jobs", type=positive, metavar="N", help="processes (default: one per GPU, or per core)")
    parser.add_argument("--threads", type=positive, default=1, metavar="N", help="threads of each process (default: 1)")
    if settings is None:
        return parser
    parser.add_argument("--dry-run", action="store_true", help="list the cells, what is there, and the projected time")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="LABEL",
        help="compute the places with these labels alone, such as: vit seed=0; or, of a cube that stays whole, what is:"
        " failed, missing",
    )
    parser.add_argument(
        "--scheduler",
        metavar="WHERE",
        help="compute on a dask.distributed cluster: the scheduler's address (tcp://host:8786) or JSON file, or: local",
    )
    parser.add_argument(
        "--shard",
        type=fraction,
        default=(1, 1),
        metavar="K/N",
        help="compute every N-th cell only, from the K-th on, for N runs that share the work, such as a batch array;"
        " the last that ends, or the same command without --shard, completes the cube",
    )
    protocol = parser.add_argument_group("protocol", "numbers of the preset, to be overridden one by one")
    choices = choices or {}
    for name, value in settings.items():
        if name not in ("levels", "seeds"):
            _add_setting(protocol, name, [value], choices.get(name))
    for name, levels in settings.get("levels", {}).items():
        _add_setting(protocol, f"{name}_levels", levels, choices.get(name), nargs="+")
    return parser


def _add_setting(group, name, values, choices, **more):
    kind, metavar = {int: (positive, "N"), float: (not_negative, "X"), str: (str, "NAME")}[type(values[0])]
    example = " ".join(map(str, values))
    option = f"--{name.replace('_', '-')}"
    group.add_argument(option, type=kind, choices=choices, metavar=metavar, help=f"such as {example}", **more)


def override(settings, options):
    """Return settings with what was said on the command line.

    Parameters
    ----------
    settings : dict
        Of a preset; the entry "levels" is a dict of str to list.
    options : argparse.Namespace
        Of a `study_parser` with settings.

    Returns
    -------
    settings : dict
        Another one. A level that was named twice is there once.

    Examples
    --------
    >>> parser = study_parser("", ["quick"], settings={"epochs": 6, "levels": {"width": [0.5, 1.0]}})
    >>> options = parser.parse_args(["--epochs", "2", "--width-levels", "0.25"])
    >>> override({"epochs": 10, "levels": {"width": [1.0]}}, options)
    {'epochs': 2, 'levels': {'width': [0.25]}}
    """
    given = {name: value for name, value in vars(options).items() if value is not None}
    levels = dict(settings.get("levels", {}))
    for name, values in given.items():
        if name.endswith("_levels"):  # also those of a factor that the preset leaves at its default
            levels[name.removesuffix("_levels")] = list(dict.fromkeys(values))
    changed = {name: given.get(name, value) for name, value in settings.items()}
    return changed | ({"levels": levels} if levels else {})


def positive(text):
    """Read a whole number of at least 1 from the command line.

    Parameters
    ----------
    text : str
        What was typed.

    Returns
    -------
    number : int

    Raises
    ------
    argparse.ArgumentTypeError
        If it is another.

    Examples
    --------
    >>> positive("3")
    3
    """
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"is {text!r}, expected a whole number of at least 1")
    return int(text)


def not_negative(text):
    """Read a number of at least 0 from the command line.

    Parameters
    ----------
    text : str
        What was typed.

    Returns
    -------
    number : float

    Raises
    ------
    argparse.ArgumentTypeError
        If it is another.

    Examples
    --------
    >>> not_negative("1e-3")
    0.001
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"is {text!r}, expected a number of at least 0")
    return number


def fraction(text):
    """Read the number of a shard, and how many there are, from the command line.

    Parameters
    ----------
    text : str
        What was typed.

    Returns
    -------
    k, n : int

    Raises
    ------
    argparse.ArgumentTypeError
        If it is no K/N with K from 1 to N.

    Examples
    --------
    >>> fraction("2/8")
    (2, 8)
    """
    k, slash, n = text.partition("/")
    if not (slash and k.isascii() and k.isdigit() and n.isascii() and n.isdigit() and 1 <= int(k) <= int(n)):
        raise argparse.ArgumentTypeError(f"is {text!r}, expected K/N, such as 1/4, with K from 1 to N")
    return int(k), int(n)


def default_path(folder, study, *parts):
    """Return where a study's cube goes if nobody says.

    Parameters
    ----------
    folder : pathlib.Path
        Of cubes.
    study : str
        Its name.
    *parts : str
        What tells this run from the default one; "" and "quick" do not.

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


def report(cube, path, print_table, plot, published=None):
    """Say how a study came out: table, failures, files; and draw its figure beside the cube.

    Parameters
    ----------
    cube : xarray.Dataset
        As `run_study` returns it.
    path : pathlib.Path
        Of the cube.
    print_table : callable
        From a cube to lines on the terminal; not called, and no figure drawn, while cells are missing.
    plot : callable
        From a cube to a matplotlib figure.
    published : path-like
        Table of the paper, for which the command is said that puts the cube beside it; None: there is none.

    Raises
    ------
    SystemExit
        With code 1, if cells failed.
    """
    missing, done, failed = (cube.status.values == STATUS.index(state) for state in ("missing", "done", "failed"))
    missing &= cube.cell.values != ""  # a grid need not fill its cube
    whole = not missing.any() and done.any()
    if whole:
        print_table(cube)
        figure = path.with_suffix(".png")
        try:
            plot(cube).savefig(figure, dpi=110)
        except ModuleNotFoundError as error:
            figure = f"none: {error}; pip install 'invtransfer[plot]'"
        print(f"\nfigure  {figure}")
    print(f"cube    {path}")
    if published is not None and whole:
        print(f"paper   python -m invtransfer compare {path} {os.path.relpath(published)} --ignore all")
    if missing.any():
        n_places = int((cube.cell != "").sum())
        print(f"missing {missing.sum()} of {n_places} places: the same command without --shard and --only adds them")
    if failed.any():
        raise SystemExit(
            f"{failed.sum()} of {failed.size} places of the cube failed; the first: {cube.message.values[failed][0]}\n"
            f"tracebacks are in {path.with_suffix('.log')}; the same command tries them again, with --only failed alone"
        )


@contextmanager
def refuse(parser):
    """End the program with one line and exit code 2 if something that was asked for cannot be done.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the program.

    Raises
    ------
    SystemExit
        With code 2, if the block raises OSError, ValueError or RuntimeError; their message goes to stderr.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")


def restrict(grid, coordinates, only):
    """Keep the places of a grid that have some of their labels.

    Parameters
    ----------
    grid : list of (dict, dict) or (dict, dict, dict)
        As for `run_study`.
    coordinates : dict of str to list, or to tuple of (dimension, list)
        Of the cube.
    only : list of str or None
        Labels, such as "vit"; or with the name of their coordinate, "seed=0", which labels that are no words and labels
        of two dimensions need. Labels of further coordinates count for their dimension. Kept are the places that have,
        along each dimension of which labels are named, one of them. None: all.

    Returns
    -------
    grid : list
        Of the places kept.
    coordinates : dict
        Of the labels kept.

    Raises
    ------
    ValueError
        If there is no such label, two dimensions have it, or no place is left.

    Examples
    --------
    >>> places = [({"network": name, "seed": seed}, {}) for name in ("vit", "vgg11") for seed in (0, 1)]
    >>> grid, coordinates = restrict(places, {"network": ["vit", "vgg11"], "seed": [0, 1]}, ["vit", "seed=1"])
    >>> grid, coordinates
    ([({'network': 'vit', 'seed': 1}, {})], {'network': ['vit'], 'seed': [1]})
    """
    if not only:
        return grid, coordinates
    along = {name: (name, value) if isinstance(value, list) else value for name, value in coordinates.items()}
    found = {}  # what a label can be called -> dimension -> positions along it
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


def carry_out(options, function, grid, coordinates, path, settings, *, study, title, paper, estimate):
    """Do what was asked for on the command line: run a study, or say what it would do.

    Parameters
    ----------
    options : argparse.Namespace
        Of a `study_parser` with settings.
    function, grid, coordinates, path
        As for `run_study`; of the grid those places are taken that ``--only`` names, and of their cells those in the
        states that it names.
    settings : dict
        Of the study; the number of "seeds" is left out, as a run of more contains one of fewer.
    study : str
        Name of its script, with which the cube's cells can be reproduced.
    title : str
        Of the cube.
    paper : dict
        Settings of the paper, kept beside ours in the cube.
    estimate : callable
        From the arguments of a cell to the seconds it will take, for ``--dry-run``.

    Returns
    -------
    cube : xarray.Dataset or None
        None after a dry run.

    Raises
    ------
    OSError, ValueError, SystemExit
        As `run_study`; ValueError also as `restrict`.
    """
    settings = {name: value for name, value in settings.items() if name != "seeds"}
    states = tuple(state for state in UNDONE if state in (options.only or ())) or UNDONE
    grid, coordinates = restrict(grid, coordinates, [label for label in options.only or () if label not in UNDONE])
    chosen = {"states": states, "shard": options.shard}
    if options.dry_run:
        torch.set_num_threads(options.threads)
        print(plan_study(grid, coordinates, path, settings, estimate, options.jobs, **chosen))
        return None
    attributes = {"study": study, "paper_settings": canonical(paper)}
    return run_study(
        function, grid, coordinates, path, settings, title=title, attributes=attributes,
        jobs=options.jobs, threads=options.threads, scheduler=options.scheduler, **chosen,
    )  # fmt: skip
