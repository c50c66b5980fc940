import { describe, expect, it } from "vitest";
import { random } from "../random";
import { packed, unpacked } from "./packed";

describe("a packed choice", () => {
  it.each([0.001, 0.02, 0.3, 0.9, 1])("of %s of all concepts is the same again", (share) => {
    const next = random(7);
    const ids = Uint32Array.from(Array.from({ length: 20_000 }, (_, id) => id).filter(() => next() < share));
    const text = packed(ids);
    expect(text).toMatch(/^[\w-]+$/);
    expect([...unpacked(text)!]).toEqual([...ids]);
  });
  it("has known bytes: gaps 0, 1 and 300 in seven bits each; eight neighbours in one byte", () => {
    // 5 (gap 5), 7 (gap 1), 308 (gap 300 = 2 * 128 + 44).
    expect(packed(Uint32Array.of(5, 7, 308))).toBe(`g${Buffer.from([5, 1, 44 | 128, 2]).toString("base64url")}`);
    expect(packed(Uint32Array.from({ length: 8 }, (_, id) => id))).toBe(`b${Buffer.from([255]).toString("base64url")}`);
  });
  it("is as short as a bitmap of the run at most", () => {
    const half = Uint32Array.from({ length: 2048 }, (_, i) => 2 * i);
    expect(packed(half).length).toBeLessThanOrEqual(1 + Math.ceil((4096 / 8) * (4 / 3)));
  });
  it.each(["", "g", "x123", "g*", "g_____w", "gAAAA/", "b=", "g////", "g_w"])("%s is none", (text) => {
    expect(unpacked(text)).toBeNull();
  });
});
