"""From evidence to advice: which invariances a task needs, and what to do about each transformation."""

import numpy as np
import pandas as pd

CLEAR = 1.645  # standard errors beyond which a gain or a loss is taken for one: one side of 5 %
FAR = 5.0  # standard errors of a loss from which on labels of copies are taken for wrong, not for hard to tell
SLIGHT = 0.2  # standard deviations of a loss over images up to which it is slight: a small effect after Cohen
LOST = 0.1  # fall of the accuracy beyond which harm is not slight, however few images there are
IGNORED = 0.1  # sensitivity below which an encoder ignores a transformation
HALF = 0.5  # share of what tells the classes apart below which the label depends on a transformation
MOST = 0.9  # the same share where the encoder ignores the transformation, so that copies look like the task's images
MOST_ADVISED = 6  # invariances that are advised at most: more of them need a larger source to be learned
ADVICE = ("encourage", "try", "stay sensitive", "avoid", "already ignored", "nothing to gain", "unknown")


def decide(evidence):
    """Decide what to do about each transformation.

    Parameters
    ----------
    evidence : xarray.Dataset over "transformation" and "view"
        As `InvarianceAdvisor` measures it, with "z", "n_effective" and "sensitivity_high" over "transformation",
        "retained_high" and "accuracy_gain" over both, and over "view" the probe's "accuracy" on
        images as they are, and "usable": whether it is clearly better than chance.

    Returns
    -------
    advice : pandas.DataFrame, a row for each transformation
        Columns: "advice", a word of `ADVICE`; what the numbers of `InvarianceAdvisor` say; and "what to do", a
        sentence. In the order of `ADVICE`, and those of the same advice with the largest gain first.

    Notes
    -----
    The first rule that holds decides:

    1. already ignored: all copies have exactly the features of their images.
    2. unknown: no probe is clearly better than chance (p >= 0.001), or nothing is known of the transformation.
    3. stay sensitive: copies harm the probe by far (z below -5), and a probe that saw copies alone has lost more than
       half of what tells the classes apart, in all views (upper end of "retained" below 0.5). If the encoder ignores
       the transformation (upper end of its sensitivity below 0.1), a loss of more than a tenth is enough (upper end of
       "retained" below 0.9).
    4. already ignored: the encoder ignores it (upper end of its sensitivity below 0.1), and nothing says clearly that
       the label may depend on it (rule 6, with z below -1.645).
    5. encourage: copies help the probe (z above 1.645), also where the probe of the features is right about all images
       without copies: with copies, its answers are surer.
    6. avoid: copies do not help (z below 0), and a probe that saw copies alone has lost more than half of what tells
       the classes apart, in all views ("retained" below 0.5): the label may depend on the transformation, though the
       images are too few or the probe too weak for "stay sensitive".
    7. avoid: copies harm the probe more than slightly. Either the mean loss exceeds 0.2 standard deviations over images
       by more than 1.645 standard errors; or the loss is clear (z below -1.645), and the accuracy from the features
       falls by more than 0.1 ("accuracy_gain"), however few images there are. Images of this kind do not come in the
       task, or the label depends on the transformation.
    8. nothing to gain: the probe of the features is right about all images already.
    9. try: copies change little.

    *Why slight harm is no reason against it.* Whole images are transformed, also where the task varies by an object in
    them, so that copies harm a little even if the task varies by the transformation. In eight pilot tasks that no
    preset of ``studies/advice.py`` has, encoders that were pretrained with the six transformations of largest gain had
    an accuracy of 0.83 on the target, and those with the ones of positive gain alone 0.72; the target's own gave 0.81.

    *Stay sensitive* is asked of images as they are, not of copies. Copies may be hard to tell apart because little of
    the object is left in them, as when whole images are shifted: then the label does not depend on the transformation,
    and the task may well vary by it. But what such copies teach holds for whole images. If the label depends on the
    transformation, the labels of copies are drawn at random: they teach nothing, and do much harm. A weak probe, which
    few such copies confuse, is harmed by less. Where the rule errs, copies harm, so that the transformation would not
    be advised without it either.

    *Why a tenth is enough if the encoder ignores it.* Copies may harm because images of this kind do not come in the
    task. But if a copy is ten times as close to its image as images are to each other, it looks like those that do
    come, and what a probe cannot learn from copies lay in the small difference. So it is with labels that are the
    sharpness: blur adds to blur, and copies keep its order, from which a probe learns half and more of the label.
    """
    usable = bool(evidence.usable.any())
    rows = []
    for i, name in enumerate(evidence.transformation.values):
        one = evidence.isel(transformation=i)
        kind, reason = _decide_one(one, usable)
        rows.append({
            "transformation": name, "advice": kind, "z": one.z.item(), "sensitivity": one.sensitivity.item(),
            **{column: one[column].isel(view=-1).item() for column in ("accuracy_gain", "consistency", "affinity")},
            "retained": one.retained.where(one.usable).max("view").item(), "what to do": reason,
        })  # fmt: skip
    table = pd.DataFrame(rows).set_index("transformation")
    return table.iloc[order_advice(table.advice.tolist(), table.z.tolist())]


