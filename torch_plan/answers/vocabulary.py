"""The words that people have for builds, systems and machines, and for yes and no."""

from torch_plan.catalog.versions import CPU

NUMBERED = ("cu", "rocm")
"""The families whose builds have the version of a toolkit in their name."""

_FAMILIES = {
    ("cu",): "cu cuda nvidia",
    ("rocm",): "rocm hip amd",
    ("xpu",): "intel",
    (CPU,): "cpu-only cpuonly mps metal",  # Metal is in the CPU build of macOS
    (*NUMBERED, "xpu"): "gpu",
}
FAMILY_WORDS = {word: names for names, words in _FAMILIES.items() for word in words.split()}
"""What people call a toolkit, a maker or its hardware -> its families of builds."""

_SYSTEMS = {
    "linux": "linux ubuntu wsl wsl2",
    "macos": "mac macos osx darwin",
    "windows": "win win32 windows",
}
SYSTEM_WORDS = {word: name for name, words in _SYSTEMS.items() for word in words.split()}
"""What people call a system -> what the names of platforms begin with."""

_MACHINES = {"x86_64": "x64 amd64 intel", "arm": "arm64 aarch64"}
MACHINE_WORDS = {word: name for name, words in _MACHINES.items() for word in words.split()}
"""What people call a processor -> `x86_64` or `arm`."""

YES_WORDS = ("yes", "y", "true", "t", "on", "1")
NO_WORDS = ("no", "n", "false", "f", "off", "0")
"""How cookiecutter lets people say yes and no, in any case."""
