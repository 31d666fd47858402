"""Runs: the same seed gives the same run, a killed one goes on, the best epoch is chosen on val."""
import json
import math
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
from infobottle_dfd.runs import checkpoint as survival
from infobottle_dfd.runs.step import lr_at
from infobottle_dfd.judging.metrics import metrics
from infobottle_dfd.runs.checkpoint import load_run
from infobottle_dfd.runs.config import Config
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


# A process that imports everything once, and forks for every life of a run. The run saves at every step and kills itself where it
# is told to: "step" behind a step and before its save, "save" with the draft of last.pt (or best.pt) half written, "rename" with a
# draft whole and not yet in its place. "clock" is killed from outside.
LIVES = '''
import io, json, os, signal, sys, traceback
import torch
from infobottle_dfd import training
from infobottle_dfd.runs import checkpoint as survival

def live(data, out, kind, count):
    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)
    def half(state, path):
        whole = io.BytesIO()
        save(state, whole)
        path.write_bytes(whole.getvalue()[:len(whole.getvalue()) // 2])
        die()
    def at_count(whole, instead):
        def counted(*args):
            nonlocal count
            count -= 1
            return whole(*args) if count else instead(*args)
        return counted
    survival.KEEP, save = 0., torch.save
    if kind == "step": survival.Rest.__call__ = at_count(survival.Rest.__call__, die)
    if kind == "save": torch.save = at_count(save, half)
    if kind == "rename": os.replace = at_count(os.replace, die)
    training.fit(runs.Config(data=data, size=32, n=2, d=8, epochs=9, batch=8), out)

for line in sys.stdin:
    if not (child := os.fork()):
        try:
            live(*json.loads(line))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    print(f"pid {child}", file=sys.stderr, flush=True)
    print(f"end {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}", file=sys.stderr, flush=True)
'''


def many_rows(face_folder, path, times):
    "A manifest with every face `times` times for training, so that an epoch is long."
    rows = "".join(f"{p},{int(p.parent.name == 'fake')},train,{i % 30},,\n" for i, p in enumerate(sorted(face_folder.rglob("*.png")) * times))
    path.write_text("path,label,split,video,identity,method\n" + rows)
    return path


