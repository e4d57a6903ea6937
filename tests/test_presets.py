"""The protocol that studies share: its numbers, and that each of them arrives where it is used."""

import numpy as np
import pytest

from invtransfer import FrozenFeatureProbe, InvariantPretrainer, TransformedImages, Transforms2D
from invtransfer.networks.architectures import NETWORKS
from invtransfer.paper import protocol
from invtransfer.paper.protocol import (
    CHOICES,
    CIFAR_PROTOCOL,
    DATASETS,
    PROTOCOL,
    available,
    cell_arguments,
    check_sizes,
    estimate_seconds,
    factor_grid,
    fit_known,
    make_pretrainer,
    make_probe,
    make_tasks,
    pretrain,
)
from invtransfer.paper.tasks import CLASS_RELATIONS, draw_classes, draw_transformations

SETTINGS = {
    "seeds": 3, "levels": {"width": [1, 2]}, "architecture": "resnet18", "width": 0.5, "epochs": 6, "solver": "lbfgs",
    "learning_rate": 1e-2, "schedule": "constant", "vit_learning_rate": 1e-3, "vit_schedule": "cosine",
    "adam_epochs": 200, "adam_learning_rate": 1e-4,
}  # fmt: skip
COMMON = {  # of all cells of these settings
    "architecture": "resnet18", "width": 0.5, "epochs": 6, "solver": "lbfgs", "learning_rate": 1e-2,
    "schedule": "constant",
}  # fmt: skip


# the numbers


def test_paper_size_is_the_papers_protocol():
    expected = {  # Sections 3.2 and 4.1, Appendix B.2
        "n_classes": 30, "n_samples": 50_000, "n_validation": 10_000, "n_test": 10_000, "batch_size": 512, "epochs": 50,
        "learning_rate": 1e-3, "schedule": "constant", "weight_decay": 0.0, "solver": "adam", "n_pairs": 10_000,
        "seeds": 10, "width": 1.0,
        "adam_epochs": 200, "adam_learning_rate": 1e-3,
        "vit_learning_rate": 1e-3, "vit_schedule": "cosine", "vit_weight_decay": 1e-5,
        "architecture": "resnet18",
    }  # fmt: skip
    assert {name: PROTOCOL["paper"][name] for name in expected} == expected
    assert CIFAR_PROTOCOL["cifar10"]["paper"]["n_classes"] == 5
    assert CIFAR_PROTOCOL["cifar100"]["paper"]["n_classes"] == 50


def test_sizes_have_the_same_settings():
    names = PROTOCOL["paper"].keys()
    assert [*PROTOCOL] == ["smoke", "quick", "paper"]
    assert all(settings.keys() == names for settings in PROTOCOL.values())
    for sizes in CIFAR_PROTOCOL.values():
        assert sizes.keys() == PROTOCOL.keys()
        assert all(differing.keys() <= names for differing in sizes.values())
    assert ("transforms2d", *CIFAR_PROTOCOL) == DATASETS


def test_settings_are_among_the_choices():
    for settings in PROTOCOL.values():
        for name in CHOICES.keys() & settings.keys():
            assert settings[name] in CHOICES[name]
    assert CHOICES["architecture"] == list(NETWORKS)
    words = {name for name, value in PROTOCOL["paper"].items() if isinstance(value, str)}
    assert words | {"class_relation"} == CHOICES.keys()


# arguments of a cell


def test_arguments_of_a_cell():
    assert cell_arguments(SETTINGS) == COMMON  # neither levels nor seeds, vit's nor adam's
    assert cell_arguments(SETTINGS, seed=4, width=2) == COMMON | {"seed": 4, "width": 2}
    assert cell_arguments({"levels": {}, "n": 1}) == {"n": 1}


