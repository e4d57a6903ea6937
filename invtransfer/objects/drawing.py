"""Shaded, textured drawings: a canvas fills outlines in the unit square with paints.

All lengths are fractions of the unit square's side, x to the right and y downward, so that a drawing is independent of
its number of pixels. An outline is an array of shape (n_points, 2), or a text of points in percent such as
"50,0 100,100 0,100". A paint is a colour in the notation of CSS, or a function of the arrays x and y that returns a
colour in [0, 1] for each of their points.
"""

import numpy as np
from PIL import Image, ImageColor, ImageDraw
from scipy.ndimage import gaussian_filter

from invtransfer.randomness import derive_generator

_TOWARD_LIGHT = np.array([-0.6, -0.8], np.float32)  # the light comes from the upper left
_BLUR = 4.0  # pixels; the relief is computed at a resolution at which this blur is enough
_MARGIN = 0.1  # margin of the sheet around the unit square, so that nothing near its border is cut off


def colour(name):
    """Return a CSS colour such as ``"#d82"`` or ``"tomato"`` as an ndarray of shape (3,), float32 in [0, 1]."""
    return np.array(ImageColor.getrgb(name)[:3], np.float32) / 255


def points(outline):
    """Return an outline, an array-like or a text of points in percent, as an array of shape (n_points, 2).

    Examples
    --------
    >>> points("50,0 100,87.5").tolist()
    [[0.5, 0.0], [1.0, 0.875]]
    """
    if isinstance(outline, str):
        return np.array([pair.split(",") for pair in outline.split()], float) / 100
    return np.asarray(outline, float)


def ellipse(x, y, rx, ry=None, angle=0.0, start=0.0, stop=360.0):
    """Outline an ellipse about (x, y), or its arc from `start` to `stop` (degrees clockwise from the right)."""
    t = np.radians(np.linspace(start, stop, 61))
    return turn(np.stack([x + rx * np.cos(t), y + (rx if ry is None else ry) * np.sin(t)], 1), angle, x, y)


def box(left, top, right, bottom, radius=0.0):
    """Outline an upright rectangle whose corners are rounded with `radius`."""
    corners = (
        (right - radius, bottom - radius, 0),
        (left + radius, bottom - radius, 90),
        (left + radius, top + radius, 180),
        (right - radius, top + radius, 270),
    )
    t = np.radians(np.linspace(0, 90, 9))
    arcs = [(x + radius * np.cos(t + np.radians(a)), y + radius * np.sin(t + np.radians(a))) for x, y, a in corners]
    return np.concatenate([np.stack(arc, 1) for arc in arcs])


def smooth(outline, closed=True):
    """Draw a smooth (Catmull-Rom) curve through the points of an outline.

    Parameters
    ----------
    outline : str or array-like of shape (n_points, 2)
        Points on the curve, in order.
    closed : bool, default=True
        Whether the curve returns to its first point.

    Returns
    -------
    curve : ndarray of shape (n_curve_points, 2)
    """
    p = points(outline)
    n = len(p)
    p = np.concatenate([p[-1:], p, p[:2]] if closed else [p[:1], p, p[-1:]])
    t = np.linspace(0, 1, 12, endpoint=False)[:, None, None]
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]  # four neighbours of each piece
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    curve = curve.swapaxes(0, 1).reshape(-1, 2)
    return curve[: 12 * n] if closed else np.concatenate([curve, p[-1:]])


def flip(outline):
    """Reflect an outline about x = 0.5."""
    return points(outline) * [-1, 1] + [1, 0]


def symmetric(outline):
    """Append to half an outline its mirror image about x = 0.5; points at x = 0.5 are not doubled."""
    half = points(outline)
    return np.concatenate([half, flip(half[half[:, 0] != 0.5])[::-1]])


def turn(outline, angle, x=0.5, y=0.5):
    """Turn an outline by `angle` degrees clockwise about (x, y)."""
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return (points(outline) - [x, y]) @ [[cos, sin], [-sin, cos]] + [x, y]


def blend(first, second, weight):
    """Make a paint that goes from the colour `first` to `second` as ``weight(x, y)`` goes from 0 to 1."""
    a, b = colour(first), colour(second)
    return lambda x, y: a + (b - a) * np.clip(weight(x, y), 0, 1)[..., None]


def gradient(first, second, start=(0.0, 0.0), stop=(0.0, 1.0)):
    """Make a paint that changes along the line from `start` to `stop`."""
    (x0, y0), (x1, y1) = start, stop
    dx, dy = np.array([x1 - x0, y1 - y0]) / ((x1 - x0) ** 2 + (y1 - y0) ** 2)
    return blend(first, second, lambda x, y: (x - x0) * dx + (y - y0) * dy)


