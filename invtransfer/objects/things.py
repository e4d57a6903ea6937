"""Sixty-one everyday things, each drawn by one small function.

A drawing function paints on a canvas, in fractions of the unit square's side or texts of points in percent (see
`drawing`), from what is behind to what is in front. `Canvas.image` centres the result and lets it fill the
image, so that margins do not matter here.
"""

from functools import lru_cache

import numpy as np

from invtransfer.objects.drawing import (
    Canvas,
    box,
    checks,
    dots,
    ellipse,
    flip,
    gradient,
    grain,
    noise,
    points,
    radial,
    smooth,
    stripes,
    symmetric,
    turn,
)

__all__ = ["OBJECTS", "draw_objects"]


def _shine(c, x, y, rx, ry, angle=0, opacity=0.55):
    c.fill(ellipse(x, y, rx, ry, angle), "white", bulge=0, inside=True, opacity=opacity)


def _eye(c, x, y, r, white="white"):
    c.fill(ellipse(x, y, r), white, bulge=0.3)
    c.fill(ellipse(x + 0.15 * r, y + 0.1 * r, 0.6 * r), "#15151c", bulge=0)
    c.fill(ellipse(x - 0.1 * r, y - 0.2 * r, 0.2 * r), "white", bulge=0)


def _wheel(c, x, y, r, hub="#c9ced6"):
    c.fill(ellipse(x, y, r), "#26262b", bulge=0.6)
    c.fill(ellipse(x, y, 0.55 * r), hub, bulge=0.7)
    c.fill(ellipse(x, y, 0.18 * r), "#5b6069", bulge=0)


def _leaf(c, x, y, length, angle, paint="#3f9b3a"):
    blade, vein = smooth("0,0 30,-26 75,-20 100,0 70,20 30,20"), points("0,0 85,0")
    c.fill(turn(blade, angle, 0, 0) * length + [x, y], paint)
    c.stroke(turn(vein, angle, 0, 0) * length + [x, y], 0.06 * length, "#24602a", bulge=0)


def _apple(c):
    c.stroke(smooth("50,34 51,20 57,8", closed=False), 0.045, "#6b4423")
    c.fill(
        smooth(symmetric("50,30 38,22 20,27 10,47 15,72 32,95 50,91")),
        stripes("#cf1a24", "#dd2c2a", 26, 6, 0.4),
        bulge=0.9,
    )
    for r, opacity in points("20,12 15,14 9,16"):
        c.fill(ellipse(0.68, 0.58, r, 1.6 * r, 12), "#f7b23f", bulge=0, inside=True, opacity=opacity)
    c.fill(ellipse(0.5, 0.3, 0.1, 0.035), "#7c1015", bulge=-0.3, inside=True)
    c.stroke("50,31 51,22", 0.045, "#6b4423")
    _leaf(c, 0.53, 0.2, 0.34, -18)
    _shine(c, 0.27, 0.42, 0.05, 0.1, 25)


def _car(c):
    body = "2,62 5,50 20,45 32,30 45,25 66,26 78,43 95,48 98,64 95,72 50,73 5,72"
    c.fill(
        smooth(body),
        gradient("#2f7de0", "#1747a0", (0.5, 0.25), (0.5, 0.75)),
        bulge=0.7,
    )
    glass = gradient("#dff4ff", "#7fb6d6", (0.3, 0.3), (0.7, 0.45))
    c.fill("29,45 37,32 49,30 49,45", glass, bulge=0.2)
    c.fill("53,45 53,30 64,31 72,45", glass, bulge=0.2)
    c.stroke("51,47 51,70", 0.008, "#0e2f70", bulge=0)
    c.stroke("3,65 97,65", 0.02, "#eef2f6", bulge=0, inside=True)
    c.stroke("55,51 60,51", 0.018, "#dfe6ee")
    c.fill(ellipse(0.08, 0.55, 0.035, 0.045), "#ffe98a")
    c.fill(box(0.93, 0.5, 0.98, 0.58, 0.02), "#e0262d")
    _wheel(c, 0.24, 0.72, 0.115)
    _wheel(c, 0.77, 0.72, 0.115)


def _cat(c):
    tabby = stripes("#f0a24a", "#d9822b", 9, 12, 0.4)
    c.stroke(smooth("74,85 93,78 90,60 98,48", closed=False), 0.075, tabby)
    c.fill(smooth("36,42 26,70 30,96 76,96 80,74 64,42"), tabby, bulge=0.7)
    c.fill(smooth("40,60 40,85 52,93 60,80 56,60"), "#fbe9cf", bulge=0.3)
    for x in (0.4, 0.58):
        c.fill(ellipse(x, 0.94, 0.085, 0.05), "#fbe9cf")
    c.fill("24,34 22,3 45,17", "#d9822b")
    c.fill("74,34 76,3 53,17", "#d9822b")
    c.fill("29,24 27,11 38,18", "#f3b0a0", bulge=0)
    c.fill("69,24 71,11 60,18", "#f3b0a0", bulge=0)
    c.fill(ellipse(0.49, 0.33, 0.28, 0.22), stripes("#f0a24a", "#e3913b", 12, 0, 0.4), bulge=0.7)
    c.fill(ellipse(0.49, 0.43, 0.13, 0.085), "#fbe9cf", bulge=0.3)
    for x in (0.38, 0.6):
        _eye(c, x, 0.31, 0.055, "#a6d34f")
    c.fill("46,39 52,39 49,42", "#c9566a", bulge=0)
    for dx in (-1, 1):
        for dy in (-0.03, 0.015, 0.06):
            c.stroke([(0.49 + dx * 0.1, 0.43), (0.49 + dx * 0.32, 0.42 + dy)], 0.008, "#fff6e6", bulge=0)


def _mug(c):
    c.stroke(ellipse(0.76, 0.52, 0.15, 0.19), 0.07, "#2b9d8f")
    c.fill(
        smooth("10,15 12,50 15,86 25,95 61,95 71,86 74,50 76,15"),
        gradient("#45c4b3", "#1c7f75", (0.1, 0.5), (0.78, 0.5)),
        bulge=0.4,
    )
    for y in (0.42, 0.78):
        c.stroke(smooth([(0.08, y), (0.43, y + 0.06), (0.78, y)], closed=False), 0.035, "#f6efe0", 0, inside=True)
    zigzag = [(0.1 + 0.07 * i, 0.62 + 0.05 * (i % 2)) for i in range(10)]
    c.stroke(zigzag, 0.03, "#f4b83f", 0, inside=True)
    c.fill(ellipse(0.43, 0.16, 0.335, 0.09), "#d8fff7", bulge=0.3)
    c.fill(ellipse(0.43, 0.17, 0.285, 0.062), radial("#6b3f22", "#3b1f10", 0.38, 0.15, 0.3), bulge=0)


def _sock(c):
    outline = smooth("36,8 38,35 35,55 14,72 6,86 16,96 34,94 62,80 72,60 72,30 74,8")
    c.fill(outline, stripes("#f4f0e6", "#e2447c", 8, 84), bulge=0.7)
    c.fill(ellipse(0.1, 0.88, 0.16, 0.18), "#3e57b8", bulge=0.4, inside=True)
    c.fill(ellipse(0.68, 0.74, 0.17, 0.14, -40), "#3e57b8", bulge=0.4, inside=True)
    c.fill(box(0.33, 0.03, 0.77, 0.17, 0.035), stripes("#3e57b8", "#33489c", 22), bulge=0.6)


def _banana(c):
    outer = "13,6 10,30 20,62 45,87 75,93 95,83"
    inner = "93,74 74,72 52,60 34,38 24,6"
    c.fill(smooth(f"{outer} {inner}"), gradient("#ffe45c", "#e5ad1c", (0.5, 0.4), (0.35, 0.85)), bulge=0.9)
    c.stroke(smooth("17,12 19,35 30,60 52,77 88,82", closed=False), 0.012, "#b98a14", 0)
    c.fill(box(0.125, 0.02, 0.245, 0.13, 0.02), "#8a6d1f")
    c.fill(ellipse(0.95, 0.785, 0.03, 0.05, -15), "#4a3a12")
    for x, y, r in points("30,50,2 45,70,2.5 60,80,1.5 24,30,1.4 72,82,1.8"):
        c.fill(ellipse(x, y, r, r * 0.6, 40), "#7a5414", bulge=0, opacity=0.7)


def _bus(c):
    c.fill(box(0.02, 0.2, 0.98, 0.8, 0.07), gradient("#f7c325", "#e89a12", (0.5, 0.2), (0.5, 0.8)), bulge=0.4)
    c.fill(box(0.1, 0.15, 0.86, 0.23, 0.03), "#f0f0ea")
    glass = gradient("#cdeaf7", "#5d93b3", (0.3, 0.3), (0.35, 0.52))
    for i in range(5):
        c.fill(box(0.07 + 0.155 * i, 0.29, 0.2 + 0.155 * i, 0.49, 0.02), glass, bulge=0.15)
    c.fill(box(0.86, 0.27, 0.975, 0.56, 0.03), glass, bulge=0.15)
    c.fill(box(0.535, 0.29, 0.665, 0.79, 0.02), "#7d4a12", bulge=0.2)
    c.fill(box(0.55, 0.31, 0.65, 0.6, 0.015), glass, bulge=0.1)
    for y in (0.56, 0.64):
        c.stroke([(0.02, y), (0.52, y)], 0.018, "#202024", 0, inside=True)
    c.fill(ellipse(0.95, 0.67, 0.03), "#fff7c9")
    c.fill(box(0.015, 0.62, 0.045, 0.7, 0.01), "#d2232a")
    _wheel(c, 0.22, 0.8, 0.1)
    _wheel(c, 0.79, 0.8, 0.1)


