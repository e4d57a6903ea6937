"""A cube's values beside published ones: only values of the same settings are compared. Loads no torch."""

from invtransfer.published.comparison import compare_to_published
from invtransfer.published.text import format_comparison

__all__ = ["compare_to_published", "format_comparison"]
