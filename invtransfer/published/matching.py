"""The comparison itself: which file it is, which settings differ, and the joined table."""

import json

import xarray as xr

from invtransfer.published.joins import count_transformations, join_accuracies, join_differences, join_labelled
from invtransfer.published.published import choose, read_rows
from invtransfer.published.settings import (
    IRRELEVANT,
    PAIRS,
    bear_on,
    check_ignore,
    find_differing,
    read_levels,
    read_settings,
)

TUNING = "linear"  # of published accuracies, and of a cube that does not say
N_TRANSFORMATIONS = 18  # that the paper's mean sensitivities are over
NEEDED = {  # dimensions, coordinates and variables of a cube, by kind of file
    "factors": (["factor", "relation", "seed"], ["factor_name", "level"], ["transfer_accuracy"]),
    "mismatch": (
        ["architecture", "n_pretraining_transformations", "n_target_transformations", "seed"], [],
        ["transfer_accuracy"],
    ),
    "irrelevant_features": (
        ["position", "pretraining", "target", "changed", "seed"], [], ["transfer_accuracy", "sensitivity"],
    ),
    "invariance_transfer": (
        ["architecture", "trained_on", "pretraining_transformation", "evaluated_on", "transformation", "seed"], [],
        ["sensitivity"],
    ),
}  # fmt: skip
NEEDED["differences"] = NEEDED["factors"]
QUANTITIES = {
    "factors": "accuracy on the target task",
    "differences": "differences in accuracy on the target task",
    "mismatch": "accuracy on the target task",
    "irrelevant_features": "accuracy on the target task, and sensitivity",
    "invariance_transfer": "sensitivity",
}


