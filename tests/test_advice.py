"""The rules of the advice, each from evidence made by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from invtransfer.analysis.advice import ADVICE, MOST_ADVISED, choose_advised, decide, format_advised, order_advice

NAN = np.nan
ORDINARY = {"z": 0.0, "sensitivity": 0.5, "different": 1.0, "retained": 0.9, "accuracy_gain": 0.0, "consistency": 0.8}
NOTHING_LEFT = "Do nothing: such copies {}, and the probe is right about all images without them."
HARM = (
    "Do not pretrain with it: a probe that also sees such copies errs more; the task does not vary in this way, or its"
    " label depends on it."
)


def make_evidence(*cases, usable=True, accuracy=0.9):
    """Make the evidence of transformations "a", "b", ..., each of which differs from the ordinary by a dict."""
    usable = np.atleast_1d(usable)
    names, rows = [chr(ord("a") + i) for i in range(len(cases))], [ORDINARY | case for case in cases]
    evidence = xr.Dataset(coords={"transformation": names, "view": ["pixels", "features"][-len(usable) :]})
    for name in ("z", "sensitivity", "different"):
        evidence[name] = "transformation", np.array([row[name] for row in rows], float)
    evidence["sensitivity_high"] = evidence.sensitivity + 0.02
    for name in ("retained", "accuracy_gain", "consistency"):
        of_views = [np.broadcast_to(row[name], usable.shape) for row in rows]
        evidence[name] = ("transformation", "view"), np.array(of_views, float)
    evidence["retained_high"] = evidence.retained + 0.05
    evidence["affinity"] = evidence.consistency
    evidence["usable"] = "view", usable
    evidence["accuracy"] = "view", np.broadcast_to(accuracy, usable.shape)
    evidence["n_effective"] = xr.full_like(evidence.z, 100)
    return evidence


def advice_for(usable=True, accuracy=0.9, **case):
    advice = decide(make_evidence(case, usable=usable, accuracy=accuracy))
    return advice.advice["a"], advice["what to do"]["a"]


@pytest.mark.parametrize(
    ("case", "kind", "sentence"),
    [
        ({"z": 1.7}, "encourage",
         "Make the encoder ignore it: a probe that also sees such copies errs less, and the encoder reacts to it"
         " (sensitivity 0.50)."),
        ({"z": 1.7, "sensitivity": NAN}, "encourage",
         "Make the encoder ignore it: a probe that also sees such copies errs less."),
        ({"z": 1.6}, "try",
         "Not sure: such copies change little. Try it: one invariance more usually costs less than a missing one."),
        # 0.2 standard deviations are 2 standard errors of 100 images, 1.645 more are -3.645
        ({"z": -3.6}, "try",
         "Not sure: such copies harm, but little. Try it: one invariance more usually costs less than a missing"
         " one."),
        ({"z": -3.7}, "avoid", HARM),
        ({"z": -2.0, "accuracy_gain": -0.09}, "try",
         "Not sure: such copies harm, but little. Try it: one invariance more usually costs less than a missing"
         " one."),
        ({"z": -2.0, "accuracy_gain": -0.11}, "avoid", HARM),
        ({"z": -1.6, "accuracy_gain": -0.11}, "try",
         "Not sure: such copies change little. Try it: one invariance more usually costs less than a missing one."),
        ({"z": 9.0, "sensitivity": 0.07}, "already ignored",
         "Do nothing: the encoder ignores it already (sensitivity 0.07), and the task seems to need that: a probe"
         " that also sees such copies errs less."),
        ({"z": 1.6, "sensitivity": 0.07}, "already ignored",
         "Do nothing: the encoder ignores it already (sensitivity 0.07)."),
        ({"z": 9.0, "sensitivity": 0.09}, "encourage",
         "Make the encoder ignore it: a probe that also sees such copies errs less, and the encoder reacts to it"
         " (sensitivity 0.09)."),
        ({"z": 0.0, "different": 0.0, "sensitivity": NAN}, "already ignored",
         "Do nothing: such copies have the same features as the images."),
        ({"z": -5.1, "retained": 0.1}, "stay sensitive",
         "Leave the encoder sensitive to it: a probe that saw such copies alone retains 10% of what tells the"
         " classes apart (at most 15%)."),
        ({"z": -9.0, "retained": -0.2, "sensitivity": 0.01}, "stay sensitive",
         "Leave the encoder as sensitive as it is, or take one that reacts more (0.01): a probe that saw such"
         " copies alone retains 0% of what tells the classes apart (at most 0%)."),
        ({"z": -5.1, "retained": 0.84, "sensitivity": 0.07}, "stay sensitive",
         "Leave the encoder as sensitive as it is, or take one that reacts more (0.07): a probe that saw such"
         " copies alone retains 84% of what tells the classes apart (at most 89%)."),
        ({"z": -4.9, "retained": 0.84, "sensitivity": 0.07}, "already ignored",
         "Do nothing: the encoder ignores it already (sensitivity 0.07)."),
        ({"z": -9.0, "retained": 0.86, "sensitivity": 0.07}, "already ignored",
         "Do nothing: the encoder ignores it already (sensitivity 0.07)."),
        ({"z": -9.0, "retained": 0.84, "sensitivity": 0.09}, "avoid", HARM),
        ({"z": -9.0, "retained": 0.46}, "avoid",
         "Do not pretrain with it: such copies harm, and a probe that saw them alone retains 46% of what tells the"
         " classes apart; the label may depend on it."),
        ({"z": -0.9, "retained": -0.6}, "avoid",
         "Do not pretrain with it: such copies do not help, and a probe that saw them alone retains 0% of what"
         " tells the classes apart; the label may depend on it."),
        ({"z": -2.0, "retained": 0.4, "sensitivity": 0.01}, "avoid",
         "Do not pretrain with it: such copies harm, and a probe that saw them alone retains 40% of what tells the"
         " classes apart; the label may depend on it; the encoder hardly reacts to it (0.01), and one that does may"
         " be better."),
        ({"z": -1.6, "retained": 0.4, "sensitivity": 0.01}, "already ignored",
         "Do nothing: the encoder ignores it already (sensitivity 0.01)."),
        ({"z": 0.1, "retained": 0.1}, "try",
         "Not sure: such copies change little. Try it: one invariance more usually costs less than a missing one."),
        ({"z": -9.0, "retained": 0.52}, "avoid", HARM),
        ({"z": NAN}, "unknown",
         "Not known: the probe is not clearly better than always naming the largest class (p >= 0.001);"
         " take more images, or another model."),
    ],
)  # fmt: skip
def test_rules(case, kind, sentence):
    assert advice_for(**case) == (kind, sentence)


def test_keep_needs_all_views_whose_probe_is_better_than_chance():
    low_in_one, low_in_both = [0.1, 0.8], [0.1, 0.2]
    assert advice_for(usable=[True, True], z=-9.0, retained=low_in_one)[0] == "avoid"
    assert advice_for(usable=[True, True], z=-9.0, retained=low_in_both)[0] == "stay sensitive"
    assert advice_for(usable=[True, False], z=-9.0, retained=low_in_one)[0] == "stay sensitive"
    assert advice_for(usable=[False, True], z=-9.0, retained=low_in_one)[0] == "avoid"


def test_views_whose_probe_is_no_better_than_chance_say_nothing():
    table = decide(make_evidence({"z": -9.0, "retained": [7.0, 0.1]}, usable=[False, True]))
    assert table.retained.item() == 0.1
    assert "retains 10%" in table["what to do"].item()
    lost = {"z": -2.0, "accuracy_gain": [0.0, -0.2]}  # the last view is that of the features
    assert advice_for(usable=[True, True], **lost)[0] == "avoid"
    assert advice_for(usable=[True, False], **lost)[0] == "try"


def test_nothing_is_left_to_gain_where_the_probe_is_right_about_all_images():
    assert advice_for(accuracy=1.0, z=0.5) == ("nothing to gain", NOTHING_LEFT.format("change little"))
    assert advice_for(accuracy=1.0, z=-2.0) == ("nothing to gain", NOTHING_LEFT.format("harm, but little"))
    kind, sentence = advice_for(accuracy=1.0, z=2.0)
    assert kind == "encourage"
    assert (
        "errs less (it is surer; that of the features is right about all these images even without copies)" in sentence
    )
    assert advice_for(accuracy=1.0, z=-0.9, retained=0.1)[0] == "avoid"  # the label may depend on it
    assert advice_for(usable=[True, True], accuracy=[1.0, 0.99], z=0.5)[0] == "try"  # the features come last
    assert advice_for(usable=[True, False], accuracy=[0.9, 1.0], z=0.5)[0] == "try"  # all are of one class


def test_no_probe_is_better_than_chance():
    for z in (-9.0, 0.0, 9.0):
        assert advice_for(usable=False, z=z, retained=-3.0)[0] == "unknown"
    assert advice_for(usable=[False, False], z=9.0)[0] == "unknown"


def test_what_changes_no_image_does_not_matter_whatever_the_probe():
    assert advice_for(usable=False, different=0.0, z=NAN)[0] == "already ignored"


def test_order_and_columns():
    cases = [{"z": 0.5}, {"z": -4.0}, {"z": 2.0}, {"z": -3.7}, {"z": 5.0}, {"z": -9.0, "retained": 0.0}, {"z": 1.0}]
    advice = decide(make_evidence(*cases, usable=[True, True]))
    assert list(advice.index) == ["e", "c", "g", "a", "f", "d", "b"]
    assert advice.advice.tolist() == ["encourage", "encourage", "try", "try", "stay sensitive", "avoid", "avoid"]
    columns = ["advice", "z", "sensitivity", "accuracy_gain", "consistency", "affinity", "retained", "what to do"]
    assert list(advice.columns) == columns


def test_numbers_of_the_table():
    """The features are the last view; of "retained" the better view is shown."""
    case = {"accuracy_gain": [0.1, 0.2], "consistency": [0.3, 0.4], "retained": [0.8, 0.7], "z": 2.5}
    row = decide(make_evidence(case, usable=[True, True])).loc["a"]
    assert (row.accuracy_gain, row.consistency, row.affinity, row.retained, row.z) == (0.2, 0.4, 0.4, 0.8, 2.5)


def make_advice(kinds, z):
    names = [chr(ord("a") + i) for i in range(len(kinds))]
    return pd.DataFrame({"advice": kinds, "z": z}, index=pd.Index(names, name="transformation"))


def test_choose_advised():
    kinds = ["try", "encourage", "stay sensitive", "already ignored", "encourage", "try"]
    assert choose_advised(make_advice(kinds, [-1.0, 2.0, 9.0, 9.0, 3.0, 1.0])) == ["e", "b", "f", "a"]
    others = [kind for kind in ADVICE if kind not in ("encourage", "try")]
    assert choose_advised(make_advice(others, [9.0] * len(others))) == []


def test_advised_in_words():
    assert format_advised(["a"], {"a": "try", "b": "unknown"}) == "less surely: a"
    assert format_advised([], {"a": "avoid", "b": "unknown"}) == "none of these"
    assert format_advised([], {"a": "already ignored"}) == "none of these"
    nothing = format_advised([], {"a": "already ignored", "b": "unknown"})
    assert nothing == "not known, because the probe is not clearly better than chance"


def test_advice_of_an_earlier_version_is_refused():
    with pytest.raises(ValueError, match="the advice is 'no matter', expected one of: encourage, .*earlier version"):
        order_advice(["encourage", "no matter"], [1.0, 2.0])


def test_at_most_six_are_advised():
    z = np.arange(9.0)
    assert choose_advised(make_advice(["encourage"] * 9, z)) == ["i", "h", "g", "f", "e", "d"]
    assert MOST_ADVISED == 6
