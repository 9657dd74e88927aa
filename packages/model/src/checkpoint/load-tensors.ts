/**
 * @file Tensors from files into a device, piece by piece: memory holds the weights once, and a few MiB beside them.
 * What is missing, extra or misshapen is reported at once, over all shards.
 */
import { type Issue, QuasarError } from '@quasar/base';
import { type Device, type DType, persist, Tensor } from '@quasar/tensor';
import { showName } from '../show.ts';
import { fitsIn16Bits, type TensorSpec } from '../tensor-table.ts';
import { type NameMap, renamed, type Source, sourceOf, turnedShape, unfusedShape } from './names.ts';
import type { SafetensorsEntry } from './safetensors.ts';
import { ALL_DTYPE_BYTES, DTYPE_BYTES, decodeIntegers, decodeTensor } from './tensor-bytes.ts';
import { orThrow, type StoredTensor, type WeightFiles } from './weight-files.ts';

export interface LoadOptions {
  /** `stored` keeps 16-bit matrices in their type, for inference; default `f32`, for training. */
  dtype?: 'f32' | 'stored' | undefined;
  /** Refuses NaN and infinite weights, by name and index. Default false: they are looked for in weights of strangers. */
  finite?: boolean | undefined;
  onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  /** Called with the names of tensors that belong to other parts of a public model, such as its vision tower. */
  onLeftOut?: ((names: readonly string[]) => void) | undefined;
}

const PIECE_BYTES = 4 * 2 ** 20;
const HALF: Readonly<Record<string, DType>> = { BF16: 'bf16', F16: 'f16' };

/**
 * Names, shapes and kinds of number of files against a table: missing, unknown, misshapen and ill-typed tensors, all of them;
 * and where each comes from.
 */
export function matchTensors(
  table: ReadonlyMap<string, Pick<TensorSpec, 'shape' | 'dtype'>>,
  tensors: ReadonlyMap<string, Pick<SafetensorsEntry, 'shape' | 'dtype'>>,
  names: NameMap | null,
): { issues: Issue[]; sources: Map<string, Source> } {
  const issues: Issue[] = [];
  const sources = new Map<string, Source>();
  const used = new Set<string>();
  const expect = (name: string, shape: readonly number[], isInteger = false) => {
    used.add(name);
    const found = tensors.get(name);
    if (!found)
      issues.push({
        code: 'checkpoint.missing_tensor',
        path: name,
        message: `expected shape [${shape}], not in the file`,
      });
    else if (found.shape.join() !== shape.join()) {
      const message = `expected shape [${shape}], got [${found.shape}]`;
      issues.push({ code: 'checkpoint.wrong_shape', path: name, message });
    } else if (isInteger !== !(found.dtype in DTYPE_BYTES)) {
      const message = `expected ${isInteger ? 'I64' : Object.keys(DTYPE_BYTES).join(', ')}, got ${found.dtype}`;
      issues.push({ code: 'checkpoint.dtype', path: name, message });
    }
  };
  for (const [name, { shape, dtype }] of table) {
    const source = sourceOf(name, shape, names, (each) => tensors.has(each));
    sources.set(name, source);
    if (source.kind === 'whole') expect(name, shape, dtype === 'int');
    else if (source.kind === 'transposed') expect(source.name, turnedShape(shape));
    else
      for (const matrices of source.names)
        for (const each of matrices) expect(each, unfusedShape(shape, matrices.length));
  }
  for (const name of tensors.keys()) {
    if (used.has(name)) continue;
    issues.push({ code: 'checkpoint.unknown_tensor', path: showName(name), message: 'not part of this config' });
  }
  return { issues, sources };
}

/**
 * Every tensor of the table on the device; nothing stays allocated when it fails.
 * @throws QuasarError `checkpoint.invalid` with all issues in `data`; `checkpoint.not_finite`; `checkpoint.truncated`
 */
export function loadTensors(
  files: WeightFiles,
  table: ReadonlyMap<string, TensorSpec>,
  names: NameMap | null,
  device: Device,
  options: LoadOptions = {},
): Map<string, Tensor> {
  const { tensors, leftOut, issues: doubles } = renamed(files.tensors, names);
  const { issues, sources } = matchTensors(table, tensors, names);
  if (issues.length + doubles.length > 0) orThrow(files.path, { ok: false, issues: [...doubles, ...issues] });
  if (leftOut.length > 0) options.onLeftOut?.(leftOut);
  const out = new Map<string, Tensor>();
  const loader = new Loader(files, tensors, options);
  try {
    for (const [name, spec] of table) {
      const source = sources.get(name) as Source;
      const parts = partsOf(name, source);
      const types = new Set(parts.map((part) => tensors.get(part)?.dtype));
      const [type = ''] = options.dtype === 'stored' && fitsIn16Bits(spec) && types.size === 1 ? types : [];
      const tensor = persist(Tensor.empty(device, spec.shape, spec.dtype ?? HALF[type] ?? 'float'));
      out.set(name, tensor);
      if (source.kind === 'whole') loader.whole(name, tensor);
      else if (source.kind === 'transposed') loader.transposed(source.name, tensor);
      else loader.unfused(source.names, tensor);
    }
    return out;
  } catch (error) {
    for (const tensor of out.values()) tensor.dispose();
    throw error;
  }
}

