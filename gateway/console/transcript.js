// @ts-check
// A pasted conversation as a recogniser would say it: utterances, then interim and final chunks with their pauses.

/** @typedef {{speaker?: string, text: string, lang?: string}} Utterance */
/** @typedef {{utterance: number, text: string, final: boolean, after: number}} Step a chunk, `after` ms of speech */

// A name, then a colon; "10:30" and "https://" are no speakers.
const SPEAKER = /^([^:：。.!?！？,，;；]{1,40})(?:：|:(?!\/\/|\d))\s*(\S.*)$/u;
const CJK = /[\u3040-\u30ff\u3400-\u9fff]/u;
const INTERIM_EVERY_MS = 600;
const PAUSE_MS = 500;

/**
 * One utterance a line, "Speaker: text" or text alone; a line of JSON with `text` (and `speaker`, `lang`) is taken too.
 * @param {string} pasted
 * @returns {Utterance[]}
 */
export function utterances(pasted) {
  return pasted.split(/\r?\n/).map((line) => line.trim()).filter(Boolean).map(utterance);
}

/** @returns {Utterance} */
function utterance(/** @type {string} */ line) {
  const record = line.startsWith("{") ? parsed(line) : undefined;
  if (typeof record?.text === "string" && record.text.trim()) {
    const { text, speaker, lang } = record;
    return { text, ...(speaker ? { speaker: String(speaker) } : {}), ...(lang ? { lang } : {}) };
  }
  const [, speaker, text] = SPEAKER.exec(line) ?? [];
  return speaker ? { speaker: speaker.trim(), text } : { text: line };
}

function parsed(/** @type {string} */ line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/**
 * The chunks of a conversation with the time of speech before each: 14 letters a second, 5 where the text is Chinese.
 * @param {Utterance[]} said
 * @returns {Step[]}
 */
export function steps(said) {
  return said.flatMap(({ text }, utterance) => {
    const words = text.match(/[\u3040-\u30ff\u3400-\u9fff]|\S+?(?=[\u3040-\u30ff\u3400-\u9fff]|\s|$)\s*/gu) ?? [text];
    const perLetter = CJK.test(text) ? 200 : 70;
    /** @type {Step[]} */
    const chunks = [];
    let heard = "", spoken = utterance ? PAUSE_MS : 0;
    for (const word of words) {
      heard += word;
      spoken += word.length * perLetter;
      if (spoken < INTERIM_EVERY_MS || heard.length >= text.length) continue;
      chunks.push({ utterance, text: heard.trimEnd(), final: false, after: spoken });
      spoken = 0;
    }
    return [...chunks, { utterance, text, final: true, after: spoken }];
  });
}

/** Says a conversation at a speed; `Infinity` says final chunks only, as fast as they are taken. */
export class Player {
  /**
   * @param {{say: (utterance: Utterance, segment: number, text: string, final: boolean) => void, held: () => boolean,
   *   progress: (done: number, total: number) => void}} told while `held()` nothing more is said
   */
  constructor(told) {
    this.told = told;
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    this.timer = undefined;
  }

  /** @param {Utterance[]} said @param {number} speed as a multiple of speech */
  start(said, speed) {
    this.stop();
    const plan = steps(said).filter((step) => speed !== Infinity || step.final);
    this.told.progress(0, said.length);
    this.#wait(said, plan, 0, speed);
  }

  stop() {
    clearTimeout(this.timer);
    this.told.progress(0, 0);
  }

  #wait(/** @type {Utterance[]} */ said, /** @type {Step[]} */ plan, /** @type {number} */ place, /** @type {number} */ speed) {
    if (place >= plan.length) return this.told.progress(0, 0);
    this.timer = setTimeout(() => {
      if (this.told.held()) return this.#hold(said, plan, place, speed);
      const { utterance, text, final } = plan[place];
      this.told.say(said[utterance], utterance, text, final);
      this.told.progress(utterance + (final ? 1 : 0), said.length);
      this.#wait(said, plan, place + 1, speed);
    }, plan[place].after / speed);
  }

  #hold(/** @type {Utterance[]} */ said, /** @type {Step[]} */ plan, /** @type {number} */ place, /** @type {number} */ speed) {
    this.timer = setTimeout(() => {
      if (this.told.held()) this.#hold(said, plan, place, speed);
      else this.#wait(said, plan, place, speed);
    }, 100);
  }
}
