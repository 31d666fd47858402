"""Scores of videos and their intervals."""
from pathlib import Path

import pytest
import torch

from infobottle_dfd.faces.manifest import Face
from infobottle_dfd.judging.intervals import by_video


def test_video_scores_are_means_over_frames():
    rows = [Face(Path(str(i)), y, video=v, method=m) for i, (v, y, m) in enumerate([("a", 1, "x"), ("b", 0, ""), ("a", 1, "x"), ("a", 1, "z"), ("a", 0, "")])]
    videos, p = by_video(rows, torch.tensor([.2, .3, .6, .9, .1]))
    assert sorted(zip([(r.video, r.label, r.method) for r in videos], p.tolist())) == [(("a", 0, ""), pytest.approx(.1)), (("a", 1, "x"), pytest.approx(.4)), (("a", 1, "z"), pytest.approx(.9)), (("b", 0, ""), pytest.approx(.3))]
