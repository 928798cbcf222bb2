"""The site: every link and picture is there, every page reads well without eyes or mouse. With Debian's chromium also what only a
browser knows: contrast of every text in light and dark, focus that shows, pictures that load, no page wider than a telephone.

usage: site.py BUILD [--browser]"""
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.path, self.ids, self.links, self.heads, self.images, self.open, self.lang, self.title = path, set(), [], [], [], [], None, ""
        self.landmarks, self.text = set(), []
        with open(path, encoding="utf-8") as f:
            self.feed(f.read())
        assert not self.open, (path, "left open", self.open)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if "id" in a:
            assert a["id"] not in self.ids, (self.path, "two of one id", a["id"])
            self.ids.add(a["id"])
        if tag == "html":
            self.lang = a.get("lang")
        if tag in ("main", "nav", "header", "footer"):
            self.landmarks.add(tag)
        if tag == "a" and "href" in a:
            self.links.append(a["href"])
            self.text = []
        if tag in ("link", "img"):
            self.links.append(a.get("href") or a["src"])
        if tag == "img":
            self.images.append(a.get("alt", ""))
        if re.fullmatch("h[1-6]", tag):
            self.heads.append(int(tag[1]))
        if tag in ("pre",) or "scroll" in a.get("class", ""):
            assert a.get("tabindex") == "0", (self.path, tag, "scrolls, but not by the keyboard")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in VOID:  # written as <img />
            return
        assert self.open and self.open[-1] == tag, (self.path, tag, "closes", self.open[-1:])
        self.open.pop()
        if tag == "a":
            assert "".join(self.text).strip(), (self.path, "a link without words")

    def handle_data(self, data):
        self.text.append(data)
        if self.open and self.open[-1] == "title":
            self.title += data


def check_pages(site):
    pages = {}
    for folder, _, files in os.walk(site):
        for name in files:
            if name.endswith(".html"):
                path = os.path.join(folder, name)
                pages[os.path.relpath(path, site)] = Page(path)
    for name, p in pages.items():
        assert p.lang == "en" and p.title.strip(), (name, p.lang, p.title)
        assert p.landmarks == {"main", "nav", "header", "footer"}, (name, p.landmarks)
        assert p.heads[0] == 1 and p.heads.count(1) == 1, (name, "headings", p.heads)
        assert all(b <= a + 1 for a, b in zip(p.heads, p.heads[1:])), (name, "a level is left out", p.heads)
        assert all(len(alt) > 10 for alt in p.images), (name, p.images)
        for link in p.links:
            if re.match("https?:", link):
                continue
            file, _, anchor = link.partition("#")
            target = os.path.normpath(os.path.join(os.path.dirname(name), file)) if file else name
            assert os.path.exists(os.path.join(site, target)), (name, "leads nowhere:", link)
            assert not anchor or anchor in pages[target].ids, (name, "leads to no place of the page:", link)
    return pages


