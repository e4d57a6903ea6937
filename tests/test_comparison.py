"""Our numbers beside published ones: what may be compared, what not and why, and how it is said."""

import ast
import csv
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import invtransfer
from invtransfer.analysis import factor_contrasts, summarise
from invtransfer.cubes.files import read, write
from invtransfer.published import compare_to_published, format_comparison

PUBLISHED = Path(__file__).parent.parent / "data" / "published"
PAPER = {
    "dataset": "transforms2d", "objects": "transforms2d", "class_relation": "disjoint", "architecture": "resnet18",
    "n_samples": 50_000, "n_probe": 50_000, "epochs": 50, "batch_size": 512, "schedule": "constant",
    "n_pairs": 10_000, "seeds": 10, "vit_schedule": "cosine",
    "levels": {
        "class_relation": ["disjoint", "same"], "architecture": ["resnet18", "vit"], "n_samples": [1_000, 50_000],
    },
}  # fmt: skip
SETTINGS = {name: value for name, value in PAPER.items() if name != "seeds"}
OTHER, MISSING, ABSENT = ["other settings"] * 3, ["not done"] * 3, ["not in the cube"] * 3
PLACES = [
    ("class_relation", "disjoint"), ("class_relation", "same"), ("architecture", "resnet18"), ("architecture", "vit"),
    ("n_samples", "10000"), ("n_samples", "50000"), ("n_probe", "200"), ("reference", "untrained"),
]  # fmt: skip
ROWS = [
    ("class_relation", "disjoint", "same", 0.98), ("class_relation", "disjoint", "disjoint", 0.86),
    ("class_relation", "same", "same", 1.0), ("class_relation", "same", "disjoint", 0.91),
    ("architecture", "resnet18", "same", 0.98), ("architecture", "resnet18", "disjoint", 0.87),
    ("architecture", "vit", "same", 0.97), ("architecture", "vit", "disjoint", 0.83),
    ("n_samples", "1000", "same", 0.94), ("n_samples", "1000", "disjoint", 0.81),
    ("n_samples", "50000", "same", 0.99), ("n_samples", "50000", "disjoint", 0.83),
]  # fmt: skip


def make_cube(n_seeds=3, places=PLACES, **settings):
    """Return a cube with random accuracies of the paper's settings, but for those that are given."""
    values = np.random.default_rng(0).uniform(0.5, 0.9, (len(places), 2, n_seeds))
    return xr.Dataset(
        {
            "transfer_accuracy": (["factor", "relation", "seed"], values),
            "status": (["factor", "relation", "seed"], np.ones(values.shape, np.int8)),
        },
        {
            "factor": ["=".join(place) for place in places],
            "factor_name": ("factor", [name for name, _ in places]),
            "level": ("factor", [level for _, level in places]),
            "relation": ["same", "disjoint"],
            "seed": np.arange(n_seeds),
        },
        {"settings": json.dumps(SETTINGS | settings), "paper_settings": json.dumps(PAPER)},
    )


@pytest.fixture
def factors(tmp_path):
    lines = ["dataset,factor,level,relation,transfer_accuracy", "cifar10,class_relation,same,same,0.5"]
    lines += [",".join(["transforms2d", *map(str, row)]) for row in ROWS]
    path = tmp_path / "factors.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def differences(tmp_path):
    path = tmp_path / "differences.csv"
    path.write_text(
        "dataset,tuning,factor,within_disjoint,same_minus_disjoint,within_same\n"
        "transforms2d,linear,class_relation,0.15,0.12,0.05\n"
        "transforms2d,linear,architecture,0.07,0.12,0.02\n"
        "transforms2d,linear,n_samples,0.03,0.15,0.04\n"
        "transforms2d,full-200,class_relation,0.17,0.14,0.13\n"
        "cifar10,linear,class_relation,0.17,0.19,0.31\n"
    )
    return path


def with_levels(cube, **levels):
    """Return a cube whose paper's settings have other levels; None for none of that factor."""
    levels = {name: value for name, value in (PAPER["levels"] | levels).items() if value is not None}
    return cube.assign_attrs(paper_settings=json.dumps(PAPER | {"levels": levels}))


def matches(comparison, *place):
    """Return the two or three matches of one factor or level."""
    label = "=".join(place)
    return comparison["match"].sel({comparison.ours.dims[0]: label}).values.tolist()


# accuracies


def test_the_same_settings_are_compared(factors):
    cube = make_cube()
    comparison = compare_to_published(cube, factors)
    assert comparison.ours.dims == ("factor", "relation")
    summary = summarise(cube.transfer_accuracy)
    at = {"factor": "class_relation=same", "relation": "disjoint"}
    row = comparison.sel(at)
    for ours, name in (("ours", "mean"), ("ours_std", "std"), ("ours_low", "low"), ("ours_high", "high"), ("n", "n")):
        assert row[ours] == summary[name].sel(at)
    assert row.published == 0.91
    assert row.difference.item() == pytest.approx(summary["mean"].sel(at).item() - 0.91)
    assert row["match"] == "compared"
    assert (comparison["match"] == "compared").sum() == 10
    assert comparison.attrs["differing_settings"] == "{}"
    assert comparison.attrs["dataset"] == "transforms2d"


def test_the_join_is_an_outer_one(factors):
    comparison = compare_to_published(make_cube(), factors)
    assert comparison.factor.values.tolist() == [
        "class_relation=disjoint", "class_relation=same", "architecture=resnet18", "architecture=vit",
        "n_samples=1000", "n_samples=10000", "n_samples=50000", "n_probe=200", "reference=untrained",
    ]  # fmt: skip
    assert comparison.factor_name.values.tolist()[4:8] == ["n_samples"] * 3 + ["n_probe"]
    assert comparison.level.values.tolist()[4:8] == ["1000", "10000", "50000", "200"]
    assert matches(comparison, "n_samples", "1000") == ["not in the cube"] * 2
    theirs = comparison.sel(factor="n_samples=1000", relation="same")
    assert theirs.published == 0.94
    assert np.isnan(theirs.ours)
    assert np.isnan(theirs.difference)
    assert theirs["n"] == 0
    for place in (("n_samples", "10000"), ("n_probe", "200"), ("reference", "untrained")):
        assert matches(comparison, *place) == ["not published"] * 2
        ours = comparison.sel(factor="=".join(place))
        assert ours.ours.notnull().all()
        assert ours.published.isnull().all()
        assert ours.difference.isnull().all()


