"""Profiles: sensitivity over layers, strengths, several encoders and pairs of transformations."""

from collections import OrderedDict
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.base import clone
from torch import nn

from invtransfer import FrozenFeatureProbe, SensitivityScorer, Transformation, TransformedImages
from invtransfer.analysis.representations import DISTANCES, distances, sensitivity_interval
from invtransfer.analysis.whitening import make_whitening
from invtransfer.encoders import encode
from invtransfer.encoders.many_layers import FEATURE
from invtransfer.transformations import TRANSFORMATIONS
from invtransfer.transformations.draws import sometimes, uniform
from invtransfer.transformations.photometric import invert


@pytest.fixture
def X():
    return np.random.default_rng(0).integers(256, size=(60, 8, 8, 3), dtype=np.uint8)


def mean_colour(X):
    return X.mean(axis=(1, 2))


class Sorted(nn.Module):
    """The values of each channel in order: what is left of an image if places do not count."""

    def forward(self, x):
        return x.flatten(2).sort(dim=2).values.view_as(x)


class Luma(nn.Module):
    """Grey images, with the weights of the transformation grayscale."""

    def forward(self, x):
        return torch.einsum("nchw,c->nhw", x, torch.tensor([0.299, 0.587, 0.114])).unsqueeze(1)


class Folded(nn.Module):
    """The mean over an image and its mirror image: a pooled orbit."""

    def forward(self, x):
        return (x + x.flip(-1)) / 2


def layered(*parts):
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        channels = [1 if isinstance(part, Luma) else 3 for part in parts]
        return nn.Sequential(nn.Conv2d(3, 3, 1), *parts, nn.Conv2d(channels[-1], 4, 1)).eval()


@pytest.mark.parametrize(
    ("part", "removed", "left"),
    [(Sorted(), ["h_flip", "v_flip"], ["invert", "hue"]), (Folded(), ["h_flip"], ["v_flip", "invert"])],
)
def test_an_invariance_arises_in_the_layer_that_makes_it(X, part, removed, left):
    encoder = layered(nn.Identity(), part)
    scorer = SensitivityScorer(
        encoder, layers=["0", "1", "2", "3"], pool="flatten", transformations=removed + left, twins="clean",
        random_state=0,
    ).fit(X)  # fmt: skip
    sensitivity = scorer.sensitivity_
    assert sensitivity.dims == ("layer", "transformation")
    assert (sensitivity.sel(transformation=removed, layer=["0", "1"]) > 0.5).all()
    assert (sensitivity.sel(transformation=removed, layer=["2", "3"]) < 1e-5).all()
    assert (sensitivity.sel(transformation=left) > 0.3).all()
    assert sensitivity.depth.values == pytest.approx([0.5, 0.5, 0.5, 1])


def test_a_layer_that_drops_colour_does_not_see_it_dropped(X):
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Identity(), Luma(), nn.Conv2d(1, 4, 3)).eval()
    scorer = SensitivityScorer(
        encoder, layers=["0", "1", "2"], pool="flatten", transformations=["grayscale"], twins="clean", random_state=0
    ).fit(X)
    before, at, after = scorer.sensitivity_.values[:, 0]
    assert before > 0.4
    assert max(at, after) < 0.01  # what rounding to 256 levels leaves


def test_layers_cost_one_forward_pass(X):
    class Counting(nn.Module):
        n_images = 0

        def forward(self, x):
            type(self).n_images += len(x)
            return x

    encoder = nn.Sequential(Counting(), nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Flatten())
    options = {"transformations": ["rotate", "hue"], "batch_size": 1, "random_state": 0}
    SensitivityScorer(encoder, layer="1", **options).fit(X)
    one, Counting.n_images = Counting.n_images, 0
    several = SensitivityScorer(encoder, layers=["1", "2"], **options).fit(X)
    assert Counting.n_images == one
    assert several.companions_.abx.dims == ("layer", "transformation")
    assert several.layer_ == "output of 1, mean over places; output of 2, mean over places"


