/**
 * @file Check: the headers of the weights list exactly the tensors of the family: names, shapes and dtypes; the index of
 * shards says of every tensor what the headers say.
 *
 * Read by ranges before the download: the declared length first, bounded before anything is allocated. The number of
 * parameters is counted from the tensors themselves, not from what a config claims.
 */
import type { Issue } from '@quasar/base';
import type { HubFile } from '@quasar/hub';
import {
  headerLength,
  indexIssues,
  parseWeightIndex,
  placeIssues,
  readSafetensorsHeader,
  type SafetensorsEntry,
  type WeightIndex,
} from '@quasar/model';
import { maxHeaderBytes } from './declared-sizes.ts';
import type { ModelLock } from './model-lock.ts';
import type { SubmissionSource } from './source.ts';
import { INDEX_FILE, shardNumber } from './weight-layout.ts';

type Tensors = Map<string, SafetensorsEntry & { file: string }>;
type Named = Pick<HubFile, 'path' | 'sizeBytes'>;

/** What the headers read so far hold. */
export class TensorTable {
  readonly #source: SubmissionSource;
  readonly #lock: ModelLock;
  readonly #tensors: Tensors = new Map();
  #index: WeightIndex | null = null;
  /** Whether every header was read: what is missing is known only then. */
  #isWhole = true;

  constructor(source: SubmissionSource, lock: ModelLock) {
    this.#source = source;
    this.#lock = lock;
  }

  /** A file of the weights that cannot be read: other checks tell why. */
  lose(): void {
    this.#isWhole = false;
  }

  /** @param listed all files of the revision */
  async readIndex({ path, sizeBytes }: Named, listed: readonly Named[]): Promise<Issue[]> {
    const bytes = await this.#source.readRange(path, 0, sizeBytes);
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
    const index = parseWeightIndex(text);
    if (!index.ok) return index.issues.map((one) => ({ ...one, path: atIndex(one.path) }));
    this.#index = index.value;
    const there = new Set(listed.flatMap((file) => (shardNumber(file.path) ? [file.path] : [])));
    const named = new Set(index.value.shards);
    const message = 'the index names it, the revision does not have it';
    return [
      ...[...named]
        .filter((name) => !there.has(name))
        .map((name) => ({ code: 'checkpoint.shard_missing', path: name, message })),
      ...[...there]
        .filter((name) => !named.has(name))
        .map((name) => ({ code: 'checkpoint.shard_extra', path: name, message: 'the index does not name it' })),
    ];
  }

  async readHeader({ path, sizeBytes }: Named): Promise<Issue[]> {
    const header = await this.#header(path, sizeBytes);
    if (!Array.isArray(header)) return this.#add(path, header.tensors);
    this.lose();
    return header;
  }

  async #header(path: string, sizeBytes: number) {
    const length = headerLength(await this.#source.readRange(path, 0, Math.min(8, sizeBytes)), sizeBytes);
    if (!length.ok) return inFile(path, length.issues);
    const mostBytes = maxHeaderBytes(this.#lock);
    const message = `header of ${length.value} bytes, expected at most ${mostBytes}`;
    if (length.value > mostBytes) return [{ code: 'precheck.header_too_large', path, message }];
    const header = readSafetensorsHeader(await this.#source.readRange(path, 0, 8 + length.value), sizeBytes);
    return header.ok ? header.value : inFile(path, header.issues);
  }

  #add(file: string, tensors: ReadonlyMap<string, SafetensorsEntry>): Issue[] {
    const issues: Issue[] = [];
    for (const [name, entry] of tensors) {
      if (this.#index) issues.push(...inFile(file, placeIssues(name, file, this.#index, this.#tensors)));
      this.#tensors.set(name, { ...entry, file });
    }
    return issues;
  }

  /** All tensors against the family's; `weights`: where a missing one should have been. */
  compare(weights: string): Issue[] {
    const { tensors, limits } = this.#lock;
    const issues: Issue[] = [];
    let parameters = 0;
    for (const [name, { shape, dtype, file }] of this.#tensors) {
      parameters += shape.reduce((p, n) => p * n, 1);
      const expected = tensors.get(name);
      const path = `${file}#${name.slice(0, 120)}`;
      if (!expected) issues.push({ code: 'precheck.unknown_tensor', path, message: 'not a tensor of this family' });
      else if (expected.shape.join() !== shape.join())
        issues.push({
          code: 'precheck.tensor_shape',
          path,
          message: `got shape [${shape}], expected [${expected.shape}]`,
        });
      else if (expected.dtype !== dtype)
        issues.push({
          code: 'precheck.tensor_dtype',
          path,
          message: `got ${dtype}, expected ${expected.dtype}`,
          hint: 'Export the checkpoint in its published form: weights in BF16, router buffers in F32.',
        });
    }
    if (this.#isWhole) {
      for (const name of tensors.keys())
        if (!this.#tensors.has(name))
          issues.push({ code: 'precheck.missing_tensor', path: `${weights}#${name}`, message: 'not in the file' });
      if (this.#index) issues.push(...indexIssues(this.#index, this.#tensors));
    }
    if (parameters > limits.maxParameters * 1.01)
      issues.push({
        code: 'precheck.too_many_parameters',
        path: weights,
        message: `${parameters} values, the cap is ${limits.maxParameters}`,
      });
    return issues;
  }
}

function atIndex(path: string | undefined): string {
  return path === undefined || path === INDEX_FILE ? INDEX_FILE : `${INDEX_FILE}#${path}`;
}

function inFile(file: string, issues: Issue[]): Issue[] {
  return issues.map((one) => ({ ...one, path: one.path === undefined ? file : `${file}#${one.path}` }));
}
