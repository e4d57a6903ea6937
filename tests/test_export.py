"""Cubes as tables: what pandas reads back is the cube, bit for bit, and each value is there once."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from toy_studies import failing, run

from invtransfer.cubes.assembly import STATUS
from invtransfer.cubes.export import export_csv, tabulate
from invtransfer.cubes.files import read
from invtransfer.storage import format_json

CUBES = Path(__file__).parent.parent / "data" / "cubes"


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """Eight toys; of the cell b same 1, which failed, the number 101 is missing."""
    folder = tmp_path_factory.mktemp("toys")
    return run(folder / "toys.nc", failing, unless=str(folder / "repaired"))


def exactly(text):
    """Read a float as Python does: pandas is exact by itself only from version 3.1 on."""
    return float(text) if text else np.nan


def read_tables(folder, stem):
    """Read all tables as the list of columns says."""
    columns = pd.read_csv(folder / f"{stem}-columns.csv", keep_default_na=False)
    tables = {}
    for name, rows in columns.groupby("table", sort=False):
        types = dict(zip(rows.column, rows.dtype, strict=True))
        tables[name] = pd.read_csv(
            folder / f"{name}.csv",
            dtype={c: object if dtype == "string" else dtype for c, dtype in types.items() if "float" not in dtype},
            converters={c: exactly for c, dtype in types.items() if "float" in dtype}, keep_default_na=False,
        )  # fmt: skip
        assert list(tables[name].columns) == rows.column.tolist()
    return columns, tables


def same_bits(one, other):
    """Compare values, all NaN being one: of the others, every bit."""
    if one.dtype.kind != "f":
        return np.array_equal(one, other)
    one, other = (np.where(np.isnan(values), np.nan, values) for values in (one, other))
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()


def assert_tables_are(cube, folder, stem):
    """Rebuild all variables of the cube from its tables."""
    columns, tables = read_tables(folder, stem)
    about = json.loads((folder / f"{stem}-attributes.json").read_text(encoding="utf-8"))["variables"]
    assert list(about) == list(cube.variables)
    found = []
    for table in tables.values():
        (dims,) = {tuple(about[column]["dims"]) for column in table if column in cube.data_vars}
        assert list(table.columns[: len(dims)]) == list(dims)
        labels = {dim: cube[dim].values for dim in dims}
        back = table.set_index(list(dims)).to_xarray().sel(labels)
        for column in table.columns[len(dims) :]:
            expected, values = cube[column], back[column]
            if "flag_values" in expected.attrs:
                words = expected.attrs["flag_meanings"].split()
                values = values.copy(data=np.vectorize(words.index)(values.values))
            if column in cube.coords:
                expected, values = xr.broadcast(expected, values)
            values = np.asarray(values.transpose(*expected.dims).values).astype(expected.dtype)
            assert same_bits(values, expected.values), column
            found.append(column)
    assert sorted(name for name in found if name in cube.data_vars) == sorted(cube.data_vars)  # each once
    assert set(found) | set(cube.dims) == set(cube.variables)
    return columns


# what is in the tables


def test_table_of_toys(toys):
    table = tabulate(toys, "toys")["toys"]
    assert table.columns.tolist() == [
        "factor", "relation", "seed", "accuracy", "status", "message", "cell", "arguments", "part", "origin",
    ]  # fmt: skip
    expected = [0, 100, 10, 110, 1, np.nan, 11, 111]  # factor b is worth 1, disjoint 10, seed 1 100
    np.testing.assert_array_equal(table.accuracy, expected)
    assert table.factor.tolist() == ["a"] * 4 + ["b"] * 4
    assert table.relation.tolist() == ["same", "same", "disjoint", "disjoint"] * 2
    assert table.seed.tolist() == [0, 1] * 4
    assert table.status.tolist() == ["done"] * 5 + ["failed"] + ["done"] * 2
    assert table.message[5] == "ZeroDivisionError: no samples"


def test_missing_is_a_word(tmp_path):
    cube = run(tmp_path / "half.nc", options={"shard": (1, 2)})
    assert tabulate(cube)["cube"].status.tolist() == ["done", "missing"] * 4


def test_each_set_of_dimensions_has_a_table_of_its_own():
    coords = {"seed": [0, 1], "step": [1, 2, 3], "name": ("seed", ["x", "y"]), "kind": ("step", list("abc")), "run": 7}
    number = 10 * np.arange(2)[:, None] + np.arange(3)  # seed in tens, step in units
    cube = xr.Dataset(
        {
            "status": ("seed", [1, 1]), "loss": (("seed", "step"), number), "gain": (("step", "seed"), -number.T),
            "epochs": ((), 5), "rate": ("step", [0.1, 0.2, 0.3]),
        },
        coords,
    )  # fmt: skip
    tables = tabulate(cube, "s")
    assert {name: table.columns.tolist() for name, table in tables.items() if name != "s-columns"} == {
        "s": ["seed", "name", "run", "status"],
        "s-step": ["seed", "step", "name", "kind", "run", "loss", "gain"],
        "s-without-seed": ["run", "epochs"],
        "s-step-without-seed": ["step", "kind", "run", "rate"],
    }
    assert tables["s-step"].loss.tolist() == [0, 1, 2, 10, 11, 12]
    assert tables["s-step"].gain.tolist() == [0, -1, -2, -10, -11, -12]  # stored the other way round
    assert tables["s-step"].name.tolist() == ["x"] * 3 + ["y"] * 3
    assert tables["s-step"].kind.tolist() == ["a", "b", "c"] * 2
    assert tables["s-without-seed"].epochs.tolist() == [5]


def test_coordinates_that_no_variable_has_and_dimensions_without_labels():
    cube = xr.Dataset({"loss": ("step", [0.5, 0.25])}, {"seed": [3, 4], "name": ("seed", ["x", "y"])})
    tables = tabulate(cube)
    assert list(tables) == ["cube-step", "cube-seed", "cube-columns"]
    assert tables["cube-seed"].to_dict("list") == {"seed": [3, 4], "name": ["x", "y"]}
    assert tables["cube-step"].to_dict("list") == {"step": [0, 1], "loss": [0.5, 0.25]}


def test_list_of_columns(toys):
    columns = tabulate(toys.assign(n=toys.status), "toys")["toys-columns"].set_index("column")
    assert columns.loc["accuracy"].tolist() == ["toys", "1", "digits", "float64", "empty"]
    assert columns.loc["seed"].tolist() == ["toys", "", "", "int64", ""]
    assert columns.loc["status"].tolist() == ["toys", "1", "state of the cell", "string", "empty"]
    assert columns.loc["origin", ["dtype", "no_value"]].tolist() == ["int32", "-1"]
    assert columns.loc["cell", ["dtype", "no_value"]].tolist() == ["string", "empty"]


def test_flags_without_a_word_stay_numbers():
    cube = xr.Dataset({"verdict": ("seed", np.array([0, 1, -1], np.int8))})
    flags = {"flag_values": np.arange(2, dtype=np.int8), "flag_meanings": "missed met"}
    assert tabulate(cube.assign(verdict=cube.verdict.assign_attrs(flags)))["cube-seed"].verdict.tolist() == [
        "missed", "met", "-1",
    ]  # fmt: skip
    flags["flag_meanings"] = "missed"
    assert tabulate(cube.assign(verdict=cube.verdict.assign_attrs(flags)))["cube-seed"].verdict.tolist() == [0, 1, -1]


@pytest.mark.parametrize("dims", [("columns",), ("attributes",), ("a-b",)])
def test_tables_of_the_same_name(dims):
    cube = xr.Dataset({"x": (dims, [1]), "y": (("a", "b"), [[1]])})
    with pytest.raises(ValueError, match=r"dimensions are \(.*\), but there is another table or file cube-.*: rename"):
        tabulate(cube)


# what pandas reads back


def test_toys_are_read_back(toys, tmp_path):
    paths = export_csv(toys, tmp_path, "toys")
    assert [path.name for path in paths] == ["toys.csv", "toys-columns.csv", "toys-attributes.json"]
    assert sorted(os.listdir(tmp_path)) == sorted(path.name for path in paths)
    assert_tables_are(toys, tmp_path, "toys")
    lines = paths[0].read_bytes().decode().split("\r\n")
    assert lines[1].startswith("a,same,0,0.0,done,,")
    assert lines[6].startswith("b,same,1,,failed,ZeroDivisionError: no samples,")
    assert lines[9:] == [""]


@pytest.mark.parametrize("name", sorted(path.stem for path in CUBES.glob("*.nc")))
def test_published_cubes_are_read_back(name, tmp_path):
    cube = read(CUBES / f"{name}.nc")
    cube = cube.isel({dim: slice(9) for dim in cube.dims if dim == "image"})  # all have the same columns
    export_csv(cube, tmp_path, name)
    columns = assert_tables_are(cube, tmp_path, name)
    for row in columns.itertuples():
        assert (str(row.units), row.long_name) == tuple(
            cube[row.column].attrs.get(key, "") for key in ("units", "long_name")
        )


def test_hard_values_are_read_back(tmp_path):
    tiny, floats = np.finfo(float).tiny, [0.1 + 0.2, -0.0, 5e-324, np.inf, -np.inf, np.nan, 1e22, 1 / 3]
    strings = ["", "größer, 界", 'a "quote"', "two\nlines", "car\rriage", " spaces ", "nan", "1e5"]
    cube = xr.Dataset(
        {
            "double": ("place", floats), "single": ("place", np.array(floats, np.float32)),
            "text": ("place", strings), "whole": ("place", np.array([2**62 + 1, *range(-1, 6)])),
            "byte": ("place", np.arange(-4, 4, dtype=np.int8)), "matrix": (("place", "k"), np.full((8, 2), tiny / 3)),
        },
        {"place": strings, "k": [0.1, np.nextafter(0.1, 1)], "strength": ("place", np.linspace(0, 1, 8))},
    )  # fmt: skip
    export_csv(cube, tmp_path, "hard")
    assert_tables_are(cube, tmp_path, "hard")


def test_attributes_are_there_and_settings_can_be_looked_up(toys, tmp_path):
    export_csv(
        toys.assign_attrs(note="[no json", number=1.5, list=np.array([1, 2]), plain='{"b": 1,"a": 2}'), tmp_path, "t"
    )
    about = json.loads((tmp_path / "t-attributes.json").read_text(encoding="utf-8"))
    attributes = about["attributes"]
    assert attributes["settings"] == {"n": 1}
    assert attributes["origins"][0]["threads"] == attributes["threads"] == 1
    assert format_json(attributes["versions"]) == toys.attrs["versions"]
    assert attributes["note"] == "[no json"
    assert (attributes["number"], attributes["list"]) == (1.5, [1, 2])
    assert attributes["plain"] == '{"b": 1,"a": 2}'  # taken apart, it could not be put together again
    assert attributes.keys() == toys.attrs.keys() | {"note", "number", "list", "plain"}
    assert about["variables"]["status"] == {
        "dims": ["factor", "relation", "seed"], "dtype": "|i1",
        "attributes": {
            "flag_values": [0, 1, 2], "flag_meanings": " ".join(STATUS), "long_name": "state of the cell", "units": "1",
        },
    }  # fmt: skip


# files


def test_files_that_exist_are_replaced_only_if_asked(toys, tmp_path):
    (tmp_path / "toys.csv").write_text("precious")
    (tmp_path / "toys-other.csv").write_text("other")
    with pytest.raises(
        FileExistsError, match=r"^.*toys\.csv exist: choose another folder, move them away, or overwrite"
    ):
        export_csv(toys, tmp_path, "toys")
    assert sorted(os.listdir(tmp_path)) == ["toys-other.csv", "toys.csv"]
    assert (tmp_path / "toys.csv").read_text() == "precious"
    export_csv(toys, tmp_path, "toys", overwrite=True)
    assert_tables_are(toys, tmp_path, "toys")
    assert (tmp_path / "toys-other.csv").read_text() == "other"


def test_folder_is_made(toys, tmp_path):
    paths = export_csv(toys, tmp_path / "new" / "folder", "toys")
    assert all(path.exists() for path in paths)
    with pytest.raises(OSError, match=r"cannot write .*toys-attributes\.json"):
        export_csv(toys, paths[0], "toys")  # a file


def test_table_that_cannot_be_written_leaves_no_half(toys, tmp_path, monkeypatch):
    def half(table, path, **more):
        Path(path).write_text("half")
        raise OSError("disk full")

    (tmp_path / "toys.csv").write_text("precious")
    monkeypatch.setattr(pd.DataFrame, "to_csv", half)
    with pytest.raises(OSError, match="disk full"):
        export_csv(toys, tmp_path, "toys", overwrite=True)
    assert os.listdir(tmp_path) == ["toys.csv"]
    assert (tmp_path / "toys.csv").read_text() == "precious"
