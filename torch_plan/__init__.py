"""Answers and facts in, a plan for `pyproject.toml` out.

Imported by the Python that runs cookiecutter: only the standard library and what cookiecutter
itself depends on (click, Jinja2) can be used here.
"""
