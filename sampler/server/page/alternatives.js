// What can be said of the alternatives to a token, from the two lists that the server gives.
//
// `after` is what the token was drawn from: penalties, grammar and truncation have been at work.
// `before` is the model's own distribution, from a second request with the same seed; null without.
// Both have the most probable tokens first, `limit` at most; fewer in `after` are all there are.

import { isGreedy } from "./form.js";

const EDITS = { repetition_penalty: 1, frequency_penalty: 0, presence_penalty: 0 };
const TRUNCATIONS = { top_k: 0, top_p: 1, typical_p: 1, min_p: 0 };

/** What a request does to the distribution, from its parameters as JSON texts. */
export function processingOf(parameters) {
  const value = (name, neutral) => JSON.parse(parameters.get(name) ?? "null") ?? neutral;
  const active = (table) => Object.keys(table).filter((name) => value(name, table[name]) !== table[name]);
  const edits = active(EDITS);
  if (value("watermark", false)) edits.push("watermark");
  if (Object.keys(value("logit_bias", {})).length) edits.push("logit_bias");
  return {
    edits,
    truncations: isGreedy(parameters) ? [] : active(TRUNCATIONS),
    grammar: value("grammar", null) !== null,
    shortest: value("min_new_tokens", 0),
  };
}

/**
 * One row for each token of either list and for the one that was chosen: {id, text, special, chosen,
 * before, after, fate}. `before` and `after` are probabilities, undefined where not known, and 0
 * where the token cannot be drawn.
 */
export function alternatives(step, processing) {
  const rows = new Map();
  const add = (token, side) => {
    const known = rows.get(token.id) ?? { id: token.id, text: token.text, special: token.special };
    rows.set(token.id, { ...known, [side]: probability(token.logprob) });
  };
  step.after.forEach((token) => add(token, "after"));
  step.before?.forEach((token) => add(token, "before"));
  if (!rows.has(step.token.id)) add(step.token, "after");
  const chosen = rows.get(step.token.id);
  chosen.chosen = true;
  chosen.after ??= probability(step.token.logprob);
  if (step.before) chosen.before ??= probability(step.ownLogprob);
  for (const row of rows.values()) {
    row.fate = row.after === undefined ? fateOf(row, step, processing) : "kept";
    if (row.fate !== "kept" && row.fate !== "unlisted") row.after = 0;
  }
  return [...rows.values()].sort(
    (a, b) => (b.after ?? 0) - (a.after ?? 0) || (b.before ?? 0) - (a.before ?? 0) || a.id - b.id,
  );
}

/** The probability behind a logprob; null, which is -inf, is 0. */
export function probability(logprob) {
  return logprob === null ? 0 : Math.exp(logprob);
}

/**
 * Why a token of `before` is not in `after`: "forbidden" by the grammar, "truncated", "either" of
 * them, or "unlisted" as it may only be less probable than all that are listed.
 */
function fateOf(row, step, processing) {
  const masked = processing.grammar || (row.special && step.index <= processing.shortest);
  const truncated = processing.truncations.length > 0;
  if (step.after.length >= step.limit && !outranksKept(row, step, processing)) return "unlisted";
  if (!masked) return truncated ? "truncated" : "unlisted";
  if (!truncated) return "forbidden";
  const prefix = !processing.truncations.includes("typical_p");
  return prefix && outranksKept(row, step, processing) ? "forbidden" : "either";
}

/**
 * Whether the model finds a token more probable than one that was kept. Without edits the ranks stay
 * as they are, so no truncation by rank can have taken it out.
 */
function outranksKept(row, step, processing) {
  if (processing.edits.length) return false;
  const place = new Map(step.before.map((token, index) => [token.id, index]));
  const own = place.get(row.id);
  return step.after.some((token) => (place.get(token.id) ?? Infinity) > own);
}
