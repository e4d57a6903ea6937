"""Landscapes drawn in code: 17 kinds of scenery, 51 pictures of each.

A scene is described without pixels: its random numbers are colours, heights as fractions of the picture, and the
values of noise on coarse grids. The same picture can therefore be drawn at any size. Several pictures of a kind are
drawn together: arrays have shape (n, size, size) if they differ by pixel and (n, 1, 1) if they differ by picture, and
those of colours have a last axis of 3.
"""

from functools import lru_cache

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.sparse import coo_array

from invtransfer.randomness import derive_generator

_N_PER_KIND = 51


@lru_cache(maxsize=64)
def _interpolation(size, count):
    """Interpolate smoothly between count + 1 grid points and average over pixels: sparse (size, count + 1)."""
    n = 4 * size  # four points in each pixel
    x = (np.arange(n) + 0.5) / n * count
    left = np.minimum(x.astype(int), count - 1)
    t = x - left
    t = t * t * (3 - 2 * t)
    weights = np.stack([1 - t, t], 1).astype(np.float32) / 4
    entries = np.repeat(np.arange(n) // 4, 2), np.stack([left, left + 1], 1).ravel()
    return coo_array((weights.ravel(), entries), shape=(size, count + 1)).tocsr()


class _Scene:
    """Several pictures of one kind, which are painted in layers from back to front."""

    def __init__(self, generator, n, size):
        self.generator, self.n, self.size = generator, n, size
        centres = ((np.arange(size) + 0.5) / size).astype(np.float32)
        self.x, self.y = centres[None, None, :], centres[None, :, None]
        self.picture = np.zeros((n, size, size, 3), np.float32)

    def number(self, low, high):
        """Draw one uniform number for each picture: shape (n, 1, 1)."""
        return self.generator.uniform(low, high, (self.n, 1, 1)).astype(np.float32)

    def colour(self, *palette, spread=0.06):
        """Mix two neighbouring colours of a palette of (red, green, blue) for each picture: shape (n, 1, 1, 3)."""
        palette = np.array(palette, np.float32) / 255
        position = self.generator.uniform(0, len(palette) - 1, self.n)
        first = np.minimum(position.astype(int), max(len(palette) - 2, 0))
        second = np.minimum(first + 1, len(palette) - 1)
        t = (position - first)[:, None]
        mixed = palette[first] * (1 - t) + palette[second] * t + self.generator.uniform(-spread, spread, (self.n, 3))
        return np.clip(mixed, 0, 1).astype(np.float32)[:, None, None]

    def noise(self, rows, columns, octaves=4, fade=0.55):
        """Add up smooth noise of rows x columns cells, each octave twice as fine: (n, size, size), about -1 to 1."""
        total = np.zeros((self.n, self.size, self.size), np.float32)
        for k in range(octaves):
            r, c = rows * 2**k, columns * 2**k
            grid = self.generator.uniform(-1, 1, (r + 1, self.n * (c + 1))).astype(np.float32)
            grid = (_interpolation(self.size, r) @ grid).reshape(-1, c + 1)  # (size * n, c + 1)
            grid = (_interpolation(self.size, c) @ grid.T).reshape(self.size, self.size, self.n)  # x, y, picture
            total += fade**k * grid.T
        return total

    def profile(self, columns, octaves=6, fade=0.5, sharp=False):
        """Draw a line of hills (or sharp ridges) from left to right: shape (n, 1, size), about -1 to 1."""
        total = np.zeros((self.n, 1, self.size), np.float32)
        for k in range(octaves):
            grid = self.generator.uniform(-1, 1, (columns * 2**k + 1, self.n)).astype(np.float32)
            wave = (_interpolation(self.size, columns * 2**k) @ grid).T[:, None]
            total += fade**k * (1 - 2.5 * np.abs(wave) if sharp else wave)
        return total

    def lay(self, cover, colour):
        """Paint a colour over the pictures with the opacity `cover`, in [0, 1]."""
        cover = np.clip(cover, 0, 1)[..., None]
        self.picture += cover * (colour - self.picture)

    def below(self, horizon):
        """Return a cover of everything below a line, with a soft edge of one pixel."""
        return (self.y - horizon) * self.size + 0.5

    def sky(self, top, bottom, horizon=0.7):
        """Fill the pictures with a gradient from the top to the horizon."""
        t = np.clip(self.y / horizon, 0, 1)[..., None] ** 0.8 + np.zeros_like(self.picture[..., :1])
        self.picture = top + (bottom - top) * t

    def clouds(self, colour, amount=0.0, wide=2):
        """Add clouds, whose undersides are darker; `amount` in about [-1, 1]."""
        form = self.noise(4, wide, 5) + amount - 0.5 * self.y
        shade = 0.5 + 0.5 * np.clip(self.noise(5, 3, 3), -1, 1)[..., None]
        self.lay(np.clip(1.4 * form, 0, 1) * 0.9, colour * (0.82 + 0.18 * shade))

    def sun(self, colour, low, high, radius=0.05, glow=0.3):
        """Add a disc with a halo, at a height between `low` and `high`."""
        distance = np.hypot(self.x - self.number(0.1, 0.9), self.y - self.number(low, high))
        self.lay(np.exp(-((distance / glow) ** 2)) * 0.6, colour)
        self.lay((radius - distance) * self.size + 0.5, 0.3 * colour + 0.7)

    def ground(self, horizon, near, far, rows=12, columns=4, strength=0.5, octaves=4):
        """Add grainy land below the line `horizon`, with the colour `far` at that line and `near` at the bottom."""
        depth = np.clip((self.y - horizon) / 0.45, 0, 1)[..., None]
        texture = self.noise(rows, columns, octaves, 0.75)[..., None]
        self.lay(self.below(horizon), (far + (near - far) * depth) * (1 + 0.3 * strength * texture))

    def mountains(self, base, height, rock, snow=None, columns=2):
        """Add a ridge whose slopes are lit from the left, with snow above a line if `snow` is a colour."""
        ridge = base - height * (0.45 + 0.5 * self.profile(columns, 6, 0.5, sharp=True))
        slope = np.gradient(uniform_filter1d(ridge, max(self.size // 10, 1), axis=2), axis=2) * self.size
        facets = 0.6 * self.noise(4, 7, 5, 0.75) + 0.5 * slope  # the light comes from the left
        colour = rock * (1 + 0.35 * np.clip(facets, -1.2, 1.2))[..., None]
        if snow is not None:
            line = base - height * (0.5 + 0.12 * self.noise(3, 6, 4, 0.7))
            white = np.clip((line - self.y) * 14, 0, 1)[..., None]
            colour = colour + white * (snow * (1 + 0.14 * np.clip(facets, -1, 1))[..., None] - colour)
        self.lay(self.below(ridge), colour)

    def trees(self, base, height, colour, n_trees=40, round_crowns=False, width=0.035):
        """Add a row of conifers, or of round crowns, that stand on the line `base`."""
        place = self.generator.uniform(-0.05, 1.05, (self.n, n_trees, 1)).astype(np.float32)
        tall = height[..., 0][:, None] * self.generator.uniform(0.5, 1, (self.n, n_trees, 1)).astype(np.float32)
        apart = np.abs(self.x - place) / width
        crown = np.sqrt(np.clip(1 - apart**2, 0, 1)) if round_crowns else np.clip(1 - apart, 0, 1)
        top = base - (tall * crown).max(1, keepdims=True)
        leaves = colour * (1 + 0.17 * self.noise(14, 14, 3, 0.8))[..., None]
        light = 1.12 - 0.5 * np.clip((self.y - top) / (height + 0.05), 0, 1)[..., None]
        self.lay(self.below(top), leaves * light)

    def water(self, horizon, near, far, glitter=0.25):
        """Add water below a straight horizon, with waves that grow towards the viewer."""
        depth = np.clip((self.y - horizon) / (1 - horizon), 0, 1)
        waves = self.noise(28, 3, 3, 0.8) * (0.35 + 0.65 * depth)
        colour = far + (near - far) * depth[..., None]
        self.lay(
            self.below(horizon),
            colour * (1 + 0.22 * waves[..., None]) + glitter * np.clip(waves - 0.7, 0, 1)[..., None],
        )

    def finish(self):
        """Flip half of the pictures, vary the exposure and tint of the light, and return uint8."""
        flipped = self.generator.random(self.n) < 0.5
        self.picture[flipped] = self.picture[flipped, :, ::-1]
        tint = 1 + self.generator.uniform(-0.07, 0.07, (self.n, 1, 1, 3)).astype(np.float32)
        light = np.clip(self.picture * tint, 0, 1) ** self.number(0.75, 1.35)[..., None]
        return np.rint(light * 255).astype(np.uint8)


_BLUE_SKY = ((70, 130, 205), (110, 170, 230), (60, 110, 180)), ((190, 220, 240), (225, 235, 240))
_EVENING = ((60, 60, 120), (120, 70, 120), (40, 70, 130)), ((250, 160, 80), (250, 120, 90), (255, 200, 130))
_GREEN = (80, 130, 50), (110, 150, 60), (60, 110, 60), (140, 150, 70)


def _alps(s):
    base = s.number(0.6, 0.75)
    s.sky(s.colour(*_BLUE_SKY[0]), s.colour(*_BLUE_SKY[1]))
    s.clouds(s.colour((250, 250, 252), spread=0.03), s.number(-0.6, 0.3))
    s.mountains(
        base, s.number(0.3, 0.5), s.colour((110, 120, 140), (130, 125, 130)), s.colour((240, 244, 250), spread=0.02)
    )
    s.mountains(base + 0.08, s.number(0.1, 0.25), s.colour((70, 90, 85), (80, 80, 90)))
    s.ground(base + 0.1 + 0.03 * s.profile(2), s.colour(*_GREEN), s.colour((90, 130, 80)))


def _hills(s):
    line = s.number(0.4, 0.6)
    s.sky(s.colour(*_BLUE_SKY[0]), s.colour(*_BLUE_SKY[1]))
    s.clouds(s.colour((252, 252, 252), spread=0.03), s.number(-0.4, 0.5))
    for k in range(4):
        haze = 0.5 - 0.16 * k
        green = s.colour(*_GREEN)
        far = green + haze * (np.float32([0.7, 0.8, 0.9]) - green)
        s.ground(line + 0.12 * k + 0.07 * s.profile(2, 4, 0.4), green, far, strength=0.3 + 0.15 * k)


def _sea(s):
    s.sky(s.colour(*_BLUE_SKY[0]), s.colour(*_BLUE_SKY[1]))
    s.clouds(s.colour((250, 250, 250), (225, 228, 235)), s.number(-0.4, 0.6), 3)
    s.water(
        s.number(0.4, 0.65),
        s.colour((20, 70, 110), (30, 110, 130), (40, 90, 90)),
        s.colour((90, 150, 180), (120, 170, 180)),
    )


def _sunset_sea(s):
    horizon, light = s.number(0.5, 0.7), s.colour((255, 190, 90), (255, 140, 80))
    s.sky(s.colour(*_EVENING[0]), s.colour(*_EVENING[1]))
    s.clouds(s.colour((200, 100, 90), (120, 80, 110)), s.number(-0.4, 0.3), 2)
    s.sun(light, 0.35, 0.55, 0.06, 0.35)
    s.water(horizon, s.colour((40, 40, 80), (60, 40, 70)), light * 0.8, glitter=0.6 * light)


def _beach(s):
    horizon = s.number(0.35, 0.5)
    s.sky(s.colour(*_BLUE_SKY[0]), s.colour(*_BLUE_SKY[1]))
    s.clouds(s.colour((252, 252, 252), spread=0.03), s.number(-0.7, 0.1))
    s.water(horizon, s.colour((60, 170, 180), (40, 130, 170)), s.colour((30, 90, 150)))
    shore = s.number(0.62, 0.78) + s.number(-0.3, 0.3) * (s.x - 0.5) + 0.03 * s.profile(3, 4)
    s.lay(s.below(shore - 0.025), s.colour((240, 246, 246), spread=0.02))
    s.ground(shore, s.colour((226, 200, 150), (236, 214, 170)), s.colour((190, 160, 115)), 16, 10, 0.3)


def _desert(s):
    line = s.number(0.4, 0.6)
    s.sky(s.colour((90, 150, 210), (150, 170, 200)), s.colour((240, 220, 190), (230, 230, 225)))
    s.sun(s.colour((255, 245, 210)), 0.1, 0.3, 0.045)
    for k in range(4):
        sand = s.colour((225, 165, 95), (205, 130, 75), (235, 190, 125))
        dune = line + 0.13 * k + 0.09 * s.profile(1, 3, 0.35)
        s.ground(dune, sand * 0.8, sand, 24, 3, 0.25)
        s.lay(s.below(dune + 0.04 + 0.1 * s.profile(2, 2)) * 0.25, sand * 0.6)


def _canyon(s):
    s.sky(s.colour((70, 130, 200), (110, 160, 210)), s.colour((220, 225, 230)))
    s.clouds(s.colour((250, 248, 244), spread=0.03), s.number(-0.8, 0.0))
    for k in range(3):
        mesa = s.number(0.3, 0.45) + 0.17 * k + 0.14 * np.tanh(4 * s.profile(2, 4, 0.4))
        rock = s.colour((190, 95, 60), (210, 130, 85), (165, 80, 60))
        strata = 0.16 * np.sin(2 * np.pi * (s.y * s.number(7, 12) + 0.2 * s.noise(2, 2, 3)))
        s.lay(s.below(mesa), rock * (1 + strata + 0.13 * s.noise(10, 3, 4, 0.8))[..., None])
    s.ground(s.number(0.8, 0.9) + 0.04 * s.profile(2), s.colour((170, 110, 70)), s.colour((190, 125, 80)))


def _conifers(s):
    base = s.number(0.5, 0.65)
    s.sky(s.colour((130, 160, 185), (170, 185, 195)), s.colour((220, 226, 226), (235, 228, 215)))
    s.mountains(base, s.number(0.1, 0.3), s.colour((130, 150, 165), (110, 130, 150)))
    for k in range(3):
        green = s.colour((25, 60, 45), (40, 80, 55), (35, 65, 35))
        s.trees(
            base + 0.13 * k,
            s.number(0.15, 0.25) * (1 + 0.4 * k),
            green + (0.22 - 0.1 * k) * (1 - green),
            34 - 8 * k,
            width=0.03 + 0.015 * k,
        )
    s.ground(base + 0.3 + 0.03 * s.profile(3), s.colour((50, 80, 40), (80, 90, 50)), s.colour((60, 90, 50)))


def _broadleaves(s):
    base = s.number(0.55, 0.7)
    s.sky(s.colour(*_BLUE_SKY[0]), s.colour(*_BLUE_SKY[1]))
    s.clouds(s.colour((250, 250, 250), spread=0.03), s.number(-0.5, 0.4))
    for k in range(2):
        leaves = s.colour((60, 110, 45), (95, 140, 50), (75, 120, 40))
        s.trees(base + 0.08 * k, s.number(0.15, 0.4), leaves * (1 - 0.12 * k), 16, True, 0.07 + 0.03 * k)
    s.ground(base + 0.1 + 0.02 * s.profile(3), s.colour(*_GREEN), s.colour((130, 160, 70)), 16, 8)


def _autumn(s):
    base = s.number(0.5, 0.65)
    s.sky(s.colour((150, 180, 205), (190, 195, 200)), s.colour((235, 228, 210)))
    for k in range(3):
        leaves = s.colour((190, 60, 35), (220, 130, 40), (225, 180, 60), (150, 80, 40))
        s.trees(base + 0.1 * k, s.number(0.2, 0.4), leaves * (1.05 - 0.1 * k), 18, True, 0.06 + 0.02 * k)
    s.ground(
        base + 0.25 + 0.02 * s.profile(3), s.colour((150, 100, 45), (120, 110, 50)), s.colour((180, 120, 50)), 16, 10
    )


def _meadow(s):
    horizon = s.number(0.3, 0.5)
    s.sky(s.colour(*_BLUE_SKY[0]), s.colour(*_BLUE_SKY[1]), 0.5)
    s.clouds(s.colour((252, 252, 252), spread=0.03), s.number(-0.4, 0.4))
    s.trees(horizon + 0.01, s.number(0.03, 0.1), s.colour((50, 90, 50), (80, 110, 70)), 30, True)
    s.ground(
        horizon + 0.02 * s.profile(2, 3), s.colour((70, 130, 40), (110, 150, 50)), s.colour((150, 180, 80)), 18, 8, 0.5
    )
    flowers = s.noise(40, 30, 2, 0.9) - 1.0 + 0.5 * s.y
    s.lay(
        5 * flowers * (s.y > horizon + 0.06),
        s.colour((240, 210, 60), (230, 80, 90), (245, 240, 245), (150, 90, 200), spread=0.1),
    )


def _winter(s):
    base = s.number(0.45, 0.65)
    s.sky(s.colour((120, 150, 190), (170, 180, 195)), s.colour((225, 228, 235), (240, 225, 220)))
    s.mountains(base, s.number(0.1, 0.35), s.colour((140, 155, 180)), s.colour((240, 243, 250), spread=0.02))
    s.trees(base + 0.04, s.number(0.06, 0.2), s.colour((60, 80, 85), (90, 105, 115)), 26)
    white, blue = s.colour((246, 248, 252), spread=0.02), s.colour((190, 205, 230))
    s.ground(base + 0.03 + 0.03 * s.profile(2), white, blue, 6, 3, 0.25)
    s.ground(base + 0.22 + 0.06 * s.profile(1, 3), blue, white, 6, 3, 0.25)


def _lake(s):
    shore = s.number(0.5, 0.6)
    s.sky(s.colour(*_BLUE_SKY[0]), s.colour(*_BLUE_SKY[1]), 0.5)
    s.clouds(s.colour((250, 250, 250), spread=0.03), s.number(-0.5, 0.3))
    s.mountains(
        shore, s.number(0.2, 0.4), s.colour((90, 110, 120), (100, 105, 120)), s.colour((235, 240, 245), spread=0.03)
    )
    s.trees(shore + 0.01, s.number(0.04, 0.12), s.colour((35, 70, 50), (50, 85, 60)), 40)
    rows = np.clip((2 * shore[:, 0, 0, None] - s.y[0, :, 0]) * s.size, 0, s.size - 1).astype(int)  # (n, size)
    mirror = s.picture[np.arange(s.n)[:, None], rows]
    ripples = 1 + 0.13 * s.noise(30, 4, 3, 0.8)[..., None]
    s.lay(s.below(shore), (0.75 * mirror + 0.2 * s.colour((40, 80, 110))) * ripples)


def _night(s):
    s.sky(s.colour((8, 12, 35), (15, 15, 50), (10, 25, 50)), s.colour((40, 50, 100), (70, 50, 95), (30, 70, 95)))
    s.lay((s.noise(90, 90, 1) - 0.8) * 6, s.colour((235, 235, 255)))
    s.sun(s.colour((190, 200, 225)), 0.1, 0.35, 0.07, 0.2)
    base = s.number(0.65, 0.8)
    s.mountains(base, s.number(0.15, 0.35), s.colour((28, 34, 60), (40, 40, 70)))
    s.trees(base + 0.1, s.number(0.08, 0.22), s.colour((10, 18, 26), (16, 24, 24)), 28)


def _dusk(s):
    s.sky(s.colour(*_EVENING[0]), s.colour(*_EVENING[1]))
    s.clouds(s.colour((230, 120, 110), (160, 90, 120)), s.number(-0.3, 0.4))
    s.sun(s.colour((255, 210, 130)), 0.4, 0.6)
    base, tint = s.number(0.6, 0.7), s.colour((80, 50, 90), (60, 50, 90), (110, 60, 70))
    for k in range(3):
        s.mountains(base + 0.11 * k, s.number(0.1, 0.28), tint * (1 - 0.28 * k), columns=2 + k)


def _fog(s):
    air = s.colour((200, 208, 212), (225, 220, 210), (190, 200, 215))
    s.sky(air * 0.95, air)
    for k in range(5):
        wood = s.colour((50, 70, 70), (60, 75, 60))
        layer = wood + (0.8 - 0.18 * k) * (air - wood)
        s.trees(
            0.42 + 0.13 * k + 0.06 * s.profile(2, 3),
            s.number(0.06, 0.12) * (1 + 0.5 * k),
            layer,
            36 - 6 * k,
            width=0.02 + 0.012 * k,
        )


def _storm(s):
    s.sky(s.colour((50, 60, 75), (70, 75, 85)), s.colour((140, 145, 150), (170, 160, 140)))
    s.clouds(s.colour((90, 95, 108), (120, 120, 125)), s.number(0.2, 0.8), 2)
    s.clouds(s.colour((190, 190, 190)), s.number(-0.8, -0.2), 2)
    line = s.number(0.55, 0.75)
    s.mountains(line, s.number(0.05, 0.2), s.colour((70, 80, 90)))
    s.ground(
        line + 0.03 * s.profile(2),
        s.colour((70, 80, 40), (110, 100, 55)),
        s.colour((90, 95, 60), (150, 135, 75)),
        20,
        5,
        0.6,
    )


_KINDS = (
    _alps, _sea, _conifers, _desert, _meadow, _sunset_sea, _hills, _winter, _canyon, _broadleaves, _night, _beach,
    _autumn, _lake, _dusk, _fog, _storm,
)  # fmt: skip


@lru_cache(maxsize=4)
def draw_backgrounds(size):
    """Draw all backgrounds; kinds of scenery take turns.

    Parameters
    ----------
    size : int
        Side of the images in pixels.

    Returns
    -------
    images : ndarray of shape (867, size, size, 3), uint8
        Read-only, because all callers get the same array.

    Examples
    --------
    >>> draw_backgrounds(8).shape
    (867, 8, 8, 3)
    """
    images = np.empty((_N_PER_KIND, len(_KINDS), size, size, 3), np.uint8)
    for kind, draw in enumerate(_KINDS):
        n = 17  # pictures at a time, so that large sizes do not take much memory
        for first in range(0, _N_PER_KIND, n):
            scene = _Scene(derive_generator(kind, "landscapes", first), n, size)
            draw(scene)
            images[first : first + n, kind] = scene.finish()
    images = images.reshape(-1, size, size, 3)
    images.flags.writeable = False
    return images
