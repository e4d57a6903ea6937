"""The page of a study: its figure, tables and claims."""

import re
import shlex
from functools import partial
from numbers import Integral

from invtransfer.analysis.claims import LEVEL, VERDICTS
from invtransfer.cubes.assembly import is_whole
from invtransfer.pages.layout import Table, Verbatim, draw_pictures, make_page
from invtransfer.pages.origins import describe_failures, describe_origin
from invtransfer.storage import parse_json

READING = (
    "How to read this: a number with ± is the mean over seeds (repetitions with other random numbers), with half the"
    " width of its 95 % interval. A claim is held if the whole interval of the difference is on the claimed side,"
    " contradicted if all of it is on the other side, and undecided otherwise. Where many claims are read at once, some"
    " seem to hold by chance: those whose Holm's p is at most 0.025 would still hold if all had to be right at once."
)


def make_study_page(cube, study, claims=()):
    """Make the page of the cube of a study.

    Parameters
    ----------
    cube : xarray.Dataset
        Cube of the study, with "status".
    study : invtransfer.paper.Study
        The study, whose functions make its table and figure.
    claims : list of dict
        Claims beside its numbers, as `invtransfer.analysis.claims.describe_claims` returns them.

    Returns
    -------
    page : str
        HTML, see `invtransfer.pages.make_page`. While cells are missing, it says which, and has no results.

    Raises
    ------
    ValueError
        If the cube is not of a study, or its attributes are not as described.
    """
    question, about = _read_description(study.description)
    summary, results = ["There are no results yet: cells are missing, or all failed."], []
    if is_whole(cube):
        tables = split_tables(study.table(cube))
        summary = _summarise(claims)
        results = [
            ("The figure", _draw(study, cube, claims, tables)),
            ("Claims", [READING, _tabulate_claims(claims)] if claims else []),
            ("Numbers", tables),
        ]
    sections = [
        ("What stands out", [summary]), *results,
        ("What failed or is missing", describe_failures(cube)), ("What was done", about),
        ("How it came about", describe_origin(cube)),
        ("How to repeat it", ["In a copy of the repository, at the commit above:",
                              Verbatim(format_study_command(cube, study))]),
    ]  # fmt: skip
    return make_page(study.title, question, [one for one in sections if one[1]])


def _read_description(text):
    """Return the question of a study, and what else its docstring says, a paragraph under each head."""
    question, *parts = re.split(r"\n(?=\S)", text.strip())
    parts = [part.partition("\n") for part in parts]
    return question.strip(), [[f"{head}: {' '.join(rest.split())}" for head, _, rest in parts if rest.strip()]]


def _summarise(claims):
    counts = [(sum(one["verdict"] == verdict for one in claims), verdict) for verdict in VERDICTS]
    points = (
        [f"Of {len(claims)} claims: {', '.join(f'{n} {verdict}' for n, verdict in counts if n)}."] if claims else []
    )
    held = [one for one in claims if one["verdict"] == "held" and one["p_value"] is not None]
    if held:
        n_left = sum(one["adjusted_p_value"] <= LEVEL for one in held)
        points.append(f"Of those that held, {n_left} would also hold if all claims had to be right at once (Holm).")
        points.append("The surest: {text}: {numbers}.".format(**min(held, key=lambda one: one["p_value"])))
    points += ["Contradicted: {text}: {numbers}.".format(**one) for one in claims if one["verdict"] == "contradicted"]
    return points or ["All cells were tried; the tables below have the results."]


def _tabulate_claims(claims):
    p_values = ["" if one["adjusted_p_value"] is None else f"{one['adjusted_p_value']:.1g}" for one in claims]
    rows = [[one["text"], one["verdict"], one["numbers"], p] for one, p in zip(claims, p_values, strict=True)]
    return Table("Each claim beside our numbers", ["claim", "verdict", "numbers", "Holm's p"], rows)


def _draw(study, cube, claims, tables):
    """Return the figure of a study, or a sentence that says why there is none."""
    facts = ["{text}: {numbers}".format(**one) for one in claims]
    facts = facts or [" ".join(row) for table in tables if isinstance(table, Table) for row in table.rows]
    text = f"{study.title}. {'; '.join(facts[:8])}. All numbers are in the tables below."
    return draw_pictures([("What was found", partial(study.figure, cube), text)])


