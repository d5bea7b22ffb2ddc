"""The tests of `torch_plan` alone: they need cookiecutter, but neither uv nor a network."""
