// @ts-check
// What the console shows, as a pure fold: (state, event) -> state. No clock, socket or page in here; time is in the event.

/** @typedef {{id: string, segment: string, text: string, speaker?: string, final: boolean,
 *   state: "waiting"|"stored"|"paused"|"retrying"|"failed", problem?: string}} Heard a chunk and how far it came */
/** @typedef {{id: string, text: string, score: number|null, reason: string}} Passed a sentence that asks nothing */
/** @typedef {{n?: number, title?: string, heading?: string, file?: string, lines?: string, text?: string, url?: string}} Source */
/** @typedef {{id: string, text: string, mode: string, stage: "analyzing"|"querying"|"answering"|"done"|"not_found"|
 *   "failed"|"cancelled"|"interrupted"|"expired", at: Record<string, number>, attempt: number, next: number,
 *   answer: string, retrying: boolean, sources: Source[], provider?: string, usage?: object|null,
 *   timings?: Record<string, number>, problem?: string}} Question its answer as it grows; `at` is in milliseconds */
/** @typedef {{key: number, code: string, text: string}} Notice */
/** @typedef {{link: "off"|"connecting"|"open"|"waiting"|"ended", retryAt: number, sessionId: string, cursor: string,
 *   resumed: boolean, stage: string, paused: boolean, heard: Heard[], passed: Passed[], questions: Question[],
 *   notices: Notice[], noticed: number}} State */
/** @typedef {Record<string, any>} Message a frame of the protocol */
/** @typedef {{kind: "link", link: State["link"], retryAt?: number} | {kind: "said", frame: Message} |
 *   {kind: "fate", id: string, state: Heard["state"], problem?: string} | {kind: "dismissed", key: number} |
 *   {kind: "received", message: Message, at: number}} Event */

/** @type {State} */
export const NOTHING_YET = {
  link: "off", retryAt: 0, sessionId: "", cursor: "", resumed: false, stage: "", paused: false,
  heard: [], passed: [], questions: [], notices: [], noticed: 0,
};

const OVER = new Set(["done", "not_found", "failed", "cancelled", "interrupted", "expired"]);

/** Whether nothing more comes of this question. @param {Question} question */
export const isOver = (question) => OVER.has(question.stage);

/** The question that is being answered, if any. @param {State} state */
export const running = (state) => state.questions.findLast((question) => !isOver(question));

/** @param {State} state @param {Event} event @returns {State} */
export function reduce(state, event) {
  switch (event.kind) {
    case "link":
      return { ...state, link: event.link, retryAt: event.retryAt ?? 0 };
    case "said":
      return say(state, event.frame);
    case "fate":
      return fate(state, event.id, { state: event.state, problem: event.problem });
    case "dismissed":
      return { ...state, notices: state.notices.filter((notice) => notice.key !== event.key) };
    case "received":
      return receive(state, event.message, event.at);
  }
}

/** A chunk that we send: a later chunk of the same segment takes the place of the earlier one. */
function say(/** @type {State} */ state, /** @type {Message} */ frame) {
  /** @type {Heard} */
  const chunk = {
    id: frame.id, segment: frame.segment_id, text: frame.text, speaker: frame.speaker, final: frame.is_final,
    state: "waiting",
  };
  const open = state.heard.findIndex((other) => other.segment === chunk.segment && !other.final);
  return { ...state, heard: open < 0 ? [...state.heard, chunk] : state.heard.with(open, chunk) };
}

function fate(/** @type {State} */ state, /** @type {string} */ id, /** @type {Partial<Heard>} */ change) {
  const place = state.heard.findLastIndex((chunk) => chunk.id === id);
  return place < 0 ? state : { ...state, heard: state.heard.with(place, { ...state.heard[place], ...change }) };
}

function receive(/** @type {State} */ state, /** @type {Message} */ message, /** @type {number} */ at) {
  if (message.message === "connected") return welcome(state, message);
  if (message.session_id && message.session_id !== state.sessionId) return state;
  const next = message.cursor ? { ...state, cursor: message.cursor } : state;
  switch (message.type) {
    case "ack":
      return message.id ? fate(next, message.id, { state: message.message === "paused" ? "paused" : "stored" }) : next;
    case "status":
      return status(next, message, at);
    case "answer":
      return change(next, message.question_id, at, (question) => grow(question, message, at));
    case "error":
      return fail(next, message, at);
    default:
      return next;
  }
}

/** A resumed connection keeps the cursor that it came with: what was missed is still to come. */
function welcome(/** @type {State} */ state, /** @type {Message} */ message) {
  const known = message.resumed && state.cursor;
  return {
    ...state, sessionId: message.session_id, resumed: Boolean(message.resumed),
    cursor: known ? state.cursor : message.cursor ?? "",
  };
}

function status(/** @type {State} */ state, /** @type {Message} */ message, /** @type {number} */ at) {
  const id = message.question_id;
  switch (message.stage) {
    case "listening":
      return { ...state, stage: "listening", paused: false };
    case "paused":
      return { ...state, stage: "paused", paused: true };
    case "waiting_for_question":
      return pass(state, message);
    case "analyzing":
    case "instant_query":
      return ask({ ...state, stage: message.stage }, message, at);
    case "querying_rag":
      return change({ ...state, stage: message.stage }, id, at, (question) => query(question, message, at), message);
    case "interrupting":
      return close({ ...state, stage: message.stage }, message.question_ids ?? [], "interrupted");
    case "idle":
      // Without a question it ends none: a cancel that came too late is answered so while another question runs.
      return close({ ...state, stage: "idle" }, id ? [id] : [], "cancelled");
    case "closed":
      return close({ ...state, stage: "closed" }, state.questions.map((question) => question.id), "cancelled");
    default:
      return { ...state, stage: message.stage };
  }
}