def count_images(cube):
    """Say how many images advice is from.

    Parameters
    ----------
    cube : xarray.Dataset over "encoder"
        With "n_images", and "n_groups" if there are groups; the first encoder counts.

    Returns
    -------
    text : str

    Examples
    --------
    >>> import xarray as xr
    >>> count_images(xr.Dataset({"n_images": ("encoder", [60]), "n_groups": ("encoder", [12])}))
    '60 images (12 groups)'
    """
    groups = f" ({int(cube.n_groups.values[0])} groups)" if "n_groups" in cube else ""
    return f"{int(cube.n_images.values[0])} images{groups}"


def order_advice(advice, z):
    """Find the order in which advice is shown.

    Parameters
    ----------
    advice : sequence of str
        Advice for each transformation, of those in `ADVICE`.
    z : sequence of float
        Gain of each in standard errors; NaN if it is not known.

    Returns
    -------
    order : list of int
        In the order of `ADVICE`, and those of the same advice with the largest gain first.

    Raises
    ------
    ValueError
        If an advice is none of `ADVICE`.

    Examples
    --------
    >>> order_advice(["avoid", "encourage", "encourage"], [0.1, 2.0, 3.0])
    [2, 1, 0]
    """
    unknown = sorted({str(one) for one in advice} - {*ADVICE})
    if unknown:
        raise ValueError(
            f"the advice is {unknown[0]!r}, expected one of: {', '.join(ADVICE)}. If an earlier version wrote the cube,"
            " ask for the advice again, with another --out"
        )
    gains = [np.inf if np.isnan(one) else -one for one in z]
    return sorted(range(len(gains)), key=lambda i: (ADVICE.index(advice[i]), gains[i]))


def _decide_one(one, usable):
    """Return the advice for one transformation, and the sentence that says why."""
    z, retained = one.z.item(), one.retained_high.where(one.usable)
    at_most, sensitivity = retained.max().item(), one.sensitivity.item()
    left = one.retained.where(one.usable).max().item()
    reacts = "" if np.isnan(sensitivity) else f", and the encoder reacts to it (sensitivity {sensitivity:.2f})"
    if one.different.item() == 0:
        return "already ignored", "Do nothing: such copies have the same features as the images."
    if not usable or np.isnan(z):
        return (
            "unknown",
            "Not known: the probe is not clearly better than always naming the largest class (p >= 0.001); take more"
            " images, or another model.",
        )
    ignored = one.sensitivity_high.item() < IGNORED
    if z < -FAR and at_most < (MOST if ignored else HALF):
        stay = (
            f"as sensitive as it is, or take one that reacts more ({sensitivity:.2f})" if ignored else "sensitive to it"
        )
        return "stay sensitive", (
            f"Leave the encoder {stay}: a probe that saw such copies alone retains {max(left, 0):.0%} of what tells"
            f" the classes apart (at most {max(at_most, 0):.0%})."
        )
    if ignored and not (z < -CLEAR and _label_may_depend(z, left)):
        needed = ", and the task seems to need that: a probe that also sees such copies errs less" if z > CLEAR else ""
        return "already ignored", f"Do nothing: the encoder ignores it already (sensitivity {sensitivity:.2f}){needed}."
    features = one.isel(view=-1)
    all_right = bool(features.usable) and features.accuracy.item() == 1
    if z > CLEAR:
        surer = " (it is surer; that of the features is right about all these images even without copies)" * all_right
        return "encourage", f"Make the encoder ignore it: a probe that also sees such copies errs less{surer}{reacts}."
    if _label_may_depend(z, left):
        what = "harm" if z < -CLEAR else "do not help"
        hardly = f"; the encoder hardly reacts to it ({sensitivity:.2f}), and one that does may be better" * ignored
        return "avoid", (
            f"Do not pretrain with it: such copies {what}, and a probe that saw them alone retains {max(left, 0):.0%}"
            f" of what tells the classes apart; the label may depend on it{hardly}."
        )
    lost = z < -CLEAR and bool(features.usable) and features.accuracy_gain.item() < -LOST
    if lost or z < -CLEAR - SLIGHT * np.sqrt(one.n_effective.item()):
        return "avoid", (
            "Do not pretrain with it: a probe that also sees such copies errs more; the task does not vary in this way,"
            " or its label depends on it."
        )
    what = "harm, but little" if z < -CLEAR else "change little"
    if all_right:
        reason = f"such copies {what}, and the probe is right about all images without them"
        return "nothing to gain", f"Do nothing: {reason}."
    return (
        "try",
        f"Not sure: such copies {what}. Try it: one invariance more usually costs less than a missing one.",
    )


