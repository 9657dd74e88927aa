/**
 * @file The weights of a checkpoint folder: one `model.safetensors`, or shards with an index. Every header is read and
 * checked before a byte of data; data is read by ranges, so a file larger than memory is no problem.
 */
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { formatIssues, type Issue, QuasarError, type Result } from '@quasar/base';
import { showName } from '../show.ts';
import { headerLength, readSafetensorsHeader, type SafetensorsEntry, type SafetensorsHeader } from './safetensors.ts';
import { INDEX_FILE, MAX_INDEX_BYTES, parseWeightIndex, type WeightIndex } from './weight-index.ts';

export const CHECKPOINT_FILES = {
  config: 'config.json',
  weights: 'model.safetensors',
  tokenizer: 'tokenizer.json',
} as const;

/** A tensor with the file that holds it. */
export interface StoredTensor extends SafetensorsEntry {
  file: number;
}

export class WeightFiles {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly #files: readonly number[];

  private constructor(path: string, files: readonly number[], tensors: ReadonlyMap<string, StoredTensor>) {
    this.path = path;
    this.#files = files;
    this.tensors = tensors;
  }

  /**
   * @param path a folder, or one safetensors file
   * @throws QuasarError `checkpoint.invalid` with all issues of all files in `data`, `checkpoint.missing_file`, `checkpoint.unreadable`
   */
  static open(path: string): WeightFiles {
    const index = join(path, INDEX_FILE);
    const single = join(path, CHECKPOINT_FILES.weights);
    if (!existsSync(index)) return WeightFiles.#openAll(isFolder(path) ? single : path, null);
    if (existsSync(single)) {
      const message = `both ${CHECKPOINT_FILES.weights} and ${INDEX_FILE} are there`;
      orThrow(path, { ok: false, issues: [{ code: 'checkpoint.two_layouts', path: INDEX_FILE, message }] });
    }
    return WeightFiles.#openAll(path, orThrow(path, parseWeightIndex(readSmall(index))));
  }

