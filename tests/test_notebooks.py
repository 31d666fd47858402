"""The notebooks run, are clean, hold their outputs, lead somewhere, and are in step with the library."""
import ast
import json
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from helpers import ENV, PAGES, ROOT
from nbformat.v4 import new_code_cell, new_notebook

page_name = lambda p: p.relative_to(ROOT / "nbs").as_posix()
# A process that imports once what pages need and forks for every page, so that each is run by nbdev in a process of its own. The
# library itself is imported by the page. What comes in is a page and a folder for what it says and leaves behind. A cell that took
# less than .05 s is at once run again, as by a reader who changes a number in it, and leaves torch's dice as the first run did; one
# that removes a folder is not.
RUNNER = '''
import json, os, sys, tempfile, time
from pathlib import Path
import IPython, matplotlib.pyplot, scipy.stats, sklearn.metrics, torch, torchvision
from execnb.shell import CaptureShell
from nbdev.config import get_config
from nbdev.test import test_nb

once, refused = CaptureShell.cell, []
def twice(shell, cell, **options):
    start = time.perf_counter()
    once(shell, cell, **options)
    quick, dice = time.perf_counter() - start < .05, torch.get_rng_state()
    if cell.cell_type == "code" and quick and not shell.exc and "rmtree(" not in cell.source:
        once(shell, cell, **options)
        torch.set_rng_state(dice)
        if shell.exc: refused.append(cell.source)
CaptureShell.cell = twice

flags = get_config().tst_flags.split()
for line in sys.stdin:
    page, folder = map(Path, json.loads(line))
    if not (child := os.fork()):
        said = os.open(folder / "said.txt", os.O_CREAT | os.O_WRONLY)
        os.dup2(said, 1), os.dup2(said, 2)
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
        done, _ = test_nb(page, flags)
        if refused: print("it was the second run, at once after the first, of the cell", *refused, sep="\\n")
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(not done)
    _, status, used = os.wait4(child, 0)
    print(json.dumps([status, used.ru_utime + used.ru_stime]), flush=True)
'''


@pytest.fixture(scope="module")
def run_page():
    "Run a page; its status, and the processor time that it took."
    with subprocess.Popen([sys.executable, "-c", RUNNER], cwd=ROOT, env=ENV, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as runner:
        def run(*places):
            print(json.dumps([str(p) for p in places]), file=runner.stdin, flush=True)
            return json.loads(runner.stdout.readline())
        yield run
        runner.stdin.close()


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_page_runs(path, run_page, tmp_path, figure):
    "As nbdev_test runs it, without the cells that are marked slow, in a fresh process, with one thread; quick cells twice in a row."
    status, seconds = run_page(path, tmp_path)
    figure(f"{page_name(path)}: {seconds:.1f} s of processor time")
    assert status == 0, (tmp_path / "said.txt").read_text()[-3000:]


@pytest.mark.parametrize("cell, passes", [
    ("n += 1; assert n == 1", False), ("n += 1; assert n == 2", False), ("n += 1; assert n < 3", True),
    ("n += 1; assert n == 1     # rmtree(", True), ("n += 1; time.sleep(.3); assert n == 1", True)])
def test_quick_cells_run_twice(cell, passes, run_page, tmp_path):
    "A cell that cannot be run again is refused, and said to be so; one that fails at once, or is slow, or removes a folder, runs once."
    page = tmp_path / "page.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(s) for s in ("import time; n = 0", cell, "assert n == 2" if "< 3" in cell else "")]), page)
    assert (run_page(page, tmp_path)[0] == 0) == passes
    assert ("second run" in (tmp_path / "said.txt").read_text()) == (not passes and "== 1" in cell)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    "The project, copied, so that no test changes it."
    to = tmp_path_factory.mktemp("copy") / "project"
    for name in ("nbs", "infobottle_dfd"):
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("settings.ini", "setup.py", "README.md"):
        shutil.copy(ROOT / name, to)
    return to


def test_library_is_what_the_notebooks_export(copy):
    modules = lambda root: {p.relative_to(root).as_posix(): p.read_text() for p in (root / "infobottle_dfd").rglob("*.py")}
    before = modules(ROOT)
    for p in (copy / "infobottle_dfd").rglob("[!_]*.py"):
        p.unlink()
    subprocess.run(["nbdev_export"], cwd=copy, env=ENV, check=True)
    assert modules(copy) == before


def test_notebooks_are_clean(copy):
    subprocess.run(["nbdev_clean"], cwd=copy, env=ENV, check=True)
    for p in PAGES:
        assert (copy / p.relative_to(ROOT)).read_text() == p.read_text(), f"{page_name(p)}: run nbdev_clean"


def headings(path):
    "Anchors of a notebook's headings, as JupyterLab makes them."
    text = "\n".join("".join(c["source"]) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "markdown")
    return {h.strip().replace(" ", "-") for h in re.findall(r"^#+ (.+)$", text, re.M)}


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_page_can_be_read(path):
    "Title and promise, outputs and no errors, nothing of one machine, no cell that needs a screen, links that lead somewhere."
    text, cells = path.read_text(), json.loads(path.read_text())["cells"]
    source = ["".join(c["source"]) for c in cells]
    code = [c for c in cells if c["cell_type"] == "code"]
    shown = [c for c in code if not c["metadata"].get("jupyter", {}).get("source_hidden") and not re.search(r"^#\| *(export|hide)", "".join(c["source"]), re.M)]
    assert re.match(r"# .+\n\n> .+", source[0]), "no title and promise"
    assert sum(bool(c["outputs"]) for c in shown) >= .4 * len(shown), "few cells show something"
    assert not [o for c in code for o in c["outputs"] if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert not re.search(r'["\'\s=(](/root/|/tmp/|/work/|/home/)', text)
    assert path.stat().st_size < 700_000
    said = ["".join(o.get("text", o.get("data", {}).get("text/plain", ""))) for c in code for o in c["outputs"] if "image/png" not in o.get("data", {})]
    assert not [t for t in said if re.search(r" at 0x[0-9a-f]{6}", t)], "an object's address, printed by its last line"
    for link, anchor in re.findall(r"\]\(([\w./]+\.ipynb)(?:#([^)]+))?\)", "\n".join(source)):
        assert (path.parent / link).exists(), link
        assert not anchor or anchor in headings(path.parent / link), f"{link} has no heading {anchor}"
    assert path.parent.name == "solutions" or "What we have now" in text and "Exercises" in text


def test_no_unused_names():
    done = subprocess.run([sys.executable, "-m", "pyflakes", "infobottle_dfd", "tests", "setup.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_public_things_are_documented():
    for path in (ROOT / "infobottle_dfd").rglob("[!_]*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.relative_to(ROOT)}: {node.name}"
