/**
 * @file One home for all tests that need a running net: training a first king takes minutes, so it is done once.
 * The net itself is started by the first test that asks for it (net.ts) and stopped here after the last one.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { stopNet } from './net.ts';

declare module 'vitest' {
  interface ProvidedContext {
    sharedHome: string;
  }
}

export default function setup(project: TestProject): () => Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'quasar-e2e-'));
  project.provide('sharedHome', home);
  return async () => {
    await stopNet(home, 'SIGINT');
    rmSync(home, { recursive: true, force: true });
  };
}
