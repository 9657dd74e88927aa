/**
 * @file From a text to two trained models in minutes: a vocabulary, a Quasar and a softmax transformer of equal size on the same
 * batches with the same optimizer, and how well each predicts the part of the text that none of them saw. Whatever is done is
 * kept, so a stopped run goes on where it was.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson, QuasarError, Rng, sha256Hex, writeFileAtomic } from '@quasar/base';
import { Engine } from '@quasar/infer';
import {
  CHECKPOINT_FILES,
  type Checkpoint,
  countParameters,
  disposeParameters,
  initialParameters,
  loadCheckpoint,
  type ModelConfig,
  saveCheckpoint,
  Tokenizer,
  trainBpe,
  withTokens,
} from '@quasar/model';
import { openDevice } from '@quasar/tensor';
import { bitsPerByte, joinTexts, type ScoredText } from '../bits-per-byte.ts';
import { openData } from '../data/open.ts';
import { sampleTexts } from '../data/sample.ts';
import type { Source } from '../data/source.ts';
import { formatSpec, isCorpus } from '../data/spec.ts';
import { crossEntropyObjective } from '../objectives/objective.ts';
import { recipe, transformerLike } from '../recipe.ts';
import { peakGflops, predictMs, shareOfPeak, trainingFlopsPerToken } from '../runs/costs.ts';
import type { StepReport, TrainSettings } from '../trainer.ts';
import type { StageData } from './corpus.ts';
import { runStage } from './stage.ts';

export type SpeedrunModel = 'quasar' | 'transformer';
const MODELS: readonly SpeedrunModel[] = ['quasar', 'transformer'];

export interface SpeedrunOptions {
  /** Receives `tokenizer.json`, a checkpoint folder per model, and `speedrun.json`. */
  directory: string;
  /** What to read, mixed as everywhere; among it text, of which a part is held out. */
  data: Omit<StageData, 'heldOutShare'>;
  /** As of `recipe`. */
  depth: number;
  vocabSize: number;
  seed: string;
  /** Over those of the recipe, for both models. */
  settings?: Partial<TrainSettings> | undefined;
  onPlan?: ((plan: SpeedrunPlan) => void) | undefined;
  onStep?: ((model: SpeedrunModel, report: StepReport) => void) | undefined;
  onScore?: ((model: SpeedrunModel, done: number, total: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** What is known before the first step. */
export interface SpeedrunPlan {
  vocabulary: number;
  steps: number;
  /** Each model reads as many. */
  tokens: number;
  parameters: Record<SpeedrunModel, number>;
  /** Of both trainings. */
  predictedMs: number;
}

export interface SpeedrunRow {
  model: SpeedrunModel;
  parameters: number;
  tokens: number;
  /** At the speed of the last part of a run that was stopped; null: stopped between training and scoring. */
  seconds: number | null;
  tokensPerSecond: number | null;
  peakShare: number | null;
  bitsPerByte: number;
  /** A few words of the held-out text, and how the model goes on. */
  sample: { prompt: string; continuation: string };
}

export interface SpeedrunResult {
  directory: string;
  heldOut: { bytes: number; predictions: number };
  rows: SpeedrunRow[];
}

const HELD_OUT_SHARE = 0.1;
const TOKENIZER_SAMPLE_BYTES = 64 * 2 ** 20;
const SAMPLE = { promptTokens: 16, maxNewTokens: 120, temperature: 0.8 };

/** What both models learn from, and what they are. */
export interface SpeedrunSetup {
  tokenizer: Tokenizer;
  source: Source;
  /** Of every text; neither model reads it. */
  heldOut: ScoredText;
  /** What is read, as `--data` takes it. */
  specs: string[];
  configs: Record<SpeedrunModel, ModelConfig>;
  settings: TrainSettings;
}

/**
 * Learns the vocabulary (kept in the directory), tokenises the text and reads the dial.
 * @throws QuasarError data.*, train.cancelled
 */
export async function setUpSpeedrun(options: SpeedrunOptions): Promise<SpeedrunSetup> {
  const { directory, depth, vocabSize, seed, signal } = options;
  const { specs, onSkipped, ...data } = { ...options.data, heldOutShare: HELD_OUT_SHARE, signal };
  if (!specs.some(isCorpus))
    throw new QuasarError('data.bad_spec', `--data ${specs.map(formatSpec).join(' ')}: no text among it`, {
      hint: 'give a file, a folder or a data set of the hub as well',
    });
  const { config: quasar, settings: own } = recipe({ depth, vocabSize });
  const settings: TrainSettings = { ...own, ...options.settings, seed };
  mkdirSync(directory, { recursive: true });
  const tokenizerFile = join(directory, CHECKPOINT_FILES.tokenizer);
  if (!existsSync(tokenizerFile)) {
    const { texts } = await sampleTexts(specs, TOKENIZER_SAMPLE_BYTES, data);
    writeFileAtomic(tokenizerFile, trainBpe(texts, { vocabSize }).toJson());
  }
  const tokenizer = Tokenizer.load(tokenizerFile);
  const opened = await openData(specs, { ...data, tokenizer, windowTokens: settings.T });
  for (const skipped of opened.skipped) onSkipped?.(skipped);
  const heldOut = opened.parts.map((part) => part.heldOut).filter(({ tokens, documents }) => tokens > documents);
  if (heldOut.length === 0) {
    throw new QuasarError('data.too_short', `--data ${opened.specs.join(' ')}: no text to hold out`, {
      hint: 'give some hundred kilobytes of text or more',
    });
  }
  const { bos: begin, end } = tokenizer.specials;
  const configs = {
    quasar: withTokens(quasar, { begin, end }),
    transformer: withTokens(transformerLike(quasar), { begin, end }),
  };
  return { tokenizer, source: opened.train, heldOut: joinTexts(heldOut), specs: opened.specs, configs, settings };
}

/** @throws QuasarError train.cancelled, train.resume_mismatch (the folder holds another speedrun); data.*; as `train` */
export async function speedrun(options: SpeedrunOptions): Promise<SpeedrunResult> {
  const { directory, seed, signal } = options;
  const setup = await setUpSpeedrun(options);
  const { tokenizer, source, heldOut, configs, settings } = setup;
  const data = source.fingerprint ?? source.name;
  const record = new SpeedrunRecord(
    directory,
    sha256Hex(canonicalJson({ configs, settings, data, tokenizer: tokenizer.toJson() })),
  );
  const peak = await peakGflops(openDevice());
  const tokens = settings.steps * settings.accumulate * settings.B * settings.T;
  const flops = (model: SpeedrunModel) => trainingFlopsPerToken(configs[model], settings.T);
  const parameters = (model: SpeedrunModel) => countParameters(configs[model]).total;
  options.onPlan?.({
    vocabulary: tokenizer.vocabSize,
    steps: settings.steps,
    tokens,
    parameters: { quasar: parameters('quasar'), transformer: parameters('transformer') },
    predictedMs: MODELS.reduce((sum, model) => sum + predictMs(flops(model), tokens, peak), 0),
  });
  for (const model of MODELS) {
    if (record.rows.some((row) => row.model === model)) continue;
    const { checkpoint, tokensPerSecond } = await trained(model, setup, options);
    try {
      const onProgress = (done: number, total: number) => options.onScore?.(model, done, total);
      const { bitsPerByte: score } = await bitsPerByte(checkpoint, heldOut, { ...settings, onProgress, signal });
      record.add({
        model,
        parameters: parameters(model),
        tokens,
        seconds: tokensPerSecond && tokens / tokensPerSecond,
        tokensPerSecond,
        peakShare: tokensPerSecond && shareOfPeak(flops(model), tokensPerSecond, peak),
        bitsPerByte: score,
        sample: await sampleOf(checkpoint, heldOut, seed),
      });
    } finally {
      disposeParameters(checkpoint.parameters);
    }
  }
  const predictions = heldOut.tokens - heldOut.documents;
  return {
    directory,
    heldOut: { predictions, bytes: Math.round(heldOut.bytesPerToken * predictions) },
    rows: record.rows,
  };
}

/** Rows that are done, in a file that names what they are of. */
class SpeedrunRecord {
  readonly #path: string;
  readonly #key: string;
  readonly rows: SpeedrunRow[] = [];

  constructor(directory: string, key: string) {
    this.#path = join(directory, 'speedrun.json');
    this.#key = key;
    if (!existsSync(this.#path)) {
      this.#write();
      return;
    }
    const found = readRecord(this.#path);
    if (found?.key !== key) {
      throw new QuasarError('train.resume_mismatch', `${this.#path} is of a speedrun with other data or settings`, {
        hint: 'choose another --out, or delete the folder to start again',
      });
    }
    this.rows.push(...found.rows);
  }

  add(row: SpeedrunRow): void {
    this.rows.push(row);
    this.#write();
  }

  #write(): void {
    writeFileAtomic(this.#path, `${JSON.stringify({ key: this.#key, rows: this.rows }, null, 1)}\n`);
  }
}

function readRecord(path: string): { key: string; rows: SpeedrunRow[] } | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as { key: string; rows: SpeedrunRow[] };
  } catch {
    return null;
  }
}

/** The checkpoint in the folder, trained first where there is none. Weights are kept in F32: scores are of what was trained. */
async function trained(
  model: SpeedrunModel,
  { configs, settings, tokenizer, source, specs }: SpeedrunSetup,
  { directory, signal, onStep }: SpeedrunOptions,
): Promise<{ checkpoint: Checkpoint; tokensPerSecond: number | null }> {
  const folder = join(directory, model);
  const config = configs[model];
  const device = openDevice();
  if (existsSync(join(folder, CHECKPOINT_FILES.weights)))
    return { checkpoint: loadCheckpoint(folder, device), tokensPerSecond: null };
  const { steps, seed } = settings;
  const parameters = initialParameters(config, device, new Rng(`${seed}/init`), tokenizer);
  const checkpoint: Checkpoint = { config, parameters, tokenizer };
  const { B, T, accumulate } = settings;
  let tokensPerSecond: number | null = null;
  let before: { tokens: number; atMs: number } | null = null;
  try {
    await runStage(
      {
        name: 'speedrun',
        ...{ checkpoint, source, settings, specs },
        objective: crossEntropyObjective(),
        objectiveSpec: { kind: 'cross_entropy' },
        save: (to, of, metadata) => saveCheckpoint(to, of, 'F32', metadata),
      },
      {
        ...{ directory: folder, steps, seed, signal },
        onStep(report) {
          // The mean of this part of the run: reports tell the last minute alone.
          const atMs = performance.now();
          before ??= {
            tokens: report.tokens - B * T * accumulate,
            atMs: atMs - (B * T * accumulate * 1000) / report.tokensPerSecond,
          };
          tokensPerSecond = ((report.tokens - before.tokens) * 1000) / (atMs - before.atMs);
          onStep?.(model, report);
        },
      },
    );
  } catch (error) {
    disposeParameters(parameters);
    throw error;
  }
  return { checkpoint, tokensPerSecond };
}

async function sampleOf(checkpoint: Checkpoint, text: ScoredText, seed: string): Promise<SpeedrunRow['sample']> {
  const { config, parameters, tokenizer } = checkpoint;
  const engine = new Engine(config, parameters, tokenizer, openDevice());
  const { ids } = text.read(0, 0, Math.min(SAMPLE.promptTokens, text.length(0)));
  const [completion] = await engine.generate([ids], { ...SAMPLE, seed, stopTokens: [] });
  return { prompt: tokenizer.decode(ids), continuation: tokenizer.decode(completion?.tokens ?? new Int32Array()) };
}
