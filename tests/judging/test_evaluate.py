"""infobottle-evaluate: which faces are judged, and where they come from."""
import json
import shutil
from pathlib import Path

import pytest
import torch

from helpers import HEADER, TRAIN, one_sentence

pytestmark = pytest.mark.usefixtures("few_faces")


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
