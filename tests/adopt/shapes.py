"""Projects as people have them: the ways in which torch stands in a pyproject.toml."""

from __future__ import annotations

OFFICIAL = "https://download.pytorch.org/whl"


def head(python: str = ">=3.11", *, package: bool = False) -> str:
    """Return the tables that have nothing to do with torch, and the beginning of [project]."""
    build = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n\n'
    return (
        build if package else ""
    ) + f'[project]\nname = "sample"\nversion = "0.1.0"\nrequires-python = "{python}"\n'


def index(backend: str, name: str = "", *, explicit: bool = True, base: str = OFFICIAL) -> str:
    """Return the table of an index of PyTorch."""
    end = "explicit = true\n" if explicit else ""
    named = f'name = "{name or f"pytorch-{backend}"}"\n'
    return f'\n[[tool.uv.index]]\n{named}url = "{base}/{backend}"\n{end}'


COMPANION_WITHOUT_SOURCE = (
    head()
    + """dependencies = [
    "rich",  # the logs
    "torch==2.9.1",
    "torchvision",
]

[tool.uv.sources]
# the cluster has CUDA 12.8
torch = { index = "pytorch-cu128" }
"""
    + index("cu128")
)

CPU_BUT_ON_LINUX = (
    head()
    + """dependencies = ["torch>=2.7.0", "torchvision>=0.22.0"]

[tool.uv.sources]
torch = [
  { index = "pytorch-cpu", marker = "sys_platform != 'linux'" },
  { index = "pytorch-cu128", marker = "sys_platform == 'linux'" },
]
torchvision = [
  { index = "pytorch-cpu", marker = "sys_platform != 'linux'" },
  { index = "pytorch-cu128", marker = "sys_platform == 'linux'" },
]
"""
    + index("cpu")
    + index("cu128")
)

NO_COMMON_RELEASE = (
    head(">=3.10")
    + """dependencies = ["rich"]

[project.optional-dependencies]
cu128 = ["torch>=2.7.0"]
cu124 = ["torch>=2.6.0"]
cu118 = ["torch>=2.6.0"]

[tool.uv]
conflicts = [[{ extra = "cu118" }, { extra = "cu124" }, { extra = "cu128" }]]

[tool.uv.sources]
torch = [
    { index = "pytorch-cu118", extra = "cu118", marker = "sys_platform != 'darwin'" },
    { index = "pytorch-cu124", extra = "cu124", marker = "sys_platform != 'darwin'" },
    { index = "pytorch-cu128", extra = "cu128", marker = "sys_platform != 'darwin'" },
]
"""
    + index("cu118")
    + index("cu124")
    + index("cu128")
)

EXTRAS = (
    head()
    + """dependencies = ["rich"]

[project.optional-dependencies]
cpu = ["torch==2.6.0", "torchvision==0.21.0", "polars"]
gpu = ["torch==2.6.0", "torchvision==0.21.0"]

[tool.uv.sources]
torch = [
    { index = "pytorch-cpu", extra = "cpu" },
    { index = "pytorch-cu124", extra = "gpu" },
]
"""
    + index("cpu")
    + index("cu124")
)

EXTRA_IN_MARKER = EXTRAS.replace('extra = "cpu"', "marker = \"extra == 'cpu'\"").replace(
    'extra = "gpu"', "marker = \"extra == 'gpu'\""
)

OPEN_INDEX = (
    head()
    + 'dependencies = ["torch==2.6.0+cu124", "torchvision==0.21.0", "numpy"]\n'
    + index("cu124", "torch", explicit=False)
)

WHEELS = (
    head(">=3.10,<3.12")
    + f"""dependencies = [
    # one for each Python
    "torch @ {OFFICIAL}/cu121/torch-2.2.0%2Bcu121-cp310-cp310-linux_x86_64.whl ; \
python_version == '3.10' and sys_platform == 'linux'",
    "torch @ {OFFICIAL}/cu121/torch-2.2.0%2Bcu121-cp311-cp311-linux_x86_64.whl ; \
python_version == '3.11' and sys_platform == 'linux'",
    "torch==2.2.0 ; sys_platform != 'linux'",
    "numpy<2",
]
"""
)

OBSOLETE_TRITON = (
    head()
    + """dependencies = ["torch==2.10.0", "pytorch-triton-rocm"]

[tool.uv.sources]
torch = [{ index = "amd" }]
pytorch-triton-rocm = { index = "amd" }
"""
    + index("rocm7.1", "amd")
)

LIBRARY = head(package=True) + 'dependencies = ["torch>=2.6,<2.12"]\n'

