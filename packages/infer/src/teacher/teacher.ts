/** @file What a teacher is: a model, here or behind a server, that continues prompts and says what it thought at each token. */
import type { ChatMessage, Tokenizer } from '@quasar/model';
import type { GivenText, Trace } from '../types.ts';

/** Who made a trace; recorded with it, so it holds no secrets. Equal identities: the same weights as far as one can know. */
export type TeacherIdentity =
  | { kind: 'local'; family: string; weightsSha256: string; tokenizerSha256: string }
  | {
      kind: 'openai';
      /** Host and port, without path or credentials. */
      host: string;
      model: string;
      /** What the server is given: token ids, text, or messages that it renders by its own template. */
      prompts: 'ids' | 'text' | 'messages';
      /**
       * How its vocabulary was compared with ours, on probe strings: token ids, where tokens begin and end, or only their
       * number.
       */
      vocabulary: 'ids' | 'splits' | 'counts';
      /** Of our tokenizer, which the answers are brought to. */
      tokenizerSha256: string;
    };

export interface TeacherPrompt {
  ids: Int32Array;
  /** What `ids` renders; needed by servers that take messages only. */
  messages?: readonly ChatMessage[] | undefined;
}

export interface TeacherOptions {
  maxNewTokens: number;
  /** Entries of each view. */
  topK: number;
  temperature: number;
  topP: number;
  /** One per prompt, whole numbers from 0 to 2³¹ - 1: the continuation does not depend on the other prompts. */
  seeds: readonly number[];
  /** True: a continuation ends after the token that ends a turn. False: it always has `maxNewTokens`. */
  untilEnd: boolean;
  signal?: AbortSignal | undefined;
}

/** What was lost or moved on the way to our vocabulary. Nothing for a local teacher. */
export interface AnswerReport {
  /** Positions with a view. */
  views: number;
  /** Of those, views in which the teacher named tokens that we do not have. */
  viewsWithUnknown: number;
  /** Sum over views of the mass on such tokens; it is part of the tail. */
  unknownMass: number;
  /** Continuations that end early, before a token that we do not have. */
  cutTraces: number;
  /** Prompts that were cut back to the last border of tokens that both have. */
  movedBorders: number;
}

export interface TeacherAnswer {
  /** In the order of the prompts. The prompt may be cut, see `movedBorders`; a continuation may be empty. */
  traces: Trace[];
  report: AnswerReport;
}

export interface Teacher {
  readonly identity: TeacherIdentity;
  /** The ids of traces are of this one. */
  readonly tokenizer: Tokenizer;
  /** @throws QuasarError infer.* */
  generate(prompts: readonly TeacherPrompt[], options: TeacherOptions): Promise<TeacherAnswer>;
  /**
   * The teacher's view of given texts, as traces whose prompt is what stands before `from`.
   * @throws QuasarError infer.teacher_unsupported where a server cannot do this
   */
  score(texts: readonly GivenText[], options: Pick<TeacherOptions, 'topK' | 'signal'>): Promise<TeacherAnswer>;
  dispose(): void;
}

export function emptyReport(): AnswerReport {
  return { views: 0, viewsWithUnknown: 0, unknownMass: 0, cutTraces: 0, movedBorders: 0 };
}

export function addReport(total: AnswerReport, part: AnswerReport): void {
  for (const key of Object.keys(total) as (keyof AnswerReport)[]) total[key] += part[key];
}
