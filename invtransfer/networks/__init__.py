"""Networks for small images and their training.

`architectures` has the backbones, `training` the loop, `devices` device and precision, `checkpoints` the state of a
training in a file, `inference` the outputs of a trained network, `weights` what it has learned.
"""
