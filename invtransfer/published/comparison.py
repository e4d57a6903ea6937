"""The comparison of a cube with published values: which of them agree in their settings, and how far they differ."""

import json
from itertools import product

import numpy as np
import xarray as xr

from invtransfer.analysis import WITHOUT
from invtransfer.published.joins import join_published
from invtransfer.published.tables import read_table

IRRELEVANT = ("levels", "seeds")  # settings that do not change the expected value of a cell
PAIRS = "n_pairs"  # setting that changes sensitivity alone
VIT = "vit_"  # begins settings that hold for the architecture "vit" in place of those without
TUNING = "linear"  # tuning of published accuracies, and of a cube that does not say
N_TRANSFORMATIONS = 18  # number of transformations that the paper's mean sensitivities are over
QUANTITIES = {"transfer_accuracy": "accuracy on the target task"}  # in words, if not the variable's name
TEXTS = {
    "ours": "mean over our seeds",
    "ours_std": "standard deviation over our seeds",
    "ours_low": "lower end of the 95 % interval of our mean",
    "ours_high": "upper end of the 95 % interval of our mean",
    "n": "number of our seeds",
    "published": "published value",
    "published_std": "published standard deviation",
    "difference": "ours minus published",
    "match": "whether they are compared, or why not",
    "ours_levels": "levels that ours span",
    "published_levels": "levels that the published span; empty: unknown",
}


def compare_to_published(cube, csv, ignore=()):
    r"""Put the values of a cube beside published ones, and tell which of them may be compared.

    Parameters
    ----------
    cube : xarray.Dataset over "seed" and others
        Cube of the study that the table is about, with the attributes `settings` and `paper_settings`, JSON of what
        this run and the paper used.
    csv : path-like
        Published values, one in each row: "variable" names a variable of the cube, "value" (and "std", if there is
        one) holds the number, and all other columns are named like the dimensions of that variable and hold labels
        along them. Some columns are more than that:

        - dataset: only rows of the cube's setting "dataset" are taken.
        - factor_name, contrast: the values are contrasts that `invtransfer.analysis.factor_contrasts` makes of the
          variable over "factor" and "relation", over the levels that `paper_settings` has in "levels".
        - tuning: only rows of the cube's setting "tuning" (default "linear") are taken. If the cube has "n_tuning", its
          coordinate "tuning" says which rows are meant ("full-200"; without it, "full-" and the number), and all
          rows but those of "linear" are taken.
        - relation, if the cube has "pretraining_transformation" and "transformation" in its place: the values are
          those that `invtransfer.analysis.invariance_by_relation` makes of the variable.

        If a table has several variables, each has one dimension of its own.
    ignore : "all" or list of str, default ()
        Settings whose difference from the paper's is ignored.

    Returns
    -------
    comparison : xarray.Dataset
        Over the dimensions of the table, with the labels of the table and the cube: "ours" (mean over seeds),
        "ours_std", "ours_low" and "ours_high" (95 % interval), "n" (seeds), "published", "published_std" (if the table
        has it), "match", and "difference", ours minus published. There is a difference only where the match is
        "compared"; otherwise it says why not: "other settings", "not in the cube", "not done" (failed or missing) or
        "not published". Contrasts also have "ours_levels" and "published_levels", and are compared only where all
        published levels, at least two, are done. Several variables lie along "measured", with labels such as
        "accuracy images alone" and "sensitivity object". Attributes: `quantity` (in words), `dataset` (if the settings
        have it), `tuning` (if only one was taken), `differing_settings` (JSON: our value and the paper's by name) and
        `ignored` (JSON).

    Raises
    ------
    TypeError
        If the cube is not a Dataset.
    ValueError
        If the cube lacks a dimension, variable or attribute, has a label twice or an attribute that is damaged; if the
        table has other columns, no row for the data set, or a row that is damaged or given twice; or if `ignore` names
        no setting.
    OSError
        If the table cannot be read.

    Notes
    -----
    Settings are compared one by one, also those that only one side has, except the levels of factors, the number of
    seeds and, for accuracies, the number of pairs. The default of a factor or dimension does not matter for values
    along it, because their labels hold. Settings that begin with "vit_" hold for that architecture alone, in place of
    those without this prefix. Objects are compared by name where the paper's have no digest. Published accuracies are
    those of the tuning "linear", whatever `paper_settings` says. Where the paper's levels of a factor are not known,
    its contrasts are of "other settings", and ours span all levels of the cube. For values by relation, the number of
    transformations that are averaged counts as the setting "n_transformations", 18 in the paper, and a seed counts only
    if it has all of them.

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
    >>> text = "dataset,factor,relation,variable,value\ntransforms2d,class_relation=same,same,transfer_accuracy,1.0\n"
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "factors.csv").write_text(text)
    ...     strict = compare_to_published(cube, Path(folder, "factors.csv"))
    ...     loose = compare_to_published(cube, Path(folder, "factors.csv"), ignore=["epochs"])
    >>> strict["match"].item(), strict["difference"].item(), strict.attrs["differing_settings"]
    ('other settings', nan, '{"epochs": [6, 50]}')
    >>> loose["match"].item(), round(loose["difference"].item(), 3)
    ('compared', -0.06)
    """
    rows, dims = read_table(csv)
    columns = {column for row in rows for column in row}
    settings, paper = _read_settings(cube, ["dataset"] if "dataset" in columns else [])
    spanned = _read_levels(paper)
    settings = {"tuning": TUNING} | settings
    paper |= {"tuning": settings["tuning"] if "tuning" in columns else TUNING}
    attributes = {"dataset": str(settings["dataset"])} if "dataset" in settings else {}
    if "dataset" in columns:
        rows = _choose_rows(rows, "dataset", settings["dataset"], csv)
    if "tuning" in columns and "n_tuning" in cube.dims:
        rows = [row for row in rows if row.get("tuning") != TUNING]
    elif "tuning" in columns:
        rows = _choose_rows(rows, "tuning", settings["tuning"], csv)
        dims = {name: [dim for dim in own if dim != "tuning"] for name, own in dims.items()}
        attributes["tuning"] = settings["tuning"]
    joined = join_published(cube, rows, dims, spanned, csv)

    if "relation" in joined.dims and "relation" not in cube.dims:
        settings |= {"n_transformations": _count_transformations(cube)}
        paper |= {"n_transformations": N_TRANSFORMATIONS}
    irrelevant = IRRELEVANT if "sensitivity" in dims else (*IRRELEVANT, PAIRS)
    differing = _find_differing(settings, paper, irrelevant)
    ignored = _check_ignore(ignore, settings | paper, irrelevant)
    bad = set(differing) - set(ignored)
    differ = [
        any(level is None and len(spanned.get(name, ())) < 2 for name, level in place.items())
        or _depends_on(bad, place, settings, paper)
        for place in _places(joined)
    ]
    words = ", and ".join(QUANTITIES.get(name, name.replace("_", " ")) for name in dims)
    attributes |= {
        "quantity": f"differences in {words}" if "contrast" in columns else words,
        "differing_settings": json.dumps(differing),
        "ignored": json.dumps(sorted(ignored)),
    }
    return _match(joined, differ).assign_attrs(attributes)


