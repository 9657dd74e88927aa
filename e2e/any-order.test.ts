/**
 * @file Services in any order: validator, miner, evaluator and dashboard are there before chain, hub and Postgres. Each says what it
 * waits for, goes on when it is there, and ends at once when it is told to; what waiting cannot mend ends it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectChain, openWallet } from '@quasar/chain';
import { createHubClient, serveHub } from '@quasar/hub';
import { openStore } from '@quasar/store';
import { skipWithoutPostgres, startPostgres, type ThrowawayPostgres } from '@quasar/store/testing';
import { formatCommitment } from '@quasar/subnet';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { nextFreePort } from '../packages/cli/src/ports.ts';
import { writeCheckpoint } from '../packages/subnet/src/testing/checkpoints.ts';
import { BASE, student, TEACHER } from '../packages/subnet/src/testing/contest.ts';
import { quickRules } from './faults/rules.ts';
import { QUASAR, REPOSITORY } from './support/paths.ts';

const LIMIT_MS = 120_000;
/** Not where ports of outgoing connections come from, and not where another test looks at this moment. */
const PLACE = 14_000 + (process.pid % 500) * 10;
const rules = quickRules();

let root: string;
let postgres: ThrowawayPostgres | null = null;
const started: ChildProcess[] = [];

interface Service {
  child: ChildProcess;
  text(): string;
}

function service(...args: string[]): Service {
  const { INIT_CWD: _, ...env } = process.env;
  const child = spawn(process.execPath, [QUASAR, ...args], { cwd: REPOSITORY, env, stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream!.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
  return { child, text: () => text };
}

async function until(who: Service, what: RegExp | (() => boolean)): Promise<void> {
  const isSo = typeof what === 'function' ? what : () => what.test(who.text());
  for (const deadlineMs = Date.now() + LIMIT_MS; !isSo(); await sleep(20)) {
    const isLost = who.child.exitCode !== null || Date.now() > deadlineMs;
    if (isLost) throw new Error(`${what} never came, exit code ${who.child.exitCode}:\n${who.text()}`);
  }
}

async function exitOf({ child }: Service, signal?: NodeJS.Signals): Promise<number | null> {
  if (signal) child.kill(signal);
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

const count = (text: string, what: RegExp) => text.match(new RegExp(what, 'g'))?.length ?? 0;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'quasar-order-'));
  writeFileSync(join(root, 'rules.json'), JSON.stringify(rules));
  writeCheckpoint(join(root, 'base'), BASE);
  writeCheckpoint(join(root, 'teacher'), TEACHER);
  if (!skipWithoutPostgres()) postgres = await startPostgres();
});
afterAll(async () => {
  for (const child of started) child.kill('SIGKILL');
  await postgres?.stop();
  rmSync(root, { recursive: true, force: true });
});

const grounds = (...args: string[]) => service(...args, '--home', join(root, 'grounds'));
const chainAt = (port: number) =>
  grounds('chain', 'run', '--port', `${port}`, '--block-time-ms', '100', '--tempo', '5');

/** A chain with a registered validator and a submission, which then ends: as after a power cut. */
async function yesterday(chainPort: number): Promise<void> {
  const running = chainAt(chainPort);
  await until(running, /chain at/);
  const chain = connectChain(`ws://127.0.0.1:${chainPort}`);
  const server = await serveHub({ directory: join(root, 'grounds', 'hub'), port: 0 });
  const hub = createHubClient({ url: server.url, cacheDirectory: join(root, 'publisher') });
  const owner = openWallet(join(root, 'home', 'wallets', 'validator.json'));
  const ann = openWallet(join(root, 'wallets', 'ann'));
  for (const wallet of [owner, ann]) await chain.register(wallet, rules.netuid);
  await chain.addStake(owner, rules.netuid, 1000);
  const folder = writeCheckpoint(join(root, 'ann'), student(0.5));
  const paths = ['config.json', 'model.safetensors', 'tokenizer.json'];
  const files = paths.map((path) => ({ path, content: join(folder, path) }));
  const { revision } = await hub.publish('ann/model', files);
  await chain.commit(ann, rules.netuid, formatCommitment({ repo: 'ann/model', revision }));
  await chain.close();
  await server.close();
  await exitOf(running, 'SIGTERM');
}

