/** @file The wasm device in a browser, on a page or in a worker. The page must be cross-origin isolated, so that memory can be shared. */
import { QuasarError } from '@quasar/base';
import { createWasmDevice, type WasmDevice, type WorkerSetup } from './device.ts';
import { hasRelaxedSimd } from './features.ts';

function startWorker(setup: WorkerSetup): void {
  const worker = new Worker(new URL('../../../wasm/worker.js', import.meta.url), { type: 'module' });
  worker.postMessage(setup);
}

/**
 * @param options.threads default: one per core.
 * @throws QuasarError tensor.not_isolated when the page may not share memory.
 */
export async function openWasmDevice(options: { threads?: number } = {}): Promise<WasmDevice> {
  if (!globalThis.crossOriginIsolated) {
    throw new QuasarError('tensor.not_isolated', 'wasm device: this page may not share memory between threads', {
      hint: 'serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp',
    });
  }
  const file = hasRelaxedSimd()
    ? new URL('../../../wasm/quasar-relaxed.wasm', import.meta.url)
    : new URL('../../../wasm/quasar.wasm', import.meta.url);
  const module = await WebAssembly.compileStreaming(fetch(file));
  const mayBlock = 'WorkerGlobalScope' in globalThis;
  return createWasmDevice(
    module,
    { startWorker, mayBlock },
    { threads: options.threads ?? navigator.hardwareConcurrency },
  );
}
