/** @file The wasm device in Node: the module from the package's files, workers of `worker_threads`. */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { createWasmDevice, type WasmDevice, type WorkerSetup } from './device.ts';
import { hasRelaxedSimd, hasSimd } from './features.ts';

/** From both `src/devices/wasm` and `dist/devices/wasm`. */
const FILES = new URL('../../../wasm/', import.meta.url);
const PLAIN = new URL('quasar.wasm', FILES);
const RELAXED = new URL('quasar-relaxed.wasm', FILES);

const modules = new Map<string, WebAssembly.Module>();

/** Whether the module is there and this runtime can run it. */
export function wasmAvailable(): boolean {
  return hasSimd() && existsSync(PLAIN) && existsSync(RELAXED);
}

/** Node 20 has relaxed SIMD behind a flag of V8, which counts from the next compilation on. */
function relaxedSimd(): boolean {
  if (!hasRelaxedSimd()) setFlagsFromString('--experimental-wasm-relaxed-simd');
  return hasRelaxedSimd();
}

function startWorker(setup: WorkerSetup): void {
  new Worker(new URL('worker.js', FILES), { workerData: setup, execArgv: [] }).unref();
}

/**
 * @param options.threads default: one per core.
 * @param options.relaxed false: the module without relaxed SIMD even where the runtime has it.
 * @param options.pages most memory, in pages of 64 KiB; default 65536, all that addresses reach.
 */
export function wasmDevice(
  options: { threads?: number | undefined; relaxed?: boolean | undefined; pages?: number | undefined } = {},
): WasmDevice {
  const file = options.relaxed !== false && relaxedSimd() ? RELAXED : PLAIN;
  let module = modules.get(file.href);
  if (!module) {
    module = new WebAssembly.Module(readFileSync(file));
    modules.set(file.href, module);
  }
  const threads = options.threads ?? Number(process.env.QUASAR_THREADS || availableParallelism());
  return createWasmDevice(module, { startWorker, mayBlock: true }, { threads, pages: options.pages });
}
