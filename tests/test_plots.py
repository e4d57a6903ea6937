"""The figures: that what they show are the cube's numbers, and that they can be drawn whatever is missing."""

import json
from io import BytesIO

import numpy as np
import pytest
import xarray as xr

from invtransfer.analysis import factor_contrasts
from invtransfer.comparison import compare_to_published

pytest.importorskip("matplotlib")
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import SubFigure
from matplotlib.text import Text

from invtransfer.plots import COLOURS, plot_comparison, plot_factors

FACTORS = [("class_relation", "same"), ("class_relation", "disjoint"), ("n_samples", "64"), ("n_samples", "128")]
STUDENT = {6: 2.571}  # 97.5 % quantile by number of values, from any table
LEGEND = [f"{task}, {relation} transformations" for relation in ("same", "disjoint") for task in ("target", "source")]


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
    """Draw for real; no legend or title lies over a panel, and nothing over the edge."""
    figure.savefig(BytesIO(), dpi=110)
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


def draw(cube):
    """Draw for real, so that all warnings come, and return the figure's panels."""
    figure = plot_factors(cube)
    file = BytesIO()
    figure.savefig(file, dpi=50)
    assert file.getvalue().startswith(b"\x89PNG")
    n = len(set(cube.factor_name.values) - {"reference"})
    assert len(figure.axes) == n + 2
    return figure, figure.axes[:n], *figure.axes[n:]


@pytest.mark.parametrize(
    ("n_seeds", "counted"),
    [
        (1, "1 seed"),
        (2, "2 seeds; bands and whiskers: range of the seeds"),
        (6, "6 seeds; bands and whiskers: 95 % intervals"),
    ],
)
def test_everything_is_labelled(n_seeds, counted):
    figure, levels, contrasts, sensitivity = draw(make_cube(n_seeds))
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


def test_levels_show_the_means_of_the_seeds():
    cube = make_cube()
    _, levels, *_ = draw(cube)
    for axes, name in zip(levels, ("class_relation", "n_samples"), strict=True):
        lines = {line.get_label(): line for line in axes.get_lines()}
        chosen = cube.isel(factor=cube.factor_name.values == name)
        for label in LEGEND:
            task, relation = label.removesuffix(" transformations").split(", ")
            values = chosen["transfer_accuracy" if task == "target" else "source_accuracy"].sel(relation=relation)
            np.testing.assert_allclose(lines[label].get_ydata(orig=False), values.values.mean(axis=1))
            assert lines[label].get_color() == COLOURS[relation]


@pytest.mark.parametrize("n_seeds", [2, 3, 6])
def test_levels_show_each_seed_and_their_spread(n_seeds):
    cube = make_cube(n_seeds)
    values = cube.transfer_accuracy.sel(relation="same").isel(factor=slice(2)).values
    _, levels, *_ = draw(cube)
    points = [
        line for line in levels[0].get_lines() if line.get_marker() == "." and line.get_color() == COLOURS["same"]
    ]
    np.testing.assert_array_equal(np.sort([line.get_ydata(orig=False) for line in points], 0), np.sort(values.T, 0))
    expected = values.min(axis=1), values.max(axis=1)
    if n_seeds == 6:
        half = STUDENT[n_seeds] * values.std(1, ddof=1) / np.sqrt(n_seeds)
        expected = values.mean(axis=1) - half, values.mean(axis=1) + half
    band = levels[0].collections[0].get_paths()[0].vertices
    for x in (0, 1):
        heights = band[band[:, 0] == x, 1]
        assert heights.min() == pytest.approx(expected[0][x], abs=1e-3)  # also below 0, though the axis ends there
        assert heights.max() == pytest.approx(expected[1][x], abs=1e-3)


def test_an_encoder_in_several_places_counts_once():
    cube = make_cube(1)
    cube["cell"][1] = cube["cell"][0]  # the second level shows the first one's encoders again
    cube["sensitivity"][1] = 99.0
    _, _, _, axes = draw(cube)
    with_it = next(c for c in axes.containers if isinstance(c, ErrorbarContainer)).lines[0]
    rotate = cube.sensitivity.sel(transformation="rotate", relation="same", seed=0).values[[0, 2, 3]]
    assert with_it.get_ydata(orig=False)[0] == pytest.approx(rotate.mean())


