"""Places and arguments of cells, counted on the fingers."""

from invtransfer.paper.grids import LONG_NAMES, cell_arguments, factor_coordinates, factor_grid, full_grid

SETTINGS = {
    "seeds": 3, "levels": {"width": [1, 2]}, "architecture": "resnet18", "width": 0.5, "epochs": 6, "solver": "lbfgs",
    "learning_rate": 1e-2, "schedule": "constant", "vit_learning_rate": 1e-3, "vit_schedule": "cosine",
    "adam_epochs": 200, "adam_learning_rate": 1e-4,
}  # fmt: skip
COMMON = {  # of all cells of these settings
    "architecture": "resnet18", "width": 0.5, "epochs": 6, "solver": "lbfgs", "learning_rate": 1e-2,
    "schedule": "constant",
}  # fmt: skip


def test_arguments_of_a_cell():
    assert cell_arguments(SETTINGS) == COMMON  # neither levels nor seeds, vit's nor adam's
    assert cell_arguments(SETTINGS, seed=4, width=2) == COMMON | {"seed": 4, "width": 2}
    assert cell_arguments({"levels": {}, "n": 1}) == {"n": 1}


def test_settings_of_vit_decide_where_it_is_the_architecture():
    vit = COMMON | {"architecture": "vit", "learning_rate": 1e-3, "schedule": "cosine"}
    assert cell_arguments(SETTINGS, architecture="vit") == vit
    assert cell_arguments(SETTINGS | {"architecture": "vit"}) == vit
    other = cell_arguments(SETTINGS | {"architecture": "vit"}, architecture="vgg11")
    assert other == COMMON | {"architecture": "vgg11"}


def test_settings_of_adam_decide_where_it_is_the_solver():
    adam = COMMON | {"solver": "adam", "adam_epochs": 200, "adam_learning_rate": 1e-4}
    assert cell_arguments(SETTINGS, solver="adam") == adam
    assert cell_arguments(SETTINGS | {"solver": "adam"}) == adam
    assert cell_arguments(SETTINGS | {"solver": "adam"}, solver="lbfgs") == COMMON


def test_what_is_chosen_wins():
    chosen = {"architecture": "vit", "schedule": "one-cycle", "solver": "adam", "adam_epochs": 3}
    arguments = cell_arguments(SETTINGS, **chosen)
    assert {name: arguments[name] for name in chosen} == chosen
    assert arguments["learning_rate"] == 1e-3  # of vit, as nothing else is chosen


def test_settings_stay_as_they_are():
    before = SETTINGS | {"levels": {"width": [1, 2]}}
    cell_arguments(SETTINGS, architecture="vit", solver="adam")["levels"] = {}
    assert before == SETTINGS


def test_full_grid():
    places, coordinates = full_grid({"network": ["vit", "vgg11"], "seed": [0, 1]}, lambda **labels: labels | {"n": 1})
    assert coordinates == {"network": ["vit", "vgg11"], "seed": [0, 1]}
    assert [labels for labels, _ in places] == [
        {"network": "vit", "seed": 0}, {"network": "vit", "seed": 1},
        {"network": "vgg11", "seed": 0}, {"network": "vgg11", "seed": 1},
    ]  # fmt: skip
    assert all(arguments == labels | {"n": 1} for labels, arguments in places)


# one factor at a time


def test_grid_of_factors():
    settings = {"width": 1, "solver": "lbfgs", "epochs": 6, "seeds": 2, "levels": {"width": [1, 2], "solver": ["adam"]}}
    places, coordinates = factor_grid(settings)
    factors = ["width=1", "width=2", "solver=adam", "reference=untrained", "reference=no transformations"]
    assert coordinates == {
        "factor": factors,
        "factor_name": ("factor", ["width", "width", "solver", "reference", "reference"]),
        "level": ("factor", ["1", "2", "adam", "untrained", "no transformations"]),
        "relation": ["same", "disjoint"],
        "seed": [0, 1],
    }
    # 5 levels of 2 relations and 2 seeds, the seed fastest
    assert [labels for labels, _ in places] == [
        {"factor": factor, "relation": relation, "seed": seed}
        for factor in factors
        for relation in ("same", "disjoint")
        for seed in (0, 1)
    ]
    changes = [{"width": 1}, {"width": 2}, {"solver": "adam"}, {"relation": "none", "epochs": 0}, {"relation": "none"}]
    expected = [
        {"width": 1, "solver": "lbfgs", "epochs": 6, "relation": relation, "seed": seed} | change
        for change in changes
        for relation in ("same", "disjoint")
        for seed in (0, 1)
    ]
    assert [arguments for _, arguments in places] == expected


def test_grid_has_the_references_that_are_named():
    settings = {"width": 1, "epochs": 6, "seeds": 1, "levels": {"width": [1, 2]}}
    for references in ((), ("untrained",), ("no transformations",)):
        places, coordinates = factor_grid(settings, references)
        expected = ["width=1", "width=2", *(f"reference={name}" for name in references)]
        assert coordinates["factor"] == expected
        assert len(places) == 2 * len(expected)


def test_cells_of_the_grid_have_the_arguments_of_their_levels():
    settings = SETTINGS | {"levels": {"architecture": ["vgg11", "vit"], "solver": ["adam"]}}
    for labels, arguments in factor_grid(settings)[0]:
        name, level = labels["factor"].split("=")
        chosen = {"relation": labels["relation"], "seed": labels["seed"]}
        if name == "reference":
            chosen |= {"relation": "none"} | ({"epochs": 0} if level == "untrained" else {})
        else:
            chosen[name] = level
        assert arguments == cell_arguments(settings, **chosen)


def test_every_coordinate_of_a_factor_study_is_explained():
    assert {*factor_coordinates([("width", 1)], relation=[], seed=[])} <= LONG_NAMES.keys()