def test_the_dose_response_of_a_linear_encoder_is_known(X):
    # a transformation of one's own is mixed with the image: at strength s its mean colour m becomes m + s (1 - 2 m)
    negative = Transformation("negative", "own", sometimes, invert)
    strengths = [0.1, 0.5, 1.0]
    X = X.astype(np.float32) / 255
    scorer = SensitivityScorer(
        mean_colour, transformations=[negative], strengths=strengths, twins="clean", random_state=0
    ).fit(X)
    assert scorer.sensitivity_.dims == ("transformation", "strength")
    m = mean_colour(X)
    for s in strengths:
        moved = m + s * (1 - 2 * m)
        pairs = np.linalg.norm(m - moved, axis=1)
        others = np.linalg.norm(m[:, None] - moved, axis=2)
        expected = pairs.mean() / (others.sum() - np.trace(others)) * (len(m) * (len(m) - 1))
        assert scorer.sensitivity_.sel(strength=s).item() == pytest.approx(expected, rel=1e-4)
    profile = scorer.profile_
    # the slope at 0, where the normaliser is that of the images as they are
    pairs, others = np.linalg.norm(1 - 2 * m, axis=1), np.linalg.norm(m[:, None] - m, axis=2)
    slope = pairs.mean() / (others.sum() / (len(m) * (len(m) - 1)))
    assert profile.slope.item() == pytest.approx(slope, rel=0.05)
    assert profile.slope_low < slope < profile.slope_high


def test_at_full_strength_the_numbers_are_those_without_strengths(X):
    options = {"transformations": ["rotate", "noise", "h_flip"], "random_state": 0}
    plain = SensitivityScorer(mean_colour, **options).fit(X)
    doses = SensitivityScorer(mean_colour, strengths=[0.3, 1], **options).fit(X)
    for name in ("sensitivity_", "sensitivity_interval_", "pair_distances_", "companions_"):
        xr.testing.assert_equal(getattr(doses, name).sel(strength=1, drop=True), getattr(plain, name))
    assert (doses.sensitivity_.sel(strength=0.3) <= doses.sensitivity_.sel(strength=1) + 1e-9).all()
    assert np.isfinite(doses.profile_.slope).values.tolist() == [True, True, False]  # a flip has one strength


def test_distances_in_units_of_the_spread(X):
    scorer = SensitivityScorer(
        mean_colour, transformations=["invert"], twins="clean", distance="mahalanobis", random_state=0
    ).fit(X)
    whitening = make_whitening(mean_colour(X).astype(np.float32))
    order = scorer.pair_distances_.image.values
    first, second = (whitening.apply(mean_colour(images)[order]) for images in (X, 255 - X))
    np.testing.assert_allclose(scorer.pair_distances_.values[0], distances(first, second), rtol=1e-4)


def test_new_images_are_measured_in_the_units_of_fit(X):
    scorer = SensitivityScorer(
        mean_colour, transformations=["hue", "rotate"], distance="mahalanobis", random_state=0
    ).fit(X)
    some = scorer.transform(X[:5])
    assert (some > 0).any()
    np.testing.assert_array_equal(some, np.concatenate([scorer.transform(X[i : i + 1]) for i in range(5)]))
    assert scorer.score(X) == pytest.approx(1 - scorer.sensitivity_.mean().item())


def test_companions_of_features_do_not_depend_on_the_distance(X):
    found = [
        SensitivityScorer(mean_colour, transformations=["hue"], distance=distance, random_state=0).fit(X).companions_
        for distance in DISTANCES
    ]
    for name in ("participation_ratio", "normalized_variance"):
        assert len({one[name].item() for one in found}) == 1, name


