"""Sensitivity of a representation to transformations: SensitivityScorer, and the same for pairs of one's own.

The sensitivity to a transformation is the mean distance between the features of twins (two draws of that transformation
on the same object and background), divided by the mean distance between different images. It is 0 for an invariant
representation, and 1 if twins are as different as any two images.
"""

import warnings
import zlib

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from invtransfer.analysis.representations import (
    FEW_PAIRS,
    count_effective_pairs,
    mean_random_distance,
    sensitivity_interval,
)
from invtransfer.encoders.encoding import describe_features, open_encoder
from invtransfer.estimators.frozen import AroundEncoder
from invtransfer.estimators.inputs import validate_input
from invtransfer.estimators.twins import measure_given, measure_twins, order_of_pairs, take_images
from invtransfer.images import check_count, check_images
from invtransfer.networks.inference import check_precision
from invtransfer.randomness import derive_seed
from invtransfer.sources.blocks import Source
from invtransfer.transformations import TRANSFORMATIONS, get_transformations

TWINS = ("drawn", "clean")
ROUNDING = 1e-5  # distances of twins, as a share of that of different images, that are none
N_ROW_DRAWS = 512  # number of draws of each transformation from which `transform` chooses


def twin_sensitivity(encoder, X, X_twin, *, layer=None, pool="auto"):
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
        the output of the module; a part of an output that is no tensor follows in brackets, as in "lstm[0]". None: what
        the module itself calls its feature; else the input of the last linear layer if that is the last layer with
        weights (the head of a classifier), else the output of the module. See `invtransfer.encoders.LayerFeatures`.
    pool : {"auto", "class", "mean", "flatten"}
        How token sequences and maps of a torch module become one row of features. "auto": as the module itself does,
        else the class token if it has one, else the mean over tokens or places. "class": the first token. "mean": the
        mean over all tokens or places. "flatten": one long row.

    Returns
    -------
    sensitivity : float
        Mean distance between the features of the two images of a pair, divided by the mean distance between the first
        image of one pair and the second image of another, over all pairs within blocks of 256.
    low, high : float
        Bounds of its 95 % interval over pairs, see `invtransfer.analysis.representations.sensitivity_interval`.

    Raises
    ------
    ValueError
        If the images are not as described, their shapes or dtypes differ, there is only one pair, the encoder has no
        such layer, or it does not return one finite row per image.
    TypeError
        If `encoder` is of a type that cannot be used.

    Warns
    -----
    UserWarning
        If fewer than 3 pairs make the mean distance, so that its interval cannot be known.

    Notes
    -----
    If every twin is transformed, the sensitivity is higher than that of `SensitivityScorer`, whose twins are two draws:
    about half of them are identical if the transformation acts with probability 0.5.

    Examples
    --------
    >>> X = np.random.default_rng(0).integers(256, size=(100, 8, 8, 3), dtype="uint8")
    >>> sensitivity, low, high = twin_sensitivity(None, X, 255 - X)
    >>> bool(low < sensitivity < high)
    True
    """
    X, X_twin = check_images(X, "X"), check_images(X_twin, "X_twin")
    if X.shape != X_twin.shape:
        raise ValueError(f"X_twin has shape {X_twin.shape}, expected the shape of X, {X.shape}")
    if X.dtype != X_twin.dtype:  # 0 to 255, or 0 to 1
        raise ValueError(f"X_twin has dtype {X_twin.dtype}, expected that of X, {X.dtype}")
    if len(X) < 2:
        raise ValueError("X has 1 pair, expected at least 2: twins are compared with different images")
    measured = measure_given(open_encoder(encoder, layer, pool), X, X_twin)
    _warn_of_few({"the difference between X and X_twin": measured})
    return sensitivity_interval(*measured)


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
        the output of the module; a part of an output that is no tensor follows in brackets, as in "lstm[0]". None: what
        the module itself calls its feature; else the input of the last linear layer if that is the last layer with
        weights (the head of a classifier), else the output of the module. See `invtransfer.encoders.LayerFeatures`.
    pool : {"auto", "class", "mean", "flatten"}
        How token sequences and maps of a torch module become one row of features. "auto": as the module itself does,
        else the class token if it has one, else the mean over tokens or places. "class": the first token. "mean": the
        mean over all tokens or places. "flatten": one long row.
    transformations : sequence of str or Transformation, or None
        Transformations, each of which is measured alone. None: all 18 of `TRANSFORMATIONS`.
    twins : {"drawn", "clean"}
        "drawn": the two images of a pair are two draws of the transformation, as in the paper; half of them are
        identical if it acts with probability 0.5. "clean": the first is the image as it is, and the transformation acts
        on every second one.
    n_pairs : int
        Number of pairs of twins per transformation. From given images, at most one pair is made of each; of more, a
        random choice.
    image_shape : tuple of int or None
        Shape (height, width, 3) of the images if `X` holds flattened images, of shape (n_samples, n_features). None:
        such an `X` is read as rows of pixels. Their values are scaled to [0, 1] by the range seen in fit, transformed
        as a grey image, and scaled back.
    batch_size : int or None
        Number of images per call of a torch module or function, which decides memory and speed, and no number but for
        rounding. None: by the size of the images and the device.
    precision : {"float32", "bfloat16", "float16"}
        Number format in which a torch module computes where it can choose (autocast).
    random_state : int, RandomState or None
        Seed of the transformations of given images; a source draws with its own. Equal seeds give equal draws for
        different encoders, so that differences between encoders are paired.

    Attributes
    ----------
    sensitivity_ : xarray.DataArray over "transformation"
        Mean distance between twins, divided by the mean distance between random pairs: 0 if the features are invariant,
        1 if twins are as different as any two images, NaN if all features are equal.
    sensitivity_interval_ : xarray.DataArray over "transformation" and "bound"
        95 % interval ("low", "high") over pairs, for this encoder.
    pair_distances_, random_distances_ : xarray.DataArray over "transformation" and "pair"
        Distance between the features of the twins, and mean distance of the features of a pair from those of the other
        pairs of its block of 256, in units of the features. Of given images, the coordinate "image" is the number of
        the image that a pair was made of; pairs are in random order, so that sorted images meet those of all classes.
    companions_ : xarray.Dataset over "transformation"
        What Equation 1 alone does not tell, from the same twins. "object_sensitivity" and "abx": mean distance between
        twins over that to another object on the same background under the same draw, and share of the cases in which
        the twin is nearer than that; of sources that know no objects, NaN, and the share of other images of the block
        that are farther than the twin. "participation_ratio": number of directions in which the features vary, within
        blocks of 256 images. "different": share of the twins whose images differ; "sensitivity_if_different": mean
        distance of these, divided by the mean distance between different images.
    composed_sensitivity_ : float
        Sensitivity to all transformations of the source together; NaN if the scorer was fitted on images, or on a
        source without transformations.
    composed_sensitivity_interval_ : tuple of float
        Bounds (low, high) of its 95 % interval.
    layer_ : str or None
        Where the features are taken in a torch module and how they are pooled, such as "input of fc", "output of
        layer3, mean over places" or "output of the module (pooler_output)"; None for other encoders.
    image_shape_ : tuple of int
        Shape (height, width, n_channels) of the images seen in fit.
    n_features_in_ : int
        height * width * n_channels.

    Notes
    -----
    `score` returns the invariance, 1 minus the mean sensitivity, because greater is better in scikit-learn.

    *What Equation 1 can say.* The paper divides by the distance between "any two samples": here the first image of one
    pair and the second image of another, both drawn with that transformation, regardless of class. Encoders of the same
    images can be compared transformation by transformation, and seeds, sizes and units of features drop out.

    *What it cannot say.* Levels do not compare across transformations: twins are two draws, and ten of the 18
    transformations act with probability 0.5, so that half of their twins are identical (a quarter for noise, elastic
    and erasing, which also draw numbers), and the normaliser contains the transformation. Nor is a low value learned
    invariance: features that vary in one direction only, as those of an untrained network do, can ignore a
    transformation together with everything else. `companions_` tells the two apart: where invariance was learned,
    "object_sensitivity" is low and "abx" is near 1; where features collapsed, "abx" is nearer to 0.5, the value of
    chance, and "participation_ratio" is small.

    References
    ----------
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024, Sections 3.4 and
    5.1. Schatz et al., "Evaluating speech features with the minimal-pair ABX task", Interspeech 2013.

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
        pool="auto",
        transformations=None,
        twins="drawn",
        n_pairs=10_000,
        image_shape=None,
        batch_size=None,
        precision="float32",
        random_state=None,
    ):
        self.encoder = encoder
        self.layer = layer
        self.pool = pool
        self.transformations = transformations
        self.twins = twins
        self.n_pairs = n_pairs
        self.image_shape = image_shape
        self.batch_size = batch_size
        self.precision = precision
        self.random_state = random_state

    def fit(self, X, y=None):
        """Measure the sensitivity to each transformation.

        Parameters
        ----------
        X : Transforms2D, TransformedImages, or array-like of shape (n_samples, height, width, 3)
            Source that draws the twins; or images, uint8 or float in [0, 1], such as those of `load_images`, which are
            transformed as a whole; or an array of shape (n_samples, n_features), see `image_shape`.
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

        Warns
        -----
        UserWarning
            If fewer than 3 pairs make the mean distance to a transformation, so that its interval cannot be known.
        """
        check_count(self.n_pairs, "n_pairs", low=2)
        if self.batch_size is not None:
            check_count(self.batch_size, "batch_size", high=65_536)
        check_precision(self.precision)
        if self.twins not in TWINS:
            raise ValueError(f"twins is {self.twins!r}, expected one of: {', '.join(TWINS)}")
        chosen = self._transformations = self._chosen()
        self._seed = derive_seed(self.random_state, "sensitivity")
        encoder = open_encoder(self.encoder, self.layer, self.pool)
        source = self._source(X, encoder, reset=True)
        knows_objects = "object" in getattr(source, "changes", ())
        sets = [[t] for t in chosen] + ([None] if len(source.transformations) else [])  # None: the source's together
        measured = self._measure(encoder, source, sets, objects=knows_objects)
        self.layer_ = describe_features(encoder)
        along = {
            "transformation": ("transformation", [t.name for t in chosen]),
            "category": ("transformation", [t.category for t in chosen]),
        }
        if not isinstance(X, Source):
            measured = measured.assign_coords(image=("pair", source.order))
        pairs = list(zip(measured.pair_distances.values, measured.random_distances.values, strict=True))
        measured = measured.isel(transformation=slice(len(chosen))).assign_coords(along)
        self.pair_distances_, self.random_distances_ = measured.pair_distances, measured.random_distances
        self.companions_ = _summarise_companions(measured)
        _warn_of_few({t.name: one for t, one in zip(chosen, pairs, strict=False)})
        ratios = np.array([sensitivity_interval(*one) for one in pairs[: len(chosen)]])  # (n_transformations, 3)
        self.sensitivity_ = xr.DataArray(ratios[:, 0], along, ["transformation"], "sensitivity", {"units": "1"})
        self.sensitivity_interval_ = xr.DataArray(
            ratios[:, 1:], along | {"bound": ["low", "high"]}, ["transformation", "bound"], attrs={"units": "1"}
        )
        together = pairs[len(chosen) :]
        composed = sensitivity_interval(*together[0]) if together else (np.nan, np.nan, np.nan)
        self.composed_sensitivity_, self.composed_sensitivity_interval_ = composed[0], composed[1:]
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
        draws = np.array([zlib.crc32(np.ascontiguousarray(image).data) % N_ROW_DRAWS for image in images])
        encoder = open_encoder(self.encoder, self.layer, self.pool)
        source = take_images(images, encoder, self._seed, None, draws)
        measured = self._measure(encoder, source, [[t] for t in self._transformations], len(images))
        scales = np.array([mean_random_distance(values) for values in self.random_distances_.values])
        return measured.pair_distances.values.T / np.where(scales > 0, scales, np.nan)

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
        encoder = open_encoder(self.encoder, self.layer, self.pool)
        source = self._source(X, encoder, reset=False)
        measured = self._measure(encoder, source, [[t] for t in self._transformations])
        pairs = zip(measured.pair_distances.values, measured.random_distances.values, strict=True)
        ratios = [sensitivity_interval(*one)[0] for one in pairs]
        return 1.0 - float(np.mean(ratios))

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

    def _source(self, X, encoder, reset):
        """Return `X` if it is a source, else a source of whole images."""
        if isinstance(X, Source):
            if getattr(X, "n_images", 2) < 2:
                raise ValueError("X shows one image only, expected at least 2, since different images are compared")
            shape = tuple(X.image_shape)
            if not reset and shape != self.image_shape_:
                raise ValueError(f"X has images of shape {shape}, expected {self.image_shape_}, as in fit")
            self.image_shape_, self.n_features_in_ = shape, int(np.prod(shape))
            return X
        X = validate_input(self, X, reset=reset)
        if len(X) < 2:
            raise ValueError("X has n_samples = 1, expected at least 2, since different images are compared")
        if reset and X.shape[3] == 1:
            low, high = float(X.min()), float(X.max())
            self._pixel_range = (low, max(high - low, np.finfo(np.float32).tiny))
        order = order_of_pairs(len(X), self.n_pairs, self._seed)
        return take_images(self._to_images(X), encoder, self._seed, order, order)

    def _to_images(self, X):
        """Return rows of pixels of any range as grey images in [0, 1], and images as they are."""
        if X.shape[3] == 3:
            return X
        low, extent = self._pixel_range
        return np.repeat(np.clip((X - low) / extent, 0, 1).astype(np.float32), 3, axis=3)

    def _to_pixels(self, images):
        """Return grey images in [0, 1] as rows of pixels in their own range."""
        low, extent = self._pixel_range
        return images.mean(axis=3, keepdims=True) * extent + low

    def _measure(self, encoder, source, sets, n_pairs=None, objects=False):
        """Return what is measured of each set of transformations; of given images, at most one pair is made of each."""
        if n_pairs is None:
            n_pairs = min(self.n_pairs, getattr(source, "n_images", self.n_pairs))
        return measure_twins(
            encoder, source, sets, n_pairs, twins=self.twins, objects=objects,
            prepare=self._to_pixels if self.image_shape_[2] == 1 else None,
            batch_size=self.batch_size, precision=self.precision,
        )  # fmt: skip

    def __sklearn_is_fitted__(self):
        """Tell whether `fit` has been called, whatever the encoder is."""
        return hasattr(self, "sensitivity_")

    def __sklearn_tags__(self):
        """Declare that the columns are float64, whatever the dtype of the images."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64"]
        return tags


