import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Tokenizer } from './tokenizer.ts';
import { MAX_TOKENIZER_JSON_CHARS, parseTokenizerJson } from './tokenizer-json.ts';
import { trainBpe } from './train-bpe.ts';

const json = trainBpe(['low lower lowest new newer newest'], { vocabSize: 272 }).toJson();

// biome-ignore lint/suspicious/noExplicitAny: the tests damage a file of known shape
type File = any;

/** Codes and paths of the issues after `damage`. */
function issuesOf(damage: (file: File) => void): string[] {
  const file = JSON.parse(json) as File;
  damage(file);
  const parsed = parseTokenizerJson(JSON.stringify(file));
  return parsed.ok ? [] : parsed.issues.map((issue) => `${issue.code} ${issue.path?.replace('tokenizer.json/', '')}`);
}

describe('parseTokenizerJson', () => {
  test('accepts its own file, and harmless differences between writers', () => {
    expect(issuesOf(() => {})).toEqual([]);
    const harmless = (file: File) => {
      file.model.merges = file.model.merges.map((merge: string) => merge.split(' '));
      delete file.model.ignore_merges;
      delete file.truncation;
      file.model.vocab['<|bos|>'] = file.added_tokens[0].id;
    };
    expect(issuesOf(harmless)).toEqual([]);
  });

  test.each<[string, (file: File) => void, string[]]>([
    ['an unknown key', (f) => (f.evil = 1), ['tokenizer.unknown_key "evil"']],
    ['an unknown model key', (f) => (f.model.evil = 1), ['tokenizer.unknown_key "model/evil"']],
    ['another version', (f) => (f.version = '2.0'), ['tokenizer.unsupported version']],
    ['a normalizer', (f) => (f.normalizer = { type: 'NFKC' }), ['tokenizer.unsupported normalizer']],
    [
      'a regular expression of a stranger',
      (f) => (f.pre_tokenizer.pretokenizers[0].pattern.Regex = '(a+)+$'),
      ['tokenizer.unsupported pre_tokenizer'],
    ],
    [
      'a prefix space',
      (f) => (f.pre_tokenizer = { type: 'ByteLevel', add_prefix_space: true }),
      ['tokenizer.unsupported pre_tokenizer'],
    ],
    ['a template', (f) => (f.post_processor = { type: 'BertProcessing' }), ['tokenizer.unsupported post_processor']],
    ['dropout', (f) => (f.model.dropout = 0.1), ['tokenizer.unsupported model/dropout']],
    ['byte fallback', (f) => (f.model.byte_fallback = true), ['tokenizer.unsupported model/byte_fallback']],
    ['another model', (f) => (f.model.type = 'Unigram'), ['tokenizer.unsupported model/type']],
    ['a decoder of words', (f) => (f.decoder = { type: 'WordPiece' }), ['tokenizer.unsupported decoder']],
    [
      'a special token twice',
      (f) => f.added_tokens.push({ ...f.added_tokens[0], id: 272 }),
      ['tokenizer.bad_added_token added_tokens/7'],
    ],
    [
      'a token that eats spaces',
      (f) => f.added_tokens.push({ ...f.added_tokens[0], id: 272, content: 'x', lstrip: true }),
      ['tokenizer.bad_added_token added_tokens/7'],
    ],
    ['an id twice', (f) => (f.model.vocab.zz = 3), ['tokenizer.bad_vocab model/vocab']],
    ['a hole in the ids', (f) => (f.model.vocab.zz = 9999), ['tokenizer.bad_vocab model/vocab']],
    ['a negative id', (f) => (f.model.vocab.zz = -1), ['tokenizer.bad_vocab model/vocab']],
    ['a token that is no bytes', (f) => (f.model.vocab.日 = 272), ['tokenizer.bad_vocab model/vocab']],
    ['an empty token', (f) => (f.model.vocab[''] = 272), ['tokenizer.bad_vocab model/vocab']],
    [
      'a byte without a token',
      (f) => {
        delete f.model.vocab.q;
        f.model.vocab.qq = 113;
      },
      ['tokenizer.byte_missing model/vocab'],
    ],
    ['a merge of unknown tokens', (f) => f.model.merges.push('q x'), ['tokenizer.bad_merge model/merges/8']],
    ['a merge twice', (f) => f.model.merges.push(f.model.merges[0]), ['tokenizer.bad_merge model/merges/8']],
    ['a merge of three', (f) => f.model.merges.push('l o w'), ['tokenizer.bad_merge model/merges/8']],
    ['a merge that is no pair', (f) => f.model.merges.push(7), ['tokenizer.bad_merge model/merges/8']],
    ['no merges', (f) => delete f.model.merges, ['tokenizer.bad_merge model/merges']],
  ])('refuses %s', (_, damage, expected) => {
    expect(issuesOf(damage)).toEqual(expected);
  });

  test('lists all issues, not the first', () => {
    const damage = (f: File) => {
      f.normalizer = { type: 'Lowercase' };
      f.model.dropout = 1;
      f.model.merges.push('q x');
    };
    expect(issuesOf(damage)).toHaveLength(3);
  });

  test('a tokenizer of others has no chat template; it knows where texts end', () => {
    const file = JSON.parse(json) as File;
    file.added_tokens[1].content = '<|endoftext|>';
    const foreign = Tokenizer.parse(JSON.stringify(file));
    expect(() => foreign.specials).toThrow(expect.objectContaining({ code: 'tokenizer.special_missing' }));
    expect(foreign.stopIds).toEqual([file.added_tokens[1].id]);
    expect(foreign.padId).toBe(0);
    expect(foreign.decode(foreign.encode('<|bos|> low'))).toBe('<|bos|> low');
    const ours = Tokenizer.parse(json);
    expect([ours.stopIds, ours.padId]).toEqual([[ours.specials.end], ours.specials.pad]);
  });

  test('takes a vocabulary of 248,044 tokens in its stride', { timeout: 60_000 }, () => {
    const file = JSON.parse(json) as File;
    const alphabet = Object.keys(file.model.vocab).slice(0, 256);
    const vocab = new Map(alphabet.map((text, id) => [text, id]));
    const merges: string[][] = [];
    for (let i = 0; vocab.size < 248_044; i++) {
      const [a, b] = [alphabet[i % 256], alphabet[Math.floor(i / 256) % 256]];
      const [left, right] = i < 65_536 ? [a, b] : [`${a}${b}`, alphabet[Math.floor(i / 65_536) - 1]];
      merges.push([left as string, right as string]);
      vocab.set(`${left}${right}`, vocab.size);
    }
    file.model.vocab = Object.fromEntries(vocab);
    file.model.merges = merges;
    for (const [i, token] of file.added_tokens.entries()) token.id = vocab.size + i;
    const large = Tokenizer.parse(JSON.stringify(file));
    expect(large.vocabSize).toBe(248_051);
    const text = 'The quick brown fox — 12 jumps.';
    expect(large.decode(large.encode(text))).toBe(text);
    expect(large.encode(text).length).toBeLessThan(text.length);
  });

  test('Tokenizer.parse throws one error that carries the issues', () => {
    expect(() => Tokenizer.parse('{"version":"1.0"}')).toThrow(
      expect.objectContaining({ code: 'tokenizer.invalid', data: expect.arrayContaining([expect.anything()]) }),
    );
  });

  test('never throws, whatever the text', () => {
    const deep = `${'['.repeat(5e4)}${']'.repeat(5e4)}`;
    const deepTexts = ['version', 'normalizer', 'model', 'added_tokens'].map((key) => `{"${key}":[${deep}]}`);
    for (const text of ['', 'null', '[]', '7', '{"model":[]}', '{"__proto__":{}}', '['.repeat(1e5), ...deepTexts]) {
      expect(parseTokenizerJson(text).ok).toBe(false);
    }
    expect(parseTokenizerJson(' '.repeat(MAX_TOKENIZER_JSON_CHARS + 1))).toMatchObject({
      issues: [{ code: 'tokenizer.too_large' }],
    });
    const keys = Object.keys(JSON.parse(json) as File);
    fc.assert(
      fc.property(fc.constantFrom(...keys, 'vocab', 'merges', 'type'), fc.jsonValue(), (key, value) => {
        const file = JSON.parse(json) as File;
        if (key in file) file[key] = value;
        else file.model[key] = value;
        expect(() => parseTokenizerJson(JSON.stringify(file))).not.toThrow();
      }),
    );
  });
});
