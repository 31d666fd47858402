"""Information on tables and of Gaussians against formulas written independently of the notebooks."""
import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from infobottle_dfd.core import InputError
from infobottle_dfd.information import (LAWS, H, I, gaussian_I, interaction, kl, law, marginal,
                                        pointwise_kl, profile)

RANDOM = np.random.default_rng(0)
TABLES = torch.tensor(RANDOM.dirichlet(np.full(24, .3), 30).reshape(30, 2, 3, 2, 2))
AXES, BATCH = "a b c y", "... a b c y"


def conditional_information(p: np.ndarray) -> float:
    "I(a;y|c) in nats by the sum over cells, for a table over a, b, c, y."
    p, total = p.sum(1), 0.
    for a, c, y in np.argwhere(p > 0):
        total += p[a, c, y] * math.log(p[a, c, y] * p[:, c, :].sum() / (p[a, c, :].sum() * p[:, c, y].sum()))
    return total


@pytest.mark.parametrize("p", TABLES)
def test_conditional_information(p):
    assert float(I(p, AXES, "a;y|c", math.e)) == pytest.approx(conditional_information(p.numpy()), abs=1e-12)
    assert float(I(p, AXES, "a;y|c")) == pytest.approx(conditional_information(p.numpy()) / math.log(2), abs=1e-12)


def test_a_batch_is_its_tables():
    for measure, of in ((H, "a y|c"), (H, "b"), (I, "a b;y|c"), (I, "a;y"), (interaction, "a;b;y")):
        torch.testing.assert_close(measure(TABLES, BATCH, of), torch.stack([measure(p, AXES, of) for p in TABLES]), rtol=0, atol=1e-13)
    two = TABLES.reshape(5, 6, 2, 3, 2, 2)
    assert marginal(two, BATCH, "y b").shape == (5, 6, 2, 3) and I(two, BATCH, "a;y|b c").shape == (5, 6)


def test_rules():
    zero = torch.zeros(30, dtype=torch.float64)
    close = lambda u, v: torch.testing.assert_close(u, v, rtol=0, atol=1e-12)
    close(I(TABLES, BATCH, "a b;y|c"), I(TABLES, BATCH, "a;y|c") + I(TABLES, BATCH, "b;y|a c"))             # chain rule
    close(H(TABLES, BATCH, "a b c y"), sum(H(TABLES, BATCH, of) for of in ("a", "b|a", "c|a b", "y|a b c")))
    close(I(TABLES, BATCH, "y;a|b"), I(TABLES, BATCH, "a;y|b"))
    close(interaction(TABLES, BATCH, "a;b;y"), interaction(TABLES, BATCH, "b;y;a"))
    assert (I(TABLES, BATCH, "a;y") > -1e-12).all() and (H(TABLES, BATCH, "y|a b c") > -1e-12).all()
    independent = torch.einsum("ta,ty->tay", TABLES.sum((2, 3, 4)), TABLES.sum((1, 2, 3)))
    close(I(independent, "... a y", "a;y"), zero)


def test_data_processing():
    channel = torch.tensor(RANDOM.dirichlet(np.ones(2), (30, 3)))                        # p(g|b), another for every table
    made = torch.einsum("tabcy,tbg->tabcgy", TABLES, channel)
    axes = "... a b c g y"
    assert (I(made, axes, "b;y") - I(made, axes, "g;y") > -1e-12).all()
    assert (I(made, axes, "g;y|b").abs() < 1e-12).all()


@pytest.mark.parametrize("independent_given_y", [True, False])
def test_sum_of_conditional_information(independent_given_y):
    "Blocks independent given y: the sum never exceeds I(Z;y). Blocks independent: it is never below."
    if independent_given_y:
        p = torch.einsum("ty,tya,tyb,tyc->tabcy", *(torch.tensor(RANDOM.dirichlet(np.ones(2), s)) for s in ((200,), (200, 2), (200, 2), (200, 2))))
    else:
        p = torch.einsum("ta,tb,tc,tabcy->tabcy", *(torch.tensor(RANDOM.dirichlet(np.ones(2), s)) for s in ((200,), (200,), (200,), (200, 2, 2, 2))))
    added, together, _ = profile(p, "... z1 z2 z3 y")
    slack = together - added.sum(0)
    assert (slack > -1e-12).all() if independent_given_y else (slack < 1e-12).all()


