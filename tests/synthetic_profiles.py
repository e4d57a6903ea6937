"""Profiles of invented numbers, as the scorer and the command ``measure`` make them."""

import numpy as np
import xarray as xr

TRANSFORMATIONS = {
    "geometric": ["translate", "rotate", "scale", "shear", "v_flip", "h_flip"],
    "photometric": ["hue", "brightness", "grayscale", "posterize", "invert", "sharpen"],
    "corruption": ["blur", "noise", "pixelate", "elastic", "erasing", "contrast"],
}
ENCODERS = [
    "timm:vit_small_patch14_dinov2", "hf:facebook/dinov2-small", "timm:resnet50", "mine.py:encoder", "untrained",
    "timm:efficientnet_lite0.ra_in1k", "pixels", "torchvision:mobilenet_v3_large",
]  # fmt: skip
KINDS = ["amplifying", "covering", "additive", "unclear"]


def make_profile(
    n_encoders=2, n_layers=None, n_transformations=6, n_strengths=None, n_images=None, interactions=False,
    unlike=False, failed=False, encoder="encoder", seed=0,
):  # fmt: skip
    """Return a profile; None leaves a dimension out. Encoders have fewer and fewer layers if `unlike`."""
    generator = np.random.default_rng(seed)
    names = [(name, category) for category, several in TRANSFORMATIONS.items() for name in several]
    names = names[:: max(1, 18 // n_transformations)][:n_transformations]
    sizes = {
        encoder: n_encoders, "layer": n_layers, "transformation": n_transformations, "strength": n_strengths
    }  # fmt: skip
    sizes = {dim: n for dim, n in sizes.items() if n is not None}
    coords = {
        encoder: [ENCODERS[i] for i in range(n_encoders or 0)],
        "transformation": [name for name, _ in names],
        "category": ("transformation", [category for _, category in names]),
        "strength": np.arange(1, (n_strengths or 0) + 1) / max(1, n_strengths or 0),
    }
    coords = {name: values for name, values in coords.items() if name == "category" or name in sizes}
    shape = tuple(sizes.values())
    values = generator.uniform(0.05, 0.9, (n_encoders or 1, 1, n_transformations, 1))
    if n_layers:
        values = values * (1.3 - 0.9 * np.linspace(0, 1, n_layers)[:, None, None]) + 0.05
        values = values + generator.normal(0, 0.02, values.shape)
    if n_strengths:
        values = values * np.sqrt(coords["strength"])
    values = np.abs(values).reshape(shape)
    mean = xr.DataArray(values, dims=list(sizes))
    if n_layers:
        counts = [max(1, n_layers - 7 * i * unlike) for i in range(n_encoders or 1)]
        if unlike and n_encoders:
            named, depth = np.full((n_encoders, n_layers), "", "U40"), np.full((n_encoders, n_layers), np.nan)
            for i, n in enumerate(counts):
                named[i, :n] = [f"blocks.{layer}" if i % 2 else f"features.block{layer}.conv" for layer in range(n)]
                depth[i, :n] = np.arange(1, n + 1) / n
            coords |= {"layer": np.arange(n_layers), "layer_name": ((encoder, "layer"), named)}
            coords["depth"] = ((encoder, "layer"), depth)
            mean = mean.where(xr.DataArray(named != "", dims=(encoder, "layer")))
        else:
            coords["layer"] = [f"layer{1 + i // 4}.{i % 4}" for i in range(n_layers)]
            coords["depth"] = ("layer", np.arange(1, n_layers + 1) / n_layers)
    mean = mean.transpose(*sizes)
    if failed:  # of the last transformation, the last encoder
        place = {"transformation": -1} | ({encoder: -1} if n_encoders else {})
        mean[place] = np.nan
    half = generator.uniform(0.1, 0.25, shape)
    attrs = {"units": "1", "long_name": "made up"}
    variables = {
        "sensitivity": mean, "sensitivity_low": mean * (1 - half), "sensitivity_high": mean * (1 + 1.3 * half)
    }  # fmt: skip
    if n_images:
        own = mean * xr.DataArray(generator.lognormal(0, 0.6, n_images), dims="image")
        variables |= {"pair_distance": 7 * own, "random_distance": xr.full_like(own, 7.0)}
        coords["image"] = generator.permutation(n_images)
    if interactions:
        along = [dim for dim in sizes if dim != "strength"]
        square = (*(sizes[dim] for dim in along), n_transformations)
        value = xr.DataArray(generator.normal(0, 0.2, square), dims=[*along, "then"])
        upper = np.triu(np.ones((n_transformations, n_transformations), bool), 1)
        value = value.where(xr.DataArray(upper, dims=("transformation", "then")))
        variables |= {"interaction": value.transpose(*along, "then")}
        kind = np.where(value.notnull(), generator.choice(KINDS, square), "")
        variables |= {"kind": ([*along, "then"], kind)}
        coords["then"] = coords["transformation"]
    profile = xr.Dataset(variables, coords)
    for variable in profile.data_vars.values():
        variable.attrs = attrs
    return profile


def make_pictures(n, side=32, seed=0):
    """Return images of coloured rings, and the same turned around."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side][:, None] / side - generator.uniform(0.2, 0.8, (2, n))[..., None, None]
    waves = np.sin(40 * np.hypot(rows, columns))[..., None] * generator.uniform(0, 1, (n, 1, 1, 3))
    images = (127 + 127 * waves).astype(np.uint8)
    return images, images[:, ::-1]
