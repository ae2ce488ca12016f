// @ts-check
// Splits an answer's text at its citations: "Six [1][2]." -> ["Six ", 1, 2, "."].

/** @typedef {import("./reducer.js").Source} Source */

/**
 * The parts of a text in order: strings, and numbers where a citation such as [1] stands.
 * @param {string} text
 * @returns {(string|number)[]}
 */
export function split(text) {
  const parts = text.split(/\[(\d{1,3})\]/).map((part, place) => (place % 2 ? Number(part) : part));
  return parts.filter((part) => part !== "");
}

/**
 * The source that a citation names: the one of that `n`, else the one in that place.
 * @param {Source[]} sources
 * @param {number} n
 */
export const cited = (sources, n) => sources.find((source) => source.n === n) ?? sources[n - 1];

/** Where a source's passage stands: {file: "guide.md", lines: "L3-L9"} -> "guide.md · L3-L9". @param {Source} source */
export const place = (source) => [source.file, source.lines].filter(Boolean).join(" · ");

/**
 * An answer without the list of sources at its end, for where the sources are shown beside it:
 * "Six [1].\n\n[1] Plans (plans.md#L3-L5)" -> "Six [1]."
 * @param {string} text @param {Source[]} sources
 */
export function body(text, sources) {
  const lines = text.trimEnd().split("\n");
  while (lines.length > 1 && lists(lines[lines.length - 1], sources)) lines.pop();
  return lines.join("\n").trim();
}

function lists(/** @type {string} */ line, /** @type {Source[]} */ sources) {
  const source = cited(sources, Number(/^\[(\d{1,3})\] /.exec(line)?.[1]));
  return Boolean(source?.file && line.includes(source.file));
}
