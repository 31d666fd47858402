"""Run folders that version 0.1.0 left behind: two runs after one epoch of two, and how they ended there.

To keep the file small, tensors of more than a thousand numbers hold one value each.
"""
import json
import tarfile
from pathlib import Path

import pytest
import torch

from infobottle_dfd import training
from infobottle_dfd.commands import settings
from infobottle_dfd.faces.clues import ClueFaces
from infobottle_dfd.runs import data
from infobottle_dfd.runs.checkpoint import load_run
from infobottle_dfd.runs.config import Config

STORED = Path(__file__).parents[1] / "data/run-0.1.0.tar.xz"


@pytest.fixture
def old(tmp_path, monkeypatch):
    "The folders, and sets of at most 256 faces, as they were judged on then."
    monkeypatch.setattr(data, "ClueFaces", lambda count, *a, **k: ClueFaces(min(count, 256), *a, **k))
    with tarfile.open(STORED) as file:
        file.extractall(tmp_path)                           # ours; Python 3.11.3 knows no filter
    return tmp_path


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("mode", ["released", "calm"])
def test_an_old_run_loads_and_goes_on(old, mode):
    "From the settings it names, filled with those of then; the second epoch is the one that 0.1.0 computed."
    torch.set_num_threads(1)
    saved = json.loads((old / mode / "config.json").read_text())
    assert "dropout" not in saved and "augment" not in saved
    detector, best = load_run(old / mode)
    assert best["epoch"] == 1 and detector(torch.rand(2, 3, 32, 32)).p.isfinite().all()
    cfg, out = settings(["--resume", "--out", str(old / mode)])
    assert cfg == Config(**saved) and cfg.lil == (mode == "released")       # calm without lil meant nothing, and was let pass
    training.fit(cfg, out)
    ours, theirs = lines(out / "metrics.jsonl"), lines(out / "end.jsonl")
    assert ours[0] == theirs[0] and len(ours) == 2
    assert ours[1]["train"] == pytest.approx(theirs[1]["train"], rel=1e-3)
    assert ours[1]["weight"] == pytest.approx(theirs[1]["weight"], rel=1e-3)
    assert ours[1]["val"]["log_loss"] == pytest.approx(theirs[1]["val"]["log_loss"], rel=1e-2)
