#!/usr/bin/env python3
"""A disk that is full or fails at every write of every format.

  full.py LODE [WORD...]        only commands in whose names one of the words occurs

Each command runs on a tmpfs of one page, two pages and so on until its output fits (where mounting is permitted), and,
with failing.c preloaded, with each of its writes, truncations, syncs and renames failing in turn, alone or with all after
it. Each time: status 1 and one sentence, or 0 and the right file; the file that was there is untouched, nothing is left
beside it. Only of a pair of files (.cfl, .hdr) the first may be new when the second's rename fails."""
import os
import shutil
import subprocess
import sys
import tempfile

lode = os.path.abspath(sys.argv[1])
here = os.path.dirname(os.path.abspath(__file__))
OLD = b"what was there\n"
faults = []


def call(words, folder, **environment):
    return subprocess.run([lode, *words, "--quiet"], capture_output=True, text=True, cwd=folder,
                          env={**os.environ, **environment}, timeout=120)


def contents(path):
    """Bytes of a file, or of all files of a folder."""
    if os.path.isdir(path):
        return {n: contents(os.path.join(path, n)) for n in os.listdir(path)}
    with open(path, "rb") as f:
        return f.read()


def check(what, done, folder, target, before, whole):
    """What must hold after a run whose writes may have failed. Whether it failed."""
    path = os.path.join(folder, target)
    said = [line for line in done.stderr.splitlines() if line.strip()]
    left = sorted(n for n in os.listdir(folder) if ".lode-tmp-" in n)
    if left:
        faults.append(f"{what}: left {left}")
    if done.returncode == 0:
        if contents(path) != whole:
            faults.append(f"{what}: said done and wrote something else")
        return False
    if done.returncode != 1 or len(said) != 1:
        faults.append(f"{what}: status {done.returncode}, {len(said)} lines: {done.stderr[:300]}")
    renamed = "written, but" in done.stderr or (target.endswith(".cfl") and ".hdr: " in done.stderr)
    if before is not None and contents(path) not in (before, whole if renamed else before):
        faults.append(f"{what}: what was there is changed")
    return True


def put_old(folder, target, old):
    path = os.path.join(folder, target)
    if os.path.isdir(path):
        shutil.rmtree(path)
    if not target.endswith("/"):
        with open(path, "wb") as f:
            f.write(old)


def commands(work):
    """(name, words, target, bytes of the file that is there)"""
    make = lambda *w: subprocess.run([lode, *w, "--quiet"], check=True, cwd=work)
    make("make", "normal", "--shape", "12,60,80", "--dtype", "f32", "-o", "x.npy")
    make("make", "lowrank", "--shape", "300,90", "--rank", "5", "-o", "m.npy")
    make("compress", "x.npy", "--error", "1e-2", "--effort", "1", "-o", "old.lode")
    at = lambda name: os.path.join(work, name)
    yield "compress", ["compress", at("x.npy"), "--error", "1e-2", "--effort", "1", "-o", "t.lode", "--force"], "t.lode", OLD
    yield "svd", ["svd", at("m.npy"), "--rank", "4", "-o", "t.npz", "--force"], "t.npz", OLD
    yield "svd to a folder", ["svd", at("m.npy"), "--rank", "4", "-o", "t/", "--force"], "t/", None
    yield "update", ["update", "t.lode", at("x.npy"), "-o", "t.lode", "--force"], "t.lode", contents(at("old.lode"))
    yield "plot svg", ["plot", at("old.lode"), "-o", "t.svg", "--force"], "t.svg", OLD
    yield "plot png", ["plot", at("old.lode"), "-o", "t.png", "--force"], "t.png", OLD
    for suffix in ("npy", "npz", "safetensors", "lode", "csv", "mtx", "mat", "h5", "nc", "cdf", "raw", "fits", "cfl", "nii", "tns"):
        source = "m.npy" if suffix in ("csv", "mtx", "tns") else "x.npy"
        to = ["--to", "raw"] if suffix == "raw" else []
        words = ["convert", at(source), f"t.{suffix}", "--force", *to]
        with tempfile.TemporaryDirectory() as trial:
            if call(words, trial).returncode == 0:  # a format that is read only has no writes
                yield f"convert to {suffix}", words, f"t.{suffix}", OLD
    yield from files_again(work, at)


