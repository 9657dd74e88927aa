/**
 * @file A long text in passages of some thousand bytes, cut between paragraphs where it can be.
 *
 * One book then has many parts, and a few of them can be held out. Cuts depend on the bytes alone, not on the pieces in which
 * they are read.
 */

const [LINE_FEED, CARRIAGE_RETURN, TAB, SPACE] = [0x0a, 0x0d, 0x09, 0x20];

/**
 * The passages that end in one piece together; joined they are the pieces.
 * @param minBytes a passage has at least this many and at most twice as many; the last one may be shorter
 */
export async function* readPassages(pieces: AsyncIterable<Uint8Array>, minBytes: number): AsyncGenerator<Uint8Array[]> {
  const maxBytes = 2 * minBytes;
  let rest: Uint8Array = new Uint8Array();
  for await (const piece of pieces) {
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    const passages: Uint8Array[] = [];
    let start = 0;
    // One byte more than the longest passage says what follows a cut.
    while (bytes.length - start > maxBytes) {
      const end = start + cutIn(bytes.subarray(start, start + maxBytes + 1), minBytes);
      passages.push(bytes.subarray(start, end));
      start = end;
    }
    rest = bytes.subarray(start);
    if (passages.length > 0) yield passages;
  }
  if (rest.length > 0) yield [rest];
}

/** Where to cut `2 * minBytes + 1` bytes: after an empty line, else after a line, else before a space, else between letters. */
function cutIn(bytes: Uint8Array, minBytes: number): number {
  const maxBytes = 2 * minBytes;
  let afterLine = 0;
  let beforeSpace = 0;
  let isLineEmpty = false;
  for (let i = minBytes; i <= maxBytes; i++) {
    const byte = bytes[i] as number;
    const last = bytes[i - 1] as number;
    if (last === LINE_FEED && byte !== LINE_FEED && byte !== CARRIAGE_RETURN) {
      // Behind the whole run of line ends, which is one token or two.
      if (isLineEmpty) return i;
      afterLine ||= i;
    }
    if (byte === LINE_FEED)
      isLineEmpty = last === LINE_FEED || (last === CARRIAGE_RETURN && bytes[i - 2] === LINE_FEED);
    else if (byte !== CARRIAGE_RETURN) isLineEmpty = false;
    if ((byte === SPACE || byte === TAB) && last !== SPACE && last !== TAB) beforeSpace ||= i;
  }
  if (afterLine > 0) return afterLine;
  if (beforeSpace > 0) return beforeSpace;
  // Continuation bytes of UTF-8 are 10xxxxxx; a character has at most three.
  let end = maxBytes;
  while (end > maxBytes - 3 && ((bytes[end] as number) & 0xc0) === 0x80) end--;
  return end;
}