def compare_to_published(cube, csv, ignore=()):
    r"""Put the values of a cube beside published ones, and tell which of them may be compared.

    Parameters
    ----------
    cube : xarray.Dataset over "seed" and others
        As the study writes it that the file is about, with the attributes `settings` and `paper_settings`, JSON of what
        this run and the paper used. What it has beside "seed" depends on the file.
    csv : path-like
        Published values, of one of five kinds that are told apart by their columns:

        - factors: dataset, factor, level, relation, transfer_accuracy. The cube has `transfer_accuracy` over "factor"
          (with `factor_name` and `level`) and "relation". The rows of the cube's data set are taken.
        - differences: dataset, tuning, factor, within_disjoint, same_minus_disjoint, within_same. The same cube, over
          the levels that `paper_settings` has for that factor in "levels", and rows of the cube's "tuning" (default
          "linear"); or one that also has "n_tuning", of which the coordinate `tuning` along it says which rows are
          meant ("full-200"; without it, "full-" and the number), and all rows but those of "linear" are taken.
        - mismatch: architecture, n_pretraining_transformations, n_target_transformations, transfer_accuracy. The cube
          has `transfer_accuracy` over these.
        - irrelevant_features: position, pretraining_input, pretraining_label, measure, target, mean, std. The cube has
          `transfer_accuracy` over "position", "pretraining" (input/label) and "target", and `sensitivity` over
          "changed" in place of "target".
        - invariance_transfer: architecture, trained_on, relation, evaluated_on, mean, std. The cube has `sensitivity`
          over "architecture", "trained_on", "evaluated_on", "pretraining_transformation" and "transformation", of
          which `invtransfer.analysis.invariance_by_relation` makes the relations.
    ignore : "all" or list of str, default ()
        Settings that may differ from the paper's.

    Returns
    -------
    comparison : xarray.Dataset
        Over "factor" and "relation"; "factor_name" and "contrast", with "tuning" before them if the cube has
        "n_tuning"; or the columns that say where, those of irrelevant_features being "position", "pretraining" and
        "measured" ("accuracy C/C", "sensitivity O"). What the cube has and what was published, and of both "ours" (mean
        over seeds), "ours_std", "ours_low" and "ours_high" (95 % interval), "n" (seeds), "published", "published_std"
        (if the file has it), and "match". Only where that is "compared" there is a "difference", ours minus published.
        Otherwise it says why not: "other settings", "not in the cube", "not done" (failed or missing), "not published".
        Differences also have "ours_levels" and "published_levels", and are compared only where all published levels, at
        least two, are done. Attributes: `quantity` (in words), `dataset` (if the settings have it), `tuning` (of
        differences of one), `differing_settings` (JSON: name to our value and the paper's) and `ignored` (JSON).

    Raises
    ------
    TypeError
        If the cube is no Dataset.
    ValueError
        If the cube lacks a dimension, variable or attribute, has a label twice or an attribute that is damaged; if the
        file has other columns, no row for the data set, or a row that is damaged or given twice; or if `ignore` names
        no setting.
    OSError
        If the file cannot be read.

    Notes
    -----
    Settings are compared one by one, also those that only one side has, except the levels of factors, number of seeds
    and, for accuracies, number of pairs; of one factor's or dimension's values, that one's default is left out too,
    because it is the labels that hold. Settings that begin with "vit_" hold for that architecture alone, in place of
    those without. Objects are compared by name where the paper's have no digest. Published accuracies are those of the
    tuning "linear", whatever `paper_settings` says; differences of the cube's own tuning are taken. Where the paper's
    levels of a factor are not known, its differences are of "other settings", and ours span all levels of the cube.

    Of invariance_transfer, how many transformations the means are over counts as a setting, "n_transformations", 18 in
    the paper; and a seed counts if it has all values that its mean is over.

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
    kind, rows = read_rows(csv)
    _check_cube(cube, kind)
    by_dataset = kind in ("factors", "differences")
    settings = read_settings(cube, "settings", ["dataset"] if by_dataset else [])
    paper = read_settings(cube, "paper_settings")
    irrelevant = IRRELEVANT if "sensitivity" in NEEDED[kind][2] else (*IRRELEVANT, PAIRS)
    if by_dataset:
        settings = {"tuning": TUNING} | settings
        paper |= {"tuning": TUNING if kind == "factors" else settings["tuning"]}
        spanned = read_levels(paper)
        rows = choose(rows, "dataset", settings["dataset"], csv)
    if kind == "invariance_transfer":
        settings |= {"n_transformations": count_transformations(cube)}
        paper |= {"n_transformations": N_TRANSFORMATIONS}
    differing = find_differing(settings, paper, irrelevant)
    ignored = check_ignore(ignore, settings | paper, irrelevant)
    bad = set(differing) - set(ignored)

    def differ(place):
        return bear_on(bad, place, settings, paper)

    attributes = {
        "quantity": QUANTITIES[kind],
        "differing_settings": json.dumps(differing),
        "ignored": json.dumps(sorted(ignored)),
    }
    if "dataset" in settings:
        attributes["dataset"] = str(settings["dataset"])
    if kind == "factors":
        comparison = join_accuracies(cube, rows, differ, csv)
    elif kind != "differences":
        comparison = join_labelled(cube, kind, rows, differ, csv)
    elif "n_tuning" in cube.dims:
        tuned = [row for row in rows if row["tuning"] != TUNING]
        comparison = join_differences(cube, tuned, differ, spanned, csv)
    else:
        attributes["tuning"] = settings["tuning"]
        rows = choose(rows, "tuning", settings["tuning"], csv)
        comparison = join_differences(cube, rows, differ, spanned, csv)
    return _describe(comparison).assign_attrs(attributes)


def _check_cube(cube, kind):
    """Raise an error unless the cube has what is needed for a kind of file."""
    if not isinstance(cube, xr.Dataset):
        raise TypeError(f"cube is of type {type(cube).__name__}, expected an xarray.Dataset")
    dims, coordinates, variables = NEEDED[kind]
    for what, names, there in (
        ("dimension", dims, cube.dims),
        ("coordinate", coordinates, cube.coords),
        ("variable", variables, cube.data_vars),
        ("attribute", ["settings", "paper_settings"], cube.attrs),
    ):
        missing = [name for name in names if name not in there]
        if missing:
            found = ", ".join(map(str, there)) or "none"
            raise ValueError(f"cube has no {what} {', '.join(map(repr, missing))}; its {what}s are: {found}")
    more = ["n_tuning"] if kind == "differences" else []
    for name in variables:
        other = [str(dim) for dim in cube[name].dims if dim not in [*dims, *more]]
        if other:
            raise ValueError(
                f"cube has {name} over {', '.join(map(repr, other))} too, expected one value for each of: "
                f"{', '.join(dims)}"
            )
    for dim in [*dims, *(name for name in more if name in cube.dims)]:
        if dim not in cube.coords and dim != "seed":
            raise ValueError(f"cube has no labels along {dim!r}, expected a coordinate of that name")
        labels = cube[dim].values.tolist() if dim != "seed" else []
        twice = [label for label in dict.fromkeys(labels) if labels.count(label) > 1]
        if twice:
            raise ValueError(f"cube has the {dim} {', '.join(map(repr, twice))} more than once, expected each once")


def _describe(joined):
    text = {
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
    for name in joined.data_vars:
        joined[name].attrs = {"long_name": text[name], "units": "1"}
    return joined[[name for name in text if name in joined]]