  static #openAll(path: string, index: WeightIndex | null): WeightFiles {
    const files: number[] = [];
    try {
      const tensors = new Map<string, StoredTensor>();
      const issues: Issue[] = index ? strayShards(path, index) : [];
      const paths = index ? index.shards.map((name) => join(path, name)) : [path];
      for (const [file, each] of paths.entries()) {
        if (index && !existsSync(each)) {
          issues.push({
            code: 'checkpoint.shard_missing',
            path: basename(each),
            message: 'named by the index, not there',
          });
          continue;
        }
        const fd = openFile(each);
        files[file] = fd;
        const header = readHeader(fd);
        const inFile = (issue: Issue): Issue => ({
          ...issue,
          path: issue.path === undefined ? basename(each) : `${basename(each)}#${issue.path}`,
        });
        if (!header.ok) issues.push(...(index ? header.issues.map(inFile) : header.issues));
        else
          for (const [name, entry] of header.value.tensors) {
            if (index) issues.push(...placeIssues(name, basename(each), index, tensors).map(inFile));
            tensors.set(name, { ...entry, file });
          }
      }
      if (index && issues.length === 0) issues.push(...indexIssues(index, tensors));
      if (issues.length > 0) orThrow(path, { ok: false, issues });
      return new WeightFiles(path, files, tensors);
    } catch (error) {
      for (const fd of files) if (fd !== undefined) closeSync(fd);
      throw error;
    }
  }

  /** Bytes of all tensors. */
  get sizeBytes(): number {
    let sum = 0;
    for (const { start, end } of this.tensors.values()) sum += end - start;
    return sum;
  }

  /** Fills `into` with the bytes of a tensor from byte `at` of it on. @throws QuasarError checkpoint.truncated */
  read(tensor: StoredTensor, at: number, into: Uint8Array): void {
    readAt(this.#files[tensor.file] as number, tensor.start + at, into);
  }

  close(): void {
    for (const fd of this.#files) closeSync(fd);
  }
}

/** What is wrong with a tensor that a shard holds; `seen`: those of the shards before. */
export function placeIssues(
  name: string,
  file: string,
  index: WeightIndex,
  seen: ReadonlyMap<string, unknown>,
): Issue[] {
  const path = showName(name);
  if (seen.has(name)) return [{ code: 'checkpoint.duplicate_tensor', path, message: 'another shard has it too' }];
  const expected = index.shardOf.get(name);
  if (expected === undefined)
    return [{ code: 'checkpoint.index_unlisted', path, message: 'the index does not name it' }];
  return expected === file
    ? []
    : [{ code: 'checkpoint.index_wrong_shard', path, message: `the index says ${expected}` }];
}

/** What the index promises and no shard holds. */
export function indexIssues(
  index: WeightIndex,
  tensors: ReadonlyMap<string, Pick<SafetensorsEntry, 'start' | 'end'>>,
): Issue[] {
  const issues: Issue[] = [];
  for (const [name, file] of index.shardOf) {
    if (!tensors.has(name))
      issues.push({
        code: 'checkpoint.index_absent',
        path: `${file}#${showName(name)}`,
        message: 'only the index names it',
      });
  }
  let size = 0;
  for (const { start, end } of tensors.values()) size += end - start;
  if (issues.length === 0 && size !== index.totalSizeBytes) {
    const message = `total_size is ${index.totalSizeBytes}, the tensors have ${size} bytes`;
    issues.push({ code: 'checkpoint.index_total_size', path: INDEX_FILE, message });
  }
  return issues;
}

/** Weights beside the index that it does not name. */
function strayShards(folder: string, index: WeightIndex): Issue[] {
  const known = new Set(index.shards);
  return readdirSync(folder)
    .filter((name) => name.endsWith('.safetensors') && !known.has(name))
    .map((name) => ({ code: 'checkpoint.shard_extra', path: showName(name), message: 'the index does not name it' }));
}

function readHeader(fd: number): Result<SafetensorsHeader> {
  const fileSize = fstatSync(fd).size;
  const length = headerLength(bytesAt(fd, 0, Math.min(8, fileSize)), fileSize);
  return length.ok ? readSafetensorsHeader(bytesAt(fd, 0, 8 + length.value), fileSize, { integers: true }) : length;
}

function bytesAt(fd: number, start: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  readAt(fd, start, bytes);
  return bytes;
}

function readAt(fd: number, start: number, into: Uint8Array): void {
  for (let done = 0; done < into.length; ) {
    const n = readSync(fd, into, done, into.length - done, start + done);
    if (n === 0)
      throw new QuasarError(
        'checkpoint.truncated',
        `weights end at byte ${start + done}, expected ${start + into.length}`,
      );
    done += n;
  }
}

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

function openFile(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    throw fileError(path, cause);
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw fileError(path, new Error('not a file'));
}

/** A text file of bounded size. */
function readSmall(path: string): string {
  if (statSync(path).size > MAX_INDEX_BYTES) {
    const message = `more than ${MAX_INDEX_BYTES} bytes`;
    orThrow(path, { ok: false, issues: [{ code: 'checkpoint.index_too_large', path: basename(path), message }] });
  }
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw fileError(path, cause);
  }
}

export function fileError(path: string, cause: unknown): QuasarError {
  const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
  return new QuasarError(
    isMissing ? 'checkpoint.missing_file' : 'checkpoint.unreadable',
    isMissing ? `${basename(path)} is not in ${dirname(path)}` : `${path} cannot be read: ${(cause as Error).message}`,
    { hint: `a checkpoint directory holds ${Object.values(CHECKPOINT_FILES).join(', ')}`, cause },
  );
}

export function orThrow<T>(where: string, result: Result<T>): T {
  if (result.ok) return result.value;
  const shown = result.issues.slice(0, 5);
  const more = result.issues.length - shown.length;
  throw new QuasarError(
    'checkpoint.invalid',
    `${where}: ${formatIssues(shown)}${more > 0 ? `\n… and ${more} more` : ''}`,
    {
      hint: 'use a checkpoint written for this config',
      data: result.issues,
    },
  );
}
