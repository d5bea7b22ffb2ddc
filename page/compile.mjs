// Compiles archives of Python by the very Python that will run them: half of the time that passes
// until it is ready would go into that. `node compile.mjs PYODIDE RULES`, both as they are served.

import { readFileSync, writeFileSync } from "node:fs";

const [pyodide, rules] = process.argv.slice(2);
const { loadPyodide } = await import(`${pyodide}/pyodide.mjs`);
const python = await loadPyodide({ indexURL: pyodide });
python.unpackArchive(new Uint8Array(readFileSync(rules)), "zip", { extractDir: "/rules" });

const compile = python.runPython(`
import sys
from importlib._bootstrap_external import _code_to_hash_pyc
from importlib.util import source_hash
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

sys.path.insert(0, "/rules")
from page import choices
choices.say("{}")
choices.say('{"torch_backend": "cu0"}')
used = {getattr(module, "__file__", None) for module in [*sys.modules.values()]}

# No rule has a use for them, and they are a sixth of the standard library.
left_out = {"_pyrepl", "ctypes", "doctest.py", "http", "multiprocessing", "pdb.py", "pydoc.py"}
left_out |= {"unittest", "xml", "xmlrpc"}

def compile_archive(path, place):
    """Put compiled modules in the place of those that are used; most others stay as they are."""
    with ZipFile(path) as old:
        files = {name: old.read(name) for name in old.namelist()}
    with ZipFile(path, "w") as new:
        for name, content in files.items():
            if f"{place}/{name}" in used:
                code = compile(content, f"{place}/{name}", "exec", dont_inherit=True)
                # Unchecked: there is no source beside it to compare it with.
                content = _code_to_hash_pyc(code, source_hash(content), checked=False)
                name += "c"
            elif name.partition("/")[0] in left_out:
                continue
            new.writestr(ZipInfo(name), bytes(content), ZIP_DEFLATED, 9)

compile_archive`);

for (const [archive, place] of [[`${pyodide}/python_stdlib.zip`, "/lib/python314.zip"], [rules, "/rules"]]) {
  python.FS.writeFile("/archive.zip", readFileSync(archive));
  compile("/archive.zip", place);
  writeFileSync(archive, python.FS.readFile("/archive.zip"));
}
