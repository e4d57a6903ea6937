"""The figures of profiles: what they show are the profile's numbers, and no text lies over another."""

from functools import partial
from io import BytesIO
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from synthetic_profiles import make_pictures, make_profile

pytest.importorskip("matplotlib")
from matplotlib import rc_context
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import SubFigure
from matplotlib.text import Text

from invtransfer.analysis import select_last_layer
from invtransfer.analysis.representations import mean_random_distance
from invtransfer.plots import (
    plot_affected,
    plot_depths,
    plot_doses,
    plot_interactions,
    plot_layers,
    plot_measurement,
)
from invtransfer.plots.profiles import style_encoders

SLOW = pytest.mark.slow  # between the smallest and the largest
UNLIKE = {"n_encoders": 3, "n_layers": 16, "n_transformations": 3, "unlike": True}  # 16, 9 and 2 layers


def affected(profile, n=6, labels=True):
    X, X_twin = make_pictures(profile.sizes["image"])
    labels = [f"one of the classes {i % 30}" for i in range(len(X))] if labels else None
    return plot_affected(profile, X, X_twin, profile.transformation.values[0], labels=labels, n=n)


def heat_maps(figure):
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


def x_labels(axes):
    return [tick.get_text() for tick in axes.get_xticklabels()]


def shown_texts(figure):
    """Return the texts that are drawn; ticks beyond the ends of an axis are not."""
    hidden = set()
    for axes in figure.axes:
        for axis, (low, high) in ((axes.xaxis, sorted(axes.get_xlim())), (axes.yaxis, sorted(axes.get_ylim()))):
            room = 1e-6 * (high - low)
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                if not low - room <= tick.get_loc() <= high + room:
                    hidden |= {tick.label1, tick.label2}
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text() and text not in hidden]


# the layout


LARGEST = {
    "layers": lambda: plot_layers(make_profile(8, 40, 18, 8, unlike=True, failed=True)),
    "layers, one encoder": lambda: plot_layers(make_profile(1, 40, 18)),
    "depths": lambda: plot_depths(make_profile(8, 40, 18, 2, unlike=True, failed=True)),
    "doses": lambda: plot_doses(make_profile(8, 40, 18, 8, unlike=True)),
    "measurement": lambda: plot_measurement(make_profile(8, 40, 18, 8, unlike=True, failed=True)),
    "interactions": lambda: plot_interactions(make_profile(5, 9, 18, interactions=True, unlike=True)),  # 4 are shown
    "affected": lambda: affected(make_profile(8, 4, 18, 8, n_images=120)),
}
SMALLEST = {
    "layers": lambda: plot_layers(make_profile(None, 1, 1)),
    "depths": lambda: plot_depths(make_profile(None, 1, 1)),
    "doses": lambda: plot_doses(make_profile(None, None, 1, 1)),
    "measurement": lambda: plot_measurement(make_profile(None, None, 1)),
    "interactions": lambda: plot_interactions(make_profile(None, None, 2, interactions=True)),
    "affected": lambda: affected(make_profile(None, None, 1, n_images=2), labels=False),
    "doses of two": lambda: plot_doses(make_profile(2, 3, 4, 2)),  # a long title over a narrow figure
}


@pytest.mark.parametrize(
    "draw",
    [
        # the panels of depths are laid out as those of doses
        pytest.param(draw, id=f"{name}, {size}", marks=SLOW if (name, size) == ("depths", "largest") else ())
        for size, draws in (("largest", LARGEST), ("smallest", SMALLEST))
        for name, draw in draws.items()
    ],
)
def test_no_text_lies_over_another_or_is_cut(draw):
    figure = draw()
    figure.set_dpi(110)
    figure.draw_without_rendering()
    texts = shown_texts(figure)
    boxes = np.array([text.get_window_extent().extents for text in texts])
    assert (boxes[:, :2] >= -1).all()
    assert (boxes[:, 2:] <= np.array(figure.bbox.size) + 1).all()
    low, high = boxes[:, :2] + 1, boxes[:, 2:] - 1  # pixels: touching is no overlap
    over = ((low[:, None] < high) & (low < high[:, None])).all(axis=2)
    for i, j in zip(*np.nonzero(np.triu(over, 1)), strict=True):
        pytest.fail(f"{texts[i].get_text()!r} lies over {texts[j].get_text()!r}")
    above = [one._suptitle for one in figure.findobj(SubFigure) if one._suptitle]
    above += [legend for one in [figure, *figure.findobj(SubFigure)] for legend in one.legends]
    for one in above:
        assert not any(one.get_window_extent().overlaps(axes.get_window_extent()) for axes in figure.axes)


