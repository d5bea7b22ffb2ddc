// The form, the address and the clicks. What is said of a choice comes from the worker, or of the
// most common choices from a file that was written when the page was built.

const [form, result, status, bar, jump, system, hardware] = [
  "form", "#result", "#status", "#bar", "#jump", "#system", "#hardware",
].map((selector) => document.querySelector(selector));
const { common, named, worker: script } = document.body.dataset;
const computed = ["project_slug", "platforms"]; // Their defaults depend on other answers.
const defaults = JSON.parse(document.body.dataset.defaults);
const ready = fetch(common).then((response) => response.json()).catch(() => ({}));

let answers = defaults; // All of them, of the choice that the form shows.
let choice = {}; // Those that were given here, or in the address.
let turn = 0;
const opened = new Set(); // What is open of the result.
let shown = new Set(); // The lines of the last plan, which the next one is compared with.

// --- The worker ----------------------------------------------------------------------------------

const worker = new Worker(script, { type: "module" });
const broken = new Promise((_, reject) => {
  worker.onerror = () => reject("the worker does not start");
});

function ask(name, ...request) {
  const { port1: answer, port2 } = new MessageChannel();
  worker.postMessage({ name, request }, [port2]);
  return Promise.race([broken, new Promise((resolve, reject) => {
    answer.onmessage = ({ data: { said, error } }) => (error ? reject(error) : resolve(said));
  })]);
}

// --- Choices -------------------------------------------------------------------------------------

/** Name what a link must name, and leave out what is the default anyway, in one order. */
function tidy(given) {
  const isDefault = (key) => given[key] === defaults[key] && !computed.includes(key);
  const keys = Object.keys(defaults).filter(
    (key) => named.includes(key) || (key in given && !isDefault(key)),
  );
  return Object.fromEntries(keys.map((key) => [key, given[key] ?? defaults[key]]));
}

const wordsOf = (text) => text.split(/\s+/).filter(Boolean);
const link = (given) => new URLSearchParams(given).toString();
const linked = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

/** Return the choice that a click on a control leads to. */
function after({ name, type, value, dataset: { platform } }, on) {
  let words = wordsOf(choice[name] ?? answers[name]);
  if (platform) {
    const buildsOn = (row) => form.querySelector(`select[data-platform=${row}]`).value.split(" ");
    words = [...form.querySelectorAll("input[name=platforms]")]
      .filter((row) => (row.value === platform ? on : row.checked))
      .flatMap(({ value: row }) => buildsOn(row).map((override) => row + override));
  } else if (type === "checkbox") {
    words = words.filter((word) => word !== value && word !== "none");
    if (on) words.push(value);
    if (name === "companions" && !words.length) words = ["none"];
  } else {
    words = [value.trim() || defaults[name]];
  }
  return tidy({ ...choice, [name]: words.join(" ") });
}

// --- The form ------------------------------------------------------------------------------------

/** Let the controls say what the answers say. */
function fill() {
  const several = answers.layout !== "markers" || answers.torch_backend.includes(" ");
  for (const build of form.querySelectorAll("input[name=torch_backend]")) {
    build.type = several ? "checkbox" : "radio";
  }
  for (const name of ["torch_version", "python_version", "torch_backend", "companions"]) {
    for (const word of wordsOf(answers[name])) if (word !== "none") add(name, word);
  }
  for (const control of form.elements) if (control.name) set(control);
  // An older release that is chosen stands with the others, unless it was just chosen there.
  const older = form.querySelector(".more [name=torch_version]:checked:not(:focus)");
  const newer = form.querySelector("[name=torch_version]").closest(".chips");
  if (older) newer.append(older.closest("label"));
}

function set(control) {
  const { name, type, value, dataset: { platform } } = control;
  const answer = answers[name];
  const words = wordsOf(answer).filter((word) => word.split("=")[0] === platform);
  if (control.matches("select")) {
    const overrides = words.map((word) => word.slice(platform.length)).join(" ");
    if (![...control.options].some((option) => option.value === overrides)) {
      control.append(new Option(overrides.replaceAll("=", ""), overrides));
    }
    control.value = overrides;
  } else if (type === "text") {
    const chips = [...form.querySelectorAll(`[type=radio][name=${name}]`)];
    control.value = chips.some((chip) => chip.value === answer) ? "" : answer;
  } else {
    control.checked = platform ? words.length > 0 : wordsOf(answer).includes(value);
  }
}

/** Add a chip for a word that has none, such as a build with a name of its own. */
function add(name, word) {
  const chips = [...form.querySelectorAll(`input[name=${name}]`)];
  if (chips.some((chip) => chip.value === word)) return;
  const alike = chips.find((chip) => chip.value === word.split(/[=+]/).at(-1)) ?? chips.at(-1);
  const label = alike.closest("label").cloneNode(true);
  label.control.value = label.querySelector("span").textContent = word;
  alike.closest("label").after(label);
}

/** Mark the controls in sight whose choice would be refused: a click would lead there. */
async function mark() {
  const mine = turn;
  const chips = chipsInSight();
  for (let at = 0; at < chips.length; at += 10) {
    // A few at a time: the next choice does not wait for the marks of this one.
    const some = chips.slice(at, at + 10);
    const flags = await ask("refused", ...some.map((chip) => after(chip, true)));
    if (mine !== turn) return;
    some.forEach((chip, place) => strike(chip, flags[place] && !chip.checked));
  }
  performance.mark("marked");
}

const chipsInSight = () => [...form.querySelectorAll(".chips input:not([type=text])")]
  .filter((chip) => chip.closest("label").checkVisibility());

