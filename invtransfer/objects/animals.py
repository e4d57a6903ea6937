"""Animals; each function draws one on a canvas (see `invtransfer.objects.things`)."""

import numpy as np

from invtransfer.objects.drawing import dots, ellipse, flip, gradient, noise, points, radial, smooth, stripes, symmetric


def _eye(c, x, y, r, white="white"):
    c.fill(ellipse(x, y, r), white, bulge=0.3)
    c.fill(ellipse(x + 0.15 * r, y + 0.1 * r, 0.6 * r), "#15151c", bulge=0)
    c.fill(ellipse(x - 0.1 * r, y - 0.2 * r, 0.2 * r), "white", bulge=0)


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


ANIMALS = {
    "cat": _cat, "fish": _fish, "butterfly": _butterfly, "turtle": _turtle, "duck": _duck, "snail": _snail,
    "penguin": _penguin, "whale": _whale, "octopus": _octopus, "crab": _crab, "ladybird": _ladybird,
    "giraffe": _giraffe,
}  # fmt: skip
