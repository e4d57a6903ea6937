"""What modules of any kind return, and how it becomes one row of features per image."""

import dataclasses
from collections import OrderedDict, namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from describing import encode_and_describe
from torch import nn

from invtransfer import FineTuner, FrozenFeatureProbe, SensitivityScorer, twin_sensitivity
from invtransfer.encoders.encoding import encode, encode_pieces, open_encoder
from invtransfer.encoders.outputs import pool_places, take_part
from invtransfer.encoders.preprocessing import Preprocessed, Preprocessing

Y = np.arange(40) % 2
LAST = " (last_hidden_state)"


class Parts(OrderedDict):
    """An output with names, as Hugging Face's models return it."""

    __getattr__ = OrderedDict.__getitem__


class Model(nn.Module):
    """Return what a function makes of 4 x 4 patches of 16 x 16 images, as tokens behind a class token of minus one."""

    def __init__(self, make, class_token="cls_token"):
        super().__init__()
        self.make = make
        self.embed = nn.Identity()
        if class_token:
            self.register_parameter(class_token, nn.Parameter(torch.tensor(-1.0)))

    def forward(self, images):
        maps = nn.functional.avg_pool2d(images, 4)
        tokens = self.embed(maps.flatten(2).mT)
        token = torch.full((len(images), 1, 3), -1.0)
        return self.make(
            SimpleNamespace(images=images, maps=maps, tokens=torch.cat([token, tokens], 1), one=maps[:, :, 0, 0])
        )


def mean_colour(images):
    return images.mean((1, 2)) / 255


def one_more(images):
    return mean_colour(images) + 1


def corner(images):
    return images[:, :4, :4].mean((1, 2)) / 255


Named = namedtuple("Named", "attention last_hidden_state")


@dataclasses.dataclass
class Data:
    image_embeds: torch.Tensor
    text_embeds: object = None


@pytest.mark.parametrize(
    ("make", "expected", "place"),
    [
        (lambda o: Parts(last_hidden_state=o.tokens, pooler_output=o.one), corner, "(pooler_output)"),
        (lambda o: Parts(last_hidden_state=o.maps, pooler_output=o.one[:, :, None, None]), corner, "(pooler_output)"),
        (lambda o: Parts(last_hidden_state=o.tokens, image_embeds=o.one), corner, "(image_embeds)"),
        (lambda o: Parts(last_hidden_state=o.tokens), -1, "(last_hidden_state), class token"),
        (lambda o: Parts(last_hidden_state=o.maps), mean_colour, "(last_hidden_state), mean over places"),
        (lambda o: Parts(feature_maps=(o.maps, o.maps + 1)), one_more, "(feature_maps, 1), mean over places"),
        (lambda o: {"logits": o.maps, "features": o.one}, corner, "(features)"),
        (lambda o: {"anything": o.one}, corner, "(anything)"),
        (lambda o: {"anything": o.one, "nothing": None}, corner, "(anything)"),
        (lambda o: Data(o.one), corner, "(image_embeds)"),
        (lambda o: Named(o.one, o.tokens), -1, "(last_hidden_state), class token"),
        (lambda o: (o.one,), corner, "(0)"),
        (lambda o: [o.maps, o.maps + 1], one_more, "(1), mean over places"),
        (lambda o: (o.images, o.maps + 1), one_more, "(1), mean over places"),
        (lambda o: {"layer1": o.images, "layer4": o.maps + 1}, one_more, "(layer4), mean over places"),
        (lambda o: o.tokens, -1, ", class token"),
        (lambda o: o.maps, mean_colour, ", mean over places"),
        (lambda o: o.maps.permute(0, 2, 3, 1), mean_colour, ", mean over places"),
        (lambda o: o.images.permute(0, 2, 3, 1), mean_colour, ", mean over places"),
        (lambda o: o.one[:, :, None, None], corner, ""),
    ],
)  # fmt: skip
def test_the_feature_is_what_the_model_calls_so(images, make, expected, place):
    Z, description = encode_and_describe(Model(make), images)
    assert description == f"output of the module{' ' * place.startswith('(')}{place}"
    assert Z.shape == (40, 3)
    np.testing.assert_allclose(Z, expected(images) if callable(expected) else np.full((40, 3), expected), atol=1e-6)


