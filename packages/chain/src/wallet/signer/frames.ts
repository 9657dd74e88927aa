/**
 * @file Messages over a pipe: four bytes of length, little endian, then JSON. A longer message than MAX_FRAME_BYTES is an
 * error on either side, so that no peer makes the other hold more.
 */

/** Extrinsics have hundreds of bytes; weights of 65,536 neurons would have 300 KB. */
export const MAX_FRAME_BYTES = 1_048_576;

export class FrameError extends Error {}

export function encodeFrame(message: object): Buffer {
  const body = Buffer.from(JSON.stringify(message));
  if (body.length > MAX_FRAME_BYTES) throw new FrameError(`a message of ${body.length} bytes`);
  const frame = Buffer.alloc(4 + body.length);
  frame.writeUInt32LE(body.length);
  body.copy(frame, 4);
  return frame;
}

/** Puts chunks together again. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** The messages that `chunk` completes. @throws FrameError */
  push(chunk: Buffer): Record<string, unknown>[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const messages: Record<string, unknown>[] = [];
    while (this.#rest.length >= 4) {
      const size = this.#rest.readUInt32LE();
      if (size > MAX_FRAME_BYTES) throw new FrameError(`a message of ${size} bytes`);
      if (this.#rest.length < 4 + size) break;
      messages.push(parse(this.#rest.subarray(4, 4 + size)));
      this.#rest = this.#rest.subarray(4 + size);
    }
    return messages;
  }
}

function parse(body: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    throw new FrameError('a message that is not JSON');
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw new FrameError('a message that is no object');
  return value as Record<string, unknown>;
}
