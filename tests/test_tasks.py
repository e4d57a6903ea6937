import numpy as np
import pytest

from invtransfer import TRANSFORMATIONS, TransformedImages, Transforms2D, load_objects
from invtransfer.paper import tasks
from invtransfer.paper.tasks import (
    CLASS_RELATIONS,
    count_available,
    draw_classes,
    draw_transformations,
    images_task,
    make_tasks,
    mark_used,
    objects_task,
    sample_training,
)


def test_one_transformation_of_each_category_twice():
    drawn = [draw_transformations(seed) for seed in range(200)]
    assert drawn == [draw_transformations(seed) for seed in range(200)]
    for names in drawn:
        for relation in ("same", "disjoint"):
            categories = [TRANSFORMATIONS[name].category for name in names[relation]]
            assert categories == ["geometric", "photometric", "corruption"]
        assert not set(names["same"]) & set(names["disjoint"])
    assert {name for names in drawn for name in names["same"]} == set(TRANSFORMATIONS)


def test_class_relations():
    # 9 target classes of 20: a third is 3; a superset is 18
    sizes = {"subset": 3, "disjoint": 9, "same": 9, "superset": 18}
    targets = []
    for relation in CLASS_RELATIONS:
        source, target = (set(classes.tolist()) for classes in draw_classes(relation, 9, 20, seed=4))
        targets.append(target)
        assert len(target) == 9
        assert len(source) == sizes[relation]
        expected = {"subset": source < target, "disjoint": not source & target, "same": source == target}
        assert expected.get(relation, source > target)
    assert all(target == targets[0] for target in targets)


@pytest.mark.parametrize(
    ("relation", "n_source", "n_shared"),  # with 6 target classes
    [("subset", 2, 2), ("disjoint", 6, 0), ("same", 6, 6), ("superset", 12, 6)],
)
def test_classes_of_source_and_target(relation, n_source, n_shared):
    for seed in range(5):
        source, target = draw_classes(relation, 6, 13, seed)
        assert len(set(target)) == 6
        assert len(set(source)) == len(source) == n_source
        assert len(set(source) & set(target)) == n_shared
        assert set(source) | set(target) <= set(range(13))
        np.testing.assert_array_equal(target, draw_classes("same", 6, 13, seed)[0])
    with pytest.raises(ValueError, match="n_classes is 7: source and target need 14 classes, there are 13"):
        draw_classes(relation, 7, 13, 0)


def test_seeds_draw_other_classes():
    assert (draw_classes("same", 9, 20, 0)[1] != draw_classes("same", 9, 20, 1)[1]).any()


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="n_classes is 11: source and target need 22 classes, there are 20"):
        draw_classes("same", 11, 20, 0)
    with pytest.raises(
        ValueError, match="class_relation is 'other', expected one of: subset, disjoint, same, superset"
    ):
        draw_classes("other", 5, 20, 0)


def test_the_parts_of_a_task_of_objects_differ(objects):
    parts = [source.sample(20)[0] for source in objects_task(objects, range(5), ["rotate"], random_state=0)]
    other = objects_task(objects, range(5), ["rotate"], random_state=1)[0].sample(20)[0]
    for i, one in enumerate(parts):
        assert all((one != another).any() for another in [*parts[:i], other])


def test_the_parts_of_a_task_of_images_share_no_image():
    # every image is filled with its number; classes 0 to 3 in turn
    images = np.arange(200, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), dtype=np.uint8)
    labels = np.arange(200) % 4
    train, validation, test = images_task((images, labels), (images[:40], labels[:40]), [1, 3], [], random_state=0)
    seen = []
    for source, n in [(train, 90), (validation, 10), (test, 20)]:  # 100 of classes 1 and 3, a tenth held out
        X, y = source.sample(n)
        assert (X[:, 0, 0, 0] % 4 == y).all()
        assert set(y.tolist()) == {1, 3}
        seen.append(set(X[:, 0, 0, 0].tolist()))
        assert len(seen[-1]) == n
    assert not seen[0] & seen[1]
    assert seen[2] == {i for i in range(40) if i % 4 in (1, 3)}


def test_classes_take_turns_so_that_few_samples_are_as_many_of_each():
    labels = np.repeat([0, 1, 2, 3], [40, 40, 40, 40])
    images = np.arange(160, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), dtype=np.uint8)
    for seed in range(5):
        train, validation, _ = images_task((images, labels), (images, labels), [1, 3, 2], [], random_state=seed)
        _, y = train.sample(30)
        assert np.bincount(y).tolist() == [0, 10, 10, 10]
        assert np.bincount(validation.sample(12)[1]).tolist() == [0, 4, 4, 4]
    first = images_task((images, labels), (images, labels), [1, 3, 2], [], random_state=0)[0].sample(30)[0]
    second = images_task((images, labels), (images, labels), [1, 3, 2], [], random_state=1)[0].sample(30)[0]
    assert not np.array_equal(first, second)


