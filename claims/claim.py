"""What every claim file uses: the command, data, and one verdict.

A claim file defines

    CLAIM = dict(slug="tucker-packing", system="006", ops=["compress"], grade="F", paper="...", statement="...", relation="...")
    def run(c): ... c.check(measured_text, holds)

and ends in `main(CLAIM, run)`. `c.full` asks for the long form, `c.seed` for the seed, `c.rng` is NumPy's
generator of that seed, `c.lode(...)` runs the command in a temporary folder and gives its JSON object.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def command():
    """The command under test: LODE, else the build folder's, else the one installed."""
    built = ROOT / "build" / "lode"
    return os.environ.get("LODE") or (str(built) if built.exists() else "lode")


class Run:
    def __init__(self, folder, seed, full):
        self.folder, self.seed, self.full = Path(folder), seed, full
        self.rng = np.random.default_rng(seed)
        self.checks = []

    def path(self, name):
        return str(self.folder / name)

    def save(self, name, x):
        np.save(self.folder / name, x)
        return self.path(name)

    def lode(self, *words, ok=(0,)):
        """Runs the command with --json; returns the object. A status not in ok is a failure of the claim."""
        argv = [command(), *map(str, words), "--json", "--quiet", "--force", "--seed", str(self.seed)]
        r = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT)
        if r.returncode not in ok:
            raise RuntimeError(f"lode {' '.join(map(str, words))}: status {r.returncode}: {r.stderr.strip()}")
        out = json.loads(r.stdout) if r.stdout.strip() else {}
        out["exit"] = r.returncode
        return out

    def check(self, measured, holds):
        """One measured relation; all of them must hold."""
        self.checks.append((measured, bool(holds)))


NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def summary(texts):
    """One text for all seeds: where texts differ in their numbers alone, the least and the largest of each."""
    groups = {}
    for text in texts:
        groups.setdefault(NUMBER.sub("#", text), []).append(NUMBER.findall(text))
    merged = []
    for form, rows in groups.items():
        ends = ((min(column, key=float), max(column, key=float)) for column in zip(*rows))
        numbers = iter([low if float(low) == float(high) else f"{low}..{high}" for low, high in ends])
        merged.append(re.sub("#", lambda _: next(numbers, "#"), form))
    return "; ".join(merged)


def main(claim, run):
    parser = argparse.ArgumentParser(description=claim["statement"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--describe", action="store_true", help="print the claim as JSON and run nothing")
    parser.add_argument("--broken", action="store_true",
                        help="succeed where a check does not hold; not where the claim could not run (used with LODE_BREAK)")
    o = parser.parse_args()
    if o.describe:
        print(json.dumps(claim))
        return
    result = dict(claim, seed=o.seed, full=o.full)
    checks = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            seeds = range(o.seed, o.seed + 5) if o.full else [o.seed]
            for seed in seeds:
                r = Run(folder, seed, o.full)
                run(r)
                checks += r.checks
            result["measured"] = summary(m for m, _ in checks)
            result["holds"] = bool(checks) and all(h for _, h in checks)
            result["failed"] = [m for m, h in checks if not h]
        except Exception as error:  # a claim that cannot run does not hold
            result.update(measured=f"{type(error).__name__}: {error}", holds=False, failed=[str(error)])
            checks = []
    print(json.dumps(result))
    fine = bool(checks) and not result["holds"] if o.broken else result["holds"]
    sys.exit(0 if fine else 1)