def test_settings_of_vit_decide_where_it_is_the_architecture():
    vit = COMMON | {"architecture": "vit", "learning_rate": 1e-3, "schedule": "cosine"}
    assert cell_arguments(SETTINGS, architecture="vit") == vit
    assert cell_arguments(SETTINGS | {"architecture": "vit"}) == vit
    other = cell_arguments(SETTINGS | {"architecture": "vit"}, architecture="vgg11")
    assert other == COMMON | {"architecture": "vgg11"}


def test_settings_of_adam_decide_where_it_is_the_solver():
    adam = COMMON | {"solver": "adam", "adam_epochs": 200, "adam_learning_rate": 1e-4}
    assert cell_arguments(SETTINGS, solver="adam") == adam
    assert cell_arguments(SETTINGS | {"solver": "adam"}) == adam
    assert cell_arguments(SETTINGS | {"solver": "adam"}, solver="lbfgs") == COMMON


def test_what_is_chosen_wins():
    chosen = {"architecture": "vit", "schedule": "one-cycle", "solver": "adam", "adam_epochs": 3}
    arguments = cell_arguments(SETTINGS, **chosen)
    assert {name: arguments[name] for name in chosen} == chosen
    assert arguments["learning_rate"] == 1e-3  # of vit, as nothing else is chosen


def test_settings_stay_as_they_are():
    before = SETTINGS | {"levels": {"width": [1, 2]}}
    cell_arguments(SETTINGS, architecture="vit", solver="adam")["levels"] = {}
    assert before == SETTINGS


# what arguments make


def changed(estimator):
    """Parameters that differ from their defaults."""
    defaults = type(estimator)().get_params()
    return {name: value for name, value in estimator.get_params(deep=False).items() if value != defaults[name]}


def test_each_argument_arrives_at_the_encoder():
    chosen = {
        "width": 0.3, "epochs": 7, "batch_size": 11, "learning_rate": 0.02, "schedule": "cosine", "weight_decay": 0.4
    }  # fmt: skip
    encoder = make_pretrainer(chosen | {"architecture": "vgg11", "n_samples": 5, "seed": 1}, 6, ["hue"])
    assert isinstance(encoder, InvariantPretrainer)
    assert changed(encoder) == chosen | {"network": "vgg11", "random_state": 6, "transformations": ["hue"]}
    assert make_pretrainer(chosen | {"architecture": "vit"}, 6).transformations == ()


@pytest.mark.parametrize(
    "name", ["architecture", "width", "epochs", "batch_size", "learning_rate", "schedule", "weight_decay"]
)
def test_no_argument_of_the_encoder_is_left_to_its_default(name):
    arguments = {each: value for each, value in PROTOCOL["quick"].items() if each != name}
    with pytest.raises(KeyError, match=name):
        make_pretrainer(arguments, 0)


def test_each_argument_arrives_at_the_probe():
    arguments = {"solver": "adam", "adam_epochs": 7, "adam_learning_rate": 0.02, "epochs": 50, "learning_rate": 0.5}
    encoder = abs
    probe = make_probe(arguments, 6, encoder)
    assert isinstance(probe, FrozenFeatureProbe)
    expected = {"solver": "adam", "epochs": 7, "learning_rate": 0.02, "random_state": 6, "encoder": encoder}
    assert changed(probe) == expected
    assert changed(make_probe({"solver": "lbfgs", "epochs": 50, "learning_rate": 0.5}, 6)) == {"random_state": 6}


def test_time_is_that_of_steps_and_passes(monkeypatch):
    measured = []
    monkeypatch.setattr(protocol, "seconds_per_image", lambda *arguments: measured.append(arguments) or (0.5, 0.25))
    arguments = {"architecture": "vgg11", "width": 0.3, "batch_size": 11, "epochs": 7}
    assert estimate_seconds(arguments, 10, 8) == 10 * 0.5 + 8 * 0.25
    assert measured == [("vgg11", 0.3, 11)]


# tasks


