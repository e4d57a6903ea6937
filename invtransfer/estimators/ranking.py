"""Which of several encoders suits a labelled task: rank_encoders."""

from contextlib import contextmanager
from functools import partial

import numpy as np
import xarray as xr

from invtransfer.analysis.checks import check_array
from invtransfer.analysis.ranking import TEXTS, correlate, describe_accuracies, describe_others
from invtransfer.analysis.resampling import (
    choose_kept,
    deal_into_folds,
    jackknife_deviations,
)
from invtransfer.analysis.transferability import h_score, log_evidence, nearest_correct
from invtransfer.encoders.encoding import describe_features, encode_checked, open_encoder
from invtransfer.encoders.outputs import check_pool
from invtransfer.encoders.repeating import warn_if_features_vary
from invtransfer.estimators.inputs import check_encoders
from invtransfer.estimators.probing import FrozenFeatureProbe
from invtransfer.images.checks import check_count, check_images
from invtransfer.images.copies import warn_of_copies
from invtransfer.images.labels import check_groups, check_labels, count_per_class, find_repeated_classes
from invtransfer.networks.inference import check_inference
from invtransfer.randomness import derive_generator, derive_seed

SCORES = {
    "probe_accuracy": "1", "balanced_accuracy": "1", "nearest_accuracy": "1", "h_score": "1",
    "log_evidence": "nats per image",
}  # fmt: skip
N_NEIGHBORS = 5
N_SUBSETS = 50  # for which H-score and log evidence are computed again; the error of a standard deviation is 10 %
BOUNDS = ["low", "high"]


