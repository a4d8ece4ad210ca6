// How tokens and numbers are written.

const SIGNS = { " ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍" };
// controls, what has no width, and what turns the direction of the text around it
const UNSEEN = /[ \p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** The text of a token with signs for what cannot be seen, ⟨200B⟩ for a character without one. */
export function visible(text) {
  if (text === "") return "∅";
  return text.replace(UNSEEN, (character) => SIGNS[character] ?? `⟨${codePoint(character)}⟩`);
}

function codePoint(character) {
  return character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
}

/** The text of a token as it is read aloud. */
export function spoken(text) {
  if (text === "") return "no text yet";
  if (text.trim()) return text;
  return [...text].map((c) => ({ " ": "space", "\n": "line break", "\t": "tab" })[c] ?? "blank").join(" ");
}

/** A probability in percent, with as many digits as say something. */
export function percent(probability) {
  if (probability === 0) return "0";
  const value = probability * 100;
  if (value < 0.001) return "<0.001%";
  if (value > 99.9 && value < 100) return ">99.9%";
  return `${value >= 10 ? value.toFixed(1) : value.toPrecision(2)}%`;
}

/** An element with attributes and children. */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same, of SVG. */
export function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
