#!/usr/bin/env python3
"""Checks the spelling of the pages and of all help texts with aspell: spelling.py [LODE]. Words of the field and of the project
are in words.txt beside this file, one a line, sorted; a word there that no text uses is a fault too. --add puts in what is
missing, to be read through, and takes out what is not used. Status 77: aspell or its English words are not here."""
import json
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from links import ROOT, pages, prose  # noqa: E402

WORDS = Path(__file__).with_name("words.txt")
# what is no English: addresses, DOIs, options, paths and file names, names with _ or digits, capitals that stand for a value
CODE = re.compile(r"https?://\S+|10\.\d{4,9}/\S+|--[\w-]+|(?:\w+/)+[\w.*]*|\.?\w+\.(?:\w+)|\w*[_\d]\w*|\b[A-Z]{2,}s?\b|\b[^\W\d]\b(?!')")


def texts(command):
    """(where, words) of everything that is checked; lines are kept."""
    for path in pages():
        text = prose(path.read_text())
        text = re.sub(r"\]\([^)]*\)", lambda m: "]" + " " * (len(m.group()) - 1), text)
        yield str(path.relative_to(ROOT)), re.sub(r"&\w+;|</?[a-z]+(?: [^<>\n]*)?>", " ", text)
    if command:
        def said(*words):
            return subprocess.run([command, *words], capture_output=True, text=True, check=True).stdout
        yield "lode help", said("help")
        for op in json.loads(said("list", "--json")):
            about = json.loads(said("help", op["name"], "--json"))
            lines = [about["brief"], *(p["help"] for part in ("in", "params", "out") for p in about[part])]
            yield f"lode help {op['name']}", "\n".join(lines)


def unknown(text, known):
    """(line, word) of what aspell does not know."""
    found = []
    lines = [CODE.sub(" ", line) for line in text.splitlines()]
    listed = subprocess.run(["aspell", "list", "--lang=en", "--encoding=utf-8"], input="\n".join(lines), capture_output=True,
                            text=True, check=True).stdout.split()
    for word in dict.fromkeys(listed):
        plain = re.sub(r"'s?$", "", word).lower()
        if plain not in known:
            at = next((i for i, line in enumerate(lines, 1) if re.search(rf"\b{re.escape(word)}\b", line)), 0)
            found.append((at, word))
    return found


def main():
    command = next((a for a in sys.argv[1:] if not a.startswith("-")), None)
    try:
        dictionaries = subprocess.run(["aspell", "dicts"], capture_output=True, text=True).stdout.split()
    except FileNotFoundError:
        dictionaries = []
    if "en" not in dictionaries:
        print("skipped: no aspell, or no English words for it (aspell-en)")
        return 77
    listed = WORDS.read_text().split("\n")[:-1] if WORDS.exists() else []
    known, faults, used, missing = set(listed), [], set(), set()
    for where, text in texts(command):
        used |= {re.sub(r"'s?$", "", w).lower() for w in re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*", text)}
        for line, word in unknown(text, known):
            missing.add(re.sub(r"'s?$", "", word).lower())
            faults.append(f"{where}:{line}: {word}")
    unused = known - used if command else set()
    if "--add" in sys.argv:
        WORDS.write_text("".join(w + "\n" for w in sorted((known | missing) - unused)))
        print(f"{len(missing)} words added, {len(unused)} taken out")
        return 0
    faults += [f"{WORDS.relative_to(ROOT)}: no text uses '{w}'" for w in sorted(unused)]
    if listed != sorted(set(listed)):
        faults.append(f"{WORDS.relative_to(ROOT)}: not sorted, or a word twice")
    print("\n".join(faults + [f"{len(faults)} faults"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
