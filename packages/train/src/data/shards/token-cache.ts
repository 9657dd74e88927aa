/**
 * @file Shards by what made them: the bytes of the files, the tokenizer, the reader's options and the version of the format.
 *
 *     <key>/                    a shard, complete
 *     tmp/<process>-<random>/   one that is being written
 *
 * A folder gets its key as name by one rename when all of it is on disk, so an interrupted run leaves nothing under a key; what it
 * leaves in `tmp` is removed at the next start. Several processes may share the cache. It can be deleted at any time.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson, QuasarError, sha256Hex } from '@quasar/base';
import type { Tokenizer } from '@quasar/model';
import type { DataFile } from '../files.ts';
import { unreadable } from '../readers/bytes.ts';
import type { ReadOptions, Skip } from '../readers/document.ts';
import { readDocuments } from '../readers/read.ts';
import { countSkip } from '../usable.ts';
import { forget } from './block-files.ts';
import { encodePassage } from './encode.ts';
import { SHARD_FILES, SHARD_VERSION, type SkippedPart } from './format.ts';
import { Shard } from './shard.ts';
import { ShardWriter } from './shard-writer.ts';

export interface TokenCacheOptions {
  directory: string;
  tokenizer: Tokenizer;
}

/** What, beside the bytes of the files and the tokenizer, makes a shard. */
export type TokeniseOptions = Pick<ReadOptions, 'textField' | 'passageBytes'>;

export interface TokeniseHooks {
  /** Hears of bytes of the files as they are tokenised. */
  onBytes?: ((bytes: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

export class TokenCache {
  readonly #options: TokenCacheOptions;
  readonly #tokenizerDigest: string;

  constructor(options: TokenCacheOptions) {
    this.#options = options;
    this.#tokenizerDigest = sha256Hex(options.tokenizer.toJson());
    mkdirSync(this.#temporary, { recursive: true });
    for (const name of readdirSync(this.#temporary)) {
      if (!isRunning(Number(name.split('-')[0]))) rmSync(join(this.#temporary, name), { recursive: true, force: true });
    }
  }

  /**
   * The shard of some files, tokenised when it is not there yet, or damaged.
   * @throws QuasarError data.unreadable, data.changed, data.cancelled
   */
  async obtain(files: readonly DataFile[], options: TokeniseOptions, hooks: TokeniseHooks = {}): Promise<Shard> {
    const digests: string[] = [];
    for (const file of files) digests.push(file.sha256 ?? (await digestOf(file.path, hooks.signal)));
    const key = sha256Hex(
      canonicalJson({
        version: SHARD_VERSION,
        tokenizer: this.#tokenizerDigest,
        files: files.map(({ format, isGzip }, i) => ({
          ...{ format, isGzip, sha256: digests[i] },
          ...(format === 'text' ? { passageBytes: options.passageBytes } : { textField: options.textField }),
        })),
      }),
    );
    const folder = join(this.#options.directory, key);
    const found = openIntact(folder);
    if (found !== null) {
      hooks.onBytes?.(files.reduce((sum, file) => sum + file.sizeBytes, 0));
      return found;
    }
    const temporary = join(this.#temporary, `${process.pid}-${randomBytes(6).toString('hex')}`);
    const writer = new ShardWriter(temporary, this.#options.tokenizer.vocabSize);
    try {
      const skipped = await this.#write(writer, files, options, hooks);
      writer.finish({ version: SHARD_VERSION, key, skipped });
      try {
        renameSync(temporary, folder);
      } catch (error) {
        // Another process was faster, with equal bytes.
        if (!existsSync(folder)) throw error;
      }
    } finally {
      writer.abandon();
    }
    return new Shard(folder);
  }

  async #write(
    writer: ShardWriter,
    files: readonly DataFile[],
    options: TokeniseOptions,
    hooks: TokeniseHooks,
  ): Promise<SkippedPart[]> {
    const { tokenizer } = this.#options;
    const skipped: SkippedPart[] = [];
    for (const [index, file] of files.entries()) {
      const before = stampOf(file.path);
      const onSkip = (skip: Skip) => countSkip(skipped, { file: index, ...skip }, (other) => other.file === index);
      for await (const documents of readDocuments(file, { ...options, onBytes: hooks.onBytes, onSkip })) {
        for (const document of documents) {
          checkSignal(hooks.signal);
          const passage = encodePassage(tokenizer, document);
          if (passage !== null) writer.append(passage.ids, passage.isTarget, passage.entry);
        }
      }
      checkSignal(hooks.signal);
      if (stampOf(file.path) !== before) {
        throw new QuasarError('data.changed', `--data ${file.path}: changed while it was read`, {
          hint: 'start again when nobody writes to it any more',
        });
      }
    }
    return skipped;
  }

  get #temporary(): string {
    return join(this.#options.directory, 'tmp');
  }
}

/** Null when it is not there, or damaged: then it is removed. */
function openIntact(folder: string): Shard | null {
  if (!existsSync(folder)) return null;
  try {
    return new Shard(folder);
  } catch {
    forget(Object.values(SHARD_FILES).map((name) => join(folder, name)));
    rmSync(folder, { recursive: true, force: true });
    return null;
  }
}

async function digestOf(path: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
      checkSignal(signal);
      hash.update(piece as Uint8Array);
    }
  } catch (cause) {
    throw cause instanceof QuasarError ? cause : unreadable(path, cause);
  }
  return hash.digest('hex');
}

export function checkSignal(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new QuasarError('data.cancelled', 'reading data: cancelled', {
    hint: 'run the same command again; what is tokenised already is kept',
    retry: 'later',
  });
}

function stampOf(path: string): string {
  const { size, mtimeMs } = statSync(path);
  return `${size}/${mtimeMs}`;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