function strike(chip, refused) {
  chip.closest("label").classList.toggle("refused", refused);
  if (refused) chip.setAttribute("aria-describedby", "refused");
  else chip.removeAttribute("aria-describedby");
}

// --- Showing -------------------------------------------------------------------------------------

/** Show a choice: in the form at once, its plan when it is there, and no other plan until then. */
async function show(given, { known = answers, isBack = false } = {}) {
  turn += 1;
  const mine = turn;
  choice = tidy(given);
  answers = { ...known, ...choice };
  fill();
  const hash = `#${link(choice)}`;
  if (!isBack && hash !== location.hash) history.pushState(null, "", hash);
  result.ariaBusy = "true";
  result.inert = true;
  const wait = setTimeout(working, 100);
  try {
    const said = (await ready)[link(choice)] ?? (await ask("say", choice));
    if (mine !== turn) return;
    display(said);
    mark().catch(failed);
  } catch (error) {
    if (mine === turn) failed(error);
  } finally {
    clearTimeout(wait);
  }
}

/** Say that the plan is not there yet, in the place of one that nobody asked for. */
function working() {
  result.replaceChildren(document.querySelector("#working").content.cloneNode(true));
  chipsInSight().forEach((chip) => strike(chip, false));
  announce();
}

/** Say in every width what is shown: where the result is out of sight, in the bar. */
function announce() {
  const heading = result.querySelector("h2, .problem").textContent;
  const command = result.querySelector("#command");
  status.textContent = heading;
  bar.classList.toggle("refused", result.querySelector(".problem") !== null);
  jump.textContent = `${heading} ↓`;
  bar.querySelector("#brief").textContent = command?.textContent ?? "";
  bar.querySelector(".copy").disabled = !command;
}

function failed(error) {
  const textContent = `The rules of the template do not run in this browser: ${error}`;
  const message = document.createElement("p");
  Object.assign(message, { className: "problem", role: "alert", textContent });
  result.querySelector("[role=alert]")?.remove();
  // Where nothing can be said of a choice, what was said of the last one goes.
  if (result.ariaBusy === "true") result.replaceChildren(message);
  else result.prepend(message);
  done();
}

function done() {
  result.ariaBusy = "false";
  result.inert = false;
  for (const row of result.querySelectorAll(`[data-platform=${system.value}]`)) {
    row.parentElement.prepend(row);
  }
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  announce();
}

function display(said) {
  answers = said.answers;
  result.innerHTML = said.html;
  done();
  const lines = [...result.querySelectorAll("[data-line]")];
  for (const line of shown.size ? lines : []) {
    line.classList.toggle("changed", !shown.has(line.textContent));
  }
  shown = new Set(lines.map((line) => line.textContent));
  fill();
  performance.mark("shown");
}

// --- What you have -------------------------------------------------------------------------------

/** Return the platform of this browser; of a Mac all say that it has an Intel processor. */
function ownPlatform() {
  const { userAgent, platform } = navigator;
  const isArm = /aarch64|arm64/i.test(`${userAgent} ${platform}`);
  if (/^Mac|^iP/.test(platform)) return "macos-arm64";
  const name = /^Win/.test(platform) ? "windows" : "linux";
  return `${name}-${isArm ? (name === "linux" ? "aarch64" : "arm64") : "x86_64"}`;
}

async function advise() {
  const why = document.querySelector("#why");
  if (!hardware.value.trim() && !system.value.startsWith("macos")) return;
  why.textContent = "Working it out …";
  const [change, sentence] = await ask("have", hardware.value, system.value);
  why.textContent = sentence;
  if (change.torch_version) show({ ...choice, ...change });
}

/** Copy a text, and say whether that was possible: it is not on every host, nor allowed. */
async function copy(button) {
  const text = document.getElementById(button.dataset.copy);
  getSelection().selectAllChildren(text);
  let outcome = "Copied";
  try {
    await navigator.clipboard.writeText(text.textContent.trim());
  } catch {
    outcome = "Selected: press Ctrl+C or ⌘C";
  }
  status.textContent = button.firstChild.data = outcome;
  setTimeout(() => { button.firstChild.data = "Copy"; }, 3000);
}

form.addEventListener("change", ({ target }) => {
  if (!target.name) {
    if (target === system) done();
    advise().catch(failed);
    return;
  }
  // A build for a platform is a choice of the platform too.
  if (target.matches("select")) target.previousElementSibling.control.checked = true;
  show(after(target, target.checked ?? true));
});
form.addEventListener("toggle", () => mark().catch(failed), true);
form.addEventListener("submit", (event) => event.preventDefault());
hardware.addEventListener("paste", () => setTimeout(() => advise().catch(failed)));
result.addEventListener("toggle", async ({ target }) => {
  if (target.open) opened.add(target.id);
  else opened.delete(target.id);
  if (target.id !== "files" || !target.open || target.childElementCount > 1) return;
  target.insertAdjacentHTML("beforeend", await ask("files", choice).catch(failed));
}, true);
form.addEventListener("reset", (event) => {
  event.preventDefault();
  show({}, { known: defaults });
});

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-way], [data-copy]");
  if (button?.dataset.way) {
    await show({ ...choice, ...JSON.parse(button.dataset.way) });
    result.focus();
  } else if (button?.dataset.copy) {
    copy(button);
  } else if (target === jump) {
    result.scrollIntoView();
  }
});

const follow = () => show(linked(), { known: defaults, isBack: true });
addEventListener("popstate", follow);
system.value = ownPlatform();
if (location.hash) {
  working();
  follow();
} else {
  choice = tidy({});
  display({ answers: defaults, html: result.innerHTML });
}
