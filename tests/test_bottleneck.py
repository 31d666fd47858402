"""Encoders and the bottleneck's curve against formulas written independently of the notebooks."""
import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, minimize

from infobottle_dfd.bottleneck import bottleneck, bottleneck_step, encode, gaussian_bottleneck
from infobottle_dfd.core import InputError
from infobottle_dfd.information import I
from infobottle_dfd.opinions import clue_law, expected_kl, posterior

RANDOM = np.random.default_rng(0)
close = lambda u, v, atol=1e-12: torch.testing.assert_close(u, torch.as_tensor(v, dtype=torch.float64), rtol=0, atol=atol)
binary_entropy = lambda q: -q * math.log2(q) - (1 - q) * math.log2(1 - q)


def information(joint: np.ndarray) -> float:
    "I of a two-way table, bits, by the sum over cells."
    product = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    return float(sum(j * math.log2(j / q) for j, q in zip(joint.flat, product.flat) if j > 0))


def test_sufficient_and_superfluous():
    p, q = torch.tensor(RANDOM.dirichlet(np.ones(10), 50).reshape(50, 5, 2)), torch.tensor(RANDOM.dirichlet(np.ones(3), (50, 5)))
    for joint, x, z in zip(encode(p, q), p, q):
        joint = joint.numpy()
        about_y, all_ = information(joint.sum(0)), information(joint.sum(2))
        given = sum(joint[..., y].sum() * information(joint[..., y] / joint[..., y].sum()) for y in (0, 1))
        assert all_ == pytest.approx(about_y + given, abs=1e-12)
    close(I(encode(p, q), "... x z y", "z;y|x"), torch.zeros(50))


def test_step_never_raises_the_lagrangian():
    p = torch.tensor(RANDOM.dirichlet(np.ones(10)).reshape(5, 2))
    q, beta = torch.tensor(RANDOM.dirichlet(np.ones(3), (40, 5))), torch.linspace(.5, 20, 40, dtype=torch.float64)
    value = lambda q: I(encode(p, q), "... x z y", "x;z") - beta * I(encode(p, q), "... x z y", "z;y")
    for _ in range(20):
        after = bottleneck_step(p, q, beta)
        close(after.sum(-1), torch.ones(40, 5))
        assert (value(after) <= value(q) + 1e-12).all()
        q = after


def test_curve_of_the_binary_channel():
    "A fair bit through a channel that flips .1: I(z;y) = 1 - h(.1 * h^-1(1 - I(x;z))) (Mrs. Gerber's lemma; Witsenhausen and Wyner 1975)."
    torch.manual_seed(0)
    kept, known = bottleneck(torch.tensor([[.45, .05], [.05, .45]]).double(), torch.tensor([1.7, 2., 3., 5., 20.]).double(), values=2, steps=1500)
    assert kept[0] > .05
    for r, i in zip(kept.tolist(), known.tolist()):
        flip = brentq(lambda d: binary_entropy(d) - (1 - r), 1e-12, .5) if r < 1 - 1e-9 else 0
        assert i == pytest.approx(1 - binary_entropy(.1 * (1 - flip) + .9 * flip), abs=1e-6)


@pytest.mark.parametrize("seed", [0, 40, 115])
def test_curve_against_every_encoder(seed):
    p = np.random.default_rng(seed).dirichlet(np.ones(6)).reshape(3, 2)
    beta = np.array([1.5, 3., 8., 30.])
    torch.manual_seed(0)
    kept, known = bottleneck(torch.tensor(p), torch.tensor(beta), values=2)
    best = np.full(4, np.inf)
    for hit in itertools.product(np.linspace(0, 1, 21), repeat=3):
        q = np.stack([hit, 1 - np.array(hit)], 1)
        best = np.minimum(best, information(p.sum(1)[:, None] * q) - beta * information(q.T @ p))
    found = (kept - torch.tensor(beta) * known).numpy()
    assert (found <= best + 1e-9).all() and (found > best - .05 * beta).all()


