/**
 * @file The hub client: @huggingface/hub for talking, our rules for believing.
 *
 * A revision is a full commit id. Its listing is checked before anything is read. Every byte comes through a meter
 * and is checked against the listed digest before it has a name in the cache. What is absent is a value (null);
 * what may be repeated is `retry: 'later'`; so a hub that is down never looks like a submission that is gone.
 * File bodies are read directly: the library's Blob turns errors into strings, so a cut connection and a wrong
 * answer could not be told apart. Data sets are repositories named `datasets/owner/name`. Left out: xet, spaces.
 */
import { listFiles } from '@huggingface/hub';
import { type Issue, QuasarError, sha256Hex } from '@quasar/base';
import { isDatasetName, isPinnedRevision } from '../names.ts';
import type { Resolve } from './addresses.ts';
import { Cache } from './cache.ts';
import {
  checkAddress,
  checkDataset,
  checkDownload,
  checkFileName,
  checkPinned,
  checkRange,
  checkRepo,
} from './checks.ts';
import { downloadToCache, type FileAddress, readBytes } from './download.ts';
import { cancelled, digestMismatch, diskFailure, protocol, unreachable } from './failures.ts';
import { GuardedFetch } from './guarded-fetch.ts';
import { DEFAULT_LIMITS, type HubLimits } from './limits.ts';
import {
  type CheckedListing,
  checkDatasetListing,
  checkListing,
  gitBlobId,
  type ListedFile,
  listingRefused,
} from './listing.ts';
import { readAll } from './meter.ts';
import { type PublishFile, publish } from './publish.ts';
import { type Clock, retried, SYSTEM_CLOCK } from './retry.ts';

export interface HubFile {
  path: string;
  sizeBytes: number;
  sha256: string;
}

/** A listing by the rules of submissions, bad parts and all. */
export type Listing = CheckedListing<HubFile>;

export interface Abortable {
  signal?: AbortSignal | undefined;
}

/** What fails transiently is asked again after pauses (`limits.retryDelaysMs`) before `hub.unreachable` is thrown. */
export interface HubClient {
  /**
   * Adds or replaces files in a repository (made when absent), as one commit.
   * @throws QuasarError `hub.publish_refused` | `hub.unauthorized` | `hub.unreachable` | `hub.bad_repo`
   */
  publish(
    repo: string,
    files: readonly PublishFile[],
    options?: { message?: string | undefined },
  ): Promise<{ revision: string }>;
  /**
   * The files of a revision, or null when repository or revision does not exist or is private.
   * @throws QuasarError `hub.listing_refused` (names, count or sizes against the rules; final) | `hub.unreachable`
   */
  list(repo: string, revision: string, options?: Abortable): Promise<HubFile[] | null>;
  /**
   * As `list`, but what is against the rules is a finding beside the files that follow them. A file that is listed and not there
   * is a finding `hub.not_found`.
   * @throws QuasarError `hub.unreachable`
   */
  inspect(repo: string, revision: string, options?: Abortable): Promise<Listing | null>;
  /**
   * The full commit id that a branch, tag or commit of a repository stands for now, or null when it does not exist or is private.
   * @throws QuasarError `hub.unreachable` | `hub.unauthorized` | `hub.protocol`
   */
  resolveRevision(repo: string, revision: string, options?: Abortable): Promise<string | null>;
  /**
   * Files of a data set, in and below its folders: those that `choose` picks from the paths, in that order. Only their names and sizes
   * have to follow rules. Null when repository or revision does not exist or is private.
   * @param repo `datasets/owner/name`
   * @throws QuasarError `hub.listing_refused` | `hub.unreachable`
   */
  listDataset(
    repo: string,
    revision: string,
    choose: (paths: readonly string[]) => readonly string[],
  ): Promise<HubFile[] | null>;
  /**
   * Bytes [start, end) of a file; exactly `end - start` of them.
   * @throws QuasarError `hub.not_found` | `hub.size_mismatch` when the file ends before `end` | `hub.unreachable`
   */
  readRange(
    repo: string,
    revision: string,
    path: string,
    start: number,
    end: number,
    options?: Abortable,
  ): Promise<Uint8Array>;
  /**
   * Listed files into the cache, each checked (size, sha256). Do not write into the directory: its files are shared.
   * @returns a directory with these files, and perhaps others of the same revision from earlier calls
   * @throws QuasarError `hub.too_large`, `hub.cache_full` before a byte is read | `hub.digest_mismatch` | `hub.size_mismatch` |
   *   `hub.not_found` | `hub.unreachable` | `hub.cancelled`
   */
  download(
    repo: string,
    revision: string,
    options: { files: readonly HubFile[]; maxTotalBytes: number; signal?: AbortSignal | undefined },
  ): Promise<string>;
  /**
   * Says that this client does not need a downloaded revision any more: the cache may drop it when it needs the room. To be called as
   * often as it was downloaded; the end of the process says the same of everything.
   */
  release(repo: string, revision: string): void;
  /** Takes every revision out of the cache that no live client needs, whatever room is left. */
  dropUnused(): void;
}