def _fish(c):
    fin = stripes("#ff9a3c", "#e06010", 16, 100, 0.3)
    c.fill(smooth("70,50 97,24 90,50 98,77"), fin, bulge=0.4)
    c.fill(smooth("28,36 40,14 64,20 66,40"), fin, bulge=0.4)
    c.fill(smooth("40,66 48,86 60,82 60,62"), fin, bulge=0.4)
    body = smooth("2,52 15,37 36,29 60,37 78,50 60,64 36,72 14,65")
    c.fill(body, gradient("#ff7a1a", "#ffc15a", (0.4, 0.3), (0.4, 0.72)), bulge=0.8)
    for x, w in points("25,7 48,8.5 69,5"):
        c.stroke(smooth([(x, 0.2), (x + 0.05, 0.5), (x, 0.8)], closed=False), w + 0.03, "#2a2330", 0, inside=True)
        c.stroke(smooth([(x, 0.2), (x + 0.05, 0.5), (x, 0.8)], closed=False), w, "#fdfbf5", 0.3, inside=True)
    c.fill(smooth("40,52 55,49 54,60"), fin, bulge=0.4)
    _eye(c, 0.14, 0.46, 0.045)
    c.stroke(smooth("4,55 9,57 12,56", closed=False), 0.012, "#7a2c08", 0)


def _key(c):
    gold = gradient("#ffe07a", "#b47e16", (0.2, 0.1), (0.7, 0.8))
    c.stroke("40,40 90,90", 0.085, gold, bulge=0.8)
    for t, length in points("70,15 80,10 88,16"):
        c.fill(turn(box(t - 0.04, t, t + 0.035, t + length, 0.01), 45, t, t), gold, bulge=0.5)
    c.stroke(ellipse(0.27, 0.27, 0.19), 0.12, gold, bulge=0.9)
    c.fill(turn(box(0.36, 0.41, 0.48, 0.46, 0.02), -45, 0.42, 0.42), gold, bulge=0.6)


def _shirt(c):
    for side, angle in ((points, -40), (flip, 40)):
        c.fill(side("30,12 14,22 1,46 17,56 32,40"), stripes("#fdf6ec", "#2f6db5", 14, angle), bulge=0.6)
    c.fill(symmetric("38,8 28,12 26,40 27,70 24,94"), stripes("#fdf6ec", "#2f6db5", 14, 90), bulge=0.5)
    c.fill(ellipse(0.5, 0.08, 0.13, 0.1), "#b8c4d4", bulge=-0.5, inside=True)
    c.stroke(ellipse(0.5, 0.08, 0.13, 0.1, start=0, stop=180), 0.035, "#d6402f")
    c.fill(box(0.58, 0.3, 0.68, 0.42, 0.015), "#d6402f", bulge=0.4)


def _carrot(c):
    for angle, length in ((-75, 0.32), (-50, 0.37), (-25, 0.34), (0, 0.3)):
        x, y = 0.68 + length * np.cos(np.radians(angle)), 0.34 + length * np.sin(np.radians(angle))
        c.stroke(
            smooth([(0.66, 0.36), ((0.68 + x) / 2 - 0.03, (0.34 + y) / 2 - 0.03), (x, y)], closed=False),
            0.06,
            "#4fa53d",
        )
        for t in (0.5, 0.75, 1.0):
            c.fill(ellipse(0.68 + t * (x - 0.68), 0.34 + t * (y - 0.34), 0.06, 0.04, angle + 60), "#63bd4a")
    c.fill(
        smooth("58,27 72,28 77,42 62,62 36,84 5,99 19,70 38,43"),
        gradient("#ff9c3f", "#e0651a", (0.3, 0.5), (0.6, 0.75)),
        bulge=0.9,
    )
    for x, y, dx in points("53,36,12 68,50,-12 38,54,10 50,69,-12 25,74,7"):
        c.stroke([(x, y), (x + dx, y + 0.1 * abs(dx) + 0.05)], 0.014, "#b44d10", 0, inside=True)


def _bicycle(c):
    for x in (0.22, 0.78):
        for angle in range(0, 180, 30):
            c.stroke(turn([(x - 0.18, 0.64), (x + 0.18, 0.64)], angle, x, 0.64), 0.008, "#aab0ba", 0)
        c.stroke(ellipse(x, 0.64, 0.185), 0.045, "#2b2b30")
    frame = "#d8323c"
    for line in (
        "22,64 46,66 68,36 36,38 22,64",
        "46,66 33,28",
        "78,64 66,24",
    ):
        c.stroke(line, 0.035, frame)
    c.stroke(smooth("66,24 75,20 80,26", closed=False), 0.035, "#3a3a42")
    c.fill(smooth("22,25 33,24 43,27 32,31"), "#4a2f1d", bulge=0.6)
    c.stroke("42,75 50,57", 0.02, "#565c66")
    c.fill(ellipse(0.46, 0.66, 0.055), "#8b919c", bulge=0.6)


def _butterfly(c):
    lower = "49,50 35,54 13,66 16,88 32,94 45,75", "#f4a11d", (0.26, 0.8, 0.06)
    upper = "49,50 40,25 18,6 3,12 5,40 18,57", "#f27a1a", (0.16, 0.28, 0.08)
    for side in (points, flip):
        for outline, paint, (x, y, r) in (lower, upper):
            wing = side(smooth(outline))
            c.fill(wing, "#20181c", bulge=0.3)
            middle = wing.mean(0)
            c.fill(middle + 0.8 * (wing - middle), radial(paint, "#c33c12", 0.5, 0.5, 0.5), bulge=0.3)
            for corner in points(outline)[[1, 3, 4]]:
                c.stroke(side([(0.47, 0.5), corner]), 0.014, "#20181c", 0, inside=True)
            c.fill(side(ellipse(x, y, r)), "#fff2c4", bulge=0)
            c.fill(side(ellipse(x, y, r / 2)), "#3b59b5", bulge=0)
        c.stroke(side(smooth("49,34 44,20 36,10", closed=False)), 0.014, "#20181c", 0)
    c.fill(ellipse(0.5, 0.55, 0.035, 0.24), stripes("#3a2a24", "#6b4a32", 18, 90), bulge=0.7)
    c.fill(ellipse(0.5, 0.32, 0.04), "#2c201c", bulge=0.6)


def _lamp(c):
    c.fill(ellipse(0.46, 0.93, 0.24, 0.05), "#3b4a5c", bulge=0.6)
    c.stroke("46,92 34,60 56,30", 0.04, "#566a82", bulge=0.8)
    c.fill(ellipse(0.34, 0.6, 0.05), "#ffb52e", bulge=0.8)
    c.fill(turn(ellipse(0.72, 0.36, 0.11, 0.15), 35, 0.6, 0.3), "#fff6c2", bulge=0.8)
    shade = "44,20 56,16 70,8 74,55 56,42 44,36"
    c.fill(turn(smooth(shade), 35, 0.6, 0.3), gradient("#46b58f", "#1f7a5c", (0.5, 0.1), (0.7, 0.6)), bulge=0.8)
    c.fill(turn(ellipse(0.725, 0.315, 0.055, 0.24), 35, 0.6, 0.3), "#fff3ad", bulge=0.3)
    c.fill(ellipse(0.56, 0.3, 0.04), "#ffb52e", bulge=0.8)


def _boot(c):
    leather = noise("#7a4520", "#93582c", 16, seed=3)
    c.fill(
        smooth("20,6 56,6 57,40 70,58 94,68 97,85 60,88 18,87 19,50"),
        leather,
        bulge=0.8,
    )
    c.fill(box(0.16, 0.02, 0.6, 0.14, 0.05), "#d9b98a", bulge=0.7)
    c.fill(box(0.14, 0.84, 0.98, 0.92, 0.03), "#3b2716", bulge=0.5)
    c.fill(box(0.14, 0.86, 0.4, 0.98, 0.02), "#3b2716", bulge=0.5)
    c.fill(ellipse(0.92, 0.78, 0.2, 0.14), "#5d3316", bulge=0.3, inside=True, opacity=0.7)
    for i in range(5):
        y = 0.22 + 0.085 * i
        c.stroke([(0.4 + 0.01 * i, y), (0.56 + 0.02 * i, y + 0.05)], 0.022, "#f3d27a", 0.3, inside=True)
        c.fill(ellipse(0.4 + 0.01 * i, y, 0.02), "#2e1c0e", bulge=0)
    c.stroke(smooth("20,62 35,60 42,86", closed=False), 0.012, "#f3d27a", 0, inside=True)


def _strawberry(c):
    outline = "50,24 30,18 12,30 14,54 32,84 50,98"
    c.fill(smooth(symmetric(outline)), gradient("#f03548", "#b80f2c", (0.3, 0.2), (0.6, 0.95)), bulge=0.9)
    for row in range(7):
        for column in range(7):
            x, y = 0.14 + 0.12 * column + 0.06 * (row % 2), 0.32 + 0.1 * row
            if abs(x - 0.5) < 0.36 - 0.42 * max(y - 0.45, 0):
                c.fill(ellipse(x, y, 0.012, 0.02), "#ffd95e", bulge=0)
    for angle in (-175, -150, -30, -5, 40, 140, 90):
        _leaf(c, 0.5, 0.21, 0.27 if angle != 90 else 0.2, angle, "#4caf3f")
    c.stroke(smooth("50,20 52,10 60,3", closed=False), 0.04, "#3a8a34")


