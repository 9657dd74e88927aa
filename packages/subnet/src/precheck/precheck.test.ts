import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QuasarError } from '@quasar/base';
import { createHubClient, type HubClient, type LocalHub, serveHub } from '@quasar/hub';
import { Engine } from '@quasar/infer';
import { shardName, writeSafetensors } from '@quasar/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ContentRecord } from '../copy/record.ts';
import { LOCAL } from '../rules/config.ts';
import { BASE_UID, type Submission, submissionId } from '../rules/submission.ts';
import { blend, MICRO, microWeights, noisy, type Weights, writeCheckpoint } from '../testing/checkpoints.ts';
import { createModelLock, type ModelLock } from './model-lock.ts';
import { type PrecheckInput, type PrecheckOutcome, precheck } from './precheck.ts';
import { directorySource, hubSource, manifestSha256, type SubmissionSource } from './source.ts';

const REST = ['config.json', 'tokenizer.json'];
const root = mkdtempSync(join(tmpdir(), 'precheck-'));
const baseWeights = microWeights('base');
const trained = blend(baseWeights, microWeights('other'), 0.3);
let server: LocalHub;
let hub: HubClient;
let lock: ModelLock;
let directories = 0;

beforeAll(async () => {
  server = await serveHub({ directory: join(root, 'hub'), port: 0 });
  hub = createHubClient({ url: server.url, cacheDirectory: join(root, 'cache') });
  lock = await createModelLock(writeCheckpoint(join(root, 'base'), baseWeights), LOCAL.limits);
});

afterAll(async () => {
  await server.close();
  rmSync(root, { recursive: true, force: true });
});

function checkpoint(weights: Weights, config: unknown = MICRO): string {
  return writeCheckpoint(join(root, `model-${directories++}`), weights, config);
}

function submission(hotkey: string, revealedAtBlock: number, repo: string, revision: string): Submission {
  return { id: submissionId(hotkey, revealedAtBlock), uid: revealedAtBlock, hotkey, repo, revision, revealedAtBlock };
}

async function check(directory: string, more: Partial<PrecheckInput> = {}): Promise<PrecheckOutcome> {
  return precheck({
    submission: submission('miner', 10, 'miner/model', 'a'.repeat(40)),
    source: directorySource(directory),
    lock,
    rules: { ...LOCAL.copies, samplesPerTensor: 64 },
    numbers: LOCAL.numbers,
    secret: 'secret',
    submissions: [],
    records: [],
    ...more,
  });
}

const codes = (outcome: PrecheckOutcome) => (outcome.passed ? [] : [...new Set(outcome.issues.map((i) => i.code))]);
const replaceFile = (directory: string, name: string, content: string | Uint8Array) =>
  writeFileSync(join(directory, name), content);

describe('a good submission', () => {
  it('passes from the hub and from its directory, with the same content', async () => {
    const directory = checkpoint(trained);
    replaceFile(directory, 'README.md', 'hello');
    const paths = ['config.json', 'model.safetensors', 'tokenizer.json', 'README.md'];
    const files = paths.map((path) => ({ path, content: join(directory, path) }));
    const { revision } = await hub.publish('miner/good', files);
    const source = hubSource(hub, 'miner/good', revision);
    const manifest = manifestSha256((await source.inspect())?.files ?? []);
    const fromHub = await check(directory, { source, manifestSha256: manifest });
    const fromDisk = await check(directory, { manifestSha256: manifest });
    expect(codes(fromHub)).toEqual([]);
    expect(fromHub.passed && fromHub.record).toEqual(fromDisk.passed && fromDisk.record);
  });

  it('remembers only tensors that differ from the base', async () => {
    const mixed: Weights = new Map(trained);
    mixed.set('model.embed_tokens.weight', baseWeights.get('model.embed_tokens.weight')!);
    const got = await check(checkpoint(mixed));
    const names = got.passed ? Object.keys(got.record.tensors) : [];
    expect(names).not.toContain('model.embed_tokens.weight');
    expect(names).toContain('lm_head.weight');
    expect(names).not.toContain('model.norm.weight'); // ones in both
  });
});

