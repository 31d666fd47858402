"""How fast, against the plain way, in one run: python nbs/experiments/results/speed.py [--device cuda] [--quick]

Programs run in turns, so that noise hits all of them; every time is the best and the median of some turns, and the least processor
time. With one thread, the default, that holds on a machine that has other work too; several threads spin while they wait for one
another, so --threads 2 needs a machine with nothing else to do. The plain programs and the rebuilt networks are those that
12_performance shows, in its cells marked `#| measured`. One JSON beside this file, named after the device. About 20 minutes;
--quick: a few seconds at small sizes, to see that it runs.
"""
import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model
from tqdm import tqdm

from infobottle_dfd.aggregation import ForgeryDetector
from infobottle_dfd.blocks import tiny
from infobottle_dfd.faces.manifest import Face
from infobottle_dfd.runs.step import Learner
from infobottle_dfd.faces.pictures import FaceFiles
from infobottle_dfd.core import write_json
from infobottle_dfd.runs.config import Config
from infobottle_dfd.runs.machine import facts, pick_device
from infobottle_dfd.training import start_of, train_epoch

HERE = Path(__file__).parent
STEP = ("plain", "einsum heads", "fused AdamW", "channels last", "bf16", "compiled")        # each on top of those before it
RUN = ("plain", "einsum heads", "channels last", "bf16", "folded", "bf16 weights", "grouped", "compiled")   # the last two: on "folded"
SMALL = ("loop", "loop, channels last", "loop, bf16", "folded", "stacked", "grouped", "folded, grouped", "compiled")    # bf16 but the first two
SLOW = ("compiled", "CUDA graphs")      # minutes of compilation for every block: on a CPU for one block only


def shown(path: Path) -> SimpleNamespace:
    "What a notebook defines in its cells marked `#| measured`."
    cells, scope = json.loads(path.read_text())["cells"], {"__name__": path.stem}
    for source in ("".join(c["source"]) for c in cells if c["cell_type"] == "code"):
        if source.startswith("#| measured"):
            exec(compile(source, path.name, "exec"), scope)
    return SimpleNamespace(**scope)


nb = shown(HERE.parent / "12_performance.ipynb")