def rank_encoders(
    encoders,
    X,
    y,
    *,
    layer=None,
    pool="auto",
    groups=None,
    n_folds=5,
    n_resamples=1_000,
    sensitivity=None,
    needed=None,
    batch_size=None,
    precision="float32",
    random_state=None,
):
    """Rank encoders by how well their frozen features suit labels, and say how sure the ranking is.

    Parameters
    ----------
    encoders : dict of str to encoder
        Encoders by their names, see `invtransfer.encoders.encode`: torch modules, functions, fitted transformers,
        estimators of ours, or None for the pixels.
    X : array-like of shape (n_samples, height, width, 3), uint8 or float in [0, 1]
        Images of the task; or what `load_images` returns. Each encoder sees each of them once.
    y : array-like of shape (n_samples,)
        Labels, of at least two classes with at least two images each; classes with one image are left out.
    layer : str or None
        Layer of torch modules whose output is taken as the features, as for `FrozenFeatureProbe`; the same of all.
    pool : {"auto", "class", "mean", "flatten"}
        How token sequences and maps of torch modules become one row of features, as for `FrozenFeatureProbe`.
    groups : array-like of shape (n_samples,), or None
        Group of each image, such as the patient, the video or the camera, if images of a group are alike for other
        reasons than their class. No image is judged by others of its group: groups stay together in folds, do not vote
        for their own images, and are resampled as a whole. None: images are independent.
    n_folds : int
        Number of folds of the cross-validated probe; fewer, if all classes have fewer images (or groups), see "n_folds"
        of the result.
    n_resamples : int
        Number of bootstrap resamples of the images for the accuracies. The two other scores are computed again for
        50 subsets, which for 1,000 images with 768 features takes 9 s of one core, for 2,000 with 2,048 a minute and a
        half.
    sensitivity : xarray.DataArray over "encoder" and "transformation", or None
        Sensitivity of these encoders, and maybe of more, such as `sensitivity_` of a `SensitivityScorer` with a dict of
        encoders: do those that suit the task ignore a transformation, or not? NaN counts as missing.
    needed : list of str or None
        Transformations that the task needs to be ignored, such as `advised_` of an `InvarianceAdvisor`: do the better
        encoders share them? `sensitivity` must have all of them.
    batch_size : int or None
        Number of images per call of a torch module or function. None: by the size of the images and the device.
    precision : {"float32", "bfloat16", "float16"}
        Number format in which a torch module computes where it can choose (autocast).
    random_state : int, RandomState or None
        Seed of folds and resamples. They are the same for all encoders, so that differences are paired.

    Returns
    -------
    ranking : xarray.Dataset over "encoder", in the order of their probe accuracy, and "score"
        The scores, of which higher is better, are "probe_accuracy", that of `FrozenFeatureProbe` on images of folds
        that it has not seen; "balanced_accuracy", the mean over classes of the share of its images about which the same
        probe is right; "nearest_accuracy", that of the 5 nearest other images; "h_score" and "log_evidence", see
        `invtransfer.analysis`. Of each there are "value"; "interval", its 95 % interval, over "bound"; "first", the
        share of the resamples in which the encoder has the highest score (ties share equally); "ahead", the share
        in which it is above the next encoder of the list, where ties count half; and "difference", to the first of the
        list, with "difference_interval". The attributes are "n_folds", "n_resamples", "n_subsets", "n_images",
        "n_classes", "n_groups" if there are groups, and "chance", the share of the largest class; the chance of the
        balanced accuracy is 1 / n_classes. With `sensitivity` there are, over "transformation", "rank_correlation",
        Spearman's, between probe accuracy and sensitivity over the "n_encoders" that have one; NaN if they are fewer
        than 3; and with `needed`, over "encoder", "needed_sensitivity", the mean over what is needed.
        `invtransfer.analysis.format_ranking` makes a table of it.

    Raises
    ------
    ValueError
        If the data or a parameter is not as described, or `sensitivity` lacks an encoder or what is `needed`; or if an
        encoder fails, with its name.
    TypeError
        If `encoders` is not a dict, or `sensitivity` not a DataArray.

    Warns
    -----
    ConvergenceWarning
        If a probe has not converged.
    UserWarning
        If classes are left out, many images are equal to others, or an encoder gives the same images different
        features each time or in a different batch.

    Notes
    -----
    *Intervals.* An accuracy is a share of right answers: its interval is Clopper and Pearson's, and that of a
    difference Bonett and Price's, both over groups if there are any; see `share_interval` and
    `share_difference_interval` in `invtransfer.analysis.intervals`. These intervals do not cover how much the accuracy
    would vary if the probe were fitted on other images. Those of the balanced accuracy and of its differences allow for
    classes of few images, see `invtransfer.analysis.resampling.balanced_interval`. "first" and "ahead" are shares of
    bootstrap resamples, which draw images, or groups, with replacement; with few groups they are too sure. For H-score
    and log evidence, an image that is drawn twice would look like two of a class that are close together, and raise the
    score. So they are computed on subsets that leave out a fifth of each class (the delete-d jackknife), and deviations
    are multiplied by 2, the square root of (4/5) / (1/5), see `invtransfer.analysis.resampling`. Their intervals are
    for the score on other images, as many of each class; in simulations with 30 to 100 images and 4 to 200 features
    they contained the mean of this score in 94 to 98 % of the cases.

    *The best of many.* The first encoder is chosen by the accuracies that are shown, so its own is too high if several
    are close. "first" and "difference_interval" say how close they are.

    *What scores can say.* Of 23 scores that need no training, nearest neighbours predicted fine-tuned accuracy best in
    one large comparison; in another, of 715,000 settings, none was best everywhere. H-score and log evidence depend on
    the number of images and of features, so that they compare encoders on the same images only.

    References
    ----------
    Sorkhei et al., arXiv 2503.18528; Agostinelli et al., "How stable are transferability metrics evaluations?", ECCV
    2022, arXiv 2204.01403; Ibrahim et al., arXiv 2110.06893; You et al., ICML 2021, arXiv 2102.11005.

    Examples
    --------
    >>> from invtransfer import Transforms2D, load_objects, rank_encoders
    >>> X, y = Transforms2D(load_objects("procedural")[:3], random_state=0).sample(60)
    >>> encoders = {"brightness": lambda X: X.mean(axis=(1, 2, 3))[:, None], "colour": lambda X: X.mean(axis=(1, 2))}
    >>> ranking = rank_encoders(encoders, X, y, random_state=0)
    >>> ranking.encoder.values.tolist()
    ['colour', 'brightness']
    >>> ranking.value.dims, ranking.interval.dims
    (('encoder', 'score'), ('encoder', 'score', 'bound'))
    """
    check_encoders(encoders, "encoders")
    X = check_images(X)
    y, groups = check_labels(y, len(X)), check_groups(groups, len(X))
    rows, _, codes = find_repeated_classes(y, groups=groups)
    warn_of_copies(X, groups=groups)
    groups = None if groups is None else groups[rows]
    counts, n_units = np.bincount(codes), len(rows) if groups is None else len(np.unique(groups))
    n_folds = min(check_count(n_folds, "n_folds", low=2), int(count_per_class(codes, groups).max()))
    check_count(n_resamples, "n_resamples", low=2, high=1_000_000)
    check_inference(batch_size, precision)
    check_pool(pool)
    if sensitivity is not None:
        sensitivity = _check_sensitivity(sensitivity, encoders)
    needed = _check_needed(needed, sensitivity)
    opened = _open_all(encoders, layer, pool)  # before the first one is run
    seed = derive_seed(random_state, "ranking")
    folds = deal_into_folds(codes, n_folds, derive_generator(seed, "folds"), groups)
    kept = choose_kept(codes, N_SUBSETS, derive_generator(seed, "subsets"), groups)
    measured, coordinates = [], {"features": [], "n_features": []}
    for name, encoder in opened.items():
        with _naming(name):
            warn_if_features_vary(encoder, X, name, batch_size, precision)
            Z = encode_checked(encoder, X, batch_size, precision=precision)[rows]
            measured.append(_measure(Z, codes, folds, kept, groups))
        coordinates["features"].append(describe_features(encoder) or "")
        coordinates["n_features"].append(Z.shape[1])
    correct, others, of_subsets = (np.stack(one, axis=-2) for one in zip(*measured, strict=True))
    deviations = jackknife_deviations(of_subsets, kept)
    generate = partial(derive_generator, seed, "resamples")
    order = np.argsort(-correct[..., 0].mean(axis=0), kind="stable")
    ranking = xr.concat(
        [
            describe_accuracies(correct[:, order], codes, groups, n_resamples, generate),
            describe_others(others[order], deviations[:, order], n_units, len(counts)),
        ],
        "score",
    )
    names = np.array(list(opened))[order]
    ranking = ranking.transpose("encoder", "score", ...).assign_coords(
        {"encoder": names, "score": list(SCORES), "bound": BOUNDS, "score_units": ("score", list(SCORES.values()))}
        | {name: ("encoder", np.array(values)[order]) for name, values in coordinates.items()}
    )
    if sensitivity is not None:
        ranking = ranking.assign(correlate(ranking.value.sel(score="probe_accuracy"), sensitivity))
    if needed:
        means = sensitivity.sel(transformation=needed).mean("transformation", skipna=False).sel(encoder=names)
        ranking["needed_sensitivity"] = "encoder", means.values
    for name, (units, text) in TEXTS.items():
        if name in ranking:
            ranking[name].attrs = {"units": units, "long_name": text}
    return ranking.assign_attrs(
        n_folds=n_folds, n_resamples=n_resamples, n_subsets=len(kept), n_images=len(rows), n_classes=len(counts),
        chance=float(counts.max() / len(rows)), **({} if groups is None else {"n_groups": n_units}),
    )  # fmt: skip


