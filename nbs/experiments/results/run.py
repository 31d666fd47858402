"""Arms of the method on real faces: python nbs/experiments/results/run.py DATA --size 96 --epochs 4 --seeds 0 1 2

DATA holds dfdc_pairs/, ciplab_256/ and weights/. Every arm and seed is one infobottle-train and two infobottle-evaluate
(dfdc_pairs/test, and all of ciplab_256), and the AUC of spoiled test faces and how alike the blocks are; its numbers go to
one JSON beside this file, and what is there already is skipped. A run that was cut off goes on where it stopped.
"""
import argparse
import csv
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from small import SPOIL
from torch.utils.data import TensorDataset

from infobottle_dfd.faces.manifest import read_faces
from infobottle_dfd.explaining import cka
from infobottle_dfd.judging.metrics import metrics, score
from infobottle_dfd.faces.pictures import FaceFiles
from infobottle_dfd.core import write
from infobottle_dfd.runs.checkpoint import load_run

ARMS = {"one": "--n 1 --no-lil --no-gil", "cross-entropy": "--no-lil --no-gil", "released": "", "paper": "--mode paper", "calm": "--mode calm",
        "heads": "--mode paper --weighting fixed --alpha 0 --beta 0"}       # the cross-entropies of all heads, no information terms


def manifests(data: Path, work: Path) -> tuple[Path, Path]:
    "The two sets as manifests: identities of dfdc_pairs from pairs.csv, regions of ciplab_256 as methods."
    paths = work / "dfdc_pairs.csv", work / "ciplab_256.csv"
    pairs = csv.DictReader(open(data / "dfdc_pairs/pairs.csv"))
    rows = [[(data / "dfdc_pairs" / r[c]).resolve(), int(c == "fake"), r["split"], Path(r[c]).stem, r["identity"], ""] for r in pairs for c in ("real", "fake")]
    faces = csv.DictReader(open(data / "ciplab_256/index.csv"))
    other = [[(data / "ciplab_256" / r["file"]).resolve(), int(r["label"] == "fake"), "", r["file"], "", r["regions"].zfill(4) if r["label"] == "fake" else ""] for r in faces]
    for path, table in zip(paths, (rows, other)):
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows([["path", "label", "split", "video", "identity", "method"], *table])
    return paths


@torch.inference_mode()
def spoil(out: Path, pairs: Path) -> dict:
    "AUC of the test faces after JPEG, blur, noise and shrinking; likeness of the blocks, and how often two say the same."
    detector, saved = load_run(out)
    data = FaceFiles([r for r in read_faces(pairs) if r.split == "test"], saved["config"]["size"])
    x, y = data[list(range(len(data)))]
    z = torch.cat([detector.blocks(t.float() / 255) for t in x.split(100)], 1)
    says = detector.heads(z)[2].argmax(-1)
    return {"auc_spoiled": {name: metrics(y, score(detector, TensorDataset(f(x), y), bf16=True).p)["auc"] for name, f in SPOIL.items()},
            "cka": cka(z).tolist(), "agreement": (says[:, None] == says[None]).float().mean(-1).tolist()}


def run(args: argparse.Namespace, pairs: Path, ciplab: Path, arm: str, seed: int, result: Path) -> None:
    "One arm with one seed: train, evaluate twice, keep the numbers."
    out = args.work / result.stem
    weights = args.data / "weights/mobilenet_v2_imagenet_features.pth"
    options = ["--size", args.size, "--backbone", "mobilenet_v2", "--weights", weights, "--d", 128, "--batch", 32, "--lr", args.lr,
               "--epochs", args.epochs, "--seed", seed, "--bf16", "--workers", args.workers, *ARMS[arm].split()]
    commands = [["train", "--data", pairs, *options, "--out", out], *(["evaluate", "--data", d, "--run", out, "--json", out / f"{d.stem}.json"] for d in (pairs, ciplab))]
    for name, *rest in commands:
        module = {"train": "training", "evaluate": "evaluation"}[name]
        resume = ["--resume"] * (name == "train" and (out / "config.json").exists())
        subprocess.run([sys.executable, "-m", f"infobottle_dfd.{module}", *map(str, rest), *resume], check=True, stdout=subprocess.DEVNULL)
    numbers = {d.stem: json.loads((out / f"{d.stem}.json").read_text()) for d in (pairs, ciplab)}
    facts = {k: numbers["dfdc_pairs"][k] for k in ("config", "device", "versions")}
    facts["config"] |= {"data": pairs.name, "weights": weights.name}
    for r in numbers.values():
        for k in ("run", "data", "config", "device", "versions"):
            del r[k]
    report = json.loads((out / "test.json").read_text())
    history = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    stamps = [0., *(h["seconds"] for h in history)]
    shown = [" ".join([f"infobottle-{name}", *(w.name if isinstance(w, Path) else str(w) for w in rest)]) for name, *rest in commands]
    found = {"arm": arm, "seed": seed, "commands": shown, "epoch_seconds": [round(b - a, 1) for a, b in zip(stamps, stamps[1:])],
             "val_auc": report["val_auc"], "epoch": report["epoch"], "information": history[report["epoch"] - 1]["val"]["information"], **spoil(out, pairs)}
    write(result, lambda p: p.write_text(json.dumps({**found, **numbers, **facts}) + "\n"))
    print(f"{result.stem}: val {report['val_auc']:.4f}, dfdc_pairs {numbers['dfdc_pairs']['auc']:.4f}, ciplab_256 {numbers['ciplab_256']['auc']:.4f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--work", type=Path, default=Path("runs"), help="where run folders go")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    sets = manifests(args.data, args.work)
    cells = [(arm, seed, args.results / f"dfdc_pairs-{args.size}-{arm}-{seed}.json") for seed in args.seeds for arm in args.arms]
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda c: run(args, *sets, *c), [c for c in cells if not c[2].exists()]))
