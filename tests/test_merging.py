"""Merging cubes of toys whose digits show where they belong: the union is that of one run, and conflicts are named."""

import json
import re
import shutil
from functools import cache
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from toy_studies import failing, number, run, toy

from invtransfer.cubes.assembly import assemble, format_place
from invtransfer.cubes.files import read, write
from invtransfer.cubes.merging import merge
from invtransfer.cubes.running import run_study

CUBES = Path(__file__).parent.parent / "data" / "cubes"
THERE = {"factor": "b", "relation": "same", "seed": 1}
FEW = {"relations": ("same",)}  # half of the places


def rich(*, factor, relation, seed):
    """All that a cell can hold: an integer, a string that grows with the place, and dimensions of its own."""
    n = number(factor, relation, seed)
    coordinates = {"transformation": ["rotate", "hue"], "category": ("transformation", ["geometric", "photometric"])}
    about = {"units": "1", "long_name": "digits"}
    return (
        toy(factor=factor, relation=relation, seed=seed)
        .assign_coords(coordinates)
        .assign(
            sensitivity=("transformation", [n + 0.5, np.nan], about),
            used=("transformation", np.array([1, -1], np.int8), about),
            n_steps=((), np.int8(n % 100), about),
            word=((), "x" * (1 + n), about),
        )
    )


def more_for_b(*, factor, relation, seed):
    cell = toy(factor=factor, relation=relation, seed=seed)
    return cell.assign(more=((), seed + 0.25), count=((), np.int8(seed))) if factor == "b" else cell


def half_whole(*, factor, relation, seed):
    """Whole numbers from some cells, others from others, as Python makes them."""
    return xr.Dataset({"accuracy": ((), seed if factor == "a" else seed + 0.5)})


def scattered(*, seed, n_probe):
    return xr.Dataset({"accuracy": ("n_probe", [seed + n / 1000 for n in n_probe])}, {"n_probe": n_probe})


def changed(cube, value=0.25, name="accuracy", **labels):
    cube = cube.copy(deep=True)
    cube[name].loc[labels or THERE] = value
    return cube


def forget(cube, **labels):
    """A cube in which some cells are missing."""
    cube = cube.copy(deep=True)
    for name, blank in (("accuracy", np.nan), ("status", 0), ("origin", -1), ("message", "")):
        cube[name].loc[labels] = blank
    return cube


def from_elsewhere(cube, **more):
    """The cube as another machine makes it."""
    (origin,) = json.loads(cube.attrs["origins"])
    return cube.assign_attrs(origins=json.dumps([origin | more], sort_keys=True), **more)


def merge_without_notes(cubes, names):
    """The merged cube, in which nothing is to be told."""
    merged, notes = merge(cubes, names)
    assert notes == []
    return merged


