"""Sensitivity of a representation to transformations: the statistics, and SensitivityScorer.

The sensitivity to a transformation is the mean distance between the features of twins (two draws of that transformation
on the same object and background), divided by the mean distance between random pairs of the same images. It is 0 for an
invariant representation, and 1 if twins are as different as any two images. Distances are kept per pair; the ratio is
formed once, from the means over the whole set.
"""

import zlib

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from invtransfer.encoders.encoding import encode
from invtransfer.encoders.layers import describe_layer
from invtransfer.estimators.frozen import AroundEncoder
from invtransfer.estimators.inputs import validate_input
from invtransfer.images import check_count, check_images
from invtransfer.randomness import derive_seed
from invtransfer.sources.transformed_images import TransformedImages, transform_whole
from invtransfer.transformations import TRANSFORMATIONS, get_transformations

N_ROW_DRAWS = 512  # number of draws of each transformation from which `transform` chooses
Z_95 = 1.959964  # standard normal quantile of a two-sided 95 % interval


def distances(Z, Z_other):
    """Compute the Euclidean distance between the features of each pair.

    Parameters
    ----------
    Z, Z_other : ndarray of shape (n_pairs, n_features)
        Features of the first and of the second image of each pair.

    Returns
    -------
    distances : ndarray of shape (n_pairs,), float64

    Examples
    --------
    >>> distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]]))
    array([5.])
    """
    return np.sqrt(np.square(Z.astype(np.float64) - Z_other).sum(axis=1))


def sensitivity_interval(pair_distances, random_distances, partners):
    """Compute the ratio of two mean distances, and its 95 % interval.

    Parameters
    ----------
    pair_distances : ndarray of shape (n_pairs,)
        Distances between twins.
    random_distances : ndarray of shape (n_pairs,)
        Distances between the first image of pair i and the second image of pair ``partners[i]``.
    partners : ndarray of shape (n_pairs,), int
        Permutation of the pairs.

    Returns
    -------
    sensitivity, low, high : float
        Ratio and bounds of its interval. All are NaN if the images of all random pairs are equal; the bounds are NaN if
        there are fewer than 4 pairs.

    Notes
    -----
    The interval is normal, with a variance from the delta method for a ratio of means. It contains the covariance
    between the two distances of a pair, and that between pairs i and ``partners[i]``, which share an image.

    Examples
    --------
    >>> sensitivity, low, high = sensitivity_interval(np.ones(4), np.full(4, 2.0), np.array([1, 2, 3, 0]))
    >>> sensitivity, low, high
    (0.5, 0.5, 0.5)
    """
    n_pairs, scale = len(pair_distances), random_distances.mean()
    if scale == 0:
        return np.nan, np.nan, np.nan
    sensitivity = float(pair_distances.mean() / scale)
    residuals = (pair_distances - sensitivity * random_distances) / scale  # linear part of the ratio, with mean 0
    own = np.square(residuals).mean()
    shared = 2 * (residuals * residuals[partners]).mean()
    if n_pairs < 4:  # in a ring of three or fewer, these sum to 0
        return sensitivity, np.nan, np.nan
    half = Z_95 * np.sqrt(max(own + shared, 0.0) / n_pairs)
    return sensitivity, float(max(sensitivity - half, 0.0)), float(sensitivity + half)


