"""What several sensitivities over the same images say together: differences, slopes, interactions, with intervals.

Sensitivities that were measured on the same images vary together, so that intervals of each alone say little of their
difference. The jackknife knows better: it leaves out one image at a time from all of them. Distances come as arrays
with the images along "pair" or "image", all of them, in the order in which they were compared.
"""

import difflib
from numbers import Real

import numpy as np
import xarray as xr
from scipy import stats

from invtransfer.analysis.checks import check_array
from invtransfer.analysis.representations import leave_one_out, mean_random_distance, sensitivity_intervals

PAIRS = ("pair", "image")  # names of the dimension of the pairs
ANGLES = np.linspace(0, 2 * np.pi, 360, endpoint=False)  # points on an ellipse; its extremes are precise to 4e-5
ROUNDING = 1e-5  # share of a squared sensitivity that rounding may make


def compare_sensitivities(pair_distances, random_distances, along, reference):
    """Compare the sensitivities along a dimension with that of one of its labels, image by image.

    Parameters
    ----------
    pair_distances, random_distances : xarray.DataArray over `along`, "pair" or "image", and others
        Distances between twins, and between images of different pairs as `compare_within_blocks` returns them, such as
        `pair_distances_` and `random_distances_` of a `SensitivityScorer`, or `pair_distance` and `random_distance` of
        a cube of ``invtransfer measure``; NaN where nothing was measured.
    along : str
        Dimension such as "encoder", "layer", "transformation" or "strength".
    reference : str or number
        Label along it.

    Returns
    -------
    comparison : xarray.Dataset over `along`, without the reference, and the others
        "difference", the sensitivity minus that of the reference; "low" and "high", its 95 % interval over images;
        "p_value" of a difference of 0 (two-sided); and "p_adjusted", the same after Holm (1979) for all differences in
        the result, so before the comparison select those that you will read. ``select_last_layer(scorer.profile_)``
        selects each encoder's last layer; its variables `pair_distance` and `random_distance` are the distances. NaN
        where one of the two was not measured or different images have the same features; interval and p-values are NaN
        with two pairs.

    Raises
    ------
    TypeError
        If the distances are no DataArrays, or `along` or `reference` is of another type.
    ValueError
        If the distances lack a dimension or its labels, or do not belong together; if there is one pair, no such
        reference, or nothing beside it.

    Notes
    -----
    Sensitivities are ratios, and it is their logarithms that a sample estimates without skew. The jackknife gives the
    variances of both logarithms and their covariance. The interval reaches from the smallest to the largest difference
    between two sensitivities whose logarithms lie, measured by these, within Student's quantile of the estimated ones;
    the p-value is that of Student's test of the logarithm of their ratio, and below 0.05 where the interval leaves out
    0. Where a sensitivity is 0, or is so without one of the images, there is no logarithm, and interval and p-value are
    those of the difference itself. If no twin moves under either, the interval holds what n pairs can hide, see
    `sensitivity_interval`.

    In simulations of 10 to 100 pairs, intervals of differences between two encoders and between two transformations
    held the truth in 95 to 96 % of the cases with Gaussian features, and in 91 to 94 % where the movements of images
    differ by lognormal factors (sigma 1), least often with 10 pairs. The plain jackknife does as well with Gaussian
    features, but with lognormal factors holds the difference between two encoders in 86 to 91 %. Of 20 encoders that
    are as sensitive as the reference, at least one had an adjusted p-value below 0.05 in 3 to 5 % of the cases (with
    lognormal factors, 4 to 6 %).

    Examples
    --------
    >>> own = xr.DataArray([[1.0, 2, 1, 2], [1.0, 1, 1, 1.2]], {"encoder": ["a", "b"]}, ["encoder", "pair"])
    >>> others = xr.full_like(own, 4.0)
    >>> found = compare_sensitivities(own, others, "encoder", "a")
    >>> [round(found[name].item(), 3) for name in ("difference", "low", "high")]  # 4.2 / 16 - 6 / 16
    [-0.112, -0.408, 0.042]

    Two models over 18 transformations: `p_adjusted` is adjusted for 18 differences.

    >>> rng = np.random.default_rng(0)
    >>> names = {"encoder": ["a", "b"], "transformation": list("ABCDEFGHIJKLMNOPQR")}
    >>> own = xr.DataArray(rng.random((2, 18, 30)), names, ["encoder", "transformation", "pair"])
    >>> own[1] *= 2  # b is twice as sensitive to all
    >>> found = compare_sensitivities(own, xr.full_like(own, 4.0), "encoder", "a").sel(encoder="b")
    >>> bool((found.p_value < found.p_adjusted).all()), bool(found.low.sel(transformation="B") > 0)
    (True, True)
    """
    for name, value, kinds in (("along", along, str), ("reference", reference, (str, Real))):
        if not isinstance(value, kinds):
            raise TypeError(f"{name} is of type {type(value).__name__}, expected a name or label")
    own, random = _check_pairs(pair_distances, random_distances, ("pair_distances", "random_distances"), [along])
    place = _find(own, along, reference, "reference")
    others = [i for i in range(own.sizes[along]) if i != place]
    if not others:
        raise ValueError(f"{along} has only the label {reference!r}, expected others to compare with it")

    def measure(i):
        return _measure(*(values.isel({along: i}).values for values in (own, random)))

    standard, standard_without = measure(place)
    found = []
    for i in others:  # one after the other, as leaving out takes memory
        sensitivity, without = measure(i)
        found.append(_difference(sensitivity, standard, without, standard_without, most=(1, 1)))
    axis = own.dims.index(along)
    difference, low, high, p_value = (np.stack(values, axis) for values in zip(*found, strict=True))
    where = own.isel({along: others})
    return _dataset(where, {
        "difference": (difference, f"sensitivity minus that of {along} {reference}"),
        "low": (low, "lower bound of its 95 % interval over images"),
        "high": (high, "upper bound of its 95 % interval over images"),
        "p_value": (p_value, "p-value of no difference"),
        "p_adjusted": (adjust_p_values(p_value), "p-value of no difference, after Holm for all differences"),
    })  # fmt: skip


