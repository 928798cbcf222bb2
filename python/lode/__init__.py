"""Lode: finds the low-dimensional structure in data.

Functions come from the library's own registry: `lode.svd(A, rank=20, seed=1)`, `help(lode.svd)`. Each gives a Result
with its outputs as attributes, a certificate of what was reached, and the verbs apply, invert, query, update,
verify, plot and save.
"""
import collections
import contextlib
import ctypes as C
import inspect
import json
import os

from . import _c
from ._c import LodeError, LodeWarning
from ._lazy import File, Variable
from ._lazy import open_file as open  # noqa: A001 (the name that h5py, zarr and xarray users look for)
from ._stream import Stream
from ._values import ArrayHandle, BundleHandle, array_struct, dtype_of, from_value, to_numpy, value

__version__ = _c.lib.lode_version().decode()
__all__ = ["File", "LodeError", "LodeWarning", "Result", "Stream", "Variable", "describe", "load", "merge", "open", "plan", "query",
           "rerun", "seeded", "settings"]


def settings(seed=None, threads=None, memory=None, progress=None, recover=None):
    """Settings of this thread's later calls: seed of all random numbers, workers, memory budget in bytes, a
    function progress(op, stage, fraction, seconds_left), and whether damaged parts of files are left out
    (NaN, or 0, with a warning that names them) instead of raising."""
    ctx = _c.context()
    if seed is not None:
        ctx.c.seed = seed
    if threads is not None:
        ctx.c.threads = threads
    if memory is not None:
        _c.lib.lode_ctx_set_memory(C.byref(ctx.c), int(memory))
    if recover is not None:
        ctx.c.recover = recover
    ctx.progress = progress


@contextlib.contextmanager
def seeded(seed):
    """Calls within use this seed; None: the one that is set."""
    ctx = _c.context()
    before = ctx.c.seed
    ctx.c.seed = before if seed is None else seed
    try:
        yield
    finally:
        ctx.c.seed = before


class Certificate:
    """What is proved about a result: kind, norm, value reached, target asked for."""

    def __init__(self, c):
        self.kind = _c.lib.lode_cert_kind_name(c.kind).decode()
        self.norm = _c.lib.lode_norm_name(c.norm).decode()
        for name in ("relative", "needs_original", "value", "absolute", "asked", "failure", "low", "high"):
            setattr(self, name, getattr(c, name))
        self.quantity, self.note = c.quantity.decode(), c.note.decode()
        text = C.create_string_buffer(512)
        _c.lib.lode_certificate_print(C.byref(c), text, 512)
        self._text = text.value.decode()

    def __repr__(self):
        return f"<{self._text}>"


class Answer:
    """An answer of a query: value (a number or an array), error (the original is no farther off; for arrays at any
    entry; nan: nothing is proved), meaning of the two, count and missing entries, and decoded: what it took."""

    def __init__(self, c, owner):
        self.value = (to_numpy(c.values, owner) if c.values.data else c.re if c.im == 0 else complex(c.re, c.im))
        self.error, self.meaning = c.error, c.meaning.decode()
        self.count, self.missing = c.count, c.missing
        self.decoded = {"bytes": c.bytes, "of_bytes": c.all_bytes, "blocks": c.blocks, "of_blocks": c.all_blocks,
                        "entries": c.entries, "of_entries": c.all_entries}

    def __repr__(self):
        return f"<{self.value} +- {self.error:.2g} ({self.meaning})>"


class _AnswerHandle:
    """Owns an answer of the library; arrays that view its memory keep it alive."""

    def __init__(self):
        self.c = _c.Answer()

    def __del__(self):
        _c.lib.lode_answer_free(C.byref(self.c))


def _index(x):
    """A NumPy index in its written form."""
    if x is Ellipsis:
        return "..."
    if isinstance(x, slice):
        ends = ["" if v is None else str(int(v)) for v in (x.start, x.stop)]
        return ":".join(ends) + ("" if x.step is None else f":{int(x.step)}")
    return str(int(x))


def _query(bundle, what, other):
    ctx, q, out = _c.context(), _c.Question(), _AnswerHandle()
    if not isinstance(what, str):
        what = "[" + ",".join(map(_index, what if isinstance(what, tuple) else (what,))) + "]"
    ctx.check(_c.lib.lode_question_parse(C.byref(ctx.c), C.byref(bundle.c), what.encode(), C.byref(q)))
    keep = None
    if other is not None:
        q.other, keep = value(other, ["array"], ctx)
    ctx.check(_c.lib.lode_query(C.byref(ctx.c), C.byref(bundle.c), C.byref(q), C.byref(out.c)))
    del keep
    return Answer(out.c, out)