describe('refused', () => {
  it('a revision that is not there: REMOVED', async () => {
    const got = await check('', { source: hubSource(hub, 'nobody/nothing', 'b'.repeat(40)) });
    expect(got).toMatchObject({ passed: false, status: 'REMOVED' });
    expect(codes(got)).toEqual(['precheck.revision_missing']);
  });

  it('files that are not part of a submission, each with its reason', async () => {
    const directory = checkpoint(trained);
    for (const name of ['modeling.py', 'pytorch_model.bin', 'model.gguf', 'extra.safetensors', 'notes.txt'])
      replaceFile(directory, name, 'x');
    const got = await check(directory);
    expect(got.passed ? [] : got.issues.map(({ path }) => path).sort()).toEqual(
      ['modeling.py', 'pytorch_model.bin', 'model.gguf', 'extra.safetensors', 'notes.txt'].sort(),
    );
    expect(codes(got)).toEqual(['precheck.file_refused']);
  });

  it('missing files', async () => {
    const directory = checkpoint(trained);
    rmSync(join(directory, 'tokenizer.json'));
    rmSync(join(directory, 'config.json'));
    expect(codes(await check(directory))).toEqual(['precheck.missing_file']);
  });

  it('a config that differs in any key, has another key, or asks for code at any depth', async () => {
    const config = { ...MICRO, d_ff: 64, extra: 1, rope_theta: undefined, nested: { deep: [{ auto_map: {} }] } };
    const got = await check(checkpoint(trained, { ...config, quantization_config: {} }));
    expect(got.passed ? [] : got.issues.map((i) => `${i.code} ${i.path}`).sort()).toEqual([
      'precheck.config_forbidden_key config.json/nested/deep/0/auto_map',
      'precheck.config_forbidden_key config.json/quantization_config',
      'precheck.config_mismatch config.json/d_ff',
      'precheck.config_mismatch config.json/rope_theta',
      'precheck.config_unknown_key config.json/extra',
      'precheck.config_unknown_key config.json/nested',
    ]);
  });

  it('a config that is no JSON or nested without end', async () => {
    const directory = checkpoint(trained);
    replaceFile(directory, 'config.json', `${'['.repeat(30_000)}${']'.repeat(30_000)}`);
    expect(codes(await check(directory))).toEqual(['precheck.config_not_json']);
    replaceFile(directory, 'config.json', `{"d_ff":${'{"a":'.repeat(8000)}1${'}'.repeat(8000)}}`);
    expect(codes(await check(directory))).toEqual(['precheck.config_mismatch']);
    replaceFile(directory, 'config.json', Uint8Array.of(0xff, 0xfe));
    expect(codes(await check(directory))).toEqual(['precheck.config_not_json']);
  });

  it('another tokenizer, by one byte', async () => {
    const directory = checkpoint(trained);
    const path = join(directory, 'tokenizer.json');
    writeFileSync(path, `${readFileSync(path, 'utf8')} `);
    expect(codes(await check(directory))).toEqual(['precheck.tokenizer_mismatch']);
  });

  it('tensors that are missing, unknown, misshapen or of another dtype', async () => {
    const weights: Weights = new Map(trained);
    weights.delete('model.norm.weight');
    weights.set('extra', { shape: [32], dtype: 'BF16', values: new Float32Array(32) });
    weights.set('lm_head.weight', { ...weights.get('lm_head.weight')!, shape: [32, 272] });
    weights.set('model.embed_norm.weight', { ...weights.get('model.embed_norm.weight')!, dtype: 'F32' });
    expect(codes(await check(checkpoint(weights))).sort()).toEqual([
      'precheck.missing_tensor',
      'precheck.tensor_dtype',
      'precheck.tensor_shape',
      'precheck.unknown_tensor',
    ]);
  });

  it('a weights file that is truncated, padded, too small, or no safetensors at all', async () => {
    const directory = checkpoint(trained);
    const whole = readFileSync(join(directory, 'model.safetensors'));
    const after = async (content: Uint8Array) => {
      replaceFile(directory, 'model.safetensors', content);
      return codes(await check(directory));
    };
    expect(await after(whole.subarray(0, -2))).toEqual(['checkpoint.truncated']);
    expect(await after(Buffer.concat([whole, Buffer.alloc(2)]))).toEqual(['checkpoint.trailing_bytes']);
    expect(await after(Buffer.from('version https://git-lfs'))).toContain('precheck.size');
    expect(await after(Buffer.alloc(whole.length, 0xff))).toEqual(['checkpoint.header_too_large']);
    expect(await after(new Uint8Array(0))).toEqual(['precheck.size', 'checkpoint.truncated']);
  });

  it('values that are NaN, infinite or huge', async () => {
    for (const [value, code] of [
      [Number.NaN, 'precheck.not_finite'],
      [Number.NEGATIVE_INFINITY, 'precheck.not_finite'],
      [-1e6, 'precheck.huge_values'],
    ] as const) {
      const head = trained.get('lm_head.weight')!;
      const values = head.values.slice();
      values[77] = value;
      const got = await check(checkpoint(new Map(trained).set('lm_head.weight', { ...head, values })));
      expect(codes(got)).toEqual([code]);
    }
  });

  it('names, a file that is gone, sizes, config and tensors in one report, cheapest first', async () => {
    const directory = checkpoint(trained, { ...MICRO, d_ff: 64 });
    replaceFile(directory, 'modeling.py', 'x');
    const weights: Weights = new Map(trained);
    weights.delete('model.norm.weight');
    writeFileSync(join(directory, 'model.safetensors'), writeSafetensors(weights));
    const onDisk = directorySource(directory);
    const source: SubmissionSource = {
      ...onDisk,
      async inspect() {
        const listing = (await onDisk.inspect())!;
        const issue = { code: 'hub.name_refused', path: '..', message: 'bad' };
        return { ...listing, issues: [issue], unread: ['..'] };
      },
    };
    const got = await check(directory, { source, manifestSha256: 'c'.repeat(64) });
    expect(got.passed ? [] : got.issues.map((i) => `${i.code} ${i.path}`)).toEqual([
      'hub.name_refused ..',
      'precheck.file_refused modeling.py',
      'precheck.config_mismatch config.json/d_ff',
      'precheck.missing_tensor model.safetensors#model.norm.weight',
    ]);
    const gone: SubmissionSource = {
      ...source,
      readRange: async (path, start, end) => {
        if (path === 'config.json') throw new QuasarError('hub.not_found', 'gone');
        return onDisk.readRange(path, start, end);
      },
    };
    const rest = await check(directory, { source: gone });
    expect(rest).toMatchObject({ passed: false, status: 'REMOVED' });
    expect(rest.passed ? [] : rest.issues.map((i) => `${i.code} ${i.path}`).slice(-2)).toEqual([
      'hub.not_found config.json',
      'precheck.missing_tensor model.safetensors#model.norm.weight',
    ]);
  });

  it('files that are not those of the committed manifest', async () => {
    expect(codes(await check(checkpoint(trained), { manifestSha256: 'c'.repeat(64) }))).toEqual([
      'precheck.manifest_mismatch',
    ]);
  });
});