def files_again(work, at):
    """Files put together again from their frames and compressed values."""
    for suffix in ("h5", "nc", "cdf", "mat"):
        for words in (["convert", "x.npy", f"whole.{suffix}", *(["--to", "mat73"] if suffix == "mat" else [])],
                      ["compress", f"whole.{suffix}", "--error", "1e-2", "--effort", "1", "-o", f"{suffix}.lode"]):
            if call(words, work).returncode:
                break
        else:
            yield f"{suffix} again", ["convert", at(f"{suffix}.lode"), f"t.{suffix}", "--force"], f"t.{suffix}", OLD


def small_disks(what, words, target, old, whole, disk):
    """Runs on a tmpfs of 1, 2, .. pages until the output is there; the number of disks that were too small."""
    failed, old = 0, old or b""
    total = sum(map(len, whole.values())) if isinstance(whole, dict) else len(whole)
    step = max(1, total // 4096 // 40)
    for pages in range(max(1, -(-len(old) // 4096)), 100 * step + 100, step):
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={4096 * pages},nr_inodes=64", "tmpfs", disk],
                          capture_output=True).returncode:
            return None
        try:
            put_old(disk, target, old)
            bad = check(f"{what}, disk of {pages} pages", call(words, disk), disk, target,
                        None if isinstance(whole, dict) else old, whole)
        finally:
            subprocess.run(["umount", disk], check=True)
        failed += bad
        if not bad:
            return failed
    faults.append(f"{what}: no disk was large enough")
    return failed


def each_write(what, words, target, old, whole, folder, shim):
    count, runs, failed = os.path.join(folder, "..", "count"), 0, 0
    for mode in ("", "on"):
        for error in ("ENOSPC", "EIO"):
            n = 1
            while True:
                put_old(folder, target, old)
                extra = {"FAIL_ON": "1"} if mode else {}
                done = call(words, folder, LD_PRELOAD=shim, FAIL_AT=str(n), FAIL_WITH=error, FAIL_COUNT=count, **extra)
                with open(count) as f:
                    seen = int(f.read())
                runs += 1
                failed += check(f"{what}, {error} at call {n}{' and after' * bool(mode)}", done, folder, target,
                                None if isinstance(whole, dict) else old, whole)
                if seen < n:
                    break
                n += 1 if n < 60 else n // 20
    return runs, failed


def main():
    runs = failures = disks = ways = 0
    mounted = True
    with tempfile.TemporaryDirectory() as work:
        shim = os.path.join(work, "failing.so")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", shim, os.path.join(here, "failing.c"), "-ldl"], check=True)
        for folder in ("at", "disk"):
            os.mkdir(os.path.join(work, folder))
        folder, disk = os.path.join(work, "at"), os.path.join(work, "disk")
        for what, words, target, old in commands(work):
            if sys.argv[2:] and not any(w in what for w in sys.argv[2:]):
                continue
            put_old(folder, target, old)
            done = call(words, folder)
            if done.returncode:
                sys.exit(f"{what}: {done.stderr}")
            whole = contents(os.path.join(folder, target))
            ways += 1
            r, f = each_write(what, words, target, old, whole, folder, shim)
            small = small_disks(what, words, target, old, whole, disk) if mounted else None
            mounted = small is not None
            runs, failures, disks = runs + r, failures + f, disks + (small or 0)
            print(f"{what}: {r} failing calls, {small} full disks", file=sys.stderr, flush=True)
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{ways} commands: {runs} runs with a failing write, truncation, sync or rename ({failures} could not go on), "
          + (f"{disks} on full disks of tmpfs" if mounted else "no disks (mounting is not permitted)")
          + f"; {len(faults)} faults")
    return 1 if faults else 0


sys.exit(main())
