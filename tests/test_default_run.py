"""The main job, as README.md gives it: infobottle-train with no arguments."""
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path


def test_default_run(tmp_path, figure):
    start = time.time()
    command = Path(sys.executable).parent / "infobottle-train"
    done = subprocess.run([command], cwd=tmp_path, capture_output=True, text=True, env={k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"})
    seconds, memory = time.time() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2 ** 20
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "runs/cluefaces-1/test.json").read_text())
    figure(f"infobottle-train: {seconds:.0f} s (aim 180), {memory:.1f} GiB (aim 4), test AUC {report['auc']:.4f} (aim .95), per clue "
           + ", ".join(f"{k} {v:.3f}" for k, v in report["auc_per_clue"].items()))
    assert report["auc"] >= .95 and all(.75 <= v <= .995 for v in report["auc_per_clue"].values())
    assert seconds < 3 * 180 and memory < 4
    for word in ("test AUC", "accuracy", "log-loss", "AUC eyes", "AUC texture", "seconds", "run folder     runs/cluefaces-1"):
        assert word in done.stdout
