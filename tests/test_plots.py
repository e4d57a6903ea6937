"""The figures: that what they show are the cube's numbers, and that they can be drawn whatever is missing."""

import json
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from invtransfer.analysis import CONTRASTS, factor_contrasts
from invtransfer.published import compare_to_published

pytest.importorskip("matplotlib")
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer
from matplotlib.figure import Figure, SubFigure
from matplotlib.text import Text

from invtransfer import plots
from invtransfer.plots import (
    COLOURS,
    draw_curves,
    draw_matrices,
    format_spread,
    plot_comparison,
    plot_factors,
)

FACTORS = [("class_relation", "same"), ("class_relation", "disjoint"), ("n_samples", "64"), ("n_samples", "128")]
STUDENT = {2: 12.706, 3: 4.303}  # 97.5 % quantile by number of values, from any table
LEGEND = [f"{task}, {relation} transformations" for relation in ("same", "disjoint") for task in ("target", "source")]
SLOW = pytest.mark.slow  # between the smallest and the largest, or made of parts that other cases have


def make_cube(n_seeds=3, factors=FACTORS):
    """Return a cube as the study writes it, with random numbers; each encoder is trained with one transformation."""
    generator = np.random.default_rng(0)
    shape = (len(factors), 2, n_seeds)
    dims = ["factor", "relation", "seed"]
    trained = np.zeros((*shape, 3), np.int8)
    trained[:, 0, :, 0] = trained[:, 1, :, 1] = 1  # "same" with rotate, "disjoint" with blur, none with hue
    return xr.Dataset(
        {
            "transfer_accuracy": (dims, generator.uniform(0.2, 0.9, shape)),
            "source_accuracy": (dims, generator.uniform(0.8, 1.0, shape)),
            "sensitivity": ([*dims, "transformation"], generator.uniform(0.1, 1.0, (*shape, 3))),
            "source_transformation": ([*dims, "transformation"], trained),
            "status": (dims, np.ones(shape, np.int8)),
            "cell": (dims, np.arange(np.prod(shape)).reshape(shape).astype(str)),
        },
        {
            "factor": [f"{name}={level}" for name, level in factors],
            "factor_name": ("factor", [name for name, _ in factors]),
            "level": ("factor", [level for _, level in factors]),
            "relation": ["same", "disjoint"],
            "seed": np.arange(n_seeds),
            "transformation": ["rotate", "blur", "hue"],
        },
        {"title": "Invariance"},
    )


def remove(cube, status=0, **place):
    """Take cells out of a cube, as `assemble` leaves those that are missing (status 0) or failed (2)."""
    for name, variable in cube.drop_vars("cell").data_vars.items():
        cube[name].loc[place] = np.nan if variable.dtype.kind == "f" else -1 if name != "status" else status
    return cube


REFERENCES = [("reference", "untrained"), ("reference", "no transformations")]


def make_cube_with_references(n_seeds=3):
    """Return a cube whose last two places are the same encoders for both relations, trained with no transformation."""
    cube = make_cube(n_seeds, FACTORS + REFERENCES)
    for variable in cube.data_vars.values():
        variable.values[-2:, 1] = variable.values[-2:, 0]
    cube.source_transformation.values[-2:] = 0
    cube.source_accuracy.values[-2] = np.nan
    return cube