def test_many_layers_are_named_in_part_and_the_last_in_any_case():
    profile = make_profile(2, 100, 2)
    names = x_labels(plot_layers(profile).axes[0])
    assert names[-1] == profile.layer.values[-1]
    assert 20 < len(names) < 60


def test_an_encoder_that_failed_has_an_empty_heat_map():
    profile = make_profile(2, 3, 2)
    depth = xr.DataArray([[0.3, 0.6, 1.0], [np.nan] * 3], dims=("encoder", "layer"))
    profile = profile.where(xr.DataArray([True, False], dims="encoder")).assign_coords(depth=depth)
    figure = plot_layers(profile)
    assert len(heat_maps(figure)) == 1
    assert figure.axes[1].get_title() == f"{profile.encoder.values[1]} (failed or missing)"


def test_the_feature_is_the_last_layer_of_each_encoder():
    """Also where the blocks of another encoder come after it along the dimension, with the same depth."""
    profile = make_profile(2, 3, 1)
    depth = xr.DataArray([[1.0, 1.0, np.nan], [np.nan, 1.0, 1.0]], dims=("encoder", "layer"))
    profile = profile.assign_coords(layer=["layer1", "(feature)", "blocks.0"], depth=depth)
    axes = plot_measurement(profile).axes[0]
    assert axes.get_title() == "Sensitivity at the last layer (feature)"
    shown = [line.get_xdata()[0] for line in axes.get_lines()[:2]]
    assert shown == profile.sensitivity.sel(layer="(feature)").values.ravel().tolist()
    assert x_labels(plot_layers(profile).axes[1]) == ["blocks.0", "(feature)"]
    assert select_last_layer(profile).sensitivity.values.ravel().tolist() == shown


def test_a_name_in_brackets_gets_no_second_ones():
    profile = make_profile(2, 2, 2).assign_coords(layer=["fc", "(feature)"])
    assert plot_measurement(profile).axes[0].get_title() == "Sensitivity at the last layer (feature)"


@pytest.mark.parametrize("n", [1, 2, *(pytest.param(n, marks=SLOW) for n in range(3, 8)), 8])
def test_encoders_differ_in_colour_and_marker(n):
    legends = plot_doses(make_profile(n, None, 1, 2)).axes[0].get_lines()[:n]
    for look in ("get_color", "get_marker"):
        assert len({getattr(line, look)() for line in legends}) == n
    assert all(one.get_linestyle() != two.get_linestyle() for one, two in pairwise(legends))


def test_names_are_shown_as_they_are():
    profile = make_profile(2, 2, 2, 2, interactions=True)
    profile = profile.assign_coords(encoder=["_mine", "a$b$c$"])
    for plot in (plot_layers, plot_depths, plot_doses, plot_measurement, plot_interactions):
        figure = plot(profile)
        figure.draw_without_rendering()
        assert {"_mine", r"a\$b\$c\$"} <= {text.get_text() for text in figure.findobj(Text)}
        with rc_context({"text.parse_math": False}):  # as in pages
            assert "a$b$c$" in {text.get_text() for text in plot(profile).findobj(Text)}


# plot_layers


