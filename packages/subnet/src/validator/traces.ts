/**
 * @file The teacher's traces of a round: made once, kept on disk by batch, thrown away with the round.
 *
 * A trace is a pure function of the block seed, the teacher and the rules, so the files only save time: one that is
 * missing or damaged is made again, and gives the same bits.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson, sha256Hex, writeFileAtomic } from '@quasar/base';
import { duelPrompts, SCORE_BATCH } from '@quasar/evals';
import { type Engine, makeTraces, type Trace } from '@quasar/infer';
import type { Context } from './context.ts';

/** @param teacher opened only when a batch has to be made */
export async function roundTraces(
  context: Context,
  seedHash: string,
  teacher: Engine,
  onProgress: (done: number, total: number) => void,
): Promise<Trace[]> {
  const { duel } = context.config;
  const { prompts: count, maxPromptTokens, continuationTokens, topK, temperature, topP } = duel;
  const key = sha256Hex(canonicalJson({ seedHash, teacher: context.teacherSha256, duel })).slice(0, 32);
  const root = join(context.options.workDirectory, 'traces');
  const prompts = duelPrompts(seedHash, teacher.tokenizer, { count, maxPromptTokens });
  const traces: Trace[] = [];
  for (let at = 0; at < prompts.length; at += SCORE_BATCH) {
    const batch = prompts.slice(at, at + SCORE_BATCH);
    const path = join(root, key, `${at}.json`);
    let made = readBatch(path, batch);
    if (!made) {
      const seed = `${seedHash}/trace/${at}`;
      made = await makeTraces(teacher, batch, {
        ...{ continuationTokens, topK, temperature, topP, seed },
        signal: context.signal,
      });
      writeFileAtomic(path, encodeBatch(made));
    }
    traces.push(...made);
    onProgress(traces.length, prompts.length);
  }
  for (const name of readdirSync(root)) if (name !== key) rmSync(join(root, name), { recursive: true, force: true });
  return traces;
}

interface StoredTrace {
  continuation: string;
  k: number;
  ids: string;
  logprobs: string;
  tail: string;
}

function encodeBatch(traces: readonly Trace[]): string {
  const stored = traces.map(
    ({ continuation, top }): StoredTrace => ({
      continuation: toBase64(continuation),
      k: top.k,
      ids: toBase64(top.ids),
      logprobs: toBase64(top.logprobs),
      tail: toBase64(top.tail),
    }),
  );
  const body = JSON.stringify(stored);
  return JSON.stringify({ sha256: sha256Hex(body), body });
}

function readBatch(path: string, prompts: readonly Int32Array[]): Trace[] | null {
  if (!existsSync(path)) return null;
  try {
    const { sha256, body } = JSON.parse(readFileSync(path, 'utf8')) as { sha256: string; body: string };
    if (sha256Hex(body) !== sha256) return null;
    const stored = JSON.parse(body) as StoredTrace[];
    if (stored.length !== prompts.length) return null;
    return stored.map(({ continuation, k, ids, logprobs, tail }, i) => ({
      prompt: prompts[i]!,
      continuation: new Int32Array(fromBase64(continuation)),
      top: {
        k,
        ids: new Int32Array(fromBase64(ids)),
        logprobs: new Float32Array(fromBase64(logprobs)),
        tail: new Float32Array(fromBase64(tail)),
      },
    }));
  } catch {
    return null;
  }
}

function toBase64(array: Int32Array | Float32Array): string {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64');
}

function fromBase64(text: string): ArrayBuffer {
  return Uint8Array.from(Buffer.from(text, 'base64')).buffer;
}
