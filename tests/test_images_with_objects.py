"""Images and objects in one picture: what tasks show, and what is measured on them."""

import numpy as np
import pytest
from study_runs import find_objects, replace

from invtransfer import FrozenFeatureProbe, Transforms2D, load_objects
from invtransfer.estimators.given_pairs import twin_sensitivity
from invtransfer.paper import images_with_objects as combined
from invtransfer.paper.datasets import load_objects_and_backgrounds
from invtransfer.paper.images_with_objects import (
    CHANGED,
    POSITIONS,
    STAND_IN,
    TASKS,
    combined_task,
    load_labelled_images,
    make_combined,
    measure_combined,
)
from invtransfer.paper.tasks import images_task

SIDE = 12  # pixels of an object's box: 0.55 * 0.7 * 32 = 12.3


def make(name, **more):
    arguments = {"dataset": STAND_IN, "data": "", "folder": "procedural", "n_objects": 10, "seed": 0}
    return make_combined(name, **(arguments | more))


# labelled images


def test_stand_in_is_labelled_images_of_ten_classes():
    (images, labels), (test_images, test_labels) = load_labelled_images(STAND_IN, "")
    assert images.shape == (2_000, 32, 32, 3)
    assert test_images.shape == (1_000, 32, 32, 3)
    for each in (labels, test_labels):
        assert np.bincount(each).min() > 0.07 * len(each)  # of 0.1
        assert len(np.unique(each)) == 10
    rotated = Transforms2D(load_objects("procedural", size=64)[-10:], ["rotate", "hue"], random_state=0)
    np.testing.assert_array_equal(images[:20], rotated.sample(20)[0])
    seen = {image.tobytes() for image in images}
    assert not any(image.tobytes() in seen for image in test_images)


def test_stand_in_is_made_once():
    assert load_labelled_images(STAND_IN, "") is load_labelled_images(STAND_IN, "")


def test_cifar_is_read_from_its_folder(monkeypatch):
    monkeypatch.setattr(combined, "load_cifar", lambda *arguments: arguments)
    assert load_labelled_images("cifar100", "stand-in for a folder") == ("cifar100", "stand-in for a folder")


def test_cifar_that_is_not_there_is_named_with_its_command(tmp_path):
    with pytest.raises(FileNotFoundError, match="python data/fetch.py cifar10 --to "):
        load_labelled_images("cifar10", str(tmp_path))


# tasks


def shown_by(name, n=200, part=0, **more):
    return make(name, **more)[part].sample(n)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_images_alone_are_those_of_the_task_of_images(part):
    X, y = shown_by("images alone", part=part)
    parts = images_task(*load_labelled_images(STAND_IN, ""), classes=range(10), transformations=[], random_state=0)
    images, labels = parts[part].sample(200)
    np.testing.assert_array_equal(X, images)
    np.testing.assert_array_equal(y, labels)


