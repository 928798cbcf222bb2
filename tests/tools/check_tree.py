#!/usr/bin/env python3
"""Checks the tree: layers use only layers before them, calls stay where they belong, every registered operation has
its source, header, test, claim, example and changelog line, and nothing lies about unregistered."""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ["base", "array", "linalg", "code", "linop", "prox", "iter", "graph", "grad", "geom", "io", "plot", "op", "ops"]
faults = []


def fault(path, line, text):
    faults.append(f"{path.relative_to(ROOT)}:{line}: {text}")


def sources(folder, suffixes=(".c", ".h", ".inc")):
    return sorted(p for p in (ROOT / folder).rglob("*") if p.suffix in suffixes)


def bare(text):
    """Code without comments and strings, line numbers kept."""
    blank = lambda m: re.sub(r"[^\n]", " ", m.group())
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)


def lines_matching(text, pattern):
    return [(text.count("\n", 0, m.start()) + 1, m) for m in re.finditer(pattern, text)]


def check_layers():
    for layer in LAYERS:
        if not (ROOT / "src" / layer).is_dir():
            continue
        for path in sources(f"src/{layer}"):
            text = path.read_text()
            for line, m in lines_matching(text, r'#include "([a-z]+)/([^"]+)"'):
                seen = m.group(1)
                if seen == "lode":
                    continue
                if seen not in LAYERS:
                    fault(path, line, f"includes {m.group(1)}/{m.group(2)}, which is no layer")
                elif LAYERS.index(seen) > LAYERS.index(layer):
                    fault(path, line, f"layer {layer} may not see {seen}")
                elif layer == "ops" and seen == "ops" and not (
                        m.group(2).startswith(path.parent.name + "/")
                        and path.stem.startswith(Path(m.group(2)).stem)):
                    fault(path, line, "an operation may not see another's internals")
    for path in sources("src/cli"):
        for line, m in lines_matching(path.read_text(), r'#include "([^"]+)"'):
            if not m.group(1).startswith("lode/") and "/" in m.group(1):
                fault(path, line, "the command sees public headers only")


CALLS = [  # pattern, layers that may, what
    (r"\b(?:printf|puts|putchar|fputs|fprintf|perror|exit|abort|_exit)\s*\(", {"cli"}, "only the command prints or exits"),
    (r"\b(?:getenv|setenv|signal|sigaction)\s*\(", {"cli"}, "only the command reads the environment or sets signals"),
    (r"(?<![\w>.])(?:malloc|calloc|realloc|free|fopen|open|pread|pwrite|mmap|fork|dlopen|pthread_\w+|clock_gettime|sysconf)\s*\(",
     {"base", "cli"}, "only base calls the operating system"),
    (r"\b(?:cblas_\w+|LAPACKE_\w+|[sdcz][a-z0-9]{3,8}_)\s*\(", {"linalg"}, "only linalg calls BLAS and LAPACK"),
    (r"\blode_i_at\s*\(", {"array", "linalg", "code", "graph", "io"}, "data pointers stay in array, linalg, code, graph and io"),
    (r"\b(?:rand|srand|random|drand48|time|atoi|atof|sprintf|strcpy|strcat|gets)\s*\(", set(), "not used here"),
    (r"(?<!long )\blong\s+(?!long|double)\w+\s*[=;,)]", set(), "sizes are int64_t"),
]


def check_calls():
    for path in sources("src"):
        layer = path.relative_to(ROOT / "src").parts[0]
        text = bare(path.read_text())
        for pattern, allowed, why in CALLS:
            if layer in allowed:
                continue
            for line, m in lines_matching(text, pattern):
                if layer == "cli" and "atoi" in m.group():
                    continue
                fault(path, line, f"{m.group().strip()}: {why}")
    for path in sources("src/ops"):
        for line, m in lines_matching(bare(path.read_text()), r"=[^=;\n]*(?:->|\.)data\s*[;+\[]|\*\)\s*[\w.>-]+(?:->|\.)data\b"):
            fault(path, line, "operations do not touch data pointers")


def registered():
    return re.findall(r"^LODE_OP\((\w+), (\w+)\)", (ROOT / "src/ops/registry.def").read_text(), re.M)


