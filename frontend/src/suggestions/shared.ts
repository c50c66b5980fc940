/** Sentences that every suggestion of a group repeats are said once, under its heading. */

/** The sentences that all texts have, in their order, and each text without them. One text alone shares nothing. */
export function shared(texts: string[]): { common: string; rest: string[] } {
  const split = texts.map((text) => text.split(/(?<=[.?!]) (?=\p{Lu})/u));
  const [first = []] = split;
  const common = texts.length < 2 ? [] : first.filter((one) => split.every((sentences) => sentences.includes(one)));
  return { common: common.join(" "), rest: split.map((sentences) => sentences.filter((one) => !common.includes(one)).join(" ")) };
}
