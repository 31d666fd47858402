"""The notebooks run, are clean, hold their outputs, and are in step with the library."""
import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted(p for p in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
ENV = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    "The project, copied, so that no test changes it."
    to = tmp_path_factory.mktemp("copy") / "project"
    for name in ("nbs", "infobottle_dfd"):
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("settings.ini", "setup.py", "README.md"):
        shutil.copy(ROOT / name, to)
    return to


def test_every_notebook_runs(figure):
    "nbdev_test: each notebook in a fresh process, two at a time, one thread each."
    start = time.time()
    done = subprocess.run(["nbdev_test", "--path", "nbs", "--n_workers", "2", "--do_print"], cwd=ROOT, env=ENV, capture_output=True, text=True)
    seconds = time.time() - start
    figure(f"all {len(NOTEBOOKS)} notebooks: {seconds:.0f} s (aim 90)")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    ran = set(re.findall(r"Starting \S*?(\w+\.ipynb)", done.stdout + done.stderr))
    assert ran == {p.name for p in NOTEBOOKS}                   # nbdev_test is silent where nothing matches
    assert seconds < 270


def test_library_is_what_the_notebooks_export(copy):
    modules = lambda root: {p.relative_to(root).as_posix(): p.read_text() for p in (root / "infobottle_dfd").rglob("*.py")}
    before = modules(ROOT)
    for p in (copy / "infobottle_dfd").rglob("[!_]*.py"):
        p.unlink()
    subprocess.run(["nbdev_export"], cwd=copy, env=ENV, check=True)
    assert modules(copy) == before


def test_notebooks_are_clean(copy):
    subprocess.run(["nbdev_clean"], cwd=copy, env=ENV, check=True)
    for p in NOTEBOOKS:
        assert (copy / p.relative_to(ROOT)).read_text() == p.read_text(), f"{p.name}: run nbdev_clean"


def headings(path):
    "Anchors of a notebook's headings, as JupyterLab makes them."
    text = "\n".join("".join(c["source"]) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "markdown")
    return {h.strip().replace(" ", "-") for h in re.findall(r"^#+ (.+)$", text, re.M)}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.relative_to(ROOT / "nbs").as_posix())
def test_notebook_can_be_read(path):
    "Title and promise, outputs and no errors, nothing of one machine, no cell that needs a screen, links that lead somewhere."
    text, cells = path.read_text(), json.loads(path.read_text())["cells"]
    source = ["".join(c["source"]) for c in cells]
    code = [c for c in cells if c["cell_type"] == "code"]
    assert re.match(r"# .+\n\n> .+", source[0]), "no title and promise"
    assert sum(bool(c["outputs"]) for c in code) >= .3 * len(code)
    assert not [o for c in code for o in c["outputs"] if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert not re.search(r'["\'\s=(](/root/|/tmp/|/work/|/home/)', text)
    assert path.stat().st_size < 700_000
    for link, anchor in re.findall(r"\]\(([\w./]+\.ipynb)(?:#([^)]+))?\)", "\n".join(source)):
        assert (path.parent / link).exists(), link
        assert not anchor or anchor in headings(path.parent / link), f"{link} has no heading {anchor}"
    assert "What we have now" in text and "Exercises" in text


def test_no_unused_names():
    done = subprocess.run([sys.executable, "-m", "pyflakes", "infobottle_dfd", "tests", "setup.py", "nbs/experiments/results"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_public_things_are_documented():
    for path in (ROOT / "infobottle_dfd").rglob("[!_]*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"
