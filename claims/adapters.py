"""safetensors read and written with NumPy alone: an 8-byte length, a JSON header, the bytes."""
import json
import struct

import numpy as np

TYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "I64": np.int64, "U8": np.uint8}


def load_tensors(path):
    with open(path, "rb") as f:
        size, = struct.unpack("<Q", f.read(8))
        head, data = json.loads(f.read(size)), f.read()
    head.pop("__metadata__", None)
    return {k: np.frombuffer(data[slice(*v["data_offsets"])], TYPES[v["dtype"]]).reshape(v["shape"]) for k, v in head.items()}


def save_tensors(path, tensors):
    names, head, at = {np.dtype(v): k for k, v in TYPES.items()}, {"__metadata__": {"format": "pt"}}, 0
    for name, x in tensors.items():
        head[name] = {"dtype": names[x.dtype], "shape": list(x.shape), "data_offsets": [at, at + x.nbytes]}
        at += x.nbytes
    text = json.dumps(head).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for x in tensors.values():
            f.write(np.ascontiguousarray(x).tobytes())
    return str(path)
