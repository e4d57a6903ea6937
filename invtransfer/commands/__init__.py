"""What the commands ``measure`` and ``advise`` do with models and images of a person's own.

`models_and_images` checks, loads and tells them apart; `measuring` and `task_advice` make cubes of them.
"""
