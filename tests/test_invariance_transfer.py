"""The study of invariance transfer: its grid, its cell, its claims, its table and its figure."""

from itertools import product

import numpy as np
import pytest
import study_runs
import xarray as xr
from study_runs import PRETRAINING, published, replace, replace_pretrainer, verdicts

from invtransfer import TRANSFORMATIONS
from invtransfer.cubes.cells import cell_id
from invtransfer.paper import distribution_shift
from invtransfer.paper.presets import PROTOCOL

study = study_runs.load("invariance_transfer")
MEASURED = ["h_flip", "hue", "grayscale"]  # of the 18, so that a run takes seconds
SMALLER = "--architecture-levels vgg11 --epochs 1 --n-samples 32 --n-validation 16 --n-test 16 --n-pairs 16"
PLACES = ["in_distribution", "mild_ood", "strong_ood", "cifar10", "cifar100"]
ARCHITECTURES = ["resnet18", "vgg11", "densenet121", "vit"]
SPILLOVERS = [  # that Appendix D.2 names
    ("rotate", "h_flip"), ("rotate", "v_flip"), ("shear", "h_flip"), ("shear", "v_flip"), ("hue", "grayscale"),
    ("grayscale", "hue"),
]  # fmt: skip
# The paper's Tables 2 to 5: means over transformations
MEANS = published("invariance_transfer", "sensitivity", "architecture", "trained_on", "evaluated_on", "relation")
MEANS = MEANS.sel(architecture=ARCHITECTURES, evaluated_on=PLACES)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    return study_runs.run(study, tmp_path_factory.mktemp("invariance_transfer"), SMALLER, MEASURED)


@pytest.fixture(scope="module")
def tables():
    """The paper's means as a cube's sensitivities.

    The tables do not have the parts of the means. Here the spill-overs that the paper names are as invariant as an
    encoder's own transformation, and the others so that the mean is the printed one.
    """
    same, other, none = (MEANS.sel(relation=name, drop=True) for name in ("same", "other", "none"))
    rest = (18 * 17 * other - len(SPILLOVERS) * same) / (18 * 17 - len(SPILLOVERS))
    names = {"pretraining_transformation": [*TRANSFORMATIONS, "none"], "transformation": list(TRANSFORMATIONS)}
    own = xr.DataArray(np.eye(19, 18, dtype=bool), names, list(names))
    for pair in SPILLOVERS:
        own.loc[pair] = True
    sensitivity = xr.where(own, same, xr.where(own.pretraining_transformation == "none", none, rest))
    return sensitivity.transpose("architecture", ..., *names, "seed")


@pytest.fixture(scope="module")
def resnet(tables):
    return tables.sel(architecture="resnet18", drop=True)


def test_cube(smoke):
    labels = {
        "architecture": ["vgg11"], "trained_on": ["image", "random"],
        "pretraining_transformation": ["h_flip", "hue", "none", "untrained"], "seed": [0],
        "evaluated_on": PLACES[:3], "transformation": MEASURED,
    }  # fmt: skip
    own = dict.fromkeys(("sensitivity", *study.COMPANIONS), ("evaluated_on", "transformation"))
    study_runs.check_cube(smoke, labels, own | {"source_accuracy": (), "source_seen": ()})
    assert ((smoke.abx >= 0) & (smoke.abx <= 1)).all()
    assert (smoke.participation_ratio >= 1).all()
    assert smoke.category.values.tolist() == [TRANSFORMATIONS[name].category for name in MEASURED]


# the grid


@pytest.mark.parametrize(
    ("preset", "n_cells"), [("smoke", 1 * 2 * 4 * 1), ("quick", 1 * 2 * 20 * 5), ("paper", 4 * 2 * 20 * 10)]
)
def test_grid(preset, n_cells):
    settings = study.STUDY.settings(preset)
    cells, coordinates = study.make_grid(settings)
    assert list(coordinates) == ["architecture", "trained_on", "pretraining_transformation", "seed"]
    assert len(cells) == n_cells == len({cell_id(arguments) for _, arguments in cells})
    study_runs.check_vit(cells, settings)
    for place, arguments in cells:
        assert {name: arguments[name] for name in place} == place
        untrained = place["pretraining_transformation"] == "untrained"
        assert arguments["epochs"] == (0 if untrained else settings["epochs"])
        assert arguments["evaluated_on"] == settings["levels"]["evaluated_on"]