def _read_settings(cube, needs):
    """Return the settings of a cube, some of which it must have, and the paper's."""
    if not isinstance(cube, xr.Dataset):
        raise TypeError(f"cube is of type {type(cube).__name__}, expected an xarray.Dataset")
    missing = [repr(name) for name in ("settings", "paper_settings") if name not in cube.attrs]
    if missing:
        found = ", ".join(map(str, cube.attrs)) or "none"
        raise ValueError(
            f"cube has no attribute {', '.join(missing)}, which cubes of studies have; its attributes are: {found}"
        )
    both = []
    for name, keys in (("settings", needs), ("paper_settings", [])):
        text = cube.attrs[name]
        try:
            both.append(json.loads(text))
        except (TypeError, ValueError, RecursionError):
            both.append(None)
        if not isinstance(both[-1], dict) or not set(keys) <= both[-1].keys():
            more = f" with the key {', '.join(map(repr, keys))}" if keys else ""
            raise ValueError(f"cube has the attribute {name!r} {str(text)[:60]!r}, expected a JSON object{more}")
    return both


def _read_levels(paper):
    """Return the levels that the published contrasts span, by name of factor, without factors that have none."""
    levels = paper.get("levels", {})
    if not (isinstance(levels, dict) and all(isinstance(values, list) for values in levels.values())):
        text = f"cube has {str(levels)[:60]!r} as 'levels' in 'paper_settings'"
        raise ValueError(f"{text}, expected lists by name of factor")
    return {name: list(dict.fromkeys(map(str, values))) for name, values in levels.items() if values}