def check_registry():
    ops = registered()
    changelog = (ROOT / "CHANGELOG.md").read_text()
    claims = "\n".join(p.read_text() for p in (ROOT / "claims").iterdir() if p.is_file())
    for family, name in ops:
        source = ROOT / f"src/ops/{family}/{name}.c"
        if not source.exists():
            fault(ROOT / "src/ops/registry.def", 1, f"{family}/{name} has no source file {source.name}")
            continue
        text = source.read_text()
        head = text[:text.find("*/")]
        for word in ("Source:", "Departures:"):
            if word not in head:
                fault(source, 1, f"the first comment has no '{word}'")
        if f".name = \"{name}\"" not in text or f".family = \"{family}\"" not in text:
            fault(source, 1, "name or family differs from the registry list")
        if not re.search(r"\.example = \s*\"lode " + name, text):
            fault(source, 1, "no example of the command")
        if not (ROOT / f"tests/{family}/test_{name}.c").exists():
            fault(source, 1, f"no test tests/{family}/test_{name}.c")
        if f"lode_op_{name}" not in (ROOT / f"include/lode/{family}.h").read_text():
            fault(source, 1, f"not declared in include/lode/{family}.h")
        if not re.search(rf"`{name}`", changelog):
            fault(source, 1, "no line in CHANGELOG.md")
        if family not in ("make", "bounds") and not re.search(rf"[\"']{name}[\"']|\b{name}\b", claims):
            fault(source, 1, "no claim uses it")
    names = {name for _, name in ops}
    for path in sources("src/ops", (".c",)):
        text = path.read_text()
        for m in re.finditer(r"^const lode_op lode_op_(\w+)", text, re.M):
            if m.group(1) not in names:
                fault(path, 1, f"operation {m.group(1)} is not in the registry list")


def check_sizes_and_words():
    for path in sources("src") + sources("include") + sources("tests"):
        text = path.read_text()
        for line, m in lines_matching(text, r"\b(?:TODO|FIXME|XXX)\b|#if 0\b"):
            fault(path, line, f"{m.group()} left in the code")
        if len(text.splitlines()) > 700 and "tests" not in path.parts:
            fault(path, 1, "longer than one sitting: over 700 lines")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    for name in tracked:
        path = ROOT / name
        if path.suffix in {".o", ".so", ".a", ".pyc"}:
            fault(path, 1, "a built file is tracked")
    names = {}
    for path in sources("tests", (".c",)):
        if path.name in names:
            fault(path, 1, f"same name as {names[path.name]}")
        names[path.name] = path


def check_versions():
    """What names the version or the licence agrees with VERSION and LICENSE."""
    version = (ROOT / "VERSION").read_text().strip()
    for name, pattern, want in (("CITATION.cff", r"^version: (\S+)$", version), ("debian/changelog", r"\Alode \(([^-)]+)-\d+\)", version),
                                ("CITATION.cff", r"^license: (\S+)$", "BSD-3-Clause"), ("CHANGELOG.md", r"^## (\S+)", version),
                                ("debian/copyright", r"^License: (BSD\S+)$", "BSD-3-Clause")):
        m = re.search(pattern, (ROOT / name).read_text(), re.M)
        if not m or m.group(1) != want:
            fault(ROOT / name, 1, f"{m.group(1) if m else 'nothing'}, not {want}")
    terms = lambda text: " ".join(re.sub(r"^ \.?", "", text[text.index("Redistribution and use"):], flags=re.M).split())
    licence = (ROOT / "LICENSE").read_text()
    if "BSD 3-Clause" not in licence or terms((ROOT / "debian/copyright").read_text()) != terms(licence):
        fault(ROOT / "debian/copyright", 1, "not the terms of LICENSE")


def check_reliability():
    page, script = ROOT / "docs/reliability.md", (ROOT / "scripts/reliability").read_text()
    parts = set(re.findall(r'^    "([a-z-]+)": \(', script, re.M))
    for line, row in enumerate(page.read_text().splitlines(), 1):
        m = re.match(r"\| ([a-z-]+) \|.*\| `(\S+) ([a-z-]+)(?:=\d+)?` \|", row)
        if row.startswith("| ") and not row.startswith("| part") and not (
                m and m.group(1) == m.group(3) and m.group(1) in parts and (ROOT / m.group(2)).exists()):
            fault(page, line, "no command of scripts/reliability gives this row")
    for name in re.findall(r'script\("([^"]+)"', script):
        if not (ROOT / "tests/reliability" / name).exists():
            fault(ROOT / "scripts/reliability", 1, f"tests/reliability/{name} is not there")


def main():
    check_layers()
    check_calls()
    check_registry()
    check_sizes_and_words()
    check_reliability()
    check_versions()
    print("\n".join(faults))
    print(f"{'tree ok' if not faults else 'faults'}: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
