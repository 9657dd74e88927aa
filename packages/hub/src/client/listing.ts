/**
 * @file The listing of a revision, checked before a byte of any file is read: how many files, what names, what sizes.
 *
 * A file in LFS is listed with its SHA-256. A small file of the real hub has only a git id: sha1("blob <size>\0" +
 * content); it is returned as such, and the client reads it to learn the rest.
 */
import { createHash } from 'node:crypto';
import { type Issue, QuasarError } from '@quasar/base';
import { z } from 'zod';
import { isFlatFileName } from '../names.ts';
import { protocol } from './failures.ts';
import type { HubLimits } from './limits.ts';

export interface ListedFile {
  path: string;
  sizeBytes: number;
  /** Null when the hub knows the file by its git id only. */
  sha256: string | null;
  gitId: string;
}

const entry = z.object({
  type: z.string(),
  path: z.string(),
  size: z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER),
  oid: z.string().regex(/^[0-9a-f]{40}$/),
  lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.number() }).optional(),
});

/**
 * @param entries what the hub listed; at most `limits.maxFiles + 2` of them need to be given
 * @throws QuasarError `hub.listing_refused`, all findings in `data.issues` | `hub.protocol`
 */
export function checkListing(entries: readonly unknown[], what: string, limits: HubLimits): ListedFile[] {
  const issues: Issue[] = [];
  const files: ListedFile[] = [];
  const seen = new Set<string>();
  for (const [index, raw] of entries.entries()) {
    const parsed = entry.safeParse(raw);
    if (!parsed.success || (parsed.data.lfs !== undefined && parsed.data.lfs.size !== parsed.data.size)) {
      // The hub writes this part, not the owner of the repository: nobody's submission is bad because of it.
      throw protocol(`${what}: entry ${index} is not understood: ${JSON.stringify(raw)?.slice(0, 300)}`, parsed.error);
    }
    const { type, path, size, oid, lfs } = parsed.data;
    if (path === '.gitattributes') continue; // the hub writes it into every repository; never read by us
    const shown = JSON.stringify(path.slice(0, 200));
    if (type !== 'file') {
      issues.push({
        code: 'hub.entry_not_file',
        path,
        message: `${shown} is a ${type}`,
        hint: 'keep all files at the top',
      });
    } else if (!isFlatFileName(path)) {
      const hint = 'use A-Z a-z 0-9 . _ - and begin with a letter or digit';
      issues.push({ code: 'hub.name_refused', path, message: `${shown} is no flat file name`, hint });
    } else if (seen.has(path.toLowerCase())) {
      issues.push({ code: 'hub.name_twice', path, message: `${shown} is there twice, ignoring case` });
    }
    seen.add(path.toLowerCase());
    files.push({ path, sizeBytes: size, sha256: lfs?.oid ?? null, gitId: oid });
  }
  if (files.length > limits.maxFiles) {
    const message = `more than ${limits.maxFiles} files`;
    issues.push({ code: 'hub.too_many_files', message, hint: 'publish fewer files' });
  }
  const gitSizes = files.filter((file) => file.sha256 === null).map((file) => file.sizeBytes);
  if (Math.max(0, ...gitSizes) > limits.maxGitFileBytes || sum(gitSizes) > limits.maxGitTotalBytes) {
    const message = `${gitSizes.length} files outside LFS have ${sum(gitSizes)} bytes`;
    issues.push({ code: 'hub.git_files_too_large', message, hint: 'keep large files in LFS' });
  }
  if (issues.length > 0) throw listingRefused(what, issues);
  return files;
}

/** A listing that its owner has to change. */
export function listingRefused(what: string, issues: Issue[]): QuasarError {
  const [first] = issues;
  const more = issues.length > 1 ? `, and ${issues.length - 1} more` : '';
  return new QuasarError('hub.listing_refused', `${what}: ${first?.message}${more}`, {
    hint: first?.hint ?? 'publish plain files at the top level',
    data: { issues },
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** The id git gives a file's content. */
export function gitBlobId(content: Uint8Array): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
}
