/** @file Starts a runtime for each worker, and ends them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

const START_TIMEOUT_MS = 300_000;
/** As many as files run at once (vitest.config.ts): a runtime computes on one core. */
export const RUNTIMES = 2;

declare module 'vitest' {
  interface ProvidedContext {
    runtimeUrls: string[];
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const runtimes = Array.from({ length: RUNTIMES }, startRuntime);
  const answers = await Promise.all(runtimes.map(started));
  for (const { url, startedInMs } of answers)
    console.log(`runtime: ${url}, started in ${(startedInMs / 1000).toFixed(1)} s`);
  project.provide(
    'runtimeUrls',
    answers.map(({ url }) => url),
  );
  return async () => {
    await Promise.all(runtimes.map(ended));
  };
}

function startRuntime(): ChildProcess {
  const script = fileURLToPath(new URL('../runtime.js', import.meta.url));
  const { SUBTENSOR_SPEC = '', SUBTENSOR_SLOT_MS = '' } = process.env;
  return spawn(process.execPath, [script, SUBTENSOR_SPEC, SUBTENSOR_SLOT_MS], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, LOG_LEVEL: 'error' },
  });
}

async function ended(runtime: ChildProcess): Promise<void> {
  const exit = new Promise((resolve) => runtime.once('exit', resolve));
  runtime.stdin?.end();
  const timer = setTimeout(() => runtime.kill('SIGKILL'), 10_000);
  await exit;
  clearTimeout(timer);
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
