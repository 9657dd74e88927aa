/** @file Following the final blocks: every one, in order, over disconnects and failovers. */
import { QuasarError } from '@quasar/base';
import type { Head } from '../port.ts';
import type { Node } from './node.ts';

const POLL_MS = 3_000;
/** Without a new block for this long, the other nodes are asked whether they have one. */
const STALL_MS = 60_000;

/**
 * The newest final block, then every later one. Goes on through what can pass; ends quietly on abort and on close.
 * Throws `chain.reorganised` when the nodes replaced a final block, which no sound network does.
 */
export async function* followHeads(node: Node, signal: AbortSignal): AsyncIterable<Head> {
  let last: Head | null = null;
  let progressAtMs = Date.now();
  while (!signal.aborted && !node.endpoints.closing.aborted) {
    try {
      const head: Head = await node.head();
      for await (const next of headsBetween(node, last, head)) {
        if (signal.aborted) return;
        last = next;
        progressAtMs = Date.now();
        yield next;
      }
    } catch (error) {
      if (signal.aborted || node.endpoints.closing.aborted) return;
      if (!(error instanceof QuasarError && error.retry === 'later')) throw error;
    }
    if (Date.now() - progressAtMs > STALL_MS) {
      progressAtMs = Date.now();
      await node.endpoints.leaveLaggard();
    }
    await node.nextBlock(POLL_MS, signal);
  }
}

/** The blocks after `last` up to `head`; only `head` when there was none before. A node that is behind yields nothing. */
async function* headsBetween(node: Node, last: Head | null, head: Head): AsyncIterable<Head> {
  if (last === null) {
    yield { number: head.number, hash: head.hash };
    return;
  }
  if (head.number <= last.number) return requireSame(last, head);
  let parent: Head = last;
  for (let number = last.number + 1; number <= head.number; number++) {
    const hash = number === head.number ? head.hash : await node.hashOf(number);
    if (hash === null) return;
    const { parentHash } = await node.header(hash);
    if (parentHash !== parent.hash) throw replaced(parent);
    parent = { number, hash };
    yield parent;
  }
}

function requireSame(last: Head, head: Head): void {
  if (head.number === last.number && head.hash !== last.hash) throw replaced(last);
}

function replaced(last: Head): QuasarError {
  return new QuasarError('chain.reorganised', `block ${last.number} (${last.hash}) was final and is replaced`, {
    hint: 'the nodes disagree about the chain: read everything from that block on again, and check the addresses',
  });
}
