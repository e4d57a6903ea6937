"""Which invariances does a representation have, which does a task need, and how much do they decide transfer?

>>> from invtransfer import FrozenFeatureProbe, InvariantPretrainer, SensitivityScorer
"""

from invtransfer.cifar import load_cifar10, load_cifar100
from invtransfer.objects import Objects, load_backgrounds, load_objects
from invtransfer.pretraining import InvariantPretrainer
from invtransfer.probing import FrozenFeatureProbe
from invtransfer.saving import load_encoder, save_encoder
from invtransfer.sensitivity import SensitivityScorer, twin_sensitivity
from invtransfer.sources import ObjectsOnImages, TransformedImages, Transforms2D
from invtransfer.transformations import TRANSFORMATIONS, Transformation
from invtransfer.tuning import FineTuner

__all__ = [
    "TRANSFORMATIONS",
    "FineTuner",
    "FrozenFeatureProbe",
    "InvariantPretrainer",
    "Objects",
    "ObjectsOnImages",
    "SensitivityScorer",
    "TransformedImages",
    "Transformation",
    "Transforms2D",
    "load_backgrounds",
    "load_cifar10",
    "load_cifar100",
    "load_encoder",
    "load_objects",
    "save_encoder",
    "twin_sensitivity",
]
