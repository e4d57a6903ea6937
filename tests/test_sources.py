import numpy as np
import pytest
import torch

from invtransfer import TRANSFORMATIONS, TransformedImages, Transforms2D
from invtransfer.objects import Objects
from invtransfer.sources import BLOCK, draw_rows, paste, place_objects


def red_square(side=10):
    """One opaque red object that fills its image."""
    image = np.zeros((1, side, side, 4), dtype=np.uint8)
    image[..., 0] = image[..., 3] = 255
    return Objects(image, ("square",))


def test_an_object_is_scaled_to_seven_tenths_and_centred():
    # 0.7 * 20 = 14 pixels, so 3 pixels of background on each side: 14 * 14 = 196 red ones
    backgrounds = np.full((1, 20, 20, 3), 100, dtype=np.uint8)
    X, y = Transforms2D(red_square(), backgrounds=backgrounds, image_size=20).sample(3)
    red = (X == [255, 0, 0]).all(axis=3)
    assert red.sum(axis=(1, 2)).tolist() == [196] * 3
    assert red[0, 3:17, 3:17].all()
    assert (X[~red] == 100).all()
    assert y.tolist() == [0, 0, 0]


def test_pasting_mixes_by_alpha():
    # alpha 0.4 of 1.0 over 200 / 255: 0.4 * 255 + 0.6 * 200 = 222
    objects = torch.tensor([1.0, 1.0, 1.0, 0.4]).view(1, 4, 1, 1)
    assert paste(objects, np.full((1, 3, 1, 1), 200, dtype=np.uint8)).tolist() == [[[[222, 222, 222]]]]


@pytest.mark.parametrize("kind", ["objects", "images"])
@pytest.mark.parametrize("names", [[], ["rotate", "noise", "elastic"], ["translate", "hue", "erasing"]])
def test_a_sample_depends_on_its_index_alone(kind, names, objects, images):
    def make():
        if kind == "objects":
            return Transforms2D(objects[:7], names, image_size=16, random_state=5)
        return TransformedImages(images, transformations=names, random_state=5)

    X, y = make().sample(2 * BLOCK + 30)
    for start, n in [(0, 10), (BLOCK - 3, 7), (100, 300), (2 * BLOCK, 30), (77, 1)]:
        X_part, y_part = make().sample(n, start=start)
        assert (X_part == X[start : start + n]).all()
        assert (y_part == y[start : start + n]).all()


def test_threads_do_not_change_a_pixel(objects):
    before = torch.get_num_threads()
    source = Transforms2D(objects[:7], list(TRANSFORMATIONS), random_state=1)
    try:
        torch.set_num_threads(1)
        one, _ = source.sample(300)
        torch.set_num_threads(2)
        two, _ = source.sample(300)
    finally:
        torch.set_num_threads(before)
    assert (one == two).all()


def test_no_global_generator_is_read_or_written(objects):
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    Transforms2D(objects[:7], list(TRANSFORMATIONS), random_state=1).sample(20)
    assert (torch.random.get_rng_state() == torch_state).all()
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


def test_sources_of_other_transformations_show_the_same_objects_on_the_same_backgrounds(objects):
    plain, y = Transforms2D(objects, random_state=2).sample(50)
    turned, y_turned = Transforms2D(objects, ["invert"], random_state=2).sample(50)
    assert (y == y_turned).all()
    assert (plain[:, 0] == turned[:, 0]).all()  # the topmost row is background
    assert (plain != turned).any()


def test_random_states_differ(objects):
    one, other = (Transforms2D(objects, random_state=seed).sample(50) for seed in (0, 1))
    assert (one[1] != other[1]).any()
    assert (one[0] != other[0]).any()


def test_objects_and_backgrounds_are_drawn_uniformly(objects):
    _, y = Transforms2D(objects[:10], image_size=4).sample(5000)
    counts = np.bincount(y, minlength=10)
    assert abs(counts - 500).max() < 4 * np.sqrt(450)  # binomial: std is sqrt(5000 * 0.1 * 0.9) = 21


