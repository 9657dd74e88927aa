/**
 * @file A wallet whose secret lives in another process: small, without network where the system allows it, and gone with
 * this one. This process never reads the key file; it knows the address and receives signatures.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { FrameError, networkIsolation, networkNamespace, permissionFlags, QuasarError } from '@quasar/base';
import type { Wallet } from '../../port.ts';
import { encodeFrame, FrameReader } from './frames.ts';

/** The compiled child: as `dist`, also when this file is run as TypeScript. */
const CHILD = fileURLToPath(new URL('../../../dist/wallet/signer/child.js', import.meta.url));
/** An encrypted file takes seconds of work, more of them on a busy machine. */
const OPEN_TIMEOUT_MS = 180_000;
const SIGN_TIMEOUT_MS = 30_000;

export interface SignedDigest {
  address: string;
  /** sha256 of the message, hex. */
  digest: string;
  sizeBytes: number;
}

export interface SignerOptions {
  /** Asked for when the file is encrypted, again after each restart. */
  password?: (() => string | Promise<string>) | undefined;
  /** Told of every signature, after it was made. */
  onSigned?: ((signed: SignedDigest) => void) | undefined;
}

export interface SignerProcess extends Wallet {
  sign(message: Uint8Array): Promise<Uint8Array>;
  /** Whether the process that signs has a network namespace of its own. */
  readonly isIsolated: boolean;
  /** Of the process that signs now; null while none runs. */
  readonly pid: number | null;
  close(): Promise<void>;
}

/**
 * Starts a signer for the key file at `path`.
 *
 * When its process dies, signatures that were being made fail with `chain.signer_gone`, and the next call of `sign` starts
 * another one. It does not keep this process alive.
 * @throws chain.wallet_* as `openKeyFile`, chain.signer_failed, chain.signer_gone
 */
export async function openSigner(path: string, options: SignerOptions = {}): Promise<SignerProcess> {
  const first = await Session.start(path, options);
  return new Signer(path, options, first);
}

/** A line of JSON per signature, appended to a file for its owner alone: what was signed can be looked up, not read. */
export function signatureLog(path: string): (signed: SignedDigest) => void {
  return (signed) => {
    appendFileSync(path, `${JSON.stringify({ at: new Date().toISOString(), ...signed })}\n`, { mode: 0o600 });
  };
}

class Signer implements SignerProcess {
  readonly address: string;
  readonly hotkey: string;
  readonly isIsolated: boolean;
  readonly #path: string;
  readonly #options: SignerOptions;
  #session: Promise<Session> | null;
  #current: Session | null;
  #isClosed = false;

  constructor(path: string, options: SignerOptions, session: Session) {
    this.address = session.address;
    this.hotkey = session.address;
    this.isIsolated = session.isIsolated;
    this.#path = path;
    this.#options = options;
    this.#session = Promise.resolve(session);
    this.#current = session;
  }

  get pid(): number | null {
    return this.#current?.isAlive ? this.#current.pid : null;
  }

  async sign(message: Uint8Array): Promise<Uint8Array> {
    const session = await this.#running();
    const { signature, digest } = await session.sign(message);
    this.#options.onSigned?.({ address: this.address, digest, sizeBytes: message.length });
    return signature;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const session = await this.#session?.catch(() => null);
    await session?.close();
  }

  #running(): Promise<Session> {
    if (this.#isClosed) throw new QuasarError('chain.closed', 'the signer was closed', { hint: 'open it again' });
    if (this.#current !== null && !this.#current.isAlive) {
      this.#current = null;
      this.#session = null;
    }
    this.#session ??= this.#restart();
    return this.#session;
  }

  async #restart(): Promise<Session> {
    try {
      const session = await Session.start(this.#path, this.#options);
      if (session.address !== this.address) {
        await session.close();
        throw new QuasarError('chain.signer_failed', `the wallet file ${this.#path} now holds another key`, {
          hint: `expected ${this.address}, got ${session.address}; put the old file back, or start this program again`,
        });
      }
      this.#current = session;
      return session;
    } catch (error) {
      this.#session = null;
      throw error;
    }
  }
}

type Child = ChildProcessByStdio<Writable, Readable, null>;
type Message = Record<string, unknown>;

interface Request {
  resolve(message: Message): void;
  reject(error: Error): void;
}

/** One run of the child. */
class Session {
  readonly #child: Child;
  readonly #reader = new FrameReader();
  readonly #requests = new Map<number, Request>();
  readonly #ended: Promise<void>;
  /** Takes what is no answer to a request to sign, while the file is opened. */
  #opening: Request | null = null;
  #nextId = 0;
  isAlive = true;
  address = '';
  isIsolated = false;

