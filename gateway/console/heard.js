// @ts-check
// What was said, with what became of each chunk, and the sentences that ask nothing, with the reason.
import { html, useLayoutEffect, useRef, useState } from "./vendor/htm-preact-standalone.module.js";

/** @typedef {import("./reducer.js").Heard} HeardState */
/** @typedef {import("./reducer.js").Passed} PassedState */
/** @typedef {import("./words.js").Words} Words */

// Enough to scroll back through; more would make each rendering of a long conversation slower.
const SHOWN = 300;

/**
 * A list that follows its end until the reader scrolls up or opens something in it, and again when he is back there.
 * @param {{class: string, title: string, count: number, none: string, newest: string, children?: any}} props
 */
export function Panel({ class: name, title, count, none, newest, children }) {
  const list = useRef(/** @type {HTMLElement|null} */ (null));
  const [follows, setFollows] = useState(true);
  useLayoutEffect(() => {
    if (follows && list.current) list.current.scrollTop = list.current.scrollHeight;
  });
  const onScroll = (/** @type {any} */ { currentTarget: at }) =>
    setFollows(at.scrollHeight - at.scrollTop - at.clientHeight < 40);
  const onClick = (/** @type {any} */ event) => event.target.closest("summary, .cite") && setFollows(false);
  return html`<section class="panel ${name}" aria-labelledby="title-${name}">
    <h2 id="title-${name}">${title} ${count > 0 && html`<span class="count">${count}</span>`}</h2>
    <div class="scroll" ref=${list} onScroll=${onScroll} onClick=${onClick} tabindex="0" role="group"
      aria-labelledby="title-${name}">
      ${count ? children : html`<p class="none">${none}</p>`}
    </div>
    ${!follows && html`<button type="button" class="newest" onClick=${() => setFollows(true)}>↓ ${newest}</button>`}
  </section>`;
}

/** @param {{heard: HeardState[], words: Words}} props */
export function Heard({ heard, words }) {
  return html`<${Panel} class="heard" title=${words.heard} count=${heard.length} none=${words.heardNone} newest=${words.newest}>
    <ol>${heard.slice(-SHOWN).map((chunk) => html`<${Chunk} key=${chunk.segment} chunk=${chunk} words=${words} />`)}</ol>
  <//>`;
}

const MARKS = { waiting: "…", stored: "✓", paused: "⏸", retrying: "↻", failed: "✕" };

/** @param {{chunk: HeardState, words: Words}} props */
function Chunk({ chunk, words }) {
  const fate = chunk.final ? words.chunk[chunk.state] : "";
  const loud = chunk.final && !["waiting", "stored"].includes(chunk.state);
  return html`<li class="chunk ${chunk.final ? "final" : "interim"} ${chunk.state}">
    <span class="said">${chunk.speaker && html`<b class="speaker">${chunk.speaker}</b>`} ${chunk.text}</span>
    ${chunk.final && html`<span class="mark" role="img" title=${fate} aria-label=${fate}>${MARKS[chunk.state]}</span>`}
    ${loud && html`<span class="fate">${chunk.problem ?? fate}</span>`}
  </li>`;
}

/** @param {{passed: PassedState[], words: Words}} props */
export function Passed({ passed, words }) {
  return html`<${Panel} class="passed" title=${words.passed} count=${passed.length} none=${words.passedNone} newest=${words.newest}>
    <ol>${passed.slice(-SHOWN).map((sentence) => html`<li key=${sentence.id}>
      <span class="said">${sentence.text}</span>
      <span class="reason">${sentence.reason}${sentence.score !== null && html` <span class="score">${words.score} ${sentence.score.toFixed(2)}</span>`}</span>
    </li>`)}</ol>
  <//>`;
}
