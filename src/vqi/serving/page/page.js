// The page at /: sends photographs to POST /score, shows what it says, and sends what a person answers to
// POST /verdicts. Texts of others only ever become text.
"use strict";

const KEPT = 50; // parts in the list
const SIDE = 1400; // pixels of a picture's longer side
const at = (id) => document.getElementById(id);
const parts = []; // the newest first: {name, file, answer, error, opinions}
const SVG = "http://www.w3.org/2000/svg";
const goodParts = new Map(); // by model and version: what GET /good-parts says
let shown = null; // the part in the upper half of the page
let keeps = "off"; // what the service keeps of a photograph that is answered
let token = "";
let queue = Promise.resolve(); // one after the other, in the order in which they were chosen
let waiting = 0;

// ---------------------------------------------------------------------------------------------------- in words

const figure = (value) => Number(value.toPrecision(4)).toString();

function inWords(share) {
  if (share >= 0.995) return "all good parts are at least as unusual";
  for (const of of [10, 100, 1000]) {
    const count = Math.round(share * of);
    if (share * of >= 0.95) return `${count} of ${of.toLocaleString("en")} good parts ${count === 1 ? "is" : "are"} at least as unusual`;
  }
  return "fewer than 1 of 1,000 good parts is at least as unusual";
}

function places(answer) {
  if (!answer.boxes.length) return answer.flagged ? "no single place stands out" : "nothing stands out";
  const [{ x, y, width, height }] = answer.boxes;
  const more = answer.boxes.length - 1;
  return `${width} × ${height} pixels at ${x}, ${y}` + (more ? `, and ${more} more` : "") + "; outlined in the picture";
}

// ------------------------------------------------------------------------------------------------------- sending

function send(files) {
  for (const file of files) {
    waiting += 1;
    queue = queue.then(() => score(file)).finally(() => { waiting -= 1; });
  }
}

const scored = (file, picture, model) => fetch(`/score?${new URLSearchParams({ picture, model })}`, {
  method: "POST", body: file, headers: headers({ "Content-Type": "application/octet-stream", Accept: "application/json" }),
});

async function score(file) {
  say(`Scoring ${file.name || "the photograph"}${waiting > 1 ? `, ${waiting - 1} more to come` : ""} …`);
  try {
    const response = await scored(file, SIDE, at("model").value);
    const answer = await response.json();
    if (response.status === 401) askForToken();
    if (!response.ok) throw new Error(answer.error.replace(/^the photograph: /, ""));
    await learnGoodParts(answer);
    add({ name: file.name, file, answer, opinions: [] });
    say(waiting > 1 ? "" : "Done.");
  } catch (error) {
    add({ name: file.name, error: error.message });
    say(`${file.name || "The photograph"}: ${error.message}`, true);
  }
}

const headers = (others) => (token ? { ...others, Authorization: `Bearer ${token}` } : others);

function say(text, wrong = false) {
  at("status").textContent = text;
  at("status").classList.toggle("wrong", wrong);
}

// ------------------------------------------------------------------------------------------------------- showing

function add(part) {
  parts.unshift(part);
  parts.length = Math.min(parts.length, KEPT);
  at("none").hidden = true;
  if (part.answer) shown = part;
  list();
  if (part.answer) show(part);
}

function list() {
  at("list").replaceChildren(...parts.map(line));
  for (const part of parts) part.button.setAttribute("aria-current", String(part === shown));
}

function line(part) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const said = document.createElement("strong");
  const name = document.createElement("span");
  button.type = "button";
  name.className = "quiet";
  name.textContent = part.name || "photograph";
  if (part.answer) {
    const image = document.createElement("img");
    image.src = part.answer.picture;
    image.alt = "";
    button.append(image);
    said.textContent = `${verdict(part.answer)}, ${figure(part.answer.score)}`;
    button.classList.toggle("is-flagged", part.answer.flagged);
    button.addEventListener("click", () => { show(part); at("result").focus(); });
  } else {
    said.textContent = "No score";
    name.textContent += `: ${part.error}`;
    button.disabled = true;
    button.classList.add("is-flagged");
  }
  part.button = button;
  button.append(said, name);
  if (part.opinions?.length) {
    const told = document.createElement("span");
    told.className = "said";
    told.textContent = part.disagree ? "People disagree" : opinion(part.opinions.at(-1));
    button.append(told);
  }
  item.append(button);
  return item;
}

const verdict = (answer) => (answer.flagged ? "Not like the good parts" : "Like the good parts");

