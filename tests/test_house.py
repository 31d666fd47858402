"""The house: imports run downwards only, the course stands alone, modules are short, pages stand in their places, doors open fast."""
import ast
import json
import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
from helpers import ENV, PAGES, ROOT

PACKAGE, PLACES = ROOT / "infobottle_dfd", ROOT / "nbs"
MODULES = {".".join(p.relative_to(PACKAGE).with_suffix("").parts): p for p in sorted(PACKAGE.rglob("[!_]*.py"))}
ENGINE = ("faces", "runs", "judging", "experiments")
FLOORS = [("core", "runs.config"), ("commands", "pages", "held_out"), ("course",), ("faces",), ("runs",), ("judging",), ("training",), ("experiments",)]
HEAVY = {"torch", "numpy", "scipy", "matplotlib", "sklearn"}


def place(path):
    "The module that a page exports to, from where the page stands: nbs/faces/01_clues.ipynb is faces.clues, foundation is the ground."
    *rooms, name = path.relative_to(PLACES).with_suffix("").parts
    return ".".join([*(r for r in rooms if r != "foundation"), re.sub(r"^\d+_", "", name)])


def directives(path, word):
    "What stands behind `#| word` in the cells of a page."
    cells = json.loads(path.read_text())["cells"]
    return [m.strip() for c in cells if c["cell_type"] == "code" for m in re.findall(rf"^#\| *{word}\b(.*)$", "".join(c["source"]), re.M)]


def imports(module):
    "Modules of the package that a module imports, at its top or inside a function."
    here, found = module.split("."), set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.ImportFrom):
            base = here[:len(here) - node.level] if node.level else []
            name = [*base, *(node.module or "").split(".")] if node.level else node.module.split(".")
            name = [part for part in name if part and part != PACKAGE.name]
            if node.level or node.module.split(".")[0] == PACKAGE.name:
                found |= {full if (full := ".".join([*name, a.name])) in MODULES else ".".join(name) for a in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.partition(".")[2] for a in node.names if a.name.split(".")[0] == PACKAGE.name}
    return found - {""}                           # `import infobottle_dfd` loads no room


def floor(module):
    "How far up a module stands."
    room = module.split(".")[0]
    names = (module, room if room in (*ENGINE, "training") else "course")
    return next(i for i, rooms in enumerate(FLOORS) if set(names) & set(rooms))


def test_the_walks_pass_nothing_over():
    "What the tests of pages and modules walk over is what git keeps, and what nbdev finds."
    kept = lambda *what: {ROOT / line for line in subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--deduplicate", "--", *what], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()}
    there = lambda paths: {p for p in paths if p.exists()}
    if (ROOT / ".git").exists():
        assert set(PAGES) == there(kept("nbs/**.ipynb")) and set(MODULES.values()) == {p for p in there(kept("infobottle_dfd/**.py")) if not p.name.startswith("_")}
    from nbdev.doclinks import nbglob
    assert {Path(p).resolve() for p in nbglob(PLACES)} == {p.resolve() for p in PAGES}
    assert len(PAGES) >= 30 and len(MODULES) >= 28


def test_pages_stand_where_their_modules_do():
    "Folders and names agree, every module has its page, and what exports nothing has no module."
    homes = {}
    for path in PAGES:
        named = directives(path, "default_exp")
        assert len(named) == bool(directives(path, "exports?")), f"{path.name}: exports, and names one module"
        if named:
            homes[named[0]] = place(path)
    assert {k: v for k, v in homes.items() if k != v} == {"__init__": "names"}
    assert homes.keys() - {"__init__"} == MODULES.keys()


def test_imports_run_downwards():
    "To a lower floor, or on one floor to a page that is read before; so there is no circle."
    order = {place(p): p.relative_to(PLACES).as_posix() for p in PAGES}
    rank = {m: (floor(m), order.get(m, "")) for m in MODULES}
    up = [f"{m} imports {other}" for m in MODULES for other in imports(m) if rank[other] >= rank[m]]
    assert not up


def test_the_course_stands_alone():
    course = [m for m in MODULES if "." not in m and floor(m) == 2]
    assert {"information", "bottleneck", "bounds", "blocks", "aggregation", "losses", "explaining"} <= set(course)
    assert not [f"{m} imports {other}" for m in course for other in imports(m) if other.split(".")[0] in (*ENGINE, "training")]


def test_modules_are_short():
    "At most 200 lines of code: neither empty nor all comment."
    lines = lambda path: sum(bool(line.strip()) and not line.strip().startswith("#") for line in path.read_text().splitlines())
    assert not {m: n for m, p in MODULES.items() if (n := lines(p)) > 200}


def test_lines_of_code_fit_a_page():
    "No line of a page's code is longer than 100 characters."
    long = [(path.name, cell["id"], line) for path in PAGES for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code" for line in "".join(cell["source"]).splitlines() if len(line) > 100]
    assert not long, long


def test_every_module_has_its_tests():
    "One file a module, in folders as in the package; the readers of benchmarks share one, and the parts of an experiment."
    shared = {m: "faces.readers" for m in ("faces.forensics", "faces.celeb", "faces.dfdc", "faces.lists", "faces.benchmarks")}
    for name, rooms in {"shortcut": ("arms", "probes", "trials"), "speed": ("turns", "programs", "bench"), "runners": ("ablations", "benchmarks", "maps", "real_faces")}.items():
        shared |= {f"experiments.{room}": f"experiments.{name}" for room in rooms}
    wanted = {ROOT / "tests" / Path(*rooms, f"test_{name}.py") for *rooms, name in (shared.get(m, m).split(".") for m in MODULES)}
    assert not [p.relative_to(ROOT).as_posix() for p in sorted(wanted) if not p.exists()]


@pytest.mark.parametrize("module", ["infobottle_dfd", "infobottle_dfd.core", "infobottle_dfd.runs.config", "infobottle_dfd.commands"])
def test_doors_are_light(module):
    "Nothing heavy is loaded before it is used."
    done = subprocess.run([sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"], env=ENV, capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


@pytest.mark.parametrize("name", ["prepare", "train", "evaluate", "predict"])
def test_help_is_quick(name, figure):
    "Half a second of processor time, best of three."
    command, spent = Path(sys.executable).with_name(f"infobottle-{name}"), []
    for _ in range(3):
        child = subprocess.Popen([command, "--help"], env=ENV, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        spent.append(used.ru_utime + used.ru_stime)
    figure(f"infobottle-{name} --help: {min(spent):.2f} s of processor time (aim .5)")
    assert min(spent) < .5


def test_pages_lead_on():
    "The last line of every page leads to the one before, the next one of its folder, the map, and the table of words; the map leads to the first."
    start = PLACES / "00_start.ipynb"
    for path in PAGES:
        last = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "markdown"][-1]
        line = "".join(last["source"]).strip().splitlines()[-1]
        links = {(path.parent / link).resolve() for link in re.findall(r"\]\(([\w./]+\.ipynb)", line)}
        room = sorted(p for p in PAGES if p.parent == path.parent)
        i = room.index(path)
        beside = [] if path == start else room[max(i - 1, 0):i]
        wanted = {p.resolve() for p in chain(beside, room[i + 1:i + 2], [start] * (path != start))}
        assert start.exists() and wanted <= links, f"{path.relative_to(PLACES)}: no link to {sorted(p.name for p in wanted - links)}"
        assert "00_start.ipynb#Words-and-letters)" in line, path.relative_to(PLACES)
