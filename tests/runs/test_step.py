"""A step: its batches, its rate, its gradient, the same for one process and for two."""
import json
import math

import pytest
import torch

from helpers import two_processes
from infobottle_dfd import training
from infobottle_dfd.core import InputError
from infobottle_dfd.faces.clues import ClueFaces
from infobottle_dfd.losses import Objective
from infobottle_dfd.runs.config import MODES, Config
from infobottle_dfd.runs.step import Learner, Together, lr_at, plan
from infobottle_dfd.training import fit

pytestmark = pytest.mark.usefixtures("few_faces", "without_audit")
STEP = '''
from torch.nn.parallel import DistributedDataParallel
from test_step import faces, gradients, learner_of
rank, found = dist.get_rank(), {}
for mode in ("released", "paper", "calm"):
    learner = learner_of(mode)
    model = DistributedDataParallel(learner, static_graph=True)
    x, y = faces()
    found[mode] = gradients(learner, model, x[rank::2], y[rank::2])
if rank == 0: torch.save(found, args[0])
'''


def learner_of(mode):
    "Without batch norm (whose statistics are each process' own), dropout and mirrors: nothing random, nothing local."
    learner = Learner(Config(n=3, d=8, size=32, mode=mode), torch.device("cpu"))
    for module in learner.modules():
        for name, child in module.named_children():
            if isinstance(child, (torch.nn.BatchNorm2d, torch.nn.BatchNorm1d)):
                setattr(module, name, torch.nn.Identity())
            if isinstance(child, torch.nn.Dropout):
                child.p = 0.
    with torch.no_grad():                                           # heads that differ: the local term bends
        for p in learner.detector.heads.parameters():
            p.mul_(100)
    return learner


def faces():
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (8, 3, 32, 32), generator=g, dtype=torch.uint8)
    x[..., 16:] = x[..., :16].flip(-1)                              # a mirror changes nothing
    return x, torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])


def gradients(learner, model, x, y):
    torch.manual_seed(0)
    for _ in range(2):                                              # static_graph learns the graph in the first
        learner.zero_grad()
        model(x, y)[0].backward()
    return {k: p.grad.clone() for k, p in learner.named_parameters() if p.grad is not None}


def test_a_step_of_two_processes_is_the_step_of_one(tmp_path):
    "All modes, all parameters; the local term bends a mean, so averaging gradients of half batches would not do."
    two_processes(STEP, tmp_path / "two.pt")
    two = torch.load(tmp_path / "two.pt", weights_only=True)
    for mode, found in two.items():
        learner = learner_of(mode)
        one = gradients(learner, learner, *faces())
        assert one.keys() == found.keys() and len(one) > 20
        x, y = faces()
        halves = [gradients(learner, learner, x[k::2], y[k::2]) for k in (0, 1)]
        off = [k for k in one if not torch.allclose((halves[0][k] + halves[1][k]) / 2, one[k], rtol=1e-3, atol=1e-5)]
        assert mode == "calm" or len(off) > 10                      # so averaging half batches would be seen
        for k in one:
            torch.testing.assert_close(found[k], one[k], rtol=1e-3, atol=1e-5, msg=lambda m: f"{mode}, {k}: {m}")


def test_plan_is_balanced_and_loses_nothing():
    y = torch.tensor([0] * 7 + [1] * 25)
    batches = plan(y, Config(batch=10, balance=True), 3)
    images = [i for b in batches for i in b]
    assert len(batches) == 5 and sum(int(y[i]) for i in images) == 25 and set(images) == set(range(32))
    assert batches == plan(y, Config(batch=10, balance=True), 3) != plan(y, Config(batch=10, balance=True), 4)


@pytest.mark.parametrize("batch, word", [(2, "less than two images for each of 2 processes"), (7, "batch 7 cannot be shared by 2 processes")])
def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch, batch, word):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match=word):
        Together(Config(batch=batch, device="cpu")).__enter__()


def test_heads_that_measure_do_not_push(tmp_path):
    "The single-block heads are fitted, and no gradient of theirs reaches a block."
    learner = training.Learner(Config(n=2, d=8, size=32), torch.device("cpu"))
    out = learner.detector(torch.rand(4, 3, 32, 32))
    out.logits_alone.square().sum().backward()
    assert all(p.grad is None for p in learner.detector.blocks.parameters()) and learner.detector.heads.alone.grad is not None


