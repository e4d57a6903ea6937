import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from torch.utils.data import TensorDataset

from invtransfer import FrozenFeatureProbe, InvarianceAdvisor, InvariantPretrainer, TransformedImages, rank_encoders
from invtransfer.images.checks import check_count, check_images, to_tensor
from invtransfer.images.conversion import to_image
from invtransfer.images.labels import check_labels


def test_uint8_images_are_not_copied(images):
    assert check_images(images) is images


def test_float64_becomes_float32():
    X = check_images(np.full((1, 2, 2, 3), 0.5))
    assert X.dtype == np.float32
    assert (X == 0.5).all()


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((4, 3, 32, 32), "uint8"), r"X has shape \(4, 3, 32, 32\), expected .* use X.transpose\(0, 2, 3, 1\)"),
        (np.zeros((32, 32, 3), "uint8"), r"X has shape \(32, 32, 3\), expected .*: one image is X\[None\]"),
        (np.zeros((4, 32, 32, 4), "uint8"), r"convert photographs to RGB with X\[\.\.\., :3\]; objects are pasted"),
        (np.zeros((4, 32, 32, 1), "uint8"), r"grey images are np.repeat\(X, 3, axis=3\)"),
        (np.zeros((4, 7), "uint8"), r"X has shape \(4, 7\), expected \(n_samples, height, width, 3\)"),
        (np.zeros((0, 32, 32, 3), "uint8"), r"X has shape \(0, 32, 32, 3\): it is empty"),
        (np.zeros((1, 2, 2, 3), "int64"), r"X has dtype int64, expected uint8 \(0 to 255\) or floats in \[0, 1\]"),
        (np.full((1, 2, 2, 3), 2.5), r"X holds floats from 2.5 to 2.5, expected \[0, 1\]: divide by 255"),
        (np.full((1, 2, 2, 3), -0.1), r"X holds floats from -0.1 to -0.1, expected \[0, 1\]"),
        (np.full((1, 2, 2, 3), np.nan), r"X holds NaN or infinity"),
    ],
)
def test_bad_images_are_named(X, message):
    with pytest.raises(ValueError, match=message):
        check_images(X)


def test_levels_of_0_and_1_are_warned_of():
    masks = np.zeros((3, 32, 32, 3), np.uint8)
    check_images(masks)  # black; warnings are errors
    masks[2, :16] = 1
    with pytest.warns(
        UserWarning, match="^images has dtype uint8 and no value above 1, which is nearly black"
    ) as caught:
        TransformedImages(masks)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="^X has dtype uint8 and no value above 1"):
        FrozenFeatureProbe(lambda X: X.mean(axis=(1, 2))).fit(masks, [0, 1, 1])
    check_images(masks * 255)
    check_images(masks.astype(float))
    masks[1, 0, 0] = 2
    check_images(masks)


def test_the_argument_is_called_as_the_caller_calls_it():
    with pytest.raises(ValueError, match="^X_val has dtype"):
        check_images(np.zeros((1, 2, 2, 3), "int8"), "X_val")


@pytest.mark.parametrize("value", [0, -1, 1.5, "3", True, None, np.nan])
def test_a_count_is_a_whole_number_of_at_least_one(value):
    with pytest.raises(ValueError, match=r"^epochs is .*, expected a whole number of at least 1$"):
        check_count(value, "epochs")


def test_count_bounds():
    assert check_count(np.int64(7), "n") == 7
    with pytest.raises(ValueError, match=r"^image_size is 9999, expected a whole number from 2 to 4096$"):
        check_count(9999, "image_size", low=2, high=4096)


@pytest.mark.parametrize("y", [[0, 1], [[0], [1], [2]], 5])
def test_labels_are_one_per_image(y):
    with pytest.raises(ValueError, match=r"^y_val has shape .*, expected \(3,\): one label per image"):
        check_labels(y, 3, "y_val")


def mean_colours(X):
    return X.mean(axis=(1, 2))