@pytest.fixture(autouse=True)
def date(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")


@pytest.fixture(scope="module")
def run_once(tmp_path_factory):
    """Return the function that runs a study of toys, and returns its cube; the same study is run once."""

    @cache
    def compute(function, shard, **more):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SOURCE_DATE_EPOCH", "0")
            attributes = {"study": "toys", "paper_settings": "{}"}
            options = {"shard": shard, "attributes": attributes}
            return run(tmp_path_factory.mktemp("toys") / "cube.nc", function, options=options, **more)

    def run_once(function=toy, shard=(1, 1), **more):
        return compute(function, shard, **more).copy(deep=True)

    return run_once


@pytest.fixture
def cube(run_once):
    return run_once()


@pytest.fixture(scope="module")
def rich_cube(run_once):
    return run_once(rich).assign_coords(level=("factor", [1, 2]))


# the cube of one run


@pytest.mark.parametrize(("function", "n", "grid"), [(rich, 3, {}), (more_for_b, 2, FEW), (half_whole, 2, FEW)])
def test_shards_in_any_order_are_the_cube_of_one_run(run_once, tmp_path, function, n, grid):
    whole = run_once(function, **grid)
    write(whole, tmp_path / "whole.nc")
    assert (whole.status == 1).all()
    parts = {}
    for k in range(1, n + 1):
        write(run_once(function, (k, n), **grid), tmp_path / f"{k}.nc")
        parts[f"{k}.nc"] = read(tmp_path / f"{k}.nc")
    for names in permutations(parts):
        cube = merge_without_notes([parts[name] for name in names], names)
        xr.testing.assert_identical(cube, whole)
        assert {key: cube[key].dtype for key in cube.variables} == {key: whole[key].dtype for key in whole.variables}
    write(cube, tmp_path / "merged.nc")
    assert (tmp_path / "merged.nc").read_bytes() == (tmp_path / "whole.nc").read_bytes()


def test_claims_of_parts_are_not_those_of_the_whole(run_once):
    parts = [run_once(half_whole, (k, 2), **FEW) for k in (1, 2)]
    names = ["1.nc", "2.nc"]
    for claimed in (["[]", '[{"verdict": "held"}]'], ["[]", "[]"]):
        some = [part.assign_attrs(claims=text) for part, text in zip(parts, claimed, strict=True)]
        for given in (some, [some[0], parts[1]]):
            xr.testing.assert_identical(merge(given, names)[0], merge(parts, names)[0])
    assert "claims" not in merge(parts, names)[0].attrs


def test_integers_keep_their_type_and_minus_one(run_once):
    shards = [run_once(rich, (k, 3)) for k in (1, 2)]
    cube, _ = merge(shards, ["1.nc", "2.nc"])
    assert cube.used.dtype == cube.n_steps.dtype == np.int8
    gone = cube.status.values.ravel() == 0
    assert gone.sum() == 2  # of 8 cells, the third shard has 2 and 5
    assert (cube.n_steps.values.ravel()[gone] == -1).all()
    assert (cube.used.values.reshape(8, 2)[~gone] == [1, -1]).all()
    assert shards[0].word.dtype == "<U111"  # of "a disjoint 1", 1 + 110 letters
    assert cube.word.dtype == "<U112"  # of "b disjoint 1", in the second shard
    assert (cube.cell != "").all()


def test_failed_cells_of_shards_are_there_with_their_message(run_once):
    whole = run_once(failing, unless="nowhere")
    shards = [run_once(failing, (k, 2), unless="nowhere") for k in (2, 1)]
    cube = merge_without_notes(shards, ["2.nc", "1.nc"])
    assert cube.message.sel(THERE) == "ZeroDivisionError: no samples"
    xr.testing.assert_identical(cube, whole)


@pytest.mark.parametrize("labels", [[200, 50], pytest.param([50, 200], marks=pytest.mark.slow), ["200", "50"]])
def test_places_that_share_a_cell_and_labels_in_no_order(tmp_path, labels):
    """Each seed is one cell with both numbers of images."""
    options = {"title": "", "jobs": 1}
    points = [
        ({"seed": s, "factor": label}, {"seed": s, "n_probe": [50, 200]}, {"n_probe": int(label)})
        for s in (3, 1, 2) for label in labels
    ]  # fmt: skip
    coordinates = {"seed": [3, 1, 2], "factor": labels, "name": ("factor", [f"n_probe={label}" for label in labels])}
    whole = run_study(scattered, points, coordinates, tmp_path / "whole.nc", {}, **options)
    shards = [
        run_study(scattered, points, coordinates, tmp_path / f"{k}.nc", {}, shard=(k, 3), **options) for k in (1, 2, 3)
    ]
    assert whole.accuracy.sel(seed=2, factor=labels[0]) == 2 + int(labels[0]) / 1000
    for order in permutations(range(3)):
        cube, _ = merge([shards[i] for i in order], ["a", "b", "c"])
        xr.testing.assert_identical(cube, whole)


def test_seeds_are_put_in_order_and_other_labels_as_they_appear(run_once):
    whole = run_once(seeds=(0, 1, 2), **FEW)
    parts = [run_once(seeds=(seed,), **FEW) for seed in (2, 0, 1)]
    xr.testing.assert_identical(merge_without_notes(parts, ["2.nc", "0.nc", "1.nc"]), whole)
    a, b = (run_once(factors=(factor,), seeds=(0, 1, 2), **FEW) for factor in "ab")
    cube = merge_without_notes([b, a], ["b.nc", "a.nc"])
    assert cube.factor.values.tolist() == ["b", "a"]
    xr.testing.assert_identical(cube, whole.sel(factor=["b", "a"]))


def test_levels_of_all_cubes_are_in_the_settings(run_once):
    """Runs with other lists of levels have the same cells where they have the same places."""
    cubes = []
    for levels in (["b", "c"], ["a", "b"]):
        cube = run_once(factors=tuple(levels), seeds=(0,))
        settings = json.loads(cube.attrs["settings"]) | {"levels": {"factor": levels, "other": [1]}}
        cubes.append(cube.assign_attrs(settings=json.dumps(settings)))
    merged, notes = merge(cubes, ["a.nc", "b.nc"])
    assert notes == []
    assert merged.factor.values.tolist() == ["b", "c", "a"]
    assert json.loads(merged.attrs["settings"])["levels"] == {"factor": ["b", "c", "a"], "other": [1]}


def test_labels_that_only_some_cubes_have_leave_places_without_cell(run_once):
    a = run_once(factors=("a",), seeds=(0,))
    b = run_once(factors=("b",), seeds=(1,))
    cube = merge_without_notes([a, b], ["a.nc", "b.nc"])
    np.testing.assert_array_equal(cube.accuracy.sel(relation="same"), [[0, np.nan], [np.nan, 101]])
    np.testing.assert_array_equal(cube.status.sel(relation="same"), [[1, 0], [0, 1]])
    gone = cube.sel(factor="a", relation="same", seed=1)
    assert (gone.cell.item(), gone.arguments.item(), gone.part.item(), gone.origin.item()) == ("", "", "", -1)


def test_merge_with_itself_changes_nothing(cube):
    merged = merge_without_notes([cube, cube, cube], ["a.nc", "b.nc", "a.nc"])
    xr.testing.assert_identical(merged, cube)
    xr.testing.assert_identical(merge([cube], ["a.nc"])[0], cube)


def test_order_of_merging_does_not_matter(run_once):
    parts = [run_once(rich, (1, 3)), run_once(rich, (2, 3), factors=("b", "a")), run_once(rich, seeds=(2, 1))]
    a, b, c = parts
    all_at_once = merge(parts, "abc")[0]
    left = merge([merge([a, b], "ab")[0], c], ["ab", "c"])[0]
    right = merge([a, merge([b, c], "bc")[0]], ["a", "bc"])[0]
    xr.testing.assert_identical(left, all_at_once)
    xr.testing.assert_identical(right, all_at_once)
    # 8 of seeds 1 and 2; of seed 0, a same (in two shards) and b disjoint
    assert int((all_at_once.status == 1).sum()) == 10
    xr.testing.assert_identical(merge_without_notes([all_at_once, *parts], "dabc"), all_at_once)


def test_cubes_are_left_as_they_are(run_once):
    shards = [run_once(rich, (k, 3)) for k in (1, 2)]
    before = [shard.copy(deep=True) for shard in shards]
    merge(shards, "ab")
    for shard, copy in zip(shards, before, strict=True):
        xr.testing.assert_identical(shard, copy)


# where it comes from


def test_origins_are_united_and_counted_anew(cube):
    ours = json.loads(cube.attrs["origins"])
    a = forget(cube, seed=1)
    b = forget(from_elsewhere(cube, git_commit="00"), seed=0)  # sorts before ours
    for cubes in ([a, b], [b, a]):
        merged = merge_without_notes(cubes, ["x.nc", "y.nc"])
        assert json.loads(merged.attrs["origins"]) == [ours[0] | {"git_commit": "00"}, ours[0]]
        assert merged.origin.dtype == np.int32
        assert (merged.origin.sel(seed=0) == 1).all()
        assert (merged.origin.sel(seed=1) == 0).all()
        assert merged.attrs["git_commit"] == "mixed: see origins"
        assert (merged.attrs["threads"], merged.attrs["versions"]) == (cube.attrs["threads"], cube.attrs["versions"])
        xr.testing.assert_identical(merged.accuracy, cube.accuracy)


def test_origins_without_cells_are_left_out_unless_there_are_no_others(run_once, cube):
    nothing = from_elsewhere(run_once(shard=(9, 9)), threads=7)
    merged, _ = merge([nothing, cube], ["nothing.nc", "cube.nc"])
    xr.testing.assert_identical(merged, cube)
    merged, _ = merge([nothing, nothing], ["a.nc", "b.nc"])
    assert merged.attrs["threads"] == 7
    xr.testing.assert_identical(merged, nothing)


def test_same_values_of_another_origin_are_noted_and_the_first_kept(cube):
    other = from_elsewhere(cube, threads=2)
    merged, notes = merge([forget(cube, seed=0), other], ["a.nc", "b.nc"])
    assert merged.attrs["threads"] == "mixed: see origins"
    threads = [origin["threads"] for origin in json.loads(merged.attrs["origins"])]
    assert [threads[i] for i in merged.origin.values.ravel()] == [2, 1] * 4  # of seeds 0 and 1
    places = "; ".join(f"factor={f},relation={r},seed=1" for f in "ab" for r in ("same", "disjoint"))
    assert notes == [f"{places}: from another origin in b.nc than in a.nc, which is taken: the values are the same"]


# what is there in two cubes


def test_done_is_taken_rather_than_failed_and_noted(tmp_path):
    more = {"unless": str(tmp_path / "repaired")}
    failed = run(tmp_path / "failed.nc", failing, **more)
    (tmp_path / "repaired").touch()
    shutil.copytree(tmp_path / "failed.cells", tmp_path / "done.cells")
    done = run(tmp_path / "done.nc", failing, **more)
    for cubes, names in (((failed, done), ("b.nc", "a.nc")), ((done, failed), ("a.nc", "b.nc"))):
        cube, notes = merge(cubes, names)
        xr.testing.assert_identical(cube, done)
        assert notes == [f"{format_place(THERE)}: failed in b.nc, done in a.nc, which is taken"]


def test_failed_is_taken_rather_than_missing(run_once):
    failed = run_once(failing, unless="nowhere")
    missing = run_once(failing, (1, 8), unless="nowhere")
    for cubes in ([failed, missing], [missing, failed]):
        cube = merge_without_notes(cubes, ["a.nc", "b.nc"])
        xr.testing.assert_identical(cube, failed)


def test_another_message_is_noted_and_the_first_kept(run_once):
    failed = run_once(failing, unless="nowhere")
    other = changed(failed.assign(message=failed.message.astype("U40")), "OSError: disk full", "message")
    cube, notes = merge([other, failed], ["a.nc", "b.nc"])
    assert cube.message.sel(THERE) == "OSError: disk full"
    assert notes == [
        f"{format_place(THERE)}: failed in both a.nc, which is taken, and b.nc:"
        " message 'OSError: disk full' and 'ZeroDivisionError: no samples'"
    ]


def test_another_cell_for_a_missing_place_is_noted(cube):
    planned = changed(forget(cube, **THERE), "0123456789abcdef", "cell")
    done = cube.cell.sel(THERE).item()
    text = f"{format_place(THERE)}: cell 0123456789abcdef, missing, in a.nc, but {done} in b.nc, which is taken"
    merged, notes = merge([planned, cube], ["a.nc", "b.nc"])
    xr.testing.assert_identical(merged, cube)
    assert notes == [text]
    xr.testing.assert_identical(merge_without_notes([changed(planned, "", "cell"), cube], ["a.nc", "b.nc"]), cube)


def test_place_that_is_not_in_the_grid_of_one_cube(cube):
    planned = forget(cube, **THERE)
    absent = planned.copy(deep=True)
    for name in ("cell", "arguments", "part"):
        absent[name].loc[THERE] = ""
    for cubes in ([planned, absent], [absent, planned]):
        merged = merge_without_notes(cubes, ["a.nc", "b.nc"])
        xr.testing.assert_identical(merged, planned)


def test_cube_without_cells_lacks_what_cells_bring(run_once, rich_cube):
    nothing = run_once(rich, (9, 9)).assign_coords(level=("factor", [1, 2]))
    assert "transformation" not in nothing.dims
    for cubes in ([rich_cube, nothing], [nothing, rich_cube]):
        merged = merge_without_notes(cubes, ["a.nc", "b.nc"])
        xr.testing.assert_identical(merged.drop_attrs(deep=False), rich_cube.drop_attrs(deep=False))


def test_conflict_names_place_files_variables_and_values(run_once):
    cube = run_once(rich)
    other = changed(changed(cube), 0.75, "sensitivity", **THERE, transformation="hue")
    with pytest.raises(ValueError, match=re.escape(
        f"finished places differ, 1 in all: {format_place(THERE)}: accuracy 101.0 and 0.25, sensitivity in a.nc and"
    )):  # fmt: skip
        merge([cube, cube, other], ["a.nc", "b.nc", "c.nc"])


def test_many_conflicts_are_counted(cube):
    with pytest.raises(ValueError, match=r"differ, 8 in all: factor=a,relation=same,seed=0: ([^;]*; ){5}and 3 more$"):
        merge([cube, cube.assign(accuracy=cube.accuracy.copy(data=cube.accuracy + 1))], ["a.nc", "b.nc"])


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("accuracy", np.nextafter(101, 102), "accuracy 101.0 and 101.00000000000001"),
        ("accuracy", np.nan, "accuracy 101.0 and nan"),
        ("cell", "0123456789abcdef", "cell '[0-9a-f]{16}' and '0123456789abcdef'"),
        ("arguments", "{}", "arguments '.*' and '{}'"),
        ("part", '{"n_probe": 1}', "part '{}' and '{\"n_probe\": 1}'"),
    ],
)
def test_values_are_compared_bit_for_bit(cube, name, value, text):
    cube["part"] = cube.part.astype("U20")
    with pytest.raises(ValueError, match=f": {text} in a.nc and b.nc"):
        merge([cube, changed(cube, value, name)], ["a.nc", "b.nc"])