def test_presets(monkeypatch):
    study_runs.check_presets(study.STUDY, monkeypatch)
    own = {"architecture", "solver", "n_probe", "adam_epochs", "adam_learning_rate"}  # levels; and there is no probe
    levels = {  # Section 5.1 and Appendix D
        "architecture": ARCHITECTURES, "trained_on": ["image", "random"],
        "pretraining_transformation": [*TRANSFORMATIONS, "none", "untrained"], "evaluated_on": PLACES,
    }  # fmt: skip
    expected = {name: value for name, value in PROTOCOL["paper"].items() if name not in own}
    assert study.STUDY.settings("paper") == expected | {"levels": levels}
    quick = levels | {"architecture": ["resnet18"], "evaluated_on": PLACES[:4]}
    assert study.STUDY.settings("quick")["levels"] == quick


def test_estimate_counts_what_passes_through_the_network(monkeypatch):
    # 2 images of 10,000 pairs for 18 transformations in 5 places, 10,000 to test on, and to validate on in 50 epochs
    expected = (50 * 50_000, 2 * 18 * 5 * 10_000 + 10_000 + 50 * 10_000)
    assert study_runs.count_images(study, monkeypatch) == expected


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_cifar_is_needed_where_it_is_evaluated_on(tmp_path, dataset):
    settings = study.STUDY.settings("smoke")
    where = study.STUDY.find(objects=None, data=tmp_path, **settings).where
    assert where == {"folder": "procedural", "data": str(tmp_path)}
    levels = settings["levels"] | {"evaluated_on": ["mild_ood", dataset]}
    with pytest.raises(FileNotFoundError, match=f"python data/fetch.py {dataset} --to "):
        study.STUDY.find(objects=None, data=tmp_path, **settings | {"levels": levels})
    with pytest.raises(ValueError, match="^n_classes is 31: source and target need 62 classes, there are 61$"):
        study.STUDY.find(objects=None, data=tmp_path, **settings | {"n_classes": 31})


# what a cell does


def cifar(name):
    """Return as many images as labels, each of one brightness, other ones in each data set."""
    labels = np.arange(50)
    return np.full((50, 32, 32, 3), labels[:, None, None, None] + (100 if name == "cifar100" else 0), np.uint8), labels


@pytest.fixture
def record(monkeypatch):
    """Return a function that computes a cell with estimators that learn nothing.

    It returns the encoder, the sources that sensitivity is measured on, and the result. The n-th measurement is n.
    """
    monkeypatch.setattr(distribution_shift, "load_cifar", lambda name, folder: (None, cifar(name)))

    def record(trained_on="image", transformation="rotate", seed=2):
        encoders, scorers = replace_pretrainer(monkeypatch), replace(study, monkeypatch, "SensitivityScorer")
        names = ("sensitivity", *study.COMPANIONS)
        study.SensitivityScorer.profile_ = property(
            lambda scorer: xr.Dataset(
                {name: ("transformation", np.full(18, len(scorer.fitted))) for name in names},
                {"transformation": [*TRANSFORMATIONS]},
            )
        )
        made = study.cell(
            folder="procedural", data="", trained_on=trained_on, pretraining_transformation=transformation, seed=seed,
            evaluated_on=PLACES, n_classes=4, n_samples=40, n_validation=12, n_test=8, n_pairs=6, **PRETRAINING,
        )  # fmt: skip
        (encoder,), (scorer,) = encoders, scorers
        study_runs.check_encoder(encoder, seed)
        assert [len(part) for part in (*encoder.fitted[0], *encoder.scored[0])] == [40, 40, 12, 12, 8, 8]
        # it measures all 18, by its default
        assert (scorer.arguments, scorer.parameters) == ((encoder,), {"n_pairs": 6, "random_state": seed})
        return encoder, [images for (images,) in scorer.fitted], made

    return record