FITS = {
    "InvarianceAdvisor": lambda X, y: InvarianceAdvisor(mean_colours, transformations=["hue"], random_state=0).fit(
        X, y
    ),
    "FrozenFeatureProbe": lambda X, y: FrozenFeatureProbe(mean_colours).fit(X, y),
    "InvariantPretrainer": lambda X, y: InvariantPretrainer(epochs=1).fit(X, y),
    "rank_encoders": lambda X, y: rank_encoders({"mean": mean_colours}, X, y),
}


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda y: np.eye(4)[y],
            r"^y has shape \(40, 4\), expected .*,\): one label per image, for one-hot rows np.arg",
        ),
        (
            lambda y: torch.eye(4)[y],
            r"^y has shape \(40, 4\), .*: one label per image, for one-hot rows np.argmax\(y, a",
        ),
        (lambda y: np.stack([y, y], axis=1), r"^y has shape \(40, 2\), expected \(.*,\): one label per image$"),
        (
            lambda y: [[1], [1, 2]] * 20,
            r"^y is of type list, which numpy cannot convert to an array: setting an array el",
        ),
        (
            lambda y: y + 0.25,
            r"^y holds numbers such as 0.25, expected classes: regression is not supported \(Unknown l",
        ),
        (
            lambda y: y.astype(object),
            r"^y has dtype object, expected whole numbers or names: give y.astype\(int\) \(Un",
        ),
    ],
)
def test_labels_that_are_no_classes_are_named(images, fit, change, message):
    with pytest.raises(ValueError, match=message):
        fit(images, change(np.arange(40) % 4))


def test_the_hint_about_one_hot_labels_works_as_it_is_written(images):
    y = np.arange(40) % 4
    with pytest.raises(ValueError, match="one-hot rows") as error:
        check_labels(np.eye(4)[y].tolist(), 40, "y")
    assert (
        eval(str(error.value).split("one-hot rows ")[1], {"np": np, "y": np.eye(4)[y].tolist()}).tolist() == y.tolist()
    )


def test_tensor_is_channels_last_and_scaled():
    X = np.zeros((2, 4, 5, 3), dtype=np.uint8)
    X[1, 2, 3, 0] = 51  # a fifth of 255
    tensor = to_tensor(X)
    assert tensor.shape == (2, 3, 4, 5)
    assert tensor[1, 0, 2, 3] == pytest.approx(0.2)
    assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_tensor_of_read_only_and_float_arrays(images):
    assert to_tensor(images).shape == (40, 3, 16, 16)  # warnings are errors
    assert to_tensor(np.full((3, 2), 7.0)).tolist() == [[7.0, 7.0]] * 3


def test_estimators_give_the_hints_too(images):
    with pytest.raises(ValueError, match=r"one image is X\[None\]"):
        FrozenFeatureProbe().fit(images[0], [0])
    y = np.arange(40) % 2
    listed = FrozenFeatureProbe().fit(list(images), y)
    assert (listed.predict(images) == FrozenFeatureProbe().fit(images, y).predict(images)).all()


SIZES = r"^X holds images of 2 sizes, such as \(4, 5, 3\) and \(4, 6, 3\): bring them to one, .*load_images\(X, size"
READ = r"^X is of type .*, expected an array: invtransfer.load_images reads images from folders"


@pytest.mark.parametrize("check", [check_images, lambda X: FrozenFeatureProbe().fit(X, [0, 1, 1])])
def test_images_of_several_sizes_files_and_data_sets_are_named(check, tmp_path):
    several = [np.zeros((4, size, 3), "uint8") for size in (6, 5, 6)]
    for X in (several, [Image.fromarray(image) for image in several]):
        with pytest.raises(ValueError, match=SIZES):
            check(X)
    for X in ("photos/", tmp_path, TensorDataset(torch.zeros(3, 1))):
        with pytest.raises(ValueError, match=READ):
            check(X)


def test_pictures_of_pil_are_images(images):
    pictures = [Image.fromarray(image) for image in images]
    assert (check_images(pictures) == images).all()
    assert FrozenFeatureProbe().fit(pictures, np.arange(40) % 2).image_shape_ == (16, 16, 3)


def test_what_numpy_makes_no_array_of_is_named():
    with pytest.raises(
        ValueError, match="X is of type Tensor, which numpy cannot convert to an array: Can't call numpy"
    ):
        check_images(torch.zeros(1, 2, 2, 3, requires_grad=True))
    with pytest.raises(ValueError, match="y is of type list, which numpy cannot convert to an array: setting"):
        check_labels([[1], [1, 2]], 2)


def test_images_in_reverse_order_become_tensors():
    X = np.arange(24, dtype="uint8").reshape(2, 2, 2, 3)
    assert torch.equal(to_tensor(X[::-1]), to_tensor(X).flip(0))


