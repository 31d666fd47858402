"""Objectives as objects: their terms, options and heads; anybody's own, from a shell, on two processes, after a kill."""
import json
import os
import signal
import subprocess
import time

import pytest
import torch
import torch.nn.functional as F

from helpers import ENV, TORCHRUN, many_rows, same_last, two_processes
from infobottle_dfd.aggregation import ForgeryDetector, Outputs
from infobottle_dfd.core import InputError
from infobottle_dfd.losses import CALM, OBJECTIVES, Objective, confidence, fixed_weights, make_objective, objective
from infobottle_dfd.runs.config import MODES, Config
from infobottle_dfd.runs.step import Learner, objective_of

MINE = '''
import torch
from infobottle_dfd.losses import Objective

class Orthogonal(Objective):
    reads = ("logits_global", "z")

    def forward(self, out, y):
        u = torch.nn.functional.normalize(out.z - out.z.mean(1, keepdim=True), dim=-1)     # of the whole batch
        alike = (u[:, None] * u).sum(-1).square().mean(-1)
        return super().forward(out, y) | {"alike": (alike.sum() - alike.trace()) / (len(u) * (len(u) - 1))}
'''
MODE = "mine:Orthogonal"
STEP = '''
import sys, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from test_step import faces, gradients, learner_of
sys.path.insert(0, args[1])
rank, learner = dist.get_rank(), learner_of("mine:Orthogonal")
x, y = faces()
one, half = gradients(learner, learner, x, y), gradients(learner, learner, x[::2], y[::2])
two = gradients(learner, DistributedDataParallel(learner, static_graph=True), x[rank::2], y[rank::2])
if rank == 0: torch.save([one, two, half], args[0])

'''


def some_outputs(n=4, b=6, k=2, d=5, seed=0):
    g = torch.Generator().manual_seed(seed)
    draw = lambda *s: (2 * torch.randn(*s, generator=g)).requires_grad_()
    return Outputs(draw(b, k), draw(b, k), draw(n, b, k), draw(n, b, k), draw(n, b, d), draw(b, d)), torch.randint(0, k, (b,), generator=g)


LABEL_ALONE = [mode for mode in OBJECTIVES if mode != "places"]          # that one: test_places


def only_what_it_reads(asked, out):
    return Outputs(*(t if name in asked.reads else None for name, t in zip(out._fields, out)))


@pytest.mark.parametrize("n, k", [(1, 2), (4, 2), (3, 5)])
@pytest.mark.parametrize("mode", LABEL_ALONE)
def test_every_objective(mode, n, k):
    "Any number of blocks and classes, labels as opinions, nothing but what it reads, every head of its own trained."
    torch.manual_seed(0)
    asked, (out, y) = make_objective(mode, n, 5, k), some_outputs(n, k=k)
    terms = asked(only_what_it_reads(asked, out), y)
    total = asked.total(terms)
    assert total.shape == () and total.isfinite()
    total.backward()
    assert all(p.grad.abs().sum() > 0 for p in asked.parameters())
    soft = asked(out, F.one_hot(y, k).float())
    for name in terms:
        torch.testing.assert_close(soft[name], terms[name])


def test_names_stand_in_the_settings_too():
    assert MODES == list(OBJECTIVES)


def test_released_and_paper_are_the_function():
    out, y = some_outputs()
    for mode in ("released", "paper"):
        for options in ({}, {"lil": False}, {"gil": False}, {"lil": False, "gil": False}):
            terms, want = make_objective(mode, 4, 5, **options)(out, y), objective(out, y, mode, **options)
            assert terms.keys() == want.keys() and all(torch.equal(terms[k], want[k]) for k in want)
            assert set(make_objective(mode, 4, 5, **options).weights.w) == set(want)
        fixed = make_objective(mode, 4, 5, weighting="fixed", alpha=.5, beta=2.)
        terms = fixed(out, y)
        torch.testing.assert_close(fixed.total(terms), fixed_weights(objective(out, y, mode), .5, 2.))
        assert 0 < terms["lil"] <= 1                                # bounded, with fixed weights too


@pytest.mark.parametrize("n, k", [(1, 2), (4, 2), (3, 5)])
def test_calm(n, k):
    "Cross-entropy of verdict, full head and every witness, and the price of their confidence; nothing else."
    asked, (out, y) = make_objective("calm", n, 5, k), some_outputs(n, k=k)
    terms, said = asked(out, y), asked.witnesses(out.z)
    assert terms.keys() == {"ce", "calm"}
    torch.testing.assert_close(terms["ce"], F.cross_entropy(out.logits_global, y) + F.cross_entropy(out.logits_all, y) + sum(F.cross_entropy(t, y) for t in said))
    pairs = sum((said[..., a] - said[..., b]) ** 2 for a in range(k) for b in range(a)).mean(-1).sum()
    torch.testing.assert_close(terms["calm"], CALM * 2 * pairs / k)                        # k = 2: the squared gap
    asked.total(terms).backward()
    assert out.logits_without.grad is None and (out.z.grad.abs().sum((1, 2)) > 0).all()
    torch.testing.assert_close(confidence(said[..., :1].expand(-1, -1, k)), torch.tensor(0.))


def test_calm_extremes():
    asked, (out, y) = make_objective("calm", 4, 5), some_outputs()
    z = (out.z.detach() * 1e4).requires_grad_()
    total = asked.total(asked(out._replace(z=z, logits_all=out.logits_all * 1e4), y))
    total.backward()
    assert total.isfinite() and total.dtype == torch.float32 and z.grad.isfinite().all()


