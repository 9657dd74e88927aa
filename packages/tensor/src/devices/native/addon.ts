/** @file The compiled kernels as an addon: loading it, once per process, and what it offers. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { QuasarError } from '@quasar/base';
import { KERNEL_NAMES } from '../../kernels.ts';

/** Pointers are numbers: addresses stay below 2⁵³. */
export interface Addon {
  /** Commands of `run` stand in `block`. */
  start(threads: number, isa: string, block: Float64Array): { isa: string; threads: number; kernels: string[] };
  /** Runs the command in the block: [kernel, count of pointers, count of numbers, pointer..., number...]. */
  run(): void;
  /** Runs commands that stand one after another. */
  replay(commands: Float64Array): void;
  alloc(bytes: number): number;
  /** @param bytes as given to `alloc`. */
  free(pointer: number, bytes: number): void;
  /** 16-bit arrays go as they are. */
  write(pointer: number, data: Float32Array | Int32Array | Uint16Array, type: number): void;
  read(pointer: number, data: Float32Array | Int32Array, type: number): void;
  peak(kind: number, x: number, y: number, count: number): number;
  /** Memory of a file, which other processes share. @param bytes of a new file; 0: of the one that is there */
  map(path: string, bytes: number): ArrayBuffer;
}

export interface LoadedAddon {
  api: Addon;
  block: Float64Array;
  isa: string;
  threads: number;
  numbers: ReadonlyMap<string, number>;
}

/** From both `src/devices/native` and `dist/devices/native` the addon lies three folders up. */
export const ADDON_PATH = fileURLToPath(new URL('../../../build/quasar.node', import.meta.url));

export function nativeAvailable(): boolean {
  return existsSync(ADDON_PATH);
}

export function loadAddon(): Addon {
  return createRequire(import.meta.url)(ADDON_PATH) as Addon;
}

let block: Float64Array | null = null;

/** Loads the addon and starts its pool, which grows to `threads` and never shrinks. @throws QuasarError tensor.stale_addon */
export function startAddon(threads: number, isa: string): LoadedAddon {
  const api = loadAddon();
  block ??= new Float64Array(128);
  const report = api.start(threads, isa, block);
  const numbers = new Map(report.kernels.map((name, i) => [name, i]));
  const missing = KERNEL_NAMES.filter((name) => !numbers.has(name));
  if (missing.length > 0) {
    throw new QuasarError(
      'tensor.stale_addon',
      `native device: the compiled addon lacks kernels ${missing.join(', ')}`,
      {
        hint: 'compile it again: node packages/tensor/scripts/build-kernels.js',
      },
    );
  }
  return { api, block, isa: report.isa, threads: report.threads, numbers };
}