def slope_at_zero(pair_distances, random_distances):
    """Compute how steeply the sensitivity rises with the strength of a transformation, from strength 0.

    Parameters
    ----------
    pair_distances, random_distances : xarray.DataArray over "strength", "pair" or "image", and others
        Distances as for `compare_sensitivities`.

    Returns
    -------
    slope : xarray.Dataset over the others
        "slope" of the parabola through 0 at strength 0 and the sensitivities at the two smallest strengths, there; of
        the line, if there is one strength. "low" and "high": its 95 % interval over images. NaN where one of these was
        not measured.

    Raises
    ------
    TypeError
        If the distances are no DataArrays.
    ValueError
        If the distances lack a dimension or its labels, or do not belong together; if there is one pair, or strengths
        are not increasing numbers above 0, up to 1.

    Notes
    -----
    With S1 and S2 at strengths s1 < s2, the slope is (s2² S1 - s1² S2) / (s1 s2 (s2 - s1)). The interval is that of the
    difference between its two terms, made as by `compare_sensitivities`. In simulations of 10 to 100 pairs it held the
    truth in 95 to 96 % of the cases with Gaussian features, and in 90 to 93 % with lognormal factors.

    Examples
    --------
    >>> own = xr.DataArray([[0.9, 1.1, 1.0], [1.6, 2.4, 2.0]], {"strength": [0.25, 0.75]}, ["strength", "pair"])
    >>> found = slope_at_zero(own, xr.full_like(own, 4.0))  # 1/4 at 1/4, 1/2 at 3/4
    >>> round(found.slope.item(), 3)
    1.167
    """
    names = ("pair_distances", "random_distances")
    own, random = _check_pairs(pair_distances, random_distances, names, ["strength"])
    strengths = _check_strengths(own, "pair_distances")
    own, random = (values.transpose("strength", ...) for values in (own, random))
    if len(strengths) == 1:
        slope, low, high = sensitivity_intervals(own.values[0], random.values[0]) / strengths[0]
    else:
        s1, s2 = strengths[:2]
        weights = s2 / (s1 * (s2 - s1)), s1 / (s2 * (s2 - s1))
        terms = [_measure(own.values[i], random.values[i]) for i in range(2)]
        (first, first_without), (second, second_without) = (
            [weight * one for one in term] for weight, term in zip(weights, terms, strict=True)
        )
        slope, low, high, _ = _difference(first, second, first_without, second_without, most=weights)
    return _dataset(own.isel(strength=0, drop=True), {
        "slope": (slope, "slope of the sensitivity over strength, at strength 0"),
        "low": (low, "lower bound of its 95 % interval over images"),
        "high": (high, "upper bound of its 95 % interval over images"),
    })  # fmt: skip


