// The form, the address and the clicks. What is said of a choice comes from the worker, or of the
// most common choices from a file that was written when the page was built.

const form = document.querySelector("form");
const result = document.querySelector("#result");
const status = document.querySelector("#status");
const { common, named, worker: script } = document.body.dataset;
const defaults = JSON.parse(document.body.dataset.defaults);
const ready = fetch(common).then((response) => response.json()).catch(() => ({}));

let answers = defaults; // All of them, of the choice that is shown.
let choice = {}; // Those that were given here, or in the address.
let turn = 0;

// --- The worker ----------------------------------------------------------------------------------

const waiting = new Map();
const worker = new Worker(script, { type: "module" });
worker.onmessage = ({ data: { id, said, error } }) => {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (error === undefined) resolve(said);
  else reject(error);
};
worker.onerror = () => waiting.forEach(({ reject }) => reject("the worker does not start"));

function ask(name, request) {
  return new Promise((resolve, reject) => {
    const id = crypto.randomUUID();
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, name, request });
  });
}

// --- Choices -------------------------------------------------------------------------------------

/** Name what a link must name, and leave out what is the default anyway, in one order. */
function tidy(given) {
  const keys = Object.keys(defaults).filter((key) =>
    named.includes(key) || (key in given && (given[key] !== defaults[key] || key === "platforms")));
  return Object.fromEntries(keys.map((key) => [key, given[key] ?? defaults[key]]));
}

const link = (given) => new URLSearchParams(given).toString();
const linked = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

/** Return the choice that a click on a control leads to. */
function after({ name, type, value, dataset: { platform } }, on) {
  let words = answers[name].split(/\s+/);
  if (platform) {
    const rows = [...form.querySelectorAll("input[name=platforms]")];
    words = rows.filter((row) => (row.value === platform ? on : row.checked)).flatMap(platformWords);
  } else if (type === "checkbox") {
    words = words.filter((word) => word !== value && word !== "none");
    if (on) words.push(value);
    if (name === "companions" && !words.length) words = ["none"];
  } else {
    words = [value.trim() || defaults[name]];
  }
  return tidy({ ...choice, [name]: words.join(" ") });
}

/** Return the words of a platform: its name, or one for each of its overrides. */
function platformWords({ value }) {
  const { value: overrides } = form.querySelector(`select[data-platform=${value}]`);
  return overrides.split(" ").map((override) => value + override);
}

// --- The form ------------------------------------------------------------------------------------

/** Let the controls say what the answers say. */
function fill() {
  const builds = form.querySelectorAll("input[name=torch_backend]");
  const several = answers.layout !== "markers" || answers.torch_backend.includes(" ");
  for (const build of builds) build.type = several ? "checkbox" : "radio";
  for (const name of ["torch_version", "python_version", "torch_backend", "companions"]) {
    answers[name].split(/\s+/).filter((word) => word && word !== "none").forEach((word) => add(name, word));
  }
  for (const control of form.elements) {
    const { name, type, value, dataset: { platform } } = control;
    const words = (answers[name] ?? "").split(/\s+/);
    if (control.matches("select")) {
      const own = words.filter((word) => word.split("=")[0] === platform);
      const overrides = own.map((word) => word.slice(platform.length)).join(" ");
      const known = [...control.options].some((option) => option.value === overrides);
      if (!known) control.append(new Option(overrides.replaceAll("=", ""), overrides));
      control.value = overrides;
    } else if (platform) {
      control.checked = words.some((word) => word.split("=")[0] === platform);
    } else if (type === "text") {
      const isChip = [...form.querySelectorAll(`[name=${name}][type=radio]`)].some((it) => it.value === answers[name]);
      control.value = isChip ? "" : answers[name];
    } else if (name) {
      control.checked = words.includes(value);
    }
  }
  const older = form.querySelector(".older");
  older.open ||= older.querySelector(":checked") !== null;
}

/** Add a chip for a word that has none, such as a build with a name of its own. */
function add(name, word) {
  const chips = [...form.querySelectorAll(`input[name=${name}]`)];
  if (chips.some((chip) => chip.value === word)) return;
  const label = chips[0].closest("label").cloneNode(true);
  label.control.value = label.querySelector("span").textContent = word;
  chips[0].closest(".chips").append(label);
}

/** Mark the controls in sight whose choice would be refused. */
async function mark() {
  const mine = turn;
  const chips = [...form.querySelectorAll(".chips input:not([type=text])")]
    .filter((chip) => chip.closest("label").checkVisibility());
  const flags = await ask("refused", chips.map((chip) => after(chip, true)));
  if (mine !== turn) return;
  chips.forEach((chip, at) => {
    const refused = flags[at] && !chip.checked;
    chip.closest("label").classList.toggle("refused", refused);
    if (refused) chip.setAttribute("aria-describedby", "refused");
    else chip.removeAttribute("aria-describedby");
  });
}

// --- Showing -------------------------------------------------------------------------------------

async function show(given) {
  const mine = ++turn;
  choice = tidy(given);
  const address = link(choice);
  history.replaceState(null, "", `#${address}`);
  result.ariaBusy = "true";
  try {
    const said = (await ready)[address] ?? (await ask("say", choice));
    if (mine === turn) display(said);
    await mark();
  } catch (error) {
    failed(error);
  }
}

function failed(error) {
  status.textContent = `The rules do not run in this browser: ${error}`;
}

function display(said) {
  const lines = () => [...result.querySelectorAll("[data-line]")];
  const before = new Set(lines().map((line) => line.textContent));
  answers = said.answers;
  result.innerHTML = said.html;
  result.ariaBusy = "false";
  if (before.size) lines().filter((line) => !before.has(line.textContent)).forEach((line) => line.classList.add("changed"));
  status.textContent = result.querySelector("h2").textContent;
  fill();
}

form.addEventListener("change", ({ target }) => {
  const row = target.matches("select") && form.querySelector(`input[value=${target.dataset.platform}]`);
  if (row) row.checked = true;
  show(after(row || target, (row || target).checked));
});
form.addEventListener("toggle", () => mark().catch(failed), true);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", (event) => {
  event.preventDefault();
  show({});
});

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-way], [data-copy], [data-show]");
  if (button?.dataset.way) {
    await show({ ...choice, ...JSON.parse(button.dataset.way) });
    result.focus();
  } else if (button?.dataset.copy) {
    const text = document.getElementById(button.dataset.copy);
    getSelection().selectAllChildren(text);
    await navigator.clipboard.writeText(text.textContent.trim());
    status.textContent = "Copied.";
  } else if (button?.dataset.show) {
    result.scrollIntoView();
  }
});

addEventListener("hashchange", () => show(linked()));
if (location.hash.includes("=")) show(linked());
else {
  choice = tidy({});
  fill();
  mark().catch(failed);
}
