"Where a detector points: two numbers with known ends, and a cell of the runner."
import json

import pytest
import torch
from torch.utils.data import TensorDataset

from infobottle_dfd.experiments.where import Where, fakes, overlap, run, within
from infobottle_dfd.faces.clues import CLUES
from infobottle_dfd.places import Places


def test_within_is_the_mean_auc_of_faces():
    true = torch.tensor([[[1., 0.], [0., 0.]], [[1., 1.], [0., 0.]], [[0., 0.], [0., 0.]]])        # the last says nothing
    assert within(true, true) == 1 and within(-true, true) == 0 and within(torch.zeros(3, 2, 2), true) == .5
    half = torch.tensor([[[.9, .1], [.2, .3]], [[.9, .1], [.2, .3]], [[.1, .2], [.3, .4]]])
    assert within(half, true) == pytest.approx((1 + .5) / 2)


def test_overlap():
    true = torch.tensor([[[1., 1.], [0., 0.]]])
    assert overlap(true, true, .5) == 1 and overlap(1 - true, true, .5) == 0
    assert overlap(torch.ones(1, 2, 2), true, .5) == .5


def test_a_cell(tmp_path):
    run(Where((0,), epochs=1, images=64, judged=32, out=tmp_path))
    cell = json.loads((tmp_path / "places-0.json").read_text())
    assert set(cell["auc"]) == set(CLUES) == set(cell["iou"]) and {"command", "commit", "device"} <= {*cell}
    assert all(0 <= v <= 1 for found in (cell["auc"], cell["iou"]) for by in found.values() for v in by.values())
    assert all(len(m) == 6 for by in cell["examples"].values() for m in by.values())


def test_fakes_are_handed_out_with_their_places_and_unknown_masks_are_left_out():
    "One of four corners is changed in each; the real face and the fake without a mask are not among them."
    corners = torch.zeros(8, 1, 8, 8)
    for k in range(1, 7):
        corners[k, 0, 4 * (k % 2):4 * (k % 2) + 4, 4 * (k // 2 % 2):4 * (k // 2 % 2) + 4] = 255
    x, y = torch.rand(8, 3, 8, 8), torch.tensor([0] + [1] * 7)
    faces = TensorDataset(x, y, corners)
    faces.y = y
    (seen, true), = fakes(faces, Places(1, 2, f=1, cells=2))
    assert torch.equal(seen, x[1:7] / 255) and torch.equal(true, corners[1:7, 0, ::4, ::4] / 255)
