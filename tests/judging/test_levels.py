"""Frames, films, people."""
from pathlib import Path

import pytest
import torch

from infobottle_dfd.faces.manifest import Face
from infobottle_dfd.judging.levels import alarms, by_video, film_scores, report, units, worst


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


def test_a_film_is_as_fake_as_its_most_fake_person():
    "The mean of both called a film real in which one of two was forged; a face seen twice decides nothing."
    films, people = ["a"] * 12 + ["b"] * 2, ["a#1"] * 5 + ["a#2"] * 5 + ["a#3"] * 2 + ["b", "b"]
    p = [.1] * 5 + [.8] * 5 + [1., 1.] + [.2, .4]
    assert film_scores(films, p)[1][0] < .55 and film_scores(films, p, people)[1].tolist() == [pytest.approx(.8), pytest.approx(.3)]
    rows = [Face(Path(f"{i}"), 1, video=k) for i, k in enumerate(people)]
    videos, score = by_video(rows, torch.tensor(p))
    assert [r.film for r in videos] == ["a", "b"] and score.tolist() == [pytest.approx(.8), pytest.approx(.3)]
    assert len(set(units(rows)[0])) == 2


def test_the_worst_stretch():
    rows = [Face(Path(f"{i}"), i // 8 % 2, video=f"v{i // 8}") for i in range(32)]
    p = torch.full((32,), .2)
    p[11:15] = .9                                       # half of a fake film, in its middle
    found = alarms(rows, p, .6)
    assert worst(p[8:16].tolist()) == (pytest.approx(.9), 3, 6) and worst([.3]) == (.3, 0, 0)
    assert found == {"by_score": [0., 0.], "by_worst": [0., .5]}


def test_a_film_holds_the_people_of_all_its_frames():
    "Those of its first frame alone counted, and films that one person ties were independent."
    faces = [Face(Path(f"{i}.png"), 0, video=f"v{i // 2}", identity=who) for i, who in enumerate(("a", "b", "b", "", "c", "c"))]
    films, _ = by_video(faces, torch.rand(6))
    assert [r.identity for r in films] == ["a+b", "b", "c"] and len(set(units(faces)[0])) == len(set(units(films)[0])) == 2


def test_a_poster_is_no_alarm():
    "Whoever is seen once at .99 decided the worst stretch, though not the film; where nobody is seen oftener, everybody does."
    rows = [Face(Path(f"{i}"), 0, video="a#2" if i == 8 else "a#1") for i in range(9)]
    assert alarms(rows, torch.tensor([.1] * 8 + [.99]), .6) == {"by_score": [0., None], "by_worst": [0., None]}
    few = [Face(Path(f"{i}"), 0, video=f"a#{i}") for i in range(2)]
    assert alarms(few, torch.tensor([.1, .99]), .6) == {"by_score": [1., None], "by_worst": [1., None]}