def test_everything_has_units_and_a_name(factors, differences):
    for path in (factors, differences):
        for variable in compare_to_published(make_cube(), path).data_vars.values():
            assert variable.attrs["units"] == "1"
            assert variable.attrs["long_name"]


def test_other_settings_are_not_compared(factors):
    cube = make_cube(epochs=6, schedule="one-cycle")
    comparison = compare_to_published(cube, factors)
    assert set(comparison["match"].values.ravel()) == {"other settings", "not in the cube", "not published"}
    assert comparison.difference.isnull().all()
    same = compare_to_published(make_cube(), factors)
    xr.testing.assert_identical(comparison.ours, same.ours)  # ours is ours, whatever it may be compared with
    assert json.loads(comparison.attrs["differing_settings"]) == {
        "epochs": [6, 50], "schedule": ["one-cycle", "constant"]
    }  # fmt: skip


@pytest.mark.parametrize("ignore", ["all", ["epochs", "schedule"], ("schedule", "epochs", "n_probe")])
def test_settings_that_may_differ(factors, ignore):
    comparison = compare_to_published(make_cube(epochs=6, schedule="one-cycle"), factors, ignore)
    expected = compare_to_published(make_cube(), factors)
    xr.testing.assert_equal(comparison, expected)
    assert set(json.loads(comparison.attrs["differing_settings"])) == {"epochs", "schedule"}
    assert set(json.loads(comparison.attrs["ignored"])) >= {"epochs", "schedule"}


@pytest.mark.parametrize("ignore", ["epochs", ["epochs"]])
def test_one_of_two_settings_that_differ_is_not_enough(factors, ignore):
    comparison = compare_to_published(make_cube(epochs=6, batch_size=64), factors, ignore)
    assert comparison.difference.isnull().all()
    assert json.loads(comparison.attrs["ignored"]) == ["epochs"]


@pytest.mark.parametrize(
    ("name", "value"), [("n_samples", 10_000), ("class_relation", "same"), ("architecture", "resnet50")]
)
def test_the_default_of_a_factor_does_not_bear_on_its_own_levels(factors, name, value):
    comparison = compare_to_published(make_cube(**{name: value}), factors)
    for factor, level in PLACES[:4] + PLACES[5:6]:
        expected = "compared" if factor == name else "other settings"
        assert matches(comparison, factor, level) == [expected] * 2


@pytest.mark.parametrize("name", ["n_pairs", "levels"])
def test_settings_that_do_not_bear_on_accuracy(factors, name):
    comparison = compare_to_published(make_cube(**{name: 3}), factors)
    xr.testing.assert_identical(comparison, compare_to_published(make_cube(), factors))


def test_settings_of_the_vit_bear_on_it_alone(factors):
    places = ("architecture", "vit"), ("architecture", "resnet18"), ("class_relation", "same")
    other_vit = compare_to_published(make_cube(vit_schedule="constant"), factors)
    assert [matches(other_vit, *place)[0] for place in places] == ["other settings", "compared", "compared"]
    other_rest = compare_to_published(make_cube(schedule="one-cycle"), factors)
    assert [matches(other_rest, *place)[0] for place in places] == ["compared", "other settings", "other settings"]


@pytest.mark.parametrize(
    ("objects", "expected"),
    [("transforms2d 0123456789ab", "compared"), ("procedural", "other settings"), ("emoji 01", "other settings")],
)
def test_objects_are_compared_by_name(factors, objects, expected):
    assert matches(compare_to_published(make_cube(objects=objects), factors), "class_relation", "same")[0] == expected


def test_setting_that_we_do_not_have(factors):
    cube = make_cube()
    cube.attrs["settings"] = json.dumps({name: value for name, value in SETTINGS.items() if name != "epochs"})
    comparison = compare_to_published(cube, factors)
    assert json.loads(comparison.attrs["differing_settings"]) == {"epochs": [None, 50]}
    assert "epochs none (paper 50)" in format_comparison(comparison)


def test_setting_that_the_paper_does_not_have(factors, differences):
    cube = make_cube(dropout=0.5)
    for path in (factors, differences):
        comparison = compare_to_published(cube, path)
        assert "compared" not in comparison["match"].values
        assert "other settings" in comparison["match"].values
        assert json.loads(comparison.attrs["differing_settings"]) == {"dropout": [0.5, None]}
        assert "dropout 0.5 (paper none)" in format_comparison(comparison)
        assert "compared" in compare_to_published(cube, path, ["dropout"])["match"].values


@pytest.mark.parametrize("paper", [{}, {"tuning": "linear"}, {"tuning": "full-200"}])
def test_published_accuracies_are_of_linear_tuning(factors, paper):
    cube = make_cube().assign_attrs(paper_settings=json.dumps(PAPER | paper))
    for settings in (SETTINGS, SETTINGS | {"tuning": "linear"}):
        comparison = compare_to_published(cube.assign_attrs(settings=json.dumps(settings)), factors)
        assert (comparison["match"] == "compared").sum() == 10
        assert comparison.attrs["differing_settings"] == "{}"
    cube.attrs["settings"] = json.dumps(SETTINGS | {"tuning": "full-200"})
    comparison = compare_to_published(cube, factors)
    assert matches(comparison, "class_relation", "same") == ["other settings"] * 2
    assert comparison.difference.isnull().all()
    assert json.loads(comparison.attrs["differing_settings"]) == {"tuning": ["full-200", "linear"]}
    assert matches(compare_to_published(cube, factors, ["tuning"]), "class_relation", "same") == ["compared"] * 2


