"""A grid of cells can be stopped anywhere, and says what it cannot go on with."""
import json
from pathlib import Path

import pytest

import infobottle_dfd
from infobottle_dfd.core import InputError
from infobottle_dfd.experiments.cells import fill, must_know, read, results, stamp


def test_a_grid_goes_on_where_it_was_cut(tmp_path):
    made = []
    def cell(name, cut=False):
        if cut:
            raise KeyboardInterrupt
        made.append(name)
        return {"arm": name, "seed": 0}
    plan = {n: lambda n=n: cell(n, cut=n == "b") for n in "abc"}
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "new", plan)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.json"]
    fill(tmp_path / "new", {n: lambda n=n: cell(n) for n in "abc"})
    assert made == ["a", "b", "c"] and [c["arm"] for c in read(tmp_path / "new")] == ["a", "b", "c"]


def test_what_is_no_cell_is_named(tmp_path):
    for text in ("{", "[1]", json.dumps({"arm": "A"})):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(InputError, match="x.json: no cell"):
            read(tmp_path)


def test_results_of_an_installed_library_lie_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(infobottle_dfd, "__file__", str(tmp_path / "infobottle_dfd/__init__.py"))
    assert results("shortcut") == Path("results/shortcut") and stamp("shortcut", {})["commit"] is None


def test_stored_results_are_cells():
    for folder in ("shortcut", "ablations"):
        assert len(read(results(folder))) > 10


def test_a_name_that_there_is_not():
    must_know(["A", "B"], {"A": 1, "B": 2})
    with pytest.raises(InputError, match="unknown 'C'; choose from A, B"):
        must_know(["A", "C"], {"A": 1, "B": 2})


def test_a_cell_of_other_options_is_no_cell_of_this_grid(tmp_path):
    "What a name does not tell must be as it was; damage is said before any work, the way out is the experiment's own."
    made, plan = {"arm": "a", "seed": 0, "command": "python -m x --images 64 --lr 0.001"}, {"a-0": lambda: made}
    fill(tmp_path, plan, same={"images": 64})
    fill(tmp_path, plan, same={"images": 64, "lr": .001, "judged": 5})           # what an older command did not say
    with pytest.raises(InputError, match="a-0.json: was made with --images 64; ask for that, or name another --out"):
        fill(tmp_path, plan, same={"images": 640})
    (tmp_path / "a-0.json").write_text("")
    with pytest.raises(InputError, match="no cell of an experiment"):
        fill(tmp_path, plan | {"b-0": None})

    def stops(said):
        raise InputError(said)
    for said, told in (("x: holds a run with other settings; take those, or another --out", "or another --work"),
                       ("stopped by SIGTERM; everything is saved, go on with --out x --resume", "the same command goes on")):
        with pytest.raises(InputError, match=told):
            fill(tmp_path / "new", {"b-0": lambda: stops(said)})


def test_unfinished_work_goes_after_the_cell_is_written(tmp_path):
    "Not before: a full disk, or a kill between the two, would lose the training."
    (work := tmp_path / "work/a-0").mkdir(parents=True)

    def make():
        (tmp_path / "out/a-0.json").mkdir()                  # so it cannot be written
        return {"arm": "a", "seed": 0}
    with pytest.raises((InputError, OSError)):
        fill(tmp_path / "out", {"a-0": make}, work=tmp_path / "work")
    assert work.is_dir()
    (tmp_path / "out/a-0.json").rmdir()
    fill(tmp_path / "out", {"a-0": lambda: {"arm": "a", "seed": 0}}, work=tmp_path / "work")
    assert not work.exists() and (tmp_path / "out/a-0.json").is_file()


def test_a_finished_cell_leaves_no_state(tmp_path):
    "A process killed between the cell and its state left the state for good; another grid's unfinished one stays."
    out, work, made = tmp_path / "out", tmp_path / "work", {"arm": "a", "seed": 0}
    (work / "a-0").mkdir(parents=True)
    fill(out, {"a-0": lambda: made}, work=work)
    assert not any(work.iterdir())
    for left in ("a-0", "a-0.done"):                    # killed before the state was put aside, and while it was taken away
        (work / left).mkdir()
        (work / left / "done").touch()
        fill(out, {"a-0": None}, work=work)
        assert not any(work.iterdir())
    (work / "a-0").mkdir()
    (work / "a-0/last.pt").touch()
    fill(out, {"a-0": None}, work=work)
    assert (work / "a-0/last.pt").exists()