def test_curve_ends():
    "No price, no code; and a label that is a function of x: nothing or everything."
    p = torch.tensor([[.3, 0], [.2, 0], [0, .5]]).double()
    torch.manual_seed(0)
    kept, known = bottleneck(p, torch.tensor([0., .7, 1.5, 50.]).double(), values=3)
    close(kept, [0, 0, 1, 1], 1e-4)
    close(known, [0, 0, 1, 1], 1e-4)


def test_gaussian_curve():
    "Against a search over the gains a of z_j = a_j x_j + noise, whose informations are elementary."
    rho = np.array([.95, .7, .3])
    def lagrangian(a, beta):
        return .5 * np.log2(1 + a ** 2).sum() + beta * .5 * np.log2(1 - rho ** 2 * a ** 2 / (1 + a ** 2)).sum()
    beta = torch.tensor([1.05, 1.5, 3., 12., 50.]).double()
    kept, known = gaussian_bottleneck(torch.tensor(rho), beta)
    for b, k, i in zip(beta.tolist(), kept.tolist(), known.tolist()):
        found = min(minimize(lagrangian, np.full(3, start), (b,)).fun for start in (.1, 1., 10.))
        assert k - b * i == pytest.approx(found, abs=1e-6)
    assert kept[0] == 0 and known[0] == 0 and known[-1] < -.5 * np.log2(1 - rho ** 2).sum()


def test_structural_zeros():
    "Cells that cannot happen: values are right and gradients finite."
    w = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    Z = torch.tensor([[.25, 0], [.25, 0], [0, .25], [0, .25]]).double()
    t, f = encode(Z, w.softmax(-1)), "Z G y"
    lost = expected_kl(t, f, posterior(t, f, "Z"), posterior(t, f, "G"))
    close(lost, 1 * math.log(2) - I(t, f, "G;y", math.e))
    (lost + I(t, f, "Z;G|y")).backward()
    assert w.grad.isfinite().all() and w.grad.abs().max() > 0
    torch.manual_seed(0)
    kept, known = bottleneck(clue_law((1., 1.), 0.), torch.tensor([0., 5.]), values=3)   # two of four x never come
    close(known, [0, 1], 1e-6)


def test_bad_encoders_and_correlations():
    p, q = torch.full((2, 2), .25), torch.full((2, 3), 1 / 3)
    for call, word in ((lambda: encode(p, 2 * q), "sum 2"), (lambda: encode(p, torch.tensor([[.5, .5], [1.5, -.5]])), "from -0.5"), (lambda: encode(2 * p, q), "sum 2"),
                       (lambda: encode(p, torch.full((3, 2), .5)), "reads 3 values"), (lambda: bottleneck(p * 2, torch.tensor([2.]), 2), "sum 2"),
                       (lambda: gaussian_bottleneck(torch.tensor([1.]), torch.tensor([2.])), "between -1 and 1"), (lambda: gaussian_bottleneck([math.nan], [2.]), "between -1 and 1")):
        with pytest.raises(InputError, match=word):
            call()


def test_old_names():
    "What stood here before it moved can still be imported from here."
    from infobottle_dfd import bottleneck as room, laboratory, opinions
    for name in ("posterior", "expected_kl", "cross_entropy", "clue_law"):
        assert getattr(room, name) is getattr(opinions, name)
    assert room.block_table is laboratory.block_table
    with pytest.raises(AttributeError, match="nothing"):
        room.nothing


@pytest.mark.parametrize("price", [math.nan, -1., math.inf])
def test_a_price_is_a_number(price):
    "For no number as a price, nothing was kept."
    with pytest.raises(InputError, match="a price must be a number of at least 0"):
        gaussian_bottleneck([.5], [2., price])


def test_the_bottleneck_has_no_price_below_0():
    from infobottle_dfd.bottleneck import bottleneck
    for price in (-1., math.nan, math.inf):
        with pytest.raises(InputError, match="a price must be a number of at least 0"):
            bottleneck(torch.eye(2) / 2, torch.tensor([price]), 2, 2, 3)
