"""Builds the package's wheel (PEP 517): the modules, their stubs, and liblode where it has been built: what LODE_LIBRARY names, or
build/liblode.so beside this folder. Without one the wheel holds the modules alone and finds an installed library."""
import base64
import hashlib
import io
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
METADATA = """Metadata-Version: 2.1
Name: lode
Version: {version}
Summary: Shrinks arrays to an error you choose and proves it; finds the low-dimensional structure in data
License: BSD-3-Clause
Requires-Python: >=3.9
Requires-Dist: numpy
"""
ENTRY_POINTS = """[xarray.backends]
lode = lode.xarray:LodeBackend

[numcodecs.codecs]
lode = lode.codec:Lode
"""


def _version():
    beside = HERE / "VERSION"  # of a source package
    return (beside if beside.exists() else HERE.parent / "VERSION").read_text().strip()


def _libraries():
    """The files of the library, by the names that its parts look for each other under."""
    named = os.environ.get("LODE_LIBRARY")
    library = Path(named) if named else HERE.parent / "build" / "liblode.so"
    if not library.exists():
        return {}
    found = {"liblode.so": library.resolve()}
    blas = library.resolve().parent / "liblode-blas.so.0"
    if blas.exists():
        found[blas.name] = blas.resolve()
    return found


def _notices(libraries):
    """The terms of what the wheel holds: Lode's, and those of the OpenBLAS within liblode-blas, as Debian keeps them."""
    found = {"LICENSE": HERE / "LICENSE" if (HERE / "LICENSE").exists() else HERE.parent / "LICENSE"}
    if any("blas" in name for name in libraries):
        found["OpenBLAS"] = Path("/usr/share/doc/libopenblas-serial-dev/copyright")
    return {name: path.read_bytes() for name, path in found.items() if path.exists()}


def _stubs():
    """Signatures for editors, as the library at hand has them; none where there is no library."""
    done = subprocess.run([sys.executable, "-c", "import lode._stubs; print(lode._stubs.text(), end='')"], cwd=HERE,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE)] + sys.path)},
                          capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def _contents():
    """Name in the wheel -> bytes."""
    held = {f"lode/{p.name}": p.read_bytes() for p in sorted((HERE / "lode").glob("*.py"))
            if p.name != "_version.py"}
    held["lode/_version.py"] = f'version = "{_version()}"\n'.encode()
    stubs = _stubs()
    if stubs:
        held["lode/__init__.pyi"] = stubs.encode()
        held["lode/py.typed"] = b""
    return held


def write_info(folder):
    """What an installation that is not pip's puts beside the package: NAME-VERSION.dist-info."""
    place = Path(folder) / f"lode-{_version()}.dist-info"
    place.mkdir(parents=True, exist_ok=True)
    (place / "METADATA").write_text(METADATA.format(version=_version()))
    (place / "entry_points.txt").write_text(ENTRY_POINTS)
    return place


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    version, libraries = _version(), _libraries()
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_") if libraries else "any"
    info = f"lode-{version}.dist-info"
    held = _contents()
    held.update({f"lode/{name}": path.read_bytes() for name, path in libraries.items()})
    held.update({f"{info}/licenses/{name}": data for name, data in _notices(libraries).items()})
    held[f"{info}/METADATA"] = METADATA.format(version=version).encode()
    held[f"{info}/entry_points.txt"] = ENTRY_POINTS.encode()
    held[f"{info}/WHEEL"] = (f"Wheel-Version: 1.0\nGenerator: lode\nRoot-Is-Purelib: {str(not libraries).lower()}\n"
                             f"Tag: py3-none-{platform}\n").encode()
    record = "".join(f"{name},sha256={_hash(data)},{len(data)}\n" for name, data in held.items())
    held[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    name = f"lode-{version}-py3-none-{platform}.whl"
    with zipfile.ZipFile(Path(wheel_directory) / name, "w", zipfile.ZIP_DEFLATED) as z:
        for path, data in held.items():
            entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))  # the same wheel each time
            entry.external_attr = (0o755 if ".so" in path else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(entry, data)
    return name


def _hash(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def build_sdist(sdist_directory, config_settings=None):
    version = _version()
    stem = f"lode-{version}"
    with tarfile.open(Path(sdist_directory) / f"{stem}.tar.gz", "w:gz") as t:
        def put(name, data):
            entry = tarfile.TarInfo(f"{stem}/{name}")
            entry.size = len(data)
            t.addfile(entry, io.BytesIO(data))
        for p in [HERE / "pyproject.toml", HERE / "backend.py"] + sorted((HERE / "lode").glob("*.py")):
            put(p.relative_to(HERE).as_posix(), p.read_bytes())
        put("VERSION", (version + "\n").encode())
        put("LICENSE", _notices({})["LICENSE"])
        put("PKG-INFO", METADATA.format(version=version).encode())
    return f"{stem}.tar.gz"


if __name__ == "__main__":
    folder = Path(sys.argv[-1] if len(sys.argv) > 1 else ".")
    folder.mkdir(parents=True, exist_ok=True)
    print(write_info(folder) if sys.argv[1:2] == ["--info"] else folder / build_wheel(folder))