def radial(first, second, x, y, radius):
    """Make a paint that changes with the distance from (x, y), up to `radius`."""
    return blend(first, second, lambda u, v: np.hypot(u - x, v - y) / radius)


def stripes(first, second, count, angle=0.0, share=0.5, phase=0.0):
    """Make `count` stripes per side, vertical before they are turned by `angle` degrees; `second` takes `share`."""
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return blend(first, second, lambda x, y: ((x * cos + y * sin) * count + phase) % 1 < share)


def checks(first, second, count, angle=0.0):
    """Make a chessboard with `count` fields per side, turned by `angle` degrees."""
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))

    def weight(x, y):
        return (np.floor((x * cos + y * sin) * count) + np.floor((y * cos - x * sin) * count)) % 2

    return blend(first, second, weight)


def dots(first, second, count, radius=0.3):
    """Make dots of `second` in `count` rows per side, shifted in every other row; `radius` in distances of rows."""

    def weight(x, y):
        row = np.floor(y * count)
        return np.hypot((x * count + row % 2 / 2) % 1 - 0.5, y * count - row - 0.5) < radius

    return blend(first, second, weight)


def _value_noise(x, y, count, seed):
    """Interpolate `count` x `count` uniform numbers in [0, 1] at the points (x, y), with period 1."""
    grid = derive_generator(seed, "textures").random((count, count), np.float32)
    u, v = x * count, y * count
    i, j = np.floor(u).astype(int), np.floor(v).astype(int)
    u, v = u - i, v - j
    i, j, right, below = i % count, j % count, (i + 1) % count, (j + 1) % count
    upper = grid[j, i] * (1 - u) + grid[j, right] * u
    return upper * (1 - v) + (grid[below, i] * (1 - u) + grid[below, right] * u) * v


def noise(first, second, count, seed=0, contrast=2.0):
    """Make blotches about 1 / `count` wide; `contrast` above 2 sharpens their borders."""
    return blend(first, second, lambda x, y: 0.5 + contrast * (_value_noise(x, y, count, seed) - 0.5))


def grain(first, second, count, angle=0.0, seed=0):
    """Make wood: wavy lines along the vertical before they are turned by `angle` degrees."""
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))

    def weight(x, y):
        across, along = x * cos + y * sin, y * cos - x * sin
        wave = _value_noise(across, along / 3, 12, seed)
        return 0.5 + 0.5 * np.sin(2 * np.pi * (count * across + 1.5 * wave))

    return blend(first, second, weight)


