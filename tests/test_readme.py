"""What README.md promises: the main job, and the tests that CI runs."""
import json
import os
import re
import resource
import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers import ROOT

from infobottle_dfd.experiments.cells import read, results
from infobottle_dfd.experiments.seeds import by_seed, compare


@pytest.mark.slow
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


def test_ci_runs_the_readme(tmp_path):
    "What .ci/run takes from README.md is the test command, whole."
    readme = (ROOT / "README.md").read_text()
    block = re.search(r"## Test\n.*?```sh\n(.*?)```", readme, re.S).group(1)
    shown = subprocess.run(["bash", ".ci/run", "--show"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown.strip() == block.strip() and "venv" in block and "pytest" in block


def test_links_lead_somewhere():
    readme = (ROOT / "README.md").read_text()
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", readme) if "://" not in link]
    assert links and not [link for link in links if not (ROOT / link).exists()]


def test_what_pypi_shows(monkeypatch):
    "README.md without the links into the repository; nothing else is lost."
    told = {}
    monkeypatch.setattr("setuptools.setup", told.update)
    runpy.run_path(str(ROOT / "setup.py"))
    readme, shown = (ROOT / "README.md").read_text(), told["long_description"]
    assert not [link for link in re.findall(r"\]\(([^)]+)\)", shown) if "://" not in link]
    assert shown.count("```") == readme.count("```") and "the rest are side roads" in shown and "14_places" in shown


def test_the_example_runs():
    "The Python of README.md, with an objective that every part of the detector hears of."
    train, audit = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    found = {}
    exec(train, found)
    heard = [p.grad is not None and p.grad.abs().sum() > 0 for p in found["detector"].blocks.parameters()]
    assert torch.is_tensor(found["x"]) and sum(heard) > .9 * len(heard)
    exec(audit.replace("print(", "told = ("), measured := {})
    told, shown = measured["told"], re.search(r"```text\n(.*?)\n```", (ROOT / "README.md").read_text(), re.S)[1].splitlines()
    assert [line.split()[-1] for line in shown[3:]] == told.verdict == ["redundant", "redundant", "idle"]
    assert shown[0] == str(told).splitlines()[0] and f"together {told.together:.3f}" in shown[1]


def test_measured_numbers_are_those_stored():
    "Every number of the tables that cells of this repository hold: recomputed, and as many seeds as it says."
    usual, table = {"split": "shortcut", "augment": "shift", "images": 6000}, re.search(r"## Measured\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.S)[1]
    cells = [c for c in read(results("shortcut")) if c["seed"] >= 20 and usual.items() <= c.items()]

    def weak(c):
        return c["weak"]

    def said(arm, epochs):
        some = [c for c in cells if c["epochs"] == epochs]
        values = by_seed(some, arm, weak).values()
        mean = f"{sum(values) / len(values):.3f} ({len(values)} seeds)"
        if arm == "cross-entropy":
            return mean
        d = compare(some, arm, "cross-entropy", weak)
        return f"{mean}, {d.mean:+.3f} ± {(d.high - d.low) / 2:.3f}"
    for arm in ("cross-entropy", "heads", "released", "calm", "places"):
        row = next(r for r in table.splitlines() if r.startswith((f"| {arm} |", f"| `{arm}`")))
        assert [v.strip() for v in row.split("|")[2:4]] == [said(arm, 30), said(arm, 60)], arm
    sixty = [c for c in cells if c["epochs"] == 60]         # the two sentences below it
    assert [arm for arm in ("heads", "released", "calm") if compare(sixty, arm, "cross-entropy", weak).sure] == ["heads", "calm"]
    assert [arm for arm in ("heads", "calm") if compare(sixty, arm, "cross-entropy", weak, False).sure] == ["calm"]
    assert all(compare(sixty, "places", arm, weak).low > 0 for arm in ("cross-entropy", "heads", "released", "calm"))
    assert {c["converged"] for c in cells if (c["arm"], c["epochs"]) == ("cross-entropy", 30)} == {False}
    real = read(results("real_faces"), "*-96-8-*.json")

    def auc(c):
        return c["dfdc_pairs"]["auc"]
    assert ", ".join(f"{v:.3f}" for v in by_seed(real, "cross-entropy", auc).values()) in table
    for arm in ("heads", "released-fixed", "calm", "places"):
        d = compare(real, arm, "cross-entropy", auc)
        assert f"{d.mean:+.3f} ± {(d.high - d.low) / 2:.3f}" in table and not d.sure
    d = compare(read(results(), "dfdc_pairs-96-*.json"), "paper", "cross-entropy", auc)
    assert f"`paper` {d.mean:+.3f} ± {(d.high - d.low) / 2:.3f} ({'two' if len(d.seeds) == 2 else d.seeds} seeds" in table and d.high < 0
    other = [c["ciplab_256"]["auc"] for c in real if c["arm"] != "places"]
    default = [json.loads(p.read_text())["auc"] for p in sorted(results().glob("cluefaces-[0-9].json"))]
    assert f"{min(other):.3f} to {max(other):.3f}" in table and ", ".join(f"{v:.3f}" for v in default) in table
