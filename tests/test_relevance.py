import numpy as np
import pytest
import study_runs
import xarray as xr
from scipy import stats
from study_runs import verdicts, with_seeds

from invtransfer.cubes.running import cell_id
from invtransfer.paper import images_with_objects as combined
from invtransfer.paper.images_with_objects import POSITIONS, STAND_IN
from invtransfer.paper.protocol import PROTOCOL

CORRELATIONS = [0.0, 0.2, 0.4, 0.6, 0.8, 0.85, 0.9, 0.95, 1.0]
AVAILABILITIES = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
SMOKE = ["correlation=0.0", "correlation=0.9", "correlation=1.0", "availability=0.0", "availability=0.5",
         "availability=1.0", "reference=C/C", "reference=O/O"]  # fmt: skip
CLAIMS = (  # what they are about, in order
    "objects at 1", "objects rise", "sensitivity at 1", "sensitivity rises", "images drop at 1", "images stay",
    "objects available", "images available",
)  # fmt: skip
N_CLAIMS = len(CLAIMS)
SMALLER = {  # than the smoke preset
    "architecture": "vgg11", "epochs": 1, "n_samples": 64, "n_probe": 64, "n_validation": 32, "n_test": 64,
    "n_pairs": 8,
}  # fmt: skip
FEWER = study_runs.options(SMALLER)


@pytest.fixture(scope="module")
def study():
    return study_runs.load("relevance")


@pytest.fixture(scope="module")
def smoke(study, tmp_path_factory):
    return study_runs.run(study, tmp_path_factory.mktemp("smoke") / "relevance.nc", *FEWER)


def planted():
    """Figure 14 in the paper's words: its numbers are not published.

    Accuracy on objects increases with their correlation, and that on images is constant but for a drop at 1; accuracy
    on objects falls as soon as they are available, and that on images does not depend on it.
    """
    objects = [0.53, 0.56, 0.6, 0.66, 0.75, 0.8, 0.86, 0.93, 1.0] + [0.8, 0.6, 0.57, 0.55, 0.54, 0.53]
    images = [0.97] * 8 + [0.6] + [0.95, 0.97, 0.97, 0.97, 0.97, 0.97]
    to_objects = [0.08, 0.1, 0.12, 0.16, 0.2, 0.24, 0.3, 0.45, 0.9] + [0.21, 0.15, 0.12, 0.1, 0.09, 0.08]
    names = ["correlation"] * 9 + ["availability"] * 6
    levels = [str(level) for level in CORRELATIONS + AVAILABILITIES]
    coordinates = {
        "factor": [f"{name}={level}" for name, level in zip(names, levels, strict=True)],
        "factor_name": ("factor", names),
        "level": ("factor", levels),
        "target": ["C+O/C", "C+O/O"],
        "changed": ["C", "O"],
    }
    variables = {"transfer_accuracy": (("target", "factor"), [images, objects])}
    variables["sensitivity"] = (("changed", "factor"), [np.ones(15), to_objects])
    return xr.Dataset(variables, coordinates).map(with_seeds).assign_attrs(title="Title")


# as it is run


def test_cube(smoke):
    own = {"transfer_accuracy": ("target",), "source_accuracy": ()}
    own |= dict.fromkeys(("sensitivity", "sensitivity_low", "sensitivity_high"), ("changed",))
    cube = smoke.cube
    study_runs.check_cube(cube, {"factor": 8, "seed": 1, "target": 2, "changed": 2}, ("factor", "seed"), own)
    assert cube.factor.values.tolist() == SMOKE
    assert cube.factor_name.values.tolist() == [label.split("=")[0] for label in SMOKE]
    assert cube.level.values.tolist() == [label.split("=")[1] for label in SMOKE]
    assert cube.target.values.tolist() == ["C+O/C", "C+O/O"]
    assert cube.changed.values.tolist() == ["C", "O"]
    assert ((cube.sensitivity_low <= cube.sensitivity) & (cube.sensitivity <= cube.sensitivity_high)).all()


def test_places_of_one_cell_hold_the_same_numbers(smoke):
    cube = smoke.cube.isel(seed=0)
    for one, other in (("correlation=0.0", "availability=1.0"), ("availability=0.0", "reference=C/C")):
        for name, variable in cube.data_vars.items():
            np.testing.assert_array_equal(variable.sel(factor=one), variable.sel(factor=other), err_msg=name)
    assert len(np.unique(cube.cell)) == 6
    assert len(np.unique(cube.sensitivity.sel(changed="O"))) == 6


def test_attributes(smoke):
    settings = {name: value for name, value in smoke.study.PRESETS["smoke"].items() if name != "seeds"}
    settings |= SMALLER
    study_runs.check_attributes(smoke.cube, settings, smoke.study.PRESETS["paper"])