describe('shards', () => {
  const names = [...trained.keys()];
  const half = (i: number): Weights =>
    new Map(names.slice(i * 20, i === 0 ? 20 : undefined).map((n) => [n, trained.get(n)!]));
  const bytesOf = (weights: Weights) =>
    [...weights.values()].reduce((sum, { values, dtype }) => sum + values.length * (dtype === 'F32' ? 4 : 2), 0);
  const honestMap = () => Object.fromEntries(names.map((name, i) => [name, shardName(i < 20 ? 1 : 2, 2)]));

  /** The trained model in two shards, changed. */
  function sharded(
    change: { index?: object | undefined; map?: object; parts?: Weights[]; names?: string[] } = {},
  ): string {
    const directory = checkpoint(trained);
    rmSync(join(directory, 'model.safetensors'));
    const parts = change.parts ?? [half(0), half(1)];
    for (const [i, part] of parts.entries())
      replaceFile(directory, change.names?.[i] ?? shardName(i + 1, parts.length), writeSafetensors(part));
    const index = {
      metadata: { total_size: bytesOf(trained) },
      weight_map: { ...honestMap(), ...change.map },
      ...change.index,
    };
    replaceFile(directory, 'model.safetensors.index.json', JSON.stringify(index));
    return directory;
  }

  it('the same weights in one file and in shards are the same submission', async () => {
    const directory = sharded();
    const paths = [...REST, 'model.safetensors.index.json', shardName(1, 2), shardName(2, 2)];
    const files = paths.map((path) => ({ path, content: join(directory, path) }));
    const { revision } = await hub.publish('miner/shards', files);
    const got = await check('', { source: hubSource(hub, 'miner/shards', revision) });
    const single = await check(checkpoint(trained));
    expect(codes(got)).toEqual([]);
    expect(got.passed && got.record).toEqual(single.passed && single.record);
    expect((await Engine.load(got.passed ? got.directory : '')).config.vocab_size).toBe(MICRO.vocab_size);
    const thief = submission('thief', 20, 'thief/model', 'b'.repeat(40));
    const copy = await check(directory, { submission: thief, records: single.passed ? [single.record] : [] });
    expect(codes(copy)).toEqual(['copy.same_content']);
  });

  it.each<[string, () => string, string[]]>([
    [
      'a tensor twice',
      () => sharded({ parts: [new Map([...half(0), ...[...half(1)].slice(0, 1)]), half(1)] }),
      ['checkpoint.index_wrong_shard', 'checkpoint.duplicate_tensor'],
    ],
    [
      'a tensor in the other shard',
      () => sharded({ map: { [names[0]!]: shardName(2, 2) } }),
      ['checkpoint.index_wrong_shard'],
    ],
    ['a tensor that no shard has', () => sharded({ map: { ghost: shardName(1, 2) } }), ['checkpoint.index_absent']],
    [
      'a file outside of the folder',
      () => sharded({ map: { [names[0]!]: '../model-00001-of-00002.safetensors' } }),
      ['checkpoint.index_file_name'],
    ],
    ['another total', () => sharded({ index: { metadata: { total_size: 5 } } }), ['checkpoint.index_total_size']],
    ['code in the index', () => sharded({ index: { auto_map: {} } }), ['checkpoint.index_key']],
    [
      'a file of the index that is not there',
      () => sharded({ names: [shardName(1, 2), 'other.safetensors'] }),
      ['precheck.missing_file', 'precheck.file_refused', 'precheck.size', 'checkpoint.shard_missing'],
    ],
    [
      'a tensor too few',
      () => sharded({ parts: [half(0), new Map([...half(1)].slice(1))] }),
      ['precheck.missing_tensor', 'checkpoint.index_absent'],
    ],
    [
      'two series',
      () => sharded({ names: [shardName(1, 2), shardName(2, 3)] }),
      ['precheck.shards', 'checkpoint.shard_missing', 'checkpoint.shard_extra', 'checkpoint.index_wrong_shard'],
    ],
    [
      'more shards than the rules allow',
      () => sharded({ parts: Array.from({ length: 5 }, (_, i) => new Map([...trained].slice(i, i + 1))) }),
      ['precheck.shards'],
    ],
  ])('%s', async (_, make, expected) => {
    const got = codes(await check(make()));
    for (const code of expected) expect(got).toContain(code);
  });

  it('no index, and both layouts at once', async () => {
    const bare = sharded();
    rmSync(join(bare, 'model.safetensors.index.json'));
    expect(codes(await check(bare))).toEqual(['precheck.missing_file']);
    const both = sharded();
    replaceFile(both, 'model.safetensors', writeSafetensors(trained));
    expect(codes(await check(both))).toEqual(['precheck.file_refused']);
    const rules = { ...lock, limits: { ...lock.limits, maxShards: 1 } };
    expect(codes(await check(sharded(), { lock: rules }))).toContain('precheck.file_refused');
  });
});

