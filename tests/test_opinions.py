"""Opinions and the identities against formulas written independently of the notebooks."""
import itertools
import math

import numpy as np
import pytest
import torch

from infobottle_dfd.core import InputError
from infobottle_dfd.information import LAWS, H, I, law, profile
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


def test_cross_entropy():
    p = torch.tensor(RANDOM.dirichlet(np.ones(8), 10).reshape(10, 2, 2, 2))
    axes = "... a b y"
    true, other = posterior(p, axes, "b"), torch.tensor(RANDOM.dirichlet(np.ones(2), (10, 1, 2)))
    close(cross_entropy(p, axes, true), H(p, axes, "y|b", math.e))
    close(cross_entropy(p, axes, other) - cross_entropy(p, axes, true), expected_kl(p, axes, true, other))
    assert cross_entropy(p[0], "a b y", torch.tensor([[[1., 0]]]).double()) == math.inf


def test_bad_opinions():
    p = TABLES[0]
    full = posterior(p, AXES, "a b c")
    negative = full.clone()
    negative[..., 0], negative[..., 1] = -.5, 1.5
    for bad, word in ((full * .5, "sum 0.5"), (full * 1.0009, "sum 1.0009"), (negative, "from -0.5"), (torch.full_like(full, math.nan), "no distribution"),
                      (posterior(p, AXES, "a").squeeze(), "of length 1 where unseen"), (torch.ones(2, 3, 2, 1), "and 2 along y"),
                      (torch.full((2, 4, 2, 2), .5), "of length 1"), (full[None], "of length 1"), (torch.zeros_like(full), "sum 0")):
        for call in (lambda: expected_kl(p, AXES, full, bad), lambda: expected_kl(p, AXES, bad, full), lambda: cross_entropy(p, AXES, bad)):
            with pytest.raises(InputError, match=word):
                call()
    for call in (lambda: posterior(p * 1.1, AXES, "a"), lambda: cross_entropy(p * 1.1, AXES, full), lambda: posterior(p, "a b c d", "a"),
                 lambda: expected_kl(p, "a b c d", full, full), lambda: clue_law((1.5,)), lambda: clue_law((.5,), -.1)):
        with pytest.raises(InputError):
            call()


def test_never_seen():
    "Where a pattern never comes the opinion may be all zeros; where it does come, all zeros is no opinion."
    p = torch.tensor([[.5, .5], [0, 0]]).double()
    assert expected_kl(p, "z y", posterior(p, "z y", "z"), posterior(p, "z y")) == 0
    assert cross_entropy(p, "z y", posterior(p, "z y", "z")) == pytest.approx(math.log(2))
    close(cross_entropy(p, "z y", torch.full((1, 2), .5)), math.log(2))                  # float32, no axis but y


def test_gradients_are_finite_where_the_value_is():
    p = torch.tensor([[.5, 0], [0, .5]]).double().requires_grad_()
    q = torch.tensor([[1., 0], [0, 1]]).double().requires_grad_()
    for f in (lambda: cross_entropy(p, "z y", q), lambda: expected_kl(p, "z y", q, q), lambda: expected_kl(p, "z y", q, torch.full((1, 2), .5))):
        for t in torch.autograd.grad(f(), [p, q], allow_unused=True):
            assert t is None or t.isfinite().all()
    w = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: cross_entropy(p.detach(), "z y", w.softmax(-1)), w)


def test_errors_of_learned_heads():
    "By hand on the noisy copies: halved logits of the full head lower the plug-in, a shift raises it; the ruler is seen by a linear head."
    axes, p = LAWS["noisy copies"]
    q, q1 = posterior(p, axes, "z1 z2"), posterior(p, axes, "z2")
    spoil = lambda factor, shift: (factor * q.log() + shift * torch.tensor([-.5, .5])).softmax(-1)
    truth = float(I(p, axes, "z1;y|z2", math.e))
    assert float(expected_kl(p, axes, spoil(.5, 0.), q1)) == pytest.approx(.32 * (.5 * math.log(.5 / .8) + .5 * math.log(.5 / .2)))
    assert expected_kl(p, axes, spoil(.5, 0.), q1) < .6 * truth
    assert expected_kl(p, axes, spoil(1., 1.), q1) > truth
    ruler = law((e + y, e, y) for e in range(10) for y in (0, 1))
    added, together, alone = profile(ruler, axes)
    close(added, [1, .9])
    close(alone, [.1, 0])
    assert together == pytest.approx(1)
