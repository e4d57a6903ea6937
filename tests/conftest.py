import os

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from invtransfer import Transforms2D, load_objects

torch.set_num_threads(1)  # the networks of the tests are too small to gain from more
threadpool_limits(1)  # nor do the probes, whose threads would wait for each other on cores that other tests use
os.fsync = lambda handle: None  # no test cuts the power; with it, workers wait for each other's writes


@pytest.fixture(autouse=True)
def seeded():
    """Networks that tests make have the same weights in every run and order; torch seeds itself otherwise."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def objects():
    return load_objects("procedural", size=32)


@pytest.fixture(scope="session")
def images():
    """Forty images of 16 x 16 random pixels; read-only, so that no test can depend on another."""
    images = np.random.default_rng(0).integers(256, size=(40, 16, 16, 3), dtype=np.uint8)
    images.flags.writeable = False
    return images


@pytest.fixture(scope="session")
def source(objects):
    return Transforms2D(objects[:5], ["rotate", "hue"], image_size=16, random_state=3)