def test_terminal(smoke):
    assert study_runs.check_terminal(smoke, n_cells=6, n_claims=N_CLAIMS) == 1
    for label in SMOKE:
        (row,) = [line.split() for line in smoke.output.splitlines() if line.startswith(f"{label} ")]
        here = smoke.cube.sel(factor=label).isel(seed=0)
        assert row[1:] == [f"{value:.3f}" for value in (*here.transfer_accuracy.values, *here.sensitivity.values)]


def test_second_run_computes_nothing(smoke):
    study_runs.check_second_run(smoke, *FEWER)


@pytest.mark.parametrize(
    ("only", "n_claims"),
    [
        (["reference"], 0),
        (["correlation", "reference=O/O"], 6),
        (["availability=0.5", "correlation=1.0"], 1),
    ],
)
def test_part_of_the_grid(smoke, tmp_path, only, n_claims):
    part = study_runs.run_part(smoke, tmp_path, *FEWER, "--only", *only)
    assert f" of {n_claims} held" in part.output
    assert "nan" not in part.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--correlation-levels", "high"], "argument --correlation-levels: is 'high', expected a number of at least 0"),
        (["--availability-levels", "-1"], "argument --availability-levels: is '-1', expected a number of at least 0"),
    ],
)
def test_bad_options(study, tmp_path, arguments, message):
    assert message in study_runs.refusal(study, tmp_path, *arguments)[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--correlation-levels", "0", "1.5"], "relevance.py: correlation is 1.5, expected a number from 0 to 1"),
        (["--availability-levels", "2"], "relevance.py: availability is 2.0, expected a number from 0 to 1"),
        (["--dataset", "cifar10"], "get one with `python data/fetch.py cifar10 --to "),
        (["--dataset", "cifar100"], "python data/fetch.py cifar100 --to "),
        (["--n-objects", "62"], "relevance.py: n_objects is 62, expected 2 to 51"),
        (["--n-objects", "9"], "relevance.py: correlation is 1.0, expected 0 with 9 objects: one belongs to each of"),
        (["--only", "0.7"], "relevance.py: --only is '0.7', expected labels of this study: "),
    ],
)
def test_what_there_is_not(study, tmp_path, arguments, message):
    said, n_lines = study_runs.refusal(study, tmp_path, "--data", tmp_path, *arguments)
    assert message in said
    assert n_lines == 1


@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_other_presets_are_on_cifar(study, tmp_path, preset):
    assert (
        "python data/fetch.py cifar10 "
        in study_runs.refusal(study, tmp_path, "--data", tmp_path, "--preset", preset)[0]
    )


# the grid


@pytest.mark.parametrize(
    ("preset", "n_places", "n_cells"),
    [("smoke", 3 + 3 + 2, 6), ("quick", (9 + 6 + 2) * 3, 15 * 3), ("paper", (9 + 6 + 2) * 10, 15 * 10)],
)
def test_grid(study, preset, n_places, n_cells):
    """Uncorrelated objects that are always there are one cell, and images without objects are another."""
    settings = study.PRESETS[preset]
    cells, coordinates = study.make_grid(settings)
    assert len(cells) == n_places
    assert len({cell_id(arguments) for _, arguments in cells}) == n_cells
    at = {(place["factor"], place["seed"]): arguments for place, arguments in cells}
    assert {factor for factor, _ in at} == set(coordinates["factor"])
    for seed in coordinates["seed"]:
        assert at["correlation=0.0", seed] == at["availability=1.0", seed]
        assert at["availability=0.0", seed] == at["reference=C/C", seed]
    for (factor, seed), arguments in at.items():
        name, level = factor.split("=")
        expected = {"pretraining": "C+O/C", "correlation": 0.0, "availability": 1.0, "seed": seed}
        if name == "reference" or factor == "availability=0.0":
            expected["pretraining"] = level if name == "reference" else "C/C"
        else:
            expected[name] = float(level)
        assert {key: arguments[key] for key in expected} == expected


def test_vit_has_its_own_schedule(study):
    cells, _ = study.make_grid(study.PRESETS["paper"] | {"architecture": "vit"})
    vit = {"learning_rate": 1e-3, "schedule": "cosine", "weight_decay": 1e-5}
    assert all({name: arguments[name] for name in vit} == vit for _, arguments in cells)


def test_paper_preset_is_the_papers_protocol(study):
    paper = study.PRESETS["paper"]
    expected = {  # Section 4.2 and Appendix C.3
        "epochs": 200, "adam_epochs": 100, "n_objects": 10, "dataset": "cifar10", "architecture": "resnet18",
        "batch_size": 512, "learning_rate": 1e-3, "schedule": "constant", "solver": "adam", "seeds": 10, "width": 1.0,
        "n_samples": 45_000, "n_probe": 45_000, "n_validation": 5_000, "n_test": 10_000, "n_pairs": 10_000,
        "levels": {"correlation": CORRELATIONS, "availability": AVAILABILITIES},
    }  # fmt: skip
    assert {name: paper[name] for name in expected} == expected
    assert paper.keys() == (PROTOCOL["paper"].keys() - {"n_classes"}) | {"n_objects", "dataset", "levels"}
    assert all(preset.keys() == paper.keys() for preset in study.PRESETS.values())
    assert study.PRESETS["quick"]["levels"] == paper["levels"]


