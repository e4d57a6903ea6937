"""Models by name: what is refused and why, and small random models in the format of each library.

Those of timm and transformers are skipped where these are not installed.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from invtransfer import InvariantPretrainer, load_model, save_encoder
from invtransfer.encoders import encode

IMAGES = np.random.default_rng(0).integers(256, size=(2, 40, 50, 3), dtype=np.uint8)
AS_TENSOR = torch.from_numpy(IMAGES).permute(0, 3, 1, 2)


def weights_of(model):
    return torch.cat([value.flatten().float() for value in model.state_dict().values()])


def refused(kind, *arguments, **settings):
    with pytest.raises(kind) as caught:
        load_model(*arguments, **settings)
    return str(caught.value)


# names


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet50", "name is 'resnet50', expected torchvision:NAME, timm:NAME, hf:NAME"),
        ("torchvison:resnet50", r"FILE.npz \(nearest: torchvision:\)"),
        ("timm:", r"\(nearest: timm:\)"),
        ("", "name is '', expected torchvision:NAME"),
        ("mine.py", "FILE.npz: say what in the file it is"),
        ("torchvision:resnet81", r"torchvision has no such model \(nearest: resnet18, "),
        ("torchvision:ResNet50", r"\(nearest: resnet50, "),
        ("torchvision:🦆", r"\(nearest: none is similar\)"),
    ],
)
def test_names_that_are_not_known(name, message):
    with pytest.raises(ValueError, match=message):
        load_model(name)


def test_arguments_of_other_types(tmp_path):
    assert refused(TypeError, 3).startswith("name is 3, expected a text: torchvision:NAME")
    assert refused(TypeError, b"a.npz").startswith("name is b'a.npz'")
    assert refused(TypeError, "torchvision:resnet18", weights=3) == (
        "weights is 3, expected 'default', None or the name of weights"
    )
    assert refused(ValueError, "torchvision:resnet18", size=0) == "size is 0, expected a whole number from 1 to 65536"
    for name in ("mine.py:make", tmp_path / "encoder.npz"):
        assert refused(ValueError, name, weights=None).startswith("weights is None, expected 'default'")


@pytest.mark.parametrize("library", ["timm", "transformers", "torchvision.models"])
def test_library_that_is_missing(library, monkeypatch):
    name = {"transformers": "hf", "torchvision.models": "torchvision"}.get(library, library)
    monkeypatch.setitem(sys.modules, library, None)  # import raises ModuleNotFoundError
    message = refused(ImportError, f"{name}:resnet18")
    if name == "torchvision":  # not of the extra
        assert message.startswith("torchvision cannot be imported: ")
    else:
        assert message == f"{library} is missing: pip install 'invtransfer[models]'"


# Python files


@pytest.fixture
def write(tmp_path):
    def write(code, name="mine.py"):
        (tmp_path / name).write_text(code)
        return tmp_path / name

    return write


MINE = """
from __future__ import annotations
from dataclasses import dataclass
from torch import nn
from beside import width

@dataclass
class Settings:
    width: int = width

class Net(nn.Linear):
    pass

def make_encoder():
    import beside
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), Net(3, Settings().width))