class _Inner:
    """A result that is a member of another bundle, which it keeps alive."""

    def __init__(self, at, owner):
        self.c, self.owner = C.cast(at, C.POINTER(_c.Bundle)).contents, owner


def _member(v, owner):
    return Result(_Inner(v.at, owner)) if v.kind == _c.BUNDLE else from_value(v, owner)


def _record(ctx, verb, values, out):
    """Takes down what a result of a verb was made from."""
    array = (_c.Value * len(values))(*values)
    ctx.check(_c.lib.lode_verb_record(C.byref(ctx.c), verb.encode(), array, len(values), C.byref(out.c)))


def _stem(name):
    """core of core.0; None of what has no number."""
    stem, dot, index = name.partition(".")
    return stem if dot and index.isdigit() else None


class Result:
    """A fitted result: outputs as attributes, verbs as methods. Of a whole file: its members, those that were made
    smaller as Results."""

    def __init__(self, bundle):
        self._bundle = bundle

    def __getattr__(self, name):  # of an output, when it is first asked for; numbered ones come as a list
        if name == "_fields":
            count = self._bundle.c.count
            found = [_c.lib.lode_bundle_name(C.byref(self._bundle.c), i).decode() for i in range(count)]
        elif name in self._fields:
            found = self[name]
        else:
            places = [i for i, f in enumerate(self._fields) if _stem(f) == name]
            if not places:
                raise AttributeError(f"this {self!r} has no '{name}'")
            found = [_member(_c.lib.lode_bundle_value(C.byref(self._bundle.c), i), self._bundle) for i in places]
        self.__dict__[name] = found
        return found

    def __dir__(self):
        return [*super().__dir__(), *(_stem(f) or f for f in self._fields)]

    @property
    def op(self):
        """Name of the operation that made it."""
        return self._bundle.c.meta.op.decode()

    @property
    def options(self):
        """The options it was made with, as written."""
        text = self._bundle.c.meta.options
        return json.loads(text) if text else {}

    @property
    def certificate(self):
        return Certificate(self._bundle.c.certificate)

    @property
    def dtype(self):
        """Type of the numbers it was made from; None where it is not of one array."""
        meta = self._bundle.c.meta
        return dtype_of(meta.dtype)[0] if meta.has_shape else None

    @property
    def shape(self):
        """Shape of the array it was made from; None where it is not of one array."""
        meta = self._bundle.c.meta
        return tuple(meta.shape[:meta.ndim]) if meta.has_shape else None

    def __reduce__(self):
        from ._bytes import from_bytes, to_bytes
        return from_bytes, (to_bytes(self),)

    def __repr__(self):
        return f"<lode.{self.op or 'Result'}: {', '.join(self._fields)}; {self.certificate!r}>"

    def __getitem__(self, name):
        return _member(_c.lib.lode_bundle_get(C.byref(self._bundle.c), name.encode()), self._bundle)

    def _verb(self, name, x):
        ctx, out = _c.context(), BundleHandle()
        v, keep = value(x, ["array"], ctx)
        ctx.check(getattr(_c.lib, "lode_" + name)(C.byref(ctx.c), C.byref(self._bundle.c), v, C.byref(out.c)))
        _record(ctx, name, [_c.Value(_c.BUNDLE, C.addressof(self._bundle.c)), v], out)
        del keep
        return Result(out)

    def apply(self, x):
        """New data through the fitted result."""
        return self._verb("apply", x)

    def update(self, x=None, **named):
        """A result with more data taken in; of svd also cols=, or D= and E= (the matrix becomes A + D E^H)."""
        if x is not None and not named:
            return self._verb("update", x)
        given = ([(None, x)] if x is not None else []) + [(name.encode(), v) for name, v in named.items()]
        ctx, out, keep = _c.context(), BundleHandle(), []
        inputs = (_c.Input * (len(given) + 1))(_c.Input(None, _c.Value(_c.BUNDLE, C.addressof(self._bundle.c))))
        for i, (name, data) in enumerate(given):
            v, held = value(data, ["array"], ctx)
            keep.append(held)
            inputs[i + 1] = _c.Input(name, v)
        more = C.cast(C.byref(inputs, C.sizeof(_c.Input)), C.POINTER(_c.Input))
        ctx.check(_c.lib.lode_update_with(C.byref(ctx.c), C.byref(self._bundle.c), more, len(given), C.byref(out.c)))
        ctx.check(_c.lib.lode_verb_record_named(C.byref(ctx.c), b"update", inputs, len(inputs), C.byref(out.c)))
        del keep
        return Result(out)

    def invert(self, codes=None, part=None, component=None):
        """The reconstruction, or a part of it: a slice for each axis (step 1). component: of a sum, one term ("low", "sparse")."""
        ctx, out, c_part = _c.context(), ArrayHandle(), _c.Part()
        if component is not None:
            c_part.component = component.encode()[:15]
        meta = self._bundle.c.meta
        if part is not None:
            part = part if isinstance(part, tuple) else (part,)
            full = list(meta.shape[:meta.ndim])
            c_part.ndim = meta.ndim
            for i in range(meta.ndim):
                s = part[i] if i < len(part) else slice(None)
                s = slice(s, s + 1) if isinstance(s, int) else s
                start, stop, step = s.indices(full[i])
                if step != 1:
                    raise ValueError("parts have step 1")
                c_part.start[i], c_part.count[i] = start, max(stop - start, 0)
        v, keep = (_c.Value(_c.NONE, None), None) if codes is None else value(codes, ["array"], ctx)
        ctx.check(_c.lib.lode_invert(C.byref(ctx.c), C.byref(self._bundle.c), v, C.byref(c_part), C.byref(out.c)))
        del keep
        return to_numpy(out.c, out)

    def query(self, what, other=None):
        """An Answer from the result, decoding no more than it needs. what: an index as NumPy's (np.s_[0:10, :, 5],
        steps of 1 or more), or a text: "[3,4,5]", "mean", "mean[0:10]", "sum", "norm", "dot" (with `other`)."""
        return _query(self._bundle, what, other)

    def verify(self, original=None):
        """Checks the certificate again (of a whole file: every member's); raises LodeError when it does not hold."""
        ctx, found = _c.context(), _c.Certificate()
        whole = _c.lib.lode_holds_results(C.byref(self._bundle.c))
        v, keep = (_c.Value(_c.NONE, None), None) if original is None else value(original, ["array"], ctx, whole)
        ctx.check(_c.lib.lode_verify(C.byref(ctx.c), C.byref(self._bundle.c), v, C.byref(found)))
        del keep
        return Certificate(found)

    def plot(self, path, original=None, width=0, dark=False, force=True):
        """Draws to .svg or .png; .html is a page with certificate, picture and members, which follows its reader's width and
        colours."""
        ctx, figure = _c.context(), C.c_void_p()
        v, keep = (_c.Value(_c.NONE, None), None) if original is None else value(original, ["array"], ctx)
        if os.fspath(path).endswith(".html"):
            return ctx.check(_c.lib.lode_report(C.byref(ctx.c), C.byref(self._bundle.c), v, os.fspath(path).encode(), force))
        try:
            ctx.check(_c.lib.lode_figure_new(C.byref(ctx.c), C.byref(figure)))
            ctx.check(_c.lib.lode_plot(C.byref(ctx.c), C.byref(self._bundle.c), v, figure))
            ctx.check(_c.lib.lode_figure_write(C.byref(ctx.c), figure, os.fspath(path).encode(), width, dark, force))
        finally:
            _c.lib.lode_figure_free(C.byref(figure))
        del keep

    def save(self, path, force=False):
        """Writes by suffix: .lode, .npz, .npy, .safetensors, a folder/."""
        class Opts(C.Structure):
            _fields_ = [("format", C.c_char_p), ("force", C.c_bool), ("only", C.c_char_p)]
        ctx, o = _c.context(), Opts(None, force, None)
        ctx.check(_c.lib.lode_write(C.byref(ctx.c), os.fspath(path).encode(), C.byref(self._bundle.c), C.byref(o)))