def draw_and_check_overlaps(figure):
    """Lay a figure out; no legend or title lies over a panel, and nothing over the edge."""
    figure.draw_without_rendering()
    everything = [figure, *(part for part in figure.findobj(SubFigure) if part is not figure)]
    legends = [legend for part in everything for legend in part.legends]
    legends += [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    boxes = [legend.get_window_extent() for legend in legends] + [figure._suptitle.get_window_extent()]
    for box in boxes:
        assert not any(box.overlaps(axes.get_window_extent()) for axes in figure.axes)
        assert not any(box.overlaps(other) for other in boxes if other is not box)
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
    for axes in figure.axes:
        labels = [tick.get_window_extent() for tick in axes.get_xticklabels() if tick.get_text()]
        if not any(tick.get_rotation() for tick in axes.get_xticklabels()):
            assert not any(one.overlaps(two) for one, two in zip(labels, labels[1:], strict=False))


def texts(artist):
    return {text.get_text() for text in artist.findobj(Text)} - {""}


def bar_heights(axes):
    return [[bar.get_height() for bar in bars] for bars in axes.containers if isinstance(bars, BarContainer)]


def draw(cube):
    """Return the figure of a cube, and its panels."""
    figure = plot_factors(cube)
    n = len(set(cube.factor_name.values) - {"reference"})
    has_ranges = (cube.factor_name != "reference").sum() > n
    assert len(figure.axes) == 2 * n + (3 if has_ranges else 2)
    return figure, figure.axes[:n], figure.axes[2 * n], figure.axes[-1]


@cache
def draw_references():
    """Draw the cube of `make_cube_with_references`, once as well."""
    return plot_factors(make_cube_with_references())


@cache
def draw_seeds(n_seeds):
    """Draw the cube of `make_cube` with so many seeds, once for all tests that only look at it."""
    return draw(make_cube(n_seeds))


@pytest.mark.parametrize(
    ("n_seeds", "counted"),
    [
        (1, "1 seed"),
        (2, "2 seeds; whiskers: 95 % intervals, cut at the edge"),
    ],
)
def test_everything_is_labelled(n_seeds, counted):
    figure, levels, contrasts, sensitivity = draw_seeds(n_seeds)
    assert figure.get_suptitle() == f"Invariance ({counted})"
    assert [axes.get_xlabel() for axes in levels] == ["class relation", "training samples"]
    assert [[tick.get_text() for tick in axes.get_xticklabels()] for axes in levels] == [
        ["same", "disjoint"], ["64", "128"]
    ]  # fmt: skip
    assert levels[0].get_ylabel() == "accuracy"
    assert set(LEGEND) <= texts(figure)
    assert {"class relation", "training samples"} <= texts(contrasts)
    assert {"within disjoint", "same minus disjoint", "within same"} <= texts(contrasts)
    assert contrasts.get_ylabel() == "difference in transfer accuracy"
    assert {"rotate", "blur", "hue", "pretrained with it", "pretrained with others"} <= texts(sensitivity)
    assert sensitivity.get_ylabel().startswith("sensitivity on the target")


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_levels_show_the_means_of_the_seeds(n_seeds):
    cube = make_cube(n_seeds)
    _, levels, *_ = draw_seeds(n_seeds)
    for axes, name in zip(levels, ("class_relation", "n_samples"), strict=True):
        lines = {line.get_label(): line for line in axes.get_lines()}
        chosen = cube.isel(factor=cube.factor_name.values == name)
        for label in LEGEND:
            task, relation = label.removesuffix(" transformations").split(", ")
            values = chosen["transfer_accuracy" if task == "target" else "source_accuracy"].sel(relation=relation)
            np.testing.assert_allclose(lines[label].get_ydata(orig=False), values.values.mean(axis=1))
            assert lines[label].get_color() == COLOURS[relation]


@pytest.mark.parametrize("n_seeds", [2, 3])
def test_levels_show_each_seed_and_their_spread(n_seeds):
    cube = make_cube(n_seeds)
    values = cube.transfer_accuracy.sel(relation="same").isel(factor=slice(2)).values
    _, levels, *_ = draw_seeds(n_seeds)
    points = [
        line for line in levels[0].get_lines() if line.get_marker() == "." and line.get_color() == COLOURS["same"]
    ]
    np.testing.assert_array_equal(np.sort([line.get_ydata(orig=False) for line in points], 0), np.sort(values.T, 0))
    half = STUDENT[n_seeds] * values.std(1, ddof=1) / np.sqrt(n_seeds)
    expected = np.stack([values.mean(axis=1) - half, values.mean(axis=1) + half], axis=1)
    same, disjoint = (np.stack(lines.get_segments()) for lines in levels[0].collections)
    np.testing.assert_allclose(same[..., 1], expected, atol=2e-3)  # also below 0, though the axis ends there
    assert (same[..., 0] < disjoint[..., 0]).all()  # beside each other


@pytest.mark.parametrize("n_seeds", [1, 2, 3])
def test_differences_are_of_the_same_seed(n_seeds):
    cube = make_cube(n_seeds)
    figure = draw_seeds(n_seeds)[0]
    difference = (cube.transfer_accuracy.sel(relation="same") - cube.transfer_accuracy.sel(relation="disjoint")).values
    for i, axes in enumerate(figure.axes[2:4]):
        here = difference[2 * i : 2 * i + 2]
        means, *seeds = [line for line in axes.get_lines() if len(line.get_ydata(orig=False)) == 2][: 1 + n_seeds]
        np.testing.assert_allclose(means.get_ydata(orig=False), here.mean(axis=1))
        found = np.sort([line.get_ydata(orig=False) for line in seeds], axis=0)
        np.testing.assert_allclose(found, np.sort(here.T, axis=0))
        if n_seeds > 1:
            half = STUDENT[n_seeds] * here.std(1, ddof=1) / np.sqrt(n_seeds)
            ends = np.stack(axes.collections[0].get_segments())[..., 1]
            np.testing.assert_allclose(ends, np.stack([here.mean(1) - half, here.mean(1) + half], 1), atol=2e-3)
        low, high = axes.get_ylim()
        assert low < min(0, difference.min())
        assert high > difference.max()


def test_an_encoder_in_several_places_counts_once():
    cube = make_cube(1)
    cube["cell"][1] = cube["cell"][0]  # the second level shows the first one's encoders again
    cube["sensitivity"][1] = 99.0
    with_it = plot_factors(cube).axes[-1].get_lines()[0]
    rotate = cube.sensitivity.sel(transformation="rotate", relation="same", seed=0).values[[0, 2, 3]]
    assert with_it.get_ydata(orig=False)[0] == pytest.approx(rotate.mean())


def test_contrasts_show_their_means():
    cube = make_cube()
    _, _, axes, _ = draw_seeds(3)
    expected = factor_contrasts(cube.transfer_accuracy).mean("seed")
    np.testing.assert_allclose(bar_heights(axes), expected.sel(contrast=list(CONTRASTS)).transpose("contrast", ...))
    labels = [bars.get_label() for bars in axes.containers if isinstance(bars, BarContainer)]
    assert labels == [contrast.replace("_", " ") for contrast in CONTRASTS]


def test_what_decides_the_claims_is_drawn_with_its_interval():
    cube = make_cube()
    axes = draw_seeds(3)[0].axes[-2]
    contrasts = factor_contrasts(cube.transfer_accuracy)
    lines = {line.get_label(): line for line in axes.get_lines()}
    for i, other in enumerate(("within_disjoint", "within_same")):
        excess = contrasts.sel(contrast="same_minus_disjoint") - contrasts.sel(contrast=other)
        shown = lines[f"less {other.replace('_', ' ')}"].get_ydata(orig=False)
        np.testing.assert_allclose(shown, excess.mean("seed"))
        half = 4.303 * excess.std("seed", ddof=1) / np.sqrt(3)
        whisker = axes.collections[i].get_segments()[0][:, 1]
        np.testing.assert_allclose(whisker, [shown[0] - half[0], shown[0] + half[0]], atol=1e-3)


def test_references_stand_beside_learned_invariance():
    cube = make_cube_with_references()
    lines = {line.get_label(): line for line in draw_references().axes[-1].get_lines()}
    for i, level in enumerate(("untrained", "no transformations")):
        expected = cube.sensitivity.isel(factor=len(FACTORS) + i, relation=0).mean("seed")
        np.testing.assert_allclose(lines[level].get_ydata(orig=False), expected)


def test_factors_of_one_level_are_left_out():
    cube = make_cube(factors=[("architecture", "vit"), *FACTORS[2:]])
    figure = plot_factors(cube)
    assert len(figure.axes) == 2 + 3
    assert figure.axes[0].get_xlabel() == "training samples"


def test_sensitivity_tells_encoders_trained_with_a_transformation_from_others():
    cube = make_cube()
    _, _, _, axes = draw_seeds(3)
    with_it, others = axes.get_lines()
    values = cube.sensitivity.transpose("transformation", "relation", "factor", "seed").values
    # rotate: trained by "same" (0); blur: by "disjoint" (1); hue: by none
    np.testing.assert_allclose(with_it.get_ydata(orig=False), [values[0, 0].mean(), values[1, 1].mean(), np.nan])
    np.testing.assert_allclose(
        others.get_ydata(orig=False), [values[0, 1].mean(), values[1, 0].mean(), values[2].mean()]
    )
    # the mean over the encoders of a seed is one value of three
    half = 4.303 * values[0, 0].mean(axis=0).std(ddof=1) / np.sqrt(3)
    whisker = axes.collections[0].get_segments()[0][:, 1]
    np.testing.assert_allclose(whisker, [values[0, 0].mean() - half, values[0, 0].mean() + half], atol=1e-3)


@pytest.mark.parametrize(
    ("n_seeds", "place"),
    [
        (3, {"factor": "n_samples=64", "relation": "same", "seed": 0}),
        (3, {"factor": ["n_samples=64", "n_samples=128"]}),
        (3, {"relation": "disjoint"}),
        (1, {}),
        pytest.param(3, {}, marks=SLOW),
        pytest.param(1, {"factor": "n_samples=64", "relation": "same", "seed": 0}, marks=SLOW),
        pytest.param(3, {"factor": "n_samples=64", "seed": 0}, marks=SLOW),
        pytest.param(1, {"factor": "n_samples=64", "seed": 0}, marks=SLOW),
        pytest.param(1, {"factor": ["n_samples=64", "n_samples=128"]}, marks=SLOW),
        pytest.param(1, {"relation": "disjoint"}, marks=SLOW),
    ],
    ids=str,
)
def test_missing_cells_are_gaps(n_seeds, place):
    cube = remove(make_cube(n_seeds), **place)
    figure, levels, _, sensitivity = draw(cube)
    figure.draw_without_rendering()  # so that all warnings come
    assert set(LEGEND) <= texts(figure)
    line = next(line for line in levels[1].get_lines() if line.get_label() == LEGEND[0])
    expected = cube.transfer_accuracy.sel(relation="same").mean("seed")[2:]
    np.testing.assert_allclose(line.get_ydata(orig=False), expected)
    others = sensitivity.get_lines()[1]
    assert np.isnan(others.get_ydata(orig=False)).all() == (place == {})  # no cell that is missing counts as "others"


def test_one_factor_with_one_level():
    figure, levels, *_ = draw(make_cube(2, [("width", "0.25")]))
    assert levels[0].get_xlabel() == "width"
    assert "2 seeds" in figure.get_suptitle()
    assert len(figure.axes) == 4  # one level has no range that the difference could exceed: no panel of that
    file = BytesIO()
    figure.savefig(file, dpi=50)  # the smallest of these figures, for real
    assert file.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "name", sorted({name for name in plots.__all__ if name.startswith("plot_")} - {"plot_affected"})
)
def test_cubes_of_another_kind_are_refused(name):
    """All figures say what they are of, whatever they are given."""
    other = make_cube().rename(relation="kind").drop_vars(["transfer_accuracy", "sensitivity"])
    for cube in (other, xr.Dataset()):
        with pytest.raises(ValueError, match=r"^(cube|profile|comparison) (is not|has no|has the relations None)"):
            getattr(plots, name)(cube)


