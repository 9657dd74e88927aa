/** @file A thread of the wasm device, in Node and in browsers: an instance of the module on the shared memory. */

/** @param {import('../src/devices/wasm/device.ts').WorkerSetup} setup */
function work({ module, memory, stack, tls }) {
  const api = new WebAssembly.Instance(module, { env: { memory } }).exports;
  api.__stack_pointer.value = stack;
  api.__wasm_init_tls(tls);
  try {
    api.work();
  } catch {
    api.fail(); // the caller reports it
  }
}

if (globalThis.WorkerGlobalScope) {
  globalThis.onmessage = (event) => {
    work(event.data);
    globalThis.close();
  };
} else {
  work(process.getBuiltinModule('node:worker_threads').workerData);
}
