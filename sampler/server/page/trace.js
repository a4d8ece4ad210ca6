// The traces of the tokens of one generation: each is asked for when somebody looks at the token.

import { requestBody } from "./form.js";
import { ask } from "./stream.js";

const PATIENCE = 120; // milliseconds that a token is looked at before it is asked about

export class Tracer {
  /**
   * `show` is called with an index and what is known of that token: {trace}, {error} or, while the
   * server is asked, {}. Only the token that was looked at last is shown.
   */
  constructor(run, show) {
    this._run = run;
    this._show = show;
    this._known = new Map();
    this._index = -1;
    this._timer = 0;
    this._asking = null;
  }

  /** Shows the token at `index`. */
  look(index) {
    if (index === this._index) return;
    this.stop();
    this._index = index;
    const trace = this._known.get(index);
    this._show(index, trace ? { trace } : {});
    if (!trace) this._timer = setTimeout(() => this._ask(index), PATIENCE);
  }

  /** Nobody looks any more: what is being asked for is not wanted. */
  stop() {
    clearTimeout(this._timer);
    this._asking?.abort();
    this._index = -1;
  }

  async _ask(index) {
    const asking = new AbortController();
    this._asking = asking;
    const { inputs, parameters, headers } = this._run;
    const body = requestBody(inputs, parameters, this._question(index));
    try {
      const answer = await ask("trace", { method: "POST", headers, body, signal: asking.signal });
      const trace = await answer.json();
      this._known.set(index, trace);
      if (!asking.signal.aborted) this._show(index, { trace });
    } catch (error) {
      if (asking.signal.aborted) return;
      this._index = -1; // whoever looks again asks again
      this._show(index, { error });
    }
  }

  /** What a trace asks for beside a generation, as JSON texts by name. */
  _question(index) {
    const ids = this._run.steps.slice(0, index + 1).map((step) => step.token.id);
    const question = new Map([
      ["tokens", JSON.stringify(ids.slice(0, -1))],
      ["alternatives", JSON.stringify(ids.slice(-1))],
    ]);
    if (this._run.topN) question.set("top_n", this._run.topN);
    return question;
  }
}
