import { expect, test } from "vitest";
import { random } from "../random";
import { characters, pieces, windowAround } from "./characters";

test("ranges count code points, as Python does", () => {
  const text = characters("a😀b👩‍🚀c");
  expect(text.length).toBe(7);
  expect(text.slice(1, 2)).toBe("😀");
  expect(text.slice(2, 4)).toBe("b👩");
});

test("pieces put together are the text again, whatever the marks", () => {
  const raw = "one two 😀 three four";
  const text = characters(raw);
  const next = random(7);
  const draw = (below: number) => Math.floor(next() * below);
  for (let round = 0; round < 500; round++) {
    const marks = Array.from({ length: draw(6) }, () => {
      const start = draw(22) - 1;
      return [start, start + draw(5) - 1, draw(9)] as [number, number, number];
    });
    const peak = draw(2) ? ([draw(18), 19] as [number, number]) : null;
    const [from, to] = [draw(5), 12 + draw(8)];
    const cut = pieces(text, from, to, marks, peak);
    expect(cut.map((piece) => piece.text).join("")).toBe(text.slice(from, to));
    for (const piece of cut) expect(piece.text).not.toBe("");
  }
});

test("the token where a concept peaks is marked even where no activations were kept", () => {
  expect(pieces(characters("abcdef"), 0, 6, [], [2, 3])).toEqual([
    { text: "ab", activation: null, peak: false },
    { text: "c", activation: NaN, peak: true },
    { text: "def", activation: null, peak: false },
  ]);
});

test("a token that a part cuts through is marked on both sides", () => {
  const text = characters("abcdef");
  const marks: [number, number, number][] = [[1, 4, 2]];
  expect(pieces(text, 0, 2, marks, [1, 4])).toEqual([
    { text: "a", activation: null, peak: false },
    { text: "b", activation: 2, peak: true },
  ]);
  expect(pieces(text, 2, 6, marks, [1, 4])).toEqual([
    { text: "cd", activation: 2, peak: true },
    { text: "ef", activation: null, peak: false },
  ]);
  expect(pieces(text, 4, 6, marks, [1, 4])).toEqual([{ text: "ef", activation: null, peak: false }]);
});

test("a window holds its centre and stays inside", () => {
  expect(windowAround(100, null, 30)).toEqual([0, 30]);
  expect(windowAround(20, 5, 30)).toEqual([0, 20]);
  for (const centre of [0, 3, 50, 99]) {
    const [from, to] = windowAround(100, centre, 30);
    expect(to - from).toBe(30);
    expect(from >= 0 && to <= 100 && from <= centre && centre < to).toBe(true);
  }
});
