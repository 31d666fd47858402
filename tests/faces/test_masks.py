"""Masks that make themselves: which film is the source, what is drawn, what is refused, who was forged; and the whole way through prepare."""
import json
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from helpers import told
from infobottle_dfd.commands import prepare
from infobottle_dfd.core import InputError
from infobottle_dfd.faces.benchmarks import read_benchmark
from infobottle_dfd.faces.clues import ClueFaces
from infobottle_dfd.faces.manifest import Face, read_manifest
from infobottle_dfd.faces.masks import origins, rows_of, scenes, verdicts

BOX = (20, 10, 60, 80)              # Of the detectors finder:find and finder:pair
HOLE = (40, 80, 28, 68)             # Top, bottom, left and right of what is forged in it
OWN = f"def find(picture): return [{BOX}]\ndef pair(picture): return [{BOX}, (95, 20, 50, 70)]\n"


def scene(seed, people=1):
    "A textured wall and drawn faces, (120 160 3)."
    rng, drawn = np.random.default_rng(seed), ClueFaces(8, 80, seed=seed).x.permute(0, 2, 3, 1).numpy()
    wall = np.asarray(Image.fromarray(rng.integers(60, 190, (12, 16, 3), np.uint8)).resize((160, 120), Image.BICUBIC)).copy()
    wall[10:90, 20:80] = drawn[0, :, 10:70]
    if people == 2:
        wall[20:90, 95:145] = drawn[2, 5:75, 15:65]
    return wall


def forge(picture, at=HOLE):
    "The same with a rectangle in which dark is lighter and light is darker."
    top, bottom, left, right = at
    fake = picture.astype(int)
    fake[top:bottom, left:right] += np.where(fake[top:bottom, left:right] > 127, -70, 70)
    return fake.astype(np.uint8)


def play(path, picture, frames=10):
    "A film in which the light changes."
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10, options={"crf": "20"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for t in range(frames):
            lit = (picture * (.8 + .02 * (t % 10))).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(lit, format="rgb24")))
        out.mux(stream.encode())


def overlap(mask):
    "Intersection over union of a mask with the rectangle; the crop is the 104 pixels at the left and above, 80 * 1.3, moved in."
    at = (np.arange(128) + .5) * 104 / 128
    truth = np.logical_and.outer((at >= HOLE[0]) & (at < HOLE[1]), (at >= HOLE[2]) & (at < HOLE[3]))
    found = np.asarray(Image.open(mask)) > 127
    return (found & truth).sum() / (found | truth).sum()