@pytest.mark.parametrize("trained_on", ["image", "random"])
def test_images_that_are_evaluated_on(record, trained_on):
    encoder, sources, made = record(trained_on, "blur")
    assert made.evaluated_on.values.tolist() == PLACES
    assert made.sensitivity.transpose("transformation", ...).values.tolist() == [[1, 2, 3, 4, 5]] * 18
    assert made.source_accuracy == 0.1
    assert [[t.name for t in source.transformations] for source in sources] == [["blur"], [], [], [], []]

    same, mild, strong, *photographs = sources
    assert len(same.class_names) == len(mild.class_names) == len(strong.class_names) == 4
    assert not set(mild.class_names) & set(same.class_names)
    np.testing.assert_array_equal(encoder.scored[0][0], same.sample(8)[0])
    # other images of the same classes, of which none was trained on: parts of a source have random states of their own
    assert same.random_state != mild.random_state
    assert (encoder.fitted[0][0][:8] != encoder.scored[0][0]).any()

    def is_pattern(X):
        """Patterns and their backgrounds are noise: neighbouring pixels differ as much as any."""
        return abs(np.diff(X.astype(float), axis=2)).mean() / abs(X.astype(float) - X[::-1]).mean() > 0.9

    shown = [source.sample(40, transformations=())[0] for source in (same, mild, strong)]
    assert [is_pattern(X) for X in shown] == [trained_on == "random"] * 2 + [trained_on == "image"]
    for name, source in zip(("cifar10", "cifar100"), photographs, strict=True):
        X, y = source.sample(6)
        assert len(set(y.tolist())) == 6
        np.testing.assert_array_equal(X, cifar(name)[0][y])
    # the patterns that encoders of images are evaluated on are those that encoders of patterns know
    known = record({"image": "random", "random": "image"}[trained_on], "blur")[1][0]
    np.testing.assert_array_equal(shown[2], known.sample(40, transformations=())[0])


@pytest.mark.parametrize("trained_on", ["image", "random"])
def test_encoders_of_a_seed_are_paired(record, trained_on):
    shown, trained = [], []
    for transformation in ("none", "untrained", "rotate", "hue"):
        encoder, sources, _ = record(trained_on, transformation)
        assert [t.name for t in sources[0].transformations] == [transformation] * (transformation in TRANSFORMATIONS)
        trained.append(encoder.fitted[0])
        shown.append([source.sample(5, transformations=()) for source in sources])
    for others in shown[1:]:
        for (X, y), (X_other, y_other) in zip(shown[0], others, strict=True):
            np.testing.assert_array_equal(X, X_other)
            np.testing.assert_array_equal(y, y_other)
    X, y, *_ = trained[0]
    assert [(images == X).all() for images, *_ in trained] == [True, True, False, False]  # which are transformed
    assert all((y == labels).all() for _, labels, *_ in trained)
    assert (record(trained_on, "none", seed=3)[0].fitted[0][0] != X).any()


# claims, table and figure


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_claims_hold_on_the_papers_numbers(tables, architecture):
    claims = study.find_claims(tables.sel(architecture=architecture, drop=True))
    assert verdicts(claims) == "+" * (2 * 5 * 2 + 2 + 6)
    assert [each.text for each in claims][:3] == [
        "trained on image, evaluated on in_distribution: same is below other",
        "trained on image, evaluated on in_distribution: same is below none",
        "trained on image, evaluated on mild_ood: same is below other",
    ]
    assert len({each.text for each in claims}) == 28


def test_claims_fail_one_by_one(resnet):
    assert verdicts(study.find_claims(1 - resnet)) == "-" * 28
    resnet = resnet.sel(trained_on=["random"], evaluated_on=PLACES[:3])
    own = resnet.pretraining_transformation == resnet.transformation
    none = resnet.pretraining_transformation == "none"
    pair = (resnet.pretraining_transformation == "shear") & (resnet.transformation == "v_flip")

    def failing(there, place, value):
        changed = resnet.where(~(there & (resnet.evaluated_on == place)), value)
        return [each.text for each in study.find_claims(changed) if each.verdict != "held"]

    assert failing(own, "mild_ood", 0.9)[0] == "trained on random, evaluated on mild_ood: same is below other"
    assert failing(none, "mild_ood", 0.1) == ["trained on random, evaluated on mild_ood: same is below none"]
    text = "trained on random: same is lower on unseen objects than on unseen patterns"
    assert failing(own, "strong_ood", 0.9)[-1] == text
    assert failing(pair, "in_distribution", 0.8) == ["shear lowers the sensitivity to v_flip in-distribution"]


def test_missing_cells_are_unknown(resnet):
    resnet = resnet.sel(evaluated_on=PLACES[:3])
    encoder = resnet.pretraining_transformation
    assert verdicts(study.find_claims(resnet * np.nan)) == "?" * 20
    # means over other transformations, or of other encoders, would not compare
    assert verdicts(study.find_claims(resnet.where(encoder != "none"))) == "?" * 20
    for each in study.find_claims(resnet.where(resnet.trained_on != "random")):
        assert each.verdict == ("unknown" if "trained on random" in each.text else "held"), each.text
    for each in study.find_claims(resnet.where(encoder != "rotate")):
        spared = " lowers " in each.text and "rotate" not in each.text
        assert each.verdict == ("held" if spared else "unknown"), each.text
    for each in study.find_claims(resnet.where((encoder != "rotate") | (resnet.seed != 1))):
        assert each.verdict == "held"
        assert ("n = 2)" in each.numbers) == ("rotate" in each.text or " lowers " not in each.text), each.text


