"""The words that people have for builds, systems and machines, and for yes and no."""

from torch_plan.catalog.versions import CPU

NUMBERED = ("cu", "rocm")
"""The families whose builds have the version of a toolkit in their name."""

FAMILY_WORDS = {
    "gpu": (*NUMBERED, "xpu"),
    "cu": ("cu",),
    "cuda": ("cu",),
    "nvidia": ("cu",),
    "rocm": ("rocm",),
    "hip": ("rocm",),
    "amd": ("rocm",),
    "intel": ("xpu",),
    "mps": (CPU,),
    "metal": (CPU,),
    "cpu-only": (CPU,),
    "cpuonly": (CPU,),
}
"""What people call a toolkit, a maker or its hardware -> its families of builds.

Metal is in the CPU build of macOS.
"""

SYSTEM_WORDS = {
    "linux": "linux",
    "ubuntu": "linux",
    "wsl": "linux",
    "wsl2": "linux",
    "mac": "macos",
    "macos": "macos",
    "osx": "macos",
    "darwin": "macos",
    "win": "windows",
    "win32": "windows",
    "windows": "windows",
}
"""What people call a system -> what the names of platforms begin with."""

MACHINE_WORDS = {
    "x64": "x86_64",
    "amd64": "x86_64",
    "intel": "x86_64",
    "arm64": "arm",
    "aarch64": "arm",
}
"""What people call a processor -> `x86_64` or `arm`."""

YES_WORDS = ("yes", "y", "true", "t", "on", "1")
NO_WORDS = ("no", "n", "false", "f", "off", "0")
"""How cookiecutter lets people say yes and no, in any case."""
