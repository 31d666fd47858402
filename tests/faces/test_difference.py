"""A fake is laid over its source: what differs is forged, what compression did is not, and what is not the source is refused."""
import numpy as np
import pytest

from infobottle_dfd.commands import Prepare
from infobottle_dfd.faces.clues import ClueFaces
from infobottle_dfd.faces.difference import alike, difference, mark, outside, smooth


@pytest.fixture
def faces():
    "Four drawn faces, (h w c), their noise their own."
    return ClueFaces(4, 112, seed=3).x.permute(0, 2, 3, 1).numpy()


def noisy(x, sigma, seed):
    "With Gaussian noise."
    return np.clip(x + np.random.default_rng(seed).normal(0, sigma, x.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("sigma", [0, 2, 5])
def test_a_rectangle_is_found_under_noise(faces, sigma):
    "Whatever the noise: the threshold follows what differs around the face."
    fake, truth, out = faces[0].copy(), np.zeros((112, 112), bool), np.ones((112, 112), bool)
    fake[60:95, 30:80], truth[60:95, 30:80], out[10:102, 10:102] = 255 - fake[60:95, 30:80], True, False
    found = mark(noisy(fake, sigma, 0), noisy(faces[0], sigma, 1), out)
    assert (found & truth).sum() / (found | truth).sum() > .85
    assert mark(noisy(faces[0], sigma, 0), noisy(faces[0], sigma, 1), out).mean() < .01


def test_another_film_is_refused(faces):
    out = np.ones((112, 112), bool)
    out[10:102, 10:102] = False
    assert mark(faces[0], faces[1], out) is None and mark(faces[0], np.roll(faces[0], 20, 0), out) is None
    assert mark(faces[0], faces[1], ~np.ones_like(out)) is not None                  # nothing is outside: nobody can tell


def test_walls_are_alike_and_a_wall_is_not_a_face(faces):
    out, wall = np.ones((112, 112), bool), np.full((112, 112, 3), 90, np.uint8)
    assert alike(wall, wall + np.uint8(3), out) == 1 and alike(faces[0], wall, out) < .2 and alike(faces[0], faces[0], out) > .999


def test_an_edge_stays_where_it_is():
    "The limit keeps a large step from reaching beyond itself."
    for height in (13, 60, 255):
        step = np.zeros((112, 112), np.float32)
        step[40:70] = height
        assert (smooth(step, 6)[:, 50] == (step[:, 50] > 0)).all()
    assert difference(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)).tolist() == [[255] * 2] * 2     # bytes do not wrap


def test_what_lies_outside_the_box():
    "A box of 60 x 80 in a square of 104: left and right 22, above and below 12, of 104 pixels."
    args = Prepare(None, None, size=104)
    out = outside(np.zeros((300, 300, 3)), (100, 100, 60, 80), args)
    assert not out[12:92, 22:82].any() and out.sum() == 104 ** 2 - 60 * 80
