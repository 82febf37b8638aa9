"""Pickles that would run or break something in a reader that runs what they name."""

import io
import pickle
import pickletools
from typing import Any

import numpy as np

MARK = "HHMNET-PICKLE-HAS-RUN"


class _Call:
    """Pickles as the call of a function."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.reduced


def _named(module: str, name: str, *arguments: Any) -> bytes:
    """Return a pickle that calls a function by its name, whether or not it can be imported."""
    out = io.BytesIO()
    out.write(b"\x80\x04" + f"c{module}\n{name}\n".encode())
    out.write(pickle.dumps(arguments, 2)[2:-1] + b"R.")
    return out.getvalue()


HOSTILE: dict[str, bytes] = {
    "system": _named("os", "system", f"echo {MARK}"),
    "posix": _named("posix", "system", f"echo {MARK}"),
    "eval": _named("builtins", "eval", f"print('{MARK}')"),
    "getattr": _named("builtins", "getattr", "", "__class__"),
    "dotted": _named("numpy", "ndarray.tofile", "x"),
    "attribute chain": _named("collections", "OrderedDict.__init__.__globals__", ()),
    "numpy load": _named("numpy", "load", "/etc/passwd"),
    "numpy fromfile": _named("numpy", "fromfile", "/etc/passwd"),
    "numpy memmap": _named("numpy", "memmap", "/etc/passwd"),
    "numpy f2py": _named("numpy.f2py", "compile", "x"),
    "runstring": _named("numpy.testing._private.utils", "runstring", f"print('{MARK}')", {}),
    "codecs": _named("_codecs", "encode", "x", "rot13"),
    "huge array": _named("numpy", "ndarray", (1 << 40,), "f8"),
    "huge reconstruct": _named(
        "numpy.core.multiarray", "_reconstruct", np.ndarray, (1 << 40,), b"b"
    ),
    "huge type": _named("numpy", "dtype", "V2147483647"),
    "object type": _named("numpy", "dtype", "O8"),
    "object array": pickle.dumps(np.array([_Call(print, MARK), {}], dtype=object)),
    "composed type": pickle.dumps(np.zeros(2, [("a", "i4"), ("b", "O")])),
    "date type": pickle.dumps(np.zeros(2, "M8[s]")),
    "short scalar": _named("numpy.core.multiarray", "scalar", "f8", b"x"),
    "scalar of objects": _named("numpy.core.multiarray", "scalar", np.dtype("O"), b"x" * 8),
    "persistent": b"\x80\x04\x8c\x01xQ.",
    "extension": b"\x80\x02\x82\x01.",
    "buffer": b"\x80\x05\x97.",
    "huge bytes": b"\x80\x05\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "huge bytearray": b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "huge frame": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.",
    "huge memo": b"\x80\x04Nr\xff\xff\xff\x7f.",
    "no stop": b"\x80\x04]",
    "no stack": b"\x80\x04R.",
    "instance": b"(ios\nsystem\n.",
    "object": b"(cos\nsystem\nVx\no.",
    "digits": b"I" + b"9" * 100_000 + b"\n.",
}


def check_all_parse() -> None:
    """Check that those that should be programs are: pickletools reads what it can."""
    for name in ("system", "eval", "numpy load", "object array"):
        pickletools.dis(HOSTILE[name], io.StringIO())
