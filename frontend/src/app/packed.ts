/** Ascending numbers as short text for an address: `g` and the gaps between them, or `b` and a bitmap, whichever is shorter. */

/** No honest choice has ids beyond this. */
const LARGEST = 2 ** 24;

/** Letters, digits, `-` and `_` only. `ids`: ascending, without doubles. */
export function packed(ids: Uint32Array): string {
  const gaps = varints(ids);
  const bits = ids.length && ids.at(-1)! >> 3 < gaps.length ? bitmap(ids) : null;
  return bits ? `b${base64url(bits)}` : `g${base64url(gaps)}`;
}

/** The numbers, ascending; null: not a text that `packed` makes. */
export function unpacked(text: string): Uint32Array | null {
  if (!/^[bg][\w-]+$/.test(text)) return null;
  const bytes = fromBase64url(text.slice(1));
  if (bytes === null) return null;
  return text.startsWith("b") ? fromBitmap(bytes) : fromVarints(bytes);
}

function varints(ids: Uint32Array): Uint8Array {
  const bytes: number[] = [];
  let last = -1;
  for (const id of ids) {
    let gap = id - last - 1;
    last = id;
    for (; gap >= 128; gap >>>= 7) bytes.push((gap & 127) | 128);
    bytes.push(gap);
  }
  return Uint8Array.from(bytes);
}

function fromVarints(bytes: Uint8Array): Uint32Array | null {
  const ids: number[] = [];
  let [gap, factor, last] = [0, 1, -1];
  for (const byte of bytes) {
    gap += (byte & 127) * factor;
    if (last + gap >= LARGEST) return null;
    if (byte & 128) {
      factor *= 128;
      if (factor > LARGEST) return null;
      continue;
    }
    last += gap + 1;
    ids.push(last);
    [gap, factor] = [0, 1];
  }
  return factor === 1 ? Uint32Array.from(ids) : null;
}

function bitmap(ids: Uint32Array): Uint8Array {
  const bytes = new Uint8Array((ids.at(-1)! >> 3) + 1);
  for (const id of ids) bytes[id >> 3]! |= 1 << (id & 7);
  return bytes;
}

function fromBitmap(bytes: Uint8Array): Uint32Array {
  const ids: number[] = [];
  bytes.forEach((byte, place) => {
    for (let bit = 0; bit < 8; bit++) if ((byte >> bit) & 1) ids.push(8 * place + bit);
  });
  return Uint32Array.from(ids);
}

function base64url(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64url(text: string): Uint8Array | null {
  try {
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
  } catch {
    return null;
  }
}
