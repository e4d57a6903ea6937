"""Sensitivity to the transformations of pretraining, and to others."""

import xarray as xr

from invtransfer.analysis.checks import check_array

WITHOUT = ("none", "untrained")  # pretraining_transformation of encoders that were trained without any, or not at all


def invariance_by_relation(sensitivity):
    """Average sensitivity over the transformations of pretraining, and over others.

    Parameters
    ----------
    sensitivity : xarray.DataArray over "pretraining_transformation", "transformation", "seed" and others
        Sensitivity to each transformation of encoders that were each pretrained with one transformation, with none
        ("none") or not at all ("untrained"); NaN counts as missing.

    Returns
    -------
    invariance : xarray.DataArray over "relation" and the other dimensions, of which "seed" is the last
        Mean sensitivity, lower being more invariant: "same", of encoders to the transformation of their pretraining;
        "other", of the same encoders to other transformations; "none", of the encoder that was pretrained without; and
        "untrained" if there are such encoders. NaN where there is nothing to average.

    Raises
    ------
    TypeError
        If `sensitivity` is not a DataArray.
    ValueError
        If `sensitivity` lacks a dimension or its coordinate, has a label twice, or does not hold real numbers.

    Notes
    -----
    Each mean is over all values that are there, and every pair of an encoder and a transformation counts once. In an
    incomplete study, "same" and "none", or two seeds, may average different transformations, so part of the difference
    between them is that some transformations are harder than others. Tables 2 to 5 of the paper show these values.

    Examples
    --------
    >>> sensitivity = xr.DataArray(
    ...     [[[0.1], [0.6]], [[0.8], [0.2]], [[0.9], [0.7]]],
    ...     {"pretraining_transformation": ["rotate", "blur", "none"], "transformation": ["rotate", "blur"],
    ...      "seed": [0]},
    ...     ["pretraining_transformation", "transformation", "seed"],
    ... )
    >>> invariance = invariance_by_relation(sensitivity)
    >>> dict(zip(invariance.relation.values.tolist(), invariance.sel(seed=0).values.round(3).tolist()))
    {'same': 0.15, 'other': 0.7, 'none': 0.8}
    """
    sensitivity, dims = _transformation_dims(sensitivity)
    encoder = sensitivity.pretraining_transformation
    own, reference = encoder == sensitivity.transformation, encoder.isin(WITHOUT)
    chosen = {"same": own, "other": ~own & ~reference, "none": encoder == "none"}
    if "untrained" in encoder.values:
        chosen["untrained"] = encoder == "untrained"
    means = [sensitivity.where(which).mean(dims).rename(None) for which in chosen.values()]
    invariance = xr.concat(means, "relation", coords="minimal").assign_coords(relation=list(chosen))
    return invariance.transpose("relation", ..., "seed").assign_attrs(
        units=sensitivity.attrs.get("units", "1"),
        long_name="sensitivity by relation to the transformation of pretraining",
    )


def spillover(sensitivity):
    """Compute how pretraining with one transformation changes the sensitivity to the others, seed by seed.

    Parameters
    ----------
    sensitivity : xarray.DataArray over "pretraining_transformation", "transformation", "seed" and others
        Sensitivity to each transformation of encoders that were each pretrained with one transformation, or with none
        ("none").

    Returns
    -------
    change : xarray.DataArray over the same dimensions
        Sensitivity minus that of the encoder "none" of the same seed: below 0 where invariance spills over from the
        transformation of pretraining to another one. NaN where one of the two is missing, and where both
        transformations are the same, as that is no spill-over. Encoders "none" and "untrained" are left out.

    Raises
    ------
    TypeError
        If `sensitivity` is not a DataArray.
    ValueError
        If `sensitivity` lacks a dimension, its coordinate or an encoder "none", has a label twice, or does not hold
        real numbers.

    Examples
    --------
    >>> sensitivity = xr.DataArray(
    ...     [[[0.1], [0.6]], [[0.8], [0.2]], [[0.9], [0.7]]],
    ...     {"pretraining_transformation": ["rotate", "blur", "none"], "transformation": ["rotate", "blur"],
    ...      "seed": [0]},
    ...     ["pretraining_transformation", "transformation", "seed"],
    ... )
    >>> spillover(sensitivity).sel(seed=0).values.round(3)
    array([[ nan, -0.1],
           [-0.1,  nan]])
    """
    sensitivity, dims = _transformation_dims(sensitivity)
    encoder = sensitivity.pretraining_transformation
    if "none" not in encoder.values:
        found = ", ".join(map(str, encoder.values.tolist())) or "none"
        raise ValueError(f"sensitivity has no pretraining_transformation 'none' to compare with; it has: {found}")
    change = sensitivity.isel({dims[0]: ~encoder.isin(WITHOUT)}) - sensitivity.sel({dims[0]: "none"}, drop=True)
    change = change.rename(None).where(change.pretraining_transformation != change.transformation)
    return change.transpose(*sensitivity.dims).assign_attrs(
        units=sensitivity.attrs.get("units", "1"),
        long_name="change of sensitivity by training with another transformation",
    )


def spillover_in_distribution(sensitivity):
    """Compute `spillover` on the images of pretraining, as the mean over the kinds of images.

    Parameters
    ----------
    sensitivity : xarray.DataArray over "trained_on", "evaluated_on" and those of `spillover`
        Sensitivity, as ``studies/invariance_transfer.py`` writes it for one architecture.

    Returns
    -------
    change : xarray.DataArray over "pretraining_transformation", "transformation" and "seed", or None
        None for a part of the grid that has nothing to compare: no encoder "none", no encoder that was pretrained with
        one of the transformations, or nothing evaluated on "in_distribution".

    Raises
    ------
    TypeError, ValueError
        As `spillover`.
    """
    encoders = {*sensitivity.pretraining_transformation.values}
    known = "none" in encoders and "in_distribution" in sensitivity.evaluated_on
    if not known or encoders <= set(WITHOUT):
        return None
    return spillover(sensitivity.sel(evaluated_on="in_distribution", drop=True)).mean("trained_on")


def target_sensitivity(cube):
    """Compute the mean sensitivity to the target's transformations, before and after fine-tuning.

    Parameters
    ----------
    cube : xarray.Dataset
        Cube as ``studies/fine_tuning.py`` writes it, with `sensitivity_before` and `target_transformation` over
        "transformation" and others, and `sensitivity` over "n_tuning" as well.

    Returns
    -------
    sensitivity : xarray.DataArray over "n_tuning" and others
        Mean over the target's transformations; 0 along "n_tuning" is before fine-tuning.
    """
    before = cube.sensitivity_before.expand_dims(n_tuning=[0])
    after = cube.sensitivity.drop_vars("tuning", errors="ignore")
    return xr.concat([before, after], "n_tuning").where(cube.target_transformation == 1).mean("transformation")


def _transformation_dims(sensitivity):
    """Return an array as floats, and its two dimensions of transformations; they must have labels, each once."""
    dims = ["pretraining_transformation", "transformation"]
    return check_array(sensitivity, "sensitivity", dims=[*dims, "seed"], coordinates=dims, once=dims), dims