def test_contrasts_show_their_means():
    cube = make_cube()
    _, _, axes, _ = draw(cube)
    expected = factor_contrasts(cube.transfer_accuracy).mean("seed")
    bars = [container for container in axes.containers if isinstance(container, BarContainer)]
    for container, contrast in zip(bars, ("within_disjoint", "same_minus_disjoint", "within_same"), strict=True):
        assert container.get_label() == contrast.replace("_", " ")
        np.testing.assert_allclose([bar.get_height() for bar in container], expected.sel(contrast=contrast))


def test_sensitivity_tells_encoders_trained_with_a_transformation_from_others():
    cube = make_cube()
    _, _, _, axes = draw(cube)
    with_it, others = (container.lines[0] for container in axes.containers if isinstance(container, ErrorbarContainer))
    values = cube.sensitivity.transpose("transformation", "relation", "factor", "seed").values.reshape(3, 2, -1)
    # rotate: trained by "same" (0); blur: by "disjoint" (1); hue: by none
    np.testing.assert_allclose(with_it.get_ydata(orig=False), [values[0, 0].mean(), values[1, 1].mean(), np.nan])
    np.testing.assert_allclose(
        others.get_ydata(orig=False), [values[0, 1].mean(), values[1, 0].mean(), values[2].mean()]
    )


def test_one_seed_shows_no_interval_and_the_numbers_themselves():
    cube = make_cube(1)
    _, levels, contrasts, _ = draw(cube)
    line = next(line for line in levels[0].get_lines() if line.get_label() == LEGEND[0])
    np.testing.assert_allclose(line.get_ydata(orig=False), cube.transfer_accuracy.sel(relation="same", seed=0)[:2])
    assert "within same" in texts(contrasts)


@pytest.mark.parametrize("n_seeds", [1, 3])
@pytest.mark.parametrize(
    "place",
    [
        {"factor": "n_samples=64", "relation": "same", "seed": 0},
        {"factor": "n_samples=64", "seed": 0},
        {"factor": ["n_samples=64", "n_samples=128"]},
        {"relation": "disjoint"},
        {},
    ],
    ids=str,
)
def test_missing_cells_are_gaps(n_seeds, place):
    cube = remove(make_cube(n_seeds), **place)
    figure, levels, _, sensitivity = draw(cube)
    assert set(LEGEND) <= texts(figure)
    line = next(line for line in levels[1].get_lines() if line.get_label() == LEGEND[0])
    expected = cube.transfer_accuracy.sel(relation="same").mean("seed")[2:]
    np.testing.assert_allclose(line.get_ydata(orig=False), expected)
    others = [c for c in sensitivity.containers if c.get_label() == "pretrained with others"][0].lines[0]
    assert np.isnan(others.get_ydata(orig=False)).all() == (place == {})  # no cell that is missing counts as "others"


def test_missing_cells_do_not_count_as_trained_with_others():
    cube = make_cube()
    expected = draw(cube.isel(seed=[0, 1]))[3]
    shown = draw(remove(cube, seed=2))[3]
    for one, two in zip(expected.containers, shown.containers, strict=True):
        np.testing.assert_allclose(two.lines[0].get_ydata(orig=False), one.lines[0].get_ydata(orig=False))


def test_one_factor_with_one_level():
    figure, levels, *_ = draw(make_cube(2, [("width", "0.25")]))
    assert levels[0].get_xlabel() == "width"
    assert "2 seeds" in figure.get_suptitle()


def test_cube_without_a_title():
    assert "(1 seed)" in plot_factors(make_cube(1).drop_attrs()).get_suptitle()


def test_cube_is_left_as_it_is():
    cube = make_cube()
    before = cube.copy(deep=True)
    plot_factors(cube)
    xr.testing.assert_identical(cube, before)


def test_colours_of_the_relations_differ():
    assert len({to_hex(colour) for colour in COLOURS.values()}) == 3