  static async start(path: string, { password }: SignerOptions): Promise<Session> {
    const session = new Session();
    try {
      let answer = await session.#ask({ type: 'open', path });
      if (answer.type === 'password') {
        if (password === undefined) {
          throw new QuasarError('chain.wallet_encrypted', `the wallet file ${path} is encrypted`, {
            hint: 'give its password, or use a plain hotkey file',
          });
        }
        answer = await session.#ask({ type: 'password', password: await password() });
      }
      session.address = String(answer.address);
      const own = networkNamespace();
      session.isIsolated = own !== null && typeof answer.network === 'string' && answer.network !== own;
    } catch (error) {
      await session.close();
      throw error;
    }
    session.#hold(false);
    return session;
  }

  private constructor() {
    const { launcher } = networkIsolation();
    // No network, no environment, no writing of files, no processes of its own.
    const flags = ['--no-warnings', '--disable-proto=delete', ...permissionFlags()];
    const [program = '', ...args] = [...launcher, process.execPath, ...flags, CHILD];
    this.#child = spawn(program, args, { env: {}, cwd: '/', stdio: ['pipe', 'pipe', 'ignore'] });
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (cause) => {
        this.#fail(new QuasarError('chain.signer_failed', 'the signer process cannot be started', { cause }));
        resolve();
      });
      this.#child.once('exit', (code, signal) => {
        this.#fail(gone(`ended with ${signal ?? code}`));
        resolve();
      });
    });
    this.#child.stdin.on('error', () => {});
    this.#child.stdout.on('data', (chunk: Buffer) => {
      try {
        for (const message of this.#reader.push(chunk)) this.#receive(message);
      } catch (cause) {
        this.#abort(new QuasarError('chain.signer_failed', 'the signer process answers nonsense', { cause }));
      }
    });
  }

  get pid(): number | null {
    return this.#child.pid ?? null;
  }

  async sign(message: Uint8Array): Promise<{ signature: Uint8Array; digest: string }> {
    const id = this.#nextId++;
    this.#hold(true);
    try {
      const answer = await this.#send(
        { type: 'sign', id, message: Buffer.from(message).toString('base64') },
        SIGN_TIMEOUT_MS,
        (request) => this.#requests.set(id, request),
      );
      const signature = Buffer.from(String(answer.signature), 'base64');
      if (signature.length !== 64) throw new QuasarError('chain.signer_failed', 'the signer process gave no signature');
      return { signature: new Uint8Array(signature), digest: String(answer.digest) };
    } finally {
      this.#requests.delete(id);
      this.#hold(this.#requests.size > 0);
    }
  }

  async close(): Promise<void> {
    this.#hold(true);
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 2000);
    await this.#ended;
    clearTimeout(timer);
  }

  #ask(message: Message): Promise<Message> {
    return this.#send(message, OPEN_TIMEOUT_MS, (request) => {
      this.#opening = request;
    });
  }

  #send(message: Message, timeoutMs: number, register: (request: Request) => void): Promise<Message> {
    return new Promise((resolve, reject) => {
      if (!this.isAlive) return reject(gone('is not running'));
      const timer = setTimeout(() => this.#abort(gone(`did not answer for ${timeoutMs / 1000} s`)), timeoutMs);
      register({
        resolve: (answer) => {
          clearTimeout(timer);
          resolve(answer);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      try {
        this.#child.stdin.write(encodeFrame(message));
      } catch (cause) {
        clearTimeout(timer);
        if (!(cause instanceof FrameError)) throw cause;
        reject(new QuasarError('chain.invalid_call', `cannot sign ${cause.message}`, { cause }));
      }
    });
  }

  #receive(message: Message): void {
    if (message.type === 'signed') {
      this.#requests.get(Number(message.id))?.resolve(message);
      return;
    }
    const opening = this.#opening;
    this.#opening = null;
    if (message.type !== 'failed') {
      opening?.resolve(message);
      return;
    }
    const { code, hint, retry } = message;
    const options = {
      ...(typeof hint === 'string' ? { hint } : {}),
      ...(retry === 'later' ? ({ retry } as const) : {}),
    };
    opening?.reject(new QuasarError(String(code), String(message.message), options));
  }

  #abort(error: QuasarError): void {
    this.#fail(error);
    this.#child.kill('SIGKILL');
  }

  #fail(error: QuasarError): void {
    this.isAlive = false;
    for (const request of [this.#opening, ...this.#requests.values()]) request?.reject(error);
    this.#opening = null;
    this.#requests.clear();
  }

  /** Only a signature that is being made keeps this process alive. */
  #hold(isBusy: boolean): void {
    const method = isBusy ? 'ref' : 'unref';
    this.#child[method]();
    for (const stream of [this.#child.stdin, this.#child.stdout])
      (stream as unknown as NodeJS.Process['stdin'])[method]?.();
  }
}

function gone(what: string): QuasarError {
  return new QuasarError('chain.signer_gone', `the signer process ${what}`, {
    hint: 'call again: another one is started; nothing was signed that you were not given',
    retry: 'later',
  });
}
