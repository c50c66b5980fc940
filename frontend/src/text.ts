/** Texts of models and data sets are untrusted: invisible and directional characters are written out. */

import { HIDDEN } from "./data/types";

const hidden = new RegExp(`[${HIDDEN.join("")}]`, "gu");

/** Replace control, invisible and directional characters by their code point, such as `<U+202E>`. */
export function visible(text: string): string {
  return text
    .replace(/\r\n/g, "\n")
    .replace(hidden, (character) => `<U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}>`);
}

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** A whole number of up to nine digits; null: the text is something else. */
export const wholeNumber = (text: string | null): number | null =>
  text !== null && /^\d{1,9}$/.test(text) ? Number(text) : null;

/** A token with its white space made visible. */
export function shownToken(token: string): string {
  return visible(token.replace(/ /g, "␣").replace(/\r?\n/g, "⏎").replace(/\t/g, "⇥")) || "∅";
}

/** At most `limit` characters, never half a surrogate pair. */
export function shorten(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const end = /[\ud800-\udbff]/.test(text[limit - 1] ?? "") ? limit - 1 : limit;
  return `${text.slice(0, end)}…`;
}

// Characters that start a formula, full-width forms included.
const FORMULA = "=+\\-@＝＋－＠";
const OPENING = new RegExp(`^(?=[\\s\\u0000-\\u001f]*[${FORMULA}]|[\\t\\r])`);
// A program that splits at semicolons or tabs sees further cells, which may start a formula.
const PARTED = new RegExp(`([;\\t\\r\\n][\\s\\u0000-\\u001f]*)(?=[${FORMULA}])`, "g");

/** A CSV cell; an apostrophe keeps spreadsheets from running it as a formula. */
export function csvText(value: string): string {
  const safe = value.replace(PARTED, "$1'").replace(OPENING, "'");
  return /[",;\t\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}

/**
 * Write a sentence of the robustness tests with the page's symbols: χ model for `chi_model`, a true minus sign.
 */
export const symbols = (text: string): string =>
  text.replace(/\bchi_(model|bench)\b/g, "χ\u00a0$1").replace(/(^|[\s([])-(?=\d)/g, "$1−");
