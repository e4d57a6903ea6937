"""Encoders that are saved and loaded are the same, and a file can do no more than be wrong."""

import json
import pickle
import sys
import zipfile
from functools import partial

import numpy as np
import pytest
import torch
from estimator_checks import Own, own
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from torch import nn

from invtransfer import (
    TRANSFORMATIONS,
    FineTuner,
    FrozenFeatureProbe,
    InvariantPretrainer,
    SensitivityScorer,
    Transformation,
    load_encoder,
    save_encoder,
)
from invtransfer.encoders.preprocessing import Preprocessed, Preprocessing
from invtransfer.estimators.saving import NOT_PARAMETERS, _parameter_kinds
from invtransfer.storage import DamagedFileError, read_arrays, write_arrays
from invtransfer.transformations import rotate, uniform

QUICK = {"epochs": 1, "batch_size": 16, "random_state": 0}


@pytest.fixture(scope="module")
def data(source):
    return source.sample(32)


@pytest.fixture(scope="module")
def encoder(data):
    return InvariantPretrainer(width=0.0625, transformations=["rotate"], **QUICK).fit(*data, *data)


@pytest.fixture
def path(encoder, tmp_path):
    save_encoder(encoder, tmp_path / "encoder.npz")
    return tmp_path / "encoder.npz"


def through_file(encoder, tmp_path, network=None):
    save_encoder(encoder, tmp_path / "new" / "encoder.npz")
    return load_encoder(str(tmp_path / "new" / "encoder.npz"), network)


def assert_same(one, other, X):
    assert type(one) is type(other)
    one, other = one.opened(), other.opened()  # which makes the network once
    assert one.classes_.dtype == other.classes_.dtype
    for name in ("transform", "predict_proba", "predict"):
        np.testing.assert_array_equal(getattr(one, name)(X), getattr(other, name)(X))
    for name in ("layer_", "history_", "image_shape_", "n_features_in_", "n_iter_"):
        assert getattr(one, name) == getattr(other, name)
    assert (one.get_feature_names_out() == other.get_feature_names_out()).all()


# a visible answer


def test_the_file_is_arrays_and_json(path, encoder):
    with zipfile.ZipFile(path) as archive:
        assert {name.rpartition(".")[2] for name in archive.namelist()} == {"npy", "json"}
        description = json.loads(archive.read("description.json"))
    assert description["encoder"]["recipe"] == {
        "network": "resnet18", "width": 0.0625, "layer": None, "pool": "auto",
    }  # fmt: skip
    assert description["encoder"]["parameters"]["transformations"] == ["rotate"]
    assert description["module"] is None
    arrays, _ = read_arrays(path)
    assert arrays["classes"].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(arrays["weights/head.weight"], encoder.weights_["head.weight"])


# properties


@pytest.mark.parametrize(
    "parameters",
    [
        {"width": 0.0625, "layer": "stage3"},
        {"network": "vit", "width": 0.125, "epochs": 0},
        {"network": "densenet121", "width": 0.17, "epochs": 0},
        {"network": "resnet50", "width": 0.03125, "epochs": 0},
    ],
    ids=lambda parameters: "-".join(map(str, parameters.values())),
)
def test_named_networks_come_back(data, tmp_path, parameters):
    encoder = InvariantPretrainer(**(QUICK | parameters)).fit(*data)
    loaded = through_file(encoder, tmp_path)
    assert_same(encoder, loaded, data[0])
    assert loaded.get_params() == encoder.get_params()


def test_parameters_come_back(data, tmp_path):
    X, y = data
    parameters = {
        "width": np.float64(0.0625), "transformations": ("hue", TRANSFORMATIONS["blur"]), "epochs": np.int64(1),
        "batch_size": 16, "learning_rate": np.float32(0.5), "schedule": "linear", "weight_decay": 0.1,
        "optimizer": "muon", "precision": "float32", "device": torch.device("cpu"),
        "image_shape": (np.int64(16), 16, 3),
        "random_state": np.random.RandomState(0), "checkpoint": tmp_path / "state", "verbose": 0,
    }  # fmt: skip
    encoder = InvariantPretrainer(**parameters).fit(X.reshape(len(X), -1), y)
    loaded = through_file(encoder, tmp_path)
    assert_same(encoder, loaded, X.reshape(len(X), -1))
    changed = {"transformations": ("hue", "blur"), "device": "cpu", "random_state": None}
    changed |= {"checkpoint": None}  # or a file from a stranger could name one that would be written to
    expected = {"network": "resnet18", "layer": None} | parameters | changed
    assert loaded.get_params() == expected


