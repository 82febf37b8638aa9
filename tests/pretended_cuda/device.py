"""Pretends a CUDA device to a build of torch without CUDA. Import it before torch."""

import ctypes
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

assert "torch" not in sys.modules, "import pretended_cuda.device before torch"

SOURCE = Path(__file__).with_name("guard.cpp")


def torch_folder() -> Path:
    spec = importlib.util.find_spec("torch")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def build(library: Path) -> None:
    """Compile the device guard into a shared library, in a few seconds."""
    folder = torch_folder()
    include = folder / "include"
    subprocess.run(
        [
            os.environ.get("CXX", "g++"), "-O0", "-shared", "-fPIC", "-std=c++20",
            f"-I{include}", f"-I{include / 'torch' / 'csrc' / 'api' / 'include'}",
            str(SOURCE), "-o", str(library), f"-L{folder / 'lib'}", "-ltorch_cpu", "-lc10",
        ],
        check=True,
    )  # fmt: skip


def load(library: Path) -> None:
    """Load the guard into torch, which must not have been imported."""
    lib = torch_folder() / "lib"
    ctypes.CDLL(str(lib / "libtorch_global_deps.so"), mode=ctypes.RTLD_GLOBAL)
    for name in ("libc10.so", "libtorch_cpu.so"):
        ctypes.CDLL(str(lib / name))
    ctypes.CDLL(str(library))
    import torch

    torch.cuda._lazy_init = lambda: None  # type: ignore[assignment]
    torch.cuda._initialized = True
    torch._C._set_only_lift_cpu_tensors(True)
    # Parameters become fake when a module moves to the device: they cannot be changed in place.
    torch.__future__.set_overwrite_module_params_on_conversion(True)
