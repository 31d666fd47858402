"""Frames, films, people."""
from pathlib import Path

import pytest
import torch

from infobottle_dfd.faces.manifest import Face
from infobottle_dfd.judging.levels import by_video, film_scores, report, units


def test_video_scores_are_means_over_frames():
    rows = [Face(Path(str(i)), y, video=v, method=m) for i, (v, y, m) in enumerate([("a", 1, "x"), ("b", 0, ""), ("a", 1, "x"), ("a", 1, "z"), ("a", 0, "")])]
    videos, p = by_video(rows, torch.tensor([.2, .3, .6, .9, .1]))
    assert sorted(zip([(r.video, r.label, r.method) for r in videos], p.tolist())) == [(("a", 0, ""), pytest.approx(.1)), (("a", 1, "x"), pytest.approx(.4)), (("a", 1, "z"), pytest.approx(.9)), (("b", 0, ""), pytest.approx(.3))]


def test_one_function_makes_a_film():
    "In the order of names, whatever the order of the faces."
    first, score = film_scores(["b", "a", "b"], [.2, .5, .6])
    assert first.tolist() == [1, 0] and score.tolist() == [pytest.approx(.5), pytest.approx(.4)]


def test_units_are_connected_people():
    "A swap ties two people; where too few are left, videos, and that is said."
    rows = [Face(Path(f"{i}{y}"), y, video=f"v{i}{y}", identity=f"p{i}") for i in range(6) for y in (0, 1)]
    assert len(set(units(rows)[0])) == 6 and units(rows)[1:] == ("groups of people", "")
    tied = [*rows, Face(Path("s"), 1, video="s", identity="p0+p1"), Face(Path("t"), 1, video="t", identity="p1+p2")]
    unit, name, passed = units(tied)
    assert len(set(unit)) == 14 and name == "videos" and "into 4 groups, too few" in passed


def test_films_have_a_threshold_of_their_own():
    rows = [Face(Path(f"{i}"), i // 6 % 2, video=f"v{i // 2}") for i in range(24)]
    p = torch.tensor([r.label * .4 + .3 for r in rows])
    found = report(rows, p, .9, .5)
    assert found["accuracy_at_val_threshold"] == .5 and found["video"]["accuracy_at_val_threshold"] == 1