export interface HubClientOptions {
  /** `https://huggingface.co`, or a local hub. */
  url: string;
  cacheDirectory: string;
  /** Most bytes of the cache. Default: no limit. */
  quotaBytes?: number | undefined;
  /** `hf_...`; sent to the hub's own origin only. */
  token?: string | undefined;
  /** Default `DEFAULT_LIMITS`. */
  limits?: Partial<HubLimits> | undefined;
  /** What host names lead to. Default: as the system says. */
  resolve?: Resolve | undefined;
  /** For the pauses between tries. */
  clock?: Clock | undefined;
}

/** @throws QuasarError `hub.bad_url` | `hub.bad_token` | `hub.insecure_url` | `hub.disk` */
export function createHubClient(options: HubClientOptions): HubClient {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const token = options.token === '' ? undefined : options.token;
  const hubUrl = checkAddress(options.url, token);
  const cache = openCache(options.cacheDirectory, options.quotaBytes);
  const guarded = new GuardedFetch(hubUrl, token, limits, options.resolve);
  const { clock = SYSTEM_CLOCK } = options;
  const again = <T>(what: string, signal: AbortSignal | undefined, step: () => Promise<T>): Promise<T> =>
    retried({ what, clock, limits, signal }, step);

  function address(repo: string, revision: string, path: string): FileAddress {
    checkPinned(repo, revision);
    checkFileName(repo, path);
    const encoded = path.split('/').map(encodeURIComponent).join('/');
    return { url: `${hubUrl}/${repo}/resolve/${revision}/${encoded}`, what: `${repo}@${revision.slice(0, 8)} ${path}` };
  }

  async function listEntries(
    repo: string,
    revision: string,
    most: { pages: number; entries: number },
    signal?: AbortSignal,
  ): Promise<unknown[]> {
    const recursive = isDatasetName(repo);
    const what = listingOf(repo, revision);
    const entries: unknown[] = [];
    let pages = 0;
    const fetchPage = async (input: string | URL | Request): Promise<Response> => {
      if (++pages > most.pages) throw protocol(`${what}: more than ${most.pages} pages`);
      const request = { headers: { accept: 'application/json' }, what, signal };
      return again(what, signal, async () => {
        const answer = await guarded.get(String(input), request);
        const page = await readAll(answer.read(limits.maxPageBytes)).catch((error: unknown) => {
          if (!(error instanceof QuasarError && error.code === 'hub.size_mismatch')) throw error;
          throw listingRefused(what, [pageTooLarge(limits)]);
        });
        const link = answer.headers.get('link');
        return new Response(Buffer.from(page).toString(), { headers: link === null ? {} : { link } });
      });
    };
    try {
      for await (const entry of listFiles({ repo, revision, recursive, hubUrl, fetch: fetchPage })) {
        entries.push(entry);
        if (entries.length > most.entries) break;
      }
    } catch (error) {
      if (error instanceof QuasarError) throw error;
      throw protocol(`${what}: ${error instanceof Error ? error.message : String(error)}`, error);
    }
    return entries;
  }

  /** A file that is listed by its git id only: read once, checked against that id, its SHA-256 remembered. */
  async function withSha256(repo: string, revision: string, file: ListedFile, signal?: AbortSignal): Promise<HubFile> {
    const { path, sizeBytes, gitId } = file;
    let sha256 = file.sha256 ?? (await cache.digestOfGitId(gitId));
    if (sha256 === null) {
      const from = address(repo, revision, path);
      const range = { start: 0, end: sizeBytes, sizeBytes };
      const bytes = sizeBytes === 0 ? new Uint8Array() : await readWhole(from, range, signal);
      const found = gitBlobId(bytes);
      if (found !== gitId) throw digestMismatch(`${from.what}: git id is ${found}, listed was ${gitId}`);
      sha256 = sha256Hex(bytes);
      cache.rememberGitId(gitId, sha256);
    }
    return { path, sizeBytes, sha256 };
  }

  function readWhole(
    from: FileAddress,
    range: { start: number; end: number; sizeBytes?: number },
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    return again(from.what, signal, async () => {
      const bytes = await readAll((await readBytes(guarded, from, { ...range, signal })).chunks);
      if (bytes.length === range.end - range.start) return bytes;
      throw unreachable(`${from.what}: got ${bytes.length} of ${range.end - range.start} bytes`);
    });
  }

  async function inspect(repo: string, revision: string, { signal }: Abortable = {}): Promise<Listing | null> {
    checkPinned(repo, revision);
    const what = listingOf(repo, revision);
    try {
      // One too many, besides .gitattributes.
      const most = { pages: limits.maxPages, entries: limits.maxFiles + 1 };
      const listing = checkListing(await listEntries(repo, revision, most, signal), what, limits);
      const files: HubFile[] = [];
      for (const file of listing.files) {
        try {
          files.push(await withSha256(repo, revision, file, signal));
        } catch (error) {
          if (!(error instanceof QuasarError && error.code === 'hub.not_found')) throw error;
          listing.issues.push({ code: error.code, path: file.path, message: 'the hub lists it and does not have it' });
          listing.unread.push(file.path);
        }
      }
      return { ...listing, files };
    } catch (error) {
      if (error instanceof QuasarError && error.code === 'hub.not_found') return null;
      if (error instanceof QuasarError && error.code === 'hub.listing_refused')
        return { files: [], issues: [pageTooLarge(limits)], unread: [], isComplete: false };
      throw diskFailure(error, options.cacheDirectory);
    }
  }

  return {
    inspect,

    async publish(repo, files, { message = `Publish ${files.length} files` } = {}) {
      checkRepo(repo);
      return publish({ url: hubUrl, token, maxFiles: limits.maxFiles }, repo, files, message);
    },

    async list(repo, revision, abortable) {
      const listing = await inspect(repo, revision, abortable);
      if (listing === null || listing.issues.some(({ code }) => code === 'hub.not_found')) return null;
      if (listing.issues.length > 0) throw listingRefused(listingOf(repo, revision), listing.issues);
      return listing.files;
    },

    async resolveRevision(repo, revision, { signal } = {}) {
      checkRepo(repo);
      if (isPinnedRevision(revision)) return revision;
      const kind = isDatasetName(repo) ? repo : `models/${repo}`;
      const what = `revision ${JSON.stringify(revision.slice(0, 100))} of ${repo}`;
      try {
        const url = `${hubUrl}/api/${kind}/revision/${encodeURIComponent(revision)}?expand=sha`;
        const text = await again(what, signal, async () => {
          const answer = await guarded.get(url, { headers: { accept: 'application/json' }, what, signal });
          return Buffer.from(await readAll(answer.read(limits.maxPageBytes))).toString();
        });
        const sha: unknown = JSON.parse(text)?.sha;
        if (typeof sha === 'string' && isPinnedRevision(sha)) return sha;
        throw protocol(`${what}: the hub answers without a commit id`);
      } catch (error) {
        if (!(error instanceof QuasarError)) throw protocol(`${what}: the answer is no JSON`, error);
        if (error.code === 'hub.not_found') return null;
        throw error;
      }
    },

    async listDataset(repo, revision, choose) {
      checkPinned(repo, revision);
      checkDataset(repo);
      const most = { pages: limits.maxDatasetPages, entries: limits.maxDatasetFiles };
      try {
        const entries = await listEntries(repo, revision, most);
        const files: HubFile[] = [];
        for (const file of checkDatasetListing(entries, listingOf(repo, revision), choose, limits)) {
          files.push(await withSha256(repo, revision, file));
        }
        return files;
      } catch (error) {
        if (error instanceof QuasarError && error.code === 'hub.not_found') return null;
        throw diskFailure(error, options.cacheDirectory);
      }
    },

    async readRange(repo, revision, path, start, end, { signal } = {}) {
      const from = address(repo, revision, path);
      checkRange(from.what, start, end, limits);
      return start === end ? new Uint8Array() : readWhole(from, { start, end }, signal);
    },

    async download(repo, revision, { files, maxTotalBytes, signal: callerSignal }) {
      checkPinned(repo, revision);
      checkDownload(repo, files, maxTotalBytes, limits);
      const deadline = AbortSignal.timeout(limits.downloadTimeoutMs);
      const signal = callerSignal === undefined ? deadline : AbortSignal.any([callerSignal, deadline]);
      const fetchFile = (file: HubFile) =>
        downloadToCache(guarded, cache, address(repo, revision, file.path), file, { limits, clock, signal });
      try {
        cache.hold(repo, revision);
        for (let attempt = 1; ; attempt++) {
          try {
            await fillCache(cache, `download of ${repo}@${revision.slice(0, 8)}`, files, signal, fetchFile);
            return await cache.snapshot(repo, revision, files);
          } catch (error) {
            // A client that began to evict before this one said what it needs, or somebody who emptied the cache.
            const isEvicted = (error as NodeJS.ErrnoException).code === 'ENOENT';
            if (!isEvicted || attempt === MAX_EVICTED) throw error;
          }
        }
      } catch (error) {
        cache.release(repo, revision);
        throw diskFailure(error, options.cacheDirectory);
      }
    },

    release(repo, revision) {
      cache.release(repo, revision);
    },

    dropUnused() {
      cache.dropUnused();
    },
  };
}