@pytest.fixture
def own(tmp_path, monkeypatch):
    "A folder with detectors of one's own."
    (tmp_path / "finder.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(monkeypatch, capsys, *args):
    "infobottle-prepare on small settings."
    few = ("--frames", "4", "--size", "128", "--workers", "1")
    return told(monkeypatch, capsys, "prepare", *args, *few, *(() if "--detector" in args else ("--detector", "finder:find")))


REAL, FAKE = "original_sequences/{}/c23/videos/{}.mp4".format, "manipulated_sequences/{}/c23/videos/{}.mp4".format
LISTED = {"List_of_testing_videos.txt": "1 YouTube-real/00000.mp4"}


@pytest.mark.parametrize("files, name, source_of", [
    ([REAL("youtube", "000"), REAL("youtube", "003"), FAKE("Deepfakes", "000_003"), FAKE("FaceSwap", "003_000")], None, {FAKE("Deepfakes", "000_003"): REAL("youtube", "000"), FAKE("FaceSwap", "003_000"): REAL("youtube", "003")}),
    ([REAL("youtube", "000"), FAKE("FaceShifter", "000_003")], "faceshifter", {FAKE("FaceShifter", "000_003"): REAL("youtube", "000")}),
    (["original/000.mp4", "Deepfakes/000_003.mp4", "Deepfakes/003_000.mp4"], None, {"Deepfakes/000_003.mp4": "original/000.mp4"}),
    ([f"{k}/{i:03}.png" for k in ("original/000", "Deepfakes/000_003") for i in (0, 7)], None, {f"Deepfakes/000_003/{i:03}.png": f"original/000/{i:03}.png" for i in (0, 7)}),
    ([REAL("actors", "01__walking"), REAL("actors", "01__hugging"), FAKE("DeepFakeDetection", "01_02__walking__ABCD1234")], "dfd", {FAKE("DeepFakeDetection", "01_02__walking__ABCD1234"): REAL("actors", "01__walking")}),
    (["Celeb-real/id0_0001.mp4", "Celeb-real/id1_0001.mp4", "YouTube-real/00000.mp4", "Celeb-synthesis/id0_id1_0001.mp4", "Celeb-synthesis/id1_id0_0002.mp4"], None, {"Celeb-synthesis/id0_id1_0001.mp4": "Celeb-real/id0_0001.mp4"}),
    (["Celeb-real/id0_0001.mp4", "YouTube-real/00000.mp4", "Celeb-synthesis/FaceSwap/SimSwap/id0_id1_0001.mp4"], None, {"Celeb-synthesis/FaceSwap/SimSwap/id0_id1_0001.mp4": "Celeb-real/id0_0001.mp4"}),
    (["dfdc_train_part_3/r.mp4", "dfdc_train_part_4/f.mp4", "test/t.mp4"], None, {"dfdc_train_part_4/f.mp4": "dfdc_train_part_3/r.mp4"}),
    (["train_sample_videos/r.mp4", "train_sample_videos/f.mp4"], None, {"train_sample_videos/f.mp4": "train_sample_videos/r.mp4"}),
    (["original_videos/1/1_A_001.mp4", "original_videos/1/1_A_002.mp4", "method_A/1/1_2_A_002.mp4", "method_B/1/x.mp4"], None, {"method_A/1/1_2_A_002.mp4": "original_videos/1/1_A_002.mp4", "method_B/1/x.mp4": "original_videos/1/1_A_001.mp4"}),
], ids=["ff", "faceshifter", "flat copy", "frames", "dfd", "celeb", "celeb++", "dfdc", "dfdc sample", "dfdc preview"])
def test_each_benchmark_names_its_sources(tmp_path, files, name, source_of):
    "The film of a fake's column `source` is found, whatever the layout; and without it there is no mask."
    dfdc = {"r.mp4": {"label": "REAL", "split": "train"}}, {"f.mp4": {"label": "FAKE", "split": "train", "original": "r.mp4"}}
    texts = {"dfdc_train_part_3/metadata.json": dfdc[0], "dfdc_train_part_4/metadata.json": dfdc[1], "train_sample_videos/metadata.json": dfdc[0] | dfdc[1]}
    real = {f"original_videos/1/1_A_00{k}.mp4": {"label": "real", "set": "train", "target_id": 1} for k in (1, 2)}
    texts["dataset.json"] = real | {f: {"label": "fake", "set": "train", "target_id": 1, "swapped_id": 2, "source_video": s} for f, s in (("method_A/1/1_2_A_002.mp4", "1_A"), ("method_B/1/x.mp4", "original_videos/1/1_A_001.mp4"))}
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    if "YouTube-real/00000.mp4" in files:
        (tmp_path / "List_of_testing_videos.txt").write_text("1 YouTube-real/00000.mp4")
    for path, text in texts.items():
        if (tmp_path / path).parent.is_dir() and (path != "dataset.json" or "method_B/1/x.mp4" in files):
            (tmp_path / path).write_text(json.dumps(text))
    if "test/t.mp4" in files:
        (tmp_path / "test/labels.csv").write_text("filename,label\nt.mp4,1\n")
    found = origins(read_benchmark(tmp_path, name=name).rows)
    assert {Path(p).relative_to(tmp_path).as_posix(): o.path.relative_to(tmp_path).as_posix() for p, o in found.items()} == source_of
    assert {o.way for o in found.values()} == {"difference"}


def test_masks_of_its_own_serve_where_the_source_is_absent(tmp_path):
    "FaceForensics++'s masks, films or pictures; within one method there is one kind, that which serves more."
    own = "manipulated_sequences/{}/masks/videos/{}.mp4".format
    pictures = [f"manipulated_sequences/Face2Face/c23/{k}/001_870/{i:04}.png" for k in ("frames", "masks") for i in range(2)]
    for file in (REAL("youtube", "000"), FAKE("Deepfakes", "000_003"), own("Deepfakes", "000_003"), FAKE("FaceSwap", "000_003"), FAKE("FaceSwap", "003_000"), own("FaceSwap", "000_003"), own("FaceSwap", "003_000"), *pictures):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    found = read_benchmark(tmp_path)
    of = {Path(p).relative_to(tmp_path).as_posix(): (o.path.relative_to(tmp_path).as_posix(), o.way) for p, o in origins(found.rows).items()}
    assert of == {FAKE("Deepfakes", "000_003"): (REAL("youtube", "000"), "difference")} | {FAKE("FaceSwap", v): (own("FaceSwap", v), "own masks") for v in ("000_003", "003_000")} | {p: (p.replace("frames", "masks"), "own masks") for p in pictures[:2]}
    assert not any("masks" in note or "strange" in note for note in found.notes)


@pytest.fixture
def forensics(own):
    "A small FaceForensics++: Deepfakes with a source, FaceSwap with masks of its own, NeuralTextures of another film."
    a, b = scene(1), scene(2)
    play(own / "ff" / REAL("youtube", "000"), a)
    play(own / "ff" / FAKE("Deepfakes", "000_003"), forge(a))
    play(own / "ff" / FAKE("FaceSwap", "003_000"), forge(b))
    white = 0 * b
    white[HOLE[0]:HOLE[1], HOLE[2]:HOLE[3]] = 255
    play(own / "ff/manipulated_sequences/FaceSwap/masks/videos/003_000.mp4", white)
    play(own / "ff" / FAKE("NeuralTextures", "000_003"), forge(b))
    return own / "ff"


def test_the_rectangle_is_marked(forensics, monkeypatch, capsys):
    "From films to a manifest: masks of the fakes, of their own or from the source; none of the real; what is no source is refused and named."
    status, out, _ = call(monkeypatch, capsys, forensics, "out")
    rows = read_manifest(Path("out/manifest.csv"))
    assert status == 0 and len(rows) == 16 and {r.mask for r in rows if not r.label} == {""}
    for method in ("Deepfakes", "FaceSwap"):
        masks = [r.mask for r in rows if r.method == method]
        assert len(masks) == 4 and all(overlap(m) > .8 for m in masks), [overlap(m) for m in masks]
    assert {r.mask for r in rows if r.method == "NeuralTextures"} == {""} and [r.label for r in rows].count(1) == 12
    assert "4  masks of Deepfakes: difference" in out and "4  masks of FaceSwap: own masks" in out and "4  crops without a mask: its source shows something else around the face" in out
    assert f"something else around the face: {forensics / FAKE('NeuralTextures', '000_003')}" in out
    assert json.loads(Path("out/prepare.json").read_text())["masks"] == {"Deepfakes": "difference", "FaceSwap": "own masks", "NeuralTextures": "difference"}


def test_frames_are_compared_by_name(own, monkeypatch, capsys):
    "A set of frames, of which the source has more than the fake: each fake's own frame of the source is taken, whatever was thinned."
    a = scene(3)
    for name, count, forged in (("original/000", 9, False), ("Deepfakes/000_003", 6, True)):
        for k in range(count):
            lit = (a * (.7 + .05 * k)).clip(0, 255).astype(np.uint8)
            (own / "set" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(forge(lit) if forged else lit).save(own / "set" / name / f"{k:04}.png")
    assert call(monkeypatch, capsys, "set", "out", "--format", "png")[0] == 0
    rows = read_manifest(Path("out/manifest.csv"))
    assert len(rows) == 8 and all(overlap(r.mask) > .9 for r in rows if r.label) and {r.mask for r in rows if not r.label} == {""}


def test_photographs_have_sources_too(own, monkeypatch, capsys):
    "A manifest of stills, each a video of its own, or of none: the source is named, whatever the files are called."
    lines = ["path,label,split,video,identity,method,source"]
    for k in range(3):
        a = scene(20 + k)
        Image.fromarray(a).save(own / f"before{k}.png")
        Image.fromarray(forge(a)).save(own / f"after{k}.png")
        lines += [f"before{k}.png,0,,person {k},,,", f"after{k}.png,1,,{f'forged {k}' if k else ''},,,person {k}"]
    (own / "m.csv").write_text("\n".join(lines) + "\n")
    assert call(monkeypatch, capsys, "m.csv", "out", "--format", "png")[0] == 0
    rows = read_manifest(Path("out/manifest.csv"))
    assert len(rows) == 6 and all(overlap(r.mask) > .9 for r in rows if r.label) and {r.mask for r in rows if not r.label} == {""}


def test_masks_are_drawn_once_and_anew_where_a_source_changed(forensics, monkeypatch, capsys):
    "A second call does nothing; an exchanged source and a lost mask are noticed; --masks none leaves them out, and later they can be had without a cut."
    assert call(monkeypatch, capsys, forensics, "out", "--masks", "none")[0] == 0
    assert "mask" not in Path("out/manifest.csv").read_text() and not Path("out/masks").exists()
    crops = {p: p.stat().st_mtime_ns for p in Path("out/faces").rglob("*.jpg")}
    assert call(monkeypatch, capsys, forensics, "out")[0] == 0
    masks = {p: p.stat().st_mtime_ns for p in Path("out/masks").rglob("*.png")}
    assert len(masks) == 8 and crops == {p: p.stat().st_mtime_ns for p in crops}
    lines = Path("out/done.jsonl").read_text()
    manifest = Path("out/manifest.csv").read_text()
    assert call(monkeypatch, capsys, forensics, "out")[0] == 0
    assert Path("out/done.jsonl").read_text() == lines and masks == {p: p.stat().st_mtime_ns for p in masks}
    min(masks).unlink()
    assert call(monkeypatch, capsys, forensics, "out")[0] == 0 and min(masks).exists() and Path("out/manifest.csv").read_text() == manifest
    play(forensics / REAL("youtube", "000"), scene(2))                                  # now it is the source of the other
    assert call(monkeypatch, capsys, forensics, "out")[0] == 0
    assert {r.method for r in read_manifest(Path("out/manifest.csv")) if r.mask} == {"FaceSwap", "NeuralTextures"}


def test_celeb_df_with_two_processes(own, monkeypatch, capsys):
    "Two fakes of one source, one of them longer than it: the frames that it lacks have no mask; faces stay."
    a = scene(5)
    for name, picture, frames in (("Celeb-real/id0_0001", a, 10), ("Celeb-real/id1_0003", scene(6), 10), ("YouTube-real/00000", scene(7), 10), ("Celeb-synthesis/id0_id1_0001", forge(a), 10), ("Celeb-synthesis/id0_id2_0001", forge(a), 40)):
        play(own / "celeb" / f"{name}.mp4", picture, frames)
    (own / "celeb/List_of_testing_videos.txt").write_text("1 YouTube-real/00000.mp4\n")
    monkeypatch.setenv("PYTHONPATH", f"{own}:{Path(__file__).parents[2]}")
    monkeypatch.setattr(sys, "argv", ["infobottle-prepare", "celeb", "out", "--frames", "4", "--size", "128", "--detector", "finder:find", "--workers", "2"])
    prepare()
    rows = {v: [r for r in read_manifest(Path("out/manifest.csv")) if r.video.startswith(v)] for v in ("celeb-synthesis/id0_id1", "celeb-synthesis/id0_id2", "celeb-real")}
    assert all(overlap(r.mask) > .8 for r in rows["celeb-synthesis/id0_id1"]) and {r.mask for r in rows["celeb-real"]} == {""}
    some = [bool(r.mask) for r in rows["celeb-synthesis/id0_id2"]]
    assert some == [True, False, False, False] and "3  crops without a mask: its source lacks the frame" in capsys.readouterr()[0]


def test_the_forged_person_is_known(own, monkeypatch, capsys):
    "Of two people one differs from the source: he is fake, the other real; by one alone it is asked whether it is he."
    two = scene(8, people=2)
    play(own / "ff" / REAL("youtube", "000"), two)
    play(own / "ff" / FAKE("Deepfakes", "000_003"), forge(two))                         # the left one, the larger
    play(own / "ff" / FAKE("FaceSwap", "000_003"), forge(two, (35, 60, 105, 135)))      # the right one
    play(own / "ff" / FAKE("Face2Face", "000_003"), forge(forge(two), (35, 60, 105, 135)))
    status, out, _ = call(monkeypatch, capsys, "ff", "all", "--faces", "all", "--detector", "finder:pair")
    rows = read_manifest(Path("all/manifest.csv"))
    said = {r.video: (r.label, r.method, bool(r.mask)) for r in rows}
    assert status == 0 and said == {"youtube/000#1": (0, "", False), "youtube/000#2": (0, "", False), "Deepfakes/000_003#1": (1, "Deepfakes", True), "Deepfakes/000_003#2": (0, "", False),
                                    "FaceSwap/000_003#1": (0, "", False), "FaceSwap/000_003#2": (1, "FaceSwap", True)}
    assert f"not clear which of several people is forged: {own / 'ff' / FAKE('Face2Face', '000_003')}" in out and "8  crops not listed" in out
    status, out, _ = call(monkeypatch, capsys, "ff", "one", "--detector", "finder:pair")
    rows = read_manifest(Path("one/manifest.csv"))
    assert {(r.video, r.label, bool(r.mask)) for r in rows} == {("youtube/000", 0, False), ("Deepfakes/000_003", 1, True), ("FaceSwap/000_003", 1, True)} and "8  crops not listed" in out
    assert {m: [r.path.parent.name for r in rows if r.method == m] for m in ("Deepfakes", "FaceSwap")} == {"Deepfakes": ["1"] * 4, "FaceSwap": ["2"] * 4}      # the smaller of the two, who was forged
    assert call(monkeypatch, capsys, "ff", "one", "--detector", "finder:pair", "--masks", "none")[0] == 0
    assert {(r.video, r.path.parent.name) for r in read_manifest(Path("one/manifest.csv")) if r.label} == {(f"{m}/000_003", "1") for m in ("Deepfakes", "FaceSwap", "Face2Face")}


def test_scenes_and_verdicts():
    "People are compared with those who are there at the time; who is alone keeps the label, but not over a plain 0, and who cannot be compared."
    assert scenes({1: [0, 5], 2: [3, 9], 3: [12], 4: [20, 21], 5: [21]}) == [[1, 2], [3], [4, 5]]
    done = {"crops": ["f/1/00000.jpg", "f/1/00005.jpg", "f/2/00005.jpg", "f/3/00009.jpg"], "people": [1, 1, 2, 3], "others": []}
    assert verdicts(done | {"marked": [.2, .3, .01, 0.]}) == {1: 1, 2: 0, 3: None} and verdicts(done | {"marked": [.2, .3, .1, 0.]}) == {1: None, 2: None, 3: None}
    assert verdicts(done | {"marked": [.2, .3, None, None]}) == {1: None, 2: None, 3: 1} and verdicts(done | {"marked": [None] * 4}) == {1: 1, 2: 1, 3: 1}
    assert verdicts(done | {"marked": [.2, .3, .01, 0.], "others": [{"person": 4}]}) == {1: 1, 2: 0, 3: None}


def judged(*people, **more):
    "Of people with a first frame, a last one, and a marked share."
    crops = [(k, frame, share) for k, (first, last, share) in enumerate(people, 1) for frame in (first, last)]
    done = {"crops": [f"f/{k}/{frame:05}.jpg" for k, frame, _ in crops], "people": [k for k, *_ in crops], "others": []}
    return verdicts(done | {"marked": [share for *_, share in crops]}, **more)


def test_only_those_who_meet_are_compared():
    "A forged man who was counted anew, beside a woman who stays: two as forged as each other, who never meet, and the film was dropped."
    three = (0, 5, .2), (4, 20, 0.), (18, 30, .2)
    assert judged(*three) == {1: 1, 2: 0, 3: 1} and judged(*three, every=False) == {1: 1, 3: 1}
    assert judged((0, 5, .2), (4, 20, 0.), (18, 30, 0.)) == {1: 1, 2: 0, 3: 0}                      # as before
    assert judged((0, 5, .2), (4, 20, .15), (18, 30, .2)) == {1: None, 2: None, 3: None}
    assert judged((0, 5, .2), (4, 20, .15), (18, 30, 0.), (29, 40, .3)) == {1: None, 2: None, 3: 0, 4: 1}
    assert judged((0, 5, .2), (4, 20, 0.), (18, 30, None)) == {1: 1, 2: 0, 3: None}


def test_who_is_alone_is_compared_too():
    "Somebody unmarked was called fake, because nobody else was there; a faint film of one person stays what it is."
    assert judged((0, 5, .2), (6, 9, 0.)) == judged((0, 5, .2), (6, 9, 0.), every=False) == {1: 1, 2: None}
    assert judged((0, 5, .012), (6, 9, .01)) == judged((0, 5, 0.), (6, 9, 0.)) == {1: 1, 2: 1} and judged((0, 5, 0.)) == {1: 1}
    assert judged((0, 5, .2), (6, 9, None)) == {1: 1, 2: 1}


def test_a_fake_without_masks_keeps_its_rows(own):
    "An older log, a film without a source, masks left out: as before."
    from infobottle_dfd.commands import Prepare
    done = {"crops": ["1/00000.jpg", "2/00000.jpg"], "people": [1, 2], "others": []}
    every = Prepare(Path("x"), Path("out"), faces="all")
    assert [(r.label, r.mask, r.video) for r in rows_of(Face(Path("f.mp4"), 1, video="f"), done, every)] == [(1, "", "f#1"), (1, "", "f#2")]
    boxes = done | {"boxes": [[0, 0, 9, 9], [0, 0, 20, 20]]}
    assert [(r.path.name, r.video) for r in rows_of(Face(Path("f.mp4"), 1, video="f"), boxes, Prepare(Path("x"), Path("out")))] == [("00000.jpg", "f")]
    drawn = done | {"masks": ["m/1.png", "m/2.png"], "marked": [0., .3], "origin": ["difference", "s", 1, 2]}
    assert [r.label for r in rows_of(Face(Path("f.mp4"), 1, video="f"), drawn, every)] == [0, 1]
    assert [r.label for r in rows_of(Face(Path("f.mp4"), 1, video="f"), drawn, Prepare(Path("x"), Path("out"), faces="all", masks="none"))] == [1, 1]


def test_a_lost_mask_of_a_manifest(own, monkeypatch, capsys):
    "A manifest of films that names a mask which is not there: one sentence, and no folder."
    play(own / "real.mp4", scene(1))
    play(own / "fake.mp4", forge(scene(1)))
    (own / "m.csv").write_text("path,label,split,video,identity,method,mask\nreal.mp4,0,,r,,,\nfake.mp4,1,,f,,,gone.mp4\n")
    status, out, err = call(monkeypatch, capsys, "m.csv", "out")
    assert status == 2 and "gone.mp4: no such file, though" in err and len(err.splitlines()) == 1 and not Path("out").exists()
    (own / "m.csv").write_text("path,label,split,video,identity,method,source\nreal.mp4,0,,r,,,\nfake.mp4,1,,f,,,r\n")
    assert call(monkeypatch, capsys, "m.csv", "out")[0] == 0
    assert all(overlap(r.mask) > .8 for r in read_manifest(Path("out/manifest.csv")) if r.label)
    with pytest.raises(InputError, match="unknown masks 'yes'; choose auto or none"):
        from infobottle_dfd.commands import Prepare
        from infobottle_dfd.faces.cutting import check
        check(Prepare(Path("x"), Path("y"), masks="yes"))


def test_a_transparent_mask_of_its_own_marks_what_it_shows(own, monkeypatch, capsys):
    "A mask that came with a film, and is transparent where nothing is forged, was laid on white paper: all was forged. As a picture and as a film."
    white = np.zeros((120, 160, 4), np.uint8)
    white[HOLE[0]:HOLE[1], HOLE[2]:HOLE[3]] = 255
    Image.fromarray(white).save(own / "mask.png")
    Image.fromarray(forge(scene(1))).save(own / "fake1.png")
    play(own / "fake2.mp4", forge(scene(1)))
    with av.open(str(own / "mask.mov"), "w") as out:
        stream = out.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "rgba"
        for _ in range(10):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(white, format="rgba")))
        out.mux(stream.encode())
    Image.fromarray(scene(2)).save(own / "real.png")
    (own / "m.csv").write_text("path,label,split,video,identity,method,mask\nreal.png,0,,r,,,\nfake1.png,1,,f,,,mask.png\nfake2.mp4,1,,g,,,mask.mov\n")
    assert call(monkeypatch, capsys, "m.csv", "out")[0] == 0
    masks = [r.mask for r in read_manifest(Path("out/manifest.csv")) if r.label]
    assert len(masks) == 5 and all(overlap(m) > .8 for m in masks)
