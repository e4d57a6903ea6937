"""The command ``python -m invtransfer``: what can be asked of cubes without writing a program."""

import argparse
import inspect
import sys
from pathlib import Path

from invtransfer.cubes.export import export_csv
from invtransfer.cubes.files import read, write
from invtransfer.cubes.merging import merge
from invtransfer.cubes.reproduction import STUDIES, reproduce
from invtransfer.cubes.status import describe_progress
from invtransfer.plots import plot_comparison
from invtransfer.published import compare_to_published, format_comparison
from invtransfer.storage import check_writable


def main(arguments=None):
    """Run the command.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the command line by default.

    Raises
    ------
    SystemExit
        With code 2 and one line on standard error if something is wrong with the arguments or files; with code 1 if a
        cell is not reproduced.
    """
    parser = _make_parser()
    options = parser.parse_args(arguments)
    try:
        code = options.run(options)
    except (OSError, ValueError, ImportError) as error:
        more = "; pip install 'invtransfer[plot]'" if "matplotlib" in str(error) else ""
        text = " ".join(str(error).split()) + more  # one line, whatever a library's message looks like
        parser.exit(2, f"{parser.prog} {options.command}: {text}\n")
    if code:
        parser.exit(code)


def _make_parser():
    parser = argparse.ArgumentParser("python -m invtransfer", description="Ask something of a study's cube.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = _add(commands, _status, "say how far a study is, also while it runs")
    command.add_argument("path", metavar="CUBE_OR_FOLDER", help="a cube, its folder .cells, or a folder of cubes")

    command = _add(commands, _merge, "put cubes of the same study together")
    command.add_argument("cubes", nargs="+", metavar="CUBE.nc", help="two or more")
    command.add_argument("-o", "--out", required=True, type=Path, metavar="CUBE.nc", help="where the union goes")

    command = _add(commands, _reproduce, "compute one cell again and compare it bit for bit")
    command.add_argument("cube", metavar="CUBE.nc", help="as a study writes it")
    command.add_argument(
        "--cell", nargs="+", required=True, metavar="NAME=LABEL",
        help="the place, a label along each dimension: factor=architecture=vit,relation=same,seed=0",
    )  # fmt: skip
    command.add_argument("--studies", default=STUDIES, metavar="FOLDER", help="of the study scripts (default: ours)")
    command.add_argument("--objects", metavar="FOLDER", help="pictures, if the study had others than its own")
    command.add_argument("--data", metavar="FOLDER", help="where CIFAR is (default: data/sets)")

    command = _add(commands, _export, "write a cube as tables for other programs")
    command.add_argument("cube", type=Path, metavar="CUBE.nc", help="as a study writes it")
    command.add_argument("--to", choices=["csv"], required=True, help="format of the tables")
    command.add_argument("-o", "--out", type=Path, metavar="FOLDER", help="where they go (default: beside the cube)")
    command.add_argument("--overwrite", action="store_true", help="replace tables of the same name")

    command = _add(commands, _compare, "put a cube's values beside published ones")
    command.add_argument("cube", metavar="CUBE.nc", help="as a study writes it")
    command.add_argument("csv", metavar="PUBLISHED.csv", help="what was published on it, from data/published/")
    command.add_argument("--ignore", nargs="+", default=[], metavar="NAME", help="settings that may differ, or: all")
    command.add_argument("--figure", metavar="FILE.png", help="also draw it; needs matplotlib")
    return parser


def _add(commands, run, summary):
    """Add a command that is named like its function, and described by what that says of itself."""
    command = commands.add_parser(run.__name__.strip("_"), help=summary, description=inspect.getdoc(run))
    command.set_defaults(run=run)
    return command


def _status(options):
    """Say how far a study is.

    Which cells are done, running, failed (and why) or missing, how long a cell takes, and about how long the rest will.
    Nothing is changed, so you can ask while the study runs, from any machine that sees the folder.
    """
    sys.stdout.write(describe_progress(options.path) + "\n")


def _merge(options):
    """Put cubes of the same study together.

    They may be shards that were computed on machines without a common disk, or runs of other seeds or levels. A place
    that two cubes hold with different values is a conflict: all conflicts are named, and nothing is written. A finished
    cell is taken where another cube has none or a failed one.
    """
    if options.out.exists():
        raise ValueError(f"{options.out} exists: choose another --out, or move it away")
    check_writable(options.out)
    cube, notes = merge([read(path) for path in options.cubes], options.cubes)
    write(cube, options.out)
    sys.stdout.write("".join(f"{note}\n" for note in notes) + f"cube    {options.out}\n")


def _reproduce(options):
    """Compute one cell of a cube again, and compare all its values bit for bit.

    It is computed from the arguments that the cube holds, with as many threads as it had. If values differ, the command
    says which versions, code or hardware do, and ends with code 1. It runs the study script of that name in your own
    installation: nothing in the cube is executed.
    """
    pairs = [text.partition("=") for argument in options.cell for text in argument.split(",")]
    for name, equals, label in pairs:
        if not (name and equals and label):
            raise ValueError(f"--cell has {name + equals + label!r}, expected NAME=LABEL, such as seed=0")
    labels = {name: label for name, _, label in pairs}
    text, identical = reproduce(
        read(options.cube), labels, studies=options.studies, objects=options.objects, data=options.data
    )
    sys.stdout.write(text + "\n")
    return 0 if identical else 1


def _export(options):
    """Write a cube as tables, for spreadsheets, R or pandas.

    There is one table for each set of dimensions, so that no value is repeated; a list of all columns with their units
    and meaning; and the attributes, which say how the numbers came about.
    """
    folder, stem = options.out or options.cube.parent, options.cube.stem
    paths = export_csv(read(options.cube), folder, stem, overwrite=options.overwrite)
    sys.stdout.write("".join(f"{path}\n" for path in paths))


def _compare(options):
    """Put a cube's values beside published ones.

    Only values of the same settings are compared; it says which settings differ, and what was not compared.
    """
    ignore = "all" if "all" in options.ignore else options.ignore
    comparison = compare_to_published(read(options.cube), options.csv, ignore)
    sys.stdout.write(format_comparison(comparison) + "\n")
    if options.figure:
        plot_comparison(comparison).savefig(options.figure, dpi=110)


if __name__ == "__main__":
    main()
