"""Blocks: they differ from the start, and see the whole face."""
import pytest
import torch
from torchvision.models import get_model, mobilenet_v2, resnet34

from infobottle_dfd.aggregation import ForgeryDetector
from infobottle_dfd.blocks import Depthwise, LocalBlocks, look, make_backbone
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


SLOW = [pytest.param(name, maps, marks=pytest.mark.slow) for name, maps in (
    ("densenet121", (1024, 2, 2)), ("swin_t", (768, 2, 2)), ("regnet_y_400mf", (440, 2, 2)), ("googlenet", (1024, 2, 2)))]


@pytest.mark.parametrize("name, maps", [
    ("tiny", (128, 4, 4)), ("resnet34", (512, 2, 2)), ("efficientnet_b0", (1280, 2, 2)), ("mobilenet_v2", (1280, 2, 2)),
    ("convnext_tiny", (768, 2, 2)), ("vit_b_16", (768, 4, 4)), ("shufflenet_v2_x0_5", (1024, 2, 2)), *SLOW])
def test_any_classification_model_by_name(name, maps):
    "Its width is read without moving a statistic; it sees the whole face; it trains in a detector of one block."
    torch.manual_seed(0)
    detector = ForgeryDetector(n=1, d=6, backbone=name, size=64)
    net, blocks = detector.blocks.backbones[0], detector.blocks
    assert blocks.weight.shape == (1, maps[0], 6) and look(net, 64) == (1, *maps) and net.training
    moved = {k: v for k, v in net.state_dict().items() if k.endswith(("running_mean", "num_batches_tracked"))}
    assert not any(v.any() for v in moved.values())
    x = torch.rand(2, 3, 64, 64, requires_grad=True)
    blocks.eval()(x).square().sum().backward()
    assert (x.grad[0].abs().sum(0) > 0).float().mean() > .95
    detector.train().zero_grad()
    detector(x).logits_global.square().sum().backward()
    assert next(net.parameters()).grad.isfinite().all() and next(net.parameters()).grad.any()


@pytest.mark.parametrize("name", ["resnet34", "efficientnet_b0", "mobilenet_v2"])
def test_names_of_weights_are_those_of_older_runs(name):
    "net. and torchvision's own, without the classifier: older detectors load."
    whole = [k for k in get_model(name).state_dict() if not k.startswith(("fc.", "classifier."))]
    assert list(make_backbone(name).state_dict()) == [f"net.{k}" for k in whole]


@pytest.mark.parametrize("name, size, words", [
    ("resnet35", 64, "unknown backbone 'resnet35'; choose tiny, resnet34"), ("", 64, "unknown backbone"),
    ("fcn_resnet50", 64, "unknown"), ("fasterrcnn_resnet50_fpn", 64, "unknown"), ("r3d_18", 64, "unknown"),
    ("quantized_resnet18", 64, "unknown"), ("squeezenet1_0", 64, "no linear layer at its end"),
    ("vit_b_16", 60, "cannot be built for faces of 60 pixels"), ("maxvit_t", 64, "cannot be built for faces of 64"),
    ("inception_v3", 48, "cannot see faces of 48 pixels"), ("alexnet", 32, "cannot see faces of 32 pixels")])
def test_what_cannot_be_a_backbone(name, size, words):
    with pytest.raises(InputError, match=words) as e:
        LocalBlocks(1, 4, name, size=size)
    assert len(str(e.value).splitlines()) == 1


@pytest.mark.parametrize("name, options", [
    ("shufflenet_v2_x0_5", {"num_classes": 7}), ("vit_b_32", {"image_size": 96}), pytest.param("swin_t", {}, marks=pytest.mark.slow),
    pytest.param("densenet121", {}, marks=pytest.mark.slow), pytest.param("inception_v3", {"init_weights": False}, marks=pytest.mark.slow)])
def test_classifier_in_a_file_of_any_family(name, options, tmp_path):
    "With as many classes as it likes; a transformer's places are interpolated for another size of face."
    whole = get_model(name, **options).state_dict()
    torch.save(whole, tmp_path / "w.pth")
    net = make_backbone(name, tmp_path / "w.pth", 64).net.state_dict()
    same = [k for k in net if "pos_embedding" not in k]
    assert len(same) > 50 and all(torch.equal(net[k], whole[k]) for k in same)
    if name == "vit_b_32":
        torch.save({**whole, "encoder.pos_embedding": torch.zeros(2, 10, 768)}, tmp_path / "w.pth")
        with pytest.raises(InputError, match="another model than vit_b_32"):
            make_backbone(name, tmp_path / "w.pth", 64)


def test_imagenet_weights(monkeypatch, tmp_path):
    "Torchvision's come by the same way as a file's; without a network, one sentence."
    from torchvision.models import ResNet34_Weights as W
    whole = resnet34()
    monkeypatch.setattr(W, "get_state_dict", lambda self, **_: whole.state_dict())
    assert torch.equal(make_backbone("resnet34", "imagenet").net.conv1.weight, whole.conv1.weight)
    def fails(self, **_):
        raise OSError("no network")
    monkeypatch.setattr(W, "get_state_dict", fails)
    with pytest.raises(InputError, match="could not be downloaded .no network.; give a file"):
        make_backbone("resnet34", "imagenet")


def test_faces_of_another_kind_have_no_score():
    "Bytes were taken for numbers in [0, 1], one grey channel for three: another score, without a word."
    blocks, x = LocalBlocks(2, 4, size=32), torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    for wrong in (x, x.long(), x[:, :1] / 255, x[0] / 255, x.movedim(1, 3) / 255):
        with pytest.raises(InputError, match="divide bytes by 255"):
            blocks(wrong)


def test_depthwise_convolutions_keep_float32_on_a_cpu():
    "Under bfloat16 autocast: the dtype and, nearly, the values of the plain convolution; the same weights by the same names."
    torch.manual_seed(0)
    net = make_backbone("mobilenet_v2")
    found = [m for m in net.modules() if isinstance(m, Depthwise)]
    assert len(found) == 17 and all(m.groups == m.in_channels > 1 for m in found)
    x, plain = torch.randn(2, 32, 8, 8).bfloat16(), torch.nn.Conv2d(32, 32, 3, groups=32)
    own = torch.nn.Conv2d(32, 32, 3, groups=32)
    own.load_state_dict(plain.state_dict())
    own.__class__ = Depthwise
    with torch.autocast("cpu", torch.bfloat16):
        a, b = own(x), plain(x)
    assert a.dtype == b.dtype == torch.bfloat16
    assert torch.equal(a, plain(x.float()).bfloat16())              # of float32 weights; bfloat16 ones give other values
    torch.testing.assert_close(a, b, rtol=.03, atol=.03)
    half = torch.nn.functional.conv2d(x, plain.weight.bfloat16(), plain.bias.bfloat16(), groups=32)
    assert not torch.equal(a, half)
