"""Two things that could pay: python nbs/experiments/results/tricks.py [--seeds 0 1 2]

An exponential average of the weights (of the last 100 steps, roughly), and a stem: the first layers common to all blocks. Small
preset of small.py, released losses, 20 s a cell. One JSON a cell in nbs/experiments/results/tricks; finished cells are skipped.
"""
import argparse
import json
import os
import time
from pathlib import Path

import torch
from small import SMALL
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from infobottle_dfd.faces.clues import CLUES, ClueFaces
from infobottle_dfd.runs.step import Learner
from infobottle_dfd.judging.metrics import information, metrics, score
from infobottle_dfd.runs.config import Config
from infobottle_dfd.runs.machine import facts
from infobottle_dfd.training import train_epoch

OUT = Path(__file__).parent / "tricks"


def cell(stem, seed, sets):
    "Train four tiny blocks whose first `stem` layers are one; judge the last weights and their average."
    cfg, start = Config(**SMALL, seed=seed, device="cpu"), time.time()
    learner = Learner(cfg, torch.device("cpu"))
    nets = learner.detector.blocks.backbones
    for net in nets[1:]:
        for layer in range(stem):
            net[layer] = nets[0][layer]
    average = AveragedModel(learner.detector, multi_avg_fn=get_ema_multi_avg_fn(.99), use_buffers=True)
    data = ClueFaces(cfg.images, cfg.size, 10 * seed + 1)
    for epoch in range(1, cfg.epochs + 1):
        train_epoch(learner, learner, data, cfg, {"epoch": epoch, "step": 0, "sums": {}}, tqdm(disable=True),
                    lambda last: average.update_parameters(learner.detector))
    found = {}
    for name, net in (("last", learner.detector), ("average", average.module)):
        outs = {k: score(net, s, bf16=True) for k, s in sets.items()}
        found[name] = {"auc": {k: metrics(sets[k].y, out.p)["auc"] for k, out in outs.items()},
                       "log_loss": metrics(sets["test"].y, outs["test"].p)["log_loss"], "information": information(outs["test"], sets["test"].y)}
    weights = sum(p.numel() for p in {id(p): p for p in nets.parameters()}.values())
    return {"command": f"python nbs/experiments/results/tricks.py --stems {stem} --seeds {seed}", "stem": stem, "seed": seed, "weights_of_blocks": weights,
            **found, "seconds": round(time.time() - start, 1), **SMALL, **facts(torch.device("cpu"))}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stems", nargs="+", type=int, choices=range(6), default=[0, 1, 2, 3, 4], help="layers of five that blocks share")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    OUT.mkdir(exist_ok=True)
    sets = {"test": ClueFaces(2000, SMALL["size"], 3), **{c: ClueFaces(800, SMALL["size"], 4 + i, only=c) for i, c in enumerate(CLUES)}}
    for seed in args.seeds:
        for stem in args.stems:
            if not (path := OUT / f"stem{stem}-{seed}.json").exists():
                found = cell(stem, seed, sets)
                path.write_text(json.dumps(found) + "\n")
                print(f"stem {stem} seed {seed}: test {found['last']['auc']['test']:.3f}, average {found['average']['auc']['test']:.3f}, {found['seconds']:.0f} s", flush=True)
