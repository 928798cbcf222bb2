"""Start of the command and size of the library."""
import os
import subprocess
import tempfile

from peers import LODE, median

seconds, _ = median(lambda: subprocess.run([LODE, "--help"], check=True, capture_output=True), 21)
library = os.environ.get("LODE_LIBRARY", "build/liblode.so")
with tempfile.NamedTemporaryFile() as f:
    subprocess.run(["strip", "-o", f.name, library], check=True)
    size = os.path.getsize(f.name)
print(f"lode --help: {1000 * seconds:.1f} ms (target 10); stripped library: {size / 1e6:.2f} MB (target 5)")
