// @ts-check
// The console page: binds the connection, the outbox and the pasted conversations to the state, and renders it.
import { html, render } from "./vendor/htm-preact-standalone.module.js";
import { Question } from "./answers.js";
import { Composer } from "./composer.js";
import { Heard, Panel, Passed } from "./heard.js";
import { address, Link } from "./link.js";
import { Outbox } from "./outbox.js";
import { NOTHING_YET, reduce, running } from "./reducer.js";
import { Player, utterances } from "./transcript.js";
import { Top } from "./top.js";
import { WORDS } from "./words.js";

/** @typedef {import("./reducer.js").Event} Event */
/** @typedef {import("./reducer.js").Message} Message */

const INTERIM_EVERY_MS = 400;
const WAITING_AT_MOST = 8;

let state = NOTHING_YET;
let conversation = "";
let playing = { done: 0, total: 0 };
/** @type {"en"|"zh"} */
let tongue = (localStorage.getItem("console-language") ?? navigator.language).startsWith("zh") ? "zh" : "en";
let spoken = "auto";

// -- saying ------------------------------------------------------------------------------------------------------------

// Ids that no other page of the same session uses; crypto.randomUUID is missing where the page comes by plain http.
const prefix = [...crypto.getRandomValues(new Uint8Array(6))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
let counted = 0;
const newId = () => `${prefix}-${++counted}`;

let segment = newId();
let interimAt = -Infinity; // the first of a segment goes out at once

function say(/** @type {string} */ text, /** @type {boolean} */ final, /** @type {Message} */ more = {}) {
  const lang = spoken === "auto" ? {} : { lang: spoken };
  const frame = { type: "asr_chunk", id: newId(), segment_id: segment, text, is_final: final, timestamp: Date.now() / 1000, ...lang, ...more };
  dispatch({ kind: "said", frame });
  outbox.add(frame);
}

function typed(/** @type {string} */ text) {
  const now = performance.now();
  if (!text.trim() || now - interimAt < INTERIM_EVERY_MS) return;
  interimAt = now;
  say(text.trim(), false);
}

function entered(/** @type {string} */ text) {
  say(text, true);
  segment = newId();
  interimAt = -Infinity;
}

const player = new Player({
  say: (utterance, place, text, final) => {
    const { speaker, lang } = utterance;
    say(text, final, { segment_id: `${conversation}-${place}`, ...(speaker ? { speaker } : {}), ...(lang ? { lang } : {}) });
  },
  held: () => state.link !== "open" || state.paused || outbox.length > WAITING_AT_MOST,
  progress: (done, total) => {
    playing = { done, total };
    draw();
  },
});

// -- the connection ----------------------------------------------------------------------------------------------------

const outbox = new Outbox({
  send: (frame) => link.send(frame),
  retrying: (frame) => dispatch({ kind: "fate", id: frame.id, state: "retrying" }),
});

const path = document.querySelector('meta[name="ws-path"]')?.getAttribute("content") ?? "ws/realtime-asr";

const link = new Link({
  url: () => address(document.baseURI, path, { session_id: state.sessionId, cursor: state.cursor, lang: spoken }),
  changed: (now, retryAt) => {
    if (now !== "open") outbox.shut();
    dispatch({ kind: "link", link: now, retryAt });
  },
  received,
});

function received(/** @type {Message} */ message) {
  const wasPaused = state.paused;
  if (!outbox.settle(message)) dispatch({ kind: "received", message, at: performance.now() });
  // A pause belongs to a connection: a new one has to be told before anything else is said.
  if (message.message === "connected") outbox.open(wasPaused ? [{ type: "control", id: newId(), action: "pause" }] : []);
  if (message.stage === "closed") end();
}

function end() {
  player.stop();
  outbox.clear();
  link.close("ended");
}

function control(/** @type {string} */ action) {
  const named = action === "cancel" ? { question_id: running(state)?.id } : {};
  if (action === "stop") player.stop();
  outbox.add({ type: "control", id: newId(), action, ...named });
}

function startAnew() {
  player.stop();
  outbox.clear();
  state = NOTHING_YET;
  link.connect();
}

// -- the page ----------------------------------------------------------------------------------------------------------

const actions = {
  typed, entered, control, startAnew,
  connect: () => link.connect(),
  disconnect: () => link.close("off"),
  dismiss: (/** @type {number} */ key) => dispatch({ kind: "dismissed", key }),
  speak: (/** @type {string} */ lang) => { spoken = lang; draw(); },
  translate: () => {
    tongue = tongue === "en" ? "zh" : "en";
    localStorage.setItem("console-language", tongue);
    draw();
  },
  play: (/** @type {string} */ pasted, /** @type {number} */ speed) => {
    conversation = newId();
    player.start(utterances(pasted), speed);
  },
  halt: () => player.stop(),
};

function dispatch(/** @type {Event} */ event) {
  state = reduce(state, event);
  draw();
}

let drawing = false;

/** Render once for all that happens before the next frame: an answer may come in many pieces. */
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    const words = WORDS[tongue];
    document.documentElement.lang = tongue;
    render(html`<${Page} words=${words} />`, /** @type {Element} */ (document.getElementById("console")));
  });
}

/** @param {{words: import("./words.js").Words}} props */
function Page({ words }) {
  return html`
    <${Top} state=${state} words=${words} actions=${actions} spoken=${spoken} />
    <main>
      <${Heard} heard=${state.heard} words=${words} />
      <${Passed} passed=${state.passed} words=${words} />
      <${Panel} class="questions" title=${words.questions} count=${state.questions.length} none=${words.questionsNone}
        newest=${words.newest}>
        ${state.questions.map((question) => html`<${Question} key=${question.id} question=${question} words=${words} />`)}
      <//>
    </main>
    <${Composer} state=${state} words=${words} actions=${actions} playing=${playing} />`;
}

addEventListener("online", () => state.link === "waiting" && link.connect());
draw();
link.connect();