def test_transformations_of_a_copy_are_the_known_ones(data, tmp_path):
    given = pickle.loads(pickle.dumps(InvariantPretrainer(transformations=list(TRANSFORMATIONS.values()))))
    encoder = InvariantPretrainer(width=0.0625, epochs=0, transformations=given.transformations).fit(*data)
    assert through_file(encoder, tmp_path).transformations == list(TRANSFORMATIONS)


def test_every_parameter_has_its_kind():
    for estimator in (InvariantPretrainer, FineTuner, FrozenFeatureProbe):
        kinds = _parameter_kinds(estimator)
        assert kinds.keys() == estimator(None).get_params(deep=False).keys() - NOT_PARAMETERS
        assert type(None) not in kinds.values()  # the default alone does not show what else the parameter may be


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["é", "b", "c", "d", "ü"]),
        np.array(["e", "b", "c", "d", "a"], dtype=object),
        np.array([-1, 3, 7, 9, 2], dtype=np.int16),
        np.array([0.5, 1.0, 2.0, 3.0, 4.0]).astype(np.int64) * 10**12 + np.arange(5),
        np.array([True, False, True, False, True]),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_labels_of_any_kind_come_back(data, tmp_path, labels):
    X, y = data
    encoder = InvariantPretrainer(own(), epochs=0, random_state=0).fit(X, labels[y])
    loaded = through_file(encoder, tmp_path, own())
    assert_same(encoder, loaded, X)
    assert type(loaded.predict(X)[0]) is type(encoder.predict(X)[0])


@pytest.mark.parametrize("layer", [None, "", "norm"])
def test_an_own_module_comes_back(data, tmp_path, layer):
    encoder = InvariantPretrainer(own(), layer=layer, **QUICK).fit(*data)
    given = own(seed=1)
    loaded = through_file(encoder, tmp_path, network=given)
    assert_same(encoder, loaded, data[0])
    assert loaded.network is given
    assert loaded.get_params() == encoder.get_params() | {"network": given}
    assert torch.equal(given.conv.weight, own(seed=1).conv.weight)  # a copy got the weights
    assert not loaded.module().backbone.module.frozen[0].weight.requires_grad
    given.offset = None  # what becomes of the module later is nothing to the estimator
    assert_same(encoder, loaded, data[0])


def make_tuners(data, encoder):
    rows = FineTuner(None, image_shape=(16, 16, 3), **QUICK).fit(data[0].reshape(len(data[0]), -1), data[1])
    probe = FrozenFeatureProbe(solver="adam", epochs=1, batch_size=8)
    own_pretrainer = InvariantPretrainer(own(), **QUICK).fit(*data)
    return {
        "pretrainer": FineTuner(encoder, probe=probe, transformations=["hue"], **QUICK).fit(*data),
        "tuner": FineTuner(FineTuner(encoder, **QUICK).fit(*data), **QUICK).fit(*data),
        "module": FineTuner(own(), layer="norm", **QUICK).fit(*data),
        "pretrainer of a module": FineTuner(own_pretrainer, **QUICK).fit(*data),
        "pixels": FineTuner(None, **QUICK).fit(*data),
        "rows of pixels": rows,
    }


def test_tuners_come_back(data, encoder, tmp_path):
    for kind, tuner in make_tuners(data, encoder).items():
        given = own(seed=1) if "module" in kind else None
        loaded = through_file(tuner, tmp_path, network=given)
        X = data[0].reshape(len(data[0]), -1) if kind == "rows of pixels" else data[0]
        assert_same(tuner, loaded, X)
        assert loaded.score(X, data[1]) == tuner.score(X, data[1])
        apart = {"encoder": None, "probe": None}
        one, other = (estimator.get_params(deep=False) | apart for estimator in (tuner, loaded))
        assert one == other
        assert not hasattr(loaded, "probe_")
        if tuner.probe is not None:
            assert loaded.probe.get_params() == tuner.probe.get_params()
        if tuner.encoder is None or kind == "module":
            assert loaded.encoder is given
        else:
            assert_same(tuner.encoder, loaded.encoder, X)
        if kind in ("pretrainer", "rows of pixels"):  # fitted again, it is the same again
            assert_same(clone(loaded).fit(X, data[1]), clone(tuner).fit(X, data[1]), X)


