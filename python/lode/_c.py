"""The C library through ctypes: structures, prototypes, one context a thread."""
import ctypes as C
import os
import threading
from pathlib import Path

i32, i64, u64, f64, size_t, void_p, char_p = (
    C.c_int32, C.c_int64, C.c_uint64, C.c_double, C.c_size_t, C.c_void_p, C.c_char_p)
MAX_NDIM = 32


class Progress(C.Structure):
    _fields_ = [("op", char_p), ("stage", char_p), ("fraction", f64), ("seconds", f64), ("seconds_left", f64)]


PROGRESS_FN = C.CFUNCTYPE(C.c_int, void_p, C.POINTER(Progress))
MULTIPLY_FN = C.CFUNCTYPE(C.c_int, void_p, C.c_bool, i64, void_p, i64, void_p, i64)


class Ctx(C.Structure):
    _fields_ = [("size", size_t), ("seed", u64), ("threads", C.c_int), ("scratch", char_p), ("progress", PROGRESS_FN),
                ("progress_data", void_p), ("log", void_p), ("log_data", void_p), ("broken", char_p),
                ("recover", C.c_bool), ("checkpoint", char_p), ("state", void_p)]


class Array(C.Structure):
    _fields_ = [("data", void_p), ("owner", void_p), ("dtype", C.c_uint), ("ndim", i32), ("device", i32),
                ("flags", i32), ("shape", i64 * MAX_NDIM), ("strides", i64 * MAX_NDIM)]


class Sparse(C.Structure):
    _fields_ = [("layout", C.c_uint), ("ndim", i32), ("shape", i64 * MAX_NDIM), ("indptr", Array), ("indices", Array),
                ("values", Array)]


class Source(C.Structure):
    pass


READ_FN = C.CFUNCTYPE(C.c_int, C.POINTER(Ctx), C.POINTER(Source), C.POINTER(i64), C.POINTER(i64), void_p)
Source._fields_ = [("dtype", C.c_uint), ("ndim", i32), ("shape", i64 * MAX_NDIM), ("chunk", i64 * MAX_NDIM),
                   ("rewindable", C.c_bool), ("concurrent", C.c_bool), ("read", READ_FN), ("close", void_p), ("data", void_p)]


class Callback(C.Structure):
    _fields_ = [("dtype", C.c_uint), ("rows", i64), ("cols", i64), ("fn", MULTIPLY_FN), ("data", void_p)]


class Scalar(C.Structure):
    _fields_ = [("dtype", C.c_uint), ("i", i64), ("re", f64), ("im", f64)]


class Value(C.Structure):
    _fields_ = [("kind", C.c_uint), ("at", void_p)]


NONE, ARRAY, SPARSE, SOURCE, LINOP, CALLBACK, BUNDLE, TEXT, SCALAR = range(9)


class Certificate(C.Structure):
    _fields_ = [("kind", C.c_uint), ("norm", C.c_uint), ("relative", C.c_bool), ("needs_original", C.c_bool),
                ("value", f64), ("absolute", f64), ("asked", f64), ("failure", f64), ("low", f64), ("high", f64), ("other", f64),
                ("quantity", C.c_char * 64), ("note", C.c_char * 128)]


class Meta(C.Structure):
    _fields_ = [("op", C.c_char * 32), ("version", C.c_char * 16), ("options", char_p), ("attributes", char_p), ("made", char_p),
                ("seed", u64), ("input_hash", C.c_char * 72), ("input_bytes", u64), ("has_shape", C.c_bool),
                ("dtype", C.c_uint), ("ndim", i32), ("shape", i64 * MAX_NDIM)]


class Bundle(C.Structure):
    _fields_ = [("count", i64), ("capacity", i64), ("members", void_p), ("meta", Meta), ("certificate", Certificate)]


class Input(C.Structure):
    _fields_ = [("name", char_p), ("value", Value)]


class StreamState(C.Structure):
    _fields_ = [("m", i64), ("n", i64), ("k", i64), ("updates", i64), ("renewals", i64), ("drift", f64), ("lost", f64),
                ("norm", f64), ("flops", f64)]


class Part(C.Structure):
    _fields_ = [("ndim", i32), ("start", i64 * MAX_NDIM), ("count", i64 * MAX_NDIM), ("component", C.c_char * 16)]


class Question(C.Structure):
    _fields_ = [("kind", C.c_uint), ("ndim", i32), ("start", i64 * MAX_NDIM), ("count", i64 * MAX_NDIM),
                ("step", i64 * MAX_NDIM), ("dropped", C.c_bool * MAX_NDIM), ("other", Value)]


class Answer(C.Structure):
    _fields_ = [("values", Array), ("re", f64), ("im", f64), ("other", f64), ("error", f64), ("meaning", C.c_char * 160),
                ("count", i64), ("missing", i64), ("blocks", i64), ("all_blocks", i64), ("bytes", u64),
                ("all_bytes", u64), ("entries", i64), ("all_entries", i64)]


