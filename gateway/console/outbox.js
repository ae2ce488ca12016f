// @ts-check
// What the client still has to say, in order: one frame at a time is under way, and a final one stays until it is settled.

/** @typedef {import("./reducer.js").Message} Message */

const RESEND_AFTER_MS = [500, 1000, 2000, 4000];

/**
 * Chunks and controls are kept until the service acknowledges them by `id`; after SERVICE_UNAVAILABLE or a cut the same
 * frame is sent again with the same id, so it is heard once. One frame under way keeps the order through any number of
 * resends. Interim chunks are worth nothing later: they are never sent twice.
 */
export class Outbox {
  /**
   * @param {{send: (frame: Message) => boolean, retrying: (frame: Message) => void}} told
   */
  constructor(told) {
    this.told = told;
    /** @type {Message[]} */
    this.queue = [];
    /** @type {Message|undefined} */
    this.underway = undefined;
    this.isOpen = false;
    this.resends = 0;
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    this.timer = undefined;
  }

  /** How many frames are not settled. */
  get length() {
    return this.queue.length + (this.underway ? 1 : 0);
  }

  /** @param {Message} frame with an `id`; a newer chunk makes a waiting interim of its segment needless */
  add(frame) {
    if (frame.type === "asr_chunk") {
      this.queue = this.queue.filter((other) => !isInterim(other) || other.segment_id !== frame.segment_id);
    }
    this.queue.push(frame);
    this.#next();
  }

  /** The connection is up: say this first, then what is left. @param {Message[]} first */
  open(first) {
    this.queue.unshift(...first);
    this.isOpen = true;
    this.#next();
  }

  /** The connection is gone: what was under way may or may not be stored, so it comes first again. */
  shut() {
    this.isOpen = false;
    clearTimeout(this.timer);
    this.#putBack();
  }

  /** Forget everything, as the session is over. */
  clear() {
    this.shut();
    this.queue = [];
  }

  /** Take the ack or error of the frame under way. @param {Message} message @returns {boolean} whether it is sent again */
  settle(message) {
    const frame = this.underway;
    if (!frame || message.id !== frame.id) return false;
    if (message.code === "SERVICE_UNAVAILABLE") {
      this.#resend(frame);
      return true;
    }
    this.underway = undefined;
    this.resends = 0;
    this.#next();
    return false;
  }

  #resend(/** @type {Message} */ frame) {
    this.told.retrying(frame);
    this.#putBack();
    const wait = RESEND_AFTER_MS[Math.min(this.resends++, RESEND_AFTER_MS.length - 1)];
    this.timer = setTimeout(() => this.#next(), wait);
  }

  #putBack() {
    if (this.underway && !isInterim(this.underway)) this.queue.unshift(this.underway);
    this.underway = undefined;
  }

  #next() {
    if (!this.isOpen || this.underway || this.queue.length === 0) return;
    clearTimeout(this.timer);
    const [frame] = this.queue;
    if (!this.told.send(frame)) return;
    this.queue.shift();
    this.underway = frame;
  }
}

const isInterim = (/** @type {Message} */ frame) => frame.type === "asr_chunk" && !frame.is_final;
