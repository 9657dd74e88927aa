/**
 * @file `quasar miner run --rules`: it enters the subnet that the rules name, and is refused by what they refuse. What earlier runs
 * left in its cache goes.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChainServer, DevChain, serveChain } from '@quasar/chain';
import { cacheUsage, createHubClient, type LocalHub, serveHub } from '@quasar/hub';
import { LOCAL, type SubnetConfig } from '@quasar/subnet';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { quasar } from './support/run.ts';

const NETUID = 7;
let root: string;
let chain: DevChain;
let server: ChainServer;
let hub: LocalHub;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'quasar-rules-'));
  chain = DevChain.open({ path: ':memory:', blockTimeMs: 100 });
  server = await serveChain(chain, { port: 0 });
  hub = await serveHub({ directory: join(root, 'hub'), port: 0 });
});
afterAll(async () => {
  await Promise.all([server.close(), hub.close()]);
  await chain.close();
  rmSync(root, { recursive: true, force: true });
});

function enter(name: string, change: Partial<SubnetConfig>) {
  const rules = join(root, `${name}.json`);
  writeFileSync(rules, JSON.stringify({ ...LOCAL, netuid: NETUID, ...change }));
  const net = ['--home', join(root, 'home'), '--chain', server.url, '--hub', hub.url];
  return quasar('miner', 'run', '--name', name, '--steps', '1', '--rules', rules, ...net, '--json');
}

const commitments = async (netuid: number) => chain.commitments(netuid, (await chain.head()).number);

/** The king of an earlier run, in the cache of a miner. */
async function earlierKing(cacheDirectory: string): Promise<void> {
  const client = createHubClient({ url: hub.url, cacheDirectory });
  const { revision } = await client.publish('old/king', [
    { path: 'model.safetensors', content: Buffer.from('weights') },
  ]);
  const files = (await client.list('old/king', revision))!;
  await client.download('old/king', revision, { files, maxTotalBytes: 100 });
  client.release('old/king', revision);
}

it('commits to the subnet of the rules', async () => {
  const cache = join(root, 'home', 'cache', 'ann');
  await earlierKing(cache);
  expect(cacheUsage(cache).revisions).toBe(1);
  const { code, stdout, stderr } = await enter('ann', { duel: { ...LOCAL.duel, maxPromptTokens: 300 } });
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  const { repo, revision } = JSON.parse(stdout);
  await expect.poll(() => commitments(NETUID)).toHaveLength(1);
  expect((await commitments(NETUID)).map(({ data }) => JSON.parse(data))).toEqual([{ model: repo, revision }]);
  expect(await commitments(LOCAL.netuid)).toEqual([]);
  expect(cacheUsage(cache)).toEqual({ bytes: 0, revisions: 0 });
});

it('is refused by them, and nothing is published', async () => {
  const { code, stdout } = await enter('bob', { numbers: { ...LOCAL.numbers, maxRmsRatio: 1.000001 } });
  expect(code).toBe(3);
  expect(JSON.parse(stdout).error).toMatchObject({
    code: 'miner.rejected',
    message: expect.stringContaining('precheck.scale'),
  });
  expect(await commitments(NETUID)).toHaveLength(1);
  expect(readdirSync(join(root, 'hub', 'repos'))).toEqual(['ann', 'old']);
});

it('looks at the base before it trains', async () => {
  const { code, stdout, stderr } = await enter('eve', { limits: { ...LOCAL.limits, maxParameters: 1000 } });
  expect(code).toBe(1);
  expect(JSON.parse(stdout).error.code).toBe('subnet.bad_base');
  expect(stderr).not.toContain('distils');
});
