/**
 * @file Models of past rounds. What a validator judged it once downloaded, so the caches of its home come first, by the
 * digest of what they hold; the hub may have stopped, or lost a revision, since.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import { type HubFile, snapshotDirectory } from '@quasar/hub';
import type { ModelStore } from '../evaluation/model-store.ts';
import type { ModelRef } from '../evaluation/units.ts';
import { directoryFiles, fileDigest, manifestSha256 } from '../precheck/source.ts';

export interface PastModelsOptions {
  /** Cache directories of hub clients. */
  caches: readonly string[];
  /** Asked for what no cache has. */
  store: ModelStore;
}

export class PastModels {
  readonly #options: PastModelsOptions;
  /** By digest: what was checked once. */
  readonly #found = new Map<string, string>();

  constructor(options: PastModelsOptions) {
    this.#options = options;
  }

  /** @throws QuasarError `evidence.no_model`; of base and teacher `evaluation.wrong_model` */
  async directory(ref: ModelRef, signal: AbortSignal): Promise<string> {
    const { store } = this.#options;
    if (ref.from !== 'hub') return store.directory(ref, signal);
    const known = this.#found.get(ref.manifestSha256);
    if (known !== undefined) return known;
    const directory = (await this.#cached(ref)) ?? (await this.#download(ref, signal));
    this.#found.set(ref.manifestSha256, directory);
    return directory;
  }

  async #cached({
    repo,
    revision,
    manifestSha256: wanted,
  }: Extract<ModelRef, { from: 'hub' }>): Promise<string | null> {
    const code = await codeFiles(this.#options.store.baseDirectory);
    for (const cache of this.#options.caches) {
      const directory = snapshotDirectory(cache, repo, revision);
      // Not there, or being emptied.
      const files = await directoryFiles(directory).catch(() => []);
      if ([files, [...files, ...code]].some((all) => manifestSha256(all) === wanted)) return directory;
    }
    return null;
  }

  async #download(ref: Extract<ModelRef, { from: 'hub' }>, signal: AbortSignal): Promise<string> {
    try {
      return await this.#options.store.directory(ref, signal);
    } catch (cause) {
      if (!(cause instanceof QuasarError) || signal.aborted) throw cause;
      const what = `${ref.repo}@${ref.revision.slice(0, 8)}`;
      throw new QuasarError(
        'evidence.no_model',
        `${what} is in no cache of this home, nor does the hub give it: ${cause.message}`,
        {
          hint: 'Start the net of the home (`quasar up`), name a hub that has it with --hub, or compare without models: --stored.',
          cause,
        },
      );
    }
  }
}

/** Code that rules tolerate beside a model is that of the base checkpoint, and was never downloaded. */
async function codeFiles(directory: string): Promise<HubFile[]> {
  const names = (await readdir(directory)).filter((path) => path.endsWith('.py'));
  return Promise.all(names.map(async (path) => ({ path, ...(await fileDigest(join(directory, path))) })));
}
