"""The page of advice: which invariances a task of labelled images needs."""

from functools import partial

import numpy as np

from invtransfer import plots
from invtransfer.analysis.advice import (
    CLEAR,
    HALF,
    IGNORED,
    LOST,
    MOST,
    MOST_ADVISED,
    SLIGHT,
    count_images,
    format_advised_in,
    order_advice,
)
from invtransfer.cubes.assembly import STATUS
from invtransfer.pages.layout import Table, Verbatim, draw_pictures, format_interval, make_page
from invtransfer.pages.measure_command import format_advise_command
from invtransfer.pages.origins import describe_encoders, describe_failures, describe_origin
from invtransfer.storage import parse_json

NEEDED = ("advice", "sentence", "rank", "z", "sensitivity", "sensitivity_low", "sensitivity_high")
EVIDENCE = {  # over transformation and view, with the heads of their columns
    "gain": "gain", "accuracy_gain": "accuracy gain", "consistency": "consistency", "affinity": "affinity",
    "retained": "retained", "relevant_share": "relevant share", "explained": "explained",
}  # fmt: skip
DIGITS = {"gain": 3}  # of squared errors, which are small
READING = (
    "Each image was transformed a few times at random. A probe, a simple classifier, was fitted on"
    " some of the images and asked about the others. z says how much less it errs on images as they are if it is fitted"
    f" on transformed copies as well, in standard errors: positive, they help; negative, they harm; beyond"
    f" {CLEAR} or -{CLEAR}, clearly. The sensitivity is of the encoder: at 0 it ignores the transformation, at"
    " 1 the transformation changes the features as much as another image does.",
    [
        "encourage: the task varies like this, and the encoder reacts to it. Make it invariant: pretrain with it.",
        f"try: copies change little; harm by less than {SLIGHT} standard deviations over images counts as little,"
        " because whole images are transformed, also where the task varies by an object in them. So a transformation"
        f" may be here although its z is below -{CLEAR}. Pretrain with it, after those to encourage.",
        "stay sensitive: the label seems to depend on it. From transformed copies alone, a probe learns less than"
        f" {HALF:.0%} of what tells the classes apart; less than {MOST:.0%} is enough where the encoder hardly reacts"
        f" (sensitivity below {IGNORED}), because such copies look like images of the task. Do not pretrain with it.",
        f"avoid: copies harm by clearly more than {SLIGHT} standard deviations, or clearly (z below -{CLEAR}) and with"
        f" a fall of the accuracy by more than {LOST}: images of this kind do not come in the task, or the label"
        f" depends on it. Or copies do not help, and from copies alone a probe learns less than {HALF:.0%}: the label"
        " may depend on it. Do not pretrain with it; in a model that is there already, nothing has to change.",
        f"already ignored: the encoder does not react to it (sensitivity below {IGNORED}, or no copy changed its"
        " features). Of another encoder that does, its own table says what to do.",
        "nothing to gain: the probe is right about all images without copies.",
        "unknown: no probe is clearly better than always naming the largest class (p >= 0.001).",
    ],
    'The column "pretrain" counts those to pretrain with, the most useful first: those to encourage and those to try,'
    f" because one invariance more costs little, and a missing one much; at most {MOST_ADVISED}. Whole images were"
    " transformed, not the objects in them, each transformation alone and at full strength.",
)


def make_advice_page(cube, name="mine.nc"):
    """Make the page of the cube of ``invtransfer advise``.

    Parameters
    ----------
    cube : xarray.Dataset over "encoder", "transformation" and "view"
        As `invtransfer.commands.task_advice.advise_on_task` returns it. If all models failed, only their messages are
        needed.
    name : str
        Name of the cube's file, for the command that repeats it.

    Returns
    -------
    page : str
        HTML, see `invtransfer.pages.make_page`. Without matplotlib it has no figure, and says so.

    Raises
    ------
    ValueError
        If a variable is missing, or an attribute is not as described.
    """
    settings = parse_json(cube.attrs.get("settings", "{}"), "settings", dict)
    if "status" not in cube:
        raise ValueError("the cube has no variable 'status': it is not of invtransfer advise")
    done = cube.isel(encoder=np.flatnonzero(cube.status.values == STATUS.index("done")))
    sections = []
    if done.sizes["encoder"]:
        missing = [one for one in (*NEEDED, *EVIDENCE, "accuracy", "chance", "n_images") if one not in cube]
        if missing:
            raise ValueError(f"the cube has no variable {missing[0]!r}: it is not of invtransfer advise")
        each = [(done.sel(encoder=encoder), encoder) for encoder in done.encoder.values]
        summary = [_summarise(*one) for one in each]
        sections += [
            ("What to do", [summary, *(_tabulate_advice(*one) for one in each)]),
            ("How to read it", [*READING, *_draw(done)]),
            ("The evidence", _describe_evidence(done)),
        ]  # fmt: skip
    sections.append(("What failed or is missing", describe_failures(cube)))
    sections.append(("What was done", [*_describe_task(done, settings), *describe_origin(cube)]))
    if settings:
        command = format_advise_command(settings, cube.encoder.values, name)
        sections.append(("How to repeat it", ["With the same models and images at hand:", Verbatim(command)]))
    return make_page(
        "Which invariances a task needs", _format_lead(done, settings), [one for one in sections if one[1]]
    )  # fmt: skip