@pytest.fixture
def cifar(monkeypatch):
    """Return stand-ins for CIFAR-100: 100 classes of 20 images to train and 2 to test on."""
    images = np.random.default_rng(0).integers(256, size=(2_000, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(2_000) % 100
    asked, parts = [], ((images, labels), (images[:200], labels[:200]))
    monkeypatch.setattr(protocol, "load_cifar", lambda *arguments: asked.append(arguments) or parts)
    yield parts
    assert set(asked) == {("cifar100", "somewhere")}


TASKS = {"folder": "procedural", "dataset": "transforms2d", "class_relation": "superset", "seed": 3, "n_classes": 4}
CIFAR_TASKS = TASKS | {"folder": "somewhere", "dataset": "cifar100"}


@pytest.mark.parametrize("dataset", ["transforms2d", "cifar100"])
@pytest.mark.parametrize("seed", [0, 3])
def test_tasks_have_the_transformations_of_their_relation(dataset, seed, request):
    if dataset == "cifar100":
        request.getfixturevalue("cifar")
    tasks = {
        relation: make_tasks(
            **(TASKS if dataset == "transforms2d" else CIFAR_TASKS) | {"seed": seed}, relation=relation
        )
        for relation in ("same", "disjoint", "none")
    }
    drawn = draw_transformations(seed) | {"none": []}
    for relation, (source, target) in tasks.items():
        for parts, names in ((source, drawn[relation]), (target, drawn["same"])):
            assert [[each.name for each in part.transformations] for part in parts] == [names] * 3
        # 3 parts of each task, of which number 2 * seed is the source's and 2 * seed + 1 the target's
        assert [part.random_state for part in (*source, *target)] == [6 * seed + i for i in range(6)]
        for part, same in zip(target, tasks["same"][1], strict=True):
            np.testing.assert_array_equal(part.sample(20)[0], same.sample(20)[0])


@pytest.mark.parametrize("class_relation", CLASS_RELATIONS)
def test_tasks_of_pictures_have_the_classes_drawn(class_relation):
    drawn = draw_classes(class_relation, 4, 61, seed=3)
    tasks = make_tasks(**TASKS | {"class_relation": class_relation}, relation="same")
    for parts, classes in zip(tasks, drawn, strict=True):
        for part in parts:
            assert isinstance(part, Transforms2D)
            assert len(np.unique(part.sample(100)[1])) == len(classes)


@pytest.mark.parametrize("class_relation", CLASS_RELATIONS)
def test_tasks_of_cifar_have_the_classes_drawn(class_relation, cifar):
    drawn = draw_classes(class_relation, 4, 100, seed=3)
    tasks = make_tasks(**CIFAR_TASKS | {"class_relation": class_relation}, relation="same")
    for parts, classes in zip(tasks, drawn, strict=True):
        for part, n in zip(parts, (18, 2, 2), strict=True):  # a tenth of 20 is for validation
            assert isinstance(part, TransformedImages)
            assert part.n_images == n * len(classes)
            assert set(part.sample(part.n_images)[1].tolist()) == set(classes.tolist())


def test_tasks_show_the_backgrounds_of_their_folder(monkeypatch, objects):
    black = np.zeros((1, 32, 32, 3), dtype=np.uint8)
    monkeypatch.setattr(protocol, "load_objects_and_backgrounds", lambda folder: {"mine": (objects, black)}[folder])
    for parts in make_tasks(**TASKS | {"folder": "mine"}, relation="none"):
        for part in parts:
            assert not part.sample(10, transformations=())[0][:, 0].any()  # objects take up 0.7 of the side


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("relation", "other", KeyError, "other"),
        ("class_relation", "other", ValueError, "class_relation is 'other', expected one of: subset, disjoint"),
        ("n_classes", 31, ValueError, "n_classes is 31: source and target need 62 classes, there are 61"),
        ("folder", "no such folder", FileNotFoundError, "no such folder"),
    ],
)
def test_tasks_that_cannot_be_drawn_are_refused(name, value, error, message):
    with pytest.raises(error, match=message):
        make_tasks(**TASKS | {"relation": "same"} | {name: value})


