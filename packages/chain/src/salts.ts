/**
 * @file What was committed by hash and must be shown later: weights and salts, in a file of mode 0600.
 *
 * A record is durable before its commit is sent: whoever loses the salt cannot reveal, and the weights never count.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import { z } from 'zod';

const u16 = z.int().min(0).max(65535);
const recordSchema = z.strictObject({
  /** Genesis of the chain that the commit is on. */
  genesis: z.string(),
  hotkey: z.string(),
  netuid: u16,
  /** The commit itself, `0x` hex. */
  hash: z.string(),
  uids: z.array(u16),
  values: z.array(u16),
  salt: z.array(u16),
  versionKey: z.number(),
});

export type SaltRecord = z.infer<typeof recordSchema>;

/** More than a hotkey can have waiting on all subnets together. */
const MAX_RECORDS = 10_000;

export class Salts {
  readonly #path: string | null;
  #records: SaltRecord[] | null = null;

  /** @param directory null: kept in memory, lost with the process */
  constructor(directory: string | null) {
    this.#path = directory === null ? null : join(directory, 'weight-salts.json');
  }

  /** Durable when it returns. Throws `chain.salts_unwritable`, `chain.salts_invalid`. */
  add(record: SaltRecord): void {
    this.#save([...this.#load(), record].slice(-MAX_RECORDS));
  }

  of(genesis: string, hotkey: string, netuid: number): SaltRecord[] {
    return this.#load().filter((r) => r.genesis === genesis && r.hotkey === hotkey && r.netuid === netuid);
  }

  remove(hashes: readonly string[]): void {
    if (hashes.length > 0) this.#save(this.#load().filter((record) => !hashes.includes(record.hash)));
  }

  #load(): SaltRecord[] {
    if (this.#path === null) return this.#records ?? [];
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw this.#invalid(error);
    }
    try {
      return z.array(recordSchema).parse(JSON.parse(text));
    } catch (error) {
      throw this.#invalid(error);
    }
  }

  #save(records: SaltRecord[]): void {
    if (this.#path === null) {
      this.#records = records;
      return;
    }
    const temporary = `${this.#path}.${randomBytes(6).toString('hex')}.tmp`;
    try {
      mkdirSync(join(this.#path, '..'), { recursive: true, mode: 0o700 });
      const fd = openSync(temporary, 'wx', 0o600);
      try {
        writeFileSync(fd, JSON.stringify(records));
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(temporary, this.#path);
    } catch (cause) {
      rmSync(temporary, { force: true });
      throw new QuasarError('chain.salts_unwritable', `cannot write ${this.#path}; nothing was committed`, {
        hint: 'without the salt the weights could never be revealed; check the directory and the disk',
        cause,
      });
    }
  }

  #invalid(cause: unknown): QuasarError {
    return new QuasarError('chain.salts_invalid', `${this.#path} cannot be read`, {
      hint: 'it holds the salts of committed weights; restore it, or move it away and give up what was committed',
      cause,
    });
  }
}
