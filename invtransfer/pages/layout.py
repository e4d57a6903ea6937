"""One HTML file of texts, tables and figures, which needs no network: make_page."""

import base64
import io
import re
from dataclasses import dataclass
from html import escape

import numpy as np

from invtransfer.storage import check_writable, replacing

MARK = '<meta name="generator" content="invtransfer">'  # tells our pages from others
NUMBER = re.compile(r"[+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?(?=[\s%]|$)")  # at the beginning of a text
NO_NUMBER = {"", "?", "failed", "missing", "no value"}  # what stands in place of one
SMALLEST = 0.6  # of its own size, to which a figure shrinks before it scrolls: letters stay readable

STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; padding: 1rem; max-width: 68rem; background: #fff; color: #1a1a1a;
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; }
h2 { font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
p, ul { max-width: 46rem; }
ul { padding-left: 1.3rem; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0.2rem 1.5rem; max-width: none; }
a { color: #00558c; }
figure { margin: 1.5rem 0; }
figcaption { font-weight: 600; margin-bottom: 0.4rem; max-width: 46rem; }
.scroll { overflow-x: auto; }
.scroll:focus-visible, button:focus-visible { outline: 2px solid #0072b2; outline-offset: 2px; }
img { display: block; max-width: 100%; height: auto; }
table { border-collapse: collapse; font-size: 0.9rem; width: max-content; }
th, td { padding: 0.25rem 1.25rem 0.25rem 0; text-align: left; vertical-align: top; max-width: min(32rem, 75vw); }
thead th { border-bottom: 2px solid #1a1a1a; vertical-align: bottom; }
tbody tr { border-bottom: 1px solid #ddd; }
tbody th { font-weight: 400; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
thead button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0; padding: 0;
  text-align: inherit; cursor: pointer; }
thead button::after { content: "\\2195"; color: #767676; padding-left: 0.3em; }
th[aria-sort=ascending] button::after { content: "\\2191"; color: inherit; }
th[aria-sort=descending] button::after { content: "\\2193"; color: inherit; }
pre { background: #f3f3f3; padding: 0.75rem; white-space: pre-wrap; font-size: 0.9rem; }
pre.table { white-space: pre; overflow-x: auto; }
@media screen {
  tr > th:first-child { position: sticky; left: 0; background: #fff; }
}
@media screen and (max-width: 40rem) {
  tr > th:first-child { max-width: 40vw; }
}
@media print {
  @page { margin: 1.5cm; }
  body { padding: 0; max-width: none; font-size: 10pt; }
  nav { display: none; }
  h2, figcaption { break-after: avoid; }
  .picture, thead, tr { break-inside: avoid; }
  .scroll { overflow: visible; }
  img { min-width: 0 !important; max-height: 22cm; }
  table { width: auto; font-size: 8pt; overflow-wrap: break-word; }
  table:not(.wide) tbody th { min-width: 10em; }
  table.wide { font-size: 6pt; }
  table.wide thead th { writing-mode: vertical-rl; text-align: right; }
  th, td { padding: 1pt 6pt 1pt 0; max-width: none; }
  table.wide th, table.wide td { padding: 1pt 3pt 1pt 0; }
  .number { white-space: normal; }
  thead button { display: contents; }  /* a head with a control is not repeated on the next sheet */
  thead button::after { content: none !important; }
  pre { white-space: pre-wrap !important; border: 1px solid #ccc; }
}
"""

# A click on the head of a column sorts by it: numbers by their value, before texts. Without this a table is plain.
SCRIPT = """
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.ariaSort === "ascending" ? -1 : 1;
      const compare = (first, second) => {
        const [a, b] = [first, second].map(row => row.cells[column]);
        const [x, y] = [a, b].map(cell => cell.dataset.value);
        if (x !== undefined && y !== undefined) return sign * (x - y);
        if (x !== undefined || y !== undefined) return x !== undefined ? -1 : 1;
        return sign * a.textContent.localeCompare(b.textContent, "en", {numeric: true});
      };
      body.append(...[...body.rows].sort(compare));
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.ariaSort = sign > 0 ? "ascending" : "descending";
    });
  });
}
"""


@dataclass(frozen=True)
class Table:
    """A table whose columns can be sorted.

    Parameters
    ----------
    title : str
        What the table shows.
    columns : sequence of str
        Heads of the columns.
    rows : sequence of sequence of str
        Cells, as many in each row as there are columns. The first of a row is its name. A column whose cells begin with
        numbers, such as "0.41 (0.39 to 0.43)", or stand for missing ones, is sorted by these.
    """

    title: str
    columns: tuple
    rows: tuple


@dataclass(frozen=True)
class Picture:
    """A figure.

    Parameters
    ----------
    title : str
        What the figure shows.
    data : bytes
        The drawing, as a file.
    width : float
        Its width in pixels.
    text : str
        What the figure shows, in numbers, for those who do not see it.
    format : {"svg+xml", "webp"}
        Format of the file, as in its media type.
    """

    title: str
    data: bytes
    width: float
    text: str
    format: str = "svg+xml"


@dataclass(frozen=True)
class Verbatim:
    """A text whose lines and spaces are kept, such as a command.

    Parameters
    ----------
    text : str
        The text.
    aligned : bool
        Whether lines belong below one another, so that long ones are not broken.
    """

    text: str
    aligned: bool = False


def make_page(title, lead, sections):
    """Make an HTML page that needs no network.

    Parameters
    ----------
    title : str
        Title of the page.
    lead : str
        What the page is about, in a sentence.
    sections : list of (str, list)
        Title of each section, to which links lead if there are three or more, and its parts: a str is a paragraph, a
        list of str a list of points; the others are `Table`, `Picture` or `Verbatim`. All texts are shown as they are,
        also "<" and "&".

    Returns
    -------
    page : str

    Raises
    ------
    ValueError
        If a row of a table has more or fewer cells than there are columns.

    Examples
    --------
    >>> page = make_page("Sizes", "How large <b> is.", [("Numbers", [Table("all", ["what", "size"], [["b", "3"]])])])
    >>> "How large &lt;b&gt; is." in page, '<td class="number" data-value="3">3</td>' in page
    (True, True)
    """
    parts = [f"<h1>{escape(title)}</h1>", f"<p>{escape(lead)}</p>"]
    if len(sections) > 2:
        links = [
            f'<li><a href="#{number}">{escape(heading)}</a></li>' for number, (heading, _) in enumerate(sections, 1)
        ]
        parts += ['<nav aria-label="Sections"><ul>', *links, "</ul></nav>"]
    for number, (heading, contents) in enumerate(sections, 1):
        parts += [f'<section id="{number}">', f"<h2>{escape(heading)}</h2>", *map(_format_part, contents), "</section>"]
    return "\n".join([
        "<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">', MARK,
        '<meta name="viewport" content="width=device-width, initial-scale=1">', f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>", "</head>", "<body>", *parts, f"<script>{SCRIPT}</script>", "</body>", "</html>", "",
    ])  # fmt: skip


def _format_part(part):
    if isinstance(part, str):
        return f"<p>{escape(part)}</p>"
    if isinstance(part, Table):
        return _format_table(part)
    if isinstance(part, Picture):
        return _format_picture(part)
    if isinstance(part, Verbatim):
        how = ' class="table" tabindex="0"' if part.aligned else ""
        return f"<pre{how}>{escape(part.text)}</pre>"
    return "<ul>\n" + "".join(f"<li>{escape(point)}</li>\n" for point in part) + "</ul>"


def _format_table(table):
    for row in table.rows:
        if len(row) != len(table.columns):
            raise ValueError(f"a row of {table.title!r} has {len(row)} cells, expected {len(table.columns)}")
    columns = list(zip(*table.rows, strict=True)) or [()] * len(table.columns)
    numeric = [
        any(map(NUMBER.match, cells)) and all(NUMBER.match(text) or text in NO_NUMBER for text in cells)
        for cells in columns
    ]
    heads = "".join(map(_format_cell, table.columns, ['th scope="col"'] * len(numeric), numeric))
    tags = ['th scope="row"', *["td"] * (len(numeric) - 1)]
    lines = [f"<tr>{''.join(map(_format_cell, row, tags, numeric))}</tr>\n" for row in table.rows]
    wide = ' class="wide"' if len(table.columns) > 9 else ""
    return (
        f"<figure>\n<figcaption>{escape(table.title)}</figcaption>\n{_open_scroll(table.title)}<table{wide}>\n"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{''.join(lines)}</tbody>\n</table></div>\n</figure>"
    )


def _format_cell(text, tag, numeric):
    number = NUMBER.match(text) if numeric else None
    value = f' data-value="{number[0].replace(",", "")}"' if number else ""
    right = ' class="number"' if numeric else ""
    return f"<{tag}{right}{value}>{escape(text)}</{tag[:2]}>"


def _format_picture(picture):
    # An image of its own: ids in several drawings cannot clash, and nothing in it is run.
    source = f"data:image/{picture.format};base64,{base64.b64encode(picture.data).decode()}"
    size = f"width: {picture.width:.0f}px; min-width: {SMALLEST * picture.width:.0f}px"
    return (
        f'<figure class="picture">\n<figcaption>{escape(picture.title)}</figcaption>\n{_open_scroll(picture.title)}'
        f'<img style="{size}" alt="{escape(picture.text)}" src="{source}"></div>\n</figure>'
    )


def _open_scroll(title):
    """Open an area that scrolls sideways if it is too wide, also by keyboard."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(title)}">'


def format_interval(value, low, high, digits=3):
    """Format a number with its interval, if it has one.

    Parameters
    ----------
    value, low, high : float
        The number and the bounds of its interval, NaN for what is not known.
    digits : int
        Number of digits after the point.

    Returns
    -------
    text : str

    Examples
    --------
    >>> format_interval(0.5, 0.25, 0.75, digits=2), format_interval(-0.0001, np.nan, np.nan)
    ('0.50 (0.25 to 0.75)', '0.000')
    """
    if np.isnan(value):
        return "no value"
    text = f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: no -0.000
    return text if np.isnan(low) or np.isnan(high) else f"{text} ({low:.{digits}f} to {high:.{digits}f})"


def make_picture(title, figure, text, *, photographs=False):
    """Make a picture of a figure.

    Parameters
    ----------
    title : str
        What the figure shows.
    figure : matplotlib.figure.Figure
        The figure.
    text : str
        What it shows, in numbers.
    photographs : bool
        Whether it consists of images, which take a tenth of the room as WebP; lines and letters stay sharp as SVG.

    Returns
    -------
    picture : Picture
        The same figure gives the same bytes. Letters are drawn, so that they look the same everywhere.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> make_picture("A line", Figure(figsize=(4, 3)), "from 0 to 1").width
    384.0
    """
    from matplotlib import rc_context

    file, width = io.BytesIO(), 96.0 * float(figure.get_figwidth())
    if photographs:
        figure.savefig(file, format="webp", dpi=160, pil_kwargs={"quality": 80})
        return Picture(title, file.getvalue(), width, text, "webp")
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": "invtransfer"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(title, file.getvalue(), width, text)


def draw_pictures(figures, *, photographs=False):
    """Draw figures for a page, which is worth reading without them, too.

    Parameters
    ----------
    figures : list of (str, callable, str)
        For each figure its title; a function without arguments that makes it; and what it shows, in numbers.
    photographs : bool
        As for `make_picture`.

    Returns
    -------
    pictures : list of Picture or str
        A sentence says why there is no figure, if it cannot be drawn or matplotlib is missing.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> def draw_nothing():
    ...     raise ValueError("no values")
    >>> pictures = draw_pictures([("A line", Figure, "from 0 to 1"), ("Nothing", draw_nothing, "")])
    >>> pictures[0].title, pictures[1]
    ('A line', "There is no figure 'Nothing': no values.")
    """
    pictures = []
    for title, plot, text in figures:
        try:
            from matplotlib import rc_context

            with rc_context({"text.parse_math": False}):  # a name may have a dollar sign
                pictures.append(make_picture(title, plot(), text, photographs=photographs))
        except ModuleNotFoundError as error:
            return [f"There is no figure: {error}; pip install 'invtransfer[plot]'."]
        except ValueError as error:  # the tables are worth a page
            pictures.append(f"There is no figure {title!r}: {error}.")
    return pictures


def check_page(path):
    """Raise an error if a page cannot be written, before any work is done for it.

    Parameters
    ----------
    path : pathlib.Path
        Where the page will go.

    Raises
    ------
    ValueError
        If its name does not end in .html, or there is a file that is no page of ours.
    OSError
        If it cannot be written.
    """
    if path.suffix != ".html":
        raise ValueError(f"cannot write {path}: the name of a page ends in .html")
    check_writable(path)
    if path.exists():
        with path.open("rb") as file:
            if MARK.encode() not in file.read(1_000):
                raise ValueError(f"{path} exists, and is not a page of invtransfer: choose another, or move it away")


def write_page(page, path):
    """Write a page, whole or not at all.

    Parameters
    ----------
    page : str
        As `make_page` returns it.
    path : pathlib.Path
        Where it goes.

    Raises
    ------
    ValueError, OSError
        As `check_page`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_page(make_page("Nothing", "There is nothing.", []), Path(folder, "mine.html"))
    ...     check_page(Path(folder, "mine.html"))  # may be written again
    """
    check_page(path)
    with replacing(path) as temporary:
        temporary.write_bytes(page.encode("utf-8", "backslashreplace"))  # names of files may be no text
