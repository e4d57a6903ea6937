"""Our numbers beside the published ones: only what ran the same settings is compared. Knows no torch."""

import json
from csv import reader
from math import isfinite
from textwrap import fill

import numpy as np
import xarray as xr

from invtransfer.analysis import CONTRASTS, factor_contrasts, summarise

FACTORS_COLUMNS = ("dataset", "factor", "level", "relation", "transfer_accuracy")
DIFFERENCES_COLUMNS = ("dataset", "tuning", "factor", *CONTRASTS)
IRRELEVANT = ("levels", "seeds", "n_pairs")  # settings that do not bear on the accuracy of a cell
VIT = "vit_"  # begins settings that hold for the architecture "vit" in place of those without
TUNING = "linear"  # of published accuracies, and of a cube that does not say
WIDTH = 100  # characters of a line of text


def compare_to_published(cube, csv, ignore=()):
    r"""Put the accuracies of a cube beside published ones, and tell which of them may be compared.

    Parameters
    ----------
    cube : xarray.Dataset over "factor", "relation" and "seed"
        As ``studies/factors.py`` writes it: with `transfer_accuracy`, the coordinates `factor_name` and `level`, and
        the attributes `settings` and `paper_settings`, JSON of what this run and the paper used.
    csv : path-like
        Published values for several data sets, of which that of the cube is taken: accuracies, with the columns
        dataset, factor, level, relation, transfer_accuracy; or differences, with the columns dataset, tuning, factor,
        within_disjoint, same_minus_disjoint, within_same, of which those of the cube's "tuning" (default "linear") are
        taken, over the levels that `paper_settings` has for that factor in "levels".
    ignore : "all" or list of str, default ()
        Settings that may differ from the paper's.

    Returns
    -------
    comparison : xarray.Dataset over "factor" and "relation", or "factor_name" and "contrast"
        What the cube has and what was published, and of both "ours" (mean over seeds), "ours_std", "ours_low" and
        "ours_high" (95 % interval), "n" (seeds), "published", and "match". Only where that is "compared" there is a
        "difference", ours minus published. Otherwise it says why not: "other settings", "not in the cube", "not done"
        (failed or missing), "not published". Differences also have "ours_levels" and "published_levels", and are
        compared only where all published levels, at least two, are done. Attributes: `dataset`, `tuning` (of
        differences), `differing_settings` (JSON: name to our value and the paper's) and `ignored` (JSON).

    Raises
    ------
    ValueError
        If the cube lacks a dimension, variable or attribute, has a label twice or an attribute that is damaged; if the
        file has other columns, no row for the data set, or a row that is damaged or given twice; or if `ignore` names
        no setting.
    OSError
        If the file cannot be read.

    Notes
    -----
    Settings are compared one by one, also those that only one side has, except the levels of factors, number of seeds
    and number of pairs; of one factor's values, that factor's default is left out too, because it is the levels that
    hold. Settings that begin with "vit_" hold for that architecture alone, in place of those without. Objects are
    compared by name where the paper's have no digest. Published accuracies are those of the tuning "linear", whatever
    `paper_settings` says; differences of the cube's own tuning are taken. Where the paper's levels of a factor are not
    known, its differences are of "other settings", and ours span all levels of the cube.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import xarray as xr
    >>> settings = {"dataset": "transforms2d", "epochs": 6, "class_relation": "disjoint"}
    >>> cube = xr.Dataset(
    ...     {"transfer_accuracy": (["factor", "relation", "seed"], [[[0.93, 0.95]]])},
    ...     {"factor": ["class_relation=same"], "factor_name": ("factor", ["class_relation"]),
    ...      "level": ("factor", ["same"]), "relation": ["same"], "seed": [0, 1]},
    ...     {"settings": json.dumps(settings), "paper_settings": json.dumps(settings | {"epochs": 50})},
    ... )
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "factors.csv")
    ...     _ = path.write_text(
    ...         "dataset,factor,level,relation,transfer_accuracy\ntransforms2d,class_relation,same,same,1.0\n"
    ...     )
    ...     strict = compare_to_published(cube, path)
    ...     loose = compare_to_published(cube, path, ignore=["epochs"])
    >>> strict["match"].item(), strict["difference"].item()
    ('other settings', nan)
    >>> loose["match"].item(), round(loose["difference"].item(), 3)
    ('compared', -0.06)
    >>> strict.attrs["differing_settings"]
    '{"epochs": [6, 50]}'
    """
    _check_cube(cube)
    columns, rows = _read_rows(csv, [FACTORS_COLUMNS, DIFFERENCES_COLUMNS])
    accuracies = columns == FACTORS_COLUMNS
    settings = {"tuning": TUNING} | _read_settings(cube, "settings")
    paper = _read_settings(cube, "paper_settings") | {"tuning": TUNING if accuracies else settings["tuning"]}
    differing = {
        name: [settings.get(name), paper.get(name)]
        for name in sorted(settings.keys() | paper.keys())
        if name not in IRRELEVANT and not _agree(name, settings.get(name), paper.get(name))
    }
    ignored = _check_ignore(ignore, settings | paper)
    bad = set(differing) - set(ignored)

    def differ(factor, level=None):
        """Tell whether settings that bear on a factor, or on one of its levels, differ."""
        architecture = settings.get("architecture") if factor != "architecture" else level
        if architecture == "vit":
            idle = {name.removeprefix(VIT) for name in paper if name.startswith(VIT)}
        elif architecture is not None:
            idle = {name for name in bad if name.startswith(VIT)}
        else:  # the factor goes over all architectures
            idle = set()
        return bool(bad - idle - {factor})

    rows = _choose(rows, "dataset", settings["dataset"], csv)
    attributes = {
        "dataset": settings["dataset"],
        "differing_settings": json.dumps(differing),
        "ignored": json.dumps(sorted(ignored)),
    }
    if accuracies:
        return _describe(_compare_accuracies(cube, rows, differ, csv)).assign_attrs(attributes)
    attributes["tuning"] = settings["tuning"]
    rows = _choose(rows, "tuning", settings["tuning"], csv)
    spanned = {
        name: list(dict.fromkeys(map(str, levels))) for name, levels in paper.get("levels", {}).items() if levels
    }
    return _describe(_compare_differences(cube, rows, differ, spanned, csv)).assign_attrs(attributes)


