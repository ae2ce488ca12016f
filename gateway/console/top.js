// @ts-check
// The head of the page: where the connection stands, whose session it is, languages, and notices.
import { html, useState } from "./vendor/htm-preact-standalone.module.js";
import { isOver, running } from "./reducer.js";

/** @typedef {import("./reducer.js").State} State */
/** @typedef {import("./words.js").Words} Words */
/** @typedef {{connect: () => void, disconnect: () => void, startAnew: () => void, dismiss: (key: number) => void,
 *   speak: (lang: string) => void, translate: () => void}} Actions */

/** @param {{state: State, words: Words, actions: Actions, spoken: string}} props */
export function Top({ state, words, actions, spoken }) {
  return html`<header class="top">
    <h1>realtime-rag</h1>
    <${Standing} state=${state} words=${words} />
    <${Connection} state=${state} words=${words} actions=${actions} />
    <span class="space"></span>
    <label>${words.spoken} <select value=${spoken} onChange=${(/** @type {any} */ event) => actions.speak(event.currentTarget.value)}>
      <option value="auto">${words.auto}</option><option value="en">English</option><option value="zh">中文</option>
    </select></label>
    <button type="button" class="quiet" onClick=${actions.translate}>${words.language}</button>
    <${Notices} state=${state} words=${words} actions=${actions} />
  </header>`;
}

/** @param {{state: State, words: Words}} props */
function Standing({ state, words }) {
  const busy = running(state);
  const stages = /** @type {Record<string, string>} */ (words.stages);
  const doing = busy && !isOver(busy) ? words.question[busy.stage] : stages[state.paused ? "paused" : state.stage] ?? state.stage;
  const open = state.link === "open";
  return html`<p class="standing ${state.link} ${state.paused ? "paused" : ""}" role="status">
    <span class="dot" aria-hidden="true"></span>${words.link[state.link]}${open && doing ? ` · ${doing}` : ""}
    ${state.link === "waiting" && html`<span class="hint"> · ${words.retryIn}</span>`}
  </p>`;
}

/** @param {{state: State, words: Words, actions: Actions}} props */
function Connection({ state, words, actions }) {
  const { link, sessionId } = state;
  return html`
    ${sessionId && html`<${SessionId} id=${sessionId} resumed=${state.resumed} words=${words} />`}
    ${(link === "open" || link === "connecting") && html`<button type="button" onClick=${actions.disconnect}>${words.disconnect}</button>`}
    ${link === "waiting" && html`<button type="button" onClick=${actions.connect}>${words.retryNow}</button>`}
    ${link === "off" && html`<button type="button" class="primary" onClick=${actions.connect}>${sessionId ? words.resume : words.connect}</button>`}
    ${sessionId && link !== "open" && link !== "connecting" && html`<button type="button" onClick=${actions.startAnew}>${words.newSession}</button>`}`;
}

/** @param {{id: string, resumed: boolean, words: Words}} props */
function SessionId({ id, resumed, words }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    // Only pages that come by https or from loopback may write to the clipboard.
    await navigator.clipboard?.writeText(id);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return html`<button type="button" class="quiet session" title="${words.copy}: ${id}" onClick=${copy}>
    ${words.session} <code>${id.slice(0, 8)}</code>${copied ? ` · ${words.copied}` : resumed ? ` · ${words.resumed}` : ""}
  </button>`;
}

/** @param {{state: State, words: Words, actions: Actions}} props */
function Notices({ state, words, actions }) {
  return html`<ul class="notices" role="alert">
    ${state.notices.map(({ key, code, text }) => html`<li key=${key}>
      <span><b>${code}</b> ${text}</span>
      <button type="button" class="quiet" aria-label=${words.dismiss} onClick=${() => actions.dismiss(key)}>✕</button>
    </li>`)}
  </ul>`;
}
