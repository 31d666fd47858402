"""Figures that tests measure are printed at the end; small fixtures that several tests share."""
import faulthandler
import os
import shutil
import sys

os.environ["OMP_NUM_THREADS"] = "1"             # tests run two at a time; before torch is imported

import numpy as np
import pytest
import torch
from helpers import HEADER, draw_few, told
from PIL import Image
from torchvision.transforms.v2.functional import to_pil_image

from infobottle_dfd.faces.clues import ClueFaces

FIGURES = []


@pytest.fixture(autouse=True)
def alone(request):
    "A test draws the same random numbers whatever ran before it, and leaves no figure open for the next."
    torch.manual_seed(0)
    if hasattr(request.module, "RANDOM"):
        request.module.RANDOM = np.random.default_rng(0)
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def figure(record_property):
    "Record a measured number, printed when all tests are through, by whatever process they ran in."
    return lambda line: record_property("figure", line)


def pytest_runtest_logreport(report):
    if report.when == "call":
        FIGURES.extend(value for name, value in report.user_properties if name == "figure")


def pytest_configure(config):
    "What hangs, even at the very end, says where after an hour and is over."
    faulthandler.dump_traceback_later(3600, exit=True, file=os.dup(2))


def pytest_terminal_summary(terminalreporter):
    if FIGURES:
        terminalreporter.section("measured (aims are loose in tests, exact in the text)")
        for line in FIGURES:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def face_folder(tmp_path_factory):
    "Sixty drawn faces as files: real/ and fake/, no splits, a space in the name."
    root = tmp_path_factory.mktemp("data") / "some faces"
    drawn = ClueFaces(60, 48, seed=77)
    for i, (x, y) in enumerate(zip(drawn.x, drawn.y)):
        file = root / ("fake" if y else "real") / f"face {chr(97 + i // 26)}{chr(97 + i % 26)}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        to_pil_image(x).save(file)
    return root


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory, face_folder):
    "A tiny run, trained on `face_folder`."
    from infobottle_dfd.runs.config import Config
    from infobottle_dfd.training import fit
    out = tmp_path_factory.mktemp("runs") / "tiny"
    fit(Config(data=str(face_folder), size=32, n=2, d=8, epochs=1, batch=8), out)
    return out


@pytest.fixture
def threads():
    "Compute with so many threads, for one test."
    yield torch.set_num_threads
    torch.set_num_threads(1)


@pytest.fixture
def few_faces(monkeypatch):
    "Small drawn validation and test sets, so that a run takes seconds."
    draw_few(monkeypatch)


@pytest.fixture
def without_audit(monkeypatch):
    "Runs end without the audit of val: half a second a run, and the subject of test_training."
    monkeypatch.setattr("infobottle_dfd.training.val_audit", lambda *_: {"note": "not asked for"})


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    "Run a command in an empty folder: exit status, stdout, stderr."
    monkeypatch.chdir(tmp_path)

    return lambda name, *args: told(monkeypatch, capsys, name, *args)


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
