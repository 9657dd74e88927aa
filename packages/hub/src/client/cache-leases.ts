/**
 * @file Who uses a cache, and what: one small file for every client, so that processes which share a cache see each other.
 *
 *     uses/<id>.json     {host, process, snapshots, reservedBytes}
 *
 * A lease is live while its process is; of another machine, or another container, while its file was renewed within ten minutes.
 * What a dead one used may be evicted, and its temporary files, whose names begin with its id, are leftovers.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { identify, isAlive, type ProcessIdentity, writeFileAtomic } from '@quasar/base';

const RENEW_MS = 60_000;
const LIFE_MS = 600_000;

interface Lease {
  host: string;
  process: ProcessIdentity;
  /** Paths below `snapshots/`. */
  snapshots: string[];
  /** Of a download that began. */
  reservedBytes: number;
}

export class CacheLeases {
  readonly #directory: string;
  readonly #id = randomBytes(8).toString('hex');
  readonly #holds = new Map<string, number>();
  #reservedBytes = 0;
  #timer: NodeJS.Timeout | null = null;

  /** @param directory of the cache */
  constructor(directory: string) {
    this.#directory = join(directory, 'uses');
  }

  /** What the temporary files of this client begin with; they are its own as long as it lives. */
  get id(): string {
    if (this.#timer === null) this.#write();
    return this.#id;
  }

  /** `snapshot` is in use until `release` was called as often. */
  hold(snapshot: string): void {
    const count = this.#holds.get(snapshot) ?? 0;
    this.#holds.set(snapshot, count + 1);
    if (count === 0) this.#write();
  }

  release(snapshot: string): void {
    const count = this.#holds.get(snapshot);
    if (count === undefined) return;
    if (count > 1) this.#holds.set(snapshot, count - 1);
    else {
      this.#holds.delete(snapshot);
      this.#write();
    }
  }

  /** Room that a download of this client will take; negative when it has taken it. */
  reserve(bytes: number): void {
    this.#reservedBytes += bytes;
    this.#write();
  }

  /** What live clients use, this one included. */
  live(): { ids: Set<string>; snapshots: Set<string>; reservedBytes: number } {
    const [ids, snapshots] = [new Set([this.#id]), new Set(this.#holds.keys())];
    let reservedBytes = this.#reservedBytes;
    for (const name of namesIn(this.#directory)) {
      const id = name.replace('.json', '');
      if (!name.endsWith('.json') || id === this.#id) continue;
      const lease = this.#read(name);
      if (lease === null) continue;
      ids.add(id);
      for (const snapshot of lease.snapshots) snapshots.add(snapshot);
      reservedBytes += lease.reservedBytes;
    }
    return { ids, snapshots, reservedBytes };
  }

  /** Null: dead, and its file removed. */
  #read(name: string): Lease | null {
    const path = join(this.#directory, name);
    try {
      const lease = JSON.parse(readFileSync(path, 'utf8')) as Lease;
      const isRenewed = Date.now() - statSync(path).mtimeMs < LIFE_MS;
      if (lease.host === hostname() ? isAlive(lease.process) : isRenewed) return lease;
    } catch {} // gone or damaged
    rmSync(path, { force: true });
    return null;
  }

  #write(): void {
    const path = join(this.#directory, `${this.#id}.json`);
    const lease: Lease = {
      ...{ host: hostname(), process: identify(process.pid) },
      ...{ snapshots: [...this.#holds.keys()], reservedBytes: this.#reservedBytes },
    };
    writeFileAtomic(path, JSON.stringify(lease));
    this.#timer ??= setInterval(() => {
      try {
        utimesSync(path, new Date(), new Date());
      } catch {} // the cache was deleted; the next write makes it again
    }, RENEW_MS).unref();
  }
}

export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
