"Places: the bound a place, what is known and what is not, and that nothing is paid at inference."
import math
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from infobottle_dfd.aggregation import ForgeryDetector
from infobottle_dfd.blocks import make_backbone
from infobottle_dfd.core import InputError
from infobottle_dfd.faces.clues import ClueFaces
from infobottle_dfd.places import PlaceHeads, Places, place_maps, step_at
from infobottle_dfd.runs.checkpoint import load_run
from infobottle_dfd.runs.config import Config
from infobottle_dfd.runs.step import Learner, reseed
from infobottle_dfd.training import fit
from torchvision.transforms.v2.functional import to_pil_image

CPU = torch.device("cpu")


def faces(b=16, size=48):
    return ClueFaces(b, size, 3, pairs=True, marked=True)


@pytest.mark.parametrize("name, size, f, cells", [
    ("tiny", 48, 64, 6), ("tiny", 64, 64, 8), ("resnet34", 96, 256, 6), ("mobilenet_v2", 96, 576, 6), ("vit_b_32", 64, 768, 2)])
def test_the_step_before_the_smallest_maps(name, size, f, cells):
    net = make_backbone(name, size=size)
    at, shape = step_at(net, size)
    assert shape == (1, f, cells, cells)
    assert not any(m._forward_hooks for m in net.modules())


def test_a_detector_without_backbones_is_refused():
    with pytest.raises(InputError, match="detector.blocks.backbones"):
        Learner(Config(mode="places", size=48, d=8), CPU, detector=torch.nn.Linear(2, 2))


def test_maps_are_those_of_the_step():
    detector = ForgeryDetector(n=3, d=8).eval()
    x = torch.rand(4, 3, 48, 48)
    out, plain = detector(x, "3"), detector(x)
    normal = (x - detector.blocks.mean) / detector.blocks.std
    torch.testing.assert_close(out.maps, torch.stack([net[:4](normal) for net in detector.blocks.backbones]))
    assert plain.maps is None and torch.equal(out.logits_global, plain.logits_global)
    assert not any(m._forward_hooks for m in detector.modules())
    with pytest.raises(AttributeError):
        detector(x, "nose")
    with pytest.raises(RuntimeError):
        detector(x.double(), "3")
    assert not any(m._forward_hooks for m in detector.modules())            # gone after an error, too


def test_targets():
    asked, masks = Places(2, 8, cells=4), torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    masks[1, 0, 0, 7] = 255
    t = asked.targets(masks, torch.tensor([0, 1, 1]))
    assert (t[0] == 0).all() and t[1, 0, 3] == 1 and t[1].sum() == 1 and t[2].isnan().all()


def test_on_films_a_quarter_of_the_pixels():
    asked, masks = Places(1, 8), torch.zeros(2, 1, 48, 48, dtype=torch.uint8)
    masks[0, 0, :8, :2] = masks[1, 0, :8, :3] = 255                     # a quarter of a place of 8 x 8, and more
    for drawn, changed in ((True, [1, 1]), (False, [None, 1])):
        asked.meet(ForgeryDetector(1, 8), 48, drawn)
        t = asked.targets(masks, torch.tensor([1, 1]))
        assert [None if v.isnan().any() else int(v.sum()) for v in t] == changed


