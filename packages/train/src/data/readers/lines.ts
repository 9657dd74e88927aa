/** @file Lines of bytes from pieces of bytes, never holding more of one than a limit. */

const LINE_END = 0x0a;

/** One line without its end; or, in place of one that is too long, how many bytes it had. */
export type Line = Uint8Array | { tooLongBytes: number };

/** The lines, those that end in one piece together: yielding each by itself would cost more than reading it. */
export async function* readLines(pieces: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Line[]> {
  /** The beginning of a line that goes on in the next piece; empty once it is too long. */
  let open: Uint8Array[] = [];
  let openBytes = 0;
  const close = (rest: Uint8Array): Line => {
    const bytes = openBytes + rest.length;
    const line = bytes > maxBytes ? { tooLongBytes: bytes } : open.length === 0 ? rest : Buffer.concat([...open, rest]);
    open = [];
    openBytes = 0;
    return line;
  };
  for await (const piece of pieces) {
    const lines: Line[] = [];
    let start = 0;
    for (let end = piece.indexOf(LINE_END); end >= 0; end = piece.indexOf(LINE_END, start)) {
      lines.push(close(piece.subarray(start, end)));
      start = end + 1;
    }
    const rest = piece.subarray(start);
    openBytes += rest.length;
    if (openBytes > maxBytes) open = [];
    else if (rest.length > 0) open.push(rest);
    if (lines.length > 0) yield lines;
  }
  if (openBytes > 0) yield [close(new Uint8Array())];
}
