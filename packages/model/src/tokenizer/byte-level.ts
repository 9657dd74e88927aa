/**
 * @file Bytes as printable characters, as GPT-2 and every byte-level `tokenizer.json` write them.
 *
 * Printable Latin-1 bytes stand for themselves; the other 68 become U+0100 and up, in byte order (space is `Ġ`).
 */

const isPrintable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);

let next = 256;
const CHAR_OF_BYTE: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  String.fromCharCode(isPrintable(byte) ? byte : next++),
);
const BYTE_OF_CHAR = new Map(CHAR_OF_BYTE.map((char, byte) => [char, byte]));

/** `[32, 97]` to `Ġa`. */
export function bytesToText(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += CHAR_OF_BYTE[byte];
  return text;
}

/** `Ġa` to `[32, 97]`; `null` when a character stands for no byte or the text is empty. */
export function textToBytes(text: string): Uint8Array | null {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const byte = BYTE_OF_CHAR.get(text[i]!);
    if (byte === undefined) return null;
    bytes[i] = byte;
  }
  return text === '' ? null : bytes;
}