def _sailboat(c):
    c.stroke("47,6 47,80", 0.025, "#7a5230")
    c.fill(smooth("50,6 60,20 74,42 90,66 70,70 50,68 52,40"), "#fbf7ee", bulge=0.5)
    c.fill(box(0.4, 0.5, 0.95, 0.58), "#d93a36", bulge=0, inside=True)
    c.fill(smooth("44,12 36,34 22,54 8,68 28,69 44,66"), "#f6c744", bulge=0.5)
    c.fill("47,1 62,5 47,9", "#d93a36", bulge=0.2)
    hull = "3,76 30,77 70,77 99,73 88,90 74,97 26,97 12,91"
    c.fill(smooth(hull), grain("#8a4f24", "#b6763c", 9, 92, seed=2), bulge=0.7)
    c.stroke("2,79 98,78", 0.03, "#fbf7ee", 0, inside=True)
    for x in (0.3, 0.5, 0.7):
        c.fill(ellipse(x, 0.87, 0.028), "#cfeaf5", bulge=-0.5)


def _turtle(c):
    skin = dots("#8fbf4d", "#5f9233", 26, 0.25)
    for x in (0.25, 0.62):
        c.fill(smooth([(x - 0.06, 0.66), (x - 0.09, 0.85), (x + 0.07, 0.86), (x + 0.1, 0.66)]), skin)
    c.fill(smooth("12,66 1,74 14,73"), skin)
    neck = "70,60 80,44 86,33 96,36 99,47 90,53 82,70"
    c.fill(smooth(neck), skin, bulge=0.6)
    shell = smooth("6,68 12,42 30,24 52,24 72,42 79,68 42,73")
    c.fill(shell, radial("#b98438", "#5e3c16", 0.38, 0.38, 0.5), bulge=0.9)
    for x, y, r in points("42,42,12 22,50,10 62,50,10 33,63,7 53,63,7"):
        hexagon = np.array([(x + r * np.cos(a), y + r * np.sin(a)) for a in np.arange(6) * np.pi / 3])
        c.fill(hexagon, "#d9a94f", bulge=0.6, inside=True)
    c.stroke(smooth("5,69 42,74 80,69", closed=False), 0.045, "#e6c877")
    _eye(c, 0.91, 0.41, 0.03)
    c.stroke("93,49 98,47", 0.01, "#2f4a18", 0)


def _scissors(c):
    steel = gradient("#f2f5f8", "#8d98a5", (0.4, 0.2), (0.65, 0.3))
    c.fill("44,60 52,64 72,6 70,1 64,6", steel, bulge=0.5)
    c.fill("56,60 48,64 28,6 30,1 36,6", steel, bulge=0.5)
    for x, angle in ((0.3, 28), (0.7, -28)):
        c.stroke(ellipse(x, 0.79, 0.1, 0.15, angle), 0.07, "#e2372f", bulge=0.8)
        c.stroke([(x + (0.08 if x < 0.5 else -0.08), 0.67), (0.5, 0.57)], 0.07, "#e2372f", bulge=0.8)
    c.fill(ellipse(0.5, 0.56, 0.035), "#596470", bulge=0.7)
    c.stroke("48,56 52,56", 0.01, "#e7ebef", 0)


def _hat(c):
    felt = noise("#5a4636", "#6e5643", 24, seed=5)
    c.fill(ellipse(0.5, 0.74, 0.48, 0.13, -4), felt, bulge=0.8)
    crown = smooth("22,72 25,42 33,24 48,30 62,22 74,40 79,70 50,77")
    c.fill(crown, felt, bulge=0.9)
    band = smooth("22.5,66 50,73 78.5,65", closed=False)
    c.stroke(band, 0.1, "#a51f2d", 0.4, inside=True)
    c.stroke(smooth("36,28 46,42 56,32", closed=False), 0.03, "#3b2c20", 0, inside=True, opacity=0.6)
    c.fill(smooth("72,64 70,40 84,14 86,36 79,60"), gradient("#37b3a0", "#f2d34d", (0.7, 0.6), (0.85, 0.15)))
    c.stroke(smooth("74,66 77,42 84,18", closed=False), 0.01, "#fdf8e0", 0)


def _pizza(c):
    c.fill(smooth("4,22 25,10 50,6 75,10 96,22 93,31 7,31"), noise("#c98236", "#e3a85a", 10, 2), 0.8)
    cheese = "8,28 50,18 92,28 68,66 63,68 60,80 52,97 46,94 33,70"
    c.fill(cheese, noise("#ffd75a", "#f5a93a", 9, seed=4), bulge=0.3)
    for x, y in points("30,33 62,31 47,52 50,78"):
        c.fill(ellipse(x, y, 0.085), noise("#b3231d", "#d8452f", 20, seed=6), bulge=0.6, inside=True)
    for x, y, angle in ((0.46, 0.34, 20), (0.74, 0.4, -50), (0.4, 0.66, 70), (0.58, 0.66, 10)):
        c.fill(ellipse(x, y, 0.05, 0.02, angle), "#3d8b37", bulge=0.4, inside=True)
    for x, y in points("20,30 80,30 55,43"):
        c.stroke(ellipse(x, y, 0.03, 0.024), 0.02, "#33251f", 0.4, inside=True)


def _airplane(c):
    skin = gradient("#ffffff", "#b9c6d3", (0.4, 0.3), (0.6, 0.7))
    c.fill("50,44 22,10 32,8 72,42", "#a8b6c4", bulge=0.4)
    c.fill("12,50 0,26 10,25 27,46", "#d8343c", bulge=0.4)
    c.fill(smooth("6,50 30,42 75,40 92,43 100,51 90,57 60,59 25,57"), skin, bulge=0.9)
    c.stroke("5,53 99,53", 0.025, "#d8343c", 0, inside=True)
    for i in range(8):
        c.fill(ellipse(0.32 + 0.065 * i, 0.47, 0.016), "#3f6a94", bulge=0)
    c.fill(smooth("90,45 95,47 96,50 89,49"), "#27445f", bulge=0.2)
    c.fill(smooth("44,70 56,69 56,76 43,76"), "#596878", bulge=0.7)
    c.fill("44,55 70,55 32,96 20,96", gradient("#eef2f6", "#93a3b3", (0.6, 0.55), (0.25, 0.95)), bulge=0.4)
    c.fill("8,52 25,53 10,66 2,66", "#c6d1dc", bulge=0.4)


def _duck(c):
    c.fill(smooth("8,58 2,40 20,52 40,53 53,44 62,60 90,62 84,85 50,95 20,88"), "#ffd52e", bulge=0.2)
    body = "2,42 18,55 36,55 52,46 80,56 86,72 72,90 42,95 16,86 5,65"
    c.fill(smooth(body), gradient("#ffe14a", "#f3ae14", (0.4, 0.45), (0.4, 0.95)), bulge=0.9)
    c.fill(smooth("78,28 98,31 97,38 80,42"), "#f0641e", bulge=0.6)
    c.stroke("82,35 97,34.5", 0.012, "#a33c0c", 0)
    c.fill(ellipse(0.66, 0.3, 0.19, 0.2), gradient("#ffe65c", "#f8c022", (0.6, 0.1), (0.7, 0.5)), bulge=0.8)
    c.fill(smooth("20,66 40,60 58,64 50,80 34,83"), "#f5b81c", bulge=0.6)
    for dx in (0, 0.09):
        c.stroke(smooth([(0.3 + dx, 0.7), (0.4 + dx, 0.76), (0.46 + dx, 0.7)], closed=False), 0.014, "#c98508", 0)
    _eye(c, 0.72, 0.25, 0.045)


def _umbrella(c):
    c.stroke(smooth("50,10 50,84 45,95 36,92 35,85", closed=False), 0.035, "#6b4423")
    dome = ellipse(0.5, 0.5, 0.48, 0.42, start=180, stop=360)
    scallops = [ellipse(0.86 - 0.24 * i, 0.5, 0.12, 0.06, start=0, stop=-180) for i in range(4)]
    c.fill(np.concatenate([dome, *scallops]), "#7b3fb5", bulge=0.8)
    for x0, x1, apex in ((0.02, 0.26, 0.38), (0.5, 0.74, 0.56)):
        panel = smooth(
            [
                (0.5, 0.08),
                ((x0 + apex) / 2 - 0.03, 0.2),
                (x0, 0.5),
                ((x0 + x1) / 2, 0.44),
                (x1, 0.5),
                ((x1 + 0.5) / 2, 0.24),
            ]
        )
        c.fill(panel, "#f5c53c", bulge=0.3, inside=True)
    c.stroke("50,10 50,2", 0.03, "#6b4423")