def test_cube_without_a_title():
    assert "(1 seed)" in plot_factors(make_cube(1).drop_attrs()).get_suptitle()


def test_cube_is_left_as_it_is():
    cube = make_cube().set_xindex("factor_name").set_xindex("level")  # as `load_cube` reads it
    before = cube.copy(deep=True)
    plot_factors(cube)
    xr.testing.assert_identical(cube, before)


def test_colours_of_the_relations_differ():
    assert len({to_hex(colour) for colour in COLOURS.values()}) == 3


def test_references_are_lines_at_their_mean():
    cube, figure = make_cube_with_references(), draw_references()
    *levels, _, _, contrasts, _, _ = figure.axes
    assert len(levels) == 2
    assert {"target, untrained", "target, no transformations"} <= texts(figure)
    for axes in levels:
        lines = {line.get_label(): line for line in axes.get_lines()}
        for i, level in enumerate(("untrained", "no transformations")):
            mean = cube.transfer_accuracy.values[len(FACTORS) + i, 0].mean()
            np.testing.assert_allclose(lines[f"target, {level}"].get_ydata(), [mean, mean])
            assert axes.get_ylim()[0] < mean
    assert "reference" not in texts(contrasts)


@pytest.mark.parametrize(
    ("cube", "rest"),
    [
        (make_cube_with_references(), make_cube_with_references().isel(factor=slice(4))),
        (remove(make_cube(), seed=2), make_cube().isel(seed=[0, 1])),
    ],
    ids=["references", "missing"],
)
def test_contrasts_and_sensitivity_are_without_references_and_missing_cells(cube, rest):
    (contrasts, sensitivity), (expected_contrasts, expected_sensitivity) = (
        plot_factors(one).axes[-3::2] for one in (cube, rest)
    )
    np.testing.assert_allclose(bar_heights(contrasts), bar_heights(expected_contrasts))
    for one, two in zip(sensitivity.get_lines()[:2], expected_sensitivity.get_lines(), strict=True):
        np.testing.assert_allclose(one.get_ydata(orig=False), two.get_ydata(orig=False))


def test_references_alone_and_failed_ones():
    cube = remove(make_cube_with_references(), status=2, factor="reference=untrained").isel(factor=slice(4, None))
    figure = plot_factors(cube)
    figure.draw_without_rendering()
    assert len(figure.axes) == 1
    assert {"target, untrained (failed or missing)", "target, no transformations"} <= texts(figure)


def test_gaps_are_named_below_the_axis():
    cube = make_cube(3, [("architecture", name) for name in ("resnet18", "resnet50", "vgg11", "vit", "densenet121")])
    cube = remove(cube, status=2, factor="architecture=resnet50")
    cube = remove(cube, status=0, factor="architecture=vgg11", relation="same")
    cube = remove(cube, status=2, factor="architecture=vit", seed=0)
    axes, _, contrasts, _, _ = plot_factors(cube).axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [
        "resnet18", "resnet50\n(failed)", "vgg11\n(same:\nmissing)", "vit\n(2 of 3 seeds)", "densenet121"
    ]  # fmt: skip
    assert "architecture\n(3 of 5 levels)" in texts(contrasts)
    assert "incomplete" not in texts(contrasts)
    line = next(line for line in axes.get_lines() if line.get_label() == LEGEND[0])
    assert np.isnan(line.get_ydata(orig=False)).tolist() == [False, True, True, False, False]


