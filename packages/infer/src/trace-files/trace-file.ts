/**
 * @file A file of traces. Little endian:
 *
 *     0   8  'QSRTRACE'
 *     8   4  bytes of the header
 *     12  4  number of records
 *     16     header: JSON, see header.ts
 *            per record: tokens of its prompt, tokens of its continuation (u32 each)
 *            records: prompt ids · continuation ids · per continuation token k ids · k log-probabilities · tail mass
 *
 * Ids have two bytes where the vocabulary allows, else four; numbers two (binary16) or four. Record sizes follow from the
 * table, so one record is read without the others, and a file holds exactly what its table says. Its name is its SHA-256.
 */
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, fstatSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { canonicalJson, QuasarError } from '@quasar/base';
import type { TopK, Trace } from '../types.ts';
import { fromHalf, toHalf } from './half.ts';
import { badTraceFile, MAX_TRACE_HEADER_BYTES, parseTraceHeader, type TraceHeader, type TraceJob } from './header.ts';

export const TRACE_FILE_ENDING = '.traces';

const MAGIC = 'QSRTRACE';
const FIXED_BYTES = 16;
const TABLE_ENTRY_BYTES = 8;
const MAX_RECORDS = 2 ** 20;
/** One record is read into memory at once; 4096 positions with 128 entries are 3 MB. */
const MAX_RECORD_BYTES = 2 ** 28;
/** How far from 1 the probabilities of a view and its tail may add up: rounding of up to 1024 entries. */
const SUM_TOLERANCE = { f16: 0.02, f32: 1e-3 };
/** Of a log-probability that was rounded. */
const MAX_LOGPROB = { f16: 0, f32: 1e-4 };

interface Widths {
  id: 2 | 4;
  number: 2 | 4;
}

function widthsOf({ vocabSize, precision }: TraceJob): Widths {
  return { id: vocabSize <= 2 ** 16 ? 2 : 4, number: precision === 'f16' ? 2 : 4 };
}

/** Bytes of the view of one token. */
export function viewBytes(job: TraceJob): number {
  const { id, number } = widthsOf(job);
  return job.k * (id + number) + number;
}

function recordBytes(job: TraceJob, promptTokens: number, continuationTokens: number): number {
  return (promptTokens + continuationTokens) * widthsOf(job).id + continuationTokens * viewBytes(job);
}

/** The bytes of a file; equal traces and headers give equal bytes. */
export function encodeTraceFile(header: TraceHeader, traces: readonly Trace[]): Uint8Array {
  const { job } = header;
  const json = Buffer.from(canonicalJson(header));
  const sizes = traces.map(({ prompt, continuation }) => recordBytes(job, prompt.length, continuation.length));
  const tableAt = FIXED_BYTES + json.length;
  const dataAt = tableAt + traces.length * TABLE_ENTRY_BYTES;
  const bytes = Buffer.alloc(dataAt + sizes.reduce((sum, size) => sum + size, 0));
  bytes.write(MAGIC, 'latin1');
  bytes.writeUInt32LE(json.length, 8);
  bytes.writeUInt32LE(traces.length, 12);
  json.copy(bytes, FIXED_BYTES);
  const { id, number } = widthsOf(job);
  let at = dataAt;
  const putIds = (ids: Int32Array) => {
    for (const each of ids) at = id === 2 ? bytes.writeUInt16LE(each, at) : bytes.writeUInt32LE(each, at);
  };
  const putNumbers = (values: Float32Array) => {
    for (const each of values) at = number === 2 ? bytes.writeUInt16LE(toHalf(each), at) : bytes.writeFloatLE(each, at);
  };
  traces.forEach(({ prompt, continuation, top }, i) => {
    bytes.writeUInt32LE(prompt.length, tableAt + i * TABLE_ENTRY_BYTES);
    bytes.writeUInt32LE(continuation.length, tableAt + i * TABLE_ENTRY_BYTES + 4);
    for (const ids of [prompt, continuation, top.ids]) putIds(ids);
    for (const values of [top.logprobs, top.tail]) putNumbers(values);
  });
  return bytes;
}