def test_numbers_that_are_too_large_are_refused_without_a_warning():
    with pytest.raises(ValueError, match="infinity"):
        FrozenFeatureProbe().fit([[1e98], [0.0]], [0, 1])


def test_floats_beyond_1_by_rounding_are_clipped():
    X = torch.nn.functional.interpolate(torch.ones(1, 3, 427, 640), (224, 224), mode="bilinear", antialias=True)
    X = np.maximum(X.permute(0, 2, 3, 1).numpy(), np.float32(1 + 1e-6))
    assert check_images(X).max() == 1
    assert to_image(X[0]).max() == 1
    with pytest.raises(ValueError, match=r"^X holds floats from 1.00002 to 1.00002, expected \[0, 1\]"):
        check_images(np.full((1, 2, 2, 3), 1.00002))


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("convert", [list, pd.Series, lambda y: pd.Series(y, dtype="string")])
def test_labels_that_are_missing_are_counted(nothing, convert):
    X, y = np.zeros((4, 2, 2, 3), np.uint8), ["a", "b", "a", nothing]
    message = "has no label for 1 of 4 images, the first is image 3: leave them out"
    with pytest.raises(ValueError, match=f"^y {message}"):
        FrozenFeatureProbe().fit(X, convert(y))
    with pytest.raises(ValueError, match=f"^y_val {message}"):
        FrozenFeatureProbe().fit(X, ["a", "b", "a", "b"], X, convert(y))


@pytest.mark.parametrize(
    ("X", "hint"),
    [
        (torch.zeros(2, 3, 8, 8), r"channels come first, use X\.permute\(0, 2, 3, 1\)$"),
        (np.zeros((2, 3, 8, 8)), r"channels come first, use X\.transpose\(0, 2, 3, 1\)$"),
        (np.zeros((2, 8, 8)), r"grey images are np\.repeat\(X\[\.\.\., None\], 3, axis=3\)$"),
    ],
)
def test_the_hint_about_the_shape_works_as_it_is_written(X, hint):
    with pytest.raises(ValueError, match=hint) as error:
        check_images(X)
    written = str(error.value).split(": ")[1].removeprefix("channels come first, use ").removeprefix("grey images are ")
    assert check_images(eval(written)).shape == (2, 8, 8, 3)


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        ([0, 200], r'X holds 0 to 200, so astype\("uint8"\) may be meant$'),
        ([0, 60_000], "X holds 0 to 60000, .*: 65535"),
        ([0, 1], "X holds 0 to 1, to be divided by the largest value"),
        ([-1, 5], "X holds -1 to 5, to be divided"),
    ],
)
def test_whole_numbers_that_may_be_bytes_are_not_divided_by_65535(values, hint):
    with pytest.raises(
        ValueError, match=rf"^X has dtype int64, expected uint8 \(0 to 255\) or floats in \[0, 1\]: {hint}"
    ):
        check_images(np.resize(values, (2, 4, 4, 3)))


def test_validation_data_are_called_by_their_name(images):
    y = np.arange(40) % 2
    for X_val, message in (
        (images[:4, :8], r"^X_val has images of shape \(8, 16, 3\)"),
        (images[:4].astype(int), "^X_val has dtype int64.*: X_val holds"),
        (np.zeros((4, 5)), "X_val has 5 features"),
    ):
        with pytest.raises(ValueError, match=message):
            FrozenFeatureProbe(solver="lbfgs").fit(images, y, X_val, y[:4])


def test_an_encoder_that_is_cloned_in_a_grid_says_what_to_do(images):
    X, y = images, np.arange(40) % 2
    encoder = InvariantPretrainer(width=0.0625, epochs=0, random_state=0)
    with pytest.raises(NotFittedError, match=r"InvariantPretrainer, and is not fitted.*FrozenEstimator\(encoder\)"):
        FrozenFeatureProbe(encoder, solver="lbfgs").fit(X, y)
    for grid in ([encoder.fit(X, y)], [FrozenEstimator(encoder)]):
        search = GridSearchCV(FrozenFeatureProbe(solver="lbfgs"), {"encoder": grid}, cv=2, error_score="raise")
        if grid[0] is encoder:
            with pytest.raises(NotFittedError, match="a grid's values are cloned"):
                search.fit(X, y)
        else:
            assert search.fit(X, y).best_params_ == {"encoder": grid[0]}