def test_objects_stand_on_the_backgrounds_given():
    objects, black = load_objects("procedural", size=32), np.zeros((1, 32, 32, 3), dtype=np.uint8)
    for part in objects_task(objects, [3, 5], [], 0, backgrounds=black):
        X, _ = part.sample(20)
        assert not X[:, 0].any()  # objects take up 0.7 of the side, in the middle
        assert X.any(axis=(1, 2, 3)).all()


def test_no_task_trains_on_what_another_validates_on():
    labels = np.arange(200) % 4
    images = np.arange(200, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), dtype=np.uint8)
    trained, validated = set(), set()
    for random_state, classes in enumerate([[0, 1], [1, 2], [0, 1, 2, 3]]):
        train, validation, _ = images_task((images, labels), (images, labels), classes, [], random_state)
        assert (train.n_images, validation.n_images) == (45 * len(classes), 5 * len(classes))
        trained |= set(train.sample(train.n_images)[0][:, 0, 0, 0].tolist())
        validated |= set(validation.sample(validation.n_images)[0][:, 0, 0, 0].tolist())
    assert not trained & validated
    assert len(trained | validated) == 200


@pytest.mark.parametrize("n_classes", [0, -1, "3", None])
def test_numbers_of_classes_that_cannot_be(n_classes):
    with pytest.raises(ValueError, match=f"n_classes is {n_classes!r}, expected a whole number of at least 1"):
        draw_classes("same", n_classes, 10, seed=0)


# tasks


@pytest.fixture
def cifar(monkeypatch):
    """Return stand-ins for CIFAR-100: 100 classes of 20 images to train and 2 to test on."""
    images = np.random.default_rng(0).integers(256, size=(2_000, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(2_000) % 100
    asked, parts = [], ((images, labels), (images[:200], labels[:200]))
    monkeypatch.setattr(tasks, "load_cifar", lambda *arguments: asked.append(arguments) or parts)
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
        # each of the 3 parts of both tasks has images of its own
        assert len({part.random_state for part in (*source, *target)}) == 6
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
    monkeypatch.setattr(tasks, "load_objects_and_backgrounds", lambda folder: {"mine": (objects, black)}[folder])
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


# what encoders are trained on


def test_fixed_images_of_objects_are_trained_on():
    source, _ = make_tasks(**TASKS, relation="same")
    data, transformations = sample_training(source, n_samples=30, n_validation=20)
    assert transformations == ()  # they are in the images
    for given, expected in zip(data, (*source[0].sample(30), *source[1].sample(20)), strict=True):
        np.testing.assert_array_equal(given, expected)


def test_photographs_are_transformed_anew_in_every_epoch(cifar):
    source, _ = make_tasks(**CIFAR_TASKS, relation="disjoint")  # a superset: 8 classes
    (X, y, X_val, y_val), transformations = sample_training(source, n_samples=3, n_validation=10)
    assert [each.name for each in transformations] == draw_transformations(3)["disjoint"]
    assert sorted(np.bincount(y)[np.unique(y)]) == [3] * 8
    originals = {image.tobytes(): label for image, label in zip(*cifar[0], strict=True)}
    assert [originals[image.tobytes()] for image in X] == y.tolist()  # as they are, without transformations
    for given, expected in zip((X_val, y_val), source[1].sample(10), strict=True):
        np.testing.assert_array_equal(given, expected)


def test_training_takes_what_there_is(cifar):
    source, _ = make_tasks(**CIFAR_TASKS | {"class_relation": "subset"}, relation="same")  # a third of 4, at least 2
    data, _ = sample_training(source, n_samples=500, n_validation=64)
    assert [len(part) for part in data] == [36, 36, 4, 4]


def test_validation_samples_of_classes_that_training_lacks_are_left_out():
    source, _ = make_tasks(**TASKS, relation="same")
    (_, y, X_val, y_val), _ = sample_training(source, n_samples=4, n_validation=200)
    assert len(set(y.tolist())) < 4
    X_all, y_all = source[1].sample(200)
    assert set(y_val.tolist()) == set(y.tolist())
    np.testing.assert_array_equal(X_val, X_all[np.isin(y_all, y)])


def test_used_transformations_are_marked(objects):
    task = objects_task(objects, [1, 2], ["hue", "rotate"], 0)
    assert mark_used(["rotate", "blur", "hue"], task).tolist() == [1, 0, 1]
    assert mark_used(["rotate", "blur", "hue"], task).dtype == np.int8


def test_count_available(images, source):
    of_images = TransformedImages(images, random_state=0)  # 40
    assert [count_available(of_images, n) for n in (0, 39, 40, 41)] == [0, 39, 40, 40]
    assert count_available(source, 10**9) == 10**9  # objects have no end