def _guitar(c):
    wood = grain("#c9752d", "#e79f4e", 18, 35, seed=4)
    c.stroke("40,62 86,14", 0.065, "#4d2c16", bulge=0.5)
    c.fill(turn(box(0.83, 0.04, 0.97, 0.14, 0.02), -46, 0.89, 0.1), "#6b3f20", bulge=0.5)
    for dx, dy in points("83,8 87,4 94,17 98,13"):
        c.fill(ellipse(dx, dy, 0.022), "#dfe3e8", bulge=0.5)
    outline = smooth("42,40 52,38 62,48 60,60 56,72 50,90 28,98 6,84 5,62 20,50 34,48")
    c.fill(outline, "#5c2e12", bulge=0.8)
    middle = outline.mean(0)
    c.fill(middle + 0.92 * (outline - middle), wood, bulge=0.4)
    c.fill(ellipse(0.42, 0.58, 0.095), "#f0d9a8", bulge=0)
    c.fill(ellipse(0.42, 0.58, 0.08), "#2a160c", bulge=-0.5)
    c.stroke("48,52 86,12.5", 0.05, "#4d2c16", bulge=0.4)
    c.stroke("16,74 28,86", 0.035, "#3a200f")
    for d in (-0.018, 0, 0.018):
        c.stroke([(0.22 + d, 0.8 + d), (0.88 + d, 0.11 + d)], 0.006, "#f5efe2", 0)


def _mushroom(c):
    c.fill(smooth(symmetric("40,50 38,75 30,93 50,97")), "#f4ead6", bulge=0.9)
    c.fill(smooth(symmetric("50,55 37,57 30,68 42,66 50,70")), "#fffaf0", bulge=0.5)
    cap = smooth(symmetric("50,5 26,10 8,30 2,52 22,57 50,58"))
    c.fill(cap, gradient("#ee3b32", "#b51420", (0.3, 0.05), (0.6, 0.6)), bulge=0.9)
    spots = (
        (0.3, 0.26, 0.08, 0.065),
        (0.56, 0.18, 0.07, 0.05),
        (0.72, 0.36, 0.085, 0.075),
        (0.46, 0.42, 0.07, 0.06),
    )
    for x, y, rx, ry in (*spots, (0.14, 0.47, 0.06, 0.05), (0.9, 0.5, 0.05, 0.045), (0.3, 0.53, 0.04, 0.025)):
        c.fill(ellipse(x, y, rx, ry), "#fff8ea", bulge=0.6, inside=True)


def _rocket(c):
    def t(points):
        return turn(points, 30)

    c.fill(t(smooth("40,82 44,98 50,108 56,98 60,82")), "#ff8a1f", bulge=0.4)
    c.fill(t(smooth("45,82 47,93 50,99 53,93 55,82")), "#ffe14d", bulge=0.2)
    for fin in ("36,58 20,78 22,92 40,82", "64,58 80,78 78,92 60,82"):
        c.fill(t(fin), "#d3303a", bulge=0.5)
    c.fill(t(smooth(symmetric("50,-5 39,14 34,42 37,72 40,85"))), "#eef1f5", bulge=0.9)
    c.fill(t("20,-10 80,-10 80,14 50,18 20,14"), "#d3303a", bulge=0, inside=True)
    c.fill(t(box(0.3, 0.66, 0.7, 0.73)), "#3b5ea8", bulge=0, inside=True)
    c.fill(t(ellipse(0.5, 0.36, 0.095)), "#5a6878", bulge=0.7)
    c.fill(t(ellipse(0.5, 0.36, 0.068)), radial("#bff0ff", "#2f86b8", 0.5, 0.32, 0.12), bulge=0.2)
    c.fill(t(smooth("48,60 52,60 53,90 47,90")), "#b02530", bulge=0.6)


def _snail(c):
    skin = noise("#c9a06a", "#dcb884", 18, seed=8)
    c.stroke(smooth("86,56 86,40 82,28", closed=False), 0.028, skin)
    c.stroke(smooth("91,56 93,42 96,32", closed=False), 0.028, skin)
    c.fill(ellipse(0.82, 0.27, 0.032), "#3b2a1c", bulge=0.6)
    c.fill(ellipse(0.965, 0.31, 0.032), "#3b2a1c", bulge=0.6)
    c.fill(smooth("1,90 20,78 65,80 75,62 88,53 98,62 95,78 82,90 40,92"), skin, bulge=0.7)
    c.fill(ellipse(0.41, 0.5, 0.34, 0.33), radial("#f08a4b", "#8a3b1d", 0.36, 0.42, 0.45), bulge=0.9)
    t = np.linspace(0, 5.2 * np.pi, 90)
    r = 0.02 + 0.29 * (1 - t / t[-1])
    c.stroke(
        np.stack([0.41 + r * np.cos(t + 0.6), 0.5 + r * np.sin(t + 0.6)], 1),
        0.026,
        "#5c2412",
        0.3,
        inside=True,
    )
    c.stroke(smooth("88,74 92,75 95,71", closed=False), 0.012, "#6b4a2a", 0)


def _chair(c):
    wood = grain("#a8672f", "#c88a4c", 14, 4, seed=6)
    for x, bottom in ((0.3, 0.86), (0.84, 0.84)):
        c.stroke([(x - 0.02, 0.55), (x, bottom)], 0.05, "#7d4a20")
    for x in (0.17, 0.6):
        c.stroke([(x - 0.01, 0.04), (x + 0.02, 0.6)], 0.06, wood, bulge=0.7)
    for y in (0.1, 0.23, 0.36):
        c.fill(box(0.15, y, 0.62, y + 0.075, 0.02), wood, bulge=0.6)
    c.fill("14,53 62,53 90,64 40,66", "#c23b48", bulge=0.6)
    c.fill("14,54 40,65 90,63 90,69 40,71 14,60", wood, bulge=0.3)
    c.stroke("18,58 17,94", 0.055, wood, bulge=0.7)
    c.stroke("42,70 42,98", 0.055, wood, bulge=0.7)
    c.stroke("86,68 86,96", 0.055, wood, bulge=0.7)
    c.stroke("42,84 86,82", 0.035, "#8d5626")


def _backpack(c):
    c.stroke(ellipse(0.5, 0.1, 0.1, 0.08), 0.035, "#26324a")
    for x in (0.13, 0.87):
        c.fill(box(x - 0.1, 0.5, x + 0.1, 0.88, 0.07), "#2f6f54", bulge=0.7)
    c.fill(smooth(symmetric("50,7 26,11 16,34 15,75 20,96 50,97")), "#3f8f6b", bulge=0.7)
    c.fill(smooth(symmetric("50,8 27,12 17,36 30,45 50,47")), "#2f6f54", bulge=0.5)
    c.fill(box(0.23, 0.55, 0.77, 0.9, 0.07), checks("#e9b44c", "#d99b33", 14, 45), bulge=0.6)
    c.stroke("27,64 73,64", 0.016, "#7a4b12", 0)
    for x in (0.36, 0.64):
        c.fill(box(x - 0.03, 0.3, x + 0.03, 0.62, 0.01), "#7a4b22", bulge=0.5)
        c.fill(box(x - 0.045, 0.48, x + 0.045, 0.55, 0.01), "#d8dde3", bulge=0.5)
    c.fill(ellipse(0.5, 0.25, 0.055), "#d8433b", bulge=0.4)


def _pineapple(c):
    for angle, length in (
        (-160, 0.3),
        (-20, 0.3),
        (-140, 0.36),
        (-40, 0.36),
        (-118, 0.4),
        (-62, 0.4),
        (-90, 0.42),
    ):
        blade = [(0.5, 0.36), (0.5 + 0.5 * length, 0.3), (0.5 + length, 0.38), (0.5 + 0.45 * length, 0.44)]
        c.fill(
            turn(smooth(blade), angle, 0.5, 0.4),
            gradient("#2f7d3a", "#6fc04e", (0.5, 0.4), (0.5, 0.0)),
            bulge=0.5,
        )
    body = ellipse(0.5, 0.68, 0.25, 0.31)
    c.fill(body, gradient("#f5b52b", "#c9751a", (0.35, 0.4), (0.65, 0.95)), bulge=0.9)
    for i in range(-6, 7):
        for slope in (-1, 1):
            x = 0.5 + 0.1 * i
            c.stroke([(x - 0.35 * slope, 0.33), (x + 0.35 * slope, 1.03)], 0.014, "#7d4512", 0, inside=True)
    for row in range(7):
        for column in range(6):
            x, y = 0.25 + 0.1 * column + 0.05 * (row % 2), 0.38 + 0.1 * row
            if ((x - 0.5) / 0.23) ** 2 + ((y - 0.68) / 0.29) ** 2 < 1:
                c.fill(ellipse(x, y, 0.012), "#fff0a8", bulge=0)


def _helicopter(c):
    c.stroke("4,13 96,13", 0.03, "#4c5560")
    c.stroke("56,13 56,32", 0.04, "#4c5560")
    c.fill("6,32 13,32 45,42 45,58 10,47", "#3f8f3f", bulge=0.6)
    for angle in (20, 80, 140):
        c.stroke(turn("-2,38 18,38", angle, 0.08, 0.38), 0.022, "#4c5560", 0.3)
    c.fill(smooth("38,46 46,31 66,28 86,36 98,56 90,70 62,75 42,66"), "#52b04a", bulge=0.9)
    c.fill(
        smooth("70,33 84,38 95,54 86,58 70,56"),
        gradient("#e6f7ff", "#6fa9c8", (0.7, 0.3), (0.9, 0.6)),
        bulge=0.3,
    )
    c.fill(box(0.49, 0.4, 0.63, 0.56, 0.03), "#bfe3f2", bulge=0.2)
    c.stroke("38,63 95,65", 0.03, "#f7e04b", 0, inside=True)
    for x in (0.52, 0.78):
        c.stroke([(x, 0.72), (x, 0.86)], 0.025, "#4c5560")
    c.stroke(smooth("36,87 60,87 88,87 95,82", closed=False), 0.032, "#4c5560")


