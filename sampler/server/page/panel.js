// What is said of one token: a plot of its alternatives before and after a processor, and a table of
// what each processor makes of them.

import { alternatives, compared, fate } from "./alternatives.js";
import { plot } from "./plot.js";
import { element, percent, visible } from "./text.js";

const PLOTTED = 20;
const ALL = "all processors";
let plotted = ALL; // what the plot compares, from one token to the next

/** Fills `panel` with a step and what is known of it: {trace}, {error} or nothing yet. */
export function showStep(panel, step, known) {
  panel.setAttribute("aria-busy", String(!known.trace && !known.error));
  panel.replaceChildren(headline(step), ...views(step, known));
}

/** Fills `panel` with the newest token, of which nothing was asked. */
export function showNewest(panel, step) {
  const hint = "Point at a token to see what else could have stood there.";
  panel.setAttribute("aria-busy", "false");
  panel.replaceChildren(headline(step), element("p", { class: "quiet" }, hint));
}

function headline(step) {
  const shown = element("code", {}, visible(step.token.text));
  return element("p", { class: "headline" }, `Token ${step.index}: `, shown, ` id ${step.token.id}`);
}

function views(step, { trace, error }) {
  if (error) {
    const text = [error.status, error.message].filter(Boolean).join(": ");
    return [element("p", { class: "error", role: "alert" }, `There are no alternatives to show: ${text}`)];
  }
  if (!trace) return [element("p", { class: "quiet" }, "Looking at the alternatives …")];
  const rows = alternatives(trace, step.token.id);
  return [
    element("p", { class: "quiet" }, summary(trace)),
    element("div", { class: "views" }, comparison(trace, rows), table(step, trace, rows)),
  ];
}

function summary({ stages }) {
  const [model, ...others] = stages;
  const cuts = others.filter((stage, index) => stage.size < stages[index].size);
  const left = cuts.map((stage) => ` → ${stage.name} ${stage.size}`);
  return `Tokens that are left: ${model.size}${left.join("")}.`;
}

/** The plot, and the choice of what it compares. */
function comparison({ stages }, rows) {
  const choices = new Map([[ALL, [0, stages.length - 1]]]);
  stages.forEach((stage, index) => index && choices.set(stage.name, [index - 1, index]));
  if (!choices.has(plotted)) plotted = ALL;
  const options = [...choices.keys()].map((name) => element("option", { value: name }, name));
  const select = element("select", { id: "compared" }, ...options);
  select.value = plotted;
  const figure = element("figure");
  const draw = () => {
    const pairs = compared(rows, ...choices.get(select.value), PLOTTED);
    figure.replaceChildren(plot(pairs), caption());
  };
  select.addEventListener("change", () => {
    plotted = select.value;
    draw();
  });
  draw();
  return element("div", {}, element("label", { class: "choice" }, "Before and after ", select), figure);
}

function caption() {
  const key = (name) => element("span", { class: `key ${name}` });
  return element("figcaption", {}, key("after"), " after", key("before"), " before");
}

function table(step, { stages }, rows) {
  const titles = ["token", "id", ...stages.map((stage) => stage.name), "fate"];
  const head = titles.map((title) => element("th", { scope: "col" }, ...breakable(title)));
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of alternatives" },
    element(
      "table",
      {},
      element("caption", {}, hidden(`Alternatives to token ${step.index}: probability after each processor`)),
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...rows.map(line)),
    ),
  );
}

/** A name that may be broken behind each of its underscores. */
function breakable(name) {
  return name.split(/(?<=_)/).flatMap((piece) => [piece, element("wbr")]);
}

function line(row) {
  const name = element("th", { scope: "row" }, element("code", {}, visible(row.text)));
  const cells = row.probabilities.map((p) => element("td", {}, p > 0 ? percent(p) : gone()));
  const kind = row.chosen ? "chosen" : row.removedBy === null ? "kept" : "removed";
  const said = element("td", { class: "fate" }, fate(row));
  return element("tr", { class: kind }, name, element("td", {}, String(row.id)), ...cells, said);
}

/** A dash, which is read as what it means. */
function gone() {
  const cell = document.createDocumentFragment();
  cell.append(element("span", { "aria-hidden": "true" }, "–"), hidden("not left"));
  return cell;
}

function hidden(text) {
  return element("span", { class: "hidden" }, text);
}