def test_layers_show_the_values():
    profile = make_profile(3, 5, 4, failed=True)
    figure = plot_layers(profile)
    maps = heat_maps(figure)
    assert len(maps) == 3
    for i, shown in enumerate(maps):
        expected = profile.sensitivity.isel(encoder=i).transpose("transformation", "layer").values
        np.testing.assert_array_equal(shown.filled(np.nan), expected)
        assert figure.axes[i].get_title() == profile.encoder.values[i]
        assert figure.axes[i].images[0].get_clim() == (0, 1)
    assert np.isnan(maps[2].filled(np.nan)[-1]).all()  # the failed one is a gap, which the legend names
    assert "failed or missing" in {text.get_text() for text in figure.findobj(Text)}
    assert x_labels(figure.axes[0]) == profile.layer.values.tolist()


def test_layers_that_an_encoder_lacks_take_no_place():
    figure = plot_layers(make_profile(**UNLIKE))
    assert [shown.shape for shown in heat_maps(figure)] == [(3, 16), (3, 9), (3, 2)]
    assert not any(np.isnan(shown.filled(np.nan)).any() for shown in heat_maps(figure))
    assert x_labels(figure.axes[2]) == ["features.block0.conv", "features.block1.conv"]


def test_layers_are_in_order_of_depth():
    profile = make_profile(2, 5, 3)
    mixed = profile.isel(layer=[3, 0, 4, 2, 1])
    figure = plot_layers(mixed)
    assert x_labels(figure.axes[0]) == profile.layer.values.tolist()
    np.testing.assert_array_equal(heat_maps(figure)[1], heat_maps(plot_layers(profile))[1])
    one, two = (plot_depths(one).axes[0].get_lines()[1].get_xydata() for one in (profile, mixed))
    np.testing.assert_array_equal(one, two)


def test_transformations_stand_together_by_category():
    profile = make_profile(1, 2, 6).isel(transformation=[0, 2, 1, 4, 3, 5])  # translate, hue, shear, blur, ...
    figure = plot_layers(profile)
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert names == ["translate", "shear", "hue", "posterize", "blur", "elastic"]
    shown = profile.sensitivity.sel(encoder=profile.encoder.values[0], transformation=names, layer="layer1.1")
    np.testing.assert_array_equal(heat_maps(figure)[0][:, 1], shown)


@pytest.mark.parametrize(("largest", "extend"), [(1.0, "neither"), (1.01, "max")])
def test_values_above_1_are_marked(largest, extend):
    profile = make_profile(1, 2, 2)
    profile.sensitivity[:] = 0.5
    profile.sensitivity[0, 1, 1] = largest
    image = plot_layers(profile).axes[0].images[0]
    assert image.colorbar.extend == extend
    assert (image.to_rgba(largest) == image.to_rgba(1.0)) == (largest <= 1)


@pytest.mark.parametrize(("n", "numbers"), [(6, 12), (40, 0)])
def test_numbers_stand_where_they_fit(n, numbers):
    figure = plot_layers(make_profile(2, n, 2))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert sum(text.replace(".", "").isdecimal() for text in texts) == numbers


@pytest.mark.parametrize("plot", [plot_layers, plot_depths, plot_measurement])
def test_the_largest_strength_is_shown_and_named(plot):
    profile = make_profile(2, 3, 2, 4)
    one, other = plot(profile), plot(profile.isel(strength=[3, 1]))  # in whichever order
    expected = plot(profile.sel(strength=1.0, drop=True))
    for figure in (one, other):
        for axes, reference in zip(figure.axes, expected.axes, strict=True):
            for line, same in zip(axes.get_lines(), reference.get_lines(), strict=True):
                np.testing.assert_array_equal(line.get_xydata(), same.get_xydata())
        assert any("strength 1" in text.get_text() for text in figure.findobj(Text))
    for shown, same in zip(heat_maps(one), heat_maps(expected), strict=True):
        np.testing.assert_array_equal(shown, same)
    assert not any("strength" in text.get_text() for text in expected.findobj(Text))


# plot_depths and plot_doses


