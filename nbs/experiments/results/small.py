"""Ablations on ClueFaces, small enough for a laptop: python nbs/experiments/results/small.py [--arms ce released ...] [--seeds 0 1 2]

Every cell is one call of `fit` with the small preset below, half a minute on an idle core, and the AUC of the test faces after
JPEG, blur, noise and shrinking. `--splits shortcut eyes mouth seam texture` trains with one easy clue and three rare
ones, or without the named clue, and fits fresh heads afterwards. One JSON a cell in nbs/experiments/results/small; finished cells
are skipped.
"""
import argparse
import json
import os
import shutil
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from modes import fresh
from torch.utils.data import TensorDataset
from torchvision.transforms.v2 import functional as tv

from infobottle_dfd import blocks
from infobottle_dfd.faces.clues import CLUES, ClueFaces
from infobottle_dfd.judging.metrics import metrics, score
from infobottle_dfd.runs.checkpoint import load_run
from infobottle_dfd.runs.config import Config
from infobottle_dfd.training import fit

OUT = Path(__file__).parent / "small"
SMALL = dict(images=4000, size=48, epochs=6, bf16=True)
CE = dict(lil=False, gil=False)
ARMS = {"ce": CE, "local": dict(gil=False), "global": dict(lil=False), "released": {}, "paper": dict(mode="paper"), "calm": dict(mode="calm"),
        "heads": dict(mode="paper", weighting="fixed", alpha=0., beta=0.), "fixed": dict(weighting="fixed"),
        **{f"paper-{name}": dict(mode="paper", weighting="fixed", alpha=a, beta=b)
           for name, a, b in (("local", 1., 0.), ("global", 0., 1.), ("both", 1., 1.), ("tenth", .1, .1))},
        **{f"ce-n{n}": dict(n=n, **CE) for n in (1, 2, 3, 6)}, **{f"released-n{n}": dict(n=n) for n in (2, 3, 6)}, "calm-n1": dict(n=1, mode="calm")}
WIDTH = {1: 32, 2: 23, 3: 18, 6: 13}            # of n tiny blocks that have together as many weights as four of width 16, within 6 %
ARMS |= {f"{arm}-equal{n}": dict(n=n, **ARMS[arm]) for arm in ("ce", "released", "calm") for n in WIDTH if n > 1 or arm != "released"}
BACKBONES = ("mobilenet_v2", "efficientnet_b0", "resnet34")
ARMS |= {f"{arm}-{net}": dict(backbone=net, **ARMS[arm]) for net in BACKBONES for arm in ("ce", "released", "calm")}
SPLITS = {"plain": {}, "shortcut": dict(shortcut="texture"), **{clue: dict(leave_out=clue) for clue in CLUES}}
TINY = blocks.tiny


def noisy(x):
    "Noise of 5 % of the range."
    g = torch.Generator().manual_seed(0)
    return (x + 12.75 * torch.randn(x.shape, generator=g)).clamp(0, 255).byte()


SPOIL = {"as drawn": lambda x: x, "JPEG 75": lambda x: torch.stack([tv.jpeg(v, 75) for v in x]), "JPEG 30": lambda x: torch.stack([tv.jpeg(v, 30) for v in x]),
         "blur": lambda x: tv.gaussian_blur(x, [5, 5], [1., 1.]), "noise": noisy, "half size": lambda x: tv.resize(tv.resize(x, [x.shape[-1] // 2] * 2, antialias=True), [x.shape[-1]] * 2)}


def cell(arm, split, seed, test):
    "Train and judge one arm on one split with one seed."
    work, cfg = Path(tempfile.mkdtemp()), Config(**{**SMALL, **ARMS[arm], **SPLITS[split], "seed": seed})
    blocks.tiny = partial(TINY, WIDTH[cfg.n]) if "equal" in arm else TINY
    try:
        report = fit(cfg, work / "run")
        detector, _ = load_run(work / "run")
        history = [json.loads(line) for line in (work / "run/metrics.jsonl").read_text().splitlines()]
        spoiled = {name: metrics(test.y, score(detector, TensorDataset(x, test.y), bf16=True).p)["auc"] for name, x in test.spoiled.items()}
        nats = {}
        if split != "plain":
            data, val = (ClueFaces(count, cfg.size, 10 * seed + k, **SPLITS[split]) for count, k in ((cfg.images, 1), (1000, 2)))
            nats = {"nats": fresh(detector, data, val, "")}
    finally:
        shutil.rmtree(work)
    found = {k: report[k] for k in ("auc", "auc_per_clue", "log_loss", "val_auc", "epoch", "seconds", "device", "versions")}
    command = f"python nbs/experiments/results/small.py --arms {arm} --splits {split} --seeds {seed}"
    return {"command": command, "arm": arm, "split": split, "seed": seed, **found, "auc_spoiled": spoiled, **nats,
            "parameters": sum(p.numel() for p in detector.parameters()), "information": history[report["epoch"] - 1]["val"]["information"],
            "config": {k: v for k, v in asdict(cfg).items() if k != "data"}}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=["plain"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    OUT.mkdir(exist_ok=True)
    test = ClueFaces(2000, SMALL["size"], 3)
    test.spoiled = {name: f(test.x) for name, f in SPOIL.items()}
    for seed in args.seeds:
        for split in args.splits:
            for arm in args.arms:
                if not (path := OUT / f"{arm}{'' if split == 'plain' else '~' + split}-{seed}.json").exists():
                    found = cell(arm, split, seed, test)
                    path.write_text(json.dumps(found) + "\n")
                    print(f"{arm:12} {split:9} seed {seed}: test {found['auc']:.3f}, {found['seconds']:.0f} s", flush=True)