def test_an_output_that_has_slots(images):
    @dataclasses.dataclass(frozen=True, slots=True)
    class Slotted:
        features: torch.Tensor
        loss: float | None = None

    @dataclasses.dataclass
    class Derived:
        maps: torch.Tensor
        never: object = dataclasses.field(init=False)

        def __post_init__(self):
            self.pooled = self.maps.mean(dim=(2, 3))

    derived = nn.Sequential(Model(lambda o: Derived(o.maps)))
    np.testing.assert_allclose(encode(derived, images, layer="0[pooled]"), mean_colour(images), atol=1e-6)
    module = nn.Sequential(Model(lambda o: Slotted(o.maps)))
    for layer in (None, "", "0", "[features]", "0[features]"):
        np.testing.assert_allclose(encode(module, images, layer=layer), mean_colour(images), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: (o.one, o.one), r'is of type tuple, .* such as "\[0\]": \[0\] \(128, 3\), \[1\] \(128, 3\)'),
        (lambda o: (o.maps, o.maps), r"is of type tuple, .*: \[0\] \(128, 3, 4, 4\), \[1\] \(128, 3, 4, 4\)"),
        (lambda o: {"out": o.maps, "aux": o.maps}, r"is of type dict, .*: \[out\] .*, \[aux\] "),
        (lambda o: (o.one, "text"), r"is of type tuple, .*: \[0\] \(128, 3\), \[1\] str"),
        (lambda o: None, "is of type NoneType, expected a tensor: name another layer$"),
        (lambda o: (), "is of type tuple, expected a tensor: name another layer$"),
    ],
)  # fmt: skip
def test_what_could_be_several_things_is_not_guessed(images, make, message):
    with pytest.raises(ValueError, match=rf"the output of the module \(Model\) {message}"):
        encode(Model(make), images)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [("[1]", corner), ("[-1]", corner), ("[0][x]", mean_colour), ("[0]", mean_colour)],
)
def test_a_part_is_named_by_its_key_or_number(images, layer, expected):
    module = Model(lambda o: ({"x": o.maps}, o.one))
    assert encode(module, images, layer=layer) == pytest.approx(expected(images), abs=1e-6)
    inside = nn.Sequential(module)
    inside.forward = lambda images: module(images)[1]
    assert encode(inside, images, layer=f"0{layer}") == pytest.approx(expected(images), abs=1e-6)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            "[2]",
            r"the output of the module \(Model\) is of type tuple and has no part '2': \[0\] dict, \[1\] \(128, 3\)",
        ),
        ("[0][y]", r"is of type dict and has no part 'y': \[x\]"),
        ("[1][0]", "is of type Tensor and has no part '0'"),
        ("[0", "layer is '\\[0', expected the name of a layer"),
        ("no[0]", "layer is 'no\\[0\\]', expected the name of a layer"),
    ],
)
def test_parts_that_are_not_there(images, layer, message):
    with pytest.raises(ValueError, match=message):
        encode(Model(lambda o: ({"x": o.maps}, o.one)), images, layer=layer)


@pytest.mark.parametrize(
    ("pool", "make", "expected", "place"),
    [
        ("mean", lambda o: Parts(pooler_output=1, last_hidden_state=o.maps), mean_colour, f"{LAST}, mean over places"),
        ("class", lambda o: Parts(pooler_output=o.one, last_hidden_state=o.tokens), -1, f"{LAST}, class token"),
        ("mean", lambda o: Parts(image_embeds=o.one), corner, " (image_embeds)"),
        ("mean", lambda o: o.tokens, lambda X: (16 * mean_colour(X) - 1) / 17, ", mean over tokens"),
        ("flatten", lambda o: o.images, lambda X: X.transpose(0, 3, 1, 2).reshape(40, -1) / 255, ", flattened"),
        ("class", lambda o: o.tokens[:, 1:], corner, ", class token"),
    ],
)  # fmt: skip
def test_pooling_that_is_asked_for(images, pool, make, expected, place):
    Z, description = encode_and_describe(Model(make), images, pool=pool)
    assert description == f"output of the module{place}"
    np.testing.assert_allclose(Z, expected(images) if callable(expected) else np.full((40, 3), expected), atol=1e-6)


def test_maps_have_no_class_token(images):
    with pytest.raises(
        ValueError, match=r"has maps of shape \(3, 4, 4\), which have no class token, but pool is 'class'"
    ):
        encode(Model(lambda o: o.maps), images, pool="class")


@pytest.mark.parametrize("name", ["cls_token", "class_token", "class_embedding", "cls", None])
def test_class_tokens_are_known_by_their_names(images, name):
    module = Model(lambda o: o.tokens, name)
    place = encode_and_describe(module, images)[1]
    assert place == ("output of the module, class token" if name else "output of the module, mean over tokens")


