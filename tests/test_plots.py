"""The figure: that what it shows are the cube's numbers, and that it can be drawn whatever is missing."""

from io import BytesIO

import numpy as np
import pytest
import xarray as xr

from invtransfer.analysis import factor_contrasts

pytest.importorskip("matplotlib")
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.text import Text

from invtransfer.plots import COLOURS, plot_factors

FACTORS = [("class_relation", "same"), ("class_relation", "disjoint"), ("n_samples", "64"), ("n_samples", "128")]
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


def remove(cube, **place):
    """Take cells out of a cube, as `assemble` leaves those that are missing."""
    for name, variable in cube.drop_vars("cell").data_vars.items():
        cube[name].loc[place] = np.nan if variable.dtype.kind == "f" else -1 if name != "status" else 0
    return cube


def texts(artist):
    return {text.get_text() for text in artist.findobj(Text)} - {""}


def draw(cube):
    """Draw for real, so that all warnings come, and return the figure's panels."""
    figure = plot_factors(cube)
    file = BytesIO()
    figure.savefig(file, dpi=50)
    assert file.getvalue().startswith(b"\x89PNG")
    n = len(set(cube.factor_name.values))
    assert len(figure.axes) == n + 2
    return figure, figure.axes[:n], *figure.axes[n:]


@pytest.mark.parametrize(
    ("n_seeds", "counted"),
    [(1, "1 seed; bands and whiskers: range over seeds"), (6, "6 seeds; bands and whiskers: 95 % interval")],
)
def test_everything_is_labelled(n_seeds, counted):
    figure, levels, contrasts, sensitivity = draw(make_cube(n_seeds))
    assert figure.get_suptitle() == f"Invariance ({counted})"
    assert [axes.get_xlabel() for axes in levels] == ["class relation", "n samples"]
    assert [[tick.get_text() for tick in axes.get_xticklabels()] for axes in levels] == [
        ["same", "disjoint"], ["64", "128"]
    ]  # fmt: skip
    assert levels[0].get_ylabel() == "accuracy"
    assert set(LEGEND) <= texts(figure)
    assert {"class relation", "n samples"} <= texts(contrasts)
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


@pytest.mark.parametrize("n_seeds", [3, 6])
def test_levels_show_each_seed_and_their_spread(n_seeds):
    cube = make_cube(n_seeds)
    values = cube.transfer_accuracy.sel(relation="same").isel(factor=slice(2)).values
    _, levels, *_ = draw(cube)
    points = [
        line for line in levels[0].get_lines() if line.get_marker() == "." and line.get_color() == COLOURS["same"]
    ]
    np.testing.assert_array_equal(np.sort([line.get_ydata(orig=False) for line in points], 0), np.sort(values.T, 0))
    if n_seeds == 3:
        expected = values.min(axis=1), values.max(axis=1)
    else:  # Student's t with 5 degrees of freedom is 2.571, from any table
        half = 2.571 * values.std(1, ddof=1) / np.sqrt(6)
        expected = values.mean(axis=1) - half, values.mean(axis=1) + half
    band = levels[0].collections[0].get_paths()[0].vertices
    for x in (0, 1):
        heights = band[band[:, 0] == x, 1]
        assert heights.min() == pytest.approx(expected[0][x], abs=1e-3)
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
    assert "(1 seed;" in plot_factors(make_cube(1).drop_attrs()).get_suptitle()


def test_cube_is_left_as_it_is():
    cube = make_cube()
    before = cube.copy(deep=True)
    plot_factors(cube)
    xr.testing.assert_identical(cube, before)


def test_colours_of_the_relations_differ():
    assert len({to_hex(colour) for colour in COLOURS.values()}) == 3
