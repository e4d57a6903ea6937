"""The sixty-one everyday things that are drawn in code, in the order of their labels.

The modules of subjects (animals, clothes, food, household and vehicles) hold one small function for each thing. It
paints on a canvas, from back to front, in fractions of the unit square's side or texts of points in percent (see
`invtransfer.objects.drawing`). `Canvas.image` centres the drawing and scales it to fill the image, so that its margins
do not matter.
"""

from functools import lru_cache

import numpy as np

from invtransfer.objects.animals import ANIMALS
from invtransfer.objects.clothes import CLOTHES
from invtransfer.objects.drawing import Canvas
from invtransfer.objects.food import FOOD
from invtransfer.objects.household import HOUSEHOLD
from invtransfer.objects.vehicles import VEHICLES

_SUBJECTS = ANIMALS | CLOTHES | FOOD | HOUSEHOLD | VEHICLES
# Subjects take turns, so that any run of consecutive labels has some of each.
_ORDER = (
    "apple, car, cat, mug, sock, banana, bus, fish, key, shirt, carrot, bicycle, butterfly, lamp, boot, strawberry, "
    "sailboat, turtle, scissors, hat, pizza, airplane, duck, umbrella, guitar, mushroom, rocket, snail, chair, "
    "backpack, pineapple, helicopter, penguin, teapot, trousers, cherries, truck, whale, hammer, glove, ice cream, "
    "balloon, octopus, candle, dress, watermelon, train, crab, bottle, drum, doughnut, tractor, ladybird, clock, "
    "book, cheese, submarine, giraffe, pencil, cactus, glasses"
)
OBJECTS = {name: _SUBJECTS[name] for name in _ORDER.split(", ")}  # name -> function that draws it


@lru_cache(maxsize=4)
def draw_objects(size):
    """Draw all things.

    Parameters
    ----------
    size : int
        Side of the images in pixels.

    Returns
    -------
    images : ndarray of shape (n_objects, size, size, 4), uint8
        With straight alpha, in the order of `OBJECTS`; read-only, because all callers get the same array.

    Examples
    --------
    >>> draw_objects(16).shape
    (61, 16, 16, 4)
    """
    # pixels of the sheet: at least 256, so that small images look like large ones
    side = max(256, 2 * size, min(4 * size, 512))
    images = np.empty((len(OBJECTS), size, size, 4), np.uint8)
    for image, draw in zip(images, OBJECTS.values(), strict=True):
        canvas = Canvas(side)
        draw(canvas)
        image[:] = canvas.image(size)
    images.flags.writeable = False
    return images
