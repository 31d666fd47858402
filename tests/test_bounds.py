"""Bounds from score matrices against loops, known limits and the truth of Gaussian pairs."""
import math

import numpy as np
import pytest
import torch

from infobottle_dfd.bounds import barber_agakov, club, donsker_varadhan, infonce, nwj

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
