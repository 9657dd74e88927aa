/** @file What the server needs of an engine, and how a checkpoint directory becomes one. */
import { Engine } from '@quasar/infer';
import { type ChatMessage, encodeChat } from '@quasar/model';

export interface StreamedToken {
  token: number;
  logprob: number;
  /** Most likely first; present when `topLogprobs` was asked for. */
  top?: { id: number; logprob: number }[] | undefined;
}

export interface StreamOptions {
  maxNewTokens: number;
  temperature: number;
  topP: number;
  topK?: number;
  seed: string | number;
  topLogprobs?: number;
  signal: AbortSignal;
}

/** A model that can chat. `Engine` of `@quasar/infer` with the fixed chat template satisfies it. */
export interface TextEngine {
  encodeChat(messages: ChatMessage[]): Int32Array;
  decode(ids: number[]): string;
  /** Ends at the model's stop token (which is not yielded) or after `maxNewTokens`. */
  stream(prompt: Int32Array, options: StreamOptions): AsyncIterable<StreamedToken>;
  dispose(): void;
}

/** Loads a checkpoint directory (`config.json`, `model.safetensors`, `tokenizer.json`). */
export async function loadTextEngine(directory: string): Promise<TextEngine> {
  const engine = await Engine.load(directory);
  return {
    encodeChat: (messages) => encodeChat(engine.tokenizer, messages, { addGenerationPrompt: true }),
    decode: (ids) => engine.tokenizer.decode(ids),
    stream: (prompt, options) => engine.stream(prompt, options),
    dispose: () => engine.dispose(),
  };
}