describe('code that published checkpoints carry along', () => {
  const AUTO_MAP = { AutoConfig: 'configuration_quasar.QuasarConfig' };
  const CODE = 'class QuasarConfig: pass';
  let tolerant: ModelLock;

  beforeAll(async () => {
    const base = checkpoint(baseWeights, { ...MICRO, auto_map: AUTO_MAP });
    replaceFile(base, 'configuration_quasar.py', CODE);
    tolerant = await createModelLock(base, LOCAL.limits, {
      autoMap: AUTO_MAP,
      codeFiles: ['configuration_quasar.py', 'modeling_quasar.py'],
    });
  });

  async function published(
    autoMap: unknown,
    code: string,
    name = 'configuration_quasar.py',
  ): Promise<SubmissionSource> {
    const directory = checkpoint(trained, { ...MICRO, auto_map: autoMap });
    replaceFile(directory, name, code);
    const paths = [...REST, 'model.safetensors', name];
    const { revision } = await hub.publish(
      `miner/code-${directories}`,
      paths.map((path) => ({ path, content: join(directory, path) })),
    );
    return hubSource(hub, `miner/code-${directories}`, revision);
  }

  it('the very map and the very file pass where the rules say so, and the file stays at the hub', async () => {
    const source = await published(AUTO_MAP, CODE);
    const got = await check('', { source, lock: tolerant });
    expect(codes(got)).toEqual([]);
    expect(readdirSync(got.passed ? got.directory : '').sort()).toEqual([...REST, 'model.safetensors'].sort());
    expect(codes(await check('', { source }))).toEqual(['precheck.file_refused', 'precheck.config_forbidden_key']);
  });

  it('another map, another file, a file that the base does not have', async () => {
    for (const map of [{ AutoConfig: 'x.Y' }, { ...AUTO_MAP, AutoModel: 'x.Y' }, {}, [], 'x'])
      expect(codes(await check('', { source: await published(map, CODE), lock: tolerant }))).toEqual([
        'precheck.config_forbidden_key',
      ]);
    for (const [code, name] of [[`${CODE} `], [CODE, 'modeling_quasar.py']] as [string, string?][])
      expect(codes(await check('', { source: await published(AUTO_MAP, code, name), lock: tolerant }))).toEqual([
        'precheck.file_refused',
      ]);
  });
});

