"""What all 18 transformations promise, their table, and how they are chosen and applied."""

import pickle
import re
from functools import partial

import numpy as np
import pytest
import torch
from reference_images import CONTENT, SAME, assert_seen_alike, draw, objects, premultiplied, whole_images

from invtransfer import TransformedImages, transformations
from invtransfer.transformations import (
    TRANSFORMATIONS,
    Transformation,
    apply_transformations,
    geometric,
    get_transformations,
    to_tensors,
)
from invtransfer.transformations.strength import change_nothing, shrink_draw

NAMES = list(TRANSFORMATIONS)
PHOTOMETRIC = [name for name, t in TRANSFORMATIONS.items() if t.category == "photometric"]
SIZES = [(1, 1), (1, 7), (7, 1), (2, 2), (5, 3), (33, 47)]
IDENTITY = {
    "rotate": {"angle": torch.zeros(4)},
    "scale": {"factor": torch.ones(4)},
    "shear": {"angles": torch.zeros(4, 2)},
    "hue": {"shift": torch.zeros(4)},
    "brightness": {"factor": torch.ones(4)},
    "blur": {"sigma": torch.zeros(4)},
    "contrast": {"factor": torch.ones(4)},
}


@pytest.mark.parametrize("name", NAMES)
def test_always_changes_nothing_but_whether_it_is_applied(name):
    usual, always = TRANSFORMATIONS[name], pickle.loads(pickle.dumps(TRANSFORMATIONS[name].always()))
    one, other = (t.draw(50, np.random.default_rng(3), (32, 32)) for t in (usual, always))
    assert (always.name, always.category) == (usual.name, usual.category)
    assert one.keys() == other.keys()
    for parameter, values in one.items():
        if parameter == "applied":
            assert other[parameter].all()
            assert not values.all()
        else:
            np.testing.assert_array_equal(other[parameter], values)


@pytest.mark.parametrize("name", NAMES)
def test_strengths_lead_from_the_identity_to_the_transformation(name):
    images, full = whole_images(8).repeat(4, 1, 1, 1), TRANSFORMATIONS[name].always()
    changes = []
    for strength in (0, 0.1, 0.25, 0.5, 0.75, 1):
        weaker = pickle.loads(pickle.dumps(full.at(strength)))
        assert (weaker.name, weaker.category) == (full.name, full.category)
        drawn = to_tensors(weaker.draw(len(images), np.random.default_rng(3), (32, 32)))
        changed = weaker.apply(images, **drawn)
        assert changed.shape == images.shape
        assert 0 <= changed.min() <= changed.max() <= 1
        changes.append((changed - images).abs().mean().item())
    assert changes[0] == 0
    assert full.at(1) is full
    if name.endswith("flip") or name == "invert":
        assert changes[1] == changes[-1] > 0
    else:
        assert 0 < changes[2] < 0.8 * changes[-1]
        assert all(one <= 1.02 * other for one, other in zip(changes[:-1], changes[1:], strict=True)), changes


def test_what_shrinks_is_what_is_said():
    def draw(name, strength):
        return TRANSFORMATIONS[name].at(strength).draw(2_000, np.random.default_rng(0), (32, 32))

    ranges = {
        ("rotate", "angle"): (-90, 90), ("scale", "factor"): (0.7, 1), ("shear", "angles"): (-25, 25),
        ("hue", "shift"): (-0.25, 0.25), ("blur", "sigma"): (0.05, 0.75),
        ("brightness", "factor"): (0.5, 1.5), ("contrast", "factor"): (0.5, 1.5),
    }  # fmt: skip
    for (name, parameter), (low, high) in ranges.items():
        values = draw(name, 0.5)[parameter]
        assert values.dtype == np.float32
        assert [values.min(), values.max()] == pytest.approx([low, high], abs=0.01 * (high - low))
    whole = draw("rotate", 1)["angle"]
    assert (draw("rotate", 0.5)["angle"] * 2 % 360) == pytest.approx(whole % 360, abs=1e-3)  # the same draws
    assert TRANSFORMATIONS["translate"].at(0.5).apply.keywords == {"share": 0.5}
    assert TRANSFORMATIONS["sharpen"].at(0).at(0.5).apply is change_nothing
    assert TRANSFORMATIONS["erasing"].at(0.5).apply.keywords == {"side": 7.0}
    assert TRANSFORMATIONS["elastic"].at(0.1).apply.keywords == {"alpha": 15.0, "sigma": 5.0}
    assert TRANSFORMATIONS["sharpen"].at(0.5).apply.keywords == {"factor": 4.0}
    red, applied = torch.tensor([0.9, 0.1, 0.1]).view(1, 3, 1, 1), torch.tensor([True])
    grey, half = (TRANSFORMATIONS["grayscale"].at(strength).apply(red, applied=applied) for strength in (1, 0.5))
    assert half.numpy() == pytest.approx((red + grey).numpy() / 2)