it('whoever was there first waits for the others, and the first round begins', async () => {
  const ports = {
    chain: await nextFreePort(PLACE),
    hub: await nextFreePort(PLACE + 3),
    server: await nextFreePort(PLACE + 6),
  };
  await yesterday(ports.chain);
  await postgres?.kill();
  const queue = postgres?.url ?? join(root, 'queue.sqlite');
  const where = ['--home', join(root, 'home'), '--hub', `http://127.0.0.1:${ports.hub}`];
  const net = [...where, '--chain', `ws://127.0.0.1:${ports.chain}`];
  const models = ['--base', join(root, 'base'), '--teacher', join(root, 'teacher')];
  const judging = ['--rules', join(root, 'rules.json'), '--queue', queue, '--threads', '1'];
  const validator = service('validator', 'run', ...net, ...models, ...judging);
  const evaluator = service('evaluator', 'run', ...where, ...models, '--store', queue, '--threads', '1');
  const miner = service('miner', 'run', ...net, '--name', 'bob', '--steps', '1000');
  const serve = service('serve', ...net, '--port', `${ports.server}`);

  const awayChain =
    /waiting for the chain: no answer from the chain at ws:\/\/127\.0\.0\.1:\d+ .*is it running.* \[chain\.unreachable\]/;
  const awayQueue = /waiting for the queue: .*127\.0\.0\.1:\d+.*; .+ \[queue\.unreachable\]/;
  await Promise.all([until(validator, awayChain), until(miner, awayChain), until(serve, /chain does not answer/)]);
  if (postgres) await until(evaluator, awayQueue);
  const health = async () => (await fetch(`http://127.0.0.1:${ports.server}/health`)).json();
  expect(await health()).toMatchObject({ chain: { online: false }, validator: null });

  const chain = chainAt(ports.chain);
  await Promise.all([until(chain, /chain at/), until(validator, /the chain is there, after /)]);
  await until(
    miner,
    /the chain is there(?:.|\n)*waiting for the hub at http:\/\/127\.0\.0\.1:\d+: .*127\.0\.0\.1:\d+.*\[hub\.unreachable\]/,
  );
  const hub = grounds('hub', 'run', '--port', `${ports.hub}`);
  await until(miner, /the hub at \S+ is there(?:.|\n)*registered as uid/);
  const enough = exitOf(miner, 'SIGTERM');
  if (postgres) {
    await until(validator, awayQueue);
    await postgres.start();
    await Promise.all([validator, evaluator].map((who) => until(who, /the queue is there, after /)));
  }
  const contest = join(root, 'home', 'validator', 'contest.sqlite');
  expect(existsSync(contest)).toBe(true);
  const store = openStore({ path: contest });
  await until(validator, () => store.events({ types: ['evaluation.measured'] }).length > 0);
  expect(store.events({ types: ['round.started'] })).toHaveLength(1);
  store.close();
  const cache = { bytes: expect.any(Number), quota_bytes: 20e9, revisions: 1 };
  expect(await health()).toMatchObject({ chain: { online: true }, validator: { cache } });
  // Said once, however often it was asked.
  for (const who of [validator, miner]) expect(count(who.text(), /waiting for the chain/)).toBe(1);
  const ended = [enough, ...[validator, evaluator, serve].map((who) => exitOf(who, 'SIGTERM'))];
  expect(await Promise.all(ended)).toEqual([130, 130, 130, 130]);
  await Promise.all([chain, hub].map((who) => exitOf(who, 'SIGTERM')));
});

it('told to stop while it waits, it stops', async () => {
  const nobody = await nextFreePort(PLACE + 8);
  const [chain, hub] = [`ws://127.0.0.1:${nobody}`, `http://127.0.0.1:${nobody}`];
  const home = ['--home', join(root, 'other')];
  const waiting = [
    service('validator', 'run', ...home, '--chain', `${chain},${chain}/again`),
    service('miner', 'run', ...home, '--name', 'eve', '--chain', chain, '--hub', hub),
    service('evaluator', 'run', ...home, '--store', `postgres://a:b@127.0.0.1:${nobody}/c`),
  ];
  await Promise.all(waiting.map((who) => until(who, /waiting for the (chain|queue)/)));
  expect(await Promise.all(waiting.map((who) => exitOf(who, 'SIGINT')))).toEqual([130, 130, 130]);
});

it('what waiting cannot mend ends it', async () => {
  const page: Server = createServer((_, response) => response.end('<h1>a page</h1>')).listen(0, '127.0.0.1');
  await once(page, 'listening');
  const { port } = page.address() as { port: number };
  const home = ['--home', join(root, 'other')];
  const validator = (...args: string[]) => service('validator', 'run', ...home, ...args);
  const refused: [Service, RegExp, number][] = [
    [validator('--chain', `ws://127.0.0.1:${port}`), /\[chain\.protocol\]/, 1],
    [validator('--chain', 'somewhere'), /\[chain\.invalid_options\]/, 1],
    [validator('--teacher', join(root, 'nothing')), /no folder of a checkpoint.*\[usage\.unknown_model\]/, 2],
    [service('evaluator', 'run', ...home, '--store', 'mysql://nowhere'), /\[queue\.bad_url\]/, 1],
    [
      service('metagraph', ...home, '--chain', `ws://127.0.0.1:${await nextFreePort(PLACE + 9)}`),
      /\[chain\.unreachable\]/,
      4,
    ],
  ];
  for (const [who, why, code] of refused) {
    expect({ code: await exitOf(who), said: why.test(who.text()), text: who.text() }).toMatchObject({
      code,
      said: true,
    });
    expect(who.text()).not.toContain('waiting for');
  }
  page.close();
});