def test_minus_zero_is_not_zero_but_nan_is_nan(cube):
    labels = {"factor": "a", "relation": "same", "seed": 0}
    with pytest.raises(ValueError, match=r"accuracy 0\.0 and -0\.0 in"):
        merge([cube, changed(cube, -0.0, **labels)], ["a.nc", "b.nc"])
    nan = changed(cube, np.nan)
    xr.testing.assert_identical(merge([nan, nan], ["a.nc", "b.nc"])[0], nan)


def test_variable_that_only_one_cube_has(cube):
    more = cube.assign(more=cube.accuracy.where(cube.seed == 0), n=(cube.seed - 1 + 0 * cube.status).astype(np.int8))
    with pytest.raises(ValueError, match=r"4 in all: factor=a,relation=same,seed=0: more 0\.0 and nothing in a\.nc"):
        merge([more.drop_vars("n"), cube], ["a.nc", "b.nc"])
    with pytest.raises(
        ValueError, match=r"4 in all: factor=a,relation=same,seed=1: n nothing and 0 in a\.nc and b\.nc"
    ):
        merge([cube, more.drop_vars("more")], ["a.nc", "b.nc"])  # -1, of seed 0, is no value
    with pytest.raises(ValueError, match=r"8 in all: factor=a,relation=same,seed=0: more in a\.nc and b\.nc"):
        merge([cube.assign(more=cube.accuracy.expand_dims(new=2)), cube], ["a.nc", "b.nc"])
    merged, _ = merge([forget(cube, seed=0), more.sel(seed=[0])], ["a.nc", "b.nc"])
    xr.testing.assert_identical(merged.more, more.more)
    np.testing.assert_array_equal(merged.n.transpose("seed", ...), np.full((2, 2, 2), -1))
    assert merged.n.dtype == np.int8


