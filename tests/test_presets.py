"""The numbers of the protocol that studies share."""

from invtransfer.networks.architectures import NETWORKS
from invtransfer.paper.presets import CHOICES, CIFAR_PROTOCOL, PROTOCOL, make_presets, on_cifar


def test_paper_size_is_the_papers_protocol():
    expected = {  # Sections 3.2 and 4.1, Appendix B.2
        "n_classes": 30, "n_samples": 50_000, "n_validation": 10_000, "n_test": 10_000, "batch_size": 512, "epochs": 50,
        "learning_rate": 1e-3, "schedule": "constant", "weight_decay": 0.0, "solver": "adam", "n_pairs": 10_000,
        "seeds": 10, "width": 1.0, "optimizer": "adam",
        "adam_epochs": 200, "adam_learning_rate": 1e-3,
        "vit_learning_rate": 1e-3, "vit_schedule": "cosine", "vit_weight_decay": 1e-5, "vit_epochs": 50,
        "architecture": "resnet18",
    }  # fmt: skip
    assert {name: PROTOCOL["paper"][name] for name in expected} == expected
    assert CIFAR_PROTOCOL["cifar10"]["paper"]["n_classes"] == 5
    assert CIFAR_PROTOCOL["cifar100"]["paper"]["n_classes"] == 50


def test_sizes_have_the_same_settings():
    names = PROTOCOL["paper"].keys()
    assert [*PROTOCOL] == ["smoke", "quick", "overnight", "paper"]
    assert all(settings.keys() == names for settings in PROTOCOL.values())
    for sizes in CIFAR_PROTOCOL.values():
        assert sizes.keys() == PROTOCOL.keys()
        assert all(differing.keys() <= names for differing in sizes.values())


def test_settings_are_among_the_choices():
    for settings in PROTOCOL.values():
        for name in CHOICES.keys() & settings.keys():
            assert settings[name] in CHOICES[name]
    assert CHOICES["architecture"] == list(NETWORKS)
    words = {name for name, value in PROTOCOL["paper"].items() if isinstance(value, str)}
    assert words | {"class_relation", "dataset"} == CHOICES.keys()


def test_presets_of_a_study():
    more = {"n_objects": 10, "levels": {"width": [1.0]}}
    presets = make_presets(more, leave_out=["n_pairs", "solver"], quick={"epochs": 8}, smoke={"n_objects": 2})
    assert [*presets] == ["smoke", "quick", "overnight", "paper"]
    assert presets["paper"] == {k: v for k, v in PROTOCOL["paper"].items() if k not in ("n_pairs", "solver")} | more
    assert (presets["quick"]["epochs"], presets["paper"]["epochs"]) == (8, 50)
    assert (presets["smoke"]["n_objects"], presets["quick"]["n_objects"]) == (2, 10)


def test_settings_that_differ_on_cifar():
    made = on_cifar(["n_probe"], smoke={"n_probe": [50]})
    assert [*made] == ["cifar10", "cifar100"]
    paper = {"n_samples": [10, 50, 200, 1_000, 4_500]}  # Appendix C.1
    levels = [{"n_probe": [50]}, {"n_samples": [400, 1_600]}, {"n_samples": [200, 1_000, 4_500]}, paper]
    assert [settings["levels"] for settings in made["cifar10"].values()] == levels
    assert made["cifar10"]["quick"] == {
        "n_classes": 5, "n_samples": 1_600, "epochs": 3, "vit_epochs": 6, "levels": levels[1],
    }  # fmt: skip
    assert "n_probe" not in made["cifar10"]["paper"]