def number(): return 3
def needs(argument): return nn.Identity()
ready = nn.Sequential(nn.Flatten(), nn.Dropout(1.0))
value = 4
"""


@pytest.fixture
def mine(write):
    write("width = 7", "beside.py")
    yield write(MINE)
    sys.modules.pop("beside", None)


def test_files_of_two_folders_have_their_own_modules(tmp_path):
    code = "from torch import nn\nfrom beside import width\ndef make(): return nn.AdaptiveAvgPool2d(width)"
    for name, width in (("a", 2), ("b", 3)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(code)
        (tmp_path / name / "beside.py").write_text(f"width = {width}")
    try:
        for name, width in (("a", 2), ("b", 3), ("a", 2)):
            assert load_model(f"{tmp_path / name / 'mine.py'}:make").model.output_size == width
    finally:
        sys.modules.pop("beside", None)


def test_parts_can_be_taken_as_of_any_sequential(mine):
    model = load_model(f"{mine}:ready")
    assert model[1] is model.model
    assert list(model[:1]) == [model.preprocessing]


def test_function_and_module_of_a_file(mine):
    path, modules = list(sys.path), set(sys.modules)
    model = load_model(f"{mine}:make_encoder")
    assert (sys.path, set(sys.modules) - modules) == (path, {"beside"})
    assert [name for name, _ in model.named_children()] == ["preprocessing", "model"]
    assert encode(model, IMAGES, layer="model.2").shape == (2, 7)
    ready = load_model(f"{mine}:ready")
    assert ready.preprocessing.description == "size as it is, no normalisation added"
    assert torch.equal(ready(AS_TENSOR), AS_TENSOR.flatten(1) / 255)  # in evaluation mode, so nothing is dropped
    assert load_model(f"{mine}:ready", size=10)(AS_TENSOR).shape == (2, 300)


def test_random_weights_of_a_file_are_the_same_whenever_it_is_loaded(mine):
    """Else a measurement that goes on would mix the numbers of two models; the person's own generator is left alone."""
    before = torch.get_rng_state()
    first, again = (load_model(f"{mine}:make_encoder")(AS_TENSOR) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), before)


def test_path_of_a_file_is_expanded(mine, monkeypatch):
    monkeypatch.setenv("HOME", str(mine.parent))
    monkeypatch.setenv("USERPROFILE", str(mine.parent))
    assert isinstance(load_model("~/mine.py:ready"), nn.Sequential)
    monkeypatch.chdir(mine.parent)
    assert isinstance(load_model("mine.py:ready"), nn.Sequential)


@pytest.mark.parametrize(
    ("attribute", "kind", "message"),
    [
        ("make_encoders", ValueError, r"mine.py has no 'make_encoders' \(nearest: make_encoder\)"),
        ("", ValueError, r"mine.py has no '' \(nearest: .*ready, value\)"),
        ("number", TypeError, "mine.py:number returns an object of type int, expected a torch.nn.Module"),
        ("value", TypeError, "mine.py:value is of type int, expected a torch.nn.Module"),
        ("needs", ValueError, "running .*mine.py:needs without arguments raises TypeError: .* 'argument'"),
    ],
)
def test_wrong_part_of_a_file(mine, attribute, kind, message):
    with pytest.raises(kind, match=message):
        load_model(f"{mine}:{attribute}")


@pytest.mark.parametrize(
    ("code", "reason"),
    [("1 / 0", "ZeroDivisionError: division by zero"), ("(", "SyntaxError"), ("import sys; sys.exit(3)", "SystemExit")],
)
def test_file_that_fails(write, code, reason):
    path = write(code)
    message = refused(ValueError, f"{path}:make")
    assert message.startswith(f"running {path} raises {reason}")
    assert str(path.parent) not in sys.path
    assert "there is no file" in refused(FileNotFoundError, f"{path.parent / 'none.py'}:make")


# files of save_encoder


@pytest.fixture(scope="module")
def encoder():
    settings = {"width": 0.0625, "epochs": 1, "batch_size": 4, "random_state": 0, "device": "cpu"}
    X = np.random.default_rng(1).integers(256, size=(8, 16, 16, 3), dtype=np.uint8)
    return InvariantPretrainer("resnet18", **settings).fit(X, np.arange(8) % 2), X


def test_file_of_an_encoder(encoder, tmp_path):
    fitted, X = encoder
    save_encoder(fitted, tmp_path / "encoder.npz")
    model = load_model(tmp_path / "encoder.npz")
    assert isinstance(model, nn.Module)
    # images of its size are not touched; a module gets another memory layout than our own networks
    np.testing.assert_allclose(encode(model, X), fitted.transform(X), rtol=1e-4, atol=1e-5)
    assert model.preprocessing.description.startswith("shorter side 16 (bilinear), centre 16 x 16")
    assert model(AS_TENSOR).shape == (2, 2)  # of another size
    assert load_model(str(tmp_path / "encoder.npz"), size=20).preprocessing.size == (20, 20)


