"""What several test files share: the pages, settings of a tiny run, a list and a film of drawn faces, two processes."""
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import av
import numpy as np
import torch

from infobottle_dfd import commands
from infobottle_dfd.faces.clues import ClueFaces

ROOT = Path(__file__).parent.parent
PAGES = sorted(p for p in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
ENV = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
HEADER = "path,label,split,video,identity,method\n"
TRAIN = ("--size", "32", "--n", "2", "--d", "8", "--epochs", "1", "--batch", "8")
FIXED = '''
def find(picture):
    return [(20, 10, 60, 80)]
def two(picture):
    return [(0, 0, 20, 20), (100, 40, 70, 70)]
def none(picture):
    return []
def breaks(picture):
    return 1 / 0
def five(picture):
    return [(1, 2, 3, 4, .9)]
def outside(picture):
    return [(5000, 5000, 9, 9), (20, 10, 0, 0)]
number = 3
'''


def one_sentence(status, out, err, word):
    "What bad input gets: one sentence on stderr, a status, nothing else."
    assert status not in (0, None) and word in err, err
    assert len(err.strip().splitlines()) == 1 and "Traceback" not in err and out == ""


def same(a, b):
    "Whether two dictionaries hold the same tensors."
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def same_last(*runs):
    "Whether two runs ended with the same weights."
    return same(*(torch.load(run / "last.pt", weights_only=True)["model"] for run in runs))


@cache
def drawn(*args, **options):
    "Drawn faces, once for all tests of a process."
    return ClueFaces(*args, **options)


def draw_few(monkeypatch, few=8):
    "Let runs draw at most 128 faces to learn from, and few to judge by: too few for an audit, which takes a second."
    from infobottle_dfd.runs import data
    monkeypatch.setattr(data, "ClueFaces", lambda count, *a, **k: drawn(count if count <= 128 else few, *a, **k))


def many_rows(face_folder, path, times, val=0):
    "A manifest with every face `times` times for training, and the first `val` again for validation."
    files = sorted(face_folder.rglob("*.png")) * times
    rows = [(p, "train") for p in files] + [(p, "val") for p in files[:val]]
    lines = [f"{p},{int(p.parent.name == 'fake')},{split},{i % 30},," for i, (p, split) in enumerate(rows)]
    path.write_text("\n".join(["path,label,split,video,identity,method", *lines, ""]))
    return path


def film(path, face=None, frames=12, **options):
    "A clip of 120 x 160 whose pictures grow lighter, with a face at the left."
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 160, 120, "yuv420p", 4_000_000
        for t in range(frames):
            picture = np.full((120, 160, 3), 20 + 8 * t % 200, np.uint8)
            if face is not None:
                picture[10:106, 8:104] = face.permute(1, 2, 0).numpy()
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())


TWO = '''
import os, sys, tempfile, traceback
import torch, torchvision
import torch.distributed as dist
store, children = tempfile.mktemp(), []
for rank in (0, 1):
    if not (child := os.fork()):
        try:
            dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
            exec(compile(sys.argv[1], "script", "exec"), {"sys": sys, "torch": torch, "dist": dist, "args": sys.argv[2:]})
            dist.barrier(), dist.destroy_process_group()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    children.append(child)
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
'''


def two_processes(script, *args):
    "Run a script in two processes that work together; torch is imported once for both."
    paths = os.pathsep.join([*(str(Path(__file__).parent / place) for place in ("", "runs")), *filter(None, [ENV.get("PYTHONPATH")])])
    done = subprocess.run([sys.executable, "-c", TWO, script, *map(str, args)], env={**ENV, "PYTHONPATH": paths}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def train(*args, processes=1, **options):
    "Start `infobottle-train` as one process or two."
    start = [*TORCHRUN, "-m", "--"] if processes == 2 else [sys.executable, "-m"]      # -- or torchrun takes --n for its own
    return subprocess.Popen([*start, "infobottle_dfd.training", *map(str, args)], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def told(monkeypatch, capsys, name, *args):
    "Status, stdout, stderr of a command that runs in this process."
    monkeypatch.setattr(sys, "argv", [f"infobottle-{name}", *map(str, args)])
    try:
        getattr(commands, name)()
        status = 0
    except SystemExit as e:
        status = e.code
    return status, *capsys.readouterr()