function pass(/** @type {State} */ state, /** @type {Message} */ message) {
  const id = message.question_id ?? `passed-${state.passed.length}`;
  if (state.passed.some((sentence) => sentence.id === id)) return state;
  const sentence = { id, text: message.text ?? "", score: message.score ?? null, reason: message.reason ?? message.note ?? "" };
  return { ...state, passed: [...state.passed, sentence] };
}

/** @returns {State} */
function ask(/** @type {State} */ state, /** @type {Message} */ message, /** @type {number} */ at) {
  const id = message.question_id ?? `question-${state.questions.length}`;
  if (state.questions.some((question) => question.id === id)) return state;
  /** @type {Question} */
  const question = {
    id, text: message.question ?? "", mode: message.mode ?? "standard", stage: "analyzing", at: { analyzing: at },
    attempt: 0, next: 0, answer: "", retrying: false, sources: [],
  };
  return { ...state, questions: [...state.questions, question] };
}

/** @returns {Question} */
function query(/** @type {Question} */ question, /** @type {Message} */ message, /** @type {number} */ at) {
  const retrying = message.note === "retrying";
  return { ...question, stage: "querying", retrying, at: retrying ? question.at : { ...question.at, querying: at } };
}

/** An answer's next chunk; the first chunk of a higher attempt replaces all that came before it. @returns {Question} */
function grow(/** @type {Question} */ question, /** @type {Message} */ message, /** @type {number} */ at) {
  const attempt = message.attempt ?? question.attempt;
  const anew = attempt > question.attempt && message.stream_index === 0;
  if (isOver(question) || (!anew && (attempt < question.attempt || message.stream_index < question.next))) return question;
  const grown = {
    ...question, attempt, next: message.stream_index + 1, retrying: false, stage: /** @type {const} */ ("answering"),
    answer: (anew ? "" : question.answer) + message.content,
    at: "first" in question.at || !message.content ? question.at : { ...question.at, first: at },
  };
  return message.final ? finish(grown, message, at) : grown;
}

/** @returns {Question} */
function finish(/** @type {Question} */ question, /** @type {Message} */ message, /** @type {number} */ at) {
  const { sources = [], usage, provider, timings } = message;
  const stage = message.found === false ? "not_found" : "done";
  return { ...question, stage, sources, usage, provider, timings, at: { ...question.at, done: at } };
}

/** @returns {State} */
function fail(/** @type {State} */ state, /** @type {Message} */ message, /** @type {number} */ at) {
  const text = [message.message, details(message.details)].filter(Boolean).join(" ");
  if (message.id && state.heard.some((chunk) => chunk.id === message.id)) {
    return fate(state, message.id, { state: "failed", problem: `${message.code}: ${text}` });
  }
  /** @type {Question["stage"]} */
  const stage = message.code === "QUESTION_EXPIRED" ? "expired" : "failed";
  if (state.questions.some((question) => question.id === message.question_id)) {
    const over = { stage, retrying: false, problem: `${message.code}: ${text}` };
    return change(state, message.question_id, at, (question) => ({ ...question, ...over, at: { ...question.at, done: at } }));
  }
  const cursor = tolerated(state, message);
  const key = state.noticed + 1;
  return { ...state, cursor, noticed: key, notices: [...state.notices, { key, code: message.code, text }].slice(-5) };
}

/** The cursor to come back with: an expired one gives way to the oldest there is, a refused one to none. */
function tolerated(/** @type {State} */ state, /** @type {Message} */ message) {
  if (message.code === "HISTORY_EXPIRED") return message.details?.cursor ?? "";
  const refused = state.resumed && message.code === "INVALID_MESSAGE" && message.details?.field === "cursor";
  return refused ? "" : state.cursor;
}

function details(/** @type {unknown} */ value) {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? `(${value})` : `(${JSON.stringify(value)})`;
}

/** Change one question; a message about one that we never saw begin (a late viewer) makes it. */
function change(
  /** @type {State} */ state, /** @type {string|undefined} */ id, /** @type {number} */ at,
  /** @type {(question: Question) => Question} */ how, /** @type {Message} */ message = {},
) {
  const known = state.questions.some((question) => (id ? question.id === id : !isOver(question)));
  const ready = known ? state : ask(state, { ...message, question_id: id }, at);
  const wanted = id ?? running(ready)?.id;
  return { ...ready, questions: ready.questions.map((question) => (question.id === wanted ? how(question) : question)) };
}

/** End those of the named questions that had no end yet. @returns {State} */
function close(
  /** @type {State} */ state, /** @type {string[]} */ ids, /** @type {"cancelled"|"interrupted"} */ stage,
) {
  const ends = (/** @type {Question} */ question) => !isOver(question) && ids.includes(question.id);
  return {
    ...state,
    questions: state.questions.map((question) => (ends(question) ? { ...question, stage, retrying: false } : question)),
  };
}