function show(part) {
  shown = part;
  const answer = part.answer;
  const result = at("result");
  result.hidden = false;
  result.classList.toggle("is-flagged", answer.flagged);
  result.classList.toggle("is-passed", !answer.flagged);
  at("name").textContent = part.name;
  at("verdict").textContent = `${answer.flagged ? "✕" : "✓"} ${verdict(answer)}`;
  at("meaning").textContent = answer.flagged ? "Look at this part: its score is above the threshold." : "Its score is not above the threshold.";
  at("score").textContent = figure(answer.score);
  at("threshold").textContent = figure(answer.threshold);
  at("share").textContent = inWords(answer.p_value);
  at("where").textContent = places(answer);
  at("version").textContent = `${answer.model}, version ${answer.version}`;
  // the threshold is in the middle of the bar
  at("fill").style.width = `${Math.min(100, answer.threshold > 0 ? (50 * answer.score) / answer.threshold : 100)}%`;
  at("picture").src = answer.picture;
  at("picture").alt = `The photograph. ${verdict(answer)}. ${places(answer)}.`;
  for (const other of parts) other.button?.setAttribute("aria-current", String(other === part));
  draw(answer);
  ask(part);
}

// ------------------------------------------------------------------------------------- among the good parts' scores

const LEFT = 10, RIGHT = 530, TOP = 26, BASE = 104; // of the chart, in its own units

async function learnGoodParts({ model, version }) {
  if (goodParts.has(`${model} ${version}`)) return;
  const found = await fetch(`/good-parts?${new URLSearchParams({ model })}`, { headers: headers({}) })
    .then((response) => (response.ok ? response.json() : null))
    .catch(() => null); // a score is shown without them, too
  if (found) goodParts.set(`${model} ${found.version}`, found);
}

function drawn(kind, attributes, text = "") {
  const one = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
  one.textContent = text;
  return one;
}

// A histogram of good parts with the threshold and this part; the bar where their scores are not known.
function draw(answer) {
  const found = goodParts.get(`${answer.model} ${answer.version}`);
  const known = Boolean(found?.images);
  at("spread").hidden = !known;
  at("bar").hidden = known;
  if (!known) return;
  const { edges, counts } = found;
  const low = edges[0];
  const high = low + (1.35 * (Math.max(edges.at(-1), answer.threshold) - low) || 1);
  const x = (value) => LEFT + (RIGHT - LEFT) * Math.min(1, Math.max(0, (value - low) / (high - low)));
  const most = Math.max(...counts);
  const bars = counts.map((count, i) => {
    const height = ((BASE - TOP) * count) / most;
    return drawn("rect", { class: "bar", x: x(edges[i]) + 0.5, y: BASE - height, width: Math.max(1, x(edges[i + 1]) - x(edges[i]) - 1), height });
  });
  const part = x(answer.score), limit = x(answer.threshold);
  const side = (place) => (place > 400 ? "end" : place < 140 ? "start" : "middle");
  at("chart").replaceChildren(
    ...bars,
    drawn("line", { class: "axis", x1: LEFT, x2: RIGHT, y1: BASE, y2: BASE }),
    drawn("line", { class: "threshold", x1: limit, x2: limit, y1: TOP - 4, y2: BASE }),
    drawn("text", { x: limit, y: BASE + 19, "text-anchor": side(limit) }, "threshold"),
    drawn("path", { class: "mark", d: `M${part} ${BASE} l-8 -14 h5 V${TOP} h6 V${BASE - 14} h5 z` }),
    drawn("text", { class: "part", x: part, y: TOP - 9, "text-anchor": side(part) }, answer.score > high ? "this part, beyond the scale →" : "this part"),
  );
  at("legend").textContent = `Scores of the ${found.images.toLocaleString("en")} good parts that set the threshold; this part is ${answer.flagged ? "above" : "not above"} it`;
}

// ----------------------------------------------------------------------------------------------- what a person says

const mine = (part) => part.opinions.find((one) => one.by === at("who").value.trim());

function opinion(one) {
  const said = one.verdict === "good" ? "good part" : one.defect_type ? `defect, ${one.defect_type}` : one.verdict;
  const of = { "false alarm": " (false alarm)", "missed defect": " (missed by the model)" }[one.outcome] ?? "";
  return `${one.by === at("who").value.trim() ? "You" : one.by}: ${said}${of}`;
}

function ask(part) {
  at("answer").hidden = keeps === "off";
  at("question").textContent = part.answer.flagged ? "Was this alarm right?" : "Is it really good?";
  at("undo").disabled = !mine(part);
  const disagree = part.disagree ? " People disagree: the last answer counts, and the photograph does not train." : "";
  tell(part.opinions.map(opinion).join("; ") + (part.opinions.length ? "." : "") + disagree);
}

function tell(text, wrong = false) {
  at("answered").textContent = text;
  at("answered").classList.toggle("wrong", wrong);
}

