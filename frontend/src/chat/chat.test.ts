import { describe, expect, it, vi } from "vitest";
import { messagesOf, piecesOf, type Turn } from "./conversation";

// Parts are read by a page, and there is none here.
vi.mock("../data/source", () => ({ source: {} }));

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