def test_file_of_no_encoder(tmp_path):
    assert refused(FileNotFoundError, tmp_path / "none.npz").endswith("none.npz does not exist")
    (tmp_path / "cut.npz").write_bytes(b"PK")
    assert "cut.npz cannot be read as arrays" in refused(ValueError, tmp_path / "cut.npz")


def test_file_of_an_encoder_from_a_module_of_ones_own(tmp_path):
    X = np.random.default_rng(1).integers(256, size=(8, 8, 8, 3), dtype=np.uint8)
    own = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    save_encoder(InvariantPretrainer(own, epochs=1, random_state=0).fit(X, np.arange(8) % 2), tmp_path / "own.npz")
    message = refused(ValueError, tmp_path / "own.npz")
    assert "whose weights" in message
    assert "in a Python file, return load_encoder(" in message


# torchvision


@pytest.fixture
def torch_home(tmp_path, monkeypatch):
    """An empty folder for torchvision's downloads, which fail."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def fail(*_, **__):
        raise OSError("no connection")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    return tmp_path / "hub" / "checkpoints"


def test_random_model_of_torchvision():
    before = torch.get_rng_state()
    model = load_model("torchvision:squeezenet1_1", weights=None)
    assert torch.equal(before, torch.get_rng_state())
    assert not any(module.training for module in model.modules())
    assert model.preprocessing.description == (  # of SqueezeNet1_1_Weights.DEFAULT
        "shorter side 256 (bilinear), centre 224 x 224, mean (0.485, 0.456, 0.406), std (0.229, 0.224, 0.225)"
    )
    again, other = (load_model("torchvision:squeezenet1_1", weights=None, random_state=seed) for seed in (0, 1))
    assert torch.equal(weights_of(model), weights_of(again))
    assert not torch.equal(weights_of(model), weights_of(other))
    assert "model.classifier.1" in dict(model.named_modules())


def test_weights_of_torchvision_that_are_on_the_disk(torch_home):
    from torchvision import models

    chosen = models.get_model_weights("squeezenet1_1").IMAGENET1K_V1
    saved = models.squeezenet1_1(weights=None)
    torch_home.mkdir(parents=True)
    torch.save(saved.state_dict(), torch_home / Path(chosen.url).name)
    for weights in ("default", "DEFAULT", "IMAGENET1K_V1"):
        model = load_model("torchvision:squeezenet1_1", weights=weights)
        assert torch.equal(weights_of(model), weights_of(saved))
    from PIL import Image

    expected = torch.stack([chosen.transforms()(Image.fromarray(image)) for image in IMAGES])
    seen = model.preprocessing(AS_TENSOR.float() / 255)
    torch.testing.assert_close(seen, expected, atol=2 / 255 / 0.224, rtol=0)  # two levels: PIL rounds to 8 bits
    assert torch.equal(model(AS_TENSOR), saved.eval()(model.preprocessing(AS_TENSOR)))


def test_weights_of_torchvision_that_cannot_be_had(torch_home):
    message = refused(OSError, "torchvision:squeezenet1_1")
    url = "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth"
    assert message == (
        "cannot load the weights IMAGENET1K_V1 of torchvision:squeezenet1_1: no connection (they are looked for in"
        f" {torch_home / 'squeezenet1_1-b8a52dc0.pth'}, else downloaded: put the file from {url} there;"
        " weights=None gives random ones)"
    )
    torch_home.mkdir(parents=True, exist_ok=True)
    (torch_home / "squeezenet1_1-b8a52dc0.pth").write_bytes(b"<html>")
    assert refused(ValueError, "torchvision:squeezenet1_1").startswith("cannot load the weights IMAGENET1K_V1 of")
    assert refused(ValueError, "torchvision:squeezenet1_1", weights="IMAGENET1K_V9") == (
        "weights is 'IMAGENET1K_V9', expected 'default', None or one of: IMAGENET1K_V1"
    )


def test_surroundings_change_nothing():
    expected = weights_of(load_model("torchvision:squeezenet1_1", weights=None))
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        with torch.inference_mode():
            model = load_model("torchvision:squeezenet1_1", weights=None)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    assert torch.equal(weights_of(model), expected)
    assert all(value.requires_grad and not value.is_inference() for value in model.parameters())


# timm


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No connection to the hub, and an empty cache."""
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def timm():
    return pytest.importorskip("timm")