def split_tables(text):
    r"""Find the tables in the text that a study prints.

    Parameters
    ----------
    text : str
        Tables as `invtransfer.analysis.format_table` makes them, and other lines, with empty lines between them.

    Returns
    -------
    parts : list
        Parts of a page, see `invtransfer.pages.make_page`. A line before a table is its title.

    Examples
    --------
    >>> (table,) = split_tables("accuracies\n\n       same  other\nvit   0.900  0.800\nvgg   0.700  0.600")
    >>> table.title, table.columns, table.rows[0]
    ('accuracies', ['what', 'same', 'other'], ['vit', '0.900', '0.800'])
    """
    parts, title = [], ""
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        lines = block.split("\n")
        rows = _split_columns(lines)
        if len(lines) == 1:
            parts += [title] if title else []
            title = block.strip()
        elif rows:
            head = [rows[0][0] or "what", *rows[0][1:]]
            parts.append(Table(title or ", ".join(head[1:4]), head, rows[1:]))
            title = ""
        else:
            parts += [*([title] if title else []), Verbatim(block, aligned=True)]
            title = ""
    return parts + ([title] if title else [])


def _split_columns(lines):
    """Split lines at the places where all of them have two spaces or more; return None if there are none."""
    width = max(map(len, lines))
    lines = [line.ljust(width) for line in lines]
    used = "".join("x" if any(line[i] != " " for line in lines) else " " for i in range(width))
    columns = [match.span() for match in re.finditer(r"x+( x+)*", used)]
    return [[line[start:end].strip() for start, end in columns] for line in lines] if len(columns) > 1 else None


def format_study_command(cube, study):
    """Format the command that repeats a study.

    Parameters
    ----------
    cube : xarray.Dataset
        Cube of the study, with its settings.
    study : invtransfer.paper.Study
        The study. The command names the preset that is nearest to the settings, each option that differs from it, and
        the labels, where the cube does not have all of its grid.

    Returns
    -------
    command : str
        For a shell, with quotes where they are needed.

    Raises
    ------
    ValueError
        If the settings are no JSON object.
    """
    settings = parse_json(cube.attrs.get("settings", "{}"), "settings", dict)
    settings |= {"seeds": int(cube.seed.max()) + 1} if "seed" in cube.coords else {}
    options = {name: _find_options(settings, study, name) for name in study.presets}
    preset = min(options, key=lambda name: len(options[name]))
    words = ["python", f"studies/{study.name}.py", "--preset", preset, *options[preset]]
    threads = cube.attrs.get("threads", 1)
    words += ["--threads", str(threads)] if isinstance(threads, Integral) and threads != 1 else []
    places = _find_places(cube, study, _usual_settings(study, preset, settings) | settings)
    return shlex.join(words + (["--only", *places] if places else []))


def _usual_settings(study, preset, settings):
    """Return the settings of a preset on the data set of a run."""
    usual = study.presets[preset].get("dataset")
    dataset = settings.get("dataset", usual)
    return study.settings(preset, dataset if dataset != usual else None)


def _find_places(cube, study, settings):
    """Return the labels, such as "seed=3", that a run is restricted to where the cube lacks others of the grid."""
    places, (_, coordinates) = [], study.grid(settings)
    for dim in cube.status.dims:
        labels = coordinates.get(dim, [])
        there = [label for label in labels if label in cube[dim].values]
        if len(there) < len(labels):
            places += [label if "=" in str(label) else f"{dim}={label}" for label in there]
    return places


def _find_options(settings, study, preset):
    """Return the options that a run with these settings needs besides a preset."""
    usual, words = study.presets[preset].get("dataset"), []
    dataset = settings.get("dataset", usual)
    expected = _usual_settings(study, preset, settings)
    words += ["--dataset", str(dataset)] if dataset != usual else []
    for name, value in settings.items():
        if name == "objects":
            folder = str(value).rpartition(" ")[0] or str(value)  # without its digest
            words += [] if folder == "procedural" else ["--objects", folder]
        elif name not in ("levels", "dataset") and expected.get(name, value) != value:
            words += [f"--{name.replace('_', '-')}", str(value)]
    for name, values in settings.get("levels", {}).items():
        if expected["levels"].get(name) != values:
            words += [f"--{name.replace('_', '-')}-levels", *map(str, values)]
    return words
