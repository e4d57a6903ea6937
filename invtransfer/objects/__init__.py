"""Objects to paste, and backgrounds: drawn in code, random patterns, or a person's own folder."""

from invtransfer.objects.loading import load_backgrounds, load_objects
from invtransfer.objects.objects import Objects

__all__ = ["Objects", "load_backgrounds", "load_objects"]
