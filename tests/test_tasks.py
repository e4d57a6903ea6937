import numpy as np
import pytest

from invtransfer import TRANSFORMATIONS, load_objects
from invtransfer.objects import Objects
from invtransfer.paper.tasks import (
    CLASS_RELATIONS,
    combined_task,
    draw_classes,
    draw_transformations,
    images_task,
    objects_task,
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


def white_squares(n):
    return Objects(np.full((n, 8, 8, 4), 255, dtype=np.uint8), tuple(f"square {i}" for i in range(n)))


def numbered_images(n=200, n_classes=4):
    """Images that are filled with their number, of classes in turn."""
    images = np.arange(n, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), dtype=np.uint8)
    return images, np.arange(n) % n_classes


COMBINED = {"training": numbered_images(), "test": numbered_images(40)}


def test_a_combined_task_shows_the_images_of_the_task_of_images():
    plain = images_task(**COMBINED, classes=range(4), transformations=[], random_state=3)
    bare = combined_task(white_squares(4), **COMBINED, shown="C", label="C", random_state=3)
    both = combined_task(white_squares(4), **COMBINED, shown="C+O", label="C", random_state=3)
    for images, without, pasted, n in zip(plain, bare, both, (180, 20, 40), strict=True):
        X, y = images.sample(n)
        assert (without.sample(n)[0] == X).all()
        assert (without.sample(n)[1] == y).all()
        X_pasted, y_pasted = pasted.sample(n)
        assert (y_pasted == y).all()
        # 0.7 * 0.55 * 8 = 3.08: a white square of 3 x 3
        assert ((X_pasted == 255).all(axis=3).sum(axis=(1, 2)) == 9).all()
        assert (X_pasted == X)[X_pasted != 255].all()
        assert len({int(image.min()) for image in X_pasted}) == n  # n different images


def test_objects_alone_are_on_black(objects):
    parts = combined_task(objects[:10], **COMBINED, shown="O", label="O", position=(1, 2), random_state=3)
    for part in parts:
        X, y = part.sample(2000)
        inside = np.zeros((8, 8), dtype=bool)
        inside[2:5, 1:4] = True
        assert not X[:, ~inside].any()
        assert X[:, inside].any(axis=(1, 2)).all()
        assert set(y.tolist()) == set(range(10))
        assert len(np.unique(X.reshape(2000, -1), axis=0)) == 10  # one image of each object: labels tell them apart


def test_the_same_objects_are_shown_on_images_and_on_black():
    def make(shown):
        return combined_task(white_squares(10), **COMBINED, shown=shown, label="O", random_state=2)

    for alone, on_images in zip(make("O"), make("C+O"), strict=True):
        (X, y), (X_on_images, y_on_images) = alone.sample(100), on_images.sample(100)
        assert (y == y_on_images).all()
        assert ((X == 255) == (X_on_images == 255)).all()


def test_the_parts_of_a_combined_task_draw_from_their_own_random_states():
    for random_state in (0, 4):
        parts = combined_task(white_squares(10), **COMBINED, shown="O", label="O", random_state=random_state)
        assert [part.random_state for part in parts] == [3 * random_state + i for i in range(3)]
        drawn = [tuple(part.sample(50)[1].tolist()) for part in parts]
        assert len(set(drawn)) == 3


def test_correlation_and_availability_reach_all_parts():
    for part in combined_task(white_squares(4), **COMBINED, shown="C+O", label="C", availability=0.3):
        seen = (part.sample(3000)[0] == 255).any(axis=(1, 2, 3))
        assert seen.mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 3000))
    bound = {
        label: combined_task(white_squares(4), **COMBINED, shown="C+O", label=label, correlation=1.0) for label in "CO"
    }
    for of_images, of_objects in zip(bound["C"], bound["O"], strict=True):
        assert (of_images.sample(300)[1] == of_objects.sample(300)[1]).all()  # classes 0 to 3 and objects 0 to 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shown": "O+C"}, r"shown is 'O\+C', expected 'C', 'C\+O' or 'O'"),
        ({"label": "C+O"}, r"label is 'C\+O', expected 'C' or 'O'"),
        ({"shown": "C", "label": "O"}, "label is 'O', expected 'C': nothing else is shown"),
        ({"shown": "O", "label": "C"}, "label is 'C', expected 'O': nothing else is shown"),
        ({"shown": "O", "label": "O", "correlation": 0.5}, "correlation is 0.5 and availability 1.0, expected 0 and 1"),
        ({"shown": "C", "availability": 0.5}, "correlation is 0.0 and availability 0.5, expected 0 and 1 where 'C' is"),
        ({"label": "O", "availability": 0.5}, "availability is 0.5, expected 1 with label 'object'"),
    ],
)
def test_bad_arguments_of_a_combined_task_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        combined_task(white_squares(4), **COMBINED, **({"shown": "C+O", "label": "C"} | arguments))


@pytest.mark.parametrize("n_classes", [0, -1, "3", None])
def test_numbers_of_classes_that_cannot_be(n_classes):
    with pytest.raises(ValueError, match=f"n_classes is {n_classes!r}, expected a whole number of at least 1"):
        draw_classes("same", n_classes, 10, seed=0)
