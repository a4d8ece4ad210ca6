// What is said of one token: the plot of its alternatives, and a table of the same.

import { alternatives } from "./alternatives.js";
import { plot } from "./plot.js";
import { element, percent, visible } from "./text.js";

const FATES = { truncated: "removed", forbidden: "forbidden", either: "forbidden or removed" };

/** Fills `panel` with what is known of a step: the token, its alternatives, what was done to them. */
export function showStep(panel, step, processing) {
  const rows = alternatives(step, processing);
  const compared = step.before !== null;
  const plotted = rows.some((row) => row.after > 0 || row.before > 0);
  panel.replaceChildren(
    headline(step),
    element(
      "div",
      { class: "views" },
      ...(plotted ? [element("figure", {}, plot(rows), caption(compared))] : []),
      table(rows, step, compared),
    ),
    element("p", { class: "quiet" }, summary(rows, step, processing)),
  );
}

function headline(step) {
  const { token } = step;
  const shown = element("code", {}, visible(token.text));
  return element("p", { class: "headline" }, `Token ${step.index}: `, shown, ` id ${token.id}`);
}

function caption(compared) {
  const keys = [element("span", { class: "key after" }), " drawn from"];
  if (compared) keys.push(element("span", { class: "key before" }), " the model's own");
  return element("figcaption", {}, ...keys);
}

function table(rows, step, compared) {
  const titles = ["token", "id", ...(compared ? ["before"] : []), compared ? "after" : "probability", ""];
  const head = titles.map((title) =>
    title ? element("th", { scope: "col" }, title) : element("th", { scope: "col" }, hidden("fate")),
  );
  const lines = rows.map((row) => {
    const name = element("th", { scope: "row" }, element("code", {}, visible(row.text)));
    const cells = [element("td", {}, String(row.id))];
    if (compared) cells.push(element("td", {}, known(row.before)));
    cells.push(element("td", {}, known(row.after)));
    cells.push(element("td", { class: "fate" }, fateText(row)));
    const line = element("tr", { class: row.chosen ? "chosen" : row.fate }, name, ...cells);
    return line;
  });
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of alternatives" },
    element(
      "table",
      {},
      element("caption", {}, hidden(`Alternatives to token ${step.index}`)),
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...lines),
    ),
  );
}

function hidden(text) {
  return element("span", { class: "hidden" }, text);
}

function known(probability) {
  return probability === undefined ? "not listed" : percent(probability);
}

function fateText(row) {
  if (row.chosen) return "chosen";
  if (row.fate === "unlisted") return "not among the first";
  return row.fate === "kept" ? "" : `${FATES[row.fate]}: ${row.by.join(" or ")}`;
}

function summary(rows, step, processing) {
  const listed = step.after.length;
  const all = listed < step.limit;
  const mass = rows.reduce((sum, row) => sum + (row.after ?? 0), 0);
  const rest = all ? "no other token could be drawn" : `all others together ${percent(Math.max(1 - mass, 0))}`;
  const steps = [
    ...processing.edits,
    ...(processing.grammar ? ["grammar"] : []),
    ...(processing.greedy ? [] : ["temperature"]),
    ...processing.truncations,
  ];
  const done = steps.length ? `Between before and after: ${steps.join(", ")}.` : "";
  return `Listed: ${listed}; ${rest}. ${done}`;
}
