"""Which cells a study has: the places of its cube, and the arguments of the cell at each of them."""

from itertools import product

from invtransfer.analysis import REFERENCE

RELATIONS = ("same", "disjoint")  # of the source's transformations to the target's
REFERENCES = ("untrained", "no transformations")
LONG_NAMES = {  # what the labels along coordinates are
    "architecture": "architecture of the encoder",
    "availability": "probability that an image has an object",
    "category": "category of the transformation",
    "changed": "what twins differ in",
    "chooser": "who chooses the transformations of pretraining",
    "evaluated_on": "kind of images that sensitivity is measured on",
    "estimator": "what a transformation is ranked by",
    "factor": "factor that differs from its default, and its level",
    "factor_name": "factor that differs from its default",
    "layer": "block of the network, or what it calls its feature",
    "level": "level of the factor",
    "n_labelled": "number of labelled images of the target",
    "n_pretraining_transformations": "number of transformations in pretraining",
    "n_probe": "number of samples that the probe is fitted on",
    "n_target_transformations": "number of transformations in the target task",
    "n_tuning": "number of samples that the encoder is fine-tuned on",
    "network": "network whose features are used",
    "planted": "transformation that the label is",
    "position": "position of the objects",
    "pretraining": "task that the encoder is pretrained on: what is labelled, and what else is shown",
    "pretraining_transformation": "transformation that the encoder is pretrained with",
    "relation": "relation of the source's transformations to the target's",
    "seed": "number of the repetition",
    "strength": "share of the transformation's range that is used",
    "target": "target task: what is labelled, and what else is shown",
    "trained_on": "kind of images that the encoder is pretrained on",
    "transformation": "transformation that sensitivity is measured to",
    "tuning": "name that the paper's tables have for the number of tuning samples",
}


def cell_arguments(settings, **chosen):
    """Return the arguments of one cell: all settings of a study that bear on it, and no others.

    Parameters
    ----------
    settings : dict
        Settings of the study. "levels" and "seeds" are left out, and those that begin with "adam_" if the solver is
        not "adam".
    **chosen
        Settings of this cell alone. For the architecture "vit", settings that begin with "vit_" replace those without,
        unless they are chosen; for other architectures they are left out.

    Returns
    -------
    arguments : dict

    Examples
    --------
    >>> settings = {"seeds": 3, "solver": "lbfgs", "adam_epochs": 200, "schedule": "constant", "vit_schedule": "cosine"}
    >>> cell_arguments(settings, architecture="vit")
    {'solver': 'lbfgs', 'schedule': 'cosine', 'architecture': 'vit'}
    >>> cell_arguments(settings, architecture="vgg11", solver="adam")
    {'solver': 'adam', 'adam_epochs': 200, 'schedule': 'constant', 'architecture': 'vgg11'}
    """
    arguments = {name: value for name, value in settings.items() if name not in ("levels", "seeds")}
    vit = {name.removeprefix("vit_"): arguments.pop(name) for name in settings if name.startswith("vit_")}
    if (arguments | chosen).get("architecture") == "vit":
        arguments |= vit
    arguments |= chosen
    if arguments.get("solver") != "adam":
        arguments = {name: value for name, value in arguments.items() if not name.startswith("adam_")}
    return arguments


def full_grid(coordinates, arguments_of):
    """Return the grid in which every label is combined with every other.

    Parameters
    ----------
    coordinates : dict of str to list
        Labels along each dimension.
    arguments_of : callable
        Function from the labels of a place, given as keywords, to the arguments of its cell.

    Returns
    -------
    places : list of (dict, dict)
        Labels and arguments, as `run_study` takes them.
    coordinates : dict of str to list
        The coordinates that were given.

    Examples
    --------
    >>> full_grid({"seed": [0, 1]}, lambda seed: {"random_state": seed})[0]
    [({'seed': 0}, {'random_state': 0}), ({'seed': 1}, {'random_state': 1})]
    """
    places = [dict(zip(coordinates, labels, strict=True)) for labels in product(*coordinates.values())]
    return [(labels, arguments_of(**labels)) for labels in places], coordinates


def factor_coordinates(factors, **others):
    """Return the coordinates of a cube in which one factor varies at a time.

    Parameters
    ----------
    factors : list of (str, object)
        Factor and level of each place along the dimension "factor".
    **others : list
        Labels along the further dimensions.

    Returns
    -------
    coordinates : dict
        Coordinates as `run_study` takes them: "factor", and along it "factor_name" and "level"; then the others.

    Examples
    --------
    >>> factor_coordinates([("width", 0.5)], seed=[0])
    {'factor': ['width=0.5'], 'factor_name': ('factor', ['width']), 'level': ('factor', ['0.5']), 'seed': [0]}
    """
    return {
        "factor": [f"{name}={level}" for name, level in factors],
        "factor_name": ("factor", [name for name, _ in factors]),
        "level": ("factor", [str(level) for _, level in factors]),
        **others,
    }


def factor_grid(settings, references=REFERENCES):
    """Return the grid in which one factor of pretraining varies at a time, for both relations and every seed.

    Parameters
    ----------
    settings : dict
        Settings of a study. "levels" names the factors and lists their levels; the setting of the same name holds while
        another factor varies. "seeds" is the number of repetitions.
    references : sequence of str
        Encoders with default settings, which do not depend on the relation: "untrained", "no transformations".

    Returns
    -------
    places : list of (dict, dict)
        Labels along factor, relation and seed, and the arguments of the cell there, see `cell_arguments`.
    coordinates : dict
        Coordinates as `run_study` takes them; "factor_name" and "level" are further coordinates along "factor".
    """
    factors = [(name, level) for name, levels in settings["levels"].items() for level in levels]
    factors += [(REFERENCE, label) for label in references]
    seeds = list(range(settings["seeds"]))
    places = []
    for (name, level), relation, seed in product(factors, RELATIONS, seeds):
        chosen = {"relation": relation, "seed": seed}
        if name == REFERENCE:
            chosen |= {"relation": "none"} | ({"epochs": 0} if level == "untrained" else {})
        else:
            chosen[name] = level
        labels = {"factor": f"{name}={level}", "relation": relation, "seed": seed}
        places.append((labels, cell_arguments(settings, **chosen)))
    return places, factor_coordinates(factors, relation=list(RELATIONS), seed=seeds)