def strength_of_half(changed):
    """Find the strength at which half of the answers of a probe change.

    Parameters
    ----------
    changed : xarray.DataArray over "strength" and others, in [0, 1]
        Share of the answers that change.

    Returns
    -------
    strength : xarray.DataArray over the others
        Where the share, on straight lines from 0 at strength 0, first reaches one half; NaN if it never does, or if the
        share before is not known.

    Raises
    ------
    TypeError
        If `changed` is no DataArray.
    ValueError
        If `changed` has no strengths, holds other numbers than shares, or strengths are not increasing numbers above 0,
        up to 1.

    Examples
    --------
    >>> strength_of_half(xr.DataArray([0.1, 0.3, 0.7], {"strength": [0.25, 0.5, 1.0]}, ["strength"])).item()
    0.75
    """
    changed = check_array(changed, "changed", dims=["strength"], coordinates=["strength"])
    strengths = np.append(0, _check_strengths(changed, "changed"))
    if ((changed < 0) | (changed > 1)).any():
        raise ValueError(f"changed holds values from {changed.min():.3g} to {changed.max():.3g}, expected shares")
    changed = changed.transpose("strength", ...)
    shares = np.concatenate([np.zeros_like(changed.values[:1]), changed.values])
    above = shares >= 0.5
    after = above.argmax(0)  # 0 where it never is
    before = np.maximum(after - 1, 0)
    low, high = (np.take_along_axis(shares, i[None], 0)[0] for i in (before, after))
    step = np.where(above.any(0), high - low, np.nan)
    strength = strengths[before] + (0.5 - low) / step * (strengths[after] - strengths[before])
    return changed.isel(strength=0, drop=True).copy(data=strength).rename("strength_of_half").assign_attrs(
        units="1", long_name="strength at which half of the answers change"
    )  # fmt: skip


