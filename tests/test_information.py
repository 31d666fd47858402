"""Information on tables against formulas written independently of the notebooks."""
import math

import numpy as np
import pytest
import torch

from infobottle_dfd.bottleneck import cross_entropy, expected_kl, posterior
from infobottle_dfd.information import H, I, interaction, kl, marginal

LAWS = [torch.tensor(np.random.default_rng(s).dirichlet(np.full(24, .3)).reshape(2, 3, 2, 2)) for s in range(30)]
AXES = "a b c y"


def conditional_information(p: np.ndarray) -> float:
    "I(a;y|c) in nats by the sum over cells, for a table over a, b, c, y."
    p, total = p.sum(1), 0.
    for a in range(p.shape[0]):
        for c in range(p.shape[1]):
            for y in range(p.shape[2]):
                if p[a, c, y] > 0:
                    total += p[a, c, y] * math.log(p[a, c, y] * p[:, c, :].sum() / (p[a, c, :].sum() * p[:, c, y].sum()))
    return total


@pytest.mark.parametrize("p", LAWS)
def test_conditional_information(p):
    assert float(I(p, AXES, "a;y|c", math.e)) == pytest.approx(conditional_information(p.numpy()), abs=1e-12)
    assert float(I(p, AXES, "a;y|c")) == pytest.approx(conditional_information(p.numpy()) / math.log(2), abs=1e-12)


@pytest.mark.parametrize("p", LAWS)
def test_laws(p):
    assert float(I(p, AXES, "a b;y|c") - I(p, AXES, "a;y|c") - I(p, AXES, "b;y|a c")) == pytest.approx(0, abs=1e-12)
    assert float(I(p, AXES, "y;a|b")) == pytest.approx(float(I(p, AXES, "a;y|b")), abs=1e-12)
    assert I(p, AXES, "a;y") > -1e-12 and H(p, AXES, "y|a b c") > -1e-12
    assert float(interaction(p, AXES, "a;b;y")) == pytest.approx(float(interaction(p, AXES, "b;y;a")), abs=1e-12)


@pytest.mark.parametrize("p", LAWS)
def test_opinions(p):
    full, part = posterior(p, AXES, "a b c"), posterior(p, AXES, "b c")
    assert float(expected_kl(p, full.nan_to_num(), part.nan_to_num())) == pytest.approx(float(I(p, AXES, "a;y|b c", math.e)), abs=1e-12)
    wrong = torch.full((1, 1, 1, 2), .5, dtype=p.dtype)
    assert cross_entropy(p, wrong) >= H(p, AXES, "y|a b c", math.e) - 1e-12


def test_kl_limits():
    p, q = torch.tensor([.5, .5]), torch.tensor([1., 0.])
    assert kl(p, p) == 0 and kl(p, q) == math.inf and kl(q, p) == pytest.approx(1)


@pytest.mark.parametrize("table, axes, keep, word", [
    (torch.tensor([.5, .6]), "y", "y", "sum 1.1"), (torch.tensor([1.5, -.5]), "y", "y", "entries from -0.5"),
    (torch.tensor([.5, .5]), "y z", "y", "1 axes"), (torch.tensor([.5, .5]), "y", "z", "'z' is not among"),
    (torch.full((2, 2), .25), "y y", "y", "named twice")])
def test_bad_tables(table, axes, keep, word):
    with pytest.raises(ValueError, match=word):
        marginal(table, axes, keep)


def test_gradient():
    w = torch.randn(4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: I(w.softmax(0).reshape(2, 2), "z y", "z;y"), w)
