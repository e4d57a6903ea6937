"""The study of irrelevant features: its grid, its cell, its claims, its table and its figure."""

import numpy as np
import pytest
import study_runs
import xarray as xr
from study_runs import compute_combined, find_objects, published, verdicts

from invtransfer.cubes.cells import cell_id
from invtransfer.paper.images_with_objects import POSITIONS, STAND_IN

study = study_runs.load("irrelevant_features")

TASKS = ["images alone", "images with objects", "objects on images", "objects alone"]
SMALLER = (  # than the smoke preset
    "--architecture vgg11 --epochs 1 --n-samples 32 --n-probe 32 --n-validation 16 --n-test 32 --n-pairs 8"
    " --pretraining-levels 'images alone' untrained"
)


# The paper's Table 1, and that of a fixed position
ACCURACY = published("irrelevant_features", "transfer_accuracy", "position", "pretraining", "target")
SENSITIVITY = published("irrelevant_features", "sensitivity", "position", "pretraining", "changed")
TABLE_1 = xr.Dataset({"transfer_accuracy": ACCURACY, "sensitivity": SENSITIVITY}, attrs={"title": "Title"})
RANDOM = TABLE_1.sel(position="random", drop=True)


def test_cube(tmp_path):
    cube = study_runs.run(study, tmp_path, SMALLER)
    own = {"transfer_accuracy": ("target",), "target_seen": ("target",), "source_accuracy": (), "source_seen": ()}
    own |= dict.fromkeys(("sensitivity", "sensitivity_low", "sensitivity_high"), ("changed",))
    labels = {"position": ["fixed", "random"], "pretraining": ["images alone", "untrained"], "seed": [0]}
    study_runs.check_cube(cube, labels | {"target": TASKS, "changed": ["image", "object"]}, own)
    # images without objects do not depend on the position of objects
    for values in (cube.source_accuracy, cube.transfer_accuracy.sel(target="images alone")):
        np.testing.assert_array_equal(values.sel(position="fixed"), values.sel(position="random"))
    objects = cube.transfer_accuracy.sel(target="objects alone")
    assert (objects.sel(position="fixed") > objects.sel(position="random")).all()


# the grid


@pytest.mark.parametrize(("preset", "n_seeds"), [("smoke", 1), ("quick", 5), ("paper", 10)])
def test_grid(preset, n_seeds):
    settings = study.STUDY.settings(preset)
    cells, coordinates = study.make_grid(settings)
    assert list(coordinates) == ["position", "pretraining", "seed"]
    assert len(cells) == len({cell_id(arguments) for _, arguments in cells}) == 2 * 5 * n_seeds
    for place, arguments in cells:
        assert {name: arguments[name] for name in place} == place
        assert arguments["epochs"] == (0 if place["pretraining"] == "untrained" else settings["epochs"])
        assert arguments["dataset"] == (STAND_IN if preset == "smoke" else "cifar10")


def test_presets(monkeypatch):
    study_runs.check_presets(study.STUDY, monkeypatch)
    levels = {"position": ["fixed", "random"], "pretraining": [*TASKS, "untrained"]}
    expected = study_runs.PAPER_ON_IMAGES | {"levels": levels}
    assert study.STUDY.settings("paper") == expected
    vit = expected | {"architecture": "vit"}
    study_runs.check_vit(study.make_grid(vit)[0], vit)


def test_estimate_counts_what_passes_through_the_network(monkeypatch):
    # 45,000 + 5,000 + 10,000 images of 4 targets, 2 * 2 of each of 10,000 pairs, 5,000 to validate on in 200 epochs,
    # and 10,000 of the source
    expected = (200 * 45_000, 4 * 60_000 + 5 * 10_000 + 200 * 5_000)
    assert study_runs.count_images(study, monkeypatch) == expected


@pytest.mark.parametrize("preset", ["quick", "overnight", "paper"])
def test_other_presets_than_smoke_need_cifar(tmp_path, preset):
    with pytest.raises(FileNotFoundError, match="get one with `python data/fetch.py cifar10 --to "):
        study.STUDY.find(objects=None, data=tmp_path, **study.STUDY.settings(preset))


