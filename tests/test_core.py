"""Files are written whole, or into what is no file."""
import json
import os
import subprocess
from pathlib import Path


def test_json_into_a_pipe(call, run_folder, face_folder):
    "What is no file is written into, and stays what it is; a link still leads where it led."
    os.mkfifo("pipe")
    Path("link.json").symlink_to("report.json")
    reader = subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE)
    for target in ("pipe", "link.json"):
        assert call("evaluate", "--data", face_folder, "--run", run_folder, "--split", "all", "--json", target)[0] == 0
    assert Path("pipe").is_fifo() and Path("link.json").is_symlink()
    assert json.loads(reader.communicate(timeout=20)[0])["scores"] == json.loads(Path("report.json").read_text())["scores"]
