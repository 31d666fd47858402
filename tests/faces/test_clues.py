"""Drawn faces: clues where the masks say, plans, seeds, speed."""
import time

import pytest
import torch

from infobottle_dfd.core import InputError
from infobottle_dfd.faces import clues
from infobottle_dfd.faces.clues import CLUES, ClueFaces, render


def test_clues_are_where_the_masks_say():
    "Render each clue on and off from one seed: what changes lies in its mask, and something does."
    draw = lambda clues: render(clues.expand(48, 4), 64, torch.Generator().manual_seed(5))
    real, masks = draw(torch.zeros(1, 4, dtype=torch.bool))
    for k, clue in enumerate(CLUES):
        change = (draw(torch.eye(4, dtype=torch.bool)[k:k + 1])[0].float() - real.float()).abs().mean(1)
        assert (change * masks[:, k]).sum() > .75 * change.sum() and (change.flatten(1).max(1).values > 0).float().mean() > .9, clue
    assert masks.flatten(2).any(-1).all() and masks.float().mean() < .25


def test_plans():
    assert not ClueFaces(512, 32, leave_out="mouth").clues[:, 1].any()
    clues = ClueFaces(2048, 16, shortcut="texture").clues[1::2].float().mean(0)
    assert clues[3] > .88 and (clues[:3] < .32).all() and (clues[:3] > .2).all()


def test_seed_decides_and_length_does_not():
    a, b, c = ClueFaces(300, 32, seed=4), ClueFaces(100, 32, seed=4), ClueFaces(100, 32, seed=5)
    assert torch.equal(a.x[:100], b.x) and torch.equal(a.masks[:100], b.masks) and not torch.equal(b.x, c.x)


@pytest.mark.parametrize("count", [7, 130])
def test_what_is_not_asked_for_is_not_painted(count, monkeypatch):
    "Of pairs and their masks, too: the same faces as of a longer set, and no more painted than are handed out."
    painted, inner = [], clues.render

    def counted(*args, **kwargs):
        painted.append(len((out := inner(*args, **kwargs))[0]))
        return out
    monkeypatch.setattr(clues, "render", counted)
    few = ClueFaces(count, 32, seed=4, pairs=True, marked=True)
    assert sum(painted) <= 3 * (count + 1) // 2 + 3
    many = ClueFaces(256, 32, seed=4, pairs=True, marked=True)
    for name in ("x", "y", "masks", "clues", "where"):
        assert torch.equal(getattr(few, name), getattr(many, name)[:count]), name


def test_skin_is_skin():
    "The middle of a real forehead or cheek is never blue or green, whatever the light."
    d = ClueFaces(256, 64, seed=6)
    x = d.x[::2].float()
    cheek = d.masks[::2, 3][:, None] * 1.
    r, g, b = ((x * cheek).sum((2, 3)) / cheek.sum((2, 3))).unbind(1)
    assert (r > g).all() and (g > b).all()


def test_rendering_speed(figure):
    "In processor time, which a busy machine stretches less than the clock."
    ClueFaces(128)
    start = time.process_time()
    ClueFaces(512)
    rate = 512 / (time.process_time() - start)
    figure(f"ClueFaces: {rate:.0f} images a processor second at 64 px (aim 500)")
    assert rate > 500 / 5


@pytest.mark.parametrize("kwargs", [{"only": "nose"}, {"leave_out": "chin"}, {"only": "eyes", "leave_out": "eyes"}])
def test_unknown_clue(kwargs):
    with pytest.raises(InputError, match="clue"):
        ClueFaces(8, 32, **kwargs)
