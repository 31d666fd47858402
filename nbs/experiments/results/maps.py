"""What the blocks of six detectors see: python nbs/experiments/results/maps.py [--arms released calm ...] [--seeds 0 1 2]

Each cell is the default run of `infobottle-train` with the losses of one arm (kept in runs/maps, so that it trains once) and
the measures of nbs/09_explaining on faces with one clue alone. One JSON a cell in nbs/experiments/results/maps; finished cells are skipped.
"""
import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

from infobottle_dfd.aggregation import ForgeryDetector
from infobottle_dfd.faces.clues import CLUES, ClueFaces
from infobottle_dfd.explaining import block_maps, cka, influence, inside, overlap
from infobottle_dfd.runs.checkpoint import load_run
from infobottle_dfd.runs.config import Config
from infobottle_dfd.training import fit

OUT = Path(__file__).parent / "maps"
ARMS = {"one block, ce": dict(n=1, lil=False, gil=False), "four, ce": dict(lil=False, gil=False), "heads": dict(mode="paper", weighting="fixed", alpha=0., beta=0.),
        "released": {}, "paper": dict(mode="paper"), "calm": dict(mode="calm")}


def short(v):
    "Four digits are enough."
    return [short(u) for u in v] if isinstance(v, list) else round(v, 4)


def measure(detector, sets):
    "Every number of the notebook, for one detector."
    found, heats = {"auc_alone": [], "mass": [], "pointing": [], "cover": []}, []
    with torch.inference_mode():
        outs = [detector(s.x.float() / 255) for s in sets]
    for s, out in zip(sets, outs):
        fake = s.y == 1
        _, heat = block_maps(detector, s.x[fake].float() / 255)
        hit, mass = inside(heat, s.masks[fake])
        gap = out.logits_alone[..., 1] - out.logits_alone[..., 0]
        found["auc_alone"].append([roc_auc_score(s.y, v) for v in gap])
        found["mass"].append(mass.mean(1)); found["pointing"].append(hit.float().mean(1)); heats.append(heat)
        found["cover"].append(s.masks[fake].float().mean((0, 2, 3)))
    found["auc_alone"] = torch.tensor(found["auc_alone"]).T                            # (n q)
    found |= {k: torch.stack(found[k], 1) for k in ("mass", "pointing")} | {"cover": torch.stack(found["cover"])}     # (n q r), (q r)
    z, fake, heat = torch.cat([out.z for out in outs], 1), torch.cat([s.y for s in sets]) == 1, torch.cat(heats, 1)
    lost = influence(detector, z, z.mean(1))[:, fake]
    says = torch.cat([out.logits_alone for out in outs], 1).argmax(-1)
    first = torch.stack([heat.sum((2, 3)).argmax(0), lost.argmax(0)])                     # the hottest block of a face, and the costliest
    often = F.one_hot(first, len(z)).float().mean(1)
    found |= {"influence": lost.mean(1), "hottest_is_costliest": (first[0] == first[1]).float().mean(), "by_chance": (often[0] * often[1]).sum(),
              "cka": cka(z), "overlap": overlap(heat), "agreement": (says[:, None] == says[None]).float().mean(-1)}
    return {k: short(t.tolist()) for k, t in found.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs/maps"), help="where run folders go")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    OUT.mkdir(exist_ok=True)
    sets = [ClueFaces(400, 64, seed=20 + q, only=clue) for q, clue in enumerate(CLUES)]
    for seed in args.seeds:
        for arm, settings in ARMS.items():
            name = f"{arm.replace(', ', '-').replace(' ', '-')}-{seed}"
            if arm in args.arms and not (path := OUT / f"{name}.json").exists():
                cfg = Config(**settings, seed=seed)
                report = fit(cfg, args.runs / name)
                torch.manual_seed(seed)
                found = measure(load_run(args.runs / name)[0], sets)
                blank = measure(ForgeryDetector(cfg.n, cfg.d).eval(), sets)
                facts = {k: report[k] for k in ("auc", "auc_per_clue", "epoch", "device", "versions")}
                command = f"python nbs/experiments/results/maps.py --arms '{arm}' --seeds {seed}"
                config = {k: v for k, v in asdict(cfg).items() if k != "data"}
                path.write_text(json.dumps({"command": command, "arm": arm, "seed": seed, **facts, **found, "mass_random": blank["mass"], "config": config}) + "\n")
                print(f"{arm:14} seed {seed}: test {report['auc']:.3f}", flush=True)
