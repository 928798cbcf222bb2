"""The checkers of links and spelling find what is wrong, and only that."""
import tempfile
import unittest
from pathlib import Path

import links
import spelling


class Links(unittest.TestCase):
    def faults(self, text):
        return [links.fault(m.group(1), links.ROOT / "README.md") for m in links.LINK.finditer(links.prose(text))]

    def test_good_links(self):
        text = ("[a](docs/format.md) [b](docs/architecture.md#the-contract) [c](#the-command) [d](https://doi.org/10.1137/090771806)\n"
                "![e](docs/journeys.md) `[not](a-link)`\n\n```\n[nor](this)\n```\n[f](<tests/journeys/run> \"title\")")
        self.assertEqual(self.faults(text), [None] * 6)

    def test_bad_links(self):
        for text in ("[a](nosuch.md)", "[a](docs/architecture.md#nosuch)", "[a](#nosuch)", "[a](../outside)", "[a](https://nohost/x)",
                     "[a](https://doi.org/11.1/x)", "[a](ftp://a.b/c)", "[a](examples/unlode.c#part)"):
            self.assertTrue(all(self.faults(text)), text)

    def test_headings(self):
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "x.md"
            page.write_text("# A `code` title!\n\n## Twice\n\n## Twice\n\n```\n# none\n```\n")
            self.assertEqual(links.anchors(page), {"a-code-title", "twice", "twice-1"})


class Spelling(unittest.TestCase):
    def test_misspellings_are_found(self):
        try:
            found = spelling.unknown("A sentence with a mispelling,\nand `nmf`, --no-center and A_x.\nSparse matricies.", {"nmf"})
        except FileNotFoundError:
            self.skipTest("no aspell")
        self.assertEqual(found, [(1, "mispelling"), (3, "matricies")])


if __name__ == "__main__":
    unittest.main()
