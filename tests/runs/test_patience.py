"""Patience: what counts as better, how the rate falls, when a run ends, and that a cut changes none of it."""
import json

import pytest
import torch
from helpers import same

from infobottle_dfd import training
from infobottle_dfd.runs.config import Config
from infobottle_dfd.runs.patience import idle, out_of_patience, rate
from infobottle_dfd.runs.step import lr_at
from infobottle_dfd.training import fit

pytestmark = pytest.mark.usefixtures("few_faces", "without_audit")
CFG = Config(images=32, size=32, n=2, d=8, epochs=9, batch=16, lr=.01, patience=2)
AUC, LOSS = (.6, .8, .7, .8, .9, .9, .85, .99), (.7, .7, .6, .6, .6, .6, .65, .1)


def past(k):
    "The first epochs of a made-up run."
    return [{"val": {"auc": a, "log_loss": h}} for a, h in zip(AUC[:k], LOSS)]


def test_better_by_either_measure():
    assert idle([]) == [] and idle(past(8)) == [False, False, False, True, False, True, True, False]
    assert [k for k in range(9) if out_of_patience(past(k), 2)] == [7]
    assert [k for k in range(9) if out_of_patience(past(k), 1)] == [4, 6, 7]
    assert not any(out_of_patience(past(k), p) for k in range(9) for p in (0, 3))


def test_rate_follows_validation_or_the_cosine():
    assert all(rate(s, 4, Config(epochs=5, lr=.1), past(3)) == lr_at(s, 20, .1) for s in range(20))
    warm = [rate(s, 4, CFG, []) for s in range(6)]
    assert warm == pytest.approx([.0025, .005, .0075, .01, .01, .01])
    assert [rate(99, 4, CFG, past(k)) for k in (3, 4, 5, 6, 7, 8)] == pytest.approx([.01, .005, .005, .0025, .00125, .00125])


@pytest.fixture
def scripted(monkeypatch):
    "Validation says what is written above; at an epoch it may be cut."
    whole, cut = training.validate, []

    def validate(learner, data, cfg):
        epoch = validate.epoch = validate.epoch + 1
        if epoch in cut:
            raise KeyboardInterrupt
        return whole(learner, data, cfg) | {"auc": AUC[epoch - 1], "log_loss": LOSS[epoch - 1]}
    monkeypatch.setattr(training, "validate", validate)
    validate.epoch = 0
    return validate, cut


def test_a_run_ends_by_itself_and_a_cut_changes_nothing(tmp_path, scripted, capsys):
    validate, cut = scripted
    report = fit(CFG, tmp_path / "whole")
    assert (report["epochs"], report["epoch"]) == (7, 5) and report["val_auc_rise"] == pytest.approx(-.05)
    assert "val was no better for 2 epochs" in capsys.readouterr().out
    validate.epoch = 0
    cut.append(6)
    with pytest.raises(KeyboardInterrupt):
        fit(CFG, tmp_path / "cut")
    cut.clear()
    validate.epoch = 5
    assert fit(CFG, tmp_path / "cut")["epochs"] == 7
    a, b = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "cut"))
    assert same(a["model"], b["model"]) and [h["lr"] for h in a["history"]] == [h["lr"] for h in b["history"]]
    assert [h["lr"] for h in a["history"]] == pytest.approx([.01] * 4 + [.005] * 2 + [.0025])
    assert fit(CFG, tmp_path / "whole")["epochs"] == 7 == len((tmp_path / "whole/metrics.jsonl").read_text().splitlines())


def test_a_run_that_ended_and_lost_its_report_trains_no_more(tmp_path, scripted):
    "Killed between its last epoch and its test: the state says that patience is out."
    validate, _ = scripted
    fit(CFG, tmp_path / "a")
    (tmp_path / "a/test.json").unlink()
    assert fit(CFG, tmp_path / "a")["epochs"] == 7 == validate.epoch
    assert json.loads((tmp_path / "a/test.json").read_text())["epoch"] == 5