@pytest.mark.parametrize(("above", "expected"), [(0.03, "+"), (0.02, "~"), (-0.03, "-")])
def test_untrained_encoders_may_be_as_invariant(resnet, above, expected):
    """Their sensitivity is constant here, and that of "same" 0.025 to each side."""
    resnet = resnet.sel(trained_on=["random"], evaluated_on=PLACES[1:3])
    same = resnet.sel(pretraining_transformation="hue", transformation="hue", drop=True).mean("seed")
    untrained = same + above + 0 * resnet.sel(pretraining_transformation=["none"])
    untrained = untrained.assign_coords(pretraining_transformation=["untrained"])
    claims = study.find_claims(xr.concat([resnet, untrained], "pretraining_transformation"))
    assert claims[2].text == "trained on random, evaluated on mild_ood: same is below untrained"
    assert verdicts(claims) == f"++{expected}" * 2 + "+"


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [  # of one seed
        # same below other, none and untrained in 2 * 3 places, objects below patterns, hue to grayscale
        ({}, "~~~" * 6 + "~~" + "~"),
        ({"pretraining_transformation": ["none"]}, ""),  # nothing that was trained with a transformation
        ({"pretraining_transformation": ["hue", "untrained"]}, "??~" * 6 + "~~"),  # neither others nor one without
        ({"pretraining_transformation": ["h_flip", "none"], "trained_on": ["random"]}, "?~" * 3 + "~"),  # no other
        ({"pretraining_transformation": ["hue", "h_flip", "none"], "trained_on": ["image"]}, "~~" * 3 + "~" + "~"),
        ({"evaluated_on": ["strong_ood", "mild_ood"]}, "~~~" * 4 + "~~"),  # nothing in-distribution
    ],
)
def test_part_of_the_grid(smoke, chosen, expected):
    part = smoke.sel(chosen)
    if chosen:  # the run has drawn the whole
        study.STUDY.figure(part).draw_without_rendering()
    claims = study.STUDY.claims(part)
    assert verdicts(claims) == expected
    assert all(each.text.startswith("vgg11: ") for each in claims)
    assert "nan" not in study.format_results(part)


def test_table_and_figure_of_two_architectures(tables):
    cube = xr.Dataset({"sensitivity": tables[[0, 3], :, :2]}, attrs={"title": "Title"})
    figure = study.STUDY.figure(cube)
    figure.draw_without_rendering()
    titles = [axes.get_title() for axes in figure.get_axes() if axes.get_title()]
    assert titles == ["trained on image", "trained on random"] * 2 * 2
    assert [part.get_suptitle() for part in figure.subfigs] == ["resnet18", "vit"]
    parts = study.format_results(cube).split("\n\n")
    claims = study.STUDY.claims(cube)
    assert verdicts(claims) == "+" * 2 * 14
    assert [each.text.split(": ")[0] for each in claims[::14]] == ["resnet18", "vit"]
    for architecture, (title, table, spilled) in zip(("resnet18", "vit"), (parts[:3], parts[3:]), strict=True):
        assert title == f"{architecture}: sensitivity (0: invariant), mean ± 95 % interval over seeds (n = 3)"
        head, *rows = table.splitlines()
        assert head.split() == PLACES[:2]
        here = MEANS.sel(architecture=architecture).mean("seed")
        for row, (kind, relation) in zip(rows, product(("image", "random"), ("same", "other", "none")), strict=True):
            means = here.sel(trained_on=kind, relation=relation).values[:2]
            words = f"trained on {kind}: {relation} " + " ".join(f"{mean:.3f} ± 0.025" for mean in means)
            assert row.split() == words.split()
        _, *lines = (line.split() for line in spilled.splitlines())
        here = here.sel(evaluated_on="in_distribution").mean("trained_on")
        change = here.sel(relation="same") - here.sel(relation="none")
        assert {tuple(line[:-1]) for line in lines[:6]} == {(trained, "to", other) for trained, other in SPILLOVERS}
        assert [line[-1] for line in lines[:6]] == [f"{change:+.2f}"] * 6
        assert all(float(line[-1]) > change for line in lines[6:])  # others, of which the table shows two
        assert len(lines) == 8
