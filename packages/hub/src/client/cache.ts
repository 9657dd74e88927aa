/**
 * @file Downloaded contents by their SHA-256, and directories of hard links to them.
 *
 *     blobs/<sha256>                          a checked content
 *     git/<git id>                            the SHA-256 of a content that was listed by its git id
 *     snapshots/<owner>--<name>/<revision>/   file names, linked to blobs; of data sets below snapshots/datasets/
 *     uses/  tmp/                             what clients use now, and what they are writing
 *
 * A checked content gets a fixed modification time. Any later write moves it, so a content is trusted again by one
 * `lstat`: size and that time as expected. Otherwise it is hashed again, and dropped if it differs.
 * Several processes may share the directory; it can be deleted at any time. With a quota the least recently used revisions make
 * room (`cache-room.ts`). On a file system without hard links contents lie there twice, and the quota counts them once.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, mkdirSync, rmSync } from 'node:fs';
import { chmod, copyFile, link, lstat, mkdir, readFile, rename, rm, utimes } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { writeFileAtomic } from '@quasar/base';
import { isDatasetName } from '../names.ts';
import { CacheLeases, namesIn } from './cache-leases.ts';
import { CacheRoom } from './cache-room.ts';
import { checkPinned } from './checks.ts';

/** 2001-09-09 01:46:40 UTC: marks a content whose digest was checked. */
const CHECKED_AT_SECONDS = 1_000_000_000;

interface Content {
  sizeBytes: number;
  sha256: string;
}

/**
 * Where a cache keeps a revision that was downloaded; it may hold other files than the revision, or be gone.
 * @throws QuasarError `hub.bad_repo`, `hub.revision_not_pinned`
 */
export function snapshotDirectory(cacheDirectory: string, repo: string, revision: string): string {
  checkPinned(repo, revision);
  const kind = isDatasetName(repo) ? 'datasets' : '';
  const owned = kind === '' ? repo : repo.slice('datasets/'.length);
  return join(cacheDirectory, 'snapshots', kind, owned.replace('/', '--'), revision);
}

export class Cache {
  readonly #directory: string;
  readonly #leases: CacheLeases;
  readonly #room: CacheRoom;

  /** @param quotaBytes undefined: no limit */
  constructor(directory: string, quotaBytes?: number) {
    this.#directory = directory;
    for (const part of ['blobs', 'git', 'snapshots', 'tmp', 'uses'])
      mkdirSync(join(directory, part), { recursive: true });
    this.#leases = new CacheLeases(directory);
    this.#room = new CacheRoom(directory, this.#leases, quotaBytes);
    this.#removeLeftovers();
  }

  /** What downloads left behind whose processes were killed. */
  #removeLeftovers(): void {
    const { ids } = this.#leases.live();
    for (const name of namesIn(join(this.#directory, 'tmp')))
      if (!ids.has(name.split('-')[0]!)) rmSync(join(this.#directory, 'tmp', name), { recursive: true, force: true });
  }

  /** The revision is not evicted until `release` was called as often. */
  hold(repo: string, revision: string): void {
    this.#leases.hold(this.#snapshotName(repo, revision));
  }

  release(repo: string, revision: string): void {
    this.#leases.release(this.#snapshotName(repo, revision));
  }

  /** Room for so many bytes, taken from revisions that nobody uses. @throws QuasarError `hub.cache_full` */
  reserve(bytes: number, what: string): void {
    if (bytes > 0) this.#room.make(bytes, what);
    this.#leases.reserve(bytes);
  }

  /** Every revision goes that no live client holds. */
  dropUnused(): void {
    this.#room.dropUnused();
  }

  /** They are stored now, or not needed any more. */
  unreserve(bytes: number): void {
    this.#leases.reserve(-bytes);
  }

  #snapshotName(repo: string, revision: string): string {
    return relative(join(this.#directory, 'snapshots'), snapshotDirectory(this.#directory, repo, revision));
  }

  blobPath(sha256: string): string {
    return join(this.#directory, 'blobs', sha256);
  }

  newTemporaryPath(): string {
    return join(this.#directory, 'tmp', `${this.#leases.id}-${randomBytes(12).toString('hex')}`);
  }

  /** Whether the content is here and intact; a damaged one is removed. */
  async holds(content: Content): Promise<boolean> {
    const path = this.blobPath(content.sha256);
    const found = await lstat(path).catch(() => null);
    if (found === null) return false;
    if (found.isFile() && found.size === content.sizeBytes) {
      if (found.mtimeMs === CHECKED_AT_SECONDS * 1000) return true;
      const hash = createHash('sha256');
      await pipeline(createReadStream(path), hash);
      if (hash.digest('hex') === content.sha256) {
        await utimes(path, CHECKED_AT_SECONDS, CHECKED_AT_SECONDS);
        return true;
      }
    }
    await rm(path, { recursive: true, force: true });
    return false;
  }

  /** Takes over a flushed temporary file whose digest the caller has checked. */
  async keep(temporary: string, sha256: string): Promise<void> {
    await utimes(temporary, CHECKED_AT_SECONDS, CHECKED_AT_SECONDS);
    await chmod(temporary, 0o444);
    await rename(temporary, this.blobPath(sha256));
  }

  /** The SHA-256 behind a git id seen before, or null. */
  async digestOfGitId(gitId: string): Promise<string | null> {
    const text = await readFile(join(this.#directory, 'git', gitId), 'utf8').catch(() => '');
    return /^[0-9a-f]{64}$/.test(text) ? text : null;
  }

  rememberGitId(gitId: string, sha256: string): void {
    writeFileAtomic(join(this.#directory, 'git', gitId), sha256);
  }

  /** The directory of a revision with these files in it, each the very content of its digest. */
  async snapshot(repo: string, revision: string, files: readonly (Content & { path: string })[]): Promise<string> {
    const directory = snapshotDirectory(this.#directory, repo, revision);
    await mkdir(directory, { recursive: true });
    for (const file of files) {
      const [blob, name] = [this.blobPath(file.sha256), join(directory, file.path)];
      const [wanted, found] = await Promise.all([lstat(blob), lstat(name).catch(() => null)]);
      if (found?.ino === wanted.ino && found.dev === wanted.dev) continue;
      await mkdir(dirname(name), { recursive: true });
      const temporary = this.newTemporaryPath();
      await link(blob, temporary).catch(() => copyFile(blob, temporary)); // a file system without hard links
      await rename(temporary, name);
      await rm(temporary, { force: true }); // rename of two links to one file leaves both names
    }
    const now = new Date();
    await utimes(directory, now, now);
    return directory;
  }
}
