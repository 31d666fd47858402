"""Heads, complements and the detector's named outputs."""
import pytest
import torch

from infobottle_dfd.aggregation import ForgeryDetector, Heads, Outputs, complements


@pytest.mark.parametrize("n, k", [(1, 2), (2, 2), (4, 3)])
def test_named_outputs(n, k):
    out = ForgeryDetector(n=n, d=5, k=k).eval()(torch.rand(3, 3, 48, 48))
    assert out.maps is None and [tuple(t.shape) for t in out[:-1]] == [(3, k), (3, k), (n, 3, k), (n, 3, k), (n, 3, 5), (3, 5)]


def test_single_block_head_without_it_knows_only_the_prior():
    heads, z = Heads(1, 6), torch.randn(1, 7, 6)
    without = heads(z)[1]
    assert torch.equal(without, heads.bias_without.expand(1, 7, 2))


def test_frozen_heads():
    heads, z = Heads(3, 4), torch.randn(3, 2, 4, requires_grad=True)
    sum(t.sum() for t in heads(z, frozen=True)).backward()
    assert z.grad.abs().min() > 0 and all(p.grad is None for p in heads.parameters())
    for a, b in zip(heads(z), heads(z, frozen=True)):
        assert torch.equal(a, b)


def test_complements_have_one_gradient(threads):
    "On several threads, the gradient of the leave-one-out complements is the same bits every time."
    threads(4)
    def gradient():
        z = torch.randn(4, 64, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
        (complements(z) * torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))).sum().backward()
        return z.grad
    first = gradient()
    assert all(torch.equal(first, gradient()) for _ in range(50))


def keys(**options):
    return ForgeryDetector(n=2, d=8, **options).state_dict().keys()


def test_dropout_of_the_fusion_layer():
    "Weights fit with and without it; it is random in training and off in evaluation."
    assert {k for k in keys() if k.startswith("fusion.")} == {k for k in keys(dropout=.5) if k.startswith("fusion.")} == {
        *(f"fusion.{i}.{p}" for i in (0, 1, 3, 4, 6) for p in ("weight", "bias")),
        *(f"fusion.{i}.{p}" for i in (1, 4) for p in ("running_mean", "running_var", "num_batches_tracked"))}
    torch.manual_seed(0)
    dry, wet = ForgeryDetector(n=2, d=8).eval(), ForgeryDetector(n=2, d=8, dropout=.5).eval()
    wet.load_state_dict(dry.state_dict())
    z = torch.randn(2, 16, 8)
    with torch.no_grad():
        assert torch.equal(dry.aggregate(z).g, wet.aggregate(z).g)
        assert torch.equal(dry.train().aggregate(z).g, dry.aggregate(z).g)
        assert not torch.equal(wet.train().aggregate(z).g, wet.aggregate(z).g)
    assert [m.p for m in wet.modules() if isinstance(m, torch.nn.Dropout)] == [.5, .5, .5]


def test_fake_is_any_class_but_real():
    "With several ways to forge, the probability of fake is that of all of them together."
    logits = torch.tensor([[0., 0., 0.], [2., -1., 3.]])
    p = Outputs(logits, *[None] * 5).p
    torch.testing.assert_close(p, 1 - logits.double().softmax(-1)[:, 0])