def test_a_transformation_of_ones_own_is_mixed_unless_it_says_how_it_is_weakened():
    def draw(n, generator, image_shape):
        return {"amount": np.full(n, 0.4, np.float32)}

    def darken(images, amount):
        return images * (1 - amount.view(-1, 1, 1, 1))

    white = torch.ones(1, 3, 2, 2)
    own = Transformation("darken", "own", draw, darken)
    parameters = to_tensors(own.at(0.5).draw(1, None, (2, 2)))
    assert own.at(0.5).apply(white, **parameters).numpy() == pytest.approx(0.8)
    own = Transformation("darken", "own", draw, darken, partial(shrink_draw, amount=0.0))
    assert own.at(0.25).draw(1, None, (2, 2))["amount"] == pytest.approx(0.1)
    with pytest.raises(TypeError, match="weaken is 3, expected a function"):
        Transformation("darken", "own", draw, darken, 3)


def test_a_transformation_of_ones_own_may_write_into_its_images():
    def darken(images):
        return images.mul_(0.5)

    images = torch.ones(2, 3, 4, 4)
    half = Transformation("darken", "photometric", lambda n, *_: {}, darken).at(0.5)
    assert (half.apply(images) == 0.75).all()
    assert (images == 1).all()


@pytest.mark.parametrize("strength", [-0.1, 1.5, "half", True, None, float("nan")])
def test_strengths_out_of_range_are_refused(strength):
    with pytest.raises(ValueError, match=f"strength is {strength!r}, expected a number from 0 to 1"):
        TRANSFORMATIONS["rotate"].at(strength)


@pytest.mark.parametrize("name", ["rotate", "scale", "shear", "blur", "pixelate", "elastic", "sharpen"])
def test_invisible_colours_do_not_show(name):
    # The same object with black, white and noise where it is invisible.
    images = objects(1).repeat(3, 1, 1, 1)
    invisible = (images[0, 3] == 0).expand(3, 32, 32)
    images[1, :3][invisible] = 0
    images[2, :3][invisible] = 1
    parameters = {key: value[:1].expand(3, *value.shape[1:]) for key, value in draw(name, seed=3).items()}
    if "applied" in parameters:
        parameters = {**parameters, "applied": torch.ones(3, dtype=torch.bool)}
    seen = premultiplied(TRANSFORMATIONS[name].apply(images, **parameters))
    np.testing.assert_allclose(seen[1], seen[0], atol=1e-6)
    np.testing.assert_allclose(seen[2], seen[0], atol=1e-6)


@pytest.mark.parametrize("name", ["rotate", "scale", "shear", "blur", "pixelate", "elastic"])
def test_an_object_of_one_colour_keeps_it(name):
    # No fringe: whatever is visible afterwards is as orange as before.
    images = objects(4)
    orange = torch.tensor([1.0, 0.6, 0.2]).view(3, 1, 1)
    images[:, :3] = torch.where(images[:, 3:] > 0, orange, 0.0)
    changed = TRANSFORMATIONS[name].apply(images, **draw(name, seed=3))
    visible = changed[:, 3] > 1e-3
    np.testing.assert_allclose(
        changed[:, :3].movedim(1, 3)[visible], orange.view(1, 3).expand(visible.sum(), 3), atol=1e-4
    )


