"""Solutions: every exercise of the course has one, with a check, and the checks hold however far the page has been run."""
import ast
import json
import re

import pytest
from helpers import PAGES

SOLVED = [p for p in PAGES if p.parent.name == "solutions"]


def cells_of(path, kind):
    "The sources of a page's cells."
    return ["".join(c["source"]) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == kind]


def bound(node):
    "Names that a statement binds where it stands."
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    inside = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    names, left = set(), [node]
    while left:
        at = left.pop()
        if isinstance(at, ast.Name) and isinstance(at.ctx, ast.Store):
            names.add(at.id)
        if isinstance(at, ast.FunctionDef):
            names.add(at.name)
        elif not isinstance(at, inside):
            left += ast.iter_child_nodes(at)
    return names


@pytest.mark.parametrize("path", SOLVED, ids=lambda p: p.stem)
def test_checks_keep_their_words(path):
    "No name that a check reads, itself or through another function, is bound anew further down."
    code = [ast.parse(s) for s in cells_of(path, "code")]
    places, reads = {}, {}                                    # name -> cells that bind it; function -> names it reads
    for k, tree in enumerate(code):
        for node in tree.body:
            for name in bound(node):
                places.setdefault(name, []).append(k)
            if isinstance(node, ast.FunctionDef):
                default = {n.id for d in (*node.args.defaults, *filter(None, node.args.kw_defaults)) for n in ast.walk(d) if isinstance(n, ast.Name)}
                own = {a.arg for n in ast.walk(node) if isinstance(n, ast.arguments) for a in (*n.args, *n.kwonlyargs)} | {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
                reads[node.name] = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} - own - default
    checks = [name for name in reads if name.startswith("check_")]
    assert len(checks) >= 3, "a check for every exercise"
    for check in checks:
        seen, left = set(), [check]
        while left:
            for name in reads.get(left.pop(), ()):
                if name in places and name not in seen:
                    seen.add(name)
                    left.append(name)
        last = places[check][-1]
        assert not (late := {name for name in seen if max(places[name]) > last}), f"{check} reads {late}, which a later cell binds anew"


@pytest.mark.parametrize("path", SOLVED, ids=lambda p: p.stem)
def test_checks_accept_and_reject(path):
    "Each is shown an answer in another form, and a plausible wrong one."
    asserts = "\n".join(line for s in cells_of(path, "code") for line in s.splitlines() if re.match(r"\s*assert ", line))
    for k in (1, 2, 3):
        assert re.search(rf"(?<!not )\bcheck_{k}\(", asserts) and f"not check_{k}(" in asserts, f"exercise {k}"