def twin_sensitivity(encoder, X, X_twin, *, layer=None, random_state=None):
    """Measure how sensitive a representation is to the difference between the two images of given pairs.

    Parameters
    ----------
    encoder : InvariantPretrainer, fitted transformer or pipeline, torch.nn.Module, callable or None
        Encoder from images to features, see `invtransfer.encoders.encode`. A torch module receives float tensors in
        [0, 1] of shape (n_samples, 3, height, width), so a normalisation of the images belongs in it; a function
        receives the array of images as given, uint8 or float of shape (n_samples, height, width, 3); a transformer
        receives each image as one row. None: the pixels are the features.
    X, X_twin : array-like of shape (n_pairs, height, width, 3), uint8 or float in [0, 1]
        First and second image of each pair.
    layer : str or None
        Layer of a torch module whose output is taken as the features: a name listed by ``named_modules()``, or "" for
        the output of the module. None: the input of the last linear layer if that is the last layer with weights (the
        head of a classifier), else the output of the module. Maps and token sequences are flattened.
    random_state : int, RandomState or None
        Seed of the random pairs.

    Returns
    -------
    sensitivity : float
        Mean distance between the features of the two images of a pair, divided by the mean distance between random
        pairs, which are the first image of one pair and the second image of another.
    low, high : float
        Bounds of its 95 % interval over pairs.

    Raises
    ------
    ValueError
        If the images are not as described, their shapes differ, there is only one pair, the encoder has no such layer,
        or it does not return one finite row per image.
    TypeError
        If `encoder` is of a type that cannot be used.

    Notes
    -----
    If every twin is transformed, the sensitivity is higher than that of `SensitivityScorer`, whose twins are two draws:
    about half of them are identical if the transformation acts with probability 0.5.

    Examples
    --------
    >>> X = np.random.default_rng(0).integers(256, size=(100, 8, 8, 3), dtype="uint8")
    >>> twin_sensitivity(None, X, X, random_state=0)
    (0.0, 0.0, 0.0)
    """
    X, X_twin = check_images(X, "X"), check_images(X_twin, "X_twin")
    if X.shape != X_twin.shape:
        raise ValueError(f"X_twin has shape {X_twin.shape}, expected the shape of X, {X.shape}")
    if len(X) < 2:
        raise ValueError("X has 1 pair, expected at least 2, for random pairs")
    Z, Z_twin = (encode(encoder, images, layer=layer) for images in (X, X_twin))
    return sensitivity_interval(*_compare(Z, Z_twin, derive_seed(random_state, "sensitivity")))