def test_angles_between_features(X):
    scorer = SensitivityScorer(
        mean_colour, transformations=["invert"], twins="clean", distance="cosine", random_state=0
    ).fit(X)
    order = scorer.pair_distances_.image.values
    first, second = (mean_colour(images)[order] for images in (X, 255 - X))
    cosine = (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    np.testing.assert_allclose(scorer.pair_distances_.values[0], 1 - cosine, atol=1e-6)


def test_several_encoders_see_the_same_draws(X):
    options = {"transformations": ["rotate", "hue"], "n_pairs": 30, "random_state": 0}
    encoders = {"colour": mean_colour, "pixels": None}
    scorer = SensitivityScorer(encoders, **options).fit(X)
    assert scorer.sensitivity_.dims == ("encoder", "transformation")
    for name, encoder in encoders.items():
        alone = SensitivityScorer(encoder, **options).fit(X)
        np.testing.assert_array_equal(scorer.pair_distances_.sel(encoder=name), alone.pair_distances_)
        np.testing.assert_array_equal(scorer.sensitivity_interval_.sel(encoder=name), alone.sensitivity_interval_)
    assert scorer.layer_ == {"colour": None, "pixels": None}
    assert scorer.get_feature_names_out().tolist() == [
        "colour rotate", "colour hue", "pixels rotate", "pixels hue"
    ]  # fmt: skip
    columns = scorer.transform(X[:5])
    alone = SensitivityScorer(None, **options).fit(X)
    np.testing.assert_array_equal(columns[:, 2:], alone.transform(X[:5]))
    both = SensitivityScorer(mean_colour, **options).fit(X).score(X), alone.score(X)
    assert scorer.score(X) == pytest.approx(np.mean(both))


def test_encoders_with_unlike_layers(X):
    encoders = {"deep": layered(nn.Identity()), "wide": nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten()).eval()}
    scorer = SensitivityScorer(encoders, layers="blocks", transformations=["hue"], random_state=0).fit(X)
    assert scorer.sensitivity_.layer.values.tolist() == ["0", "2", FEATURE]
    assert np.isnan(scorer.sensitivity_.sel(encoder="wide", layer="2")).all()
    assert scorer.sensitivity_.depth.dims == ("encoder", "layer")
    np.testing.assert_array_equal(scorer.sensitivity_.depth, [[0.5, 1, 1], [1, np.nan, 1]])
    assert scorer.transform(X[:3]).shape == (3, len(scorer.get_feature_names_out())) == (3, 5)


def test_columns_of_encoders_whose_layers_run_in_other_orders(X):
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        parts = [nn.Conv2d(3, 3, 1) for _ in range(3)]
    encoders = {
        name: nn.Sequential(OrderedDict([(letter, parts[i]) for i, letter in enumerate(order)]))
        for name, order in (("few", "ac"), ("many", "abc"), ("turned", "ca"))
    }
    options = {"layers": ["a", "c"], "transformations": ["hue"], "random_state": 0}
    layers = {"few": ["a", "c"], "many": ["a", "b", "c"], "turned": ["c", "a"]}
    together = SensitivityScorer(encoders, **options | {"layers": "blocks"}).fit(X)
    columns = dict(zip(together.get_feature_names_out(), together.transform(X[:3]).T, strict=True))
    for name, encoder in encoders.items():
        alone = SensitivityScorer(encoder, **options | {"layers": layers[name]}).fit(X)
        for column, values in zip(alone.get_feature_names_out(), alone.transform(X[:3]).T, strict=True):
            np.testing.assert_array_equal(columns[f"{name} {column}"], values)
            layer = column.split()[0]
            assert together.sensitivity_.sel(encoder=name, layer=layer) == alone.sensitivity_.sel(layer=layer)


def test_layers_and_distances_of_an_encoder_without_features(X):
    class Empty(nn.Module):
        def __init__(self):
            super().__init__()
            self.some, self.none = nn.Conv2d(3, 4, 1), nn.Identity()

        def forward(self, x):
            self.none(x[:, :0])
            return self.some(x)

    for distance in DISTANCES:
        options = {"transformations": ["hue"], "distance": distance, "random_state": 0}
        with pytest.warns(UserWarning, match="^all images have the same features in none, so that there is no sens"):
            scorer = SensitivityScorer(Empty(), layers=["some", "none"], **options).fit(X)
        assert np.isfinite(scorer.sensitivity_.sel(layer="some"))
        assert np.isnan(scorer.sensitivity_.sel(layer="none"))


