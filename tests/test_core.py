"""Files are written whole, or into what is no file."""
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infobottle_dfd.core import InputError, command, must_be_picture, must_have_folder, write, write_json, yours


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

    def torn(error):
        def put(path):
            path.write_text("half")
            raise error
        return put
    with pytest.raises(OSError, match="could not be written"):
        write(tmp_path / "a.json", torn(OSError("the disk is full")))
    with pytest.raises(RuntimeError, match="a bug"):            # was called a full disk
        write(tmp_path / "a.json", torn(RuntimeError("a bug")))
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


def test_a_draft_meets_no_file_of_the_users(tmp_path):
    "`--json env` destroyed an existing `.env`, and a link planted under the draft's name was followed."
    (tmp_path / ".env").write_text("SECRET=1")
    (tmp_path / "far").write_text("untouched")
    (tmp_path / ".report.json").symlink_to("far")
    write(tmp_path / "env", lambda p: p.write_text("{}"))
    write_json(tmp_path / "report.json", [1])
    assert (tmp_path / ".env").read_text() == "SECRET=1" and (tmp_path / "far").read_text() == "untouched" and (tmp_path / ".report.json").is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == [".env", ".report.json", "env", "far", "report.json"]


def test_a_link_stays_a_link_and_is_written_whole(tmp_path):
    "A link was written through in place: half a file when the disk was full."
    (tmp_path / "far").write_text("old")
    (tmp_path / "link").symlink_to("far")

    def torn(path):
        path.write_text("ha")
        raise OSError(28, "No space left on device")
    with pytest.raises(OSError) as end:
        write(tmp_path / "link", torn)
    assert (tmp_path / "far").read_text() == "old" and end.value.filename == str(tmp_path / "link") and "No space left" in end.value.strerror
    write(tmp_path / "link", lambda p: p.write_text("new"))
    assert (tmp_path / "link").is_symlink() and (tmp_path / "far").read_text() == "new"


def test_names_of_250_bytes(tmp_path):
    "The draft's name was one byte longer than the file's."
    write_json(tmp_path / ("a" * 255), [1])
    assert [p.name for p in tmp_path.iterdir()] == ["a" * 255]


def test_what_a_killed_process_left_is_removed_later(tmp_path):
    from infobottle_dfd.core import draft_of
    old, new = draft_of(tmp_path / "a.json"), draft_of(tmp_path / "a.json")
    os.utime(old, (0, 0))
    write_json(tmp_path / "a.json", [1])
    assert not old.exists() and new.exists()


def test_two_outputs_and_an_input_of_one_name(tmp_path):
    "`--json X --picture X` wrote one over the other; an output over its input destroyed it."
    (tmp_path / "m.csv").touch()
    (tmp_path / "link").symlink_to("m.csv")
    for outputs, inputs in (((tmp_path / "a.png", tmp_path / "a.png"), ()), ((tmp_path / "m.csv",), (tmp_path / "m.csv",)), ((None, tmp_path / "link"), (tmp_path / "m.csv",))):
        with pytest.raises(InputError, match="is the same file as"):
            must_have_folder(*outputs, inputs=inputs)


def test_too_little_memory_is_a_sentence(capsys):
    def run():
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4000000000000 bytes")
    with pytest.raises(SystemExit) as end:
        command(run)
    assert end.value.code == 2 and "not enough memory" in capsys.readouterr().err

    def bug():
        raise RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        command(bug)


@pytest.mark.parametrize("words, full", [
    ("CUDA out of memory. Tried to allocate 2.00 GiB", True), ("CUDA error: out of memory", True), ("unable to mmap 80 bytes: Cannot allocate memory (12)", True),
    ("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes", True), ("unable to allocate shared memory(shm) for file", True),
    ("It is possible that dataloader's workers are out of shared memory", True),
    ("CUDA error: an illegal memory access was encountered", False), ("unsupported memory format option Contiguous", False)], ids=str)
def test_a_bug_that_speaks_of_memory_is_a_bug(capsys, words, full):
    "Every RuntimeError with the word ended as too little of it."
    def run():
        raise RuntimeError(words)
    with pytest.raises(SystemExit if full else RuntimeError):
        command(run)
    assert full == ("not enough memory" in capsys.readouterr().err)


def test_a_module_that_leaves_does_not_end_the_command(tmp_path, monkeypatch):
    "`--mode exits:x` ended with status 0 and no word."
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(0)\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="mode 'exits:x': SystemExit: 0; say which"):
        yours("exits:x", "mode", "say which")


def test_rights_are_asked_for_before_the_work(tmp_path, monkeypatch):
    "A protected report was replaced; a folder that may not be written cost all the work before."
    monkeypatch.setattr(os, "access", lambda p, how: not str(p).endswith("protected"))
    (tmp_path / "is protected").touch(), (tmp_path / "protected").mkdir(), (tmp_path / "protected/old").touch()
    for name in ("is protected", "protected/new", "protected/old"):
        with pytest.raises(InputError, match="may not be written by you"):
            must_have_folder(tmp_path / name)
    must_have_folder(tmp_path / "free", Path("/dev/null"))


@pytest.mark.parametrize("redirect, status, word", [(">/dev/full", 2, "No space left on device"), (">&-", 0, ""), (">&- 2>&-", 0, ""), ("2>&-", 0, ""), ("2>/dev/full", 2, ""), ("| head -c 0", 141, "")])
def test_streams_that_are_closed_or_full(redirect, status, word):
    "A table that could not be printed was an ignored exception; with stderr closed, a progress bar was a traceback that nobody saw."
    some = 10 ** 6 if "head" in redirect else 1
    code = f"import sys; from infobottle_dfd.core import command; from tqdm import tqdm; command(lambda: ([*tqdm(range(3))], print('x' * {some})) and None)"
    done = subprocess.run(["bash", "-c", f'"{sys.executable}" -c "{code}" {redirect}; exit ${{PIPESTATUS[0]}}'], capture_output=True, text=True)
    assert done.returncode == status and word in done.stderr and "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_a_sentence_that_nobody_reads_keeps_its_status():
    code = "from infobottle_dfd.core import InputError, command\ndef bad(): raise InputError('x')\ncommand(bad)"
    for redirect in ("2>&-", "2>/dev/full"):
        assert subprocess.run(["bash", "-c", f'"{sys.executable}" -c "$0" {redirect}', code]).returncode == 2


def test_a_full_disk_has_a_name(tmp_path):
    "PyTorch said 'unexpected pos 64 vs 0'."
    def torn(path):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "a.pt", torn)


def test_ctrl_c_waits_whichever_thread_takes_it():
    "A thread that blocked nothing took the signal, and Python interrupted the main one while a process was starting: its child printed a traceback."
    code = """
import os, signal, threading, time
from infobottle_dfd.core import undisturbed
threading.Thread(target=time.sleep, args=(2,), daemon=True).start()
try:
    with undisturbed():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(.1)
        print("whole")
except KeyboardInterrupt: print("and heard")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    assert done.stdout.split("\n") == ["whole", "and heard", ""], done


def test_streams_that_lead_elsewhere(tmp_path):
    "What /dev/stdout names is a pipe or a file; a terminal of another alphabet gets question marks."
    code = "import sys; from pathlib import Path; from infobottle_dfd.core import Report, command, write_json; write_json(Path('/dev/stdout'), [1]); command(lambda: Report('0.1 ± 0.2'))"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=True)
    assert done.stdout.split() == [b"[", b"1", b"]", b"0.1", b"?", b"0.2"]