const MAX_EVICTED = 3;

/** The files that the cache lacks, in room that is set apart for them. */
async function fillCache(
  cache: Cache,
  what: string,
  files: readonly HubFile[],
  signal: AbortSignal,
  fetchFile: (file: HubFile) => Promise<void>,
): Promise<void> {
  const missing: HubFile[] = [];
  for (const file of files) if (!(await cache.holds(file))) missing.push(file);
  let reservedBytes = missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  cache.reserve(reservedBytes, what);
  try {
    for (const file of missing) {
      if (signal.aborted) throw cancelled(what, signal);
      await fetchFile(file);
      cache.unreserve(file.sizeBytes);
      reservedBytes -= file.sizeBytes;
    }
  } finally {
    cache.unreserve(reservedBytes);
  }
}

function listingOf(repo: string, revision: string): string {
  return `listing of ${repo}@${revision.slice(0, 8)}`;
}

function pageTooLarge({ maxPageBytes }: HubLimits): Issue {
  const message = `a page of the listing is larger than ${maxPageBytes} bytes`;
  return { code: 'hub.too_many_files', message, hint: 'publish fewer files' };
}

function openCache(directory: string, quotaBytes: number | undefined): Cache {
  try {
    return new Cache(directory, quotaBytes);
  } catch (error) {
    throw diskFailure(error, directory);
  }
}
