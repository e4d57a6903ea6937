"""The commands that repeat a measurement, and advice."""

import shlex

import numpy as np


def find_pairs(profile):
    """Find the pairs of transformations that were measured one after the other.

    Parameters
    ----------
    profile : xarray.Dataset
        With "interaction" over "transformation" and "then", and perhaps others, or not.

    Returns
    -------
    pairs : list of (str, str)

    Examples
    --------
    >>> import xarray as xr
    >>> names = {"transformation": ["hue", "blur"], "then": ["blur"]}
    >>> find_pairs(xr.Dataset({"interaction": (("transformation", "then"), [[0.1], [np.nan]])}, names))
    [('hue', 'blur')]
    """
    if "interaction" not in profile:
        return []
    measured = profile.interaction.notnull()
    measured = measured.any([dim for dim in measured.dims if dim not in ("transformation", "then")])
    firsts, thens = np.nonzero(measured.transpose("transformation", "then").values)
    return list(zip(profile.transformation.values[firsts].tolist(), profile.then.values[thens].tolist(), strict=True))


def format_measure_command(settings, encoders, transformations, name, interactions=()):
    """Format the command that repeats a measurement.

    Parameters
    ----------
    settings : dict
        Settings of the cube; each becomes the option of its name.
    encoders, transformations : sequence of str
        Labels of the cube.
    name : str
        Name of the cube's file.
    interactions : list of (str, str)
        Pairs of transformations that were measured one after the other.

    Returns
    -------
    command : str
        For a shell, with quotes where they are needed.

    Examples
    --------
    >>> settings = {"images": "my photos 1f2e", "n_pairs": 8, "layer": None, "weights": "random"}
    >>> format_measure_command(settings, ["timm:vit"], ["hue"], "mine.nc")
    "invtransfer measure timm:vit --images 'my photos' --out mine.nc --transformations hue --pairs 8 --random-weights"
    """
    words = _format_words("measure", settings, encoders, name, transformations)
    if interactions:
        words += ["--interactions", *(f"{first},{then}" for first, then in interactions)]
    return shlex.join(words)


def format_advise_command(settings, encoders, name):
    """Format the command that repeats advice.

    Parameters
    ----------
    settings : dict
        Settings of the cube; each becomes the option of its name.
    encoders : sequence of str
        Labels of the cube.
    name : str
        Name of the cube's file.

    Returns
    -------
    command : str
        For a shell, with quotes where they are needed.

    Examples
    --------
    >>> settings = {"images": "photos 1f2e", "transformations": ["hue"], "n_draws": 2, "layer": None}
    >>> format_advise_command(settings, ["timm:vit"], "mine.nc")
    'invtransfer advise timm:vit --images photos --out mine.nc --transformations hue --draws 2'
    """
    others = {key: value for key, value in settings.items() if key not in ("transformations", "words_of_advice")}
    return shlex.join(_format_words("advise", others, encoders, name, settings.get("transformations", [])))


def _format_words(command, settings, encoders, name, transformations):
    """Return the words of a command for models and images."""
    words = ["invtransfer", command, *map(str, encoders)]
    words += ["--images", str(settings.get("images", "FOLDER")).rpartition(" ")[0] or "FOLDER", "--out", name]
    words += ["--transformations", *map(str, transformations)] if len(transformations) else []
    options = {key.removeprefix("n_"): value for key, value in settings.items()}
    options["random_weights"] = options.pop("weights", None) == "random"
    for key, value in options.items():
        if key == "images" or value is None or value is False:
            continue
        values = value if isinstance(value, list) else [value]
        words += [f"--{key.replace('_', '-')}", *([] if value is True else map(str, values))]
    return words
