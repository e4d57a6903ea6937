"""The cube of the command ``advise`` with made-up numbers, from which the advice follows by the rules."""

import json

import numpy as np
import xarray as xr

from invtransfer.analysis.advice import ADVICE, choose_advised, decide

MEASURED = ("gain", "accuracy_gain", "consistency", "affinity", "retained", "relevant_share", "explained")
SETTINGS = {"images": "my photos 0a1b", "n_draws": 4, "size": 64, "layer": None, "pool": "auto", "precision": "float32",
            "weights": "random"}  # fmt: skip


def make_all_advice():
    """Return a cube of one encoder with every advice that there is, and "stay sensitive" once more, to "invert"."""
    names, advice = (
        ["hue", "blur", "rotate", "h_flip", "noise", "shear", "scale", "invert"],
        [*ADVICE, "stay sensitive"],
    )
    cube = make_advice(dict.fromkeys(names, 0.0), ["vit"])
    values = {"advice": advice, "rank": [1, 2, *[0] * 6]}
    for end, value in (("", 0.03), ("_low", 0.01), ("_high", 0.05)):  # of "invert", which it ignores
        values[f"sensitivity{end}"] = [*cube[f"sensitivity{end}"].values[0, :7], value]
    return cube.assign({name: (cube.advice.dims, [row]) for name, row in values.items()})


def make_advice(z, encoders=("vit", "resnet"), seed=0, failed=()):
    """Return a cube of encoders with these gains, dict of str to float; z of later encoders is larger by 1 each."""
    generator, names = np.random.default_rng(seed), list(z)
    cells = []
    for i, encoder in enumerate(encoders):
        cell = xr.Dataset(coords={"transformation": names, "view": ["pixels", "features"]})
        for name in MEASURED:
            values = generator.uniform(0.6, 0.9, (len(names), 2))
            for end, shift in (("", 0), ("_low", -0.1), ("_high", 0.1)):
                cell[name + end] = (("transformation", "view"), values + shift, {"long_name": f"words about {name}"})
        cell["z"] = ("transformation", np.array(list(z.values()), float) + i)
        for end, value in (("", 0.5), ("_low", 0.4), ("_high", 0.7)):
            cell[f"sensitivity{end}"] = ("transformation", np.full(len(names), value))
            cell[f"accuracy{end}"] = ("view", np.full(2, value))
        cell["different"] = ("transformation", np.ones(len(names)))
        cell["usable"] = ("view", np.ones(2, np.int8))
        table = decide(cell.assign(n_effective=xr.full_like(cell.z, 30)))
        ranks = {name: rank for rank, name in enumerate(choose_advised(table), start=1)}
        table = table.loc[names]
        cell["advice"] = ("transformation", table.advice.tolist())
        cell["sentence"] = ("transformation", table["what to do"].tolist())
        cell["rank"] = ("transformation", [ranks.get(name, 0) for name in names])
        cell = cell.assign(n_images=30, n_folds=5, chance=0.4, features=f"output of {encoder}", preprocessing="none")
        cell = cell.assign(n_images_of_class=("class", [12, 18]), status=1, message="")
        cells.append(cell.assign_coords({"class": ["cat", "dog"]}))
    cube = xr.concat(cells, "encoder").assign_coords(encoder=list(encoders))
    for encoder in failed:
        here = {"encoder": list(encoders).index(encoder)}
        cube["status"][here], cube["message"][here] = 2, "no"
        cube["advice"][here], cube["z"][here], cube["sensitivity"][here] = "", np.nan, np.nan
    settings = SETTINGS | {"transformations": names}
    return cube.assign_attrs(settings=json.dumps(settings), command="advise", date_created="2026")
