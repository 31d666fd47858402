"""Objectives side by side on ClueFaces' shortcut split: python nbs/experiments/results/modes.py --arms ce released ... --seeds 0 1 2

Texture is drawn on nine of ten training fakes, every other clue on one in four. Each cell (arm, seed) trains the same
four small blocks from scratch and is judged on sets that show one clue alone. One JSON a cell in nbs/experiments/results/modes;
finished cells are skipped.
"""
import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, repeat
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from infobottle_dfd.aggregation import ForgeryDetector
from infobottle_dfd.blocks import tiny
from infobottle_dfd.faces.clues import CLUES, ClueFaces
from infobottle_dfd.losses import AutomaticWeights, Witnesses, objective, soft_kl
from infobottle_dfd.judging.metrics import information
from infobottle_dfd.faces.pictures import flip
from infobottle_dfd.training import lr_at, reseed

OUT = Path(__file__).parent / "modes"
SETTINGS = dict(images=6000, size=48, epochs=8, batch=64, lr=3e-3, shortcut="texture")


def alone_live(detector, z):
    "Logits of the single-block heads with gradients to the blocks, (n b k)."
    return einsum(z, detector.heads.alone, "n b d, n d k -> n b k") + detector.heads.bias_alone


def each(logits, y):
    "Sum over blocks of the cross-entropy, logits (n b k)."
    return len(logits) * F.cross_entropy(rearrange(logits.float(), "n b k -> (n b) k"), repeat(y, "b -> (n b)", n=len(logits)))


