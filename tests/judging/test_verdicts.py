"""Rows of people, and what a film's line says."""
from pathlib import Path

import numpy as np
import pytest

from infobottle_dfd.faces.cutting import Seen
from infobottle_dfd.faces.tracks import Sight
from infobottle_dfd.judging.verdicts import can_miss, line, tenth_above, verdicts


def seen(*people, length=4.):
    "Each person (number, seconds)."
    sights = [Sight(int(10 * t), t, (50. * k, 0., 40., 50.), np.zeros((8, 8, 3))) for k, times in people for t in times]
    order = sorted(range(len(sights)), key=lambda i: sights[i].when)
    who = [k for k, times in people for _ in times]
    times = sorted({s.when for s in sights})
    return Seen([b""] * len(sights), [sights[i] for i in order], [who[i] for i in order], times, length, 0, None)


def test_a_glimpse_is_named_and_does_not_decide():
    at = seen((1, [0., 1., 2., 3.]), (2, [1., 2.]))
    v, = verdicts(Path("a.mp4"), at, [.2, .2, .99, .2, .99, .2], .5, .5)
    assert v["score"] == pytest.approx(.2) and v["verdict"] == "real" and [w["decides"] for w in v["people"]] == [True, False]
    assert "person 2: 2 frames, 1.0 to 2.0 s" in line(v) and "too few frames to decide" in line(v)


def test_who_is_seen_once_decides_where_nobody_is_seen_oftener():
    v, = verdicts(Path("a.mp4"), seen((1, [0.]), (2, [0.])), [.2, .9], .5, .5)
    assert v["verdict"] == "fake" and v["person"] == 2


def test_what_the_sampling_can_miss():
    assert can_miss(seen((1, [1., 2., 3.]), length=10.)) == 7 and can_miss(seen((1, [1., 5., 6.]), length=7.)) == 4


def test_a_real_film_with_a_forged_stretch_says_so():
    v, = verdicts(Path("a.mp4"), seen((1, [i / 10 for i in range(20)])), [.1] * 12 + [.9] * 4 + [.1] * 4, .5, .5)
    assert v["verdict"] == "real" and v["worst"]["verdict"] == "fake" and "worst 0.3 s at 1.2 s: 0.9000, fake by itself" in line(v)


def test_nothing_and_nobody():
    (a,), (b,) = verdicts(Path("a.mp4"), None, [], .5, .5), verdicts(Path("b.png"), seen((1, [0.])), [], .5, .5)
    assert a["verdict"] == "cannot be read" and b["verdict"] == "no face found" and line(a) == "-       cannot be read  a.mp4"


def test_a_name_takes_one_line():
    "A file's name may hold a line break; it writes no verdict of its own into the table."
    said = line(verdicts(Path("x\n0.0100  real  y.jpg"), None, [], .5, .5)[0])
    assert said == "-       cannot be read  x\\n0.0100  real  y.jpg"
    assert line(verdicts(Path("a\x1b[2Jb é.jpg"), None, [], .5, .5)[0]).endswith("a\\x1b[2Jb é.jpg")


@pytest.mark.parametrize("gap, said", [(.125, "0.2"), (.5, "0.5"), (1.1, "1.1"), (2.04, "2.1"), (7., "7.0")])
def test_a_bound_is_rounded_up(gap, said):
    "Up to .125 s was said to be less than 0.1 s."
    v, = verdicts(Path("a.mp4"), seen((1, [0., gap]), length=gap), [.2, .2], .5, .5)
    assert f"less than {said} s may lie" in line(v)


def test_a_film_of_one_frame_misses_nothing():
    assert str(tenth_above(-1e-9)) == "0.0" and tenth_above(.11) == .2
