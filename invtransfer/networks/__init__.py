"""Architectures for small images, and the one training loop."""
