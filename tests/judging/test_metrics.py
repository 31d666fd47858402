"""Scores and measures by counting; the scores of two processes."""
import math

import numpy as np
import pytest
import torch

from helpers import two_processes
from infobottle_dfd.aggregation import Outputs
from infobottle_dfd.core import InputError
from infobottle_dfd.faces.manifest import read_faces
from infobottle_dfd.faces.pictures import FaceFiles
from infobottle_dfd.judging.intervals import influence
from infobottle_dfd.judging.metrics import equal_error, information, metrics, score
from infobottle_dfd.runs.checkpoint import load_run

SCORE = '''
from infobottle_dfd.faces.manifest import read_faces
from infobottle_dfd.judging.metrics import score
from infobottle_dfd.faces.pictures import FaceFiles
from infobottle_dfd.runs.checkpoint import load_run
out = score(load_run(args[0])[0], FaceFiles(read_faces(args[1]), 32), batch=7, z=True)
if dist.get_rank() == 1: torch.save(list(out[:5]), args[2])
'''


@pytest.mark.slow
def test_scores_of_two_processes_are_those_of_one(tmp_path, run_folder, face_folder):
    "Exactly, in the same order, every face once; features only where they are asked for."
    two_processes(SCORE, run_folder, face_folder, tmp_path / "two.pt")
    one, plain = (score(load_run(run_folder)[0], FaceFiles(read_faces(face_folder), 32), batch=7, z=z) for z in (True, False))
    two = torch.load(tmp_path / "two.pt", weights_only=True)
    assert len(two) == 5 and one.z.shape == (2, 60, 8) and all(torch.equal(a, b) for a, b in zip(one, two))
    assert plain.z is None and torch.equal(plain.p, one.p)


def test_metrics_by_counting():
    g = torch.Generator().manual_seed(0)
    y, p = torch.randint(0, 2, (60,), generator=g), torch.rand(60, generator=g)
    pairs = [(a > b) + .5 * (a == b) for a in p[y == 1].tolist() for b in p[y == 0].tolist()]
    m = metrics(y, p, .4)
    assert m["auc"] == pytest.approx(sum(pairs) / len(pairs)) and m["accuracy"] == pytest.approx(float(((p >= .4) == y.bool()).float().mean()))
    assert m["log_loss"] == pytest.approx(float(torch.nn.functional.binary_cross_entropy(p, y.float())), rel=1e-5)


def test_equal_error_is_the_same_from_either_side():
    "Ties between real and fake faces; before, the nearest corner of the ROC depended on which class is called 1."
    g = torch.Generator().manual_seed(0)
    for _ in range(50):
        y, p = torch.arange(30) % 2, torch.randint(0, 6, (30,), generator=g) / 5
        assert equal_error(y, p)[0] == pytest.approx(equal_error(1 - y, 1 - p)[0], abs=1e-12)
    assert equal_error(y, y.float()) == (0, 1) and equal_error(y, torch.full((30,), .5))[0] == .5


def test_fakes_found_at_one_percent():
    y, p = torch.cat([torch.zeros(200), torch.ones(4)]).long(), torch.cat([torch.arange(200) / 200, torch.tensor([.5, .992, .996, 1.])])
    assert metrics(y, p)["found_at_1_percent"] == .75                       # .99 and .995 may be accused


def test_entropy_of_three_classes():
    sure = 99 * torch.eye(3)
    assert information(Outputs(sure, sure, sure[None], sure[None], None, None), torch.arange(3))["alone"][0] == pytest.approx(math.log(3), abs=1e-5)


NOTHING = {"one class": ([1, 1, 1], [.1, .2, .3]), "three": ([0, 1, 2], [.1, .2, .3]), "NaN": ([0, 1, 1], [.1, float("nan"), .3]),
           "infinite": ([0, 1, 1], [.1, float("inf"), .3]), "lengths": ([0, 1], [.1, .2, .3]), "none": ([], [])}


@pytest.mark.parametrize("what", NOTHING)
def test_no_number_for_what_cannot_be_judged(what):
    "One class gave an average precision of 0; NaN counted as the highest score."
    for call in (metrics, equal_error, lambda y, p: influence(y, p, range(len(y)))):
        with pytest.raises(InputError):
            call(*map(torch.tensor, NOTHING[what]))


def test_only_probabilities_have_a_log_loss():
    y, logits = torch.tensor([0, 0, 1, 1]), torch.tensor([-3., 40., 30., 70.])
    for p, at in ((logits, .5), (logits.sigmoid(), float("nan")), (logits.sigmoid(), 7.)):
        with pytest.raises(InputError, match="must be probabilities"):
            metrics(y, p, at)
    assert equal_error(y, logits) == (.5, 40.) and metrics([False, True], np.array([.2, .7]))["auc"] == 1        # 40 was cut to 1


def test_numbers_are_taken_as_they_are():
    "Lists were rounded to 24 bits, so that scores tied; what is masked was counted; faces that were divided by 255 already were divided again."
    from torch.utils.data import TensorDataset
    y, p = [0, 1] * 6, [.5 + k * 1e-12 for k in range(12)]
    assert metrics(y, p)["auc"] == metrics(y, np.array(p))["auc"] != .5
    for wrong in (np.ma.masked_array(p, np.arange(12) > 3), np.array(p) + 1j, ["a"] * 12, None, [[1], [2, 3]]):
        with pytest.raises(InputError):
            metrics(y, wrong)
    from infobottle_dfd.aggregation import ForgeryDetector
    detector = ForgeryDetector(2, 8, size=32)
    with pytest.raises(InputError, match="bytes from 0 to 255"):
        score(detector, TensorDataset(torch.rand(4, 3, 32, 32), torch.zeros(4)))
