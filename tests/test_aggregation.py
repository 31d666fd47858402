"""Heads, fusion and detector."""
import torch

from infobottle_dfd.aggregation import ForgeryDetector

def keys(**options): return ForgeryDetector(n=2, d=8, **options).state_dict().keys()

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