@pytest.mark.parametrize("place", [{"relation": "same"}, {"factor": ["width=2", "width=3"]}], ids=str)
def test_contrasts_that_cannot_be_computed_are_named(place):
    cube = remove(make_cube(3, [("width", level) for level in "123"]), **place)
    figure, _, contrasts, _ = draw(cube)
    figure.draw_without_rendering()
    assert "incomplete" in texts(contrasts)
    word = next(text for text in contrasts.findobj(Text) if text.get_text() == "incomplete").get_window_extent()
    assert contrasts.bbox.y0 < word.y0 < word.y1 < contrasts.bbox.y1


@pytest.mark.parametrize("place", [{}, {"seed": [0, 1]}])
def test_levels_of_fewer_than_two_seeds_have_no_whiskers(place):
    cube = make_cube(3, [("width", level) for level in "1234"])
    cube = remove(cube, factor="width=2", **place)  # which leaves no seed, or one
    axes = plot_factors(cube).axes[0]
    assert [len(lines.get_segments()) for lines in axes.collections] == [3, 3]


def test_the_axis_reaches_to_the_lowest_level_of_all_panels():
    cube = make_cube()
    cube.transfer_accuracy[3] = 0.01  # the last level of the last factor
    for axes in plot_factors(cube).axes[:2]:
        assert axes.get_ylim()[0] < 0.01
        assert axes.get_ylim()[1] == 1.02


@pytest.mark.parametrize("n_seeds", [1, 2, pytest.param(10, marks=SLOW)])
def test_the_axes_show_means_and_seeds_whatever_the_intervals(n_seeds, tmp_path):
    cube = make_cube_with_references(n_seeds)  # with two seeds, intervals reach beyond 0 and 1
    *levels, _, _, contrasts, _, _ = plot_factors(cube).axes
    lowest = cube.transfer_accuracy.min().item()
    for axes in levels:
        np.testing.assert_allclose(axes.get_ylim(), [lowest - 0.03, 1.02])
    shown = factor_contrasts(cube.transfer_accuracy)
    low, high = contrasts.get_ylim()
    assert low <= min(0, shown.min())
    assert high > max(0, shown.max())
    assert high - low < 1.2 * (max(0, shown.max()) - min(0, shown.min()))
    for comparison in make_comparisons(cube, tmp_path):
        low, high = plot_comparison(comparison).axes[0].get_ylim()
        for values in (comparison.ours, comparison.published):
            assert low <= values.min()
            assert high > values.max()
        assert low > -1
        assert high < 1.1


@pytest.mark.parametrize(
    ("n_factors", "failed"),
    [
        (1, True),  # and four with most levels in the next test
        pytest.param(1, False, marks=SLOW),
        *(pytest.param(n, failed, marks=SLOW) for n in (2, 3, 4) for failed in (False, True)),
    ],
)
def test_the_legend_fits_whatever_the_number_of_panels(n_factors, failed, tmp_path):
    names = ["class_relation", "architecture", "n_samples", "n_probe"][:n_factors]
    cube = make_cube(2, [(name, level) for name in names for level in ("1", "2")] + REFERENCES)
    if failed:
        cube = remove(cube, status=2, factor=[f"reference={level}" for _, level in REFERENCES])
    draw_and_check_overlaps(plot_factors(cube))
    for comparison in make_comparisons(cube, tmp_path):
        draw_and_check_overlaps(plot_comparison(comparison))


@pytest.mark.parametrize("n_seeds", [pytest.param(1, marks=SLOW), pytest.param(3, marks=SLOW), 10])
def test_nothing_lies_over_anything_else(n_seeds, tmp_path):
    names = {
        "class_relation": ["subset", "disjoint", "same", "superset"],
        "architecture": ["resnet18", "resnet50", "densenet121", "vgg11", "vit"],
        "n_samples": ["1000", "10000", "50000", "100000", "500000"],
        "n_probe": ["50", "200", "2000", "50000"],
        "reference": ["untrained", "no transformations"],
    }
    cube = make_cube(n_seeds, [(name, level) for name, levels in names.items() for level in levels])
    cube = remove(cube, status=2, factor="architecture=vgg11", relation="same")
    draw_and_check_overlaps(plot_factors(cube))
    for comparison in make_comparisons(cube, tmp_path, epochs=3):
        draw_and_check_overlaps(plot_comparison(comparison))


# plot_comparison


def make_comparisons(cube, folder, **settings):
    """Return the comparisons of accuracies and of differences with made-up published ones."""
    paper = {"dataset": "cifar10", "epochs": 50, "n_samples": 128}
    paper["levels"] = {"class_relation": ["same", "disjoint"], "n_samples": [64, 512]}
    cube = cube.assign_attrs(settings=json.dumps(paper | settings), paper_settings=json.dumps(paper))
    factors = ["class_relation=same", "class_relation=disjoint", "n_samples=64", "n_samples=512"]
    names = ["class_relation", "n_samples"]
    accuracies, differences = (
        xr.DataArray(values, labels | {"dataset": "cifar10", "variable": "transfer_accuracy"}, list(labels))
        for values, labels in (
            ([[0.55] * 2, [0.65] * 2, [0.75] * 2, [0.85] * 2], {"factor": factors, "relation": ["same", "disjoint"]}),
            ([[0.17, 0.19, 0.31], [0.13, 0.06, 0.23]], {"factor_name": names, "contrast": list(CONTRASTS)}),
        )
    )
    accuracies.to_dataframe("value").to_csv(folder / "factors.csv")
    differences.assign_coords(tuning="linear").to_dataframe("value").to_csv(folder / "differences.csv")
    return [compare_to_published(cube, folder / f"{name}.csv") for name in ("factors", "differences")]


