"""What a person has switched on in torch or NumPy changes no bit of our numbers, and is still on afterwards."""

from contextlib import ExitStack, contextmanager, suppress

import numpy as np
import pytest
import torch
from torch import nn

from invtransfer import FineTuner, FrozenFeatureProbe, InvariantPretrainer, SensitivityScorer, Transforms2D
from invtransfer.surroundings import usual_torch

LABELS = np.arange(24) % 2
EXACT = {"device": "cpu", "precision": "float32", "random_state": 0}


def make_module():
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2),
        nn.Linear(4, 2),
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.3, generator=generator)
    return module


def pretrain(images, network="resnet18", **more):
    settings = {"width": 0.0625} if network in ("resnet18", "vit") else {}
    transformations = ["rotate", "hue", "blur", "elastic"]
    encoder = InvariantPretrainer(network, transformations=transformations, epochs=1, **settings, **EXACT, **more)
    return _outputs(encoder.fit(images, LABELS, images, LABELS), images)


def _outputs(encoder, images):
    return [encoder.transform(images), encoder.predict_proba(images), *encoder.weights_.values()]


def probe(images, **settings):
    fitted = FrozenFeatureProbe(MODULE, random_state=0, **settings).fit(images, LABELS, images, LABELS)
    return [fitted.coef_, fitted.intercept_, fitted.predict_proba(images)]


def score(images):
    return SensitivityScorer(MODULE, transformations=["rotate", "hue"], n_pairs=24, random_state=0).fit(images)


MODULE = make_module()
CALLS = {
    "pretrain": pretrain,
    "vit with muon": lambda images: pretrain(images, "vit", optimizer="muon"),
    "module": lambda images: pretrain(images, MODULE),
    "tune": lambda images: _outputs(FineTuner(MODULE, epochs=1, **EXACT).fit(images, LABELS), images),
    "probe": lambda images: probe(images, solver="adam", epochs=2),
    "lbfgs": lambda images: probe(images, C=1.0),
    "score": lambda images: [score(images).sensitivity_.values],
}


@contextmanager
def switched(read, switch, value):
    before = read()
    switch(value)
    try:
        yield
        assert read() == value
    finally:
        switch(before)


@contextmanager
def seeded():
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    yield
    assert torch.equal(states[0], torch.get_rng_state())
    np.testing.assert_array_equal(states[1], np.random.get_state()[1])  # noqa: NPY002


SURROUNDINGS = {
    "float64": lambda: switched(torch.get_default_dtype, torch.set_default_dtype, torch.float64),
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "deterministic": lambda: switched(
        torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, True
    ),
    "short products": lambda: switched(
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "medium"
    ),
    "seeded": seeded,
    "strict": lambda: np.errstate(all="raise"),
}


@contextmanager
def all_at_once():
    with ExitStack() as stack:
        for surroundings in SURROUNDINGS.values():
            stack.enter_context(surroundings())
        yield


@pytest.mark.parametrize("call", CALLS)
def test_surroundings_change_nothing_and_are_left_as_they_were(images, call):
    images, function = images[:24], CALLS[call]
    expected = function(images)
    deep = call in ("pretrain", "vit with muon")  # as "module" is trained, but for the layers
    for name, surroundings in {"all at once": all_at_once}.items() if deep else SURROUNDINGS.items():
        with surroundings():
            mode = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
            found = function(images)
            assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == mode, name
        assert [values.dtype for values in found] == [values.dtype for values in expected], name
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)


def test_sources_in_any_surroundings(objects):
    expected = Transforms2D(objects[:4], image_size=24, random_state=0).sample(6)
    for name, surroundings in SURROUNDINGS.items():
        with surroundings():
            found = Transforms2D(objects[:4], image_size=24, random_state=0).sample(6)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)


def test_autocast_and_default_device_do_not_reach_a_training(images):
    expected = pretrain(images[:24])
    with torch.autocast("cpu", torch.bfloat16), torch.device("meta"):
        found = pretrain(images[:24])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_settings_are_given_back_after_an_error():
    with torch.no_grad(), switched(torch.get_default_dtype, torch.set_default_dtype, torch.float64):
        with suppress(ZeroDivisionError), usual_torch():
            assert torch.ones(1).dtype == torch.float32
            assert torch.is_grad_enabled()
            raise ZeroDivisionError
        assert torch.ones(1).dtype == torch.float64
        assert not torch.is_grad_enabled()
