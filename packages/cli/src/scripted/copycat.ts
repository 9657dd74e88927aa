/** @file The copycat: takes the files that another hotkey committed and submits them as its own. Must end as COPY. */
import { QuasarError } from '@quasar/base';
import { NETUID } from '../net-options.ts';
import { type Contestant, readCommitment, type Submitted, submit } from './submit.ts';

/** Far above any laptop checkpoint. */
const MAX_TOTAL_BYTES = 2 ** 30;

/** @throws scripted.nothing_to_copy when `hotkey` has no revealed commitment with files behind it */
export async function submitCopy(contestant: Contestant, hotkey: string, signal: AbortSignal): Promise<Submitted> {
  const { chain, hub } = contestant;
  const { number } = await chain.head();
  const theirs = (await chain.commitments(NETUID, number)).findLast((one) => one.hotkey === hotkey);
  const original = theirs === undefined ? null : readCommitment(theirs.data);
  const files = original === null ? null : await hub.list(original.repo, original.revision);
  if (original === null || files === null) {
    throw new QuasarError('scripted.nothing_to_copy', `${hotkey} has nothing on chain that could be copied`, {
      hint: 'start again when its commitment is revealed',
      retry: 'later',
    });
  }
  const folder = await hub.download(original.repo, original.revision, {
    files,
    maxTotalBytes: MAX_TOTAL_BYTES,
    signal,
  });
  return submit(
    contestant,
    files.map(({ path }) => ({ path, content: `${folder}/${path}` })),
  );
}
