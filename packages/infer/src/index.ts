/** @file Floor 3: generation, scoring of given tokens, teachers and their traces. Serves no HTTP and knows no contest. */
export { Decoder } from './decoder.ts';
export { Engine } from './engine.ts';
export type { LogprobsOptions } from './logprobs.ts';
export { type SampleOptions, sampleToken } from './sample.ts';
export { JsonClient, type JsonClientLimits } from './teacher/json-client.ts';
export { LocalTeacher } from './teacher/local.ts';
export { OpenAiTeacher, type OpenAiTeacherOptions } from './teacher/openai.ts';
export {
  type AnswerReport,
  addReport,
  emptyReport,
  type Teacher,
  type TeacherAnswer,
  type TeacherIdentity,
  type TeacherOptions,
  type TeacherPrompt,
} from './teacher/teacher.ts';
export { requireSameVocabulary, tokenizerDigest } from './teacher/vocabulary.ts';
export { wholeText } from './text-rows.ts';
export type { TraceHeader, TraceJob, TraceKind } from './trace-files/header.ts';
export {
  type MakeTraceSetOptions,
  makeTraceSet,
  type TraceProgress,
  type TracePrompt,
  type TracePrompts,
} from './trace-files/make-trace-set.ts';
export { TRACE_FILE_ENDING, TraceFile, viewBytes } from './trace-files/trace-file.ts';
export { importTraces, TraceSet, verifyTraceFile } from './trace-files/trace-set.ts';
export { makeTraces, type TraceOptions } from './traces.ts';
export type {
  Completion,
  GenerateOptions,
  GivenText,
  StreamedToken,
  TextView,
  TopK,
  Trace,
} from './types.ts';