def test_tokens_before_the_class_token_joins_them_are_places(images):
    Z, place = encode_and_describe(Model(lambda o: o.tokens), images, layer="embed")
    assert place == "output of embed, mean over tokens"
    np.testing.assert_allclose(Z, mean_colour(images), atol=1e-6)


def test_tokens_that_are_no_class_tokens(images):
    module = Model(lambda o: o.tokens, None)
    module.num_prefix_tokens = 1
    assert encode_and_describe(module, images)[1] == "output of the module, class token"
    module.has_class_token = False  # a register, as timm says
    assert encode_and_describe(module, images)[1] == "output of the module, mean over tokens"


def test_channels_come_last_only_if_the_image_says_so():
    # an image of 32 x 48 is cut into 4 x 6 patches
    places = torch.arange(2.0 * 4 * 6 * 5).view(2, 4, 6, 5)
    expected = places.mean((1, 2))
    for maps in (places, places.permute(0, 3, 1, 2)):
        assert torch.allclose(pool_places(maps, "auto", (32, 48), 0)[0], expected)
    square = torch.arange(2.0 * 4 * 4 * 4).view(2, 4, 4, 4)  # could be both
    assert torch.equal(pool_places(square, "auto", (32, 32), 0)[0], square.mean((2, 3)))
    unpadded = torch.rand(2, 14, 14, 14)
    assert torch.allclose(pool_places(unpadded, "auto", (16, 16), 0)[0], unpadded.mean((2, 3)))


@pytest.mark.parametrize("layers", [None, ["model"]])
def test_channels_come_last_if_the_size_that_the_model_gets_says_so(layers):
    """Patches of 4 pixels of 64 x 64 are 16 x 16 places, whatever the size of the images was before."""

    class Patches(nn.Module):
        def forward(self, images):
            return nn.functional.avg_pool2d(images, 4).permute(0, 2, 3, 1).repeat(1, 1, 1, 2)  # of 6 channels

    images = np.random.default_rng(0).integers(256, size=(3, 50, 50, 3), dtype=np.uint8)
    model = Preprocessed(Preprocessing(size=(64, 64), resize=64), Patches())
    names = {"layer": ""} if layers is None else {"layers": layers}
    (Z,) = [Z for _, Z in encode_pieces(open_encoder(model, **names), [(0, images)])]
    seen = model.preprocessing(torch.from_numpy(images).permute(0, 3, 1, 2))
    np.testing.assert_allclose(Z, seen.mean(dim=(2, 3)).repeat(1, 2), atol=1e-5)


def test_complex_features_are_refused_rather_than_halved(images):
    class Spectrum(nn.Module):
        def forward(self, images):
            return torch.fft.fft2(images).flatten(1)

    with pytest.raises(ValueError, match="output of the module .Spectrum. has dtype torch.complex64, expected real"):
        encode(Spectrum(), images)


def test_the_only_tensor_of_nested_parts():
    part, names = take_part({"a": [(torch.ones(2, 3),)]}, (), "auto")
    assert names == ("a", "0", "0")
    assert part.shape == (2, 3)


