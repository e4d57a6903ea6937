import numpy as np
import pytest

from invtransfer import TRANSFORMATIONS, load_objects
from invtransfer.tasks import CLASS_RELATIONS, draw_classes, draw_transformations, images_task, objects_task


def test_one_transformation_of_each_category_twice():
    drawn = [draw_transformations(seed) for seed in range(200)]
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
