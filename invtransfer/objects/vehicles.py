"""Vehicles on land, on water and in the air; each function draws one on a canvas (see `invtransfer.objects.things`)."""

from invtransfer.objects.drawing import (
    box,
    checks,
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


def _wheel(c, x, y, r, hub="#c9ced6"):
    c.fill(ellipse(x, y, r), "#26262b", bulge=0.6)
    c.fill(ellipse(x, y, 0.55 * r), hub, bulge=0.7)
    c.fill(ellipse(x, y, 0.18 * r), "#5b6069", bulge=0)


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


VEHICLES = {
    "car": _car, "bus": _bus, "bicycle": _bicycle, "sailboat": _sailboat, "airplane": _airplane, "rocket": _rocket,
    "helicopter": _helicopter, "truck": _truck, "balloon": _balloon, "train": _train, "tractor": _tractor,
    "submarine": _submarine,
}  # fmt: skip
