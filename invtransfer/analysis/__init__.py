"""What cubes say: spread over seeds, and how much invariance decides compared with other factors. Loads no torch.

`representations` holds the statistics of features, among them the sensitivity and its interval; `profiles` what several
sensitivities over the same images say together; `transferability` the scores of features for labels, and `resampling`
their spread over images.
"""

from invtransfer.analysis.checks import REFERENCE
from invtransfer.analysis.contrasts import (
    CONTRASTS,
    change_by_mismatch,
    compare_with_exact,
    factor_contrasts,
    paired_contrast,
    rank_correlation,
)
from invtransfer.analysis.factors import (
    count_once,
    drop_references,
    fill_relations,
    select_factor,
    stack_encoders,
)
from invtransfer.analysis.invariance import (
    WITHOUT,
    invariance_by_relation,
    spillover,
    spillover_in_distribution,
    target_sensitivity,
)
from invtransfer.analysis.layers import select_last_layer
from invtransfer.analysis.profiles import (
    adjust_p_values,
    compare_sensitivities,
    interactions,
    slope_at_zero,
    strength_of_half,
)
from invtransfer.analysis.ranking import format_ranking
from invtransfer.analysis.summaries import format_mean, format_means, format_table, summarise
from invtransfer.analysis.tables import (
    format_advised_pretraining,
    format_fine_tuning,
    format_invariance,
)
from invtransfer.analysis.transferability import h_score, log_evidence, nearest_correct
from invtransfer.analysis.variance import COMPONENTS, variance_explained

__all__ = [
    "COMPONENTS", "CONTRASTS", "REFERENCE", "WITHOUT", "adjust_p_values", "change_by_mismatch",
    "compare_sensitivities", "compare_with_exact", "count_once", "drop_references", "factor_contrasts",
    "fill_relations", "format_advised_pretraining", "format_fine_tuning", "format_invariance", "format_mean",
    "format_means", "format_ranking", "format_table", "h_score", "interactions", "invariance_by_relation",
    "log_evidence", "nearest_correct", "paired_contrast", "rank_correlation", "select_factor", "select_last_layer",
    "slope_at_zero", "spillover", "spillover_in_distribution", "stack_encoders", "strength_of_half", "summarise",
    "target_sensitivity", "variance_explained",
]  # fmt: skip