def test_cells_that_are_not_done(factors):
    cube = make_cube()
    cube.transfer_accuracy.loc[{"factor": "architecture=vit", "relation": "same"}] = np.nan
    cube.transfer_accuracy.loc[{"factor": "class_relation=same", "seed": 1}] = np.nan
    comparison = compare_to_published(cube, factors)
    assert matches(comparison, "architecture", "vit") == ["not done", "compared"]
    assert matches(comparison, "class_relation", "same") == ["compared"] * 2
    assert comparison["n"].sel(factor="class_relation=same").values.tolist() == [2, 2]
    assert comparison.ours.sel(factor="architecture=vit", relation="same").isnull()


def test_one_seed_has_no_interval(factors):
    comparison = compare_to_published(make_cube(1), factors)
    row = comparison.sel(factor="class_relation=same", relation="same")
    assert row["match"] == "compared"
    assert np.isnan([row.ours_std, row.ours_low, row.ours_high]).all()


def test_relation_that_the_cube_does_not_have(factors):
    comparison = compare_to_published(make_cube().sel(relation=["same"]), factors)
    assert comparison.relation.values.tolist() == ["same", "disjoint"]
    assert matches(comparison, "class_relation", "same") == ["compared", "not in the cube"]


def test_comparison_and_cube_survive_the_disk(factors, tmp_path):
    write(make_cube(epochs=6), tmp_path / "cube.nc")
    comparison = compare_to_published(read(tmp_path / "cube.nc"), factors)
    write(comparison, tmp_path / "comparison.nc")
    xr.testing.assert_identical(read(tmp_path / "comparison.nc"), comparison)


# differences


def test_differences_of_the_same_levels_are_compared(differences):
    cube = make_cube()
    comparison = compare_to_published(cube, differences)
    assert comparison.ours.dims == ("factor_name", "contrast")
    assert comparison.factor_name.values.tolist() == ["class_relation", "architecture", "n_samples", "n_probe"]
    expected = summarise(factor_contrasts(cube.transfer_accuracy)).sel(factor_name="architecture")
    row = comparison.sel(factor_name="architecture")
    np.testing.assert_array_equal(row.ours, expected["mean"])
    np.testing.assert_array_equal(row.ours_low, expected["low"])
    np.testing.assert_array_equal(row.published, [0.07, 0.12, 0.02])
    np.testing.assert_allclose(row.difference, expected["mean"] - row.published)
    assert matches(comparison, "class_relation") == ["compared"] * 3
    assert matches(comparison, "n_samples") == ABSENT  # 1000 is not
    assert matches(comparison, "n_probe") == ["not published"] * 3
    assert comparison.attrs["tuning"] == "linear"


def test_differences_span_the_published_levels_and_no_others(differences):
    places = [*PLACES[:2], ("class_relation", "subset"), *PLACES[2:]]
    cube = make_cube(places=places)
    cube.transfer_accuracy.loc[{"factor": "class_relation=subset"}] = 0.0  # would be by far the worst level
    strict = compare_to_published(cube, differences).sel(factor_name="class_relation")
    expected = factor_contrasts(cube.transfer_accuracy.isel(factor=[0, 1])).mean("seed").isel(factor_name=0)
    np.testing.assert_allclose(strict.ours, expected)
    assert strict.ours_levels == strict.published_levels == "disjoint, same"
    assert strict["match"].values.tolist() == ["compared"] * 3


def test_differences_over_levels_that_are_not_known(differences):
    cube = make_cube()
    for unknown in (with_levels(cube, class_relation=None), with_levels(cube, class_relation=[])):
        comparison = compare_to_published(unknown, differences, ignore="all")
        assert matches(comparison, "class_relation") == OTHER
        assert matches(comparison, "architecture") == ["compared"] * 3
    cube.attrs["paper_settings"] = json.dumps({name: value for name, value in PAPER.items() if name != "levels"})
    cube.transfer_accuracy.loc[{"factor": "n_samples=10000"}] = 0.0
    comparison = compare_to_published(cube, differences)
    assert comparison.difference.isnull().all()
    for name in ("class_relation", "architecture", "n_samples"):
        assert matches(comparison, name) == OTHER
    row = comparison.sel(factor_name="n_samples")
    assert row.ours_levels == "10000, 50000"  # all levels of the cube
    assert row.published_levels == ""
    assert row.ours.sel(contrast="within_same") > 0.4


@pytest.mark.parametrize("paper", [["same"], None])
def test_differences_of_one_level_are_not_compared(differences, paper):
    cube = with_levels(make_cube(places=PLACES[1:]), class_relation=paper)  # "same" alone
    comparison = compare_to_published(cube, differences)
    assert matches(comparison, "class_relation") == OTHER
    assert comparison.ours.sel(factor_name="class_relation").isnull().values.tolist() == [True, False, True]
    two = compare_to_published(with_levels(cube, class_relation=["same", "disjoint"]), differences)
    assert matches(two, "class_relation") == ABSENT
    cube.transfer_accuracy.loc[{"factor": "class_relation=same"}] = np.nan
    assert matches(compare_to_published(cube, differences), "class_relation") == MISSING


@pytest.mark.parametrize("gap", [{"relation": "same"}, {"relation": "disjoint"}, {}], ids=str)
def test_differences_need_all_cells(differences, gap):
    cube = make_cube()
    cube.transfer_accuracy.loc[{"factor": "architecture=vit"} | gap] = np.nan
    comparison = compare_to_published(cube, differences)
    assert matches(comparison, "architecture") == MISSING
    assert matches(comparison, "class_relation") == ["compared"] * 3
    assert comparison.ours_levels.sel(factor_name="architecture") == "resnet18"
    assert comparison.difference.sel(factor_name="architecture").isnull().all()


def test_seeds_that_no_level_shares_are_not_done(differences):
    cube = make_cube(2, PLACES[:2])
    cube.transfer_accuracy[0, :, 0] = cube.transfer_accuracy[1, :, 1] = np.nan
    assert matches(compare_to_published(cube, differences), "class_relation") == MISSING