describe('copies', () => {
  let record: ContentRecord;
  const later = submission('thief', 20, 'thief/model', 'b'.repeat(40));

  beforeAll(async () => {
    const got = await check(checkpoint(trained));
    if (!got.passed) throw new Error(String(codes(got)));
    record = got.record;
  });

  it('the base itself is a copy of the base', async () => {
    expect(await check(checkpoint(baseWeights))).toMatchObject({ status: 'COPY', original: { uid: BASE_UID } });
  });

  it('the same tensors in another file order are a copy of the earlier reveal, named in the text', async () => {
    const reversed = new Map([...trained].reverse());
    const got = await check(checkpoint(reversed), { submission: later, records: [record] });
    expect(got).toMatchObject({ status: 'COPY', original: { uid: 10 }, record: { copyOf: 'miner:10' } });
    expect(got.passed ? '' : got.issues[0]!.message).toContain('uid 10, miner/model@aaaaaaaa, block 10');
  });

  it('noise is a copy, training is not, and frozen base tensors make nobody a copy', async () => {
    const check2 = (weights: Weights) => check(checkpoint(weights), { submission: later, records: [record] });
    expect(codes(await check2(noisy(trained, 'n', 2e-4)))).toEqual(['copy.same_noise']);
    expect((await check2(noisy(trained, 'n', 0.02))).passed).toBe(true);
    const shared: Weights = new Map(blend(baseWeights, microWeights('third'), 0.3));
    for (const name of [...shared.keys()].slice(0, 20)) shared.set(name, baseWeights.get(name)!);
    expect((await check2(shared)).passed).toBe(true);
  });

  it('a stolen revision is refused before it is read', async () => {
    const thief = { ...later, repo: 'Miner/model', revision: 'a'.repeat(40) };
    const got = await check('/nowhere', { submission: thief, submissions: [record.submission, thief] });
    expect(got).toMatchObject({ status: 'COPY', original: { id: 'miner:10' } });
  });
});

describe('a hub that is down', () => {
  it('is an error to try again, never a verdict', async () => {
    const broken = await serveHub({ directory: join(root, 'hub2'), port: 0 });
    const client = createHubClient({
      url: broken.url,
      cacheDirectory: join(root, 'cache2'),
      limits: { retryDelaysMs: [] },
    });
    await broken.close();
    await expect(check('', { source: hubSource(client, 'miner/good', 'a'.repeat(40)) })).rejects.toMatchObject({
      code: 'hub.unreachable',
      retry: 'later',
    });
  });
});

describe('createModelLock', () => {
  it('refuses a base that could not be submitted itself', async () => {
    const f32 = new Map([...baseWeights].map(([name, tensor]) => [name, { ...tensor, dtype: 'F32' as const }]));
    const directory = checkpoint(baseWeights);
    writeFileSync(join(directory, 'model.safetensors'), writeSafetensors(f32));
    await expect(createModelLock(directory, LOCAL.limits)).rejects.toMatchObject({ code: 'subnet.bad_base' });
    const small = { ...LOCAL.limits, maxParameters: 1000 };
    await expect(createModelLock(checkpoint(baseWeights), small)).rejects.toThrow('the cap is 1000');
  });
});