def load(path, whole=False):
    """Reads a file: a result, named arrays, or one result of several ("model.lode:T"). A file that keeps one result beside
    other arrays stands for that result; whole: all its members, as of a file of several."""
    ctx, out = _c.context(), BundleHandle()
    name = os.fspath(path).encode()
    if whole:
        ctx.check(_c.lib.lode_open_whole(C.byref(ctx.c), name, None, C.byref(out.c)))
    else:
        ctx.check(_c.lib.lode_read_model(C.byref(ctx.c), name, None, True, C.byref(out.c)))
    return Result(out)


def query(file, what, other=None):
    """Asks a file, of which only what the answer needs is read, or a Result; see Result.query."""
    if isinstance(file, Result):
        return file.query(what, other)
    ctx, bundle = _c.context(), BundleHandle()
    ctx.check(_c.lib.lode_read_model(C.byref(ctx.c), os.fspath(file).encode(), None, False, C.byref(bundle.c)))
    return _query(bundle, what, other)


def merge(results):
    """Results fitted on parts, joined into one."""
    ctx, out = _c.context(), BundleHandle()
    pointers = (C.POINTER(_c.Bundle) * len(results))(*[C.pointer(r._bundle.c) for r in results])
    ctx.check(_c.lib.lode_merge(C.byref(ctx.c), pointers, len(results), C.byref(out.c)))
    _record(ctx, "merge", [_c.Value(_c.BUNDLE, C.addressof(r._bundle.c)) for r in results], out)
    return Result(out)