def test_comparison_shows_both_accuracies(tmp_path):
    cube = make_cube_with_references(6)
    comparison, _ = make_comparisons(cube, tmp_path)
    figure = plot_comparison(comparison)
    figure.draw_without_rendering()
    assert [axes.get_title() for axes in figure.axes] == ["class relation", "training samples"]
    assert [tick.get_text() for tick in figure.axes[1].get_xticklabels()] == ["64", "128", "512"]
    counted = "mean of 6 seeds; whiskers: 95 % intervals, cut at the edge"
    assert figure.get_suptitle() == f"cifar10: ours ({counted}) and published"
    axes = figure.axes[1]
    chosen = comparison.isel(factor=comparison.factor_name.values == "n_samples")
    lines = {line.get_label(): line for line in axes.get_lines()}
    for relation, whiskers in zip(("same", "disjoint"), axes.collections, strict=True):
        published = lines[f"published, {relation} transformations"]
        np.testing.assert_array_equal(published.get_ydata(), chosen.published.sel(relation=relation)[[0, 2]])
        assert published.get_markerfacecolor() == "white"
        assert published.get_linestyle() == "--"
        ours = lines[f"ours, {relation} transformations"]
        np.testing.assert_array_equal(ours.get_ydata(), chosen.ours.sel(relation=relation)[[0, 1]])
        np.testing.assert_allclose(np.round(published.get_xdata()), [0, 2])  # 64 and 512, past 128
        ends = [end.sel(relation=relation)[0] for end in (chosen.ours_low, chosen.ours_high)]
        np.testing.assert_allclose(whiskers.get_segments()[0][:, 1], ends)
    assert "ours, untrained" in lines


def test_comparison_shows_both_differences(tmp_path):
    _, comparison = make_comparisons(make_cube_with_references(), tmp_path)
    figure = plot_comparison(comparison)
    figure.draw_without_rendering()
    for axes, name in zip(figure.axes, ("class_relation", "n_samples"), strict=True):
        row = comparison.sel(factor_name=name)
        np.testing.assert_allclose(bar_heights(axes)[:2], [row.ours, row.published])
    assert "within same\n(not in the cube)" in texts(figure.axes[1])  # level 512 is not
    assert {"ours", "published"} <= texts(figure)


def test_comparison_says_which_settings_differ(tmp_path):
    comparison, _ = make_comparisons(make_cube(1), tmp_path, epochs=3)
    title = plot_comparison(comparison).get_suptitle()
    assert title.startswith("cifar10: ours (1 seed) and published\n")
    assert title.endswith("so not compared: epochs")
    comparison.attrs["ignored"] = '["epochs"]'
    assert plot_comparison(comparison).get_suptitle().endswith("and ignored: epochs")


def test_comparison_names_what_is_not_done(tmp_path):
    cube = remove(make_cube(), status=2, factor="class_relation=disjoint")
    cube = remove(cube, factor="n_samples=64", relation="same")
    cube = remove(cube, factor="n_samples=128")  # not published either
    for comparison in make_comparisons(cube, tmp_path):
        figure = plot_comparison(comparison)
        figure.draw_without_rendering()
        shown = texts(figure)
        if "relation" in comparison.dims:
            assert {"same", "disjoint\n(not done)", "64\n(partly done)", "128\n(not done)", "512"} <= shown
        else:
            assert {"within disjoint\n(not done)", "same minus\ndisjoint\n(not done)"} <= shown


def test_comparison_says_where_seeds_are_fewer(tmp_path):
    comparison, _ = make_comparisons(remove(make_cube(3), factor="n_samples=64", seed=2), tmp_path)
    figure = plot_comparison(comparison)
    figure.draw_without_rendering()
    assert "64\n(2 of 3 seeds)" in texts(figure)
    assert not {text for text in texts(figure) if "3 of 3" in text}


@pytest.mark.parametrize("kept", [[0], [4, 5]])
def test_comparison_of_a_cube_with_little_in_it(tmp_path, kept):
    for comparison in make_comparisons(make_cube_with_references(2).isel(factor=kept), tmp_path):
        figure = plot_comparison(comparison)
        figure.draw_without_rendering()
        assert [axes.get_title() for axes in figure.axes] == ["class relation", "training samples"]


PUBLISHED = Path(__file__).parent.parent / "data" / "published"
CURVES = {"x": "n_target", "line": "n_source", "x_label": "transformations", "y_label": "accuracy"}
MATRICES = {"rows": "n_source", "columns": "n_target", "label": "accuracy"}


def make_values(n_seeds=3, x=range(1, 9), lines=range(1, 9), panels=None):
    """Return random accuracies over lines, x, and panels if there are any."""
    coordinates = {"n_source": list(lines), "n_target": list(x), "seed": np.arange(n_seeds)}
    coordinates |= {"architecture": panels} if panels else {}
    shape = [len(labels) for labels in coordinates.values()]
    return xr.DataArray(np.random.default_rng(0).uniform(0.2, 0.9, shape), coordinates, list(coordinates))


def legend_texts(figure):
    """Return what all legends of a figure say."""
    parts = [figure, *figure.findobj(SubFigure)]
    return [text.get_text() for part in parts for legend in part.legends for text in legend.get_texts()]


def save(figure):
    """Draw for real, so that all warnings come; no legend or title lies over anything."""
    figure.suptitle("title")
    draw_and_check_overlaps(figure)


# draw_curves


@pytest.mark.parametrize("n_seeds", [1, 2, 3])
def test_curves_show_means_and_intervals(n_seeds):
    values, figure = make_values(n_seeds), Figure()
    (axes,) = draw_curves(figure, values, **CURVES)
    save(figure)
    assert [line.get_label() for line in axes.get_lines()] == [str(n) for n in range(1, 9)]
    assert [legend.get_title().get_text() for part in figure.subfigs for legend in part.legends] == ["n source"]
    for i, line in enumerate(axes.get_lines()):
        np.testing.assert_allclose(line.get_ydata(), values.isel(n_source=i).mean("seed"))
        np.testing.assert_array_equal(np.round(line.get_xdata()), range(1, 9))
    whiskers = axes.collections[0].get_segments()
    assert len(whiskers) == (8 if n_seeds > 1 else 0)
    if n_seeds > 1:
        here = values.isel(n_source=0).sel(n_target=3).values
        half = STUDENT[n_seeds] * here.std(ddof=1) / np.sqrt(n_seeds)
        np.testing.assert_allclose(whiskers[2][:, 1], [here.mean() - half, here.mean() + half], atol=1e-3)
        places = [lines.get_segments()[0][0, 0] for lines in axes.collections]
        assert (np.diff(places) > 0.05).all()  # beside each other, and on the axis
        assert axes.get_xlim()[0] < places[0]
    low, high = axes.get_ylim()
    assert low < values.min()
    assert high > values.max()
    assert format_spread(n_seeds).startswith(f"{n_seeds} seed")


