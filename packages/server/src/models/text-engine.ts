/** @file What the server needs of a model that can chat; `Engine` of `@quasar/infer` satisfies it. */
import type { Engine } from '@quasar/infer';

export type TextEngine = Pick<Engine, 'tokenizer' | 'dispose' | 'view'> & {
  /** Ends before the end-of-turn token or after `maxNewTokens`; stops when the consumer leaves. */
  stream(...args: Parameters<Engine['stream']>): AsyncIterable<StreamedToken>;
};

export interface StreamedToken {
  token: number;
  logprob: number;
  /** Most likely first; present when `topLogprobs` was asked for. */
  top?: { id: number; logprob: number }[] | undefined;
}
