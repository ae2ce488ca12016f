// @ts-check
// One question as a card: its stages with their times, the answer while it grows, and the sources it cites.
import { html, useRef, useState } from "./vendor/htm-preact-standalone.module.js";
import { body, cited, place, split } from "./citations.js";
import { isOver } from "./reducer.js";
import { duration } from "./words.js";

/** @typedef {import("./reducer.js").Question} QuestionState */
/** @typedef {import("./reducer.js").Source} SourceState */
/** @typedef {import("./words.js").Words} Words */

/** @param {{question: QuestionState, words: Words}} props */
export function Question({ question, words }) {
  const [opened, setOpened] = useState(/** @type {number[]} */ ([]));
  const card = useRef(/** @type {HTMLElement|null} */ (null));
  const toggle = (/** @type {number} */ n, /** @type {boolean} */ open) =>
    setOpened((/** @type {number[]} */ now) => (open ? [...new Set([...now, n])] : now.filter((other) => other !== n)));
  const show = (/** @type {number} */ n) => {
    toggle(n, true);
    // After the next rendering, when the passage is open.
    setTimeout(() => {
      const summary = card.current?.querySelector(`[data-n="${n}"] > summary`);
      if (summary instanceof HTMLElement) summary.focus();
    });
  };
  return html`<article class="question ${question.stage}" ref=${card} data-question=${question.id}>
    <header>
      <h3>${question.text || "…"}</h3>
      ${question.mode === "instant" && html`<span class="tag">${words.instant}</span>`}
      <span class="tag stage">${words.question[question.stage]}</span>
    </header>
    <${Timeline} question=${question} words=${words} />
    ${question.retrying && html`<p class="retrying">${words.retrying}</p>`}
    <${Answer} question=${question} words=${words} show=${show} />
    ${question.problem && html`<p class="problem" role="alert">${question.problem}</p>`}
    <${Sources} sources=${question.sources} opened=${opened} toggle=${toggle} words=${words} />
    ${isOver(question) && question.provider && html`<${Details} question=${question} words=${words} />`}
  </article>`;
}

/** @param {{question: QuestionState, words: Words}} props */
function Timeline({ question, words }) {
  const names = /** @type {const} */ (["analyzing", "querying", "first", "done"]);
  const over = isOver(question);
  const next = over ? undefined : names.find((name) => !(name in question.at));
  const shown = names.filter((name) => name in question.at || (!over && name !== "analyzing"));
  return html`<ol class="timeline">
    ${shown.map((name) => html`<li class=${name in question.at ? "reached" : name === next ? "next" : ""} key=${name}>
      ${words.times[name]}
      ${name in question.at && name !== "analyzing" && html` <b>+${duration(question.at[name] - question.at.analyzing)}</b>`}
    </li>`)}
  </ol>`;
}

/** @param {{question: QuestionState, words: Words, show: (n: number) => void}} props */
function Answer({ question, words, show }) {
  const text = body(question.answer, question.sources);
  const missing = question.stage === "not_found";
  if (!text && !missing) return null;
  const writing = question.stage === "answering";
  return html`<div class="answer ${question.retrying ? "stale" : ""}">
    ${missing && html`<p class="no-answer">${text || words.noAnswerHint}</p>`}
    ${text && !missing && html`<p class="text">
      ${split(text).map((part) => (typeof part === "string" ? part : html`<${Citation} n=${part} question=${question} words=${words} show=${show} />`))}
      ${writing && html`<span class="caret" aria-hidden="true"></span>`}
    </p>`}
  </div>`;
}

/** @param {{n: number, question: QuestionState, words: Words, show: (n: number) => void}} props */
function Citation({ n, question, words, show }) {
  const source = cited(question.sources, n);
  if (!source) return html`<sup class="cite">${n}</sup>`;
  const name = `${words.source} ${n}: ${source.title ?? source.file ?? ""}`;
  return html`<button type="button" class="cite" title=${name} aria-label=${name} onClick=${() => show(n)}>${n}</button>`;
}

/** @param {{sources: SourceState[], opened: number[], toggle: (n: number, open: boolean) => void, words: Words}} props */
function Sources({ sources, opened, toggle, words }) {
  if (sources.length === 0) return null;
  return html`<section class="sources" aria-label=${words.sources}>
    <h4>${words.sources}</h4>
    ${sources.map((source, index) => {
      const n = source.n ?? index + 1;
      const onToggle = (/** @type {any} */ event) => toggle(n, event.currentTarget.open);
      return html`<details data-n=${n} key=${n} open=${opened.includes(n)} onToggle=${onToggle}>
        <summary>
          <span class="number">${n}</span>
          <span class="title">${[source.title ?? source.url ?? source.file, source.heading !== source.title && source.heading].filter(Boolean).join(" › ")}</span>
          <span class="place">${place(source)}</span>
        </summary>
        <blockquote>${source.text}</blockquote>
      </details>`;
    })}
  </section>`;
}

/** @param {{question: QuestionState, words: Words}} props */
function Details({ question, words }) {
  const facts = [
    [words.provider, question.provider], [words.attempt, question.attempt],
    ...Object.entries(question.timings ?? {}).map(([name, seconds]) => [name, duration(seconds * 1000)]),
    ...Object.entries(question.usage ?? {}),
  ];
  return html`<details class="facts">
    <summary>${words.details}</summary>
    <dl>${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${shown(value)}</dd></div>`)}</dl>
  </details>`;
}

const shown = (/** @type {unknown} */ value) =>
  typeof value === "object" ? JSON.stringify(value) : String(value);