class Bench:
    "Programs to be timed on one device at one size; rows of numbers."
    def __init__(self, device: torch.device, quick: bool):
        self.device, self.quick, self.repeats = device, quick, 1 if quick else 3
        self.gpu = device.type == "cuda"
        self.backbone, (self.size, self.d) = "resnet34", (32, 8) if quick else (224, 512)
        self.rows, self.rate = [], {}

    def clock(self, f, loops=1):
        "Seconds of one call: of the clock, and of all processors."
        if self.gpu: torch.cuda.synchronize()
        start = time.perf_counter(), time.process_time()
        for _ in range(loops): f()
        if self.gpu: torch.cuda.synchronize()
        return (time.perf_counter() - start[0]) / loops, (time.process_time() - start[1]) / loops

    def race(self, runs, least=.15, warm=True, **about):
        "Time some programs in turns and keep a row of each; one that cannot run leaves its reason."
        loops, times, failed, slow = {}, {name: [] for name in runs}, {}, 0.
        for name, f in runs.items():
            try:
                first = self.clock(f)[0] if warm else 0.
                known = not warm or first > 3 and name not in SLOW
                loops[name] = 1 if known else max(1, round(least / self.clock(f)[0]))
                slow = max(slow, first if name not in SLOW else 0)
            except Exception as e:                      # no compiler, no memory
                failed[name] = type(e).__name__
        for _ in range(1 if not warm or slow > 8 else 2 if slow > 3 else 3 * self.repeats if slow < .5 else self.repeats):
            for name in loops:
                times[name].append(self.clock(runs[name], loops[name]))
        for name in runs:
            row = {**about, "arm": name}
            if name in failed: row["failed"] = failed[name]
            else:
                wall, cpu = zip(*times[name])
                row |= {"best": min(wall), "median": statistics.median(wall), "processor": min(cpu)}
            self.rows.append({k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in row.items()})
        print(*(f"{about.get('what')} {about.get('n', '')} {r['arm']}: {r.get('best', 'failed')} {r.get('processor', '')}" for r in self.rows[-len(runs):]), sep="\n", flush=True)

    def faces(self, batch, size=None):
        "A batch of noise."
        size = size or self.size
        return torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, device=self.device), torch.arange(batch, device=self.device) % 2

    def step(self, arm, n, batch):
        "A training step, as a function of nothing."
        x, y = self.faces(batch)
        if arm.startswith("plain"):
            plain, w = nb.Plain(n, self.d).to(self.device), torch.ones(3, requires_grad=True, device=self.device)
            opt = torch.optim.AdamW([*plain.parameters(), w])
            return tf32(arm, lambda: nb.train_step(opt, lambda: nb.plain_loss(plain(x.float() / 255), y, w)))
        rank = STEP.index(arm.removeprefix("CUDA graphs") or "compiled")
        net = Learner(Config(n=n, d=self.d, backbone=self.backbone, size=self.size, bf16=rank >= STEP.index("bf16")), self.device)
        if rank < STEP.index("fused AdamW"): net.optimizer = torch.optim.AdamW(net.parameters())
        if rank >= STEP.index("channels last"): net.to(memory_format=torch.channels_last)
        if rank == STEP.index("compiled"): net.detector.compile(mode="reduce-overhead" if arm == "CUDA graphs" else "default")
        return lambda: net.step(net(x, y)[0], 1e-4)

    def run(self, arm, n, batch):
        "Inference, as a function of nothing."
        x = self.faces(batch)[0].float() / 255
        if arm.startswith("plain"):
            plain = nb.Plain(n, self.d).to(self.device).eval()
            return tf32(arm, torch.inference_mode()(lambda: plain(x)))
        rank = RUN.index(arm.removeprefix("CUDA graphs") or "compiled")
        net = ForgeryDetector(n, self.d, self.backbone).to(self.device).eval()
        if rank >= RUN.index("folded"): net = nb.fold(net)
        if arm == "grouped": net = nb.grouped(net)
        if rank >= RUN.index("channels last"):
            net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
        if arm == "bf16 weights": net, x = net.bfloat16(), x.bfloat16()
        if rank == RUN.index("compiled"): net.compile(mode="reduce-overhead" if arm == "CUDA graphs" else "default")
        return self.quiet(net, x, rank >= RUN.index("bf16"))

    def quiet(self, net, x, bf16):
        "Evaluation without gradients."
        net.eval()
        def f():
            with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
                return net(x)
        return f

    def small(self, arm, backbone, size, n, batch, train):
        "Blocks arranged in other ways, for small batches."
        bf16, order = arm not in SMALL[:2], torch.contiguous_format if arm == "loop" else torch.channels_last
        net = Learner(Config(n=n, d=64, backbone=backbone, size=size, bf16=bf16), self.device)
        if "folded" in arm: net.detector = nb.fold(net.detector)
        if "grouped" in arm: net.detector = nb.grouped(net.detector)
        if arm == "stacked": net.detector = nb.stacked(net.detector)
        net = net.to(memory_format=order)
        if arm == "compiled": net.detector.compile()
        x, y = self.faces(batch, size)
        if train:
            net.optimizer = torch.optim.AdamW(net.parameters(), fused=True)
            return lambda: net.step(net(x, y)[0], 1e-4)
        return self.quiet(net.detector.eval(), (x.float() / 255).contiguous(memory_format=order), bf16)

    def matmul(self):
        "Floating-point operations a second of a large matrix product."
        k = 256 if self.quick else 8192 if self.gpu else 2048
        for kind in ("float32", "bfloat16"):
            a = torch.randn(k, k, dtype=getattr(torch, kind), device=self.device)
            self.rate[kind] = max(self.rate.get(kind, 0), 2 * k ** 3 / min(self.clock(lambda: a @ a)[not self.gpu] for _ in range(6)))

    def network(self, batch, n, compiled=False):
        "A step and inference: all arms with four blocks, plain and ours with other numbers of them, or what takes long to prepare."
        for what, make, arms in (("step", self.step, STEP), ("inference", self.run, RUN)):
            arms = ("plain", "plain, TF32", *arms[1:], "CUDA graphs") if self.gpu else arms
            few = [a for a in arms if a.startswith("plain") or a == "bf16"]
            chosen = ["bf16", *[a for a in arms if a in ("folded", *SLOW)]] if compiled else [a for a in arms if n == 4 and a not in SLOW] or few
            runs = {}
            for a in chosen:
                try: runs[a] = make(a, n, batch)
                except torch.OutOfMemoryError: pass
            about = {"what": f"compiled {what}" if compiled else what, "backbone": self.backbone, "size": self.size, "batch": batch, "n": n}
            self.race(runs, **about, gflop=self.gflop(what, n, batch))
            torch.compiler.reset()

    def gflop(self, what, n, batch):
        "Operations of the model, counted on tensors without values."
        with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.set_grad_enabled(what == "step"):
            out = nb.Plain(n, self.d)(torch.empty(batch, 3, self.size, self.size))
            if what == "step": nb.plain_loss(out, torch.zeros(batch, dtype=torch.long), torch.ones(3)).backward()
        return round(counter.get_total_flops() / 1e9, 3)

    def few(self):
        "Small networks and small batches."
        tasks = [("tiny", 64, 64, True), ("tiny", 64, 64, False), ("tiny", 64, 1, False), ("resnet34", 224, 1, False), ("resnet34", 224, 2, False)]
        for backbone, size, batch, train in tasks[:2] if self.quick else tasks:
            arms = [a for a in SMALL if not (train and ("folded" in a or a == "stacked") or a == "compiled" and (self.quick or train or backbone != "tiny"))]
            runs = {a: self.small(a, backbone, size, 4, 2 if self.quick else batch, train) for a in arms}
            self.race(runs, what="small step" if train else "small inference", backbone=backbone, size=size, batch=batch, n=4)
            torch.compiler.reset()

    def parts(self, batch, n):
        "The optimiser's step alone, and the heads alone."
        net, opts = ForgeryDetector(n, self.d, self.backbone).to(self.device), {}
        for p in net.parameters(): p.grad = torch.zeros_like(p)
        for name, how in (("one tensor after another", {"foreach": False}), ("foreach", {"foreach": True}), ("fused", {"fused": True})):
            opts[name] = torch.optim.AdamW(net.parameters(), **how).step
        self.race(opts, what="AdamW", backbone=self.backbone, n=n, weights=sum(p.numel() for p in net.parameters()))
        plain, z = nb.Plain(n, self.d).to(self.device), torch.randn(n, batch, self.d, device=self.device, requires_grad=True)
        def loops():
            full, without, alone = plain.heads(list(z))
            (full.sum() + sum(t.sum() for t in without) + sum(t.sum() for t in alone)).backward()
        self.race({"loops": loops, "einsum": lambda: sum(t.sum() for t in net.heads(z)).backward()}, what="heads", n=n, batch=batch)

    def stem(self):
        "Each stage of a backbone, forwards and backwards."
        for name, size, batch in (("tiny", 64, 64), ("mobilenet_v2", 96, 32), ("resnet34", 224, 16))[:1 if self.quick else None]:
            net = tiny() if name == "tiny" else get_model(name)
            parts = list(net if name == "tiny" else net.features if name == "mobilenet_v2" else
                         [nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool), net.layer1, net.layer2, net.layer3, net.layer4])
            x, runs, gflop, pixels = torch.rand(batch, 3, size, size, device=self.device), {}, {}, {}
            for i, part in enumerate(parts):
                part = part.to(self.device, memory_format=torch.channels_last)
                x = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_(i > 0)
                def f(part=part, x=x):
                    with torch.autocast(self.device.type, torch.bfloat16): y = part(x)
                    y.float().sum().backward()
                with FlopCounterMode(display=False) as counter: f()
                x, runs[str(i)], gflop[str(i)] = part(x), f, counter.get_total_flops() / 1e9
                pixels[str(i)] = x.shape[-1]
            self.race(runs, least=.05, what="stage", backbone=name, size=size, batch=batch)
            for row in self.rows[-len(parts):]: row |= {"gflop": gflop[row["arm"]], "pixels": pixels[row["arm"]]}

    def epoch(self, batch, count, n):
        "A whole epoch from files, without validation; PNG the plain way, JPEG ours."
        root, workers = Path(tempfile.mkdtemp()), 8 if self.gpu else 0
        try:
            png, jpg, y = nb.write_faces(root, count, self.size)
            plain, w = nb.Plain(n, self.d).to(self.device), torch.ones(3, requires_grad=True, device=self.device)
            opt = torch.optim.AdamW([*plain.parameters(), w])
            faces = nb.PlainFaces(png, y, self.size)
            def loop():
                for x, t in DataLoader(faces, batch, shuffle=True, drop_last=True, num_workers=workers):
                    nb.train_step(opt, lambda: nb.plain_loss(plain(x.to(self.device)), t.to(self.device), w))
            cfg = Config(data="faces", n=n, d=self.d, backbone=self.backbone, size=self.size, batch=batch, bf16=True, workers=workers)
            learner, files = Learner(cfg, self.device), FaceFiles([Face(f, int(t)) for f, t in zip(jpg, y)], self.size)
            ours = lambda: train_epoch(learner, learner, files, cfg, start_of(1), tqdm(disable=True))
            self.race({"plain": loop, "ours": ours}, warm=self.gpu, what="epoch", backbone=self.backbone, size=self.size, batch=batch, n=n, images=count // batch * batch)
        finally:
            shutil.rmtree(root)

    def memory(self, batch, many, command):
        "Peak memory of a process that does one thing; on a CPU all of the process counts."
        for what in ("step", "inference"):
            for n in many:
                for arm in ("plain", "bf16"):
                    done = subprocess.run([*command, "--peak", what, arm, str(n), str(batch)], capture_output=True, text=True)
                    peak = {"gb": float(done.stdout.split()[-1])} if not done.returncode else {"failed": done.stderr.strip().split("\n")[-1][:80]}
                    self.rows.append({"what": f"memory of {what}", "backbone": self.backbone, "batch": batch, "n": n, "arm": arm, **peak})
                    print(self.rows[-1], flush=True)

    def peak(self, what, arm, n, batch):
        "Gigabytes."
        f = (self.step if what == "step" else self.run)(arm, int(n), int(batch))
        for _ in range(2 if what == "step" else 1): f()
        if self.gpu: return torch.cuda.max_memory_allocated() / 1e9
        own = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text()) if Path("/proc/self/status").exists() else None
        return 1024 * (int(own[1]) if own else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1e9    # the latter counts a parent's


def tf32(arm, f):
    "The program with TF32 only where the name says so."
    def g():
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = arm.endswith("TF32")
        f()
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return g


def machine(device: torch.device) -> dict:
    "Name, vector instructions and threads."
    found = facts(device)
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = re.search(r"model name\s*: (.+)", info)
    flags = re.search(r"flags\s*: (.+)", info)
    if device.type == "cpu": found["device"] = name[1] if name else "CPU"
    return {**found, "capability": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads(),
            "flags": " ".join(f for f in flags[1].split() if re.match("avx|amx|fma", f)) if flags else ""}


def measure(args: argparse.Namespace, device: torch.device, command: list[str]) -> dict:
    "Everything."
    bench, start = Bench(device, args.quick), time.time()
    many, load = (1,) if args.quick else (4, 8, 2, 1), [os.getloadavg()[0]]
    batches = (4,) if args.quick else (32, 256) if bench.gpu else (16,)
    bench.matmul()
    for batch in batches:
        for n in many:
            bench.network(batch, n)
        bench.epoch(batch, 8 if args.quick else 4096 if bench.gpu else 96, many[0])
        bench.parts(batch, many[0])
        if not args.quick: bench.network(batch, 4 if bench.gpu else 1, compiled=True)
    bench.few()
    bench.stem()
    bench.matmul()
    load.append(os.getloadavg()[0])
    for batch in batches: bench.memory(batch, many[:0] if args.quick else many, command)
    key = "best" if bench.gpu else "processor"          # on a CPU everything is by the second of one core
    for r in bench.rows:
        if key in r and "batch" in r: r["images_per_second"] = float(f"{r.get('images', r['batch']) / r[key]:.4g}")
        if key in r and "gflop" in r and r["what"] != "stage":
            kind = "float32" if r["arm"] in STEP[:4] + RUN[:3] + ("plain, TF32",) else "bfloat16"
            r["of_peak"] = float(f"{r['gflop'] * 1e9 / r[key] / bench.rate[kind]:.3g}")
    return {"command": " ".join(["python nbs/experiments/results/speed.py", *sys.argv[1:]]), **machine(device), "load_before_and_after": load,
            "seconds": round(time.time() - start), "matmul_gflops": {k: round(v / 1e9) for k, v in bench.rate.items()}, "rows": bench.rows}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, help="the JSON; without it speed-DEVICE.json beside this file")
    parser.add_argument("--peak", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    device = pick_device(args.device)
    torch.set_num_threads(args.threads)
    if args.peak:
        print(Bench(device, args.quick).peak(*args.peak))
    else:
        command = [sys.executable, __file__, "--device", args.device, "--threads", str(args.threads), *["--quick"] * args.quick]
        found = measure(args, device, command)
        slug = re.sub(r"\W+", "-", found["device"].lower()).strip("-")
        write_json(args.out or HERE / f"speed-{slug}.json", found)