def test_depths_show_values_and_intervals():
    profile = make_profile(2, 5, 3)
    figure = plot_depths(profile)
    assert [axes.get_title() for axes in figure.axes] == profile.transformation.values.tolist()
    for j, axes in enumerate(figure.axes):
        bands = [one for one in axes.collections if isinstance(one, PolyCollection)]
        for i, (line, band) in enumerate(zip(axes.get_lines()[:2], bands, strict=True)):
            here = profile.isel(encoder=i, transformation=j)
            np.testing.assert_array_equal(line.get_xydata(), np.stack([profile.depth, here.sensitivity], axis=1))
            corners = {tuple(corner) for corner in band.get_paths()[0].vertices.round(9).tolist()}
            for bound in (here.sensitivity_low, here.sensitivity_high):
                assert set(zip(profile.depth.values.round(9), bound.values.round(9), strict=True)) <= corners


def test_networks_of_unlike_depth_end_at_1():
    lines = plot_depths(make_profile(**UNLIKE)).axes[0].get_lines()[:3]
    assert [len(line.get_xdata()) for line in lines] == [16, 9, 2]
    assert [line.get_xdata()[-1] for line in lines] == [1, 1, 1]


def test_what_is_missing_is_a_gap():
    profile = make_profile(2, 5, 2)
    for name in ("sensitivity", "sensitivity_low", "sensitivity_high"):
        profile[name][0, 1] = np.nan  # layers 0, 2, 3, 4 are left
    axes = plot_depths(profile).axes[0]
    assert np.isnan(axes.get_lines()[0].get_ydata()).tolist() == [False, True, False, False, False]
    whiskers = [len(one.get_segments()) for one in axes.collections if isinstance(one, LineCollection)]
    assert whiskers == [1, 0]  # the first layer stands alone, so has no band


def test_an_interval_without_end_is_cut_and_the_axis_stays():
    profile = make_profile(1, None, 2, 3)
    profile.sensitivity_high[:] = np.inf
    for plot in (plot_doses, plot_measurement):
        figure = plot(profile)
        figure.savefig(BytesIO(), dpi=40)
        assert max(*figure.axes[0].get_xlim(), *figure.axes[0].get_ylim()) < 3
        assert len(figure.axes[0].collections[0].get_paths()) > 0


def test_doses_begin_at_0():
    profile = make_profile(2, None, 3, 4, failed=True)
    figure = plot_doses(profile)
    assert len(figure.axes) == 3
    for j, axes in enumerate(figure.axes):
        for i, line in enumerate(axes.get_lines()[:2]):
            x, y = line.get_xydata().T
            assert x.tolist() == [0, 0.25, 0.5, 0.75, 1]
            np.testing.assert_array_equal(y[1:], profile.sensitivity.isel(encoder=i, transformation=j))
            assert np.isnan(y[0]) if (i, j) == (1, 2) else y[0] == 0  # what failed has no beginning


def test_doses_of_what_acts_in_full_do_not_begin_at_0():
    """A flip changes as much at a quarter of its strength as at all of it, and would seem to grow up to there."""
    profile = make_profile(1, None, 2, 4)
    profile["sensitivity"][{"transformation": 0}] = 0.5
    beginnings = [axes.get_lines()[0].get_ydata()[0] for axes in plot_doses(profile).axes]
    assert np.isnan(beginnings).tolist() == [True, False]


@pytest.mark.parametrize(
    ("layer", "encoders", "places", "words"),
    [
        (None, [0, 1, 2], [15, 8, 1], "each encoder's last layer"),
        (1, [0, 1, 2], [1, 1, 1], "layer 1"),
        ("blocks.8", [1], [8], "layer blocks.8"),
        ("features.block9.conv", [0], [9], "layer features.block9.conv"),
    ],
)
def test_doses_of_a_layer(layer, encoders, places, words):
    profile = make_profile(**UNLIKE, n_strengths=2)
    figure = plot_doses(profile, layer=layer)
    assert words in figure.get_suptitle()
    lines = figure.axes[1].get_lines()[:-1]  # the last one is at 1
    assert len(lines) == len(encoders)
    for line, encoder, place in zip(lines, encoders, places, strict=True):
        expected = profile.sensitivity.isel(encoder=encoder, layer=place, transformation=1)
        np.testing.assert_array_equal(line.get_ydata()[1:], expected)


