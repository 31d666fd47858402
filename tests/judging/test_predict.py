"""infobottle-predict: pictures, clips, folders, odd names."""
import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from helpers import HEADER, TRAIN, film, one_sentence
from infobottle_dfd.faces.clues import ClueFaces

pytestmark = pytest.mark.usefixtures("few_faces")


def test_bad_prediction(call, bad, run_folder, face_folder):
    good = next((face_folder / "real").iterdir())
    cut = bad["truncated"] / "fake/broken.jpg"
    for args, word in (((good,), "no trained detector under runs/"), ((good, "--run", bad["empty"]), "best.pt is missing"), (("none.jpg", "--run", run_folder), "none.jpg: no such file"),
                       ((cut, "--crops", "--run", run_folder, "--picture", "why.png"), "broken.jpg: not a readable picture"), ((good, "--run", run_folder, "--picture", "why.doc"), "written as .png"),
                       ((good, "--run", run_folder, "--picture", "no/why.png"), "its folder does not exist"), ((good, "--run", run_folder, "--device", "tpu"), "unknown device 'tpu'")):
        one_sentence(*call("predict", *args), word)
    assert not Path("why.png").exists()
    (bad["empty"] / "best.pt").write_bytes(b"no weights")
    one_sentence(*call("predict", good, "--run", bad["empty"]), "not a detector of this version")


def test_odd_file_names(call, run_folder, face_folder, tmp_path):
    "Dollars, braces and spaces in a name are no formulas."
    odd = tmp_path / "a $x_$ {b}.png"
    odd.write_bytes(next((face_folder / "real").iterdir()).read_bytes())
    assert call("predict", odd, "--crops", "--run", run_folder, "--picture", "why.png")[0] == 0 and Path("why.png").exists()


def test_predict_videos_and_photographs(call, run_folder, face_folder, monkeypatch, tmp_path):
    "Faces are found in pictures and clips; every frame is in the JSON; a folder may hold both."
    folder = tmp_path / "mixed"
    film(folder / "clip.mp4", ClueFaces(2, 96, seed=3).x[0])
    Image.new("RGB", (160, 120), "grey").save(folder / "wall.jpg")
    status, out, _ = call("predict", folder, "--run", run_folder, "--frames", 5, "--json", "p.json")
    assert status == 0 and "mean of 5 frames with a face" in out and "no face found  " in out
    clip, wall = json.loads(Path("p.json").read_text())["lines"]
    assert [f["frame"] for f in clip["faces"]] == [1, 3, 6, 8, 10] and clip["score"] == pytest.approx(sum(f["score"] for f in clip["faces"]) / 5) and wall["score"] is None
    assert call("predict", folder / "clip.mp4", "--run", run_folder, "--picture", "why.png", "--frames", 3)[0] == 0 and Path("why.png").stat().st_size > 10_000
    for args, word in (((folder / "wall.jpg",), "no face found in"), ((folder, "--picture", "x.png"), "give the video alone"), ((folder, "--frames", 0), "it must be at least 1"), ((tmp_path / "runs",), "no such file"), ((), "no files given")):
        one_sentence(*call("predict", *args, "--run", run_folder), word)
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    one_sentence(*call("predict", "bad.mp4", "--run", run_folder), "bad.mp4: not a readable video")


def test_faces_are_cut_as_they_were_for_training(call, face_folder, tmp_path):
    "The margin of infobottle-prepare goes with the run; --margin overrules it."
    lines = "".join(f"{p},{int(p.parent.name == 'fake')},,,,\n" for p in sorted(face_folder.rglob("*.png")))
    (tmp_path / "made").mkdir()
    (tmp_path / "made/manifest.csv").write_text(HEADER + lines)
    (tmp_path / "made/prepare.json").write_text('{"margin": "0"}')
    for data, run in (("made/manifest.csv", "own"), (face_folder, "other")):
        assert call("train", "--data", data, "--out", run, *TRAIN)[0] == 0
    film(tmp_path / "clip.mp4", ClueFaces(2, 96, seed=3).x[0])
    def scores(run, *margin):
        assert call("predict", "clip.mp4", "--run", run, "--frames", 2, *margin, "--json", "p.json")[0] == 0
        return [f["score"] for f in json.loads(Path("p.json").read_text())["lines"][0]["faces"]]
    assert scores("own") == scores("own", "--margin", 0) != scores("own", "--margin", .15)
    assert scores("other") == scores("other", "--margin", .15)
    one_sentence(*call("predict", "clip.mp4", "--run", "own", "--margin", "nan"), "from 0 to 10")


def test_one_broken_file_among_many(call, run_folder, face_folder, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    status, out, _ = call("predict", next((face_folder / "real").iterdir()), "broken.jpg", "--crops", "--run", run_folder)
    assert status == 0 and "cannot be read  broken.jpg" in out


def test_a_folder_named_like_a_video_is_a_folder(call, run_folder, face_folder, tmp_path):
    "Crops of a.mp4 lie in a folder of that name."
    (tmp_path / "faces/a.mp4").mkdir(parents=True)
    shutil.copy(next((face_folder / "real").iterdir()), tmp_path / "faces/a.mp4/00001.png")
    status, out, _ = call("predict", "faces", "--crops", "--run", run_folder)
    assert status == 0 and len(out.splitlines()) == 2 and out.splitlines()[1].endswith("faces/a.mp4/00001.png")


def test_a_name_that_is_not_utf8(call, run_folder, face_folder):
    old = os.fsdecode(b"caf\xe9.png")
    shutil.copy(next((face_folder / "real").iterdir()), old)
    status, out, _ = call("predict", old, "--crops", "--run", run_folder, "--json", "r.json", "--picture", "why.png")
    assert status == 0 and out.splitlines()[1].endswith("caf?.png") and json.loads(Path("r.json").read_text())["lines"][0]["file"] == old
    assert Path("why.png").stat().st_size > 5000
