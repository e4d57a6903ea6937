import numpy as np
import pytest

from invtransfer.objects.drawing import (
    Canvas,
    blend,
    box,
    checks,
    colour,
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


def area(outline):
    x, y = outline.T
    return abs(np.roll(x, -1) @ y - np.roll(y, -1) @ x) / 2


def test_colours():
    assert colour("#ff0080").tolist() == pytest.approx([1, 0, 128 / 255])
    assert colour("white").tolist() == [1, 1, 1]


def test_outlines_have_the_areas_of_geometry():
    assert area(ellipse(0.5, 0.5, 0.4, 0.2)) == pytest.approx(np.pi * 0.4 * 0.2, rel=0.01)
    assert area(box(0.1, 0.2, 0.6, 0.5)) == pytest.approx(0.5 * 0.3)
    assert area(box(0, 0, 1, 1, 0.25)) == pytest.approx(1 - (4 - np.pi) * 0.25**2, rel=0.01)


def test_turning_is_clockwise_where_y_points_down():
    np.testing.assert_allclose(turn("100,50", 90), [[0.5, 1]], atol=1e-12)


def test_curves_pass_through_their_points():
    outline = points("10,10 80,20 60,90")
    np.testing.assert_allclose(smooth(outline)[::12], outline)
    np.testing.assert_allclose(smooth(outline, closed=False)[[0, 12, -1]], outline)


def test_mirror_images():
    np.testing.assert_allclose(flip("20,30"), [[0.8, 0.3]])
    np.testing.assert_allclose(symmetric("50,0 20,30 50,100"), points("50,0 20,30 50,100 80,30"))


@pytest.mark.parametrize(
    ("paint", "black", "white"),
    [
        (gradient("black", "white"), (0.3, 0.0), (0.3, 1.0)),
        (radial("black", "white", 0.5, 0.5, 0.5), (0.5, 0.5), (0.5, 1.0)),
        (stripes("black", "white", 2), (0.3, 0.5), (0.1, 0.5)),
        (stripes("black", "white", 2, angle=90), (0.5, 0.3), (0.5, 0.1)),
        (checks("black", "white", 2), (0.2, 0.2), (0.2, 0.7)),
        (dots("black", "white", 2), (0.01, 0.01), (0.25, 0.25)),
        (blend("black", "white", lambda x, y: x), (0.0, 0.5), (1.0, 0.5)),
    ],
)
def test_paints(paint, black, white):
    x, y = np.array([black, white]).T
    np.testing.assert_allclose(paint(x, y), [[0, 0, 0], [1, 1, 1]], atol=1e-6)


@pytest.mark.parametrize("paint", [noise("black", "white", 8, seed=1), grain("black", "white", 8, seed=1)])
def test_irregular_paints_stay_between_their_colours(paint):
    x, y = np.meshgrid(np.linspace(-0.1, 1.1, 50), np.linspace(-0.1, 1.1, 50))
    values = paint(x, y)
    assert values.min() >= 0
    assert values.max() <= 1
    assert values.std() > 0.1


def test_a_filled_square_covers_its_share():
    canvas = Canvas(120)  # 100 pixels for the unit square
    canvas.fill(box(0.2, 0.3, 0.6, 0.8), "white", bulge=0)
    assert canvas._alpha.sum() == pytest.approx(40 * 50, rel=0.05)


def test_the_light_comes_from_the_upper_left():
    canvas = Canvas(128)
    canvas.fill(ellipse(0.5, 0.5, 0.4), "#808080", bulge=1)
    image = canvas.image(64).astype(int)
    assert image[16, 16, 0] > 128 > image[48, 48, 0]


def test_painting_inside_adds_nothing_outside_and_cutting_makes_a_hole():
    canvas = Canvas(128)
    canvas.fill(box(0, 0, 1, 1), "red", bulge=0)
    canvas.fill(box(0.5, -0.1, 1.1, 1.1), "blue", bulge=0, inside=True)
    canvas.cut(ellipse(0.25, 0.5, 0.1))
    image = canvas.image(32)
    assert image[4, 8].tolist() == [255, 0, 0, 255]
    assert image[4, 24].tolist() == [0, 0, 255, 255]
    assert image[16, 8, 3] == 0
    assert image[16, 31, 3] < 255  # 97 % of the side


def test_strokes_have_their_width_and_opacity():
    canvas = Canvas(120)
    canvas.stroke("20,50 80,50", 0.1, "white", bulge=0, opacity=0.5)
    column = canvas._alpha[:, 60, 0]
    assert column.max() == pytest.approx(0.5)
    assert (column > 0).sum() == pytest.approx(10, abs=1)


def test_the_image_is_centred():
    canvas = Canvas(256)
    canvas.fill(box(0.0, 0.0, 0.2, 0.1), "white", bulge=0)
    alpha = canvas.image(64)[..., 3].astype(float)
    np.testing.assert_allclose(alpha, alpha[::-1, ::-1], atol=40)
    assert (alpha[32] > 127).sum() == pytest.approx(62, abs=1)