const posted = (part, verdict, by) => fetch("/verdicts", {
  method: "POST",
  headers: headers({ "Content-Type": "application/json" }),
  body: JSON.stringify({
    model: part.answer.model, sha256: part.answer.sha256, verdict, by, name: part.name,
    defect_type: verdict === "defect" ? at("kind").value.trim() : "",
  }),
});

async function answer(verdict) {
  const part = shown, by = at("who").value.trim();
  if (!part || part.busy) return;
  if (waiting) return tell("Wait until all photographs are scored: the part that is shown still changes.", true);
  if (!by) {
    at("who").focus();
    return tell("Write your name first: an answer has one.", true);
  }
  part.busy = true;
  try {
    let response = await posted(part, verdict, by);
    if (response.status === 404) { // the service has forgotten it, or is another one by now
      const again = await scored(part.file, 0, part.answer.model);
      if (again.ok) {
        Object.assign(part.answer, await again.json());
        await learnGoodParts(part.answer);
        response = await posted(part, verdict, by);
      }
    }
    const reply = await response.json();
    if (response.status === 401) askForToken();
    if (!response.ok) throw new Error(reply.error);
    Object.assign(part, { opinions: reply.opinions, disagree: reply.disagree });
    learnKind(verdict === "defect" ? at("kind").value.trim() : "");
    list();
    if (part === shown) show(part);
  } catch (error) {
    tell(error.message, true);
  } finally {
    part.busy = false;
  }
}

function learnKind(kind) {
  const known = [...at("kinds").options].map((one) => one.value);
  if (kind && !known.includes(kind)) at("kinds").append(new Option(kind, kind));
}

function nextAlarm() {
  const open = parts.filter((part) => part.answer?.flagged && !mine(part) && part !== shown);
  const older = open.find((part) => parts.indexOf(part) > parts.indexOf(shown)) ?? open[0];
  if (older) show(older);
  else tell("No other alarm is without an answer of yours.");
}

// ---------------------------------------------------------------------------------------------- what a person does

for (const id of ["files", "camera"]) {
  at(id).addEventListener("change", (event) => {
    send(event.target.files);
    event.target.value = ""; // so that the same file may be chosen again
  });
}

// A photograph that is dropped beside the place for it must not replace the page.
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") send(event.dataTransfer.files);
  });
}

document.addEventListener("paste", (event) => send(event.clipboardData.files));

const DOES = {
  good: () => answer("good"), defect: () => answer("defect"), unclear: () => answer("unclear"),
  undo: () => { if (!at("undo").disabled) answer("taken back"); }, next: nextAlarm, help: () => at("keys").showModal(),
};
const KEYS = { g: "good", d: "defect", u: "unclear", z: "undo", n: "next", "?": "help" };
for (const [id, does] of Object.entries(DOES)) at(id).addEventListener("click", does);
at("close").addEventListener("click", () => at("keys").close());
at("answer").addEventListener("submit", (event) => event.preventDefault());
at("kind").addEventListener("keydown", (event) => { if (event.key === "Enter") answer("defect"); });

document.addEventListener("keydown", (event) => {
  const does = DOES[KEYS[event.key?.toLowerCase()]];
  const writes = event.target.closest?.("input[type=text], input[type=password], select, dialog");
  if (!does || writes || event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing) return;
  if (at("answer").hidden || !at("single").checked) return;
  event.preventDefault();
  does();
});

// A browser may refuse to keep anything: then the name is asked for again.
function kept(name, value) {
  try {
    if (value !== undefined) localStorage.setItem(name, value);
    return localStorage.getItem(name) ?? "";
  } catch {
    return "";
  }
}

at("who").value = kept("who");
at("who").addEventListener("change", () => {
  kept("who", at("who").value.trim());
  list();
  if (shown) ask(shown);
});
at("single").checked = kept("keys") !== "off";
at("single").addEventListener("change", () => kept("keys", at("single").checked ? "on" : "off"));

at("access").addEventListener("submit", (event) => {
  event.preventDefault();
  token = at("token").value.trim();
  at("token").value = "";
  at("access").hidden = true;
  say("");
  listModels();
});

function askForToken() {
  token = "";
  at("access").hidden = false;
  at("token").focus();
}

async function listModels() {
  try {
    const response = await fetch("/models", { headers: headers({}) });
    if (response.status === 401) {
      askForToken();
      say("This service asks for a token.");
      return;
    }
    const { models, verdicts } = await response.json();
    keeps = verdicts;
    if (keeps === "photograph") at("kept").textContent = "A photograph that you answer is kept, with your name; no other one is.";
    if (keeps === "digest") at("kept").textContent = "Of a photograph that you answer the digest is kept, with your name; no photograph is.";
    at("model").replaceChildren(...models.map(({ name }) => new Option(name, name)));
    at("choice").hidden = models.length < 2;
  } catch (error) {
    say(`The service does not respond: ${error.message}`, true);
  }
}

listModels();