def test_files_that_say_model_before_the_names_of_layers_are_read(data, tmp_path, monkeypatch):
    def load():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(1), nn.Linear(784, 5))
        return Preprocessed(Preprocessing(), model)

    for made in (InvariantPretrainer(load(), epochs=0).fit(*data), FineTuner(load(), epochs=0).fit(*data)):
        assert made.layer_ == "input of 2"
        made.layer_ = "input of model.2"
        save_encoder(made, tmp_path / "earlier.npz")
        again = load_encoder(tmp_path / "earlier.npz", network=load())
        assert again.layer_ == "input of 2"
        assert np.array_equal(again.transform(data[0]), made.transform(data[0]))


def test_a_loaded_encoder_is_used_as_any_other(path, encoder, source, data):
    X, y = data
    loaded = load_encoder(path)
    probes = [FrozenFeatureProbe(one, random_state=0).fit(X, y) for one in (encoder, loaded)]
    np.testing.assert_array_equal(probes[0].coef_, probes[1].coef_)
    settings = {"transformations": ["rotate"], "n_pairs": 20, "random_state": 0}
    scorers = [SensitivityScorer(one, **settings).fit(source) for one in (encoder, loaded)]
    np.testing.assert_array_equal(scorers[0].sensitivity_, scorers[1].sensitivity_)
    tuners = [FineTuner(one, **QUICK).fit(X, y) for one in (encoder, loaded)]
    assert_same(*tuners, X)
    assert_same(clone(encoder).fit(X, y, X, y), clone(loaded).fit(X, y, X, y), X)
    scores = [cross_val_score(FrozenFeatureProbe(one), X, y, cv=2) for one in (encoder, loaded)]
    np.testing.assert_array_equal(*scores)
    assert len(cross_val_score(loaded, X, y, cv=2)) == 2
    assert_same(encoder, pickle.loads(pickle.dumps(loaded)), X)
    assert b"torch" not in pickle.dumps(loaded)
    save_encoder(loaded, path.with_name("again.npz"))
    assert path.with_name("again.npz").read_bytes() == path.read_bytes()


# errors: saving


def test_what_cannot_be_saved_is_named(data, encoder, tmp_path):
    path = tmp_path / "encoder.npz"
    for given, kind in ((own(), "of type Own"), (FrozenFeatureProbe(), "of type Fr"), (FineTuner, "the class FineT")):
        with pytest.raises(TypeError, match=f"encoder is {kind}.*, expected a fitted InvariantPretrainer or FineTuner"):
            save_encoder(given, path)
    with pytest.raises(NotFittedError):
        save_encoder(InvariantPretrainer(), path)
    for name in ("tilt", "rotate"):  # a name of its own, and a known one for something else
        tilt = Transformation(name, "geometric", partial(uniform, angle=(-10.0, 10.0)), rotate)
        tilted = InvariantPretrainer(width=0.0625, epochs=0, transformations=[tilt]).fit(*data)
        with pytest.raises(ValueError, match=rf"transformations holds Transformation\(name='{name}'.* of your own"):
            save_encoder(tilted, path)
    changed = pickle.loads(pickle.dumps(encoder)).set_params(epochs="many")
    with pytest.raises(ValueError, match="epochs is 'many', expected int"):
        save_encoder(changed, path)
    changed = pickle.loads(pickle.dumps(encoder))
    changed.classes_ = changed.classes_.astype("datetime64[s]")
    with pytest.raises(ValueError, match=r"classes_ are of dtype datetime64\[s\], expected numbers or strings"):
        save_encoder(changed, path)
    changed.image_shape_ = (4096, 4097, 3)
    with pytest.raises(ValueError, match=r"images of shape \(4096, 4097, 3\), expected at most 16777216 values"):
        save_encoder(changed, path)
    assert not path.exists()
    with pytest.raises(OSError, match="cannot write .*: it is a folder"):
        save_encoder(encoder, tmp_path)


# errors: loading


