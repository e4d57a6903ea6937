"""Sensitivity of a representation to transformations: SensitivityScorer.

The sensitivity to a transformation is the mean distance between the features of twins (two draws of that transformation
on the same object and background), divided by the mean distance between different images. It is 0 for an invariant
representation, and 1 if twins are as different as any two images.
"""

import warnings
import zlib
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import xarray as xr
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from invtransfer.analysis.representations import (
    DISTANCES,
    mean_random_distance,
)
from invtransfer.encoders.encoding import describe_features, open_encoder
from invtransfer.estimators.frozen import AroundEncoder
from invtransfer.estimators.inputs import (
    check_encoders,
    check_range,
    choose_transformations,
    forget_fit,
    validate_input,
)
from invtransfer.estimators.pairs import ImagesOfPairs, order_of_pairs, take_images
from invtransfer.estimators.pixel_rows import find_pixel_range, to_images, to_pixels
from invtransfer.estimators.profiles import (
    COMPANIONS,
    COMPOSED,
    add_interactions,
    check_strengths,
    choose_interactions,
    join_profiles,
    measure_profile,
)
from invtransfer.estimators.twins import (
    N_IMAGES_OF_COVARIANCE,
    check_repeats,
    encode_plain,
    make_whitenings,
    measure_twins,
    warn_of_equal_features,
    warn_of_few,
)
from invtransfer.images.checks import check_count
from invtransfer.networks.inference import check_inference
from invtransfer.randomness import derive_seed
from invtransfer.sources.blocks import Source

TWINS = ("drawn", "clean")
N_IDENTIFIED = 32  # images by which those of fit are told from others
N_ROW_DRAWS = 512  # number of draws of each transformation from which `transform` chooses