# plot_measurement


def test_measurement_of_old_cubes_and_new_ones():
    new, old = (make_profile(3, None, 6, encoder=name, failed=True) for name in ("encoder", "model"))
    one, other = plot_measurement(new), plot_measurement(old)
    for i in range(3):
        lines = [figure.axes[0].get_lines()[i].get_xydata() for figure in (one, other)]
        np.testing.assert_array_equal(*lines)
        np.testing.assert_array_equal(lines[0][:, 0], new.sensitivity.isel(encoder=i))
    segments = [one.get_segments() for one in one.axes[0].collections if isinstance(one, LineCollection)]
    assert [len(some) for some in segments] == [6, 6, 5]
    expected = [new[name].values[0, 0] for name in ("sensitivity_low", "sensitivity_high")]
    assert segments[0][0][:, 0].tolist() == expected


def test_measurement_shows_the_last_layer_of_each():
    profile = make_profile(**UNLIKE, n_strengths=2)
    figure = plot_measurement(profile)
    for i, last in enumerate([15, 8, 1]):
        expected = profile.sensitivity.isel(encoder=i, layer=last, strength=1)
        np.testing.assert_array_equal(figure.axes[0].get_lines()[i].get_xdata(), expected)
    assert figure.axes[0].get_title() == "Sensitivity at each encoder's last layer, strength 1"


# plot_interactions


def test_interactions_show_values_and_kinds_of_the_pairs_measured():
    profile = make_profile(2, 3, 4, interactions=True)
    figure = plot_interactions(profile)
    signs = {"amplifying": "+", "covering": "−", "additive": "•", "unclear": "?"}
    for i, shown in enumerate(heat_maps(figure)):
        here = profile.isel(encoder=i, layer=2)
        np.testing.assert_array_equal(shown.filled(np.nan), here.interaction[:3, 1:])  # nothing below the diagonal
        texts = {text.get_position(): text.get_text() for text in figure.axes[i].texts}
        kinds = {(column - 1, row): kind for (row, column), kind in np.ndenumerate(here.kind.values) if kind}
        assert texts == {place: signs[kind] for place, kind in kinds.items()}
        low, high = figure.axes[i].images[0].get_clim()
        assert low == -high == -np.nanmax(np.abs(profile.interaction[:, 2]))
    assert {f"{sign}  {kind}" for kind, sign in signs.items()} <= {text.get_text() for text in shown_texts(figure)}
    assert x_labels(figure.axes[0]) == ["v flip", "grayscale", "blur"]


@pytest.mark.parametrize("n", [4, 5, pytest.param(8, marks=SLOW)])  # one encoder is among the smallest figures
def test_interactions_of_many_encoders(n):
    figure = plot_interactions(make_profile(n, None, 3, interactions=True))
    assert len(heat_maps(figure)) == min(n, 4)
    assert (f"the first 4 of {n} encoders" in figure.get_suptitle()) == (n > 4)


# plot_affected


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.images and axes.get_title()]


def test_affected_images_are_the_most_and_least():
    profile = make_profile(2, 3, 2, 2, n_images=300)
    X, X_twin = make_pictures(300)
    profile.pair_distance[..., 3] = np.nan
    profile.random_distance[..., 256:] = 90.0  # 44 pairs of a block of their own, whose comparisons are few
    figure = plot_affected(profile, X, X_twin, "posterize", n=2, encoder=profile.encoder.values[1], layer="layer1.0")
    here = {"encoder": 1, "layer": 0, "transformation": 1, "strength": 1}
    pairs, others = (profile[name].isel(here).values for name in ("pair_distance", "random_distance"))
    own = pairs / mean_random_distance(others)
    order = np.argsort(np.where(np.isnan(own), np.inf, own))[:-1]  # without the one that is missing
    expected = [order[-1], order[-2], order[0], order[1]]
    assert titles(figure) == [f"{own[i]:.2f}\nimage {profile.image.values[i]}" for i in expected]
    shown = np.array(heat_maps(figure)).reshape(2, 2, 2, 32, 32, 3)  # most and least; image and twin
    np.testing.assert_array_equal(shown[:, 0].reshape(4, 32, 32, 3), X[expected])
    np.testing.assert_array_equal(shown[:, 1].reshape(4, 32, 32, 3), X_twin[expected])
    assert "layer layer1.0, strength 1" in figure.get_suptitle()


