import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Wallet } from '@quasar/chain';
import { openWallet } from '@quasar/chain';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatCommitment } from '../rules/commitment.ts';
import { BASE, student, TEST_CONFIG, TestContest } from '../testing/contest.ts';
import { checkModel } from './check-model.ts';
import { previewDuel } from './preview-duel.ts';
import { type SubmitModelOptions, submitModel } from './submit-model.ts';

let test: TestContest;
let ann: Wallet;
let eve: Wallet;

beforeAll(async () => {
  test = await TestContest.start();
  ann = await test.wallet('ann');
  eve = await test.wallet('eve');
});

afterAll(() => test.stop());

const shared = () => ({
  chain: test.chain,
  hub: test.hub,
  config: TEST_CONFIG,
  baseDirectory: join(test.root, 'base'),
});
const submit = (wallet: Wallet, directory: string, repo: string, more: Partial<SubmitModelOptions> = {}) =>
  submitModel({ ...shared(), wallet, directory, repo, ...more });
const check = (hotkey: string, model: { directory: string } | { repo: string; revision: string }) =>
  checkModel({ ...shared(), hotkey, model });
const commitments = async () => test.chain.commitments(TEST_CONFIG.netuid, (await test.chain.head()).number);

describe('the ladder', () => {
  it('a dry run shows every step and changes nothing', async () => {
    const report = await submit(ann, test.checkpoint(student(0.4)), 'ann/model', { dryRun: true });
    expect(report.ok).toBe(true);
    expect(report.steps.map(({ name, state }) => `${name} ${state}`)).toEqual([
      'check done',
      'publish planned',
      'verify planned',
      'commit planned',
    ]);
    expect(await commitments()).toEqual([]);
  });

  it('publishes, verifies and commits; climbed again, it commits nothing twice', async () => {
    const directory = test.checkpoint(student(0.4));
    writeFileSync(join(directory, 'training.log'), 'not part of a submission');
    await expect(submit(ann, directory, 'ann/model')).resolves.toMatchObject({
      ok: false,
      issues: [{ code: 'precheck.file_refused', path: 'training.log' }],
    });
    const clean = test.checkpoint(student(0.4));
    const first = await submit(ann, clean, 'ann/model');
    expect(first.issues).toEqual([]);
    expect(first.payload).toBe(formatCommitment({ repo: 'ann/model', revision: first.revision! }));
    expect(first.firstRound).toBe(Math.ceil((first.revealedAtBlock! + 2) / 30));
    await test.chain.head(); // the reveal
    const again = await submit(ann, clean, 'ann/model');
    expect(again.steps.at(-1)).toMatchObject({ name: 'commit', state: 'skipped' });
    expect(again.revision).toBe(first.revision);
    expect(await commitments()).toHaveLength(1);
  });

  it('another repository needs a word; a newer revision of the same one does not', async () => {
    const better = test.checkpoint(student(0.6));
    const refused = await submit(ann, better, 'ann/other');
    expect(refused.issues.map(({ code }) => code)).toEqual(['miner.already_committed']);
    expect((await submit(ann, better, 'ann/model')).ok).toBe(true);
    await test.chain.head();
    expect((await submit(ann, test.checkpoint(student(0.7)), 'ann/other', { replace: true })).ok).toBe(true);
  });

  it('tells a stranger to register, together with everything else', async () => {
    const stranger = openWallet(join(test.root, 'stranger'));
    const report = await submit(stranger, test.checkpoint(BASE), 'stranger/model');
    expect(report.issues.map(({ code }) => code)).toEqual(['miner.not_registered', 'copy.same_base']);
  });

  it('does not commit a repository that holds other files', async () => {
    await test.hub.publish('eve/dirty', [{ path: 'tool.py', content: new TextEncoder().encode('x') }]);
    const report = await submit(eve, test.checkpoint(student(0.2)), 'eve/dirty');
    expect(report.issues[0]).toMatchObject({ code: 'miner.publish_mismatch' });
    expect(report.issues[0]!.message).toContain('tool.py');
    expect(report.revealedAtBlock).toBeNull();
  });
});

describe('checkModel', () => {
  it('says COPY for the weights of somebody else, from a directory or from the hub, and not for own ones', async () => {
    const weights = test.checkpoint(student(0.6));
    const fromDisk = await check(eve.hotkey, { directory: weights });
    expect(fromDisk).toMatchObject({ ok: false, status: 'COPY', original: { hotkey: ann.hotkey, repo: 'ann/model' } });
    const revision = await test.publish('eve/copy', weights);
    expect((await check(eve.hotkey, { repo: 'eve/copy', revision })).status).toBe('COPY');
    expect((await check(eve.hotkey, { directory: test.checkpoint(student(0.65)) })).status).toBe('OK');
  });

  it('says OK for an own revision that is on chain already: nobody copies himself', async () => {
    const newest = (await commitments()).at(-1)!;
    const { model, revision } = JSON.parse(newest.data);
    expect(await check(ann.hotkey, { repo: model, revision })).toMatchObject({ status: 'OK' });
    expect(await check(eve.hotkey, { repo: model, revision })).toMatchObject({ status: 'COPY' });
  });

  it('says of a graft that it is one, and nothing of its many files', async () => {
    const directory = test.checkpoint(BASE);
    const base = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'));
    const { vocab_size } = base;
    const branches = { layers: [0], heads: 1, head_dim: 16, conv_size: 0, gate_init: 0 };
    const config = { model_type: 'quasar_graft', vocab_size, base, ...branches };
    writeFileSync(join(directory, 'config.json'), JSON.stringify(config));
    writeFileSync(join(directory, 'base.json'), '{}');
    const { status, issues } = await check(eve.hotkey, { directory });
    expect({ status, codes: issues.map(({ code }) => code) }).toEqual({ status: 'INVALID', codes: ['precheck.graft'] });
  });

  it('says REMOVED for a revision that is not there', async () => {
    expect((await check(eve.hotkey, { repo: 'eve/copy', revision: 'e'.repeat(40) })).status).toBe('REMOVED');
  });
});

describe('previewDuel', () => {
  it('is the test of the contest: the better student wins, nobody beats itself', async () => {
    const [better, worse] = [test.checkpoint(student(0.8)), test.checkpoint(student(0.3))];
    const duel = (directory: string, opponentDirectory: string) =>
      previewDuel({
        ...{ directory, opponentDirectory, seed: 'home', config: TEST_CONFIG },
        teacherDirectory: join(test.root, 'teacher'),
      });
    const won = await duel(better, worse);
    expect(won.test.win).toBe(true);
    expect(won.kl).toBeLessThan(won.opponentKl);
    expect((await duel(worse, worse)).test).toMatchObject({ win: false, meanDelta: 0 });
  });
});
