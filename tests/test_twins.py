"""Twins are made, encoded and compared while they stream by."""

import tracemalloc

import numpy as np
import pytest
import torch
from torch import nn

from invtransfer import SensitivityScorer, TransformedImages, twin_sensitivity
from invtransfer.encoders import encoding
from invtransfer.encoders.encoding import encode_pieces, open_encoder
from invtransfer.estimators.pairs import take_images
from invtransfer.estimators.twins import measure_twins
from invtransfer.transformations import TRANSFORMATIONS


class Watched(nn.Module):
    """Mean colour of images; it remembers how many it was given at once."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def forward(self, images):
        self.sizes.append(len(images))
        return images.mean(dim=(2, 3))


def many_images(n, side=32):
    return np.random.default_rng(0).integers(256, size=(n, side, side, 3), dtype=np.uint8)


def colours(X):
    return X.mean(axis=(1, 2))


def test_pieces_fill_batches_and_only_the_last_is_padded():
    watched = Watched()
    lengths = [3, 0, 70, 128, 1, 54]  # 256 images
    parts = [(i, many_images(n)) for i, n in enumerate(lengths)]
    encoded = list(encode_pieces(open_encoder(watched, layer=""), iter(parts)))
    assert watched.sizes == [128, 128]
    assert [(key, len(Z)) for key, Z in encoded] == list(enumerate(lengths))
    for (_, images), (_, Z) in zip(parts, encoded, strict=True):
        assert np.allclose(Z, colours(images) / 255, atol=1e-5)
    assert list(encode_pieces(None, [])) == []


def test_images_that_a_transformation_leaves_as_they_are_are_encoded_once():
    watched = Watched()
    names = ["h_flip", "v_flip", "invert"]
    scorer = SensitivityScorer(watched, layer="", transformations=names, batch_size=1, random_state=0)
    scorer.fit(many_images(40))
    # 40 as they are; of the 2 x 3 x 40 draws only those that act, each with probability 0.5
    assert 12 + 40 + 80 < len(watched.sizes) < 12 + 40 + 160  # 8 + 4 of them to see whether features vary
    watched.sizes.clear()
    scorer.set_params(twins="clean").fit(many_images(40))
    assert len(watched.sizes) == 12 + 40 + 3 * 40


def test_few_pairs_cost_few_images():
    watched = Watched()
    scorer = SensitivityScorer(watched, layer="", twins="clean", n_pairs=8, random_state=0)
    scorer.fit(many_images(8))
    assert watched.sizes == [8, 8, 128, 128]  # twice a few; 8 x (1 + 18) = 152 images


@pytest.mark.parametrize("kind", ["drawn", "clean"])
def test_no_number_depends_on_the_size_of_pieces(kind, monkeypatch, source):
    names = ["rotate", "blur"]

    def measure():
        scorer = SensitivityScorer(colours, transformations=names, twins=kind, n_pairs=300, random_state=0).fit(source)
        return scorer.pair_distances_.values, scorer.random_distances_.values, scorer.companions_.to_array().values

    usual = measure()
    monkeypatch.setattr(encoding, "PIECE_BYTES", 20_000)  # 6 images
    for first, second in zip(usual, measure(), strict=True):
        assert np.array_equal(first, second, equal_nan=True)


def test_clean_twins_are_the_image_and_its_transformed_version():
    X = many_images(30, side=8)
    scorer = SensitivityScorer(colours, transformations=["invert", "hue"], twins="clean", random_state=3).fit(X)
    inverted = 255 - X
    expected, low, high = twin_sensitivity(colours, X, inverted)
    assert scorer.sensitivity_.values[0] == pytest.approx(expected)
    assert scorer.sensitivity_interval_.values[0] == pytest.approx([low, high])
    assert (scorer.companions_.different == 1).all()  # it acts on each, not with probability 0.5
    source = TransformedImages(X, [0] * 30, random_state=scorer._seed)
    hue, _ = source.sample(30, transformations=[TRANSFORMATIONS["hue"].always()])
    assert scorer.sensitivity_.values[1] == pytest.approx(twin_sensitivity(colours, X, hue)[0])


def test_clean_twins_on_a_source_that_knows_objects(source):
    scorer = SensitivityScorer(colours, transformations=["invert"], twins="clean", n_pairs=50, random_state=0)
    scorer.fit(source)
    plain, _ = source.sample(50, transformations=[])
    inverted, _ = source.sample(50, transformations=[TRANSFORMATIONS["invert"].always()])
    other = source.twins(50, transformations=[], changed="object")[1]
    pairs, objects = (np.linalg.norm(colours(plain) - colours(X), axis=1) for X in (inverted, other))
    assert scorer.companions_.object_sensitivity.item() == pytest.approx(pairs.mean() / objects.mean(), rel=1e-5)
    assert scorer.companions_.abx.item() == pytest.approx((objects > pairs).mean())
    assert scorer.composed_sensitivity_ > 0


def test_distances_of_mahalanobis_need_a_covariance(source):
    with pytest.raises(ValueError, match="whitenings are for mahalanobis distances, and needed for them; distance is"):
        measure_twins(None, source, [()], 4, distance="mahalanobis")


def test_memory_does_not_grow_with_the_number_of_pairs(monkeypatch):
    monkeypatch.setattr(encoding, "PIECE_BYTES", 2**18)
    X = many_images(600, side=64)  # 7 MB; all twins of a transformation would take twice that
    scorer = SensitivityScorer(colours, transformations=["invert", "hue"], random_state=0)
    scorer.fit(X[:10])
    tracemalloc.start()
    try:
        scorer.fit(X)
        twin_sensitivity(colours, X, X)
        encoding.encode(colours, X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6e6


def test_images_of_a_folder_are_read_once_for_all_transformations(tmp_path, monkeypatch):
    from PIL import Image

    from invtransfer import load_images
    from invtransfer.images import collection

    for i, image in enumerate(many_images(300, side=16)):
        Image.fromarray(image).save(tmp_path / f"{i:03}.png")
    n_read = []
    read = collection.read_picture
    monkeypatch.setattr(collection, "read_picture", lambda path, **options: n_read.append(path) or read(path))
    monkeypatch.setattr(collection, "KEPT_BYTES", 260 * 16 * 16 * 3)  # a block of 256 and some, not all 300
    images = load_images(tmp_path)
    n_read.clear()
    SensitivityScorer(colours, transformations=["invert", "hue", "blur"], random_state=0).fit(images)
    assert len(n_read) <= 300 + 40  # and 32 that tell these images from others


def test_batches_are_as_large_as_suits_the_size_that_a_model_computes():
    from invtransfer.encoders.preprocessing import Preprocessed, Preprocessing

    watched = Watched()
    model = Preprocessed(Preprocessing(size=(224, 224), resize=224), watched)
    encoding.encode(model, many_images(9))
    assert watched.sizes == [8, 8]


def test_precision_is_that_of_the_module():
    seen = []

    class Linear(nn.Linear):
        def forward(self, rows):
            seen.append(super().forward(rows).dtype)
            return super().forward(rows)

    module = nn.Sequential(nn.Flatten(), Linear(192, 5), nn.ReLU())
    X = many_images(10, side=8)
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        seen.clear()
        Z = encoding.encode(module, X, layer="", precision=precision)
        assert Z.dtype == np.float32
        assert set(seen) == {dtype}
    scorer = SensitivityScorer(module, layer="", transformations=["hue"], precision="bfloat16", random_state=0).fit(X)
    exact = SensitivityScorer(module, layer="", transformations=["hue"], random_state=0).fit(X)
    assert scorer.sensitivity_.item() != exact.sensitivity_.item()
    assert scorer.sensitivity_.item() == pytest.approx(exact.sensitivity_.item(), abs=0.05)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"twins": "both"}, "twins is 'both', expected one of: drawn, clean"),
        ({"precision": "int8"}, "precision is 'int8', expected one of: float32, bfloat16, float16"),
        ({"batch_size": 0}, "batch_size is 0, expected a whole number from 1 to 65536"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        SensitivityScorer(colours, **parameters).fit(many_images(4))


def test_sorted_images_meet_those_of_all_classes():
    X = np.repeat(many_images(2, side=8), 600, axis=0)  # two classes of equal images, one after the other
    scorer = SensitivityScorer(colours, transformations=["invert"], twins="clean", random_state=0).fit(X)
    Z = colours(X)
    apart = [np.linalg.norm(Z[i] - (255 - Z[j])) for i in (0, -1) for j in (0, -1)]
    assert scorer.random_distances_.mean().item() == pytest.approx(np.mean(apart), rel=0.05)
    assert sorted(scorer.pair_distances_.image.values) == list(range(1_200))
    few = SensitivityScorer(colours, transformations=["invert"], twins="clean", n_pairs=50, random_state=0).fit(X)
    first_class = (few.pair_distances_.image < 600).mean()
    assert 0.2 < first_class < 0.8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_images_are_transformed_there_and_numbers_are_those_of_the_cpu():
    X = many_images(300, side=64)
    module = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    on_cpu, on_gpu = (
        SensitivityScorer(one, twins="clean", random_state=0).fit(X) for one in (module, nn.Sequential(*module).cuda())
    )
    assert (on_cpu.pair_distances_.image == on_gpu.pair_distances_.image).all()
    assert on_gpu.sensitivity_.values == pytest.approx(on_cpu.sensitivity_.values, rel=0.02, abs=0.005)
    source = take_images(X, open_encoder(module.cuda()), 0, None, None)
    for name, transformation in TRANSFORMATIONS.items():
        there = source.sample(50, transformations=[transformation.always()])[0]
        here = TransformedImages(X, random_state=0).sample(50, transformations=[transformation.always()])[0]
        apart = np.abs(there.astype(int) - here)
        assert (apart <= 1).mean() > 0.999, name
    half = SensitivityScorer(module, twins="clean", precision="float16", random_state=0).fit(X)
    assert half.sensitivity_.values == pytest.approx(on_cpu.sensitivity_.values, rel=0.05, abs=0.02)


def test_pixels_do_not_depend_on_the_size_of_the_parts_that_a_device_gets(monkeypatch):
    X = many_images(70, side=32)
    source = TransformedImages(X, random_state=0)
    names = ["rotate", "elastic", "noise"]
    usual = source.sample(70, transformations=names)[0]
    monkeypatch.setattr("invtransfer.sources.transformed_images.PART_PIXELS", 5_000)
    assert np.array_equal(source.sample(70, transformations=names)[0], usual)


def test_directions_are_counted_within_whole_blocks():
    X = many_images(520, side=4)
    ratios = []
    for n in (256, 257, 258, 300, 512, 513):
        scorer = SensitivityScorer(None, transformations=["invert"], n_pairs=n, random_state=0).fit(X)
        ratios.append(scorer.companions_.participation_ratio.item())
    assert ratios == pytest.approx(np.full(6, ratios[0]), rel=0.05)


def test_composed_and_alone_share_the_images_as_they_are(source):
    watched = Watched()
    scorer = SensitivityScorer(
        watched, layer="", transformations=["invert"], twins="clean", n_pairs=40, batch_size=1, random_state=0
    )
    scorer.fit(source)
    assert len(watched.sizes) <= 40 * 5  # as they are, with another object, inverted, composed, and objects again
    assert 0 < scorer.composed_sensitivity_ < 2


def test_an_encoder_that_fails_on_some_images_says_on_how_many():
    def spoiled(X):
        return np.where((X[:, 0, 0] == 255 - bright).all(axis=1, keepdims=True), np.nan, 1.0)

    X = many_images(30)
    bright = X[17, 0, 0]
    with pytest.raises(ValueError, match=r"encoder returned NaN or infinity for 1 of \d+ images$"):
        SensitivityScorer(spoiled, transformations=["invert"], twins="clean", random_state=0).fit(X)


def test_a_function_may_fill_the_same_array_again():
    buffer = np.empty((4, 3), np.float32)

    def fill(X):
        buffer[:] = colours(X)
        return buffer

    X = many_images(8)
    assert np.allclose(encoding.encode(fill, X, 4), colours(X))


def test_sources_that_cannot_be_measured_are_refused():
    with pytest.raises(ValueError, match="X shows one image only, expected at least 2"):
        SensitivityScorer(None).fit(TransformedImages(many_images(1)))
    with pytest.raises(ValueError, match=r"X has shape \(0, 32, 32, 3\): it is empty, expected at least one image"):
        encoding.encode(None, many_images(0))


def test_what_is_no_array_of_images_is_named():
    X = many_images(6, side=8)
    with pytest.raises(ValueError, match="X_twin has dtype float32, expected that of X, uint8"):
        twin_sensitivity(colours, X, (X / 255).astype(np.float32))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.from_numpy(X)))
    for call in (SensitivityScorer(colours).fit, lambda given: encoding.encode(colours, given)):
        with pytest.raises(
            ValueError, match="X is of type DataLoader, expected an array: invtransfer.load_images reads"
        ):
            call(loader)
    with pytest.raises(ValueError, match=r"X has shape \(8, 8, 3\), expected \(n_samples, height, width, n_channels\)"):
        encoding.encode(colours, X[0])
    assert encoding.encode(colours, list(X)).shape == (6, 3)


def test_the_labels_are_those_of_the_images_that_are_shown():
    source = TransformedImages.from_checked(many_images(9), random_state=0, order=np.array([5, 3]))
    X, y = source.sample(3)
    assert y.tolist() == [5, 3, 5]
    assert (many_images(9)[y] == X).all()


def test_features_that_were_saved_have_the_sensitivity_of_their_images():
    X = np.random.default_rng(0).integers(256, size=(300, 6, 6, 3), dtype=np.uint8)
    expected = twin_sensitivity(colours, X, 255 - X)
    assert twin_sensitivity(None, colours(X), colours(255 - X)) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="X_twin has shape .300, 2., expected the shape of X, .300, 3."):
        twin_sensitivity(None, colours(X), colours(X)[:, :2])
    with pytest.raises(ValueError, match="X_twin contains NaN"):
        twin_sensitivity(None, colours(X), colours(X) * np.nan)
    with pytest.raises(ValueError, match="X has shape .300, 3., expected .n_samples, height, width, 3."):
        twin_sensitivity(colours, colours(X), colours(X))


def test_features_that_are_all_equal_are_warned_of():
    X = np.random.default_rng(0).integers(256, size=(6, 4, 4, 3), dtype=np.uint8)

    def constant(X):
        return np.ones((len(X), 3))

    options = {"transformations": ["hue"], "twins": "clean", "random_state": 0}
    with pytest.warns(UserWarning, match="^all images have the same features, so that there is no sensitivity"):
        scorer = SensitivityScorer(constant, **options).fit(X)
    assert np.isnan(scorer.sensitivity_).all()
    with pytest.warns(UserWarning, match="^all images have the same features in b, so that"):
        scorer = SensitivityScorer({"a": colours, "b": constant}, **options).fit(X)
    assert np.isfinite(scorer.sensitivity_.sel(encoder="a")).all()
