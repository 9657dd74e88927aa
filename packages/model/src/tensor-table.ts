/**
 * @file The tensor table of a model: names, shapes, roles, initial values. Everything that allocates, counts, loads, checks
 * or initialises parameters reads the table of its family. Builders of its entries.
 */

/**
 * What a tensor is for: decides optimizer group, weight decay and whether every token touches it. A `table` has rows that few
 * tokens read; its gradients are of rows (`Gradients.rowGradients`).
 */
export type Role = 'embedding' | 'head' | 'matrix' | 'norm' | 'scalar' | 'expert' | 'table' | 'buffer';

/** How a fresh model draws a tensor. */
export type Init =
  | { kind: 'normal'; std: number }
  | { kind: 'uniform'; bound: number }
  | { kind: 'constant'; value: number }
  | { kind: 'logUniform'; low: number; high: number }
  /** What softplus turns into a number whose logarithm is uniform, between `low` and `high`. */
  | { kind: 'inverseSoftplus'; low: number; high: number }
  /** Rows of norm 1, each orthogonal to the others of its run of as many rows as there are columns. */
  | { kind: 'orthogonal' }
  /** Whole numbers by index, of a tensor of integers. */
  | { kind: 'integers'; value: (index: number) => number }
  /** Every number, in order: a buffer that is a function of the config. */
  | { kind: 'values'; values: readonly number[] };

export interface TensorSpec {
  shape: number[];
  role: Role;
  init: Init;
  /** Factor on the learning rate. Default 1. */
  lrScale?: number;
  /** Default `float`. Buffers of integers are exact. */
  dtype?: 'int';
  /** What `modelInfo` counts it under; absent: by its role. */
  part?: string;
  /** Training leaves it as it is, bit for bit, and keeps no gradient of it. */
  isFrozen?: boolean;
}

/** Whether an optimizer moves the tensor. */
export const isTrained = ({ role, isFrozen = false }: TensorSpec): boolean => role !== 'buffer' && !isFrozen;

export type Entries = [name: string, spec: TensorSpec][];

export const entry = (name: string, shape: number[], role: Role, init: Init): Entries[number] => [
  name,
  { shape, role, init },
];
export const constant = (value: number): Init => ({ kind: 'constant', value });
export const values = (numbers: readonly number[]): Init => ({ kind: 'values', values: numbers });
export const matrix = (name: string, shape: number[], std: number) =>
  entry(name, shape, 'matrix', { kind: 'normal', std });
export const norm = (name: string, size: number) => entry(name, [size], 'norm', constant(1));
export const bias = (name: string, size: number, value = 0) => entry(name, [size], 'scalar', constant(value));
/** Counts the entries under `part`, but for those that have one. */
export const inPart = (part: string, entries: Entries): Entries =>
  entries.map(([name, spec]) => [name, { part, ...spec }]);

/**
 * Whether inference may keep the tensor in 16 bits: matrices, tables and experts, which the products take in any storage
 * type. All others are small and stay float.
 */
export function fitsIn16Bits({ role, shape }: TensorSpec): boolean {
  return (
    role === 'expert' ||
    role === 'table' ||
    (shape.length === 2 && (role === 'matrix' || role === 'embedding' || role === 'head'))
  );
}
