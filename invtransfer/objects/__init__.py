"""Objects to paste, and backgrounds: drawn in code, random patterns, or a person's own folder."""

from invtransfer.objects.collections import Objects, load_backgrounds, load_objects

__all__ = ["Objects", "load_backgrounds", "load_objects"]
