"""The numbers of the paper's protocol of transfer, in four sizes.

A source task and a target task are drawn from a data set, an encoder is pretrained on the source, and probes of its
frozen features are fitted on the target. "smoke" proves that a study runs, in seconds; "quick" shows the effect on two
CPU cores, in minutes; "overnight" shows it with ten seeds; "paper" is the paper's protocol to the number.

The first three depart from the paper: networks are narrower, and learn from fewer images in fewer steps, with Muon and
a one-cycle schedule instead of Adam at a constant learning rate; and probes are fitted to convergence, with L-BFGS.
"""

from invtransfer.estimators.probing import SOLVERS
from invtransfer.networks.architectures import NETWORKS
from invtransfer.networks.optimizers import OPTIMIZERS
from invtransfer.networks.training import SCHEDULES
from invtransfer.paper.tasks import CLASS_RELATIONS

CHOICES = {  # values that some settings may have
    "class_relation": CLASS_RELATIONS, "architecture": list(NETWORKS), "solver": SOLVERS, "schedule": SCHEDULES,
    "vit_schedule": SCHEDULES, "optimizer": OPTIMIZERS, "dataset": ["transforms2d", "cifar10", "cifar100"],
}  # fmt: skip
MEANINGS = {  # of settings, for the command line
    "architecture": "network of the encoders", "width": "multiple of the network's usual number of channels",
    "dataset": "where objects and images come from", "class_relation": "which classes source and target share",
    "n_classes": "classes of a task", "n_objects": "different objects on the images",
    "n_transformations": "transformations of a task",
    "n_samples": "images that encoders are trained on (of CIFAR: of each class)",
    "n_validation": "validation images, by which the best epoch is chosen", "n_test": "test images",
    "n_probe": "images that a probe is fitted on", "n_pairs": "pairs of twins for each transformation",
    "n_labelled": "labelled images of the target", "n_tuning": "images that encoders are fine-tuned on",
    "epochs": "passes over the training images", "batch_size": "images per step", "optimizer": "optimizer of encoders",
    "learning_rate": "peak learning rate", "schedule": "course of the learning rate",
    "weight_decay": "coefficient of the L2 penalty", "vit_epochs": "epochs for the ViT",
    "vit_learning_rate": "peak learning rate for the ViT", "vit_schedule": "schedule for the ViT",
    "vit_weight_decay": "weight decay for the ViT",
    "solver": "solver of probes", "adam_epochs": "passes of the solver adam over the features",
    "adam_learning_rate": "learning rate of the solver adam",
    "n_draws": "transformed copies of each image", "size": "side of the images in pixels",
    "tuning_epochs": "passes over the images in fine-tuning",
    "tuning_learning_rate": "peak learning rate of fine-tuning",
}  # fmt: skip
_ALL = {  # settings that all sizes share
    "architecture": "resnet18", "weight_decay": 0.0,
    "adam_epochs": 200, "adam_learning_rate": 1e-3,  # of the probe's solver "adam"
}  # fmt: skip
# A recipe that learns the task in few steps; its learning rates were chosen on seeds that no preset has.
_RECIPE = {
    "optimizer": "muon", "schedule": "one-cycle", "learning_rate": 2e-2, "batch_size": 32,
    "vit_learning_rate": 5e-3, "vit_schedule": "one-cycle", "vit_weight_decay": 0.0, "solver": "lbfgs",
}  # fmt: skip
PROTOCOL = {
    "smoke": _ALL | _RECIPE | {
        "seeds": 1, "n_classes": 4, "n_samples": 64, "width": 0.0625, "epochs": 1, "vit_epochs": 1,
        "n_validation": 32, "n_probe": 64, "n_test": 64, "n_pairs": 16,
    },
    "quick": _ALL | _RECIPE | {
        "seeds": 5, "n_classes": 10, "n_samples": 6_000, "width": 0.125, "epochs": 1, "vit_epochs": 2,
        "n_validation": 500, "n_probe": 2_000, "n_test": 2_000, "n_pairs": 200,
    },
    "overnight": _ALL | _RECIPE | {
        "seeds": 10, "n_classes": 30, "n_samples": 10_000, "width": 0.25, "epochs": 5, "vit_epochs": 10,
        "n_validation": 2_000, "n_probe": 10_000, "n_test": 5_000, "n_pairs": 500,
    },
    "paper": _ALL | {
        "seeds": 10, "n_classes": 30, "n_samples": 50_000, "width": 1.0, "epochs": 50, "vit_epochs": 50,
        "batch_size": 512, "optimizer": "adam", "learning_rate": 1e-3, "schedule": "constant",
        "vit_learning_rate": 1e-3, "vit_schedule": "cosine", "vit_weight_decay": 1e-5, "solver": "adam",
        "n_validation": 10_000, "n_probe": 50_000, "n_test": 10_000, "n_pairs": 10_000,
    },
}  # fmt: skip
# What differs on CIFAR: there n_samples is of each class. A tenth of each class's training images is held out for
# validation, so that 450 of CIFAR-100's 500 are trained on. There are 5,000 test images for pairs.
_CIFAR_PAPER = {"n_validation": 2_500, "n_probe": 22_500, "n_test": 5_000, "n_pairs": 5_000}
_CIFAR_OVERNIGHT = {"n_validation": 2_000, "n_probe": 10_000, "n_test": 5_000, "epochs": 10, "vit_epochs": 20}
CIFAR_PROTOCOL = {
    "cifar10": {
        "smoke": {"n_samples": 32},
        "quick": {"n_classes": 5, "n_samples": 1_600, "epochs": 3, "vit_epochs": 6},
        "overnight": _CIFAR_OVERNIGHT | {"n_classes": 5, "n_samples": 4_500},
        "paper": _CIFAR_PAPER | {"n_classes": 5, "n_samples": 4_500},
    },
    "cifar100": {
        "smoke": {"n_samples": 32},
        "quick": {"n_classes": 50, "n_samples": 160, "epochs": 3, "vit_epochs": 6},
        "overnight": _CIFAR_OVERNIGHT | {"n_classes": 50, "n_samples": 500},
        "paper": _CIFAR_PAPER | {"n_classes": 50, "n_samples": 500},
    },
}

