/**
 * @file The process inside a cage: `node child.js`, spoken to over its standard input and output (wire.ts). One unit at a
 * time; it ends with its input, and with whatever it does not understand.
 */
import { networkNamespace, QuasarError } from '@quasar/base';
import { Compute } from '../compute.ts';
import { readUnit } from '../units.ts';
import { encodeMessage, type Message, MessageReader } from './wire.ts';

const reader = new MessageReader();
let compute: Compute | null = null;

process.stdin.on('data', (chunk: Buffer) => {
  try {
    for (const { message, blobs } of reader.push(chunk)) receive(message, blobs);
  } catch {
    process.exit(1);
  }
});
process.stdin.on('end', () => process.exit(0));
process.stdout.on('error', () => process.exit(0));
// Standard output is for messages alone.
console.log = console.error;

function receive(message: Message, blobs: readonly Uint8Array[]): void {
  if (message.type === 'open' && compute === null) {
    const { threads } = message;
    compute = new Compute(typeof threads === 'number' ? { threads } : {});
    send({ type: 'ready', network: networkNamespace() });
  } else if (message.type === 'run' && compute !== null) void run(compute, message, blobs);
  else process.exit(1);
}

async function run(by: Compute, { kind, payload, directories }: Message, blobs: readonly Uint8Array[]): Promise<void> {
  try {
    const unit = readUnit(String(kind), payload);
    if (unit === null) process.exit(1);
    const input = { unit, directories: directories as string[], blobs };
    const { result, blob } = await by.run(input, { onProgress: (rows) => send({ type: 'progress', rows }) });
    send({ type: 'done', result, name: blob?.name ?? null }, blob === null ? [] : [blob.bytes]);
  } catch (error) {
    const known = error instanceof QuasarError ? error : null;
    const message = error instanceof Error ? error.message : String(error);
    const { code = 'evaluation.unexpected', hint, retry = 'never' } = known ?? {};
    send({ type: 'failed', code, message, hint, retry });
  }
}

function send(message: Message, blobs: readonly Uint8Array[] = []): void {
  for (const frame of encodeMessage(message, blobs)) process.stdout.write(frame);
}
