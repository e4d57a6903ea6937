import csv
from functools import cache, partial

import numpy as np
import pytest
import study_runs
import xarray as xr
from study_runs import PUBLISHED, verdicts, with_seeds

from invtransfer import TRANSFORMATIONS, SensitivityScorer
from invtransfer.cubes.running import cell_id
from invtransfer.paper.protocol import PROTOCOL

FEWER = ("--architecture-levels", "vgg11", "--epochs", "1")  # than the smoke preset has
MEASURED = ("h_flip", "hue", "grayscale")  # of the 18, so that a run takes seconds
PLACES = ("in_distribution", "mild_ood", "strong_ood", "cifar10", "cifar100")
VIT = {"learning_rate": 1e-3, "schedule": "cosine", "weight_decay": 1e-5}
SPILLOVERS = [  # that Appendix D.2 names
    ("rotate", "h_flip"), ("rotate", "v_flip"), ("shear", "h_flip"), ("shear", "v_flip"), ("hue", "grayscale"),
    ("grayscale", "hue"),
]  # fmt: skip


@pytest.fixture(scope="module")
def study():
    return study_runs.load("invariance_transfer")


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    study = study_runs.load("invariance_transfer")
    study.SensitivityScorer = partial(SensitivityScorer, transformations=MEASURED)
    return study_runs.run(study, tmp_path_factory.mktemp("smoke") / "invariance_transfer.nc", *FEWER)