@pytest.mark.parametrize("kind", ["whole", "object"])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "translate"])
def test_identity_parameters_change_nothing(name, kind):
    images = CONTENT[kind](4)
    parameters = IDENTITY.get(name) or {**draw(name), "applied": torch.zeros(4, dtype=torch.bool)}
    assert_seen_alike(TRANSFORMATIONS[name].apply(images, **parameters), images, 2e-6)


def test_identity_of_translate():
    assert torch.equal(geometric.translate(whole_images(), torch.full((4, 2), 0.5)), whole_images())


@pytest.mark.parametrize("kind", ["whole", "object"])
@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_its_images_one_by_one(name, kind):
    images = CONTENT[kind](6)
    parameters = draw(name, 6)
    changed = TRANSFORMATIONS[name].apply(images, **parameters)
    for i in range(6):
        alone = TRANSFORMATIONS[name].apply(images[i : i + 1], **{k: v[i : i + 1] for k, v in parameters.items()})
        # Matrix products and sums may add in another order.
        assert_seen_alike(alone, changed[i : i + 1], SAME)


@pytest.mark.parametrize("kind", ["whole", "object"])
@pytest.mark.parametrize("name", NAMES)
def test_the_argument_is_not_changed_and_a_replay_is_equal(name, kind):
    images = CONTENT[kind](6)
    parameters = draw(name, 6)
    before, drawn = images.clone(), {k: v.clone() for k, v in parameters.items()}
    once = TRANSFORMATIONS[name].apply(images, **parameters)
    twice = TRANSFORMATIONS[name].apply(images, **draw(name, 6))
    assert torch.equal(images, before)
    assert all(torch.equal(parameters[k], drawn[k]) for k in drawn)
    assert torch.equal(once, twice)
    assert not torch.equal(once, images)


@pytest.mark.parametrize("kind", ["whole", "object"])
@pytest.mark.parametrize("name", NAMES)
def test_memory_layout_does_not_matter(name, kind):
    images = CONTENT[kind](4)
    parameters = draw(name)
    permuted = images.contiguous(memory_format=torch.channels_last)
    changed = TRANSFORMATIONS[name].apply(permuted, **parameters)
    assert_seen_alike(changed, TRANSFORMATIONS[name].apply(images, **parameters))


@pytest.mark.parametrize("n", [0, 1, 5])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [3, 4])
def test_any_size_works(channels, size, n):
    images = torch.rand(n, channels, *size, generator=torch.Generator().manual_seed(0))
    for name in NAMES:
        changed = TRANSFORMATIONS[name].apply(images, **draw(name, n, *size))
        assert changed.shape == images.shape, name
        assert changed.dtype == torch.float32, name
        assert torch.all((changed >= 0) & (changed <= 1)), name  # false for NaN too


@pytest.mark.parametrize("name", NAMES)
def test_hard_images_stay_in_range(name):
    # Pure black and white, alpha from 0 to next to nothing to 1.
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(64, 4, 9, 9, generator=generator) > 0.5).float()
    images[:, 3] *= torch.rand(64, 1, 9, generator=generator) ** 20
    changed = TRANSFORMATIONS[name].apply(images, **draw(name, 64, 9, 9))
    assert torch.all((changed >= 0) & (changed <= 1))


@pytest.mark.parametrize("name", [*PHOTOMETRIC, "noise", "contrast"])
def test_alpha_is_untouched(name):
    images = objects(6)
    assert torch.equal(TRANSFORMATIONS[name].apply(images, **draw(name, 6))[:, 3], images[:, 3])


@pytest.mark.parametrize("name", NAMES)
def test_an_invisible_object_stays_invisible(name):
    images = torch.zeros(6, 4, 9, 9)
    assert torch.count_nonzero(TRANSFORMATIONS[name].apply(images, **draw(name, 6, 9, 9))[:, 3]) == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", ["whole", "object"])
