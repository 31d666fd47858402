"""infobottle-predict: pictures, clips, folders, odd names."""
import json
import os
import shutil
import struct
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torchvision.transforms.v2.functional import to_pil_image

from helpers import ENV, HEADER, TRAIN, film, one_sentence
from infobottle_dfd.core import InputError
from infobottle_dfd.faces.clues import ClueFaces
from infobottle_dfd.faces.manifest import read_faces
from infobottle_dfd.faces.pictures import load_face
from infobottle_dfd.judging.levels import by_video
from infobottle_dfd.runs.checkpoint import load_run

pytestmark = pytest.mark.usefixtures("few_faces", "without_audit")


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
    for args, word in (((folder / "wall.jpg",), "no face found in"), ((folder, "--every", 0), "every is 0"), ((folder, "--every", 1, "--frames", 3), "give one"), ((folder, "--faces", "both"), "choose all or largest"), ((folder, "--frames", 0), "it must be from 1 to 1000000"), ((folder, "--frames", 10 ** 20), "from 1 to 1000000"), ((tmp_path / "runs",), "no such file"), ((), "no files given")):
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
    one_sentence(*call("predict", "clip.mp4", "--run", "own", "--margin", "nan"), "from -0.49 to 10")


def test_one_broken_file_among_many(call, run_folder, face_folder, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    status, out, err = call("predict", next((face_folder / "real").iterdir()), "broken.jpg", "--crops", "--run", run_folder)
    assert status == 1 and "cannot be read  broken.jpg" in out and err.startswith("infobottle-predict: failed: 1 of the files: broken.jpg: not a readable") and len(err.splitlines()) == 1


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


FINDS = '''
def find(picture):
    "A box that wanders with the light; nobody where it is darkest."
    light = float(picture.mean())
    return [] if light < 70 else [(8 + light / 30, 10, 70 + light / 10, 90)]
'''


def turned(path):
    "The same film, its header saying: turn by 90 degrees."
    raw = path.read_bytes()
    one, w = (lambda v: struct.pack(">i", int(v * 65536))), (lambda v: struct.pack(">i", int(v * (1 << 30))))
    matrix = lambda a, b, c, d: one(a) + one(b) + w(0) + one(c) + one(d) + w(0) + one(0) + one(0) + w(1)
    assert raw.count(matrix(1, 0, 0, 1)) >= 1
    i = raw.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    assert raw[i:i + 36] == matrix(1, 0, 0, 1)
    path.write_bytes(raw[:i] + matrix(0, 1, -1, 0) + raw[i + 36:])


@pytest.mark.parametrize("size, form, margin, half", [
    (64, "jpg", "-0.2", "--no-bf16"), pytest.param(96, "png", "0.15", "--bf16", marks=pytest.mark.slow),
    pytest.param(299, "jpg", "0.4", "--no-bf16", marks=pytest.mark.slow)], ids=lambda v: str(v))
def test_predict_is_prepare_and_evaluate(tmp_path, call, size, form, margin, half, figure):
    "Three commands, at most sizes three processes: face by face and film by film the same scores; so does the library."
    drawn = ClueFaces(12, 96, seed=3)
    (tmp_path / "wanders.py").write_text(FINDS)
    for i, x in enumerate(drawn.x):
        film(tmp_path / f"films/{'fake' if i % 2 else 'real'}/{i}.mp4", x, frames=24)
    turned(tmp_path / "films/real/0.mp4")
    to_pil_image(drawn.x[0]).resize((160, 120)).save(tmp_path / "films/real/photo.png")
    env = ENV | {"PYTHONPATH": os.pathsep.join([str(tmp_path), ENV.get("PYTHONPATH", "")])}

    def command(name, *args):
        if size == 64:                                          # quick: all in this process
            status, out, err = call(name, *args)
            assert status == 0, err
            return out
        done = subprocess.run([shutil.which(f"infobottle-{name}", path=ENV["PATH"]), *map(str, args)], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout
    command("prepare", "films", "made", "--detector", "wanders:find", "--frames", 6, "--size", 120, "--format", form, "--margin", margin, "--workers", 1)
    command("train", "--data", "made/manifest.csv", "--out", "run", "--size", size, half, "--n", 2, "--d", 8, "--epochs", 8 if size == 64 else 3, "--batch", 8, "--lr", 1e-3 if size == 299 else 1e-2)
    command("evaluate", "--data", "made/manifest.csv", "--run", "run", "--split", "all", "--json", "e.json")
    said = command("predict", "films", "--run", "run", "--json", "p.json", "--detector", "wanders:find")
    assert "is not known" not in said
    if size == 64: one_sentence(*call("predict", "films", "--run", "run"), "may not name code to run")
    judged, seen = (json.loads((tmp_path / f"{k}.json").read_text()) for k in "ep")
    rows = read_faces(tmp_path / "made/manifest.csv")
    by_film = {}
    for r, p in zip(rows, judged["scores"]):
        by_film.setdefault(r.video, {})[int(r.path.stem)] = p
    lines = {Path(v["file"]).relative_to("films").as_posix(): v for v in seen["lines"]}
    assert lines.keys() == by_film.keys() and len(by_film) == 13 and min(map(len, by_film.values())) < 6
    spread, apart = [], []
    for name, faces in by_film.items():
        told = {f["frame"]: f["score"] for f in lines[name]["faces"]}
        assert told.keys() == faces.keys()
        apart += [abs(told[k] - p) for k, p in faces.items()] + [abs(lines[name]["score"] - sum(faces.values()) / len(faces))]
        spread.append(max(told.values()) - min(told.values()))
    figure(f"predict against prepare and evaluate, {size} px {form}: differ by {max(apart):.1e}; frames of a film by up to {max(spread):.3f}")
    assert max(apart) < 1e-6 and max(spread) > .01
    detector, saved = load_run(tmp_path / "run")
    with torch.no_grad():
        p = torch.cat([detector(torch.stack([load_face(r.path, size) for r in part]).float() / 255).p for part in (rows[:128], rows[128:]) if part])        # the batches of the commands
    assert (p - torch.tensor(judged["scores"])).abs().max() < 1e-6 and saved["framing"]["format"] == form


def test_unknown_framing_is_said_once(call, run_folder, tmp_path):
    film(tmp_path / "clip.mp4", ClueFaces(2, 96, seed=3).x[0])
    status, out, _ = call("predict", "clip.mp4", "clip.mp4", "--run", run_folder, "--frames", 2)
    assert status == 0 and out.count("how the faces of its training were cut is not known") == 1
    one_sentence(*call("predict", "clip.mp4", "--run", run_folder, "--margin", "-0.5"), "from -0.49 to 10")
    assert call("predict", "clip.mp4", "--run", run_folder, "--margin", "-0.3", "--frames", 1)[0] == 0


def test_what_was_not_looked_at_stands_in_the_verdict(call, run_folder, monkeypatch, tmp_path):
    "A damaged packet, a film that breaks off, an animation: they were scored without a word."
    from infobottle_dfd.faces.video import Lost
    from infobottle_dfd.faces import cutting
    film(tmp_path / "clip.mp4", ClueFaces(2, 96, seed=3).x[0])
    shutil.copy("clip.mp4", "whole.mp4")
    frames = cutting.frames

    def damaged(file, wanted, plan):
        yield from list(frames(file, wanted, plan))[:2]
        if file.name == "clip.mp4":
            raise Lost(f"{file}: 2 of 4 frames could not be read, as frame 7", 2)
    monkeypatch.setattr(cutting, "frames", damaged)
    one = Image.fromarray(ClueFaces(2, 96, seed=3).x[0].permute(1, 2, 0).numpy())
    one.save("moves.gif", save_all=True, append_images=[one.rotate(90)])
    status, out, _ = call("predict", "clip.mp4", "whole.mp4", "moves.gif", "--crops", "--run", run_folder, "--frames", 4, "--json", "p.json")
    lines = json.loads(Path("p.json").read_text())["lines"]
    assert status == 1 and "(2 of 4 frames could not be read, as frame 7)" in out and out.count("could not be read") == 1
    assert [v["unseen"] for v in lines] == ["2 of 4 frames could not be read, as frame 7", "", "an animation; the 1 pictures after its first were not looked at"]


def test_what_is_no_file_is_not_waited_for(call, run_folder, face_folder):
    os.mkfifo("pipe.png")
    status, out, _ = call("predict", "pipe.png", next((face_folder / "real").iterdir()), "--crops", "--run", run_folder)
    assert status == 1 and "cannot be read  pipe.png  (is no file)" in out


def test_other_faces_of_a_film_are_spoken_of(call, run_folder, tmp_path):
    "By the old rule the largest face of every frame is judged, and the others are named."
    film(tmp_path / "clip.mp4", ClueFaces(2, 96, seed=3).x[0])
    (tmp_path / "pair.py").write_text("def two(picture):\n    return [(0, 0, 20, 20), (100, 40, 70, 70)]\n")
    out = call("predict", "clip.mp4", "--run", run_folder, "--frames", 3, "--detector", "pair:two", "--faces", "largest")[1]
    assert "(other faces in 3 of 3 frames were not judged)" in out and "person" not in out.splitlines()[-1] and "largest face of every frame" in out
    out = call("predict", "clip.mp4", "--run", run_folder, "--frames", 3, "--detector", "pair:two")[1]
    assert "were not judged" not in out and "person 1:" in out and "person 2:" in out


BRIGHT = """
import numpy as np
def find(picture):
    "Everything bright on a dark wall, from left to right."
    on = (picture.mean(-1) > 60).any(0).astype(int)
    edges = np.flatnonzero(np.diff(on, prepend=0, append=0)).reshape(-1, 2)
    return [(float(a), 20., float(b - a), 80.) for a, b in edges if b - a > 20]
"""


def scene(path, shots, rate=10):
    "A film of dark shots, each a list of (grey of a face, left edge)."
    import av
    import numpy as np
    stripes = np.arange(80)[:, None, None] % 16 < 8
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 120, "yuv420p", 4_000_000
        for shot in shots:
            picture = np.full((120, 320, 3), 10, np.uint8)
            for grey, left in shot:
                picture[20:100, left:left + 70] = np.where(stripes, grey, grey - 25)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())


@pytest.fixture
def by_light(monkeypatch, tmp_path):
    "A detector of faces, and scores that are their brightness."
    from infobottle_dfd.judging import predict
    (tmp_path / "light.py").write_text(BRIGHT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(predict, "score", lambda detector, data: SimpleNamespace(p=data.tensors[0].float().mean((1, 2, 3)) / 255))
    return "--detector", "light:find", "--margin", "-0.2"


def test_a_film_is_as_fake_as_its_most_fake_person(call, run_folder, by_light, tmp_path):
    "Two people side by side: rows hold their own frames, and each wrong rule gives another verdict."
    at = load_run(run_folder)[1]["film_threshold"]
    low, high = int(255 * at * .5), int(min(255, 255 * (at + .25)))
    scene(tmp_path / "two.mp4", [[(max(low, 90), 20), (high, 200)]] * 20 + [[(max(low, 90), 20)]] * 20)
    assert call("predict", "two.mp4", "--run", run_folder, "--frames", 20, *by_light, "--json", "p.json", "--picture", "why.png")[0] == 0
    v, = json.loads(Path("p.json").read_text())["lines"]
    first, second = v["people"]
    assert (first["faces"], second["faces"], v["person"]) == (20, 10, 2) and first["score"] < second["score"] == v["score"]
    assert {f["person"] for f in v["faces"] if f["box"][0] < 100} == {1} and {f["person"] for f in v["faces"] if f["box"][0] > 100} == {2}
    assert second["to"] < 2.1 < first["to"] and Path("why.png").stat().st_size > 10_000
    assert v["score"] > sum(f["score"] for f in v["faces"]) / 30


def test_a_long_film_is_looked_at_in_bursts_and_the_gap_is_said(call, run_folder, by_light, tmp_path):
    scene(tmp_path / "long.mp4", [[(150, 20)]] * 300, rate=5)
    out = call("predict", "long.mp4", "--run", run_folder, "--frames", 8, *by_light, "--json", "p.json")[1]
    v, = json.loads(Path("p.json").read_text())["lines"]
    assert "people were not followed from one of its 2 parts to the next" in out and v["parts"] == len(v["people"]) == 2 and 25 < v["can_miss"] < 31
    assert len(v["faces"]) == 8 and all(f["seconds"] == pytest.approx(f["frame"] / 5, abs=.11) for f in v["faces"])
    call("predict", "long.mp4", "--run", run_folder, "--every", .9, *by_light, "--json", "p.json")
    v, = json.loads(Path("p.json").read_text())["lines"]
    assert v["frames"] == 66 and len(v["people"]) == 1 and v["can_miss"] <= 1.01


def test_a_forged_clip_among_real_ones_is_marked(call, run_folder, by_light, tmp_path):
    "The mean of a minute averages ten seconds away; the worst stretch has them, with their time."
    scene(tmp_path / "part.mp4", [[(90, 20)]] * 100 + [[(150, 20)]] * 30 + [[(90, 20)]] * 70)
    call("predict", "part.mp4", "--run", run_folder, *by_light, "--json", "p.json")
    v, = json.loads(Path("p.json").read_text())["lines"]
    assert len(v["people"]) == 1 and v["worst"]["score"] > v["score"] + .1 and 9.5 <= v["worst"]["from"] < v["worst"]["to"] <= 13


def test_one_call_from_python(run_folder, tmp_path):
    from infobottle_dfd.judging.predict import judge
    film(tmp_path / "clip.mp4", ClueFaces(2, 96, seed=3).x[0])
    v, = judge(tmp_path / "clip.mp4", run=run_folder, frames=5)
    assert v["verdict"] in ("real", "fake") and v["people"][0]["faces"] == 5 and v["people"][0]["decides"]


def test_a_picture_for_every_file(call, run_folder, tmp_path):
    for name in "ab":
        film(tmp_path / f"{name}.mp4", ClueFaces(2, 96, seed=3).x[0])
    assert call("predict", "a.mp4", "b.mp4", "--run", run_folder, "--frames", 3, "--picture", "why.png")[0] == 0
    assert sorted(p.name for p in Path().glob("why*")) == ["why-1-a.png", "why-2-b.png"]


def test_people_are_the_same_in_prepare_evaluate_and_predict(call, run_folder, tmp_path, monkeypatch):
    "All people of a film, one person a film, and the largest face of every frame: scores of faces and of films agree."
    (tmp_path / "light.py").write_text(BRIGHT)
    monkeypatch.syspath_prepend(tmp_path)
    cut = ("--detector", "light:find", "--margin", "-0.2", "--frames", 12)
    for k, kind in enumerate(("real", "fake", "real", "fake")):
        (tmp_path / "films" / kind).mkdir(parents=True, exist_ok=True)
        scene(tmp_path / f"films/{kind}/{k}.mp4", [[(90 + 9 * t + 2 * k, 20), (220 - 20 * k, 200)] for t in range(12)] + [[(120 + 5 * k, 20)]] * 12)
    for faces in ("all", "one", "largest"):
        assert call("prepare", "films", faces, *cut, "--faces", faces, "--workers", 1)[0] == 0
        assert call("evaluate", "--data", f"{faces}/manifest.csv", "--run", run_folder, "--split", "all", "--json", "e.json")[0] == 0
        assert call("predict", "films", "--run", run_folder, *cut, "--faces", "all" if faces == "one" else faces, "--json", "p.json")[0] == 0
        rows, scores = read_faces(f"{faces}/manifest.csv"), json.loads(Path("e.json").read_text())["scores"]
        told = {Path(v["file"]).name: v for v in json.loads(Path("p.json").read_text())["lines"]}
        for r, p in zip(rows, scores):
            assert min(abs(f["score"] - p) for f in told[Path(r.film).name]["faces"] if f["frame"] == int(r.path.stem)) < 1e-6
        for r, p in zip(*by_video(rows, torch.tensor(scores))):
            wanted = told[Path(r.film).name]["score"] if faces != "one" else told[Path(r.film).name]["people"][0]["score"]
            assert abs(wanted - p) < 1e-6
        assert {"#" in r.video for r in rows} == {faces == "all"} and len(rows) == {"all": 72, "one": 48, "largest": 48}[faces]


def test_verdicts_are_told_if_they_cannot_be_written(call, run_folder, face_folder, monkeypatch):
    from infobottle_dfd.judging import predict

    def full(*_):
        raise OSError(28, "No space left on device", "p.json")
    monkeypatch.setattr(predict, "write_json", full)
    face = next((face_folder / "real").iterdir())
    status, out, err = call("predict", face, "--crops", "--run", run_folder, "--json", "p.json")
    assert status == 2 and str(face) in out and "p.json: No space left" in err
    with pytest.raises(InputError, match="writes nothing"):
        predict.judge(face, run=run_folder, crops=True, json=Path("p.json"))
