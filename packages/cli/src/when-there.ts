/** @file What a long-running verb needs and is away is waited for: services may be started in any order. */
import { durationText, type QuasarError, untilThere } from '@quasar/base';
import type { Chain } from '@quasar/chain';

/** The answer to `ask`, asked for until `what` is there. @throws as `untilThere` */
export type WhenThere = <T>(what: string, ask: () => Promise<T>) => Promise<T>;

/** @param note gets a line when somebody is waited for, and one when they are there */
export function whenThere(note: (line: string) => void, signal: AbortSignal): WhenThere {
  return (what, ask) =>
    untilThere(ask, {
      ...{ signal, isPassing },
      onWait: ({ message, hint, code }) => note(`waiting for ${what}: ${message}; ${hint} [${code}]`),
      onThere: (waitedMs) => note(`${what} is there, after ${durationText(waitedMs)}`),
    });
}

/** What else a hub does is asked again for the sake of a submission; an address that is wrong stays wrong. */
function isPassing({ code, retry }: QuasarError): boolean {
  return retry === 'later' && (!code.startsWith('hub.') || code === 'hub.unreachable');
}

/**
 * The first question to a chain. One that is away is told of at once, where a connection for days would look for a minute for
 * a node that answers.
 * @throws what waiting cannot mend: `chain.invalid_options`, `chain.wrong_network`, what `question` throws
 */
export async function whenChainThere<T>(
  address: string,
  question: (chain: Chain) => Promise<T>,
  whenThere: WhenThere,
): Promise<T> {
  const { connectChain } = await import('@quasar/chain');
  const chain = connectChain(address, { patienceMs: 0 });
  try {
    return await whenThere('the chain', () => question(chain));
  } finally {
    await chain.close();
  }
}
