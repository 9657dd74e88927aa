/** @file A real `quasar up` in a home: started when it does not run, found again by other test files, stopped, killed. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Dashboard } from '../../packages/server/src/wire.ts';
import { QUASAR, REPOSITORY } from './paths.ts';

const POLL_MS = 200;

/** The first king needs minutes of training on two cores. */
export const KING_MS = 480_000;

export interface Net {
  home: string;
  /** Of the server: dashboard and API. */
  url: string;
}

/** The net of a home; starts it when it does not run. */
export async function runningNet(home: string): Promise<Net> {
  let endedWith: number | string | null = null;
  if (supervisorOf(home) === null) {
    mkdirSync(join(home, 'logs'), { recursive: true });
    const log = openSync(join(home, 'logs', 'supervisor.log'), 'a');
    const child = spawn(process.execPath, [QUASAR, 'up', '--home', home, '--no-open'], {
      cwd: REPOSITORY,
      detached: true,
      stdio: ['ignore', log, log],
    });
    child.on('exit', (code, signal) => {
      endedWith = code ?? signal;
    });
    child.unref();
  }
  const net = await eventually(home, 'the server answers', 60_000, async () => {
    if (endedWith !== null) throw new Error(`quasar up ended with ${endedWith}\n${endsOfLogs(home)}`);
    if (supervisorOf(home) === null || !existsSync(join(home, 'net.json'))) return null;
    const { ports } = JSON.parse(readFileSync(join(home, 'net.json'), 'utf8'));
    const url = `http://127.0.0.1:${ports.server}`;
    const answer = await fetch(`${url}/api/dashboard.json`).catch(() => null);
    return answer?.ok ? { home, url } : null;
  });
  return net;
}

export async function dashboard({ url }: Net): Promise<Dashboard> {
  const answer = await fetch(`${url}/api/dashboard.json`);
  return (await answer.json()) as Dashboard;
}

/** A running net whose king answers. */
export async function netWithKing(home: string): Promise<Net> {
  const net = await runningNet(home);
  await eventually(home, 'there is a king that answers', KING_MS, async () => {
    if (supervisorOf(home) === null) throw new Error(`the net is gone\n${endsOfLogs(home)}`);
    const health = await fetch(`${net.url}/health`).catch(() => null);
    const body = (await health?.json()) as { models: { king: unknown } } | undefined;
    return body?.models.king == null ? null : true;
  });
  return net;
}

/** Sends a signal to the supervisor of a home and waits until it is gone; nothing when none runs. */
export async function stopNet(home: string, signal: 'SIGINT' | 'SIGKILL'): Promise<void> {
  const pid = supervisorOf(home);
  if (pid === null) return;
  process.kill(pid, signal);
  await eventually(home, 'the supervisor is gone', 30_000, () => (isAlive(pid) ? null : true));
}

/** The pid of the supervisor that runs on a home. */
export function supervisorOf(home: string): number | null {
  try {
    const { supervisor } = JSON.parse(readFileSync(join(home, 'up.lock'), 'utf8'));
    return isAlive(supervisor.pid) ? supervisor.pid : null;
  } catch {
    return null;
  }
}

/** Pids of the children that the supervisor of a home has recorded. */
export function childrenOf(home: string): number[] {
  const { children } = JSON.parse(readFileSync(join(home, 'up.lock'), 'utf8')) as { children: { pid: number }[] };
  return children.map(({ pid }) => pid);
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Asks until the answer is not null. @throws with the ends of all logs when `limitMs` is over */
export async function eventually<T>(
  home: string,
  what: string,
  limitMs: number,
  ask: () => Promise<T | null> | T | null,
): Promise<T> {
  const deadlineMs = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (Date.now() > deadlineMs) throw new Error(`not within ${limitMs / 1000} s: ${what}\n${endsOfLogs(home)}`);
    await sleep(POLL_MS);
  }
}

function endsOfLogs(home: string): string {
  const folder = join(home, 'logs');
  if (!existsSync(folder)) return 'no logs';
  return readdirSync(folder)
    .map((name) => {
      const lines = readFileSync(join(folder, name), 'utf8').trim().split('\n');
      return `--- ${name}\n${lines.slice(-12).join('\n')}`;
    })
    .join('\n');
}