@pytest.fixture
def timm_folder(timm, tmp_path):
    """A small model as timm saves it, of 96 x 96 pixels, and its logits."""
    from timm.models import save_for_hf

    saved = timm.create_model("test_vit", img_size=96, num_classes=5).eval()
    changes = {"input_size": (3, 96, 96), "crop_pct": 0.75, "interpolation": "bilinear", "num_classes": 5}
    saved.pretrained_cfg = saved.pretrained_cfg | changes
    save_for_hf(saved, tmp_path / "saved")
    return tmp_path / "saved", saved


def test_model_of_timm_in_a_folder(timm_folder):
    folder, saved = timm_folder
    model = load_model(f"timm:{folder}")
    assert model.preprocessing.description == (
        "shorter side 128 (bilinear), centre 96 x 96, mean (0.5, 0.5, 0.5), std (0.5, 0.5, 0.5)"
    )
    assert torch.equal(weights_of(model), weights_of(saved))
    assert torch.equal(model(AS_TENSOR), saved(model.preprocessing(AS_TENSOR)))
    assert not torch.equal(weights_of(load_model(f"timm:{folder}", weights=None)), weights_of(saved))
    larger = load_model(f"timm:{folder}", size=112)
    assert larger.preprocessing.description.startswith("shorter side 149 (bilinear), centre 112 x 112")  # 112 / 0.75
    assert larger(AS_TENSOR).shape == (2, 5)  # although it has a weight for each position
    assert "size is 113, which timm:" in refused(ValueError, f"timm:{folder}", size=113)


def test_timm_does_the_same_with_images(timm, timm_folder):
    from PIL import Image

    model = load_model(f"timm:{timm_folder[0]}")
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=model.model))
    expected = torch.stack([transform(Image.fromarray(image)) for image in IMAGES])
    torch.testing.assert_close(model.preprocessing(AS_TENSOR), expected, atol=2 / 255 / 0.5, rtol=0)


def test_random_model_of_timm(timm):
    before = torch.get_rng_state()
    model = load_model("timm:test_resnet.r160_in1k", weights=None)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(weights_of(model), weights_of(load_model("timm:test_resnet.r160_in1k", weights=None)))
    assert model.preprocessing.size == (160, 160)


def test_folders_of_timm_that_are_wrong(timm_folder, tmp_path):
    folder, _ = timm_folder
    assert "there is no such folder" in refused(FileNotFoundError, f"timm:{tmp_path / 'none'}")
    for file in folder.glob("*.bin"), folder.glob("*.safetensors"):
        for path in file:
            path.unlink()
    assert refused(ValueError, f"timm:{folder}").startswith(f"cannot load the weights of timm:{folder}: ")
    assert isinstance(load_model(f"timm:{folder}", weights=None), nn.Module)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet51", r"name is 'timm:resnet51', but timm has no such model \(nearest: .*resnet50"),
        ("test_vit.r161_in1k", "timm's test_vit has no weights 'r161_in1k', expected one of: r160_in1k"),
        ("coatnet_0_224", "timm has no weights of 'coatnet_0_224', expected weights=None or a model that has some"),
    ],
)
def test_names_that_timm_does_not_know(timm, name, message):
    with pytest.raises(ValueError, match=message):
        load_model(f"timm:{name}")
    assert "a tag is part of the name" in refused(ValueError, "timm:resnet18", weights="a1_in1k")