def views(x, kind):
    "What each of four blocks is shown of the faces (b c h w); elsewhere the picture is grey."
    h, blank = x.shape[-1] // 2, torch.full_like(x, .5)
    def window(top, left, high, wide):
        v = blank.clone()
        v[:, :, top:top + high, left:left + wide] = x[:, :, top:top + high, left:left + wide]
        return v
    def coarse(i):
        return F.interpolate(F.avg_pool2d(x, i), x.shape[-2:], mode="bilinear")
    def holes():
        cy, cx = torch.rand(2, len(x), 1) * 2 * h
        near = lambda c: (torch.arange(2 * h) - c).abs() < h / 2
        return torch.where(near(cy)[:, None, :, None] & near(cx)[:, None, None], .5, x)
    upper, lower = (0, 0, h, 2 * h), (h, 0, h, 2 * h)
    return {"": lambda: [x] * 4,
            "quarters": lambda: [window(t, l, h, h) for t in (0, h) for l in (0, h)],
            "bands": lambda: [window(t, 0, h, 2 * h) for t in (0, h // 3, 2 * h // 3, h)],
            "halves": lambda: [window(*v) for v in (upper, lower, (0, 0, 2 * h, h), (0, h, 2 * h, h))],
            "tall": lambda: [x, x, window(*upper), window(*lower)],
            "scales": lambda: [x, coarse(2), coarse(3), coarse(4)],
            "pairs": lambda: [x, x, coarse(2), coarse(2)],
            "third": lambda: [x, x, coarse(2), coarse(3)],
            "views": lambda: [x, coarse(2), window(*upper), window(*lower)],
            "views3": lambda: [x, coarse(3), window(*upper), window(*lower)],
            "hide": lambda: [holes() for _ in range(4)]}[kind]()


def within_class(t, y):
    "Mean squared correlation between different blocks within a class; t (n b f)."
    total = 0
    for c in (0, 1):
        u = t[:, y == c].float()
        u = u - u.mean(1, keepdim=True)
        u = u / (u.norm(dim=1, keepdim=True) + 1e-4)
        r = einsum(u, u, "n b f, m b g -> n m f g").square().mean((2, 3))
        total = total + (r.sum() - r.diagonal().sum()) / 2
    return total


class Arm:
    "One objective: outputs and labels in, what to minimise out."
    def __init__(self, name, detector, running=.95):
        name, _, self.kind = name.partition("+")
        self.name, _, strength = name.partition("@")
        self.strength, self.detector, self.keep = float(strength or 1), detector, running
        self.weights = AutomaticWeights() if self.name in ("released", "paper") else None
        self.witnesses = Witnesses(4, 64) if self.name == "calm" else None
        self.means, self.capped = None, []

    def __call__(self, out, y, progress):
        "progress: share of the training that is done."
        ce = lambda logits: F.cross_entropy(logits.float(), y)
        d, z, k = self.detector, out.z, self.strength
        probe = each(out.logits_alone, y)                                   # heads on detached z: measures, never pushes
        if self.name in ("released", "paper"):
            return self.weights(objective(out, y, self.name)) + probe
        if self.name == "calm":                                             # as the library ships it
            return sum(objective(out._replace(logits_alone=self.witnesses(z.float())), y, "calm").values()) + probe
        base = ce(out.logits_global) + probe
        if self.name in ("ce", "wide"):
            return base
        base = base + ce(out.logits_all)
        if self.name == "heads":
            return base + each(out.logits_without, y)
        if self.name == "single":
            return base + k * each(alone_live(d, z), y)
        if self.name == "distinct":                                         # informative alone, independent given the label
            live = alone_live(d, z)
            score = live[..., 1:] - live[..., :1]
            return base + each(live, y) + k * within_class(score, y)
        if self.name == "features":
            return base + each(alone_live(d, z), y) + k * within_class(z, y)
        if self.name == "decoupled":                                        # small logits: no sample is ever finished with
            live = alone_live(d, z)
            return base + each(live, y) + k * (live[..., 1] - live[..., 0]).square().mean(1).sum()
        _, honest, _ = d.heads(z.detach())
        full, without, alone = d.heads(z, frozen=True)
        base = base + each(honest, y)
        b = soft_kl(full, without).mean(1)
        ramp = k * min(1., max(0., progress - .2) / .2)                     # heads first
        if self.name == "honest":
            return base - ramp * b.sum()
        if self.name == "exclusive":
            prior = torch.full_like(alone, .5).log()
            a = soft_kl(alone, prior).mean(1)
            now = torch.stack([a, b]).detach()
            self.means = now if self.means is None else self.keep * self.means + (1 - self.keep) * now
            first = self.means[0] < self.means[1]
            self.capped.append(first.float().mean().item())
            return base - ramp * torch.where(first, a, b).sum()
        raise SystemExit(f"unknown arm '{self.name}'")


def see(detector, x, kind):
    "Outputs of a detector whose blocks are shown different things."
    v = [t.contiguous(memory_format=torch.channels_last) for t in views(x, kind)]
    maps = [net((t - detector.blocks.mean) / detector.blocks.std) for net, t in zip(detector.blocks.backbones, v)]
    return detector.aggregate(detector.blocks.pool(torch.stack(maps)))


def build(name):
    "The detector of an arm: four small blocks, or one of equal parameters."
    if name != "wide":
        return ForgeryDetector(4, 64)
    detector = ForgeryDetector(1, 64)
    detector.blocks.backbones[0] = tiny(32)
    detector.blocks.weight = torch.nn.Parameter(torch.empty(1, 256, 64).uniform_(-1, 1) * 256 ** -.5)
    return detector


@torch.inference_mode()
def features(detector, data, kind):
    "Local representations of a data set, (n b d), in evaluation mode."
    detector.eval()
    with torch.autocast("cpu", torch.bfloat16):
        parts = [see(detector, t.float() / 255, kind.replace("hide", "")).z.float() for t in data.x.split(200)]
    return torch.cat(parts, 1)


def fresh(detector, data, val, kind):
    "Nats on val from linear heads fitted afterwards on the features of train, beside the detector's own heads."
    z, v = features(detector, data, kind), features(detector, val, kind)
    n = range(len(z))
    def cost(keep):
        a, b = (rearrange(t[keep], "n b d -> b (n d)").numpy() for t in (z, v))
        head = make_pipeline(StandardScaler(), LogisticRegression(C=.1, max_iter=300)).fit(a, data.y)
        return log_loss(val.y, head.predict_proba(b))
    p = val.y.double().mean()
    entropy = float(-(p * p.log() + (1 - p) * (1 - p).log()))
    full = cost([*n])
    found = {"all": entropy - full, "alone": [entropy - cost([i]) for i in n],
             "added": [cost([j for j in n if j != i]) - full for i in n] if len(n) > 1 else []}
    with torch.inference_mode():
        own = detector.eval().aggregate(v)
    return {"fresh": found, "own": information(own, val.y)}


@torch.inference_mode()
def judge(detector, sets, kind=""):
    "AUC of the verdict and of every block alone, on every set."
    detector.eval()
    report = {}
    for name, data in sets.items():
        x = data.x.float() / 255
        parts = []
        for t in x.split(200):
            with torch.autocast("cpu", torch.bfloat16):
                out = see(detector, t, kind.replace("hide", ""))
            parts.append([v.float() for v in out[:4]])
        g, all_, _, alone = (torch.cat(v, -2) for v in zip(*parts))
        auc = lambda v: round(float(roc_auc_score(data.y, v[:, 1] - v[:, 0])), 4)
        report[name] = {"global": auc(g), "all": auc(all_), "alone": [auc(v) for v in alone],
                        "log_loss": round(float(F.cross_entropy(g, data.y)), 4)}
    return report


def train(arm, seed, data, val, sets):
    "One cell."
    start, s = time.time(), SETTINGS
    reseed(seed)
    detector = build(arm).to(memory_format=torch.channels_last)
    loss = Arm(arm, detector)
    trained = [*detector.parameters(), *(loss.witnesses.parameters() if loss.witnesses else ())]
    params = [{"params": trained, "weight_decay": 1e-4}]
    if loss.weights:
        params.append({"params": loss.weights.parameters(), "weight_decay": 0.})
    opt = torch.optim.AdamW(params, lr=s["lr"], fused=True)
    steps = len(data) // s["batch"]
    detector.train()
    for epoch in range(s["epochs"]):
        reseed(seed, epoch)
        order = torch.randperm(len(data))
        for step in range(steps):
            reseed(seed, epoch, step + 1)
            t = epoch * steps + step
            for group in opt.param_groups:
                group["lr"] = lr_at(t, s["epochs"] * steps, s["lr"])
            i = order[step * s["batch"]:(step + 1) * s["batch"]]
            x, y = flip(data.x[i].float() / 255), data.y[i]
            with torch.autocast("cpu", torch.bfloat16):
                out = see(detector, x, loss.kind)
            total = loss(out, y, t / (s["epochs"] * steps))
            opt.zero_grad(); total.backward(); opt.step()
    cell = {"command": f"python nbs/experiments/results/modes.py --arms {arm} --seeds {seed}", "arm": arm, "seed": seed, **s,
            "parameters": sum(p.numel() for p in detector.parameters()), "auc": judge(detector, sets, loss.kind)}
    cell["nats"] = fresh(detector, data, val, loss.kind)
    if loss.capped:
        cell["share of steps at the cap I(z_i;y)"] = round(sum(loss.capped) / len(loss.capped), 3)
    return cell | {"seconds": round(time.time() - start, 1), "torch": torch.__version__}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", nargs="+", required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--leave-out", choices=CLUES, help="instead of the shortcut split: train without this clue")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    OUT.mkdir(exist_ok=True)
    s = SETTINGS
    sets = {c: ClueFaces(800, s["size"], 4 + i, only=c) for i, c in enumerate(CLUES)}
    plan = {"leave_out": args.leave_out} if args.leave_out else {"shortcut": s["shortcut"]}
    sets["test"] = ClueFaces(2000, s["size"], 3, **plan)
    for seed in args.seeds:
        data = None
        for arm in args.arms:
            path = OUT / (f"{arm}~{args.leave_out}-{seed}.json" if args.leave_out else f"{arm}-{seed}.json")
            if path.exists():
                continue
            data = data or [ClueFaces(count, s["size"], 10 * seed + k, **plan) for count, k in ((s["images"], 1), (1000, 2))]
            cell = train(arm, seed, *data, sets) | {"shortcut": None, "leave_out": None} | plan
            if args.leave_out:
                cell["command"] += f" --leave-out {args.leave_out}"
            path.write_text(json.dumps(cell) + "\n")
            weak = [cell["auc"][c]["global"] for c in CLUES if c != s["shortcut"]]
            print(f"{arm:14} seed {seed} {plan}: weak clues {sum(weak) / 3:.3f} ({' '.join(f'{v:.3f}' for v in weak)}), "
                  f"test {cell['auc']['test']['global']:.3f}, {cell['seconds']:.0f} s", flush=True)
