"""From settings to data sets: drawn faces of fixed seeds, and shares that keep people whole."""
from pathlib import Path

import pytest
import torch

from infobottle_dfd.core import InputError
from infobottle_dfd.faces.manifest import Face
from infobottle_dfd.runs.config import Config
from infobottle_dfd.runs.data import make_data, some


def test_all_runs_are_tested_on_the_same_faces(few_faces):
    first, second = (make_data(Config(images=32, size=32, seed=seed)) for seed in (0, 1))
    assert torch.equal(first["test"].x, second["test"].x) and not torch.equal(first["train"].x, second["train"].x)
    assert set(first) == {"train", "val", "test", "eyes", "mouth", "seam", "texture"}


def test_a_share_keeps_people_whole():
    rows = [Face(Path(f"{i}.png"), i % 2, "train", f"clip {i}", f"person {i // 4}") for i in range(400)]
    used = some(rows, Config(data="x.csv", share=.2))
    people = {r.identity for r in used}
    assert 40 <= len(used) <= 160 and len(used) == sum(r.identity in people for r in rows)


def test_a_share_without_a_class_is_refused():
    rows = [Face(Path(f"{i}.png"), i % 2, "train", "one film") for i in range(40)]
    with pytest.raises(InputError, match="raise --share"):
        some(rows, Config(data="x.csv", share=.2))
