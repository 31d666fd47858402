"""Videos to faces: the command as a user types it, kills it, and types it again."""
import json
import os
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from helpers import film, told
from infobottle_dfd.core import InputError
from infobottle_dfd.faces import prepare as preparing, video as faces
from infobottle_dfd.faces.manifest import read_faces

NOT_ALL = 1         # a damaged film is among them: the rest is done, and the status says so
COMMAND = str(Path(sys.executable).with_name("infobottle-prepare"))


def call(monkeypatch, capsys, *args):
    "infobottle-prepare."
    return told(monkeypatch, capsys, "prepare", *args)


def test_prepare_with_several_processes(films, monkeypatch, capsys):
    status, out, _ = call(monkeypatch, capsys, films, "out", "--frames", 3, "--size", 48, "--detector", "own:find", "--workers", 2, "--format", "png")
    assert status == NOT_ALL and "13  faces" in out and "1  videos: cannot be decoded" in out and "13 faces listed in out/manifest.csv" in out
    rows = read_faces("out/manifest.csv")
    assert len(rows) == len({r.path for r in rows}) == 13 and {r.video for r in rows} == {"real/a b.mp4", "real/c.avi", "real/photo.jpg", "fake/a b.MP4", "fake/d.mkv"}
    assert {Image.open(r.path).size for r in rows} == {(48, 48)} and not list(Path("out").rglob(".*"))
    status, out, err = call(monkeypatch, capsys, films, "out", "--frames", 4, "--size", 48, "--detector", "own:find")
    assert status == 2 and "made with other settings" in err


def test_several_faces_and_none(films, monkeypatch, capsys):
    args = (films, "two", "--frames", 2, "--detector", "own:two", "--workers", 1)
    assert "9  frames with several faces" in call(monkeypatch, capsys, *args)[1]
    status, _, err = call(monkeypatch, capsys, films, "none", "--frames", 2, "--detector", "own:none", "--workers", 1)
    assert status == 2 and "no face found in any of 6 videos" in err and not Path("none/manifest.csv").exists()


