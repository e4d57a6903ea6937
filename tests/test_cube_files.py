"""Writing, reading and assembling cells whose digits show where they belong, and provenance."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from disk_errors import fail_on_disk
from toy_studies import grid, number

from invtransfer.cubes.assembly import assemble
from invtransfer.cubes.files import have_same_bits, load_cube, read, write
from invtransfer.storage import DamagedFileError

CELLS, GRID = grid()
POINTS = [point for point, _ in CELLS]


def cell(value, **more):
    return xr.Dataset({"accuracy": ((), float(value), {"long_name": "accuracy", "units": "1"})} | more)


# writing


def test_round_trip(tmp_path):
    dataset = xr.Dataset(
        {
            "accuracy": ("seed", [0.1, np.nan], {"units": "1", "long_name": "accuracy"}),
            "single": ("seed", np.array([0.1, 2], np.float32)),
            "used": ("seed", np.array([-1, 1], np.int8)),
            "message": ("seed", ["", "größer"]),
        },
        {"seed": [0, 1], "strength": ("seed", [0.5, 1.5])},
        {"title": "cube", "threads": 2},
    )
    write(dataset, tmp_path / "cube.nc")
    back = read(tmp_path / "cube.nc")
    xr.testing.assert_identical(back, dataset)
    assert {name: back[name].dtype for name in back.variables} == {n: dataset[n].dtype for n in dataset.variables}
    assert os.listdir(tmp_path) == ["cube.nc"]


def test_no_fill_value_where_nothing_can_be_missing_by_accident(tmp_path):
    write(xr.Dataset({"accuracy": ("strength", [np.nan])}, {"strength": [0.5]}), tmp_path / "cube.nc")
    with netCDF4.Dataset(tmp_path / "cube.nc") as file:  # CF forbids _FillValue on coordinates
        assert [file[name].ncattrs() for name in ("accuracy", "strength")] == [[], []]
        file.set_auto_mask(False)
        assert np.isnan(file["accuracy"][0])


def test_the_dataset_is_left_as_it_is(tmp_path):
    write(cell(1), tmp_path / "a.nc")
    dataset = read(tmp_path / "a.nc")
    before = dict(dataset.accuracy.encoding)
    assert before
    write(dataset, tmp_path / "b.nc")
    assert dataset.accuracy.encoding == before


def test_strings_that_grow_after_reading_are_whole(tmp_path):
    write(xr.Dataset({"message": ("seed", ["a", "b"])}), tmp_path / "cube.nc")
    short = read(tmp_path / "cube.nc")
    long = short.copy(data={"message": np.array(["a", "longer"])})
    assert long.message.encoding == short.message.encoding  # which says: one character
    write(long, tmp_path / "cube.nc")
    assert read(tmp_path / "cube.nc").message.values.tolist() == ["a", "longer"]


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_failed_write_leaves_what_was_there(tmp_path, monkeypatch, error, old):
    def fail(dataset, path, **more):
        Path(path).write_bytes(b"\x89HDF half")
        raise error

    if old:
        write(cell(1), tmp_path / "cell.nc")
    monkeypatch.setattr(xr.Dataset, "to_netcdf", fail)
    with pytest.raises(type(error)):
        write(cell(2), tmp_path / "cell.nc")
    assert os.listdir(tmp_path) == (["cell.nc"] if old else [])
    if old:
        assert read(tmp_path / "cell.nc").accuracy == 1


def test_attribute_that_netcdf_cannot_hold_leaves_what_was_there(tmp_path):
    write(cell(1), tmp_path / "cell.nc")
    with pytest.raises(TypeError, match="the dataset has the attribute 'nothing' = None, expected"):
        write(cell(2).assign_attrs(nothing=None), tmp_path / "cell.nc")
    assert os.listdir(tmp_path) == ["cell.nc"]
    assert read(tmp_path / "cell.nc").accuracy == 1


# reading


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.nc does not exist"):
        read(tmp_path / "none.nc")


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "cell.nc"
    write(cell(1), path)
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[: len(whole) // 2], "text": b"accuracy,0.5\n", "empty": b""}[damage])
    with pytest.raises(DamagedFileError, match=r"cell\.nc cannot be read as netCDF: "):
        read(path)
    assert issubclass(DamagedFileError, ValueError)


def test_file_is_closed_after_reading(tmp_path):
    write(cell(1), tmp_path / "cell.nc")
    dataset = read(tmp_path / "cell.nc")
    (tmp_path / "cell.nc").write_bytes(b"")
    assert dataset.accuracy == 1


# assembling


def test_each_number_is_in_its_place():
    order = np.random.default_rng(0).permutation(len(POINTS))  # the order of the cells says nothing
    cube = assemble([POINTS[i] for i in order], [cell(number(**POINTS[i])) for i in order], GRID)
    assert cube.accuracy.dims == ("factor", "relation", "seed")
    # factor a: relation same [0, 100] over seeds, disjoint [10, 110]; factor b is 1 more
    np.testing.assert_array_equal(cube.accuracy.sel(factor="a"), [[0, 100], [10, 110]])
    np.testing.assert_array_equal(cube.accuracy.sel(factor="b"), [[1, 101], [11, 111]])
    assert cube.accuracy.attrs == {"long_name": "accuracy", "units": "1"}
    assert (cube.status == 1).all()
    assert (cube.message == "").all()
    for point in POINTS:
        assert cube.accuracy.sel(point) == number(**point)


def test_dimensions_of_the_cells_come_last_with_their_coordinates():
    def with_vector(point):
        base = number(**point)
        vector = ("transformation", base + np.array([1000, 2000]), {"units": "1"})
        return cell(base, sensitivity=vector).assign_coords(
            transformation=["rotate", "blur"], category=("transformation", ["geometric", "corruption"])
        )

    cube = assemble(POINTS, [with_vector(point) for point in POINTS], GRID)
    assert cube.sensitivity.dims == ("factor", "relation", "seed", "transformation")
    assert cube.sensitivity.sel(factor="b", relation="disjoint", seed=1, transformation="blur") == 2111
    assert cube.category.sel(transformation="blur") == "corruption"
    assert cube.sensitivity.attrs == {"units": "1"}


def test_further_coordinates_lie_along_a_dimension():
    coordinates = {"factor": ["w=1", "w=2"], "level": ("factor", ["1", "2"]), "seed": [0]}
    cube = assemble([{"factor": "w=2", "seed": 0}], [cell(5)], coordinates)
    assert cube.sizes == {"factor": 2, "seed": 1}
    assert cube.accuracy.swap_dims(factor="level").sel(level="2", seed=0) == 5
    np.testing.assert_array_equal(cube.accuracy, [[np.nan], [5]])


def test_places_may_share_a_cell():
    cube = assemble([{"seed": 0}, {"seed": 2}], [cell(7)] * 2, {"seed": [0, 1, 2]})
    np.testing.assert_array_equal(cube.accuracy, [7, np.nan, 7])


def test_what_is_not_there_is_nan_minus_one_or_empty():
    whole = cell(
        0.5, used=("transformation", np.array([0, 1], np.int8)), word=((), "word"), single=((), np.float32(0.5))
    )
    failed = xr.Dataset(attrs={"message": "ValueError: no", "traceback": "Traceback"})
    cube = assemble([{"seed": i} for i in range(3)], [failed, whole, None], {"seed": [0, 1, 2]})
    np.testing.assert_array_equal(cube.accuracy, [np.nan, 0.5, np.nan])
    np.testing.assert_array_equal(cube.used, [[-1, -1], [0, 1], [-1, -1]])
    assert cube.word.values.tolist() == ["", "word", ""]
    assert [cube[name].dtype for name in ("accuracy", "single", "used", "status")] == ["f8", "f4", "i1", "i1"]
    assert cube.status.values.tolist() == [2, 1, 0]
    assert cube.message.values.tolist() == ["ValueError: no", "", ""]


def test_status_explains_itself_as_cf_flags(tmp_path):
    write(assemble([], [], {"seed": [0, 1]}), tmp_path / "cube.nc")
    status = read(tmp_path / "cube.nc").status
    assert status.dtype == status.attrs["flag_values"].dtype == np.int8  # CF: flag_values have the variable's type
    meanings = dict(zip(status.attrs["flag_values"].tolist(), status.attrs["flag_meanings"].split(), strict=True))
    assert meanings == {0: "missing", 1: "done", 2: "failed"}
    assert status.values.tolist() == [0, 0]
    assert {"units", "long_name"} <= status.attrs.keys()


def test_strings_are_as_long_as_the_longest_cell_has_them():
    cells = [xr.Dataset({"word": ((), text)}) for text in ("a", "growing", "ab")]
    cube = assemble([{"seed": i} for i in range(3)], cells, {"seed": [0, 1, 2]})
    assert cube.word.values.tolist() == ["a", "growing", "ab"]


@pytest.mark.parametrize("numbers", [(1, 0.5), (0.5, 1), (np.int8(1), np.int64(1000)), (np.float32(1), 1e300)])
def test_numbers_of_different_types_are_not_rounded(numbers):
    cells = [xr.Dataset({"x": ((), value)}) for value in numbers]
    cube = assemble([{"seed": 0}, {"seed": 1}], cells, {"seed": [0, 1]})
    assert cube.x.values.tolist() == list(numbers)


def test_variables_that_only_some_cells_have():
    cube = assemble([{"seed": 0}, {"seed": 1}], [cell(1), cell(2, more=((), 3.0))], {"seed": [0, 1]})
    np.testing.assert_array_equal(cube.accuracy, [1, 2])
    np.testing.assert_array_equal(cube.more, [np.nan, 3])


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (xr.Dataset({"x": ("t", [1.0])}), r"x has \{'t': 1\} in one cell, \{'t': 2\} in another"),
        (xr.Dataset({"x": ("u", [1.0, 2])}), r"x has \{'u': 2\} in one cell, \{'t': 2\} in another"),
        (xr.Dataset({"x": ((), 1.0)}), r"x has \{\} in one cell, \{'t': 2\} in another"),
        (xr.Dataset({"x": ("t", [1.0, 2])}), "x has other coordinates in one cell than in another"),
    ],
)
def test_cells_that_disagree(second, message):
    first = xr.Dataset({"x": ("t", [1.0, 2])}, {"t": ["a", "b"]})
    with pytest.raises(ValueError, match=message):
        assemble([{"seed": 0}, {"seed": 1}], [first, second], {"seed": [0, 1]})


def test_cells_of_other_units():
    cells = [xr.Dataset({"x": ((), 1.0, {"units": unit, "long_name": unit})}) for unit in ("s", "ms", "s")]
    cells[2].x.attrs["long_name"] = "in other words"
    points = [{"seed": 0}, {"seed": 1}]
    assert assemble(points, cells[::2], {"seed": [0, 1]}).x.attrs["units"] == "s"
    with pytest.raises(ValueError, match="x has the units 'ms' in one cell, 's' in another"):
        assemble(points, cells[:2], {"seed": [0, 1]})


def test_cells_with_other_labels_along_a_dimension_of_their_own():
    layers = [["a", "b"], ["b", "c", "a"], ["c"]]
    cells = [
        xr.Dataset({"x": ("layer", np.arange(len(names)) + 10.0 * i), "n": ("layer", names)}, {"layer": names})
        for i, names in enumerate(layers)
    ]
    cube = assemble([{"model": i} for i in range(4)], [*cells, None], {"model": [0, 1, 2, 3]})
    assert cube.layer.values.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(cube.x[:3], [[0, 1, np.nan], [12, 10, 11], [np.nan, np.nan, 20]])
    assert cube.n.values.tolist() == [["a", "b", ""], ["a", "b", "c"], ["", "", "c"], ["", "", ""]]


def test_label_that_is_not_in_the_grid():
    with pytest.raises(ValueError, match=r"2 is not a label of seed: \[0, 1\]"):
        assemble([{"seed": 2}], [cell(1)], {"seed": [0, 1]})


@pytest.mark.parametrize("value", [True, np.uint8(1)])
def test_variable_without_a_value_for_missing(value):
    with pytest.raises(ValueError, match="x has dtype (bool|uint8), expected floats, signed integers or strings"):
        assemble([{"seed": 0}], [xr.Dataset({"x": ((), value)})], {"seed": [0]})


def test_points_without_cells():
    with pytest.raises(ValueError, match="shorter"):
        assemble([{"seed": 0}], [], {"seed": [0]})


# comparing


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([1.0, np.nan], [1.0, -np.nan], True),  # one NaN is any other
        ([1.0, np.nan], [np.nan, 1.0], False),
        (0.0, -0.0, False),
        (np.float32(0.5), np.float64(0.5), False),
        (np.int8(1), np.int64(1), False),
        (np.int64(1), np.int64(1), True),
        (0.1 + 0.2, 0.3, False),  # the last bit
        (["a", "bc"], ["a", "bc"], True),
        (np.array(["a"], "U1"), np.array(["a"], "U9"), True),  # as much room as another cell's string needs
        (["a"], ["b"], False),
        ([1.0], 1.0, False),
        ([1.0, 2.0], [1.0], False),
        (np.array(["1"]), np.array([1.0]), False),
    ],
)
def test_same_bits(one, other, same):
    assert have_same_bits(one, other) is same
    assert have_same_bits(other, one) is same


def test_cube_that_is_loaded_can_be_selected_by_further_coordinates(tmp_path):
    coordinates = {
        "factor": ["width=1", "width=2", "depth=9"],
        "factor_name": ("factor", ["width", "width", "depth"]),
        "level": ("factor", ["1", "2", "9"]),
        "seed": [0, 1],
    }
    cube = xr.Dataset({"accuracy": (("factor", "seed"), np.arange(6.0).reshape(3, 2))}, coordinates)
    write(cube, tmp_path / "cube.nc")
    loaded = load_cube(tmp_path / "cube.nc")
    assert loaded.accuracy.sel(factor_name="width", seed=1).values.tolist() == [1, 3]
    assert loaded.accuracy.sel(level="9", seed=0) == 4
    assert loaded.accuracy.sel(factor="width=2", seed=0) == 2
    xr.testing.assert_identical(loaded.drop_indexes(["factor_name", "level"]), cube)


def test_labels_of_earlier_versions_are_those_of_today(tmp_path):
    old = {
        "factor": ["correlation=0.2", "reference=C/C"], "level": ("factor", ["0.2", "C/C"]),
        "pretraining": ["C+O/C", "untrained"], "target": ["C+O/O", "O/O"], "changed": ["C", "O"], "seed": [0],
    }  # fmt: skip
    accuracy = (("factor", "pretraining", "target", "changed", "seed"), np.arange(16.0).reshape(2, 2, 2, 2, 1))
    write(xr.Dataset({"accuracy": accuracy}, old), tmp_path / "cube.nc")
    cube = load_cube(tmp_path / "cube.nc")
    labels = {name: cube[name].values.tolist() for name in old}
    assert labels == {
        "factor": ["correlation=0.2", "reference=images alone"], "level": ["0.2", "images alone"],
        "pretraining": ["images with objects", "untrained"], "target": ["objects on images", "objects alone"],
        "changed": ["image", "object"], "seed": [0],
    }  # fmt: skip
    assert (
        cube.accuracy.sel(level="images alone", pretraining="untrained", target="objects alone").sel(
            changed="object", seed=0
        )
        == 15
    )
    assert read(tmp_path / "cube.nc").level.values.tolist() == ["0.2", "C/C"]


def test_a_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "cell.nc"
    write(xr.Dataset({"accuracy": ("pair", np.array([0.571, 0.25]))}), path)
    data = bytearray(path.read_bytes())
    place = data.index(np.array([0.571, 0.25]).tobytes())
    data[place + 6] ^= 0x10  # in the exponent: 0.571 becomes another number
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match=r"cell\.nc holds other values than were written: its checksum differs"):
        read(path)


def test_an_attribute_that_was_changed_is_noticed(tmp_path):
    dataset = xr.Dataset({"accuracy": ("pair", [0.5], {"units": "1"})}, attrs={"settings": "{}", "threads": 1})
    for name in ("settings", "threads", "units"):
        write(dataset, tmp_path / "cell.nc")
        read(tmp_path / "cell.nc")
        with netCDF4.Dataset(tmp_path / "cell.nc", "a") as file:
            setattr(file["accuracy"] if name == "units" else file, name, 2 if name == "threads" else "{ }")
        with pytest.raises(DamagedFileError, match=r"cell\.nc holds other values than were written: its checksum"):
            read(tmp_path / "cell.nc")


def test_file_of_another_program_is_read_as_it_is(tmp_path):
    dataset = xr.Dataset({"temperature": ("x", [1.5, 2])}, attrs={"institution": "elsewhere"})
    dataset.to_netcdf(tmp_path / "foreign.nc", engine="netcdf4")
    xr.testing.assert_identical(read(tmp_path / "foreign.nc"), dataset)


def test_file_that_says_it_is_huge_is_not_loaded(tmp_path):
    with netCDF4.Dataset(tmp_path / "huge.nc", "w") as file:
        file.createDimension("x", 2**45)
        file.createVariable("accuracy", "f8", ("x",), chunksizes=[1024])
    with pytest.raises(DamagedFileError, match=r"huge\.nc cannot be read as netCDF: it has \d+ bytes, but says that"):
        read(tmp_path / "huge.nc")


def test_file_with_a_pickle_in_it_is_data(tmp_path):
    """An object of Python in a file is bytes, and stays so."""
    trap = tmp_path / "trap"
    payload = b"cos\nsystem\n(S'touch " + str(trap).encode() + b"'\ntR."
    dataset = xr.Dataset({"payload": ("x", np.frombuffer(payload, np.uint8))}, attrs={"pickle": payload.decode()})
    dataset.to_netcdf(tmp_path / "doctored.nc", engine="netcdf4")
    assert bytes(read(tmp_path / "doctored.nc").payload.values) == payload
    assert not trap.exists()


# disks


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE, errno.EIO, errno.EAGAIN, errno.ENOTDIR])
@pytest.mark.parametrize("when", ["opening", "reading"])
def test_an_error_of_the_disk_is_no_damage(tmp_path, monkeypatch, number, when):
    write(cell(1), tmp_path / "cell.nc")
    with monkeypatch.context() as patch:
        fail_on_disk(patch, tmp_path / "cell.nc", number, when)
        with pytest.raises(OSError, match=r"cell\.nc") as caught:
            read(tmp_path / "cell.nc")
        assert caught.value.errno == number
    assert read(tmp_path / "cell.nc").accuracy == 1


def test_a_folder_is_no_damaged_file(tmp_path):
    with pytest.raises(IsADirectoryError):
        read(tmp_path)


def test_what_another_program_writes_is_locked_and_not_damaged(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    write(cell(1), tmp_path / "cell.nc")
    with open(tmp_path / "cell.nc", "rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert read(tmp_path / "cell.nc").accuracy == 1  # still whole
        file.truncate(100)
        with pytest.raises(BlockingIOError, match=r"cell\.nc is locked by a program that writes it"):
            read(tmp_path / "cell.nc")
    with pytest.raises(DamagedFileError):
        read(tmp_path / "cell.nc")


def test_reading_needs_one_handle(tmp_path):
    resource = pytest.importorskip("resource")
    write(cell(1), tmp_path / "cell.nc")
    before, held = resource.getrlimit(resource.RLIMIT_NOFILE), []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
        with suppress(OSError):
            while True:
                held.append(open(os.devnull))  # noqa: SIM115
        with pytest.raises(OSError, match=r"Too many open files: .*cell\.nc"):
            read(tmp_path / "cell.nc")
        held.pop().close()
        assert read(tmp_path / "cell.nc").accuracy == 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for file in held:
            file.close()


# attributes


@pytest.mark.parametrize(
    "attributes",
    [
        {"units": "days since 2000-01-01"}, {"units": "days since 2000-01-01", "calendar": "noleap"},
        {"units": "hours since the beginning"}, {"units": "seconds"}, {"units": "days"}, {"units": "ns"},
        {"calendar": "360_day"}, {"valid_min": 1.0}, {"valid_range": np.array([0.0, 1.0])}, {"valid_max": 0},
        {"grid_mapping": "nowhere"}, {"bounds": "seed"}, {"ancillary_variables": "seed"},
        {"cell_methods": "seed: mean"},
        {"flag_values": np.int8([0, 1]), "flag_meanings": "no yes"}, {"größe": "µ"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("values", [[0.5, np.nan, 1e300], [0, -9, 7]])
def test_attributes_with_a_meaning_are_kept_literally(tmp_path, attributes, values):
    dataset = xr.Dataset({"x": ("seed", values, attributes), "word": ("seed", ["", "a", "é"])}, {"seed": [0, 1, 2]})
    write(dataset, tmp_path / "cell.nc")
    back = read(tmp_path / "cell.nc")
    xr.testing.assert_identical(back, dataset)
    assert have_same_bits(back.x.values, dataset.x.values)
    write(back, tmp_path / "again.nc")
    xr.testing.assert_identical(read(tmp_path / "again.nc"), dataset)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("_FillValue", 0.5), ("missing_value", -9.0), ("scale_factor", 2.0), ("add_offset", 1), ("_Unsigned", "true"),
        ("coordinates", "seed"), ("dtype", "bool"), ("flag", True), ("_Encoding", "utf-8"),
        ("CLASS", "first"), ("a/b", 1), ("nothing", None), ("code", b"x"), ("phase", 1j), ("large", 2**70),
    ],
)  # fmt: skip
@pytest.mark.parametrize("values", [[0.5, 1.5], [0, 1], ["a", "b"], [True, False]])
def test_attributes_that_cannot_be_kept_are_refused_by_name(tmp_path, attribute, value, values):
    dataset = xr.Dataset({"accuracy": ("x", values, {attribute: value})})
    with pytest.raises((TypeError, ValueError), match=f"accuracy has the attribute '{attribute}'") as caught:
        write(dataset, tmp_path / "cell.nc")
    assert not isinstance(caught.value, DamagedFileError)
    assert os.listdir(tmp_path) == []


def test_a_checksum_of_somebody_elses_is_not_replaced(tmp_path):
    with pytest.raises(
        ValueError, match="the dataset has the attribute 'checksum' with the value '1f', which a netCDF"
    ):
        write(cell(1).assign_attrs(checksum="1f"), tmp_path / "cell.nc")
    write(xr.Dataset({"accuracy": ((), 1.0, {"checksum": "1f"})}), tmp_path / "cell.nc")
    assert read(tmp_path / "cell.nc").accuracy.attrs["checksum"] == "1f"


def test_types_that_netcdf_lacks_come_back(tmp_path):
    dates = np.array(["2000-01-01", "2026-11-28"], "datetime64[ns]")
    dataset = xr.Dataset({"x": ("t", [0.5, 1.5]), "used": ("t", [True, False]), "gap": dates - dates[0]}, {"t": dates})
    dataset = dataset.assign(gap=("t", dates - dates[0]))
    write(dataset, tmp_path / "cell.nc")
    xr.testing.assert_identical(read(tmp_path / "cell.nc"), dataset)


# names


@pytest.mark.parametrize(
    "name", [b"gr\xc3\xb6\xc3\x9fe", b"gro\xcc\x88\xc3\x9fe", b"caf\xe9", "\u4e2d\u6587".encode(), b"a b'\"%#[0-9]*?"]
)  # precomposed, decomposed, Latin-1, Chinese, and what shells and patterns read
def test_names_in_any_encoding(tmp_path, name):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this disk takes no such name")
    path = folder / f"{folder.name}.nc"
    write(cell(1), path)
    write(cell(2), path)
    assert load_cube(path).accuracy == 2
    assert load_cube(os.fsencode(path)).accuracy == 2
    assert [os.fsencode(file.name) for file in folder.iterdir()] == [name + b".nc"]


def test_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write(cell(1), "~/cell.nc")
    assert read("~/cell.nc").accuracy == load_cube(Path("~/cell.nc")).accuracy == 1
    assert os.listdir(tmp_path) == ["cell.nc"]
