"""Stubs (.pyi) of the functions that come from the registry, for editors and type checkers: `python3 -m lode._stubs`."""
import inspect

import lode

_HEAD = '''"""Stubs of what lode finds in the library's registry."""
from typing import Any, Literal, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ._lazy import File as File, Variable as Variable
from ._stream import Stream as Stream

__version__: str


'''
_TYPES = {"i64": "int", "u64": "int", "f64": "float", "bool": "bool", "text": "str", "path": "str", "array": "ArrayLike | None",
          "rank": "int | Sequence[int] | str", "axes": "int | Sequence[int] | str", "error": "float | str", "budget": "float | str",
          "missing": "float | str", "list": "Sequence[float] | str"}


def _of(p):
    if "choices" in p:
        return "Literal[" + ", ".join(repr(c) for c in p["choices"]) + "]"
    return _TYPES.get(p["kind"], "Any")


def _function(name):
    about = lode.describe(name)
    kinds = {"seed": "int", **{p["name"]: _of(p) for p in about["params"]}}
    parts, starred = [], False
    for p in inspect.signature(getattr(lode, name)).parameters.values():
        if p.kind is p.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        kind = kinds.get(p.name, "Any") if p.kind is p.KEYWORD_ONLY else "Any"
        if p.default is p.empty:
            parts.append(f"{p.name}: {kind}")
        else:
            none = " | None" if p.default is None and "None" not in kind and kind != "Any" else ""
            parts.append(f"{p.name}: {kind}{none} = ...")
    result = name.title().replace("_", "") + "Result"
    fields = []
    for out in about["out"]:
        stem = out["name"].split(".")[0]
        kind = "list[np.ndarray]" if out["name"].endswith(".*") else "np.ndarray" if "shape" in out else "Any"
        fields.append(f"    {stem}: {kind}")
    return (f"class {result}(Result):\n" + "\n".join(fields) + "\n\n\n"
            f"def {name}({', '.join(parts)}) -> {result}:\n    \"\"\"{about['brief']}.\"\"\"\n    ...\n\n\n")


def _class(c):
    lines = [f"class {c.__name__}({', '.join(b.__name__ for b in c.__bases__ if b is not object) or ''}):".replace("()", "")]
    for name, member in sorted(vars(c).items()):
        if name.startswith("_") and name not in ("__getitem__", "__repr__"):
            continue
        if isinstance(member, property):
            lines.append(f"    @property\n    def {name}(self) -> Any: ...")
        elif inspect.isfunction(member):
            lines.append(f"    def {name}{_untyped(member)} -> Any: ...")
    return "\n".join(lines + ([] if len(lines) > 1 else ["    ..."])) + "\n\n\n"


def _untyped(f):
    """A signature whose defaults are as good as hidden."""
    parts, starred = [], False
    for p in inspect.signature(f).parameters.values():
        if p.kind is p.VAR_POSITIONAL:
            starred = True
            parts.append("*" + p.name)
        elif p.kind is p.VAR_KEYWORD:
            parts.append("**" + p.name)
        else:
            if p.kind is p.KEYWORD_ONLY and not starred:
                parts.append("*")
                starred = True
            parts.append(p.name if p.default is p.empty else f"{p.name}=...")
    return f"({', '.join(parts)})"


def text():
    """The whole stub file."""
    named = [getattr(lode, n) for n in lode.__all__]
    out = _HEAD
    seen = [lode.Certificate, lode.Answer, lode.Result, lode.LodeError, lode.LodeWarning]
    out += "".join(_class(c) for c in seen)
    for f in named:
        if hasattr(f, "_bind"):
            out += _function(f.__name__)
        elif inspect.isfunction(f):
            name = "open" if f is lode.open else f.__name__
            out += f"def {name}{_untyped(f)} -> Any: ...\n\n\n"
    return out.rstrip() + "\n"


if __name__ == "__main__":
    print(text(), end="")
