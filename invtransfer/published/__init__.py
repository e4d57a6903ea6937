"""Our numbers beside the published ones: only what ran the same settings is compared. Knows no torch."""

from invtransfer.published.matching import compare_to_published
from invtransfer.published.wording import format_comparison

__all__ = ["compare_to_published", "format_comparison"]
