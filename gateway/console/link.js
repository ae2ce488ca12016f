// @ts-check
// The WebSocket with its reconnects: frames in and out, and where the connection stands.

/** @typedef {import("./reducer.js").Message} Message */
/** @typedef {import("./reducer.js").State["link"]} LinkState */

const RECONNECT_AFTER_MS = [300, 1000, 2000, 4000, 8000];
const KEEPALIVE_EVERY_MS = 15_000;
// Any frame is answered within 5 s: an open socket that is silent for longer than two keepalives is a dead one.
const SILENT_FOR_MS = 35_000;

/** The socket's address, from the page's own: it works behind a proxy's path and under https. */
export function address(/** @type {string} */ page, /** @type {string} */ path, /** @type {Record<string, string>} */ query) {
  const url = new URL(path, page);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  const given = Object.entries(query).filter(([, value]) => value);
  url.search = new URLSearchParams(given).toString();
  return url.href;
}

export class Link {
  /**
   * @param {{url: () => string, changed: (link: LinkState, retryAt?: number) => void,
   *   received: (message: Message) => void}} told `url` is asked anew for each connection
   */
  constructor(told) {
    this.told = told;
    /** @type {WebSocket|undefined} */
    this.socket = undefined;
    this.failures = 0;
    this.heardAt = 0;
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    this.retry = undefined;
    /** @type {ReturnType<typeof setInterval>|undefined} */
    this.pulse = undefined;
  }

  connect() {
    this.#drop();
    this.told.changed("connecting");
    const socket = new WebSocket(this.told.url());
    this.socket = socket;
    socket.onmessage = (event) => this.#receive(JSON.parse(event.data));
    socket.onclose = () => this.#lost();
  }

  /** Close for good, as the user wished (`off`) or as the session is over (`ended`). @param {"off"|"ended"} link */
  close(link) {
    this.#drop();
    this.failures = 0;
    this.told.changed(link);
  }

  /** @param {Message} frame @returns {boolean} whether it went out */
  send(frame) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  #receive(/** @type {Message} */ message) {
    this.heardAt = Date.now();
    if (message.message === "connected") {
      this.pulse = setInterval(() => this.#beat(), KEEPALIVE_EVERY_MS);
      this.told.changed("open");
    }
    this.told.received(message);
  }

  #beat() {
    // Only a connection that lasted counts as a success: one that is closed at once would be opened in a fast loop.
    this.failures = 0;
    if (Date.now() - this.heardAt > SILENT_FOR_MS) this.#lost();
    else this.send({ type: "keepalive" });
  }

  #lost() {
    this.#drop();
    const wait = RECONNECT_AFTER_MS[Math.min(this.failures++, RECONNECT_AFTER_MS.length - 1)];
    // Spread over half of the wait, so that a restarted gateway is not met by everybody at once.
    const spread = wait * (0.75 + Math.random() / 2);
    this.retry = setTimeout(() => this.connect(), spread);
    this.told.changed("waiting", Date.now() + spread);
  }

  #drop() {
    clearTimeout(this.retry);
    clearInterval(this.pulse);
    if (!this.socket) return;
    this.socket.onclose = this.socket.onmessage = null;
    this.socket.close();
    this.socket = undefined;
  }
}
