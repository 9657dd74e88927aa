/** @file A wire between two processes that can be bad in every way a wire is: refused, cut, silent, dripping, or answering 500. */
import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * `refuse`: connections end at once. `cut`: one reset of all, then as before. `hang`: half-open, nothing comes back.
 * `drip`: a byte every few milliseconds. `error`: every request is answered with HTTP 500.
 */
export const WIRE_FAULTS = ['refuse', 'cut', 'hang', 'drip', 'error'] as const;
export type WireFault = (typeof WIRE_FAULTS)[number];

const DRIP_MS = 20;
const ERROR = 'HTTP/1.1 500 Internal Server Error\r\ncontent-length: 5\r\nconnection: close\r\n\r\nweary';

export class FaultProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #target: number;
  #fault: WireFault | null = null;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((client) => this.#serve(client));
  }

  static async open(target: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** From now on; null heals. What hung or dripped until then is cut: nobody waits for a wire that is whole again. */
  set(fault: WireFault | null): void {
    const wasStuck = this.#fault === 'hang' || this.#fault === 'drip';
    this.#fault = fault === 'cut' ? null : fault;
    if (wasStuck || fault === 'cut' || fault === 'refuse' || fault === 'error')
      for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(client: Socket): void {
    this.#watch(client);
    if (this.#fault === 'refuse') {
      client.resetAndDestroy();
      return;
    }
    if (this.#fault === 'error') {
      client.once('data', () => client.end(ERROR));
      return;
    }
    const upstream = connect(this.#target, '127.0.0.1');
    this.#watch(upstream);
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    client.on('data', (chunk) => {
      if (this.#fault !== 'hang') upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (this.#fault === 'drip') void this.#drip(client, chunk);
      else if (this.#fault !== 'hang') client.write(chunk);
    });
    client.on('end', () => upstream.end());
    upstream.on('end', () => client.end());
  }

  async #drip(to: Socket, chunk: Buffer): Promise<void> {
    for (const byte of chunk) {
      await new Promise((resolve) => setTimeout(resolve, DRIP_MS));
      if (to.destroyed) return;
      to.write(Uint8Array.of(byte));
    }
  }

  #watch(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