def interactions(pair_distances, random_distances, together, together_random):
    """Compare the sensitivity to two transformations, one after the other, with that to each of them.

    Parameters
    ----------
    pair_distances, random_distances : xarray.DataArray over "transformation", "pair" or "image", and others
        Distances under each transformation alone, as for `compare_sensitivities`.
    together, together_random : xarray.DataArray over "transformation", "then", "pair" or "image", and the same others
        Distances under one transformation and then another; NaN where they were not measured.

    Returns
    -------
    found : xarray.Dataset over "transformation", "then" and the others
        "together", the sensitivity to both, and "together_low" and "together_high", its 95 % interval over images;
        "interaction", its square minus the squares of those to each, with "interaction_low" and "interaction_high"; and
        "kind": "additive" if that interval lies within plus and minus half the square of the smaller sensitivity; else
        "amplifying" if it is above 0, "covering" if it is below, and "unclear" if it holds 0. NaN and "" where nothing
        was measured.

    Raises
    ------
    TypeError
        If the distances are no DataArrays.
    ValueError
        If the distances lack a dimension or its labels, or do not belong together; if there is one pair, or a
        transformation was not measured alone.

    Notes
    -----
    Why squares: movements of features that have nothing to do with one another are at right angles on average, so that
    the squares of their lengths add. Lengths themselves add if both move features along the same line, which is then
    called amplifying, and cover one another if they move them in opposite directions, or if after the first the second
    finds nothing to change. The interval is that of the difference between two numbers, the square and the sum, made as
    by `compare_sensitivities`; in simulations of 10 to 100 pairs it held the truth in 95 % of the cases with Gaussian
    features, and in 90 to 94 % with lognormal factors. Interactions of 1e-5 of the sum of squares and less
    count as 0, as rounding makes as much.

    Two things look like interactions. A sensitivity saturates: it is at most about 1, whatever moves features, so that
    two large movements cover one another even if they have nothing to do with one another. And the more the length of
    movements differs between images, the more the square of the mean length of both exceeds the sum: of transformations
    that each move half of the images, as two draws do that act with probability 0.5, it is ((2 + sqrt 2) / 4)² = 0.73
    against 2 / 4. Twins should be an image and its transformation, always acting.

    Examples
    --------
    >>> names = {"transformation": ["hue", "blur"]}
    >>> own = xr.DataArray([[3.0, 3, 3.1], [4.0, 4, 4.1]], names, ["transformation", "pair"])
    >>> both = xr.DataArray(
    ...     [[[5.0, 5, 5.1]]], {"transformation": ["hue"], "then": ["blur"]}, ["transformation", "then", "pair"]
    ... )
    >>> found = interactions(own, xr.full_like(own, 10.0), both, xr.full_like(both, 10.0))
    >>> round(found.together.item(), 3), round(found.interaction.item(), 3), found.kind.item()  # 3² + 4² = 5²
    (0.503, -0.001, 'additive')
    """
    alone = _check_pairs(pair_distances, random_distances, ("pair_distances", "random_distances"), ["transformation"])
    both = _check_pairs(together, together_random, ("together", "together_random"), ["transformation", "then"])
    pairs = alone[0].dims[-1]
    others = [dim for dim in alone[0].dims if dim not in ("transformation", pairs)]
    alone = [values.transpose(*others, "transformation", pairs) for values in alone]
    if {*both[0].dims} != {*alone[0].dims, "then"}:
        dims = ", ".join(map(repr, both[0].dims))
        raise ValueError(f"together has the dimensions {dims}, expected those of pair_distances and 'then'")
    both = [values.transpose(*others, "transformation", "then", pairs) for values in both]
    _check_labels(alone[0], both[0], ("pair_distances", "together"), apart="transformation")
    first, second = (
        [_find(alone[0], "transformation", label, dim) for label in both[0][dim].values.tolist()]
        for dim in ("transformation", "then")
    )
    shape = both[0].shape[:-1]
    found, kind = np.empty((6, *shape)), np.empty(shape, "<U10")
    for place in np.ndindex(shape[:-2]):  # one after the other, as leaving out takes memory
        here = ([values.values[place] for values in pair] for pair in (alone, both))
        *numbers, kind[place] = _interact(*here, first, second)
        found[:, *place] = numbers
    together, together_low, together_high, interaction, low, high = found
    return _dataset(both[0], {
        "together": (together, "sensitivity to the first and then the second transformation"),
        "together_low": (together_low, "lower bound of its 95 % interval over images"),
        "together_high": (together_high, "upper bound of its 95 % interval over images"),
        "interaction": (interaction, "square of the sensitivity to both minus the squares of those to each"),
        "interaction_low": (low, "lower bound of its 95 % interval over images"),
        "interaction_high": (high, "upper bound of its 95 % interval over images"),
        "kind": (kind, "how two transformations act together"),
    })  # fmt: skip


