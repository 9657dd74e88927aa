/** @file Messages between the wallet and its signer: JSON objects in frames. */
import { FrameReader as ByteFrames, encodeFrame as encodeBytes, parseJsonFrame } from '@quasar/base';

/** Extrinsics have hundreds of bytes; weights of 65,536 neurons would have 300 KB. */
export const MAX_FRAME_BYTES = 1_048_576;

/** @throws FrameError */
export function encodeFrame(message: object): Buffer {
  return encodeBytes(Buffer.from(JSON.stringify(message)), MAX_FRAME_BYTES);
}

/** Puts chunks together again. */
export class FrameReader {
  readonly #frames = new ByteFrames(MAX_FRAME_BYTES);

  /** The messages that `chunk` completes. @throws FrameError */
  push(chunk: Buffer): Record<string, unknown>[] {
    return this.#frames.push(chunk).map(parseJsonFrame);
  }
}