# training


@pytest.fixture
def fitted(monkeypatch):
    """Return what encoders are fitted on; nothing is trained."""
    calls = []

    class Recorder(InvariantPretrainer):
        def fit(self, *data):
            calls.append(data)
            return self

    monkeypatch.setattr(protocol, "InvariantPretrainer", Recorder)
    return calls


def test_fixed_images_of_objects_are_trained_on(fitted):
    arguments = PROTOCOL["smoke"] | {"dataset": "transforms2d", "n_samples": 30, "n_validation": 20, "width": 0.3}
    source, _ = make_tasks(**TASKS, relation="same")
    encoder = pretrain(source, arguments, 5)
    assert changed(encoder) == changed(make_pretrainer(arguments, 5))  # no transformations: they are in the images
    for given, expected in zip(fitted[0], (*source[0].sample(30), *source[1].sample(20)), strict=True):
        np.testing.assert_array_equal(given, expected)


def test_photographs_are_transformed_anew_in_every_epoch(fitted, cifar):
    source, _ = make_tasks(**CIFAR_TASKS, relation="disjoint")  # a superset: 8 classes
    arguments = PROTOCOL["smoke"] | {"dataset": "cifar100", "n_samples": 3, "n_validation": 10}
    encoder = pretrain(source, arguments, 5)
    assert [each.name for each in encoder.transformations] == draw_transformations(3)["disjoint"]
    assert encoder.random_state == 5
    X, y, X_val, y_val = fitted[0]
    assert sorted(np.bincount(y)[np.unique(y)]) == [3] * 8
    originals = {image.tobytes(): label for image, label in zip(*cifar[0], strict=True)}
    assert [originals[image.tobytes()] for image in X] == y.tolist()  # as they are, without transformations
    for given, expected in zip((X_val, y_val), source[1].sample(10), strict=True):
        np.testing.assert_array_equal(given, expected)


def test_training_takes_what_there_is(fitted, cifar):
    source, _ = make_tasks(
        **CIFAR_TASKS | {"class_relation": "subset"}, relation="same"
    )  # a third of 4, at least 2 classes
    pretrain(source, PROTOCOL["smoke"] | {"dataset": "cifar100", "n_samples": 500, "n_validation": 64}, 0)
    assert [len(part) for part in fitted[0]] == [36, 36, 4, 4]


def test_available(images, source):
    of_images = TransformedImages(images, random_state=0)  # 40
    assert [available(of_images, n) for n in (0, 39, 40, 41)] == [0, 39, 40, 40]
    assert available(source, 10**9) == 10**9  # objects have no end


PAPER = {name: PROTOCOL["paper"] | sizes["paper"] | {"dataset": name} for name, sizes in CIFAR_PROTOCOL.items()}


@pytest.mark.parametrize(
    ("name", "largest", "there"),
    [
        ("n_probe", 22_500, "22500 images of 5 classes"),
        ("n_test", 5_000, "5000 images of 5 classes"),
        ("n_pairs", 5_000, "5000 images of 5 classes"),
        ("n_samples", 5_000, "5000 images of each class"),
        ("n_validation", 2_500, "2500 images of 5 classes"),
    ],
)
def test_sizes_that_cifar_cannot_fill_are_refused(name, largest, there):
    settings = PAPER["cifar10"] | {"levels": {}}
    check_sizes(settings | {name: largest})
    message = f"{name} is {largest + 1}, but there are only {there} for it"
    with pytest.raises(ValueError, match=message):
        check_sizes(settings | {name: largest + 1})
    if name in ("n_samples", "n_probe"):  # which may vary
        check_sizes(settings | {"levels": {name: [100, largest]}})
        with pytest.raises(ValueError, match=message):
            check_sizes(settings | {"levels": {name: [largest + 1, 100]}})
    check_sizes(settings | {"dataset": "transforms2d", name: 10**9})  # objects have no end


