"""What a cube is of: a study, a measurement, advice, or something of a person's own."""

from invtransfer.storage import parse_json

PROFILE = {"encoder", "layer", "transformation", "strength"}  # dimensions of a profile's sensitivity


def find_kind(cube):
    """Return what a cube is of.

    Parameters
    ----------
    cube : xarray.Dataset
        As `read` returns it.

    Returns
    -------
    kind : str or None
        "study" of the package; "own study", computed with `run_study`; "measurement" by ``invtransfer measure``,
        whether any of its models worked or not; "advice" by ``invtransfer advise``; "timings" of a speed script that
        judges them; "profile", such as that of a `SensitivityScorer`; None: something else.

    Examples
    --------
    >>> import xarray as xr
    >>> find_kind(xr.Dataset(attrs={"study": "factors"}))
    'study'
    """
    if "study" in cube.attrs:
        return "study"
    if str(cube.attrs.get("command")) == "advise":  # of another program it may be an array
        return "advice"
    try:
        settings = parse_json(cube.attrs.get("settings", "{}"), "settings", dict)
    except ValueError:  # of another program
        settings = {}
    if {"images", "weights", "strengths"} <= settings.keys():  # there, too, if no model worked
        return "measurement"
    if "arguments" in cube:
        return "own study"
    if "verdict" in cube:
        return "timings"
    dims = cube.sensitivity.dims if "sensitivity" in cube else ()
    return "profile" if {"transformation"} <= {*dims} <= PROFILE else None
