/** Texts of models and people are foreign: what is invisible or turns text around is written out. */

// Control characters but newline and tab, zero-width and directional ones, the byte order mark, lone surrogates, tags.
const INVISIBLE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|[\u{e0000}-\u{e007f}]/gu;

/** The text with characters that cannot be seen written as their code, `‹U+202E›`. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, (one) => `‹U+${(one.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}›`);
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

/** What Excel and its kin would run as a formula gets an apostrophe before it. */
export function csvText(value: string): string {
  const safe = /^[\s\u0000-\u001f]*[=+\-@]/.test(value) || /^[\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}
