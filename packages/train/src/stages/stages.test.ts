/** @file The stages: from text to a published checkpoint, and from a teacher to a better student. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalTeacher, makeTraceSet } from '@quasar/infer';
import { expectedTensors, loadCheckpoint, readSafetensorsHeader, SIZES, saveCheckpoint, trainBpe } from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseData } from '../data/spec.ts';
import { worldPrompts } from '../data/trace-prompts.ts';
import { recipe } from '../recipe.ts';
import { TINY, TOKENIZER, tinyCheckpoint } from '../testing/tiny.ts';
import { distil } from './distil.ts';
import { type PretrainOptions, pretrain } from './pretrain.ts';
import type { StageOptions } from './stage.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'quasar-stage-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const FILES = ['config.json', 'model.safetensors', 'tokenizer.json'];
const SMALL = { B: 1, T: 16, warmupSteps: 1 };

describe('pretrain', () => {
  const options = (directory: string): PretrainOptions => ({
    size: 'nano',
    tokenizer: TOKENIZER,
    directory: join(root, directory),
    steps: 3,
    seed: 'stage',
    settings: SMALL,
  });

  it('learns from the world and a text; a stopped run gives the same bytes', { timeout: 120_000 }, async () => {
    const text = join(root, 'lines.jsonl');
    const lines = Array.from({ length: 30 }, (_, i) => JSON.stringify({ text: `Line ${i} of the text of the user.` }));
    writeFileSync(text, [...lines, 'broken'].join('\n'));
    const data = { specs: parseData(['world@2', text]), cacheDirectory: join(root, 'cache') };
    const { evaluations } = await pretrain({ ...options('whole'), data });
    expect(readdirSync(join(root, 'whole')).sort()).toEqual([...FILES, 'run'].sort());
    const events = readFileSync(join(root, 'whole', 'run', 'events.jsonl'), 'utf8').split('\n');
    const skipped = { type: 'skipped_data', path: text, line: 31, code: 'data.bad_jsonl', count: 1 };
    expect(JSON.parse(events[1] as string)).toMatchObject(skipped);
    const loaded = loadCheckpoint(join(root, 'whole'), openDevice('auto'));
    const { bos, end } = TOKENIZER.specials;
    expect(loaded.config).toEqual({ ...SIZES.nano, bos_token_id: bos, eos_token_id: end });
    expect(evaluations.map(({ step, heldOut }) => [step, ...Object.keys(heldOut)])).toEqual([
      [0, 'world', 'text'],
      [3, 'world', 'text'],
    ]);
    const bytes = readFileSync(join(root, 'whole', 'model.safetensors'));
    const header = readSafetensorsHeader(bytes, bytes.length);
    if (!header.ok) throw new Error();
    expect(header.value.metadata).toEqual({ seed: 'stage', steps: '3', source: 'world+text' });
    for (const [name, { dtype }] of expectedTensors(loaded.config))
      expect(header.value.tensors.get(name)?.dtype, name).toBe(dtype);

    const controller = new AbortController();
    const stopped = pretrain({
      ...options('stopped'),
      data,
      signal: controller.signal,
      onStep: () => controller.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: 'train.cancelled' });
    expect(readdirSync(join(root, 'stopped'), { recursive: true }).sort()).toEqual([
      'run',
      'run/events.jsonl',
      'run/report.html',
      'run/resume.safetensors',
      'run/run.json',
    ]);
    await pretrain({ ...options('stopped'), data });
    for (const file of FILES)
      expect(readFileSync(join(root, 'stopped', file)).equals(readFileSync(join(root, 'whole', file))), file).toBe(
        true,
      );
  });

  it('takes a depth in place of a name, and settings over those of the dial', async () => {
    await pretrain({ ...options('depth'), size: { depth: 2 }, steps: 1, settings: { B: 1, T: 16 } });
    const { config } = loadCheckpoint(join(root, 'depth'), openDevice('auto'));
    const { bos, end } = TOKENIZER.specials;
    const dial = recipe({ depth: 2, vocabSize: TOKENIZER.vocabSize });
    expect(config).toEqual({ ...dial.config, bos_token_id: bos, eos_token_id: end });
    const { run } = JSON.parse(readFileSync(join(root, 'depth', 'run', 'run.json'), 'utf8'));
    expect(run.settings).toMatchObject({ ...dial.settings, B: 1, T: 16, steps: 1 });
  });

  it('refuses data without text', async () => {
    const folder = join(root, 'empty');
    mkdirSync(folder);
    const data = { specs: parseData([folder]), cacheDirectory: join(root, 'cache') };
    await expect(pretrain({ ...options('text'), data })).rejects.toMatchObject({ code: 'data.no_text' });
    expect(readdirSync(root).sort()).toEqual(['cache', 'empty']);
  });

  it('refuses a tokenizer that is too large for the model', async () => {
    const letter = (n: number) => String.fromCharCode(97 + (n % 26));
    const words = Array.from({ length: 1500 }, (_, i) => `${letter(i)}${letter(i / 26)}${letter(i / 676)} `.repeat(3));
    const tokenizer = trainBpe(words, { vocabSize: 1100 });
    expect(tokenizer.vocabSize).toBeGreaterThan(1024);
    await expect(pretrain({ ...options('large'), tokenizer })).rejects.toMatchObject({ code: 'train.vocabulary' });
    expect(readdirSync(root)).toEqual([]);
  });
});

describe('distil', () => {
  const write = async (name: string, checkpoint = tinyCheckpoint(name)) => {
    await saveCheckpoint(join(root, name), checkpoint, 'BF16');
    return join(root, name);
  };
  const options = async () => ({
    student: await write('student'),
    teacher: await write('teacher'),
    directory: join(root, 'new'),
    steps: 8,
    seed: 'stage',
    settings: { B: 1, T: 32, warmupSteps: 1, learningRate: 1e-2 },
  });

  it('writes a student that is closer to the teacher, and leaves its inputs alone', async () => {
    const given = await options();
    const inputs = () => [given.student, given.teacher].map((path) => readFileSync(join(path, 'model.safetensors')));
    const before = inputs();
    const { evaluations } = await distil(given);
    const [start, end] = evaluations.map(({ heldOut }) => heldOut.world?.kl as number);
    expect(end).toBeLessThan(start as number);
    expect(readdirSync(given.directory).sort()).toEqual([...FILES, 'run'].sort());
    expect(loadCheckpoint(given.directory, openDevice('auto')).config).toEqual(TINY);
    expect(readFileSync(join(given.directory, 'tokenizer.json'), 'utf8')).toBe(TOKENIZER.toJson());
    expect(inputs()).toEqual(before);
  });

  it('goes on with the student that it began from alone', async () => {
    const given = await options();
    const stop = new AbortController();
    const stopped = distil({ ...given, signal: stop.signal, onStep: ({ step }) => step === 2 && stop.abort() });
    await expect(stopped).rejects.toMatchObject({ code: 'train.cancelled' });
    const other = await write('other', tinyCheckpoint('another'));
    await expect(distil({ ...given, student: other })).rejects.toMatchObject({ code: 'train.resume_mismatch' });
    await expect(distil(given)).resolves.toBeDefined();
  });

  it('refuses a teacher of another vocabulary or another tokenizer', async () => {
    const given = await options();
    const larger = tinyCheckpoint('larger', undefined, { ...TINY, vocab_size: TINY.vocab_size + 1 });
    const other = trainBpe(['quite another language, quite another'], { vocabSize: TOKENIZER.vocabSize });
    for (const checkpoint of [larger, { ...tinyCheckpoint(), tokenizer: other }]) {
      const teacher = await write('other', checkpoint);
      await expect(distil({ ...given, teacher })).rejects.toMatchObject({ code: 'train.vocabulary' });
    }
  });

  it('refuses folders that hold no checkpoint', async () => {
    const given = await options();
    await expect(distil({ ...given, student: root })).rejects.toMatchObject({ code: 'checkpoint.invalid' });
    await expect(distil({ ...given, teacher: root })).rejects.toMatchObject({ code: 'checkpoint.invalid' });
  });

  it('learns from traces alone, without the teacher that made them', async () => {
    const { teacher: _, ...given } = await options();
    const traces = join(root, 'traces');
    const teacher = await LocalTeacher.load(join(root, 'teacher'));
    await makeTraceSet({
      ...{ directory: traces, teacher, count: 80, mode: 'generate', topK: 16, precision: 'f32', maxNewTokens: 16 },
      ...{ temperature: 1, topP: 1, seed: 't', untilEnd: false },
      prompts: worldPrompts(TOKENIZER, { seed: 'prompts', turns: 1, maxPromptTokens: 60 }),
    });
    teacher.dispose();
    const { evaluations } = await distil({ ...given, traces, steps: 30 });
    const [start, end] = evaluations.map(({ heldOut }) => heldOut.traces?.kl as number);
    expect(end).toBeLessThan(start as number);
  });

  it('refuses no teacher, two, and traces beside other data', async () => {
    const { teacher, ...given } = await options();
    const data = { specs: [], cacheDirectory: root } as unknown as StageOptions['data'];
    for (const wrong of [{}, { teacher, traces: root }, { traces: root, data }])
      await expect(distil({ ...given, ...wrong })).rejects.toMatchObject({ code: 'train.one_teacher' });
  });
});
