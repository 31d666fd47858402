"""Every experiment is a command; what it cannot do it says in a sentence before any work."""
import importlib
import subprocess
import sys

import pytest

from infobottle_dfd.core import InputError
from infobottle_dfd.experiments import ablations, maps, real_faces
from infobottle_dfd.faces.manifest import read_faces

RUNNERS = ("shortcut", "ablations", "real_faces", "maps", "speed")


@pytest.mark.parametrize("name", RUNNERS)
def test_runner_has_help(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as end:
        importlib.import_module(f"infobottle_dfd.experiments.{name}").main()
    said = capsys.readouterr().out
    assert end.value.code == 0 and f"infobottle_dfd.experiments.{name}" in said and "--out" in said


def test_bad_input_is_one_sentence(tmp_path):
    done = subprocess.run([sys.executable, "-m", "infobottle_dfd.experiments.real_faces", tmp_path], capture_output=True, text=True)
    assert done.returncode == 2 and "DATA must hold it" in done.stderr and "Traceback" not in done.stderr


def test_unknown_arms_and_splits():
    with pytest.raises(InputError, match="unknown 'clam'"):
        ablations.run(ablations.Ablations(arms=("clam",)))
    with pytest.raises(InputError, match="unknown 'nose'"):
        ablations.run(ablations.Ablations(splits=("nose",)))
    with pytest.raises(InputError, match="unknown arm 'clam'"):
        maps.run(maps.Maps(arms=("clam",)))
    with pytest.raises(InputError, match="unknown arm 'clam'"):
        real_faces.run(real_faces.RealFaces(".", arms=("clam",)))


def test_two_sets_become_manifests(tmp_path):
    for name, text in (("dfdc_pairs/pairs.csv", "real,fake,split,identity\nr/a.jpg,f/b.jpg,test,7\n"),
                       ("ciplab_256/index.csv", "file,label,regions\n1.jpg,real,\n2.jpg,fake,11\n")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    for name in ("dfdc_pairs/r/a.jpg", "dfdc_pairs/f/b.jpg", "ciplab_256/1.jpg", "ciplab_256/2.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    pairs, other = map(read_faces, real_faces.manifests(tmp_path, tmp_path / "work"))
    assert [(r.label, r.split, r.video, r.identity) for r in pairs] == [(0, "test", "a", "7"), (1, "test", "b", "7")]
    assert [(r.label, r.method) for r in other] == [(0, ""), (1, "0011")]