def _summarise_companions(measured):
    """Return the companions of the sensitivities from what was measured of each pair."""
    # arithmetic of NumPy: that of xarray compares coordinates each time, which costs as much as some batches of images
    arrays = {name: variable.values for name, variable in measured.data_vars.items()}
    normaliser = np.array([mean_random_distance(values) for values in arrays["random_distances"]])
    to_object, different = arrays["object_distances"].mean(axis=-1), arrays["different"].mean(axis=-1)
    mean = arrays["pair_distances"].mean(axis=-1)
    apart = np.where(arrays["different"] > 0, arrays["pair_distances"], 0).mean(axis=-1)
    companions = {
        "object_sensitivity": (
            _divide(mean, to_object),
            "distance of twins over that to another object on the same background",
        ),
        "abx": (np.nanmean(arrays["nearer"], axis=-1), "share of cases in which the twin is nearer than another image"),
        "participation_ratio": (
            arrays["participation_ratio"],
            "number of directions in which the features vary, within blocks of 256 images",
        ),
        "different": (different, "share of the twins whose images differ"),
        "sensitivity_if_different": (
            _divide(_divide(apart, different), normaliser),
            "sensitivity, of the twins whose images differ",
        ),
    }
    variables = {
        name: ("transformation", values, {"units": "1", "long_name": text})
        for name, (values, text) in companions.items()
    }
    return xr.Dataset(variables, {name: measured[name] for name in ("transformation", "category")})


def _divide(values, by):
    """Divide arrays; NaN where the divisor is 0 or less."""
    return values / np.where(by > 0, by, np.nan)


def _warn_of_few(measured):
    """Warn of intervals that cannot be known, because a mean distance rests on too few pairs."""
    few = []
    for name, (pair_distances, random_distances) in measured.items():
        moved = pair_distances[pair_distances > ROUNDING * mean_random_distance(random_distances)]
        if 0 < count_effective_pairs(moved) < FEW_PAIRS:
            few.append(name)
    if few:
        warnings.warn(
            f"the sensitivity to {', '.join(few)} rests on fewer than {FEW_PAIRS} pairs of twins, so its interval may"
            " be too narrow: measure more pairs",
            stacklevel=3,
        )