def _label_may_depend(z, retained):
    """Tell whether copies do not help, and a probe that saw them alone has lost more than half."""
    return z < 0 and retained < HALF


def shorten_repeated(sentences):
    """Replace sentences that are the same as the one before, in a table that is read from the top.

    Parameters
    ----------
    sentences : sequence of str
        A sentence for each row.

    Returns
    -------
    shortened : list of str

    Examples
    --------
    >>> shorten_repeated(["Do nothing.", "Pretrain with it.", "Pretrain with it.", "Do nothing."])
    ['Do nothing.', 'Pretrain with it.', 'as above', 'Do nothing.']
    """
    before = [None, *sentences[:-1]]
    return ["as above" if one == other else str(one) for one, other in zip(sentences, before, strict=True)]


def choose_advised(advice):
    """Choose the transformations to pretrain with.

    Parameters
    ----------
    advice : pandas.DataFrame
        As `decide` returns it.

    Returns
    -------
    names : list of str
        Those to encourage and those to try, with the largest gain first, at most 6: an invariance too many costs
        little, and one too few costs much. Empty if no probe is better than chance.
    """
    chosen = advice[advice.advice.isin(["encourage", "try"])]
    return chosen.z.sort_values(ascending=False, kind="stable").index[:MOST_ADVISED].tolist()


def format_accuracies(evidence):
    """Say how often the probe of each view is right, and which of them are not used.

    Parameters
    ----------
    evidence : xarray.Dataset over "view"
        With "accuracy" and "usable".

    Returns
    -------
    text : str

    Examples
    --------
    >>> import xarray as xr
    >>> views = {"view": ["pixels", "features"]}
    >>> format_accuracies(xr.Dataset({"accuracy": ("view", [0.9, 0.3]), "usable": ("view", [True, False])}, views))
    '0.90 from pixels, 0.30 from features (not clearly better than chance, and not used)'
    """
    unused = " (not clearly better than chance, and not used)"
    rows = zip(evidence.accuracy.values, evidence.view.values, evidence.usable.values, strict=True)
    return ", ".join(f"{accuracy:.2f} from {view}{'' if usable else unused}" for accuracy, view, usable in rows)


def format_advised(names, advice):
    """Say what to pretrain with, and of what that is less sure.

    Parameters
    ----------
    names : list of str
        Transformations to pretrain with, the most useful first.
    advice : dict of str to str
        Advice for each transformation that was asked about.

    Returns
    -------
    text : str

    Examples
    --------
    >>> format_advised(["hue", "blur", "shear"], {"hue": "encourage", "blur": "try", "shear": "try"})
    'hue; less surely: blur, shear'
    >>> format_advised([], {"hue": "avoid"})
    'none of these'
    """
    sure = ", ".join(name for name in names if advice[name] == "encourage")
    others = ", ".join(name for name in names if advice[name] != "encourage")
    if not names and {*advice.values()} <= {"unknown", "already ignored"} and "unknown" in advice.values():
        return "not known, because the probe is not clearly better than chance"
    return "; ".join([sure] * bool(sure) + [f"less surely: {others}"] * bool(others)) or "none of these"


def format_advised_in(cube):
    """Say what to pretrain with, as a cube says.

    Parameters
    ----------
    cube : xarray.Dataset over "transformation"
        With "rank", as for `list_advised`, and "advice".

    Returns
    -------
    text : str
    """
    kinds = dict(zip(cube.transformation.values.tolist(), cube.advice.values.tolist(), strict=True))
    return format_advised(list_advised(cube), kinds)


def list_advised(cube):
    """List the transformations to pretrain with, as a cube says.

    Parameters
    ----------
    cube : xarray.Dataset over "transformation"
        With "rank", from 1 for the most useful; 0 or less for those not to pretrain with.

    Returns
    -------
    names : list of str

    Examples
    --------
    >>> import xarray as xr
    >>> list_advised(xr.Dataset({"rank": ("transformation", [0, 2, 1])}, {"transformation": ["hue", "blur", "shear"]}))
    ['shear', 'blur']
    """
    ranks = dict(zip(cube.transformation.values.tolist(), cube["rank"].values.tolist(), strict=True))
    return sorted((name for name, rank in ranks.items() if rank > 0), key=ranks.get)
