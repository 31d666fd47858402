"""The commands as a user types them, one after the other, and what bad data gets from each."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import TRAIN, one_sentence

pytestmark = pytest.mark.usefixtures("few_faces")
CASES = [("missing", "no such file or folder"), ("empty", "no pictures; give a folder with real/ and fake/"), ("one class", "no fake pictures"),
         ("truncated", "broken.jpg: not a readable picture"), ("text", "note.jpg: not a readable picture"),
         ("no column", "no column 'identity'; the first line must be path,label"), ("label 2", "label '2'; write 1 for fake and 0 for real")]


@pytest.mark.parametrize("what, word", CASES, ids=[c[0] for c in CASES])
def test_bad_data(call, bad, run_folder, what, word):
    for command in (("train", "--data", bad[what], *TRAIN), ("train", "--data", bad[what], "--out", "named", *TRAIN), ("evaluate", "--data", bad[what], "--run", run_folder, "--json", "r.json")):
        one_sentence(*call(*command), word)
    assert not Path("runs").exists() and not Path("named").exists() and not Path("r.json").exists()


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
    drawn = list(Path().glob("why-*.png"))                                  # a picture for each file
    assert len(drawn) == 3 and min(p.stat().st_size for p in drawn) > 10_000 and not list(Path().glob(".*.png"))


def scores_of(images, folder):
    "Positions of the images in the order in which a folder is read: real, then fake, each by name."
    order = [*sorted((folder / "real").iterdir()), *sorted((folder / "fake").iterdir())]
    return [order.index(i) for i in images]


def test_free_names_resume_and_the_same_table_twice(call):
    tables = [call("train", "--images", 64, *TRAIN)[1] for _ in range(2)]
    assert all(f"runs/cluefaces-{k}" in t for k, t in zip((1, 2), tables))
    but_seconds = lambda t: [line for line in t.splitlines() if not line.startswith(("seconds", "run folder"))]
    assert but_seconds(tables[0]) == but_seconds(tables[1]) and len(but_seconds(tables[0])) == 11
    first = Path("runs/cluefaces-1/test.json").read_text()
    status, out, err = call("train", "--out", "runs/cluefaces-1", "--resume")
    assert status == 0 and json.loads(first)["auc"] == json.loads(Path("runs/cluefaces-1/test.json").read_text())["auc"]
    one_sentence(*call("train", "--out", "runs/cluefaces-1", "--resume", "--epochs", "5"), "--epochs 5 differs from the run's own 1")


def test_help():
    "As installed: the help of every command names its options and explains them."
    folder = str(Path(sys.executable).parent)
    running = [subprocess.Popen([shutil.which(f"infobottle-{name}", path=folder), "--help"], stdout=subprocess.PIPE, text=True) for name in ("train", "evaluate", "predict", "prepare")]
    helps = [p.communicate()[0] for p in running]
    assert [p.returncode for p in running] == [0, 0, 0, 0]
    for text, words in zip(helps, (("--resume", "--backbone", "Local information blocks"), ("--split", "--json"), ("--picture", "FILE..."), ("--margin", "--detector"))):
        assert all(w in text for w in words), text


@pytest.mark.parametrize("env", [{"WORLD_SIZE": "2"}, {"WORLD_SIZE": "two"}, {"WORLD_SIZE": "", "RANK": "1"}], ids=str)
def test_half_of_torchrun(call, monkeypatch, few_faces, env):
    for k, v in env.items():
        monkeypatch.setenv(k, v)
    one_sentence(*call("train", "--images", 64, *TRAIN), "start with torchrun, or unset WORLD_SIZE")


def test_ranks(call, monkeypatch, few_faces):
    "Torch waited half an hour for one that is none; one of something else is passed over: a run alone speaks."
    for rank in ("2", "7", "-1", "x"):
        for k, v in {"WORLD_SIZE": "2", "RANK": rank, "MASTER_ADDR": "localhost", "MASTER_PORT": "29577"}.items():
            monkeypatch.setenv(k, v)
        one_sentence(*call("train", "--images", 64, *TRAIN), f"RANK is '{rank}', none of the 2 processes")
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.setenv("RANK", "1")
    assert "run folder" in call("train", "--images", 64, *TRAIN)[1]


def test_names_that_are_not_utf_8_are_printed(call, face_folder, few_faces):
    status, out, _ = call("train", "--images", 64, *TRAIN, "--out", os.fsdecode(b"d\xe9"))
    assert status == 0 and "d?" in out
    shutil.copytree(face_folder, os.fsdecode(b"\xff"))
    assert call("evaluate", "--data", os.fsdecode(b"\xff"), "--run", os.fsdecode(b"d\xe9"), "--picture", "o.png", "--json", "o.json")[0] == 0


def test_a_finished_run_is_told_wherever(call, run_folder, monkeypatch):
    "Its table was a KeyError where something else had set WORLD_SIZE."
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "01")
    assert "test AUC" in call("train", "--out", run_folder, "--resume")[1]


@pytest.mark.parametrize("name", ["prepare", "train", "evaluate", "predict"])
def test_ctrl_c_while_options_are_read(call, monkeypatch, name):
    from infobottle_dfd import commands
    def stopped(*a, **k):
        raise KeyboardInterrupt
    monkeypatch.setattr(commands.tyro, "cli", stopped)
    try:
        one_sentence(*call(name), f"infobottle-{name}: stopped")
    except KeyboardInterrupt:
        pytest.fail("a traceback")