def objective_and_outputs(b=6, n=2, cells=4):
    torch.manual_seed(0)
    asked = Places(n, 8, f=5, cells=cells)
    maps = torch.randn(n, b, 5, cells, cells, requires_grad=True)
    out = ForgeryDetector(n, 8)(torch.rand(b, 3, 32, 32))._replace(maps=maps)
    y = torch.tensor([0, 1] * (b // 2))
    where = (torch.rand(b, cells, cells) < .3).float() * y[:, None, None]
    return asked, out, y, where


def test_the_term_is_the_mean_over_places_faces_and_blocks():
    asked, out, y, where = objective_and_outputs()
    terms, said = asked(out, y, where), asked.heads(out.maps)
    each = F.binary_cross_entropy_with_logits(said, where.expand_as(said))
    torch.testing.assert_close(terms["places"], 16 * each)
    torch.testing.assert_close(terms["ce"], F.cross_entropy(out.logits_global, y))
    soft = asked(out, F.one_hot(y, 2).float(), where)
    torch.testing.assert_close(soft["places"], terms["places"])


def test_unknown_masks_count_in_the_verdict_alone_and_real_faces_do_not_outweigh():
    asked, out, y, where = objective_and_outputs()
    where[1] = torch.nan                                        # two fakes left, three real faces
    terms, said = asked(out, y, where), asked.heads(out.maps)
    each = F.binary_cross_entropy_with_logits(said, where.nan_to_num(0).expand_as(said), reduction="none").mean((0, 2, 3))
    real, fake = each[[0, 2, 4]].mean(), each[[3, 5]].mean()
    torch.testing.assert_close(terms["places"], 16 * (real + fake) / 2)
    terms["places"].backward(retain_graph=True)
    assert (out.maps.grad[:, 1] == 0).all() and out.maps.grad[:, 0].abs().sum() > 0
    none = asked(out, y, where.masked_fill((y > 0)[:, None, None], torch.nan))["places"]
    assert none == 0
    none.backward()                                             # still connected


def test_it_is_a_bound_on_what_the_place_knows():
    "H(m) minus the cross-entropy never exceeds I(F;m), and reaches it for the best head: two values, exact."
    f = torch.tensor([-1., 1.])                                 # the feature; P(m=1|f) = .2, .7
    p, prior = torch.tensor([.2, .7]), torch.tensor(.45)
    h = lambda q: -(q * q.log() + (1 - q) * (1 - q).log())
    truth = h(prior) - h(p).mean()
    heads = PlaceHeads(1, 1)
    best = (p / (1 - p)).log()
    for w, b in (((best[1] - best[0]) / 2, best.mean()), (torch.tensor(.3), torch.tensor(0.)), (torch.tensor(-2.), torch.tensor(1.))):
        with torch.no_grad(): heads.weight.fill_(w); heads.bias.fill_(b)
        said = heads(f.view(1, 2, 1, 1, 1)).flatten()
        ce = (p * F.softplus(-said) + (1 - p) * F.softplus(said)).mean()
        assert h(prior) - ce <= truth + 1e-6
    with torch.no_grad(): heads.weight.fill_((best[1] - best[0]) / 2); heads.bias.fill_(best.mean())
    said = heads(f.view(1, 2, 1, 1, 1)).flatten()
    torch.testing.assert_close(h(prior) - (p * F.softplus(-said) + (1 - p) * F.softplus(said)).mean(), truth)


@pytest.mark.parametrize("options", [{}, {"mixup": .5}, {"bf16": True}, {"augment": "photo"}, {"augment": "none"}, {"n": 1}])
def test_a_step_trains_everything(options):
    learner = Learner(Config(mode="places", size=48, d=8, **{"n": 2} | options), CPU)
    reseed(0)
    total, terms = learner(*faces()[[*range(16)]])
    learner.step(total, 1e-3)
    assert total.isfinite() and set(terms) == {"ce", "places"} and learner.objective.cells == 6
    for net in learner.detector.blocks.backbones:
        assert all(p.grad.abs().sum() > 0 for p in net[:4].parameters())


def test_masks_move_with_the_picture():
    "A picture that is its own mask stays it through every variation."
    x = torch.zeros(8, 3, 48, 48, dtype=torch.uint8)
    x[:, :, 5:20, 30:41] = 200
    from infobottle_dfd.runs.step import vary
    for augment in ("none", "flip", "shift", "photo"):
        torch.manual_seed(1)
        both = vary(torch.cat([x, (x[:, :1] > 0) * 255], 1).byte(), Config(augment=augment))
        torch.manual_seed(1)
        assert torch.allclose(both[:, :3], vary(x, Config(augment=augment)), atol=1e-6)
        bright = both[:, 0] > both[:, 0].mean((1, 2), keepdim=True)
        assert torch.equal(bright, both[:, 3] == 1) and set(both[:, 3].unique().tolist()) == {0., 1.}


def test_pairs():
    f, plain = faces(64), ClueFaces(64, 48, 3, marked=True)
    fake, real = f.x[1::2].float(), f.x[::2].float()
    changed = (f.where[1::2] > 0).expand_as(fake)
    assert f.y.tolist() == [0, 1] * 32 and (f.where[::2] == 0).all() and changed.flatten(1).any(1).all()
    apart = (fake - real).abs()
    assert apart[changed].mean() > 1.5 * apart[~changed].mean()               # outside: two draws of noise
    assert (apart[~changed] > 0).float().mean() > .5
    assert torch.equal(ClueFaces(64, 48, 3).x, plain.x) and ClueFaces(64, 48, 3).where is None


def test_run_gives_its_heads_back_and_pays_nothing_without(tmp_path):
    cfg = Config(mode="places", images=64, size=32, n=2, d=8, epochs=1)
    sets = {"train": faces(64, 32), "val": ClueFaces(32, 32, 4), "test": ClueFaces(32, 32, 5)}
    fit(cfg, tmp_path / "run", sets=sets)
    detector, saved = load_run(tmp_path / "run")
    asked = saved["objective"]
    out = detector(torch.rand(3, 3, 32, 32), asked.at)
    likely = asked.likely(out.maps)
    assert likely.shape == (3, 4, 4) and ((0 < likely) & (likely < 1)).all()
    x = torch.rand(3, 3, 32, 32)
    shown, by_block = place_maps(detector, asked, x), asked.heads(detector(x, asked.at).maps).sigmoid()
    assert shown.shape == (2, 3, 32, 32)
    torch.testing.assert_close(shown[:, :, ::8, ::8], by_block)
    torch.testing.assert_close(shown[:, :, 7::8, 7::8], by_block)
    size = sum(p.numel() for p in detector.parameters())
    assert size == sum(p.numel() for p in ForgeryDetector(2, 8).parameters())


def test_predict_draws_places(tmp_path, call):
    "In place of Grad-CAM, and says so; the numbers of the table are those of any run."
    fit(Config(mode="places", images=64, size=32, n=2, d=8, epochs=1), tmp_path / "run",
        sets={"train": faces(64, 32), "val": ClueFaces(32, 32, 4), "test": ClueFaces(32, 32, 5)})
    to_pil_image(ClueFaces(2, 64, 1).x[1]).save(tmp_path / "face.png")
    status, out, err = call("predict", tmp_path / "face.png", "--crops", "--run", tmp_path / "run", "--picture", tmp_path / "why.png")
    assert status == 0 and (tmp_path / "why.png").stat().st_size > 5000, err


def test_other_modes_say_nothing_of_places(tmp_path):
    fit(Config(mode="calm", images=64, size=32, n=2, d=8, epochs=1), tmp_path / "run",
        sets={"train": ClueFaces(64, 32, 1), "val": ClueFaces(32, 32, 4), "test": ClueFaces(32, 32, 5)})
    assert "objective" not in load_run(tmp_path / "run")[1]


TWO = """
import torch
from infobottle_dfd.runs.config import Config
from infobottle_dfd.runs.machine import world
from infobottle_dfd.runs.step import Learner, Together
from infobottle_dfd.core import InputError
from infobottle_dfd.faces.clues import ClueFaces
from torch.nn.parallel import DistributedDataParallel
cfg = Config(mode="places", size=32, n=2, d=8, device="cpu", augment="none", batch=8)
with Together(cfg) as device:
    rank, many = world()
    learner = Learner(cfg, device)
    for m in learner.modules():
        if isinstance(m, torch.nn.Dropout): m.p = 0.
        if isinstance(m, torch.nn.modules.batchnorm._BatchNorm): m.eval = lambda: m; m.training = False
    batch = [t[rank::many] for t in ClueFaces(8, 32, 3, pairs=True, marked=True)[[*range(8)]]]
    model = DistributedDataParallel(learner, static_graph=True) if many > 1 else learner
    total, terms = model(*batch)
    total.backward()
    kept = {k: p.grad for k, p in learner.named_parameters() if "heads" not in k or "objective" in k}
    torch.save([terms["places"].item(), kept], f"{__file__}.{many}.{rank}")
"""


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    (script := tmp_path / "two.py").write_text(TWO)
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, script], check=True, env=env)
    subprocess.run([sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", script], check=True, env=env, capture_output=True)
    one, two = torch.load(f"{script}.1.0"), torch.load(f"{script}.2.0")
    assert math.isclose(one[0], two[0], rel_tol=1e-5)
    for k, g in one[1].items():
        torch.testing.assert_close(two[1][k], g, atol=1e-6, rtol=1e-4)
