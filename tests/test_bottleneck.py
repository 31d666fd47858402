"""Opinions, encoders and the bottleneck's curve against formulas written independently of the notebooks."""
import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, minimize

from infobottle_dfd.bottleneck import (block_table, bottleneck, bottleneck_step, clue_law,
                                       cross_entropy, encode, expected_kl, gaussian_bottleneck,
                                       posterior)
from infobottle_dfd.information import H, I, profile

RANDOM = np.random.default_rng(0)
TABLES = torch.tensor(RANDOM.dirichlet(np.full(24, .3), 30).reshape(30, 2, 3, 2, 2))
AXES, BATCH = "a b c y", "... a b c y"
close = lambda u, v, atol=1e-12: torch.testing.assert_close(u, torch.as_tensor(v, dtype=torch.float64), rtol=0, atol=atol)
binary_entropy = lambda q: -q * math.log2(q) - (1 - q) * math.log2(1 - q)


def information(joint: np.ndarray) -> float:
    "I of a two-way table, bits, by the sum over cells."
    product = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    return float(sum(j * math.log2(j / q) for j, q in zip(joint.flat, product.flat) if j > 0))


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


def test_curve_against_every_encoder():
    p = RANDOM.dirichlet(np.ones(6)).reshape(3, 2)
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


def test_clue_law_by_hand():
    hit, false_alarm, p = (.8, .6, .5), .1, clue_law((.8, .6, .5), .1)
    for x, clues in enumerate(itertools.product((0, 1), repeat=3)):
        for y in (0, 1):
            rate = [h if y else false_alarm for h in hit]
            assert p[x, y].item() == pytest.approx(.5 * math.prod(r if c else 1 - r for c, r in zip(clues, rate)))
    close(clue_law(torch.tensor([hit, (.1, .2, .3)], dtype=torch.float64), .1)[0], p)


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


def test_bad_opinions():
    p = TABLES[0]
    full = posterior(p, AXES, "a b c")
    for bad in (full * .5, posterior(p, AXES, "a").squeeze(), torch.full((2, 3, 2, 2), math.nan)):
        for call in (lambda: expected_kl(p, AXES, full, bad), lambda: cross_entropy(p, AXES, bad)):
            with pytest.raises(ValueError, match="sum to 1 over y"):
                call()
    with pytest.raises(ValueError, match="must be probabilities"):
        clue_law((1.5,))
    with pytest.raises(ValueError, match="between -1 and 1"):
        gaussian_bottleneck(torch.tensor([1.]), torch.tensor([2.]))
