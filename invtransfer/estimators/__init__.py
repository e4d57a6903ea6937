"""Estimators that follow scikit-learn's contract.

`pretraining`, `probing`, `tuning`, `sensitivity` and `advising` have one estimator each, and `saving` their files.
`models` finds models by name, and `ranking` says which of several suits a task.
`network_classifier` has what those that train a network share, `inputs` the checks of what estimators are given, and
`frozen` the handling of encoders.
"""

from invtransfer.estimators.advising import InvarianceAdvisor
from invtransfer.estimators.given_pairs import twin_sensitivity
from invtransfer.estimators.models import load_model
from invtransfer.estimators.pretraining import InvariantPretrainer
from invtransfer.estimators.probing import FrozenFeatureProbe
from invtransfer.estimators.ranking import rank_encoders
from invtransfer.estimators.saving import load_encoder, save_encoder
from invtransfer.estimators.sensitivity import SensitivityScorer
from invtransfer.estimators.tuning import FineTuner

__all__ = [
    "FineTuner",
    "FrozenFeatureProbe",
    "InvarianceAdvisor",
    "InvariantPretrainer",
    "SensitivityScorer",
    "load_encoder",
    "load_model",
    "rank_encoders",
    "save_encoder",
    "twin_sensitivity",
]
