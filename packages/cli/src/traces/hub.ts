/** @file Traces as data sets on a hub: a flat folder of files that are named by their content. */
import { basename, join } from 'node:path';
import { QuasarError } from '@quasar/base';
import type { HubClient } from '@quasar/hub';
import { TRACE_FILE_ENDING, type TraceSet } from '@quasar/infer';

/** Adds the files; those that are there stay. @throws QuasarError hub.* */
export async function publishTraces(hub: HubClient, repo: string, set: TraceSet): Promise<{ revision: string }> {
  const files = set.files.map(({ path }) => ({ path: basename(path), content: path }));
  return hub.publish(repo, files, { message: `${set.length} traces` });
}

/**
 * The trace files of a data set, in the cache of the client.
 * @param name datasets/owner/name, with `@revision` or the newest
 * @throws QuasarError infer.no_traces, hub.*
 */
export async function downloadTraces(
  hub: HubClient,
  name: string,
  options: { maxTotalBytes: number; signal?: AbortSignal | undefined },
): Promise<string[]> {
  const [repo = '', wanted = 'main'] = name.split('@');
  const revision = await hub.resolveRevision(repo, wanted);
  const isTraces = (path: string) => path.endsWith(TRACE_FILE_ENDING);
  const files = revision && (await hub.listDataset(repo, revision, (paths) => paths.filter(isTraces)));
  if (!revision || !files || files.length === 0) {
    throw new QuasarError('infer.no_traces', `${name}: ${files ? 'no traces' : 'nothing of that name'} on the hub`, {
      hint: 'check the name; private data sets need a token',
    });
  }
  const folder = await hub.download(repo, revision, { files, ...options });
  return files.map(({ path }) => join(folder, path));
}