def test_references_are_lines_at_their_mean():
    cube = make_cube_with_references()
    figure, levels, contrasts, _ = draw(cube)
    assert len(levels) == 2
    assert {"target, untrained", "target, no transformations"} <= texts(figure)
    for axes in levels:
        lines = {line.get_label(): line for line in axes.get_lines()}
        for i, level in enumerate(("untrained", "no transformations")):
            mean = cube.transfer_accuracy.values[len(FACTORS) + i, 0].mean()
            np.testing.assert_allclose(lines[f"target, {level}"].get_ydata(), [mean, mean])
            assert axes.get_ylim()[0] < mean
    assert "reference" not in texts(contrasts)


def test_references_are_in_neither_contrasts_nor_sensitivity():
    with_them = draw(make_cube_with_references())
    without = draw(make_cube_with_references().isel(factor=slice(4)))
    for one, two in ((with_them[2], without[2]), (with_them[3], without[3])):
        assert len(one.containers) == len(two.containers)
        for a, b in zip(one.containers, two.containers, strict=True):
            if isinstance(a, BarContainer):
                np.testing.assert_allclose([r.get_height() for r in a], [r.get_height() for r in b])
            elif a.lines[0]:
                np.testing.assert_allclose(a.lines[0].get_ydata(orig=False), b.lines[0].get_ydata(orig=False))


def test_references_alone_and_failed_ones():
    cube = remove(make_cube_with_references(), status=2, factor="reference=untrained").isel(factor=slice(4, None))
    figure = plot_factors(cube)
    figure.savefig(BytesIO())
    assert len(figure.axes) == 1
    assert {"target, untrained (failed or missing)", "target, no transformations"} <= texts(figure)


def test_gaps_are_named_below_the_axis():
    cube = make_cube(3, [("architecture", name) for name in ("resnet18", "resnet50", "vgg11", "vit", "densenet121")])
    cube = remove(cube, status=2, factor="architecture=resnet50")
    cube = remove(cube, status=0, factor="architecture=vgg11", relation="same")
    cube = remove(cube, status=2, factor="architecture=vit", seed=0)
    _, (axes,), contrasts, _ = draw(cube)
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
    _, _, contrasts, _ = draw(cube)
    assert "incomplete" in texts(contrasts)
    word = next(text for text in contrasts.findobj(Text) if text.get_text() == "incomplete").get_window_extent()
    assert contrasts.bbox.y0 < word.y0 < word.y1 < contrasts.bbox.y1


@pytest.mark.parametrize("place", [{}, {"seed": [0, 1]}])
def test_level_between_gaps_shows_its_spread(place):
    cube = make_cube(3, [("width", level) for level in "1234"])
    cube = remove(cube, factor="width=2", **place)  # 1 has no neighbour with a spread
    _, (axes,), *_ = draw(cube)
    alone = [lines for lines in axes.collections if isinstance(lines, LineCollection)]
    values = cube.transfer_accuracy.sel(factor="width=1", relation="same").values
    assert [len(lines.get_segments()) for lines in alone] == [1, 1]
    np.testing.assert_allclose(alone[0].get_segments()[0][:, 1], [values.min(), values.max()], atol=1e-3)


def test_the_axis_reaches_to_the_lowest_level_of_all_panels():
    cube = make_cube()
    cube.transfer_accuracy[3] = 0.01  # the last level of the last factor
    _, levels, *_ = draw(cube)
    for axes in levels:
        assert axes.get_ylim()[0] < 0.01
        assert axes.get_ylim()[1] == 1.02


@pytest.mark.parametrize("n_seeds", [1, 2, 10])
def test_the_axes_show_means_and_seeds_whatever_the_intervals(n_seeds, tmp_path):
    cube = make_cube_with_references(n_seeds)  # with two seeds, intervals reach beyond 0 and 1
    _, levels, contrasts, _ = draw(cube)
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


@pytest.mark.parametrize("n_factors", [1, 2, 3, 4])
@pytest.mark.parametrize("failed", [False, True])
def test_the_legend_fits_whatever_the_number_of_panels(n_factors, failed, tmp_path):
    names = ["class_relation", "architecture", "n_samples", "n_probe"][:n_factors]
    cube = make_cube(2, [(name, level) for name in names for level in ("1", "2")] + REFERENCES)
    if failed:
        cube = remove(cube, status=2, factor=[f"reference={level}" for _, level in REFERENCES])
    draw_and_check_overlaps(plot_factors(cube))
    for comparison in make_comparisons(cube, tmp_path):
        draw_and_check_overlaps(plot_comparison(comparison))


