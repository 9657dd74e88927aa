/**
 * @file What is said over the pipes of a cage (frames.ts of base). A message is a frame of JSON; `blobs: n` in it says that
 * n frames of plain bytes follow.
 *
 *     -> {type: 'open', threads}                                <- {type: 'ready', network}
 *     -> {type: 'run', kind, payload, directories, blobs: n}    <- {type: 'progress', rows}  any number
 *                                                               <- {type: 'done', result, name, blobs: 0 | 1}
 *                                                                | {type: 'failed', code, message, hint, retry}
 */
import { encodeFrame, FrameError, FrameReader, parseJsonFrame } from '@quasar/base';

/** Above the largest blob that a job queue keeps. */
const MAX_FRAME_BYTES = 128 << 20;
const MAX_BLOBS = 16;

export type Message = Record<string, unknown>;

/** @throws FrameError */
export function encodeMessage(message: Message, blobs: readonly Uint8Array[] = []): Buffer[] {
  const json = Buffer.from(JSON.stringify({ ...message, blobs: blobs.length }));
  return [json, ...blobs].map((body) => encodeFrame(body, MAX_FRAME_BYTES));
}

export class MessageReader {
  readonly #frames = new FrameReader(MAX_FRAME_BYTES);
  #open: { message: Message; wanted: number; blobs: Buffer[] } | null = null;

  /** The messages that `chunk` completes. @throws FrameError */
  push(chunk: Buffer): { message: Message; blobs: Buffer[] }[] {
    const complete: { message: Message; blobs: Buffer[] }[] = [];
    for (const frame of this.#frames.push(chunk)) {
      if (this.#open === null) {
        const message = parseJsonFrame(frame);
        this.#open = { message, wanted: blobCount(message), blobs: [] };
      } else this.#open.blobs.push(frame);
      if (this.#open.blobs.length < this.#open.wanted) continue;
      complete.push({ message: this.#open.message, blobs: this.#open.blobs });
      this.#open = null;
    }
    return complete;
  }
}

function blobCount({ blobs }: Message): number {
  const count = Number(blobs);
  if (Number.isInteger(count) && count >= 0 && count <= MAX_BLOBS) return count;
  throw new FrameError(`a message with ${String(blobs)} blobs`);
}
