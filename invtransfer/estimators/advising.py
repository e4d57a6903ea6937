"""Which invariances a task needs, and what to do: InvarianceAdvisor."""

import math
import warnings
from functools import partial

import numpy as np
import torch
import xarray as xr
from sklearn.base import BaseEstimator
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from invtransfer.analysis import format_table
from invtransfer.analysis.advice import choose_advised, decide, format_accuracies, format_advised, shorten_repeated
from invtransfer.analysis.evidence import CrossValidatedProbe
from invtransfer.analysis.intervals import (
    combine_gains,
    is_better_than_chance,
    mean_interval,
    ratio_interval,
    share_interval,
)
from invtransfer.analysis.representations import (
    compare_within_blocks,
    distances,
    sensitivity_interval,
)
from invtransfer.analysis.resampling import deal_groups
from invtransfer.encoders.encoding import count_at_once, describe_features, encode_pieces, open_encoder
from invtransfer.estimators.frozen import AroundEncoder
from invtransfer.estimators.inputs import choose_transformations, validate_input
from invtransfer.estimators.pairs import differ, order_of_pairs, take_images
from invtransfer.estimators.pixel_rows import find_pixel_range, to_images, to_pixels
from invtransfer.estimators.twins import encode_plain
from invtransfer.images.checks import check_count
from invtransfer.images.copies import warn_of_copies
from invtransfer.images.labels import check_groups, count_per_class, find_repeated_classes
from invtransfer.networks.inference import check_inference
from invtransfer.randomness import derive_generator, derive_seed

THUMBNAIL = 32  # side in pixels of the images whose pixels are the second view
MEASURED = {  # over transformation and view; each with its interval
    "gain": "how much smaller the squared error of the probe becomes if it is fitted on copies as well",
    "accuracy_gain": "how much larger its accuracy becomes",
    "consistency": "share of copies for which the answer of the probe that saw none stays",
    "affinity": "accuracy of that probe on copies, over that on images as they are",
    "retained": "of what tells the classes apart, the share that copies alone teach; above chance in both",
    "relevant_share": "share of the displacement that the probe reads, over that of differences between classes",
    "explained": "share of the distance to an image of the class that the best copy takes away, minus other classes'",
}


