"""A study: what it computes, and how it is found, run and shown."""

import importlib.util
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path

from invtransfer.analysis.claims import describe_claims, format_claims
from invtransfer.storage import SourceLoader, expand_path, format_json


@dataclass(frozen=True, kw_only=True)
class Study:
    """One study: presets, a grid of cells, and what is shown of its cube.

    A script makes one, under the name ``STUDY``, and passes it to `invtransfer.paper.main`.

    Parameters
    ----------
    name : str
        Name of the script and of the cube, such as "factors".
    title : str
        Title of the cube and of the figure.
    description : str
        Docstring of the script, which ``--help`` prints.
    folder : path-like
        Folder of data, in which "cubes" are written and "sets" and "published" tables are read.
    presets : dict of str to dict
        Settings by preset: "quick" is the default, else the first; those of "paper", if it exists, are kept in the
        cube beside those of the run. The entry "seeds" is the number of repetitions, and "levels" a dict of str to
        list, such as the levels of each factor.
    find : callable
        Function from ``objects``, ``data`` and the settings, all given as keywords, to `Inputs`. It raises an error if
        data are missing or too small.
    cell : callable
        Function that computes one cell, from the arguments in the grid and those that say where the data are, all given
        as keywords. It is importable, so that other processes can call it.
    grid : callable
        Function from the settings, a dict, to places and coordinates, as `run_study` takes them.
    estimate : callable
        Function from the arguments of a cell, given as keywords, to the seconds that it takes here.
    table : callable
        Function from the cube to the text that is printed.
    figure : callable
        Function from the cube to a matplotlib figure.
    claims : callable or None
        Function from the cube to the paper's sentences, each checked with `invtransfer.analysis.claims.claim`.
    choices : dict of str to sequence
        Values that some settings may have.
    datasets : dict of str to dict
        For some values of the setting "dataset", by preset, the settings that differ.
    published : str or None
        Name of the table in "published" that the paper's values are in.
    reads_cifar : bool
        Whether the study can read CIFAR, so that the command line has an option for its folder.

    Raises
    ------
    TypeError
        If a parameter is missing, or a function is not callable.
    ValueError
        If `name` cannot be that of a script, or a preset lacks "seeds" or "levels".

    Examples
    --------
    >>> Study(
    ...     name="toys", title="Toys", description="", folder="data", presets={"quick": {"seeds": 3}}, find=dict,
    ...     cell=dict, grid=dict, estimate=dict, table=str, figure=str,
    ... )
    Traceback (most recent call last):
    ...
    ValueError: preset 'quick' has no 'levels'
    """

    name: str
    title: str
    description: str
    folder: Path
    presets: dict
    find: Callable
    cell: Callable
    grid: Callable
    estimate: Callable
    table: Callable
    figure: Callable
    claims: Callable | None = None
    choices: dict = field(default_factory=dict)
    datasets: dict = field(default_factory=dict)
    published: str | None = None
    reads_cifar: bool = True

    def __post_init__(self):
        """Raise an error that names the first parameter that is not as described."""
        if not isinstance(self.name, str) or not re.fullmatch("[a-z][a-z0-9_]*", self.name):
            raise ValueError(f"name is {self.name!r}, expected the name of a script: lower-case letters, digits and _")
        if not isinstance(self.presets, dict) or not self.presets:
            raise ValueError(f"presets is {self.presets!r}, expected settings by name of preset")
        for preset, settings in self.presets.items():
            missing = [key for key in ("seeds", "levels") if key not in settings]
            if missing:
                raise ValueError(f"preset {preset!r} has no {' and no '.join(map(repr, missing))}")
        for part in ("find", "cell", "grid", "estimate", "table", "figure"):
            if not callable(getattr(self, part)):
                raise TypeError(f"{part} is {getattr(self, part)!r}, expected a function")
        if self.claims is not None and not callable(self.claims):
            raise TypeError(f"claims is {self.claims!r}, expected a function or None")

    def settings(self, preset, dataset=None):
        """Return the settings of a preset on a data set.

        Parameters
        ----------
        preset : str
            Name of the preset.
        dataset : str or None
            Value of the setting "dataset". None: that of the preset.

        Returns
        -------
        settings : dict
        """
        settings = self.presets[preset]
        if dataset is None:
            return dict(settings)
        differing = self.datasets.get(dataset, {}).get(preset, {})
        levels = {"levels": settings["levels"] | differing.get("levels", {})}
        return settings | differing | levels | {"dataset": dataset}

    def bind(self, settings, objects=None, data=None):
        """Return the function that computes a cell from its arguments alone, for the data of a cube.

        Parameters
        ----------
        settings : dict
            Settings that the cube holds.
        objects, data : path-like or None
            Where objects and CIFAR are. None: procedural objects, and "sets" in the study's folder.

        Returns
        -------
        function : callable

        Raises
        ------
        ValueError
            If the settings do not fit the study, or the cube was computed with other data.
        OSError, ImportError
            If the data are missing.
        """
        others = {name: value for name, value in settings.items() if name != "objects"}  # objects: which they were
        given = {"objects": objects, "data": data or Path(self.folder, "sets"), **others}
        try:
            inspect.signature(self.find).bind(**given)
        except TypeError as error:
            raise ValueError(f"settings of the cube do not fit the study {self.name!r}: {error}") from error
        inputs = self.find(**given)
        for key, value in inputs.identity.items():
            if settings.get(key) != value:
                raise ValueError(f"{key} are {value!r} here, but the cube was computed with {settings.get(key)!r}")
        return partial(self.cell, **inputs.where)

    def check_claims(self, cube):
        """Check the claims of the study with the numbers of a cube.

        Parameters
        ----------
        cube : xarray.Dataset
            Cube of this study.

        Returns
        -------
        cube : xarray.Dataset
            The cube, with the claims and their verdicts in the attribute "claims", JSON.
        text : str
            The same in words; empty if the study has no claims.
        """
        if self.claims is None:
            return cube, ""
        found = self.claims(cube)
        return cube.assign_attrs(claims=format_json(describe_claims(found))), format_claims(found)


def load_study(path):
    """Load the study of a script in any folder. The script is run.

    Parameters
    ----------
    path : path-like
        Where the script is, such as "studies/factors.py".

    Returns
    -------
    study : Study

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If there can be none of that name.
    ValueError
        If it is not a Python file, cannot be run, or defines no `Study` named ``STUDY``.
    """
    path = expand_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no study {path}: say where its script is, on the command line with --study")
    if path.suffix != ".py":
        raise ValueError(f"{path} is not a study: it is not a Python file")
    spec = importlib.util.spec_from_file_location(path.stem, path, loader=SourceLoader(path.stem, str(path)))
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the script raises
        raise ValueError(f"{path} is not a study: running it raises {type(error).__name__}: {error}") from error
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        parts = ", ".join(part.name for part in fields(Study))
        raise ValueError(f"{path} is not a study: it makes no STUDY = Study(...), which has: {parts}")
    return study