# what a cell does


@pytest.mark.parametrize("position", ["fixed", "random"])
@pytest.mark.parametrize("pretraining", [*TASKS, "untrained"])
def test_cell_trains_on_one_task_and_is_probed_on_all(monkeypatch, pretraining, position):
    encoder, targets = compute_combined(study, monkeypatch, pretraining=pretraining, position=position)
    assert list(targets) == TASKS
    own = targets["images alone" if pretraining == "untrained" else pretraining]
    given = [encoder.fitted[0][:2], encoder.fitted[0][2:], encoder.scored[0]]
    for source, (X, y) in zip(own, given, strict=True):
        images, labels = source.sample(len(X))
        np.testing.assert_array_equal(X, images)
        np.testing.assert_array_equal(y, labels)


def test_targets_show_and_label_what_their_names_say(monkeypatch):
    _, targets = compute_combined(study, monkeypatch, pretraining="images alone", position="fixed")
    samples = {name: targets[name][0].sample(300) for name in TASKS}
    images, of_image = samples["images alone"]
    both, of_object = samples["objects on images"]
    on_black, alone = samples["objects alone"]
    names, place = targets["objects on images"][0].class_names, POSITIONS["fixed"]
    np.testing.assert_array_equal(samples["images with objects"][0], both)
    np.testing.assert_array_equal(samples["images with objects"][1], of_image)
    np.testing.assert_array_equal(find_objects(both, images, names, place), of_object)
    np.testing.assert_array_equal(find_objects(on_black, np.zeros_like(on_black), names, place), alone)
    assert (find_objects(images, images, names, place) == -1).all()
    assert abs(np.corrcoef(of_image, of_object)[0, 1]) < 0.2  # objects say nothing about images


@pytest.mark.parametrize(("position", "fewest", "most"), [("fixed", 10, 10), ("random", 60, 100)])
def test_positions(monkeypatch, position, fewest, most):
    encoder, _ = compute_combined(study, monkeypatch, pretraining="objects alone", position=position)
    X = encoder.fitted[0][0][:100]
    assert fewest <= len(np.unique(X, axis=0)) <= most  # each of 10 objects in one place, or anywhere


# claims, table and figure


@pytest.mark.parametrize("position", ["fixed", "random"])
def test_claims_hold_on_the_papers_numbers(position):
    cube = TABLE_1.sel(position=position)
    claims = study.find_claims(cube)
    assert verdicts(claims) == "++++++++"
    assert len({each.text for each in claims}) == 8
    names = ("transfer_accuracy", "sensitivity")
    one, other = (verdicts(study.find_claims(cube.assign({name: 1 - cube[name]}))) for name in names)
    # accuracy, sensitivity and accuracy, twice; the correlations of both are turned around by either
    assert (one, other) == ("-+--+---", "+-++-+--")


def test_numbers_by_hand():
    claims = {each.text: each.numbers for each in study.find_claims(RANDOM)}
    assert claims["an encoder of images with objects predicts objects worse than one of images alone"].startswith(
        "0.150 against 0.560 "
    )
    text = "an encoder of objects on images is less sensitive to images than one of objects alone"
    assert claims[text].startswith("0.130 against 1.000 ")
    # accuracy on images 0.89 0.97 0.13 0.28, sensitivity to them 0.99 1.00 0.13 1.00
    expected = np.corrcoef([0.89, 0.97, 0.13, 0.28], [0.99, 1.0, 0.13, 1.0])[0, 1]
    assert claims["accuracy on images correlates with sensitivity to them over 4 encoders"].startswith(
        f"{expected:.3f} "
    )


def with_untrained(accuracy, sensitivity):
    """Return the paper's numbers with an untrained encoder, which predicts and ignores both alike in each seed."""
    untrained = {"transfer_accuracy": accuracy, "sensitivity": sensitivity}
    return TABLE_1.reindex(pretraining=[*TASKS, "untrained"], fill_value=untrained)