@pytest.mark.parametrize("name", NAMES)
def test_cuda_agrees_with_cpu(name, kind):
    images = CONTENT[kind](6)
    parameters = TRANSFORMATIONS[name].draw(6, np.random.default_rng(0), (32, 32))
    chosen = [TRANSFORMATIONS[name]]
    on_cpu = apply_transformations(images, chosen, [parameters])
    on_cuda = apply_transformations(images.cuda(), chosen, [parameters])
    assert on_cuda.is_cuda
    assert_seen_alike(on_cuda.cpu(), on_cpu, 1e-4)


def test_the_table_is_the_paper_s():
    expected = {
        "geometric": "translate rotate scale shear v_flip h_flip",
        "photometric": "hue brightness grayscale posterize invert sharpen",
        "corruption": "blur noise pixelate elastic erasing contrast",
    }
    assert " ".join(NAMES) == " ".join(expected.values())
    for category, names in expected.items():
        assert all(TRANSFORMATIONS[name].category == category for name in names.split())
    assert all(transformation.name == name for name, transformation in TRANSFORMATIONS.items())


def test_the_table_of_the_docstring_is_that_of_the_code():
    table = transformations.__doc__.split("\n\n")[1].splitlines()[3:-1]
    for line, (name, transformation) in zip(table, TRANSFORMATIONS.items(), strict=True):
        cells = re.split("  +", line)
        assert cells[:2] == [name, transformation.category]
        assert float(cells[-1]) == (0.5 if "applied" in draw(name) else 1)
        for limits in getattr(transformation.draw, "keywords", {}).values():
            low, high = np.ravel(limits)[:2]
            assert f"{low:g} to {high:g}" in cells[3]


@pytest.mark.parametrize("name", NAMES)
def test_transformations_survive_pickling(name):
    copy = pickle.loads(pickle.dumps(TRANSFORMATIONS[name]))
    drawn = copy.draw(4, np.random.default_rng(0), (32, 32))
    images = objects(4)
    expected = TRANSFORMATIONS[name].apply(images, **draw(name))
    assert torch.equal(copy.apply(images, **to_tensors(drawn)), expected)


def test_apply_in_the_order_given():
    # 0.8 inverted is 0.2, and half of it 0.1; half of 0.8 is 0.4, inverted 0.6.
    images = torch.full((1, 3, 1, 1), 0.8)
    invert, brightness = get_transformations(["invert", "brightness"])
    inverted, halved = {"applied": np.array([True])}, {"factor": np.array([0.5], dtype=np.float32)}
    one = apply_transformations(images, [invert, brightness], [inverted, halved])
    other = apply_transformations(images, [brightness, invert], [halved, inverted])
    np.testing.assert_allclose(one, torch.full((1, 3, 1, 1), 0.1), atol=1e-6)
    np.testing.assert_allclose(other, torch.full((1, 3, 1, 1), 0.6), atol=1e-6)


def test_apply_nothing_is_a_copy():
    images = objects()
    copy = apply_transformations(images, (), [])
    assert torch.equal(copy, images)
    assert copy.data_ptr() != images.data_ptr()


def nothing(n, generator, image_shape):
    return {}


@pytest.mark.parametrize(
    ("draw", "apply", "error", "message"),
    [
        (nothing, lambda X: (X * 255).byte(), ValueError, "apply of the transformation 'own' returned torch.uint8 of"),
        (nothing, lambda X: X * 255, ValueError, "returned values from .* to 2.*, expected 0 to 1: clamp them"),
        (nothing, lambda X: X * float("nan"), ValueError, "returned NaN, expected values from 0 to 1"),
        (nothing, lambda X: X[:, :1], ValueError, r"of shape \(.*, 1, 32, 32\), expected torch.float32 of shape"),
        (nothing, lambda X: X.numpy(), TypeError, "returned an object of type ndarray, expected a tensor"),
        (lambda n, g, s: g.random(n), None, TypeError, "draw of the transformation 'own' returned an object of"),
        (lambda n, g, s: {"angle": g.random(n)}, None, TypeError, "apply of the transformation 'own': .* unexpected"),
        (lambda n, g, s: {"by": g.random(3)}, None, ValueError, r"returned 'by' of shape \(3,\), expected 256"),
        (lambda n, g, s: {"by": 0.5}, None, ValueError, r"returned 'by' of shape \(\), expected 256 as the first"),
    ],
)
def test_what_is_wrong_with_ones_own_is_named(draw, apply, error, message):
    own = Transformation("own", "own", draw, apply or (lambda X, by: X))
    X = np.random.default_rng(0).random((4, 32, 32, 3), dtype=np.float32)
    for one in (own, own.always()):
        with pytest.raises(error, match=message):
            TransformedImages(X, range(4), [one]).sample(4)