def test_twins_differ_by_the_named_transformation_only(objects):
    source = Transforms2D(objects, ["rotate"], random_state=4)
    X, X_twin = source.twins(60, transformations=["grayscale"])
    plain, _ = source.sample(60, transformations=())
    grey, _ = source.sample(60, transformations=["grayscale"])
    assert (grey == X).all()
    same_as_plain = (plain == X).all(axis=(1, 2, 3))  # half of the draws do nothing
    assert 15 < same_as_plain.sum() < 45
    assert (X_twin != X).any(axis=(1, 2, 3)).sum() > 15
    assert (X[:, 0] == X_twin[:, 0]).all()


def test_first_twins_are_the_samples(source):
    X, X_twin = source.twins(20, start=250)
    assert (source.sample(20, start=250)[0] == X).all()
    assert (X_twin != X).any()


def test_twins_without_transformations_are_equal(objects):
    X, X_twin = Transforms2D(objects, random_state=4).twins(20)
    assert (X_twin == X).all()


def test_a_draw_can_be_replayed(objects):
    rotate = TRANSFORMATIONS["rotate"]
    source = Transforms2D(objects, ["rotate"], random_state=8)
    X, y = source.sample(5, start=BLOCK - 2)
    indices = np.arange(BLOCK - 2, BLOCK + 3)
    angles = draw_rows(rotate, indices, (32, 32), random_state=8)["angle"]
    placed = torch.from_numpy(place_objects(objects.images, 32))[torch.from_numpy(y)]
    turned = rotate.apply(placed, angle=torch.from_numpy(angles))
    opaque = (turned[:, 3] == 1).numpy()
    assert np.abs(X[opaque] - (turned[:, :3] * 255).round().permute(0, 2, 3, 1).numpy()[opaque]).max() == 0


def test_rows_of_any_order():
    noise = TRANSFORMATIONS["noise"]
    indices = np.array([300, 2, 1000, 2])
    rows = draw_rows(noise, indices, (4, 4), random_state=0)
    for i, index in enumerate(indices):
        alone = draw_rows(noise, np.array([index]), (4, 4), random_state=0)
        assert all((rows[name][i] == alone[name][0]).all() for name in alone)


def test_random_backgrounds_are_fresh_and_uniform():
    X, _ = Transforms2D(red_square(), backgrounds="random", image_size=20).sample(100)
    corner = X[:, 0, :].astype(float)
    assert corner.mean() == pytest.approx(127.5, abs=3)
    assert len(np.unique(corner.reshape(100, -1), axis=0)) == 100


def test_float_images_stay_float(images):
    X, X_twin = TransformedImages(images / 255, transformations=["hue"]).twins(10)
    assert X.dtype == X_twin.dtype == np.float32
    uint8 = TransformedImages(images, transformations=["hue"]).sample(10)[0]
    assert np.abs(X * 255 - uint8).max() <= 0.501


def test_images_come_round_again_in_new_draws(images):
    X, y = TransformedImages(images, np.arange(40) * 10, ["rotate"]).sample(80)
    assert (y == np.tile(np.arange(40) * 10, 2)).all()
    assert (X[:40] != X[40:]).any()
    plain, _ = TransformedImages(images).sample(80)
    assert (plain[:40] == images).all()
    assert (plain[40:] == images).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"objects": np.zeros((1, 8, 8, 4), "uint8")}, TypeError, "objects is of type ndarray, expected Objects"),
        ({"transformations": ["rotat"]}, ValueError, "rotat.*rotate"),
        ({"image_size": 0}, ValueError, "image_size is 0, expected a whole number from 2"),
        ({"random_state": -1}, ValueError, "random_state is -1, expected a whole number of at least 0"),
        ({"random_state": None}, ValueError, "random_state is None, expected a whole number"),
        ({"backgrounds": "procedral"}, ValueError, "backgrounds is 'procedral', expected images"),
        ({"backgrounds": np.zeros((3, 8, 8))}, ValueError, r"backgrounds has shape \(3, 8, 8\)"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        Transforms2D(**({"objects": red_square()} | arguments))


@pytest.mark.parametrize(("n", "start", "message"), [(0, 0, "n is 0"), (-5, 0, "n is -5"), (3, -1, "start is -1")])
def test_bad_numbers_of_samples_are_named(source, n, start, message):
    with pytest.raises(ValueError, match=message):
        source.sample(n, start=start)


def test_labels_of_another_length_are_named(images):
    with pytest.raises(ValueError, match=r"labels has shape \(3,\), expected \(40,\): one label per image"):
        TransformedImages(images, [1, 2, 3])
