// Compiles archives of Python, and the templates, by the very Python that will run them: half of
// the time that passes until it is ready would go into that. Leaves out what no choice loads.
// `node compile.mjs PYODIDE RULES`, both as they are served.

import { readFileSync, writeFileSync } from "node:fs";

const [pyodide, rules] = process.argv.slice(2);
const { loadPyodide } = await import(`${pyodide}/pyodide.mjs`);
const python = await loadPyodide({ indexURL: pyodide });
python.unpackArchive(new Uint8Array(readFileSync(rules)), "zip", { extractDir: "/rules" });

const compile = python.runPython(`
import json
import re
import sys
from importlib._bootstrap_external import _code_to_hash_pyc
from importlib.util import source_hash
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

sys.path.insert(0, "/rules")
Path("/rules/page/compiled").mkdir()
from page import choices

several = {"torch_backend": "cpu cu130", "torch_version": "2.13.0", "layout": "extras"}
for name, request in (
    ("say", [{}]),
    ("say", [several]),
    ("say", [{"torch_backend": "cu0", "pytorch_index": "https://ada:secret@example.org/whl"}]),
    ("files", [several]),
    ("files", [{"license": "MIT", "dockerfile": "yes", "distributed": "yes", "agents": "yes"}]),
    ("refused", [{}]),
    ("have", ["RTX 4090, driver 550", "linux-x86_64"]),
):
    choices.ask(name, json.dumps(request))
used = {getattr(module, "__file__", None) for module in [*sys.modules.values()]}

# What is imported only where it is needed, maybe by no choice above.
rules = [path for part in ("torch_plan", "page") for path in Path("/rules", part).rglob("*.py")]
imports = re.compile(r"^ *(?:from|import) (\\w+)", re.MULTILINE)
named = {name for path in rules for name in imports.findall(path.read_text())}

def compile_archive(path, place):
    """Put compiled modules in the place of their sources, and leave out those nobody loads."""
    with ZipFile(path) as old:
        files = {name: old.read(name) for name in old.namelist()}
    if place == "/rules":
        compiled = Path("/rules/page/compiled").iterdir()
        files |= {f"page/compiled/{path.name}": path.read_bytes() for path in compiled}
    with ZipFile(path, "w") as new:
        for name, content in files.items():
            if name.endswith(".py") and not name.startswith("{{"):
                module = name.removesuffix(".py").partition("/")[0]
                if f"{place}/{name}" not in used and module not in named:
                    continue
                code = compile(content, f"{place}/{name}", "exec", dont_inherit=True)
                # Unchecked: there is no source beside it to compare it with.
                content = _code_to_hash_pyc(code, source_hash(content), checked=False)
                name += "c"
            new.writestr(ZipInfo(name), bytes(content), ZIP_DEFLATED, 9)

compile_archive`);

const library = `${pyodide}/python_stdlib.zip`;
for (const [archive, place] of [[library, "/lib/python314.zip"], [rules, "/rules"]]) {
  python.FS.writeFile("/archive.zip", readFileSync(archive));
  compile("/archive.zip", place);
  writeFileSync(archive, python.FS.readFile("/archive.zip"));
}