def _interact(alone, both, first, second):
    """Return the sensitivities to both transformations, the interactions, bounds of each, and kinds, of one layer."""
    sensitivity, without = (np.square(values) for values in _measure(*alone))
    squares = sensitivity[first][:, None], sensitivity[second][None, :]
    squares_without = without[first][:, None] + without[second][None, :]
    whole, whole_without = (np.square(values) for values in _measure(*both))
    total = squares[0] + squares[1]
    interaction, low, high, _ = _difference(whole, total, whole_without, squares_without, most=(1, 2), power=2)
    rounding, margin = ROUNDING * total, np.minimum(*squares) / 2
    kind = np.select(
        [np.isnan(interaction), (low >= -margin - rounding) & (high <= margin + rounding), low > rounding,
         high < -rounding],
        ["", "additive", "amplifying", "covering"], "unclear",
    )  # fmt: skip
    return *sensitivity_intervals(*both), interaction, low, high, kind


def adjust_p_values(p_values):
    """Adjust p-values for their number, after Holm (1979).

    Parameters
    ----------
    p_values : array-like of float, in [0, 1]
        p-values that are read together, of any shape. NaN does not count.

    Returns
    -------
    adjusted : ndarray of the same shape
        For each the lowest error rate over all of them at which it is still significant; NaN for NaN.

    Raises
    ------
    ValueError
        If they are not numbers from 0 to 1.

    Examples
    --------
    >>> adjust_p_values([0.01, 0.02, np.nan])
    array([0.02, 0.02,  nan])
    """
    p_values = np.asarray(p_values)
    if p_values.dtype.kind not in "iuf":
        raise ValueError(f"p_values is of dtype {p_values.dtype}, expected real numbers")
    if ((p_values < 0) | (p_values > 1)).any():
        raise ValueError(f"p_values has values from {np.nanmin(p_values)} to {np.nanmax(p_values)}, expected 0 to 1")
    known = np.flatnonzero(np.isfinite(p_values))
    order = known[np.argsort(p_values.ravel()[known], kind="stable")]
    adjusted = np.full(p_values.size, np.nan)
    counted = p_values.ravel()[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(counted))
    return adjusted.reshape(p_values.shape)


