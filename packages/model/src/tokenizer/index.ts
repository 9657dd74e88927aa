/** @file Byte-level BPE that reads and writes Hugging Face `tokenizer.json`, its trainer, and the chat template. */
export { type ChatMessage, encodeChat, encodeChatForTraining } from './chat.ts';
export { TokenDecoder } from './decoder.ts';
export { type EncodeOptions, type SpecialIds, Tokenizer } from './tokenizer.ts';
export { emitTokenizerJson, MAX_TOKENIZER_JSON_CHARS, parseTokenizerJson } from './tokenizer-json.ts';
export { type TrainBpeOptions, trainBpe } from './train-bpe.ts';
export { SPECIAL_TOKENS, type Vocabulary } from './vocabulary.ts';