def _penguin(c):
    for x in (0.39, 0.63):
        c.fill(smooth([(x - 0.11, 0.96), (x, 0.88), (x + 0.1, 0.96), (x, 0.98)]), "#f39a1f", bulge=0.5)
    c.fill(smooth("26,38 12,55 10,74 28,60"), "#1d2530", bulge=0.6)
    c.fill(smooth("74,38 93,46 98,62 74,60"), "#1d2530", bulge=0.6)
    c.fill(smooth(symmetric("50,3 33,10 30,28 22,50 22,80 36,94 50,95")), "#28323f", bulge=0.8)
    c.fill(smooth(symmetric("50,36 36,44 30,64 34,84 50,91")), "#fbfbf6", bulge=0.5)
    c.fill(ellipse(0.42, 0.21, 0.09, 0.1), "#fbfbf6", bulge=0.2)
    c.fill(ellipse(0.59, 0.21, 0.09, 0.1), "#fbfbf6", bulge=0.2)
    c.fill(ellipse(0.5, 0.42, 0.15, 0.05), "#f5c63a", bulge=0, inside=True, opacity=0.6)
    for x in (0.44, 0.6):
        c.fill(ellipse(x, 0.2, 0.03), "#10141a", bulge=0)
        c.fill(ellipse(x - 0.008, 0.19, 0.01), "white", bulge=0)
    c.fill("46,26 66,28.5 48,34", "#f39a1f", bulge=0.6)


def _teapot(c):
    china = dots("#f7f3ea", "#3b62b8", 9, 0.24)
    c.stroke(smooth("24,42 8,36 4,56 12,72 28,74", closed=False), 0.065, "#3b62b8")
    spout = "68,70 82,60 84,40 92,31 99,33 95,48 92,68 76,85"
    c.fill(smooth(spout), "#3b62b8", bulge=0.7)
    c.fill(box(0.32, 0.86, 0.66, 0.95, 0.03), "#3b62b8", bulge=0.6)
    c.fill(smooth("30,33 16,50 16,72 30,90 66,90 81,72 80,50 67,33"), china, bulge=0.9)
    c.fill(smooth("27,34 36,22 60,22 70,34 48,38"), "#3b62b8", bulge=0.8)
    c.fill(ellipse(0.48, 0.17, 0.05), "#f2b632", bulge=0.9)


def _trousers(c):
    denim = grain("#2f5288", "#43699f", 30, 20, seed=7)
    c.fill("26,4 20,40 14,96 40,98 50,42 60,98 87,95 80,40 74,4", denim, bulge=0.7)
    c.fill("25.5,3 74.5,3 76,13 24,13", "#5a3820", bulge=0.4)
    c.fill(box(0.45, 0.04, 0.56, 0.125, 0.015), "#e5c14b", bulge=0.7)
    c.stroke(smooth("24,27 33,24 36,14", closed=False), 0.014, "#f0b95a", 0, inside=True)
    c.stroke(smooth("76,27 67,24 64,14", closed=False), 0.014, "#f0b95a", 0, inside=True)
    c.stroke("50,14 50,42", 0.014, "#1d3558", 0, inside=True)
    for x0, x1 in ((0.1, 0.42), (0.59, 0.9)):
        c.stroke([(x0, 0.93), (x1, 0.95)], 0.075, "#9db7da", 0.3, inside=True)
    c.fill(turn(box(0.26, 0.52, 0.39, 0.66, 0.01), 8, 0.32, 0.59), "#c84a3c", bulge=0.3)


def _cherries(c):
    for x, bend in ((0.27, 0.3), (0.72, 0.68)):
        c.stroke(smooth([(0.62, 0.06), (bend + 0.06, 0.3), (x, 0.64)], closed=False), 0.028, "#5c8a2e")
    _leaf(c, 0.6, 0.08, 0.4, 22)
    for x, y, r in ((0.25, 0.76, 0.22), (0.74, 0.72, 0.215)):
        c.fill(ellipse(x, y, r), radial("#e4203a", "#6d0716", x - 0.06, y - 0.07, 1.4 * r), bulge=0.9)
        c.fill(ellipse(x + 0.01, y - 0.15, 0.06, 0.025), "#4d0410", bulge=0)
        _shine(c, x - 0.1, y - 0.06, 0.035, 0.065, 30, 0.7)
    c.fill(ellipse(0.61, 0.06, 0.045, 0.03, 20), "#6b4a23", bulge=0.6)


def _truck(c):
    c.fill(box(0.02, 0.24, 0.64, 0.74, 0.02), stripes("#c8ced6", "#b2bac4", 24, 0, 0.3), bulge=0.4)
    c.fill(ellipse(0.33, 0.48, 0.13), "#2e9e5b", bulge=0.3)
    c.fill("33,38 42,54 24,54", "#f6f1dd", bulge=0)
    c.fill(smooth("67,38 72,34 86,35 92,52 98,58 98.5,76 67,77"), "#d33a2c", bulge=0.6)
    c.fill(smooth("74,41 84,41 88,53 74,54"), "#bfe2f0", bulge=0.2)
    c.fill(box(0.02, 0.72, 0.98, 0.79, 0.02), "#3a3f47", bulge=0.4)
    c.fill(ellipse(0.955, 0.66, 0.03), "#fff2b0")
    for x in (0.15, 0.34, 0.82):
        _wheel(c, x, 0.8, 0.09, "#e3b341")


def _whale(c):
    for dx in (-0.13, -0.05, 0.04):
        c.stroke(
            smooth([(0.36, 0.32), (0.36 + dx / 3, 0.14), (0.36 + 1.6 * dx, 0.13)], closed=False),
            0.03,
            "#a8dcf5",
        )
    c.fill(smooth("84,50 80,26 70,20 84,20 90,30 98,22 99.5,34 92,42 95,62"), "#2c6aa6", bulge=0.6)
    body = smooth("2,56 8,40 28,31 50,36 70,50 86,45 94,52 84,78 60,90 25,88 6,74")
    c.fill(body, gradient("#3f86c8", "#235a94", (0.4, 0.3), (0.5, 0.8)), bulge=0.9)
    c.fill(
        smooth("-2,66 30,68 55,82 60,98 0,100"),
        stripes("#eaf4fa", "#b5cfe0", 18, 80, 0.3),
        bulge=0,
        inside=True,
    )
    c.fill(smooth("40,70 56,72 60,90 46,86"), "#1f5488", bulge=0.6)
    c.stroke(smooth("3,60 12,64 22,60", closed=False), 0.016, "#12324f", 0)
    _eye(c, 0.2, 0.52, 0.035)


def _hammer(c):
    c.fill(turn(box(0.46, 0.2, 0.55, 1.08, 0.03), 42), grain("#b97a3a", "#dca661", 24, 42, seed=9), bulge=0.8)
    c.fill(turn(box(0.455, 0.72, 0.555, 1.09, 0.04), 42), "#c22f2f", bulge=0.8)
    head = "20,8 34,10 42,4 60,5 76,10 90,28 74,22 60,25 42,26 34,20 20,22"
    c.fill(turn(head, 42), gradient("#c4ccd6", "#66717e", (0.6, 0.0), (0.5, 0.4)), bulge=0.8)
    c.fill(turn(box(0.17, 0.055, 0.24, 0.245, 0.01), 42), "#59636f", bulge=0.7)


def _glove(c):
    wool = stripes("#e8643c", "#c94a26", 26, 8, 0.4)
    for finger, width in (
        ("34,50 26,14", 0.14),
        ("48,48 46,7", 0.145),
        ("62,50 66,10", 0.14),
        ("74,56 84,24", 0.125),
        ("34,68 7,46", 0.15),
    ):
        c.stroke(finger, width, wool, bulge=0.7)
    c.fill(smooth("27,44 50,40 78,46 78,66 70,86 34,86 25,68"), wool, bulge=0.6)
    c.fill(box(0.3, 0.8, 0.75, 0.99, 0.04), stripes("#fbf1dd", "#d9c7a3", 24), bulge=0.6)
    snow = [turn("42,62 62,62", angle, 0.52, 0.62) for angle in (0, 60, 120)]
    for line in snow:
        c.stroke(line, 0.024, "#fff6e2", 0.2)


def _ice_cream(c):
    c.fill("30,50 70,50 51,99 49,99", checks("#e0a24e", "#b87728", 17, 40), bulge=0.6)
    c.fill(ellipse(0.37, 0.4, 0.16, 0.15), noise("#f59ab5", "#fbbccd", 20, 1), bulge=0.8)
    c.fill(ellipse(0.63, 0.4, 0.16, 0.15), noise("#8a5433", "#6d3f24", 20, 2), bulge=0.8)
    c.fill(ellipse(0.5, 0.23, 0.17, 0.16), noise("#fdf3d3", "#f5e3ae", 20, 3), bulge=0.8)
    c.fill(smooth("27,48 50,45 73,48 68,54 60,52 50,57 40,52 33,55"), "#f7a9bf", bulge=0.5)
    for x, y, angle, paint in (
        (0.42, 0.2, 30, "#e0303c"),
        (0.52, 0.14, -40, "#3b8fd9"),
        (0.6, 0.24, 60, "#43a047"),
        (0.48, 0.3, 0, "#e0303c"),
    ):
        c.stroke(turn([(x - 0.025, y), (x + 0.025, y)], angle, x, y), 0.018, paint, 0)
    c.fill(
        turn(box(0.66, -0.02, 0.73, 0.3, 0.01), 32, 0.66, 0.2),
        stripes("#c98d45", "#8d5621", 30, 32),
        bulge=0.7,
    )
    c.fill(ellipse(0.46, 0.07, 0.06), "#cf1c34", bulge=0.9)