def test_laws_by_hand():
    noisy = 1 + .8 * math.log2(.8) + .2 * math.log2(.2)                                  # I(z;y) of a block that hits 4 times in 5
    both = 1 + .68 * sum(q * math.log2(q) for q in (16 / 17, 1 / 17)) - .32              # they agree in .68 of the cases, then 16 : 1
    known = {"XOR": ([1, 1], 1, [0, 0]), "parity of four": ([1] * 4, 1, [0] * 4), "copy": ([0, 0], 1, [1, 1]),
             "two unique bits": ([1, 1], 2, [1, 1]), "noisy copies": ([both - noisy] * 2, both, [noisy] * 2),
             "switch": ([.5] * 4, 1, [.5] * 4), "one knows all": ([1, 0, 0, 0], 1, [1, 0, 0, 0])}
    assert set(known) == set(LAWS)
    for name, (axes, p) in LAWS.items():
        for got, want in zip(profile(p, axes), known[name]):
            assert got.tolist() == pytest.approx(want, abs=1e-12), name
        assert (profile(p, axes)[0] <= H(p, axes, "y") + 1e-12).all()                    # n H(y) at most, in all


def test_law_counts():
    assert law([(0, 1), (0, 1), (1, 0), (0, 1)]).tolist() == [[0, .75], [.25, 0]]


def test_gaussians_by_sampling():
    "Conditional information as the mean of a log-ratio of densities, 200,000 samples; and from the precision matrix."
    root = RANDOM.normal(size=(4, 4))
    cov = root @ root.T + .5 * np.eye(4)
    x = RANDOM.multivariate_normal(np.zeros(4), cov, 200_000)
    logp = lambda *i: multivariate_normal(np.zeros(len(i)), cov[np.ix_(i, i)]).logpdf(x[:, i])
    ratio = logp(0, 1, 2, 3) + logp(3) - logp(0, 1, 3) - logp(2, 3)                      # I(a b;y|c)
    got = float(gaussian_I(torch.tensor(cov), "a b y c", "a b;y|c", math.e))
    assert got == pytest.approx(ratio.mean(), abs=5 * ratio.std() / len(x) ** .5)
    precision = np.linalg.inv(cov)
    partial = precision[0, 2] ** 2 / (precision[0, 0] * precision[2, 2])                 # squared partial correlation
    assert float(gaussian_I(torch.tensor(cov), "a b y c", "a;y|b c")) == pytest.approx(-.5 * math.log2(1 - partial), abs=1e-12)
    batch = torch.tensor(np.stack([cov, np.diag([1., 2, 3, 4])]))
    assert gaussian_I(batch, "a b y c", "a;y c").tolist() == pytest.approx([float(gaussian_I(batch[0], "a b y c", "a;y c")), 0], abs=1e-12)


@pytest.mark.parametrize("cov, axes, of, word", [
    (torch.eye(2), "x y", "x;z", "'z' is not among"), (torch.ones(2, 2), "x y", "x;y", "positive definite"),
    (torch.eye(3), "x y", "x;y", "2 by 2"), (torch.eye(2), "x y", "x;x", "named twice"), (torch.eye(2), "x y", "x", "names no pair")])
def test_bad_gaussians(cov, axes, of, word):
    with pytest.raises(InputError, match=word):
        gaussian_I(cov, axes, of)


def test_kl_limits():
    p, q = torch.tensor([.5, .5]), torch.tensor([1., 0.])
    assert kl(p, p) == 0 and kl(p, q) == math.inf and kl(q, p) == pytest.approx(1)


@pytest.mark.parametrize("table, axes, keep, word", [
    (torch.tensor([.5, .6]), "y", "y", "sum 1.1"), (torch.tensor([1.5, -.5]), "y", "y", "entries from -0.5"),
    (torch.tensor([.5, math.nan]), "y", "y", "no distribution"), (torch.tensor([[.5, .5], [.5, .6]]), "... y", "y", "sum 1.1"),
    (torch.tensor([.5, .5]), "y z", "y", "1 axes"), (torch.full((2, 2), .25), "y", "y", "2 axes"),
    (torch.tensor([.5, .5]), "y", "z", "'z' is not among"), (torch.full((2, 2), .25), "y y", "y", "named twice"),
    (torch.full((2, 2), .25), "_z y", "y", "is no name"), (torch.full((2, 2), .25), "z ... y", "y", "is no name")])
def test_bad_tables(table, axes, keep, word):
    with pytest.raises(InputError, match=word):
        marginal(table, axes, keep)


@pytest.mark.parametrize("measure, of, word", [(I, "a", "names no pair"), (I, ";y", "names no pair"), (I, "a;b;y", "names no pair"),
                                               (I, "a;y|a", "named twice"), (interaction, "a;y", "names no triple")])
def test_bad_formulas(measure, of, word):
    with pytest.raises(InputError, match=word):
        measure(TABLES[0], AXES, of)


def test_float32_is_summed_in_float64():
    p = torch.tensor([[.4, .1], [.1, .4]])
    assert I(p, "z y", "z;y").dtype == torch.float64


