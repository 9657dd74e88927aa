/** @file Uploading a revision, through the unmodified @huggingface/hub client. */
import { stat } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { createRepo, HubApiError, uploadFiles } from '@huggingface/hub';
import { type Issue, QuasarError } from '@quasar/base';
import { isPinnedRevision } from '../names.ts';
import { isAllowedName } from './checks.ts';
import { protocol, unreachable } from './failures.ts';
import { reason } from './guarded-fetch.ts';

export interface PublishFile {
  path: string;
  /** Bytes, or the path of a local file, which is streamed. */
  content: Uint8Array | string;
}

/**
 * Adds or replaces `files` in a repository, made when absent; files of earlier revisions that are not named stay.
 * @returns the new revision; the newest one when nothing changed
 * @throws QuasarError `hub.publish_refused` (all findings in `data.issues`) | `hub.unauthorized` | `hub.unreachable`
 */
export async function publish(
  hub: { url: string; token: string | undefined; maxFiles: number },
  repo: string,
  files: readonly PublishFile[],
  message: string,
): Promise<{ revision: string }> {
  await checkFiles(repo, files, hub.maxFiles);
  const credentials = { accessToken: hub.token as string }; // the local hub needs none
  const content = files.map((file) => ({
    path: file.path,
    content:
      typeof file.content === 'string'
        ? pathToFileURL(file.content)
        : new Blob([file.content as Uint8Array<ArrayBuffer>]),
  }));
  try {
    await createRepo({ ...credentials, repo, hubUrl: hub.url }).catch((error: unknown) => {
      if (!(error instanceof HubApiError && error.statusCode === 409)) throw error;
    });
    // Not xet: it needs WebAssembly and hosts of its own; plain LFS is understood by every hub.
    const output = await uploadFiles({
      ...credentials,
      repo,
      files: content,
      commitTitle: message,
      hubUrl: hub.url,
      useXet: false,
    });
    const revision = output?.commit.oid ?? '';
    if (!isPinnedRevision(revision))
      throw protocol(`publish ${repo}: the hub answered with the revision "${revision}"`);
    return { revision };
  } catch (error) {
    throw translate(error, `publish ${repo}`);
  }
}

async function checkFiles(repo: string, files: readonly PublishFile[], maxFiles: number): Promise<void> {
  const issues: Issue[] = [];
  const seen = new Set<string>();
  if (files.length === 0) issues.push({ code: 'hub.no_files', message: 'no files given' });
  if (files.length > maxFiles)
    issues.push({ code: 'hub.too_many_files', message: `${files.length} files, at most ${maxFiles}` });
  for (const { path, content } of files) {
    const twice = seen.has(path.toLowerCase());
    seen.add(path.toLowerCase());
    if (!isAllowedName(repo, path))
      issues.push({ code: 'hub.name_refused', path, message: `"${path}" is no allowed file name` });
    if (twice) issues.push({ code: 'hub.name_twice', path, message: `"${path}" is there twice, ignoring case` });
    if (typeof content === 'string' && !(await stat(content).catch(() => null))?.isFile()) {
      issues.push({
        code: 'hub.local_file_missing',
        path,
        message: `${content} is not a file`,
        hint: 'check the path',
      });
    }
  }
  if (issues.length === 0) return;
  const summary = issues.map((issue) => issue.message).join('; ');
  throw new QuasarError('hub.publish_refused', `publish ${repo}: ${summary}`, {
    hint: 'nothing was sent; give file names of A-Z a-z 0-9 . _ - (folders only in data sets) of files that exist',
    data: { issues },
  });
}

function translate(error: unknown, what: string): unknown {
  if (error instanceof QuasarError) return error;
  if (error instanceof HubApiError) {
    const { statusCode } = error;
    if (statusCode === 401 || statusCode === 403) {
      return new QuasarError('hub.unauthorized', `${what}: the hub refuses it: ${error.message}`, {
        hint: 'set a token with write access to this repository',
        retry: 'later',
        cause: error,
      });
    }
    if (statusCode === 408 || statusCode === 429 || statusCode >= 500) {
      return unreachable(`${what}: the hub answers ${statusCode}`, { cause: error, data: { status: statusCode } });
    }
    return protocol(`${what}: ${error.message}`, error);
  }
  return unreachable(`${what}: ${reason(error)}`, { cause: error });
}
