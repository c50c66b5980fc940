import { expect, it } from "vitest";
import { csvFile, type Field } from "./download";
import { UNKNOWN } from "./table";

const HOSTILE = ["=cmd|' /C calc'!A0", 'a,b\n"quoted"', "\u202eevil", null, "+1", " =1", "déjà 𝛘"];
const fields: Field[] = [
  { name: "concept", column: { kind: "number", values: Float64Array.from([0, 1, 2, 3, 4, 5, 6]) } },
  { name: "label", column: { kind: "text", values: HOSTILE } },
  {
    name: "gap",
    column: { kind: "number", values: Float32Array.from([0.1, -1 / 3, NaN, Infinity, -Infinity, 1e-12, 16777216]) },
  },
  { name: "mean", column: { kind: "number", values: Float64Array.from([0.1, -1 / 3, NaN, 2, 3, 4, 5]) } },
  { name: "dense", column: { kind: "flag", values: Uint8Array.from([1, 0, 1, UNKNOWN, 0, 0, 1]) } },
];
const order = Uint32Array.of(6, 0, 1, 2, 3, 4, 5);

/** RFC 4180, one character after the other. */
function readCsv(text: string): string[][] {
  const rows: string[][] = [[""]];
  let quoted = false;
  const add = (character: string) => rows.at(-1)!.push(rows.at(-1)!.pop() + character);
  for (let i = 0; i < text.length; i++) {
    if (quoted && text[i] === '"' && text[i + 1] === '"') add(text[i++]!);
    else if (text[i] === '"') quoted = !quoted;
    else if (!quoted && text[i] === ",") rows.at(-1)!.push("");
    else if (!quoted && text.startsWith("\r\n", i)) {
      rows.push([""]);
      i++;
    } else add(text[i]!);
  }
  return rows.slice(0, -1);
}

it("writes CSV that reads back, without formulas or hidden characters", () => {
  const text = csvFile(fields, order);
  expect(text.startsWith("\ufeffconcept,label,gap,mean,dense\r\n")).toBe(true);
  const rows = readCsv(text.slice(1)).slice(1);
  expect(rows.map(([concept]) => Number(concept))).toEqual([...order]);
  expect(rows.map(([, label]) => label)).toEqual([
    "déjà 𝛘",
    "'=cmd|' /C calc'!A0",
    'a,b\n"quoted"',
    "<U+202E>evil",
    "",
    "'+1",
    "' =1",
  ]);
  const gaps = fields[2]!.column.values;
  rows.forEach(([, , gap], i) => {
    const expected = gaps[order[i]!] as number;
    if (Number.isNaN(expected)) expect(gap).toBe("");
    else if (Number.isFinite(expected)) expect(Math.fround(Number(gap))).toBe(expected);
    else expect(gap).toBe(expected > 0 ? "inf" : "-inf");
  });
  expect(rows[1]![2]).toBe("0.1");
  expect(rows[2]![3]).toBe(String(-1 / 3));
  expect(rows.map((row) => row[4])).toEqual(["true", "true", "false", "true", "", "false", "false"]);
});