def _balloon(c):
    for x in (0.39, 0.61):
        c.stroke([(x + (x - 0.5) * 0.8, 0.64), (0.5 + (x - 0.5) * 0.7, 0.86)], 0.012, "#5a4632", 0)
    half = "50,2 30,6 15,22 14,40 27,60 41,74 50,75"
    envelope = smooth(symmetric(half))
    c.fill(envelope, "#e8453c", bulge=0.9)
    for width, paint in ((0.7, "#f8c93a"), (0.38, "#3aa0d8"), (0.12, "#fdf6e6")):
        c.fill((envelope - [0.5, 0]) * [width, 1] + [0.5, 0], paint, bulge=0.35, inside=True)
    c.stroke(smooth("10,36 50,43 90,36", closed=False), 0.045, "#7a2d7f", 0, inside=True)
    c.fill(box(0.41, 0.85, 0.59, 0.98, 0.02), checks("#b57c3e", "#8a5827", 30), bulge=0.6)
    c.stroke("40,86 60,86", 0.025, "#6e421a")


def _octopus(c):
    skin = noise("#8d4fc2", "#a46ad6", 18, seed=12)
    arms = (
        "30,60 12,62 4,50 10,42",
        "70,60 88,66 96,54 90,46",
        "34,62 22,78 6,76 2,86",
        "66,62 78,80 92,76 98,84",
        "40,64 36,84 22,95 30,99",
        "60,64 64,86 80,95 72,99",
        "48,64 49,84 42,96 50,99",
    )
    for arm in arms:
        c.stroke(smooth(arm, closed=False), 0.09, skin, bulge=0.7)
    for arm in arms[2:6]:
        for x, y in smooth(arm, closed=False)[6:-6:7]:
            c.fill(ellipse(x, y + 0.015, 0.016), "#f3cfe6", bulge=0)
    c.fill(smooth(symmetric("50,3 30,10 22,32 30,50 30,68 50,73")), skin, bulge=0.9)
    for x in (0.41, 0.6):
        _eye(c, x, 0.44, 0.065)
    c.stroke(smooth("45,57 51,60 56,57", closed=False), 0.016, "#3d1b5c", 0)
    for x, y, r in points("36,20,3.5 46,13,2.5 62,22,3"):
        c.fill(ellipse(x, y, r), "#c79af0", bulge=0, inside=True)


def _candle(c):
    c.fill(ellipse(0.5, 0.16, 0.15, 0.18), "#ffe9a0", bulge=0, opacity=0.35)
    c.fill(box(0.4, 0.36, 0.6, 0.88, 0.03), gradient("#fdf3dc", "#e8cf9d", (0.4, 0.5), (0.6, 0.5)), bulge=0.6)
    c.fill(smooth("40,38 50,35 60,38 60,50 56.5,54 55,45 47,44 45,62 41.5,60"), "#fffaf0", bulge=0.6)
    c.stroke("50,37 51,27", 0.016, "#33241a", 0)
    c.fill(
        smooth("51,3 44,17 46,27 52,29 57,25 57,15"),
        radial("#fff3a0", "#ff8a1a", 0.51, 0.23, 0.17),
        bulge=0.3,
    )
    c.stroke(ellipse(0.76, 0.83, 0.09, 0.075), 0.035, "#a8741a", bulge=0.8)
    c.fill(smooth("14,84 50,89 74,84 66,95 44,98 24,95"), "#c8912a", bulge=0.8)
    c.fill(ellipse(0.44, 0.85, 0.3, 0.04), "#e9bf5c", bulge=-0.3)
    c.fill(box(0.4, 0.7, 0.6, 0.875, 0.03), gradient("#fdf3dc", "#e8cf9d", (0.4, 0.5), (0.6, 0.5)), bulge=0.4)


def _dress(c):
    cloth = dots("#d63384", "#ffe3ef", 13, 0.2)
    skirt = "40,42 28,66 10,90 30,95 50,97"
    for x in (0.38, 0.62):
        c.stroke([(x, 0.14), (x, 0.02)], 0.035, "#a81e63")
    c.fill(smooth(symmetric(skirt)), cloth, bulge=0.6)
    for x, y in points("30,94 44,96 58,96 72,94"):
        c.stroke([(0.5 + 0.3 * (x - 0.5), 0.48), (x, y)], 0.014, "#9c1a5b", 0, inside=True, opacity=0.6)
    c.fill(smooth(symmetric("50,17 40,11 32,12 34,30 40,44 50,46")), cloth, bulge=0.6)
    c.stroke(smooth("38.5,43 50,45.5 61.5,43", closed=False), 0.06, "#5b2a86")
    for angle in (25, 155):
        c.fill(turn(ellipse(0.7, 0.44, 0.07, 0.04), angle, 0.6, 0.44), "#5b2a86", bulge=0.6)


def _watermelon(c):
    rind = turn(ellipse(0.5, 0.25, 0.5, start=0, stop=180), -14)
    c.fill(rind, stripes("#2f8f3a", "#1b5e28", 16, -14, 0.4), bulge=0.6)
    c.fill(turn(ellipse(0.5, 0.25, 0.45, start=0, stop=180), -14), "#eaf5cf", bulge=0.2)
    c.fill(
        turn(ellipse(0.5, 0.25, 0.41, start=0, stop=180), -14),
        radial("#ff5a63", "#e02f44", 0.5, 0.3, 0.45),
        bulge=0.2,
    )
    for r, angles in ((0.16, (40, 100, 150)), (0.29, (20, 55, 90, 125, 160))):
        for angle in angles:
            x, y = 0.5 + r * np.cos(np.radians(angle)), 0.25 + r * np.sin(np.radians(angle))
            c.fill(turn(ellipse(x, y, 0.032, 0.018, angle), -14), "#22140f", bulge=0.4)


def _train(c):
    c.fill(ellipse(0.8, 0.1, 0.09, 0.06), "#dfe5ea", bulge=0.6)
    c.fill(ellipse(0.66, 0.06, 0.06, 0.045), "#eef2f5", bulge=0.6)
    c.fill(box(0.74, 0.17, 0.86, 0.4, 0.01), "#2b3038", bulge=0.7)
    c.fill("70,20 90,20 86,27 74,27", "#2b3038", bulge=0.7)
    c.fill(box(0.36, 0.38, 0.95, 0.68, 0.07), gradient("#3d8b52", "#1d5a30", (0.6, 0.38), (0.6, 0.68)), bulge=0.7)
    for x in (0.52, 0.68, 0.84):
        c.stroke([(x, 0.37), (x, 0.69)], 0.022, "#e2b33c", 0.4, inside=True)
    c.fill(box(0.52, 0.29, 0.62, 0.4, 0.045), "#e2b33c", bulge=0.8)
    c.fill(box(0.06, 0.22, 0.4, 0.7, 0.02), "#b5302f", bulge=0.5)
    c.fill(box(0.02, 0.16, 0.44, 0.24, 0.03), "#2b3038", bulge=0.6)
    c.fill(box(0.13, 0.31, 0.33, 0.48, 0.02), "#ffe9ab", bulge=-0.3)
    c.fill(box(0.03, 0.68, 0.95, 0.76, 0.02), "#2b3038", bulge=0.4)
    c.fill("88,72 99,92 84,92", "#8a2020", bulge=0.5)
    c.fill(ellipse(0.95, 0.48, 0.035), "#fff4b8")
    for x, r in points("20,12.5 49,9 70,9"):
        _wheel(c, x, 0.95 - r, r, "#c9382f")
    c.stroke("20,84 70,87", 0.025, "#aab2bb")


def _crab(c):
    shell = noise("#d8402a", "#ec6240", 16, seed=14)
    for side in (-1, 1):
        for i in range(3):
            leg = [
                (0.5 + side * 0.24, 0.62 + 0.06 * i),
                (0.5 + side * (0.38 + 0.02 * i), 0.58 + 0.11 * i),
                (0.5 + side * (0.47 - 0.05 * i), 0.74 + 0.1 * i),
            ]
            c.stroke(leg, 0.045, "#c2341f")
        c.stroke([(0.5 + side * 0.25, 0.52), (0.5 + side * 0.38, 0.42), (0.5 + side * 0.34, 0.3)], 0.065, "#c2341f")
        size = 1.15 if side < 0 else 0.9  # one claw is larger
        claw = points("-10,2 -9,-13 2,-20 0,-10 10,-16 9,0 0,7")
        c.fill(smooth(claw * size + [0.5 + side * 0.35, 0.24]), shell, bulge=0.8)
        c.stroke([(0.5 + side * 0.09, 0.5), (0.5 + side * 0.1, 0.36)], 0.025, "#c2341f")
    c.fill(smooth(symmetric("50,42 28,45 17,60 26,76 50,81")), shell, bulge=0.9)
    for x in (0.41, 0.6):
        _eye(c, x, 0.35, 0.045)
    c.stroke(smooth("40,67 50,71 60,67", closed=False), 0.018, "#7c1a0e", 0)
    for x, y in points("32,54 50,50 67,55"):
        c.fill(ellipse(x, y, 0.022), "#ffb892", bulge=0)