LIBRARY_WITH_SOURCES = (
    head(package=True) + CPU_BUT_ON_LINUX.removeprefix(head()) + '\n[tool.hatch]\nversion = "1"\n'
)

LIBRARY_WITH_EXTRAS = (
    EXTRAS.replace("torch==2.6.0", "torch>=2.4")
    .replace("torchvision==0.21.0", "torchvision>=0.19")
    .replace("[project]", '[build-system]\nrequires = ["hatchling"]\n\n[project]')
)

CONSTRAINT = (
    head()
    + 'dependencies = ["torch"]\n\n[tool.uv]\n'
    + 'constraint-dependencies = ["torch==2.6.0", "rich<20"]\n'
)

OVERRIDE = (
    head()
    + 'dependencies = ["torch==2.9.1"]\n\n[tool.uv]\n'
    + 'override-dependencies = ["torch>=2.1,<2.8"]\n'
)

GROUP = (
    head()
    + """dependencies = ["rich"]

[dependency-groups]
dev = ["pytest", { include-group = "gpu" }]
gpu = ["torch~=2.7.0"]

[tool.uv.sources]
torch = { index = "pytorch-cu128", group = "gpu" }
"""
    + index("cu128")
)

EXTRA_AND_GROUP = (
    head()
    + """dependencies = ["rich"]
optional-dependencies.cpu = ["torch==2.7.1"]

[dependency-groups]
gpu = ["torch==2.7.1"]

[tool.uv]
conflicts = [[{ extra = "cpu" }, { group = "gpu" }]]

[tool.uv.sources]
torch = [{ index = "pytorch-cu128", group = "gpu" }, { index = "pytorch-cpu", extra = "cpu" }]
"""
    + index("cu128")
    + index("cpu")
)

COMPANION_DECIDES = head() + 'dependencies = ["torch (>=2.7.1,<3.0.0)", "torchvision==0.23.0"]\n'

EXTRA_INDEX_URL = (
    head()
    + 'dependencies = ["torch==2.6.0"]\n\n[tool.uv]\n'
    + f'extra-index-url = ["{OFFICIAL}/cu118", "https://packages.example.com/simple"]\n'
)

FIND_LINKS = (
    head(">=3.9,<3.12")
    + 'dependencies = ["torch==2.1.2+cu118", "numpy<2"]\n\n[tool.uv]\n'
    + f'find-links = ["{OFFICIAL}/torch_stable.html"]\n'
)

BASE_AND_EXTRAS = (
    head()
    + """dependencies = ["torch>=2.4", "torchvision"]
optional-dependencies = { cpu = ["torch==2.6.0"], cuda = ["torch==2.6.0"] }

[tool.uv]
conflicts = [[{ extra = "cpu" }, { extra = "cuda" }]]
sources.torch = [
\t{ index = "pytorch-cu124", extra = "cuda" },
\t{ index = "pytorch-cpu", extra = "cpu" },
]
"""
    + index("cu124")
    + index("cpu")
)

PAIRED_CONFLICTS = (
    head()
    + """dependencies = []

[project.optional-dependencies]
cpu = ["torch==2.7.1"]
cu126 = ["torch==2.7.1"]
cu128 = ["torch==2.7.1"]

[tool.uv]
conflicts = [
    [{ extra = "cpu" }, { extra = "cu126" }],
    [{ extra = "cpu" }, { extra = "cu128" }],
    [{ extra = "cu126" }, { extra = "cu128" }],
]

[tool.uv.sources]
torch = [
    { index = "pytorch-cpu", extra = "cpu" },
    { index = "pytorch-cu126", extra = "cu126" },
    { index = "pytorch-cu128", extra = "cu128" },
]
"""
    + index("cpu")
    + index("cu126")
    + index("cu128")
)

SAME_INDEX = (
    head()
    + """dependencies = []
optional-dependencies.train = ["torch==2.6.0", "rich"]
optional-dependencies.serve = ["torch==2.6.0"]

[tool.uv.sources]
torch = [
    { index = "pytorch-cpu", extra = "train" },
    { index = "pytorch-cpu", extra = "serve" },
]
"""
    + index("cpu")
)

UNUSED = (
    head()
    + 'dependencies = ["torch==2.6.0"]\n\n[tool.uv.sources]\n'
    + 'torchaudio = { index = "pytorch-cpu" }\n'
    + index("cpu")
    + index("cu124")
)

SPLIT = (
    index("cu128", "gpu")[1:]
    + """
[tool.ruff]
line-length = 100  # as everywhere

"""
    + head()
    + """dependencies = ['rich', 'torch==2.9.1']

[[tool.uv.index]]
name = "inner"
url = "https://packages.example.com/simple"
explicit = true

[tool.mypy]
strict = true

[tool.uv.sources]
torch = { index = "gpu" }
ours = { index = "inner" }"""
)