def test_curves_are_labelled():
    figure = Figure()
    panels = draw_curves(
        figure, make_values(panels=["vgg11", "vit"]), panel="architecture", line_label="more", **CURVES
    )
    assert [axes.get_title() for axes in panels] == ["vgg11", "vit"]
    assert {"transformations", "accuracy", "more"} <= texts(figure)
    assert legend_texts(figure) == [str(n) for n in range(1, 9)]
    save(figure)


def test_colours_and_markers_of_curves_differ():
    figure = Figure()
    for lines, n in ((range(1, 9), 8), (["same", "other", "none", "untrained"], 4), ([f"x{i}" for i in range(8)], 8)):
        (axes,) = draw_curves(figure, make_values(lines=lines), **CURVES)
        assert len({to_hex(line.get_color()) for line in axes.get_lines()}) == n
        assert len({line.get_marker() for line in axes.get_lines()}) == n
    (axes,) = draw_curves(figure, make_values(), **CURVES)
    luminance = [np.dot([0.2126, 0.7152, 0.0722], line.get_color()[:3]) for line in axes.get_lines()]
    assert (np.diff(luminance) > 0.03).all()  # a sequence, also in grey


@pytest.mark.parametrize(
    ("x", "positions", "labels"),
    [
        ([0, 0.2, 0.8, 0.85, 1], None, ["0", "0.2", "0.8", "0.85", "1"]),
        (["0", "0.2", "0.85", "1"], [0, 0.2, 0.85, 1], ["0", "0.2", "0.85", "1"]),
        (["1000", "10000", "500000"], range(3), ["1,000", "10,000", "500,000"]),
        (["cifar10", "mild_ood"], range(2), ["cifar10", "mild_ood"]),
        ([3], [0], ["3"]),
        ([0.5, 0.25], [0.25, 0.5], ["0.25", "0.5"]),  # in order, so that lines do not turn back
    ],
)
def test_numbers_are_to_scale_where_they_are_even(x, positions, labels):
    values, figure = make_values(x=x, lines=["a"]), Figure(figsize=(9, 4))
    (axes,) = draw_curves(figure, values, **CURVES)
    np.testing.assert_allclose(axes.get_lines()[0].get_xdata(), x if positions is None else positions)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == labels
    order = np.argsort(x) if len(set(map(type, x))) == 1 and isinstance(x[0], float) else slice(None)
    np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), values.isel(n_source=0).mean("seed")[order])
    save(figure)


def test_crowded_numbers_get_round_ticks():
    figure = Figure(figsize=(2.5, 3))
    (axes,) = draw_curves(figure, make_values(x=[0, 0.2, 0.4, 0.6, 0.8, 0.85, 0.9, 0.95, 1], lines=["a"]), **CURVES)
    save(figure)
    marks = {round(float(tick), 9) for tick in [*axes.get_xticks(), *axes.get_xticks(minor=True)]}
    assert {0, 0.2, 0.4, 0.6, 0.8, 0.85, 0.9, 0.95, 1} <= marks


def test_references_of_curves():
    values, figure = make_values(panels=["vgg11", "vit"]), Figure(figsize=(9, 4))
    chance = xr.DataArray([0.1, 0.2, 0.3], dims="seed")
    untrained = values.isel(n_source=0, n_target=0, drop=True).isel(architecture=[1, 0])
    references = {"chance": chance, "untrained": untrained, "gone": chance * np.nan}
    panels = draw_curves(figure, values, panel="architecture", references=references, **CURVES)
    for axes, name in zip(panels, ("vgg11", "vit"), strict=True):
        lines = {line.get_label(): line for line in axes.get_lines()}
        np.testing.assert_allclose(lines["chance"].get_ydata(), 0.2)
        np.testing.assert_allclose(lines["untrained"].get_ydata(), untrained.sel(architecture=name).mean())
        assert lines["chance"].get_linestyle() == "--"
        assert axes.get_ylim()[0] < 0.1
    assert legend_texts(figure)[-3:] == ["chance", "untrained", "gone (failed or missing)"]
    save(figure)


def test_gaps_of_curves_are_counted():
    values = make_values(lines=["a", "b", "c"])
    values.loc[{"n_source": "a", "n_target": [2, 3]}] = np.nan
    values.loc[{"n_source": "b"}] = np.nan
    values.loc[{"n_source": "c", "n_target": 5, "seed": 1}] = np.nan
    figure = Figure()
    (axes,) = draw_curves(figure, values, **CURVES)
    assert legend_texts(figure) == ["a (2 of 8 missing)", "b (failed or missing)", "c"]
    expected = [False, True, True, *[False] * 5]
    assert np.isnan(axes.get_lines()[0].get_ydata()).tolist() == expected
    assert [len(lines.get_segments()) for lines in axes.collections] == [6, 0, 8]
    save(figure)
    nothing = Figure()
    draw_curves(nothing, values * np.nan, **CURVES)
    save(nothing)


@pytest.mark.parametrize(("limits", "expected"), [((0, 1), (0, 1)), ((0, None), (0, None)), ((None, 1), (None, 1))])
def test_limits_of_curves(limits, expected):
    values = make_values()
    (axes,) = draw_curves(Figure(), values, limits=limits, **CURVES)
    for near, far in zip(axes.get_ylim(), expected, strict=True):
        assert far is None or near == far
    assert axes.get_ylim()[0] < values.min()
    assert axes.get_ylim()[1] > values.max()


@pytest.mark.parametrize(
    ("draw", "n", "size", "columns"),
    [
        (draw_curves, 4, (12, 3.5), 4),
        (draw_curves, 4, (8, 6), 2),
        (draw_curves, 3, (4, 9), 1),
        (draw_curves, 5, (9, 6), 3),
        (draw_matrices, 5, (9, 6), 3),  # whose panels are made by the same function
    ],
)
def test_panels_suit_the_shape(draw, n, size, columns):
    values = make_values(1, [1, 2], [1, 2], panels=[f"x{i}" for i in range(n)])
    figure = Figure(figsize=size)
    panels = draw(figure, values, panel="architecture", **(CURVES if draw is draw_curves else MATRICES))
    assert panels[0].get_gridspec().ncols == columns
    assert len(figure.axes) == n + (draw is draw_matrices)
    panels = draw(Figure(), values, panel="architecture", n_columns=2, **(CURVES if draw is draw_curves else MATRICES))
    assert panels[0].get_gridspec().ncols == 2