def test_heads_is_paper_without_information():
    "The gradients of the arm of older experiments: mode paper, both weights fixed at zero."
    found = []
    for asked in (make_objective("heads", 4, 5), make_objective("paper", 4, 5, weighting="fixed", alpha=0, beta=0)):
        out, y = some_outputs()
        asked.total(asked(out, y)).backward()
        found.append([t.grad for t in out[:3]])
    for a, b in zip(*found):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("mode", LABEL_ALONE)
def test_a_step_moves_the_blocks(mode):
    "README's example: one optimizer holds the parameters of both."
    torch.manual_seed(0)
    detector, asked = ForgeryDetector(n=2, d=8), make_objective(mode, n=2, d=8)
    optimizer = torch.optim.AdamW([*detector.parameters(), *asked.parameters()])
    before = [p.clone() for p in [*detector.blocks.parameters(), *asked.parameters()]]
    asked.total(asked(detector(torch.rand(8, 3, 32, 32)), torch.tensor([0, 1] * 4))).backward()
    optimizer.step()
    assert not any(torch.equal(a, b) for a, b in zip(before, [*detector.blocks.parameters(), *asked.parameters()]))


@pytest.mark.parametrize("mode", ["released", "paper"])
@pytest.mark.parametrize("term", ["ce", "lil", "gil"])
def test_every_term_reaches_the_blocks(mode, term):
    torch.manual_seed(0)
    detector, asked = ForgeryDetector(n=3, d=8), make_objective(mode, n=3, d=8)
    asked(detector(torch.rand(8, 3, 32, 32)), torch.tensor([0, 1] * 4))[term].backward()
    assert all(p.grad.abs().sum() > 0 for p in [detector.blocks.weight])


@pytest.mark.parametrize("mode, options, words", [
    ("calm", {"lil": False}, "lil means nothing to mode calm"), ("heads", {"alpha": .1}, "alpha means nothing to mode heads"),
    ("cross-entropy", {"weighting": "fixed"}, "weighting means nothing"), ("paper", {"alpha": .1}, "set weighting to fixed"),
    ("paper", {"weighting": "loud"}, "choose automatic or fixed"), ("best", {}, "choose one of released, paper, calm"),
    ("nowhere:Own", {}, "No module named 'nowhere'"), ("json:Own", {}, "has no attribute 'Own'"), ("json:loads", {}, "unknown mode")], ids=str)
def test_what_means_nothing_is_refused(mode, options, words):
    with pytest.raises(InputError, match=words):
        make_objective(mode, 4, 8, **options)


def test_an_older_run_is_not_refused():
    "What was passed over then is passed over still; asked for anew it is refused."
    cfg = Config(mode="calm", lil=False, weighting="fixed", alpha=.1)
    assert type(objective_of(cfg, old=True)) is OBJECTIVES["calm"]
    with pytest.raises(InputError, match="means nothing to mode calm"):
        objective_of(cfg)


def test_the_learner_takes_any_detector_and_objective():
    "The objective sees what it reads, the heads that measure are fitted beside it, and both are in the state."
    class Watching(Objective):
        reads = ("g",)

        def forward(self, out, y):
            assert out.logits_global is None and out.z is None
            return {"g": out.g.square().mean()}
    torch.manual_seed(0)
    detector = ForgeryDetector(n=3, d=4)
    learner = Learner(Config(n=2, d=8, size=32), torch.device("cpu"), detector, Watching(3, 4))
    total, terms = learner(torch.zeros(8, 3, 32, 32, dtype=torch.uint8), torch.tensor([0, 1] * 4))
    total.backward()
    assert terms.keys() == {"g"} and detector.heads.alone.grad.abs().sum() > 0 and learner.detector is detector


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


@pytest.mark.slow
def test_ones_own_step_on_two_processes(mine):
    "z is gathered: two processes have the gradient of one; half the batch has another."
    two_processes(STEP, mine / "two.pt", mine)
    one, two, half = torch.load(mine / "two.pt", weights_only=True)
    assert two.keys() == one.keys() and len(one) > 20
    for k in one:
        torch.testing.assert_close(two[k], one[k], rtol=1e-3, atol=1e-5)
    assert not torch.allclose(half["detector.blocks.weight"], one["detector.blocks.weight"], rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_ones_own_from_a_shell(mine, face_folder):
    "`infobottle-train --mode mine:Orthogonal` in a fresh process: killed, it goes on to the same weights; and under torchrun."
    data = many_rows(face_folder, mine / "m.csv", 2, val=40)
    words = ["infobottle-train", "--mode", MODE, "--data", str(data), "--size", "32", "--n", "2", "--d", "8", "--epochs", "3", "--batch", "8"]
    start = lambda *more: subprocess.Popen([*words, *more], cwd=mine, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    whole, broken, last = start("--out", "whole"), start("--out", "broken"), mine / "broken/last.pt"
    while not last.exists() and broken.poll() is None:
        time.sleep(.01)
    broken.send_signal(signal.SIGKILL)
    assert broken.wait() == -signal.SIGKILL
    again = start("--out", "broken", "--resume")
    assert again.wait(300) == 0 and whole.wait(300) == 0, again.stderr.read()[-2000:]
    assert same_last(mine / "whole", mine / "broken") and json.loads((mine / "whole/config.json").read_text())["mode"] == MODE
    assert json.loads((mine / "whole/metrics.jsonl").read_text().splitlines()[0])["train"].keys() == {"ce", "alike"}
    pair = [*TORCHRUN[2:], "--no-python", "--", *words, "--out", "pair"]
    done = subprocess.run([TORCHRUN[0], "-m", *pair], cwd=mine, env={**os.environ, **ENV}, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("test AUC") <= 1 and (mine / "pair/test.json").exists(), done.stderr[-2000:]
