import { describe, expect, it } from "vitest";
import { unpacked } from "./packed";

describe("unpacked", () => {
  it("reads seven bits a character", () => {
    // 0b1000000_1_000000... : the eight bits of 0x81 are the character 0b1000000 and the first bit of 0b1000000.
    expect([...unpacked("\u0040\u0040")]).toEqual([0x81]);
    expect([...unpacked("\u007f".repeat(8))]).toEqual(Array(7).fill(0xff));
    expect([...unpacked("")]).toEqual([]);
  });

  it("reads the four characters that stand for others", () => {
    // Line feed 0x0a is 0001010, and 0001010 0000000 are the eight bits 00010100.
    expect([...unpacked("À\u0000")]).toEqual([0b00010100]);
    expect([...unpacked("Á\u0000")]).toEqual([0b00011010]);
    expect([...unpacked("Â\u0000")]).toEqual([0b01000100]);
    expect([...unpacked("Ã\u0000")]).toEqual([0b10111000]);
  });
});