@pytest.mark.parametrize("position", ["fixed", "random"])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_tasks_show_what_their_names_say(position, part):
    more = {"position": POSITIONS[position], "part": part}
    (images, of_image), (both, of_image_too), (both_too, of_object), (on_black, of_object_too) = (
        shown_by(name, **more) for name in TASKS
    )
    np.testing.assert_array_equal(both, both_too)  # the same pictures
    np.testing.assert_array_equal(of_image, of_image_too)  # with different labels
    np.testing.assert_array_equal(of_object, of_object_too)
    assert (of_image != of_object).mean() > 0.8  # 0.9 if they are independent
    corners = set()
    for with_object, image, black in zip(both, images, on_black, strict=True):
        rows, columns = (np.flatnonzero((with_object != image).any(axis=axes)) for axes in ((1, 2), (0, 2)))
        assert max(np.ptp(rows), np.ptp(columns)) < SIDE
        corners.add((columns[0] // 4, rows[0] // 4))
        seen = black.any(axis=2)  # all that is not black
        assert seen.any()
        assert np.ptp(np.flatnonzero(seen.any(axis=0))) < SIDE
        assert np.ptp(np.flatnonzero(seen.any(axis=1))) < SIDE
        assert (with_object != image).any(axis=2)[seen].mean() > 0.9  # in the same place
    if position == "fixed":  # in the upper right corner: at x of 21 and y of 2, but for the object's own margin
        differing = (both != images).any(axis=(0, 3))
        assert np.flatnonzero(differing.any(axis=0)).min() >= 21
        assert np.flatnonzero(differing.any(axis=1)).min() >= 2
        assert np.flatnonzero(differing.any(axis=1)).max() < 2 + SIDE
    else:
        assert len(corners) > 20  # of 6 * 6


def test_each_object_is_one_picture():
    """At one position on black, all images of one label are equal, and of two labels are not."""
    X, y = shown_by("objects alone", position=POSITIONS["fixed"])
    assert sorted(set(y.tolist())) == list(range(10))
    pictures = [np.unique(X[y == k], axis=0) for k in range(10)]
    assert [len(each) for each in pictures] == [1] * 10
    assert len(np.unique(np.concatenate(pictures), axis=0)) == 10


def test_objects_are_drawn_by_the_seed():
    objects = load_objects_and_backgrounds("procedural")[0]
    shown = objects.names[-10:]  # by the stand-in
    drawn = [make("objects alone", seed=seed)[0].class_names for seed in range(3)]
    for names in drawn:
        assert len(set(names)) == 10
        assert set(names) <= set(objects.names) - set(shown)
    assert len(set(drawn)) == 3
    assert make("images with objects", n_objects=3)[0].class_names == drawn[0][:3]
    for name in TASKS:  # all tasks of a seed have the same
        assert make(name)[2].class_names == drawn[0]


def test_seeds_and_parts_share_no_draws():
    states = [part.random_state for seed in range(4) for part in make("objects on images", seed=seed)]
    assert len(set(states)) == 12


@pytest.mark.parametrize("part", [0, 1, 2])
def test_correlation_and_availability_reach_all_parts(part):
    more = {"position": POSITIONS["fixed"], "part": part}
    plain, labels = shown_by("images with objects", availability=0.0, **more)
    names = make("images with objects")[0].class_names
    for correlation, availability in ((0.0, 1.0), (1.0, 1.0), (0.6, 1.0), (0.0, 0.3)):
        X, y = shown_by("images with objects", correlation=correlation, availability=availability, **more)
        np.testing.assert_array_equal(y, labels)
        found = find_objects(X, plain, names, POSITIONS["fixed"])
        shown = found >= 0
        assert abs(shown.mean() - availability) < 0.1
        expected = correlation + (1 - correlation) / 10  # of 10 objects, one is the right one by chance
        assert abs((found == y)[shown].mean() - expected) < 0.12
    _, of_object = shown_by("objects on images", correlation=0.6, **more)
    X, _ = shown_by("images with objects", correlation=0.6, **more)
    np.testing.assert_array_equal(find_objects(X, plain, names, POSITIONS["fixed"]), of_object)


def test_more_objects_than_there_are():
    with pytest.raises(ValueError, match="^n_objects is 62, expected 2 to 61, as many as there are$"):
        make("objects alone", n_objects=62, dataset="cifar10")
    with pytest.raises(ValueError, match="^n_objects is 52, expected 2 to 51, as many as there are$"):
        make("objects alone", n_objects=52)  # those that the stand-in shows are left out
    with pytest.raises(ValueError, match="^n_objects is 1, expected 2 to 51"):
        make("objects alone", n_objects=1)  # which nothing could be told from, or changed to


def test_all_tasks_and_what_can_be_changed():
    assert set(TASKS) == {"images alone", "images with objects", "objects on images", "objects alone"}  # Section 4.2
    assert CHANGED == ("image", "object")
    assert POSITIONS["fixed"] == (21, 2)  # REFERENCE.md: the upper right corner


# what is measured


def see(rows, columns):
    """Return an encoder whose features are the mean colour of a part of the image."""
    return lambda X: np.asarray(X, dtype=float)[:, rows, columns].mean(axis=(1, 2))


ARGUMENTS = {"solver": "lbfgs", "n_probe": 150, "n_validation": 20, "n_test": 100, "n_pairs": 60}


def measure(encoder, names=("images with objects", "objects on images"), **more):
    targets = {name: make(name, position=POSITIONS["fixed"]) for name in names}
    return measure_combined(encoder, targets, seed=5, **ARGUMENTS | more), targets


def test_measured_by_hand():
    encoder = see(slice(None), slice(None))
    measured, targets = measure(encoder, TASKS)
    assert measured.target.values.tolist() == list(TASKS)
    assert measured.changed.values.tolist() == ["image", "object"]
    for name in TASKS:
        train, _, test = targets[name]
        probe = FrozenFeatureProbe(encoder, solver="lbfgs").fit(*train.sample(150))
        assert measured.transfer_accuracy.sel(target=name) == probe.score(*test.sample(100))
    for changed in CHANGED:
        pairs = targets["images with objects"][2].twins(60, changed=changed)
        expected = twin_sensitivity(encoder, *pairs)
        here = measured.sel(changed=changed)
        assert (here.sensitivity, here.sensitivity_low, here.sensitivity_high) == expected


def test_what_an_encoder_does_not_see_it_is_invariant_to():
    """One sees the left half, where no object is; one the corner where it is, and a little of the image around it."""
    left, _ = measure(see(slice(None), slice(0, 16)))
    assert left.sensitivity.sel(changed="object") == 0
    assert left.sensitivity.sel(changed="image") > 0.5
    corner, _ = measure(see(slice(2, 2 + SIDE), slice(21, 32)))
    assert corner.sensitivity.sel(changed="object") > 0.3
    assert (
        corner.transfer_accuracy.sel(target="objects on images")
        > left.transfer_accuracy.sel(target="objects on images") + 0.2
    )
    assert ((corner.sensitivity_low < corner.sensitivity) & (corner.sensitivity < corner.sensitivity_high)).all()


def test_sizes_are_those_of_the_arguments(monkeypatch):
    probes = replace(combined, monkeypatch, "FrozenFeatureProbe")
    measure(None)
    for probe in probes:
        assert [len(part) for part in (*probe.fitted[0], *probe.scored[0])] == [150, 150, 20, 20, 100, 100]


SIZES = {"n_samples": 1_800, "n_probe": 1_800, "n_validation": 200, "n_test": 1_000, "n_pairs": 1_000}


@pytest.mark.parametrize(("name", "limit"), SIZES.items())
def test_sizes_that_the_images_cannot_fill_are_refused(name, limit, monkeypatch):
    labels = np.repeat(np.arange(10), 200)  # of which 20 of each are held out
    images = np.zeros((2_000, 32, 32, 3), dtype=np.uint8)
    parts = (images, labels), (images[:1_000], labels[:1_000])
    monkeypatch.setattr(combined, "load_labelled_images", lambda dataset, folder: parts)
    given = SIZES | {"dataset": STAND_IN, "n_objects": 10, "objects": None, "data": "sets", "levels": {}}
    where, file_name, identity = combined.find_images_with_objects(**given)
    assert (where, file_name) == ({"folder": "procedural", "data": "sets"}, "")
    assert identity == {"objects": "procedural"}
    with pytest.raises(ValueError, match=f"{name} is {limit + 1}, but there are only {limit} images for it"):
        combined.find_images_with_objects(**given | {name: limit + 1})


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({"correlation": [0.5, 1.5]}, "^correlation is 1.5, expected a number from 0 to 1$"),
        ({"availability": [-0.1]}, "^availability is -0.1, expected a number from 0 to 1$"),
        (
            {"correlation": [0.0, 0.5]},
            "^correlation is 0.5, expected 0 with 3 objects: each of the 10 labels needs",
        ),
    ],
)
def test_levels_that_objects_cannot_have(levels, message):
    given = SIZES | {"n_pairs": 10, "dataset": STAND_IN, "n_objects": 3, "objects": None, "data": "sets"}
    with pytest.raises(ValueError, match=message):
        combined.find_images_with_objects(**given, levels=levels)


def test_an_unknown_data_set_is_no_stand_in():
    with pytest.raises(ValueError, match="dataset is 'cifar-10', expected one of: cifar10, cifar100, transforms2d"):
        load_labelled_images("cifar-10", "nowhere")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "C/C"}, "task is 'C/C', expected one of: images alone, images with objects, objects on images, obj"),
        ({"task": "objects alone", "correlation": 0.5}, "correlation is 0.5 and availability 1.0, expected 0 and 1"),
        ({"task": "images alone", "availability": 0.5}, "correlation is 0.0 and availability 0.5, expected 0 and 1 in"),
        ({"task": "objects on images", "availability": 0.5}, "availability is 0.5, expected 1 with label 'object'"),
    ],
)
def test_bad_arguments_of_a_combined_task_are_named(objects, arguments, message):
    images = load_labelled_images(STAND_IN, "")
    with pytest.raises(ValueError, match=message):
        combined_task(objects[:10], *images, **({"task": "images with objects"} | arguments))