def test_killed_and_called_again(films, monkeypatch, capsys):
    "SIGKILL while it works; the second call does the rest, and the result is that of an undisturbed run."
    for k in range(24):
        film(films / f"real/more {k}.mp4")
    slow = "import time\ndef find(picture):\n    time.sleep(.02)\n    return [(20, 10, 60, 80)]\n"
    (films.parent / "slow.py").write_text(slow)
    command = [COMMAND, str(films), "out", "--frames", "6", "--size", "32", "--detector", "slow:find", "--workers", "1"]
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    log = Path("out/done.jsonl")
    for _ in range(600):
        if log.exists() and len(log.read_bytes().splitlines()) >= 3:
            break
        time.sleep(.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    before = len(log.read_bytes().splitlines())
    assert 3 <= before < 30 and not Path("out/manifest.csv").exists()
    with open(log, "ab") as file:
        file.write(b'{"path": "half a li')
    assert call(monkeypatch, capsys, *command[1:])[0] == NOT_ALL and len(log.read_bytes().splitlines()) == 30
    assert all(json.loads(line) for line in log.read_bytes().splitlines())
    command[2] = "again"
    assert call(monkeypatch, capsys, *command[1:])[0] == NOT_ALL
    assert Path("out/manifest.csv").read_text() == Path("again/manifest.csv").read_text()


def test_deepfakebench_needs_no_detector(tmp_path, monkeypatch, capsys):
    Image.new("RGB", (32, 32)).save(tmp_path / "1.png")
    (tmp_path / "x.json").write_text(json.dumps({"D": {"FF-real": {"test": {"v": {"frames": ["1.png"]}}}}}))
    monkeypatch.setattr(preparing, "load_detector", None)
    status, out, _ = call(monkeypatch, capsys, tmp_path / "x.json", tmp_path / "out")
    assert status == 0 and "1 faces listed in" in out and f"{tmp_path / '1.png'},0,test,FF-real/v,," in (tmp_path / "out/manifest.csv").read_text()


@pytest.mark.parametrize("options, word", [
    (("--format", "gif"), "choose jpg or png"), (("--frames", "0"), "it must be from 1"), (("--margin", "nan"), "it must be from -0.49"), (("--size", "100000"), "to 4096"), (("--detector", "own:number"), "no function"), (("--detector", "nowhere:find"), "name it as module:function"),
    (("--detector", "own:lost"), "name it as module:function"), (("--compression", "c99"), "choose c0, c23 or c40")], ids=str)
def test_bad_options(films, monkeypatch, capsys, options, word):
    status, out, err = call(monkeypatch, capsys, films, "out", *options)
    assert status == 2 and word in err and len(err.splitlines()) == 1 and not out and not Path("out").exists()


@pytest.mark.skipif(not Path("../shared/data/ffpp_videos_c23").is_dir(), reason="the seven videos are not here")
def test_real_videos(tmp_path, monkeypatch, capsys):
    status, out, _ = call(monkeypatch, capsys, Path("../shared/data/ffpp_videos_c23").resolve(), tmp_path / "out", "--frames", 1, "--workers", 1)
    assert status == 0 and "7  faces" in out and os.path.getsize(tmp_path / "out/manifest.csv")


@pytest.mark.skipif(not Path("../shared/data/ffpp_videos_c23").is_dir(), reason="the seven videos are not here")
@pytest.mark.slow
def test_sought_frames_of_real_films_are_the_decoded_ones():
    "To the last bit: a decoder that has not seen the first frame gives green pictures of one of them, and says nothing."
    for many, path in product((1, 3), sorted(Path("../shared/data/ffpp_videos_c23").rglob("*.mp4"))):
        found = {f.position: f.picture for f in faces.frames(path, many)}
        with av.open(str(path)) as file:
            for i, frame in enumerate(file.decode(video=0)):
                assert i not in found or np.array_equal(found[i], frame.to_ndarray(format="rgb24")), f"{path.name}, {i}"


@pytest.mark.parametrize("name, word", [("breaks", "ZeroDivisionError: division by zero"), ("five", "a box is no four numbers"), ("outside", "no face found in any")])
@pytest.mark.parametrize("workers", [1, 2])
def test_detectors_that_fail(films, monkeypatch, capsys, name, word, workers):
    status, _, err = call(monkeypatch, capsys, films, "out", "--frames", 1, "--detector", f"own:{name}", "--workers", workers)
    assert status == 2 and word in err and len(err.strip().splitlines()) == 1 and not Path("out/manifest.csv").exists()


def test_what_must_not_be_overwritten_or_read_again(films, tmp_path, monkeypatch, capsys):
    own = ("--frames", 1, "--detector", "own:find", "--workers", 1)
    status, _, err = call(monkeypatch, capsys, films, films / "real/out", *own)
    assert status == 2 and "lies inside" in err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/manifest.csv").write_text("path,label,split,video,identity,method\n../films/real/c.avi,0,,,,\n../films/fake/d.mkv,1,,,,\n")
    status, _, err = call(monkeypatch, capsys, "mine/manifest.csv", "mine", *own)
    assert status == 2 and "not made here" in err and len((tmp_path / "mine/manifest.csv").read_text().splitlines()) == 3
    assert call(monkeypatch, capsys, "mine/manifest.csv", "out", *own, "--frames", 3)[0] == 0
    rows = read_faces("out/manifest.csv")
    assert len({r.video for r in rows}) == 2 and len(rows) == 6                                      # frames of one video stay together
    with open(tmp_path / "mine/manifest.csv", "a") as file:
        file.write("../films/real/c.avi,1,,,,\n")
    assert "listed as real and as fake" in call(monkeypatch, capsys, "mine/manifest.csv", "again", *own)[2]


def test_lost_crops_are_made_again(films, monkeypatch, capsys):
    args = (films, "out", "--frames", 2, "--size", 32, "--detector", "own:find", "--workers", 1)
    assert call(monkeypatch, capsys, *args)[0] == NOT_ALL
    rows = read_faces("out/manifest.csv")
    rows[0].path.unlink()
    film(films / "fake/broken.mp4")                                                                 # mended
    status, out, _ = call(monkeypatch, capsys, *args)
    assert status == 0 and len(read_faces("out/manifest.csv")) == len(rows) + 2 and "cannot be decoded" not in out


@pytest.mark.parametrize("then", ["fake real", "fake, fake real", "real fake"])
def test_a_place_belongs_to_one_path(films, tmp_path, monkeypatch, capsys, then):
    "Two pictures of one name in one video: whatever the list held before, and in what order, each keeps its own crops."
    brightness = {"real": 60, "fake": 200}
    for kind, grey in brightness.items():
        Image.new("RGB", (160, 120), (grey,) * 3).save(films / kind / "1.png")
    for kinds in ("real", *then.split(", ")):
        (tmp_path / "list.csv").write_text("path,label,split,video,identity,method\n" + "".join(f"films/{k}/1.png,{int(k == 'fake')},,001,,\n" for k in kinds.split()))
        assert call(monkeypatch, capsys, "list.csv", "out", "--size", 32, "--detector", "own:find", "--workers", 1, "--format", "png")[0] == 0
    rows = read_faces("out/manifest.csv")
    assert len({r.path for r in rows}) == 2 and all(np.asarray(Image.open(r.path)).mean() == brightness[("real", "fake")[r.label]] for r in rows)


def test_places_of_an_older_version_stay(films, monkeypatch, capsys):
    "What is logged as done is not done again, wherever its crops lie."
    args = (films, "out", "--frames", 2, "--size", 32, "--detector", "own:find", "--workers", 1)
    assert call(monkeypatch, capsys, *args)[0] == NOT_ALL
    log = Path("out/done.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for k, done in enumerate(lines):
        for i, crop in enumerate(done["crops"]):
            Path(f"out/faces/{k}").mkdir(exist_ok=True)
            done["crops"][i] = Path("out", crop).rename(f"out/faces/{k}/{i}.jpg").relative_to("out").as_posix()
    log.write_text("".join(json.dumps(done) + "\n" for done in lines))
    assert call(monkeypatch, capsys, *args)[0] == NOT_ALL
    assert sorted(r.path for r in read_faces("out/manifest.csv")) == sorted(Path("out/faces").glob("?/*.jpg"))


def test_a_killed_parent_leaves_no_workers(films):
    (films.parent / "slow.py").write_text("import time\ndef find(picture):\n    time.sleep(.5)\n    return [(20, 10, 60, 80)]\n")
    running = subprocess.Popen([COMMAND, str(films), "out", "--detector", "slow:find", "--workers", "2"], stderr=subprocess.DEVNULL, start_new_session=True)
    while not list(Path("out").rglob("*.jpg")):
        assert running.poll() is None
        time.sleep(.05)
    running.kill()
    running.wait()
    left = lambda: subprocess.run(["pgrep", "-g", str(running.pid)], capture_output=True, text=True).stdout.split()
    for _ in range(100):
        if not left():
            break
        time.sleep(.1)
    assert not left()


STUCK = "import time\ndef find(picture):\n    time.sleep(600 if picture.mean() > 100 else .01)\n    return [(20, 10, 60, 80)]\n"


@pytest.fixture
def stuck(films, tmp_path):
    "Six dark pictures and a bright one, at which the detector stays for ten minutes."
    (tmp_path / "stuck.py").write_text(STUCK)
    for k, grey in enumerate((20, 20, 200, 20, 20, 20, 20)):
        file = tmp_path / "shots" / ("fake" if k % 2 else "real") / f"{k}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (160, 120), (grey,) * 3).save(file)
    return tmp_path / "shots"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_stopped_while_a_detector_is_stuck(stuck, how):
    "Asked to stop: at once, in one sentence, with everything that was finished, and nobody is left."
    running = subprocess.Popen([COMMAND, str(stuck), "out", "--detector", "stuck:find", "--workers", "2", "--group-by", "none"], stderr=subprocess.PIPE, text=True, start_new_session=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))     # a shell's `&` switches Ctrl-C off
    log = Path("out/done.jsonl")
    while not (log.exists() and len(log.read_bytes().splitlines()) == 6):
        assert running.poll() is None
        time.sleep(.05)
    start = time.time()
    (os.kill if how == signal.SIGTERM else os.killpg)(running.pid, how)       # Ctrl-C goes to all
    err = running.communicate(timeout=20)[1]
    assert running.returncode == 130 and err.splitlines() == ["infobottle-prepare: stopped"]
    assert len(log.read_bytes().splitlines()) == 6 == len(list(Path("out").rglob("*.jpg")))
    while subprocess.run(["pgrep", "-g", str(running.pid)], capture_output=True).stdout:
        assert time.time() - start < 20
        time.sleep(.1)


@pytest.mark.slow
def test_ctrl_c_while_processes_start(stuck):
    "Each process that was still importing printed a traceback of its own."
    for k in range(3):
        running = subprocess.Popen([COMMAND, str(stuck), f"out{k}", "--detector", "stuck:find", "--workers", "2", "--group-by", "none"], stderr=subprocess.PIPE, text=True, start_new_session=True,
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        late = time.time() + 60
        while b"spawn_main" not in subprocess.run(["ps", "-ww", "-o", "args", "--ppid", str(running.pid)], capture_output=True).stdout:
            assert running.poll() is None and time.time() < late
            time.sleep(.01)
        time.sleep(.1 * k)
        os.killpg(running.pid, signal.SIGINT)
        assert running.communicate(timeout=30)[1].splitlines() == ["infobottle-prepare: stopped"] and running.returncode == 130


def test_what_is_done_when_a_run_is_stopped_is_kept(stuck, tmp_path):
    args = preparing.Prepare(stuck, tmp_path / "out", size=32, detector="stuck:find", workers=2)
    outcomes = preparing.run_all([(p, p.stem, args) for p in sorted(stuck.rglob("*.png"))], 2)
    first = next(outcomes)
    for _ in range(600):
        if len(list(Path("out").rglob("[0-9]*.jpg"))) == 6:
            break
        time.sleep(.05)
    time.sleep(1)
    rest = [outcomes.throw(KeyboardInterrupt)]
    with pytest.raises(KeyboardInterrupt):
        rest += iter(lambda: next(outcomes), None)
    assert len({done["path"] for done in (first, *rest)}) == 6


def test_a_failing_detector_does_not_wait_for_a_stuck_one(stuck, tmp_path):
    (tmp_path / "stuck.py").write_text(STUCK.replace("    return", "    assert picture.mean() > 100\n    return"))
    args = preparing.Prepare(stuck, tmp_path / "out", size=32, detector="stuck:find", workers=2)
    start = time.time()
    with pytest.raises(InputError, match="AssertionError"):
        list(preparing.run_all([(stuck / "real/2.png", "a", args), (stuck / "real/0.png", "b", args)], 2))
    assert time.time() - start < 60


def test_a_film_exchanged_for_another_is_noticed(films, monkeypatch, capsys):
    "The old crops were kept when a source film was exchanged under its name."
    args = (films, "out", "--frames", 4, "--size", 32, "--detector", "own:find", "--workers", 1, "--format", "png")
    assert call(monkeypatch, capsys, *args)[0] == NOT_ALL
    before = {r.path: r.path.read_bytes() for r in read_faces("out/manifest.csv")}
    film(films / "real/c.avi", frames=5)
    assert call(monkeypatch, capsys, *args)[0] == NOT_ALL
    after = {r.path: r.path.read_bytes() for r in read_faces("out/manifest.csv")}
    changed = {p for p in before if before[p] != after.get(p)}
    assert changed == {p for p in before if "c.avi" in str(p)} and len([p for p in after if "c.avi" in str(p)]) == len(list(Path("out/faces/real").glob("c.avi*/*"))) == 4
    lines = len(Path("out/done.jsonl").read_text().splitlines())
    assert call(monkeypatch, capsys, *args)[0] == NOT_ALL and len(Path("out/done.jsonl").read_text().splitlines()) == lines + 1        # broken.mp4 alone


def test_its_own_crops_are_not_cut_again(films, monkeypatch, capsys):
    "prepare on its own output cut crops out of crops."
    own = ("--frames", 2, "--size", 32, "--detector", "own:find", "--workers", 1)
    assert call(monkeypatch, capsys, films, "out", *own)[0] == NOT_ALL
    for source in ("out", "out/manifest.csv", "out/faces", "out/faces/real"):
        status, _, err = call(monkeypatch, capsys, source, "again", *own)
        assert status == 2 and "holds faces that infobottle-prepare has cut" in err and not Path("again").exists()


def test_failures_are_named_and_other_settings_too(films, monkeypatch, capsys):
    own = ("--frames", 2, "--size", 32, "--detector", "own:find", "--workers", 1)
    status, out, err = call(monkeypatch, capsys, films, "out", *own)
    assert f"cannot be decoded: {films / 'fake/broken.mp4'}" in out and status == NOT_ALL
    assert err.strip() == f"infobottle-prepare: failed: 1 of the files: {films / 'fake/broken.mp4'}: cannot be decoded"
    status, _, err = call(monkeypatch, capsys, films, "out", *own, "--margin", .2)
    assert status == 2 and "made with other settings (margin: 0.15, now 0.2)" in err


def test_a_strange_line_in_the_log(films, monkeypatch, capsys):
    "Another type in done.jsonl ended in a traceback."
    own = ("--frames", 2, "--size", 32, "--detector", "own:find", "--workers", 1)
    assert call(monkeypatch, capsys, films, "out", *own)[0] == NOT_ALL
    with open("out/done.jsonl", "a") as file:
        file.write('{"path": 3, "crops": "no"}\n')
    status, _, err = call(monkeypatch, capsys, films, "out", *own)
    assert status == 2 and "line 7: was not written by infobottle-prepare" in err


def test_names_of_250_bytes(films, monkeypatch, capsys):
    "One such film ended the whole preparation."
    for name in ("a" * 251 + ".mp4", "あ" * 80 + ".mp4", "😀" * 50 + ".mp4"):
        (films / "real" / name).write_bytes((films / "real/a b.mp4").read_bytes())
    status, out, _ = call(monkeypatch, capsys, films, "out", "--frames", 2, "--size", 32, "--detector", "own:find", "--workers", 1)
    assert status == NOT_ALL and "15  faces" in out


def test_frames_of_a_film_are_thinned(tmp_path, monkeypatch, capsys, films):
    "A set of frames: as many are taken as of a film, evenly."
    for label in ("original/001", "Deepfakes/001_870"):
        for k in range(20):
            (tmp_path / "set" / label).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (160, 120), (10 * k,) * 3).save(tmp_path / "set" / label / f"{k:04}.png")
    status, out, _ = call(monkeypatch, capsys, "set", "out", "--frames", 4, "--size", 32, "--detector", "own:find", "--workers", 1, "--format", "png")
    rows = read_faces("out/manifest.csv")
    assert status == 0 and len(rows) == 8 and {r.video for r in rows} == {"youtube/001", "Deepfakes/001_870"} and {r.source for r in rows if r.label} == {"youtube/001"}
    assert sorted(np.asarray(Image.open(r.path)).mean() for r in rows if not r.label) == [20, 70, 120, 170]
    assert json.loads(Path("out/prepare.json").read_text())["name"].startswith("FaceForensics++")


def test_a_detector_that_fails_at_once_leaves_no_settings(films, monkeypatch, capsys):
    "The folder could not be used again with the detector that works."
    status, _, err = call(monkeypatch, capsys, films, "out", "--detector", "own:breaks", "--workers", 1)
    assert status == 2 and "detector 'own:breaks' failed" in err
    assert call(monkeypatch, capsys, films, "out", "--detector", "own:find", "--workers", 1)[0] == NOT_ALL


@pytest.mark.parametrize("shape", [b"", b"\xff\xfe{}", b"[]", b"7", b'{"faces"'])
def test_settings_of_any_shape(films, monkeypatch, capsys, shape):
    "What is not UTF-8 was a traceback."
    Path("out").mkdir(), Path("out/prepare.json").write_bytes(shape)
    status, _, err = call(monkeypatch, capsys, films, "out", "--frames", 2, "--size", 32, "--detector", "own:find", "--workers", 1)
    assert status == 2 and "prepare.json: damaged" in err and "Traceback" not in err and Path("out/prepare.json").read_bytes() == shape


def test_two_at_one_moment(films, tmp_path):
    "Started into one folder with different settings, both ended well, and the faces of both were mixed."
    (tmp_path / "slow.py").write_text("import time\ndef find(picture):\n    time.sleep(.05)\n    return [(20, 10, 60, 80)]\n")
    both = [subprocess.Popen([COMMAND, str(films), "out", "--detector", "slow:find", "--workers", "1", "--size", size, "--frames", "4"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for size in ("32", "48")]
    said = [running.communicate(timeout=120) for running in both]
    status = [running.returncode for running in both]
    lost = status.index(2)
    assert sorted(status) == [NOT_ALL, 2] and said[lost][1].strip() == "infobottle-prepare: out: another process is writing into it; wait until it ends, or choose another folder"
    size = (32, 48)[1 - lost]
    assert {Image.open(p).size for p in Path("out").rglob("[0-9]*.jpg")} == {(size, size)} and json.loads(Path("out/prepare.json").read_text())["size"] == str(size) and not Path("out/.lock").exists()
    assert len(read_faces("out/manifest.csv")) == 4 * 4 + 1