# In the browser: contrast by WCAG 2 (4.5, 3 for large text), what takes the focus, widths, pictures.
SCRIPT = r"""
function lum(c) { const v = c.map(x => { x /= 255; return x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; }
function rgb(s) { return s.match(/[\d.]+/g).map(Number); }
function ground(e) { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; }
  return [255, 255, 255]; }
addEventListener("load", () => {
  const bad = [];
  let texts = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walk.nextNode());) {
    if (!n.data.trim()) continue;
    texts++;
    const s = getComputedStyle(n.parentElement), a = lum(rgb(s.color)), b = lum(ground(n.parentElement));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), large = parseFloat(s.fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) bad.push(["contrast", ratio, n.data.trim().slice(0, 40)]);
  }
  const stops = [...document.querySelectorAll("a[href], button, [tabindex]")];
  for (const e of stops) {
    e.focus();
    if (document.activeElement !== e) bad.push(["no focus", e.outerHTML.slice(0, 80)]);
    else if (getComputedStyle(e).outlineStyle === "none") bad.push(["focus does not show", e.outerHTML.slice(0, 80)]);
    if (e.tabIndex > 0) bad.push(["order of the keyboard is changed", e.outerHTML.slice(0, 80)]);
  }
  const view = document.querySelector(".view"); // of a report: its picture can be made larger, moved, and be whole again
  if (view) {
    const svg = [...view.querySelectorAll(":scope>div>svg")].find(e => e.getClientRects().length), box = () => svg.viewBox.baseVal;
    const full = box().width, press = key => view.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    press("+");
    const larger = box().width, left = box().x;
    press("ArrowRight");
    if (!(larger < full) || box().x === left) bad.push(["keys do not zoom or move", full, larger, left, box().x]);
    press("0");
    if (box().width !== full) bad.push(["not whole again", box().width]);
    document.querySelector("[data-act=in]").click();
    view.dispatchEvent(new WheelEvent("wheel", { deltaY: -400, bubbles: true, cancelable: true }));
    if (!(box().width < 0.5 * full)) bad.push(["wheel and button do not zoom", box().width]);
    document.querySelector("[data-act=whole]").click();
    const again = [...document.querySelectorAll(".view>div")].filter(e => getComputedStyle(e).display !== "none").length;
    if (again !== 1) bad.push(["pictures shown", again]);
  }
  if (document.documentElement.scrollWidth > innerWidth) bad.push(["wider than the window", document.documentElement.scrollWidth, innerWidth]);
  for (const i of document.images) if (!i.naturalWidth) bad.push(["picture does not load", i.src]);
  const out = document.createElement("pre");
  out.id = "result";
  out.textContent = JSON.stringify({ texts, stops: stops.length, dark: matchMedia("(prefers-color-scheme: dark)").matches, bad });
  document.body.append(out);
});
"""


def add_report(copy):
    """A report beside the pages, with its original."""
    lode = os.path.join(os.path.abspath(sys.argv[1]), "lode")
    x = os.path.join(ROOT, "data", "winds_u.npy")
    subprocess.run([lode, "compress", x, "--error", "1e-1", "-o", os.path.join(copy, "r.lode"), "--html", os.path.join(copy, "report.html"),
                    "--quiet"], check=True)
    with open(os.path.join(copy, "report.html"), encoding="utf-8") as f:
        text = f.read()
    assert not re.search(r"(src|href)=", re.sub(r"href=\"data:", "", text)), "the page fetches something"
    return "report.html"


def check_browser(site, pages):
    browser = shutil.which("chromium")
    if not browser:
        sys.exit("site: no chromium here; apt-get install chromium")
    seen = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "site")
        shutil.copytree(site, copy)
        pages = [*pages, add_report(copy)]
        for name in pages:
            path = os.path.join(copy, name)
            with open(path, encoding="utf-8") as f:
                text = f.read()
            with open(path, "w", encoding="utf-8") as f:
                f.write(text.replace("</head>", f"<script>{SCRIPT}</script></head>"))
        for name in sorted(pages):
            for scheme, width in ((1, 1000), (0, 500)):  # light on a screen, dark on something narrow
                words = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile", f"--window-size={width},900",
                         f"--blink-settings=preferredColorScheme={scheme}", "--virtual-time-budget=3000", "--dump-dom",
                         "file://" + os.path.join(copy, name)]
                done = subprocess.run(words, capture_output=True, text=True, timeout=120)
                found = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.S)
                assert found, (name, done.stderr[-500:])
                result = json.loads(html.unescape(found[1]))
                assert result["texts"] > 20 and result["stops"] > 5 and result["dark"] == (scheme == 0), (name, scheme, result)
                assert not result["bad"], (name, scheme, width, result["bad"][:5])
                seen += 1
    print(f"site: {seen} views in the browser")


def main():
    with tempfile.TemporaryDirectory() as folder:
        site = os.path.join(folder, "site")
        subprocess.run([os.path.join(ROOT, "scripts", "site"), sys.argv[1], site], check=True)
        pages = check_pages(site)
        if "--browser" in sys.argv:
            check_browser(site, pages)
        # and what it finds is found
        with open(os.path.join(site, "index.html"), encoding="utf-8") as f:
            text = f.read()
        for was, now in (("href=\"gallery.html\"", "href=\"galery.html\""), ("<h1", "<h2"), ("lang=\"en\"", ""), ("</main>", "")):
            with open(os.path.join(site, "index.html"), "w", encoding="utf-8") as f:
                f.write(text.replace(was, now))
            try:
                check_pages(site)
            except AssertionError:
                continue
            sys.exit(f"site: {now} was not found to be wrong")
    print(f"site: {len(pages)} pages checked")


main()
