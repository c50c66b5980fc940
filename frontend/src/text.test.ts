import { describe, expect, it } from "vitest";
import { csvText, symbols, visible } from "./text";

/** What Python's `visible` writes: tests/view/test_text.py has the same list. */
const TAKEN = [
  "\x1b",
  "\x00",
  "\x7f",
  "\u0085",
  "\u00ad",
  "\u180e",
  "\u200b",
  "\u2028",
  "\u2029",
  "\u202e",
  "\u2060",
  "\u2066",
  "\u2069",
  "\ufeff",
  "\ufff9",
  "\ud800",
  "\u{e0041}",
];
const STAYING = [
  "\n",
  "\t",
  "\u200c",
  "\u200d",
  "\u200e",
  "\u200f",
  "\u061c",
  "\ufe0f",
  "👩‍💻",
  "क्‍ष",
  "می‌خواهم",
  "é",
  "𝛘",
];

describe("visible", () => {
  it.each(TAKEN)("writes out a character that acts (%#)", (text) => {
    expect(visible(`a${text}b`)).toBe(`a<U+${text.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}>b`);
  });
  it.each(STAYING)("leaves what texts need (%#)", (text) => expect(visible(`a${text}b`)).toBe(`a${text}b`));
  it("a line end is one, whoever wrote it", () => expect(visible("a\r\nb\rc")).toBe("a\nb<U+000D>c"));
});

describe("a cell of CSV", () => {
  it.each([
    ["=1+1", "'=1+1"],
    [" @SUM(1)", "' @SUM(1)"],
    ["＝1+1", "'＝1+1"],
    ["＋1", "'＋1"],
    ["－1", "'－1"],
    ["＠x", "'＠x"],
    ["a;=1", '"a;\'=1"'],
    ["a; ＝1", '"a; \'＝1"'],
    ["a\t@x", '"a\t\'@x"'],
    ["a\n=1", '"a\n\'=1"'],
    ["a;b", '"a;b"'],
    ["=a;=b", "\"'=a;'=b\""],
    ["a-b; c", '"a-b; c"'],
    ["plain", "plain"],
    ['say "x"', '"say ""x"""'],
  ])("%j becomes %j", (value, expected) => expect(csvText(value)).toBe(expected));
});

it.each([
  ["chi_model moves by 0.046, chi_bench by 0.012.", "χ\u00a0model moves by 0.046, χ\u00a0bench by 0.012."],
  [
    "changes by -0.0036 (random items -0.0025 to +0.0026) [-0.1]",
    "changes by −0.0036 (random items −0.0025 to +0.0026) [−0.1]",
  ],
  ["held-out items of gpt-4, chi_models, 3-4", "held-out items of gpt-4, chi_models, 3-4"],
])("%s", (text, shown) => expect(symbols(text)).toBe(shown));
