/**
 * @file Where a submission's files come from: a pinned revision on a hub, or a directory not published yet.
 *
 * Validator and miner run the same checks over this interface, so that a miner hears exactly what a validator says.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalJson, sha256Hex } from '@quasar/base';
import type { HubClient, HubFile, Listing } from '@quasar/hub';

export interface SubmissionSource {
  /** For messages: `owner/name@01234567` or a directory. */
  readonly name: string;
  /** All files with size and sha256, and what is wrong with others; null when the revision does not exist or is private. */
  inspect(): Promise<Listing | null>;
  readRange(path: string, start: number, end: number): Promise<Uint8Array>;
  /** Local directory with these files, each equal to its listing. */
  download(files: readonly HubFile[], maxTotalBytes: number): Promise<string>;
}

export function hubSource(hub: HubClient, repo: string, revision: string, signal?: AbortSignal): SubmissionSource {
  return {
    name: `${repo}@${revision.slice(0, 8)}`,
    inspect: () => hub.inspect(repo, revision, { signal }),
    readRange: (path, start, end) => hub.readRange(repo, revision, path, start, end, { signal }),
    download: (files, maxTotalBytes) => hub.download(repo, revision, { files, maxTotalBytes, signal }),
  };
}

/** Files of a directory as a hub would list them, by name; hidden files are not part of a submission. */
export async function directoryFiles(directory: string): Promise<HubFile[]> {
  const files: HubFile[] = [];
  for (const path of await readdir(directory)) {
    // Links count as what they lead to: the cache of a hub client is a folder of links.
    if (path.startsWith('.') || !(await stat(join(directory, path))).isFile()) continue;
    files.push({ path, ...(await fileDigest(join(directory, path))) });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

export function directorySource(directory: string): SubmissionSource {
  return {
    name: directory,
    inspect: async () => ({ files: await directoryFiles(directory), issues: [], unread: [], isComplete: true }),
    async readRange(path, start, end) {
      const file = await open(join(directory, path));
      try {
        const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(end - start), position: start });
        return buffer.subarray(0, bytesRead);
      } finally {
        await file.close();
      }
    },
    download: async () => directory,
  };
}

/** One digest for a whole listing: what a manifest in a commitment names. */
export function manifestSha256(files: readonly HubFile[]): string {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  return sha256Hex(canonicalJson(sorted.map(({ path, sizeBytes, sha256 }) => ({ path, sizeBytes, sha256 }))));
}

/** Size and sha256 of a file of any size. */
export async function fileDigest(path: string): Promise<{ sizeBytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk as Buffer);
    sizeBytes += (chunk as Buffer).length;
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}
