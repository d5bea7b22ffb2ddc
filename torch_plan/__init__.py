"""Answers and facts in, a plan for a project out.

cookiecutter puts the template's root at the end of `sys.path`, and that is why this package lies
there. It is imported by the Python that runs cookiecutter, so it uses only the standard library
and what cookiecutter itself depends on (click, Jinja2).

The words, each of which means one thing here:

release    a version of torch: `2.9.1`
backend    what is asked for: `cpu`, `cu128`, `rocm6.4`, `xpu`, or `pypi` for whatever PyPI ships
build      what a wheel was compiled for; PyPI's wheel of torch 2.9.1 for Linux is a `cu128` build
index      where wheels lie: PyPI, or one index of PyTorch for each backend but `pypi`
label      what a wheel's version says of its build: the `cu128` of `2.9.1+cu128`
platform   an operating system and a machine: `linux-x86_64`
companion  a package that is released in step with torch, such as torchvision
variant    a backend that a project can be switched to, with its name: `gpu=cu128`
option     a variant as the project has it: an extra, a dependency group, or the only one there is
cell       what one platform gets from one variant: release, backend, build and packages

The folders `catalog`, `answers` and `machine`, `resolution`, `project` and `dialogue` import only
those before them (`uv run lint-imports` holds that). `extension` is the door through which
cookiecutter calls it all.
"""
