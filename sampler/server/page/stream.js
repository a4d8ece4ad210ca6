// Requests to the server this page came from.

/** What the server refused or could not finish, in its own words. */
export class ServerError extends Error {
  constructor(message, kind, status) {
    super(message);
    this.kind = kind;
    this.status = status;
  }
}

/** The headers of a request with a bearer token, if there is one. */
export function headersWith(token) {
  const headers = { "content-type": "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  return headers;
}

/** The answer to a request; throws ServerError unless it is a good one. */
export async function ask(path, options) {
  const response = await fetch(path, options);
  if (response.ok) return response;
  const text = await response.text();
  let body = {};
  try {
    body = JSON.parse(text);
  } catch {
    // not from this server but from something in front of it: its text will have to do
  }
  throw new ServerError(body.error ?? (text || response.statusText), body.error_type, response.status);
}

/** The values of the server-sent events of an answer; an error among them is thrown. */
export async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let ended = false;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      if (!block.startsWith("data:")) continue; // a comment: there was silence
      const event = JSON.parse(block.slice("data:".length));
      if (event.error !== undefined) throw new ServerError(event.error, event.error_type);
      ended = event.generated_text !== null;
      yield event;
    }
  }
  if (!ended) throw new ServerError("the stream ended before its last token");
}
