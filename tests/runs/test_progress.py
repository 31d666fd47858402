"""What a run says while it runs."""
import json

import pytest

from infobottle_dfd.runs.config import Config
from infobottle_dfd.training import fit

pytestmark = pytest.mark.usefixtures("few_faces", "without_audit")


def test_what_can_be_watched(tmp_path, capsys):
    "metrics.jsonl has terms, weights, rate, validation and speed of every epoch; a log file gets one line an epoch and no bar."
    fit(Config(images=64, size=32, n=2, d=8, epochs=2, batch=16), tmp_path / "a")
    out, err = capsys.readouterr()
    history = [json.loads(line) for line in (tmp_path / "a/metrics.jsonl").read_text().splitlines()]
    for h in history:
        assert set(h) == {"epoch", "train", "val", "weight", "lr", "seconds", "images_per_second"}
        assert set(h["train"]) == set(h["weight"]) == {"ce", "lil", "gil"} and h["images_per_second"] > 0
        assert set(h["val"]) == {"auc", "accuracy", "eer", "log_loss", "ap", "threshold", "film_threshold", "found_at_1_percent", "information"}
    assert [line[:12] for line in out.splitlines()] == ["epoch 1 of 2", "epoch 2 of 2"] and err == ""