def test_differences_of_other_settings(differences):
    cube = with_levels(make_cube(n_samples=10, vit_schedule="constant"), n_samples=[10_000, "50000"])
    comparison = compare_to_published(cube, differences)
    assert matches(comparison, "n_samples") == ["compared"] * 3
    assert matches(comparison, "architecture") == OTHER  # the vit is one of them
    assert comparison.ours.isel(factor_name=slice(3)).notnull().all()


@pytest.mark.parametrize("paper", [{}, {"tuning": "linear"}])
def test_differences_of_another_tuning(differences, paper):
    cube = make_cube(tuning="full-200").assign_attrs(paper_settings=json.dumps(PAPER | paper))
    comparison = compare_to_published(cube, differences)
    assert comparison.published.sel(factor_name="class_relation").values.tolist() == [0.17, 0.14, 0.13]
    assert matches(comparison, "class_relation") == ["compared"] * 3
    assert matches(comparison, "architecture") == ["not published"] * 3
    assert comparison.attrs["tuning"] == "full-200"
    assert comparison.attrs["differing_settings"] == "{}"
    with pytest.raises(ValueError, match=r"no row of tuning 'full-3' like the cube's; its .* are: linear, full-200$"):
        compare_to_published(make_cube(tuning="full-3"), differences)


@pytest.mark.parametrize("places", [PLACES[4:5] + PLACES[7:], PLACES[4:5]])
def test_differences_where_no_level_was_published(differences, places):
    comparison = compare_to_published(make_cube(places=places), differences)
    assert set(comparison["match"].values.ravel()) == {"not in the cube"}
    assert comparison.factor_name.values.tolist() == ["n_samples", "class_relation", "architecture"]
    assert comparison.ours.isnull().all()
    assert set(comparison.ours_levels.values) == {""}


# what is wrong


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cube: cube.drop_attrs(), r"^cube has no attribute 'settings', 'paper_settings'; its .* are: none$"),
        (lambda cube: cube.isel(seed=0), r"^cube has no dimension 'seed'; its dimensions are: factor, relation$"),
        (lambda cube: cube.drop_vars("level"), r"^cube has no coordinate 'level'; its coordinates are: factor, "),
        (lambda cube: cube.drop_vars("transfer_accuracy"), r"^cube has no variable 'transfer_accuracy'; .*: status$"),
        (
            lambda cube: cube.assign_attrs(paper_settings="[1]"),
            r"^cube has the attribute 'paper_settings' '\[1\]', expected a JSON object$",
        ),
        (
            lambda cube: cube.assign_attrs(paper_settings='{"levels": {"n_samples": 3}}'),
            r"^cube has \"{'n_samples': 3}\" as 'levels' in 'paper_settings', expected lists by name of factor$",
        ),
        (
            lambda cube: xr.concat([cube, cube.isel(factor=[3])], "factor"),
            r"^cube has the factor 'architecture=vit' more than once, expected each once$",
        ),
        (
            lambda cube: cube.isel(relation=[0, 1, 0]),
            r"^cube has the relation 'same' more than once, expected each once$",
        ),
        (
            lambda cube: cube.assign_attrs(settings='{"epochs": 1}'),
            r"^cube has the attribute 'settings' '.*', expected a JSON object with the key 'dataset'$",
        ),
        (
            lambda cube: cube.assign_attrs(settings='{"dataset": "mnist"}'),
            r"factors.csv has no row of dataset 'mnist' like the cube's; its values of it are: cifar10, transforms2d$",
        ),
    ],
)
def test_cubes_that_cannot_be_compared(factors, change, message):
    with pytest.raises(ValueError, match=message):
        compare_to_published(change(make_cube()), factors)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has the columns none, expected dataset,factor,level,relation,transfer_accuracy or dataset,tuning,"),
        ("dataset,factor\na,b\n", r"has the columns dataset,factor, expected dataset,factor,level,"),
        ("x\ttransforms2d,class_relation,same,same", r"has 4 values in row 2, expected 5$"),
        ("x\ttransforms2d,class_relation,same,same,high", r"has transfer_accuracy 'high' in the row .*, expected a nu"),
        ("x\ttransforms2d,class_relation,same,same,nan", r"has transfer_accuracy 'nan' in the row class_relation same"),
        ("x\ttransforms2d,c,s,same,1\ntransforms2d,c,s,same,2", r"has the row c s same twice$"),
        ('x\ttransforms2d,c,s,same,"1', r"cannot be read as CSV: "),
    ],
)
def test_files_that_are_damaged(tmp_path, text, message):
    path = tmp_path / "published.csv"
    path.write_text(text.replace("x\t", "dataset,factor,level,relation,transfer_accuracy\n"))
    with pytest.raises(ValueError, match=rf"published.csv {message}"):
        compare_to_published(make_cube(), path)


