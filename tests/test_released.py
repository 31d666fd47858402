"""The released program: its preset, its dropout, and what page 09 says of its losses."""
import torch

from infobottle_dfd.aggregation import ForgeryDetector
from infobottle_dfd.losses import make_objective
from infobottle_dfd.runs.config import PRESETS, Config
from infobottle_dfd.runs.step import Learner


def dropouts(module):
    return [m.p for m in module.modules() if isinstance(m, torch.nn.Dropout)]


def test_the_preset_rebuilds_its_settings():
    cfg = PRESETS["released"].check()
    assert (cfg.mode, cfg.weighting, cfg.n, cfg.d, cfg.size, cfg.backbone) == ("released", "automatic", 4, 512, 224, "resnet34")
    assert (cfg.dropout, cfg.clip, cfg.bf16, cfg.mixup, cfg.weight_decay) == (.5, 0, False, .5, 1e-6)


def test_dropout_reaches_the_fusion():
    "A setting of the run; 0 in all the others, and never in a head."
    for dropout in (0., .5):
        learner = Learner(Config(n=2, d=8, size=32, dropout=dropout), torch.device("cpu"))
        assert dropouts(learner.detector.fusion) == [dropout] * 2 and not dropouts(learner.detector.heads)
    assert all(cfg.dropout == 0 for name, cfg in PRESETS.items() if name != "released")


def test_dropout_spreads_the_verdict_in_training_alone():
    torch.manual_seed(0)
    z, found = torch.randn(4, 32, 64), {}
    for dropout in (0., .5):
        detector = ForgeryDetector(4, 64, dropout=dropout).train()
        said = lambda: detector.aggregate(z).logits_global.diff().flatten()
        with torch.no_grad():
            found[dropout] = torch.stack([said() for _ in range(60)]).std(0).mean()
            detector.eval()
            assert torch.equal(said(), said())
    assert found[.5] > 1.3 * found[0.]


def test_a_constant_teaches_the_others_only():
    "Term i of the released local loss: no gradient to the head on Z; in paper form there is one."
    for mode, reached in (("released", False), ("paper", True)):
        torch.manual_seed(0)
        detector = ForgeryDetector(3, 8)
        make_objective(mode, 3, 8)(detector(torch.rand(4, 3, 32, 32)), torch.tensor([0, 1] * 2))["lil"].backward()
        assert (detector.heads.all.grad is not None) == reached
