"""Where the template, its documentation and its page are to be had."""

TEMPLATE = "gh:org/uv-torch-template"
"""Where the template is to be had, for those who do not say where they have it from."""

DOCS = "https://github.com/org/uv-torch-template/blob/main/docs"
"""The pages that a project's README refers to."""

PAGE = "https://org.github.io/uv-torch-template/"
"""The page that lets people choose in the browser; answers stand behind its `#`."""
