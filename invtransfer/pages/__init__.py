"""From cubes to pages: one HTML file for each, which needs no network. Loads no torch; figures need matplotlib.

`layout` makes a page of titles, texts, tables and figures, and knows no cube. `profiles`, `advice`, `studies` and
`speed` say what of a cube goes on its page, and `origins` how its numbers came about.
"""

from invtransfer.pages.advice import make_advice_page
from invtransfer.pages.layout import check_page, make_page, write_page
from invtransfer.pages.profiles import make_profile_page
from invtransfer.pages.speed import make_speed_page
from invtransfer.pages.studies import make_study_page

__all__ = [
    "check_page", "make_advice_page", "make_page", "make_profile_page", "make_speed_page",
    "make_study_page", "write_page",
]  # fmt: skip
