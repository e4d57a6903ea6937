"""Things found in a house; each function draws one on a canvas (see `invtransfer.objects.things`)."""

import numpy as np

from invtransfer.objects.drawing import (
    box,
    dots,
    ellipse,
    gradient,
    grain,
    points,
    radial,
    smooth,
    stripes,
    symmetric,
    turn,
)


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


def _key(c):
    gold = gradient("#ffe07a", "#b47e16", (0.2, 0.1), (0.7, 0.8))
    c.stroke("40,40 90,90", 0.085, gold, bulge=0.8)
    for t, length in points("70,15 80,10 88,16"):
        c.fill(turn(box(t - 0.04, t, t + 0.035, t + length, 0.01), 45, t, t), gold, bulge=0.5)
    c.stroke(ellipse(0.27, 0.27, 0.19), 0.12, gold, bulge=0.9)
    c.fill(turn(box(0.36, 0.41, 0.48, 0.46, 0.02), -45, 0.42, 0.42), gold, bulge=0.6)


def _lamp(c):
    c.fill(ellipse(0.46, 0.93, 0.24, 0.05), "#3b4a5c", bulge=0.6)
    c.stroke("46,92 34,60 56,30", 0.04, "#566a82", bulge=0.8)
    c.fill(ellipse(0.34, 0.6, 0.05), "#ffb52e", bulge=0.8)
    c.fill(turn(ellipse(0.72, 0.36, 0.11, 0.15), 35, 0.6, 0.3), "#fff6c2", bulge=0.8)
    shade = "44,20 56,16 70,8 74,55 56,42 44,36"
    c.fill(turn(smooth(shade), 35, 0.6, 0.3), gradient("#46b58f", "#1f7a5c", (0.5, 0.1), (0.7, 0.6)), bulge=0.8)
    c.fill(turn(ellipse(0.725, 0.315, 0.055, 0.24), 35, 0.6, 0.3), "#fff3ad", bulge=0.3)
    c.fill(ellipse(0.56, 0.3, 0.04), "#ffb52e", bulge=0.8)


def _scissors(c):
    steel = gradient("#f2f5f8", "#8d98a5", (0.4, 0.2), (0.65, 0.3))
    c.fill("44,60 52,64 72,6 70,1 64,6", steel, bulge=0.5)
    c.fill("56,60 48,64 28,6 30,1 36,6", steel, bulge=0.5)
    for x, angle in ((0.3, 28), (0.7, -28)):
        c.stroke(ellipse(x, 0.79, 0.1, 0.15, angle), 0.07, "#e2372f", bulge=0.8)
        c.stroke([(x + (0.08 if x < 0.5 else -0.08), 0.67), (0.5, 0.57)], 0.07, "#e2372f", bulge=0.8)
    c.fill(ellipse(0.5, 0.56, 0.035), "#596470", bulge=0.7)
    c.stroke("48,56 52,56", 0.01, "#e7ebef", 0)


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


def _teapot(c):
    china = dots("#f7f3ea", "#3b62b8", 9, 0.24)
    c.stroke(smooth("24,42 8,36 4,56 12,72 28,74", closed=False), 0.065, "#3b62b8")
    spout = "68,70 82,60 84,40 92,31 99,33 95,48 92,68 76,85"
    c.fill(smooth(spout), "#3b62b8", bulge=0.7)
    c.fill(box(0.32, 0.86, 0.66, 0.95, 0.03), "#3b62b8", bulge=0.6)
    c.fill(smooth("30,33 16,50 16,72 30,90 66,90 81,72 80,50 67,33"), china, bulge=0.9)
    c.fill(smooth("27,34 36,22 60,22 70,34 48,38"), "#3b62b8", bulge=0.8)
    c.fill(ellipse(0.48, 0.17, 0.05), "#f2b632", bulge=0.9)


def _hammer(c):
    c.fill(turn(box(0.46, 0.2, 0.55, 1.08, 0.03), 42), grain("#b97a3a", "#dca661", 24, 42, seed=9), bulge=0.8)
    c.fill(turn(box(0.455, 0.72, 0.555, 1.09, 0.04), 42), "#c22f2f", bulge=0.8)
    head = "20,8 34,10 42,4 60,5 76,10 90,28 74,22 60,25 42,26 34,20 20,22"
    c.fill(turn(head, 42), gradient("#c4ccd6", "#66717e", (0.6, 0.0), (0.5, 0.4)), bulge=0.8)
    c.fill(turn(box(0.17, 0.055, 0.24, 0.245, 0.01), 42), "#59636f", bulge=0.7)


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


HOUSEHOLD = {
    "mug": _mug, "key": _key, "lamp": _lamp, "scissors": _scissors, "umbrella": _umbrella, "guitar": _guitar,
    "chair": _chair, "teapot": _teapot, "hammer": _hammer, "candle": _candle, "bottle": _bottle, "drum": _drum,
    "clock": _clock, "book": _book, "pencil": _pencil, "cactus": _cactus,
}  # fmt: skip
