/**
 * @file Documents whose end asks for what was said far before: a few needles (`thing: name`) among filler, then a question for
 * each. What leads to needles and questions is worded differently in training and in tests; things and names are shared.
 */
import { QuasarError, Rng } from '@quasar/base';
import type { Tokenizer } from '@quasar/model';
import { NAMES, WORDS } from '@quasar/world';
import type { Document } from './batch.ts';
import type { Reader, Source } from './source.ts';

export type RecallSplit = 'train' | 'test';

export interface RecallOptions {
  /**
   * `tokens`: the document has so many, and its needles lie anywhere, in half of the documents near its start. `distance`: its
   * needles stand at its start, and so many tokens lie between the last of them and the first question.
   */
  size: { tokens: number } | { distance: number };
  split: RecallSplit;
  /** Needles at most; each is asked for. Default 4. */
  needles?: number | undefined;
}

export interface RecallDocument extends Document {
  /** Where the answers are, in the order of the questions. */
  answers: { from: number; length: number }[];
}

/** What comes before `thing: name.` where it is said, and before `thing:` where it is asked for. */
const LEADS: Record<RecallSplit, { said: readonly string[]; asked: readonly string[] }> = {
  train: {
    said: [
      ...['Note', 'Keep', 'Mind this', 'The owner of', 'One more', 'Mark', 'See', 'Take the', 'Write down', 'Also'],
      ...['There is', 'This is', 'Know that', 'Look', 'Of the', 'It says', 'Add', 'First', 'Set', 'And a'],
    ],
    asked: [
      ...['Who', 'Find', 'Now', 'Say the owner of', 'Tell me', 'Which', 'Name', 'Back to the', 'Then', 'Ask for'],
      ...['So', 'Once more', 'Show', 'Answer', 'And the', 'Read', 'Where', 'Look for the', 'Last', 'Let us see'],
    ],
  },
  test: { said: ['Hold', 'Here is'], asked: ['Give', 'What of the'] },
};
/** Of filler where there is no text: sentences that say nothing of things. */
const DOINGS = ['waits', 'runs', 'sings', 'sleeps', 'reads', 'walks on', 'looks up', 'comes in', 'goes out'];

/** Answers together weigh as much as so many tokens of text for each token of the document, whatever its length. */
const ANSWER_SHARE = 0.5;
/** Of what teaches little: needles, questions, sentences that stand for text. */
const OTHER_WEIGHT = 0.05;
/** Of the noise: what lies before the last needle where needles come first. */
const EARLY = 0.125;

/**
 * Documents of recall. @param tokens of each document; a function: of document number n
 * @param filler what needles lie among, whole documents one after another; absent: short sentences
 */
export function recallSource(
  tokenizer: Tokenizer,
  options: Omit<RecallOptions, 'size'> & { tokens: number | ((n: number) => number) },
  filler?: Source,
): Source {
  const { tokens } = options;
  const lengthOf = typeof tokens === 'number' ? () => tokens : tokens;
  return {
    name: filler ? `recall in ${filler.name}` : 'recall',
    fingerprint: filler?.fingerprint,
    open(seed, position = { drawn: 0, parts: [] }) {
      if (typeof position === 'number')
        throw new QuasarError('data.bad_position', 'recall: a saved position does not belong to this source');
      let { drawn } = position;
      const reader = filler?.open(`${seed}/filler`, position.parts[0]);
      return {
        next() {
          const rng = new Rng(`${seed}/${drawn}`);
          return recallDocument(tokenizer, rng, { ...options, size: { tokens: lengthOf(drawn++) } }, reader);
        },
        get position() {
          return { drawn, parts: reader ? [reader.position] : [] };
        },
      };
    },
  };
}

/** @param filler where absent: short sentences. @throws QuasarError data.too_short: needles and questions need more tokens */
export function recallDocument(
  tokenizer: Tokenizer,
  rng: Rng,
  { size, split, needles = 4 }: RecallOptions,
  filler?: Reader,
): RecallDocument {
  const encode = (text: string) => tokenizer.encode(text);
  const { said, asked } = LEADS[split];
  const period = encode('. ');
  const pairs = rng.sample(WORDS, rng.int(1, needles)).map((thing) => {
    const name = encode(` ${rng.pick(NAMES)}`);
    const [needle, question] = [encode(`${rng.pick(said)} ${thing}:`), encode(`${rng.pick(asked)} ${thing}:`)];
    return { needle: [...needle, ...name, ...period], question: [...question, ...name, ...period], name };
  });
  const count = (parts: readonly { length: number }[]) => parts.reduce((sum, { length }) => sum + length, 0);
  const own = 1 + count(pairs.map((p) => p.needle)) + count(pairs.map((p) => p.question));
  const tokens = 'tokens' in size ? size.tokens : own + size.distance;
  const noise = tokens - own;
  if (noise < 0) {
    throw new QuasarError('data.too_short', `recall: ${pairs.length} needles do not fit in ${tokens} tokens`, {
      hint: 'ask for longer rows',
    });
  }
  const before = 'distance' in size ? 0 : Math.floor(noise * (rng.next() < 0.5 ? EARLY : 1));
  const cuts = pairs.map(() => rng.int(0, before)).sort((x, y) => x - y);
  const among = fillerTokens(tokenizer, rng, noise, filler);
  const ids = new Int32Array(tokens);
  const weights = new Float32Array(tokens).fill(OTHER_WEIGHT);
  let at = 0;
  const put = (part: ArrayLike<number>) => {
    ids.set(part, at);
    at += part.length;
  };
  const putFiller = (from: number, to = noise) => {
    weights.set(among.weights.subarray(from, to), at);
    put(among.ids.subarray(from, to));
  };
  put([tokenizer.specials.bos]);
  pairs.forEach(({ needle }, i) => {
    putFiller(cuts[i - 1] ?? 0, cuts[i]);
    put(needle);
  });
  putFiller(cuts.at(-1) as number);
  const weight = (ANSWER_SHARE * tokens) / count(pairs.map(({ name }) => name));
  const answers = rng.shuffle(pairs).map(({ question, name }) => {
    put(question);
    const from = at - period.length - name.length;
    weights.fill(weight, from, from + name.length);
    return { from, length: name.length };
  });
  return { ids, weights, answers };
}

/** So many tokens of whole documents, the last one cut. */
function fillerTokens(tokenizer: Tokenizer, rng: Rng, count: number, filler: Reader | undefined): Document {
  const ids = new Int32Array(count);
  const weights = new Float32Array(count);
  const sentence = () => {
    const words = tokenizer.encode(`${rng.pick(NAMES)} ${rng.pick(DOINGS)}. `);
    return { ids: words, weights: new Float32Array(words.length).fill(OTHER_WEIGHT) };
  };
  for (let at = 0; at < count; ) {
    const document = filler ? filler.next() : sentence();
    const length = Math.min(document.ids.length, count - at);
    ids.set(document.ids.subarray(0, length), at);
    weights.set(document.weights.subarray(0, length), at);
    at += length;
  }
  return { ids, weights };
}