def _bottle(c):
    glass = gradient("#3f9a5f", "#175233", (0.34, 0.5), (0.68, 0.5))
    half = "44,8 44,28 36,42 33,52 33,92 37,98 50,98"
    c.fill(symmetric(half), glass, bulge=0.7)
    c.fill(box(0.435, 0.01, 0.565, 0.2, 0.015), "#7c1f2d", bulge=0.7)
    c.fill(box(0.33, 0.58, 0.67, 0.82), "#f6ead0", bulge=0.3, inside=True)
    c.stroke("33,61.5 67,61.5", 0.012, "#b5892e", 0, inside=True)
    c.stroke("33,78.5 67,78.5", 0.012, "#b5892e", 0, inside=True)
    for x, y in points("45,67 50,67 55,67 47.5,71 52.5,71 50,75"):
        c.fill(ellipse(x, y, 0.027), "#6a2a7d", bulge=0.7)
    c.stroke("38.5,50 38.5,56", 0.02, "#d9f5e2", 0, opacity=0.7)
    c.stroke("47,24 47,30", 0.016, "#d9f5e2", 0, opacity=0.7)


def _drum(c):
    c.fill(
        smooth(symmetric("8,38 8,78 28,93 50,96")),
        gradient("#d8313b", "#8f1420", (0.1, 0.5), (0.9, 0.5)),
        bulge=0.5,
    )
    zigzag = [(0.08 + 0.12 * i, 0.5 if i % 2 else 0.84) for i in range(8)]
    c.stroke(zigzag, 0.022, "#fbf3e0", 0.3, inside=True)
    rim = "7,80 28,93 50,96 72,93 93,80"
    c.stroke(smooth(rim, closed=False), 0.06, "#f2c12e", 0.6)
    c.fill(ellipse(0.5, 0.38, 0.44, 0.16), "#f2c12e", bulge=0.6)
    c.fill(ellipse(0.5, 0.37, 0.4, 0.13), radial("#fdf9ef", "#d9cdb2", 0.42, 0.33, 0.4), bulge=0)
    for line in ("6,8 50,36", "97,14 60,40"):
        c.stroke(line, 0.035, "#a8672f", 0.7)
        c.fill(ellipse(*points(line)[1], 0.045, 0.035), "#e8cfa0", bulge=0.8)


def _doughnut(c):
    c.stroke(ellipse(0.5, 0.52, 0.3, 0.27), 0.36, noise("#cf9449", "#e0ad66", 14, 1), bulge=0.7)
    t = np.linspace(0, 2 * np.pi, 90)
    wave = 1 + 0.045 * np.sin(9 * t) + 0.03 * np.sin(5 * t + 1)
    icing = np.stack([0.5 + 0.42 * wave * np.cos(t), 0.49 + 0.385 * wave * np.sin(t)], 1)
    c.fill(icing, "#f27bb0", bulge=0.7, inside=True)
    generator = np.random.default_rng(5)
    for angle in np.linspace(0, 340, 18):
        r, x = generator.uniform(0.21, 0.36), np.radians(angle)
        x, y = 0.5 + r * np.cos(x), 0.49 + 0.92 * r * np.sin(x)
        paint = ("#fff6a8", "#5ad1e6", "#fdfdfd", "#7d4ae0", "#e8343f")[int(angle / 20) % 5]
        c.stroke(turn([(x - 0.022, y), (x + 0.022, y)], generator.uniform(0, 180), x, y), 0.022, paint, 0.3)
    c.fill(ellipse(0.5, 0.5, 0.16, 0.135), "#b97a33", bulge=-0.5, inside=True)
    c.cut(ellipse(0.5, 0.515, 0.135, 0.11))


def _tractor(c):
    c.fill(box(0.76, 0.12, 0.81, 0.42, 0.01), "#3c424b", bulge=0.6)
    c.fill(box(0.08, 0.02, 0.56, 0.09, 0.03), "#d7302b", bulge=0.6)
    for x0, x1 in ((0.13, 0.13), (0.47, 0.52)):
        c.stroke([(x0, 0.06), (x1, 0.5)], 0.04, "#8f1a1c")
    c.fill("16,10 45,10 49,44 16,44", "#cfe9f4", bulge=0.1)
    c.fill(smooth("44,44 50,39 88,41 96,48 96,68 44,72"), "#d7302b", bulge=0.7)
    c.fill(box(0.1, 0.42, 0.52, 0.72, 0.04), "#d7302b", bulge=0.6)
    for y in (0.5, 0.55, 0.6):
        c.stroke([(0.66, y), (0.88, y)], 0.018, "#6e1113", 0)
    c.fill(ellipse(0.95, 0.5, 0.025, 0.04), "#fff2b0")
    for x, y, r in ((0.27, 0.7, 0.27), (0.8, 0.81, 0.16)):
        for angle in range(0, 360, 24):
            c.fill(turn(box(x - 0.03, y - r, x + 0.03, y - r + 0.06), angle, x, y), "#1f2024", bulge=0)
        _wheel(c, x, y, 0.93 * r, "#f4c531")


def _ladybird(c):
    for x, y, angle in (
        (0.2, 0.42, 200),
        (0.12, 0.62, 180),
        (0.2, 0.82, 155),
        (0.8, 0.42, -20),
        (0.88, 0.62, 0),
        (0.8, 0.82, 25),
    ):
        dx, dy = 0.12 * np.cos(np.radians(angle)), 0.12 * np.sin(np.radians(angle))
        c.stroke([(x, y), (x + dx, y + dy)], 0.035, "#1c1a1f")
    for side in (-1, 1):
        feeler = [(0.5 + side * 0.08, 0.18), (0.5 + side * 0.13, 0.08), (0.5 + side * 0.22, 0.04)]
        c.stroke(smooth(feeler, closed=False), 0.022, "#1c1a1f")
    c.fill(ellipse(0.5, 0.27, 0.21, 0.17), "#1c1a1f", bulge=0.8)
    for side in (-1, 1):
        c.fill(ellipse(0.5 + side * 0.11, 0.22, 0.05, 0.06), "#f7f5ee", bulge=0.3)
    c.fill(ellipse(0.5, 0.63, 0.37, 0.35), radial("#f04a2a", "#a80f12", 0.4, 0.5, 0.5), bulge=0.9)
    c.stroke("50,28 50,98", 0.02, "#1c1a1f", 0, inside=True)
    for side in (-1, 1):
        for x, y, r in points("15,46,6.5 24,66,7 11,82,6"):
            c.fill(ellipse(0.5 + side * x, y, r), "#1c1a1f", bulge=0.2, inside=True)


def _clock(c):
    for x in (0.24, 0.76):
        c.stroke([(0.5, 0.58), (0.5 + 1.3 * (x - 0.5), 0.96)], 0.06, "#8a6d1c")
        c.fill(turn(ellipse(x, 0.15, 0.16, 0.1), -35 if x < 0.5 else 35, x, 0.15), "#e3b93a", bulge=0.9)
    c.stroke("36,7 50,3 64,7", 0.03, "#8a6d1c")
    c.fill(ellipse(0.5, 0.56, 0.4), gradient("#5fc4d6", "#1f7d92", (0.2, 0.2), (0.8, 0.9)), bulge=0.7)
    c.fill(ellipse(0.5, 0.56, 0.32), "#fdfaf0", bulge=-0.15)
    for hour in range(12):
        long = 0.07 if hour % 3 == 0 else 0.035
        c.stroke(turn([(0.5, 0.265), (0.5, 0.265 + long)], 30 * hour, 0.5, 0.56), 0.022, "#33363d", 0)
    c.stroke(turn("50,56 50,37", -55, 0.5, 0.56), 0.042, "#22252b", 0)
    c.stroke(turn("50,56 50,30", 65, 0.5, 0.56), 0.028, "#22252b", 0)
    c.stroke(turn("50,60 50,33", 190, 0.5, 0.56), 0.014, "#d8332e", 0)
    c.fill(ellipse(0.5, 0.56, 0.035), "#d8332e", bulge=0.6)


def _book(c):
    c.fill("4,30 62,10 97,58 97,72 38,96 4,44", "#6b1f4e", bulge=0.3)
    c.fill("8,34 40,82 95.5,59 95.5,69 38.5,92 7,43", stripes("#fbf4e2", "#cfc3a5", 46, 62, 0.4), 0)
    cover = points("4,30 62,8 97,57 38,82")
    c.fill(cover, gradient("#a83878", "#7d2458", (0.2, 0.2), (0.7, 0.7)), bulge=0.35)
    middle = cover.mean(0)
    edge = middle + 0.84 * (cover - middle)
    c.stroke([*edge, edge[0]], 0.014, "#f2cf63", 0.2)
    c.stroke(turn("36,36 64,36", -21, 0.5, 0.36), 0.045, "#f2cf63", 0.2)
    c.fill(turn(ellipse(0.53, 0.53, 0.11, 0.07), -21, 0.53, 0.53), "#f2cf63", bulge=0.4)
    c.fill("70,72 77,69 78,94 74.5,89 72,96", "#2fa5a0", bulge=0.3)


