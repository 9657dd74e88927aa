/** @file A duel at home: two checkpoints on the validator's test, with questions of your own seed. Not the real one. */
import {
  duelPrompts,
  mean,
  type PairedTest,
  pairedDeltas,
  SCORE_BATCH,
  type SequentialVerdict,
  scoreTraces,
  sequentialVerdict,
  testDeltas,
} from '@quasar/evals';
import { Engine, makeTraces, type Trace } from '@quasar/infer';
import type { SubnetConfig } from '../rules/config.ts';

export interface PreviewDuelOptions {
  directory: string;
  /** The king's checkpoint, or the base student's. */
  opponentDirectory: string;
  teacherDirectory: string;
  config: SubnetConfig;
  /** The real seed is a block hash that nobody knows yet. */
  seed: string;
  signal?: AbortSignal | undefined;
  onProgress?: ((phase: string, done: number, total: number) => void) | undefined;
}

export interface PreviewDuel {
  /** Over all prompts. */
  test: PairedTest;
  /** Where a validator would have stopped, and with what. */
  verdict: SequentialVerdict;
  /** Opponent minus model, nats per prompt: their spread says what the real duel can see (`duelPower`). */
  deltas: Float64Array;
  kl: number;
  opponentKl: number;
}

export async function previewDuel(options: PreviewDuelOptions): Promise<PreviewDuel> {
  const traces = await withEngine(options.teacherDirectory, (teacher) => previewTraces(teacher, options));
  const score = async (directory: string, phase: string) => {
    const { perPrompt } = await withEngine(directory, (engine) =>
      scoreTraces(engine, traces, {
        signal: options.signal,
        onProgress: (kl) => options.onProgress?.(phase, kl.length, traces.length),
      }),
    );
    return perPrompt;
  };
  const opponent = await score(options.opponentDirectory, 'opponent');
  const own = await score(options.directory, 'model');
  const { duel } = options.config;
  const deltas = pairedDeltas(opponent, own);
  const verdict = sequentialVerdict(deltas, { ...duel, prompts: deltas.length });
  return { test: testDeltas(deltas, duel), verdict, deltas, kl: mean(own), opponentKl: mean(opponent) };
}

async function previewTraces(teacher: Engine, options: PreviewDuelOptions): Promise<Trace[]> {
  const { prompts: count, maxPromptTokens, continuationTokens, topK, temperature, topP } = options.config.duel;
  const prompts = duelPrompts(options.seed, teacher.tokenizer, { count, maxPromptTokens });
  const traces: Trace[] = [];
  for (let at = 0; at < prompts.length; at += SCORE_BATCH) {
    const seed = `${options.seed}/trace/${at}`;
    const sampling = { continuationTokens, topK, temperature, topP, seed, signal: options.signal };
    traces.push(...(await makeTraces(teacher, prompts.slice(at, at + SCORE_BATCH), sampling)));
    options.onProgress?.('teacher', traces.length, prompts.length);
  }
  return traces;
}

async function withEngine<T>(directory: string, use: (engine: Engine) => Promise<T>): Promise<T> {
  const engine = await Engine.load(directory);
  try {
    return await use(engine);
  } finally {
    engine.dispose();
  }
}
