/**
 * @file Directories of the models that units name, each checked against the digest it is named by. Base and teacher lie
 * on every evaluator; submissions come through the guarded hub client, pinned by revision and manifest.
 */
import { readdirSync } from 'node:fs';
import { QuasarError } from '@quasar/base';
import type { HubClient } from '@quasar/hub';
import { CHECKPOINT_FILES } from '@quasar/model';
import { directoryFiles, manifestSha256 } from '../precheck/source.ts';
import { dataFiles } from '../precheck/weight-layout.ts';
import type { ModelRef } from './units.ts';

/** The digest that names a local checkpoint: over names, sizes and contents of its files, nothing else in the folder. */
export async function checkpointDigest(directory: string): Promise<string> {
  const own = new Set<string>(Object.values(CHECKPOINT_FILES));
  const files = await directoryFiles(directory);
  return manifestSha256(files.filter(({ path }) => own.has(path) || path.endsWith('.safetensors')));
}

/** The king and the challengers of a round, with room to spare. */
const MAX_KEPT = 12;

export interface ModelStoreOptions {
  hub: HubClient;
  baseDirectory: string;
  teacherDirectory: string;
}

export class ModelStore {
  readonly #options: ModelStoreOptions;
  /** By digest or revision; what was checked once is not asked for again while its files are there. */
  readonly #known = new Map<string, Promise<string>>();

  /** Of the hub, least recently used first. */
  readonly #used = new Map<string, Extract<ModelRef, { from: 'hub' }>>();
  readonly #heldBy = new Map<string, Promise<string>>();

  constructor(options: ModelStoreOptions) {
    this.#options = options;
  }

  /** Known to work, and of the same architecture as every submission. */
  get baseDirectory(): string {
    return this.#options.baseDirectory;
  }

  /**
   * @throws QuasarError `evaluation.wrong_model`, `hub.*`; with `retry: 'later'` when another evaluator or another time
   *   may do better
   */
  async directory(ref: ModelRef, signal: AbortSignal): Promise<string> {
    const name = ref.from === 'hub' ? `${ref.repo}@${ref.revision} ${ref.manifestSha256}` : `${ref.from} ${ref.sha256}`;
    const known = await this.#known.get(name)?.catch(() => null);
    if (known && isThere(known)) {
      this.#use(name, ref, this.#known.get(name)!);
      return known;
    }
    const found = ref.from === 'hub' ? this.#download(ref, signal) : this.#local(ref);
    this.#known.set(name, found);
    found.then(
      () => this.#use(name, ref, found),
      () => this.#known.delete(name),
    );
    return found;
  }

  /** Now the most recently used one; what was not used for long may leave the cache of the hub. */
  #use(name: string, ref: ModelRef, found: Promise<string>): void {
    if (ref.from !== 'hub') return;
    const isNew = !this.#used.delete(name);
    this.#used.set(name, ref);
    // It was evicted by hand and downloaded again: held twice.
    if (!isNew && this.#heldBy.get(name) !== found) this.#options.hub.release(ref.repo, ref.revision);
    this.#heldBy.set(name, found);
    if (this.#used.size > MAX_KEPT) this.#releaseOldest();
  }

  /** @returns false: there is none */
  #releaseOldest(): boolean {
    const [oldest] = this.#used;
    if (oldest === undefined) return false;
    const [name, { repo, revision }] = oldest;
    for (const map of [this.#used, this.#heldBy, this.#known]) map.delete(name);
    this.#options.hub.release(repo, revision);
    return true;
  }

  async #local({ from, sha256 }: Extract<ModelRef, { sha256: string }>): Promise<string> {
    const { baseDirectory, teacherDirectory } = this.#options;
    const directory = from === 'base' ? baseDirectory : teacherDirectory;
    const digest = await checkpointDigest(directory);
    if (digest === sha256) return directory;
    throw new QuasarError(
      'evaluation.wrong_model',
      `the ${from} model in ${directory} is ${digest.slice(0, 12)}, the validator measures with ${sha256.slice(0, 12)}`,
      { hint: `Give the validator's checkpoint with --${from}.`, retry: 'later' },
    );
  }

  async #download(ref: Extract<ModelRef, { from: 'hub' }>, signal: AbortSignal): Promise<string> {
    const { repo, revision } = ref;
    const what = `${repo}@${revision.slice(0, 8)}`;
    const { hub } = this.#options;
    const files = await hub.list(repo, revision, { signal });
    if (files === null)
      throw new QuasarError('hub.not_found', `${what}: the revision is not there any more, or is private`, {
        hint: 'Keep a committed revision public until it is judged.',
      });
    if (manifestSha256(files) !== ref.manifestSha256)
      throw new QuasarError('evaluation.wrong_model', `${what}: the files are not those that the validator checked`, {
        hint: 'Keep a committed revision as it is.',
      });
    const wanted = dataFiles(files);
    const maxTotalBytes = wanted.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (;;) {
      try {
        return await hub.download(repo, revision, { files: wanted, maxTotalBytes, signal });
      } catch (error) {
        const isFull = error instanceof QuasarError && error.code === 'hub.cache_full';
        if (!isFull || !this.#releaseOldest()) throw error;
      }
    }
  }
}

/** A cache may be emptied at any time. */
function isThere(directory: string): boolean {
  try {
    return readdirSync(directory).some((name) => name.endsWith('.safetensors'));
  } catch {
    return false;
  }
}
