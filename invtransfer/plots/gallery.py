"""Rows of images with names, pixel on pixel, so that they stay crisp."""

import math
import textwrap

_DPI = 100  # pixels per inch
_TILE = 64  # pixels that an image takes in a figure, at least: a whole multiple of its own, so that it stays crisp
_GAP, _LINE, _MARGIN, _TEXT = 4, 22, 14, 104  # pixels between images, of a line, around everything, for names of rows


def draw_groups(groups, above=(), below=(), tile=_TILE):
    """Draw named rows of images under a heading per group, and names above and below the columns.

    Parameters
    ----------
    groups : dict of str to dict of str to ndarray of shape (n, height, width, 3), uint8
        Images of each row, by heading and name of the row.
    above, below : sequence of str
        Names of the columns.
    tile : int
        Pixels that an image takes in the figure, at least: the next multiple of its own, so that it stays crisp.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    groups = {head: {name: _scale_up(images, tile) for name, images in rows.items()} for head, rows in groups.items()}
    strips = [images for rows in groups.values() for images in rows.values()]
    pitch = max(images.shape[2] for images in strips) + _GAP
    height = 2 * _MARGIN + (len(groups) + bool(above) + bool(below)) * _LINE + len(strips) * pitch
    left, top = _MARGIN + _TEXT, _MARGIN
    figure = _make_figure(left + max(map(len, strips)) * pitch - _GAP + _MARGIN, height)
    for head, rows in groups.items():
        _write_text(figure, head, _MARGIN, top + _LINE / 2, size=9, color="0.35")
        top += _LINE
        if above and top == _MARGIN + _LINE:  # the first group
            _write_names(figure, above, left, top, pitch)
            top += _LINE
        for name, images in rows.items():
            _write_text(figure, name, _MARGIN, top + (pitch - _GAP) / 2, size=13)
            _draw_strip(figure, images, left, top, pitch)
            top += pitch
    _write_names(figure, below, left, top - _GAP, pitch)
    return figure


def draw_panels(panels, names):
    """Draw panels side by side, of the same objects in their rows.

    Parameters
    ----------
    panels : dict of str to ndarray of shape (n_rows, n_columns, height, width, 3), uint8
        Images of each panel by its title.
    names : sequence of str
        Names of the rows.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    panels = {title: _scale_up(images) for title, images in panels.items()}
    pitch = max(images.shape[3] for images in panels.values()) + _GAP
    n_columns = sum(images.shape[1] for images in panels.values())
    width = 2 * _MARGIN + _TEXT + n_columns * pitch - _GAP + (len(panels) - 1) * _MARGIN
    figure = _make_figure(width, 2 * _MARGIN + _LINE + len(names) * pitch - _GAP)
    left, top = _MARGIN + _TEXT, _MARGIN + _LINE
    for row, name in enumerate(names):
        _write_text(figure, _fold(name), _MARGIN, top + row * pitch + (pitch - _GAP) / 2, size=11)
    for title, images in panels.items():
        _write_text(figure, title, left, _MARGIN + _LINE / 2, size=9)
        for row, strip in enumerate(images):
            _draw_strip(figure, strip, left, top + row * pitch, pitch)
        left += images.shape[1] * pitch + _MARGIN
    return figure


def draw_named(images, names, n_columns=13):
    """Draw images in lines, each with its name.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width, 3), uint8
        Images.
    names : sequence of str
        Names of the images.
    n_columns : int, default 13
        Number of images side by side.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    images, n_columns = _scale_up(images), min(n_columns, len(images))
    pitch = images.shape[2] + _GAP
    height = 2 * _MARGIN + math.ceil(len(images) / n_columns) * (pitch + _LINE)
    figure = _make_figure(2 * _MARGIN + n_columns * pitch - _GAP, height)
    for row, start in enumerate(range(0, len(images), n_columns)):
        top, columns = _MARGIN + row * (pitch + _LINE), slice(start, start + n_columns)
        _draw_strip(figure, images[columns], _MARGIN, top, pitch)
        _write_names(figure, names[columns], _MARGIN, top + pitch - _GAP, pitch)
    return figure


def _scale_up(images, tile=_TILE):
    """Repeat the pixels of images, the last three dimensions, until they fill a tile."""
    times = math.ceil(tile / images.shape[-2])
    return images.repeat(times, axis=-3).repeat(times, axis=-2)


def _fold(name):
    """Put a long name in two lines."""
    return textwrap.fill(name.replace("_", " "), 11, break_long_words=False)


def _make_figure(width, height):
    """Return an empty white figure of a size in pixels."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")


def _draw_strip(figure, images, left, top, pitch):
    """Put a row of images, (n, height, width, 3), into a figure, pixel on pixel; lengths are in pixels."""
    bottom = round(figure.get_size_inches()[1] * _DPI) - top - images.shape[1]
    for column, image in enumerate(images):
        figure.figimage(image, left + column * pitch, bottom, origin="upper")


def _write_text(figure, text, left, top, **style):
    """Write text into a figure, centred on a height; `left` and `top` in pixels."""
    width, height = figure.get_size_inches() * _DPI
    figure.text(left / width, 1 - top / height, text, va="center", **style)


def _write_names(figure, names, left, top, pitch):
    """Write names over or under a row of images."""
    for column, name in enumerate(names):
        middle = left + column * pitch + (pitch - _GAP) / 2
        _write_text(figure, _fold(name), middle, top + _LINE / 2, ha="center", size=7.5, linespacing=0.95)
