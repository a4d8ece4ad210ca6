// What becomes of the alternatives to a token, stage by stage, as the server traces it.

/** The probability behind a logprob; null, which is -inf, is 0. */
export function probability(logprob) {
  return logprob === null ? 0 : Math.exp(logprob);
}

/**
 * One row for each alternative of a trace, those that are most probable in the end first, then those
 * that stayed longest: {id, text, special, chosen, probabilities, removedBy, reason}. There is a
 * probability for each stage, 0 where the token is not left.
 */
export function alternatives(trace, chosenId) {
  const rows = trace.alternatives.map((alternative) => ({
    id: alternative.id,
    text: alternative.text,
    special: alternative.special,
    chosen: alternative.id === chosenId,
    probabilities: alternative.logprobs.map(probability),
    removedBy: alternative.removed_by,
    reason: alternative.reason,
  }));
  return rows.sort((a, b) => {
    for (let stage = trace.stages.length - 1; stage >= 0; stage -= 1) {
      const difference = b.probabilities[stage] - a.probabilities[stage];
      if (difference) return difference;
    }
    return a.id - b.id;
  });
}

/** The rows of a plot of two stages: {text, chosen, before, after}, the most probable `most`. */
export function compared(rows, before, after, most) {
  const pairs = rows.map((row) => ({
    text: row.text,
    chosen: row.chosen,
    before: row.probabilities[before],
    after: row.probabilities[after],
  }));
  const seen = pairs.filter((pair) => pair.before > 0 || pair.after > 0);
  return seen.sort((a, b) => b.after - a.after || b.before - a.before).slice(0, most);
}

/** What became of a row, in words. */
export function fate(row) {
  const said = row.chosen ? ["chosen"] : [];
  if (row.reason !== null) said.push(`forbidden: ${row.reason}`);
  else if (row.removedBy === "model") said.push("impossible for the model");
  else if (row.removedBy === "greedy") said.push("not the most probable");
  else if (row.removedBy !== null) said.push(`removed by ${row.removedBy}`);
  return said.join("; ");
}
