"""Two processes do what one does: the step, the scores, the run; asked to stop, they stop and go on."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from infobottle_dfd.faces.manifest import read_faces
from infobottle_dfd.faces.splits import with_splits
from infobottle_dfd.runs.step import Learner, plan
from infobottle_dfd.judging.metrics import score
from infobottle_dfd.faces.pictures import FaceFiles
from infobottle_dfd.runs.checkpoint import load_run
from infobottle_dfd.runs.config import Config
from infobottle_dfd.runs.checkpoint import saved_settings
from infobottle_dfd.training import make_data, validate

ENV = {**os.environ, "OMP_NUM_THREADS": "1"}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
STEP = '''
import sys, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from test_distributed import gradients, learner_of, faces
dist.init_process_group("gloo")
rank, found = dist.get_rank(), {}
for mode in ("released", "paper", "calm"):
    learner = learner_of(mode)
    model = DistributedDataParallel(learner, static_graph=True)
    x, y = faces()
    found[mode] = gradients(learner, model, x[rank::2], y[rank::2])
if rank == 0: torch.save(found, sys.argv[1])
dist.barrier(); dist.destroy_process_group()
'''
SCORE = '''
import sys, torch, torch.distributed as dist
from infobottle_dfd.faces.manifest import read_faces
from infobottle_dfd.judging.metrics import score
from infobottle_dfd.faces.pictures import FaceFiles
from infobottle_dfd.runs.checkpoint import load_run
dist.init_process_group("gloo")
out = score(load_run(sys.argv[1])[0], FaceFiles(read_faces(sys.argv[2]), 32), batch=7)
if dist.get_rank() == 1: torch.save(list(out[:4]), sys.argv[3])
dist.barrier(); dist.destroy_process_group()
'''


def learner_of(mode):
    "Without batch norm (whose statistics are each process' own), dropout and mirrors: nothing random, nothing local."
    learner = Learner(Config(n=3, d=8, size=32, mode=mode), torch.device("cpu"))
    for module in learner.modules():
        for name, child in module.named_children():
            if isinstance(child, (torch.nn.BatchNorm2d, torch.nn.BatchNorm1d)):
                setattr(module, name, torch.nn.Identity())
            if isinstance(child, torch.nn.Dropout):
                child.p = 0.
    with torch.no_grad():                                           # heads that differ: the local term bends
        for p in learner.detector.heads.parameters():
            p.mul_(100)
    return learner


def faces():
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (8, 3, 32, 32), generator=g, dtype=torch.uint8)
    x[..., 16:] = x[..., :16].flip(-1)                              # a mirror changes nothing
    return x, torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])


def gradients(learner, model, x, y):
    torch.manual_seed(0)
    for _ in range(2):                                              # static_graph learns the graph in the first
        learner.zero_grad()
        model(x, y)[0].backward()
    return {k: p.grad.clone() for k, p in learner.named_parameters() if p.grad is not None}


def script(tmp_path, text, *args):
    (tmp_path / "child.py").write_text(text)
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, [ENV.get("PYTHONPATH")])])
    return subprocess.run([*TORCHRUN, str(tmp_path / "child.py"), *map(str, args)], env={**ENV, "PYTHONPATH": paths}, capture_output=True, text=True)


def test_a_step_of_two_processes_is_the_step_of_one(tmp_path):
    "All modes, all parameters; the local term bends a mean, so averaging gradients of half batches would not do."
    done = script(tmp_path, STEP, tmp_path / "two.pt")
    assert done.returncode == 0, done.stderr[-2000:]
    two = torch.load(tmp_path / "two.pt", weights_only=True)
    for mode, found in two.items():
        learner = learner_of(mode)
        one = gradients(learner, learner, *faces())
        assert one.keys() == found.keys() and len(one) > 20
        x, y = faces()
        halves = [gradients(learner, learner, x[k::2], y[k::2]) for k in (0, 1)]
        off = [k for k in one if not torch.allclose((halves[0][k] + halves[1][k]) / 2, one[k], rtol=1e-3, atol=1e-5)]
        assert mode == "calm" or len(off) > 10                      # so averaging half batches would be seen
        for k in one:
            torch.testing.assert_close(found[k], one[k], rtol=1e-3, atol=1e-5, msg=lambda m: f"{mode}, {k}: {m}")


def test_scores_of_two_processes_are_those_of_one(tmp_path, run_folder, face_folder):
    "Exactly, in the same order, every face once."
    done = script(tmp_path, SCORE, run_folder, face_folder, tmp_path / "two.pt")
    assert done.returncode == 0, done.stderr[-2000:]
    torch.set_num_threads(1)
    one = score(load_run(run_folder)[0], FaceFiles(read_faces(face_folder), 32), batch=7)
    assert all(torch.equal(a, b) for a, b in zip(one, torch.load(tmp_path / "two.pt", weights_only=True)))


def train(*args, processes=1, **options):
    start = [*TORCHRUN, "-m", "--"] if processes == 2 else [sys.executable, "-m"]      # -- or torchrun takes --n for its own
    return subprocess.Popen([*start, "infobottle_dfd.training", *map(str, args)], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


SMALL = ("--size", 32, "--n", 2, "--d", 8, "--batch", 8)


def many_rows(face_folder, path, times, val=0):
    "A manifest with every face `times` times for training, and the first `val` again for validation."
    files = sorted(face_folder.rglob("*.png")) * times
    rows = [(p, "train") for p in files] + [(p, "val") for p in files[:val]]
    lines = [f"{p},{int(p.parent.name == 'fake')},{split},{i % 30},," for i, (p, split) in enumerate(rows)]
    path.write_text("\n".join(["path,label,split,video,identity,method", *lines, ""]))
    return path


def same_last(*runs):
    a, b = (torch.load(run / "last.pt", weights_only=True)["model"] for run in runs)
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_torchrun(tmp_path, face_folder):
    "One folder, one report, all faces counted once; a batch that cannot be shared is refused."
    running = train("--data", face_folder, "--epochs", 2, "--mixup", .5, "--balance", "--clip", 5, *SMALL, processes=2, cwd=tmp_path)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err[-2000:]
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["some faces-1"] and out.count("test AUC") == 1
    report = json.loads((tmp_path / "runs/some faces-1/test.json").read_text())
    assert report["images"] == len(with_splits(read_faces(face_folder), face_folder)["test"])
    refused = train("--data", face_folder, "--batch", 7, "--epochs", 1, processes=2, cwd=tmp_path)
    assert "batch 7 cannot be shared by 2 processes" in refused.communicate(timeout=120)[1] and refused.returncode != 0


@pytest.mark.parametrize("workers", [0, 1])
def test_asked_to_stop_within_an_epoch(tmp_path, face_folder, workers):
    "One long epoch; all its processes are asked. What goes on ends as an undisturbed run. (SIGKILL: test_training.py)"
    data = many_rows(face_folder, tmp_path / "m.csv", 20)
    call = lambda *more: train("--data", data, "--epochs", 1, *SMALL, "--workers", workers, "--out", *more, cwd=tmp_path, start_new_session=True)
    whole, broken = call("whole"), call("broken")
    while not (tmp_path / "broken/config.json").exists() and broken.poll() is None:
        time.sleep(.01)
    time.sleep(.4)
    os.killpg(broken.pid, signal.SIGTERM)
    _, err = broken.communicate()
    at = torch.load(tmp_path / "broken/last.pt", weights_only=True)["at"]
    assert at["epoch"] == 1 and 0 < at["step"] < 120 and not (tmp_path / "broken/best.pt").exists()
    assert broken.returncode == 2 and "stopped by SIGTERM; everything is saved, go on with --out broken --resume" in err
    for process in (call("broken", "--resume"), whole):
        _, err = process.communicate()
        assert process.returncode == 0, err[-2000:]
    assert same_last(tmp_path / "whole", tmp_path / "broken")


def test_plan_is_balanced_and_loses_nothing():
    y = torch.tensor([0] * 7 + [1] * 25)
    batches = plan(y, Config(batch=10, balance=True), 3)
    images = [i for b in batches for i in b]
    assert len(batches) == 5 and sum(int(y[i]) for i in images) == 25 and set(images) == set(range(32))
    assert batches == plan(y, Config(batch=10, balance=True), 3) != plan(y, Config(batch=10, balance=True), 4)


def test_presets_differ_where_they_say():
    from dataclasses import asdict
    from infobottle_dfd.commands import settings
    from infobottle_dfd.runs.config import PRESETS
    subset, full = (asdict(settings([name, "--data", "x.csv"])[0]) for name in ("subset", "full"))
    assert {k for k in full if full[k] != subset[k]} == {"share"} and subset["share"] == .1
    assert settings([])[0] == Config() == PRESETS["toy"] and settings(["full", "--data", "x.csv", "--lr", "2e-3"])[0].lr == 2e-3
    from infobottle_dfd.core import InputError
    with pytest.raises(InputError, match="name its manifest with --data"):
        settings(["full"])


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
    args = [*TORCHRUN, "--", str(tmp_path / "go.py"), "--data", str(data), "--epochs", "1", *map(str, SMALL), "--out"]
    return lambda *more: subprocess.Popen([*args, *more], env=ENV, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path, process):
    while not path.exists() and process.poll() is None:
        time.sleep(.01)


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
    torch.set_num_threads(1)
    assert len(data) == 300 and validate(learner, data, cfg) == found[0]
    a, b = (torch.load(tmp_path / f"learner-{rank}", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(a[k], b[k]) for k in a)                  # batch norm's numbers too


def test_a_batch_of_one_image_a_process_is_refused(monkeypatch):
    from infobottle_dfd.core import InputError
    from infobottle_dfd.runs.step import Together
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="less than two images for each of 2 processes"):
        Together(Config(batch=2, device="cpu")).__enter__()