def test_several_parts_make_one_figure():
    values = make_values(panels=["vgg11", "vit"])
    figure = Figure(figsize=(11, 9), layout="constrained")
    upper, lower = figure.subfigures(2, 1)
    reference = {"an untrained encoder": xr.DataArray([0.1], dims="seed")}
    draw_curves(upper, values, panel="architecture", references=reference, line_label="in pretraining", **CURVES)
    draw_matrices(lower, values.where(values < 0.6), panel="architecture", **MATRICES)
    save(figure)


# draw_matrices


def test_matrices_show_means():
    values, figure = make_values(panels=["vgg11", "vit"]), Figure(figsize=(10, 5))
    panels = draw_matrices(figure, values, panel="architecture", **MATRICES)
    means = values.mean("seed").transpose("architecture", "n_source", "n_target").values
    for axes, mean in zip(panels, means, strict=True):
        np.testing.assert_allclose(axes.images[0].get_array(), mean)
        assert [text.get_text() for text in axes.texts] == [f"{number:.2f}" for number in mean.ravel()]
        assert axes.images[0].get_clim() == pytest.approx((means.min(), means.max()))
        assert [tick.get_text() for tick in axes.get_xticklabels()] == [str(n) for n in range(1, 9)]
    assert [axes.get_title() for axes in panels] == ["vgg11", "vit"]
    assert figure.axes[-1].get_ylabel() == "accuracy"
    assert {"n source", "n target"} <= texts(figure)
    assert legend_texts(figure) == []
    save(figure)


def test_rows_and_columns_are_not_exchanged():
    values = make_values(1, x=["a", "b", "c"], lines=["d", "e"]).transpose("seed", "n_target", "n_source")
    (axes,) = draw_matrices(Figure(), values, row_label="from", column_label="to", **MATRICES)
    assert axes.images[0].get_array().shape == (2, 3)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "b", "c"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["d", "e"]
    text = next(text for text in axes.texts if text.get_position() == (2, 0))
    assert text.get_text() == f"{values.sel(n_target='c', n_source='d').item():.2f}"
    assert {"from", "to"} <= texts(axes.figure)


def test_missing_cells_of_matrices_are_grey_and_named():
    values = make_values()
    values.loc[{"n_source": 2, "n_target": 5}] = np.nan
    values.loc[{"n_source": 3, "n_target": 5, "seed": 0}] = np.nan
    figure = Figure()
    (axes,) = draw_matrices(figure, values, **MATRICES)
    assert len(axes.texts) == 63
    assert axes.images[0].get_array().mask.sum() == 1
    assert to_hex(axes.images[0].cmap.get_bad()) == "#c8c8c8"
    assert legend_texts(figure) == ["missing"]
    mean = values.sel(n_source=3, n_target=5).mean().item()
    assert axes.images[0].get_array()[2, 4] == pytest.approx(mean)
    save(figure)
    figure = Figure()
    (axes,) = draw_matrices(figure, values * np.nan, missing="nothing", **MATRICES)
    assert legend_texts(figure) == ["nothing"]
    assert len(axes.texts) == 0
    save(figure)


def test_numbers_can_be_read_on_their_colours():
    (axes,) = draw_matrices(Figure(), make_values(1), **MATRICES)

    def luminance(colour):  # of WCAG 2
        parts = np.array([part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour])
        return parts @ [0.2126, 0.7152, 0.0722]

    image, colours = axes.images[0], set()
    for text in axes.texts:
        column, row = text.get_position()
        behind = luminance(image.to_rgba(image.get_array()[row, column])[:3])
        front = {"black": 0, "white": 1}[text.get_color()]
        assert (max(behind, front) + 0.05) / (min(behind, front) + 0.05) > 4.5
        colours.add(text.get_color())
    assert colours == {"black", "white"}


@pytest.mark.parametrize(("n", "expected"), [(10, 100), (11, 0)])
def test_few_cells_hold_their_numbers(n, expected):
    (axes,) = draw_matrices(Figure(), make_values(1, range(n), range(n)), **MATRICES)
    assert len(axes.texts) == expected


def test_numbers_that_are_large_negative_or_nothing():
    values = make_values(1, x=[1, 2], lines=[1]) * 0 + [[[-0.001], [0.2]]]
    (axes,) = draw_matrices(Figure(), values, **MATRICES)
    assert [text.get_text() for text in axes.texts] == ["0.00", "0.20"]
    figure = Figure()
    (axes,) = draw_matrices(figure, (100 * values).assign_attrs(units="%"), **MATRICES)
    assert [text.get_text() for text in axes.texts] == ["0", "20"]
    assert figure.axes[-1].get_ylabel() == "accuracy (%)"


@pytest.mark.parametrize(
    ("values", "limits", "clim", "name"),
    [
        ([0.2, 0.4], None, (0.2, 0.4), "viridis"),
        ([0.2, 0.4], (0, 1), (0, 1), "viridis"),
        ([-0.2, 0.1], None, (-0.2, 0.2), "RdBu_r"),
        ([-0.2, 0.1], (-0.5, 0.5), (-0.5, 0.5), "RdBu_r"),
        ([0.3, 0.3], None, (-0.2, 0.8), "viridis"),
    ],
)
def test_colours_of_matrices(values, limits, clim, name):
    array = make_values(1, x=[1, 2], lines=[1]) * 0 + np.reshape(values, (1, 2, 1))
    (axes,) = draw_matrices(Figure(), array, limits=limits, **MATRICES)
    assert axes.images[0].get_clim() == pytest.approx(clim)
    assert axes.images[0].cmap.name == name


def test_many_names_are_turned_and_do_not_overlap():
    names = [f"transformation{i}" for i in range(18)]
    values = make_values(2, names, [*names, "none", "untrained"], ["image", "random"])
    figure = Figure(figsize=(14, 7))
    panels = draw_matrices(figure, values, panel="architecture", **MATRICES)
    save(figure)
    for axes in panels:
        assert {text.get_rotation() for text in axes.get_xticklabels()} == {60}
        assert len(axes.texts) == 0
    boxes = [tick.get_window_extent() for tick in panels[0].get_yticklabels()]
    assert len(boxes) == 20
    assert not any(one.overlaps(two) for one, two in zip(boxes, boxes[1:], strict=False))