def test_gradient():
    w = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: I(w.softmax(-1).reshape(3, 2, 2), "... z y", "z;y"), w)
    cov = torch.eye(3, dtype=torch.float64) + .3
    assert torch.autograd.gradcheck(lambda s: gaussian_I((s + s.mT) / 2, "a b y", "a;y|b"), cov.requires_grad_())


def test_rounding_and_float32_pass():
    assert marginal(torch.tensor([1 + 1e-16, -1e-17], dtype=torch.float64), "y", "y").min() == 0
    big = torch.softmax(torch.randn(1000, 1000), -1) / 1000
    assert I(big, "z y", "z;y") > 0


def test_pointwise_kl():
    p, q = torch.tensor([.5, .5, 0.], requires_grad=True), torch.tensor([.25, .75, 0.])
    cells = pointwise_kl(p, q)
    assert cells.tolist() == pytest.approx([.5 * math.log(2), .5 * math.log(2 / 3), 0])
    cells.sum().backward()
    assert p.grad.isfinite().all() and p.grad[2] == 0
    assert pointwise_kl(p, torch.tensor([.5, 0, .5]))[1] == math.inf


@pytest.mark.parametrize("cases, word", [
    ([(-1, -1), (1, 1)], "is -1; number"), ([(.1, 0), (.9, 1)], "is 0.1; number"), (np.array([(-1, 0), (0, 1)]), "is -1; number"),
    ([(math.nan, 0)], "is nan; number"), ([("real",), ("fake",)], "is 'real'; number"), ([(None, 0)], "is None; number"),
    ([(math.inf, 0)], "is inf; number"), ([(1, 10 ** 9), (0, 0)], "would be"), ([], "at least one case"), ([(0, 1), (1,)], "same length"),
    ([()], "at least one case")])
def test_bad_laws(cases, word):
    with pytest.raises(InputError, match=word):
        law(cases)


def test_laws_of_any_container():
    want = [[.5, 0], [0, .5]]
    for cases in ([(0, 0), (1, 1)], np.array([(0, 0), (1, 1)]), torch.tensor([(0., 0.), (1., 1.)]), iter([(True, 1.), (False, 0)])):
        assert law(cases).tolist() == want
    assert law([(0, 2), (2, 0)]).shape == (3, 3)                                         # a value that no case takes is a row of zeros


@pytest.mark.parametrize("p, q, word", [
    ([math.nan, .5], [.5, .5], "p is no distribution"), ([-1., 2], [.5, .5], "p is no distribution"), ([.5, .5], [9., 1], "q is no distribution"),
    ([5., 5], [.5, .5], "p is no distribution"), ([.5, .5], [.2, .3, .5], "one shape"), ([.5, .5], [[.5, .5]], "one shape"), ([], [], "no distribution")])
def test_bad_kl(p, q, word):
    with pytest.raises(InputError, match=word):
        kl(torch.tensor(p), torch.tensor(q))


def test_rounding_is_divided_out():
    "A float32 table off by 1e-4 at most is divided by its sum; one that is off by .0009 gave I = -.0013 and is refused."
    p = torch.tensor([[.25, .25], [.25, .25]]) * 1.00005
    assert I(p, "z y", "z;y").abs() < 1e-12 and kl(p, p) == 0 and marginal(p, "z y", "y").sum() == pytest.approx(1, abs=1e-15)
    with pytest.raises(InputError, match="sum 1.0009"):
        I(torch.tensor([[.25, .25], [.25, .2509]]), "z y", "z;y")
    with pytest.raises(InputError, match="names no block"):
        profile(torch.tensor([.5, .5]), "y")


def test_pointwise_kl_of_no_probabilities_is_nan():
    assert pointwise_kl(torch.tensor([math.nan, -.5, 0]), torch.tensor([.5, .5, .5])).isnan().tolist() == [True, True, False]


@pytest.mark.parametrize("base", [1, 0, -2, .5, math.nan, math.inf])
def test_a_unit_is_a_base_above_one(base):
    "A base of 1/2 gave negative entropies, infinity gave 0."
    cov = torch.tensor([[1., .5], [.5, 1.]])
    for call in (lambda: H(LAWS["XOR"][1], "z1 z2 y", "y", base), lambda: kl(torch.tensor([.5, .5]), torch.tensor([.1, .9]), base), lambda: gaussian_I(cov, "x y", "x;y", base)):
        with pytest.raises(InputError, match="take 2 for bits"):
            call()


def test_a_negative_zero_is_zero():
    assert kl(torch.tensor([.5, .5]), torch.tensor([-0., 1.])) == math.inf              # was nan


def test_cases_that_are_no_rows():
    for cases in ([0, 1], [(10 ** 400, 1)]):
        with pytest.raises(InputError):
            law(cases)
