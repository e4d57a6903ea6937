"""Clothes, and what is worn with them; each function draws one on a canvas (see `invtransfer.objects.things`)."""

from invtransfer.objects.drawing import (
    box,
    checks,
    dots,
    ellipse,
    flip,
    gradient,
    grain,
    noise,
    points,
    smooth,
    stripes,
    symmetric,
    turn,
)


def _sock(c):
    outline = smooth("36,8 38,35 35,55 14,72 6,86 16,96 34,94 62,80 72,60 72,30 74,8")
    c.fill(outline, stripes("#f4f0e6", "#e2447c", 8, 84), bulge=0.7)
    c.fill(ellipse(0.1, 0.88, 0.16, 0.18), "#3e57b8", bulge=0.4, inside=True)
    c.fill(ellipse(0.68, 0.74, 0.17, 0.14, -40), "#3e57b8", bulge=0.4, inside=True)
    c.fill(box(0.33, 0.03, 0.77, 0.17, 0.035), stripes("#3e57b8", "#33489c", 22), bulge=0.6)


def _shirt(c):
    for side, angle in ((points, -40), (flip, 40)):
        c.fill(side("30,12 14,22 1,46 17,56 32,40"), stripes("#fdf6ec", "#2f6db5", 14, angle), bulge=0.6)
    c.fill(symmetric("38,8 28,12 26,40 27,70 24,94"), stripes("#fdf6ec", "#2f6db5", 14, 90), bulge=0.5)
    c.fill(ellipse(0.5, 0.08, 0.13, 0.1), "#b8c4d4", bulge=-0.5, inside=True)
    c.stroke(ellipse(0.5, 0.08, 0.13, 0.1, start=0, stop=180), 0.035, "#d6402f")
    c.fill(box(0.58, 0.3, 0.68, 0.42, 0.015), "#d6402f", bulge=0.4)


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


CLOTHES = {
    "sock": _sock, "shirt": _shirt, "boot": _boot, "hat": _hat, "backpack": _backpack, "trousers": _trousers,
    "glove": _glove, "dress": _dress, "glasses": _glasses,
}  # fmt: skip