def test_weights_of_timm_that_cannot_be_had(timm, offline):
    message = refused(OSError, "timm:test_vit")
    assert message.startswith("cannot load the weights of timm:test_vit: ")
    assert message.endswith(
        f" (they are looked for in {offline}, else downloaded from huggingface.co/timm/test_vit.r160_in1k: run"
        " 'hf download timm/test_vit.r160_in1k --local-dir folder' where there is a connection, and load"
        " timm:./folder; weights=None gives random ones)"
    )


# transformers


TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 32}
TINY |= {"patch_size": 8}
PROCESSOR = {"do_resize": True, "size": {"shortest_edge": 36}, "resample": 2, "do_center_crop": True}
PROCESSOR |= {"crop_size": {"height": 32, "width": 32}, "do_rescale": True, "rescale_factor": 1 / 255}
PROCESSOR |= {"do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.1]}
SAID = "shorter side 36 (bilinear), centre 32 x 32, mean (0.5, 0.4, 0.3), std (0.2, 0.2, 0.1)"


@pytest.fixture
def transformers():
    return pytest.importorskip("transformers")


@pytest.fixture
def save_hf(transformers, tmp_path):
    """Save a small model, by the names of its class and of its configuration, with a file for its image processor."""

    def save(model, config, processor="BitImageProcessor", **settings):
        saved = getattr(transformers, model)(getattr(transformers, config)(**TINY | settings)).eval()
        saved.save_pretrained(tmp_path / "saved")
        if processor is not None:
            written = PROCESSOR | {"image_processor_type": processor}
            (tmp_path / "saved" / "preprocessor_config.json").write_text(json.dumps(written))
        return tmp_path / "saved", saved

    return save


@pytest.mark.parametrize(
    ("model", "config"),
    [("Dinov2Model", "Dinov2Config"), ("CLIPVisionModel", "CLIPVisionConfig"), ("ViTModel", "ViTConfig")],
)
def test_model_of_transformers_in_a_folder(save_hf, model, config, monkeypatch):
    folder, saved = save_hf(model, config)
    before = torch.get_rng_state()
    loaded = load_model(f"hf:{folder}")
    assert torch.equal(before, torch.get_rng_state())
    assert loaded.preprocessing.description == SAID
    assert torch.equal(weights_of(loaded), weights_of(saved))
    seen = loaded.preprocessing(AS_TENSOR)
    assert torch.equal(loaded(AS_TENSOR).pooler_output, saved(pixel_values=seen).pooler_output)
    monkeypatch.chdir(folder.parent)
    assert load_model("hf:./saved", size=64).preprocessing.description.startswith(
        "shorter side 72 (bilinear), centre 64"
    )


def test_the_image_processor_does_the_same(transformers, save_hf):
    folder, _ = save_hf("Dinov2Model", "Dinov2Config")
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    expected = processor(list(IMAGES), return_tensors="pt").pixel_values
    got = load_model(f"hf:{folder}").preprocessing(AS_TENSOR)
    torch.testing.assert_close(got, expected, atol=2 / 255 / 0.1, rtol=0)  # two levels, as with PIL


def test_random_model_of_transformers(save_hf):
    folder, saved = save_hf("Dinov2Model", "Dinov2Config")
    (folder / "model.safetensors").unlink()
    assert f"cannot load the weights of hf:{folder}: " in refused(OSError, f"hf:{folder}")
    models = [load_model(f"hf:{folder}", weights=None, random_state=seed) for seed in (0, 0, 1)]
    first, again, other = map(weights_of, models)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert models[0].preprocessing.description == SAID


def test_weights_in_half_precision_become_float32(transformers, save_hf):
    folder, saved = save_hf("Dinov2Model", "Dinov2Config")
    saved.half().save_pretrained(folder)
    assert {value.dtype for value in load_model(f"hf:{folder}").parameters()} == {torch.float32}


def test_folder_without_an_image_processor_gets_the_default_one(save_hf):
    folder, _ = save_hf("ViTModel", "ViTConfig", processor=None)
    model = load_model(f"hf:{folder}")
    assert model.preprocessing.description == (
        "resized to 32 x 32 (bilinear), centre 32 x 32, mean (0.5, 0.5, 0.5), std (0.5, 0.5, 0.5)"
    )
    assert model(AS_TENSOR).pooler_output.shape == (2, 16)


def test_pooler_without_weights_is_left_out(save_hf):
    folder, saved = save_hf("ViTForImageClassification", "ViTConfig")
    output = load_model(f"hf:{folder}")(AS_TENSOR)
    assert output.pooler_output is None
    assert output.last_hidden_state.shape == (2, 17, 16)


def test_weights_that_are_missing_are_said(transformers, save_hf):
    from safetensors.torch import load_file, save_file

    folder, _ = save_hf("Dinov2Model", "Dinov2Config")
    state = load_file(folder / "model.safetensors")
    lost = next(name for name in state if name.startswith("layernorm."))
    save_file({name: value for name, value in state.items() if name != lost}, folder / "model.safetensors")
    with pytest.warns(UserWarning, match=f"lacks 1 weights, which are random: {lost}"):
        load_model(f"hf:{folder}")


def test_clip_is_its_vision_model(transformers, save_hf):
    small = {name: value for name, value in TINY.items() if name not in ("image_size", "patch_size")}
    text = small | {"vocab_size": 20, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    folder, saved = save_hf("CLIPModel", "CLIPConfig", vision_config=TINY, text_config=text, projection_dim=8)
    model = load_model(f"hf:{folder}")
    seen = model.preprocessing(AS_TENSOR)
    expected = saved.vision_model(pixel_values=seen).pooler_output
    assert torch.equal(model(AS_TENSOR).pooler_output, expected)
    assert not any("text" in name for name, _ in model.named_modules())


def test_model_of_texts(transformers, tmp_path):
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    transformers.BertModel(transformers.BertConfig(**small, vocab_size=20)).save_pretrained(tmp_path / "bert")
    message = refused(ValueError, f"hf:{tmp_path / 'bert'}")
    assert "it has no preprocessor_config.json, and there is none for a BertConfig" in message


def test_folders_of_transformers_that_are_wrong(transformers, tmp_path, save_hf):
    assert "there is no such folder" in refused(FileNotFoundError, "hf:./none")
    assert "config.json" in refused((OSError, ValueError), f"hf:{tmp_path}")
    assert "one set of weights" in refused(ValueError, "hf:a/b", weights="best")
    folder, _ = save_hf("Dinov2Model", "Dinov2Config")
    written = json.loads((folder / "preprocessor_config.json").read_text()) | {"resample": 4}
    (folder / "preprocessor_config.json").write_text(json.dumps(written))
    assert refused(ValueError, f"hf:{folder}") == (
        f"cannot load hf:{folder}: the image processor has resample=4, expected one of: 0, 1, 2, 3"
    )


def test_weights_of_the_hub_that_cannot_be_had(transformers, offline):
    message = refused(OSError, "hf:facebook/dinov2-small")
    assert message.startswith("cannot load the weights of hf:facebook/dinov2-small: ")
    assert message.endswith(
        f" (they are looked for in {offline}, else downloaded from huggingface.co/facebook/dinov2-small: run"
        " 'hf download facebook/dinov2-small --local-dir folder' where there is a connection, and load hf:./folder;"
        " weights=None gives random ones)"
    )
    random = refused(OSError, "hf:facebook/dinov2-small", weights=None)
    assert random.startswith("cannot load the configuration of hf:facebook/dinov2-small: ")
    assert random.endswith("and load hf:./folder)")
