// Runs `choices.py` beside the page. Answers {id, name, request} with {id, said} or {id, error}.

const { pyodide, rules } = Object.fromEntries(new URL(location).searchParams);
const choices = start();

async function start() {
  const zip = fetch(rules).then((response) => response.arrayBuffer());
  const { loadPyodide } = await import(`${pyodide}pyodide.mjs`);
  const python = await loadPyodide({ indexURL: pyodide });
  python.unpackArchive(await zip, "zip", { extractDir: "/rules" });
  python.runPython("import sys; sys.path.insert(0, '/rules')");
  return python.pyimport("page.choices");
}

onmessage = async ({ data: { id, name, request } }) => {
  try {
    postMessage({ id, said: JSON.parse((await choices)[name](JSON.stringify(request))) });
  } catch (error) {
    postMessage({ id, error: String(error) });
  }
};
