// Runs `choices.py` beside the page. Each question comes with a port for what is said, or an error.

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

onmessage = async ({ data: { name, request }, ports: [port] }) => {
  try {
    port.postMessage({ said: JSON.parse((await choices).ask(name, JSON.stringify(request))) });
  } catch (error) {
    port.postMessage({ error: String(error) });
  }
};
