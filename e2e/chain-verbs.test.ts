/** @file The verbs around a chain, with the real command on a real socket: looking, registering, weights, and what goes wrong. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ChainServer,
  connectChain,
  DevChain,
  keyPairFromUri,
  serveChain,
  WalletFolder,
  walletFromSeed,
} from '@quasar/chain';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { QUASAR, REPOSITORY } from './support/paths.ts';
import { type Outcome, run } from './support/run.ts';

const vectors = join(REPOSITORY, 'tests/oracles/vectors/wallets');
const { password, phrase, address: coldkey } = JSON.parse(readFileSync(join(vectors, 'vectors.json'), 'utf8'));

let root: string;
let chain: DevChain;
let server: ChainServer;
let wallets: WalletFolder;
let net: string[];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'quasar-verbs-'));
  chain = DevChain.open({ path: ':memory:', blockTimeMs: 50, tempo: 5, weightsRateLimitBlocks: 0 });
  server = await serveChain(chain, { port: 0 });
  net = ['--chain', server.url, '--home', join(root, 'home')];
  wallets = new WalletFolder(join(root, 'wallets'));
  mkdirSync(join(wallets.root, 'me'), { recursive: true });
  // Encrypted in an old format, which opens in no time.
  cpSync(join(vectors, 'ansible', 'coldkey'), wallets.coldkey('me'));
  writeFileSync(wallets.coldkeyPublic('me'), JSON.stringify({ ss58Address: coldkey }));
  await wallets.createHotkey('me', 'default', keyPairFromUri('//hot'));
});
afterAll(async () => {
  await server.close();
  await chain.close();
  rmSync(root, { recursive: true, force: true });
});

const shown: string[] = [];

async function quasar(args: string[], input = ''): Promise<Outcome> {
  const outcome = await run(process.execPath, [QUASAR, ...args, ...net], { input });
  shown.push(outcome.stdout, outcome.stderr);
  return outcome;
}

async function json(...args: string[]) {
  const { code, stdout, stderr } = await quasar([...args, '--json']);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

async function refusal(args: string[], input = ''): Promise<string> {
  const { code, stdout, stderr } = await quasar(args, input);
  expect({ code: code === 0, stdout }).toEqual({ code: false, stdout: '' });
  return stderr.trim().split('\n').at(-1) ?? '';
}

it('refuses to pay more than the limit', async () => {
  const line = await refusal(['register', '--name', 'ann', '--max-cost', '0.000001']);
  expect(line).toContain('more than 0.000001 TAO');
  expect(line).toContain('[chain.cost_above_limit]');
});

it('registers hotkeys of the local net, and shows what that costs first', async () => {
  const dry = await json('register', '--name', 'ann', '--dry-run');
  expect(dry).toMatchObject({
    dryRun: true,
    network: 'dev',
    netuid: 24,
    uid: null,
    payer: dry.hotkey,
    payerKind: 'hotkey',
  });
  expect(dry.cost).toBeGreaterThan(0);
  expect(dry.extrinsics[0].encoded).toMatch(/^0x[0-9a-f]+$/);
  expect((await chain.metagraph(24)).neurons).toEqual([]);
  expect(await json('register', '--name', 'ann')).toMatchObject({ uid: 0, hotkey: dry.hotkey });
  expect(await json('register', '--name', 'val', '--stake', '100')).toMatchObject({ uid: 1 });
  expect(await json('register', '--name', 'ann')).toMatchObject({ uid: 0, hotkey: dry.hotkey });
  const [ann, val] = (await chain.metagraph(24)).neurons;
  expect(ann?.hotkey).toBe(dry.hotkey);
  expect(val?.stake).toBeGreaterThanOrEqual(100);
});

describe('a wallet of Bittensor', () => {
  const register = (...more: string[]) => ['register', '--name', 'me', '--wallets', wallets.root, ...more];

  it('is paid by its coldkey, which must be agreed to', async () => {
    const plan = await json(...register('--dry-run'));
    expect(plan).toMatchObject({ payer: coldkey, payerKind: 'coldkey', hotkey: keyPairFromUri('//hot').address });
    const refusals = await Promise.all([
      refusal(register('--stake', '5'), `${password}\n`),
      refusal(register('--stake', '5', '--yes')),
      refusal(register('--stake', '5', '--yes'), 'wrong\n'),
    ]);
    const codes = ['usage.confirmation_wanted', 'usage.no_answer', 'chain.wallet_password'];
    expect(refusals.map((line) => /\[([\w.]+)\]$/.exec(line)?.[1])).toEqual(codes);
    const before = await chain.balance(coldkey);
    expect((await chain.metagraph(24)).neurons).toHaveLength(2);
    const { code, stderr } = await quasar(register('--stake', '5', '--yes'), `${password}\n`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining(coldkey) });
    // Both were shown before they were signed.
    expect(stderr.match(/^extrinsic .*$/gm)).toHaveLength(2);
    expect((await chain.metagraph(24)).neurons[2]).toMatchObject({ hotkey: plan.hotkey, coldkey });
    expect((await chain.metagraph(24)).neurons[2]?.stake).toBeGreaterThanOrEqual(5);
    expect(await chain.balance(coldkey)).toBeLessThanOrEqual(before - 5 - plan.cost / 2);
    // Two signatures, by digest.
    const log = readFileSync(join(root, 'home', 'signed.jsonl'), 'utf8')
      .trim()
      .split('\n');
    expect(log.map((line) => JSON.parse(line).address)).toEqual([coldkey, coldkey]);
  });

  it('that is not there is one line', async () => {
    const line = await refusal(['register', '--name', 'none', '--wallets', wallets.root]);
    expect(line).toMatch(/none\/hotkeys\/default; .*\[chain\.wallet_missing\]$/);
  });
});

it('shows and sets weights', async () => {
  while (!(await chain.metagraph(24)).neurons[1]?.validatorPermit)
    await new Promise((resolve) => setTimeout(resolve, 20));
  const set = ['weights', 'set', '--name', 'val', '--uids', '0=3,1=1'];
  const dry = await json(...set, '--dry-run');
  expect(dry.preview.encoded).toMatch(/^0x/);
  expect((await json('weights', 'show')).rows).toEqual([]);
  const { receipt } = await json(...set);
  expect(['plain', 'hash', 'timelocked']).toContain(receipt.kind);
  if (receipt.kind !== 'plain') return;
  const { rows } = await json('weights', 'show');
  expect(rows).toMatchObject([{ validatorUid: 1, setAtBlock: receipt.setAtBlock }]);
  expect(rows).toEqual(await chain.weights(24, receipt.setAtBlock));
  const { stdout } = await quasar(['weights', 'show']);
  expect(stdout).toMatch(/75\.0 % {2}███████▌$/m);
  expect(await refusal(['weights', 'set', '--name', 'val', '--uids', '99=1'])).toContain('uids go from 0 to 2');
});

describe('looking', () => {
  it('metagraph, with bars', async () => {
    const { number } = await chain.head();
    const at = ['metagraph', '--at', String(number)];
    const [{ stdout }, shownAsJson] = await Promise.all([quasar(at), json(...at)]);
    expect(stdout).toMatch(new RegExp(`^subnet 24 at block ${number}\nuid  hotkey`));
    expect(stdout).toMatch(/^ {2}1 {2}5\w{47} +\d+\.\d\d {2}validator/m);
    expect(stdout).toMatch(/\d\.\d % {2}█/);
    expect(shownAsJson).toEqual(await chain.metagraph(24, number));
  });

  it('commitments, without what could draw over a terminal', async () => {
    const bob = walletFromSeed(new Uint8Array(32).fill(7));
    const other = connectChain(server.url);
    await other.register(bob, 24);
    const { expectedRevealBlock } = await other.commit(bob, 24, 'model\u001b[2J@abc', { blocksUntilReveal: 0 });
    while ((await chain.head()).number <= expectedRevealBlock) await new Promise((resolve) => setTimeout(resolve, 20));
    await other.close();
    const { stdout } = await quasar(['commitments']);
    expect(stdout).toContain('model·[2J@abc');
    expect((await json('commitments')).commitments).toMatchObject([{ hotkey: bob.hotkey, data: 'model\u001b[2J@abc' }]);
  });

  it('blocks and events', async () => {
    const { head, blockTimeMs, network } = await json('chain', 'head');
    expect({ blockTimeMs, network }).toEqual({ blockTimeMs: 50, network: 'dev' });
    expect(await chain.blockHash(head.number)).toBe(head.hash);
    const events: { kind: string; block: number; uid: number }[] = (await json('chain', 'events', '--last', '1000000'))
      .events;
    expect(events.filter(({ kind }) => kind === 'registered').map(({ uid }) => uid)).toEqual([0, 1, 2, 3]);
    const first = await json('chain', 'block', String(events[0]?.block));
    expect(first.events).toMatchObject([{ kind: 'registered', uid: 0 }]);
    expect(await refusal(['chain', 'block', '99999999'])).toMatch(
      /no block 99999999 yet; the newest is \d+ \[chain\.no_block\]$/,
    );
    expect(await json('chain', 'hyperparameters')).toMatchObject(await chain.hyperparameters(24));
  });

  it('doctor, with the hotkey on the chain', async () => {
    const report = await json('doctor', '--name', 'val');
    expect(report.chain.state).toMatchObject({ network: 'dev', hotkey: { uid: 1, validatorPermit: true } });
    expect(typeof report.chain.signer.why).toBe('string');
  });
});

describe('no chain', () => {
  const nowhere = ['--chain', 'ws://127.0.0.1:9', '--home'];

  it('is one line and an exit code of its own', async () => {
    const { code, stderr } = await run(process.execPath, [QUASAR, 'metagraph', ...nowhere, join(root, 'none')]);
    expect(code).toBe(4);
    expect(stderr).toMatch(/^quasar: .*ws:\/\/127\.0\.0\.1:9.*\[chain\.unreachable\]\n$/);
  });

  it('is no failure of doctor', async () => {
    const { code, stdout } = await run(process.execPath, [QUASAR, 'doctor', '--json', ...nowhere, join(root, 'none')]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).chain).toMatchObject({ state: null, error: { code: 'chain.unreachable' } });
  });

  it('nor are typing errors more than a line', async () => {
    const errors: [string[], string][] = [
      [['metagraph', '--network', 'fineny'], 'usage.invalid_argument'],
      [['metagraph', '--chain', 'example'], 'chain.invalid_options'],
      [['weights', 'set', '--name', 'val', '--uids', '0=1,0=1'], 'usage.invalid_argument'],
      [['weights', 'shw'], 'usage.unknown_command'],
    ];
    const outcomes = errors.map(async ([args, code]) => {
      const { stderr } = await run(process.execPath, [QUASAR, ...args, '--home', join(root, 'home')]);
      expect(stderr).toContain(`[${code}]`);
      expect(stderr.trim().split('\n')).toHaveLength(1);
    });
    await Promise.all(outcomes);
  });
});

it('showed no secret in any of this', () => {
  const text = shown.join('\n');
  expect(text).not.toContain(password);
  expect(text).not.toContain(phrase.slice(0, 20));
});
