"""Sensitivity to the transformations of pretraining, and to others."""

import xarray as xr

from invtransfer.analysis.checks import check_array

WITHOUT = ("none", "untrained")  # pretraining_transformation of encoders that were trained without any, or not at all


def invariance_by_relation(sensitivity):
    """Average sensitivity over transformations that an encoder was trained with, and over those that it was not.

    Parameters
    ----------
    sensitivity : xarray.DataArray over "pretraining_transformation", "transformation", "seed" and others
        Of encoders that were each pretrained with one transformation, with none ("none") or not at all ("untrained"),
        to each transformation; NaN counts as missing.

    Returns
    -------
    invariance : xarray.DataArray over "relation" and the other dimensions, of which "seed" is the last
        Mean sensitivity, so lower is more invariant: "same", to the transformation that the encoder was trained with;
        "other", of the same encoders to the others; "none", of the encoder that was trained without; and "untrained"
        if `sensitivity` has such encoders. NaN where there is nothing to average.

    Raises
    ------
    TypeError
        If `sensitivity` is no DataArray.
    ValueError
        If a dimension or its coordinate is not there, a label is there twice, or `sensitivity` does not hold real
        numbers.

    Notes
    -----
    Each mean is over all values that are there, pairs of an encoder and a transformation counting once each. In a
    part of a study these are other transformations for "same" than for "none", and perhaps for one seed than for
    another; then part of the differences between them is that some transformations are harder than others. Tables 2 to
    5 of the paper show these values.

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
    """Compute how training with one transformation changes the sensitivity to each of the others, seed by seed.

    Parameters
    ----------
    sensitivity : xarray.DataArray over "pretraining_transformation", "transformation", "seed" and others
        Of encoders that were each pretrained with one transformation, or with none ("none"), to each transformation.

    Returns
    -------
    change : xarray.DataArray over the same dimensions
        Sensitivity minus that of the encoder trained with none, in the same seed: below 0 where invariance spills over
        from the transformation of pretraining to the other. NaN where one of the two is missing, and where both
        transformations are the same, as that is no spill-over. Encoders "none" and "untrained" are left out.

    Raises
    ------
    TypeError
        If `sensitivity` is no DataArray.
    ValueError
        If a dimension or its coordinate is not there, a label is there twice, there is no encoder "none", or
        `sensitivity` does not hold real numbers.

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


def target_sensitivity(cube):
    """Compute the mean sensitivity to the target's transformations, before and after fine-tuning.

    Parameters
    ----------
    cube : xarray.Dataset
        As ``studies/fine_tuning.py`` writes it: `sensitivity_before` and `target_transformation` over "transformation"
        and others, and `sensitivity` over "n_tuning" as well.

    Returns
    -------
    sensitivity : xarray.DataArray over "n_tuning" and others
        0 along "n_tuning" is before fine-tuning.
    """
    before = cube.sensitivity_before.expand_dims(n_tuning=[0])
    after = cube.sensitivity.drop_vars("tuning", errors="ignore")
    return xr.concat([before, after], "n_tuning").where(cube.target_transformation == 1).mean("transformation")


def _transformation_dims(sensitivity):
    """Return the array and its dimensions that name transformations; they, with labels, and "seed" must be there."""
    dims = ["pretraining_transformation", "transformation"]
    return check_array(sensitivity, "sensitivity", dims=[*dims, "seed"], coordinates=dims, once=dims), dims