def test_files_that_are_none_are_named(path, tmp_path):
    with pytest.raises(FileNotFoundError, match="none.npz does not exist"):
        load_encoder(tmp_path / "none.npz")
    content = path.read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(DamagedFileError, match="cut.npz cannot be read as arrays"):
        load_encoder(tmp_path / "cut.npz")
    write_arrays(tmp_path / "other.npz", {}, {"content": "state of a training"})
    with pytest.raises(DamagedFileError, match="other.npz cannot be loaded as an encoder: the file has "):
        load_encoder(tmp_path / "other.npz")


def test_a_pickle_inside_is_not_run(path, tmp_path):
    class Boom:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    with zipfile.ZipFile(path, "a") as archive, archive.open("weights/more.npy", "w") as member:
        np.lib.format.write_array(member, np.array([Boom(), Boom()], dtype=object))
    with pytest.raises(DamagedFileError, match="encoder.npz cannot be read as arrays"):
        load_encoder(path)
    assert not (tmp_path / "ran").exists()


def test_the_network_that_is_needed_is_named(path, data, tmp_path):
    with pytest.raises(ValueError, match="network is of type Own, expected None: .* names its network itself"):
        load_encoder(path, own())
    with pytest.raises(TypeError, match="network is of type str, expected a torch module or None"):
        load_encoder(path, "resnet18")
    with pytest.raises(TypeError, match="network is the class Own, expected a torch module or None"):
        load_encoder(path, Own)
    save_encoder(InvariantPretrainer(own(), **QUICK).fit(*data), tmp_path / "own.npz")
    with pytest.raises(ValueError, match="network is None, expected a module of your own of type 'Own', whose weights"):
        load_encoder(tmp_path / "own.npz")
    shape = (
        r"backbone.module.conv.weight has shape \(16, 3, 5, 5\), .* in the file and \(9, 3, 5, 5\), .* in the network"
    )
    lacking = "weights .*backbone.module.0.weight.* are in the network only, and .*conv.bias.* in the file only"
    for network, message in (
        (own(n=9), shape),
        (nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(1568, 8)), lacking),
        (nn.Linear(3, 2), "Linear fails on images of 16 x 16 x 3"),
    ):
        with pytest.raises(ValueError, match=f"network, of type .*, does not fit .*own.npz: .*{message}"):
            load_encoder(tmp_path / "own.npz", network)


def doctor(path, change):
    """Rewrite a file with its description and arrays changed."""
    arrays, description = read_arrays(path)
    change(description["encoder"], arrays)
    write_arrays(path, arrays, description)


def put(*keys, value):
    def change(description, arrays):
        for key in keys[:-1]:
            description = description[key]
        description[keys[-1]] = value

    return change


def put_array(name, make):
    def change(description, arrays):
        arrays[name] = make(arrays[name])

    return change


def spoil(array):
    array[..., 0] = np.nan
    return array