class SensitivityScorer(AroundEncoder, TransformerMixin, BaseEstimator):
    """Measure how sensitive a representation is to each of several transformations: to what is it invariant?

    Parameters
    ----------
    encoder : InvariantPretrainer, fitted transformer or pipeline, torch.nn.Module, callable, None, or dict of these
        Encoder from images to features, see `invtransfer.encoders.encode`. A torch module receives float tensors in
        [0, 1] of shape (n_samples, 3, height, width), so a normalisation of the images belongs in it; a function
        receives the array of images as given, uint8 or float of shape (n_samples, height, width, 3); a transformer
        receives each image as one row. None: the pixels are the features. Several encoders, by their names, see the
        same draws of the same images; if one of them fails, the others are measured.
    layer : str or None
        Layer of a torch module whose output is taken as the features: a name listed by ``named_modules()``, or "" for
        the output of the module; a part of an output that is no tensor follows in brackets, as in "lstm[0]". None: what
        the module itself calls its feature; else the input of the last linear layer if that is the last layer with
        weights (the head of a classifier), else the output of the module. See `invtransfer.encoders.LayerFeatures`.
    layers : "blocks", list of str, or None
        Layers that are measured together, from the same forward passes: names as for `layer`, or "blocks", all residual
        blocks, transformer layers and the like and what the module itself calls its feature, "(feature)". See
        `invtransfer.encoders.ManyLayers`. None: only `layer`.
    pool : {"auto", "class", "mean", "flatten"}
        How token sequences and maps of a torch module become one row of features. "auto": as the module itself does,
        else the class token if it has one, else the mean over tokens or places. "class": the first token. "mean": the
        mean over all tokens or places. "flatten": one long row.
    transformations : sequence of str or Transformation, or None
        Transformations, each of which is measured alone. None: all 18 of `TRANSFORMATIONS`.
    twins : {"drawn", "clean"}
        "drawn": the two images of a pair are two draws of the transformation, as in the paper; half of them are
        identical if it acts with probability 0.5. "clean": the first is the image as it is, the second is it
        transformed, and the transformation always acts. Curves over strength and interactions are read most easily with
        "clean" twins.
    strengths : list of float or None
        Strengths above 0 and up to 1 at which each transformation is measured, in increasing order, see
        `Transformation.at`. None: 1, the transformation as it is. Flips and invert are done in full
        at any strength.
    distance : {"euclidean", "cosine", "mahalanobis"}
        Distance between features: that of the paper; 1 minus their cosine; or that in units of the spread of the
        features of at most 1,000 images of fit as they are, with the covariance shrunk after Ledoit and Wolf.
    interactions : "all", list of (str, str), or None
        Pairs of transformations that are also measured one after the other, at full strength: "all" of them, each in
        the order of `transformations`, or those named. Best with clean twins: drawn twins of transformations that act
        with probability 0.5 can seem to amplify one another, even if the two are unrelated.
    probe : fitted classifier, dict of these by the names of the encoders, or None
        Classifier with `predict` for features, those of the last layer if there are several, such as a
        ``FrozenFeatureProbe().fit(encode(encoder, X), y)``. How often do its answers change?
    n_pairs : int
        Number of pairs of twins per transformation. From given images, at most one pair is made of each; of more, a
        random choice.
    image_shape : tuple of int or None
        Shape (height, width, 3) of the images if `X` holds flattened images, of shape (n_samples, n_features). None:
        such an `X` is read as rows of pixels. Their values are scaled to [0, 1] by the range seen in fit, transformed
        as a grey image, and scaled back. Features that were saved would be, too, which means nothing:
        `twin_sensitivity` takes those.
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
    sensitivity_ : xarray.DataArray over ["encoder", "layer",] "transformation" [and "strength"]
        Mean distance between twins, divided by the mean distance between random pairs: 0 if the features are invariant,
        1 if twins are as different as any two images, NaN if all features are equal. Dimensions in brackets are there
        if the argument asks for several.
    sensitivity_interval_ : xarray.DataArray over these and "bound"
        95 % interval ("low", "high") over pairs, for this encoder.
    profile_ : xarray.Dataset over these and "pair"
        All that was measured, which the functions of `invtransfer.plots` draw. Along "layer" there is the coordinate
        "depth", the share of the network's convolutions and linear layers that have run when the layer is done.
        Variables, besides those below: "sensitivity", "sensitivity_low", "sensitivity_high". With `strengths`, "slope":
        that of the sensitivity at strength 0, NaN for flips and invert, which have one strength. With a probe,
        "changed": share of its answers that differ between twins, and "strength_of_half", at which half of them do.
        With `interactions`, over "then", the second transformation: "together", the sensitivity to both;
        "interaction", its square minus those of each alone; and "kind", which is "covering" (less than both),
        "additive", "amplifying" (more than both) or "unclear", see
        `invtransfer.analysis.profiles.interactions`. "message" says why an encoder failed, "" if it did not.
    pair_distances_, random_distances_ : xarray.DataArray over these and "pair"
        Distance between the features of the twins, and mean distance of the features of a pair from those of the other
        pairs of its block of 256, in units of the features. Of given images, the coordinate "image" is the number of
        the image that a pair was made of; pairs are in random order, so that sorted images meet those of all classes.
        `invtransfer.analysis.compare_sensitivities` compares encoders, layers, transformations or strengths by them.
    companions_ : xarray.Dataset over the dimensions of `sensitivity_`
        What Equation 1 alone does not tell, from the same twins. "object_sensitivity": mean distance between twins,
        divided by the mean distance to another object on the same background under the same draw; NaN for sources
        without objects. "abx": share of the cases in which the twin is nearer than that other object; for sources
        without objects, share of the other images of the block that are farther away than the twin.
        "participation_ratio": number of directions in which the features vary, within blocks of 256 images.
        "normalized_variance": variance of a feature over transformations, divided by its variance over images, mean
        over the features, after Quiroga and Lanzarini. "different": share of the twins whose images differ;
        "sensitivity_if_different": mean distance of these, divided by the mean distance between different images.
    composed_sensitivity_ : float, or xarray.DataArray over ["encoder", "layer"]
        Sensitivity to all transformations of the source together; NaN if the scorer was fitted on images, or on a
        source without transformations.
    composed_sensitivity_interval_ : tuple of float or xarray.DataArray
        Bounds (low, high) of its 95 % interval.
    layer_ : str, None, or dict of these by the names of the encoders
        Where the features are taken in a torch module and how they are pooled, such as "input of fc", "output of
        layer3, mean over places" or "output of the module (pooler_output)"; None for other encoders. Of several layers,
        one after the other, as in the coordinate "features" of `profile_`.
    image_shape_ : tuple of int
        Shape (height, width, n_channels) of the images seen in fit.
    n_features_in_ : int
        height * width * n_channels.

    Notes
    -----
    `score` returns the invariance, 1 minus the mean sensitivity, because greater is better in scikit-learn.

    *The interval* of a sensitivity is too narrow if a few twins are far apart and the others hardly differ. If one twin
    in twenty is, the interval contains the true value in about 40 % of the cases with 10 pairs, 65 % with 20 and 90 %
    with 50, and the pairs do not show it. See `invtransfer.analysis.representations.sensitivity_interval`.

    *Equation 1* of the paper, for twins x_i and x'_i, features f and the distance d: the mean over i of
    d(f(x_i), f(x'_i)), divided by the mean over i and j, different pairs of one block of 256, of d(f(x_i), f(x'_j)).

    *What it can say.* The paper divides by the distance between "any two samples": here the first image of one
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
    5.1. Schatz et al., "Evaluating speech features with the minimal-pair ABX task", Interspeech 2013. Quiroga and
    Lanzarini, "Measuring (in)variances in convolutional networks", 2020; arXiv 2310.17404. Ericsson et al., "Why do
    self-supervised models transfer?", BMVC 2022, for strengths and Mahalanobis distances.

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

    _kept = ("encoder", "probe")  # both are fitted

    def __init__(
        self,
        encoder=None,
        *,
        layer=None,
        layers=None,
        pool="auto",
        transformations=None,
        twins="drawn",
        strengths=None,
        distance="euclidean",
        interactions=None,
        probe=None,
        n_pairs=10_000,
        image_shape=None,
        batch_size=None,
        precision="float32",
        random_state=None,
    ):
        self.encoder = encoder
        self.layer = layer
        self.layers = layers
        self.pool = pool
        self.transformations = transformations
        self.twins = twins
        self.strengths = strengths
        self.distance = distance
        self.interactions = interactions
        self.probe = probe
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
            Source that draws the twins. Its samples are compared with their neighbours, so that a `TransformedImages`
            of images that are sorted by class compares within classes. Or images, uint8 or float in [0, 1], such as
            those of `load_images`, in any order, which are transformed as a whole; or an array of shape (n_samples,
            n_features), see `image_shape`.
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
            If `encoder` or `probe` is of a type that cannot be used.

        Warns
        -----
        UserWarning
            If a mean distance rests on fewer than 3 pairs, so that its interval cannot be known; if an encoder gives
            the same images different features each time or in a different batch, or gives all images the same features;
            or if some of several encoders fail.
        """
        self._check_parameters()
        transformations, strengths = choose_transformations(self.transformations), check_strengths(self.strengths)
        interactions = choose_interactions(self.interactions, transformations, strengths)
        images = self._take(X, reset=True)  # before anything is kept: if it raises, the earlier fit stays
        self._transformations, self._strengths, self._interactions = transformations, strengths, interactions
        self._seed, self._whitenings = derive_seed(self.random_state, "sensitivity"), {}
        profiles, layers, failures = {}, {}, {}
        # what decides the distances that are kept: changed parameters count from the next fit on
        self._fitted = {name: getattr(self, name) for name in ("layer", "layers", "pool", "twins", "distance")}
        self._opened = dict(self._encoders())
        self._shown = self._identify(self._make_source(images, None))
        for name, encoder in self._encoders().items():
            try:
                profiles[name], layers[name] = self._profile(name, encoder, images)
            except Exception as error:
                if not isinstance(self.encoder, dict):
                    raise
                failures[name] = error
        if not profiles:
            name, error = next(iter(failures.items()))
            raise ValueError(f"all {len(failures)} encoders failed; {name}: {type(error).__name__}: {error}") from error
        self._scales = {name: _scales(profile) for name, profile in profiles.items()}
        self._layers = {name: one.get("layer", xr.DataArray([None])).values for name, one in profiles.items()}
        if isinstance(self.encoder, dict):
            messages = {name: f"{type(error).__name__}: {error}" for name, error in failures.items()}
            self.profile_ = join_profiles({name: profiles.get(name) for name in self.encoder}, messages)
            self.layer_ = {name: layers.get(name) for name in self.encoder}
            if messages:
                text = "; ".join(f"{name}: {message}" for name, message in messages.items())
                warnings.warn(f"{len(messages)} of {len(self.encoder)} encoders failed: {text}", stacklevel=2)
        else:
            self.profile_, self.layer_ = profiles[None], layers[None]
        warn_of_few(self.profile_.pair_distance, self.profile_.random_distance)
        warn_of_equal_features(self.profile_.random_distance)
        self._name_results()
        return self

    def _name_results(self):
        """Set the attributes that are parts of the profile."""
        profile = self.profile_
        self.sensitivity_ = profile.sensitivity
        bounds = [profile[f"sensitivity_{bound}"] for bound in ("low", "high")]
        bounds = xr.concat(bounds, "bound", coords="minimal", compat="override").assign_coords(bound=["low", "high"])
        self.sensitivity_interval_ = bounds.transpose(..., "bound").rename(None).assign_attrs(units="1", long_name="")
        self.pair_distances_, self.random_distances_ = profile.pair_distance, profile.random_distance
        self.companions_ = profile[list(COMPANIONS)].drop_vars(["pair", "image"], errors="ignore")
        values = [profile[name] if name in profile else xr.DataArray(np.nan) for name in COMPOSED]
        value, *interval = [one if one.ndim else one.item() for one in values]
        self.composed_sensitivity_, self.composed_sensitivity_interval_ = value, tuple(interval)

    def _check_parameters(self):
        check_count(self.n_pairs, "n_pairs", low=2)
        check_inference(self.batch_size, self.precision)
        for name, known in (("twins", TWINS), ("distance", DISTANCES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected one of: {', '.join(known)}")
        if isinstance(self.encoder, dict):
            check_encoders(self.encoder, "encoder")
        for probe in self.probe.values() if isinstance(self.probe, dict) else [self.probe]:
            if probe is not None and not callable(getattr(probe, "predict", None)):
                raise TypeError(f"probe is of type {type(probe).__name__}, expected a fitted classifier with `predict`")
            if getattr(probe, "encoder", None) is not None:
                raise ValueError(
                    f"probe is a {type(probe).__name__} with an encoder, expected a classifier of features, such as"
                    " FrozenFeatureProbe().fit(encode(encoder, X), y)"
                )
        for name in self._encoders():
            if isinstance(self.probe, dict) and name not in self.probe:
                raise ValueError(f"probe holds none for {name!r}, expected one for each encoder: {list(self.probe)}")

    def _encoders(self):
        """Return the encoders by their names; None is the name of one without a name."""
        return self.encoder if isinstance(self.encoder, dict) else {None: self.encoder}

    def _open(self, encoder):
        return open_encoder(encoder, self._fitted["layer"], self._fitted["pool"], self._fitted["layers"])

    def _profile(self, name, encoder, images):
        """Return the profile of one encoder, and where its features are taken."""
        encoder = self._open(encoder)
        source = self._make_source(images, encoder)
        probe = self.probe[name] if isinstance(self.probe, dict) else self.probe
        n_pairs, known = self._count_pairs(source), {}
        options = {key: value for key, value in self._options().items() if key not in ("twins", "distance")}
        if self.distance == "mahalanobis":
            plain = encode_plain(encoder, source, min(n_pairs, N_IMAGES_OF_COVARIANCE), name=name, **options)
            self._whitenings[name] = make_whitenings(encoder, plain)
            known = {"plain": plain, "whitenings": self._whitenings[name]}
        else:
            check_repeats(encoder, source, n_pairs, name=name, **options)
        profile = measure_profile(
            encoder, source, self._transformations, n_pairs, strengths=self._strengths,
            interactions=self._interactions, composed=len(source.transformations) > 0,
            objects="object" in getattr(source, "changes", ()), answer=None if probe is None else probe.predict,
            **known, **self._options(),
        )  # fmt: skip
        if not isinstance(images, Source):
            profile = profile.assign_coords(image=("pair", source.order))
        return add_interactions(profile), describe_features(encoder)

    def _count_pairs(self, source):
        """Return the number of pairs; of given images, at most one is made of each."""
        return min(self.n_pairs, getattr(source, "n_images", self.n_pairs))

    def _options(self):
        return {
            "twins": self._fitted["twins"], "distance": self._fitted["distance"],
            "batch_size": self.batch_size, "precision": self.precision,
            "prepare": partial(to_pixels, pixel_range=self._pixel_range) if self.image_shape_[2] == 1 else None,
        }  # fmt: skip

    def _measure_alone(self, name, encoder, source, n_pairs):
        """Return what is measured of each transformation alone, at each strength, in the units of fit."""
        sets = [(t.at(strength),) for t in self._transformations for strength in self._strengths or [1.0]]
        return measure_twins(encoder, source, sets, n_pairs, whitenings=self._whitenings.get(name), **self._options())

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
            in fit. The draws depend on the image alone, not on its place in `X`. Of several encoders, layers or
            strengths there is a column for each combination, see `get_feature_names_out`.
        """
        check_is_fitted(self)
        X = validate_input(self, X, reset=False)
        images = to_images(X, self._pixel_range)
        draws = np.array([zlib.crc32(np.ascontiguousarray(image).data) % N_ROW_DRAWS for image in images])
        columns = []
        for name, scales in self._scales.items():
            encoder = self._open(self._opened[name])
            source = take_images(images, encoder, self._seed, None, draws)
            distances = self._measure_alone(name, encoder, source, len(images)).pair_distances.values
            columns.append(distances.reshape(-1, len(images)) / np.where(scales > 0, scales, np.nan).reshape(-1, 1))
        return np.concatenate(columns).T

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
        images, ratios = self._take(X, reset=False), []
        for name in self._scales:
            encoder = self._open(self._opened[name])
            source = self._make_source(images, encoder)
            measured = self._measure_alone(name, encoder, source, self._count_pairs(source))
            normalisers = _scales(measured)
            ratios.append(measured.pair_distances.values.mean(-1) / np.where(normalisers > 0, normalisers, np.nan))
        return 1.0 - float(np.mean(np.concatenate(ratios, axis=None)))

    def make_twins(self, X, transformation, strength=1):
        """Make the images that fit compared, to look at them.

        Parameters
        ----------
        X : Transforms2D, TransformedImages, or array-like
            Source or images that the scorer was fitted on.
        transformation : str
            Name of one of the transformations.
        strength : float
            Strength, above 0 and up to 1.

        Returns
        -------
        images, twins : sequence of length n_pairs
            First and second image of each pair, arrays of shape (height, width, 3), in the order of the pairs of
            `profile_`; each is made when it is asked for. `invtransfer.plots.plot_affected` takes both.

        Raises
        ------
        ValueError
            If there is no such transformation, or `X` does not have as many images as in fit, or one of the 32 images
            that are compared differs.
        """
        check_is_fitted(self)
        known = {t.name: t for t in self._transformations}
        if not isinstance(transformation, str) or transformation not in known:
            raise ValueError(f"transformation is {transformation!r}, expected one of: {', '.join(known)}")
        source = self._make_source(self._take(X, reset=False), None)
        n_pairs = self.profile_.sizes["pair"]
        if self._count_pairs(source) != n_pairs:
            raise ValueError(f"X gives {self._count_pairs(source)} pairs, expected {n_pairs}, those of fit")
        if self._identify(source) != self._shown:
            raise ValueError("X has other images than in fit, or in another order")
        made_by = (known[transformation].at(strength),)
        twins = self._fitted["twins"]
        return tuple(ImagesOfPairs(source, n_pairs, made_by, twins, role) for role in ("first", "twin"))

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of `transform`: those of the transformations.

        If there are several, the names of the encoder and of the layer come first, and the strength last.

        Parameters
        ----------
        input_features : object
            Ignored.

        Returns
        -------
        names : ndarray of shape (n_columns,), object
        """
        check_is_fitted(self)
        names = []
        for encoder, layers in self._layers.items():  # of each encoder in its own order, as in `transform`
            for layer, t, strength in product(layers, self._transformations, self._strengths or [None]):
                parts = (encoder, layer, t.name, None if strength is None else f"at {strength:g}")
                names.append(" ".join(part for part in parts if part is not None))
        return np.array(names, dtype=object)

    def _take(self, X, reset):
        """Return `X` if it is a source, else images, after they were checked."""
        if isinstance(X, Source):
            if getattr(X, "n_images", 2) < 2:
                raise ValueError("X shows one image only, expected at least 2, since different images are compared")
            shape = tuple(X.image_shape)
            if not reset and shape != self.image_shape_:
                raise ValueError(f"X has images of shape {shape}, expected {self.image_shape_}, as in fit")
            if reset:
                forget_fit(self)
            self.image_shape_, self.n_features_in_, self._pixel_range = shape, int(np.prod(shape)), (0.0, 1.0)
            check_range(self, X.dtype, reset=reset)
            return X
        X = validate_input(self, X, reset=reset)
        if len(X) < 2:
            raise ValueError("X has n_samples = 1, expected at least 2, since different images are compared")
        if reset:
            self._pixel_range = find_pixel_range(X)
        return to_images(X, self._pixel_range)

    def _make_source(self, images, encoder):
        """Return what `_take` returned as a source of pairs, which are transformed on the encoder's device."""
        if isinstance(images, Source):
            return images
        order = order_of_pairs(len(images), self.n_pairs, self._seed)
        return take_images(images, encoder, self._seed, order, order)

    def _identify(self, source):
        """Return a checksum of some of the images that pairs are made of, or of all if they are few."""
        places = np.unique(np.linspace(0, self._count_pairs(source) - 1, N_IDENTIFIED).astype(int))
        shown = (source.sample(1, i, transformations=())[0] for i in places)
        return [zlib.crc32(np.ascontiguousarray(image).data) for image in shown]

    def __str__(self):
        """Show the sensitivities with their intervals, once there are some."""
        if not self.__sklearn_is_fitted__():
            return repr(self)
        bounds = self.sensitivity_interval_
        columns = {"sensitivity": self.sensitivity_} | {end: bounds.sel(bound=end) for end in ("low", "high")}
        return str(pd.DataFrame({name: values.to_series() for name, values in columns.items()}).round(3))

    def __sklearn_is_fitted__(self):
        """Tell whether `fit` has been called, whatever the encoder is."""
        return hasattr(self, "sensitivity_")

    def __sklearn_tags__(self):
        """Declare that the columns are float64, whatever the dtype of the images."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64"]
        return tags


def _scales(measured):
    """Return the mean distances between different images, (n_layers * n_transformations * n_strengths,)."""
    distances = measured["random_distance" if "random_distance" in measured else "random_distances"].values
    return mean_random_distance(distances)
