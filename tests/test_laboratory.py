"""The joint table of several blocks against loops."""
import itertools

import numpy as np
import pytest
import torch

from infobottle_dfd.core import InputError
from infobottle_dfd.information import H, profile
from infobottle_dfd.laboratory import block_table
from infobottle_dfd.opinions import clue_law

RANDOM = np.random.default_rng(0)
close = lambda u, v: torch.testing.assert_close(u, v, rtol=0, atol=1e-12)


def test_block_table_by_hand():
    p, q = torch.tensor(RANDOM.dirichlet(np.ones(10)).reshape(5, 2)), torch.tensor(RANDOM.dirichlet(np.ones(3), (2, 3, 5)))     # 2 runs, n = 3
    got = block_table(p, q)
    assert got.shape == (2, 3, 3, 3, 2)
    for r, a, b, c, y in itertools.product(range(2), range(3), range(3), range(3), range(2)):
        assert got[r, a, b, c, y].item() == pytest.approx(sum((p[x, y] * q[r, 0, x, a] * q[r, 1, x, b] * q[r, 2, x, c]).item() for x in range(5)))
    perfect = block_table(p, torch.eye(5).double().expand(1, 5, 5))                      # one block that reports x
    close(H(perfect, "z1 y", "z1 y"), H(p, "x y", "x y"))


def test_perfect_clues_cannot_beat_the_lone_expert():
    "Clues that are a function of the label: whatever four blocks do, I(Z;y) + the sum of conditional terms is at most 2 H(y)."
    p = clue_law((1., 1, 1, 1), 0.)
    added, together, _ = profile(block_table(p, torch.tensor(RANDOM.dirichlet(np.full(2, .3), (300, 4, 16)))), "... z1 z2 z3 z4 y")
    assert (added.sum(0) <= together + 1e-12).all()


def test_bad_encoders():
    p, q = torch.full((2, 2), .25), torch.full((3, 2, 2), .5)
    for call, word in ((lambda: block_table(p, 2 * q), "sum 2"), (lambda: block_table(2 * p, q), "sum 2"), (lambda: block_table(p, torch.full((3, 4, 2), .5)), "read 4 values"),
                       (lambda: block_table(p, torch.tensor([[[1.5, -.5]] * 2])), "from -0.5")):
        with pytest.raises(InputError, match=word):
            call()