def _check_cube(cube):
    needed = {
        "dimension": (["factor", "relation", "seed"], cube.dims),
        "coordinate": (["factor_name", "level"], cube.coords),
        "variable": (["transfer_accuracy"], cube.data_vars),
        "attribute": (["settings", "paper_settings"], cube.attrs),
    }
    for kind, (names, there) in needed.items():
        missing = [name for name in names if name not in there]
        if missing:
            found = ", ".join(map(str, there)) or "none"
            raise ValueError(f"cube has no {kind} {', '.join(map(repr, missing))}; its {kind}s are: {found}")
    for dim in ("factor", "relation"):
        labels = cube[dim].values.tolist()
        twice = [label for label in dict.fromkeys(labels) if labels.count(label) > 1]
        if twice:
            raise ValueError(f"cube has the {dim} {', '.join(map(repr, twice))} more than once, expected each once")


def _read_settings(cube, name):
    text = cube.attrs[name]
    try:
        settings = json.loads(text)
    except (TypeError, ValueError):
        settings = None
    if not isinstance(settings, dict) or (name == "settings" and "dataset" not in settings):
        more = " with the key 'dataset'" if name == "settings" else ""
        raise ValueError(f"cube has the attribute {name!r} {str(text)[:60]!r}, expected a JSON object{more}")
    levels = settings.get("levels", {})
    if name == "paper_settings" and not (
        isinstance(levels, dict) and all(isinstance(values, list) for values in levels.values())
    ):
        raise ValueError(f"cube has {str(levels)[:60]!r} as 'levels' in {name!r}, expected lists by name of factor")
    return settings


def _agree(name, ours, paper):
    """Tell whether a setting is the paper's; the objects "transforms2d 0123456789ab" are what "transforms2d" names."""
    if name == "objects" and isinstance(ours, str) and isinstance(paper, str) and " " not in paper:
        return ours.split(" ")[0] == paper
    return ours == paper