_HERE = Path(__file__).resolve().parent
try:  # written where the package was built or installed
    from . import _version
except ImportError:
    _version = None


def _find():
    named = os.environ.get("LODE_LIBRARY")
    if named:
        return named
    beside = getattr(_version, "library", "liblode.so")
    for path in (_HERE / beside, _HERE.parents[1] / "build" / "liblode.so"):
        if path.exists():
            return str(path)
    return "liblode.so.0"


lib = C.CDLL(_find())

P = C.POINTER
_prototypes = {
    "lode_version": (char_p, []),
    "lode_sizeof": (size_t, [char_p]),
    "lode_status_name": (char_p, [C.c_int]),
    "lode_status_text": (char_p, [C.c_int]),
    "lode_ctx_init": (C.c_int, [P(Ctx), void_p]),
    "lode_ctx_free": (None, [P(Ctx)]),
    "lode_message": (char_p, [P(Ctx)]),
    "lode_ctx_set_memory": (None, [P(Ctx), u64]),
    "lode_dtype_name": (char_p, [C.c_uint]),
    "lode_dtype_parse": (C.c_bool, [char_p, P(C.c_uint)]),
    "lode_array_cast": (C.c_int, [P(Ctx), P(Array), C.c_uint, P(Array)]),
    "lode_array_free": (None, [P(Array)]),
    "lode_bundle_free": (None, [P(Bundle)]),
    "lode_bundle_name": (char_p, [P(Bundle), i64]),
    "lode_bundle_value": (Value, [P(Bundle), i64]),
    "lode_bundle_get": (Value, [P(Bundle), char_p]),
    "lode_bundle_ref": (C.c_int, [P(Ctx), P(Bundle), P(Bundle)]),
    "lode_cert_kind_name": (char_p, [C.c_uint]),
    "lode_norm_name": (char_p, [C.c_uint]),
    "lode_certificate_print": (None, [P(Certificate), char_p, size_t]),
    "lode_op_find": (void_p, [P(Ctx), char_p]),
    "lode_registry_json": (C.c_int, [P(Ctx), P(void_p)]),
    "lode_op_describe": (C.c_int, [P(Ctx), void_p, C.c_uint, P(void_p)]),
    "lode_text_free": (None, [void_p]),
    "lode_call_init": (C.c_int, [P(Ctx), void_p, void_p]),
    "lode_call_free": (None, [void_p]),
    "lode_call_set": (C.c_int, [P(Ctx), void_p, char_p, char_p]),
    "lode_call_set_array": (C.c_int, [P(Ctx), void_p, char_p, P(Array)]),
    "lode_call_input": (C.c_int, [P(Ctx), void_p, char_p, Value]),
    "lode_call_attributes": (C.c_int, [P(Ctx), void_p, char_p]),
    "lode_op_takes_files": (C.c_bool, [void_p]),
    "lode_holds_results": (C.c_bool, [P(Bundle)]),
    "lode_bundle_add_array": (C.c_int, [P(Ctx), P(Bundle), char_p, P(Array)]),
    "lode_call_forecast": (C.c_int, [P(Ctx), void_p]),
    "lode_call_planned": (void_p, [void_p]),
    "lode_plan_json": (C.c_int, [P(Ctx), void_p, P(void_p)]),
    "lode_call_run": (C.c_int, [P(Ctx), void_p, P(Bundle)]),
    "lode_call_make": (C.c_int, [P(Ctx), void_p, P(Bundle)]),
    "lode_verb_record": (C.c_int, [P(Ctx), char_p, P(Value), i64, P(Bundle)]),
    "lode_verb_record_named": (C.c_int, [P(Ctx), char_p, P(Input), i64, P(Bundle)]),
    "lode_made_by": (char_p, [P(Bundle)]),
    "lode_rerun": (C.c_int, [P(Ctx), P(Bundle), P(Input), i64, P(Bundle)]),
    "lode_apply": (C.c_int, [P(Ctx), P(Bundle), Value, P(Bundle)]),
    "lode_update": (C.c_int, [P(Ctx), P(Bundle), Value, P(Bundle)]),
    "lode_update_with": (C.c_int, [P(Ctx), P(Bundle), P(Input), i64, P(Bundle)]),
    "lode_svd_stream_open": (C.c_int, [P(Ctx), P(Bundle), C.c_int, P(void_p)]),
    "lode_svd_stream_update": (C.c_int, [P(Ctx), void_p, P(Input), i64]),
    "lode_svd_stream_values": (C.c_int, [P(Ctx), void_p, P(Array)]),
    "lode_svd_stream_state": (StreamState, [void_p]),
    "lode_svd_stream_result": (C.c_int, [P(Ctx), void_p, P(Bundle)]),
    "lode_svd_stream_close": (None, [P(void_p)]),
    "lode_merge": (C.c_int, [P(Ctx), P(P(Bundle)), i64, P(Bundle)]),
    "lode_query": (C.c_int, [P(Ctx), P(Bundle), P(Question), P(Answer)]),
    "lode_question_parse": (C.c_int, [P(Ctx), P(Bundle), char_p, P(Question)]),
    "lode_answer_free": (None, [P(Answer)]),
    "lode_invert": (C.c_int, [P(Ctx), P(Bundle), Value, P(Part), P(Array)]),
    "lode_verify": (C.c_int, [P(Ctx), P(Bundle), Value, P(Certificate)]),
    "lode_report": (C.c_int, [P(Ctx), P(Bundle), Value, char_p, C.c_bool]),
    "lode_plot": (C.c_int, [P(Ctx), P(Bundle), Value, void_p]),
    "lode_figure_new": (C.c_int, [P(Ctx), P(void_p)]),
    "lode_figure_free": (None, [P(void_p)]),
    "lode_figure_write": (C.c_int, [P(Ctx), void_p, char_p, C.c_int, C.c_bool, C.c_bool]),
    "lode_open_value": (C.c_int, [P(Ctx), char_p, void_p, C.c_bool, char_p, P(Bundle)]),
    "lode_read_model": (C.c_int, [P(Ctx), char_p, void_p, C.c_bool, P(Bundle)]),
    "lode_expand": (C.c_int, [P(Ctx), P(Bundle)]),
    "lode_open_whole": (C.c_int, [P(Ctx), char_p, void_p, P(Bundle)]),
    "lode_write": (C.c_int, [P(Ctx), char_p, P(Bundle), void_p]),
}
for _name, (_restype, _argtypes) in _prototypes.items():
    _f = getattr(lib, _name)
    _f.restype, _f.argtypes = _restype, _argtypes

