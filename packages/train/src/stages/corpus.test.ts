/** @file What stages read: a run that goes on keeps the revision of a data set that it began with. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createHubClient, serveHub } from '@quasar/hub';
import { expect, it } from 'vitest';
import { parseData } from '../data/spec.ts';
import { testFolder } from '../testing/read-all.ts';
import { TOKENIZER } from '../testing/tiny.ts';
import { pretrain } from './pretrain.ts';

const { path } = testFolder();

it('a stopped run goes on with its revision; a finished one does not hold on to it', { timeout: 60_000 }, async () => {
  const hub = await serveHub({ directory: join(path(), 'hub'), port: 0 });
  try {
    const client = createHubClient({ url: hub.url, cacheDirectory: join(path(), 'hub-cache') });
    const publish = async (word: string) => {
      const lines = Array.from({ length: 40 }, (_, i) => `${JSON.stringify({ text: `Line ${i} of the ${word}.` })}\n`);
      const content = Buffer.from(lines.join(''));
      return (await client.publish('datasets/alice/lines', [{ path: 'train.jsonl', content }])).revision;
    };
    const directory = join(path(), 'run');
    const options = {
      ...({ size: 'nano', tokenizer: TOKENIZER, directory, steps: 3, seed: 's' } as const),
      data: { specs: parseData(['hf:alice/lines']), cacheDirectory: join(path(), 'tokens'), hub: () => client },
      settings: { B: 1, T: 16, warmupSteps: 1 },
    };
    const specs = () => JSON.parse(readFileSync(join(directory, 'run', 'run.json'), 'utf8')).run.data.specs;
    const first = await publish('first');
    const controller = new AbortController();
    const stopped = pretrain({ ...options, signal: controller.signal, onStep: () => controller.abort() });
    await expect(stopped).rejects.toMatchObject({ code: 'train.cancelled' });
    const second = await publish('second');
    await pretrain(options);
    expect(specs()).toEqual([`hf:alice/lines@${first}`]);
    expect(existsSync(join(directory, 'model.safetensors'))).toBe(true);
    await pretrain(options);
    expect(specs()).toEqual([`hf:alice/lines@${second}`]);
  } finally {
    await hub.close();
  }
});
