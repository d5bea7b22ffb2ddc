"""A page to choose a project on: the rules of `torch_plan` and the template, in the browser.

`uv run -m tools.page` writes it to `site/`. In reading order:

choices.py    what the page says of a choice: the plan or the refusal, as HTML
result.html   how it is laid out
worker.js     runs `choices` in the browser, by Pyodide, beside the page
page.js       the form: its answers, the address, the clicks
index.html    the page, with the controls and what is said of the default

`tools/page.py` puts all of it into one folder, with what is said of the most common choices.
"""
