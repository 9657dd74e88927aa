/**
 * @file A program for the cage that tries what a cage must stop: `repo` of the unit's model names the attempt. What
 * did not stop it is told in the result, so that a test sees a hole and not only a missing error.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { encodeMessage, type Message, MessageReader } from '../evaluation/cage/wire.ts';

const reader = new MessageReader();

process.stdin.on('data', (chunk: Buffer) => {
  for (const { message } of reader.push(chunk)) void receive(message);
});
process.stdin.on('end', () => process.exit(0));

async function receive({ type, payload, directories }: Message): Promise<void> {
  if (type === 'open') return send({ type: 'ready', network: null });
  const { repo } = (payload as { model: { repo: string } }).model;
  const [attempt = '', argument = ''] = repo.split('/');
  const attempts: Record<string, (argument: string, directory: string) => unknown> = {
    dial: (port) => dial(Number(port)),
    write: (_, directory) => told(() => writeFileSync(join(directory, 'model.safetensors'), 'other weights')),
    spawn: () => told(() => void spawn('true')),
    environment: () => Object.keys(process.env),
    memory: () => grow(),
    heap: () => fill(),
    loop: () => {
      for (;;) Math.random();
    },
    abort: () => process.abort(),
    exit: () => process.exit(0),
    nonsense: () => process.stdout.write(Buffer.alloc(64, 0xff)),
    silence: () => new Promise(() => {}),
    none: () => 'nothing',
  };
  send({
    type: 'done',
    result: { outcome: await attempts[attempt]!(argument, (directories as string[])[0]!) },
    name: null,
  });
}

/** The code of the error that stopped it, or `reached`. */
function dial(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 3000 });
    const end = (outcome: string) => {
      socket.destroy();
      resolve(outcome);
    };
    socket.on('connect', () => end('reached'));
    socket.on('timeout', () => end('timeout'));
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? 'error'));
  });
}

function told(attempt: () => void): string {
  try {
    attempt();
    return 'done';
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}

async function grow(): Promise<never> {
  const held: Buffer[] = [];
  for (;;) {
    held.push(Buffer.alloc(16 << 20, held.length + 1));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function fill(): never {
  const held: unknown[] = [];
  for (;;) held.push(new Array(5_000_000).fill(held));
}

function send(message: Message): void {
  for (const frame of encodeMessage(message)) process.stdout.write(frame);
}