/** A file whose header and table were read and checked; records are read and checked when they are asked for. */
export class TraceFile {
  readonly path: string;
  readonly header: TraceHeader;
  readonly sizeBytes: number;
  /** [2 · records]: tokens of prompt and continuation. */
  readonly #lengths: Uint32Array;
  /** [records] */
  readonly #offsets: Float64Array;

  private constructor(path: string, header: TraceHeader, lengths: Uint32Array, dataAt: number, sizeBytes: number) {
    this.path = path;
    this.header = header;
    this.sizeBytes = sizeBytes;
    this.#lengths = lengths;
    this.#offsets = new Float64Array(lengths.length / 2);
    let at = dataAt;
    for (let i = 0; i < this.#offsets.length; i++) {
      this.#offsets[i] = at;
      const size = recordBytes(header.job, lengths[2 * i]!, lengths[2 * i + 1]!);
      if (size > MAX_RECORD_BYTES) throw badTraceFile(basename(path), `record ${i} has ${size} bytes`);
      at += size;
    }
    if (at !== sizeBytes) throw badTraceFile(basename(path), `${sizeBytes} bytes, its table says ${at}`);
  }

  /** @throws QuasarError infer.bad_trace_file, infer.traces_unreadable */
  static open(path: string): TraceFile {
    return withFile(path, (fd, sizeBytes) => {
      const name = basename(path);
      const fixed = readAt(fd, 0, FIXED_BYTES, sizeBytes, name);
      if (fixed.toString('latin1', 0, 8) !== MAGIC) throw badTraceFile(name, 'this is no file of traces');
      const [headerBytes, records] = [fixed.readUInt32LE(8), fixed.readUInt32LE(12)];
      if (headerBytes > MAX_TRACE_HEADER_BYTES) throw badTraceFile(name, `a header of ${headerBytes} bytes`);
      if (records > MAX_RECORDS) throw badTraceFile(name, `${records} records`);
      const json = readAt(fd, FIXED_BYTES, headerBytes, sizeBytes, name).toString();
      const header = parseTraceHeader(json, name);
      const tableAt = FIXED_BYTES + headerBytes;
      const table = readAt(fd, tableAt, records * TABLE_ENTRY_BYTES, sizeBytes, name);
      const lengths = Uint32Array.from({ length: 2 * records }, (_, i) => table.readUInt32LE(4 * i));
      return new TraceFile(path, header, lengths, tableAt + table.length, sizeBytes);
    });
  }

  get length(): number {
    return this.#offsets.length;
  }

  /** Tokens of the continuation of a trace. */
  continuationTokens(index: number): number {
    return this.#lengths[2 * index + 1]!;
  }

