#!/usr/bin/env python3
"""Runs claims and prints a table: `lode claims [NAME|NUMBER|PREFIX...] [--seed N] [--full] [--json]`.
With --full the rows of these claims in docs/claims.md are written anew, without names the whole page."""
import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def files():
    return sorted(p for p in HERE.iterdir() if p.is_file() and p.suffix == "" and os.access(p, os.R_OK))


def ask(path, *words):
    r = subprocess.run([sys.executable, str(path), *words], capture_output=True, text=True)
    try:
        return json.loads(r.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return {"slug": path.name, "system": "-", "paper": "", "measured": r.stderr.strip()[-300:], "holds": False,
                "statement": "", "relation": "", "grade": "-", "ops": []}


def chosen(names):
    for path in files():
        c = ask(path, "--describe")
        if not names or any(path.name.startswith(n) or c["system"] == n.zfill(3) or n in c["ops"] for n in names):
            yield path


def table(rows):
    lines = ["# Claims", "",
             "What each system promises and what was measured here by `lode claims --full`. Grade F: the method whole and the paper's "
             "comparison at small scale; C: the algorithm whole, a pretrained part through a callback or model file; X: an experiment "
             "that confirms a theory; T: a theorem about a basic operation.", "",
             "| system | claim | grade | statement | relation checked | measured | holds |", "|---|---|---|---|---|---|---|"]
    for r in rows:
        cells = [r["system"], f"`{r['slug']}`", r["grade"], f"{r['statement']} ({r['paper']})", r["relation"],
                 r["measured"], "yes" if r["holds"] else "no"]
        lines.append("| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |")
    return "\n".join(lines) + "\n"


def joined(new, old):
    """The new page, and the rows of the old one about other claims that there still are, by slug."""
    slug = lambda row: row.split("|")[2].strip().strip("`")
    is_row = lambda line: line.startswith("| ") and not line.startswith("| system")
    head = [line for line in new.splitlines() if not is_row(line)]
    rows = {slug(line): line for text in (old, new) for line in text.splitlines() if is_row(line)}
    there = {path.name for path in files()}
    return "\n".join(head + [rows[name] for name in sorted(rows) if name in there]) + "\n"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("names", nargs="*")
    p.add_argument("--seed", default="0")
    p.add_argument("--full", action="store_true")
    p.add_argument("--json", action="store_true")
    p.add_argument("--check-docs", action="store_true", help="check that docs/claims.md lists these claims")
    o = p.parse_args()
    if o.check_docs:
        page = (HERE.parent / "docs" / "claims.md").read_text()
        missing = [c["slug"] for c in (ask(f, "--describe") for f in files())
                   if f"`{c['slug']}`" not in page or c["statement"].replace("|", "\\|") not in page
                   or f"| {c['grade']} |" not in page]
        print("\n".join(f"docs/claims.md does not hold {m} as its file states it" for m in missing) or "docs/claims.md ok")
        return 1 if missing else 0
    rows = []
    for path in chosen(o.names):
        r = ask(path, "--seed", o.seed, *(["--full"] if o.full else []))
        rows.append(r)
        if o.json:
            print(json.dumps(r))
        else:
            print(f"{r['system']:>4} {r['slug']:<22} {'holds' if r['holds'] else 'DOES NOT HOLD'}\n"
                  f"     {r['paper']}\n     {r['measured']}", flush=True)
            for f in r.get("failed", []):
                print(f"     failed: {f}")
    if not rows:
        print("lode: no claim of that name; the files in claims/ are their names", file=sys.stderr)
        return 2
    page = HERE.parent / "docs" / "claims.md"
    if o.full and page.parent.is_dir() and os.access(page.parent, os.W_OK):
        page.write_text(joined(table(rows), page.read_text() if o.names and page.exists() else ""))
    return 0 if all(r["holds"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
