#!/usr/bin/env python3
"""Kills compress, convert and update at random moments while they write over a file.

  kills.py LODE [COUNT] [SEED]

After each kill the file is the old one or the new one, byte for byte, and at most one temporary lies beside it: the next
call removes it. Half of the kills come at any moment of the run, half while the temporary is written, synced and renamed:
they follow its birth by a time that is lengthened after each old file and shortened after each new one. The new file is
that of a run which was not killed, and verified."""
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

lode = os.path.abspath(sys.argv[1])
count = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
chance = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 0)


def run(*words):
    return subprocess.run([lode, *words, "--quiet"], check=True)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def temporaries(folder):
    return [n for n in os.listdir(folder) if ".lode-tmp-" in n]


def kill_once(words, folder, span):
    """Whether it was killed before its end; span: the longest wait, from the start or from the temporary's birth."""
    before = temporaries(folder)
    process = subprocess.Popen([lode, *words, "--quiet"])
    if span["near"]:
        while process.poll() is None and temporaries(folder) in (before, []):
            time.sleep(0.0002)
    time.sleep(chance.random() * span["rename" if span["near"] else "whole"])
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def main():
    with tempfile.TemporaryDirectory() as folder:
        at = lambda name: os.path.join(folder, name)
        run("make", "normal", "--shape", "30,60,60", "--dtype", "f32", "-o", at("x.npy"))
        run("make", "normal", "--shape", "20,40,40", "--dtype", "f32", "--seed", "1", "-o", at("y.npy"))
        run("compress", at("y.npy"), "--error", "1e-2", "--effort", "1", "-o", at("old.lode"))
        os.mkdir(at("out"))
        target = at("out/target.lode")
        ways = {
            "compress": ["compress", at("x.npy"), "--error", "1e-2", "--effort", "1", "-o", target, "--force"],
            "convert": ["convert", at("x.npy"), target, "--force"],
            "update": ["update", target, at("y.npy"), "-o", target, "--force"],
        }
        old, new, span = read(at("old.lode")), {}, {}
        for name, words in ways.items():
            with open(target, "wb") as f:
                f.write(old)
            start = time.time()
            run(*words)
            span[name] = {"whole": 1.1 * (time.time() - start), "rename": 0.01}
            if name != "convert":
                run("verify", target)
            new[name] = read(target)
        killed = {True: 0, False: 0}
        late = most = 0  # ended before the kill came
        while sum(killed.values()) < count:
            name = chance.choice(list(ways))
            with open(target, "wb") as f:
                f.write(old)
            span[name]["near"] = chance.random() < 0.5
            alive = kill_once(ways[name], at("out"), span[name])
            now = read(target)
            if now not in (old, new[name]):
                sys.exit(f"{name}: half a file after kill number {sum(killed.values())}")
            if span[name]["near"]:
                span[name]["rename"] *= 1.1 if now == old else 0.9
            late += not alive
            most = max(most, len(temporaries(at("out"))))
            if alive:
                killed[now == old] += 1
        if most > 1:
            sys.exit(f"{most} temporaries lay in the folder")
        for name, words in ways.items():
            with open(target, "wb") as f:
                f.write(old)
            run(*words)
            if read(target) != new[name] or os.listdir(at("out")) != ["target.lode"]:
                sys.exit(f"{name}: not well after the kills")
        print(f"{sum(killed.values())} kills of compress, convert and update: {killed[True]} left the old file, "
              f"{killed[False]} the new one, none another ({late} more ended first); at most {most} temporary at a time, none after the next call")


main()
