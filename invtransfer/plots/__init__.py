"""From cubes to figures. Knows no torch and no study; needs matplotlib, the extra "plot".

`plot_factors` and `plot_comparison` make whole figures; `draw_curves` and `draw_matrices` fill a figure or a part of
one, of which a study composes its own.
"""

from invtransfer.plots.axes import COLOURS, spread_in_words
from invtransfer.plots.comparison import plot_comparison
from invtransfer.plots.curves import draw_curves
from invtransfer.plots.factors import plot_factors
from invtransfer.plots.matrices import draw_matrices

__all__ = ["COLOURS", "draw_curves", "draw_matrices", "plot_comparison", "plot_factors", "spread_in_words"]
