"""Settings of a cube and of the paper: whether they agree, and what those that do not bear on."""

import json

IRRELEVANT = ("levels", "seeds")  # settings that do not bear on the expected value of a cell
PAIRS = "n_pairs"  # bears on sensitivity alone
VIT = "vit_"  # begins settings that hold for the architecture "vit" in place of those without


def read_settings(cube, name, needs=()):
    """Return an attribute of a cube that holds settings.

    Parameters
    ----------
    cube : xarray.Dataset
    name : str
        Of the attribute.
    needs : sequence of str
        Settings that it must have, such as "dataset".

    Returns
    -------
    settings : dict

    Raises
    ------
    ValueError
        If it is no JSON object, or lacks one of them.
    """
    text = cube.attrs[name]
    try:
        settings = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict) or not set(needs) <= settings.keys():
        more = f" with the key {', '.join(map(repr, needs))}" if needs else ""
        raise ValueError(f"cube has the attribute {name!r} {str(text)[:60]!r}, expected a JSON object{more}")
    return settings


def read_levels(paper):
    """Return the levels that the published differences span.

    Parameters
    ----------
    paper : dict
        The paper's settings.

    Returns
    -------
    spanned : dict of str to list of str
        By name of factor; factors without any are left out.

    Raises
    ------
    ValueError
        If they are something else.
    """
    levels = paper.get("levels", {})
    if not (isinstance(levels, dict) and all(isinstance(values, list) for values in levels.values())):
        text = f"cube has {str(levels)[:60]!r} as 'levels' in 'paper_settings'"
        raise ValueError(f"{text}, expected lists by name of factor")
    return {name: list(dict.fromkeys(map(str, values))) for name, values in levels.items() if values}


def find_differing(settings, paper, irrelevant):
    """Return the settings that are not the paper's.

    Parameters
    ----------
    settings, paper : dict
        Ours and the paper's.
    irrelevant : sequence of str
        Settings that may differ anyway.

    Returns
    -------
    differing : dict of str to [ours, paper's]
        None where one does not have it.
    """
    return {
        name: [settings.get(name), paper.get(name)]
        for name in sorted(settings.keys() | paper.keys())
        if name not in irrelevant and not _agree(name, settings.get(name), paper.get(name))
    }


def _agree(name, ours, paper):
    """Tell whether a setting is the paper's; the objects "transforms2d 0123456789ab" are what "transforms2d" names."""
    if name == "objects" and isinstance(ours, str) and isinstance(paper, str) and " " not in paper:
        return ours.split(" ")[0] == paper
    return ours == paper


def check_ignore(ignore, names, irrelevant):
    """Return the names of the settings that may differ.

    Parameters
    ----------
    ignore : "all" or list of str
        As the user gave it.
    names : collection of str
        All settings, ours and the paper's.
    irrelevant : sequence of str
        Settings that may differ anyway.

    Returns
    -------
    ignored : list of str

    Raises
    ------
    ValueError
        If one is no setting.
    """
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


def bear_on(bad, place, settings, paper):
    """Tell whether settings bear on a place.

    Parameters
    ----------
    bad : set of str
        Settings that are not the paper's, and were not to be ignored.
    place : dict of str to str, int or None
        Dimensions or factors, and which label of them; None: all. Their defaults do not matter here, as it is these
        labels that hold.
    settings, paper : dict
        Ours and the paper's.

    Returns
    -------
    differ : bool
        With settings that begin with "vit_" holding for that architecture alone, in place of those without.
    """
    architecture = place.get("architecture", settings.get("architecture"))
    if architecture == "vit":
        idle = {name.removeprefix(VIT) for name in paper if name.startswith(VIT)}
    elif architecture is not None:
        idle = {name for name in bad if name.startswith(VIT)}
    else:  # the place goes over all architectures
        idle = set()
    if str(place.get("measured", "")).startswith("accuracy"):
        idle.add(PAIRS)
    return bool(bad - idle - set(place))
