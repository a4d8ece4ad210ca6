// The distribution as a plot: probability by rank, on a logarithmic scale.

import { drawn, percent, visible } from "./text.js";

const WIDTH = 420;
const HEIGHT = 230;
const LEFT = 50;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 34;

/** The plot of the rows that `compared` gives; ranks are places in these rows. */
export function plot(rows) {
  const known = rows.flatMap((row) => [row.before, row.after]).filter((p) => p > 0);
  const decades = Math.min(Math.max(Math.ceil(-Math.log10(Math.min(...known, 0.1)) - 1e-9), 1), 12);
  const step = (WIDTH - LEFT - RIGHT) / rows.length;
  const x = (rank) => LEFT + step * (rank + 0.5);
  const y = (p) => TOP + (HEIGHT - TOP - BOTTOM) * Math.min(-Math.log10(p) / decades, 1);
  const picture = drawn("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: "img",
    "aria-label": `Probabilities of ${rows.length} tokens on a logarithmic scale; the table has them`,
    class: "plot",
  });
  picture.append(...grid(decades, y), ...bars(rows, { x, y, step }), ...labels(rows, x, step));
  return picture;
}

function grid(decades, y) {
  const every = Math.ceil(decades / 4);
  const lines = [];
  for (let decade = 0; decade <= decades; decade += every) {
    const height = y(10 ** -decade);
    lines.push(
      drawn("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: height, y2: height, class: "grid" }),
      drawn("text", { x: LEFT - 6, y: height + 4, "text-anchor": "end" }, powerLabel(decade)),
    );
  }
  return lines;
}

function powerLabel(decade) {
  return decade <= 2 ? `${100 / 10 ** decade}%` : `${(100 / 10 ** decade).toPrecision(1)}%`;
}

/** A bar for the probability after, a dot for the one before. */
function bars(rows, { x, y, step }) {
  const width = Math.min(step * 0.6, 22);
  const marks = [];
  rows.forEach((row, rank) => {
    const middle = x(rank);
    if (row.after > 0) {
      const top = y(row.after);
      const box = { x: middle - width / 2, y: top, width, height: Math.max(HEIGHT - BOTTOM - top, 1) };
      const kind = row.chosen ? "after chosen" : "after";
      marks.push(titled(drawn("rect", { ...box, rx: 2, class: kind }), row));
    }
    if (row.before > 0) {
      const kind = row.after === 0 ? "before lost" : "before";
      const dot = { cx: middle, cy: y(row.before), r: Math.min(width / 3, 5), class: kind };
      marks.push(titled(drawn("circle", dot), row));
    }
  });
  return marks;
}

function titled(mark, row) {
  const said = [row.before, row.after].map(percent);
  mark.append(drawn("title", {}, `${visible(row.text)}: ${said[0]} before, ${said[1]} after`));
  return mark;
}

function labels(rows, x, step) {
  const fits = Math.max(Math.floor(step / 6.5), 1);
  return rows.map((row, rank) => {
    const text = visible(row.text);
    const short = text.length > fits ? `${text.slice(0, Math.max(fits - 1, 1))}…` : text;
    const place = { x: x(rank), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" };
    return drawn("text", { ...place, class: row.chosen ? "chosen" : "" }, step < 14 ? "" : short);
  });
}
