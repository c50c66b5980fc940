/** Texts of tests, which other programs read too, in the page’s signs: χ model for `chi_model`, and a minus for a hyphen before a number. */
export const symbols = (text: string): string =>
  text.replace(/\bchi_(model|bench)\b/g, "χ\u00a0$1").replace(/(^|[\s([])-(?=\d)/g, "$1−");
