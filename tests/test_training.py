"""Runs: the same seed gives the same run, a killed one goes on, the best epoch is chosen on val."""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from infobottle_dfd import training
from infobottle_dfd.metrics import metrics
from infobottle_dfd.runs import Config, load_run
from infobottle_dfd.training import fit

SMALL = Config(images=256, size=32, n=3, d=32, epochs=3, batch=16)


pytestmark = pytest.mark.usefixtures("few_faces")


def weights(run):
    return load_run(run)[0].state_dict()


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_same_seed_same_run(tmp_path):
    a, b = fit(SMALL, tmp_path / "a"), fit(SMALL, tmp_path / "b")
    different = {"seconds", "run"}
    assert {k: v for k, v in a.items() if k not in different} == {k: v for k, v in b.items() if k not in different}
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["best.pt", "config.json", "curves.png", "last.pt", "metrics.jsonl", "test.json"]


def test_best_epoch_is_chosen_on_val(tmp_path):
    report = fit(SMALL, tmp_path / "a")
    history = [json.loads(line) for line in (tmp_path / "a/metrics.jsonl").read_text().splitlines()]
    aucs = [h["val"]["auc"] for h in history]
    assert len(aucs) == 3 and report["epoch"] == 1 + aucs.index(max(aucs)) and report["val_auc"] == max(aucs)
    saved = torch.load(tmp_path / "a/best.pt", weights_only=True)
    assert saved["threshold"] == history[report["epoch"] - 1]["val"]["threshold"] and saved["trained_on"] == "ClueFaces"


CHILD = "import sys; from infobottle_dfd.training import Config, fit; fit(Config(data=sys.argv[1], size=32, n=2, d=8, epochs=40, batch=8), sys.argv[2])"