def test_overfits_32_faces(tmp_path):
    faces = ClueFaces(32, 48, seed=1)
    cfg = Config(n=2, d=16, size=48)
    learner = training.Learner(cfg, torch.device("cpu"))
    x, y = faces[list(range(32))]
    for step in range(40):
        training.reseed(0, step)
        total, terms = learner(x, y)
        learner.step(total, cfg.lr)
    assert terms["ce"] < .5


def test_learning_rate_is_its_closed_form(tmp_path, monkeypatch):
    "A tenth of the run linearly up, then half a cosine to zero; every step of a run has it, and each epoch's last is in the history."
    for total in (1, 10, 37, 200):
        t = (torch.arange(total, dtype=torch.float64) + 1) / total
        closed = 2. * torch.where(t < .1, t / .1, (1 + torch.cos(math.pi * (t - .1) / .9)) / 2)
        assert [lr_at(s, total, 2.) for s in range(total)] == pytest.approx(closed.tolist(), abs=1e-12)
    rates, whole = [], training.Learner.step

    def step(self, total, lr):
        whole(self, total, lr)
        rates.append(self.optimizer.param_groups[0]["lr"])
    monkeypatch.setattr(training.Learner, "step", step)
    fit(Config(images=64, size=32, n=2, d=8, epochs=3, batch=16, lr=.01), tmp_path / "a")
    history = [json.loads(line) for line in (tmp_path / "a/metrics.jsonl").read_text().splitlines()]
    assert rates == [lr_at(s, 12, .01) for s in range(12)] and [h["lr"] for h in history] == rates[3::4]


def test_augment_is_a_setting():
    "Drawn faces are mirrored, files get the photographs' way, unless the settings say otherwise."
    from infobottle_dfd.runs.step import vary
    x = torch.randint(0, 256, (64, 3, 48, 48), dtype=torch.uint8)

    def seen(**options):
        torch.manual_seed(0)
        return vary(x, Config(**options))
    assert torch.equal(seen(augment="none"), x.float() / 255) and torch.equal(seen(), seen(augment="flip"))
    assert torch.equal(seen(data="x.csv"), seen(augment="photo")) and torch.equal(seen(data="x.csv", augment="flip"), seen())
    shifted = seen(augment="shift")
    assert shifted.shape == x.shape and 0 <= shifted.min() and shifted.max() <= 1
    assert len({round(float(v), 4) for v in (shifted.mean((1, 2, 3)) - x.float().mean((1, 2, 3)) / 255)}) > 50        # each its own
    plain = torch.full((64, 3, 48, 48), 128, dtype=torch.uint8)
    torch.manual_seed(0)
    assert (vary(plain, Config(augment="shift")) - 128 / 255).abs().max() <= .05 + 1e-6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("mode", MODES)
def test_a_gpu_agrees(mode):
    "Loss and gradient of every mode in float32. On an H200: 2e-6 of the gradient apart at the most."
    found, faces = [], ClueFaces(32, 48, 7, pairs=True, marked=True)
    torch.backends.cudnn.allow_tf32 = False
    for device in map(torch.device, ("cpu", "cuda")):
        learner = Learner(Config(mode=mode, size=48, augment="none"), device)
        for m in learner.modules():
            if isinstance(m, torch.nn.Dropout): m.p = 0.
        total, _ = learner(*(t.to(device) for t in faces[[*range(32)]]))
        total.backward()
        found.append([total.detach().cpu(), torch.cat([p.grad.flatten().cpu() for p in learner.parameters() if p.grad is not None])])
    torch.testing.assert_close(found[1][0], found[0][0], rtol=1e-5, atol=0)
    assert (found[0][1] - found[1][1]).norm() < 1e-4 * found[0][1].norm()


@pytest.mark.parametrize("terms", [{}, torch.tensor(1.), {"a": torch.ones(2)}, {"a": 1.}], ids=str)
def test_an_objective_that_returns_no_terms(few_faces, tmp_path, terms):
    "One sentence, and no folder in the way of the next try."
    class Odd(Objective):
        reads = ("logits_global",)

        def forward(self, out, y):
            return terms
    with pytest.raises(InputError, match="return its terms by name"):
        fit(Config(images=32, size=32, n=2, d=8, epochs=1, batch=16), tmp_path / "a", objective=Odd(2, 8))
    assert not (tmp_path / "a").exists()
