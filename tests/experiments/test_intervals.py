"""The simulation of intervals: it repeats itself, and what is stored says what the page says."""
import json

import numpy as np
import pytest

from helpers import ROOT
from infobottle_dfd.core import InputError
from infobottle_dfd.experiments.intervals import LAYOUTS, Study, combination, faces, run, scores


def test_a_row_depends_on_its_settings_alone():
    assert combination("skewed", "unequal", .96, 5, 10, 40) == combination("skewed", "unequal", .96, 5, 10, 40)


def test_scores_have_the_auc_they_should():
    y, u = np.arange(40_000) % 2, np.random.default_rng(0).random(40_000)
    for shape in ("binormal", "skewed", "hidden"):
        s = scores(shape, .9, u, y)
        assert abs((s[y == 1][:, None][::20] > s[y == 0][::20]).mean() - .9) < .01


def test_units_of_both_classes_are_shared():
    assert all(len(set(faces(layout, 5, 5)[1])) == (5 if layout.startswith("both") else 10) for layout in LAYOUTS)


def test_what_is_there_is_passed_over(tmp_path, monkeypatch):
    from infobottle_dfd.experiments import intervals
    monkeypatch.setattr(intervals, "combination", lambda *a: {"of": a})
    run(Study(3, tmp_path))
    kept = {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    run(Study(3, tmp_path))
    assert len(kept) == 11 and kept == {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    with pytest.raises(InputError, match="--draws"):        # files of other draws are no cells of this study
        run(Study(4, tmp_path))


def test_stored_intervals_hold():
    "93 % or more in every combination, 2,000 sets each."
    rows = [r for f in (ROOT / "nbs/experiments/results/intervals").glob("*.json") for r in json.loads(f.read_text())["rows"]]
    assert len(rows) == 174 and {r["draws"] for r in rows} == {2000}
    assert min(r[what]["holds"] for r in rows for what in ("interval", "difference")) > .93
