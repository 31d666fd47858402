"""Devices and loading processes."""
import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch

from helpers import TRAIN, one_sentence
from infobottle_dfd import training
from infobottle_dfd.runs.machine import pick_device


def test_no_gpu(call, run_folder, face_folder):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    for command in (("train",), ("evaluate", "--data", face_folder, "--run", run_folder), ("predict", next((face_folder / "real").iterdir()), "--run", run_folder)):
        one_sentence(*call(*command, "--device", "cuda"), "PyTorch sees no GPU here; use --device cpu")


def test_a_loading_process_that_dies(call, run_folder, face_folder, monkeypatch):
    "In training and in evaluation: one sentence."
    load = training.FaceFiles.__getitem__
    def die(self, i):
        if torch.utils.data.get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return load(self, i)
    monkeypatch.setattr(training.FaceFiles, "__getitem__", die)
    one_sentence(*call("train", "--data", face_folder, *TRAIN, "--workers", 1), "a loading process died; take fewer --workers")
    one_sentence(*call("evaluate", "--data", face_folder, "--run", run_folder, "--workers", 1), "a loading process died; take fewer --workers")


def test_a_picture_that_breaks_during_the_run(tmp_path, face_folder):
    "Found by a loading process; still one sentence, and the command ends instead of waiting for that process."
    shutil.copytree(face_folder, tmp_path / "faces")
    code = "from infobottle_dfd import training; from infobottle_dfd.runs import data; real = data.check_pictures; data.check_pictures = lambda rows: (real(rows), rows[0].path.write_bytes(b'no picture'))[0]; training.main()"
    done = subprocess.run([sys.executable, "-c", code, "--data", str(tmp_path / "faces"), "--size", "32", "--n", "2", "--d", "8", "--epochs", "1", "--batch", "8", "--workers", "2", "--out", str(tmp_path / "a")],
                          capture_output=True, text=True, timeout=100)
    said = [line for line in done.stderr.splitlines() if "not a readable picture" in line]
    assert done.returncode == 2 and len(said) == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize("which", ["x", "2", "-1", ""])
def test_a_gpu_that_is_not_there(monkeypatch, which):
    "A traceback on a machine with GPUs."
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", which)
    with pytest.raises(training.InputError, match="and this machine has 2 GPUs"):
        pick_device("auto")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert pick_device("cuda") == torch.device("cuda", 1) and pick_device("cpu") == torch.device("cpu")