def _find_differing(settings, paper, irrelevant):
    """Return our value and the paper's, None where there is none, of each setting that is not the paper's."""
    return {
        name: [settings.get(name), paper.get(name)]
        for name in sorted(settings.keys() | paper.keys())
        if name not in irrelevant and not _agree(name, settings.get(name), paper.get(name))
    }


def _agree(name, ours, paper):
    """Tell whether a setting is the paper's; objects "transforms2d 0123456789ab" are those named "transforms2d"."""
    if name == "objects" and isinstance(ours, str) and isinstance(paper, str) and " " not in paper:
        return ours.split(" ")[0] == paper
    return ours == paper


def _check_ignore(ignore, names, irrelevant):
    """Return the names of the settings that the user lets differ."""
    if isinstance(ignore, str):
        ignore = names if ignore == "all" else [ignore]
    try:
        ignore = list(ignore)
    except TypeError as error:
        raise ValueError(f"ignore is {ignore!r}, expected 'all' or a list of settings") from error
    unknown = [name for name in ignore if not isinstance(name, str) or name not in names]
    if unknown:
        known = ", ".join(sorted(set(names) - set(irrelevant)))
        raise ValueError(f"ignore names {', '.join(map(repr, unknown))}, expected 'all' or settings of: {known}")
    return [name for name in ignore if name not in irrelevant]


def _depends_on(bad, place, settings, paper):
    """Tell whether the value at a place depends on one of the settings in `bad`, whose defaults labels replace."""
    architecture = place.get("architecture", settings.get("architecture"))
    if architecture == "vit":
        idle = {name.removeprefix(VIT) for name in paper if name.startswith(VIT)}
    elif architecture is not None:
        idle = {name for name in bad if name.startswith(VIT)}
    else:  # the place goes over all architectures
        idle = set()
    if str(place.get("measured", "")).startswith("accuracy"):
        idle.add(PAIRS)
    if "tuning" in place:  # which says how large the tuning set is
        idle.add("n_tuning")
    return bool(bad - idle - set(place))


def _choose_rows(rows, column, value, path):
    """Return the rows that hold one value in one column."""
    chosen = [row for row in rows if row.get(column) == value]
    if not chosen:
        found = ", ".join(dict.fromkeys(row.get(column, "''") for row in rows))
        raise ValueError(f"{path} has no row of {column} {value!r} like the cube's; its values of it are: {found}")
    return chosen


def _count_transformations(cube):
    """Return how many transformations encoders are both pretrained with and evaluated on."""
    trained, evaluated = (cube[dim].values.tolist() for dim in ("pretraining_transformation", "transformation"))
    return len((set(trained) & set(evaluated)) - set(WITHOUT))


def _places(joined):
    """Return for each place its label along each dimension, and the level of its factor, None for all levels."""
    labels = []
    for dim in joined["n"].dims:
        if dim == "factor":
            pairs = zip(joined.factor_name.values.tolist(), joined.level.values.tolist(), strict=True)
        elif dim == "factor_name":
            pairs = ((name, None) for name in joined.factor_name.values.tolist())
        else:
            pairs = ((dim, label) for label in joined[dim].values.tolist())
        labels.append([*pairs])
    return [dict(pairs) for pairs in product(*labels)]


def _match(joined, differ):
    """Return the comparison: what is compared, or why it is not, and the differences."""
    n = joined["n"]
    differ = n.copy(data=np.reshape(np.array(differ, dtype=bool), n.shape))
    reasons = {
        "not published": joined.published.isnull(),
        "not in the cube": ~joined.in_cube,
        "not done": ~joined.done,
        "other settings": differ,
    }
    masks = [mask.broadcast_like(n).transpose(*n.dims).values for mask in reasons.values()]
    joined = joined.rename({"mean": "ours", "std": "ours_std", "low": "ours_low", "high": "ours_high"})
    joined["match"] = (n.dims, np.select(masks, list(reasons), "compared"))
    joined["difference"] = (joined.ours - joined.published).where(joined["match"] == "compared")
    for name, text in TEXTS.items():
        if name in joined:
            joined[name].attrs = {"long_name": text, "units": "1"}
    return joined[[name for name in TEXTS if name in joined]]
