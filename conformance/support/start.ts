/** @file Starts one runtime for the whole run, and ends it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

const START_TIMEOUT_MS = 120_000;

declare module 'vitest' {
  interface ProvidedContext {
    runtimeUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const runtime = spawn(
    process.execPath,
    [
      fileURLToPath(new URL('../runtime.js', import.meta.url)),
      process.env.SUBTENSOR_SPEC ?? '',
      process.env.SUBTENSOR_SLOT_MS ?? '',
    ],
    { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, LOG_LEVEL: 'error' } },
  );
  const { url, startedInMs } = await started(runtime);
  console.log(`runtime: ${url}, started in ${(startedInMs / 1000).toFixed(1)} s`);
  project.provide('runtimeUrl', url);
  return async () => {
    const ended = new Promise((resolve) => runtime.once('exit', resolve));
    runtime.stdin?.end();
    const timer = setTimeout(() => runtime.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(timer);
  };
}

function started(runtime: ChildProcess): Promise<{ url: string; startedInMs: number }> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      runtime.kill('SIGKILL');
      reject(new Error(`the runtime did not start: ${why}`));
    };
    const timer = setTimeout(() => fail('time is up'), START_TIMEOUT_MS);
    runtime.once('exit', (code) => fail(`exit code ${code}`));
    if (!runtime.stdout) return fail('no output');
    createInterface(runtime.stdout).on('line', (line) => {
      if (!line.startsWith('{"url"')) return;
      clearTimeout(timer);
      runtime.removeAllListeners('exit');
      resolve(JSON.parse(line));
    });
  });
}