def test_files_that_are_not_there_or_not_text(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.csv"):
        compare_to_published(make_cube(), tmp_path / "nothing.csv")
    (tmp_path / "image.csv").write_bytes(b"\x89PNG\xff")
    with pytest.raises(ValueError, match=r"image.csv cannot be read as CSV: "):
        compare_to_published(make_cube(), tmp_path / "image.csv")


@pytest.mark.parametrize("ignore", [None, 3])
def test_ignoring_what_is_no_list(factors, ignore):
    with pytest.raises(ValueError, match=f"^ignore is {ignore}, expected 'all' or a list of settings"):
        compare_to_published(make_cube(), factors, ignore)


def test_what_is_no_cube_and_settings_without_end(factors):
    with pytest.raises(ValueError, match="cube has no labels along 'relation', expected a coordinate of that name"):
        compare_to_published(make_cube().drop_vars("relation"), factors)
    with pytest.raises(TypeError, match="cube is of type dict, expected an xarray.Dataset"):
        compare_to_published({}, factors)
    with pytest.raises(ValueError, match=r"^cube has the attribute 'settings' .* expected a JSON object"):
        compare_to_published(make_cube().assign_attrs(settings="[" * 100_000), factors)


@pytest.mark.parametrize("ignore", ["epoch", ["epochs", "epoch"]])
def test_ignoring_what_is_no_setting(factors, ignore):
    with pytest.raises(ValueError, match=r"^ignore names 'epoch', expected 'all' or settings of: architecture, "):
        compare_to_published(make_cube(), factors, ignore)


# as text


def test_table_says_what_was_compared(factors):
    cube = make_cube(epochs=6, objects="procedural")
    cube.transfer_accuracy.loc[{"factor": "architecture=vit", "relation": "same"}] = np.nan
    cube.transfer_accuracy.loc[{"factor": "class_relation=same", "relation": "same"}] = [0.8, 0.9, 1.0]
    text = format_comparison(compare_to_published(cube, factors, ignore=["epochs", "objects"]))
    lines = [line.split() for line in text.splitlines()]
    # Student's 4.303 times 0.1 over the root of 3: 0.248
    expected = "class_relation same same 0.900 0.652 to 1.148 3 1.000 -0.100 compared"
    assert expected.split() in lines
    assert ["architecture", "vit", "same", "-", "0", "0.970", "-", "not", "done"] in lines
    assert ["n_samples", "1000", "disjoint", "-", "0", "0.810", "-", "not", "in", "the", "cube"] in lines
    assert "Compared: 9 of 12 published values." in text
    assert "Settings other than the paper's, and ignored: epochs 6 (paper 50), objects procedural (paper" in text
    assert "not compared" not in text
    assert "Published, but not in the cube: n_samples=1000.\n" in text
    assert "Published, but failed or not yet done: architecture=vit (same).\n" in text
    assert "Not published: n_samples=10000, n_probe=200, reference=untrained." in text
    assert max(map(len, text.splitlines())) < 120


def test_table_of_what_may_not_be_compared(factors):
    text = format_comparison(compare_to_published(make_cube(epochs=6, batch_size=64), factors, ["epochs"]))
    assert "Compared: 0 of 12 published values.\n" in text
    words = " ".join(text.split())
    assert (
        "Settings other than the paper's, so what depends on them is not compared: batch_size 64 (paper 512)." in words
    )
    assert "Settings other than the paper's, and ignored: epochs 6 (paper 50).\n" in text


def test_table_names_the_largest_difference(factors):
    cube = make_cube()
    cube["transfer_accuracy"] = xr.full_like(cube.transfer_accuracy, 0.9)
    text = format_comparison(compare_to_published(cube, factors))
    # same: -.08 -.10 -.08 -.07 -.09, disjoint: +.04 -.01 +.03 +.07 +.07; absolute: 0.64 over 10
    assert "Compared: 10 of 12 published values. Mean absolute difference 0.064; largest -0.100, at" in text
    assert "class_relation=same, same." in " ".join(text.split())


def test_table_of_differences(differences):
    text = format_comparison(compare_to_published(make_cube(), differences))
    assert text.startswith("differences in accuracy on the target task, transforms2d, linear tuning")
    assert "Levels of class_relation that both span: disjoint, same.\n" in text
    assert "Levels of n_samples: ours span 50000; the published 1000, 50000." in text
    assert "Published, but not in the cube: n_samples.\n" in text
    assert "Levels of n_probe" not in text
    text = format_comparison(compare_to_published(with_levels(make_cube(), n_samples=None), differences))
    assert "ours span 10000, 50000; those that the published span are not known." in text


# the published numbers


@pytest.mark.parametrize("dataset", ["transforms2d", "cifar10", "cifar100"])
def test_published_values_agree_with_each_other(dataset):
    # a cube that holds what was read off the figures has, within rounding and reading, the printed differences
    settings = PAPER | {"dataset": dataset}
    cube = make_cube(1, [("class_relation", "same")])
    cube.attrs |= {"settings": json.dumps(settings), "paper_settings": json.dumps(settings)}
    theirs = compare_to_published(cube, PUBLISHED / "factors.csv")
    levels = {name: rows.level.values.tolist() for name, rows in theirs.groupby("factor_name")}
    cube = xr.Dataset({"transfer_accuracy": theirs.published.expand_dims("seed")}, attrs=cube.attrs)
    cube.attrs["paper_settings"] = json.dumps(settings | {"levels": levels})
    comparison = compare_to_published(cube, PUBLISHED / "differences.csv")
    assert (comparison["match"] == "compared").all()
    assert comparison["match"].shape == (3, 3)
    assert np.abs(comparison.difference).max() < 0.0065


# other cubes

LABELS = {
    "architecture": ["resnet18", "vgg11", "densenet121", "vit"], "n_pretraining_transformations": list(range(1, 9)),
    "n_target_transformations": list(range(1, 9)), "position": ["fixed", "random"],
    "pretraining": ["C/C", "C+O/C", "C+O/O", "O/O"], "target": ["C/C", "C+O/C", "C+O/O", "O/O"], "changed": ["C", "O"],
    "trained_on": ["image", "random"],
    "evaluated_on": ["in_distribution", "mild_ood", "strong_ood", "cifar10", "cifar100"],
    "transformation": [f"t{i}" for i in range(18)], "n_tuning": [200, 2_000],
}  # fmt: skip
LABELS["pretraining_transformation"] = [*LABELS["transformation"], "none"]
OTHERS = ("mismatch", "irrelevant_features", "invariance_transfer")


def published(kind):
    with open(PUBLISHED / f"{kind}.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def label(values, *dims, n_seeds=3):
    """Return values over dims and seed, the seeds being 0.02 below, at and above them."""
    values = np.asarray(values)[..., None] + 0.02 * (np.arange(n_seeds) - n_seeds // 2)
    return xr.DataArray(values, {dim: LABELS[dim] for dim in dims} | {"seed": np.arange(n_seeds)}, [*dims, "seed"])


def cube_of(kind, shift=0.0, n_seeds=3, **settings):
    """Return a cube, as a study would write it, that holds the published values, and something more."""
    rows, cube = published(kind), xr.Dataset()
    if kind == "mismatch":
        dims = ("architecture", "n_pretraining_transformations", "n_target_transformations")
        table = {tuple(row[dim] for dim in dims): float(row["transfer_accuracy"]) for row in rows}
        values = [[[table[a, str(n), str(m)] for m in range(1, 9)] for n in range(1, 9)] for a in LABELS[dims[0]]]
        cube["transfer_accuracy"] = label(values, *dims, n_seeds=n_seeds) + shift
    elif kind == "irrelevant_features":
        table = {}
        for row in rows:
            pretraining = f"{row['pretraining_input']}/{row['pretraining_label']}"
            table[row["measure"], row["position"], pretraining, row["target"]] = float(row["mean"])
        for name, measure, dim in (
            ("transfer_accuracy", "accuracy", "target"), ("sensitivity", "sensitivity", "changed")
        ):  # fmt: skip
            values = [
                [[table[measure, place, pretraining, entry] for entry in LABELS[dim]]
                 for pretraining in LABELS["pretraining"]] for place in LABELS["position"]
            ]  # fmt: skip
            cube[name] = label(values, "position", "pretraining", dim, n_seeds=n_seeds) + shift
    else:
        dims = ("architecture", "trained_on", "evaluated_on")
        shape = ("pretraining_transformation", "transformation")
        table = {tuple(row[dim] for dim in (*dims, "relation")): float(row["mean"]) for row in rows}
        values = np.zeros([len(LABELS[dim]) for dim in (*dims, *shape)])
        for at in np.ndindex(*values.shape[:3]):
            same, other, none = (
                table[(*(LABELS[dim][i] for dim, i in zip(dims, at, strict=True)), relation)]
                for relation in ("same", "other", "none")
            )
            ripple = np.linspace(-0.1, 0.1, 18)  # so that a mean over 18 is asked for, and not any one value
            values[at][:18] = other + ripple[:, None] - ripple
            np.fill_diagonal(values[at], same + ripple)
            values[at][18] = none + ripple
        cube["sensitivity"] = label(values, *dims, *shape, n_seeds=n_seeds) + shift
        cube = cube.assign_coords(category=("transformation", ["geometric"] * 18))
    return cube.assign_attrs(settings=json.dumps(SETTINGS | settings), paper_settings=json.dumps(PAPER))


@pytest.mark.parametrize("kind", OTHERS)
def test_known_differences(kind):
    comparison = compare_to_published(cube_of(kind, shift=0.01), PUBLISHED / f"{kind}.csv")
    assert (comparison["match"] == "compared").all()
    assert comparison["match"].size == len(published(kind))
    np.testing.assert_allclose(comparison.difference, 0.01)
    np.testing.assert_allclose(comparison.ours_std, 0.02)  # of -0.02, 0, 0.02
    np.testing.assert_allclose(comparison.ours - comparison.ours_low, 4.303 * 0.02 / np.sqrt(3), atol=1e-4)
    assert (comparison["n"] == 3).all()
    text = format_comparison(comparison)
    assert (
        f"Compared: {len(published(kind))} of {len(published(kind))} published values. Mean absolute difference 0.010;"
        in text
    )
    assert max(map(len, text.splitlines())) < 120
    for variable in comparison.data_vars.values():
        assert variable.attrs["units"] == "1"
        assert variable.attrs["long_name"]


@pytest.mark.parametrize("kind", OTHERS)
def test_values_are_joined_by_label_whatever_their_order(kind):
    cube = cube_of(kind)
    turned = cube.isel({dim: slice(None, None, -1) for dim in cube.dims})
    turned = turned.transpose("seed", *sorted(set(cube.dims) - {"seed"}, reverse=True))
    comparison = compare_to_published(turned, PUBLISHED / f"{kind}.csv")
    np.testing.assert_allclose(comparison.difference, 0, atol=1e-12)
    expected = compare_to_published(cube, PUBLISHED / f"{kind}.csv")
    xr.testing.assert_allclose(comparison.difference, expected.difference)


def test_places_of_irrelevant_features():
    comparison = compare_to_published(cube_of("irrelevant_features"), PUBLISHED / "irrelevant_features.csv")
    assert comparison.ours.dims == ("position", "pretraining", "measured")
    row = comparison.sel(position="random", pretraining="C+O/O", measured="sensitivity C")
    assert row.published == 0.13
    assert row.published_std == 0.02
    assert row.measure == "sensitivity"
    assert row.target == "C"
    assert comparison.sel(position="fixed", pretraining="C+O/C", measured="accuracy C+O/O").published == 0.53
    lines = [line.split() for line in format_comparison(comparison).splitlines()]
    expected = "random C+O/O sensitivity C 0.130 0.080 to 0.180 3 0.130 0.020 +0.000 compared"
    assert expected.split() in lines


def test_places_of_invariance_transfer():
    comparison = compare_to_published(cube_of("invariance_transfer"), PUBLISHED / "invariance_transfer.csv")
    assert comparison.ours.dims == ("architecture", "trained_on", "relation", "evaluated_on")
    row = comparison.sel(architecture="resnet18", trained_on="image", relation="same", evaluated_on="cifar10")
    assert (row.published, row.published_std) == (0.37, 0.19)
    assert comparison.attrs["quantity"] == "sensitivity"
    assert (
        "dataset"
        not in compare_to_published(
            cube_of("mismatch").assign_attrs(settings="{}", paper_settings="{}"), PUBLISHED / "mismatch.csv"
        ).attrs
    )


@pytest.mark.parametrize("kind", OTHERS)
def test_other_settings_are_not_compared_in_any_cube(kind):
    path = PUBLISHED / f"{kind}.csv"
    cube = cube_of(kind, epochs=6)
    comparison = compare_to_published(cube, path)
    assert (comparison["match"] == "other settings").all()
    assert comparison.difference.isnull().all()
    assert json.loads(comparison.attrs["differing_settings"]) == {"epochs": [6, 50]}
    text = format_comparison(comparison)
    assert "Compared: 0 of" in text
    assert "not compared: epochs 6 (paper 50)." in " ".join(text.split())
    for ignore in ("all", ["epochs"], "epochs"):
        assert (compare_to_published(cube, path, ignore)["match"] == "compared").all()
    with pytest.raises(ValueError, match=r"^ignore names 'epoch', expected 'all' or settings of: architecture, "):
        compare_to_published(cube, path, "epoch")


def test_levels_and_defaults_of_dimensions_do_not_bear():
    cube = cube_of("mismatch", architecture="vit", levels={"architecture": ["vit"]}, n_pairs=3)
    assert (compare_to_published(cube, PUBLISHED / "mismatch.csv")["match"] == "compared").all()


def test_settings_of_the_vit_bear_on_it_alone_in_any_cube():
    for settings, expected in (
        ({"vit_schedule": "constant"}, {"vit"}),
        ({"schedule": "one-cycle"}, set(LABELS["architecture"]) - {"vit"}),
    ):
        comparison = compare_to_published(cube_of("mismatch", **settings), PUBLISHED / "mismatch.csv")
        other = (comparison["match"] == "other settings").all(
            ["n_pretraining_transformations", "n_target_transformations"]
        )
        assert set(comparison.architecture.values[other.values]) == expected


@pytest.mark.parametrize("kind", OTHERS)
def test_number_of_pairs_bears_on_sensitivity_alone(kind):
    comparison = compare_to_published(cube_of(kind, n_pairs=3), PUBLISHED / f"{kind}.csv")
    other = comparison["match"] == "other settings"
    if kind == "irrelevant_features":
        assert (other == (comparison.measure == "sensitivity")).all()
    else:
        assert other.all() if kind == "invariance_transfer" else not other.any()


def test_the_join_is_an_outer_one_in_any_cube():
    cube = cube_of("mismatch").sel(architecture=["resnet18", "vit"], n_target_transformations=slice(1, 7))
    cube = cube.assign_coords(architecture=["resnet18", "resnet50"])
    cube.transfer_accuracy.loc[{"architecture": "resnet18", "n_pretraining_transformations": 2}] = np.nan
    cube.transfer_accuracy.loc[{"architecture": "resnet18", "n_pretraining_transformations": 3, "seed": 1}] = np.nan
    comparison = compare_to_published(cube, PUBLISHED / "mismatch.csv")
    assert comparison.architecture.values.tolist() == ["resnet18", "vgg11", "densenet121", "vit", "resnet50"]
    assert comparison.n_target_transformations.values.tolist() == list(range(1, 9))

    def match(architecture, n, target):
        at = {"architecture": architecture, "n_pretraining_transformations": n, "n_target_transformations": target}
        return comparison["match"].sel(at).item(), comparison["n"].sel(at).item()

    assert match("resnet18", 1, 1) == ("compared", 3)
    assert match("resnet18", 2, 1) == ("not done", 0)
    assert match("resnet18", 3, 1) == ("compared", 2)
    assert match("resnet18", 1, 8) == ("not in the cube", 0)
    assert match("vgg11", 1, 1) == ("not in the cube", 0)
    assert match("resnet50", 1, 1) == ("not published", 3)
    assert match("resnet50", 1, 8) == ("not published", 0)
    text = format_comparison(comparison)
    assert "not in the cube: vgg11, densenet121, vit, n_target 8.\n" in text
    assert "not yet done: resnet18 (n_pretraining 2).\n" in text
    assert text.endswith("Not published: resnet50.")
    assert "resnet50      1              8" not in text  # nobody has it
    assert "Compared: 49 of 256 published values." in text


def test_what_is_not_published_is_named():
    cube = cube_of("irrelevant_features")
    untrained = cube.isel(pretraining=[0]).assign_coords(pretraining=["untrained"])
    comparison = compare_to_published(
        xr.concat([cube, untrained], "pretraining"), PUBLISHED / "irrelevant_features.csv"
    )
    assert comparison.pretraining.values.tolist() == [*LABELS["pretraining"], "untrained"]
    assert format_comparison(comparison).endswith("Not published: untrained.")


def test_means_over_fewer_transformations_are_another_setting():
    path = PUBLISHED / "invariance_transfer.csv"
    cube = cube_of("invariance_transfer")
    for part in (cube.isel(transformation=slice(4)), cube.isel(pretraining_transformation=[0, 1, 2, 3, 18])):
        comparison = compare_to_published(part, path)
        assert json.loads(comparison.attrs["differing_settings"]) == {"n_transformations": [4, 18]}
        assert (comparison["match"] == "other settings").all()
        assert (compare_to_published(part, path, ["n_transformations"])["match"] == "compared").all()


def test_means_need_all_their_values():
    cube = cube_of("invariance_transfer")
    cube.sensitivity.loc[{"architecture": "vit", "pretraining_transformation": "t3", "seed": 0}] = np.nan
    cube.sensitivity.loc[{"architecture": "vgg11", "trained_on": "image", "pretraining_transformation": "none"}] = (
        np.nan
    )
    comparison = compare_to_published(cube, PUBLISHED / "invariance_transfer.csv")
    n = comparison["n"].isel(evaluated_on=0)
    assert n.sel(architecture="vit", trained_on="image").values.tolist() == [2, 2, 3]  # same, other, none
    assert n.sel(architecture="vgg11", trained_on="image").values.tolist() == [3, 3, 0]
    gone = comparison.sel(architecture="vgg11", trained_on="image", relation="none")
    assert (gone["match"] == "not done").all()
    assert "not yet done: vgg11 (image (none)).\n" in format_comparison(comparison) + "\n"
    without = cube.isel(pretraining_transformation=slice(18))
    comparison = compare_to_published(without, PUBLISHED / "invariance_transfer.csv").sel(relation="none")
    assert (comparison["match"] == "not in the cube").all()


@pytest.mark.parametrize("kind", [*OTHERS, "fine_tuning"])
def test_any_comparison_survives_the_disk(kind, tmp_path):
    path = PUBLISHED / f"{kind}.csv" if kind in OTHERS else PUBLISHED / "differences.csv"
    comparison = compare_to_published(cube_of(kind) if kind in OTHERS else tuned_cube(), path)
    write(comparison, tmp_path / "comparison.nc")
    xr.testing.assert_identical(read(tmp_path / "comparison.nc"), comparison)
    assert format_comparison(read(tmp_path / "comparison.nc")) == format_comparison(comparison)


def tuned_cube(**settings):
    """Return a cube of fine-tuning: transfer accuracies of three seeds for each of two sizes of the tuning set."""
    one, two = (make_cube(**settings) for _ in range(2))
    two["transfer_accuracy"] = two.transfer_accuracy + two.transfer_accuracy.seed * 0.01 * (two.relation == "same")
    return xr.concat([one, two], xr.DataArray([200, 2_000], dims="n_tuning", name="n_tuning")).drop_vars("status")


def test_differences_of_each_tuning(differences):
    cube = tuned_cube(n_tuning=200)
    comparison = compare_to_published(cube, differences)
    assert comparison.ours.dims == ("tuning", "factor_name", "contrast")
    assert comparison.tuning.values.tolist() == ["full-200", "full-2000"]
    for n_tuning, tuning in ((200, "full-200"), (2_000, "full-2000")):
        expected = summarise(factor_contrasts(cube.transfer_accuracy.sel(n_tuning=n_tuning, drop=True)))
        row = comparison.sel(tuning=tuning, factor_name="class_relation")
        np.testing.assert_allclose(row.ours, expected["mean"].sel(factor_name="class_relation"))
    row = comparison.sel(tuning="full-200", factor_name="class_relation")
    assert row.published.values.tolist() == [0.17, 0.14, 0.13]
    assert row["match"].values.tolist() == ["compared"] * 3
    np.testing.assert_allclose(row.difference, row.ours - row.published)
    assert (comparison.sel(tuning="full-2000")["match"] == "not published").all()
    assert "tuning" not in comparison.attrs
    text = format_comparison(comparison)
    assert text.startswith("differences in accuracy on the target task, transforms2d: ours (mean")
    assert "Compared: 3 of 3 published values." in text
    assert "Levels of class_relation (full-200) that both span: disjoint, same.\n" in text


def test_labels_of_tunings(differences):
    cube = tuned_cube().isel(n_tuning=[0]).assign_coords(tuning=("n_tuning", ["full-0.01"]))
    comparison = compare_to_published(cube, differences)
    assert comparison.tuning.values.tolist() == ["full-200", "full-0.01"]
    matches = comparison["match"].sel(factor_name="class_relation", contrast="within_same").values.tolist()
    assert matches == ["not in the cube", "not published"]
    assert comparison.ours.sel(tuning="full-200").isnull().all()
    assert "not in the cube: full-200.\n" in format_comparison(comparison) + "\n"
    cube = cube.assign_coords(tuning=("n_tuning", ["full-200"]))
    assert (compare_to_published(cube, differences)["match"].sel(factor_name="class_relation") == "compared").all()


def test_published_differences_of_each_dataset_have_their_place():
    labels = {"transforms2d": ["full-200", "full-2000"], "cifar10": ["full-0.01", "full-0.1"]}
    for dataset, names in labels.items():
        cube = tuned_cube(dataset=dataset).assign_coords(tuning=("n_tuning", names))
        comparison = compare_to_published(cube, PUBLISHED / "differences.csv", "all")
        assert comparison.tuning.values.tolist() == names
        rows = [row for row in published("differences") if row["dataset"] == dataset and row["tuning"] in names]
        for row in rows:
            place = comparison.sel(tuning=row["tuning"], factor_name=row["factor"])
            assert place.published.sel(contrast="within_same") == float(row["within_same"])
        assert comparison.published.notnull().sum() == 3 * len(rows) == 18


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("mismatch", lambda cube: cube.isel(architecture=0), r"^cube has no dimension 'architecture'; its dim.*: n_"),
        ("mismatch", lambda cube: cube.rename(transfer_accuracy="accuracy"), r"^cube has no variable 'transfer_acc"),
        ("mismatch", lambda cube: cube.drop_attrs(), r"^cube has no attribute 'settings', 'paper_settings'; its"),
        (
            "mismatch", lambda cube: cube.isel(n_target_transformations=[0, 1, 1]),
            r"^cube has the n_target_transformations 2 more than once, expected each once$",
        ),
        (
            "mismatch", lambda cube: cube.expand_dims(width=[1, 2]),
            r"^cube has transfer_accuracy over 'width' too, expected one value for each of: architecture, n_pretra",
        ),
        (
            "irrelevant_features", lambda cube: cube.drop_vars("sensitivity"),
            r"^cube has no variable 'sensitivity'; its variables are: transfer_accuracy$",
        ),
        ("mismatch", lambda cube: make_cube(), r"^cube has no dimension 'architecture', 'n_pretraining_transform"),
        ("factors", lambda cube: tuned_cube(), r"^cube has transfer_accuracy over 'n_tuning' too, expected one v"),
        ("factors", lambda cube: cube, r"^cube has no dimension 'factor', 'relation'; its dimensions are: architect"),
    ],
)  # fmt: skip
def test_cubes_that_a_file_does_not_belong_to(kind, change, message):
    cube = cube_of(kind if kind in OTHERS else "mismatch")
    with pytest.raises(ValueError, match=message):
        compare_to_published(change(cube), PUBLISHED / f"{kind}.csv")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "resnet18,1,two,0.5",
            r"has n_target_transformations 'two' in the row resnet18 1 two, expected a whole number$",
        ),
        ("resnet18,1,2,?", r"has transfer_accuracy '\?' in the row resnet18 1 2, expected a number$"),
        ("resnet18,1,2,0.5\nresnet18,1,2,0.5", r"has the row resnet18 1 2 twice$"),
    ],
)
def test_rows_that_are_damaged(tmp_path, row, message):
    path = tmp_path / "published.csv"
    path.write_text(f"architecture,n_pretraining_transformations,n_target_transformations,transfer_accuracy\n{row}\n")
    with pytest.raises(ValueError, match=message):
        compare_to_published(cube_of("mismatch"), path)


def test_knows_no_torch():
    imported = set()
    for path in (Path(invtransfer.__file__).parent / "comparison").glob("*.py"):
        tree = ast.parse(path.read_text())
        imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert {name for name in imported if not name.startswith("invtransfer.published.")} == {
        "json", "csv", "math", "textwrap", "numpy", "xarray", "invtransfer.analysis"
    }  # fmt: skip
