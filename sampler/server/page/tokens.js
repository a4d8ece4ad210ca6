// The list of tokens: one option each, coloured by probability; the arrow keys go through it.

import { probability } from "./alternatives.js";
import { element, percent, spoken, visible } from "./text.js";

const MOVES = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10 };

export class TokenList {
  /** `choose` is called with the index of the token that is to be shown. */
  constructor(list, choose) {
    this._list = list;
    this._choose = choose;
    this._chosen = -1;
    this._pointed = -1;
    this._follows = true; // the end stays in sight, unless somebody has scrolled away from it
    list.addEventListener("scroll", () => {
      this._follows = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    });
    list.addEventListener("keydown", (event) => this._key(event));
    list.addEventListener("focus", () => this.size && this.select(Math.max(this._chosen, 0)));
    list.addEventListener("click", (event) => this._point(event, true));
    list.addEventListener("pointerover", (event) => this._point(event, false));
    list.addEventListener("pointerleave", () => {
      this._pointed = -1;
      choose(this.shown);
    });
  }

  get size() {
    return this._list.children.length;
  }

  /** The index of the token that is pointed at, else of the chosen one, else of the last. */
  get shown() {
    if (this._pointed >= 0) return this._pointed;
    return this._chosen < 0 ? this.size - 1 : this._chosen;
  }

  /** Whether nobody looks at a token of their choice. */
  get isUnwatched() {
    return this._pointed < 0 && this._chosen < 0;
  }

  clear() {
    this._follows = true;
    this._list.replaceChildren();
    this._list.removeAttribute("aria-activedescendant");
    this._chosen = this._pointed = -1;
  }

  /** Appends a token of the wire. */
  add(token) {
    const p = probability(token.logprob);
    const option = element("span", {
      role: "option",
      id: `token-${this.size}`,
      "aria-selected": "false",
      "aria-label": `${spoken(token.text)}, ${percent(p)}`,
      class: token.special || token.text === "" ? "token special" : "token",
    });
    option.style.setProperty("--doubt", String(1 - p));
    option.append(...pieces(token));
    this._list.append(option);
  }

  /** Scrolls to the end, where it was in sight. */
  follow() {
    if (this._follows) this._list.scrollTop = this._list.scrollHeight;
  }

  /** Makes a token the chosen one. */
  select(index) {
    const chosen = this._list.children[index];
    if (!chosen) return;
    this._list.children[this._chosen]?.setAttribute("aria-selected", "false");
    chosen.setAttribute("aria-selected", "true");
    chosen.scrollIntoView({ block: "nearest" });
    this._list.setAttribute("aria-activedescendant", chosen.id);
    this._chosen = index;
    this._choose(index);
  }

  _key(event) {
    const last = this.size - 1;
    const jumps = { Home: 0, End: last, PageDown: this._chosen + 50, PageUp: this._chosen - 50 };
    const aim = event.key in MOVES ? this._chosen + MOVES[event.key] : jumps[event.key];
    if (aim === undefined || last < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.select(Math.min(Math.max(aim, 0), last));
  }

  _point(event, stays) {
    const option = event.target.closest('[role="option"]');
    if (!option) return;
    this._pointed = [...this._list.children].indexOf(option);
    if (stays) this.select(this._pointed);
    else this._choose(this._pointed);
  }
}

/** The text of a token with its line breaks, each behind a sign for it. */
function pieces(token) {
  if (token.special || token.text === "") return [visible(token.text)];
  return token.text.split(/(\n)/).flatMap((piece) => {
    if (piece !== "\n") return piece ? [piece] : [];
    return [element("span", { class: "sign" }, "⏎"), piece];
  });
}
