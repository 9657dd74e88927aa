/**
 * @file The process that holds one secret and signs with it: `node child.js`, spoken to over its standard input and output
 * (frames.ts). It reads one key file, answers requests to sign, and ends with its input.
 *
 *     -> {type: 'open', path}            <- {type: 'password'}  when the file is encrypted
 *     -> {type: 'password', password}    <- {type: 'ready', address, network} | {type: 'failed', code, message, hint, retry}
 *     -> {type: 'sign', id, message}     <- {type: 'signed', id, signature, digest}        base64; digest: sha256 hex
 *
 * It writes nothing else anywhere: whatever is not understood ends it.
 */
import { createHash } from 'node:crypto';
import { networkNamespace, QuasarError } from '@quasar/base';
import type { Wallet } from '../../port.ts';
import { openKeyFile } from '../open-wallet.ts';
import { encodeFrame, FrameReader } from './frames.ts';

type Message = Record<string, unknown>;

const reader = new FrameReader();
let wallet: Wallet | null = null;
let givePassword: ((password: string) => void) | null = null;

process.stdin.on('data', (chunk: Buffer) => {
  try {
    for (const message of reader.push(chunk)) receive(message);
  } catch {
    process.exit(1);
  }
});
process.stdin.on('end', () => process.exit(0));
// The other end is gone.
process.stdout.on('error', () => process.exit(0));
// From the terminal these reach the whole group; whoever started this one decides when it ends.
process.on('SIGINT', () => {});

function receive(message: Message): void {
  if (message.type === 'open') void open(String(message.path));
  else if (message.type === 'password' && givePassword !== null) givePassword(String(message.password));
  else if (message.type === 'sign' && wallet !== null) void sign(wallet, message);
  else process.exit(1);
}

async function open(path: string): Promise<void> {
  try {
    wallet = await openKeyFile(path, () => {
      send({ type: 'password' });
      return new Promise((resolve) => {
        givePassword = resolve;
      });
    });
    givePassword = null;
    send({ type: 'ready', address: wallet.address, network: networkNamespace() });
  } catch (error) {
    const known = error instanceof QuasarError ? error : new QuasarError('chain.signer_failed', 'the signer failed');
    const { code, message, hint, retry } = known;
    send({ type: 'failed', code, message, hint, retry });
  }
}

async function sign(by: Wallet, { id, message }: Message): Promise<void> {
  const bytes = Buffer.from(String(message), 'base64');
  const signature = Buffer.from(await by.sign(bytes)).toString('base64');
  send({ type: 'signed', id, signature, digest: createHash('sha256').update(bytes).digest('hex') });
}

function send(message: object): void {
  process.stdout.write(encodeFrame(message));
}