def test_affected_images_of_a_scorer_with_pairs():
    """In a profile whose pairs are in a random order, the numbers of the images are a coordinate."""
    profile = make_profile(None, None, 1, n_images=9).rename_dims(image="pair").reset_index("image")
    X, X_twin = make_pictures(9)
    figure = plot_affected(profile, list(X), [image / 255 for image in X_twin], "translate", n=9)
    assert len(titles(figure)) == 8  # none twice
    assert len({title.split()[-1] for title in titles(figure)}) == 8


def test_mean_of_each_class():
    profile = make_profile(1, None, 1, n_images=6).assign_coords(image=[5, 4, 3, 2, 1, 0])
    profile.pair_distance[:] = [[[5.0, 8.0, 8.0, 3.0, 2.0, 1.0]]]
    profile.random_distance[:] = 2.0
    labels = ["cat", "cat", "cat", "dog", "dog", "fox"]
    axes = plot_affected(profile, *make_pictures(6), "translate", labels=labels, n=1).axes[-1]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["dog (2)", "fox (1)", "cat (3)"]
    assert axes.get_lines()[0].get_xdata().tolist() == [4, 2.5, 1]
    half = 4.303 * 0.5 / np.sqrt(3)  # Student's for 3 values of standard deviation 0.5
    segments = axes.collections[0].get_segments()
    np.testing.assert_allclose(segments[1][:, 0], [max(0, 1 - half), 1 + half], rtol=1e-3)
    assert len(segments) == 2  # one fox has no interval


