"""Figures that tests measure are printed at the end; small fixtures that several tests share."""
import faulthandler
import os

import pytest
import torch
from torchvision.transforms.v2.functional import to_pil_image

from infobottle_dfd.faces.clues import ClueFaces

FIGURES = []


@pytest.fixture
def figure():
    "Record a measured number, printed when all tests are through."
    return FIGURES.append


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
    torch.set_num_threads(2)
    out = tmp_path_factory.mktemp("runs") / "tiny"
    fit(Config(data=str(face_folder), size=32, n=2, d=8, epochs=1, batch=8), out)
    return out


@pytest.fixture
def few_faces(monkeypatch):
    "Small drawn validation and test sets, so that a run takes seconds."
    from infobottle_dfd import training
    real = training.ClueFaces
    monkeypatch.setattr(training, "ClueFaces", lambda count, *a, **k: real(min(count, 256), *a, **k))