@pytest.mark.parametrize("n_seeds", [1, 3, 10])
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
    levels = ["class_relation,same", "class_relation,disjoint", "n_samples,64", "n_samples,512"]
    rows = [f"cifar10,{level},{relation},0.{i}5" for i, level in enumerate(levels, 5) for relation in COLOURS]
    accuracies, differences = folder / "factors.csv", folder / "differences.csv"
    rows = [row for row in rows if "neither" not in row]
    accuracies.write_text("\n".join(["dataset,factor,level,relation,transfer_accuracy", *rows]))
    differences.write_text(
        "dataset,tuning,factor,within_disjoint,same_minus_disjoint,within_same\n"
        "cifar10,linear,class_relation,0.17,0.19,0.31\ncifar10,linear,n_samples,0.13,0.06,0.23\n"
    )
    return compare_to_published(cube, accuracies), compare_to_published(cube, differences)


def test_comparison_shows_both_accuracies(tmp_path):
    cube = make_cube_with_references(6)
    comparison, _ = make_comparisons(cube, tmp_path)
    figure = plot_comparison(comparison)
    figure.savefig(BytesIO())
    assert [axes.get_title() for axes in figure.axes] == ["class relation", "training samples"]
    assert [tick.get_text() for tick in figure.axes[1].get_xticklabels()] == ["64", "128", "512"]
    assert figure.get_suptitle() == "cifar10: ours (mean of 6 seeds, 95 % interval) and published"
    axes = figure.axes[1]
    chosen = comparison.isel(factor=comparison.factor_name.values == "n_samples")
    lines = {line.get_label(): line for line in axes.get_lines()}
    for relation in ("same", "disjoint"):
        published = lines[f"published, {relation} transformations"]
        np.testing.assert_array_equal(published.get_ydata(), chosen.published.sel(relation=relation)[[0, 2]])
        assert published.get_markerfacecolor() == "white"
        assert published.get_linestyle() == "--"
        ours = next(c for c in axes.containers if c.get_label() == f"ours, {relation} transformations")
        np.testing.assert_array_equal(ours.lines[0].get_ydata(), chosen.ours.sel(relation=relation)[[0, 1]])
        np.testing.assert_allclose(np.round(published.get_xdata()), [0, 2])  # 64 and 512, past 128
        segments = ours.lines[2][0].get_segments()[0][:, 1]
        np.testing.assert_allclose(
            segments, [end.sel(relation=relation)[0] for end in (chosen.ours_low, chosen.ours_high)]
        )
    assert "ours, untrained" in lines


def test_comparison_shows_both_differences(tmp_path):
    _, comparison = make_comparisons(make_cube_with_references(), tmp_path)
    figure = plot_comparison(comparison)
    figure.savefig(BytesIO())
    for axes, name in zip(figure.axes, ("class_relation", "n_samples"), strict=True):
        ours, published = [bars for bars in axes.containers if isinstance(bars, BarContainer)][:2]
        row = comparison.sel(factor_name=name)
        np.testing.assert_allclose([bar.get_height() for bar in ours], row.ours)
        np.testing.assert_allclose([bar.get_height() for bar in published], row.published)
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
        figure.savefig(BytesIO())
        shown = texts(figure)
        if "relation" in comparison.dims:
            assert {"same", "disjoint\n(not done)", "64\n(partly done)", "128\n(not done)", "512"} <= shown
        else:
            assert {"within disjoint\n(not done)", "same minus\ndisjoint\n(not done)"} <= shown


@pytest.mark.parametrize("kept", [[0], [4, 5]])
def test_comparison_of_a_cube_with_little_in_it(tmp_path, kept):
    for comparison in make_comparisons(make_cube_with_references(2).isel(factor=kept), tmp_path):
        figure = plot_comparison(comparison)
        figure.savefig(BytesIO())
        assert [axes.get_title() for axes in figure.axes] == ["class relation", "training samples"]
