// The page: what happens when a button is pressed, and when a token comes.

import {
  drawnSeed, formValues, fromFragment, isGreedy, numberText, requestBody, toFragment, typedParameters,
} from "./form.js";
import { showNewest, showStep } from "./panel.js";
import { ServerError, ask, eventsOf, headersWith } from "./stream.js";
import { TokenList } from "./tokens.js";
import { Tracer } from "./trace.js";

const byId = (id) => document.getElementById(id);
const form = byId("request");
const [panel, plain, text] = ["panel", "plain", "text"].map(byId);
const tokens = new TokenList(byId("tokens"), show);

let run = null; // the last generation: its steps, and what is needed to say something of them
let saving = 0;
let drawing = 0;

/** One generation, as far as it has come. */
function newRun(values) {
  const parameters = typedParameters(values);
  parameters.set("details", "true");
  const greedy = isGreedy(parameters);
  const drewSeed = !greedy && !parameters.has("seed");
  if (drewSeed) parameters.set("seed", drawnSeed());
  const mine = {
    inputs: values.inputs,
    parameters,
    greedy,
    drewSeed,
    headers: headersWith(values.token),
    topN: numberText(values.top_n),
    steps: [],
    stop: new AbortController(),
  };
  mine.tracer = new Tracer(mine, (index, known) => showStep(panel, mine.steps[index], known));
  return mine;
}

async function generate() {
  run?.stop.abort();
  run?.tracer.stop();
  showError(null);
  tokens.clear();
  plain.open = false;
  text.textContent = "";
  panel.replaceChildren("No token yet.");
  byId("keep-seed").hidden = true;
  const values = formValues(form);
  let mine;
  try {
    mine = run = newRun(values);
  } catch (error) {
    showError(error);
    return;
  }
  setRunning(true);
  say("Waiting for the first token");
  try {
    const body = requestBody(mine.inputs, mine.parameters);
    const options = { method: "POST", headers: mine.headers, body, signal: mine.stop.signal };
    await follow(mine, eventsOf(await ask("generate_stream", options)));
  } catch (error) {
    if (mine === run) ended(mine, error);
  } finally {
    mine.stop.abort();
    if (mine === run) {
      setRunning(false);
      show(tokens.shown);
    }
  }
}

/** Shows the tokens as they come. */
async function follow(mine, events) {
  for await (const event of events) {
    if (mine !== run) return;
    if (!mine.steps.length) say("Generating");
    mine.steps.push(event);
    tokens.add(event.token);
    if (!event.token.special) text.append(event.token.text);
    redraw();
    if (event.generated_text !== null) {
      text.textContent = event.generated_text;
      say(summary(mine, event.details));
      byId("keep-seed").hidden = !mine.drewSeed;
    }
  }
}

function summary(mine, details) {
  const parts = [`${details.generated_tokens} tokens after ${details.input_length} of the prompt`];
  parts.push(`ended by ${details.finish_reason}`);
  if (mine.greedy) parts.push("greedy");
  else parts.push(`seed ${mine.parameters.get("seed")}`);
  if (details.grammar_complete !== undefined) {
    parts.push(details.grammar_complete ? "the grammar is complete" : "the grammar is not complete");
  }
  return `Done: ${parts.join(", ")}.`;
}

function ended(mine, error) {
  if (error.name === "AbortError") {
    say(`Cancelled after ${mine.steps.length} tokens.`);
    return;
  }
  say(mine.steps.length ? `Failed after ${mine.steps.length} tokens.` : "Nothing was generated.");
  showError(error);
}

/** Shows the newest token in the next frame, unless somebody looks at another one. */
function redraw() {
  if (drawing) return;
  drawing = requestAnimationFrame(() => {
    drawing = 0;
    tokens.follow();
    const newest = run.steps.at(-1);
    const ended = run.stop.signal.aborted;
    if (newest && !ended && tokens.isUnwatched) showNewest(panel, newest);
  });
}

/** Shows what is known of a token. */
function show(index) {
  if (run?.steps[index]) run.tracer.look(index);
}

function say(words) {
  byId("status").textContent = words;
}

/** Shows an error and marks the fields that it names; null takes it away. */
function showError(error) {
  const box = byId("error");
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-errormessage");
  }
  box.hidden = error === null;
  box.textContent = "";
  if (error === null) return;
  const known = error instanceof ServerError;
  const kind = known ? [error.status, error.kind].filter(Boolean).join(" ") : "";
  box.textContent = kind ? `${kind}: ${error.message}` : error.message;
  for (const [, name] of error.message.matchAll(/`([a-z_]+)[^`]*`/g)) {
    const field = form.elements.namedItem(name);
    if (!(field instanceof HTMLElement)) continue;
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-errormessage", "error");
    const part = field.closest("details");
    if (part) part.open = true;
  }
}

function setRunning(running) {
  const cancel = byId("cancel");
  if (!running && document.activeElement === cancel) byId("generate").focus();
  cancel.disabled = !running;
  byId("tokens").setAttribute("aria-busy", String(running));
}

/** Fills the form from the address, unless that only names a place on the page. */
function load() {
  if (location.hash && !location.hash.includes("=")) return;
  fromFragment(form, location.hash);
  for (const part of form.querySelectorAll("details")) part.open = hasContent(part);
}

function hasContent(part) {
  const fields = [...part.querySelectorAll("input, textarea, select")];
  return fields.some((field) =>
    field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value,
  );
}

function save() {
  clearTimeout(saving);
  const fragment = toFragment(form);
  history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
}

async function share() {
  save();
  try {
    await navigator.clipboard.writeText(location.href);
    say("The link is copied; it has all but the bearer token.");
  } catch {
    say("The link stands in the address bar; it has all but the bearer token.");
  }
}

async function describeModel() {
  try {
    const answer = await ask("info", { headers: headersWith(form.elements.token.value) });
    const info = await answer.json();
    byId("model").textContent = `${info.model_id}, ${info.vocab_size} tokens`;
  } catch (error) {
    byId("model").textContent = `Model unknown: ${error.message}`;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  save();
  generate();
});
form.addEventListener("input", () => {
  clearTimeout(saving);
  saving = setTimeout(save, 200);
});
form.elements.token.addEventListener("change", describeModel);
byId("cancel").addEventListener("click", () => run?.stop.abort());
byId("share").addEventListener("click", share);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") run?.stop.abort();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
byId("keep-seed").addEventListener("click", () => {
  form.elements.seed.value = run.parameters.get("seed");
  byId("keep-seed").hidden = true;
  form.elements.seed.focus();
  save();
});
window.addEventListener("hashchange", load);
load();
describeModel();
