/** @file One child of the supervisor: it comes back after a crash, with its state, and never outlives its parent. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectChain, openWallet } from '@quasar/chain';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Home } from '../packages/cli/src/home.ts';
import { nextFreePort } from '../packages/cli/src/ports.ts';
import { Child, type ChildSpec } from '../packages/cli/src/up/child.ts';
import { eventually, isAlive } from './support/net.ts';
import { QUASAR } from './support/paths.ts';

let home: Home;
const children: Child[] = [];

beforeEach(() => {
  home = new Home(mkdtempSync(join(tmpdir(), 'quasar-child-')));
});
afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.stop(5000)));
  rmSync(home.root, { recursive: true, force: true });
});

async function startChain(extra: Partial<ChildSpec> = {}): Promise<{ child: Child; states: string[]; port: number }> {
  const port = await nextFreePort(28_000);
  const states: string[] = [];
  const spec: ChildSpec = {
    name: 'chain',
    args: ['chain', 'run', '--home', home.root, '--port', `${port}`, '--block-time-ms', '50'],
    isOneShot: false,
    isBackground: false,
    logFile: home.logFile('chain'),
    ...extra,
  };
  const child = new Child(spec, { onState: (one) => states.push(one.state), onProgress() {} });
  children.push(child);
  return { child, states, port };
}

const reaches = (child: Child, state: string) =>
  eventually(home.root, `the child is ${state}`, 30_000, () => (child.state === state ? true : null));

it('a service that is killed comes back with its state', async () => {
  const { child, states, port } = await startChain();
  await reaches(child, 'running');
  const chain = connectChain(`ws://127.0.0.1:${port}`);
  const { uid } = await chain.register(openWallet(home.wallet('one')), 24);
  const pid = child.pid as number;
  process.kill(pid, 'SIGKILL');
  await eventually(home.root, 'another process runs', 30_000, () =>
    child.state === 'running' && child.pid !== pid ? true : null,
  );
  expect(states).toEqual(['starting', 'running', 'restarting', 'starting', 'running']);
  const again = connectChain(`ws://127.0.0.1:${port}`);
  expect((await again.metagraph(24)).neurons.map((neuron) => neuron.uid)).toEqual([uid]);
  await child.stop(5000);
  expect(child.state).toBe('stopped');
});

it('a child that cannot start says why and is given up', async () => {
  const { child } = await startChain({ args: ['chain', 'run', '--prot', '1'] });
  await reaches(child, 'failed');
  expect(child.lastError).toMatchObject({ code: 'usage.unknown_option', message: "unknown option '--prot'" });
});

it('a one-shot child that ends well is done', async () => {
  const { child } = await startChain({ args: ['doctor', '--home', home.root], isOneShot: true });
  await reaches(child, 'done');
});

it('a child ends by itself when its parent is gone', async () => {
  const port = await nextFreePort(28_000);
  const child = fork(QUASAR, ['hub', 'run', '--home', home.root, '--port', `${port}`], { execArgv: [], silent: true });
  const [message] = await once(child, 'message');
  expect(message).toMatchObject({ type: 'ready', facts: { url: `http://127.0.0.1:${port}` } });
  // What the kernel does to the channel when the parent dies.
  child.disconnect();
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(isAlive(child.pid as number)).toBe(false);
});
