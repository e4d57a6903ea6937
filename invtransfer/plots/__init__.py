"""From cubes to figures. Loads no torch; needs matplotlib, the extra "plot".

`studies` has a figure for each study, and `plot_factors` and `plot_comparison` are those of the main one;
`plot_measurement`, `plot_layers`, `plot_depths`, `plot_doses`, `plot_interactions` and `plot_affected` are those of
profiles; `plot_advice` is that of advice. `draw_curves` and `draw_matrices` fill a figure or a part of one, so a study
can compose its own.
"""

from invtransfer.plots.advice import plot_advice
from invtransfer.plots.affected import plot_affected
from invtransfer.plots.axes import COLOURS, format_spread
from invtransfer.plots.bands import plot_depths, plot_doses
from invtransfer.plots.comparison import plot_comparison
from invtransfer.plots.curves import draw_curves
from invtransfer.plots.factors import plot_factors
from invtransfer.plots.interactions import plot_interactions
from invtransfer.plots.layers import plot_layers
from invtransfer.plots.matrices import draw_matrices
from invtransfer.plots.measurement import plot_measurement
from invtransfer.plots.studies import (
    plot_advised_pretraining,
    plot_depth,
    plot_fine_tuning,
    plot_invariance_transfer,
    plot_irrelevant_features,
    plot_mismatch,
    plot_real_advice,
    plot_relevance,
)

__all__ = [
    "COLOURS",
    "draw_curves",
    "draw_matrices",
    "format_spread",
    "plot_advice",
    "plot_advised_pretraining",
    "plot_affected",
    "plot_comparison",
    "plot_depth",
    "plot_depths",
    "plot_doses",
    "plot_factors",
    "plot_fine_tuning",
    "plot_interactions",
    "plot_invariance_transfer",
    "plot_irrelevant_features",
    "plot_layers",
    "plot_measurement",
    "plot_mismatch",
    "plot_real_advice",
    "plot_relevance",
]
