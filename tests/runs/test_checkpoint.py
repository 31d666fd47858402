"""Whatever ends a run, its folder is whole, and it goes on to the same weights."""
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from helpers import ENV, TORCHRUN, TRAIN, many_rows, same, same_last, train
from infobottle_dfd import training
from infobottle_dfd.core import InputError
from infobottle_dfd.faces.manifest import listing, read_faces
from infobottle_dfd.faces.pictures import FaceFiles
from infobottle_dfd.faces.splits import with_splits
from infobottle_dfd.runs import checkpoint as survival
from infobottle_dfd.runs.checkpoint import load_run
from infobottle_dfd.runs.config import Config, saved_settings
from infobottle_dfd.runs.step import Learner
from infobottle_dfd.training import fit, make_data, validate

pytestmark = pytest.mark.usefixtures("few_faces", "without_audit")


def weights(run):
    return load_run(run)[0].state_dict()


# A process that imports everything once, and forks for every life of a run. The run saves at every step and kills itself where it
# is told to: "step" behind a step and before its save, "save" with the draft of last.pt (or best.pt) half written, "rename" with a
# draft whole and not yet in its place. "clock" is killed from outside.
LIVES = '''
import io, json, os, signal, sys, traceback
import torch
from infobottle_dfd import training
from infobottle_dfd.runs import checkpoint as survival
from infobottle_dfd.runs.config import Config

def live(data, out, epochs, kind, count):
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
    training.fit(Config(data=data, size=32, n=2, d=8, epochs=epochs, batch=8), out)

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


@pytest.mark.slow
def test_sigkill_and_resume(tmp_path, face_folder, figure):
    "Killed at moments drawn from a seed and started again, a run ends bit for bit where one left alone ends. More kills: KILLS=30."
    seed, kills = int(os.environ.get("KILL_SEED", time.time_ns() % 10 ** 6)), int(os.environ.get("KILLS", 3))
    draw, data, whole, broken = random.Random(seed), many_rows(face_folder, tmp_path / "m.csv", 2), tmp_path / "whole", tmp_path / "broken"
    steps = 48 if kills <= 3 else 96                        # at most so many before the last kill, of 13 an epoch
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
        print(json.dumps([str(data), str(out), steps // 10, kind, count]), file=lives.stdin, flush=True)
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
        count, pause = draw.randint(1, max(1, steps // kills)), draw.random() * steps / 64 / kills
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


def listens(pid):
    "Whether a process has something to do when it is asked to stop."
    caught = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt"))
    return int(caught.split()[1], 16) >> signal.SIGTERM - 1 & 1


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_asked_to_stop_within_an_epoch(tmp_path, call, face_folder, workers):
    "One long epoch; all its processes are asked. What goes on ends as an undisturbed run. (SIGKILL: test_training.py)"
    data = many_rows(face_folder, tmp_path / "m.csv", 8)
    words = ("--data", data, *TRAIN, "--workers", workers, "--out")
    broken = train(*words, "broken", cwd=tmp_path, start_new_session=True)
    while broken.poll() is None and not listens(broken.pid):
        time.sleep(.01)
    os.killpg(broken.pid, signal.SIGTERM)
    _, err = broken.communicate()
    at = torch.load(tmp_path / "broken/last.pt", weights_only=True)["at"]
    assert at["epoch"] == 1 and 0 < at["step"] < 60 and not (tmp_path / "broken/best.pt").exists()
    assert broken.returncode == 2 and "stopped by SIGTERM; everything is saved, go on with --out broken --resume" in err
    for more in (("broken", "--resume"), ("whole",)):
        status, _, err = call("train", *words, *more)
        assert status == 0, err
    assert same_last(tmp_path / "whole", tmp_path / "broken")


GO = '''
import json, os, pathlib
import torch
from infobottle_dfd import training
from infobottle_dfd.runs import checkpoint as survival
survival.KEEP, rank = 0., os.environ["RANK"]
pathlib.Path("pid-" + rank).write_text(str(os.getpid()))
whole = training.validate
def validate(learner, data, cfg):
    found = whole(learner, data, cfg)
    pathlib.Path("val-" + rank).write_text(json.dumps(found))
    torch.save(learner.state_dict(), "learner-" + rank)
    return found
