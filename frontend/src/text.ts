/** Texts of models and people are foreign: what is invisible or turns text around is written out. */

import { HIDDEN } from "./data/types";

const hidden = new RegExp(`[${HIDDEN.join("")}]`, "gu");

/** The text with characters that would act instead of being read written as their code, `<U+202E>`. */
export function visible(text: string): string {
  return text
    .replace(/\r\n/g, "\n")
    .replace(hidden, (character) => `<U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}>`);
}

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** A whole number of up to nine digits; null: the text is something else. */
export const wholeNumber = (text: string | null): number | null =>
  text !== null && /^\d{1,9}$/.test(text) ? Number(text) : null;

/** A token as it is shown: blanks and line ends become signs. */
export function shownToken(token: string): string {
  return visible(token.replace(/ /g, "␣").replace(/\r?\n/g, "⏎").replace(/\t/g, "⇥")) || "∅";
}

/** At most `limit` characters, never half a surrogate pair. */
export function shorten(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const end = /[\ud800-\udbff]/.test(text[limit - 1] ?? "") ? limit - 1 : limit;
  return `${text.slice(0, end)}…`;
}

// As people type a formula, and as East Asian input methods do.
const FORMULA = "=+\\-@＝＋－＠";
const OPENING = new RegExp(`^(?=[\\s\\u0000-\\u001f]*[${FORMULA}]|[\\t\\r])`);
// Where semicolons or tabs part cells, what follows one is a cell of its own.
const PARTED = new RegExp(`([;\\t\\r\\n][\\s\\u0000-\\u001f]*)(?=[${FORMULA}])`, "g");

/** What Excel and its kin would run as a formula gets an apostrophe before it. */
export function csvText(value: string): string {
  const safe = value.replace(PARTED, "$1'").replace(OPENING, "'");
  return /[",;\t\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}

/**
 * The signs of the page in a sentence of the robustness tests: χ model for `chi_model`, a true minus before numbers.
 */
export const symbols = (text: string): string =>
  text.replace(/\bchi_(model|bench)\b/g, "χ\u00a0$1").replace(/(^|[\s([])-(?=\d)/g, "$1−");
