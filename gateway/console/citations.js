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

/** Where a source's passage stands: {file: "guide.md", lines: [3, 9]} -> "guide.md:3–9". @param {Source} source */
export function place(source) {
  const lines = Array.isArray(source.lines) ? [...new Set(source.lines)].join("–") : source.lines;
  return [source.file, lines].filter(Boolean).join(":");
}
