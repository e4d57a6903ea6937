"""Files of published values: rows of text, of which columns say what kind they are."""

from csv import reader
from math import isfinite

import numpy as np

from invtransfer.analysis import CONTRASTS

COLUMNS = {
    "factors": ("dataset", "factor", "level", "relation", "transfer_accuracy"),
    "differences": ("dataset", "tuning", "factor", *CONTRASTS),
    "mismatch": ("architecture", "n_pretraining_transformations", "n_target_transformations", "transfer_accuracy"),
    "irrelevant_features": (
        "position", "pretraining_input", "pretraining_label", "measure", "target", "mean", "std",
    ),
    "invariance_transfer": ("architecture", "trained_on", "relation", "evaluated_on", "mean", "std"),
}  # fmt: skip


def read_rows(path):
    """Read a CSV file.

    Parameters
    ----------
    path : path-like
        Encoded as UTF-8.

    Returns
    -------
    kind : str
        A key of `COLUMNS`.
    rows : list of dict of str to str

    Raises
    ------
    ValueError
        If it is damaged or its columns are none of those.
    OSError
        If it cannot be read.
    """
    with open(path, newline="", encoding="utf-8-sig") as file:
        try:
            lines = [line for line in reader(file, strict=True) if line]
        except Exception as error:  # csv.Error, UnicodeDecodeError
            raise ValueError(f"{path} cannot be read as CSV: {error}") from error
    columns = tuple(lines[0]) if lines else ()
    if columns not in COLUMNS.values():
        texts = " or ".join(",".join(names) for names in COLUMNS.values())
        raise ValueError(f"{path} has the columns {','.join(columns) or 'none'}, expected {texts}")
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(columns):
            raise ValueError(f"{path} has {len(line)} values in row {number}, expected {len(columns)}")
    kind = next(kind for kind, names in COLUMNS.items() if names == columns)
    return kind, [dict(zip(columns, line, strict=True)) for line in lines[1:]]


def choose(rows, column, value, path):
    """Return the rows that have one value in one column; there must be some.

    Parameters
    ----------
    rows : list of dict of str to str
    column, value : str
    path : path-like
        For the message.

    Returns
    -------
    chosen : list of dict of str to str

    Raises
    ------
    ValueError
        If there is none.
    """
    chosen = [row for row in rows if row[column] == value]
    if not chosen:
        found = ", ".join(dict.fromkeys(row[column] for row in rows)) or "none"
        raise ValueError(f"{path} has no row of {column} {value!r} like the cube's; its values of it are: {found}")
    return chosen


def read_numbers(rows, keys, column, path):
    """Return the numbers of one column by the values of other columns, each of which must be there once.

    Parameters
    ----------
    rows : list of dict of str to str
    keys : list of str
        Columns that say where; those that begin with "n_" hold whole numbers.
    column : str
        That of the numbers.
    path : path-like
        For the messages.

    Returns
    -------
    numbers : dict of tuple of (str or int) to float

    Raises
    ------
    ValueError
        If something is no number, or a place is there twice.
    """
    numbers = {}
    for row in rows:
        where = " ".join(row[name] for name in keys)
        try:
            number = float(row[column])
        except ValueError:
            number = np.nan
        if not isfinite(number):
            raise ValueError(f"{path} has {column} {row[column]!r} in the row {where}, expected a number")
        for name in keys:
            if name.startswith("n_") and not (row[name].isascii() and row[name].isdecimal()):
                raise ValueError(f"{path} has {name} {row[name]!r} in the row {where}, expected a whole number")
        key = tuple(int(row[name]) if name.startswith("n_") else row[name] for name in keys)
        if key in numbers:
            raise ValueError(f"{path} has the row {where} twice")
        numbers[key] = number
    return numbers
