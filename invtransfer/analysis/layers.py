"""The layers of a profile: how deep each is, and which is the last."""

import numpy as np
import xarray as xr

FEATURE = "(feature)"  # what an encoder itself calls its feature, among its layers; no layer can have this name


def find_depths(profile):
    """Find the depth of each layer of a profile.

    Parameters
    ----------
    profile : xarray.Dataset
        With the variable or coordinate "depth" over "layer", and perhaps "encoder" and others.

    Returns
    -------
    depths : xarray.DataArray over "layer", and "encoder" if the depth is
        Share of the network that has run when the layer is done; NaN where an encoder has no such layer.

    Examples
    --------
    >>> find_depths(xr.Dataset({"depth": (("seed", "layer"), [[0.5, 1.0], [np.nan, 1.0]])})).values
    array([0.5, 1. ])
    """
    return profile.depth.max([dim for dim in profile.depth.dims if dim not in ("encoder", "layer")])


def arrange_profile(profile):
    """Arrange a profile as a person or an earlier version wrote it: names, coordinates and the order of layers.

    Parameters
    ----------
    profile : xarray.Dataset
        With the dimension "encoder" ("model" in cubes of earlier versions) and "layer", or not.

    Returns
    -------
    profile : xarray.Dataset
        "depth" is a coordinate, and the feature the last layer.

    Examples
    --------
    >>> profile = arrange_profile(xr.Dataset({"depth": ("layer", [0.5])}, {"model": ["vit"]}))
    >>> sorted(profile.dims), sorted(profile.coords)
    (['encoder', 'layer'], ['depth', 'encoder'])
    """
    if "model" in profile.dims and "encoder" not in profile.variables:
        profile = profile.rename(model="encoder")
    if "depth" in profile.data_vars and "layer" in profile.depth.dims:
        profile = profile.assign_coords(depth=find_depths(profile))
    return put_feature_last(profile)


def put_feature_last(profile):
    """Put the layer "(feature)", which all encoders have in common, after all other layers.

    Where encoders have unlike layers, a cube has those of the first encoder, with its feature, before those of the
    others; but a feature is as deep as the last block, and comes after it.

    Parameters
    ----------
    profile : xarray.Dataset
        With the dimension "layer" or not.

    Returns
    -------
    profile : xarray.Dataset

    Examples
    --------
    >>> put_feature_last(xr.Dataset(coords={"layer": ["fc", "(feature)", "blocks.0"]})).layer.values.tolist()
    ['fc', 'blocks.0', '(feature)']
    """
    if "layer" not in profile.coords or profile.layer.dims != ("layer",):
        return profile
    is_feature = [name == FEATURE for name in profile.layer.values.tolist()]
    return profile.isel(layer=np.argsort(is_feature, kind="stable")) if any(is_feature[:-1]) else profile


def select_last_layer(profile):
    """Select, of each encoder, the last of its layers.

    Parameters
    ----------
    profile : xarray.Dataset
        Over "layer", with "depth" along it, and perhaps along "encoder" and more; NaN where an encoder lacks a layer.

    Returns
    -------
    profile : xarray.Dataset
        Without "layer"; of layers of equal depth, the later one is taken, and the feature is last.

    Raises
    ------
    TypeError
        If `profile` is not a Dataset.
    ValueError
        If it has no layers, or no depth of them.

    Examples
    --------
    >>> depth = (("encoder", "layer"), [[0.5, 1.0, np.nan], [0.3, np.nan, 1.0]])
    >>> one = xr.Dataset({"x": (("encoder", "layer"), [[1, 2, 3], [4, 5, 6]])}, {"depth": depth})
    >>> select_last_layer(one).x.values
    array([2, 6])
    """
    if not isinstance(profile, xr.Dataset):
        raise TypeError(f"profile is of type {type(profile).__name__}, expected an xarray.Dataset")
    if "layer" not in profile.dims or "depth" not in profile or "layer" not in profile.depth.dims:
        raise ValueError("profile has no 'depth' along the dimension 'layer': measure with layers=...")
    profile = put_feature_last(profile)
    depth = find_depths(profile).fillna(-1)
    last = depth.sizes["layer"] - 1 - depth.isel(layer=slice(None, None, -1)).argmax("layer")
    return profile.isel(layer=last, missing_dims="ignore").drop_vars("layer", errors="ignore")
