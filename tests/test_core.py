"""Files are written whole, or into what is no file."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infobottle_dfd.core import InputError, command, must_be_picture, must_have_folder, write, write_json


def test_json_into_a_pipe(call, run_folder, face_folder):
    "What is no file is written into, and stays what it is; a link still leads where it led."
    os.mkfifo("pipe")
    Path("link.json").symlink_to("report.json")
    reader = subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE)
    for target in ("pipe", "link.json"):
        assert call("evaluate", "--data", face_folder, "--run", run_folder, "--split", "all", "--json", target)[0] == 0
    assert Path("pipe").is_fifo() and Path("link.json").is_symlink()
    assert json.loads(reader.communicate(timeout=20)[0])["scores"] == json.loads(Path("report.json").read_text())["scores"]


def test_whole_or_not_at_all(tmp_path):
    "A file whose writing fails stays as it was, and no draft is left."
    write_json(tmp_path / "a.json", [1])

    def torn(path):
        path.write_text("half")
        raise RuntimeError("the disk is full")
    with pytest.raises(OSError, match="could not be written"):
        write(tmp_path / "a.json", torn)
    assert json.loads((tmp_path / "a.json").read_text()) == [1] and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("error, status, word", [
    (InputError("x.csv: is empty"), 2, "x.csv: is empty"), (PermissionError(13, "Permission denied", "y.png"), 2, "y.png: Permission denied"),
    (KeyboardInterrupt(), 130, "stopped")], ids=["bad input", "system", "Ctrl-C"])
def test_a_command_ends_in_one_sentence(error, status, word, capsys):
    def run():
        raise error
    with pytest.raises(SystemExit) as end:
        command(run)
    assert end.value.code == status and capsys.readouterr().err.splitlines() == [f"{Path(sys.argv[0]).name}: {word}"]


def test_where_nothing_can_be_written(tmp_path):
    for path, word in ((tmp_path, "is a folder"), (tmp_path / "no/a.json", "its folder does not exist")):
        with pytest.raises(InputError, match=word):
            must_have_folder(path)
    must_have_folder(None), must_have_folder(tmp_path / "a.json")
    with pytest.raises(InputError, match="written as .png"):
        must_be_picture(tmp_path / "a.gif")