def test_sigkill_and_resume(tmp_path, face_folder, figure):
    "Killed at moments drawn from a seed and started again, a run ends bit for bit where one left alone ends. More kills: KILLS=30."
    seed, kills = int(os.environ.get("KILL_SEED", time.time_ns() % 10 ** 6)), int(os.environ.get("KILLS", 3))
    draw, data, whole, broken = random.Random(seed), many_rows(face_folder, tmp_path / "m.csv", 2), tmp_path / "whole", tmp_path / "broken"
    kinds = ["clock", "step", draw.choice(["save", "rename"]), *draw.choices(["clock", "step", "save", "rename"], k=max(0, kills - 3))]
    draw.shuffle(kinds)
    lives = subprocess.Popen([sys.executable, "-c", LIVES], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})

    def said(word):
        "The number that the process says behind a word, past everything else."
        for line in lives.stderr:
            if line.startswith(f"{word} "):
                return int(line.split()[1])
            print(line, end="")
        raise AssertionError("the process is gone")

    def life(out, kind="never", count=0, pause=0.):
        "Exit status of one life."
        before = last.stat().st_mtime_ns if last.exists() else 0
        print(json.dumps([str(data), str(out), kind, count]), file=lives.stdin, flush=True)
        pid = said("pid")
        if kind == "clock":
            while not (last.exists() and last.stat().st_mtime_ns != before):
                time.sleep(.003)
            time.sleep(pause)
            os.kill(pid, signal.SIGKILL)
        return said("end")
    last, places = broken / "last.pt", []
    print(f"KILL_SEED={seed} KILLS={kills}")
    for kind in kinds[:kills]:
        count, pause = draw.randint(1, max(1, 96 // kills)), draw.random() * 1.5 / kills
        assert life(broken, kind, count, pause) == -signal.SIGKILL, (kind, count)
        if last.exists():                               # whatever happened, it is whole
            at = torch.load(last, weights_only=True)["at"]
            places.append((at["epoch"], at["step"]))
        print(f"{kind} {pause if kind == 'clock' else count}: goes on from", places[-1:] or "the beginning")
    figure(f"killed {kills} times (KILL_SEED={seed}), gone on from (epoch, step): {places}")
    assert places == sorted(places) and life(broken) == life(whole) == 0
    lives.stdin.close()
    assert lives.wait() == 0 and not list(broken.glob(".*")) and same(weights(whole), weights(broken))
    a, b = (torch.load(p / "last.pt", weights_only=True) for p in (whole, broken))
    assert same(a["model"], b["model"]) and [h["train"] for h in a["history"]] == [h["train"] for h in b["history"]]


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


def test_a_picture_that_breaks_during_the_run(tmp_path, face_folder):
    "Found by a loading process; still one sentence, and the command ends instead of waiting for that process."
    shutil.copytree(face_folder, tmp_path / "faces")
    code = "from infobottle_dfd import training; training.check_pictures = lambda rows: rows[0].path.write_bytes(b'no picture'); training.main()"
    done = subprocess.run([sys.executable, "-c", code, "--data", str(tmp_path / "faces"), "--size", "32", "--n", "2", "--d", "8", "--epochs", "1", "--batch", "8", "--workers", "2", "--out", str(tmp_path / "a")],
                          capture_output=True, text=True, timeout=100)
    said = [line for line in done.stderr.splitlines() if "not a readable picture" in line]
    assert done.returncode == 2 and len(said) == 1 and "Traceback" not in done.stderr


def test_a_state_that_is_no_number_is_not_kept(tmp_path):
    "The good file of before stays as it is: for a loss, a weight, a moment, a running mean that is none."
    learner, at = training.Learner(Config(n=2, d=8, size=32), torch.device("cpu")), training.start_of(1)
    learner.step(learner(torch.zeros(8, 3, 32, 32, dtype=torch.uint8), torch.tensor([0, 1] * 4))[0], 1e-3)
    training.keep_last(tmp_path, learner, [], at)
    before = (tmp_path / "last.pt").read_bytes()
    moment = next(iter(learner.optimizer.state.values()))["exp_avg_sq"]
    mean = next(b for k, b in learner.named_buffers() if k.endswith("running_mean"))
    history = [{"epoch": 1, "val": {"auc": .9, "threshold": .5}}]
    for numbers, sums in ((None, {"ce": torch.tensor(float("nan"))}), (next(learner.parameters()).data, {}), (moment, {}), (mean, {})):
        if numbers is not None:
            good = numbers.clone()
            numbers.view(-1)[0] = float("inf")
            with pytest.raises(training.InputError, match="no number any more"):
                training.keep(tmp_path, learner, learner.cfg, history)
        with pytest.raises(training.InputError, match="no number any more"):
            training.keep_last(tmp_path, learner, [], {**at, "step": 3, "sums": sums})
        if numbers is not None:
            numbers.copy_(good)
    assert (tmp_path / "last.pt").read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("last", [False, True], ids=["within the epoch", "its last step"])
def test_a_gradient_that_is_no_number_under_a_good_loss(tmp_path, face_folder, monkeypatch, last):
    "The loss of that step and all scores are finite; what is kept is the step before."
    monkeypatch.setattr(survival, "KEEP", 0.)
    cfg = Config(data=str(many_rows(face_folder, tmp_path / "m.csv", 2)), size=32, n=2, d=8, epochs=3, batch=8)
    steps, losses, whole = len(training.plan(training.make_data(cfg)["train"].y, cfg, 1)), [], training.Learner.step

    def step(self, total, lr):
        losses.append(total.item())
        hook = self.detector.heads.alone.register_hook(lambda g: g * (float("inf") if len(losses) == steps + (steps if last else 3) else 1))
        whole(self, total, lr)
        hook.remove()
    monkeypatch.setattr(training.Learner, "step", step)
    with pytest.raises(training.InputError, match="a weight is no number any more"):
        fit(cfg, tmp_path / "a")
    assert all(map(math.isfinite, losses)) and len(losses) == steps + (steps if last else 3)
    saved = torch.load(tmp_path / "a/last.pt", weights_only=True)
    assert all(t.isfinite().all() for t in saved["model"].values())
    assert (saved["at"]["epoch"], saved["at"]["step"]) == (2, steps - 1 if last else 2)
    assert len((tmp_path / "a/metrics.jsonl").read_text().splitlines()) == 1


def test_learning_rate_is_its_closed_form(tmp_path, monkeypatch):
    "A tenth of the run linearly up, then half a cosine to zero; every step of a run has it, and each epoch's last is in the history."
    for total in (1, 10, 37, 200):
        t = (torch.arange(total, dtype=torch.float64) + 1) / total
        closed = 2. * torch.where(t < .1, t / .1, (1 + torch.cos(math.pi * (t - .1) / .9)) / 2)
        assert [lr_at(s, total, 2.) for s in range(total)] == pytest.approx(closed.tolist(), abs=1e-12)
    rates, whole = [], training.Learner.step

    def step(self, total, lr):
        whole(self, total, lr)
        rates.append(self.optimizer.param_groups[0]["lr"])
    monkeypatch.setattr(training.Learner, "step", step)
    fit(Config(images=64, size=32, n=2, d=8, epochs=3, batch=16, lr=.01), tmp_path / "a")
    history = [json.loads(line) for line in (tmp_path / "a/metrics.jsonl").read_text().splitlines()]
    assert rates == [lr_at(s, 12, .01) for s in range(12)] and [h["lr"] for h in history] == rates[3::4]


def test_what_can_be_watched(tmp_path, capsys):
    "metrics.jsonl has terms, weights, rate, validation and speed of every epoch; a log file gets one line an epoch and no bar."
    fit(Config(images=64, size=32, n=2, d=8, epochs=2, batch=16), tmp_path / "a")
    out, err = capsys.readouterr()
    history = [json.loads(line) for line in (tmp_path / "a/metrics.jsonl").read_text().splitlines()]
    for h in history:
        assert set(h) == {"epoch", "train", "val", "weight", "lr", "seconds", "images_per_second"}
        assert set(h["train"]) == set(h["weight"]) == {"ce", "lil", "gil"} and h["images_per_second"] > 0
        assert set(h["val"]) == {"auc", "accuracy", "eer", "log_loss", "ap", "threshold", "information"}
    assert [line[:12] for line in out.splitlines()] == ["epoch 1 of 2", "epoch 2 of 2"] and err == ""


def test_data_that_changes_under_a_run_is_refused(tmp_path, face_folder, monkeypatch):
    "A folder without splits is cut anew: faces of training would come into the test."
    shutil.copytree(face_folder, tmp_path / "faces")
    cfg, rest = Config(data=str(tmp_path / "faces"), size=32, n=2, d=8, epochs=2, batch=8), training.Rest.__call__
    def stop(self, last):
        self.asked = True
        rest(self, last)
    with monkeypatch.context() as m:
        m.setattr(training.Rest, "__call__", stop)
        with pytest.raises(training.InputError, match="everything is saved"):
            fit(cfg, tmp_path / "a")
    shutil.copy(next((tmp_path / "faces/real").iterdir()), tmp_path / "faces/real/new.png")
    with pytest.raises(training.InputError, match="its data has changed since the run began"):
        fit(cfg, tmp_path / "a")
    fit(cfg, tmp_path / "b")                                        # a new run, in the same process, is of the new data
    assert torch.load(tmp_path / "b/best.pt", weights_only=True)["listing"] == training.fingerprint(cfg.data)
    (tmp_path / "a/last.pt").write_bytes(b"torn")
    with pytest.raises(training.InputError, match="last.pt: no state of this version"):
        fit(cfg, tmp_path / "a")
    (tmp_path / "a/config.json").write_text("{")
    with pytest.raises(training.InputError, match="config.json: damaged"):
        fit(cfg, tmp_path / "a")


def test_a_linked_manifest_stays_where_it_is(tmp_path, face_folder):
    "As stores of large files make them: the list is a link, its pictures lie beside the link."
    shutil.copytree(face_folder, tmp_path / "set/faces")
    lines = "".join(f"{p.relative_to(tmp_path / 'set')},{int(p.parent.name == 'fake')},,,,\n" for p in sorted((tmp_path / "set").rglob("*.png")))
    (tmp_path / "3f2a").write_text("path,label,split,video,identity,method\n" + lines)
    (tmp_path / "set/list.csv").symlink_to(tmp_path / "3f2a")
    report = fit(Config(data=str(tmp_path / "set/list.csv"), size=32, n=2, d=8, epochs=1, batch=8), tmp_path / "run")
    assert report["trained_on"] == "list"
