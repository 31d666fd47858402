"""The runner of the shortcut experiment: a tiny grid, killed between cells, gone on with, and never done twice."""
import json
import signal
import subprocess
import sys
import time

import pytest

from infobottle_dfd.core import InputError
from infobottle_dfd.experiments.shortcut import Shortcut, name_of, run, settle

MODULE = [sys.executable, "-m", "infobottle_dfd.experiments.shortcut"]


def test_help_comes_without_torch():
    code = "import sys, infobottle_dfd.experiments.shortcut; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    said = subprocess.run([*MODULE, "--help"], capture_output=True, text=True, check=True).stdout
    assert "--arms" in said and "module:Name" in said


@pytest.mark.slow
def test_a_killed_grid_goes_on(tmp_path):
    args = Shortcut(("cross-entropy", "named"), (0,), epochs=1, images=64, judged=32, out=tmp_path / "out", work=tmp_path / "work")
    words = "--arms cross-entropy named --seeds 0 --epochs 1 --images 64 --judged 32".split()
    first = tmp_path / "out" / (name_of("cross-entropy", "shortcut", "shift", 1, 0) + ".json")
    process = subprocess.Popen([*MODULE, *words, "--out", args.out, "--work", args.work], stdout=subprocess.DEVNULL)
    while not first.exists() and process.poll() is None:
        time.sleep(.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {p: p.stat().st_mtime_ns for p in args.out.glob("*.json")}
    assert first in before
    run(args)
    files = sorted(args.out.glob("*.json"))
    assert len(files) == 2 and all(p.stat().st_mtime_ns == t for p, t in before.items())
    cell = json.loads(first.read_text())
    assert {"arm", "seed", "augment", "epochs", "curve", "commit", "versions", "device", "command"} <= {*cell}
    assert cell["converged"] is None and cell["curve"][-1]["epoch"] == 1 and 0 <= cell["weak"] <= 1
    stamps = [p.stat().st_mtime_ns for p in files]
    run(args)                                           # nothing is left to do
    assert [p.stat().st_mtime_ns for p in files] == stamps and not any(args.work.iterdir())


def test_bad_requests_get_a_sentence(tmp_path):
    with pytest.raises(InputError, match="folder of their own"):
        run(Shortcut(images=64))
    with pytest.raises(InputError, match="unknown mode 'clam'"):
        run(Shortcut(("clam",), (0,), images=64, judged=32, epochs=1, out=tmp_path / "out", work=tmp_path / "work"))


@pytest.mark.parametrize("change, known", [((.001, .002, .0), True), ((.1, .11, .12), False), ((-.2, .2, .1), None)])
def test_converged_where_twice_the_length_exists(tmp_path, change, known):
    for seed, more in enumerate(change):
        for epochs, weak in ((30, .8), (60, .8 + more)):
            cell = {"arm": "calm", "seed": seed, "split": "shortcut", "augment": "shift", "epochs": epochs, "weak": weak, "converged": None}
            (tmp_path / (name_of("calm", "shortcut", "shift", epochs, seed) + ".json")).write_text(json.dumps(cell))
    settle(tmp_path)
    said = {(c["epochs"], c["seed"]): c["converged"] for c in map(json.loads, (p.read_text() for p in tmp_path.glob("*.json")))}
    assert all(said[30, s] is known and said[60, s] is None for s in range(3))


@pytest.mark.parametrize("asked, said", [
    (dict(arms=("sd@abc",)), "'abc' is no strength"), (dict(arms=("sd@nan",)), "'nan' is no strength"),
    (dict(arms=("single@2",)), "leave @... away"), (dict(arms=("clam",)), "unknown mode 'clam'"),
    (dict(arms=("sd",), epochs=0), "epochs is 0"), (dict(arms=("places",), dropout=2.), "dropout is 2"),
    (dict(arms=("named",), seeds=(-1,)), "seed is -1"), (dict(device="cuda"), "use --device cpu"),
    (dict(judged=19), "take at least 20")])
def test_what_cannot_work_is_said_before_any_work(tmp_path, monkeypatch, asked, said):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(InputError, match=said):
        run(Shortcut(**{"out": tmp_path / "out", "work": tmp_path / "work"} | asked))
    assert not list(tmp_path.iterdir())


def test_damage_beside_the_grid_is_said_before_any_work(tmp_path):
    (tmp_path / "other.json").write_text("{")
    with pytest.raises(InputError, match="other.json: no cell"):
        run(Shortcut(arms=("sd",), out=tmp_path, work=tmp_path / "work"))
    (tmp_path / "other.json").write_text('{"arm": "a", "seed": 1}')
    settle(tmp_path)                                        # a cell of another experiment
    assert not (tmp_path / "work").exists()


def test_a_state_of_other_settings_is_not_gone_on_with(tmp_path):
    "A try on few faces that was killed is no beginning of the real thing."
    from infobottle_dfd.experiments.trials import train
    from infobottle_dfd.experiments.arms import faces_of, make_arm
    from infobottle_dfd.runs.config import Config
    few = Config(images=32, size=32, n=2, d=8, epochs=1, batch=16)
    faces = faces_of("plain", 32, 32, 0, False, False)
    first = train(make_arm("sd", few), faces, few, tmp_path, dict)[1]
    assert train(make_arm("sd", few), faces, few, tmp_path, dict)[1] > first        # the seconds of all processes
    for more in (dict(images=64), dict(epochs=2), dict(dropout=.5)):
        cfg = Config(**{**vars(few), **more})
        with pytest.raises(InputError, match=f"other settings \\({next(iter(more))}\\)"):
            train(make_arm("sd", cfg), faces, cfg, tmp_path, dict)


def test_probes_say_who_knows_what():
    "Block 1 knows the label, block 2 nothing, block 3 is the copy of block 1: alone .5 for the idle one, and nobody adds."
    import torch
    from infobottle_dfd.experiments.probes import each_alone, nats_of, refitted
    g = torch.Generator().manual_seed(0)
    y = {k: torch.arange(400) % 2 for k in ("fit", "eyes")}
    def z(y):
        knows, idle = (torch.randn(len(y), 4, generator=g) for _ in range(2))
        knows[:, 0] += 2 * y
        return torch.stack([knows, idle, knows])
    z = {k: z(v) for k, v in y.items()}
    sets = {k: type("Set", (), {"y": v}) for k, v in y.items()}
    (one, two, three), all_ = each_alone(z, sets)["eyes"], refitted(z, sets)["eyes"]
    assert one == three > .85 and abs(two - .5) < .1 and abs(all_ - one) < .05
    said = nats_of(z["eyes"], y["eyes"])
    assert said["together"] > .15 and abs(said["alone"][1]) < .03 and max(map(abs, said["added"])) < .03
    assert max(said["alone_se"]) < .05
