"""The losses against the released implementation's values and against plain torch."""
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from infobottle_dfd.aggregation import Outputs
from infobottle_dfd.core import InputError
from infobottle_dfd.losses import (AutomaticWeights, Witnesses, fixed_weights, global_information_loss, local_information,
                                   objective, soft_kl)

CASES = json.loads((Path(__file__).parent / "official_losses.json").read_text())["cases"]
LOGITS = ("logits_global", "logits_all", "logits_without")


def outputs(*logits):
    return Outputs(*logits, None, None, None)


def random_outputs(n=4, b=5, k=2, scale=1., seed=0):
    g = torch.Generator().manual_seed(seed)
    leaf = [(torch.randn(*s, k, generator=g) * scale).requires_grad_() for s in ((b,), (b,), (n, b))]
    return outputs(*leaf), torch.randint(0, k, (b,), generator=g)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"n{c['n']}-T{c['temperature']}")
def test_equals_released(case):
    leaf = {k: torch.tensor(case[k], requires_grad=True) for k in LOGITS}
    terms = objective(outputs(*leaf.values()), torch.tensor(case["y"]), T=case["temperature"])
    weights = AutomaticWeights()
    total = weights(terms)
    total.backward()
    for ours, theirs in ((terms["ce"], "ce_sum"), (terms["gil"], "gil"), (terms["lil"], "lil"), (total, "auto_weighted_total_all_params_1")):
        torch.testing.assert_close(ours.detach(), torch.tensor(case[theirs]), rtol=1e-5, atol=1e-6)
    for k in LOGITS:
        torch.testing.assert_close(leaf[k].grad, torch.tensor(case["grad_" + k]), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(torch.stack([weights.w[k].grad for k in ("ce", "gil", "lil")]), torch.tensor(case["grad_weights"]), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:reduction")            # torch's own warning about the very mistake that is tested here
@pytest.mark.parametrize("k", [2, 3, 5])
def test_against_plain_torch(k):
    "kl_div in its two argument orders, and the hidden factor 1/k."
    out, _ = random_outputs(k=k)
    p = lambda t, T=1.: (t / T).softmax(-1)
    forward = sum(F.kl_div(p(w).log(), p(out.logits_all), reduction="batchmean") for w in out.logits_without)
    torch.testing.assert_close(local_information(out, "paper"), forward)
    reverse = sum(F.kl_div(p(out.logits_all, 1.5).log(), p(w, 1.5), reduction="mean") for w in out.logits_without)
    torch.testing.assert_close(local_information(out, "released"), reverse)
    torch.testing.assert_close(global_information_loss(out, "paper"), F.kl_div(p(out.logits_global).log(), p(out.logits_all), reduction="batchmean"))
    torch.testing.assert_close(global_information_loss(out, "released"), F.kl_div(p(out.logits_all, 1.5).log(), p(out.logits_global, 1.5), reduction="mean"))


def test_switches():
    out, y = random_outputs()
    g, a, w = (F.cross_entropy(out.logits_global, y), F.cross_entropy(out.logits_all, y), sum(F.cross_entropy(t, y) for t in out.logits_without))
    for mode in ("paper", "released"):
        assert objective(out, y, mode, lil=False, gil=False).keys() == {"ce"}
        torch.testing.assert_close(objective(out, y, mode, lil=False, gil=False)["ce"], g)
        torch.testing.assert_close(objective(out, y, mode, lil=False)["ce"], g + a)
        torch.testing.assert_close(objective(out, y, mode)["ce"], g + a + w)
    torch.testing.assert_close(objective(out, y, "released", gil=False)["ce"], g + w)          # the released code forgets the head on Z
    torch.testing.assert_close(objective(out, y, "paper", gil=False)["ce"], g + a + w)
    assert "lil" not in objective(random_outputs(n=1)[0], y)


@pytest.mark.parametrize("mode", ["paper", "released"])
def test_limits(mode):
    out, y = random_outputs()
    agree = out._replace(logits_global=out.logits_all, logits_without=out.logits_all.expand(4, -1, -1))
    assert local_information(agree, mode).item() == pytest.approx(0, abs=1e-6) and global_information_loss(agree, mode).item() == pytest.approx(0, abs=1e-6)
    assert objective(out, y, mode, T=1e4)["lil"].item() == pytest.approx(1, abs=1e-5)
    shuffled = out._replace(logits_without=out.logits_without[[2, 0, 3, 1]])
    torch.testing.assert_close(local_information(shuffled, mode), local_information(out, mode))


@pytest.mark.parametrize("mode", ["paper", "released"])
def test_saturated_and_half(mode):
    for seed in range(5):
        out, y = random_outputs(scale=1e4, seed=seed)
        terms = objective(out, y, mode)
        sum(terms.values()).backward()
        assert all(torch.isfinite(t) for t in terms.values())
        assert all(torch.isfinite(t.grad).all() for t in out[:3] if t.grad is not None)
    out, y = random_outputs()
    half = Outputs(*(t.bfloat16() for t in out[:3]), None, None, None)
    assert all(t.dtype == torch.float32 for t in objective(half, y, mode).values())


def test_who_gets_no_gradient():
    out, _ = random_outputs()
    local_information(out, "released").backward()
    assert out.logits_all.grad is None and out.logits_without.grad.abs().sum() > 0
    out, _ = random_outputs()
    local_information(out, "paper").backward()
    assert out.logits_all.grad.abs().sum() > 0


def test_weights():
    terms = {"ce": torch.tensor(2.), "lil": torch.tensor(.5), "gil": torch.tensor(.1)}
    assert fixed_weights(terms, 3, 5).item() == pytest.approx(2 + 1.5 + .5)
    with pytest.raises(ValueError, match="'lil' is negative"):
        AutomaticWeights()({"lil": torch.tensor(-1.)})
    terms = {k: torch.ones((), device="meta") for k in ("ce", "lil", "gil")}
    assert AutomaticWeights().to("meta")(terms).is_meta             # off the CPU no value is read: nobody waits for a GPU


def test_unknown_mode():
    out, y = random_outputs()
    for mode in ("quiet", "calm"):                                  # calm has heads of its own
        with pytest.raises(InputError, match=f"unknown mode '{mode}'; choose paper or released, or build one"):
            objective(out, y, mode)


def test_witnesses_reach_the_blocks():
    z = torch.randn(4, 6, 8, requires_grad=True)
    said = Witnesses(4, 8, 3)(z)
    assert said.shape == (4, 6, 3)
    said[1].sum().backward()
    assert z.grad[1].abs().sum() > 0 and z.grad[[0, 2, 3]].abs().sum() == 0                # each sees its own block alone


@pytest.mark.parametrize("T", [0, -1., float("nan"), float("inf")])
def test_a_temperature_is_above_zero(T):
    "A negative one turned both opinions round, and the number looked like any other."
    with pytest.raises(InputError, match="a temperature must be a number above 0"):
        soft_kl(torch.tensor([[1., 0.]]), torch.tensor([[0., 2.]]), T)


def test_labels_that_are_none_are_refused():
    "A label of -100 was left out of the mean without a word, opinions that sum to 2 doubled the loss, another mode with a temperature was `released`."
    from infobottle_dfd.losses import cross_entropy, global_information_loss, local_information
    y, logits = torch.tensor([0, 1, 1, 0]), torch.randn(4, 2)
    for heads in (logits, logits.expand(3, 4, 2)):
        with pytest.raises(IndexError):
            cross_entropy(heads, torch.where(y == 1, -100, 0))
        for wrong in (2 * torch.eye(2)[y], 3 * torch.eye(2)[y] - 1, y.float()):
            with pytest.raises(InputError, match="opinions about labels"):
                cross_entropy(heads, wrong)
        torch.testing.assert_close(cross_entropy(heads, torch.eye(2)[y]), cross_entropy(heads, y))
    for term in (local_information, global_information_loss):
        with pytest.raises(InputError, match="unknown mode 'Paper'"):
            term(None, "Paper", 1.)