@cache
def published():
    """The paper's Tables 2 to 5 as a cube's sensitivities.

    They are means over transformations, of which the tables do not have the parts. Here the spill-overs that the paper
    names are as invariant as an encoder's own transformation, and the others so that the mean is the printed one.
    """
    with open(PUBLISHED / "invariance_transfer.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    names, encoders = list(TRANSFORMATIONS), [*TRANSFORMATIONS, "none"]
    coordinates = {name: list(dict.fromkeys(row[name] for row in rows)) for name in ("architecture", "trained_on")}
    coordinates |= {"evaluated_on": list(PLACES), "pretraining_transformation": encoders, "transformation": names}
    sensitivity = xr.DataArray(np.nan, coordinates, list(coordinates))
    means = {
        tuple(row[name] for name in ("architecture", "trained_on", "evaluated_on", "relation")): row for row in rows
    }
    spilled = [(encoders.index(trained), names.index(other)) for trained, other in SPILLOVERS]
    for *place, _ in {(*key[:3], 0) for key in means}:
        same, other, none = (float(means[(*place, name)]["value"]) for name in ("same", "other", "none"))
        values = np.full((19, 18), (18 * 17 * other - len(spilled) * same) / (18 * 17 - len(spilled)))
        values[tuple(zip(*spilled, strict=True))] = same
        values[np.arange(18), np.arange(18)] = same
        values[18] = none
        sensitivity.loc[dict(zip(("architecture", "trained_on", "evaluated_on"), place, strict=True))] = values
    return with_seeds(sensitivity)


# as it is run


def test_cube(smoke):
    grid = ("architecture", "trained_on", "pretraining_transformation", "seed")
    sizes = dict(zip(grid, (1, 2, 4, 1), strict=True)) | {"evaluated_on": 3, "transformation": 3}
    own = {"sensitivity": ("evaluated_on", "transformation"), "source_accuracy": ()}
    study_runs.check_cube(smoke.cube, sizes, grid, own)
    assert smoke.cube.trained_on.values.tolist() == ["image", "random"]
    assert smoke.cube.pretraining_transformation.values.tolist() == ["h_flip", "hue", "none", "untrained"]
    assert smoke.cube.evaluated_on.values.tolist() == ["in_distribution", "mild_ood", "strong_ood"]
    assert smoke.cube.transformation.values.tolist() == list(MEASURED)
    assert smoke.cube.category.values.tolist() == [TRANSFORMATIONS[name].category for name in MEASURED]


def test_attributes(smoke):
    settings = {name: value for name, value in smoke.study.PRESETS["smoke"].items() if name != "seeds"}
    settings |= {"epochs": 1, "levels": settings["levels"] | {"architecture": ["vgg11"]}}
    study_runs.check_attributes(smoke.cube, settings, smoke.study.PRESETS["paper"])


def test_terminal(smoke):
    # same below other and below none on 2 * 3 kinds of images, objects below patterns, hue to grayscale
    assert study_runs.check_terminal(smoke, n_cells=8, n_claims=12 + 2 + 1) == 1
    lines = smoke.output.splitlines()
    for kind in ("image", "random"):
        for relation in ("same", "other", "none", "untrained"):
            (row,) = [line.split() for line in lines if line.startswith(f"{kind:<12}{relation} ")]
            assert len(row) == 2 + 3
    sensitivity = smoke.cube.sensitivity.isel(architecture=0, seed=0)
    same = sensitivity.sel(trained_on="image", evaluated_on="mild_ood")
    same = np.mean([same.sel(pretraining_transformation=name, transformation=name) for name in ("h_flip", "hue")])
    assert next(line for line in lines if line.startswith("image       same")).split()[3] == f"{same:.3f}"


def test_spillovers_are_listed_largest_first(smoke):
    lines = smoke.output[smoke.output.index("largest spill-overs") : smoke.output.index("the paper's")].splitlines()
    found = {tuple(line.split()[:3:2]): float(line.split()[3]) for line in lines[1:] if line.strip()}
    cube = smoke.cube.sensitivity.sel(evaluated_on="in_distribution").mean("trained_on").squeeze()
    expected = {}
    for trained in ("h_flip", "hue"):
        for other in set(MEASURED) - {trained}:
            here, without = (
                cube.sel(pretraining_transformation=name, transformation=other) for name in (trained, "none")
            )
            expected[trained, other] = float(here - without)
    assert found == pytest.approx(expected, abs=0.0051)
    assert list(found.values()) == sorted(found.values())


def test_second_run_computes_nothing(smoke):
    study_runs.check_second_run(smoke, *FEWER)


@pytest.mark.parametrize(
    ("only", "n_claims", "unknown"),
    [
        (["none"], 0, 0),  # nothing that was trained with a transformation
        (["hue", "untrained"], 2 * 2 * 3 + 2, 12),  # neither another one nor one without, so nothing on spill-over
        (["h_flip", "none", "random"], 2 * 3 + 1, 3),  # no other
        (["hue", "h_flip", "none", "image"], 2 * 3 + 1 + 1, 0),
    ],
)
def test_part_of_the_grid(smoke, tmp_path, only, n_claims, unknown):
    part = study_runs.run_part(smoke, tmp_path, *FEWER, "--only", *only)
    assert f" of {n_claims} held" in part.output
    assert part.output.count("\n  unknown ") == unknown
    assert "nan" not in part.output


def test_images_of_the_source_need_not_be_evaluated_on(smoke, study, tmp_path):
    places = ["strong_ood", "mild_ood"]
    cube = smoke.cube.sel(evaluated_on=places)
    study.plot(cube).savefig(tmp_path / "figure.png")
    study.print_table(cube)
    assert len(study.find_claims(cube.sensitivity.isel(architecture=0))) == 4 * len(places) + 2 * (len(places) - 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trained-on-levels", "photo"], "argument --trained-on-levels: invalid choice: 'photo'"),
        (["--pretraining-transformation-levels", "flip"], "transformation-levels: invalid choice: 'flip'"),
        (["--evaluated-on-levels", "cifar"], "argument --evaluated-on-levels: invalid choice: 'cifar'"),
    ],
)  # fmt: skip
def test_bad_options(study, tmp_path, arguments, message):
    assert message in study_runs.refusal(study, tmp_path, *arguments)[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--evaluated-on-levels", "mild_ood", "cifar10"], "get one with `python data/fetch.py cifar10 --to "),
        (["--evaluated-on-levels", "cifar100"], "python data/fetch.py cifar100 --to "),
        (["--n-classes", "31"], "invariance_transfer.py: n_classes is 31: source and target need 62 classes"),
        (["--only", "blur"], "invariance_transfer.py: --only is 'blur', expected labels of this study: "),
    ],
)  # fmt: skip
def test_what_there_is_not(study, tmp_path, arguments, message):
    said, n_lines = study_runs.refusal(study, tmp_path, "--data", tmp_path, *arguments)
    assert message in said
    assert n_lines == 1


# the grid


@pytest.mark.parametrize(
    ("preset", "n_cells"), [("smoke", 1 * 2 * 4 * 1), ("quick", 1 * 2 * 20 * 3), ("paper", 4 * 2 * 20 * 10)]
)
def test_grid(study, preset, n_cells):
    settings = study.PRESETS[preset]
    cells, coordinates = study.make_grid(settings)
    assert list(coordinates) == ["architecture", "trained_on", "pretraining_transformation", "seed"]
    assert len(cells) == n_cells == len({cell_id(arguments) for _, arguments in cells})
    for place, arguments in cells:
        assert {name: arguments[name] for name in place} == place
        vit = {name: arguments[name] for name in VIT}
        assert vit == (VIT if place["architecture"] == "vit" else {name: settings[name] for name in VIT})
        untrained = place["pretraining_transformation"] == "untrained"
        assert arguments["epochs"] == (0 if untrained else settings["epochs"])
        assert arguments["evaluated_on"] == settings["levels"]["evaluated_on"]


def test_paper_preset_is_the_papers_protocol(study):
    paper = study.PRESETS["paper"]
    own = {"architecture", "solver", "n_probe", "adam_epochs", "adam_learning_rate"}  # levels; and there is no probe
    assert paper.keys() == PROTOCOL["paper"].keys() - own | {"levels"}
    assert {name: paper[name] for name in paper if name != "levels"} == {
        name: value for name, value in PROTOCOL["paper"].items() if name not in own
    }
    assert paper["levels"] == {  # Section 5.1 and Appendix D
        "architecture": ["resnet18", "vgg11", "densenet121", "vit"],
        "trained_on": ["image", "random"],
        "pretraining_transformation": [*TRANSFORMATIONS, "none", "untrained"],
        "evaluated_on": list(PLACES),
    }
    assert len(TRANSFORMATIONS) == 18
    assert all(preset.keys() == paper.keys() for preset in study.PRESETS.values())


def test_quick_has_all_transformations(study):
    levels = study.PRESETS["quick"]["levels"]
    assert levels["pretraining_transformation"] == study.PRESETS["paper"]["levels"]["pretraining_transformation"]
    assert levels["evaluated_on"] == list(PLACES[:4])


# what a cell does


class Encoder:
    def score(self, X, y):
        return 0.5


class Recorder:
    """Stands for a scorer; remembers what it was given. Its sensitivities are 1, 2, ... for each place evaluated."""

    def __init__(self, given):
        self.given = given

    def __call__(self, encoder, **parameters):
        self.parameters = parameters
        return self

    def fit(self, source):
        self.given.append((source, self.parameters))
        names = list(TRANSFORMATIONS)
        self.sensitivity_ = xr.DataArray(np.full(18, len(self.given)), {"transformation": names}, ["transformation"])
        return self


@pytest.fixture
def record(study, monkeypatch):
    """Return a function that computes a cell without networks: what it trains on, what it evaluates on, its result."""
    monkeypatch.setattr(study, "load_cifar", lambda name, folder: (None, cifar(name)))

    def record(trained_on="image", transformation="rotate", seed=2, evaluated_on=PLACES):
        trained, given = [], []
        monkeypatch.setattr(study, "pretrain", lambda source, *_: trained.append(source) or Encoder())
        monkeypatch.setattr(study, "SensitivityScorer", Recorder(given))
        made = study.cell(
            folder="procedural", data="", trained_on=trained_on, pretraining_transformation=transformation, seed=seed,
            evaluated_on=evaluated_on, n_classes=4, n_test=8, n_pairs=6,
        )  # fmt: skip
        return trained[0], given, made

    return record


def cifar(name):
    """As many images as labels, each of one brightness, other ones in each data set."""
    labels = np.arange(50)
    return np.full((50, 32, 32, 3), labels[:, None, None, None] + (100 if name == "cifar100" else 0), np.uint8), labels


@pytest.mark.parametrize("trained_on", ["image", "random"])
def test_images_that_are_evaluated_on(record, trained_on):
    (train, validation, _), given, made = record(trained_on)
    same, mild, strong, *photographs = [source for source, _ in given]
    assert made.evaluated_on.values.tolist() == list(PLACES)
    assert made.sensitivity.isel(transformation=0).values.tolist() == [1, 2, 3, 4, 5]
    assert made.sensitivity.sizes == {"evaluated_on": 5, "transformation": 18}

    assert same.class_names == train.class_names == validation.class_names
    assert len(train.class_names) == len(mild.class_names) == len(strong.class_names) == 4
    assert not set(mild.class_names) & set(train.class_names)
    states = {source.random_state for source in (train, validation, same, mild)}
    assert len(states) == 4  # so other images of the same classes, and none of which was trained on

    def is_pattern(source):
        """Patterns and their backgrounds are noise: neighbouring pixels differ as much as any."""
        X = source.sample(40, transformations=())[0].astype(float)
        return abs(np.diff(X, axis=2)).mean() / abs(X - X[::-1]).mean() > 0.9

    patterns = trained_on == "random"
    assert [is_pattern(source) for source in (train, same, mild, strong)] == [
        patterns,
        patterns,
        patterns,
        not patterns,
    ]
    for name, shown in zip(("cifar10", "cifar100"), photographs, strict=True):
        X, y = shown.sample(6)
        images, labels = cifar(name)
        assert len(set(y.tolist())) == 6
        np.testing.assert_array_equal(X, images[y])


def test_each_transformation_is_measured_alone(record):
    train, given, _ = record(transformation="blur")
    assert [t.name for t in train[0].transformations] == ["blur"]
    for source, parameters in given:
        # all 18, by the default of the scorer, each on images without others
        assert parameters == {"n_pairs": 6, "random_state": 2}
        plain, _ = source.sample(3, transformations=())
        np.testing.assert_array_equal(*source.twins(3, transformations=()))
        np.testing.assert_array_equal(source.twins(3, transformations=())[0], plain)
    assert [[t.name for t in source.transformations] for source, _ in given] == [["blur"], [], [], [], []]


@pytest.mark.parametrize("trained_on", ["image", "random"])
def test_encoders_of_a_seed_are_paired(record, trained_on):
    shown = []
    for transformation in ("rotate", "hue", "none", "untrained"):
        (train, *_), given, _ = record(trained_on, transformation, evaluated_on=PLACES[:4])
        assert [t.name for t in train.transformations] == [transformation] * (transformation in TRANSFORMATIONS)
        sources = [train, *(source for source, _ in given)]
        shown.append([source.sample(5, transformations=()) for source in sources])
    for others in shown[1:]:
        for (X, y), (X_other, y_other) in zip(shown[0], others, strict=True):
            np.testing.assert_array_equal(X, X_other)
            np.testing.assert_array_equal(y, y_other)
    another = record(trained_on, seed=3)[0][0].sample(5, transformations=())
    assert (shown[0][0][0] != another[0]).any()


def test_strong_ood_of_one_kind_is_what_the_other_is_trained_on(record):
    """The patterns that encoders of images are evaluated on are those that encoders of patterns know."""
    for kind, other in (("image", "random"), ("random", "image")):
        strong = record(kind)[1][2][0]
        known = record(other)[1][0][0]
        np.testing.assert_array_equal(strong.sample(6, transformations=())[0], known.sample(6, transformations=())[0])


def test_estimate_counts_what_passes_through_the_network(study, monkeypatch):
    counted = []
    monkeypatch.setattr(study, "estimate_seconds", lambda arguments, *n: counted.append(n) or 7.0)
    assert study.estimate(study.make_grid(study.PRESETS["paper"])[0][0][1]) == 7.0
    # 2 images of 10,000 pairs for 18 transformations in 5 places, 10,000 to test on, and to validate on in 50 epochs
    assert counted == [(50 * 50_000, 2 * 18 * 5 * 10_000 + 10_000 + 50 * 10_000)]


# the pattern


@pytest.mark.parametrize("architecture", ["resnet18", "vgg11", "densenet121", "vit"])
def test_pattern_holds_on_the_papers_numbers(study, architecture):
    sensitivity = published().sel(architecture=architecture, drop=True)
    claims = study.find_claims(sensitivity)
    assert len(claims) == 2 * 5 * 2 + 2 + 6
    assert verdicts(claims) == [True] * 28
    assert verdicts(study.find_claims(1 - sensitivity)) == [False] * 28
    part = sensitivity.sel(evaluated_on=["in_distribution", "cifar10"], trained_on=["random"])
    assert verdicts(study.find_claims(part)) == [True] * (2 * 2 + 6)


def test_planted_sensitivities_have_the_printed_means(study):
    table = study.invariance_by_relation(published()).mean("seed")
    with open(PUBLISHED / "invariance_transfer.csv", newline="") as file:
        for row in csv.DictReader(file):
            place = {name: row[name] for name in ("architecture", "trained_on", "relation", "evaluated_on")}
            assert float(table.sel(place)) == pytest.approx(float(row["value"]))


def test_claims_come_in_one_order(study):
    sensitivity = published().sel(architecture="resnet18", drop=True)
    texts = [text for text, *_ in study.find_claims(sensitivity)]
    assert texts[:3] == [
        "trained on image, evaluated on in_distribution: same is below other",
        "trained on image, evaluated on in_distribution: same is below none",
        "trained on image, evaluated on mild_ood: same is below other",
    ]
    assert len(set(texts)) == len(texts)


def test_claims_fail_one_by_one(study):
    sensitivity = published().sel(architecture="resnet18", drop=True)
    own = sensitivity.pretraining_transformation == sensitivity.transformation
    none = sensitivity.pretraining_transformation == "none"

    def failing(change):
        claims = study.find_claims(sensitivity.where(~change[0], change[1]))
        return [text for text, _, agrees in claims if not agrees]

    here = (sensitivity.trained_on == "random") & (sensitivity.evaluated_on == "cifar10")
    assert failing((own & here, 0.47)) == ["trained on random, evaluated on cifar10: same is below other"]
    assert failing((none & here, 0.39)) == ["trained on random, evaluated on cifar10: same is below none"]
    for kind, place in (("image", "mild_ood"), ("random", "strong_ood")):
        here = (sensitivity.trained_on == kind) & (sensitivity.evaluated_on == place)
        assert f"trained on {kind}: same is lower on unseen objects than on unseen patterns" in failing(
            (own & here, 0.9)
        )
    pair = (sensitivity.pretraining_transformation == "shear") & (sensitivity.transformation == "v_flip")
    assert failing((pair & (sensitivity.evaluated_on == "in_distribution"), 0.8)) == [
        "shear lowers the sensitivity to v_flip in-distribution"
    ]


def test_missing_cells_are_unknown(study):
    sensitivity = published().sel(architecture="resnet18", drop=True)
    assert verdicts(study.find_claims(sensitivity * np.nan)) == [None] * 28
    failed = sensitivity.where(sensitivity.trained_on != "random")
    for text, _, agrees in study.find_claims(failed):
        assert agrees is (None if "trained on random" in text else True), text
    # means over other transformations, or of other encoders, would not compare
    failed = sensitivity.where(sensitivity.pretraining_transformation != "none")
    assert verdicts(study.find_claims(failed)) == [None] * 28
    failed = sensitivity.where(sensitivity.pretraining_transformation != "rotate")
    for text, _, agrees in study.find_claims(failed):
        assert agrees is (True if " lowers " in text and "rotate" not in text else None), text
    failed = sensitivity.where((sensitivity.pretraining_transformation != "rotate") | (sensitivity.seed != 1))
    for text, numbers, agrees in study.find_claims(failed):
        assert agrees is True
        assert ("n = 2)" in numbers) == ("rotate" in text or " lowers " not in text), text
    failed = sensitivity.where(sensitivity.seed != 1)
    assert verdicts(study.find_claims(failed)) == [True] * 28
    assert all("n = 2)" in numbers for _, numbers, _ in study.find_claims(failed))


def test_figure_and_table_of_two_architectures(study, tmp_path, capsys):
    cube = xr.Dataset({"sensitivity": published()[[0, 3]]}, attrs={"title": "Title"})
    figure = study.plot(cube)
    figure.savefig(tmp_path / "figure.png", dpi=20)
    titles = [axes.get_title() for axes in figure.get_axes() if axes.get_title()]
    assert titles == ["trained on image", "trained on random"] * 2 * 2
    assert [part.get_suptitle() for part in figure.subfigs] == cube.architecture.values.tolist()
    study.print_table(cube)
    text = capsys.readouterr().out
    assert text.count("the paper's pattern: 28 of 28 held") == 2
    assert "nan" not in text
