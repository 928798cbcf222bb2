"""The wheel: built without network or compiler, installed into an environment of its own, working there without the tree; stubs."""
import ast
import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

import lode
import lode._stubs

PYTHON = Path(__file__).resolve().parents[2] / "python"


class Package(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.at = Path(self.folder.name)

    def run_python(self, python, code, **environment):
        clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "LODE_LIBRARY")}
        return subprocess.run([python, "-c", code], cwd=self.at, env={**clean, **environment}, capture_output=True, text=True)

    def test_wheel_in_an_environment(self):
        if importlib.util.find_spec("ensurepip") is None:
            self.skipTest("no python3-venv")
        subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", self.at / "env"], check=True)
        python = self.at / "env" / "bin" / "python"
        library = self.at / "built"  # the library as it was built, in a folder that is gone when the package is used
        library.mkdir()
        built = Path(lode._c._find()).resolve()
        for name in ("liblode.so", "liblode-blas.so.0"):
            source = built if name == "liblode.so" else built.parent / name
            if source.exists():
                (library / name).write_bytes(source.read_bytes())
        done = subprocess.run([python, "-m", "pip", "install", "-q", "--no-index", PYTHON], capture_output=True, text=True,
                              env={**os.environ, "LODE_LIBRARY": str(library / "liblode.so")})
        self.assertEqual(done.returncode, 0, done.stderr)
        for p in library.iterdir():
            p.unlink()
        code = ("import lode, numpy as np, os; r = lode.svd(np.arange(12.).reshape(4, 3), rank=2); "
                "print(lode.__version__, os.path.dirname(lode._c._find()) == os.path.dirname(lode.__file__), r.certificate.kind)")
        done = self.run_python(python, code)
        self.assertEqual(done.stdout.split(), [lode.__version__, "True", "measured"], done.stderr)
        maps = self.run_python(python, "import lode; print([l for l in open('/proc/self/maps') if 'liblode-blas' in l][:1])")
        self.assertNotIn(str(built.parent) + "/", maps.stdout)

    def test_stubs_are_python(self):
        text = lode._stubs.text()
        names = {n.name for n in ast.parse(text).body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
        self.assertTrue({"svd", "compress", "open", "load", "Result"} <= names)
        for op in lode._described:
            self.assertIn(op, names)

    def test_wheels_are_the_same_each_time(self):
        made = []
        for part in ("a", "b"):
            subprocess.run([sys.executable, PYTHON / "backend.py", self.at / part], check=True, capture_output=True)
            made.append(next((self.at / part).glob("*.whl")).read_bytes())
        self.assertEqual(made[0], made[1])
        with zipfile.ZipFile(next((self.at / "a").glob("*.whl"))) as z:
            self.assertIsNone(z.testzip())
            self.assertIn("lode/__init__.pyi", z.namelist())
            self.assertIn(f"lode-{lode.__version__}.dist-info/licenses/LICENSE", z.namelist())

    def test_a_library_of_another_version_is_refused(self):
        package = self.at / "lode"
        package.mkdir()
        for p in (PYTHON / "lode").glob("*.py"):
            (package / p.name).write_bytes(p.read_bytes())
        (package / "_version.py").write_text('version = "0.0.9"\n')
        done = self.run_python(sys.executable, "import lode", LODE_LIBRARY=lode._c._find())
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"package 0.0.9, liblode {lode.__version__}", done.stderr)


if __name__ == "__main__":
    unittest.main()
