"""Blocks: they differ from the start, and see the whole face."""
import pytest
import torch
from torchvision.models import mobilenet_v2

from infobottle_dfd.aggregation import ForgeryDetector
from infobottle_dfd.blocks import LocalBlocks, make_backbone
from infobottle_dfd.core import InputError


def test_blocks_differ_at_step_0(tmp_path):
    "One weights file for all blocks: z_i and the gradients to the blocks differ from the start."
    torch.manual_seed(0)
    torch.save(mobilenet_v2().features.state_dict(prefix="features."), tmp_path / "features.pth")
    detector = ForgeryDetector(n=3, d=8, backbone="mobilenet_v2", weights=tmp_path / "features.pth").eval()
    a, b, c = (list(net.parameters()) for net in detector.blocks.backbones)
    assert all(torch.equal(p, q) and torch.equal(p, r) for p, q, r in zip(a, b, c))
    out = detector(torch.rand(4, 3, 64, 64))
    torch.nn.functional.cross_entropy(out.logits_global, torch.tensor([0, 1, 0, 1])).backward()
    for p, q in ((a, b), (a, c), (b, c)):
        assert not torch.allclose(p[0].grad, q[0].grad, rtol=.1, atol=0)
    assert all(torch.dist(out.z[i], out.z[j]) > .1 * out.z[i].norm() for i in range(3) for j in range(i))


def test_every_backbone_sees_the_whole_face():
    x = torch.rand(1, 3, 64, 64, requires_grad=True)
    for name in ("tiny", "resnet34", "efficientnet_b0", "mobilenet_v2"):
        torch.manual_seed(0)
        z = LocalBlocks(1, 4, name).eval()(x)
        slope, = torch.autograd.grad(z.square().sum(), x)
        assert (slope.abs().sum(1)[0] > 0).float().mean() > .95, name


def test_weights_of_another_model(tmp_path):
    torch.save(mobilenet_v2().state_dict(), tmp_path / "m.pth")
    assert make_backbone("mobilenet_v2", tmp_path / "m.pth") is not None             # a classifier in the file is passed over
    for name in ("resnet34", "tiny", "efficientnet_b0"):
        with pytest.raises(InputError, match="another model than " + name):
            make_backbone(name, tmp_path / "m.pth")
    torch.save({"features.0.0.weight": torch.zeros(1)}, tmp_path / "shape.pth")
    with pytest.raises(InputError, match="another model"):
        make_backbone("mobilenet_v2", tmp_path / "shape.pth")
    torch.save(mobilenet_v2(), tmp_path / "pickle.pth")                               # code in the file is never run
    with pytest.raises(InputError, match="plain tensors"):
        make_backbone("mobilenet_v2", tmp_path / "pickle.pth")