@pytest.mark.parametrize("draw", [draw_curves, draw_matrices])
@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (
            lambda v: v,
            {"panel": "architecture"},
            r"^panel is 'architecture', expected a dimension of values: n_source, ",
        ),
        (lambda v: v.drop_vars("n_target"), {}, r"is 'n_target', expected a dimension with labels; values has none "),
        (lambda v: v.mean("seed"), {}, r"^values has the dimensions n_source, n_target, expected each of these once: "),
        (lambda v: v.expand_dims("width"), {}, r"^values has the dimensions width, n_source, n_target, seed, expected"),
        (lambda v: v.isel(n_target=[]), {}, r"^values has the sizes {.*'n_target': 0.*}, expected at least 1 of each$"),
        (lambda v: v.astype(str), {}, r"^values has dtype <U\d+, expected real numbers"),
        (lambda v: v, {"n_columns": 0}, "^n_columns is 0, expected a whole number from 1 to 100"),
        (lambda v: v, {"n_columns": 10**12}, "^n_columns is 1000000000000, expected a whole number from 1 to 100"),
        (
            lambda v: v,
            {"limits": (1, 0)},
            r"^limits is \(1, 0\), expected \(low, high\), two numbers, the lower one first",
        ),
        (lambda v: v, {"limits": 1}, r"^limits is 1, expected \(low, high\)"),
    ],
)
def test_values_that_cannot_be_drawn(draw, change, arguments, message):
    with pytest.raises(ValueError, match=message):
        draw(Figure(), change(make_values()), **((CURVES if draw is draw_curves else MATRICES) | arguments))


@pytest.mark.parametrize("draw", [draw_curves, draw_matrices])
def test_what_is_no_array_is_not_drawn(draw):
    with pytest.raises(TypeError, match="^values is of type list, expected an xarray.DataArray"):
        draw(Figure(), [0.5], **(CURVES if draw is draw_curves else MATRICES))


@pytest.mark.parametrize("panel", [None, "architecture"])
def test_references_that_cannot_be_drawn(panel):
    values = make_values(panels=["vit"] if panel else None)
    for wrong in (xr.DataArray([0.1], dims="draw"), values.isel(n_source=0)):
        with pytest.raises(ValueError, match=r"^references has 'chance' with the dimensions .*, expected 'seed'"):
            draw_curves(Figure(), values, panel=panel, references={"chance": wrong}, **CURVES)


# plot_comparison of other cubes


def make_mismatch(n_seeds=3, **settings):
    """Return a cube of one architecture that has 0.5 everywhere."""
    dims = ["architecture", "n_pretraining_transformations", "n_target_transformations", "seed"]
    coordinates = dict(zip(dims, (["vgg11"], range(1, 9), range(1, 9), range(n_seeds)), strict=True))
    cube = xr.Dataset({"transfer_accuracy": (dims, np.full((1, 8, 8, n_seeds), 0.5))}, coordinates)
    return cube.assign_attrs(settings=json.dumps({"epochs": 100} | settings), paper_settings='{"epochs": 100}')


def test_comparison_shows_matrices_beside_each_other():
    comparison = compare_to_published(make_mismatch(), PUBLISHED / "mismatch.csv")
    figure = plot_comparison(comparison)
    panels = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    assert list(panels) == ["vgg11, ours", "vgg11, published", "vgg11, difference"]
    row = comparison.sel(architecture="vgg11").transpose(
        "n_pretraining_transformations", "n_target_transformations", ...
    )
    for axes, name in zip(panels.values(), ("ours", "published", "difference"), strict=True):
        np.testing.assert_allclose(axes.images[0].get_array(), row[name])
    assert panels["vgg11, ours"].images[0].get_clim() == panels["vgg11, published"].images[0].get_clim()
    assert "ours minus published" in texts(figure)
    first, second = figure.get_suptitle().split("\n")
    assert first == "accuracy on the target task: ours (mean of 3 seeds) and published"
    assert second.startswith("not shown, as ours has no values: resnet18, ")
    draw_and_check_overlaps(figure)


def test_comparison_of_other_settings_shows_no_differences():
    comparison = compare_to_published(make_mismatch(epochs=2), PUBLISHED / "mismatch.csv")
    figure = plot_comparison(comparison)
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["vgg11, ours", "vgg11, published"]
    assert "so not compared: epochs" in figure.get_suptitle()
    draw_and_check_overlaps(figure)


def test_comparison_of_differences_has_a_row_for_each_tuning():
    cube = make_cube_with_references(3).drop_vars(["cell", "status"])[["transfer_accuracy"]]
    cube = xr.concat([cube, cube], xr.DataArray([200, 2_000], dims="n_tuning", name="n_tuning"))
    settings = {"dataset": "transforms2d", "levels": {"class_relation": ["same", "disjoint"], "n_samples": [64, 128]}}
    cube = cube.assign_attrs(settings=json.dumps(settings), paper_settings=json.dumps(settings))
    comparison = compare_to_published(cube, PUBLISHED / "differences.csv")
    figure = plot_comparison(comparison)
    titles = [f"{name}, {n}" for n in ("full-200", "full-2000") for name in ("class relation", "training samples")]
    assert [axes.get_title() for axes in figure.axes if "architecture" not in axes.get_title()] == titles
    places = [(tuning, name) for tuning in comparison.tuning.values for name in comparison.factor_name.values]
    for axes, (tuning, name) in zip(figure.axes, places, strict=True):
        row = comparison.sel(tuning=tuning, factor_name=name)
        np.testing.assert_allclose(bar_heights(axes)[:2], [row.ours, row.published])
    draw_and_check_overlaps(figure)


def test_true_and_false_are_drawn_as_1_and_0():
    values = xr.DataArray([[[True]], [[False]]], {"x": [1, 2], "line": ["a"], "seed": [0]}, ["x", "line", "seed"])
    (axes,) = draw_curves(Figure(), values, x="x", line="line", x_label="x", y_label="y")
    assert axes.get_lines()[0].get_ydata().tolist() == [1, 0]