WEIGHT = "weights/backbone.stem.0.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("recipe", "width", value=1e9), "width is 1000000000.0, expected a number above 0 and up to 16"),
        (put("recipe", "width", value=float("nan")), "width is nan"),
        (put("recipe", "width", value="1"), "width is '1', expected int or float"),
        (put("recipe", "width", value=16), r"has shape .*, in the file and \(1024, 3, 3, 3\), torch.float32, in the"),
        (put("recipe", "network", value="../../x"), "network is '../../x', expected one of: resnet18"),
        (put("recipe", "network", value="vgg11"), "network 'vgg11' cannot take images of 16 x 16"),
        (put("recipe", "network", value="pixels"), "are in the network only, and .* in the file only"),
        (put("recipe", "network", value=None), "is a person's own module, which the file does not hold"),
        (put("network", value=None), "is a person's own module, which the file does not hold"),
        (put("recipe", "layer", value="stage9"), "layer is 'stage9', expected the name of a layer"),
        (put("recipe", value=[]), "recipe is .*, expected dict"),
        (put("recipe", "more", value=1), "recipe has .*, expected values of: network, width, layer"),
        (put("layer", value="output of stage3"), "features are the 'output of stage3', not the output of the module"),
        (put("estimator", value="os.system"), "estimator is 'os.system', expected one of: InvariantPretrainer, Fine"),
        (put("estimator", value=[]), ""),
        (put("estimator", value="FineTuner"), "FineTuner has .*, expected values of: estimator"),
        (put("n_iter", value=10**300), "loss is .*, expected 1000.*0 numbers"),
        (put("history", "loss", value=["x"]), r"loss is \['x'\], expected 1 numbers"),
        (put("history", "best_epoch", value=7), "best_epoch is 7, expected a number below 1"),
        (put("history", value={"loss": 3}), "history has .*, expected values of: loss, best_epoch"),
        (put("image_shape", value=[10**9, 10**9, 3]), "image_shape is .*, expected .* at most 16777216 values"),
        (put("image_shape", value=[16, 16, 4]), r"image_shape is \[16, 16, 4\], expected"),
        (put("image_shape", value=["16", 16, 3]), "image_shape is .*, expected"),
        (put("parameters", "epochs", value="x" * 10**6), r"epochs is 'x+\.\.\.x+', expected int"),
        (put("parameters", "image_shape", value=[1, 2]), r"image_shape is \[1, 2\], expected \(height, width, 3\)"),
        (put("parameters", "transformations", value=["boom"]), "transformations holds 'boom', which is not a known"),
        (put("parameters", "transformations", value=[[]]), "transformations is .*, expected names"),
        (put("parameters", "checkpoint", value="/etc/passwd"), "parameters has .*, expected values of: width"),
        (put("parameters", value={}), "parameters has {}, expected values of: width"),
        (put_array("classes", lambda a: a[:4]), r"head.weight has shape \(5, 32\).*, in the file and \(4, 32\)"),
        (put_array("classes", lambda a: a[::-1].copy()), "classes are not sorted, or not different"),
        (put_array("classes", lambda a: a[:1]), "classes are not at least 2 numbers or strings"),
        (put_array("classes", lambda a: a.astype("M8[s]")), "classes are not at least 2 numbers or strings"),
        (put_array("classes", lambda a: (a + 2**21).astype("<u4").view("<U1")), ""),
        (put_array(WEIGHT, lambda a: a[:2]), r"stem.0.weight has shape \(2, 3, 3, 3\), torch.float32, in the file"),
        (put_array(WEIGHT, lambda a: a.astype(np.float64)), "torch.float64, in the file"),
        (put_array(WEIGHT, lambda a: a.astype(str)), ""),
        (put_array(WEIGHT, lambda a: a.astype(">f4")), ""),
        (put_array(WEIGHT, spoil), "backbone.stem.0.weight holds NaN or infinity"),
        (lambda _, arrays: arrays.pop(WEIGHT), r"\['backbone.stem.0.weight'\] are in the network only, and \[\] in"),
        (lambda _, arrays: arrays.pop("classes"), "classes are not at least 2 numbers or strings"),
        (lambda node, _: node.pop("layer"), "InvariantPretrainer has .*, expected values of"),
    ],
)
def test_doctored_files_are_refused(path, change, message):
    doctor(path, change)
    with pytest.raises(
        DamagedFileError, match=f"encoder.npz cannot be loaded as an encoder: .*{message}|{message}"
    ) as e:
        load_encoder(path)
    assert "encoder.npz" in str(e.value)
    assert len(str(e.value)) < 1000


def test_encoders_in_encoders_have_an_end(path):
    arrays, description = read_arrays(path)
    node = {"estimator": "FineTuner", "probe": None}
    node |= {name: value for name, value in description["encoder"].items() if name not in (*node, "network")}
    nested = None
    for _ in range(400):
        nested = node | {"encoder": nested}
    write_arrays(path, arrays, description | {"encoder": nested})
    with pytest.raises(DamagedFileError, match="encoder.npz cannot be"):
        load_encoder(path)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of memory")
@pytest.mark.parametrize("recipe", [{"width": 16}, {"width": 16, "layer": "stem"}, {"network": "pixels", "layer": ""}])
def test_no_file_decides_how_much_memory_is_taken(path, recipe):
    def change(description, arrays):
        description["recipe"] |= {"network": "resnet50"} | recipe
        description["image_shape"] = [2048, 2048, 3]
        arrays["classes"] = np.arange(100_000)

    import resource

    doctor(path, change)
    held = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + 2**28, held[1]))
    try:
        with pytest.raises(DamagedFileError, match="in the network"):  # said of shapes, not that there is no memory
            load_encoder(path)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, held)


def test_tilde(source, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    encoder = InvariantPretrainer(width=0.0625, epochs=0, random_state=0).fit(*source.sample(16))
    save_encoder(encoder, "~/deep/encoder.npz")
    assert (tmp_path / "deep" / "encoder.npz").exists()
    assert load_encoder("~/deep/encoder.npz").layer_ == encoder.layer_
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