training.validate = validate
training.main()
'''


@pytest.fixture
def pair(tmp_path, face_folder):
    "Start two processes on a long epoch and 300 faces of validation, saved at every 20th step."
    data = many_rows(face_folder, tmp_path / "m.csv", 20, val=300)
    (tmp_path / "go.py").write_text(GO)
    args = [*TORCHRUN, "--", str(tmp_path / "go.py"), "--data", str(data), *TRAIN, "--out"]
    return lambda *more: subprocess.Popen([*args, *more], env=ENV, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path, process):
    while not path.exists() and process.poll() is None:
        time.sleep(.01)


@pytest.mark.slow
def test_two_processes_killed_and_asked_to_stop_go_on(tmp_path, pair):
    "A worker that is lost ends the job, and soon. Asked to stop, all stop behind the same step. What goes on ends like an undisturbed pair."
    broken, last = pair("broken"), tmp_path / "broken/last.pt"
    wait_for(last, broken)
    os.kill(int((tmp_path / "pid-1").read_text()), signal.SIGKILL)
    start = time.time()
    _, err = broken.communicate(timeout=60)                         # hangs never
    assert broken.returncode not in (0, None) and "SIGKILL" in err and time.time() - start < 60, err[-2000:]
    at = torch.load(last, weights_only=True)["at"]
    assert at["step"] % 20 == 0 and 0 < at["step"] < 150
    before, broken = last.stat().st_mtime_ns, pair("broken", "--resume")
    while last.stat().st_mtime_ns == before and broken.poll() is None:
        time.sleep(.01)
    broken.send_signal(signal.SIGTERM)
    _, err = broken.communicate(timeout=60)
    assert broken.returncode != 0 and "stopped by SIGTERM; everything is saved" in err, err[-2000:]
    then = torch.load(last, weights_only=True)["at"]
    assert then["step"] % 20 == 0 and at["step"] < then["step"] < 150
    for name, more in (("broken", ["--resume"]), ("whole", [])):
        _, err = pair(name, *more).communicate(timeout=120)
        assert (tmp_path / name / "test.json").exists(), err[-2000:]
    assert same_last(tmp_path / "whole", tmp_path / "broken")
    found = [json.loads((tmp_path / f"val-{rank}").read_text()) for rank in (0, 1)]     # of "whole"
    assert found[0] == found[1] == json.loads((tmp_path / "whole/metrics.jsonl").read_text())["val"]
    learner, data = (Learner(cfg := saved_settings(tmp_path / "whole"), torch.device("cpu")), make_data(cfg)["val"])
    learner.load_state_dict(torch.load(tmp_path / "learner-0", weights_only=True))
    assert len(data) == 300 and validate(learner, data, cfg) == found[0]
    a, b = (torch.load(tmp_path / f"learner-{rank}", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(a[k], b[k]) for k in a)                  # batch norm's numbers too


def test_a_full_disk_leaves_the_last_good_state(tmp_path, face_folder):
    "Files may not grow beyond 300 kB: the first state does not fit, and nothing is half-written."
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); from infobottle_dfd import training; training.main()"
    done = subprocess.run([sys.executable, "-c", code, "--data", str(face_folder), "--size", "32", "--n", "2", "--d", "8", "--epochs", "1", "--batch", "8", "--out", str(tmp_path / "run")], capture_output=True, text=True)
    assert done.returncode == 2 and "could not be written" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()                          # the same command works once there is room


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
    assert torch.load(tmp_path / "b/best.pt", weights_only=True)["listing"] == listing(read_faces(cfg.data))
    (tmp_path / "a/last.pt").write_bytes(b"torn")
    with pytest.raises(training.InputError, match="last.pt: no state of this version"):
        fit(cfg, tmp_path / "a")
    (tmp_path / "a/config.json").write_text("{")
    with pytest.raises(training.InputError, match="config.json: damaged"):
        fit(cfg, tmp_path / "a")


@pytest.mark.parametrize("how", ["deleted", "on another disk"])
def test_a_last_state_that_is_gone_begins_nothing_anew(tmp_path, face_folder, monkeypatch, how):
    "The best epoch of a long run was overwritten by the first of a new one."
    cfg = Config(data=str(face_folder), size=32, n=2, d=8, epochs=2, batch=8)
    fit(cfg, tmp_path / "a")
    (tmp_path / "a/test.json").unlink(), (tmp_path / "a/last.pt").rename(tmp_path / "kept.pt")
    if how == "on another disk":
        (tmp_path / "a/last.pt").symlink_to(tmp_path / "nowhere.pt")
    before = (tmp_path / "a/best.pt").read_bytes()
    with pytest.raises(training.InputError, match="last.pt: is gone, but not its epochs"):
        fit(cfg, tmp_path / "a")
    assert (tmp_path / "a/best.pt").read_bytes() == before and (tmp_path / "a/config.json").exists()


def test_an_epoch_that_was_cut_after_its_last_step_tells_its_rate(few_faces, tmp_path, monkeypatch):
    "What goes on takes no step in it, and wrote the highest rate."
    cfg, whole, steps = Config(images=64, size=32, n=2, d=8, epochs=3, batch=16, lr=.01), training.Learner.step, []
    rates = lambda out: [json.loads(line)["lr"] for line in (out / "metrics.jsonl").read_text().splitlines()]

    def step(self, total, lr):
        whole(self, total, lr)
        steps.append(lr)
        if len(steps) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
    training.fit(cfg, tmp_path / "whole")
    monkeypatch.setattr(training.Learner, "step", step)
    with pytest.raises(InputError, match="everything is saved"):
        training.fit(cfg, tmp_path / "cut")
    assert torch.load(tmp_path / "cut/last.pt", weights_only=True)["at"]["epoch"] == 1
    training.fit(cfg, tmp_path / "cut")
    assert rates(tmp_path / "cut") == rates(tmp_path / "whole") and len(steps) == 12


def test_data_of_your_own_need_no_numbers(few_faces, face_folder, tmp_path):
    "FaceFiles handed to `fit` without the numbers of their pixels: the run opens, and says nothing of what it has seen."
    rows = read_faces(face_folder)
    sets = {name: FaceFiles(part, 32) for name, part in with_splits(rows, face_folder).items()}
    report = training.fit(Config(data=str(face_folder), size=32, n=2, d=8, epochs=1, batch=8), tmp_path / "a", sets=sets)
    assert report["images"] == len(sets["test"]) and "seen" not in load_run(tmp_path / "a")[1]


@pytest.mark.slow
def test_a_network_that_is_built_for_its_size_is_loaded(tmp_path):
    "ViT's positions are as many as the face has patches."
    cfg = Config(backbone="vit_b_32", images=32, size=64, n=1, mode="cross-entropy", epochs=1, batch=16)
    report = training.fit(cfg, tmp_path / "a")
    detector, _ = load_run(tmp_path / "a")
    assert report["epoch"] == 1 and detector(torch.rand(2, 3, 64, 64)).logits_global.shape == (2, 2)