def test_get_transformations_accepts_names_and_one_s_own():
    gentle = Transformation("gentle", "geometric", partial(dict), geometric.rotate)
    chosen = get_transformations(iter(["blur", gentle, TRANSFORMATIONS["hue"]]))
    assert chosen == (TRANSFORMATIONS["blur"], gentle, TRANSFORMATIONS["hue"])
    assert get_transformations([]) == ()
    assert get_transformations(TRANSFORMATIONS) == tuple(TRANSFORMATIONS.values())


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (
            "rotate",
            TypeError,
            r"transformations is the string 'rotate', expected a list of names, such as \['rotate'\]",
        ),
        (None, TypeError, r"transformations is None, expected a list of names or Transformation objects"),
        (np.array(2), TypeError, r"transformations is array\(2\), expected a list of names"),
        (TRANSFORMATIONS["hue"], TypeError, r"transformations is Transformation\(name='hue'.*expected a list"),
        (["hue", 3], TypeError, r"transformations holds 3, expected names or Transformation objects"),
        (
            ["rotat"],
            ValueError,
            r"transformations holds 'rotat', .* did you mean 'rotate'\? Known are: translate, .* con",
        ),
        (["xyz"], ValueError, r"transformations holds 'xyz', which is not a known name\. Known are: translate, rotate"),
        (["hue", "blur", "hue"], ValueError, r"transformations holds 'hue' 2 times, expected each name once"),
        (["hue", TRANSFORMATIONS["hue"]], ValueError, r"transformations holds 'hue' 2 times, expected each name once"),
    ],
)
def test_get_transformations_says_what_is_wrong(names, error, message):
    with pytest.raises(error, match=message):
        get_transformations(names)


def test_apply_transformations_says_what_is_wrong():
    with pytest.raises(ValueError, match="parameters has 0 entries, expected 1: one per transformation"):
        apply_transformations(objects(), [TRANSFORMATIONS["hue"]], [])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": None}, "name is None, expected a string"),
        ({"category": 3}, "category is 3, expected a string"),
        ({"draw": "uniform"}, "draw is 'uniform', expected a function"),
        ({"apply": None}, "apply is None, expected a function"),
    ],
)
def test_transformations_of_your_own_are_checked(changed, message):
    rotate = TRANSFORMATIONS["rotate"]
    given = {"name": "own", "category": "own", "draw": rotate.draw, "apply": rotate.apply}
    with pytest.raises(TypeError, match=message):
        Transformation(**given | changed)


def test_a_transformation_of_ones_own_is_checked_whatever_its_name():
    def draw(n, generator, image_shape):
        return {"angle": generator.random(n)}

    brighter = Transformation("rotate", "geometric", draw, lambda images, angle: images * 5)
    source = TransformedImages(np.full((3, 4, 4, 3), 100, np.uint8), transformations=[brighter], random_state=0)
    with pytest.raises(ValueError, match="'rotate' returned values from 1.96078 to 1.96078, expected 0 to 1: clamp"):
        source.sample(3)


@pytest.mark.parametrize("convert", [list, torch.as_tensor])
def test_what_is_drawn_must_be_arrays(convert):
    def draw(n, generator, image_shape):
        return {"angle": convert(generator.random(n).tolist())}

    own = Transformation("own", "geometric", draw, lambda images, angle: images)
    source = TransformedImages(np.zeros((3, 4, 4, 3), np.uint8), transformations=[own], random_state=0)
    with pytest.raises(TypeError, match="'own' returned 'angle' of type .*, expected an array of NumPy's"):
        source.sample(3)
