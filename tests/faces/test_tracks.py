"""Who is who in a film, and which frames must be looked at to know."""
import av
import numpy as np
import pytest

from infobottle_dfd.commands import Prepare
from infobottle_dfd.faces.clues import ClueFaces
from infobottle_dfd.faces.cutting import cut_faces, see
from infobottle_dfd.faces.detector import retinaface
from infobottle_dfd.faces.tracks import GAP, Sight, bursts, chief, follow, parts

A, B, C = ClueFaces(10, 96, seed=3).x.permute(0, 2, 3, 1).numpy()[[0, 1, 4]]
HERE, THERE = (20, 20), (360, 360)


def play(path, *scenes, rate=12):
    "Scenes of so many seconds before walls that grow lighter, each with (face, x at its beginning, x at its end)."
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 480, 140, "yuv420p"
        for wall, (seconds, people) in enumerate(scenes):
            for t in np.arange(0, seconds, 1 / rate) / seconds:
                shot = np.full((140, 480, 3), 60 + 50 * wall, np.uint8)
                for face, (start, end) in people:
                    x = round(start + (end - start) * t)
                    shot[20:116, x:x + 96] = face
                out.mux(stream.encode(av.VideoFrame.from_ndarray(shot, format="rgb24")))
        out.mux(stream.encode())
    return path


def rows(path, tmp_path, frames=12, **options):
    "What is seen in a film: person -> [(second, x)]."
    seen = see(path, retinaface, Prepare(tmp_path, tmp_path, frames=frames, **options))
    found = {}
    for s, k in zip(seen.sights, seen.people):
        found.setdefault(k, []).append((s.when, s.box[0]))
    return found


@pytest.mark.parametrize("name, scenes, right", [
    ("side by side", ((2, ((A, HERE), (B, THERE))),), [12, 12]),
    ("one leaves", ((1, ((A, HERE), (B, THERE))), (1, ((A, HERE),))), None),
    ("another stands there after a cut", ((1, ((A, HERE),)), (1, ((C, HERE),))), [6, 6]),
    ("shot and reverse shot", ((1, ((A, (190, 190)),)), (1, ((C, (190, 190)),)), (1, ((A, (190, 190)),)), (1, ((C, (190, 190)),))), [3, 3, 3, 3])], ids=lambda x: x if isinstance(x, str) else "")
def test_who_is_who(tmp_path, name, scenes, right):
    found = rows(play(tmp_path / "a.mp4", *scenes), tmp_path)
    assert right is None or sorted(map(len, found.values())) == right
    for own in found.values():
        x = [x for _, x in own]
        assert max(x) - min(x) < 30, "a row holds one person's frames"


def test_two_who_pass_each_other_do_not_change_places(tmp_path):
    "Who is hidden by the other may be counted anew; no row holds one person's frames and then the other's."
    found = rows(play(tmp_path / "a.mp4", (3, ((A, (20, 360)), (B, (360, 20))))), tmp_path, 18)
    assert len(found) <= 3 and max(map(len, found.values())) == 18
    for own in found.values():
        steps = np.diff([x for _, x in own])
        assert (steps > 0).all() or (steps < 0).all()


def sights(*seen):
    return [Sight(i, t, (x, 0, 50, 60), np.zeros((8, 8, 3))) for i, (t, x) in enumerate(seen)]


def test_a_second_is_bridged_and_no_more():
    assert follow(sights((0, 9), (1., 9), (2., 9))) == [1, 1, 1] and follow(sights((0, 9), (1.1, 9))) == [1, 2]
    assert follow(sights((0, 9), (.5, 100))) == [1, 2] and follow([]) == []


@pytest.mark.parametrize("seconds, rate, wanted", [(12, 25, 32), (30, 25, 32), (200, 25, 32), (3600, 30, 32), (60, 1, 8), (100, 25, 3), (5, 25, 1), (90, 25, 5)])
def test_frames_lie_close_enough_to_follow(seconds, rate, wanted):
    times = np.arange(0, seconds, 1 / rate)
    take = bursts(times, wanted)
    assert len(take) == min(wanted, len(times)) and take == sorted(set(take)) and take[-1] < len(times)
    gaps = np.diff(times[take])
    if wanted > 1:
        assert (gaps <= GAP).mean() >= .5 and len(parts(times[take])) <= -(-wanted // 4)
    if seconds <= wanted:
        assert gaps.max() <= GAP


def test_who_fills_most_of_the_film_is_kept(tmp_path):
    "A neighbour in a fake film was labelled fake; a benchmark keeps one person, and lists the other."
    path = play(tmp_path / "a.mp4", (1, ((A, HERE), (B, THERE))), (0.01, ()), (1, ((B, THERE),)))
    args = Prepare(tmp_path, tmp_path / "out", frames=12, size=48)
    done = cut_faces(path, "a", args)
    assert len(done["others"]) >= 1 and set(done["people"]) == {0} and len(done["crops"]) == len(done["boxes"])
    every = cut_faces(path, "b", Prepare(tmp_path, tmp_path / "out", frames=12, size=48, faces="all"))
    assert len(every["crops"]) == 18 and min(every["people"]) == 1 and not every["others"] and len({*every["crops"]}) == 18
    largest = cut_faces(path, "c", Prepare(tmp_path, tmp_path / "out", frames=12, size=48, faces="largest"))
    assert len(largest["crops"]) == 12 and not largest["others"] and largest["several"] == 6


def test_of_a_long_film_one_person_of_every_burst(tmp_path):
    near = [Sight(i, t, (0, 0, w, w), np.zeros((8, 8, 3))) for i, t in enumerate((0, .3, 60, 60.3)) for w in (50, 20)]
    people = follow(near)
    assert people == [1, 2, 1, 2, 3, 4, 3, 4] and chief(near, people, [0, .3, 60, 60.3]) == [1, 3]