# what must agree


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda c: c.assign_attrs(settings='{"n": 2, "w": [3]}'), "b.nc belongs to other settings than a.nc (n, w d"),
        (lambda c: c.assign_attrs(title="Toys"), "attribute title: 'toys' in a.nc, 'Toys' in b.nc"),
        (lambda c: c.assign_attrs(note="x"), "attribute note: not there in a.nc, 'x' in b.nc"),
        (lambda c: c.drop_vars("status"), "b.nc has no variable 'status': it is not a study's cube"),
        (lambda c: c.drop_vars("message"), "b.nc has no variable 'message': it is not a study's cube"),
        (lambda c: c.assign_attrs(settings="n=1"), "b.nc has no attribute 'settings' in JSON: it is not a study's"),
        (lambda c: c.assign_attrs(settings=1), "b.nc has no attribute 'settings' in JSON: it is not a study's"),
        (lambda c: c.assign_attrs(origins="[0]"), "b.nc has no attribute 'origins' in JSON: it is not a study's"),
        (lambda c: c.assign_attrs(origins="{}"), "b.nc has no attribute 'origins' in JSON: it is not a study's"),
        (lambda c: c.assign(origin=c.origin + 1), "b.nc has origin [1], expected -1 to 0"),
        (lambda c: c.assign(origin=c.origin - 2), "b.nc has origin [-2], expected -1 to 0"),
        (lambda c: c.isel(seed=[0, 0]), "b.nc has labels [0, 0] of seed, expected distinct labels"),
        (lambda c: c.drop_vars("seed"), "b.nc has labels [0, 1] of seed, expected distinct labels"),
        (lambda c: c.assign_coords(seed=["0", "1"]), "seed type: 'number' in a.nc, 'string' in b.nc"),
        (lambda c: c.assign_coords(level=("factor", [1, 3])), "level of factor=b is 2 in a.nc, 3 in b.nc"),
        (lambda c: c.drop_vars("level"), "b.nc has no coordinate level, but a.nc has"),
        (lambda c: c.drop_vars("category"), "b.nc has no coordinate category, but a.nc has"),
        (lambda c: c.reset_coords("category"), "b.nc has category over ('transformation',), which does not"),
        (lambda c: c.assign_coords(more=1), "a.nc has no coordinate more, but b.nc has"),
        (
            lambda c: c.assign(used=c.used.drop_vars(["transformation", "category"]).rename(transformation="step")),
            "used sizes: {'transformation': 2} in a.nc, {'step': 2} in b.nc",
        ),
        (lambda c: c.isel(transformation=[0]), "category sizes: {'transformation': 2} in a.nc, {'transformation': 1}"),
        (lambda c: c.isel(transformation=[1, 0]), "category labels: ['geometric', 'photometric'] in a.nc, ['photo"),
        (lambda c: c.isel(seed=0, drop=True), "b.nc has accuracy over ('factor', 'relation'), which does not fit"),
        (lambda c: c.assign(x=("factor", [1, 2])), "b.nc has x over ('factor',), which does not fit the grid, ('f"),
        (lambda c: c.assign(word=c.word == "x"), "b.nc has word of dtype bool, expected numbers or strings"),
        (
            lambda c: c.assign(accuracy=c.accuracy.assign_attrs(units="percent")),
            "accuracy units: '1' in a.nc, 'percent' in b.nc",
        ),
    ],
)
def test_what_does_not_agree_is_named(rich_cube, make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        merge([rich_cube, make(rich_cube)], ["a.nc", "b.nc"])


def test_coordinate_of_one_cube_is_a_variable_of_another():
    a = assemble([{"seed": 0}], [xr.Dataset({"level": 2.0})], {"seed": [0]})
    a = a.assign(origin=a.status - 1).assign_attrs(settings="{}", origins="[{}]")
    with pytest.raises(ValueError, match=r"^level is: 'variable' in a\.nc, 'coordinate' in b\.nc$"):
        merge([a, a.set_coords("level")], ["a.nc", "b.nc"])


def test_no_cubes():
    with pytest.raises(ValueError, match="cubes is empty, expected at least one"):
        merge([], [])


def test_variables_that_are_described_in_other_words(cube):
    halves = [cube.sel(seed=[seed]) for seed in cube.seed.values.tolist()]
    for half, words in zip(halves, ("of a", "of b"), strict=False):
        half["accuracy"] = half.accuracy.assign_attrs(long_name=words)
    names = [f"{i}.nc" for i in range(len(halves))]
    merged, notes = merge(halves[:2], names[:2])
    assert merged.accuracy.attrs["long_name"] == "of a"
    assert notes == ["accuracy is 'of a' in 0.nc, which is kept, and 'of b' in 1.nc"]
    merged, _ = merge(halves[1::-1], names[1::-1])  # whichever comes first in the cube
    assert merged.accuracy.attrs["long_name"] == "of b"


def test_attributes_of_coordinates_are_kept(cube):
    cube = cube.assign_coords(seed=("seed", [0, 1], {"units": "1", "long_name": "of weights"}))
    xr.testing.assert_identical(merge([cube, cube], "ab")[0], cube)


# published cubes


@pytest.mark.parametrize("name", ["factors", "relevance", "fine_tuning", "invariance_transfer"])
def test_published_cube_is_merged_from_its_seeds(name):
    whole = read(CUBES / f"{name}.nc")
    whole.attrs.pop("claims", None)  # which are of all seeds, and not merged
    whole = whole.isel({dim: slice(4) for dim in whole.status.dims if dim != "seed"})  # some of all places
    cube = merge_without_notes([whole.isel(seed=part) for part in (slice(2, None), [0, 1])], ["2.nc", "01.nc"])
    xr.testing.assert_identical(cube.assign_attrs(date_created=whole.attrs["date_created"]), whole)
    assert list(cube.data_vars) == list(whole.data_vars)