class Canvas:
    """A square, transparent sheet on which shapes are painted one over the other.

    Parameters
    ----------
    side : int
        Side of the sheet in pixels, 1.2 times that of the unit square. Edges are hard at this resolution; they become
        soft in `image`, whose size should therefore be smaller, by a factor of about four.

    Examples
    --------
    >>> canvas = Canvas(128)
    >>> canvas.fill(ellipse(0.5, 0.5, 0.4), "tomato", bulge=0)
    >>> image = canvas.image(32)
    >>> image.shape, image[16, 16].tolist(), image[0, 0].tolist()
    ((32, 32, 4), [255, 99, 71, 255], [0, 0, 0, 0])
    """

    def __init__(self, side):
        self.side = side
        self._unit = side / (1 + 2 * _MARGIN)  # pixels
        self._colour = np.zeros((side, side, 3), np.float32)  # already multiplied by alpha
        self._alpha = np.zeros((side, side, 1), np.float32)

    def fill(self, outline, paint, bulge=0.5, inside=False, opacity=1.0):
        """Fill an outline.

        Parameters
        ----------
        outline : str or array-like of shape (n_points, 2)
        paint : str or callable
            A colour, or a function of x and y (see the module's docstring).
        bulge : float, default=0.5
            How far the shape seems to rise towards the viewer: 0 is flat, 1 is a ball, below 0 is a hollow.
        inside : bool, default=False
            Whether to paint only over existing paint.
        opacity : float in [0, 1], default=1
        """
        p = points(outline)
        following = np.roll(p, -1, 0)
        area = abs((p[:, 0] * following[:, 1] - p[:, 1] * following[:, 0]).sum()) / 2
        thickness = 2 * area / np.hypot(*(following - p).T).sum()
        self._compose(*self._mask(p), thickness, paint, bulge, inside, opacity)

    def stroke(self, line, width, paint, bulge=0.5, inside=False, opacity=1.0):
        """Draw a line through points, `width` wide and with round ends and joints; the rest is as in `fill`."""
        p = points(line)
        self._compose(*self._mask(p, width), width, paint, bulge, inside, opacity)

    def cut(self, outline):
        """Make the inside of an outline transparent."""
        mask, window = self._mask(points(outline))
        keep = 1 - np.asarray(mask, np.float32)[..., None] / 255
        self._colour[window] *= keep
        self._alpha[window] *= keep

    def image(self, size):
        """Crop the sheet to its paint, and scale it to a square image.

        Parameters
        ----------
        size : int
            Side of the image in pixels.

        Returns
        -------
        image : ndarray of shape (size, size, 4), uint8
            With straight alpha. The drawing is centred, and its longer side is 97 % of the image's.
        """
        alpha = self._alpha[..., 0]
        rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
        low = np.array([columns[0], rows[0]])
        high = np.array([columns[-1], rows[-1]]) + 1
        half = (high - low).max() / 2 / 0.97
        straight = self._colour / np.maximum(self._alpha, 1e-6)
        sheet = Image.fromarray(np.rint(np.concatenate([straight, self._alpha], 2) * 255).astype(np.uint8))
        first = np.floor((low + high) / 2 - half).astype(int)
        last = np.ceil((low + high) / 2 + half).astype(int)
        margins = ((low + high) / 2 - half - first).tolist()  # the fraction of a pixel that crop cannot cut
        window = (*margins, *(np.array(margins) + 2 * half).tolist())
        sheet = sheet.crop((*first.tolist(), *last.tolist()))  # outside the sheet it is transparent
        # Pillow multiplies an RGBA image by alpha before it averages pixels, and divides by alpha afterwards.
        return np.asarray(sheet.resize((size, size), Image.Resampling.HAMMING, box=window))

    def _mask(self, outline, width=None):
        """Rasterise an outline, or the line along it if it has a width: a PIL image and its window of the sheet."""
        pixels = (outline + _MARGIN) * self._unit
        margin = 1 if width is None else width * self._unit / 2 + 1
        left, top = np.clip(np.floor(pixels.min(0) - margin), 0, self.side - 1).astype(int)
        right, bottom = np.clip(np.ceil(pixels.max(0) + margin), 1, self.side).astype(int)
        mask = Image.new("L", (int(max(right - left, 1)), int(max(bottom - top, 1))))
        draw = ImageDraw.Draw(mask)
        local = pixels - [left, top] - 0.5  # Pillow's integers are the centres of pixels
        if width is None:
            draw.polygon(local.ravel().tolist(), fill=255)
        else:
            radius = max(width * self._unit / 2, 0.5)
            draw.line(local.ravel().tolist(), fill=255, width=max(round(2 * radius), 1))
            for x, y in local.tolist():
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        return mask, np.s_[top : top + mask.height, left : left + mask.width]

    def _compose(self, mask, window, thickness, paint, bulge, inside, opacity):
        """Paint over the window, where the mask is 255."""
        rows, columns = window
        x = ((np.arange(columns.start, columns.stop, dtype=np.float32) + 0.5) / self._unit - _MARGIN)[None, :]
        y = ((np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5) / self._unit - _MARGIN)[:, None]
        paint = paint(*np.broadcast_arrays(x, y)) if callable(paint) else colour(paint)
        if bulge:
            light = self._relief(mask, thickness, bulge)[..., None]
            paint = paint * np.minimum(1 + light, 1) + (1 - paint) * np.maximum(light, 0) * 0.8
        weight = np.asarray(mask, np.float32)[..., None] * (opacity / 255)
        below = self._alpha[window]
        self._colour[window] += weight * (paint * (below if inside else 1) - self._colour[window])
        if not inside:
            self._alpha[window] += weight * (1 - below)

    def _relief(self, mask, thickness, bulge):
        """Return the light on a cushion of the mask's shape: above 0 towards white, below 0 towards black."""
        factor = max(0.5 * thickness * self._unit / _BLUR, 1.0)
        coarse = [max(round(side / factor), 3) for side in mask.size]
        flat = np.asarray(mask.resize(coarse, Image.Resampling.BOX), np.float32) / 255
        height = gaussian_filter(flat, _BLUR, mode="constant")
        down, right = np.gradient(height)
        # The slope times _BLUR is at most 1 / sqrt(2 pi), at a straight edge.
        light = -_BLUR * (right * _TOWARD_LIGHT[0] + down * _TOWARD_LIGHT[1])
        light = Image.fromarray((bulge * (1.6 * light - 0.25 * (1 - height))).astype(np.float32))
        return np.asarray(light.resize(mask.size, Image.Resampling.BICUBIC))
