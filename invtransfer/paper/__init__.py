"""The paper's protocol: its tasks and presets, and the one command line of its studies.

`study` says what a study is made of, and `command_line` runs it. `presets` and `grids` hold the protocol's numbers and
cells, `tasks`, `images_with_objects` and `distribution_shift` draw what encoders are trained and tested on, `datasets`
and `inputs` read and find the data, `planted_labels` makes labels that are a transformation, `pretraining` is the first
step of every cell, `timing` projects how long a study takes, `benchmarks` times the scripts that measure speed, and
`one_by_one` makes images the ordinary way, with which they compare.
"""

from invtransfer.paper.command_line import main
from invtransfer.paper.study import Study, load_study

__all__ = ["Study", "load_study", "main"]