DOTTED = (
    'project.name = "sample"\nproject.version = "0.1.0"\nproject.requires-python = ">=3.11"\n'
    'project.dependencies = [ "torch==2.9.1" ]\ntool.uv.sources.torch.index = "pytorch-cu128"\n'
    f'tool.uv.index = [{{ name = "pytorch-cu128", url = "{OFFICIAL}/cu128", explicit = true }}]\n'
)

NUMPY_1 = head(">=3.9") + 'dependencies = ["torch==2.1.2"]\n'

SHAPES = {
    name.lower(): text
    for name, text in list(globals().items())
    if name.isupper() and isinstance(text, str) and name != "OFFICIAL"
}
"""Every project that can be adopted, by name."""
SHAPES["crlf"] = CPU_BUT_ON_LINUX.replace("\n", "\r\n")

REFUSED = {
    "nightly": (
        head()
        + 'dependencies = ["torch"]\n[tool.uv.sources]\ntorch = { index = "pytorch" }\n'
        + index("nightly/cu128", "pytorch"),
        "is not PyTorch's of a released build",
    ),
    "foreign index": (
        head()
        + 'dependencies = ["torch"]\n[tool.uv.sources]\ntorch = { index = "jetson" }\n'
        + index("cu126", "jetson", base="https://pypi.example.com/jp6"),
        "not PyTorch's",
    ),
    "git": (
        head()
        + 'dependencies = ["torch"]\n[tool.uv.sources]\n'
        + 'torch = { git = "https://example.com/torch.git" }\n',
        "no index",
    ),
    "container's torch": (
        CONSTRAINT.replace("constraint-", "override-").replace(
            "torch==2.6.0", "torch ; sys_platform == 'never'"
        ),
        "or an override takes it out, as for that of a container",
    ),
    "an index with an extra alone": (
        EXTRAS.replace('    { index = "pytorch-cpu", extra = "cpu" },\n', ""),
        "another index with gpu than without",
    ),
    "extra with the name of another build": (
        EXTRAS.replace("cpu = [", "cu118 = [").replace('extra = "cpu"', 'extra = "cu118"'),
        "cu118 has the build cpu",
    ),
    "extras of torch": (head() + 'dependencies = ["torch[opt]==2.6.0"]\n', "asks for extras"),
    "Poetry": (
        '[tool.poetry]\nname = "sample"\n[tool.poetry.dependencies]\ntorch = "^2.6"\n',
        "Poetry",
    ),
    "no project": ("[tool.ruff]\nline-length = 90\n", r"\[project\] table"),
    "dynamic": ('[project]\nname = "sample"\ndynamic = ["version", "dependencies"]\n', "dynamic"),
    "no torch": (head() + 'dependencies = ["rich"]\n', "Nothing here requires torch"),
    "release of old": (head() + 'dependencies = ["torch==1.13.1"]\n', "from 2.0.0 on"),
    "Linux alone": (
        head() + "dependencies = [\"torch==2.6.0 ; sys_platform == 'linux'\"]\n",
        "macos-arm64 and windows-x86_64",
    ),
    "index of all builds": (
        head()
        + 'dependencies = ["torch==2.6.0"]\n[tool.uv.sources]\ntorch = { index = "all" }\n'
        + f'[[tool.uv.index]]\nname = "all"\nurl = "{OFFICIAL}"\nexplicit = true\n',
        "Say torch_backend=… or, for a copy",
    ),
    "Pythons to come": (
        head(">=4.0") + 'dependencies = ["torch"]\n',
        "no wheels for what requires-python and",
    ),
    "systems without wheels": (
        head()
        + 'dependencies = ["torch"]\n[tool.uv]\nenvironments = ["sys_platform == \'freebsd\'"]\n',
        "no wheels for what .* environments name",
    ),
    "no requirement": (
        head() + 'dependencies = ["torch=2.6.0"]\n',
        r"cannot be read: .*\s+torch=2.6.0",
    ),
    "no wheel": (
        head() + 'dependencies = ["torch @ https://example.com/torch.tar.gz"]\n',
        "cannot be read: Invalid wheel filename",
    ),
    "no TOML": ("[project\n", "cannot be read"),
    "release without the build": (
        head()
        + 'dependencies = ["torch==2.15.0"]\n[tool.uv.sources]\ntorch = { index = "cuda" }\n'
        + index("cu128", "cuda"),
        "torch 2.15.0 has: pypi cpu cu130 cu132",
    ),
}
"""What is refused: text, and what the message says."""
