import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHubClient, type LocalHub, serveHub, snapshotDirectory } from '@quasar/hub';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ModelStore } from '../evaluation/model-store.ts';
import type { ModelRef } from '../evaluation/units.ts';
import { directoryFiles, manifestSha256 } from '../precheck/source.ts';
import { PastModels } from './past-models.ts';

const root = mkdtempSync(join(tmpdir(), 'past-models-'));
const [base, published] = [join(root, 'base'), join(root, 'published')];
const revision = 'a'.repeat(40);
const cache = join(root, 'cache');
const snapshot = snapshotDirectory(cache, 'ann/model', revision);
/** Knows no model. */
let server: LocalHub;
beforeAll(async () => {
  server = await serveHub({ directory: join(root, 'hub'), port: 0 });
});
afterAll(async () => {
  await server.close();
  rmSync(root, { recursive: true });
});

function write(folder: string, files: Record<string, string>): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
}

it('a cached revision counts when its files, and the code of the base beside them, are those that were judged', async () => {
  const code = { 'modeling_quasar.py': 'class Quasar: pass' };
  const model = { 'config.json': '{}', 'model.safetensors': 'weights' };
  write(base, { ...model, ...code });
  write(published, { ...model, ...code });
  write(snapshot, model);
  const ref = async (): Promise<ModelRef> => {
    const manifest = manifestSha256(await directoryFiles(published));
    return { from: 'hub', repo: 'ann/model', revision, manifestSha256: manifest };
  };
  const hub = createHubClient({ url: server.url, cacheDirectory: join(root, 'own') });
  const store = new ModelStore({ hub, baseDirectory: base, teacherDirectory: base });
  const models = new PastModels({ caches: [join(root, 'none'), cache], store });
  const { signal } = new AbortController();
  expect(await models.directory(await ref(), signal)).toBe(snapshot);

  write(published, { 'modeling_quasar.py': 'import os' });
  await expect(models.directory(await ref(), signal)).rejects.toMatchObject({ code: 'evidence.no_model' });
  rmSync(join(published, 'modeling_quasar.py'));
  expect(await models.directory(await ref(), signal)).toBe(snapshot);
  write(snapshot, { 'model.safetensors': 'others' });
  const again = new PastModels({ caches: [cache], store });
  await expect(again.directory(await ref(), signal)).rejects.toMatchObject({ code: 'evidence.no_model' });
});