@pytest.mark.parametrize("dataset", DATASETS)
def test_fewer_probe_samples_than_classes_are_refused(dataset):
    settings = PROTOCOL["smoke"] | {"dataset": dataset, "n_classes": 4, "n_probe": 50, "levels": {}}
    check_sizes(settings | {"n_probe": 4})
    message = "n_probe is 3, expected at least one sample of each of 4 classes"
    for too_few in ({"n_probe": 3}, {"levels": {"n_probe": [128, 3]}}):
        with pytest.raises(ValueError, match=message):
            check_sizes(settings | too_few)


@pytest.mark.parametrize("dataset", CIFAR_PROTOCOL)
@pytest.mark.parametrize("preset", PROTOCOL)
def test_no_size_asks_for_more_than_there_is(dataset, preset):
    differing = CIFAR_PROTOCOL[dataset][preset]
    check_sizes(PROTOCOL[preset] | differing | {"dataset": dataset, "levels": {}})


# one factor at a time


def test_grid_of_factors():
    settings = {"width": 1, "solver": "lbfgs", "epochs": 6, "seeds": 2, "levels": {"width": [1, 2], "solver": ["adam"]}}
    places, coordinates = factor_grid(settings)
    factors = ["width=1", "width=2", "solver=adam", "reference=untrained", "reference=no transformations"]
    assert coordinates == {
        "factor": factors,
        "factor_name": ("factor", ["width", "width", "solver", "reference", "reference"]),
        "level": ("factor", ["1", "2", "adam", "untrained", "no transformations"]),
        "relation": ["same", "disjoint"],
        "seed": [0, 1],
    }
    # 5 levels of 2 relations and 2 seeds, the seed fastest
    assert [labels for labels, _ in places] == [
        {"factor": factor, "relation": relation, "seed": seed}
        for factor in factors
        for relation in ("same", "disjoint")
        for seed in (0, 1)
    ]
    changes = [{"width": 1}, {"width": 2}, {"solver": "adam"}, {"relation": "none", "epochs": 0}, {"relation": "none"}]
    expected = [
        {"width": 1, "solver": "lbfgs", "epochs": 6, "relation": relation, "seed": seed} | change
        for change in changes
        for relation in ("same", "disjoint")
        for seed in (0, 1)
    ]
    assert [arguments for _, arguments in places] == expected


def test_grid_has_the_references_that_are_named():
    settings = {"width": 1, "epochs": 6, "seeds": 1, "levels": {"width": [1, 2]}}
    for references in ((), ("untrained",), ("no transformations",)):
        places, coordinates = factor_grid(settings, references)
        expected = ["width=1", "width=2", *(f"reference={name}" for name in references)]
        assert coordinates["factor"] == expected
        assert len(places) == 2 * len(expected)


def test_cells_of_the_grid_have_the_arguments_of_their_levels():
    settings = SETTINGS | {"levels": {"architecture": ["vgg11", "vit"], "solver": ["adam"]}}
    for labels, arguments in factor_grid(settings)[0]:
        name, level = labels["factor"].split("=")
        chosen = {"relation": labels["relation"], "seed": labels["seed"]}
        if name == "reference":
            chosen |= {"relation": "none"} | ({"epochs": 0} if level == "untrained" else {})
        else:
            chosen[name] = level
        assert arguments == cell_arguments(settings, **chosen)


def test_few_training_samples_may_lack_a_class():
    fitted = []

    class Recorder:
        def fit(self, *data):
            fitted.append([part.tolist() for part in data])
            return self

    recorder = Recorder()
    train, validation = (np.zeros(3), np.array([0, 2, 2])), (np.arange(4), np.array([0, 1, 2, 1]))
    assert fit_known(recorder, train, validation) is recorder
    assert fitted == [[[0, 0, 0], [0, 2, 2], [0, 2], [0, 2]]]
