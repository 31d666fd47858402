"""The commands as a user types them: what they print, what they leave behind, and what bad input gets."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from infobottle_dfd import commands
from infobottle_dfd.judging import evaluate as evaluation, predict as predicting

MAINS = {name: getattr(commands, name) for name in ("train", "evaluate", "predict", "prepare")}
pytestmark = pytest.mark.usefixtures("few_faces")
HEADER = "path,label,split,video,identity,method\n"


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    "Run a command in an empty folder: exit status, stdout, stderr."
    monkeypatch.chdir(tmp_path)

    def go(name, *args):
        monkeypatch.setattr(sys, "argv", [f"infobottle-{name}", *map(str, args)])
        try:
            MAINS[name]()
            status = 0
        except SystemExit as e:
            status = e.code
        return status, *capsys.readouterr()
    return go


@pytest.fixture
def bad(tmp_path, face_folder):
    "One of each mistake, by name."
    root = tmp_path / "bad"
    root.mkdir()
    Image.open(sorted((face_folder / "real").iterdir())[0]).save(root / "good.jpg")
    good = (root / "good.jpg").read_bytes()

    def folder(name, **files):
        for kind in ("real", "fake"):
            shutil.copytree(face_folder / kind, root / name / kind)
        for file, content in files.items():
            (root / name / "fake" / f"{file}.jpg").write_bytes(content)
        return root / name

    def text(name, content):
        (root / name).write_text(content)
        return root / name
    (root / "empty").mkdir()
    (root / "one class").mkdir()
    shutil.copytree(face_folder / "real", root / "one class" / "real")
    files = "".join(f"{p},{int(p.parent.name == 'fake')},,,,\n" for p in sorted(face_folder.rglob("*.png")))
    torch.save({"a.weight": torch.zeros(2)}, root / "other.pth")
    return {"missing": root / "nowhere", "empty": root / "empty", "one class": root / "one class", "truncated": folder("cut", broken=good[:len(good) // 2]),
            "text": folder("text", note=b"I am no picture"), "no column": text("a.csv", "path,label\nx,1\n"), "label 2": text("b.csv", HEADER + files + "x.png,2,,,,\n"),
            "weights": root / "other.pth", "existing": root / "empty"}


TRAIN = ("--size", "32", "--n", "2", "--d", "8", "--epochs", "1", "--batch", "8")
CASES = [("missing", "no such file or folder"), ("empty", "no pictures; give a folder with real/ and fake/"), ("one class", "no fake pictures"),
         ("truncated", "broken.jpg: not a readable picture"), ("text", "note.jpg: not a readable picture"),
         ("no column", "no column 'identity'; the first line must be path,label"), ("label 2", "label '2'; write 1 for fake and 0 for real")]


def one_sentence(status, out, err, word):
    assert status not in (0, None) and word in err, err
    assert len(err.strip().splitlines()) == 1 and "Traceback" not in err and out == ""


@pytest.mark.parametrize("what, word", CASES, ids=[c[0] for c in CASES])
def test_bad_data(call, bad, run_folder, what, word):
    for command in (("train", "--data", bad[what], *TRAIN), ("train", "--data", bad[what], "--out", "named", *TRAIN), ("evaluate", "--data", bad[what], "--run", run_folder, "--json", "r.json")):
        one_sentence(*call(*command), word)
    assert not Path("runs").exists() and not Path("named").exists() and not Path("r.json").exists()


@pytest.mark.parametrize("options, word", [
    (("--backbone", "resnet18"), "unknown backbone 'resnet18'; choose one of tiny, resnet34"),
    (("--mode", "best"), "unknown mode 'best'; choose one of released, paper"),
    (("--weights", "OTHER"), "weights of another model than tiny"),
    (("--weights", "none.pth"), "no such weights file"),
    (("--epochs", "0"), "it must be at least 1"),
    (("--lr", "0"), "lr is 0.0; it must be above 0"),
    (("--weight-decay", "-1"), "weight_decay is -1.0; it must be at least 0"),
    (("--alpha", "nan", "--weighting", "fixed"), "alpha is nan; it must be at least 0"),
    (("--beta", "inf"), "beta is inf; it must be at least 0"),
    (("--shortcut", "nose"), "unknown clue 'nose'; choose one of eyes"),
    (("--out", "EXISTING"), "exists already; add --resume"),
    (("--data", "x", "--shortcut", "eyes"), "are for drawn ClueFaces"),
    (("--alpha", "2"), "set weighting to fixed"),
    (("--resume",), "--resume needs --out"),
    (("--resume", "--out", "nothing"), "no run to resume")], ids=str)
def test_bad_training_options(call, bad, options, word):
    options = [{"OTHER": bad["weights"], "EXISTING": bad["existing"]}.get(o, o) for o in options]
    one_sentence(*call("train", *options), word)
    assert not Path("runs").exists()


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


def test_train_evaluate_predict(call, face_folder):
    "The three commands one after the other, from a folder of pictures, without naming the run."
    status, out, _ = call("train", "--data", face_folder, *TRAIN)
    assert status == 0 and "run folder     runs/some faces-1" in out and "test AUC" in out
    status, out, _ = call("evaluate", "--data", face_folder, "--split", "all", "--json", "r.json")
    assert status == 0 and all(word in out for word in ("AUC", "accuracy", "log-loss", "EER", "AP", "60 faces"))
    report = json.loads(Path("r.json").read_text())
    assert len(report["scores"]) == 60 and report["auc_95"][0] <= report["auc"] <= report["auc_95"][1] and report["versions"]["torch"]
    images = sorted(face_folder.rglob("*.png"))[:3]
    status, out, _ = call("predict", *images, "--crops", "--picture", "why.png")
    assert status == 0 and out.splitlines()[0].startswith("run runs/some faces-1") and len(out.splitlines()) == 4
    assert [float(line.split()[0]) for line in out.splitlines()[1:]] == pytest.approx([report["scores"][k] for k in scores_of(images, face_folder)], abs=2e-4)
    assert Path("why.png").stat().st_size > 10_000 and not list(Path().glob(".*.png"))


def scores_of(images, folder):
    "Positions of the images in the order in which a folder is read: real, then fake, each by name."
    order = [*sorted((folder / "real").iterdir()), *sorted((folder / "fake").iterdir())]
    return [order.index(i) for i in images]


def test_data_without_a_test_split(call, face_folder, tmp_path):
    "Trains, chooses on a val cut from train, and says nothing of a test that is not there."
    lines = "".join(f"{p},{int(p.parent.name == 'fake')},train,,,\n" for p in sorted(face_folder.rglob("*.png")))
    (tmp_path / "train only.csv").write_text(HEADER + lines)
    status, out, _ = call("train", "--data", "train only.csv", *TRAIN)
    assert status == 0 and "test AUC" not in out and "auc" not in json.loads(Path("runs/train only-1/test.json").read_text())
    one_sentence(*call("evaluate", "--data", "train only.csv"), "split 'test' does not hold both")
    one_sentence(*call("evaluate", "--data", face_folder, "--json", "no/r.json"), "its folder does not exist")
    one_sentence(*call("evaluate", "--data", face_folder, "--json", tmp_path), "is a folder; name a file")


def test_drawn_faces_are_no_photographs(call, face_folder):
    assert call("train", "--images", 64, *TRAIN)[0] == 0
    for command in (("evaluate", "--data", face_folder), ("predict", next((face_folder / "real").iterdir()), "--crops")):
        assert "never a photograph" in call(*command)[1]


def test_no_gpu(call, run_folder, face_folder):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    for command in (("train",), ("evaluate", "--data", face_folder, "--run", run_folder), ("predict", next((face_folder / "real").iterdir()), "--run", run_folder)):
        one_sentence(*call(*command, "--device", "cuda"), "PyTorch sees no GPU here; use --device cpu")


def test_odd_file_names(call, run_folder, face_folder, tmp_path):
    "Dollars, braces and spaces in a name are no formulas."
    odd = tmp_path / "a $x_$ {b}.png"
    odd.write_bytes(next((face_folder / "real").iterdir()).read_bytes())
    assert call("predict", odd, "--crops", "--run", run_folder, "--picture", "why.png")[0] == 0 and Path("why.png").exists()


def test_free_names_resume_and_the_same_table_twice(call):
    tables = [call("train", "--images", 64, *TRAIN)[1] for _ in range(2)]
    assert all(f"runs/cluefaces-{k}" in t for k, t in zip((1, 2), tables))
    but_seconds = lambda t: [line for line in t.splitlines() if not line.startswith(("seconds", "run folder"))]
    assert but_seconds(tables[0]) == but_seconds(tables[1]) and len(but_seconds(tables[0])) == 10
    first = Path("runs/cluefaces-1/test.json").read_text()
    status, out, err = call("train", "--out", "runs/cluefaces-1", "--resume")
    assert status == 0 and json.loads(first)["auc"] == json.loads(Path("runs/cluefaces-1/test.json").read_text())["auc"]
    one_sentence(*call("train", "--out", "runs/cluefaces-1", "--resume", "--epochs", "5"), "--epochs 5 differs from the run's own 1")


def test_help():
    "As installed: the help of every command names its options and explains them."
    folder = str(Path(sys.executable).parent)
    running = [subprocess.Popen([shutil.which(f"infobottle-{name}", path=folder), "--help"], stdout=subprocess.PIPE, text=True) for name in MAINS]
    helps = [p.communicate()[0] for p in running]
    assert [p.returncode for p in running] == [0, 0, 0, 0]
    for text, words in zip(helps, (("--resume", "--backbone", "Local information blocks"), ("--split", "--json"), ("--picture", "FILE..."), ("--margin", "--detector"))):
        assert all(w in text for w in words), text


def test_runs_by_sets(call, face_folder, run_folder, tmp_path):
    "Two runs on two sets: a table with its protocol, JSON, a figure; the set of training is cut as training cut it."
    shutil.copytree(run_folder, tmp_path / "other run")
    lines = "".join(f"{p},{int(p.parent.name == 'fake')},test,{p.parent.name}{i // 3},,{'swap' if i % 2 else 'puppet'}\n" for i, p in enumerate(sorted(face_folder.rglob("*.png"))))
    (tmp_path / "videos.csv").write_text(HEADER + lines)
    status, out, _ = call("evaluate", "--data", face_folder, "videos.csv", "--run", run_folder, "other run", "--json", "r.json", "--picture", "r.png")
    assert status == 0 and out.count("videos.csv") >= 6 and "60 videos" not in out and "protocol: split test" in out and Path("r.png").stat().st_size > 5000
    found = json.loads(Path("r.json").read_text())
    assert [c["in_dataset"] for c in found["cells"]] == [True, False] * 2 and found["cells"][0]["images"] < 15 and found["cells"][1]["video"]["videos"] < 60
    assert len(found["cross_auc"]) == 2 and all(len(pairs) == 2 for pairs in found["cross_auc"].values())
    assert found["cells"][0]["scores"] == found["cells"][2]["scores"]
    one_sentence(*call("evaluate", "--data", face_folder, "--run", run_folder, "--split", "dev"), "choose train, val, test or all")


def test_only_the_ranking_counts():
    "Scores near 1e-8 are no ties: a detector and the same one with all logits lowered are equally good, on one set and across two."
    from infobottle_dfd.faces.manifest import Face
    from infobottle_dfd.judging.tables import cell, compare, cross
    rows = [Face(Path(str(i)), i % 2, video=f"v{i}") for i in range(200)]
    logits = torch.randn(200, generator=torch.Generator().manual_seed(0)) + torch.arange(200) % 2
    saved = {"trained_on": "A", "threshold": .5, "config": {}}
    cells = [{"run": str(down), "data": data, **cell(rows, (logits - down).sigmoid(), saved)} for down in (7, 17) for data in "AB"]
    assert all(len(set(c["scores"])) == len(logits.unique()) for c in cells)
    assert all("+0.0000 (+0.0000 to +0.0000), not significant" in line for line in compare(cells)) and len(compare(cells)) == 2
    assert {auc for pairs in cross(cells).values() for auc in pairs.values()} == {cells[0]["auc"]}


@pytest.mark.parametrize("video, identity", [("{label}", ""), ("{k}", "me"), ("{k}", "{few}")], ids=["two videos", "one person", "nine people"])
def test_too_few_groups_give_no_interval(call, face_folder, run_folder, tmp_path, video, identity):
    "What holds too few independent groups gets null, no verdict and a picture without a line."
    lines = ""
    for k, p in enumerate(sorted(face_folder.rglob("*.png"))):
        names = {"label": int(p.parent.name == "fake"), "k": k // 2 if k < 30 else 30 + k // 2, "few": k % 9}
        lines += f"{p},{names['label']},,{video.format(**names)},{identity.format(**names)},\n"
    (tmp_path / "few.csv").write_text(HEADER + lines)
    shutil.copytree(run_folder, tmp_path / "other")
    saved = torch.load("other/best.pt", weights_only=True)
    noisy = {k: v + .3 * torch.randn_like(v) if k.startswith("classifier") else v for k, v in saved["model"].items()}
    torch.save(saved | {"model": noisy}, "other/best.pt")
    status, out, err = call("evaluate", "--data", "few.csv", "--run", run_folder, "other", "--json", "r.json", "--picture", "r.png")
    assert status == 0 and err == "" and "too few groups for a verdict" in out and "significant" not in out and "too few: below ten" in out
    assert all(c["auc_95"] is None and c["video"]["auc_95"] is None for c in json.loads(Path("r.json").read_text())["cells"])
    assert Path("r.png").stat().st_size > 5000
    status, out, _ = call("evaluate", "--data", "few.csv", "--run", run_folder)
    assert status == 0 and "for an interval" in out and out.count("(no interval)") == 2 and "95 %" not in out


def test_video_scores_are_means_over_frames():
    from infobottle_dfd.faces.manifest import Face
    from infobottle_dfd.judging.intervals import by_video
    rows = [Face(Path(str(i)), y, video=v, method=m) for i, (v, y, m) in enumerate([("a", 1, "x"), ("b", 0, ""), ("a", 1, "x"), ("a", 1, "z"), ("a", 0, "")])]
    videos, p = by_video(rows, torch.tensor([.2, .3, .6, .9, .1]))
    assert sorted(zip([(r.video, r.label, r.method) for r in videos], p.tolist())) == [(("a", 0, ""), pytest.approx(.1)), (("a", 1, "x"), pytest.approx(.4)), (("a", 1, "z"), pytest.approx(.9)), (("b", 0, ""), pytest.approx(.3))]


def test_predict_videos_and_photographs(call, run_folder, face_folder, monkeypatch, tmp_path):
    "Faces are found in pictures and clips; every frame is in the JSON; a folder may hold both."
    from test_faces import film
    from infobottle_dfd.faces.clues import ClueFaces
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
    from test_faces import film
    from infobottle_dfd.faces.clues import ClueFaces
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


def test_data_that_changed_after_training(call, face_folder, tmp_path):
    "A set without splits is cut again as training cut it, but only if it is still the same set."
    shutil.copytree(face_folder, tmp_path / "mine")
    assert call("train", "--data", "mine", "--out", "run", *TRAIN)[0] == 0
    assert call("evaluate", "--data", "mine", "--run", "run")[0] == 0
    shutil.copy(next((tmp_path / "mine/real").iterdir()), tmp_path / "mine/real/new.png")
    one_sentence(*call("evaluate", "--data", "mine", "--run", "run"), "has changed since run was trained on it")
    assert call("evaluate", "--data", "mine", "--run", "run", "--split", "all")[0] == 0


def test_a_copy_of_the_training_set(call, face_folder, run_folder, tmp_path):
    "At another place it is known by its names and labels, and cut as in training; with one face less it is another set."
    shutil.copytree(face_folder, tmp_path / "copied")
    status, out, _ = call("evaluate", "--data", "copied", face_folder, "--run", run_folder, "--json", "r.json")
    copied, own = json.loads(Path("r.json").read_text())["cells"]
    assert status == 0 and "copy   frames" in out and "in     frames" in out and "copy: has the names" in out
    assert copied["scores"] == own["scores"] and len(own["scores"]) < 15 and copied["origin"] == "copy" and copied["in_dataset"]
    assert "a copy, cut as in training" in call("evaluate", "--data", "copied", "--run", run_folder)[1]
    next((tmp_path / "copied/fake").iterdir()).unlink()
    status, out, _ = call("evaluate", "--data", "copied", "--run", run_folder)
    assert status == 0 and "59 faces" in out and "copy" not in out.replace("copied", "")


def test_scores_that_are_no_numbers(call, run_folder, face_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "nan")
    saved = torch.load(tmp_path / "nan/best.pt", weights_only=True)
    saved["model"]["classifier.1.bias"][:] = float("nan")
    torch.save(saved, tmp_path / "nan/best.pt")
    picture = next((face_folder / "real").iterdir())
    for command in (("predict", picture, "--crops"), ("evaluate", "--data", face_folder)):
        one_sentence(*call(*command, "--run", "nan"), "its scores are no numbers")


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


def test_json_into_a_pipe(call, run_folder, face_folder):
    "What is no file is written into, and stays what it is; a link still leads where it led."
    os.mkfifo("pipe")
    Path("link.json").symlink_to("report.json")
    reader = subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE)
    for target in ("pipe", "link.json"):
        assert call("evaluate", "--data", face_folder, "--run", run_folder, "--split", "all", "--json", target)[0] == 0
    assert Path("pipe").is_fifo() and Path("link.json").is_symlink()
    assert json.loads(reader.communicate(timeout=20)[0])["scores"] == json.loads(Path("report.json").read_text())["scores"]


@pytest.mark.parametrize("faces", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("weights", [torch.float32, torch.float64])
def test_heat_of_faces_of_any_precision(faces, weights):
    from infobottle_dfd.aggregation import ForgeryDetector
    from infobottle_dfd.explaining import block_maps
    torch.manual_seed(0)
    detector, x = ForgeryDetector(n=2, d=8).eval().to(weights), torch.rand(2, 3, 32, 32).to(faces)
    for a, b in zip(block_maps(detector, x), block_maps(detector, x.to(weights))):
        assert a.equal(b)
