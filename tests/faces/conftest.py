"""Films of drawn faces, and detectors of one's own."""
import os

import numpy as np
import pytest
from PIL import Image

from helpers import FIXED, film
from infobottle_dfd.faces.clues import ClueFaces


@pytest.fixture
def films(tmp_path, monkeypatch):
    "Four clips, a photograph and a damaged file in real/ and fake/; and a module with detectors."
    drawn = ClueFaces(4, 96, seed=3).x
    for i, name in enumerate(("real/a b.mp4", "real/c.avi", "fake/a b.MP4", "fake/d.mkv")):
        film(tmp_path / "films" / name, drawn[i])
    (tmp_path / "films/fake/broken.mp4").write_bytes(b"I am no video")
    Image.fromarray(np.full((120, 160, 3), 90, np.uint8)).save(tmp_path / "films/real/photo.jpg")
    (tmp_path / "own.py").write_text(FIXED)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "films"
