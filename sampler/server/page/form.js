// The form: its state in the address, and the request that it stands for.
//
// Numbers go out as they were typed: the server says what is wrong with them, and a seed of 64 bits
// is more than a number of JavaScript can hold.

const NUMBERS = [
  "temperature", "top_k", "top_p", "typical_p", "min_p", "seed",
  "repetition_penalty", "frequency_penalty", "presence_penalty",
  "max_new_tokens", "min_new_tokens",
];
const SWITCHES = ["do_sample", "watermark"];
const SHARED = [...NUMBERS, ...SWITCHES, "inputs", "stop", "grammar_type", "grammar", "top_n", "other"];
const JSON_NUMBER = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$/;
const SAMPLING = { temperature: 1, top_k: 0, top_p: 1, typical_p: 1, min_p: 0 };

/** The values of the form by name: texts, and true or false for its boxes. */
export function formValues(form) {
  const fields = [...form.elements].filter((field) => field.name);
  return Object.fromEntries(
    fields.map((field) => [field.name, field.type === "checkbox" ? field.checked : field.value]),
  );
}

/** What differs from the empty form, as the fragment of an address; never the bearer token. */
export function toFragment(form) {
  const shared = new URLSearchParams();
  for (const name of SHARED) {
    const field = form.elements[name];
    if (field.type === "checkbox") {
      if (field.checked !== field.defaultChecked) shared.set(name, field.checked ? "1" : "0");
    } else if (field.value) {
      shared.set(name, field.value);
    }
  }
  return shared.toString();
}

/** Fills the form from a fragment; what the fragment does not name is emptied. */
export function fromFragment(form, fragment) {
  const shared = new URLSearchParams(fragment.replace(/^#/, ""));
  for (const name of SHARED) {
    const field = form.elements[name];
    if (field.type === "checkbox") {
      field.checked = shared.has(name) ? shared.get(name) === "1" : field.defaultChecked;
    } else {
      field.value = shared.get(name) ?? "";
    }
  }
}

/** The parameters that were typed, each as JSON text by name; throws where that is impossible. */
export function typedParameters(values) {
  const typed = new Map();
  for (const name of NUMBERS) {
    const text = numberText(values[name]);
    if (text) typed.set(name, text);
  }
  for (const name of SWITCHES) if (values[name]) typed.set(name, "true");
  const stop = values.stop.split("\n").filter((line) => line);
  if (stop.length) typed.set("stop", JSON.stringify(stop));
  if (values.grammar_type) {
    const grammar = { type: values.grammar_type, value: values.grammar };
    typed.set("grammar", JSON.stringify(grammar));
  }
  for (const [name, value] of Object.entries(otherParameters(values.other))) {
    typed.set(name, JSON.stringify(value));
  }
  return typed;
}

/** What was typed into a field for a number, as JSON text; "" for nothing. */
export function numberText(typed) {
  const text = typed.trim();
  return !text || JSON_NUMBER.test(text) ? text : JSON.stringify(text);
}

function otherParameters(text) {
  if (!text.trim()) return {};
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`\`other\` parameters must be JSON: ${error.message}`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new Error("`other` parameters must be a JSON object");
  }
  return value;
}

/** The JSON text of a request for `inputs`; `parameters` and what there is `more` are JSON texts. */
export function requestBody(inputs, parameters, more = new Map()) {
  const body = new Map([["inputs", JSON.stringify(inputs)], ["parameters", object(parameters)], ...more]);
  return object(body);
}

function object(texts) {
  return `{${[...texts].map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(",")}}`;
}

/** Whether the most probable token is always taken, as the server decides it. */
export function isGreedy(parameters) {
  const value = (name, neutral) => JSON.parse(parameters.get(name) ?? "null") ?? neutral;
  if (value("temperature", 1) === 0) return true;
  const neutral = Object.entries(SAMPLING).every(([name, off]) => value(name, off) === off);
  return neutral && !value("do_sample", false);
}

/** A seed that a number of JavaScript holds exactly, as text. */
export function drawnSeed() {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return String((high % 2 ** 21) * 2 ** 32 + low);
}