@pytest.mark.parametrize(
    ("accuracy", "sensitivity", "expected"),
    [
        (0.3, 0.5, "++++++++++"),
        # those that saw both have 0.08 ± 0.025 to objects, 0.13 ± 0.025 to images
        (0.3, 0.12, "++++++~+++"),
        (0.3, 0.1, "++~+++-+++"),
        (0.3, 0.05, "++-+++-+++"),
        (0.0, 2.0, "++++++++--"),  # it predicts worst, and is most sensitive to both
    ],
)
def test_untrained_encoders_count(accuracy, sensitivity, expected):
    claims = study.find_claims(with_untrained(accuracy, sensitivity).sel(position="random"))
    assert verdicts(claims) == expected
    assert [each.text for each in claims if "untrained" in each.text] == [
        "an encoder of images with objects is less sensitive to objects than an untrained one",
        "an encoder of objects on images is less sensitive to images than an untrained one",
    ]  # fmt: skip
    assert claims[-1].text == "accuracy on objects correlates with sensitivity to them over 5 encoders"


def test_one_or_two_encoders_do_not_correlate():
    """Their correlation would be 1 or -1, whatever they are like."""
    cube = with_untrained(0.3, 0.5).sel(position="random")
    for names in (
        ["images alone", "images with objects"],
        ["objects on images", "objects alone"],
        ["objects alone", "untrained"],
        ["objects alone"],
    ):
        assert verdicts(study.find_claims(cube.sel(pretraining=names))[-2:]) == "??"


def test_missing_cells_are_unknown():
    assert verdicts(study.find_claims(RANDOM * np.nan)) == "????????"
    cube = with_untrained(0.3, 0.5).sel(position="random")
    for name in cube.pretraining.values:
        for each in study.find_claims(cube.where(cube.pretraining != name)):
            # a correlation over four of the five would be another claim
            words = "an untrained one" if name == "untrained" else f"of {name}"
            lacks = words in each.text or "correlates" in each.text
            assert each.verdict == ("unknown" if lacks else "held"), each.text
    claims = study.find_claims(RANDOM.where(RANDOM.seed != 1))
    assert verdicts(claims) == "++++++++"
    assert all("n = 2)" in each.numbers for each in claims)
    assert verdicts(study.find_claims(RANDOM.isel(seed=[0]))) == "~~~~~~~~"


def test_table_and_figure_of_the_papers_numbers():
    cube = TABLE_1.sel(pretraining=TASKS, target=TASKS)
    figure = study.STUDY.figure(cube)
    figure.draw_without_rendering()
    titles = [axes.get_title() for axes in figure.get_axes() if axes.get_title()]
    assert titles == ["fixed position", "random position"] * 2
    assert sum(len(axes.texts) for axes in figure.get_axes()) == 2 * 4 * (4 + 2)
    title, table, other, _ = study.format_results(cube).split("\n\n")
    assert title == "objects at a fixed position: mean ± 95 % interval over seeds (n = 3)"
    assert other == title.replace("fixed", "random")
    head, *rows = table.splitlines()
    columns = [*(f"accuracy on {name}" for name in TASKS), "sensitivity to the image", "sensitivity to the object"]
    assert " ".join(head.split()) == " ".join(columns)
    for row, name in zip(rows, TASKS, strict=True):
        here = cube.sel(position="fixed", pretraining=name).mean("seed")
        means = [f"{mean:.3f} ± 0.025" for mean in (*here.transfer_accuracy.values, *here.sensitivity.values)]
        assert row.split() == [*name.split(), *" ".join(means).split()]
    claims = study.STUDY.claims(cube)
    assert verdicts(claims) == "+" * 16
    assert [each.text.split(": ")[0] for each in claims[::8]] == ["fixed", "random"]


@pytest.mark.parametrize(
    ("names", "expected"), [(["untrained"], "??"), (["images alone", "images with objects"], "++??")]
)
def test_part_of_the_grid(names, expected):
    cube = with_untrained(0.3, 0.3).sel(position=["fixed"], pretraining=names)
    study.STUDY.figure(cube).draw_without_rendering()
    assert verdicts(study.STUDY.claims(cube)) == expected
    assert "nan" not in study.format_results(cube)
