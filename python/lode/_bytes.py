"""Results as the bytes of a .lode file, for pickles and codecs."""
import os
import tempfile

import lode

# in memory where the system has such a folder: what is written is synced
_FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def to_bytes(result):
    """The bytes of the file that result.save writes."""
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        path = os.path.join(folder, "x.lode")
        result.save(path)
        with open(path, "rb") as f:
            return f.read()


def from_bytes(data):
    """The Result that a .lode file of these bytes holds."""
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        path = os.path.join(folder, "x.lode")
        with open(path, "wb") as f:
            f.write(data)
        return lode.load(path)
