"""The command ``invtransfer page``: what is on a page, and what a browser makes of it."""

import base64
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_study
import xarray as xr
from browser import open_browser
from synthetic_advice import make_advice

from invtransfer import SensitivityScorer
from invtransfer.__main__ import main
from invtransfer.analysis import format_table
from invtransfer.cubes.files import read, write
from invtransfer.pages.layout import Picture, Table, Verbatim, make_page
from invtransfer.pages.profiles import make_profile_page
from invtransfer.pages.studies import format_study_command, split_tables
from invtransfer.paper import load_study
from invtransfer.paper import main as main_of_study

ROOT = Path(__file__).parent.parent
EVIL = "<script>alert(1)</script>"
ORIGIN = {"git_commit": "1f2e3d", "threads": 2, "hardware": {"processor": "A & B"}, "versions": {"torch": "2.9"}}
SETTINGS = {"images": "my photos 0a1b", "n_pairs": 8, "size": 64, "layers": "blocks", "strengths": [0.5, 1.0],
            "weights": "random", "layer": None}  # fmt: skip


class Page(HTMLParser):
    """Texts of a page by the element that they are in, and its tables."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tables, self.texts, self.images, self.tags = [], [], {}, [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("th", "td"):
            self.tables[-1][-1].append("")
        if tag == "img":
            self.images.append(dict(attributes))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("th", "td"):
            self.tables[-1][-1][-1] += data
        elif self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def table(self, *heads):
        """Return the rows of the one table with these heads, as dicts."""
        (found,) = (table for table in self.tables if set(heads) <= set(table[0]))
        return [dict(zip(found[0], row, strict=True)) for row in found[1:]]


def make_profile(layers=None, strengths=None, then=None, evil=False, **attributes):
    """Return a profile of two encoders, whose sensitivities are 0.001 x their number in the array."""
    encoders, names = ["vit", "resnet"], [EVIL if evil else "h_flip", "rotate", "blur"]
    labels = {"encoder": encoders, "layer": layers, "transformation": names, "strength": strengths}
    labels = {dim: values for dim, values in labels.items() if values is not None}
    values = 0.001 * np.arange(np.prod([len(values) for values in labels.values()]))
    values = xr.DataArray(values.reshape([len(values) for values in labels.values()]), labels, list(labels))
    profile = xr.Dataset({"sensitivity": values, "sensitivity_low": values - 0.1, "sensitivity_high": values + 0.1})
    profile["abx"] = values.assign_attrs(long_name="how often it is nearer")
    profile = profile.assign_coords(category=("transformation", ["geometric", "geometric", "corruption"]))
    profile["status"] = xr.DataArray([[1, 1, 1], [1, 1, 2]], dims=("encoder", "transformation"))
    profile["message"] = xr.DataArray([["", "", ""], ["", "", EVIL]], dims=("encoder", "transformation"))
    profile["sensitivity"][{"encoder": 1, "transformation": 2}] = np.nan
    if then is not None:
        profile = profile.assign_coords(then=then)
        dims = [dim for dim in labels if dim != "strength"]
        together = profile.abx.isel(strength=-1, drop=True) if strengths else profile.abx
        together = together.expand_dims(then=then, axis=-1)
        for name, shift in (("together", 0), ("interaction", -0.001)):
            for end, by in (("", 0.0), ("_low", -0.1), ("_high", 0.1)):
                profile[name + end] = (together + shift + by).transpose(*dims, "then")
        profile["kind"] = xr.full_like(profile.together, "covering", dtype="U8")
    origin = attributes or {"settings": json.dumps(SETTINGS), "origins": json.dumps([ORIGIN]), "date_created": "2026"}
    return profile.assign_attrs(origin)


@pytest.fixture(scope="module")
def page_text():
    """The page of a profile with little in it, with its figure."""
    return make_profile_page(make_profile())


@pytest.fixture
def leave_out_figures(monkeypatch):
    """Return a function after whose call pages have no figures, which take most of the time."""
    return lambda: monkeypatch.setitem(sys.modules, "matplotlib", None)


def test_strengths_that_are_no_numbers_are_named():
    profile = make_profile(strengths=["weak", "strong"])
    with pytest.raises(ValueError, match=r"strength has the labels \['weak', 'strong'\], expected numbers"):
        make_profile_page(profile)


def test_links_lead_to_the_sections_of_a_long_page():
    titles = ["One & all", "Two", "Three"]
    page = make_page("title", "lead", [(title, [f"text of {title}"]) for title in titles])
    links = re.findall(r'<a href="#(.*?)">(.*?)</a>', page)
    assert [title for _, title in links] == ["One &amp; all", "Two", "Three"]
    for target, title in links:
        assert page.count(f'id="{target}"') == 1
        assert f'<section id="{target}">\n<h2>{title}</h2>' in page
    assert "<nav" not in make_page("title", "lead", [("One", []), ("Two", [])])  # which are seen at a glance


@pytest.mark.parametrize("layers", [None, "blocks"])
def test_a_page_of_one_encoder_without_a_name(layers):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU(), torch.nn.Conv2d(2, 4, 3))
    X = np.random.default_rng(0).integers(256, size=(6, 8, 8, 3), dtype=np.uint8)
    scorer = SensitivityScorer(network, transformations=["rotate"], layers=layers, random_state=0).fit(X)
    page = Page(make_profile_page(scorer.profile_))
    (row,) = page.table("transformation", "the encoder")
    assert row["transformation"] == "rotate"


def test_what_is_on_the_page_of_a_profile():
    page = Page(make_profile_page(make_profile(), "mine.nc"))
    rows = page.table("transformation", "vit", "resnet")
    assert rows == [
        {"transformation": "h_flip", "vit": "0.000 (-0.100 to 0.100)", "resnet": "0.003 (-0.097 to 0.103)",
         "category": "geometric"},
        {"transformation": "rotate", "vit": "0.001 (-0.099 to 0.101)", "resnet": "0.004 (-0.096 to 0.104)",
         "category": "geometric"},
        {"transformation": "blur", "vit": "0.002 (-0.098 to 0.102)", "resnet": "failed", "category": "corruption"},
    ]  # fmt: skip
    assert page.table("ABX")[4] == {"transformation": "rotate", "encoder": "resnet", "ABX": "0.004"}
    points = page.texts["li"]
    assert points[0] == (
        "vit changes most with blur: 0.002 (-0.098 to 0.102), and least with h_flip: 0.000 (-0.100 to 0.100)."
    )
    assert points[1].startswith("resnet changes most with rotate: 0.004")  # the blur failed
    assert "ABX: how often it is nearer." in points
    assert page.table("state") == [{"encoder": "resnet", "transformation": "blur", "state": "failed", "message": EVIL}]
    assert {"what": "hardware processor", "value": "A & B"} in page.table("what", "value")
    assert {"what": "git commit", "value": "1f2e3d"} in page.table("what", "value")
    assert {"setting": "strengths", "here": "0.5, 1.0"} in page.table("setting")
    assert page.texts["pre"] == [
        "invtransfer measure vit resnet --images 'my photos' --out mine.nc --transformations h_flip rotate blur"
        " --pairs 8 --size 64 --layers blocks --strengths 0.5 1.0 --random-weights"
    ]


def test_the_distance_is_named_if_it_is_not_the_usual_one(leave_out_figures):
    leave_out_figures()
    for distance, n in (("cosine", 1), ("euclidean", 0)):
        page = make_profile_page(make_profile(settings=json.dumps({"distance": distance})))
        assert page.count(f"3 transformations, by {distance} distance: how far") == n


def test_a_figure_has_its_numbers_as_text(page_text):
    pytest.importorskip("matplotlib")
    (image,) = Page(page_text).images
    assert (
        "vit: sensitivity from 0.000 (transformation h_flip) to 0.002 (transformation blur), median 0.001."
        in (image["alt"])
    )
    assert b"<svg" in base64.b64decode(image["src"].removeprefix("data:image/svg+xml;base64,"))


def test_a_page_is_the_same_each_time(page_text):
    assert make_profile_page(make_profile()) == page_text


def test_layers_of_different_encoders(leave_out_figures):
    leave_out_figures()
    profile = make_profile(layers=["a", "b", "c", "one", "two"])
    depth = [[0.1, 0.5, 1.0, np.nan, np.nan], [np.nan, np.nan, np.nan, 1.0, 0.5]]
    profile = profile.assign_coords(depth=(("encoder", "layer"), depth))
    profile["sensitivity"] = profile.sensitivity.where(profile.depth.notnull())
    page = Page(make_profile_page(profile))
    first, second = ([row[:3] for row in table[1:]] for table in page.tables if table[0][:2] == ["layer", "depth"])
    # numbers count up over encoder, layer and transformation: 3 in each layer, 15 in each encoder
    assert [row[:2] for row in first] == [["a", "0.10"], ["b", "0.50"], ["c", "1.00"]]
    assert first[2][2] == "0.006 (-0.094 to 0.106)"
    assert [row[:2] for row in second] == [["two", "0.50"], ["one", "1.00"]]
    rows = page.table("transformation", "vit")  # at the last layer that each encoder has
    assert (rows[0]["vit"][:5], rows[0]["resnet"][:5]) == ("0.006", "0.024")
    profile.sensitivity[1, 4, 1] = 0.5  # where the rotate was 0.028, and is 0.025 (-0.075 to 0.125) in the last layer
    profile.sensitivity_low[1, 4, 1] = 0.1
    points = Page(make_profile_page(profile)).texts["li"]
    assert "No sensitivity of resnet falls or rises clearly from the first layer (two) to the last (one)." in points
    profile.sensitivity_low[1, 4, 1] = 0.4
    points = Page(make_profile_page(profile)).texts["li"]
    assert "No sensitivity of vit falls or rises clearly from the first layer (a) to the last (c)." in points
    said = (
        "Of the sensitivities of resnet, from the first layer (two) to the last (one), that to rotate falls most: from"
    )
    assert f"{said} 0.500 to 0.025." in points
    profile.sensitivity[1, 3, 2], profile.sensitivity_low[1, 3, 2] = 0.9, 0.8
    points = Page(make_profile_page(profile)).texts["li"]
    name, first = profile.transformation.values[2], profile.sensitivity[1, 4, 2].item()
    assert f"{said} 0.500 to 0.025; that to {name} rises most: from {first:.3f} to 0.900." in points


def test_layers_with_numbers_have_names(leave_out_figures):
    """As in the profile of a scorer whose encoders have unlike layers."""
    leave_out_figures()
    named = xr.DataArray([["conv1", "fc"], ["blocks.0", ""]], dims=("encoder", "layer"))
    depth = xr.DataArray([[0.5, 1.0], [1.0, np.nan]], dims=("encoder", "layer"))
    profile = make_profile(layers=[0, 1]).assign_coords(layer_name=named, depth=depth)
    tables = [table for table in Page(make_profile_page(profile)).tables if table[0][:2] == ["layer", "depth"]]
    assert [[row[0] for row in table[1:]] for table in tables] == [["conv1", "fc"], ["blocks.0"]]


def test_doses_and_interactions_are_those_of_the_last_layer():
    page = Page(make_profile_page(make_profile(layers=["a", "b"], strengths=[0.5, 1.0], then=["rotate", "sharpen"])))
    doses = page.table("strength 0.5")
    # encoder in 12, layer in 6, transformation in 2, strength in 1
    assert doses[1] == {
        "transformation": "rotate", "encoder": "vit", "strength 0.5": "0.008 (-0.092 to 0.108)",
        "strength 1": "0.009 (-0.091 to 0.109)",
    }  # fmt: skip
    pairs = page.table("first", "then")
    assert pairs[0] == {
        "first": "h_flip", "then": "rotate", "encoder": "vit", "first alone": "0.007 (-0.093 to 0.107)",
        "then alone": "0.009 (-0.091 to 0.109)", "together": "0.007 (-0.093 to 0.107)",
        "interaction": "0.006 (-0.094 to 0.106)", "kind": "covering",
    }  # fmt: skip
    assert pairs[1]["then alone"] == ""  # sharpen was not measured alone
    assert page.table("transformation", "vit")[0]["vit"].startswith("0.007")
    layers = [table for table in page.tables if table[0][0] == "layer"]
    assert [[row[2][:5] for row in table[1:]] for table in layers] == [["0.001", "0.007"], ["0.013", "0.019"]]
    points = page.texts["li"]
    assert "Pairs of transformations by how they act together: 12 covering." in points
    # of all the smallest
    assert "The most covering: h_flip, then rotate, for vit, with the interaction 0.006 (-0.094 to 0.106)." in points
    assert not any("The most amplifying" in point for point in points)


def test_cubes_of_earlier_versions_and_profiles_of_one_encoder(page_text):
    profile = make_profile()
    assert make_profile_page(profile.rename(encoder="model")) == page_text
    one = profile.isel(encoder=0, drop=True).drop_vars(["status", "message", "category", "sensitivity_low"])
    rows = Page(make_profile_page(one)).table("transformation", "the encoder")
    assert rows[1] == {"transformation": "rotate", "the encoder": "0.001", "category": ""}
    nothing = profile[["status", "message"]]
    page = Page(make_profile_page(nothing))
    assert page.texts["li"][0] == "Nothing was measured."
    assert page.images == []


def test_texts_are_shown_as_they_are():
    pytest.importorskip("matplotlib")
    dollars = "$\\frac$ & \"quoted\" 'too' <b>"
    profile = make_profile(evil=True).assign_coords(encoder=[EVIL, dollars])
    text = make_profile_page(profile.assign_attrs(settings=json.dumps(SETTINGS | {"layer": EVIL})), f"{EVIL}.nc")
    page = Page(text)
    assert EVIL in page.tables[0][0]
    assert dollars in page.tables[0][0]
    assert page.table("transformation", EVIL)[0]["transformation"] == EVIL
    assert {"script", "b"} & set(page.tags) == {"script"}
    assert page.tags.count("script") == 1  # ours
    assert EVIL in page.images[0]["alt"]


def test_parts_of_a_page():
    table = Table("sizes", ["what", "size", "text"], [["a", "1,200 (9 to 10)", "3 b"], ["b", "failed", "x"]])
    text = make_page("T", "L", [("S", ["one", ["two"], table, Verbatim("x  <y"), Picture("p", b"<svg/>", 8, 'a "q"')])])
    page = Page(text)
    assert page.tables == [[["what", "size", "text"], ["a", "1,200 (9 to 10)", "3 b"], ["b", "failed", "x"]]]
    assert '<td class="number" data-value="1200">' in text
    assert text.count("data-value=") == 1  # the third column is of texts
    assert (page.texts["pre"], page.images[0]["alt"]) == (["x  <y"], 'a "q"')
    assert "http" not in text
    with pytest.raises(ValueError, match="a row of 'sizes' has 2 cells, expected 3"):
        make_page("T", "L", [("S", [Table("sizes", ["a", "b", "c"], [["1", "2"]])])])


@pytest.mark.parametrize("name", ["advising_speed", "measuring_speed", "speed", "training_speed"])
def test_cubes_of_speed(name, tmp_path):
    main(["page", str(ROOT / "data" / "cubes" / f"{name}.nc"), "-o", str(tmp_path / "page.html")])
    page, cube = Page((tmp_path / "page.html").read_text()), read(ROOT / "data" / "cubes" / f"{name}.nc")
    rows = page.table("measure", "verdict")
    assert [row["measure"] for row in rows] == cube.measure.values.tolist()
    missed = int((cube.verdict == 0).sum())
    assert sum(row["verdict"] == "missed" for row in rows) == missed
    assert page.texts["pre"][0].startswith(f"python studies/{name}.py --preset quick")


# studies


def test_the_page_of_a_study(tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "toy_study.py").write_text(Path(toy_study.__file__).read_text())
    monkeypatch.chdir(tmp_path)
    main_of_study(toy_study.STUDY, ["--jobs", "1", "--seeds", "3", "--epochs", "7", "--out", "toys.nc"])
    capsys.readouterr()
    main(["page", "toys.nc"])
    assert capsys.readouterr().out == "page    toys.html\n"
    page = Page((tmp_path / "toys.html").read_text())
    assert page.texts["pre"] == ["python studies/toy_study.py --preset smoke --epochs 7 --seeds 3"]
    assert page.texts["h1"] == ["Toys"]
    assert page.texts["li"][0] == "Of 2 claims: 1 held, 1 undecided."
    assert [row["verdict"] for row in page.table("claim")] == ["undecided", "held"]
    # factor in units, relation (mean 5) in tens, seed (mean 1) in hundreds
    assert [row["digits"].split(" ±")[0] for row in page.table("digits")] == ["106.000", "107.000"]
    assert "digits are above 0: 106.500" in page.images[0]["alt"]
    # with a cell that is missing there are no results, and it is named
    cube = read("toys.nc")
    cube.status[{"factor": 1, "relation": 0, "seed": 2}] = 0
    write(cube, "toys.nc")
    main(["page", "toys.nc"])
    page = Page((tmp_path / "toys.html").read_text())
    assert page.images == []
    assert page.table("state") == [{"factor": "b", "relation": "same", "seed": "2", "state": "missing", "message": ""}]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("factors", ""),
        ("factors-emoji", " --objects emoji"),
        ("factors-cifar10", " --dataset cifar10 --architecture-levels resnet18 vgg11"),
        ("mismatch", ""),
        ("invariance_transfer", ""),
        ("advice-fresh", " --seeds 15 --only seed=10 seed=11 seed=12 seed=13 seed=14"),
    ],
)
def test_the_command_of_a_study(name, options):
    script = name.partition("-")[0]
    study = load_study(ROOT / "studies" / f"{script}.py")
    cube = read(ROOT / "data" / "cubes" / f"{name}.nc")
    assert format_study_command(cube, study) == f"python studies/{script}.py --preset quick{options}"


def test_tables_of_studies_are_found():
    rows = [["", "a b", "c"], ["vit", "1 ± 2", "0.1"], ["x y z", "7", "-0.5"]]
    table, other = split_tables(f"means\n\n{format_table(rows)}\n\nnot in columns:\n  a to b  1\n  cc to d  2")
    assert table == Table("means", ["what", "a b", "c"], [["vit", "1 ± 2", "0.1"], ["x y z", "7", "-0.5"]])
    assert other == Verbatim("not in columns:\n  a to b  1\n  cc to d  2", aligned=True)
    assert split_tables("a line") == ["a line"]


# the command


@pytest.fixture
def cube(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(make_profile(evil=True), "mine.nc")
    write(xr.Dataset({"accuracy": 0.5}), "other.nc")
    Path("notes.html").write_text("<p>precious</p>")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.nc"], "none.nc does not exist"),
        (["notes.html"], "notes.html cannot be read as netCDF"),
        (["other.nc"], "other.nc is no cube of invtransfer measure or advise, or of a study"),
        (["mine.nc", "-o", "mine.htm"], "cannot write mine.htm: the name of a page ends in .html"),
        (["mine.nc", "-o", "mine.nc"], "cannot write mine.nc: the name of a page ends in .html"),
        (["mine.nc", "-o", "notes.html"], "notes.html exists, and is not a page of invtransfer"),
    ],
)
def test_what_is_refused(cube, capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        main(["page", *arguments])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert sorted(path.name for path in cube.iterdir()) == ["mine.nc", "notes.html", "other.nc"]
    assert (cube / "notes.html").read_text() == "<p>precious</p>"


def test_a_page_is_written_again(cube):
    main(["page", "mine.nc"])
    first = (cube / "mine.html").read_text()
    main(["page", "mine.nc", "-o", "mine.html"])
    assert (cube / "mine.html").read_text() == first


def test_without_matplotlib_there_is_a_page_without_figures(cube, leave_out_figures):
    leave_out_figures()
    main(["page", "mine.nc"])
    page = Page((cube / "mine.html").read_text())
    assert page.images == []
    assert any("pip install 'invtransfer[plot]'" in text for text in page.texts["p"])
    assert page.table("transformation", "vit")


def test_the_page_of_a_measurement_loads_no_torch(cube):
    code = """
