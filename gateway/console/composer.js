// @ts-check
// Where the user speaks: a line that is typed, a conversation that is played, and the controls of the session.
import { html, useRef, useState } from "./vendor/htm-preact-standalone.module.js";
import { EXAMPLES } from "./examples.js";
import { running } from "./reducer.js";

/** @typedef {import("./reducer.js").State} State */
/** @typedef {import("./words.js").Words} Words */
/** @typedef {{typed: (text: string) => void, entered: (text: string) => void, control: (action: string) => void,
 *   play: (pasted: string, speed: number) => void, halt: () => void}} Actions */

const SPEEDS = [1, 2, 5, 20, Infinity];

/** @param {{state: State, words: Words, actions: Actions, playing: {done: number, total: number}}} props */
export function Composer({ state, words, actions, playing }) {
  const [pasting, setPasting] = useState(false);
  const open = state.link === "open";
  return html`<footer class="composer">
    ${pasting && html`<${Paste} words=${words} actions=${actions} playing=${playing} open=${open} />`}
    <${Line} words=${words} actions=${actions} closed=${state.link === "ended"} />
    <div class="controls" role="toolbar" aria-label=${words.session}>
      <${Control} state=${state} words=${words} actions=${actions} />
      <button type="button" class="toggle" aria-expanded=${pasting} onClick=${() => setPasting(!pasting)}>
        ${playing.total > 0 ? `${words.playing} ${playing.done}/${playing.total}` : words.play}
      </button>
    </div>
  </footer>`;
}

/** @param {{state: State, words: Words, actions: Actions}} props */
function Control({ state, words, actions }) {
  const open = state.link === "open";
  const spoken = state.heard.some((chunk) => chunk.final);
  const act = (/** @type {string} */ action) => () => actions.control(action);
  return html`
    <button type="button" aria-pressed=${state.paused} disabled=${!open} title=${words.pauseHint} onClick=${act(state.paused ? "resume" : "pause")}>
      ${state.paused ? words.unpause : words.pause}
    </button>
    <button type="button" disabled=${!open || !spoken} title=${words.askNowHint} onClick=${act("instant_query")}>${words.askNow}</button>
    <button type="button" disabled=${!open || !running(state)} title=${words.cancelHint} onClick=${act("cancel")}>${words.cancel}</button>
    <button type="button" class="danger" disabled=${!open} title=${words.stopHint} onClick=${act("stop")}>${words.stop}</button>`;
}

/** @param {{words: Words, actions: Actions, closed: boolean}} props */
function Line({ words, actions, closed }) {
  const [text, setText] = useState("");
  const onInput = (/** @type {any} */ event) => {
    setText(event.currentTarget.value);
    // Letters that an input method is still putting together are not yet said.
    if (!event.isComposing) actions.typed(event.currentTarget.value);
  };
  const onSubmit = (/** @type {any} */ event) => {
    event.preventDefault();
    if (!text.trim()) return;
    actions.entered(text.trim());
    setText("");
  };
  return html`<form class="line" onSubmit=${onSubmit}>
    <input type="text" name="line" aria-label=${words.say} placeholder=${words.sayHint} value=${text} maxlength="10000"
      autocomplete="off" enterkeyhint="send" disabled=${closed} onInput=${onInput} />
    <button type="submit" class="primary" disabled=${closed || !text.trim()}>${words.send}</button>
  </form>`;
}

/** @param {{words: Words, actions: Actions, playing: {total: number}, open: boolean}} props */
function Paste({ words, actions, playing, open }) {
  const [text, setText] = useState("");
  const [speed, setSpeed] = useState(2);
  const file = useRef(/** @type {HTMLInputElement|null} */ (null));
  const read = async () => setText((await file.current?.files?.[0]?.text()) ?? "");
  return html`<div class="paste">
    <textarea rows="6" aria-label=${words.paste} placeholder=${words.pasteHint} value=${text}
      onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)}></textarea>
    <div class="row">
      <span class="hint">${words.paste}</span>
      <button type="button" onClick=${() => setText(EXAMPLES.en)}>${words.example} EN</button>
      <button type="button" onClick=${() => setText(EXAMPLES.zh)}>${words.example} 中文</button>
      <label class="file">${words.openFile}<input type="file" accept=".txt,.jsonl,.md,text/plain" ref=${file} onChange=${read} /></label>
      <label>${words.speed} <select value=${SPEEDS.indexOf(speed)} onChange=${(/** @type {any} */ event) => setSpeed(SPEEDS[event.currentTarget.value])}>
        ${SPEEDS.map((value, place) => html`<option key=${place} value=${place}>${value === Infinity ? words.fast : `${value}×`}</option>`)}
      </select></label>
      ${playing.total > 0
        ? html`<button type="button" class="primary" onClick=${actions.halt}>${words.halt}</button>`
        : html`<button type="button" class="primary" disabled=${!open || !text.trim()} onClick=${() => actions.play(text, speed)}>${words.start}</button>`}
    </div>
  </div>`;
}
