/** Texts of models and people are foreign: what is invisible or turns text around is written out. */

// The same list as in text.py: controls, separators of lines, directional overrides, what has no width, tags, lone surrogates.
// What scripts and emoji need stays: joiners, plain marks of direction, variation selectors.
const HIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u180e\u200b\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/** The text with characters that would act instead of being read written as their code, `<U+202E>`. */
export function visible(text: string): string {
  return text
    .replace(/\r\n/g, "\n")
    .replace(HIDDEN, (one) => `<U+${one.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}>`);
}

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

/** Texts of tests, which other programs read too, in the page’s signs: χ model for `chi_model`, and a minus for a hyphen before a number. */
export const symbols = (text: string): string =>
  text.replace(/\bchi_(model|bench)\b/g, "χ\u00a0$1").replace(/(^|[\s([])-(?=\d)/g, "$1−");
