/**
 * @file The listing of a revision, checked before a byte of any file is read: how many files, what names, what sizes.
 *
 * A file in LFS is listed with its SHA-256. A small file of the real hub has only a git id: sha1("blob <size>\0" +
 * content); it is returned as such, and the client reads it to learn the rest.
 */
import { createHash } from 'node:crypto';
import { type Issue, QuasarError } from '@quasar/base';
import { z } from 'zod';
import { isDatasetPath, isFlatFileName } from '../names.ts';
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

/** What a listing holds, and what is wrong with it; each is known without the other. */
export interface CheckedListing<File = ListedFile> {
  /** Those that may be read. */
  files: File[];
  /** What its owner has to change, in the order of the listing; empty: it follows the rules. */
  issues: Issue[];
  /** Names that are there and are not read, because of one of the issues. */
  unread: string[];
  /** False: there are more files than were looked at. */
  isComplete: boolean;
}

/**
 * @param entries what the hub listed; at most `limits.maxFiles + 2` of them need to be given
 * @throws QuasarError `hub.protocol`
 */
export function checkListing(entries: readonly unknown[], what: string, limits: HubLimits): CheckedListing {
  const listing: CheckedListing = { files: [], issues: [], unread: [], isComplete: true };
  const seen = new Set<string>();
  let gitBytes = 0;
  let gitFiles = 0;
  for (const { type, path, size, oid, lfs } of parseEntries(entries, what)) {
    if (path === '.gitattributes') continue; // the hub writes it into every repository; never read by us
    if (seen.size === limits.maxFiles) {
      const message = `more than ${limits.maxFiles} files`;
      listing.issues.push({ code: 'hub.too_many_files', message, hint: 'publish fewer files' });
      listing.isComplete = false;
      break;
    }
    const issue = entryIssue(type, path, seen);
    seen.add(path.toLowerCase());
    if (issue) {
      listing.issues.push(issue);
      listing.unread.push(path);
      continue;
    }
    const isGit = lfs === undefined;
    if (isGit && (size > limits.maxGitFileBytes || gitBytes + size > limits.maxGitTotalBytes)) {
      const over = size > limits.maxGitFileBytes ? '' : ` after ${gitFiles} others of ${gitBytes}`;
      const message = `${size} bytes outside LFS${over}, at most ${limits.maxGitFileBytes} each and ${limits.maxGitTotalBytes} together are read`;
      listing.issues.push({ code: 'hub.git_files_too_large', path, message, hint: 'keep large files in LFS' });
      listing.unread.push(path);
      continue;
    }
    if (isGit) {
      gitBytes += size;
      gitFiles++;
    }
    listing.files.push({ path, sizeBytes: size, sha256: lfs?.oid ?? null, gitId: oid });
  }
  return listing;
}

function entryIssue(type: string, path: string, seen: ReadonlySet<string>): Issue | null {
  const shown = JSON.stringify(path.slice(0, 200));
  if (type !== 'file')
    return { code: 'hub.entry_not_file', path, message: `${shown} is a ${type}`, hint: 'keep all files at the top' };
  if (!isFlatFileName(path)) {
    const hint = 'use A-Z a-z 0-9 . _ - and begin with a letter or digit';
    return { code: 'hub.name_refused', path, message: `${shown} is no flat file name`, hint };
  }
  return seen.has(path.toLowerCase())
    ? { code: 'hub.name_twice', path, message: `${shown} is there twice, ignoring case` }
    : null;
}

/**
 * The files of a data set that `choose` picks. What is not picked (pictures, cards, other splits) need not follow any rule.
 * @throws QuasarError `hub.listing_refused`, all findings in `data.issues` | `hub.protocol`
 */
export function checkDatasetListing(
  entries: readonly unknown[],
  what: string,
  choose: (paths: readonly string[]) => readonly string[],
  limits: HubLimits,
): ListedFile[] {
  const issues: Issue[] = [];
  if (entries.length > limits.maxDatasetFiles) {
    const message = `more than ${limits.maxDatasetFiles} files and folders`;
    issues.push({ code: 'hub.too_many_files', message, hint: 'choose a smaller data set' });
  }
  const listed = parseEntries(entries, what).filter(({ type }) => type === 'file');
  const byPath = new Map(listed.map((file) => [file.path, file]));
  const seen = new Set<string>();
  const files: ListedFile[] = [];
  for (const path of choose([...byPath.keys()])) {
    const file = byPath.get(path);
    if (file === undefined) continue;
    const shown = JSON.stringify(path.slice(0, 200));
    if (!isDatasetPath(path)) {
      const hint = 'choose other files of the data set';
      issues.push({ code: 'hub.name_refused', path, message: `${shown} is no file name that is read`, hint });
    }
    if (seen.has(path.toLowerCase())) {
      issues.push({ code: 'hub.name_twice', path, message: `${shown} is there twice, ignoring case` });
    }
    seen.add(path.toLowerCase());
    files.push({ path, sizeBytes: file.size, sha256: file.lfs?.oid ?? null, gitId: file.oid });
  }
  issues.push(...gitIssues(files, limits));
  if (issues.length > 0) throw listingRefused(what, issues);
  return files;
}

function parseEntries(entries: readonly unknown[], what: string): z.infer<typeof entry>[] {
  return entries.map((raw, index) => {
    const parsed = entry.safeParse(raw);
    if (parsed.success && (parsed.data.lfs === undefined || parsed.data.lfs.size === parsed.data.size))
      return parsed.data;
    // The hub writes this part, not the owner of the repository: nobody's submission is bad because of it.
    throw protocol(`${what}: entry ${index} is not understood: ${JSON.stringify(raw)?.slice(0, 300)}`, parsed.error);
  });
}

/** Files that have to be read to learn their SHA-256 must be small. */
function gitIssues(files: readonly ListedFile[], limits: HubLimits): Issue[] {
  const gitSizes = files.filter((file) => file.sha256 === null).map((file) => file.sizeBytes);
  if (Math.max(0, ...gitSizes) <= limits.maxGitFileBytes && sum(gitSizes) <= limits.maxGitTotalBytes) return [];
  const message = `${gitSizes.length} files outside LFS have ${sum(gitSizes)} bytes`;
  return [{ code: 'hub.git_files_too_large', message, hint: 'keep large files in LFS' }];
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