def test_sigkill_and_resume(tmp_path, face_folder):
    "A process killed twice at no particular moment and started again ends bit for bit where one left alone ends."
    def child(out):
        return subprocess.Popen([sys.executable, "-c", CHILD, str(face_folder), str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    undisturbed = child(whole)
    lines = lambda: len((broken / "metrics.jsonl").read_text().splitlines()) if (broken / "metrics.jsonl").exists() else 0
    pause = random.random()                             # of a second, after the third epoch
    print("kills after epoch 3 +", pause, "s and after epoch 25")
    for epochs, more in ((3, pause), (25, 0)):
        process = child(broken)
        while lines() < epochs and process.poll() is None:
            time.sleep(.003)
        time.sleep(more)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not list(broken.glob(".*.json")) and json.loads((broken / "config.json").read_text())["epochs"] == 40
    assert child(broken).wait() == 0 and undisturbed.wait() == 0
    assert same(weights(whole), weights(broken))
    assert same(*[torch.load(p / "last.pt", weights_only=True)["model"] for p in (whole, broken)])


@pytest.mark.parametrize("options", [dict(mode="paper"), dict(mode="calm"), dict(mode="calm", n=1, bf16=True), dict(mode="paper", weighting="fixed", alpha=.1), dict(n=1), dict(lil=False, gil=False),
                                     dict(gil=False), dict(bf16=True), dict(leave_out="eyes"), dict(shortcut="texture")], ids=str)
def test_every_setting_trains(tmp_path, options):
    report = fit(Config(**{**dict(images=64, size=32, n=2, d=8, epochs=1, batch=16), **options}), tmp_path / "a")
    assert 0 <= report["auc"] <= 1 and report["log_loss"] < 5


def test_heads_that_measure_do_not_push(tmp_path):
    "The single-block heads are fitted, and no gradient of theirs reaches a block."
    learner = training.Learner(Config(n=2, d=8, size=32), torch.device("cpu"))
    out = learner.detector(torch.rand(4, 3, 32, 32))
    out.logits_alone.square().sum().backward()
    assert all(p.grad is None for p in learner.detector.blocks.parameters()) and learner.detector.heads.alone.grad is not None


def test_overfits_32_faces(tmp_path):
    faces = training.ClueFaces(32, 48, seed=1)
    cfg = Config(n=2, d=16, size=48)
    learner = training.Learner(cfg, torch.device("cpu"))
    x, y = faces[list(range(32))]
    for step in range(40):
        training.reseed(0, step)
        total, terms = learner(x, y)
        learner.step(total, cfg.lr)
    assert terms["ce"] < .5


def test_loss_that_is_no_number(tmp_path):
    with pytest.raises(training.InputError, match="lower the learning rate"):
        fit(Config(images=64, size=32, n=2, d=8, epochs=8, batch=16, lr=1e30), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_finished_run_is_not_tested_twice(tmp_path, monkeypatch):
    report = fit(SMALL, tmp_path / "a")
    monkeypatch.setattr(training, "make_data", None)
    assert fit(SMALL, tmp_path / "a") == report
    with pytest.raises(training.InputError, match="other settings"):
        fit(Config(epochs=1), tmp_path / "a")


def test_metrics_by_counting():
    g = torch.Generator().manual_seed(0)
    y, p = torch.randint(0, 2, (60,), generator=g), torch.rand(60, generator=g)
    pairs = [(a > b) + .5 * (a == b) for a in p[y == 1].tolist() for b in p[y == 0].tolist()]
    m = metrics(y, p, .4)
    assert m["auc"] == pytest.approx(sum(pairs) / len(pairs)) and m["accuracy"] == pytest.approx(float(((p >= .4) == y.bool()).float().mean()))
    assert m["log_loss"] == pytest.approx(float(torch.nn.functional.binary_cross_entropy(p, y.float())), rel=1e-5)


def test_a_full_disk_leaves_the_last_good_state(tmp_path, face_folder):
    "Files may not grow beyond 300 kB: the first state does not fit, and nothing is half-written."
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); from infobottle_dfd import training; training.main()"
    done = subprocess.run([sys.executable, "-c", code, "--data", str(face_folder), "--size", "32", "--n", "2", "--d", "8", "--epochs", "1", "--batch", "8", "--out", str(tmp_path / "run")], capture_output=True, text=True)
    assert done.returncode == 2 and "could not be written" in done.stderr and "Traceback" not in done.stderr
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["config.json"]


def test_a_loading_process_that_dies(tmp_path, face_folder, monkeypatch):
    load = training.FaceFiles.__getitem__
    def die(self, i):
        if torch.utils.data.get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return load(self, i)
    monkeypatch.setattr(training.FaceFiles, "__getitem__", die)
    with pytest.raises(training.InputError, match="a loading process died"):
        fit(Config(data=str(face_folder), size=32, n=2, d=8, epochs=1, batch=8, workers=1), tmp_path / "a")


def test_a_picture_that_breaks_during_the_run(tmp_path, face_folder, monkeypatch, capsys):
    "Found by a loading process; still one sentence."
    shutil.copytree(face_folder, tmp_path / "faces")
    monkeypatch.setattr(training, "check_pictures", lambda rows: rows[0].path.write_bytes(b"no picture"))
    monkeypatch.setattr(sys, "argv", ["infobottle-train", *map(str, ("--data", tmp_path / "faces", "--size", 32, "--n", 2, "--d", 8, "--epochs", 1, "--batch", 8, "--workers", 1, "--out", tmp_path / "a"))])
    with pytest.raises(SystemExit) as end:
        training.main()
    err = capsys.readouterr().err
    assert end.value.code == 2 and "not a readable picture" in err and "Traceback" not in err and len([line for line in err.splitlines() if "infobottle" in line]) == 1


def test_a_state_that_is_no_number_is_not_kept(tmp_path):
    "The good file of before stays as it is."
    learner, at = training.Learner(Config(n=2, d=8, size=32), torch.device("cpu")), training.start_of(1)
    training.keep_last(tmp_path, learner, [], at)
    before = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(training.InputError, match="no number any more"):
        training.keep_last(tmp_path, learner, [], {**at, "step": 3, "sums": {"ce": torch.tensor(float("nan"))}})
    assert (tmp_path / "last.pt").read_bytes() == before
