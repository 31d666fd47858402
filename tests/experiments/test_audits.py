"""Draws with a known truth, audited: what a cell keeps, and that a grid begins where it stopped."""
import json

import pytest

from infobottle_dfd.core import InputError
from infobottle_dfd.experiments import audits


def test_a_draw_keeps_truth_and_numbers():
    "Two blocks that know something and one that does not; the truth lies within three standard errors."
    found = audits.one("few", 3)
    assert len(found["truth"]["alone"]) == len(found["alone"]) == 3 and found["verdict"][2] == "idle"
    assert abs(found["together"] - found["truth"]["together"]) < 3 * found["together_se"] + .02
    assert json.loads(json.dumps(found, default=list))


def test_what_is_there_is_not_drawn_again(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(audits, "one", lambda arm, seed: drawn.append((arm, seed)) or {"seed": seed})
    for _ in range(2):
        audits.run(audits.Audits(("few",), 20, tmp_path))
    assert drawn == [("few", seed) for seed in range(20)]
    assert sorted(p.name for p in tmp_path.glob("*.json")) == ["few-0.json", "few-1.json"]
    for draws in (5, 15, 0, -10):                           # made nothing, or fewer, and said nothing
        with pytest.raises(InputError, match="ask for 10, 20"):
            audits.run(audits.Audits(("few",), draws, tmp_path))
