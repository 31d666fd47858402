"""A grid of cells can be stopped anywhere; two arms are compared over the seeds they share."""
import json
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from scipy.stats import t as student

import infobottle_dfd
from infobottle_dfd.core import InputError
from infobottle_dfd.experiments.cells import against, by_seed, colour_of, compare, dots, fill, forest, must_know, read, results, stamp

MADE = [{"arm": a, "seed": s, "auc": v} for a, values in (("A", (.5, .6, .7)), ("B", (.6, .8, .7, .9))) for s, v in enumerate(values)]


def auc(c):
    "The number that is compared."
    return c["auc"]


def test_the_interval_is_students_over_common_seeds():
    d = compare(MADE, "B", "A", auc)
    each = [.1, .2, 0.]
    mean = sum(each) / 3
    half = student.ppf(.975, 2) * (sum((v - mean) ** 2 for v in each) / 2) ** .5 / 3 ** .5
    assert d.seeds == (0, 1, 2) and d[:3] == pytest.approx((mean, mean - half, mean + half))
    assert not d.sure and str(d).endswith("n.s.")
    back = compare(MADE, "A", "B", auc)
    assert back[:3] == pytest.approx((-d.mean, -d.high, -d.low))


def test_unpaired_takes_all_seeds():
    d = compare(MADE, "B", "A", auc, paired=False)
    assert d.mean == pytest.approx(.75 - .6) and d.seeds == (0, 1, 2, 3)


def test_too_few_seeds_and_double_cells_are_named():
    with pytest.raises(InputError, match="two seeds that both have"):
        compare(MADE[:1] + MADE[3:], "B", "A", auc)
    with pytest.raises(InputError, match="two cells of seed 0"):
        by_seed(MADE + MADE[:1], "A", auc)


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


def test_old_results_are_cells():
    for folder in ("modes", "small", "maps"):
        assert len(read(results(folder))) > 10


def test_a_name_that_there_is_not():
    must_know(["A", "B"], {"A": 1, "B": 2})
    with pytest.raises(InputError, match="unknown 'C'; choose from A, B"):
        must_know(["A", "C"], {"A": 1, "B": 2})


def test_against_one_arm():
    "Two common seeds and more: as compare; one: the bare difference, never sure; none: no row."
    some = [*MADE, {"arm": "C", "seed": 1, "auc": .65}, {"arm": "D", "seed": 9, "auc": .65}]
    rows = against(some, ["A", "B", "C", "D"], "A", auc)
    assert [*rows] == ["B", "C"] and rows["B"] == compare(MADE, "B", "A", auc)
    assert rows["C"].mean == pytest.approx(.05) and rows["C"].seeds == (1,) and not rows["C"].sure and str(rows["C"]) == "+0.050 (one seed)"


def test_pictures_of_arms():
    "A variant has the colour of its arm; one seed is a cross and is called so, in both pictures; an arm without cells is an empty row."
    colours = {"places": "#009E73", "sd": "#F0E442"}
    assert colour_of("places, pairs, thick masks", colours) == colours["places"] and colour_of("sd@0.02", colours) == colours["sd"]
    assert colour_of("one wide block", colours) == "#999999"
    _, (left, right) = plt.subplots(1, 2)
    forest(left, {"B": compare(MADE, "B", "A", auc), "C": against([*MADE, {"arm": "C", "seed": 1, "auc": .65}], ["C"], "A", auc)["C"], "D": None}, {})
    dots(right, {"A": by_seed(MADE, "A", auc), "C": {1: .65}, "D": {}}, {})
    said = [[t.get_text() for t in ax.get_yticklabels()] for ax in (left, right)]
    assert said == [["B (3)", "C (one seed)", "D"], ["A (3)", "C (one seed)", "D"]] and "x" in {line.get_marker() for line in left.lines}