class TextAndImages(nn.Module):
    """A model that takes text first, as `CLIPModel`."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.vision_model = nn.Sequential(nn.Flatten(), nn.Linear(768, 4))
        self.text_projection = nn.Linear(4, 4)

    def forward(self, input_ids, pixel_values=None):
        raise AssertionError("it takes text")


@pytest.mark.parametrize("name", ["get_image_features", "encode_image"])
def test_models_of_images_and_text_give_their_features_of_images(images, name):
    module = TextAndImages()
    setattr(module, name, lambda pixels: Parts(pooler_output=module.vision_model(pixels)))
    Z, place = encode_and_describe(module, images)
    assert place == f"output of {name} (pooler_output)"
    for same in (encode(module.vision_model, images, layer=""), encode(module, images, layer="vision_model")):
        assert (same == Z).all()


def test_models_of_images_and_text_behind_their_preprocessing(images):
    module = TextAndImages()
    module.encode_image = module.vision_model
    model = Preprocessed(Preprocessing(mean=(0.5,) * 3), module)
    expected = encode(nn.Sequential(model.preprocessing, module.vision_model), images, layer="")
    assert (encode(model, images) == expected).all()
    assert (encode(model, images, layer="model.vision_model") == expected).all()


def test_models_that_take_text_say_which_part_to_give(images):
    for model in (TextAndImages(), Preprocessed(Preprocessing(), TextAndImages())):
        with pytest.raises(TypeError, match=r"TextAndImages takes text \(input_ids\) first: .* .vision_model$"):
            encode(model, images)


class Heads(nn.Module):
    """A network with a head, an auxiliary head that is made last, and an output of some form."""

    def __init__(self, make):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3)
        self.fc, self.aux = nn.Linear(6, 5), nn.Linear(4, 5)
        self.make = make

    def forward(self, images):
        early = self.first(images).relu()
        feature, early = self.second(early).relu().mean((2, 3)), early.mean((2, 3))
        return self.make(self.fc(feature), self.aux(early), feature)


@pytest.mark.parametrize(
    "make",
    [
        lambda logits, aux, feature: (logits, aux),
        lambda logits, aux, feature: [[logits], aux],
        lambda logits, aux, feature: {"out": logits, "aux": aux},
        lambda logits, aux, feature: Parts(loss=aux.mean(), aux=aux, logits=logits),
        lambda logits, aux, feature: namedtuple("Outputs", "aux logits")(aux, logits),
        lambda logits, aux, feature: (0.5, aux.mean(), logits.softmax(1), aux),
        lambda logits, aux, feature: (feature, aux),
    ],
)
def test_the_input_of_an_auxiliary_head_is_not_the_feature(images, make):
    module = Heads(make)
    for given in ({"layer": None}, {"layers": "blocks"}):
        with pytest.raises(ValueError, match="aux, the last layer with weights of Heads, is not the only way to the f"):
            encode(open_encoder(module, **given), images)
    assert encode(module, images, layer="second").shape == (40, 6)


@pytest.mark.parametrize(
    "make",
    [
        lambda logits, feature: (logits, feature),
        lambda logits, feature: (feature, logits),
        lambda logits, feature: (logits.softmax(1), {"attention": feature}),
        lambda logits, feature: {"other": feature, "logits": logits},
        lambda logits, feature: (logits.mean(), {"out": 2 * logits}, feature),
    ],
)
def test_the_input_of_the_head_is_the_feature_whatever_else_is_returned(images, make):
    module = Heads(lambda logits, aux, feature: make(logits, feature))
    module.aux = nn.Flatten()
    Z, place = encode_and_describe(module, images)
    assert place == "input of fc"
    assert Z.shape == (40, 6)


@pytest.mark.parametrize("pool", ["max", None, 3, ["mean"]])
def test_poolings_that_are_not_known(images, pool):
    for encoder in (nn.Identity(), None):
        with pytest.raises(ValueError, match=r"pool is .*, expected one of: auto, class, mean, flatten"):
            encode(encoder, images, pool=pool)


@pytest.mark.parametrize("encoder", [None, lambda X: X.mean((1, 2))])
def test_only_torch_modules_are_pooled(images, encoder):
    with pytest.raises(
        ValueError, match="pool is 'mean', expected 'auto': encoder is of type .*, which is no torch module"
    ):
        encode(encoder, images, pool="mean")


def test_estimators_pool_and_say_how(images):
    module, twins = nn.Conv2d(3, 4, 3), 255 - images
    pooled = {"auto": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    for pool, n_features, how in (("auto", 4, "mean over places"), ("flatten", 4 * 14 * 14, "flattened")):
        probe = FrozenFeatureProbe(module, pool=pool).fit(images, Y)
        assert (probe.layer_, probe.coef_.shape[1]) == (f"output of the module, {how}", n_features)
        assert probe.predict(images).shape == (40,)
        scorer = SensitivityScorer(module, pool=pool, transformations=["hue"], n_pairs=20, random_state=0).fit(images)
        assert scorer.layer_ == probe.layer_
        expected = twin_sensitivity(nn.Sequential(module, pooled[pool]), images, twins)
        assert twin_sensitivity(module, images, twins, pool=pool) == pytest.approx(expected)


def test_a_tuner_pools_as_its_probe(images):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    tuner = FineTuner(module, probe=FrozenFeatureProbe(pool="flatten"), epochs=0, random_state=0).fit(images, Y)
    assert tuner.layer_ == "output of the module, flattened"
    assert tuner.transform(images) == pytest.approx(encode(module, images, pool="flatten"), abs=1e-5)


class TwoHeads(nn.Module):
    """A network with a head for each of two tasks, as variational encoders have for mean and spread."""

    def __init__(self):
        super().__init__()
        self.conv, self.first, self.second = nn.Conv2d(3, 6, 3), nn.Linear(6, 5), nn.Linear(6, 2)

    def forward(self, images):
        feature = self.conv(images).relu().mean(dim=(2, 3))
        return self.first(feature), self.second(feature)


def test_what_several_heads_share_is_the_feature(images):
    Z, place = encode_and_describe(TwoHeads(), images)
    assert place == "input of second"
    assert Z.shape == (40, 6)
