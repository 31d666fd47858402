"""What pip installs is the whole library, and works far from its checkout."""
import json
import os
import shutil
import subprocess
import sys
from zipfile import ZipFile

import pytest
from helpers import ENV, ROOT, TRAIN


@pytest.mark.slow
def test_a_wheel_installed_elsewhere(tmp_path, face_folder):
    "Every module is in the wheel; the four commands explain themselves, and a detector is trained."
    source, lib, run = tmp_path / "source", tmp_path / "lib", tmp_path / "away/run"
    run.parent.mkdir()
    shutil.copytree(ROOT / "infobottle_dfd", source / "infobottle_dfd", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "settings.ini", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", source, "--no-deps", "--no-build-isolation", "--use-pep517", "-w", tmp_path], check=True)
    wheel, = tmp_path.glob("*.whl")
    assert {p.relative_to(ROOT).as_posix() for p in (ROOT / "infobottle_dfd").rglob("*.py")} == {n for n in ZipFile(wheel).namelist() if n.endswith(".py")}
    subprocess.run([*pip, "install", wheel, "--no-deps", "--no-index", "--target", lib], check=True)
    call = lambda name, *args: subprocess.run([sys.executable, lib / "bin" / f"infobottle-{name}", *map(str, args)], cwd=run.parent, env={**ENV, "PYTHONPATH": str(lib)}, capture_output=True, text=True)
    for name in ("prepare", "train", "evaluate", "predict"):
        done = call(name, "--help")
        assert done.returncode == 0 and f"infobottle-{name}" in done.stdout, done.stderr
    done = call("train", "--data", face_folder, *TRAIN, "--out", run)
    assert done.returncode == 0, done.stderr
    assert 0 <= json.loads((run / "test.json").read_text())["auc"] <= 1
    where = subprocess.run([sys.executable, "-c", "import infobottle_dfd; print(infobottle_dfd.__file__)"], cwd=run.parent, env={**ENV, "PYTHONPATH": str(lib)}, capture_output=True, text=True, check=True)
    assert where.stdout.startswith(str(lib) + os.sep)