def test_an_encoder_that_fails_has_no_layers(X):
    encoders = {"deep": layered(nn.Identity()), "fails": mean_colour}
    scorer = SensitivityScorer(encoders, layers="blocks", transformations=["hue"], random_state=0)
    with pytest.warns(UserWarning, match="1 of 2 encoders failed: fails: ValueError: layers is 'blocks', expected"):
        profile = scorer.fit(X).profile_
    assert np.isnan(profile.depth.sel(encoder="fails")).all()
    assert (profile.features.sel(encoder="fails") == "").all()
    assert np.isfinite(profile.depth.sel(encoder="deep")).all()


def test_an_encoder_that_fails_does_not_stop_the_others(X):
    def fails(X):
        raise ValueError("no images today")

    scorer = SensitivityScorer({"fails": fails, "colour": mean_colour}, transformations=["hue"], random_state=0)
    with pytest.warns(UserWarning, match="1 of 2 encoders failed: fails: ValueError: no images today"):
        scorer.fit(X)
    assert np.isnan(scorer.sensitivity_.sel(encoder="fails")).all()
    assert np.isfinite(scorer.sensitivity_.sel(encoder="colour")).all()
    assert scorer.profile_.message.values.tolist() == ["ValueError: no images today", ""]
    assert scorer.transform(X[:4]).shape == (4, 1)
    with pytest.raises(ValueError, match="all 1 encoders failed; fails: ValueError: no images today"):
        SensitivityScorer({"fails": fails}, transformations=["hue"]).fit(X)


def test_images_are_blamed_once_and_not_the_encoders(X):
    scorer = SensitivityScorer({"a": mean_colour, "b": None}, transformations=["hue"])
    with pytest.raises(ValueError, match=r"^X has shape \(60, 3, 8, 8\), expected .* channels come first"):
        scorer.fit(X.transpose(0, 3, 1, 2))


def test_strengths_may_be_anything_that_can_be_walked_through(X):
    options = {"transformations": ["hue"], "twins": "clean", "random_state": 0}
    found = SensitivityScorer(mean_colour, strengths=iter([0.5, 1]), **options).fit(X).sensitivity_
    assert found.equals(SensitivityScorer(mean_colour, strengths=[0.5, 1.0], **options).fit(X).sensitivity_)


def test_one_transformation_hides_another_and_two_add_up(X):
    def shift(images, *, by, channel):
        images = images.clone()
        images[:, channel] += by[:, None, None]
        return images

    def mover(name, channel):
        return Transformation(name, "own", partial(uniform, by=(0.05, 0.05)), partial(shift, channel=channel))

    colours = np.random.default_rng(0).random((200, 1, 1, 3), dtype=np.float32)
    X = np.tile(0.1 + 0.8 * colours, (1, 8, 8, 1))  # images that differ more than the movements below
    movers = [mover("red", 0), mover("blue", 2)]
    scorer = SensitivityScorer(
        mean_colour, transformations=["grayscale", "hue", *movers], twins="clean", random_state=0,
        interactions=[("grayscale", "hue"), ("red", "blue"), ("hue", "grayscale")],
    ).fit(X)  # fmt: skip
    profile = scorer.profile_.set_coords("kind")
    assert profile.interaction.dims == ("transformation", "then")
    assert profile.interaction.notnull().sum() == 3
    # hue does nothing to a grey image
    grey = scorer.sensitivity_.sel(transformation="grayscale").item()
    hidden = profile.sel(transformation="grayscale", then="hue")
    assert hidden.together.item() == pytest.approx(grey, rel=0.02)
    assert hidden.kind == "covering"
    # (0.05, 0, 0.05) is as long as two sides of a square together
    added = profile.sel(transformation="red", then="blue")
    assert added.together_low < np.sqrt(2) * scorer.sensitivity_.sel(transformation="red") < added.together_high
    assert added.kind == "additive"
    assert profile.sel(transformation="red", then="hue").kind == ""


