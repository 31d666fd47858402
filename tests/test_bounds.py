"""Bounds from score matrices against loops, known limits and the truth of Gaussian pairs."""
import math

import numpy as np
import pytest
import torch
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_classif

from infobottle_dfd.bounds import barber_agakov, club, donsker_varadhan, infonce, neighbours, nwj
from infobottle_dfd.core import InputError

RANDOM = np.random.default_rng(0)
SCORES = torch.tensor(RANDOM.normal(size=(20, 7, 7)) * 2)


def by_loops(s: np.ndarray) -> dict[str, float]:
    "The five numbers of one matrix, written out."
    b = len(s)
    pairs = [s[i, i] for i in range(b)]
    strangers = [s[i, j] for i in range(b) for j in range(b) if i != j]
    guess = [math.exp(s[i, i]) / sum(math.exp(v) for v in s[i]) for i in range(b)]
    return {"ba": 1.5 + sum(pairs) / b, "dv": sum(pairs) / b - math.log(sum(map(math.exp, strangers)) / len(strangers)),
            "nwj": sum(pairs) / b - sum(math.exp(v - 1) for v in strangers) / len(strangers),
            "nce": math.log(b) + sum(map(math.log, guess)) / b, "club": sum(pairs) / b - sum(strangers) / len(strangers)}


def test_loops():
    got = {"ba": barber_agakov(SCORES, torch.tensor(1.5)), "dv": donsker_varadhan(SCORES), "nwj": nwj(SCORES),
           "nce": infonce(SCORES), "club": club(SCORES)}
    for k, s in enumerate(SCORES.numpy()):
        for name, value in by_loops(s).items():
            assert float(got[name][k]) == pytest.approx(value, abs=1e-9), name


def test_limits():
    row = torch.tensor(RANDOM.normal(size=(20, 7, 1)))
    torch.testing.assert_close(donsker_varadhan(SCORES + 3), donsker_varadhan(SCORES))
    torch.testing.assert_close(infonce(SCORES + row), infonce(SCORES))
    assert (nwj(SCORES) <= donsker_varadhan(SCORES) + 1e-12).all() and (infonce(SCORES) <= math.log(7)).all()
    assert (donsker_varadhan(SCORES) <= club(SCORES) + 1e-12).all()                       # Jensen: for one and the same critic
    assert torch.isfinite(torch.stack([donsker_varadhan(1e4 * SCORES), infonce(1e4 * SCORES)])).all()
    for f in (donsker_varadhan, infonce, club):
        assert f(torch.zeros(5, 5)).abs() < 1e-6


@pytest.mark.parametrize("rho", [.5, .8])
def test_gaussian_truth(rho):
    "Means over many batches with the best critic: NWJ unbiased, InfoNCE below, CLUB at its closed form; a wrong critic stays below."
    rng, batches, b = np.random.default_rng(1), 400, 32
    x, e = rng.normal(size=(2, batches, b))
    x, y = torch.tensor(x), torch.tensor(rho * x + math.sqrt(1 - rho ** 2) * e)
    log_q = -(y[:, None, :] - rho * x[:, :, None]) ** 2 / (2 * (1 - rho ** 2)) - .5 * math.log(2 * math.pi * (1 - rho ** 2))
    log_p = -y[:, None, :] ** 2 / 2 - .5 * math.log(2 * math.pi)
    critic, truth = log_q - log_p, -.5 * math.log(1 - rho ** 2)
    near = lambda t: pytest.approx(truth, abs=4 * float(t.std()) / math.sqrt(batches))
    assert float(nwj(critic + 1).mean()) == near(nwj(critic + 1))
    ba = barber_agakov(log_q, torch.tensor(.5 * math.log(2 * math.pi * math.e)))
    assert float(ba.mean()) == near(ba)
    assert infonce(critic).mean() < truth + 4 * infonce(critic).std() / math.sqrt(batches)
    upper = club(log_q)
    assert float(upper.mean()) == pytest.approx(rho ** 2 / (1 - rho ** 2), abs=4 * float(upper.std()) / math.sqrt(batches))
    wrong = torch.sin(3 * x[:, :, None]) * y[:, None, :]
    for bound in (nwj, infonce):
        assert bound(wrong).mean() < truth


def test_half_precision_and_bad_shapes():
    half = SCORES.half()
    for f in (donsker_varadhan, nwj, infonce, club):
        assert f(half).dtype == torch.float32
        torch.testing.assert_close(f(half).double(), f(SCORES), rtol=.02, atol=.02)
        for shape in ((4, 6), (1, 1), (5,)):
            with pytest.raises(ValueError, match="b >= 2 pairs"):
                f(torch.zeros(shape))