for _struct, _c_name in ((Ctx, b"lode_ctx"), (Array, b"lode_array"), (Sparse, b"lode_sparse"), (Source, b"lode_source"),
                         (Value, b"lode_value"),
                         (Callback, b"lode_callback"), (Scalar, b"lode_scalar"), (Certificate, b"lode_certificate"),
                         (Meta, b"lode_meta"), (Bundle, b"lode_bundle"), (Part, b"lode_part"),
                         (Question, b"lode_question"), (Answer, b"lode_answer")):
    if C.sizeof(_struct) != lib.lode_sizeof(_c_name):
        raise ImportError(f"liblode {lib.lode_version().decode()} lays out {_c_name.decode()} otherwise than this "
                          "package: install both from one version")


def _own_version():
    beside = _HERE.parents[1] / "VERSION"  # in the tree
    if _version is not None:
        return _version.version
    return beside.read_text().strip() if beside.exists() else None


if _own_version() not in (None, lib.lode_version().decode()):
    raise ImportError(f"the lode package {_own_version()}, liblode {lib.lode_version().decode()} ({_find()}): install both from one "
                      "version, or name the right one in LODE_LIBRARY")
CALL_SIZE = lib.lode_sizeof(b"lode_call")


class LodeError(Exception):
    """The library's sentence; .status is its name, such as LODE_ESHAPE."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class LodeWarning(UserWarning):
    """The result is valid, with a caveat: a target missed, no convergence, damaged parts left out."""


_local = threading.local()


class Context:
    """The context of one thread. seed, threads and memory hold for later calls of that thread."""

    def __init__(self):
        self.c = Ctx()
        self.interrupt = False
        self.progress = None
        self.check(lib.lode_ctx_init(C.byref(self.c), None))
        self._callback = PROGRESS_FN(self._tick)  # kept: the library holds only the pointer
        self.c.progress = self._callback

    def _tick(self, _, p):
        try:
            if self.progress is not None:
                self.progress(p.contents.op.decode(), p.contents.stage.decode(), p.contents.fraction,
                              p.contents.seconds_left)
            return 0
        except KeyboardInterrupt:
            self.interrupt = True
            return 1

    def check(self, status):
        """Raises for failures, warns for caveats."""
        if status == 0:
            return
        message = lib.lode_message(C.byref(self.c)).decode(errors="replace") or lib.lode_status_text(status).decode()
        if status < 0:
            if self.interrupt:
                self.interrupt = False
                raise KeyboardInterrupt
            raise LodeError(lib.lode_status_name(status).decode(), message)
        import warnings
        warnings.warn(message, LodeWarning, stacklevel=4)

    def __del__(self):
        lib.lode_ctx_free(C.byref(self.c))


def context():
    """This thread's context."""
    if not hasattr(_local, "context"):
        _local.context = Context()
    return _local.context
