/** @file The models that this validator needs from the cache of the hub: the king, and whoever stands in the open round. */
import type { HubClient } from '@quasar/hub';
import type { Submission } from '../rules/submission.ts';

export class HeldModels {
  readonly #hub: HubClient;
  readonly #held = new Map<string, Submission>();

  constructor(hub: HubClient) {
    this.#hub = hub;
  }

  /** It was downloaded, perhaps again. */
  took(submission: Submission): void {
    const { id, repo, revision } = submission;
    if (this.#held.has(id)) this.#hub.release(repo, revision);
    else this.#held.set(id, submission);
  }

  /** A round is over: the cache may drop the others. */
  keepOnly(id: string | undefined): void {
    for (const [heldId, { repo, revision }] of this.#held) {
      if (heldId === id) continue;
      this.#held.delete(heldId);
      this.#hub.release(repo, revision);
    }
  }
}
