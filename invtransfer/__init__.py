"""Which invariances does a representation have, which does a task need, and how much do they decide transfer?

>>> from invtransfer import FrozenFeatureProbe, InvariantPretrainer, SensitivityScorer

Names are loaded when they are first used, so ``import invtransfer.cubes`` and the commands for cubes load no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what editors and type checkers read
    from invtransfer.cubes.files import load_cube
    from invtransfer.estimators.advising import InvarianceAdvisor
    from invtransfer.estimators.given_pairs import twin_sensitivity
    from invtransfer.estimators.models import load_model
    from invtransfer.estimators.pretraining import InvariantPretrainer
    from invtransfer.estimators.probing import FrozenFeatureProbe
    from invtransfer.estimators.ranking import rank_encoders
    from invtransfer.estimators.saving import load_encoder, save_encoder
    from invtransfer.estimators.sensitivity import SensitivityScorer
    from invtransfer.estimators.tuning import FineTuner
    from invtransfer.images.loading import load_images
    from invtransfer.objects.loading import load_backgrounds, load_objects
    from invtransfer.objects.objects import Objects
    from invtransfer.sources.cifar import load_cifar10, load_cifar100
    from invtransfer.sources.objects_on_images import ObjectsOnImages
    from invtransfer.sources.transformed_images import TransformedImages
    from invtransfer.sources.transforms2d import Transforms2D
    from invtransfer.transformations import TRANSFORMATIONS, Transformation

_HOMES = {
    "TRANSFORMATIONS": "transformations",
    "FineTuner": "estimators",
    "FrozenFeatureProbe": "estimators",
    "InvarianceAdvisor": "estimators",
    "InvariantPretrainer": "estimators",
    "Objects": "objects",
    "ObjectsOnImages": "sources",
    "SensitivityScorer": "estimators",
    "TransformedImages": "sources",
    "Transformation": "transformations",
    "Transforms2D": "sources",
    "load_backgrounds": "objects",
    "load_cifar10": "sources",
    "load_cifar100": "sources",
    "load_cube": "cubes",
    "load_encoder": "estimators",
    "load_images": "images",
    "load_model": "estimators",
    "load_objects": "objects",
    "rank_encoders": "estimators",
    "save_encoder": "estimators",
    "twin_sensitivity": "estimators",
}
__all__ = [*_HOMES]


def __getattr__(name):
    """Load a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'invtransfer' has no attribute {name!r}")
    value = getattr(import_module(f"invtransfer.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    """List the public names, loaded or not."""
    return sorted({*globals(), *_HOMES})