def test_estimate_counts_what_passes_through_the_network(study, monkeypatch):
    counted = []
    monkeypatch.setattr(combined, "estimate_seconds", lambda arguments, *n: counted.append(n) or 7.0)
    assert study.estimate(study.make_grid(study.PRESETS["paper"])[0][0][1]) == 7.0
    # 45,000 + 5,000 + 10,000 images of 2 targets, 2 * 2 of each of 10,000 pairs, 5,000 to validate on in 200 epochs,
    # and 10,000 of the source
    assert counted == [(200 * 45_000, 2 * 60_000 + 5 * 10_000 + 200 * 5_000)]


# what a cell does


class Encoder:
    def score(self, X, y):
        return len(X) / 100


@pytest.fixture
def record(study, monkeypatch):
    """Return a function that computes a cell without networks: what it trains on, and its targets."""

    def record(seed=1, **chosen):
        given = []
        monkeypatch.setattr(study, "pretrain", lambda source, *_: given.append(source) or Encoder())
        monkeypatch.setattr(study, "measure_combined", lambda _, targets, *more: given.append(targets) or xr.Dataset())
        chosen = {"pretraining": "C+O/C", "correlation": 0.0, "availability": 1.0} | chosen
        made = study.cell(folder="procedural", data="", dataset=STAND_IN, n_objects=10, seed=seed, n_test=8, **chosen)
        assert made.source_accuracy == 0.08
        return given

    return record


def shown(source, plain, n=600):
    """Return which objects a source shows, by their pixels, and its labels; `plain` has none but is the same."""
    X, y = source.sample(n)
    images, labels = plain.sample(n)
    np.testing.assert_array_equal(y, labels)
    return study_runs.find_objects(X, images, source.class_names, POSITIONS["fixed"]), y


@pytest.mark.parametrize("seed", [0, 1])
def test_objects_that_correlate_fully_belong_to_the_label(record, seed):
    (plain, *_), _ = record(seed, pretraining="C/C")
    (train, validation, test), _ = record(seed, correlation=1.0)
    found, y = shown(train, plain)
    np.testing.assert_array_equal(found, y)  # each image of class k shows object k
    assert sorted(set(found.tolist())) == list(range(10))
    for part, without in zip((validation, test), record(seed, pretraining="C/C")[0][1:], strict=True):
        found, y = shown(part, without, 100)
        np.testing.assert_array_equal(found, y)


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.8])
def test_objects_that_correlate_in_part(record, correlation):
    (plain, *_), _ = record(pretraining="C/C")
    found, y = shown(record(correlation=correlation)[0][0], plain)
    assert (found >= 0).all()
    # of the others one in ten is the right one by chance; 600 images: a standard deviation of 0.02
    assert (found == y).mean() == pytest.approx(correlation + (1 - correlation) / 10, abs=0.06)
    assert np.bincount(found).min() > 30  # of 60, each object


@pytest.mark.parametrize("availability", [0.0, 0.5, 0.8, 1.0])
def test_objects_are_there_in_a_fraction(record, availability):
    (plain, *_), _ = record(pretraining="C/C")
    found, y = shown(record(availability=availability)[0][0], plain)
    assert (found >= 0).mean() == pytest.approx(availability, abs=0.06)
    if availability:
        assert (found == y)[found >= 0].mean() == pytest.approx(0.1, abs=0.05)  # they say nothing about the label


@pytest.mark.parametrize(
    "chosen", [{"correlation": 1.0}, {"availability": 0.5}, {"pretraining": "C/C"}, {"pretraining": "O/O"}]
)
def test_targets_are_the_same_for_all_encoders(record, chosen):
    """Objects that are always there and uncorrelated, labelled with either."""
    (plain, *_), _ = record(pretraining="C/C")
    expected = record()[0]
    _, targets = record(**chosen)
    assert list(targets) == ["C+O/C", "C+O/O"]
    for part, same in zip(targets["C+O/C"], expected, strict=True):
        for one, other in zip(part.sample(20), same.sample(20), strict=True):
            np.testing.assert_array_equal(one, other)
    found, _ = shown(targets["C+O/C"][0], plain)
    X, numbers = targets["C+O/O"][0].sample(600)
    np.testing.assert_array_equal(found, numbers)
    np.testing.assert_array_equal(X, targets["C+O/C"][0].sample(600)[0])


# the pattern


