"""The command ``python -m invtransfer``: what can be asked of cubes without writing a program."""

import argparse
import sys

from invtransfer.comparison import compare_to_published, format_comparison
from invtransfer.cubes import read
from invtransfer.plots import plot_comparison


def main(arguments=None):
    """Run the command.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the command line by default.

    Raises
    ------
    SystemExit
        With code 2 and one line on standard error if something is wrong with the arguments or files.
    """
    parser = _make_parser()
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except (OSError, ValueError, ModuleNotFoundError) as error:
        more = "; pip install 'invtransfer[plot]'" if isinstance(error, ModuleNotFoundError) else ""
        text = " ".join(str(error).split()) + more  # one line, whatever a library's message looks like
        parser.exit(2, f"{parser.prog} {options.command}: {text}\n")


def _make_parser():
    parser = argparse.ArgumentParser("python -m invtransfer", description="Ask something of a study's cube.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    compare = commands.add_parser(
        "compare",
        help="put a cube's values beside published ones",
        description="Put a cube's values beside published ones. Only values of the same settings are compared.",
    )
    compare.add_argument("cube", metavar="CUBE.nc", help="as a study writes it")
    compare.add_argument("csv", metavar="PUBLISHED.csv", help="what was published on it, from data/published/")
    compare.add_argument("--ignore", nargs="+", default=[], metavar="NAME", help="settings that may differ, or: all")
    compare.add_argument("--figure", metavar="FILE.png", help="also draw it; needs matplotlib")
    compare.set_defaults(run=_compare)
    return parser


def _compare(options):
    ignore = "all" if "all" in options.ignore else options.ignore
    comparison = compare_to_published(read(options.cube), options.csv, ignore)
    sys.stdout.write(format_comparison(comparison) + "\n")
    if options.figure:
        plot_comparison(comparison).savefig(options.figure, dpi=110)


if __name__ == "__main__":
    main()