  /** The prompts of all traces, in order. @throws QuasarError infer.bad_trace_file, infer.traces_unreadable */
  prompts(): Int32Array[] {
    const { job } = this.header;
    const name = basename(this.path);
    return withFile(this.path, (fd, total) =>
      Array.from(this.#offsets, (offset, i) => {
        const length = this.#lengths[2 * i]!;
        const bytes = readAt(fd, offset, length * widthsOf(job).id, total, name);
        return new RecordReader(bytes, job, `${name} record ${i}`).ids(length);
      }),
    );
  }

  /** @throws QuasarError infer.bad_trace_file, infer.traces_unreadable */
  read(index: number): Trace {
    const { job } = this.header;
    const name = basename(this.path);
    const [promptTokens, n] = [this.#lengths[2 * index]!, this.#lengths[2 * index + 1]!];
    const size = recordBytes(job, promptTokens, n);
    const bytes = withFile(this.path, (fd, total) => readAt(fd, this.#offsets[index]!, size, total, name));
    const reader = new RecordReader(bytes, job, `${name} record ${index}`);
    if (promptTokens === 0) throw reader.bad('has an empty prompt');
    const [prompt, continuation] = [reader.ids(promptTokens), reader.ids(n)];
    return { prompt, continuation, top: reader.view(n) };
  }

  /** SHA-256 of the whole file, hex. */
  async digest(): Promise<string> {
    const hash = createHash('sha256');
    for await (const bytes of createReadStream(this.path)) hash.update(bytes);
    return hash.digest('hex');
  }
}

/** Takes a record apart from its beginning on, and believes nothing of it. */
class RecordReader {
  readonly #bytes: Buffer;
  readonly #job: TraceJob;
  readonly #where: string;
  readonly #widths: Widths;
  #at = 0;

  constructor(bytes: Buffer, job: TraceJob, where: string) {
    this.#bytes = bytes;
    this.#job = job;
    this.#where = where;
    this.#widths = widthsOf(job);
  }

  bad(what: string): QuasarError {
    return badTraceFile(this.#where, what);
  }

  ids(count: number): Int32Array {
    const ids = new Int32Array(count);
    const { id: width } = this.#widths;
    for (let i = 0; i < count; i++, this.#at += width) {
      const id = width === 2 ? this.#bytes.readUInt16LE(this.#at) : this.#bytes.readUInt32LE(this.#at);
      if (id >= this.#job.vocabSize) throw this.bad(`names token ${id} of ${this.#job.vocabSize}`);
      ids[i] = id;
    }
    return ids;
  }

  #numbers(count: number): Float32Array {
    const values = new Float32Array(count);
    const { number: width } = this.#widths;
    for (let i = 0; i < count; i++, this.#at += width)
      values[i] = width === 2 ? fromHalf(this.#bytes.readUInt16LE(this.#at)) : this.#bytes.readFloatLE(this.#at);
    return values;
  }

  view(n: number): TopK {
    const { k, precision } = this.#job;
    const top: TopK = { k, ids: this.ids(n * k), logprobs: this.#numbers(n * k), tail: this.#numbers(n) };
    const seen = new Set<number>();
    for (let row = 0; row < n; row++) {
      seen.clear();
      let mass = top.tail[row]!;
      if (!(mass >= 0 && mass <= 1)) throw this.bad(`has a tail of ${mass} at position ${row}`);
      for (let i = row * k; i < (row + 1) * k; i++) {
        const logprob = top.logprobs[i]!;
        // Not a number and minus infinity fail too.
        if (!(logprob <= MAX_LOGPROB[precision] && logprob > Number.NEGATIVE_INFINITY))
          throw this.bad(`has a log-probability ${logprob} at position ${row}`);
        if (i > row * k && logprob > top.logprobs[i - 1]!) throw this.bad(`is not best first at position ${row}`);
        seen.add(top.ids[i]!);
        mass += Math.exp(logprob);
      }
      if (seen.size !== k) throw this.bad(`names a token twice at position ${row}`);
      if (Math.abs(mass - 1) > SUM_TOLERANCE[precision])
        throw this.bad(`has probabilities that add up to ${mass.toFixed(4)} at position ${row}`);
    }
    return top;
  }
}

function withFile<T>(path: string, use: (fd: number, sizeBytes: number) => T): T {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    throw new QuasarError('infer.traces_unreadable', `${path}: ${(cause as Error).message}`, {
      hint: 'give an existing file or folder of traces',
      cause,
    });
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw badTraceFile(basename(path), 'this is no file');
    return use(fd, stat.size);
  } finally {
    closeSync(fd);
  }
}

/** @throws QuasarError infer.bad_trace_file where the file ends before; nothing is allocated then */
function readAt(fd: number, start: number, length: number, fileBytes: number, name: string): Buffer {
  if (start + length > fileBytes) throw badTraceFile(name, `ends at byte ${fileBytes}, expected ${start + length}`);
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length; ) {
    const n = readSync(fd, bytes, done, length - done, start + done);
    if (n === 0) throw badTraceFile(name, `ends at byte ${start + done}, expected ${start + length}`);
    done += n;
  }
  return bytes;
}