import sys
from invtransfer.__main__ import main
print("invtransfer.pages" in sys.modules)
main(["page", "mine.nc"])
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=cube,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    before, *_, after = done.stdout.splitlines()
    assert (before, after) == ("False", "False")


# in a browser


BOXES = """
[...document.querySelectorAll("h1, h2, p, ul, pre, figure, .scroll")].map(element => {
  const box = element.getBoundingClientRect();
  return [element.tagName, box.left, box.right, box.width, box.height];
})"""
COLUMN = "[...document.querySelector('table').tBodies[0].rows].map(row => row.cells[%d].textContent)"


@pytest.fixture(scope="module")
def browser():
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Pages of a profile that has everything, of a study and of advice."""
    folder = tmp_path_factory.mktemp("pages")
    names = [f"transformation_{i}" for i in range(18)]
    profile = make_profile(layers=["a", "b"], strengths=[0.5, 1.0], then=["h_flip", "rotate", "blur"])
    wide = profile.isel(transformation=np.resize([0, 1, 2], 18)).assign_coords(transformation=names)
    write(wide, folder / "wide.nc")
    main(["page", str(folder / "wide.nc")])
    script, cube = ROOT / "studies" / "factors.py", ROOT / "data" / "cubes" / "factors.nc"
    main(["page", str(cube), "-o", str(folder / "study.html"), "--study", str(script)])
    write(make_profile(evil=True), folder / "evil.nc")
    main(["page", str(folder / "evil.nc")])
    write(make_advice({name: i - 9 for i, name in enumerate(names)}), folder / "advice.nc")
    main(["page", str(folder / "advice.nc")])
    return {name: folder / f"{name}.html" for name in ("wide", "study", "evil", "advice")}


@pytest.mark.browser
@pytest.mark.parametrize("name", ["wide", "study", "evil", "advice"])
@pytest.mark.parametrize("width", [1280, 390])
def test_everything_is_visible(browser, paths, name, width):
    browser.open(paths[name], width, mobile=width < 500)
    assert browser.complaints() == []
    assert browser.run("document.documentElement.scrollWidth") <= width
    boxes = browser.run(BOXES)
    assert {"H1", "TABLE", "FIGURE", "DIV", "P"} - {box[0] for box in boxes} == {"TABLE"}
    for tag, left, right, across, down in boxes:
        assert left >= 0, tag
        assert right <= width, tag
        assert across > 100, tag
        assert down > 10, tag
    images = "[...document.images].map(image => [image.complete, image.naturalWidth, image.alt.length, image.width])"
    for complete, natural, alt, shown in browser.run(images):
        assert complete
        assert natural > 100
        assert alt > 50
        assert shown > 300
    # what is too wide scrolls within itself, and the end of a row can be reached
    ends = browser.run("""[...document.querySelectorAll(".scroll")].map(area => {
      area.scrollLeft = 1e6;
      return area.lastElementChild.getBoundingClientRect().right - area.getBoundingClientRect().right;
    })""")
    assert max(ends) < 1


@pytest.mark.browser
def test_columns_are_sorted_by_click_and_by_key(browser, paths):
    browser.open(paths["evil"], 1280)
    heads = "document.querySelector('table').tHead.rows[0].cells"
    before = browser.run(COLUMN % 0)
    assert before == [EVIL, "rotate", "blur"]

    def state():
        return browser.run(f"[...{heads}].map(head => head.getAttribute('aria-sort'))")

    assert state() == [None, None, None, None]
    browser.run(f"{heads}[0].firstElementChild.click()")
    assert browser.run(COLUMN % 0) == [EVIL, "blur", "rotate"]
    assert state() == ["ascending", None, None, None]
    x, y = browser.run(f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
                       f"({heads}[2].firstElementChild.getBoundingClientRect())")  # fmt: skip
    scrolled = browser.run(f"{heads}[2].scrollIntoView(), window.scrollY")
    for kind in ("mousePressed", "mouseReleased"):
        browser("Input.dispatchMouseEvent", type=kind, x=x, y=y - scrolled, button="left", clickCount=1)
    assert state() == [None, None, "ascending", None]
    assert [text[:6] for text in browser.run(COLUMN % 2)] == ["0.003 ", "0.004 ", "failed"]
    browser.run(f"{heads}[2].firstElementChild.focus()")
    for kind in ("keyDown", "keyUp"):
        browser("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13)
    assert state() == [None, None, "descending", None]
    assert [text[:6] for text in browser.run(COLUMN % 2)] == ["0.004 ", "0.003 ", "failed"]  # no number comes last
    assert browser.complaints() == []


@pytest.mark.browser
def test_nothing_is_lost_without_scripts(browser, paths):
    browser("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(paths["evil"], 1280)
    browser("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.run("document.querySelectorAll('button').length") == 0
    assert browser.run(COLUMN % 0) == [EVIL, "rotate", "blur"]


@pytest.mark.browser
@pytest.mark.parametrize("name", ["wide", "study", "evil", "advice"])
def test_in_print(browser, paths, name, tmp_path):
    width = 680  # pixels of A4 without margins of 1.5 cm
    browser.open(paths[name], width, 970)
    browser("Emulation.setEmulatedMedia", media="print")
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("[...document.querySelectorAll('*')].filter(e => getComputedStyle(e).position === 'sticky')"
                       ".length") == 0  # fmt: skip
    # else heads are not repeated on the next sheet
    assert browser.run("getComputedStyle(document.querySelector('thead button')).display") == "contents"
    inside = "[...document.querySelectorAll('table, img, pre')].map(e => e.getBoundingClientRect().right)"
    assert max(browser.run(inside)) <= width
    assert max(browser.run("[...document.images].map(image => image.height)")) <= 970
    browser.print(tmp_path / "page.pdf")
    content = (tmp_path / "page.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) >= 2


def test_the_images_that_a_transformation_moves_most():
    profile = make_profile().isel(encoder=[0], transformation=[0])
    own = np.array([1.0, 5.0, 2.0, 4.0, 3.0])
    dims, files = ("encoder", "transformation", "image"), [f"{name}.jpg" for name in "abcde"]
    profile = profile.assign(pair_distance=(dims, own[None, None]), random_distance=(dims, np.full((1, 1, 5), 2.0)))
    profile = profile.assign_coords(image=range(5), file=("image", files))
    (row,) = Page(make_profile_page(profile)).table("most", "least")
    assert row["most"] == "b.jpg (2.50), d.jpg (2.00), e.jpg (1.50)"
    assert row["least"] == "a.jpg (0.50), c.jpg (1.00)"  # none is in both