function partsOf(name: string, source: Source): string[] {
  if (source.kind === 'unfused') return source.names.flat();
  return [source.kind === 'transposed' ? source.name : name];
}

/** One piece of a tensor as the device takes it: bits of its 16-bit type, floats, or integers. */
type Values = Uint16Array | Float32Array | Int32Array;

class Loader {
  readonly #files: WeightFiles;
  readonly #tensors: ReadonlyMap<string, StoredTensor>;
  readonly #options: LoadOptions;
  readonly #totalBytes: number;
  readonly #piece = new Uint8Array(PIECE_BYTES);
  #doneBytes = 0;

  constructor(files: WeightFiles, tensors: ReadonlyMap<string, StoredTensor>, options: LoadOptions) {
    this.#files = files;
    this.#tensors = tensors;
    this.#options = options;
    this.#totalBytes = [...tensors.values()].reduce((sum, { start, end }) => sum + end - start, 0);
  }

  whole(name: string, to: Tensor): void {
    this.#pieces(name, to, (values, start) => to.device.write(to.buffer, values, start));
  }

  /** [E, out, in] into [E, in, out]. */
  transposed(name: string, to: Tensor): void {
    const [, inner, out] = to.shape as [number, number, number];
    const size = inner * out;
    const expert = to.dtype === 'float' ? new Float32Array(size) : new Uint16Array(size);
    this.#pieces(name, to, (values, start) => {
      for (let i = 0; i < values.length; i++) {
        const at = (start + i) % size;
        expert[(at % inner) * out + Math.floor(at / inner)] = values[i] as number;
        if (at === size - 1) to.device.write(to.buffer, expert, start + i - at);
      }
    });
  }

  /** Matrices [out_i, in] of each expert, transposed side by side into [E, in, out]. */
  unfused(names: readonly string[][], to: Tensor): void {
    const [, inner, out] = to.shape as [number, number, number];
    const expert = to.dtype === 'float' ? new Float32Array(inner * out) : new Uint16Array(inner * out);
    for (const [e, matrices] of names.entries()) {
      const width = out / matrices.length;
      for (const [i, name] of matrices.entries()) {
        this.#pieces(name, to, (values, start) => {
          for (let at = 0; at < values.length; at++) {
            const [row, column] = [Math.floor((start + at) / inner), (start + at) % inner];
            expert[column * out + i * width + row] = values[at] as number;
          }
        });
      }
      to.device.write(to.buffer, expert, e * inner * out);
    }
  }

  /** The values of a stored tensor in the type of `to`, in order. */
  #pieces(name: string, to: Tensor, use: (values: Values, start: number) => void): void {
    const stored = this.#tensors.get(name) as StoredTensor;
    const width = ALL_DTYPE_BYTES[stored.dtype] as number;
    const keeps = HALF[stored.dtype] === to.dtype;
    const size = stored.end - stored.start;
    for (let at = 0; at < size; at += PIECE_BYTES) {
      const bytes = this.#piece.subarray(0, Math.min(PIECE_BYTES, size - at));
      this.#files.read(stored, at, bytes);
      const values =
        to.dtype === 'int'
          ? decodeIntegers(bytes)
          : keeps
            ? new Uint16Array(bytes.buffer, 0, bytes.length / 2)
            : decodeTensor(bytes, stored.dtype);
      if (this.#options.finite && !(values instanceof Int32Array)) checkFinite(name, values, stored.dtype, at / width);
      use(values, at / width);
      this.#doneBytes += bytes.length;
      this.#options.onProgress?.(this.#doneBytes, this.#totalBytes);
    }
  }
}

/** @param values floats, or the bits of `dtype`. @throws QuasarError checkpoint.not_finite */
export function checkFinite(name: string, values: Uint16Array | Float32Array, dtype: string, start = 0): void {
  const at = firstNotFinite(values, dtype);
  if (at < 0) return;
  const isNotANumber =
    values instanceof Float32Array ? Number.isNaN(values[at]) : ((values[at] as number) & mantissa(dtype)) !== 0;
  throw new QuasarError(
    'checkpoint.not_finite',
    `${name} is ${isNotANumber ? 'NaN' : 'infinite'} at index ${start + at}`,
    {
      hint: 'train again from a checkpoint before the numbers overflowed',
    },
  );
}

const mantissa = (dtype: string) => (dtype === 'BF16' ? 0x7f : 0x3ff);

function firstNotFinite(values: Uint16Array | Float32Array, dtype: string): number {
  if (values instanceof Float32Array) {
    for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i] as number)) return i;
    return -1;
  }
  const exponent = 0x7fff & ~mantissa(dtype);
  for (let i = 0; i < values.length; i++) if (((values[i] as number) & exponent) === exponent) return i;
  return -1;
}
