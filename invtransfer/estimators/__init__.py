"""The estimators, which follow scikit-learn's contract; and files of fitted ones."""

from invtransfer.estimators.pretraining import InvariantPretrainer
from invtransfer.estimators.probing import FrozenFeatureProbe
from invtransfer.estimators.saving import load_encoder, save_encoder
from invtransfer.estimators.sensitivity import SensitivityScorer, twin_sensitivity
from invtransfer.estimators.tuning import FineTuner

__all__ = [
    "FineTuner",
    "FrozenFeatureProbe",
    "InvariantPretrainer",
    "SensitivityScorer",
    "load_encoder",
    "save_encoder",
    "twin_sensitivity",
]