N_SAMPLES = {  # levels of the factor n_samples
    "transforms2d": {
        "quick": [2_000, 6_000], "overnight": [2_000, 10_000, 50_000],
        "paper": [1_000, 10_000, 50_000, 100_000, 500_000],
    },
    "cifar10": {"quick": [400, 1_600], "overnight": [200, 1_000, 4_500], "paper": [10, 50, 200, 1_000, 4_500]},
    "cifar100": {"quick": [40, 160], "overnight": [50, 500], "paper": [10, 50, 100, 250, 500]},
}  # fmt: skip


def make_presets(more=None, leave_out=(), **changes):
    """Make the presets of a study from those of the protocol.

    Parameters
    ----------
    more : dict
        Settings of all presets, beside or instead of the protocol's.
    leave_out : sequence of str
        Settings of the protocol that the study does not have.
    **changes : dict
        For presets by name, the settings that differ from the protocol and from `more`.

    Returns
    -------
    presets : dict of str to dict
        The presets "smoke", "quick", "overnight" and "paper".

    Examples
    --------
    >>> presets = make_presets({"n_objects": 10}, leave_out=["n_pairs"], quick={"epochs": 8})
    >>> presets["quick"]["n_objects"], presets["quick"]["epochs"], "n_pairs" in presets["paper"]
    (10, 8, False)
    """
    return {
        name: {key: value for key, value in settings.items() if key not in leave_out}
        | (more or {})
        | changes.get(name, {})
        for name, settings in PROTOCOL.items()
    }


def on_cifar(leave_out=(), **levels):
    """Return the settings that differ on CIFAR from those of the presets, in studies with the factor n_samples.

    Parameters
    ----------
    leave_out : sequence of str
        Settings of the protocol that the study does not have.
    **levels
        For presets by name, the levels that differ, beside or instead of those in `N_SAMPLES`.

    Returns
    -------
    datasets : dict of str to dict
        For each data set, by preset, the settings that differ, as `Study` takes them.
    """
    datasets = {}
    for dataset, by_preset in CIFAR_PROTOCOL.items():
        datasets[dataset] = {}
        for preset, differing in by_preset.items():
            known = {"n_samples": N_SAMPLES[dataset][preset]} if preset in N_SAMPLES[dataset] else {}
            settings = {key: value for key, value in differing.items() if key not in leave_out}
            datasets[dataset][preset] = settings | {"levels": known | levels.get(preset, {})}
    return datasets
