"""A stand-in for torch, of any build: as much of it as a project's smoke test asks for.

It needs the standard library alone: `stub_wheel` puts it into a wheel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

Faults = Mapping[tuple[str, str], object]
"""(`product` or `convolution`, a device) -> the exception it raises there, or its wrong result."""


class Tensor:
    """A tensor that knows how it came about, and where; whatever else is done returns it."""

    def __init__(self, value: object, device: str = "cpu", faults: Faults | None = None) -> None:
        self.value, self.device, self.faults = value, device, faults or {}

    def __getattr__(self, name: str) -> Callable[..., Tensor]:
        return lambda *args, **kwargs: self

    def __getitem__(self, key: object) -> Tensor:
        return self

    def __mod__(self, number: int) -> Tensor:
        return self

    def __add__(self, number: int) -> Tensor:
        return self

    def __matmul__(self, other: Tensor) -> Tensor:
        return self.computed("product")

    def computed(self, what: str) -> Tensor:
        """Return a result, or the fault that it has on this device."""
        result = self.faults.get((what, self.device), what)
        if isinstance(result, Exception):
            raise result
        return Tensor(result)

    def to(self, device: str) -> Tensor:
        """Return the tensor on a device."""
        return Tensor(self.value, device, self.faults)

    def tolist(self) -> object:
        """Return what the tensor was made of."""
        return self.value


def raises(error: Exception) -> Callable[..., Any]:
    """Return a function that raises the error, whatever it is called with."""

    def function(*args: object, **kwargs: object) -> None:
        raise error

    return function


def stub_torch(
    version: str = "2.13.0+cpu",
    *,
    cuda: str | None = None,
    hip: str | None = None,
    xpu: str | None = None,
    cudnn: int | None = None,
    flags: str = "",
    gpus: tuple[SimpleNamespace, ...] = (),
    xpus: tuple[str, ...] = (),
    mps: bool = False,
    faults: Faults | None = None,
) -> Any:
    """Return a module of a build, on a machine with some devices.

    As in torch, a CPU build knows no architectures, and one before 2.3 no `torch.xpu`.
    """
    torch: Any = ModuleType("torch")
    torch.__version__ = version
    torch.version = ModuleType("torch.version")
    vars(torch.version).update(cuda=cuda, hip=hip, xpu=xpu)
    torch._C = SimpleNamespace()
    if flags:
        setattr(torch._C, "_xpu_getArchFlags" if xpu else "_cuda_getArchFlags", lambda: flags)
    torch.cuda = SimpleNamespace(
        is_available=lambda: bool(gpus),
        device_count=lambda: len(gpus),
        get_device_properties=lambda index: gpus[index],
    )
    if xpu:
        torch.xpu = SimpleNamespace(
            is_available=lambda: bool(xpus),
            device_count=lambda: len(xpus),
            get_device_name=lambda index: xpus[index],
        )
    torch.backends = SimpleNamespace(
        cudnn=SimpleNamespace(version=lambda: cudnn),
        mps=SimpleNamespace(is_available=lambda: mps),
    )
    functional = SimpleNamespace(conv2d=lambda image, kernel: image.computed("convolution"))
    torch.nn = SimpleNamespace(functional=functional)
    torch.arange = torch.zeros = lambda *args, **kwargs: Tensor(args, faults=faults)
    torch.tensor = torch.from_numpy = Tensor
    torch.equal = lambda one, other: one.value == other.value
    return torch
