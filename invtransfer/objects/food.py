"""Fruit, vegetables and other food; each function draws one on a canvas (see `invtransfer.objects.things`)."""

import numpy as np

from invtransfer.objects.drawing import (
    box,
    checks,
    ellipse,
    gradient,
    noise,
    points,
    radial,
    smooth,
    stripes,
    symmetric,
    turn,
)
from invtransfer.randomness import derive_generator


def _shine(c, x, y, rx, ry, angle=0, opacity=0.55):
    c.fill(ellipse(x, y, rx, ry, angle), "white", bulge=0, inside=True, opacity=opacity)


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


def _banana(c):
    outer = "13,6 10,30 20,62 45,87 75,93 95,83"
    inner = "93,74 74,72 52,60 34,38 24,6"
    c.fill(smooth(f"{outer} {inner}"), gradient("#ffe45c", "#e5ad1c", (0.5, 0.4), (0.35, 0.85)), bulge=0.9)
    c.stroke(smooth("17,12 19,35 30,60 52,77 88,82", closed=False), 0.012, "#b98a14", 0)
    c.fill(box(0.125, 0.02, 0.245, 0.13, 0.02), "#8a6d1f")
    c.fill(ellipse(0.95, 0.785, 0.03, 0.05, -15), "#4a3a12")
    for x, y, r in points("30,50,2 45,70,2.5 60,80,1.5 24,30,1.4 72,82,1.8"):
        c.fill(ellipse(x, y, r, r * 0.6, 40), "#7a5414", bulge=0, opacity=0.7)


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


def _cherries(c):
    for x, bend in ((0.27, 0.3), (0.72, 0.68)):
        c.stroke(smooth([(0.62, 0.06), (bend + 0.06, 0.3), (x, 0.64)], closed=False), 0.028, "#5c8a2e")
    _leaf(c, 0.6, 0.08, 0.4, 22)
    for x, y, r in ((0.25, 0.76, 0.22), (0.74, 0.72, 0.215)):
        c.fill(ellipse(x, y, r), radial("#e4203a", "#6d0716", x - 0.06, y - 0.07, 1.4 * r), bulge=0.9)
        c.fill(ellipse(x + 0.01, y - 0.15, 0.06, 0.025), "#4d0410", bulge=0)
        _shine(c, x - 0.1, y - 0.06, 0.035, 0.065, 30, 0.7)
    c.fill(ellipse(0.61, 0.06, 0.045, 0.03, 20), "#6b4a23", bulge=0.6)


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


def _doughnut(c):
    c.stroke(ellipse(0.5, 0.52, 0.3, 0.27), 0.36, noise("#cf9449", "#e0ad66", 14, 1), bulge=0.7)
    t = np.linspace(0, 2 * np.pi, 90)
    wave = 1 + 0.045 * np.sin(9 * t) + 0.03 * np.sin(5 * t + 1)
    icing = np.stack([0.5 + 0.42 * wave * np.cos(t), 0.49 + 0.385 * wave * np.sin(t)], 1)
    c.fill(icing, "#f27bb0", bulge=0.7, inside=True)
    generator = derive_generator(5, "seeds and sprinkles")
    for angle in np.linspace(0, 340, 18):
        r, x = generator.uniform(0.21, 0.36), np.radians(angle)
        x, y = 0.5 + r * np.cos(x), 0.49 + 0.92 * r * np.sin(x)
        paint = ("#fff6a8", "#5ad1e6", "#fdfdfd", "#7d4ae0", "#e8343f")[int(angle / 20) % 5]
        c.stroke(turn([(x - 0.022, y), (x + 0.022, y)], generator.uniform(0, 180), x, y), 0.022, paint, 0.3)
    c.fill(ellipse(0.5, 0.5, 0.16, 0.135), "#b97a33", bulge=-0.5, inside=True)
    c.cut(ellipse(0.5, 0.515, 0.135, 0.11))


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


FOOD = {
    "apple": _apple, "banana": _banana, "carrot": _carrot, "strawberry": _strawberry, "pizza": _pizza,
    "mushroom": _mushroom, "pineapple": _pineapple, "cherries": _cherries, "ice cream": _ice_cream,
    "watermelon": _watermelon, "doughnut": _doughnut, "cheese": _cheese,
}  # fmt: skip
