/** Characters that cannot stand in a string of a script; À, Á, Â and Ã stand for them. */
const REPLACED = [0x0a, 0x0d, 0x22, 0x5c];
const FIRST_REPLACEMENT = 0xc0;

/** Bytes of which each character holds seven bits (`explorer/export.py`): a seventh smaller than base64. */
export function unpacked(content: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.floor((content.length * 7) / 8));
  let bits = 0;
  let held = 0;
  let place = 0;
  for (let i = 0; i < content.length; i++) {
    const code = content.charCodeAt(i);
    held = (held << 7) | (code < 128 ? code : (REPLACED[code - FIRST_REPLACEMENT] ?? 0));
    bits += 7;
    if (bits >= 8) {
      bits -= 8;
      bytes[place++] = (held >> bits) & 0xff;
    }
  }
  return bytes;
}
