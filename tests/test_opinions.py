"""Opinions and the identities against formulas written independently of the notebooks."""
import itertools
import math

import numpy as np
import pytest
import torch

from infobottle_dfd.information import H, I
from infobottle_dfd.opinions import clue_law, cross_entropy, expected_kl, posterior

RANDOM = np.random.default_rng(0)
TABLES = torch.tensor(RANDOM.dirichlet(np.full(24, .3), 30).reshape(30, 2, 3, 2, 2))
AXES, BATCH = "a b c y", "... a b c y"
close = lambda u, v, atol=1e-12: torch.testing.assert_close(u, torch.as_tensor(v, dtype=torch.float64), rtol=0, atol=atol)


def test_posterior_by_hand():
    for p in TABLES[:5]:
        got = posterior(p, AXES, "c a").numpy()
        assert got.shape == (2, 1, 2, 2)
        for a, c, y in itertools.product(range(2), repeat=3):
            seen = p[a, :, c, :].sum().item()
            assert got[a, 0, c, y] == pytest.approx(p[a, :, c, y].sum().item() / seen if seen else 0)
    close(posterior(TABLES, BATCH, "b"), torch.stack([posterior(p, AXES, "b") for p in TABLES]))
    with pytest.raises(ValueError, match="'d' is not among"):
        posterior(TABLES[0], AXES, "d")


def test_identities():
    full = posterior(TABLES, BATCH, "a b c")
    for out, rest in (("a", "b c"), ("b", "a c"), ("a c", "b"), ("a b c", "")):
        close(expected_kl(TABLES, BATCH, full, posterior(TABLES, BATCH, rest)), I(TABLES, BATCH, f"{out};y|{rest}", math.e))
    channel = torch.tensor(RANDOM.dirichlet(np.ones(3), (30, 2, 3, 2)))                  # a noisy G of three values, made from a, b, c
    made = torch.einsum("tabcy,tabcg->tabcgy", TABLES, channel)
    axes = "... a b c g y"
    lost = expected_kl(made, axes, posterior(made, axes, "a b c"), posterior(made, axes, "g"))
    close(lost, I(TABLES, BATCH, "a b c;y", math.e) - I(made, axes, "g;y", math.e))


def test_clue_law_by_hand():
    hit, false_alarm, p = (.8, .6, .5), .1, clue_law((.8, .6, .5), .1)
    for x, clues in enumerate(itertools.product((0, 1), repeat=3)):
        for y in (0, 1):
            rate = [h if y else false_alarm for h in hit]
            assert p[x, y].item() == pytest.approx(.5 * math.prod(r if c else 1 - r for c, r in zip(clues, rate)))
    close(clue_law(torch.tensor([hit, (.1, .2, .3)], dtype=torch.float64), .1)[0], p)


def test_bad_opinions():
    p = TABLES[0]
    full = posterior(p, AXES, "a b c")
    for bad in (full * .5, posterior(p, AXES, "a").squeeze(), torch.full((2, 3, 2, 2), math.nan)):
        for call in (lambda: expected_kl(p, AXES, full, bad), lambda: cross_entropy(p, AXES, bad)):
            with pytest.raises(ValueError, match="sum to 1 over y"):
                call()
    with pytest.raises(ValueError, match="must be probabilities"):
        clue_law((1.5,))


def test_cross_entropy():
    p = torch.tensor(RANDOM.dirichlet(np.ones(8), 10).reshape(10, 2, 2, 2))
    axes = "... a b y"
    true, other = posterior(p, axes, "b"), torch.tensor(RANDOM.dirichlet(np.ones(2), (10, 1, 2)))
    torch.testing.assert_close(cross_entropy(p, axes, true), H(p, axes, "y|b", math.e))
    torch.testing.assert_close(cross_entropy(p, axes, other) - cross_entropy(p, axes, true), expected_kl(p, axes, true, other))
    assert cross_entropy(p[0], "a b y", torch.tensor([[[1., 0]]]).double()) == math.inf