def test_how_often_the_answers_of_a_probe_change(X):
    X = np.sort(X, axis=2)  # dark on the left
    X[30:] = X[30:, :, ::-1]
    y = np.arange(60) // 30

    def halves(X):
        return np.stack([X[:, :, :4].mean(axis=(1, 2, 3)), X[:, :, 4:].mean(axis=(1, 2, 3))], axis=1)

    probe = FrozenFeatureProbe().fit(encode(halves, X), y)
    scorer = SensitivityScorer(
        halves, transformations=["h_flip", "v_flip"], strengths=[0.5, 1], twins="clean", probe=probe, random_state=0
    ).fit(X)
    assert scorer.profile_.changed.dims == ("transformation", "strength")
    np.testing.assert_array_equal(scorer.profile_.changed, [[1, 1], [0, 0]])  # a flip has one strength
    np.testing.assert_array_equal(scorer.profile_.strength_of_half, [0.25, np.nan])


@pytest.mark.parametrize("convert", [np.ndarray.tolist, lambda y: y[:, None], lambda y: y.tolist(), torch.from_numpy])
def test_answers_of_a_probe_in_any_form(X, convert):
    def predict(Z):
        return (Z[:, 0] > 127).astype(int)

    changed = [
        SensitivityScorer(mean_colour, transformations=["hue"], probe=SimpleNamespace(predict=answer), random_state=0)
        .fit(X)
        .profile_.changed.item()
        for answer in (predict, lambda Z: convert(predict(Z)))
    ]
    assert 0 < changed[0] == changed[1] < 1


@pytest.mark.parametrize("probe", ["svm", {"colour": len}])
def test_a_probe_without_answers(X, probe):
    with pytest.raises(TypeError, match="probe is of type .*, expected a fitted classifier with `predict`"):
        SensitivityScorer({"colour": mean_colour}, probe=probe).fit(X)


def test_a_clone_keeps_the_probe(X):
    probe = FrozenFeatureProbe().fit(encode(mean_colour, X), np.arange(60) % 2)
    options = {"transformations": ["hue"], "random_state": 0}
    for given in (probe, {"colour": probe}):
        encoder = {"colour": mean_colour} if isinstance(given, dict) else mean_colour
        scorer = SensitivityScorer(encoder, probe=given, **options)
        twin = clone(scorer)
        assert twin.probe is given
        xr.testing.assert_identical(twin.fit(X).profile_, scorer.fit(X).profile_)


def test_normalized_variance_is_that_of_the_definition(X):
    scorer = SensitivityScorer(mean_colour, transformations=["hue"], n_pairs=60, random_state=0).fit(X)
    source = TransformedImages(X, [0] * 60, random_state=scorer._seed)
    order = scorer.pair_distances_.image.values
    first, second = source.twins(60, transformations=[TRANSFORMATIONS["hue"]])
    Z = np.stack([mean_colour(images)[order] for images in (first, second)])
    if not np.allclose(np.linalg.norm(Z[0] - Z[1], axis=1), scorer.pair_distances_.values[0], rtol=1e-4):
        pytest.fail("the draws are others than those of the scorer")
    ratio = Z.var(axis=0, ddof=1).mean(axis=0) / Z.var(axis=1, ddof=1).mean(axis=0)
    assert scorer.companions_.normalized_variance.item() == pytest.approx(ratio.mean(), rel=1e-4)


def test_a_profile_goes_to_netcdf_and_back(X, tmp_path):
    scorer = SensitivityScorer(
        {"a": layered(nn.Identity()), "b": layered(Sorted())}, layers="blocks", transformations=["hue", "invert"],
        strengths=[0.5, 1], interactions="all", random_state=0,
    ).fit(X)  # fmt: skip
    scorer.profile_.to_netcdf(tmp_path / "profile.nc")
    with xr.open_dataset(tmp_path / "profile.nc") as read:
        xr.testing.assert_equal(read.load(), scorer.profile_)
    assert all({"units", "long_name"} <= one.attrs.keys() for one in scorer.profile_.data_vars.values())