Rerun = collections.namedtuple("Rerun", "same said result")


def rerun(made, *inputs, **named):
    """Makes a result (a Result, or the path of its file) again from its inputs, by the options and seed that it
    records, and compares hashes: (same, said, result), said naming what differs first. Raises where an input is not
    the one that it was made from. Inputs are those of the call that made it, by place or name; of update and apply the
    fitted result and x, of merge the results."""
    ctx, out, handle = _c.context(), BundleHandle(), BundleHandle()
    if isinstance(made, Result):
        handle = made._bundle
    else:
        ctx.check(_c.lib.lode_open(C.byref(ctx.c), os.fspath(made).encode(), None, C.byref(handle.c)))
    verb = _c.lib.lode_made_by(C.byref(handle.c)).decode()
    ports = _ports.get(handle.c.meta.op.decode(), []) if verb == "run" else []
    kinds = {p["name"]: p["kinds"] for p in ports}
    places = [p["kinds"] for p in ports if not p["optional"] and not p["repeated"]]
    given, keep = [], []
    for i, x in enumerate(inputs):
        if verb == "merge" or (verb != "run" and i == 0):
            x = x if isinstance(x, Result) else load(x)
        given.append((None, x, places[i] if i < len(places) else ["array"]))
    for name, x in named.items():
        name = name.rstrip("_") if name not in kinds else name
        given += [(name.encode(), y, kinds.get(name, ["array"])) for y in (x if isinstance(x, list) else [x])]
    array = (_c.Input * len(given))()
    for i, (name, x, kind) in enumerate(given):
        v, held = value(x, kind, ctx)
        keep.append(held)
        array[i] = _c.Input(name, v)
    status = _c.lib.lode_rerun(C.byref(ctx.c), C.byref(handle.c), array, len(given), C.byref(out.c))
    differs = status > 0 and _c.lib.lode_status_name(status) == b"LODE_DIFFERS"
    said = _c.lib.lode_message(C.byref(ctx.c)).decode(errors="replace") if differs else ""
    if not differs:
        ctx.check(status)
    del keep
    return Rerun(not differs, said, Result(out))


# ---- functions from the registry ----

def _written(v):
    """An option's written form."""
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, (list, tuple)):
        return ",".join(_written(x) for x in v)
    if v is None:
        return "auto"
    return repr(float(v)) if isinstance(v, float) else str(v)


def _call(description, args, options, act):
    """act(ctx, call) on a call with its inputs and options set."""
    ctx = _c.context()
    op = _c.lib.lode_op_find(C.byref(ctx.c), description["name"].encode())
    call = C.create_string_buffer(_c.CALL_SIZE)
    keep = []
    ctx.check(_c.lib.lode_call_init(C.byref(ctx.c), op, call))
    try:
        for name, v in options.items():
            if description["kinds"][name] == "array":
                a, held = array_struct(v)
                keep.append((a, held))
                ctx.check(_c.lib.lode_call_set_array(C.byref(ctx.c), call, name.encode(), C.byref(a)))
            else:
                ctx.check(_c.lib.lode_call_set(C.byref(ctx.c), call, name.encode(), _written(v).encode()))
        files = _c.lib.lode_op_takes_files(op)
        for number, port in enumerate(description["in"]):
            if port["name"] not in args or args[port["name"]] is None:
                continue
            given = args[port["name"]]
            several = port["repeated"] and not isinstance(given, (str, os.PathLike, dict))
            for x in given if several else [given]:
                v, held = value(x, port["kinds"], ctx, files and number == 0)
                keep.append(held)
                if number == 0 and isinstance(held, BundleHandle):
                    ctx.check(_c.lib.lode_call_attributes(C.byref(ctx.c), call, held.c.meta.attributes))
                ctx.check(_c.lib.lode_call_input(C.byref(ctx.c), call, port["name"].encode(), v))
        try:
            return act(ctx, call)
        except LodeError:
            for held in keep:  # an operator's own exception says more
                error = getattr(held[-1], "error", None) if isinstance(held, tuple) else None
                if error is not None:
                    raise error
            raise
    finally:
        _c.lib.lode_call_free(call)