def _check_ignore(ignore, paper):
    """Return the names of the settings that may differ."""
    if isinstance(ignore, str):
        ignore = paper if ignore == "all" else [ignore]
    unknown = [name for name in ignore if name not in paper]
    if unknown:
        names = ", ".join(sorted(set(paper) - set(IRRELEVANT)))
        raise ValueError(f"ignore names {', '.join(map(repr, unknown))}, expected 'all' or settings of: {names}")
    return [name for name in ignore if name not in IRRELEVANT]


def _read_rows(path, expected):
    """Return the columns of a CSV file and its rows, each a dict of strings."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        try:
            lines = [line for line in reader(file, strict=True) if line]
        except Exception as error:  # csv.Error, UnicodeDecodeError
            raise ValueError(f"{path} cannot be read as CSV: {error}") from error
    columns = tuple(lines[0]) if lines else ()
    if columns not in expected:
        texts = " or ".join(",".join(names) for names in expected)
        raise ValueError(f"{path} has the columns {','.join(columns) or 'none'}, expected {texts}")
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(columns):
            raise ValueError(f"{path} has {len(line)} values in row {number}, expected {len(columns)}")
    return columns, [dict(zip(columns, line, strict=True)) for line in lines[1:]]


def _choose(rows, column, value, path):
    """Return the rows that have one value in one column; there must be some."""
    chosen = [row for row in rows if row[column] == value]
    if not chosen:
        found = ", ".join(dict.fromkeys(row[column] for row in rows)) or "none"
        raise ValueError(f"{path} has no row of {column} {value!r} like the cube's; its values of it are: {found}")
    return chosen


def _tabulate(rows, keys, column, path):
    """Return the numbers of one column by the values of other columns, each of which must be there once."""
    numbers = {}
    for row in rows:
        key = tuple(row[name] for name in keys)
        try:
            number = float(row[column])
        except ValueError:
            number = np.nan
        if not isfinite(number):
            raise ValueError(f"{path} has {column} {row[column]!r} in the row {' '.join(key)}, expected a number")
        if key in numbers:
            raise ValueError(f"{path} has the row {' '.join(key)} twice")
        numbers[key] = number
    return numbers


def _compare_accuracies(cube, rows, differ, path):
    """Join accuracies over factor and relation."""
    published = _tabulate(rows, ["factor", "level", "relation"], "transfer_accuracy", path)
    there = list(zip(cube.factor_name.values.tolist(), cube.level.values.tolist(), strict=True))
    levels = {name: [] for name, _ in there} | {name: [] for name, _, _ in published}
    for name, level in [key[:2] for key in published] + there:
        if level not in levels[name]:
            levels[name].append(level)
    places = [(name, level) for name in levels for level in _ordered(levels[name])]
    relations = list(dict.fromkeys(cube.relation.values.tolist() + [relation for _, _, relation in published]))
    labels = dict(zip(there, cube.factor.values.tolist(), strict=True))
    labels = [labels.get(place, "=".join(place)) for place in places]

    summary = summarise(cube.transfer_accuracy).drop_vars(["factor_name", "level"])
    joined = summary.reindex(factor=labels, relation=relations, fill_value={"n": 0})
    joined = joined.transpose("factor", "relation")
    values = np.array([[published.get((*place, relation), np.nan) for relation in relations] for place in places])
    n = joined["n"].values
    match = [
        [
            _match(
                np.isfinite(values[i, j]),
                place in there and relation in cube.relation.values,
                n[i, j] > 0,
                differ(*place),
            )
            for j, relation in enumerate(relations)
        ]
        for i, place in enumerate(places)
    ]
    coordinates = {"factor_name": ("factor", [p[0] for p in places]), "level": ("factor", [p[1] for p in places])}
    return _finish(joined.assign_coords(coordinates), values, match)


def _compare_differences(cube, rows, differ, spanned, path):
    """Join contrasts over factor_name and contrast."""
    published = {
        (name, contrast): value
        for contrast in CONTRASTS
        for (name,), value in _tabulate(rows, ["factor"], contrast, path).items()
    }
    there = zip(cube.factor_name.values.tolist(), cube.level.values.tolist(), strict=True)
    spans = np.array([name not in spanned or level in spanned[name] for name, level in there], dtype=bool)
    accuracy = cube.transfer_accuracy.where(xr.DataArray(spans, dims="factor"))  # levels without any are left out
    contrasts = factor_contrasts(accuracy)
    names = list(dict.fromkeys(contrasts.factor_name.values.tolist() + [name for name, _ in published]))
    joined = summarise(contrasts).reindex(factor_name=names, fill_value={"n": 0}).transpose("factor_name", "contrast")
    values = np.array([[published.get((name, contrast), np.nan) for contrast in CONTRASTS] for name in names])
    done = accuracy.sel(relation=["same", "disjoint"]).notnull().any("seed").all("relation")
    n, match, ours_levels = joined["n"].values, [], []
    for i, name in enumerate(names):
        mine = done.isel(factor=np.flatnonzero(spans & (cube.factor_name.values == name)))
        theirs = spanned.get(name, [])
        ours_levels.append(", ".join(mine.level.values[mine.values].tolist()))
        in_cube = mine.sizes["factor"] > 0 and set(theirs) <= set(mine.level.values.tolist())
        few = len(theirs) < 2  # nothing can differ over one level, so those that were published are not known
        match.append(
            [
                _match(
                    np.isfinite(values[i, j]),
                    in_cube,
                    mine.all().item() and (n[i, j] > 0 or mine.sizes["factor"] < 2),
                    few or differ(name),
                )
                for j in range(len(CONTRASTS))
            ]
        )
    joined["ours_levels"] = ("factor_name", ours_levels)
    joined["published_levels"] = ("factor_name", [", ".join(spanned.get(name, ())) for name in names])
    return _finish(joined, values, match)


def _ordered(levels):
    """Return levels in ascending order if they are numbers, and as they are otherwise."""
    try:
        return sorted(levels, key=float)
    except ValueError:
        return levels


def _match(published, in_cube, done, differ):
    """Say whether a published value and ours may be compared, or why not."""
    if not published:
        return "not published"
    if not in_cube:
        return "not in the cube"
    if not done:
        return "not done"
    return "other settings" if differ else "compared"


def _finish(joined, published, match):
    """Add to our summary what was published, the match, and the difference where there is one."""
    dims = joined["mean"].dims
    names = {"mean": "ours", "std": "ours_std", "low": "ours_low", "high": "ours_high"}
    joined = joined.rename(names).assign(published=(dims, published), match=(dims, np.array(match, dtype=str)))
    return joined.assign(difference=(joined.ours - joined.published).where(joined["match"] == "compared"))


def _describe(joined):
    text = {
        "ours": "mean over our seeds",
        "ours_std": "standard deviation over our seeds",
        "ours_low": "lower end of the 95 % interval of our mean",
        "ours_high": "upper end of the 95 % interval of our mean",
        "n": "number of our seeds",
        "published": "published value",
        "difference": "ours minus published",
        "match": "whether they are compared, or why not",
        "ours_levels": "levels that ours span",
        "published_levels": "levels that the published span; empty: unknown",
    }
    for name in joined.data_vars:
        joined[name].attrs = {"long_name": text[name], "units": "1"}
    return joined[[name for name in text if name in joined]]


def format_comparison(comparison):
    """Return a comparison as text: a table, and what is missing and what differs in plain words.

    Parameters
    ----------
    comparison : xarray.Dataset
        As `compare_to_published` returns it.

    Returns
    -------
    text : str
        Of several lines.

    Examples
    --------
    >>> import xarray as xr
    >>> dims = ["factor", "relation"]
    >>> comparison = xr.Dataset(
    ...     {"ours": (dims, [[0.94]]), "ours_low": (dims, [[0.92]]), "ours_high": (dims, [[0.96]]), "n": (dims, [[5]]),
    ...      "published": (dims, [[1.0]]), "difference": (dims, [[-0.06]]), "match": (dims, [["compared"]])},
    ...     {"factor": ["class_relation=same"], "factor_name": ("factor", ["class_relation"]),
    ...      "level": ("factor", ["same"]), "relation": ["same"]},
    ...     {"dataset": "transforms2d", "differing_settings": '{"epochs": [6, 50]}', "ignored": '["epochs"]'},
    ... )
    >>> lines = format_comparison(comparison).splitlines()
    >>> lines[2]
    'factor          level  relation   ours   95 % interval  n  published  difference  match'
    >>> lines[3]
    'class_relation  same   same      0.940  0.920 to 0.960  5      1.000      -0.060  compared'
    >>> lines[-1]
    "Settings other than the paper's, and ignored: epochs 6 (paper 50)."
    """
    accuracies = "relation" in comparison.dims
    second = "relation" if accuracies else "contrast"
    values = comparison[[name for name in comparison.data_vars if second in comparison[name].dims]]
    head = ["factor", "level", "relation"] if accuracies else ["factor", "contrast"]
    rows, places = [], {}
    for i, name in enumerate(comparison.factor_name.values.tolist()):
        level = [comparison.level.values[i].item()] if accuracies else []
        for j, label in enumerate(comparison[second].values.tolist()):
            value = {key: variable.values[i, j] for key, variable in values.data_vars.items()}
            places.setdefault(value["match"].item(), {}).setdefault("=".join([name, *level]), []).append(label)
            interval = [_number(value[end]) for end in ("ours_low", "ours_high")]
            interval = "" if "-" in interval else " to ".join(interval)
            numbers = [_number(value["ours"]), interval, str(value["n"]), _number(value["published"])]
            rows.append([name, *level, label, *numbers, _number(value["difference"], "+"), str(value["match"])])
    head += ["ours", "95 % interval", "n", "published", "difference", "match"]
    what = "accuracy on the target task" if accuracies else "differences in accuracy on the target task"
    tuning = f", {comparison.attrs['tuning']} tuning" if "tuning" in comparison.attrs else ""
    lines = [f"{what}, {comparison.attrs['dataset']}{tuning}: ours (mean over n seeds) and the published", ""]
    lines += _align([head, *rows], n_left=len(head) - 6)
    return "\n".join(lines + [""] + _say_in_words(comparison, places))


def _number(value, sign=""):
    return "-" if np.isnan(value) else f"{value:{sign}.3f}"


def _align(rows, n_left):
    """Return rows of a table as lines; the first columns and the last are flush left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            text.ljust(width) if i < n_left or i == len(row) - 1 else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _say_in_words(comparison, places):
    """Return lines that say what was compared, what was not, and why."""
    n_published = comparison.published.notnull().sum().item()
    compared = comparison.difference.notnull()
    text = f"Compared: {compared.sum().item()} of {n_published} published values."
    if compared.any():
        size = np.abs(comparison.difference)
        largest = comparison.difference.isel(size.argmax(size.dims))
        place = ", ".join(str(largest[dim].item()) for dim in size.dims)
        text += f" Mean absolute difference {size.mean().item():.3f}; largest {largest.item():+.3f}, at {place}."
    lines = [text]
    differing, ignored = json.loads(comparison.attrs["differing_settings"]), json.loads(comparison.attrs["ignored"])
    for rule, names in (
        ("so what depends on them is not compared", [name for name in differing if name not in ignored]),
        ("and ignored", [name for name in differing if name in ignored]),
    ):
        settings = [f"{name} {_word(differing[name][0])} (paper {_word(differing[name][1])})" for name in names]
        if settings:
            lines.append(f"Settings other than the paper's, {rule}: {', '.join(settings)}.")
    for match, words in (
        ("not in the cube", "Published, but not in the cube"),
        ("not done", "Published, but failed or not yet done"),
        ("not published", "Not published"),
    ):
        if match in places:
            second = comparison.ours.dims[1]
            items = [
                place if len(labels) == comparison.sizes[second] else f"{place} ({', '.join(labels)})"
                for place, labels in places[match].items()
            ]
            lines.append(f"{words}: {', '.join(items)}.")
    if "ours_levels" in comparison:
        for name in comparison.factor_name.values:
            row = comparison.sel(factor_name=name)
            ours, theirs = row.ours_levels.item() or "none", row.published_levels.item()
            if ours == theirs:
                lines.append(f"Levels of {name} that both span: {ours}.")
            elif row.published.notnull().any():
                theirs = f"the published {theirs}" if theirs else "those that the published span are not known"
                lines.append(f"Levels of {name}: ours span {ours}; {theirs}.")
    return [fill(line, WIDTH + 8, subsequent_indent="  ") for line in lines]


def _word(value):
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)