def test_of_many_classes_the_extremes_are_shown():
    profile = make_profile(1, None, 1, n_images=40).assign_coords(image=np.arange(40))
    profile.pair_distance[:] = np.arange(40.0)
    axes = plot_affected(profile, *make_pictures(40), "translate", labels=np.arange(40) // 2, n=1).axes[-1]
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    expected = [19, 18, 17, 16, 15, 14, 5, 4, 3, 2, 1, 0]
    assert names == [*(f"{label} (2)" for label in expected), "8 more"]


# bad input


SMALL = make_profile(2, None, 2)
PAIRS = make_profile(2, 2, 2, 2, n_images=4)
X, X_TWIN = make_pictures(4)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (partial(plot_layers, SMALL), r"profile has no dimension 'layer': measure with layers=\.\.\."),
        (partial(plot_depths, SMALL), r"profile has no dimension 'layer': measure with layers=\.\.\."),
        (partial(plot_doses, SMALL), r"profile has no dimension 'strength': measure with strengths=\.\.\."),
        (partial(plot_interactions, SMALL), r"profile has no dimension 'then': measure with interactions=\.\.\."),
        (partial(plot_measurement, xr.Dataset()), "cube has no dimension 'transformation'"),
        (partial(plot_measurement, SMALL[["sensitivity"]]), "cube has no variable 'sensitivity_low'; .*: sensitivity"),
        (partial(plot_measurement, SMALL.expand_dims(seed=[0])), "over seed, encoder, .*, expected it over"),
        (
            partial(plot_measurement, SMALL.drop_vars("transformation")),
            "no labels along the dimension 'transformation'",
        ),
        (partial(plot_measurement, SMALL.isel(encoder=[])), "cube has nothing along 'encoder'"),
        (partial(plot_measurement, SMALL.isel(encoder=[1, 1])), "'hf:facebook/dinov2-small' more than once"),
        (partial(plot_measurement, SMALL.astype(str)), "'sensitivity' of dtype <U.*, expected real numbers"),
        (partial(plot_depths, PAIRS.drop_vars("depth")), "profile has no coordinate 'depth' along 'layer'"),
        (partial(plot_doses, PAIRS, layer="layer1"), "layer is 'layer1', .*: layer1.1, layer1.0"),
        (
            partial(plot_doses, PAIRS.isel(layer=0, drop=True), "fc"),
            "layer is 'fc', but profile has no dimension 'layer'",
        ),
        (
            partial(plot_doses, PAIRS.assign_coords(strength=[0, 2])),
            r"strengths \[0, 2\], expected numbers in \(0, 1\]",
        ),
        (
            partial(plot_affected, PAIRS, X, X_TWIN, "blur"),
            "transformation is 'blur', expected one of: translate, posterize",
        ),
        (partial(plot_affected, PAIRS, X, X_TWIN, "posterize", encoder="x"), "encoder is 'x', expected one of: timm:"),
        (
            partial(plot_affected, PAIRS, X, X_TWIN, "posterize", strength=0.3),
            "strength is 0.3, expected one of: 0.5, 1.0",
        ),
        (
            partial(plot_affected, PAIRS, X[:3], X_TWIN, "posterize"),
            "images has the length 3, expected 4, one for each pair",
        ),
        (partial(plot_affected, PAIRS, X, 3, "posterize"), "twins has the length none, expected 4"),
        (
            partial(plot_affected, PAIRS.assign_coords(image=list("abcd")), X, X_TWIN, "posterize"),
            "'image' with 'a', expected the numbers of images",
        ),
        (partial(plot_affected, PAIRS, X, X_TWIN, "posterize", labels=X), "labels is of shape .*, expected one label"),
        (
            partial(plot_affected, PAIRS, X, X_TWIN, "posterize", labels=[1]),
            "labels has the length 1, expected at least 4",
        ),
        (partial(plot_affected, PAIRS, X, X_TWIN[..., 0], "posterize"), r"twins has an image of shape \(32, 32\)"),
        (
            partial(plot_affected, PAIRS, X * 1.0, X_TWIN, "posterize"),
            "images has an image with values from .*, expected 0 to 1",
        ),
        (partial(plot_affected, PAIRS, X, X_TWIN, "posterize", n=0), "n is 0, expected a whole number from 1 to 50"),
        (partial(plot_affected, PAIRS * np.nan, X, X_TWIN, "posterize"), "no distances of pairs for 'posterize'"),
        (
            partial(plot_affected, PAIRS * 0.0, X, X_TWIN, "posterize"),
            "mean random_distance 0.0 for 'posterize', expected more",
        ),
        (partial(plot_affected, SMALL, X, X_TWIN, "posterize"), "profile has no dimension 'pair'"),
    ],
)
def test_profiles_that_cannot_be_drawn(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


@pytest.mark.parametrize("plot", [plot_layers, plot_depths, plot_doses, plot_measurement, plot_interactions])
def test_what_is_no_profile(plot):
    with pytest.raises(TypeError, match="is of type DataArray, expected an xarray.Dataset"):
        plot(SMALL.sensitivity)


def test_a_scorer_is_no_profile_but_has_one():
    with pytest.raises(TypeError, match="of type SimpleNamespace, expected an xarray.Dataset: its attribute profile_"):
        plot_layers(SimpleNamespace(profile_=SMALL))


def test_a_profile_is_left_as_it_is():
    profile = make_profile(2, 3, 3, 2, n_images=4, interactions=True)
    before = profile.copy(deep=True)
    for plot in (plot_layers, plot_depths, plot_doses, plot_measurement, plot_interactions):
        plot(profile)
    xr.testing.assert_identical(profile, before)


def test_colours_and_markers_of_many_encoders_differ():
    styles = [(style["color"], style["marker"]) for style in style_encoders(40)]
    assert len(set(styles)) == 40


def test_interactions_of_encoders_that_have_some_are_shown():
    profile = make_profile(6, None, 3, interactions=True)
    profile["interaction"] = profile.interaction.where(profile.encoder == profile.encoder[5])
    assert str(profile.encoder.values[5]) in plot_interactions(profile).axes[0].get_title()