def _cheese(c):
    top = "2,46 70,14 98,44"
    c.fill("2,46 98,44 98,82 2,86", gradient("#f9c630", "#e39b16", (0.5, 0.4), (0.5, 0.9)), bulge=0.3)
    c.fill(top, "#ffe27a", bulge=0.3)
    c.stroke("2,45.5 70,14 98,44", 0.025, "#d2491f", 0.4)
    for x, y, rx, ry in points("20,66,8.5,9 50,58,6.5,6 72,72,10,8.5 42,78,5,4 88,55,5,5.5"):
        c.fill(
            ellipse(x, y, rx, ry),
            gradient("#b9740c", "#f1b93a", (x, y - ry), (x, y + ry)),
            bulge=-0.5,
            inside=True,
        )
    for x, y, r in points("66,28,5 50,39,4 80,38,3.5"):
        c.fill(ellipse(x, y, 1.4 * r, 0.7 * r), "#dca52a", bulge=-0.5)
    c.cut(ellipse(0.0, 0.82, 0.07, 0.075))
    c.cut(ellipse(0.62, 0.86, 0.07, 0.06))


def _submarine(c):
    c.stroke("56,36 56,14 68,14", 0.045, "#59636f")
    c.fill(box(0.4, 0.27, 0.64, 0.46, 0.05), "#f1c40f", bulge=0.6)
    for angle in (-35, 35):
        c.fill(turn(ellipse(0.1, 0.6, 0.035, 0.17), angle, 0.1, 0.6), "#8a939e", bulge=0.5)
    c.fill("20,50 10,36 24,38 34,48", "#d9822b", bulge=0.5)
    body = "12,60 26,47 50,41 78,43 95,52 98.5,62 90,74 66,81 36,79 20,70"
    c.fill(smooth(body), gradient("#ffd93b", "#d99a12", (0.5, 0.4), (0.5, 0.82)), bulge=0.9)
    c.stroke("10,72 98,72", 0.045, "#c0392b", 0, inside=True)
    for x in (0.42, 0.6, 0.78):
        c.fill(ellipse(x, 0.58, 0.07), "#6b7480", bulge=0.6)
        c.fill(ellipse(x, 0.58, 0.05), radial("#d6f5ff", "#3a8fb8", x, 0.55, 0.08), bulge=0)


def _giraffe(c):
    coat = dots("#f2c462", "#9a5c1c", 13, 0.4)
    for x, lean in points("34,-2 62,2 42,0 70,0"):
        c.stroke([(x, 0.66), (x + lean, 0.95)], 0.05, "#e8b754")
        c.stroke([(x + lean, 0.94), (x + lean, 0.97)], 0.05, "#4d3317")
    c.stroke(smooth("74,58 82,64 82,76", closed=False), 0.022, "#b98438")
    c.fill(ellipse(0.82, 0.78, 0.025, 0.045), "#4d3317")
    c.fill(smooth("27,6 38,12 42,35 55,50 74,54 76,66 68,72 36,72 28,60 26,30 24,16"), coat, bulge=0.7)
    c.stroke(smooth("36,10 41,28 50,46", closed=False), 0.025, "#7a4514", 0.3)
    for x in (0.29, 0.36):
        c.stroke([(x, 0.1), (x + 0.01, 0.02)], 0.02, "#c99a45")
        c.fill(ellipse(x + 0.01, 0.02, 0.02), "#4d3317")
    c.fill(ellipse(0.42, 0.1, 0.05, 0.022, 15), "#d9a94a")
    c.fill(smooth("38,7 28,7 12,16 13,23 26,22 38,17"), "#f0c469", bulge=0.7)
    c.fill(ellipse(0.145, 0.195, 0.045, 0.035), "#e0cfae", bulge=0.4)
    c.fill(ellipse(0.29, 0.12, 0.022), "#22160c", bulge=0)


def _pencil(c):
    def t(points):
        return turn(points, 33)

    c.fill(t(box(0.42, -0.08, 0.58, 0.05, 0.05)), "#ef8fa0", bulge=0.7)
    c.fill(t(box(0.415, 0.02, 0.585, 0.13)), stripes("#d7dde4", "#8f99a5", 32, 123), bulge=0.6)
    c.fill(t("42,84 58,84 50,110"), grain("#e3bd8a", "#f0d3a6", 26, 33), bulge=0.5)
    c.fill(t("47.2,101 52.8,101 50,110"), "#2c2c34", bulge=0.3)
    for left, right, paint in ((0.42, 0.475, "#5bc25a"), (0.472, 0.53, "#3ba54a"), (0.527, 0.58, "#23803a")):
        middle = (left + right) / 2
        c.fill(t([(left, 0.12), (right, 0.12), (right, 0.83), (middle, 0.87), (left, 0.83)]), paint, bulge=0.2)
    c.stroke(t("50,20 50,42"), 0.02, "#f5e27a", 0)


def _cactus(c):
    skin = stripes("#4fa05a", "#2f7a40", 22, 0, 0.4)
    for arm in ("50,56 22,56 20,50 20,30", "50,46 76,46 80,40 80,16"):
        c.stroke(arm, 0.14, skin, bulge=0.8)
    c.fill(box(0.38, 0.04, 0.62, 0.78, 0.12), skin, bulge=0.8)
    for x, y in points("44,16 50,26 56,38 45,46 52,58 20,42 79,30 33,56 68,45"):
        for angle in (30, 90, 150):
            c.stroke(turn([(x - 0.02, y), (x + 0.02, y)], angle, x, y), 0.008, "#f3f2cf", 0)
    for angle in range(0, 360, 60):
        c.fill(turn(ellipse(0.5, -0.01, 0.03, 0.045), angle, 0.5, 0.04), "#f25c9a", bulge=0.4)
    c.fill(ellipse(0.5, 0.04, 0.025), "#ffd84a")
    c.fill("27,76 73,76 67,99 33,99", "#c4633a", bulge=0.5)
    c.fill(box(0.24, 0.7, 0.76, 0.79, 0.02), "#d97a4d", bulge=0.6)


def _glasses(c):
    for x in (0.23, 0.77):
        c.fill(
            ellipse(x, 0.52, 0.19, 0.165),
            gradient("#7fd0ea", "#3a6fb0", (x - 0.1, 0.35), (x + 0.1, 0.7)),
            bulge=0.1,
            opacity=0.85,
        )
        c.fill(turn(box(x - 0.03, 0.34, x + 0.03, 0.7), 30, x, 0.52), "white", bulge=0, inside=True, opacity=0.3)
        c.stroke(ellipse(x, 0.52, 0.19, 0.165), 0.06, checks("#7c3f1a", "#3b1c0c", 20, 30), bulge=0.8)
    c.stroke(smooth("40,48 50,43 60,48", closed=False), 0.05, "#5c2c12", bulge=0.8)
    for x, tip in ((0.05, 0.1), (0.95, 0.86)):
        c.stroke(
            smooth(
                [(x, 0.46), ((x + tip) / 2, 0.34), (tip, 0.27), (tip + (0.05 if x < 0.5 else -0.05), 0.3)],
                closed=False,
            ),
            0.04,
            "#5c2c12",
        )


OBJECTS = {
    "apple": _apple,
    "car": _car,
    "cat": _cat,
    "mug": _mug,
    "sock": _sock,
    "banana": _banana,
    "bus": _bus,
    "fish": _fish,
    "key": _key,
    "shirt": _shirt,
    "carrot": _carrot,
    "bicycle": _bicycle,
    "butterfly": _butterfly,
    "lamp": _lamp,
    "boot": _boot,
    "strawberry": _strawberry,
    "sailboat": _sailboat,
    "turtle": _turtle,
    "scissors": _scissors,
    "hat": _hat,
    "pizza": _pizza,
    "airplane": _airplane,
    "duck": _duck,
    "umbrella": _umbrella,
    "guitar": _guitar,
    "mushroom": _mushroom,
    "rocket": _rocket,
    "snail": _snail,
    "chair": _chair,
    "backpack": _backpack,
    "pineapple": _pineapple,
    "helicopter": _helicopter,
    "penguin": _penguin,
    "teapot": _teapot,
    "trousers": _trousers,
    "cherries": _cherries,
    "truck": _truck,
    "whale": _whale,
    "hammer": _hammer,
    "glove": _glove,
    "ice cream": _ice_cream,
    "balloon": _balloon,
    "octopus": _octopus,
    "candle": _candle,
    "dress": _dress,
    "watermelon": _watermelon,
    "train": _train,
    "crab": _crab,
    "bottle": _bottle,
    "drum": _drum,
    "doughnut": _doughnut,
    "tractor": _tractor,
    "ladybird": _ladybird,
    "clock": _clock,
    "book": _book,
    "cheese": _cheese,
    "submarine": _submarine,
    "giraffe": _giraffe,
    "pencil": _pencil,
    "cactus": _cactus,
    "glasses": _glasses,
}  # name -> function that draws it; the categories are mixed


@lru_cache(maxsize=4)
def draw_objects(size):
    """Draw all objects.

    Parameters
    ----------
    size : int
        Side of the images in pixels.

    Returns
    -------
    images : ndarray of shape (n_objects, size, size, 4), uint8
        Straight alpha, in the order of OBJECTS; read-only, for the same array is given to every caller.

    Examples
    --------
    >>> draw_objects(16).shape
    (61, 16, 16, 4)
    """
    side = max(
        256, 2 * size, min(4 * size, 512)
    )  # pixels of the sheet: no less, so that small sizes look like large ones
    images = np.empty((len(OBJECTS), size, size, 4), np.uint8)
    for image, draw in zip(images, OBJECTS.values(), strict=True):
        canvas = Canvas(side)
        draw(canvas)
        image[:] = canvas.image(size)
    images.flags.writeable = False
    return images