def _measure(pair_distances, random_distances):
    """Return sensitivities (...) of distances (..., n_pairs), and those without each pair (..., n_pairs)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        sensitivity = pair_distances.mean(-1) / mean_random_distance(random_distances)
    known = np.isfinite(sensitivity)
    without = leave_one_out(pair_distances, random_distances)
    return np.where(known, sensitivity, np.nan), np.where(known[..., None], without, np.nan)


def _difference(first, second, first_without, second_without, most, power=1):
    """Return the difference between two positive functions of sensitivities, its 95 % interval and its p-value.

    `first_without` and `second_without` (..., n_pairs) are the same without each pair. `most` and `power` say how large
    both can be if no pair of twins moved: their share times a power of the largest sensitivity that this can hide.
    """
    n = first_without.shape[-1]
    quantile = stats.t.ppf(0.975, n - 1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        logs = np.log(first_without), np.log(second_without)
        spreads = [one - one.mean(-1, keepdims=True) for one in logs]
        errors = [np.sqrt((n - 1) / n * np.square(one).sum(-1)) for one in spreads]
        correlation = (n - 1) / n * (spreads[0] * spreads[1]).sum(-1) / (errors[0] * errors[1])
        # A line through the ellipse of both logarithms, (cos u, cos(u - v)), where the correlation is cos v
        lag = np.arccos(np.clip(np.where(errors[0] * errors[1] > 0, correlation, 0), -1, 1))
        around = first[..., None] * np.exp(quantile * errors[0][..., None] * np.cos(ANGLES))
        around -= second[..., None] * np.exp(quantile * errors[1][..., None] * np.cos(ANGLES - lag[..., None]))
        low, high = around.min(-1), around.max(-1)
        change, error = np.log(first / second), np.sqrt((n - 1) * (logs[0] - logs[1]).var(-1))
        # Without logarithms: the difference itself
        plain = ~np.isfinite(errors[0] + errors[1])
        difference = first - second
        plain_error = np.sqrt((n - 1) * (first_without - second_without).var(-1))
        low, high = (
            np.where(plain, difference + sign * quantile * plain_error, bound) for sign, bound in ((-1, low), (1, high))
        )
        change, error = np.where(plain, difference, change), np.where(plain, plain_error, error)
        p_value = 2 * stats.t.sf(np.where(change == 0, 0, np.abs(change) / error), n - 1)
    p_value = np.where(np.isnan(error), np.nan, p_value)
    hidden = (1 - 0.025 ** (1 / n)) ** power if n > 2 else np.nan
    unmoved = (first == 0) & (second == 0)
    low, high = np.where(unmoved, -most[1] * hidden, low), np.where(unmoved, most[0] * hidden, high)
    return difference, low, high, p_value


def _dataset(where, variables):
    """Return a dataset over the dimensions of an array but the last, of values and their long names."""
    where = where.isel({where.dims[-1]: 0}, drop=True)
    return xr.Dataset(
        {name: (where.dims, values, {"units": "1", "long_name": text}) for name, (values, text) in variables.items()},
        where.coords,
    )


def _check_pairs(own, random, names, dims):
    """Return distances between twins and between others, as floats over the same dimensions, those of pairs last."""
    own, random = (
        check_array(values, name, dims=dims, coordinates=dims, once=dims)
        for values, name in zip((own, random), names, strict=True)
    )
    pairs = [dim for dim in PAIRS if dim in own.dims]
    if len(pairs) != 1:
        raise ValueError(f"{names[0]} has the dimensions {_join(own.dims)}, expected one of 'pair' and 'image'")
    if pairs[0] in dims:
        raise ValueError(f"along is {pairs[0]!r}, expected another dimension: sensitivities are means over it")
    if {*own.dims} != {*random.dims}:
        raise ValueError(f"{names[1]} has the dimensions {_join(random.dims)}, expected {_join(own.dims)}")
    if own.sizes[pairs[0]] < 2:
        raise ValueError(f"{names[0]} has {own.sizes[pairs[0]]} pair, expected at least 2")
    _check_labels(own, random, names)
    own = own.transpose(..., pairs[0]).astype(float)  # small differences between sums
    return own, random.transpose(*own.dims).astype(float)


def _check_labels(one, other, names, apart=()):
    """Raise an error unless two arrays have the same labels and sizes along what they share, but for one dimension."""
    try:
        xr.align(one, other, join="exact", copy=False, exclude=apart)
    except ValueError as error:
        raise ValueError(f"{names[1]} has other labels or sizes than {names[0]}: {error}") from error


def _check_strengths(values, argument):
    """Return strengths if they are increasing numbers above 0, up to 1."""
    strengths = values.strength.values
    numbers = strengths.dtype.kind in "iuf" and len(strengths) > 0
    if not numbers or not (np.diff(strengths, prepend=0) > 0).all() or strengths[-1] > 1:
        raise ValueError(f"{argument} has the strengths {strengths.tolist()}, expected increasing ones in (0, 1]")
    return strengths.astype(float)


def _find(values, dim, label, argument):
    """Return the place of a label along a dimension."""
    labels = values[dim].values.tolist()
    if label not in labels:
        nearest = difflib.get_close_matches(str(label), map(str, labels), n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"expected one of {', '.join(map(str, labels))}"
        raise ValueError(f"{argument} is {label!r}, which {dim} does not have; {hint}")
    return labels.index(label)


def _join(names):
    return ", ".join(map(repr, names))
