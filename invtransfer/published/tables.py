"""Tables of published values: CSV files with one row per value."""

from csv import reader
from math import isfinite, nan

from invtransfer.storage import expand_path

NO_DIMENSIONS = ("dataset", "variable", "value", "std")  # columns that are no dimensions; all others are
KINDS = {"i": (int, "a whole number"), "u": (int, "a whole number"), "f": (float, "a number")}  # of labels, by dtype


def read_table(path):
    """Read a table of published values.

    Parameters
    ----------
    path : path-like
        CSV file in UTF-8 with the columns "variable", "value" and others.

    Returns
    -------
    rows : list of dict of str to str
        Text by column; empty cells are left out.
    dims : dict of str to list of str
        For each variable, its dimensions in the order of their columns.

    Raises
    ------
    ValueError
        If the file is damaged, lacks one of these columns or has one twice, has no rows, or has rows of one variable
        that differ in their dimensions.
    OSError
        If the file cannot be read.
    """
    path = expand_path(path)
    with open(path, newline="", encoding="utf-8-sig") as file:
        try:
            found = reader(file, strict=True)
            (_, columns), *lines = [(found.line_num, line) for line in found if line] or [(0, [])]
        except Exception as error:  # csv.Error, UnicodeDecodeError
            raise ValueError(f"{path} cannot be read as CSV: {error}") from error
    if not {"variable", "value"} <= set(columns) or len(set(columns)) < len(columns):
        there = ",".join(columns) or "none"
        raise ValueError(f"{path} has the columns {there}, expected variable, value and names of dimensions, each once")
    if not lines:
        raise ValueError(f"{path} has no rows, expected one for each published value")
    rows, dims = [], {}
    for number, line in lines:
        if len(line) != len(columns):
            raise ValueError(f"{path} has {len(line)} values in line {number}, expected {len(columns)}")
        row = {column: text for column, text in zip(columns, line, strict=True) if text}
        own = [column for column in row if column not in NO_DIMENSIONS]
        expected = dims.setdefault(row.get("variable", ""), own)
        if own != expected:
            raise ValueError(f"{path} has labels of {own} in line {number}, expected {expected} as in other rows")
        rows.append(row)
    return rows, dims


def parse_rows(rows, kinds, path):
    """Return the numbers of rows by their places.

    Parameters
    ----------
    rows : list of dict of str to str
        Rows of one variable.
    kinds : dict of str to str
        For each dimension, the kind of its labels in the cube, as in `numpy.dtype.kind`: those of published values are
        converted to it.
    path : path-like
        Where the table is, for messages.

    Returns
    -------
    numbers : dict of tuple of labels to (float, float)
        Value and standard deviation (NaN if the table has none) by the labels along the dimensions.

    Raises
    ------
    ValueError
        If a value, a standard deviation or a label is no number where one is expected, or a place is there twice.
    """
    numbers = {}
    for row in rows:
        where = " ".join(row[dim] for dim in kinds)
        message = f"in the row {where}, expected"
        place = tuple(_parse(row, dim, kind, f"{path} has {dim}", message) for dim, kind in kinds.items())
        if place in numbers:
            raise ValueError(f"{path} has the row {where} twice")
        std = _parse(row, "std", "f", f"{path} has std", message) if "std" in row else nan
        numbers[place] = _parse(row, "value", "f", f"{path} has value", message), std
    return numbers


def _parse(row, column, kind, what, message):
    """Return the number, or the text, that a row holds in a column."""
    text = row.get(column, "")
    if kind not in KINDS:
        return text
    convert, expected = KINDS[kind]
    try:
        number = convert(text)
        if isfinite(number):
            return number
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{what} {text!r} {message} {expected}")
