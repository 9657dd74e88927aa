import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Home } from '../home.ts';
import { HOST } from '../ports.ts';
import { requireAskedPorts, settle } from './settings.ts';

let folder: string;
let home: Home;
const listening: Server[] = [];
const notes: string[] = [];
const note = (line: string) => notes.push(line);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quasar-settings-'));
  home = new Home(join(folder, 'home'));
  notes.length = 0;
});
afterEach(() => {
  for (const server of listening.splice(0)) server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A port that something listens on. */
function occupy(port = 0): Promise<number> {
  const server = createServer();
  listening.push(server);
  return new Promise((resolve) => {
    server.listen(port, HOST, () => resolve((server.address() as { port: number }).port));
  });
}

test('a resumed net keeps its ports, its block time and its text', async () => {
  const first = await settle(home, { blockTimeMs: 70, data: ['/text'] }, note);
  expect(new Set(Object.values(first.ports)).size).toBe(3);
  expect(await settle(home, {}, note)).toEqual(first);
});

test('what is asked for wins over what is remembered', async () => {
  await settle(home, { blockTimeMs: 70 }, note);
  expect((await settle(home, { blockTimeMs: 90 }, note)).blockTimeMs).toBe(90);
});

test('a remembered port that is taken now moves to the next free one, with a note', async () => {
  const { ports } = await settle(home, {}, note);
  notes.length = 0;
  await occupy(ports.server);
  const moved = await settle(home, {}, note);
  expect(moved.ports.server).toBeGreaterThan(ports.server);
  expect(notes).toEqual([`port ${ports.server} is in use: the server takes ${moved.ports.server}`]);
});

test('a port that was asked for and is taken is refused, and nothing is written', async () => {
  const port = await occupy();
  await expect(requireAskedPorts({ hubPort: port })).rejects.toMatchObject({
    code: 'usage.port_busy',
    message: `--hub-port ${port}: the port is in use`,
  });
  expect(existsSync(home.root)).toBe(false);
});

test('one port cannot serve two', async () => {
  await expect(requireAskedPorts({ port: 45_001, chainPort: 45_001 })).rejects.toMatchObject({
    message: '--chain-port 45001: the same port as --port',
  });
});

test('a damaged net.json is an error and not a new net', async () => {
  const { writeFileAtomic } = await import('@quasar/base');
  writeFileAtomic(home.netFile, '{"version": 1');
  await expect(settle(home, {}, note)).rejects.toMatchObject({ code: 'home.invalid' });
});
