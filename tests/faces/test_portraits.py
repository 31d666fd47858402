"""Portraits are drawn from a seed, layer by layer."""
import torch

from infobottle_dfd.faces.portraits import Portrait, disc, paint_back, paint_eyes, paint_head, paint_middle


def draw(clues, layers=(paint_back, paint_head, paint_eyes, paint_middle)):
    p = Portrait(clues, 48, torch.Generator().manual_seed(1))
    for layer in layers:
        layer(p)
    return p.image


def test_a_disc_covers_its_middle_alone():
    x = torch.linspace(-1, 1, 65)
    soft = disc(x[None, None], torch.zeros(1, 1, 65), 0., 0., .5, .3)
    assert soft[0, 0, 32] == 1 and soft[0, 0, 0] == 0 and abs(float(soft[0, 0, 48]) - .5) < 1e-3


def test_a_seed_is_a_person_and_a_clue_changes_the_eyes_alone():
    none = torch.zeros(6, 4, dtype=torch.bool)
    eyes = none.clone()
    eyes[:, 0] = True
    differs = (draw(none) != draw(eyes)).any(1).float().mean((1, 2))
    assert torch.equal(draw(none), draw(none)) and (differs > 0).all() and (differs < .03).all()
