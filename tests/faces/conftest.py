"""Films of drawn faces, and detectors of one's own."""
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from helpers import FIXED, film
from infobottle_dfd.faces.clues import ClueFaces


@pytest.fixture(scope="session")
def made_films(tmp_path_factory):
    "Four clips, a photograph and a damaged file in real/ and fake/."
    root, drawn = tmp_path_factory.mktemp("made") / "films", ClueFaces(4, 96, seed=3).x
    for i, name in enumerate(("real/a b.mp4", "real/c.avi", "fake/a b.MP4", "fake/d.mkv")):
        film(root / name, drawn[i])
    (root / "fake/broken.mp4").write_bytes(b"I am no video")
    Image.fromarray(np.full((120, 160, 3), 90, np.uint8)).save(root / "real/photo.jpg")
    return root


@pytest.fixture
def films(tmp_path, monkeypatch, made_films):
    "Films of one's own, to work with in an empty folder; and a module with detectors."
    shutil.copytree(made_films, tmp_path / "films")
    (tmp_path / "own.py").write_text(FIXED)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "films"
