/**
 * @file Contents by their SHA-256: `blobs/<first two digits>/<digest>`.
 *
 * A content is written under a temporary name, checked, flushed and renamed, so a name in `blobs/` is always whole.
 * Left out: collecting contents that no revision names any more.
 */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { HttpError } from './http-error.ts';

export class Blobs {
  readonly #blobs: string;
  readonly #temporary: string;

  /** Removes what an earlier, killed process left half written. */
  constructor(directory: string) {
    this.#blobs = join(directory, 'blobs');
    this.#temporary = join(directory, 'tmp');
    rmSync(this.#temporary, { recursive: true, force: true });
    mkdirSync(this.#temporary, { recursive: true });
    mkdirSync(this.#blobs, { recursive: true });
  }

  path(sha256: string): string {
    return join(this.#blobs, sha256.slice(0, 2), sha256);
  }

  /** Bytes of a content, or null when it is not here. */
  size(sha256: string): number | null {
    return statSync(this.path(sha256), { throwIfNoEntry: false })?.size ?? null;
  }

  /** Stores a body, refusing one that is longer than announced or not the announced content. */
  async receive(body: AsyncIterable<Uint8Array>, announced: { sha256: string; sizeBytes: number }): Promise<void> {
    const temporary = join(this.#temporary, randomBytes(8).toString('hex'));
    const fd = openSync(temporary, 'wx', 0o644);
    try {
      const hash = createHash('sha256');
      let received = 0;
      for await (const chunk of body) {
        received += chunk.length;
        if (received > announced.sizeBytes) break;
        hash.update(chunk);
        for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done);
      }
      if (received !== announced.sizeBytes) {
        throw new HttpError(
          400,
          `upload of ${announced.sha256}: announced ${announced.sizeBytes} bytes, got ${received}`,
        );
      }
      const digest = hash.digest('hex');
      if (digest !== announced.sha256)
        throw new HttpError(400, `upload of ${announced.sha256}: the content is ${digest}`);
      fsyncSync(fd);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    } finally {
      closeSync(fd);
    }
    const path = this.path(announced.sha256);
    mkdirSync(dirname(path), { recursive: true });
    renameSync(temporary, path);
  }

  /** Stores bytes that came inside a request. */
  async put(bytes: Uint8Array): Promise<{ sha256: string; sizeBytes: number }> {
    const content = { sha256: createHash('sha256').update(bytes).digest('hex'), sizeBytes: bytes.length };
    if (this.size(content.sha256) === null) await this.receive(once(bytes), content);
    return content;
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
