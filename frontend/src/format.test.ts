import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decimal, magnitude, percent, probability, signed, tenths } from "./format";
import { csvText, symbols, visible } from "./text";

/** What Python's functions of these names write, too: tests/view/test_text.py reads the same cases. */
const CASES = JSON.parse(readFileSync("../tests/view/text_cases.json", "utf8"));
const WRITERS = { magnitude, tenths, signed, decimal, percent };

describe.each(Object.entries(WRITERS))("%s", (name, write: (value: number | null | undefined) => string) => {
  it.each<[number, string]>(CASES[name])("writes %d as %s", (value, expected) => expect(write(value)).toBe(expected));
  it.each([null, undefined, NaN])("writes %s as N/A, never as 0", (value) => expect(write(value)).toBe("N/A"));
});

it("a share with digits claims none and all only where that is so", () => {
  expect([percent(0.456, 1), percent(0.9999, 1), percent(1, 1)]).toEqual(["45.6%", ">99.9%", "100.0%"]);
});

it("every number has the true minus sign", () => {
  const written = [signed(-0.5), decimal(-0.5), magnitude(-2e-5), probability(1e-12)];
  expect(written).toEqual(["−0.50", "−0.50", "−2.0e−5", "<1e−9"]);
});

describe("visible", () => {
  it.each<string>(CASES.escaped)("writes out a character that acts (%#)", (text) => {
    expect(visible(`a${text}b`)).toBe(`a<U+${text.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}>b`);
  });
  it.each<string>(CASES.kept)("keeps what scripts and emoji need (%#)", (text) =>
    expect(visible(`a${text}b`)).toBe(`a${text}b`),
  );
  it("writes every line end as one", () => expect(visible("a\r\nb\rc")).toBe("a\nb<U+000D>c"));
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
