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
    topK: value("top_k", 0),
    grammar: value("grammar", null) !== null,
    shortest: value("min_new_tokens", 0),
  };
}

/**
 * One row for each token of either list and for the one that was chosen: {id, text, special, chosen,
 * before, after, fate, by}. `before` and `after` are probabilities, undefined where not known, and 0
 * where the token cannot be drawn. `fate` is "kept", "forbidden" (by a mask), "truncated", "either"
 * of them, or "unlisted": it may only be less probable than all that are listed. `by` names the
 * parameters one of which did it.
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
    Object.assign(row, row.after === undefined ? fateOf(row, step, processing) : fate("kept"));
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

function fate(name, by = []) {
  return { fate: name, by };
}

/** Why a token of `before` is not in `after`. */
function fateOf(row, step, processing) {
  const masks = masksOf(row, step, processing);
  const rank = step.before.findIndex((token) => token.id === row.id);
  const outranks = !processing.edits.length && outranksKept(rank, step);
  if (step.after.length >= step.limit && !outranks) return fate("unlisted");
  const cuts = truncationsOf(rank, outranks, masks, processing);
  if (!cuts.length) return masks.length ? fate("forbidden", masks) : fate("unlisted");
  return masks.length ? fate("either", [...masks, ...cuts]) : fate("truncated", cuts);
}

function masksOf(row, step, processing) {
  const masks = processing.grammar ? ["grammar"] : [];
  if (row.special && step.index <= processing.shortest) masks.push("min_new_tokens");
  return masks;
}

/**
 * The truncations that can have taken out the token at this rank. Without edits the model's ranks
 * are those of the truncations, but for forbidden tokens, which make them smaller.
 */
function truncationsOf(rank, outranks, masks, processing) {
  const { truncations, edits, topK } = processing;
  if (edits.length) return truncations;
  if (outranks) return truncations.filter((name) => name === "typical_p"); // the others go by rank
  if (!truncations.includes("top_k")) return truncations;
  if (rank < topK) return truncations.filter((name) => name !== "top_k");
  return masks.length ? truncations : ["top_k"]; // the first of them to be applied
}

/** Whether the model finds the token at this rank more probable than one that was kept. */
function outranksKept(rank, step) {
  const ranks = new Map(step.before.map((token, index) => [token.id, index]));
  return step.after.some((token) => (ranks.get(token.id) ?? Infinity) > rank);
}