@pytest.mark.parametrize("twins", ["drawn", "clean"])
def test_the_images_of_pairs_are_those_that_were_compared(X, twins):
    scorer = SensitivityScorer(
        mean_colour, transformations=["rotate", "hue"], strengths=[0.5, 1], twins=twins, n_pairs=30, random_state=0
    ).fit(X)
    images, shown = scorer.make_twins(X, "hue", 0.5)
    assert len(images) == len(shown) == 30
    first, second = (mean_colour(np.stack(list(one))) for one in (images, shown))
    np.testing.assert_allclose(
        np.linalg.norm(first - second, axis=1),
        scorer.pair_distances_.sel(transformation="hue", strength=0.5),
        rtol=1e-4,
    )
    if twins == "clean":
        assert (images[7] == X[scorer.profile_.image.values[7]]).all()
    assert (shown[-1] == shown[29]).all()
    with pytest.raises(IndexError):
        shown[30]
    with pytest.raises(ValueError, match="transformation is 'blur', expected one of: rotate, hue"):
        scorer.make_twins(X, "blur")
    with pytest.raises(ValueError, match="X gives 20 pairs, expected 30, those of fit"):
        scorer.make_twins(X[:20], "hue")
    for others in (255 - X, X[::-1]):
        with pytest.raises(ValueError, match="X has other images than in fit, or in another order"):
            scorer.make_twins(others, "hue")


def test_the_most_affected_images_are_drawn_in_two_lines(X):
    from invtransfer.plots import plot_affected

    scorer = SensitivityScorer(mean_colour, transformations=["hue"], twins="clean", random_state=0).fit(X)
    figure = plot_affected(scorer.profile_, *scorer.make_twins(X, "hue"), "hue", n=2)
    own = scorer.pair_distances_.sel(transformation="hue")
    most = own.image.values[own.values.argmax()]
    assert any(f"image {most}" in axes.get_title() for axes in figure.axes)


def test_intervals_of_layers_are_those_of_their_distances(X):
    scorer = SensitivityScorer(layered(nn.Identity()), layers=["0", "2"], transformations=["hue"]).fit(X)
    for name in ("0", "2"):
        pairs, others = (one.sel(layer=name).values[0] for one in (scorer.pair_distances_, scorer.random_distances_))
        value, low, high = sensitivity_interval(pairs, others)
        assert scorer.sensitivity_.sel(layer=name).item() == value
        assert scorer.sensitivity_interval_.sel(layer=name).values[0].tolist() == [low, high]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"strengths": [0.0, 1.0]}, r"strengths is \[0.0, 1.0\], expected numbers above 0 and up to 1, each larger"),
        ({"strengths": [1.0, 0.5]}, r"strengths is \[1.0, 0.5\], expected numbers above 0 and up to 1, each larger"),
        ({"strengths": 0.5}, "strengths is 0.5, expected numbers"),
        ({"strengths": []}, r"strengths is \[\], expected numbers"),
        ({"strengths": [1.5]}, r"strengths is \[1.5\], expected numbers"),
        ({"distance": "manhattan"}, "distance is 'manhattan', expected one of: euclidean, cosine, mahalanobis"),
        ({"interactions": "some"}, "interactions is 'some', expected 'all', a list of pairs of names, or None"),
        ({"interactions": ["hue"]}, r"interactions holds 'hue', expected pairs of names, such as \('rotate', 'blur'\)"),
        ({"interactions": [("hue", "blur")]}, "interactions holds 'blur', which is not among the transformations"),
        ({"interactions": [("hue", "hue")]}, r"interactions holds \('hue', 'hue'\), expected two different names"),
        (
            {"interactions": "all", "strengths": [0.5]},
            r"strengths is \[0.5\], expected 1 as the last: interactions are at full strength",
        ),
        ({"encoder": {1: None}}, "encoder holds 1, expected names of encoders, such as 'resnet18'"),
        ({"encoder": {}}, "encoder is an empty dict, expected at least one encoder by its name"),
        ({"layers": "blocks"}, "layers is 'blocks', expected None: encoder is of type function"),
        (
            {"probe": FrozenFeatureProbe(mean_colour)},
            "probe is a FrozenFeatureProbe with an encoder, expected a classifier of features",
        ),
        ({"encoder": {"a": None}, "probe": {}}, r"probe holds none for 'a', expected one for each encoder: \[\]"),
    ],
)
def test_parameters_that_are_wrong(X, parameters, message):
    scorer = SensitivityScorer(mean_colour, transformations=["hue", "invert"]).set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        scorer.fit(X)
