/** @file What is refused before anything is sent: addresses, tokens, names, revisions, sizes. */
import { QuasarError } from '@quasar/base';
import { isDatasetName, isDatasetPath, isFlatFileName, isPinnedRevision, isRepoName } from '../names.ts';
import type { HubLimits } from './limits.ts';

/** @returns the hub's origin */
export function checkAddress(text: string, token: string | undefined): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.pathname !== '/' || url.search !== '') {
    throw new QuasarError('hub.bad_url', `hub: "${text}" is no hub address`, {
      hint: 'want https://huggingface.co or http://127.0.0.1:<port>',
    });
  }
  if (token !== undefined && !token.startsWith('hf_')) {
    throw new QuasarError('hub.bad_token', 'hub: the token does not begin with hf_', {
      hint: 'make one at https://huggingface.co/settings/tokens',
    });
  }
  const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (token !== undefined && url.protocol === 'http:' && !isLoopback) {
    throw new QuasarError('hub.insecure_url', `hub: the token would go over plain http to ${url.host}`, {
      hint: 'use https, or no token',
    });
  }
  return url.origin;
}

export function checkRepo(repo: string): void {
  if (isRepoName(repo) || isDatasetName(repo)) return;
  throw new QuasarError('hub.bad_repo', `hub: ${show(repo)} is no repository name`, {
    hint: 'want owner/name or datasets/owner/name, of A-Z a-z 0-9 . _ -',
  });
}

export function checkDataset(repo: string): void {
  if (isDatasetName(repo)) return;
  throw new QuasarError('hub.bad_repo', `hub: ${show(repo)} is no data set`, { hint: 'want datasets/owner/name' });
}

export function checkPinned(repo: string, revision: string): void {
  checkRepo(repo);
  if (isPinnedRevision(revision)) return;
  throw new QuasarError('hub.revision_not_pinned', `${repo}: ${show(revision)} is no full commit id`, {
    hint: 'give the 40 hexadecimal digits of a commit; branches and tags can change',
  });
}

export function checkFileName(repo: string, path: string): void {
  if (isAllowedName(repo, path)) return;
  throw new QuasarError('hub.name_refused', `${repo}: ${show(path)} is no file name that is read`, {
    hint: 'use A-Z a-z 0-9 . _ - and begin with a letter or digit; only data sets have folders',
  });
}

/** Checkpoints are flat; data sets have folders. */
export function isAllowedName(repo: string, path: string): boolean {
  return isDatasetName(repo) ? isDatasetPath(path) : isFlatFileName(path);
}

export function checkRange(what: string, start: number, end: number, limits: HubLimits): void {
  const isRange = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end >= start;
  if (isRange && end - start <= limits.maxRangeBytes) return;
  throw new QuasarError(
    'hub.bad_range',
    `${what}: [${start}, ${end}) is no range of at most ${limits.maxRangeBytes} bytes`,
    {
      hint: 'read a smaller part, or download the file',
    },
  );
}

/** The files a caller wants, against its own byte limit and against being two things at once. */
export function checkDownload(
  repo: string,
  files: readonly { path: string; sizeBytes: number; sha256: string }[],
  maxTotalBytes: number,
  limits: HubLimits,
): void {
  const maxFiles = isDatasetName(repo) ? limits.maxDatasetFiles : limits.maxFiles;
  const names = new Set<string>();
  let totalBytes = 0;
  for (const { path, sizeBytes, sha256 } of files) {
    checkFileName(repo, path);
    names.add(path.toLowerCase());
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || !/^[0-9a-f]{64}$/.test(sha256)) {
      throw new QuasarError('hub.bad_file', `${repo}: ${path} has size ${sizeBytes} and sha256 ${show(sha256)}`, {
        hint: 'give the entries that list() returned',
      });
    }
    totalBytes += sizeBytes;
  }
  if (totalBytes > maxTotalBytes || files.length > maxFiles) {
    const message = `${repo}: ${files.length} files of ${totalBytes} bytes, at most ${maxFiles} of ${maxTotalBytes} allowed`;
    throw new QuasarError('hub.too_large', message, {
      hint: 'nothing was downloaded; publish a smaller revision',
      data: { totalBytes, maxTotalBytes },
    });
  }
  if (names.size !== files.length) {
    throw new QuasarError('hub.bad_file', `${repo}: a file name is there twice, ignoring case`, {
      hint: 'give the entries that list() returned',
    });
  }
}

function show(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
