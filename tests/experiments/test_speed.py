"""The fast forms of the detector say what the plain one says, and the command that times them runs."""
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from infobottle_dfd.aggregation import ForgeryDetector
from infobottle_dfd.core import InputError
from infobottle_dfd.experiments import bench
from infobottle_dfd.experiments.speed import Speed, run
from infobottle_dfd.losses import objective
from infobottle_dfd.runs.config import Config
from infobottle_dfd.runs.step import Learner

nb = pytest.importorskip("infobottle_dfd.experiments.speed")


def labelled(count, size):
    "Noise, darker where the label is 1."
    y = torch.arange(count) % 2
    return torch.rand(count, 3, size, size) * (1 - .5 * y.float())[:, None, None, None], y


def lived(backbone, n=2, d=8):
    "A detector whose batch norms have seen something, without dropout."
    torch.manual_seed(0)
    detector = ForgeryDetector(n, d, backbone)
    detector.classifier[0].p = 0.
    for m in detector.modules():
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)):
            m.momentum = None                           # the mean of all batches so far
    detector(labelled(32, 32)[0])
    return detector


def verdict(detector, x, bf16=False):
    "Logits of the verdict and of all blocks in evaluation mode."
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        out = detector.eval()(x)
    return torch.cat([out.logits_global.float(), out.logits_all.float()], 1)


def gradients(detector, x, y, bf16=False):
    "What reaches the projections, the heads, and the first convolution of every block."
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        out = detector.train()(x)
    sum(objective(out, y).values()).backward()
    first = [next(net.parameters()).grad for net in detector.blocks.backbones]
    return [detector.blocks.weight.grad, detector.heads.without.grad, torch.cat(first)]


FORMS = {"channels last": lambda net: net.to(memory_format=torch.channels_last), "folded": nb.fold, "grouped": nb.grouped, "stacked": nb.stacked,
         "folded and grouped": lambda net: nb.grouped(nb.fold(net))}


@pytest.mark.parametrize("backbone", ["tiny", pytest.param("resnet34", marks=pytest.mark.slow), pytest.param("mobilenet_v2", marks=pytest.mark.slow)])
def test_forms_of_inference_agree(backbone):
    "Single precision: a thousandth; bfloat16, with its 8 bits of mantissa: a twentieth of the spread over faces."
    x, _ = labelled(6, 32)
    net = lived(backbone).eval()
    want = verdict(net, x)
    spread = (want - want.mean(0)).abs().max()
    for name, form in FORMS.items():
        torch.testing.assert_close(verdict(form(net), x), want, rtol=1e-3, atol=1e-3 * spread.item(), msg=name)
    for form in (lambda net: net, nb.fold, nb.grouped) if backbone == "tiny" else ():       # deep random networks amplify rounding
        assert (verdict(form(net).to(memory_format=torch.channels_last), x, True) - want).abs().max() < .05 * spread


@pytest.mark.parametrize("backbone", ["tiny", pytest.param("resnet34", marks=pytest.mark.slow)])
def test_forms_of_training_agree(backbone):
    "Gradients and running statistics: a fiftieth of their norm in single precision; in bfloat16 the same for heads, direction for blocks."
    x, y = labelled(8, 32)
    want = gradients(plain := lived(backbone), x, y)
    for name in ("channels last", "grouped"):
        got = gradients(other := FORMS[name](lived(backbone)), x, y)
        for a, b in zip(got, want):
            assert torch.dist(a, b) < .02 * b.norm(), name
        seen = [torch.cat([b.flatten() for k, b in net.blocks.named_buffers() if k.endswith("running_var")]) for net in (other, plain)]
        torch.testing.assert_close(seen[0].sort().values, seen[1].sort().values, rtol=1e-3, atol=1e-5)
    if backbone == "tiny":
        short = gradients(lived(backbone), x, y, bf16=True)
        assert torch.dist(short[1].float(), want[1]) < .02 * want[1].norm()
        assert all(torch.cosine_similarity(a.float().flatten(), b.flatten(), 0) > .95 for a, b in zip(short, want))


def test_plain_is_the_same_model():
    "Logits, objective and gradients of the loops and of the library, two ResNet-34."
    learner, plain = Learner(Config(n=2, d=16, backbone="resnet34", size=32), torch.device("cpu")), nb.Plain(2, 16)
    nb.give(plain, learner.detector)
    learner.detector.classifier[0].p = plain.classifier[0].p = 0.
    x, y = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8), torch.arange(6) % 2
    x[..., 16:] = x[..., :16].flip(-1)                  # mirrored faces are the same
    total, _ = learner(x, y)
    other = nb.plain_loss(plain(x / 255), y, w := torch.ones(3, requires_grad=True))
    total.backward(), other.backward()
    torch.testing.assert_close(total, other, rtol=1e-4, atol=1e-4)
    for i in range(2):
        b = plain.blocks[i].fc.weight.grad.T
        torch.testing.assert_close(learner.detector.blocks.weight.grad[i], b, rtol=1e-2, atol=1e-3 * b.abs().max().item())
    torch.testing.assert_close(torch.stack([learner.objective.weights.w[k].grad for k in ("ce", "gil", "lil")]), w.grad, rtol=1e-3, atol=1e-4)
    want = plain.eval()(x / 255)
    torch.testing.assert_close(verdict(learner.detector, x / 255), torch.cat(want[:2], 1), rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_compiled_agrees():
    "One `tiny` block through the compiler, where there is one."
    x, detector = torch.rand(4, 3, 32, 32), lived("tiny", n=1)
    want = verdict(detector, x)
    detector.compile()
    try:
        got = verdict(detector, x)
    except Exception as e:
        pytest.skip(f"no compiler here ({type(e).__name__})")
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_the_command_runs(tmp_path):
    out = tmp_path / "speed.json"
    subprocess.run([sys.executable, "-m", "infobottle_dfd.experiments.speed", "--quick", "--out", out], check=True, stdout=subprocess.DEVNULL)
    found = json.loads(out.read_text())
    assert {r["what"] for r in found["rows"]} >= {"step", "inference", "small step", "small inference", "AdamW", "heads", "stage", "epoch"}
    assert all(r["best"] > 0 for r in found["rows"] if not r["what"].startswith("memory")) and found["matmul_gflops"]["float32"] > 0


@pytest.mark.parametrize("asked, said", [(dict(races=()), "--races names none"), (dict(quick=True), "name its file with --out"),
                                         (dict(threads=0), "threads is 0"), (dict(out=Path("nowhere/x.json")), "its folder does not exist")])
def test_nothing_is_measured_for_nothing(monkeypatch, tmp_path, asked, said):
    "What cannot be kept, or would take the place of the stored numbers, is refused before any race."
    monkeypatch.setattr(bench, "measure", None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said):
        run(Speed(**asked))
