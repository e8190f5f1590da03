// Asking the server, and following its events. Server-sent events are read by hand, because a browser's EventSource
// cannot send the token.

const TOKEN = "skills-refresh-token";
// The server sends a comment every 15 s. Where even these stay away, nobody is there any more.
const QUIET_MS = 40_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

/** What the server answers instead: its status, its reason, its cure. */
export class Refused extends Error {
  constructor(status, detail, cure) {
    super(detail);
    this.status = status;
    this.cure = cure;
  }
}

/** Keeps the token for as long as the tab is open. */
export function keepToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

/** The response to a request of a path below this page's. Throws `Refused`, or what `fetch` throws. */
export async function ask(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN);
  if (token !== null && !/^[!-~]+$/.test(token)) throw new Refused(401, "no header can carry this token", "");
  const headers = { ...options.headers, ...(token === null ? {} : { Authorization: `Bearer ${token}` }) };
  const response = await fetch(path, { ...options, headers });
  if (response.ok) return response;
  const details = await response.json().catch(() => ({}));
  throw new Refused(response.status, details.detail ?? response.statusText, details.cure ?? "");
}

/** Follows the events for ever, over every pause of the server.
 *
 * `lastId` is the id to resume after, or "". `onEvent(name, data)` is called for each event, `onAway(error)` when the
 * server cannot be reached, and `onToken(error)`, which returns a promise of the time to try again, when it asks for
 * one. */
export class Follower {
  constructor({ lastId, onEvent, onAway, onToken }) {
    this.lastId = lastId;
    this.onEvent = onEvent;
    this.onAway = onAway;
    this.onToken = onToken;
    this.pause = FIRST_PAUSE_MS;
    this.wake = () => {};
  }

  /** Ends the pause before the next attempt. */
  tryNow() {
    this.pause = FIRST_PAUSE_MS;
    this.wake();
  }

  async run() {
    for (;;) {
      let error = null;
      try {
        await this.#follow();
      } catch (thrown) {
        error = thrown;
      }
      if (error instanceof Refused && error.status === 401) {
        await this.onToken(error);
        continue;
      }
      this.onAway(error);
      await this.#rest();
    }
  }

  async #follow() {
    const ending = new AbortController();
    let quiet = setTimeout(() => ending.abort(), QUIET_MS);
    try {
      const headers = this.lastId === "" ? {} : { "Last-Event-ID": this.lastId };
      const response = await ask("v1/events", { headers, signal: ending.signal, cache: "no-store" });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(quiet);
        quiet = setTimeout(() => ending.abort(), QUIET_MS);
        const blocks = (text + value).split("\n\n");
        text = blocks.pop();
        blocks.forEach((block) => this.#take(block));
      }
    } finally {
      clearTimeout(quiet);
      ending.abort(); // or a stream that could not be read would keep one of the browser's few connections
    }
  }

  #take(block) {
    const fields = {};
    for (const line of block.split("\n")) {
      const colon = line.indexOf(": ");
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
    }
    if (fields.data === undefined) return;
    this.pause = FIRST_PAUSE_MS;
    this.onEvent(fields.event, JSON.parse(fields.data));
    if (fields.id !== undefined) this.lastId = fields.id;
  }

  #rest() {
    const pause = this.pause;
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE_MS);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, pause);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
