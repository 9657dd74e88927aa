/**
 * @file A throwaway Postgres server for tests and benches: its own data directory, port and password, gone with the
 * process that started it, however that one ends.
 *
 * Needs the programs of a Postgres installation (Debian: `apt-get install postgresql`), not a running server. Postgres
 * refuses to run as root, so as root it runs as the user `postgres` or `nobody`.
 */

import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { sleep } from '@quasar/base';

export interface ThrowawayPostgres {
  /** Of an empty database, as a user who may do everything. */
  url: string;
  /** SIGKILL to the server: all connections break, nothing is written any more. */
  kill(): Promise<void>;
  /** Starts it again on the same data and port after `kill`. */
  start(): Promise<void>;
  /** Stops it and deletes its data. */
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 30_000;

/** Where `initdb` and `postgres` are, or null when there is no Postgres here. */
export function findPostgres(): string | null {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...versions.map((version) => join(debian, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
  ];
  return folders.find((folder) => ['initdb', 'postgres'].every((name) => existsSync(join(folder, name)))) ?? null;
}

/**
 * For `describe.skipIf`: true, after saying why, when there is no Postgres on a developer's machine. In CI a missing
 * Postgres is an error of the tests that need it.
 */
export function skipWithoutPostgres(): boolean {
  if (findPostgres() !== null || process.env.CI) return false;
  console.warn('skipped: tests of the Postgres job queue need Postgres (Debian: apt-get install postgresql)');
  return true;
}

/** @param options.isDurable Whether commits wait for the disk, as on a real server; default false, which only a power cut can tell. */
export async function startPostgres(options: { isDurable?: boolean } = {}): Promise<ThrowawayPostgres> {
  const bin = findPostgres();
  if (bin === null) throw new Error('no Postgres here: install it (Debian: apt-get install postgresql)');
  const user = process.getuid?.() === 0 ? unprivilegedUser() : null;
  const folder = mkdtempSync(join(tmpdir(), 'quasar-postgres-'));
  const data = join(folder, 'data');
  const password = randomBytes(12).toString('hex');
  writeFileSync(join(folder, 'password'), password);
  if (user !== null) for (const path of [folder, join(folder, 'password')]) chownSync(path, user.uid, user.gid);
  execFileSync(
    join(bin, 'initdb'),
    [
      '-D',
      data,
      '-U',
      'quasar',
      '--auth=scram-sha-256',
      `--pwfile=${folder}/password`,
      '-E',
      'UTF8',
      '--locale=C',
      '-N',
    ],
    { ...user, stdio: 'pipe', cwd: folder },
  );
  const port = await freePort();
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    max_connections: 100,
    shared_buffers: '32MB',
    ...(options.isDurable ? {} : { fsync: 'off' }),
  };
  const postgres = [
    join(bin, 'postgres'),
    '-D',
    data,
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  const url = `postgres://quasar:${password}@127.0.0.1:${port}/postgres`;
  let server: Server | null = null;

  const start = async () => {
    const deadline = performance.now() + START_TIMEOUT_MS;
    // A killed server's last processes may hold its memory for a moment: then the first try ends at once.
    while (server === null) {
      if (performance.now() > deadline) throw new Error(`Postgres does not start: see ${folder}`);
      const tried = spawnGuarded(postgres, { ...user, cwd: folder });
      if (await answers(url, tried.exited, deadline)) server = tried;
      else await sleep(100);
    }
  };
  const end = async (signal: NodeJS.Signals) => {
    const ending = server;
    server = null;
    ending?.kill(signal);
    await ending?.exited;
  };
  const stop = async () => {
    await end('SIGQUIT');
    rmSync(folder, { recursive: true, force: true });
  };

  await start();
  return { url, start, stop, kill: () => end('SIGKILL') };
}

interface Server {
  kill(signal: NodeJS.Signals): void;
  exited: Promise<unknown>;
}

/** A server that ends with this process, however this process ends: a shell watches over it, whose input we hold. */
function spawnGuarded(command: readonly string[], options: { uid?: number; gid?: number; cwd: string }): Server {
  const [program, ...parameters] = command as [string, ...string[]];
  const child = spawn(program, parameters, { ...options, stdio: 'ignore' });
  const exited = once(child, 'exit');
  const watch = 'cat >/dev/null; kill -QUIT "$0" 2>/dev/null';
  const guard = spawn('/bin/sh', ['-c', watch, String(child.pid)], { ...options, stdio: ['pipe', 'ignore', 'ignore'] });
  exited.then(() => guard.kill('SIGKILL'));
  const kill = (signal: NodeJS.Signals) => {
    // Those that serve connections would answer on for a moment without their parent.
    const children = signal === 'SIGKILL' ? childrenOf(child.pid) : [];
    child.kill(signal);
    for (const id of children) process.kill(id, signal);
  };
  return { kill, exited };
}

/** Process ids, on Linux; elsewhere none. */
export function childrenOf(id: number | undefined): number[] {
  const path = `/proc/${id}/task/${id}/children`;
  return existsSync(path) ? readFileSync(path, 'utf8').split(' ').filter(Boolean).map(Number) : [];
}

/** Waits until the server lets us in. @returns false when it ended instead, or at the deadline (performance.now) */
async function answers(url: string, exited: Promise<unknown>, deadline: number): Promise<boolean> {
  const { default: pg } = await import('pg');
  let isRunning = true;
  exited.then(() => {
    isRunning = false;
  });
  while (isRunning && performance.now() < deadline) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 });
    client.on('error', () => {}); // it is asked again
    try {
      await client.connect();
      await client.end();
      return true;
    } catch {
      await sleep(30);
    }
  }
  return false;
}

function unprivilegedUser(): { uid: number; gid: number } {
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = ['postgres', 'nobody'].map((name) => users.find((fields) => fields[0] === name)).find((found) => found);
  if (user === undefined) throw new Error('Postgres cannot run as root, and there is no user "postgres" or "nobody"');
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
