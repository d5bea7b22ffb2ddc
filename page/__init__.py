"""A page to choose a project on: the rules of `torch_plan` and the template, in the browser.

`tools/page.py` builds it. `page.js` is the form of `index.html`, and asks `choices.py` in a worker
(`worker.js`, by Pyodide) what `result.html` says of a choice.
"""
