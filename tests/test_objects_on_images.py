import re

import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare
from scipy.stats.contingency import crosstab

from invtransfer import TRANSFORMATIONS, ObjectsOnImages, Transforms2D
from invtransfer.objects import Objects
from invtransfer.sources.blocks import BLOCK


def flat_objects(n):
    """Opaque squares of one colour each: red is 255, green says which."""
    images = np.zeros((n, 12, 12, 4), dtype=np.uint8)
    images[..., 0] = images[..., 3] = 255
    images[..., 1] = 20 * np.arange(n)[:, None, None]
    return Objects(images, tuple(f"square {i}" for i in range(n)))


def flat_images(n, shape=(32, 32)):
    """Images of one colour each: blue says which."""
    images = np.zeros((n, *shape, 3), dtype=np.uint8)
    images[..., 2] = np.arange(n)[:, None, None]
    return images


def see_objects(X):
    """Return which flat object is seen on each image; -1: none."""
    seen = X[..., 0] == 255
    numbers = np.where(seen, X[..., 1] // 20, 0).max(axis=(1, 2)).astype(int)
    return np.where(seen.any(axis=(1, 2)), numbers, -1)


def see_corners(X):
    """Return the leftmost column and topmost row, (x, y), of the object on each image."""
    seen = X[..., 0] == 255
    return np.stack([seen.any(axis=axis).argmax(axis=1) for axis in (1, 2)], axis=1)


@pytest.mark.parametrize(
    ("shape", "position", "rows", "columns"),
    [
        ((32, 32), (5, 9), (9, 21), (5, 17)),  # 0.7 * 0.55 * 32 = 12.32: a box of 12 x 12
        ((32, 32), (21, 2), (2, 14), (21, 32)),  # the paper's: 21 + 12 = 33, one column is cut
        ((32, 32), (31, 31), (31, 32), (31, 32)),
        ((32, 50), (49, 0), (0, 12), (49, 50)),
        ((50, 32), (0, 38), (38, 50), (0, 12)),
    ],
)
def test_an_object_is_pasted_at_its_place(shape, position, rows, columns):
    images = flat_images(3, shape)
    X, y = ObjectsOnImages(flat_objects(1), images, position=position).sample(3)
    expected = images.copy()
    expected[:, slice(*rows), slice(*columns)] = (255, 0, 0)
    assert X.dtype == np.uint8
    assert (expected == X).all()
    assert y.tolist() == [0, 1, 2]


def test_the_scale_is_of_seven_tenths():
    # 0.7 * 20 = 14 and half of it 7
    for scale, pixels in [(1.0, 14), (0.5, 7), (0.01, 1)]:
        X, _ = ObjectsOnImages(flat_objects(1), flat_images(1, (20, 20)), scale=scale).sample(5)
        assert (X[..., 0] == 255).sum(axis=(1, 2)).tolist() == [pixels**2] * 5


@pytest.mark.parametrize(("shape", "columns", "rows"), [((8, 8), 6, 6), ((8, 10), 8, 6)])
def test_random_positions_are_all_that_keep_the_box_inside(shape, columns, rows):
    # 0.7 * 0.55 * 8 = 3.08: a box of 3 x 3, in 8 - 3 + 1 = 6 places along a side of 8
    X, _ = ObjectsOnImages(flat_objects(1), flat_images(1, shape), random_state=1).sample(6000)
    assert ((X[..., 0] == 255).sum(axis=(1, 2)) == 9).all()
    counts = crosstab(*see_corners(X).T, levels=(range(columns), range(rows))).count
    assert counts.sum() == 6000
    assert chisquare(counts.ravel()).pvalue > 0.001


def test_images_come_round_with_other_objects():
    X, y = ObjectsOnImages(flat_objects(10), flat_images(40), np.arange(40) * 3).sample(80)
    assert (X[..., 2].max(axis=(1, 2)) == np.tile(np.arange(40), 2)).all()
    assert (y == np.tile(np.arange(40) * 3, 2)).all()
    assert (see_objects(X[:40]) != see_objects(X[40:])).sum() > 25
    assert (see_corners(X[:40]) != see_corners(X[40:])).any(axis=1).sum() > 30


def test_floats_stay_floats_and_mix_as_levels_do(objects, images):
    options = {"transformations": ["rotate"], "random_state": 2}
    for transformations in [(), None]:
        X, _ = ObjectsOnImages(objects, images / 255, **options).sample(50, transformations=transformations)
        levels, _ = ObjectsOnImages(objects, images, **options).sample(50, transformations=transformations)
        assert X.dtype == np.float32
        assert np.abs(X * 255 - levels).max() <= 0.501
        assert (levels != np.concatenate([images, images[:10]])).any(axis=(1, 2, 3)).all()


def labelled_ten(**options):
    """Ten objects on images of five labels, 3, 5, 7, 9 and 11, in no order."""
    labels = np.random.default_rng(3).permutation(np.repeat([3, 5, 7, 9, 11], 20))
    return ObjectsOnImages(flat_objects(10), flat_images(100), labels, **options)


def test_at_correlation_one_the_object_is_that_of_the_label():
    X, y = labelled_ten(correlation=1.0).sample(1000)
    assert (see_objects(X) == (y - 3) // 2).all()


def test_at_correlation_zero_objects_are_uniform_whatever_the_label():
    X, y = labelled_ten().sample(10_000)
    counts = crosstab(y, see_objects(X), levels=(range(3, 12, 2), range(10))).count
    assert counts.sum() == 10_000
    assert chisquare(counts.ravel()).pvalue > 0.001


@pytest.mark.parametrize("correlation", [0.2, 0.8])
def test_correlation_is_the_share_that_is_not_left_to_chance(correlation):
    # one in ten of those left to chance match, too
    X, y = labelled_ten(correlation=correlation).sample(10_000)
    expected = correlation + (1 - correlation) / 10
    error = np.sqrt(expected * (1 - expected) / 10_000)
    assert (see_objects(X) == (y - 3) // 2).mean() == pytest.approx(expected, abs=4 * error)


def test_correlation_changes_nothing_but_the_objects():
    (free, y), (bound, y_bound) = (labelled_ten(correlation=correlation).sample(500) for correlation in (0.0, 0.5))
    assert (y == y_bound).all()
    assert (see_corners(free) == see_corners(bound)).all()
    changed = see_objects(free) != see_objects(bound)
    assert (see_objects(bound)[changed] == (y[changed] - 3) // 2).all()
    assert 180 < changed.sum() < 270  # 0.5 * 0.9 * 500 = 225, std 11


def test_availability_is_the_share_of_images_with_an_object():
    few, some, most, all_of_them = (labelled_ten(availability=share).sample(5000)[0] for share in (0.0, 0.4, 0.6, 1.0))
    assert (few == flat_images(100)[np.arange(5000) % 100]).all()
    seen = [see_objects(X) for X in (some, most, all_of_them)]
    for objects_seen, share in zip(seen, (0.4, 0.6, 1.0), strict=True):
        assert (objects_seen >= 0).mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 5000))
    # what has an object at 0.4 looks the same at 0.6, and what has one at 0.6 the same at 1
    assert (some == most)[seen[0] >= 0].all()
    assert (most == all_of_them)[seen[1] >= 0].all()


def test_correlation_and_availability_do_not_depend_on_each_other():
    X, y = labelled_ten(correlation=0.5, availability=0.5).sample(10_000)
    seen = see_objects(X) >= 0
    # half of those with an object, and a tenth of the other half: 0.55, std sqrt(0.55 * 0.45 / 5000) = 0.007
    assert (see_objects(X) == (y - 3) // 2)[seen].mean() == pytest.approx(0.55, abs=0.028)


def test_labels_are_the_objects_seen():
    for correlation in (0.0, 0.7):
        X, y = labelled_ten(label="object", correlation=correlation, transformations=["rotate"]).sample(600)
        assert (see_objects(X) == y).all()
        assert (labelled_ten(correlation=correlation, transformations=["rotate"]).sample(600)[0] == X).all()


def test_transformations_act_before_the_object_is_shifted(objects):
    options = {"image_size": 32, "random_state": 6, "backgrounds": np.zeros((1, 32, 32, 3), dtype=np.uint8)}
    source = ObjectsOnImages(
        objects[:7], flat_images(1), transformations=["rotate", "hue"], scale=1.0, position=(3, 4), random_state=6
    )
    centred, y = Transforms2D(objects[:7], ["rotate", "hue"], **options).sample(300)
    X, _ = source.sample(300)
    assert source.image_shape == centred.shape[1:]
    # both draw from the same streams; the box of 22 px begins at (32 - 22) / 2 = 5 there, and at (3, 4) here
    assert (X[:, :31, :30] == centred[:, 1:, 2:]).all()
    assert (centred != X).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("names", [[], ["rotate"]])
def test_twins_of_other_objects_differ_in_the_box_only(names):
    source = labelled_ten(transformations=names, label="object")
    X, X_twin = source.twins(2000, changed="object")
    samples, y = source.sample(2000)
    assert (samples == X).all()
    seen, seen_twin = see_objects(X), see_objects(X_twin)
    assert (seen == y).all()
    assert chisquare(np.bincount((seen_twin - seen) % 10, minlength=10)[1:]).pvalue > 0.001
    assert (seen != seen_twin).all()
    # all objects are equal squares: other pixels than the square's, turned or not, are those of the image
    changed, changed_twin = ((some != flat_images(100)[np.arange(2000) % 100]).any(axis=3) for some in (X, X_twin))
    assert (changed == changed_twin).all()
    if not names:
        assert (changed.sum(axis=(1, 2)) == 144).all()


@pytest.mark.parametrize("names", [[], ["rotate"]])
def test_twins_on_other_images_show_the_same_object_in_the_same_place(names):
    source = labelled_ten(transformations=names, correlation=0.5, availability=0.8)
    X, X_twin = source.twins(2000, changed="image")
    assert (source.sample(2000)[0] == X).all()
    opaque = X[..., 0] == 255
    assert (opaque == (X_twin[..., 0] == 255)).all()
    assert (X_twin == X)[opaque].all()
    # the upper left pixel is the image's, if no object is there
    bare = (X[:, 0, 0, 0] == 0) & (X_twin[:, 0, 0, 0] == 0)
    image, image_twin = X[bare, 0, 0, 2].astype(int), X_twin[bare, 0, 0, 2].astype(int)
    assert (image == np.arange(2000)[bare] % 100).all()
    assert chisquare(np.bincount((image_twin - image) % 100, minlength=100)[1:]).pvalue > 0.001
    assert (image != image_twin).all()


def test_other_objects_and_images_are_drawn_whatever_the_first():
    # eleven of both: the ten others are one to ten steps away
    source = ObjectsOnImages(flat_objects(11), flat_images(11), position=(1, 1))
    X, X_twin = source.twins(3000, changed="object")
    steps = (see_objects(X_twin) - see_objects(X)) % 11
    X, X_twin = source.twins(3000, changed="image")
    steps_image = (X_twin[:, 0, 0, 2].astype(int) - X[:, 0, 0, 2]) % 11
    for one, other in [(see_objects(X), steps), (see_objects(X), steps_image), (steps, steps_image)]:
        assert chi2_contingency(crosstab(one, other).count).pvalue > 0.001


def test_transformed_twins_show_the_same_object_on_the_same_image(objects):
    source = ObjectsOnImages(objects[:5], flat_images(20), transformations=["hue"], position=(4, 7), random_state=1)
    X, X_twin = source.twins(60)
    assert (source.sample(60)[0] == X).all()
    differs = (X_twin != X).any(axis=3)
    assert differs.any(axis=(1, 2)).sum() > 50
    differs[:, 7:19, 4:16] = False
    assert not differs.any()
    X, X_twin = source.twins(60, transformations=[])
    assert (X_twin == X).all()


@pytest.mark.parametrize("changed", ["object", "image"])
def test_twins_depend_on_their_indices_alone(changed):
    source = labelled_ten(transformations=["rotate"])
    X_twin = source.twins(2 * BLOCK, changed=changed)[1]
    assert (source.twins(9, start=BLOCK - 5, changed=changed)[1] == X_twin[BLOCK - 5 : BLOCK + 4]).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"objects": flat_objects(2).images}, TypeError, "objects is of type ndarray, expected Objects"),
        ({"images": np.zeros((8, 8, 3), "uint8")}, ValueError, r"images has shape \(8, 8, 3\)"),
        ({"labels": [1, 2, 3]}, ValueError, r"labels has shape \(3,\), expected \(4,\): one label per image"),
        ({"transformations": ["rotat"]}, ValueError, "rotat.*rotate"),
        ({"random_state": -1}, ValueError, "random_state is -1, expected a whole number of at least 0"),
        ({"label": "C"}, ValueError, "label is 'C', expected 'image' or 'object'"),
        (
            {"label": "object", "availability": 0.5},
            ValueError,
            "availability is 0.5, expected 1 with label 'object': images without objects have no label",
        ),
        (
            {"correlation": 0.5},
            ValueError,
            "correlation is 0.5, expected 0 with 2 objects: each of the 4 labels needs an object of its own",
        ),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        ObjectsOnImages(**({"objects": flat_objects(2), "images": flat_images(4, (8, 10))} | arguments))


@pytest.mark.parametrize(
    ("name", "rule", "values"),
    [
        (
            "position",
            "'random' or (x, y): whole numbers, x from 0 to 9, y from 0 to 7",
            ["fixed", 3, (1, 2, 3), (-1, 0), (0, -1), (10, 0), (0, 8), (1.5, 2), (True, 1), ("1", "2")],
        ),
        ("correlation", "a number from 0 to 1", [-0.1, 1.1, float("nan"), None, True, "1"]),
        ("availability", "a number from 0 to 1", [-0.1, 1.1, float("nan"), None, True, "1"]),
        ("scale", "a number above 0 and up to 1", [0, -1, 1.01, float("nan"), None]),
    ],
)
def test_values_out_of_range_are_named(name, rule, values):
    for value in values:
        with pytest.raises(ValueError, match=re.escape(f"{name} is {value!r}, expected {rule}")):
            ObjectsOnImages(flat_objects(2), flat_images(4, (8, 10)), **{name: value})


@pytest.mark.parametrize(
    ("n_objects", "n_images", "availability", "changed", "message"),
    [
        (2, 2, 1, "objects", "changed is 'objects', expected 'object' or 'image' or None"),
        (2, 2, 0.5, "object", "changed is 'object', expected 'image' or None with availability 0.5: images without"),
        (1, 2, 1, "object", "changed is 'object', expected 'image' or None: there is one object"),
        (2, 1, 1, "image", "changed is 'image', expected 'object' or None: there is one image"),
    ],
)
def test_impossible_twins_are_refused(n_objects, n_images, availability, changed, message):
    source = ObjectsOnImages(flat_objects(n_objects), flat_images(n_images, (8, 8)), availability=availability)
    with pytest.raises(ValueError, match=message):
        source.twins(5, changed=changed)
    assert len(source.twins(5)[1]) == 5


def test_names_and_shapes_of_objects_on_images(objects):
    source = ObjectsOnImages(objects[:3], flat_images(4, (8, 10)), transformations=["rotate"], random_state=7)
    assert repr(source) == "ObjectsOnImages(3 objects, 4 images, label='image', rotate, random_state=7)"
    assert source.class_names == objects.names[:3]
    assert source.image_shape == (8, 10, 3)
    assert source.transformations == (TRANSFORMATIONS["rotate"],)
    assert not hasattr(source, "n_images")  # there is no end to different samples
