#!/usr/bin/python3
"""Entropy decoding on other compilers and machines. The coders, and examples/unlode.c, are built by gcc and clang, with
and without optimization and AVX, and for Arm; each must decode the kept streams to the same integers, unpack the kept
files to the same values within rounding, and code the same integers to the same bytes.

usage: portable.py LODE        (the built command, whose values unpacked files are compared with)
       portable.py --make      (writes the kept streams anew, by the coders as they are)
"""
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
STREAMS = os.path.join(HERE, "streams")
FILES = os.path.join(ROOT, "fuzz", "corpus", "unlode")
# what the coders need of the library: no BLAS, no JSON
SOURCES = [os.path.join(ROOT, "src", f"{name}.c") for name in """base/context base/memory base/spare base/status base/lost
    base/journal base/threads base/hash base/text base/os array/array array/dtype code/stream code/chunk code/walk code/fit code/fast
    code/fast_stream code/fast_tables code/mask code/exact code/spaced code/record""".split()]
FLAGS = ["-std=c17", "-D_POSIX_C_SOURCE=200809L", "-D_DEFAULT_SOURCE", '-DLODE_VERSION=""', "-ffp-contract=off",
         "-ffunction-sections", "-Wl,--gc-sections", "-I" + os.path.join(ROOT, "include"), "-I" + os.path.join(ROOT, "src")]
# compiler and its flags; what runs the program: a processor without AVX, as gcc's builds choose their code at run time
BUILDS = [
    ("gcc -O0", ""),
    ("gcc -O3 -march=native", ""),
    ("gcc -O2 -mno-avx -static", "qemu-x86_64 -cpu qemu64"),
    ("clang -O0", ""),
    ("clang -O3 -mno-avx", ""),
    ("aarch64-linux-gnu-gcc -O2 -static", "qemu-aarch64"),
]


def call(*words):
    p = subprocess.run(words, capture_output=True, text=True)
    assert p.returncode == 0, (words, p.returncode, p.stdout, p.stderr)
    return p.stdout


def compile_one(cc, folder, kind):
    program = os.path.join(folder, cc.replace(" ", "") + kind)
    if kind == "streams":
        call(*cc.split(), *FLAGS, os.path.join(HERE, "streams.c"), *SOURCES, "-o", program, "-lm", "-lpthread")
    else:
        call(*cc.split(), "-std=c11", os.path.join(HERE, "unlode_streams.c"), "-o", program, "-lm")
    return program


def same_values(a, b, ulps, what):
    """Equal but for a few units in the last place of the largest, which 16 bits and whole numbers may show as a step."""
    assert a.dtype == b.dtype and a.shape == b.shape, (what, a.dtype, b.dtype, a.shape, b.shape)
    step = 1 if a.dtype.kind in "iu" else 0
    digits = {"e": 10, "f": 23, "F": 23}.get(a.dtype.char, 52 if ulps <= 4 else 23)
    wide = np.clongdouble if a.dtype.kind == "c" else np.longdouble
    finite = np.isfinite(a)
    assert np.array_equal(a[~finite], b[~finite], equal_nan=True), what
    a, b = a[finite].astype(wide), b[finite].astype(wide)
    far = abs(a - b).max(initial=0)
    assert far <= max(step, ulps * 2.0**-digits * abs(a).max(initial=0)), (what, far)


def main(lode, folder):
    start = time.time()
    expected = "".join(" ".join(line.split()[:2]) + "\n" for line in open(os.path.join(STREAMS, "list")))
    builds = [(cc, run.split()) for cc, run in BUILDS if shutil.which(cc.split()[0])]
    for cc, run in BUILDS:
        if (cc, run.split()) not in builds:
            print(f"left out, as it is not installed: {cc}")
    jobs = [(cc, kind) for kind in ("streams", "unlode") for cc, run in builds]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        programs = dict(zip(jobs, pool.map(lambda job: compile_one(job[0], folder, job[1]), jobs)))
    reference, codes = {}, {}
    for name in sorted(os.listdir(FILES)):
        copy, out = os.path.join(folder, name + ".lode"), os.path.join(folder, name + ".npy")
        shutil.copy(os.path.join(FILES, name), copy)
        call(lode, "convert", copy, out, "--quiet")
        reference[name] = [np.load(out)]
    for cc, run in builds:
        if run and not shutil.which(run[0]):
            print(f"built but not run, as there is no {run[0]}: {cc}" if "aarch64" in cc else f"run with AVX at hand: {cc}")
            if "aarch64" in cc:
                continue
            run = []
        assert call(*run, programs[cc, "streams"], "decode", STREAMS) == expected, (cc, "decodes otherwise")
        assert call(*run, programs[cc, "unlode"], STREAMS) == expected, (cc, "unlode decodes otherwise")
        codes[cc] = call(*run, programs[cc, "streams"], "encode")
        for name, known in reference.items():
            out = os.path.join(folder, "out.npy")
            call(*run, programs[cc, "unlode"], os.path.join(FILES, name), out)
            known.append(np.load(out))
            same_values(known[0], known[-1], 32, (cc, name, "against lode"))
            same_values(known[1], known[-1], 4, (cc, name))
    differ = [cc for cc in codes if codes[cc] != codes[builds[0][0]]]
    assert not differ, ("these code otherwise", differ)
    print(f"{len(codes)} builds agree on {expected.count(chr(10))} streams and {len(reference)} files, "
          f"{time.time() - start:.0f} s")


with tempfile.TemporaryDirectory() as place:
    if sys.argv[1] == "--make":
        call(compile_one("gcc -O2", place, "streams"), "make", STREAMS)
    else:
        main(sys.argv[1], place)