def _open_all(encoders, layer, pool):
    opened = {}
    for name, encoder in encoders.items():
        with _naming(name):
            opened[name] = open_encoder(encoder, layer, pool)
    return opened


@contextmanager
def _naming(name):
    """Name the encoder in whatever is raised."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"encoder {name!r}: {type(error).__name__}: {error}") from error


def _check_sensitivity(sensitivity, encoders):
    dims = ["encoder", "transformation"]
    sensitivity = check_array(sensitivity, "sensitivity", dims=dims, coordinates=dims, once=dims)
    surplus = [dim for dim in sensitivity.dims if dim not in dims]
    if surplus:
        raise ValueError(f"sensitivity also has the dimension {surplus[0]!r}: select one label of it first")
    missing = [name for name in encoders if name not in sensitivity.encoder.values.tolist()]
    if missing:
        raise ValueError(
            f"sensitivity has no encoder {missing[0]!r}, expected all of encoders; it has:"
            f" {', '.join(map(str, sensitivity.encoder.values))}"
        )
    return sensitivity.transpose(*dims)


def _check_needed(needed, sensitivity):
    if needed is None:
        return []
    needed = needed if isinstance(needed, str) else list(needed)
    if isinstance(needed, str) or not all(isinstance(name, str) for name in needed):
        raise ValueError(f"needed is {needed!r}, expected a list of names of transformations")
    known = [] if sensitivity is None else sensitivity.transformation.values.tolist()
    for name in needed:
        if name not in known:
            there = ", ".join(known) or "none"
            raise ValueError(f"needed holds {name!r}, expected transformations of sensitivity, which has: {there}")
    return needed


def _measure(Z, codes, folds, kept, groups):
    """Return which answers are right, (n_samples, 2), the two other scores, (2,), and those of subsets."""
    n_others = len(Z) - (1 if groups is None else np.unique(groups, return_counts=True)[1].max())
    right = [_probe_correct(Z, codes, folds), nearest_correct(Z, codes, min(N_NEIGHBORS, int(n_others)), groups)]
    others = np.array([h_score(Z, codes), log_evidence(Z, codes)])
    of_subsets = np.array([[h_score(Z[rows], codes[rows]), log_evidence(Z[rows], codes[rows])] for rows in kept])
    return np.stack(right, axis=1), others, of_subsets


def _probe_correct(Z, codes, folds):
    correct = np.empty(len(Z), dtype=bool)
    for fold in range(folds.max() + 1):
        test = folds == fold
        probe = FrozenFeatureProbe().fit(Z[~test], codes[~test])
        correct[test] = probe.predict(Z[test]) == codes[test]
    return correct