def test_pattern_holds_on_what_the_paper_describes(study):
    cube = planted()
    claims = study.find_claims(cube)
    assert verdicts(claims) == [True] * N_CLAIMS
    assert len({text for text, *_ in claims}) == N_CLAIMS
    opposite = cube.assign(transfer_accuracy=1 - cube.transfer_accuracy, sensitivity=1 - cube.sensitivity)
    found = dict(zip(CLAIMS, verdicts(study.find_claims(opposite)), strict=True))
    # that images stay as they are is no less true, within the margin
    assert {name for name, agrees in found.items() if agrees} == {"images stay", "images available"}
    assert set(found.values()) == {True, False}


@pytest.mark.parametrize(
    ("factor", "accuracy", "fails"),
    [
        ("availability=1.0", 0.89, "images available"),  # 0.06 below that at 0
        ("availability=1.0", 0.91, None),
        ("correlation=0.0", 1.03, "images stay"),
        ("correlation=0.0", 1.01, None),
        ("correlation=0.0", 0.5, None),  # correlated objects may help
        ("correlation=1.0", 0.98, "images drop at 1"),
    ],
)
def test_claims_on_images_fail_one_by_one(study, factor, accuracy, fails):
    cube = planted()
    changed = cube.transfer_accuracy.copy()
    changed.loc[{"target": "C+O/C", "factor": factor}] = accuracy
    found = verdicts(study.find_claims(cube.assign(transfer_accuracy=changed)))
    assert [name for name, agrees in zip(CLAIMS, found, strict=True) if not agrees] == ([fails] if fails else [])


def test_rank_correlation_by_scipy(study):
    values = xr.DataArray(
        np.random.default_rng(0).random((9, 4)).round(1), {"correlation": CORRELATIONS, "seed": range(4)},
        ["correlation", "seed"],
    )  # fmt: skip
    expected = [stats.spearmanr(CORRELATIONS, values.sel(seed=seed)).statistic for seed in range(4)]
    np.testing.assert_allclose(study.rank(values), expected)
    np.testing.assert_allclose(study.rank(values.transpose()), expected)
    assert study.rank(np.square(values.correlation) + 0 * values).values.tolist() == pytest.approx([1.0] * 4)
    gap = study.rank(values.where((values.seed != 2) | (values.correlation != 0.6)))
    np.testing.assert_allclose(gap, [*expected[:2], np.nan, expected[3]])
    assert study.rank(0 * values + 0.5).isnull().all()  # neither rises nor falls


def test_levels_in_any_order(study):
    cube = planted()
    order = np.random.default_rng(0).permutation(15)
    assert study.find_claims(cube.isel(factor=order)) == study.find_claims(cube)


def test_accuracy_that_only_jumps_at_the_end_does_not_rise_with_every_step(study):
    cube = planted()
    falling = np.linspace(0.6, 0.4, 9)
    falling[-1] = 1.0
    accuracy = cube.transfer_accuracy.copy()
    accuracy.loc[{"target": "C+O/O", "factor": cube.factor[:9]}] = falling[:, None]
    found = {text: agrees for text, _, agrees in study.find_claims(cube.assign(transfer_accuracy=accuracy))}
    assert [agrees for text, agrees in found.items() if text.startswith("objects are predicted better")] == [
        True,
        False,
    ]


def test_missing_cells_are_unknown(study):
    cube = planted()
    assert verdicts(study.find_claims(cube.where(cube.seed < 0))) == [None] * N_CLAIMS
    failed = cube.where(cube.factor != "correlation=1.0")
    assert verdicts(study.find_claims(failed)) == [None] * 5 + [True] * 3
    failed = cube.where(cube.factor != "availability=0.0")
    assert verdicts(study.find_claims(failed)) == [True] * 6 + [None] * 2
    failed = cube.where((cube.seed != 1) | (cube.factor != "correlation=0.6"))  # all of that seed's rank correlation
    fewer = ["n = 2" in numbers for _, numbers, _ in study.find_claims(failed)]
    assert [name for name, is_fewer in zip(CLAIMS, fewer, strict=True) if is_fewer] == [
        "objects rise",
        "sensitivity rises",
    ]
    failed = cube.where(cube.seed != 1)
    assert verdicts(study.find_claims(failed)) == [True] * N_CLAIMS
    assert all("n = 2)" in numbers for _, numbers, _ in study.find_claims(failed))


def test_figure_and_table(study, tmp_path, capsys):
    cube = planted()
    study.plot(cube).savefig(tmp_path / "figure.png")
    study.print_table(cube)
    text = capsys.readouterr().out
    assert f"the paper's pattern: {N_CLAIMS} of {N_CLAIMS} held" in text
    row = next(line for line in text.splitlines() if line.startswith("correlation=0.95"))
    assert row.split()[1:4] == ["0.970", "±", "0.010"]