def test_neighbours_against_scikit_learn_and_loops():
    z, y = RANDOM.normal(size=(300, 1)), RANDOM.integers(0, 3, 300)
    z[:, 0] += y
    for k in (1, 3, 5):
        want = mutual_info_classif(z, y, n_neighbors=k, random_state=0)[0]
        assert neighbours(torch.tensor(z), torch.tensor(y), k) == pytest.approx(want, abs=1e-6)
    z = RANDOM.normal(size=(60, 3)) + y[:60, None]
    far = np.abs((z[:, None] - z) / z.std(0, ddof=1)).max(-1)
    terms = []
    for i in range(60):
        own = [far[i, j] for j in range(60) if y[j] == y[i] and j != i]
        inside = sum(far[i, j] <= sorted(own)[2] for j in range(60) if j != i)
        terms.append(digamma(60) + digamma(3) - digamma(len(own) + 1) - digamma(inside))
    assert neighbours(torch.tensor(z), torch.tensor(y[:60])) == pytest.approx(np.mean(terms), abs=1e-9)


def test_neighbours_truth_and_limits():
    rng = np.random.default_rng(3)
    y = torch.tensor(rng.integers(0, 2, 4000))
    z = torch.tensor(rng.normal(size=(4000, 2))) + torch.tensor([2., 0]) * y[:, None]
    t = np.linspace(-9, 11, 20001)
    one, two = np.exp(-t ** 2 / 2), np.exp(-(t - 2) ** 2 / 2)
    truth = ((one * np.log(2 * one / (one + two)) + two * np.log(2 * two / (one + two))) / 2).sum() * (t[1] - t[0]) / math.sqrt(2 * math.pi)
    assert neighbours(z, y) == pytest.approx(truth, abs=.03)
    assert neighbours(z * torch.tensor([1e6, 1e-6]), y) == pytest.approx(neighbours(z, y), abs=1e-9)
    assert neighbours(torch.full((4000, 2), .1), y) == pytest.approx(0, abs=1e-3)             # a dead block
    assert neighbours(torch.stack([y, y], 1), y) == pytest.approx(math.log(2), abs=1e-3)      # copies of the label


@pytest.mark.parametrize("z, y, k, word", [
    (torch.zeros(5), torch.zeros(5).long(), 3, "integer labels"), (torch.zeros(5, 2), torch.zeros(4).long(), 3, "integer labels"),
    (torch.zeros(5, 2), torch.zeros(5), 3, "integer labels"), (torch.full((5, 1), math.nan), torch.zeros(5).long(), 3, "finite"),
    (torch.zeros(5, 2), torch.tensor([0, 0, 0, 0, 1]), 1, "more than 1 points"), (torch.zeros(5, 2), torch.zeros(5).long(), 5, "more than 5"),
    (torch.zeros(5, 2), torch.zeros(5).long(), 0, "k >= 1"), (torch.zeros(0, 2), torch.zeros(0).long(), 3, "more than 3")])
def test_neighbours_bad(z, y, k, word):
    with pytest.raises(InputError, match=word):
        neighbours(z, y, k)


def test_nwj_of_a_wild_critic_stays_finite():
    "exp(199) is no float32: the value, the gradient and the square of its norm are finite, and the gradient pulls the strangers down."
    wild = torch.full((8, 8), 200., requires_grad=True)
    value = nwj(wild)
    value.backward()
    assert value.isfinite() and (wild.grad ** 2).sum().isfinite() and wild.grad[0, 1] < -1e10
    for constant in (0., 10, 30):                                                        # untouched where it can be computed
        s = SCORES[0] + constant
        strangers = s[~torch.eye(7, dtype=torch.bool)]
        assert float(nwj(s)) == pytest.approx(float(s.diagonal().mean() - torch.exp(strangers - 1).mean()), rel=1e-12)


def test_a_wild_critic_leaves_its_neighbours_alone():
    "Four bounds trained together under one clip, one critic wild: no gradient is nan."
    weights = [torch.ones(2, 8, 8).mul(c).requires_grad_() for c in (1., 300.)]
    (-nwj(weights[0]).sum() - nwj(weights[1]).sum() - infonce(weights[1]).sum()).backward()
    torch.nn.utils.clip_grad_norm_(weights, 10)
    assert all(w.grad.isfinite().all() for w in weights)


def test_variance_of_nwj_strangers():
    "(1/(1 - r^2) + 1/(1 - r^4) - 2) / b(b-1) for Gaussian pairs and the best critic: the swapped pairs are not independent."
    rng, rho, b, batches = np.random.default_rng(4), .5, 6, 40_000
    x, e = rng.normal(size=(2, batches, b))
    y = rho * x + math.sqrt(1 - rho ** 2) * e
    ratio = np.exp((2 * rho * x[:, :, None] * y[:, None] - rho ** 2 * (x[:, :, None] ** 2 + y[:, None] ** 2)) / (2 * (1 - rho ** 2))) / math.sqrt(1 - rho ** 2)
    mean = ratio[:, ~np.eye(b, dtype=bool)].mean(1)
    want = (1 / (1 - rho ** 2) + 1 / (1 - rho ** 4) - 2) / (b * (b - 1))
    assert mean.var() == pytest.approx(want, rel=.1) and want > 1.15 * (1 / (1 - rho ** 2) - 1) / (b * (b - 1))


def test_integers_are_scores():
    assert infonce(torch.ones(4, 4, dtype=torch.long)).abs() < 1e-6
