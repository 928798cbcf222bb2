#!/usr/bin/env python3
"""Kills everything that keeps a checkpoint at random moments, and calls it again until it ends.

  resume.py LODE [COUNT] [SEED]

COUNT kills in all, spread over the ways below. After each kill the same command is called again, on another number of
threads or within another budget of memory; after every fifth the checkpoint loses a random part of its end, as a power cut
may leave it. What comes out in the end, a file or what compare and verify print, has the bytes of a run that was not
killed, and the checkpoint is gone."""
import os
import random
import re
import subprocess
import sys
import tempfile
import time

lode = os.path.abspath(sys.argv[1])
count = int(sys.argv[2]) if len(sys.argv) > 2 else 300
chance = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 0)


def run(*words):
    return subprocess.run([lode, *words, "--quiet"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def read(path):
    with open(path, "rb") as f:
        return f.read()


def without_time(text):
    return re.sub(rb'"seconds": [^,}]*', b"", text)


def tear(path):
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        f.truncate(size - chance.randrange(min(size, max(1, size // 4)) + 1))


def kill_until_done(words, checkpoint, span, most):
    """Kills it took, and what the last call printed."""
    kills = 0
    while True:
        schedule = ["--threads", str(1 + chance.randrange(2))]
        process = subprocess.Popen([lode, *words, "--quiet", "--force", "--checkpoint", checkpoint, *schedule],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if kills < most:
            time.sleep(chance.random() * span)
            process.kill()
        out = process.communicate()[0]
        if process.returncode == 0:
            return kills, out
        if process.returncode != -9:
            sys.exit(f"{' '.join(words)}: status {process.returncode} after {kills} kills")
        kills += 1
        if kills % 5 == 0 and os.path.exists(checkpoint):
            tear(checkpoint)


def main():
    with tempfile.TemporaryDirectory() as folder:
        at = lambda name: os.path.join(folder, name)
        run("make", "normal", "--shape", "48,96,96", "--dtype", "f32", "-o", at("x.npy"))
        run("make", "normal", "--shape", "24,96,96", "--dtype", "f32", "--seed", "1", "-o", at("y.npy"))
        run("make", "lowrank", "--shape", "3000,1200", "--rank", "20", "--noise", "1e-2", "--dtype", "f32", "-o", at("m.npy"))
        run("make", "lowrank", "--shape", "400,1200", "--rank", "20", "--noise", "1e-2", "--dtype", "f32", "--seed", "1", "-o", at("n.npy"))
        run("make", "lowrank", "--shape", "60,100,110", "--rank", "6", "--noise", "1e-3", "--dtype", "f32", "-o", at("t.npy"))
        coded = ["--error", "1e-2", "--block", "16384", "--effort", "2"]
        run("compress", at("x.npy"), *coded, "-o", at("x.lode"))
        run("compress", at("y.npy"), *coded, "-o", at("y.lode"))
        run("convert", at("x.lode"), at("back.npy"))
        for op in ("svd", "pca"):
            run(op, at("m.npy"), "--rank", "8", "-o", at(f"{op}.lode"))
            run(op, at("n.npy"), "--rank", "8", "-o", at(f"{op}2.lode"))
        for op in ("tucker", "tt"):
            run(op, at("t.npy"), "--error", "1e-2", "-o", at(f"{op}.lode"))
        out = "OUT"
        ways = {
            "svd": ["svd", at("m.npy"), "--rank", "8", "--method", "krylov", "-o", out],
            "pca": ["pca", at("m.npy"), "--rank", "8", "-o", out],
            "tucker": ["tucker", at("t.npy"), "--error", "1e-2", "-o", out],
            "tt": ["tt", at("t.npy"), "--error", "1e-2", "-o", out],
            "compress": ["compress", at("x.npy"), *coded, "-o", out],
            "compress exactly": ["compress", at("x.npy"), "--method", "lossless", "--block", "16384", "-o", out],
            "convert": ["convert", at("x.lode"), out],
            "invert": ["invert", at("x.lode"), "-o", out],
            "compare": ["compare", at("x.npy"), at("back.npy"), "--json"],
            "compare, decoding": ["compare", at("x.npy"), at("x.lode"), "--json"],
            "verify": ["verify", at("x.lode"), "--json"],
            "verify, original": ["verify", at("x.lode"), at("x.npy"), "--json"],
            "verify svd": ["verify", at("svd.lode"), at("m.npy"), "--json"],
            "verify tucker": ["verify", at("tucker.lode"), at("t.npy"), "--json"],
            "update": ["update", at("x.lode"), at("y.npy"), "-o", out],
            "update svd": ["update", at("svd.lode"), at("n.npy"), "-o", out],
            "update pca": ["update", at("pca.lode"), at("n.npy"), "-o", out],
            "merge": ["merge", at("x.lode"), at("y.lode"), "-o", out],
            "merge svd": ["merge", at("svd.lode"), at("svd2.lode"), "-o", out],
            "apply svd": ["apply", at("svd.lode"), at("n.npy"), "-o", out],
            "apply tucker": ["apply", at("tucker.lode"), at("t.npy"), "-o", out],
        }
        ending = {"convert": ".npy", "invert": ".npy", "apply svd": ".npy", "apply tucker": ".npy"}
        whole, span, kills = {}, {}, {}
        for name, words in ways.items():
            path = at("whole" + ending.get(name, ".lode"))
            start = time.time()
            text = run(*[path if w == out else w for w in words], "--force")
            span[name] = 1.1 * (time.time() - start)
            whole[name] = read(path) if out in words else without_time(text)
        rounds = 0
        while sum(kills.values()) < count:
            name = list(ways)[rounds % len(ways)]
            rounds += 1
            path = at("out" + ending.get(name, ".lode"))
            if os.path.exists(path):
                os.remove(path)
            words = [path if w == out else w for w in ways[name]]
            took, text = kill_until_done(words, at("ck"), span[name], 12)
            kills[name] = kills.get(name, 0) + took
            got = read(path) if out in ways[name] else without_time(text)
            if got != whole[name]:
                sys.exit(f"{name}: other bytes after {took} kills")
            if os.path.exists(at("ck")):
                sys.exit(f"{name}: the checkpoint is still there")
        if any(".lode-tmp-" in n for n in os.listdir(folder)):
            sys.exit("a temporary is left")
        print(f"{sum(kills.values())} kills of {len(ways)} commands under --checkpoint ({min(kills.values())} to {max(kills.values())} "
              "each), torn tails after a fifth of them: all ended with the bytes of runs that were not killed, no checkpoint left")


main()