def _run(description, args, options):
    out = BundleHandle()
    _call(description, args, options,
          lambda ctx, call: ctx.check(_c.lib.lode_call_make(C.byref(ctx.c), call, C.byref(out.c))))
    return Result(out)


def _plan(description, args, options):
    text = C.c_void_p()

    def act(ctx, call):
        ctx.check(_c.lib.lode_call_forecast(C.byref(ctx.c), call))
        ctx.check(_c.lib.lode_plan_json(C.byref(ctx.c), _c.lib.lode_call_planned(call), C.byref(text)))

    _call(description, args, options, act)
    try:
        return json.loads(C.cast(text, C.c_char_p).value)
    finally:
        _c.lib.lode_text_free(text)


def plan(op, *args, **kwargs):
    """What an operation would take: memory, passes, seconds and, where it can be told from a sample of the inputs, bytes of
    the result, each from _low to _high. Takes the name of the operation and what its function takes."""
    f = globals().get(op)
    if op not in __all__ or not hasattr(f, "_bind"):
        raise ValueError(f"no operation '{op}'")
    with seeded(kwargs.pop("seed", None)):
        return _plan(*f._bind(args, kwargs))


def _function(description, taken):
    """The Python function of one operation; an input whose name an option has too gets a trailing underscore."""
    ports, params = description["in"], description["params"]
    P = inspect.Parameter
    options = [p["name"] for p in params]
    names = {p["name"] + ("_" if p["name"] in options else ""): p["name"] for p in ports}
    parameters = [P(n, P.POSITIONAL_OR_KEYWORD, default=P.empty if not p["optional"] else None)
                  for n, p in sorted(zip(names, ports), key=lambda x: x[1]["optional"])]
    parameters += [P(p["name"], P.KEYWORD_ONLY, default=P.empty if p["required"] else p["default"]) for p in params]
    signature = inspect.Signature(parameters)
    required = {p["name"] for p in params if p["required"]}
    ports_optional = {n: p["optional"] for n, p in zip(names, ports)}
    places, chosen = [n for n in signature.parameters if n in names], set(options)

    def bind(args, kwargs):
        if 0 < len(args) <= len(places) and kwargs.keys() <= chosen and required.issubset(kwargs) and \
                all(ports_optional[n] for n in places[len(args):]):
            return description, {names[n]: v for n, v in zip(places, args)}, kwargs
        bound = signature.bind(*args, **kwargs)  # inputs by name, or what is wrong
        return (description, {names[k]: v for k, v in bound.arguments.items() if k in names},
                {k: v for k, v in bound.arguments.items() if k in options})

    def call(*args, seed=None, **kwargs):
        if seed is None:
            return _run(*bind(args, kwargs))
        with seeded(seed):
            return _run(*bind(args, kwargs))

    lines = [description["brief"] + ".", "", "Inputs:"]
    lines += [f"    {n}: {p['help']}" + (f" ({p['shape']})" if "shape" in p else "") for n, p in zip(names, ports)]
    lines += ["Options:"] + [f"    {p['name']} ({'|'.join(p.get('choices', [p['kind']]))}): {p['help']}" for p in params]
    lines += ["    seed (int): of all random numbers; None: the one of lode.settings, 0 at first"]
    lines += ["Outputs:"] + [f"    {p['name']}: {p['help']}" for p in description["out"]]
    lines += ["Verbs: " + ", ".join(description["verbs"]), f"Command: {description['example']}"]
    call._bind = bind
    call.__name__ = call.__qualname__ = description["name"]
    whole = signature.replace(parameters=[*parameters, P("seed", P.KEYWORD_ONLY, default=None)])
    call.__doc__, call.__signature__, call.__module__ = "\n".join(lines), whole, "lode"
    assert description["name"] not in taken, description["name"]
    return call


def _registry():
    ctx, text = _c.context(), C.c_void_p()
    ctx.check(_c.lib.lode_registry_json(C.byref(ctx.c), C.byref(text)))
    try:
        return json.loads(C.cast(text, C.c_char_p).value)
    finally:
        _c.lib.lode_text_free(text)


_described = {_d["name"]: _d for _d in _registry()}
for _d in _described.values():
    _d["kinds"] = {_p["name"]: _p["kind"] for _p in _d["params"]}
_ports = {_name: _d["in"] for _name, _d in _described.items()}
for _name, _d in _described.items():
    globals()[_name] = _function(_d, __all__)
    __all__.append(_name)


def describe(op):
    """What the registry says of an operation: brief, in, out, params, verbs, example and more, as a dict."""
    if op not in _described:
        raise ValueError(f"no operation '{op}'")
    return json.loads(json.dumps(_described[op]))