class InvarianceAdvisor(AroundEncoder, BaseEstimator):
    """Find out which invariances a task needs from labelled images, and what to do about each transformation.

    Each image is transformed a few times at random. A probe tells the classes apart, in two views of the images: the
    features of the encoder, and the pixels of the images brought to 32 x 32, which no encoder has filtered. Does the
    probe err less on the images as they are, if it is fitted on transformed copies as well? Then the task varies by
    this transformation. Do copies alone teach nothing about the images as they are? Then the label depends on it.

    Parameters
    ----------
    encoder : InvariantPretrainer, fitted transformer or pipeline, torch.nn.Module, callable or None
        Encoder from images to features, see `invtransfer.encoders.encode`. A torch module receives float tensors in
        [0, 1] of shape (n_samples, 3, height, width), so a normalisation of the images belongs in it; a function
        receives the array of images as given, uint8 or float of shape (n_samples, height, width, 3); a transformer
        receives each image as one row. None: the pixels are the features, and there is one view.
    layer : str or None
        Layer of a torch module whose output is taken as the features. None: what the module itself calls its feature;
        see `invtransfer.encoders.LayerFeatures`.
    pool : {"auto", "class", "mean", "flatten"}
        How token sequences and maps of a torch module become one row of features, see `LayerFeatures`.
    transformations : sequence of str or Transformation, or None
        Transformations, each of which is judged alone. None: all 18 of `TRANSFORMATIONS`.
    n_draws : int
        Number of transformed copies of each image, for each transformation.
    n_folds : int
        Number of parts of the images; each part is judged by a probe that was fitted on the others. Fewer if all
        classes have fewer images (or groups).
    image_shape : tuple of int or None
        Shape (height, width, 3) of the images if `X` holds flattened images, of shape (n_samples, n_features). None:
        such an `X` is read as rows of pixels, also if it holds features that were saved, which means nothing.
    batch_size : int or None
        Number of images per call of a torch module or function. None: by the size of the images and the device.
    precision : {"float32", "bfloat16", "float16"}
        Number format in which a torch module computes where it can choose (autocast).
    random_state : int, RandomState or None
        Seed of the transformations and of the folds.
    verbose : bool
        Whether to show on the standard error how many of the transformations are done, and the time left.

    Attributes
    ----------
    advice_ : pandas.DataFrame, a row for each transformation
        "advice": "encourage", "try", "stay sensitive", "avoid", "already ignored", "nothing to gain" or "unknown", see
        Notes. "z": gain over the usable views in standard errors. "sensitivity" of the encoder. Of the encoder's
        features "accuracy_gain", "consistency" and "affinity"; of the better view "retained"; see `evidence_`. "what to
        do": a sentence. First those to encourage.
    advised_ : list of str
        Transformations to pretrain with, the most useful first: those to encourage and those to try, because an
        invariance too many costs little, and one too few much; at most 6.
    evidence_ : xarray.Dataset over "transformation" and "view"
        What was measured, each with its 95 % interval over images (`_low`, `_high`). Views are "pixels" and "features".
        "gain", "accuracy_gain", "consistency", "affinity", "retained", "relevant_share", "explained": see Notes. Over
        "transformation": "z"; "n_effective", the number of independent images that would give the gain this standard
        error; "different", the share of copies whose features differ; "sensitivity" to the transformation, from these.
        Over "view": "accuracy" of the probe on images as they are; "usable", whether it is clearly above the share of
        the largest class (p < 0.001). A view that is not usable is shown, but has no part in z and the advice.
    classes_ : ndarray of shape (n_classes,)
        Sorted labels of the classes that have at least two images.
    n_folds_ : int
        Number of folds.
    layer_ : str or None
        Where the features are taken in a torch module and how they are pooled; None for other encoders.
    image_shape_ : tuple of int
        Shape (height, width, n_channels) of the images seen in fit.
    n_features_in_ : int
        height * width * n_channels.

    Notes
    -----
    *The probe* is a ridge regression of the classes on a wide Gaussian kernel of the features, see
    `invtransfer.analysis.evidence.CrossValidatedProbe`; all answers are for images that it was not fitted on. With e(x)
    the squared error of its prediction for image x, e_t(x) the same error if the probe is fitted on copies as well
    (each copy counts as much as the image itself), and t x a copy of x:

    - gain = mean of e(x) - e_t(x). z is the mean over images of the sum over usable views of (e - e_t), each in units
      of its standard deviation, divided by its standard error, as a standard normal number.
    - accuracy_gain = accuracy of the probe that is fitted on copies as well - accuracy of the probe that is not.
    - consistency = share of copies with answer(t x) = answer(x) (Zhang 2019).
    - affinity = accuracy on copies / accuracy on images (Gontijo-Lopes et al. 2020).
    - retained = (accuracy on images of a probe that is fitted on copies alone - c) / (accuracy - c), with c the share
      of the largest class. 0 if the label is the transformation, so that copies have random labels.
    - relevant_share = |Q d|^2 / |d|^2 over that of differences between images of different classes, with d the
      displacement by the transformation and Q the directions that the probe's weights span.
    - explained = 1 - min over copies |t x - x'| / |x - x'|, x' another image of the class, minus the same with an image
      of another class (after Bouchacourt et al. 2021).

    *The advice* follows from z, retained and sensitivity by the rules of `invtransfer.analysis.advice.decide`:

    - encourage: copies help, and the encoder reacts to the transformation. Pretrain with it.
    - try: copies change little, or harm slightly. Pretrain with it, after those to encourage.
    - stay sensitive: the label depends on it. The encoder should react to it, so do not pretrain with it.
    - avoid: copies harm more than slightly, so that images of this kind do not come in the task; or they do not help,
      and the label may depend on the transformation. Do not pretrain with it.
    - already ignored: the encoder ignores it. Nothing is to be done, whether the task needs that (the sentence says so
      if z is above 1.645) or not.
    - nothing to gain: the probe is right about all images without copies.
    - unknown: no probe is clearly better than naming the largest class.

    The other numbers are shown, and not used: in `studies/advice.py`, the gain finds the transformations that a task
    varies by, and the others do so worse.

    *With shuffled labels* of 120 images (4 classes, an untrained network, all 18 transformations) each piece of advice
    was "unknown" in 39 of 40 runs; in one, the probe was taken for better than chance, and some were advised.

    *What it cannot say.* Whole images are transformed, not the objects in them. Each transformation is judged alone and
    at full strength. "stay sensitive" is also the advice if the probe cannot cope with a transformation, such as invert
    if the pixels are the only view. A label that depends on a transformation only in part is not found, such as the
    half of the image in which an object lies, which small shifts change only now and then. A label that is the
    sharpness is harder to find than one that is the hue or the angle, because blur adds to blur and leaves the order of
    sharpness as it is. In 40 tasks of 300 images and an untrained network, which hardly reacts to blur (sensitivity
    0.07), the advice about "blur" was "stay sensitive" in 36, and "already ignored" in 4 (with 1,000 images "stay
    sensitive" in 20 of 20); about "sharpen" it was "stay sensitive" in 7, "avoid", because the label may depend on it,
    in 21, and "avoid" in 12. With trained encoders that react to blur (0.3) it was "avoid". Neither was advised in any
    of these tasks. Intervals are over images, or over groups of them, and take the folds as given.

    *Memory.* The features of all images are kept, and those of the `n_draws` copies of one transformation, with their
    32 x 32 pixels: 0.3 MB per image with 2,048 features and 4 copies (measured). The images themselves are read as
    needed.

    References
    ----------
    Speicher, Nanda, Gummadi, "Understanding the Role of Invariance in Transfer Learning", TMLR 2024. Gontijo-Lopes et
    al., "Affinity and diversity", 2020, arXiv 2002.08973. Zhang, "Making convolutional networks shift-invariant again",
    ICML 2019. Bouchacourt et al., "Grounding inductive biases in natural
    images", NeurIPS 2021. Williams and Seeger, "Using the Nystroem method to speed up kernel machines", NIPS 2000.

    Examples
    --------
    >>> from invtransfer import InvarianceAdvisor, Transforms2D, load_objects
    >>> target = Transforms2D(load_objects("procedural")[:4], ["h_flip"], random_state=0)
    >>> advisor = InvarianceAdvisor(transformations=["h_flip", "translate"], random_state=0).fit(*target.sample(200))
    >>> advisor.advice_.advice.to_dict()
    {'h_flip': 'encourage', 'translate': 'avoid'}
    """

    def __init__(
        self,
        encoder=None,
        *,
        layer=None,
        pool="auto",
        transformations=None,
        n_draws=4,
        n_folds=5,
        image_shape=None,
        batch_size=None,
        precision="float32",
        random_state=None,
        verbose=False,
    ):
        self.encoder = encoder
        self.layer = layer
        self.pool = pool
        self.transformations = transformations
        self.n_draws = n_draws
        self.n_folds = n_folds
        self.image_shape = image_shape
        self.batch_size = batch_size
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y, groups=None):
        """Measure what each transformation does to the task.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, 3), uint8 or float in [0, 1]
            Images, such as those of `load_images`; or an array of shape (n_samples, n_features), see `image_shape`.
        y : array-like of shape (n_samples,)
            Labels.
        groups : array-like of shape (n_samples,), or None
            Group of each image, such as the patient, the video or the camera, if images of a group are alike for other
            reasons than their class. The images of a group are in the same fold, and all intervals and z are over
            groups. None: images are independent.

        Returns
        -------
        self : InvarianceAdvisor

        Raises
        ------
        ValueError
            If the data or a parameter is not as described, no class or only one has two images (or groups), the encoder
            has no such layer, or it does not return one finite row per image.
        TypeError
            If `encoder` is of a type that cannot be used.

        Warns
        -----
        UserWarning
            If classes have one image (or group) only, which are left out, or many images are equal to others.
        """
        return self._fit(X, y, groups, lambda name, measure: measure())

    def _fit(self, X, y, groups, keep):
        """Fit as `fit` says.

        `keep` gets the name of each transformation and a function that measures it, and returns what this returns, or
        returned in an earlier fit that was interrupted.
        """
        chosen = choose_transformations(self.transformations)
        check_count(self.n_draws, "n_draws", high=1_000)
        check_count(self.n_folds, "n_folds", low=2)
        check_inference(self.batch_size, self.precision)
        X, y = validate_input(self, X, y, reset=True)
        groups = check_groups(groups, len(y))
        rows, self.classes_, codes = find_repeated_classes(y, groups=groups)
        groups = None if groups is None else groups[rows]
        self.n_folds_ = int(min(self.n_folds, count_per_class(codes, groups).max()))
        seed = derive_seed(self.random_state, "advice")
        self._pixel_range = find_pixel_range(X)
        encoder = open_encoder(self.encoder, self.layer, self.pool)
        source = take_images(to_images(X, self._pixel_range), encoder, seed, rows, None)
        views = self._encode_images(encoder, source, len(codes))
        warn_of_copies(next(iter(views.values())), groups=groups)
        self.evidence_ = self._measure(encoder, source, views, codes, groups, chosen, seed, keep)
        self.layer_ = describe_features(encoder)
        self.advice_ = decide(self.evidence_)
        self.advised_ = choose_advised(self.advice_)
        return self

    def _measure(self, encoder, source, views, codes, groups, transformations, seed, keep):
        # the same arrays for all transformations: new ones would take longer than what is written into them
        copies = {name: np.empty((self.n_draws, *Z.shape), np.float32) for name, Z in views.items()}
        order = order_of_pairs(len(codes), len(codes), seed)
        folds = _make_folds(codes, self.n_folds_, derive_seed(seed, "folds"), groups)
        probes = {
            name: CrossValidatedProbe(Z, codes, folds, derive_generator(seed, name), scale=name == "features")
            for name, Z in views.items()
        }
        chance = np.bincount(codes).max() / len(codes)
        accuracies = np.array([share_interval(probe.correct, groups) for probe in probes.values()])
        usable = np.array([is_better_than_chance(probe.correct, chance, groups) for probe in probes.values()])

        def measure(transformation):
            for name, Z in views.items():
                copies[name][:] = Z  # the transformation may leave an image alone
            self._encode_copies(encoder, source, transformation, copies)
            compared = {name: probes[name].compare(Z) for name, Z in copies.items()}
            gains = [one["gain"] for one, say in zip(compared.values(), usable, strict=True) if say]
            z, n_effective = combine_gains(gains, groups) if gains else (np.nan, np.nan)
            summary = {"z": ((), z), "n_effective": ((), n_effective)}
            summary |= _measure_sensitivity(views["features"], copies["features"], order, groups)
            by_view = [_summarise(compared[name], probes[name].correct, chance, groups) for name in views]
            for name in by_view[0]:
                summary[name] = ("view", [one[name] for one in by_view])
            return xr.Dataset(summary)

        bar = tqdm(transformations, "transformations", leave=False, disable=not self.verbose)
        rows = [keep(transformation.name, partial(measure, transformation)) for transformation in bar]
        evidence = xr.concat(rows, "transformation").assign_coords(
            transformation=[t.name for t in transformations], view=list(views),
            category=("transformation", [t.category for t in transformations]),
        )  # fmt: skip
        for name, values in zip(("accuracy", "accuracy_low", "accuracy_high"), accuracies.T, strict=True):
            evidence[name] = ("view", values, {"long_name": "accuracy of the probe on images as they are"})
        words = "whether the probe of the view is clearly better than chance"
        evidence["usable"] = ("view", usable, {"long_name": words})
        evidence.attrs = {"n_images": len(codes), "n_classes": int(codes.max()) + 1, "chance": chance}
        if groups is not None:
            evidence.attrs["n_groups"] = len(np.unique(groups))
        return _describe(evidence)

    def _encode_images(self, encoder, source, n):
        """Return the features of images as they are, (n, n_features), by view."""
        views = {}
        if self.encoder is not None:
            pieces = (source.sample(len(rows), rows[0], transformations=())[0] for rows in _cut(source, n))
            views["pixels"] = np.concatenate([_shrink(images) for images in pieces])
        views["features"] = encode_plain(encoder, source, n, prepare=self._prepare, **self._options())
        return views

    def _encode_copies(self, encoder, source, transformation, copies):
        """Write the features of those copies that differ from their images into arrays (n_draws, n, n_features)."""
        n_draws, n, n_features = copies["features"].shape

        def make_pieces():
            for rows in _cut(source, n):
                images, _ = source.sample(len(rows), rows[0], transformations=())
                for draw in range(n_draws):
                    shown = take_images(images, encoder, source.random_state, None, rows + draw * n)
                    made, _ = shown.sample(len(rows), transformations=[transformation])
                    acts = differ(made, images)
                    made, place = made[acts], (draw, rows[acts])
                    if "pixels" in copies:
                        copies["pixels"][place] = _shrink(made)
                    yield place, self._prepare(made)

        for place, Z in encode_pieces(encoder, make_pieces(), n_features=n_features, **self._options()):
            copies["features"][place] = Z

    def _prepare(self, images):
        """Return what the encoder is given of images."""
        return images if self.image_shape_[2] == 3 else to_pixels(images, self._pixel_range)

    def _options(self):
        return {"batch_size": self.batch_size, "precision": self.precision}

    def __str__(self):
        """Show the advice, once there is some."""
        if not self.__sklearn_is_fitted__():
            return repr(self)
        return format_advice(self)

    def __sklearn_is_fitted__(self):
        """Tell whether `fit` has been called, whatever the encoder is."""
        return hasattr(self, "advice_")

    def __sklearn_tags__(self):
        """Declare that labels are needed."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def format_advice(advisor):
    """Format the advice of a fitted advisor.

    Parameters
    ----------
    advisor : InvarianceAdvisor
        Fitted.

    Returns
    -------
    text : str
        What was asked of how many images, a line for each transformation, and what to pretrain with.
    """
    check_is_fitted(advisor)
    evidence = advisor.evidence_
    lines = [
        f"advice from {evidence.n_images} images of {evidence.n_classes} classes"
        + (f" in {evidence.n_groups} groups" if "n_groups" in evidence.attrs else "")
        + f"; accuracy of the probe: {format_accuracies(evidence)}; the largest class: {evidence.chance:.2f}",
        "",
    ]
    advice = advisor.advice_
    sentences = shorten_repeated(advice["what to do"].tolist())
    table = format_table([list(row) for row in zip(advice.index, advice.advice, sentences, strict=True)], n_left=3)
    advised = format_advised(advisor.advised_, advice.advice.to_dict())
    return "\n".join([*lines, table, "", f"pretrain with: {advised}"])


def _make_folds(codes, n_folds, seed, groups):
    """Return the fold of each image; each class is spread over the folds."""
    if groups is not None:
        return deal_groups(codes, n_folds, seed, groups)
    folds = np.empty(len(codes), int)
    with warnings.catch_warnings(action="ignore"):  # of classes with fewer images than folds: one each in some folds
        splits = list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(codes, codes))
    for fold, (_, rows) in enumerate(splits):
        folds[rows] = fold
    return folds


def _cut(source, n):
    """Yield the numbers of images that are made at once."""
    step = count_at_once(source.image_shape, source.dtype)
    for start in range(0, n, step):
        yield np.arange(start, min(n, start + step))


def _shrink(images):
    """Return the pixels of images that are brought to at most 32 x 32, by means over areas, (n, n_pixels), float32."""
    scale = np.float32(1 / 255 if images.dtype == np.uint8 else 1)
    size = tuple(min(side, THUMBNAIL) for side in images.shape[1:3])
    if size != images.shape[1:3] and len(images):
        tensors = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        images = torch.nn.functional.adaptive_avg_pool2d(tensors, size).permute(0, 2, 3, 1).numpy()
    n_pixels = math.prod(size) * images.shape[3]  # also if there is no image, because none was changed
    return images.reshape(-1, n_pixels).astype(np.float32) * scale


def _measure_sensitivity(Z, Z_copies, order, groups):
    """Measure the sensitivity of the features, from the first copy of each image that differs.

    Different images are compared within blocks: `order` is random, so that sorted images meet those of all classes.
    """
    differs = (Z_copies != Z).any(axis=2)
    rows = order[differs.any(axis=0)[order]]
    sensitivity = np.full(3, np.nan)
    if len(rows) > 1:
        twins = Z_copies[differs.argmax(axis=0)[rows], rows]
        own = distances(Z[rows], twins)
        others, _ = compare_within_blocks(Z[rows], twins)
        sensitivity = sensitivity_interval(own, others, None if groups is None else groups[rows])
    values = dict(zip(("sensitivity", "sensitivity_low", "sensitivity_high"), sensitivity, strict=True))
    return {name: ((), float(value)) for name, value in values.items()} | {"different": ((), differs.mean())}


def _summarise(compared, correct, chance, groups):
    """Return the means of one view with their intervals."""
    found = {
        "gain": mean_interval(compared["gain"], groups),
        "accuracy_gain": mean_interval(compared["accuracy_gain"], groups),
        "consistency": share_interval(compared["consistent"], groups),
        "affinity": ratio_interval(compared["correct_transformed"], correct, groups),
        "retained": ratio_interval(compared["retained"] - chance, correct - chance, groups),
        "relevant_share": ratio_interval(compared["relevant"], compared["displaced"], groups),
        "explained": mean_interval(compared["explained"], groups),
    }
    ends = ("", "_low", "_high")
    return {f"{name}{end}": v for name, values in found.items() for end, v in zip(ends, values, strict=True)}


def _describe(evidence):
    """Give the variables their units and names."""
    texts = MEASURED | {
        "z": "gain over the usable views in standard errors",
        "n_effective": "number of independent images over which that gain would have its standard error",
        "sensitivity": "distance of images and the copies that differ from them, over that of different images",
        "different": "share of the copies whose features differ from those of the image",
    }
    for name, text in texts.items():
        for end, part in (("", ""), ("_low", "lower end of its 95 % interval: "), ("_high", "upper end: ")):
            if f"{name}{end}" in evidence:
                evidence[f"{name}{end}"].attrs["long_name"] = part + text
    for variable in evidence.data_vars.values():
        variable.attrs.setdefault("units", "1")
    return evidence
