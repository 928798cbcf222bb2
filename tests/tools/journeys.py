#!/usr/bin/env python3
"""Writes docs/journeys.md from tests/journeys, whose first comments become prose; with --check only compares."""
import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/journeys.md"
HEAD = """# Journeys

What people come to Lode for, from the first command to an answer they can rely on. Each is a short script to read and to
copy from; all run with the tests (`ctest --test-dir build -L journey`), on an installed Lode and in a folder with nothing but
`data`, so what they show works. `tests/tools/journeys.py` makes this page from them.

"""
ORDER = ["netcdf", "pca", "tucker", "rank", "ratings", "update", "adapter", "topics", "video", "c", "memory", "rerun"]


def told(path):
    """Title, what was wanted, what is learned: paragraphs of the first comment; and the code after it."""
    text = path.read_text()
    if path.suffix == ".py":
        _, words, code = text.split('"""', 2)
    else:
        head = re.match(r"(?:#.*\n)+", text).group()
        words, code = "\n".join(line[1:].strip() for line in head.splitlines()), text[len(head):]
    title, *paragraphs = [re.sub(r"\s+", " ", p).strip() for p in words.strip().split("\n\n")]
    wanted, learned = (next((p[len(k):].strip() for p in paragraphs if p.startswith(k)), None) for k in ("Wanted:", "Learned:"))
    if not (title and wanted and learned):
        sys.exit(f"{path}: the first comment has no title, Wanted: and Learned:")
    return title, wanted[0].upper() + wanted[1:], learned[0].upper() + learned[1:], code.strip("\n")


def page():
    files = {p.stem: p for p in (ROOT / "tests/journeys").iterdir() if p.suffix in (".sh", ".py")}
    text = HEAD
    for name in sorted(files, key=lambda n: (ORDER.index(n) if n in ORDER else len(ORDER), n)):
        path = files[name]
        title, wanted, learned, code = told(path)
        text += f"## {title}\n\n"
        for words in (f"*{wanted}*", learned, f"`{path.relative_to(ROOT)}`:"):
            text += textwrap.fill(words, 118, break_long_words=False, break_on_hyphens=False) + "\n\n"
        text += f"```{'python' if path.suffix == '.py' else 'sh'}\n{code}\n```\n\n"
    return text.rstrip() + "\n"


if "--check" in sys.argv:
    if not PAGE.exists() or PAGE.read_text() != page():
        sys.exit("docs/journeys.md is not what tests/journeys say: run tests/tools/journeys.py")
    print("docs/journeys.md is what the scripts say")
else:
    PAGE.write_text(page())
