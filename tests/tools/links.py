#!/usr/bin/env python3
"""Checks the links of every Markdown page: files and headings within the tree exist, paths of the tree in code spans too,
addresses elsewhere are well formed. Nothing is asked over the network."""
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]*)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?(?:\s|$)", re.M)
BARE = re.compile(r"(?<![(<\[\w])https?://[^\s)>\]`]+")
NAMED = re.compile(r"`((?:bench|claims|cmake|data|docs|examples|fuzz|include|python|scripts|src|tests)/[\w./*-]*[\w*/])[`: =]")
DOI = re.compile(r"^10\.\d{4,9}/\S+$")


def prose(text):
    """The page without code, lines kept: nothing there is a link."""
    blank = lambda m: re.sub(r"[^\n]", " ", m.group())
    text = re.sub(r"^( {0,3})(`{3,}|~{3,}).*?^ {0,3}\2`*\s*$", blank, text, flags=re.S | re.M)
    return re.sub(r"(?<!`)(`+)(?!`)(?:(?!\n\n).)*?(?<!`)\1(?!`)", blank, text, flags=re.S)


def anchors(path):
    """The headings of a page as GitHub and most others name them, and anchors that are set by hand."""
    text, found, seen = path.read_text(), set(), {}
    plain = re.sub(r"^ {0,3}(`{3,}|~{3,}).*?^ {0,3}\1`*\s*$", "", text, flags=re.S | re.M)
    for title in re.findall(r"^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$", plain, re.M):
        title = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", title)
        name = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        n = seen.get(name, 0)
        seen[name] = n + 1
        found.add(name if n == 0 else f"{name}-{n}")
    return found | set(re.findall(r"<a\s+(?:id|name)=\"([^\"]+)\"", text))


def fault(target, path):
    """What is wrong with a link on the page; None: nothing."""
    try:
        parts = urlsplit(target)
    except ValueError as e:
        return str(e)
    if parts.scheme in ("http", "https"):
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+(:\d+)?", parts.netloc):
            return "no host"
        if parts.netloc in ("doi.org", "dx.doi.org") and not DOI.match(parts.path.lstrip("/")):
            return "no DOI"
        return None
    if parts.scheme == "doi":
        return None if DOI.match(parts.path) else "no DOI"
    if parts.scheme == "mailto":
        return None if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", parts.path) else "no address"
    if parts.scheme or parts.netloc:
        return "a scheme that is not used here"
    file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not file.is_relative_to(ROOT):
        return "leads out of the tree"
    if not file.exists():
        return "no such file"
    if parts.fragment:
        if file.suffix != ".md":
            return "a heading of what is no page"
        if unquote(parts.fragment) not in anchors(file):
            return f"{file.relative_to(ROOT)} has no such heading"
    return None


def pages():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        return sorted(ROOT / name for name in listed.stdout.split("\n") if name and (ROOT / name).exists())
    return sorted(p for p in ROOT.rglob("*.md") if "build" not in p.relative_to(ROOT).parts[0])


def main():
    faults, count, linked = [], 0, {ROOT / "README.md"}
    for path in pages():
        text = prose(path.read_text())
        for pattern in (LINK, REFERENCE, BARE):
            for m in pattern.finditer(text):
                target = m.group(1) if pattern is not BARE else m.group().rstrip(".,;:")
                line, wrong = text.count("\n", 0, m.start()) + 1, fault(target, path)
                if m.group().startswith("![") and re.search(rf"-o {re.escape(target)}\b", path.read_text()):
                    wrong = None  # the page's own commands draw it
                count += 1
                if wrong:
                    faults.append(f"{path.relative_to(ROOT)}:{line}: {target}: {wrong}")
                elif not urlsplit(target).scheme and not m.group().startswith("!["):
                    linked.add((path.parent / unquote(urlsplit(target).path)).resolve())
        for m in NAMED.finditer(path.read_text()):  # capitals stand for names to be filled in; CHANGELOG tells of the past
            if not re.search(r"/[A-Z]{2,}(?![\w.]*md)", m.group(1)) and path.name != "CHANGELOG.md":
                count += 1
                if not any(ROOT.glob(m.group(1).rstrip("/"))):
                    line = path.read_text().count("\n", 0, m.start()) + 1
                    faults.append(f"{path.relative_to(ROOT)}:{line}: {m.group(1)}: not in the tree")
    for path in sorted((ROOT / "docs").glob("*.md")):
        if path not in linked:
            faults.append(f"{path.relative_to(ROOT)}:1: no page links to it")
    print("\n".join(faults + [f"{count} links, {len(faults)} faults"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
