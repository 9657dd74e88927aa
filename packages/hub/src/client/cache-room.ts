/**
 * @file Room in a cache: how many bytes it has, and which revisions go when a download needs more than its quota leaves.
 *
 * The least recently used revision goes first (the time of its folder: every `download` touches it); never one that a live client
 * holds. Its contents go with it unless another revision has them too. A folder is renamed before it is emptied, so nobody finds
 * half a revision. Two processes may do this at once: each removes what is left. `dropUnused` does not wait for the quota.
 */
import { lstatSync, readdirSync, renameSync, rmSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import { type CacheLeases, namesIn } from './cache-leases.ts';

export interface CacheUsage {
  bytes: number;
  /** Revisions that are whole or in part here. */
  revisions: number;
}

/** A content that no revision has is one that is just being downloaded, unless it is older than this. */
const ORPHAN_MS = 600_000;

interface Blob {
  path: string;
  bytes: number;
  links: number;
  changedMs: number;
}

export class CacheRoom {
  readonly #directory: string;
  readonly #leases: CacheLeases;
  readonly #quotaBytes: number | undefined;

  constructor(directory: string, leases: CacheLeases, quotaBytes: number | undefined) {
    this.#directory = directory;
    this.#leases = leases;
    this.#quotaBytes = quotaBytes;
  }

  /**
   * Evicts until `bytes` more fit into the quota, besides what others have reserved. Nothing goes when that cannot be reached.
   * @throws QuasarError `hub.cache_full`
   */
  make(bytes: number, what: string): void {
    if (this.#quotaBytes === undefined) return;
    const blobs = blobsIn(this.#directory);
    const { snapshots: held, reservedBytes } = this.#leases.live();
    const mostBytes = this.#quotaBytes - bytes - reservedBytes;
    let used = sum([...blobs.values()]);
    if (used <= mostBytes) return;
    const inUse = new Set([...held].flatMap((snapshot) => this.#inodes(snapshot)));
    const heldBytes = sum([...blobs].flatMap(([inode, blob]) => (inUse.has(inode) ? [blob] : [])));
    if (heldBytes > mostBytes) throw cacheFull(what, { bytes, quotaBytes: this.#quotaBytes, heldBytes, reservedBytes });
    used -= removeOrphans(blobs);
    for (const snapshot of leastRecentFirst(this.#directory)) {
      if (used <= mostBytes) return;
      if (!held.has(snapshot)) used -= this.#evict(snapshot, blobs);
    }
  }

  /** Evicts every revision that no live client holds. */
  dropUnused(): void {
    const blobs = blobsIn(this.#directory);
    const held = this.#leases.live().snapshots;
    for (const snapshot of snapshotsIn(this.#directory)) if (!held.has(snapshot)) this.#evict(snapshot, blobs);
    removeOrphans(blobs);
  }

  /** @returns bytes that became free */
  #evict(snapshot: string, blobs: ReadonlyMap<string, Blob>): number {
    const from = join(this.#directory, 'snapshots', snapshot);
    const aside = join(this.#directory, 'tmp', `${this.#leases.id}-${Math.random().toString(36).slice(2)}`);
    try {
      renameSync(from, aside);
    } catch {
      return 0; // somebody else was faster
    }
    if (this.#leases.live().snapshots.has(snapshot)) {
      try {
        renameSync(aside, from);
      } catch {
        rmSync(aside, { recursive: true, force: true }); // whoever holds it has made it again
      }
      return 0;
    }
    const inodes = inodesIn(aside);
    rmSync(aside, { recursive: true, force: true });
    let freed = 0;
    for (const inode of inodes) {
      const blob = blobs.get(inode);
      const stats = blob && statOf(blob.path);
      if (!blob || stats?.nlink !== 1) continue;
      rmSync(blob.path, { force: true });
      freed += blob.bytes;
    }
    return freed;
  }

  #inodes(snapshot: string): string[] {
    return inodesIn(join(this.#directory, 'snapshots', snapshot));
  }
}

/** What lies in the cache of a client. An absent directory is an empty cache. */
export function cacheUsage(directory: string): CacheUsage {
  return { bytes: sum([...blobsIn(directory).values()]), revisions: snapshotsIn(directory).length };
}

/** @returns bytes that became free */
function removeOrphans(blobs: ReadonlyMap<string, Blob>): number {
  let freed = 0;
  for (const { path, bytes, links, changedMs } of blobs.values()) {
    if (links > 1 || Date.now() - changedMs < ORPHAN_MS) continue;
    rmSync(path, { force: true });
    freed += bytes;
  }
  return freed;
}

function cacheFull(
  what: string,
  sizes: { bytes: number; quotaBytes: number; heldBytes: number; reservedBytes: number },
): QuasarError {
  const { bytes, quotaBytes, heldBytes, reservedBytes } = sizes;
  const others = heldBytes + reservedBytes > 0 ? `, ${gigabytes(heldBytes + reservedBytes)} of it in use now` : '';
  return new QuasarError(
    'hub.cache_full',
    `${what}: ${gigabytes(bytes)} more do not fit into a cache of ${gigabytes(quotaBytes)}${others}`,
    { hint: 'give the cache more room (--cache-gb); nothing was downloaded', retry: 'later', data: sizes },
  );
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toPrecision(3)} GB`;

function sum(blobs: readonly Blob[]): number {
  return blobs.reduce((total, { bytes }) => total + bytes, 0);
}

function blobsIn(directory: string): Map<string, Blob> {
  const blobs = new Map<string, Blob>();
  for (const name of namesIn(join(directory, 'blobs'))) {
    const path = join(directory, 'blobs', name);
    const stats = statOf(path);
    if (stats) blobs.set(inodeOf(stats), { path, bytes: stats.size, links: stats.nlink, changedMs: stats.ctimeMs });
  }
  return blobs;
}

function leastRecentFirst(directory: string): string[] {
  const used = snapshotsIn(directory).map((snapshot) => ({
    snapshot,
    usedMs: statOf(join(directory, 'snapshots', snapshot))?.mtimeMs ?? 0,
  }));
  return used.sort((a, b) => a.usedMs - b.usedMs).map(({ snapshot }) => snapshot);
}

/** `<owner>--<name>/<revision>`, and the same below `datasets`. */
function snapshotsIn(directory: string): string[] {
  const root = join(directory, 'snapshots');
  const below = (folder: string) => namesIn(join(root, folder)).map((name) => join(folder, name));
  const repos = below('').filter((name) => name !== 'datasets');
  return [...repos, ...below('datasets')].flatMap(below);
}

function inodesIn(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, withFileTypes: true }).flatMap((entry) => {
      const stats = entry.isFile() ? statOf(join(entry.parentPath, entry.name)) : null;
      return stats ? [inodeOf(stats)] : [];
    });
  } catch {
    return [];
  }
}

function statOf(path: string): Stats | null {
  return lstatSync(path, { throwIfNoEntry: false }) ?? null;
}

const inodeOf = ({ dev, ino }: Stats) => `${dev}:${ino}`;
