"""Runs: the same seed gives the same run, the best epoch is chosen on val, every setting trains, one folder for many processes."""
import json
import random
import shutil
import time

import numpy as np
import pytest
import torch

from helpers import TRAIN, draw_few, same, train
from infobottle_dfd import training
from infobottle_dfd.aggregation import ForgeryDetector
from infobottle_dfd.audit import audit
from infobottle_dfd.faces.clues import ClueFaces
from infobottle_dfd.faces.manifest import read_faces
from infobottle_dfd.faces.pictures import FaceFiles
from infobottle_dfd.faces.splits import with_splits
from infobottle_dfd.judging.metrics import score
from infobottle_dfd.runs.checkpoint import load_run
from infobottle_dfd.runs.config import Config
from infobottle_dfd.runs.data import make_data
from infobottle_dfd.runs.progress import table
from infobottle_dfd.training import fit, val_audit

pytestmark = pytest.mark.usefixtures("few_faces")
SMALL = Config(images=128, size=32, n=3, d=32, epochs=3, batch=16)


def weights(run):
    return load_run(run)[0].state_dict()


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    "The folder and the report of a run on drawn faces."
    out = tmp_path_factory.mktemp("runs") / "small"
    with pytest.MonkeyPatch.context() as m:
        draw_few(m, 60)
        return out, fit(SMALL, out)


def test_same_seed_same_run(tmp_path, small_run, monkeypatch):
    draw_few(monkeypatch, 60)
    (out, a), b = small_run, fit(SMALL, tmp_path / "b")
    different = {"seconds", "run"}
    assert {k: v for k, v in a.items() if k not in different} == {k: v for k, v in b.items() if k not in different}
    assert same(weights(out), weights(tmp_path / "b"))
    assert sorted(p.name for p in out.iterdir()) == ["best.pt", "config.json", "curves.png", "last.pt", "metrics.jsonl", "test.json"]


def test_best_epoch_is_chosen_on_val(small_run):
    out, report = small_run
    history = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    aucs = [h["val"]["auc"] for h in history]
    assert len(aucs) == 3 and report["epoch"] == 1 + aucs.index(max(aucs)) and report["val_auc"] == max(aucs)
    saved = torch.load(out / "best.pt", weights_only=True)
    assert saved["threshold"] == history[report["epoch"] - 1]["val"]["threshold"] and saved["trained_on"] == "ClueFaces"


@pytest.mark.parametrize("options", [dict(mode="paper"), dict(mode="calm"), dict(mode="calm", n=1, bf16=True), dict(mode="paper", weighting="fixed", alpha=.1), dict(n=1), dict(lil=False, gil=False),
                                     dict(gil=False, shortcut="texture"), dict(bf16=True, leave_out="eyes")], ids=str)
def test_every_setting_trains(tmp_path, options):
    report = fit(Config(**{**dict(images=64, size=32, n=2, d=8, epochs=1, batch=16), **options}), tmp_path / "a")
    assert 0 <= report["auc"] <= 1 and report["log_loss"] < 5


def test_loss_that_is_no_number(tmp_path):
    with pytest.raises(training.InputError, match="lower the learning rate"):
        fit(Config(images=64, size=32, n=2, d=8, epochs=8, batch=16, lr=1e30), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_finished_run_is_not_tested_twice(small_run, monkeypatch):
    out, report = small_run
    monkeypatch.setattr(training, "make_data", None)
    assert fit(SMALL, out) == report
    with pytest.raises(training.InputError, match="other settings"):
        fit(Config(epochs=1), out)


def test_a_linked_manifest_stays_where_it_is(tmp_path, face_folder):
    "As stores of large files make them: the list is a link, its pictures lie beside the link."
    shutil.copytree(face_folder, tmp_path / "set/faces")
    lines = "".join(f"{p.relative_to(tmp_path / 'set')},{int(p.parent.name == 'fake')},,,,\n" for p in sorted((tmp_path / "set").rglob("*.png")))
    (tmp_path / "3f2a").write_text("path,label,split,video,identity,method\n" + lines)
    (tmp_path / "set/list.csv").symlink_to(tmp_path / "3f2a")
    report = fit(Config(data=str(tmp_path / "set/list.csv"), size=32, n=2, d=8, epochs=1, batch=8), tmp_path / "run")
    assert report["trained_on"] == "list"


@pytest.mark.slow
def test_torchrun(tmp_path, face_folder):
    "One folder, one report, all faces counted once."
    running = train("--data", face_folder, *TRAIN, "--epochs", 2, "--mixup", .5, "--balance", "--clip", 5, "--patience", 1, processes=2, cwd=tmp_path)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err[-2000:]
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["some faces-1"] and out.count("test AUC") == 1
    report = json.loads((tmp_path / "runs/some faces-1/test.json").read_text())
    assert report["images"] == len(with_splits(read_faces(face_folder), face_folder)["test"])


def test_a_run_ends_with_the_audit_of_its_best_epoch(small_run, monkeypatch):
    "By fresh heads on val: all of it in test.json, a line a block at the end; and it can be had again from best.pt."
    out, report = small_run
    draw_few(monkeypatch, 60)
    val = make_data(SMALL)["val"]
    again = audit(score(load_run(out)[0], val, z=True).z, val.y, shuffles=5, pairs=False)
    assert report["audit"] == vars(again) == json.loads((out / "test.json").read_text())["audit"] and again.faces == 60
    assert [s.rsplit(" ", 1)[1] for s in table(report).splitlines() if "nat: " in s] == again.verdict


def test_the_audit_of_val_leaves_the_dice_alone(face_folder):
    "It comes out the same twice, takes whole videos, and says where there are too few faces."
    state = lambda: (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    cfg, rows = Config(n=2, d=8, size=32), [r._replace(video=f"v{i // 3}") for i, r in enumerate(read_faces(face_folder))]
    torch.manual_seed(0)
    detector, before = ForgeryDetector(2, 8), state()
    found = val_audit(detector, FaceFiles(rows, 32), cfg)
    assert state() == before and found == val_audit(detector, FaceFiles(rows, 32), cfg) and (found["faces"], found["groups"]) == (60, 20)
    found = val_audit(detector, FaceFiles(rows[:9] + rows[-9:], 32), cfg)
    assert "3 groups, fewer than 5 folds" in found["note"] and "not measured: one of the labels has 3" in table({"trained_on": "", "config": {"epochs": 1}, "epoch": 1, "seconds": 1, "run": "", "audit": found})
    with torch.no_grad():
        detector.blocks.weight[1] = 0                                               # says the same of every face
    assert "block 2" in val_audit(detector, FaceFiles(rows, 32), cfg)["note"]


@pytest.mark.slow
def test_the_audit_of_val_is_quick(figure):
    "On as many faces and blocks as in the default run."
    detector, val = ForgeryDetector(), ClueFaces(1000, 64, seed=2)
    start = time.process_time()
    assert val_audit(detector, val, Config())["faces"] == 1000
    figure(f"audit of val at the end of a default run: {time.process_time() - start:.1f} s of processor time (aim 5)")
    assert time.process_time() - start < 10


def test_names_of_before_are_importable():
    from infobottle_dfd import commands
    from infobottle_dfd.training import PRESETS, Train, main, settings
    assert (PRESETS, Train, settings, main) == (commands.PRESETS, commands.Train, commands.settings, commands.train)
    with pytest.raises(AttributeError):
        training.nothing