class SensitivityScorer(AroundEncoder, TransformerMixin, BaseEstimator):
    """Measure how sensitive a representation is to each of several transformations: to what is it invariant?

    Parameters
    ----------
    encoder : InvariantPretrainer, fitted transformer or pipeline, torch.nn.Module, callable or None
        Encoder from images to features, see `invtransfer.encoders.encode`. A torch module receives float tensors in
        [0, 1] of shape (n_samples, 3, height, width), so a normalisation of the images belongs in it; a function
        receives the array of images as given, uint8 or float of shape (n_samples, height, width, 3); a transformer
        receives each image as one row. None: the pixels are the features.
    layer : str or None
        Layer of a torch module whose output is taken as the features: a name listed by ``named_modules()``, or "" for
        the output of the module. None: the input of the last linear layer if that is the last layer with weights (the
        head of a classifier), else the output of the module. Maps and token sequences are flattened.
    transformations : sequence of str or Transformation, or None
        Transformations, each of which is measured alone. None: all 18 of `TRANSFORMATIONS`.
    n_pairs : int
        Number of pairs of twins per transformation. From given images, at most one pair is made of each.
    image_shape : tuple of int or None
        Shape (height, width, 3) of the images if `X` holds flattened images, of shape (n_samples, n_features). None:
        such an `X` is read as rows of pixels. Their values are scaled to [0, 1] by the range seen in fit, transformed
        as a grey image, and scaled back.
    random_state : int, RandomState or None
        Seed of the random pairs, and of the transformations of given images; a source draws with its own. Equal seeds
        give equal draws for different encoders, so that differences between encoders are paired.

    Attributes
    ----------
    sensitivity_ : xarray.DataArray over "transformation"
        Mean distance between twins, divided by the mean distance between random pairs: 0 if the features are invariant,
        1 if twins are as different as any two images, NaN if all features are equal.
    sensitivity_interval_ : xarray.DataArray over "transformation" and "bound"
        95 % interval ("low", "high") over pairs, for this encoder.
    pair_distances_, random_distances_ : xarray.DataArray over "transformation" and "pair"
        Distances between the features of twins, and of random pairs of the same images, in units of the features.
    composed_sensitivity_ : float
        Sensitivity to all transformations of the source together; NaN if the scorer was fitted on images, or on a
        source without transformations.
    composed_sensitivity_interval_ : tuple of float
        Bounds (low, high) of its 95 % interval.
    layer_ : str or None
        Where the features are taken in a torch module, such as "output of the module", "input of fc" or "output of
        layer3"; None for other encoders.
    image_shape_ : tuple of int
        Shape (height, width, n_channels) of the images seen in fit.
    n_features_in_ : int
        height * width * n_channels.

    Notes
    -----
    Twins are two draws of the same transformation. Ten of the 18 act with probability 0.5, so that about half of their
    twins are identical (a quarter for noise, elastic and erasing, which also draw numbers). Their sensitivities are
    lower for that reason: they measure the dose together with the invariance.

    `score` returns the invariance, 1 minus the mean sensitivity, because greater is better in scikit-learn. The paper's
    Equation 1 divides by the distance between "any two samples": here these are the first image of each pair and the
    second image of another, both drawn with that transformation, regardless of class.

    References
    ----------
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Sections 3.4 and
    5.1.

    Examples
    --------
    >>> from invtransfer import SensitivityScorer, Transforms2D, load_objects
    >>> source = Transforms2D(load_objects("procedural")[:10], random_state=0)
    >>> scorer = SensitivityScorer(
    ...     lambda X: X.mean(axis=(1, 2)), transformations=["h_flip", "invert"], n_pairs=200, random_state=0
    ... )
    >>> h_flip, invert = scorer.fit(source).sensitivity_.values
    >>> bool(h_flip < invert)
    True
    """

    def __init__(
        self,
        encoder=None,
        *,
        layer=None,
        transformations=None,
        n_pairs=10_000,
        image_shape=None,
        random_state=None,
    ):
        self.encoder = encoder
        self.layer = layer
        self.transformations = transformations
        self.n_pairs = n_pairs
        self.image_shape = image_shape
        self.random_state = random_state

    def fit(self, X, y=None):
        """Measure the sensitivity to each transformation.

        Parameters
        ----------
        X : Transforms2D, TransformedImages, or array-like of shape (n_samples, height, width, 3)
            Source that draws the twins; or images, uint8 or float in [0, 1], which are transformed as a whole; or an
            array of shape (n_samples, n_features), see `image_shape`.
        y : object
            Ignored.

        Returns
        -------
        self : SensitivityScorer

        Raises
        ------
        ValueError
            If the data or a parameter is not as described, there is only one image, the encoder has no such layer, or
            it does not return one finite row per image.
        TypeError
            If `encoder` is of a type that cannot be used.
        """
        check_count(self.n_pairs, "n_pairs", low=2)
        chosen = self._transformations = self._chosen()
        self._seed = derive_seed(self.random_state, "sensitivity")
        source = self._source(X, reset=True)
        measured = [self._measure(source, [transformation]) for transformation in chosen]
        along = {
            "transformation": ("transformation", [t.name for t in chosen]),
            "category": ("transformation", [t.category for t in chosen]),
        }
        self.pair_distances_, self.random_distances_ = (
            xr.DataArray(values, along, ["transformation", "pair"], attrs={"units": "units of the features"})
            for values in np.stack([m[:2] for m in measured], axis=1)
        )
        ratios = np.array([sensitivity_interval(*m) for m in measured])  # (n_transformations, 3)
        self.sensitivity_ = xr.DataArray(ratios[:, 0], along, ["transformation"], "sensitivity", {"units": "1"})
        self.sensitivity_interval_ = xr.DataArray(
            ratios[:, 1:], along | {"bound": ["low", "high"]}, ["transformation", "bound"], attrs={"units": "1"}
        )
        composed = (np.nan, np.nan, np.nan)
        if len(source.transformations):
            composed = sensitivity_interval(*self._measure(source, None))
        self.composed_sensitivity_, self.composed_sensitivity_interval_ = composed[0], composed[1:]
        self.layer_ = describe_layer(self.encoder, self.layer)
        return self

    def transform(self, X):
        """Compute the sensitivity of each image's features to each transformation.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, 3) or (n_samples, n_features)
            Images of the shape seen in fit, which are transformed as a whole.

        Returns
        -------
        sensitivities : ndarray of shape (n_samples, n_transformations), float64
            Distance between the features of two draws on that image, divided by the mean distance between random pairs
            in fit. The draws depend on the image alone, not on its place in `X`.
        """
        check_is_fitted(self)
        X = validate_input(self, X, reset=False)
        images = self._to_images(X)
        indices = np.array([zlib.crc32(np.ascontiguousarray(image).data) % N_ROW_DRAWS for image in images])
        columns = []
        for transformation in self._transformations:
            twins = [transform_whole(images, [transformation], indices, self._seed, twin) for twin in (False, True)]
            columns.append(distances(*[self._encode(images) for images in twins]))
        scales = self.random_distances_.mean("pair").to_numpy()
        return np.stack(columns, axis=1) / np.where(scales > 0, scales, np.nan)

    def score(self, X, y=None):
        """Return the invariance on new data: 1 minus the mean sensitivity over the transformations.

        Parameters
        ----------
        X : Transforms2D, TransformedImages, or array-like
            Source or images, as for `fit`.
        y : object
            Ignored.

        Returns
        -------
        invariance : float
            1 if the features are invariant to all transformations; 0 or less if they change as much as from one image
            to another.
        """
        check_is_fitted(self)
        source = self._source(X, reset=False)
        sensitivities = [sensitivity_interval(*self._measure(source, [t]))[0] for t in self._transformations]
        return 1.0 - float(np.mean(sensitivities))

    def get_feature_names_out(self, input_features=None):
        """Return the names of the transformations, the columns of `transform`.

        Parameters
        ----------
        input_features : object
            Ignored.

        Returns
        -------
        names : ndarray of shape (n_transformations,), object
        """
        check_is_fitted(self)
        return np.array([t.name for t in self._transformations], dtype=object)

    def _chosen(self):
        chosen = get_transformations(list(TRANSFORMATIONS) if self.transformations is None else self.transformations)
        if not chosen:
            raise ValueError("transformations is empty, expected at least one, or None for all 18")
        return chosen

    def _source(self, X, reset):
        """Return `X` if it is a source, else a source of whole images."""
        if hasattr(X, "twins"):
            shape = tuple(X.image_shape)
            if not reset and shape != self.image_shape_:
                raise ValueError(f"X has images of shape {shape}, expected {self.image_shape_}, as in fit")
            self.image_shape_, self.n_features_in_ = shape, int(np.prod(shape))
            return X
        X = validate_input(self, X, reset=reset)
        if len(X) < 2:
            raise ValueError("X has n_samples = 1, expected at least 2 images, for random pairs")
        if reset and X.shape[3] == 1:
            low, high = float(X.min()), float(X.max())
            self._pixel_range = (low, max(high - low, np.finfo(np.float32).tiny))
        return TransformedImages.from_checked(self._to_images(X), random_state=self._seed)

    def _to_images(self, X):
        """Return rows of pixels of any range as grey images in [0, 1], and images as they are."""
        if X.shape[3] == 3:
            return X
        low, extent = self._pixel_range
        return np.repeat(np.clip((X - low) / extent, 0, 1).astype(np.float32), 3, axis=3)

    def _encode(self, images):
        if self.image_shape_[2] == 1:
            low, extent = self._pixel_range
            images = images.mean(axis=3, keepdims=True) * extent + low
        return encode(self.encoder, images, layer=self.layer)

    def _measure(self, source, transformations):
        """Compare twins drawn by a source; of given images, at most one pair is made of each."""
        n_pairs = min(self.n_pairs, getattr(source, "n_images", self.n_pairs))
        twins = source.twins(n_pairs, transformations=transformations)
        Z, Z_twin = np.split(self._encode(np.concatenate(twins)), 2)  # in one call: fuller batches, one network
        return _compare(Z, Z_twin, self._seed)

    def __sklearn_is_fitted__(self):
        """Tell whether `fit` has been called, whatever the encoder is."""
        return hasattr(self, "sensitivity_")

    def __sklearn_tags__(self):
        """Declare that the columns are float64, whatever the dtype of the images."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64"]
        return tags


def _compare(Z, Z_twin, seed):
    """Return the distances of pairs and of random pairs, and the permutation that makes the latter."""
    partners = _ring(len(Z), seed)
    return distances(Z, Z_twin), distances(Z, Z_twin[partners]), partners


def _ring(n, seed):
    """Return a random permutation without a fixed point: the successors in a random ring."""
    order = np.random.default_rng(seed).permutation(n)
    partners = np.empty(n, dtype=np.int64)
    partners[order] = np.roll(order, 1)
    return partners
