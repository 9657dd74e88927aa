/**
 * @file Frames over a pipe between two processes: four bytes of length, little endian, then so many bytes. A frame above
 * the limit is an error on either side, so that no peer makes the other hold more.
 */

export class FrameError extends Error {}

/** @throws FrameError when `body` is longer than `maxBytes` */
export function encodeFrame(body: Uint8Array, maxBytes: number): Buffer {
  if (body.length > maxBytes) throw new FrameError(`a message of ${body.length} bytes`);
  const frame = Buffer.alloc(4 + body.length);
  frame.writeUInt32LE(body.length);
  frame.set(body, 4);
  return frame;
}

/** Puts chunks together again. */
export class FrameReader {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #sizeBytes = 0;
  /** Of the frame that is being received; null: not known yet. */
  #wanted: number | null = null;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The frames that `chunk` completes. @throws FrameError */
  push(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk);
    this.#sizeBytes += chunk.length;
    const frames: Buffer[] = [];
    for (;;) {
      if (this.#wanted === null) {
        if (this.#sizeBytes < 4) return frames;
        this.#wanted = this.#take(4).readUInt32LE();
        if (this.#wanted > this.#maxBytes) throw new FrameError(`a message of ${this.#wanted} bytes`);
      }
      if (this.#sizeBytes < this.#wanted) return frames;
      frames.push(this.#take(this.#wanted));
      this.#wanted = null;
    }
  }

  #take(sizeBytes: number): Buffer {
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#sizeBytes -= sizeBytes;
    this.#chunks = this.#sizeBytes > 0 ? [all.subarray(sizeBytes)] : [];
    return all.subarray(0, sizeBytes);
  }
}

/** The object that a frame holds as JSON. @throws FrameError */
export function parseJsonFrame(body: Buffer): Record<string, unknown> {
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