def _format_lead(done, settings):
    folder = str(settings.get("images", "")).rpartition(" ")[0] or "a person's own"
    if not done.sizes["encoder"]:
        return f"No model could be asked about the images of {folder}."
    models = "1 model" if done.sizes["encoder"] == 1 else f"{done.sizes['encoder']} models"
    classes = f" of {done.sizes['class']} classes" if "class" in done.sizes else ""
    return (
        f"What {models} should ignore to tell the images of {folder} apart: {count_images(done)}{classes},"
        f" {done.sizes['transformation']} transformations."
    )


def _summarise(one, encoder):
    """Return sentences about an encoder: what to pretrain with, and what the label seems to depend on."""
    depends = one.transformation[one.advice.values == "stay sensitive"]
    reacts = one.sensitivity_high.sel(transformation=depends).values >= IGNORED
    texts = [f"{encoder}: pretrain with {format_advised_in(one)}."]
    if reacts.any():
        names = ", ".join(depends.values[reacts].astype(str))
        texts.append(f"Let it stay sensitive to {names}, on which the label seems to depend.")
    if not reacts.all():
        names = ", ".join(depends.values[~reacts].astype(str))
        texts.append(f"It hardly reacts to {names}, on which the label seems to depend: one that does may be better.")
    return " ".join(texts)


def _tabulate_advice(one, encoder):
    heads = ["transformation", "advice", "pretrain", "z", "sensitivity", "what to do"]
    rows = []
    for i in order_advice(one.advice.values.tolist(), one.z.values.tolist()):
        row = one.isel(transformation=i)
        rank, z, sensitivity = int(row["rank"]), row.z.item(), _format_value(row.sensitivity.item())
        rows.append([
            str(row.transformation.item()), str(row.advice.item()), str(rank) if rank > 0 else "",
            _format_value(z), sensitivity, str(row.sentence.item()),
        ])  # fmt: skip
    return Table(f"{encoder}: advice, those to encourage first", heads, rows)


def _format_value(value):
    return "no value" if np.isnan(value) else f"{value:.2f}"


def _format_interval(row, name, digits=3):
    parts = (float(row[part]) if part in row else np.nan for part in (name, f"{name}_low", f"{name}_high"))
    return format_interval(*parts, digits)


def _draw(done):
    """Return the figure, or a sentence that says why there is none."""
    title = "What copies do for a probe, and how sensitive each encoder is"
    summaries = " ".join(_summarise(done.sel(encoder=encoder), encoder) for encoder in done.encoder.values)
    text = f"{title}. {summaries} All numbers are in the tables."
    return draw_pictures([(title, partial(plots.plot_advice, done), text)])


def _describe_evidence(done):
    """Return the accuracy of the probes, and a table for each encoder and view."""
    rows = []
    for encoder in done.encoder.values:
        for view in done.view.values:
            one = done.sel(encoder=encoder, view=view)
            better = "yes" if int(one.usable) == 1 else "no"
            rows.append(
                [str(view), str(encoder), _format_interval(one, "accuracy"), f"{one.chance.item():.3f}", better]
            )
    heads = ["what the probe sees", "encoder", "accuracy", "largest class", "clearly better than that"]
    parts = [
        "All numbers with their 95 % intervals over images"
        + (", or groups of them" if "n_groups" in done else "")
        + ". A probe that is not clearly better than the share of the largest class (p >= 0.001)"
        " is not used. The pixels are those of the images brought to 32 x 32, which no encoder has filtered.",
        Table("The probes on images as they are", heads, rows),
    ]  # fmt: skip
    rows = []
    for encoder in done.encoder.values:
        for name in done.transformation.values:
            row = done.sel(encoder=encoder, transformation=name)
            changed = _format_value(row.different.item()) if "different" in row else ""
            rows.append([str(name), str(encoder), _format_interval(row, "sensitivity", 2), changed])
    heads = ["transformation", "encoder", "sensitivity", "copies with other features"]
    parts.append(Table("Sensitivity of the encoders", heads, rows))
    for encoder in done.encoder.values:
        for view in done.view.values:
            one, rows = done.sel(encoder=encoder, view=view), []
            for i in order_advice(one.advice.values.tolist(), one.z.values.tolist()):
                row = one.isel(transformation=i)
                rows.append(
                    [
                        str(row.transformation.item()),
                        *(_format_interval(row, name, DIGITS.get(name, 2)) for name in EVIDENCE),
                    ]
                )
            parts.append(Table(f"{encoder}: {view}", ["transformation", *EVIDENCE.values()], rows))
    parts.append([f"{head}: {done[name].attrs.get('long_name', name)}." for name, head in EVIDENCE.items()])
    return parts


def _describe_task(done, settings):
    """Return what was done in a sentence, the classes, and what each encoder got."""
    if not done.sizes["encoder"]:
        return []
    draws, size = settings.get("n_draws", "some"), settings.get("size")
    brought = f" brought to {size} x {size}," if size else ""
    first = done.isel(encoder=0)
    parts = f" over {int(first.n_folds)} parts of the images" if "n_folds" in first else ""
    texts = [
        f"All {int(first.n_images)} images,{brought} and {draws} copies of each for every transformation, the same for"
        " all encoders, went through each encoder. Probes are ridge regressions on a wide Gaussian kernel,"
        f" cross-validated{parts}. The advice follows from z,"
        " retained and the sensitivity; the other numbers are shown, and not used.",
    ]  # fmt: skip
    if "n_images_of_class" in done:
        counts = first.n_images_of_class
        rows = [[str(one), str(int(n))] for one, n in zip(counts["class"].values, counts.values, strict=True)]
        texts.append(Table("Classes", ["class", "images"], rows))
    return [*texts, *describe_encoders(done)]
