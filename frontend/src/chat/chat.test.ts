import { describe, expect, it } from "vitest";
import { messagesOf, piecesOf, shownResult, type Turn, words } from "./turn";

const turn = (question: string, answer: string | null): Turn => ({
  id: 1,
  question,
  queries: [],
  error: answer === null ? "failed" : null,
  answer: answer === null ? null : { type: "answer", text: answer, numbers: [], cut: false },
});

describe("an answer in pieces", () => {
  it("is cut at its numbers, whose places count code points", () => {
    const text = "🦊𝒳 has 282 items, −0.38";
    const numbers = [
      { start: 7, end: 10, query: 2 },
      { start: 18, end: 23, query: null },
    ];
    expect(piecesOf({ text, numbers })).toEqual([
      { text: "🦊𝒳 has " },
      { text: "282", query: 2 },
      { text: " items, " },
      { text: "−0.38", query: null },
    ]);
  });
  it("loses no text where places overlap or lie outside", () => {
    const text = "12 and 13";
    const numbers = [
      { start: 0, end: 2, query: 1 },
      { start: 1, end: 3, query: 1 },
      { start: 7, end: 99, query: 1 },
      { start: 5, end: 5, query: 1 },
    ];
    expect(
      piecesOf({ text, numbers })
        .map((piece) => piece.text)
        .join(""),
    ).toBe(text);
    expect(piecesOf({ text, numbers })[0]).toEqual({ text: "12", query: 1 });
  });
});

describe("the result of a query", () => {
  it("is facts and tables, with every column that any row has", () => {
    const shown = shownResult({
      total: 2,
      counts: { weak: 1 },
      rows: [{ a: 1 }, { b: null }],
      names: ["x", "y"],
      foreign_texts: ["a"],
    });
    expect(shown.facts).toEqual([
      ["total", 2],
      ["counts: weak", 1],
      ["names", ["x", "y"]],
    ]);
    expect(shown.tables).toEqual([{ name: "rows", columns: ["a", "b"], rows: [{ a: 1 }, { b: null }] }]);
  });
  it("of any shape is shown", () => {
    expect(shownResult(null)).toEqual({ facts: [["result", null]], tables: [] });
    expect(shownResult([1]).facts).toEqual([["result", [1]]]);
  });
  it("keeps every digit, and undefined apart from not there", () => {
    expect(words(-0.384396)).toBe("−0.384396");
    expect(words(8.71302e-7)).toBe("8.71302e−7");
    expect(words(131072)).toBe("131,072");
    expect(words(null)).toBe("N/A");
    expect(words(undefined)).toBe("");
    expect(words([])).toBe("none");
    expect(words("\u202ex")).toBe("<U+202E>x");
  });
});

describe("what the model is told", () => {
  it("is the answered turns and the question", () => {
    expect(messagesOf([turn("one", "1"), turn("two", null)], "three")).toEqual([
      { role: "user", content: "one" },
      { role: "assistant", content: "1" },
      { role: "user", content: "three" },
    ]);
  });
});
