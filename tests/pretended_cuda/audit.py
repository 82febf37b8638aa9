"""What a piece of code would do on a CUDA device: kernels it launches, copies, and waits."""

import traceback
from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CUDA = torch.device("cuda:0")
_LAUNCHES_NOTHING = (
    "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view",
)  # fmt: skip


class Audit(TorchDispatchMode):
    """Runs operations on CPU tensors, pretends those on CUDA tensors, and records the latter.

    Operations whose result has a shape that depends on data, which would wait, raise torch's
    DynamicOutputShapeException.

    Attributes:
        launches: Operations that launch a kernel, by name.
        waits: Places where the host waits for the device.
        copies: Places that copy from the host to the device.
        blocking: Those of them that wait, or start from memory that is not page-locked.
        misplaced: Operations on the device that take a tensor of the host.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fake = FakeTensorMode(allow_non_fake_inputs=True)
        self._page_locked: list[Tensor] = []  # kept: its memory is not given to others
        self.restart()

    def restart(self) -> None:
        """Forget what was recorded."""
        self.launches, self.waits, self.copies = Counter[str](), Counter[str](), Counter[str]()
        self.blocking, self.misplaced = Counter[str](), Counter[str]()

    def record(self) -> dict[str, dict[str, int]]:
        """Return what was recorded."""
        names = ("launches", "waits", "copies", "blocking", "misplaced")
        return {name: dict(getattr(self, name).most_common()) for name in names}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        fakes = [each for each in tensors if isinstance(each, FakeTensor)]
        target = None if kwargs.get("device") is None else torch.device(kwargs["device"]).type
        if not fakes and target != "cuda":
            if not kwargs.pop("pin_memory", False):
                return func(*args, **kwargs)
            self._page_locked.append(func(*args, **kwargs))
            return self._page_locked[-1]
        if name == "_local_scalar_dense":
            self.waits[f"item at {_place()}"] += 1
            return 1.0 if args[0].is_floating_point() else 1
        if name == "_to_copy" and fakes and target == "cpu":
            if not kwargs.get("non_blocking"):  # else torch takes page-locked memory
                self.waits[f"copy to the host at {_place()}"] += 1
            return torch.zeros(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        if name == "copy_" and not isinstance(args[0], FakeTensor):
            self.waits[f"copy to the host at {_place()}"] += 1
            return args[0]
        if name == "bincount":  # its shape is known to the caller
            self.waits[f"bincount at {_place()}"] += 1
            with self.fake:
                size = kwargs.get("minlength", args[2] if len(args) > 2 else 1)
                return torch.zeros(max(1, size), dtype=torch.long, device=CUDA)
        if (name == "_to_copy" and not fakes) or (name == "copy_" and len(fakes) == 1):
            self._note_copy(args[0] if name == "_to_copy" else args[1], kwargs, args)
        else:
            for each in tensors:
                if not isinstance(each, FakeTensor) and each.dim():
                    self.misplaced[f"{name} of {tuple(each.shape)} at {_place()}"] += 1
            if func.namespace == "aten" and name not in _LAUNCHES_NOTHING and not func.is_view:
                self.launches[name] += 1
        if func._overloadname == "tensor_lr":  # an optimiser's: in place, and unknown to the fakes
            return None
        with self.fake:
            return func(*args, **kwargs)

    def _note_copy(self, source: Tensor, kwargs: dict[str, Any], args: Any) -> None:
        place = _place()
        self.copies[place] += 1
        waits = not (kwargs.get("non_blocking") or (len(args) > 2 and args[2]))
        memory = source.untyped_storage().data_ptr()
        locked = any(memory == each.untyped_storage().data_ptr() for each in self._page_locked)
        if waits or not locked:
            self.blocking[place] += 1


def _place() -> str:
    """Return the line of the package that called."""
    for frame in reversed(traceback.extract_stack()):
        if "/hhmnet_core/" in frame.filename and "/tests/" not in frame.filename:
            name = frame.filename.rpartition("/hhmnet_core/")[2]
            return f"hhmnet_core/{name}:{frame.lineno}"
    return "elsewhere"
