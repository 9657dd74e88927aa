/** @file The strict config reader: what passes, and the issue of each thing that does not. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TINY } from '../../testing/tiny.ts';
import { parseConfig, SIZES } from '../index.ts';
import { optionsOf, type QuasarConfig } from './config.ts';

/** `code field` of each issue. */
function issues(json: unknown): string[] {
  const result = parseConfig(json);
  if (result.ok) return [];
  for (const { message } of result.issues) expect(message.length).toBeLessThan(200);
  return result.issues.map(({ code, path }) => `${code.replace('config.', '')} ${path?.replace('config.json/', '')}`);
}

describe('accepted', () => {
  it.each(Object.keys(SIZES))('the shipped size %s survives JSON', (name) => {
    const config = SIZES[name as keyof typeof SIZES];
    expect(parseConfig(JSON.parse(JSON.stringify(config)))).toEqual({ ok: true, value: config });
  });

  it('any config of multiples of 16 survives JSON', () => {
    const small = fc.integer({ min: 1, max: 8 });
    const config = fc.record({ heads: small, width: small, layers: small, loops: small, experts: small, r: small });
    fc.assert(
      fc.property(config, fc.boolean(), ({ heads, width, layers, loops, experts, r }, flag) => {
        const made: QuasarConfig = {
          ...TINY,
          n_heads: heads,
          head_dim: 16 * width,
          d_model: 16 * heads * width,
          n_layers: layers,
          num_loops: loops,
          num_routed_experts: experts,
          top_k: Math.min(2, experts),
          bigmac_r: 1 / 2 ** (r % 3),
          use_gla_first: flag,
          use_looped_injection: flag,
          use_short_conv: !flag,
        };
        expect(parseConfig(JSON.parse(JSON.stringify(made)))).toEqual({ ok: true, value: made });
      }),
    );
  });
});

describe('refused as a whole', () => {
  it.each([[null], [[]], ['text'], [7], [undefined]])('%j', (json) => {
    expect(issues(json)).toEqual(['not_object config.json']);
  });
});

describe('options', () => {
  const all = optionsOf(TINY);

  it('may all be there, and each may be absent', () => {
    const config = { ...TINY, ...all };
    expect(parseConfig(JSON.parse(JSON.stringify(config)))).toEqual({ ok: true, value: config });
    for (const option of Object.keys(all)) {
      const { [option as keyof typeof config]: _, ...rest } = config;
      expect(issues(rest), option).toEqual([]);
    }
  });

  it.each(Object.entries(all))('%s of another type or value', (option, value) => {
    const wrong = typeof value === 'string' ? 1 : 'one';
    for (const bad of [wrong, null, []]) expect(issues({ ...TINY, [option]: bad })).toEqual([`wrong_type ${option}`]);
    if (typeof value === 'boolean') return;
    const [bad, code] = typeof value === 'string' ? ['other', 'wrong_value'] : [-1, 'out_of_range'];
    expect(issues({ ...TINY, [option]: bad })).toEqual([`${code} ${option}`]);
  });
});

describe('one bad field', () => {
  it.each(Object.keys(SIZES['3b']))('%s missing', (field) => {
    const { [field as keyof QuasarConfig]: _, ...rest } = TINY;
    expect(issues(rest)).toEqual([`missing_field ${field}`]);
  });

  it.each(Object.keys(TINY))('%s of another type', (field) => {
    const wrong = typeof TINY[field as keyof QuasarConfig] === 'string' ? 1 : 'one';
    for (const value of [wrong, null, [], {}])
      expect(issues({ ...TINY, [field]: value })).toEqual([`wrong_type ${field}`]);
  });

  const numbers = Object.entries(TINY).filter(([, value]) => typeof value === 'number');
  it.each(numbers.map(([field]) => field))('%s not finite, negative or huge', (field) => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY])
      expect(issues({ ...TINY, [field]: value })).toEqual([`wrong_type ${field}`]);
    for (const value of [-1, -0.5, 1e300]) {
      const found = issues({ ...TINY, [field]: value });
      expect(found).toHaveLength(1);
      expect(found[0]).toMatch(new RegExp(`^(out_of_range|wrong_value) ${field}$`));
    }
  });

  const wholes =
    'vocab_size d_model n_layers n_heads head_dim d_ff max_seq_len quasar_layers conv_size top_k num_loops';
  it.each(wholes.split(' '))('%s not a whole number', (field) => {
    expect(issues({ ...TINY, [field]: 1.5 })).toEqual([`out_of_range ${field}`]);
  });

  it.each([
    [{ model_type: 'llama' }, 'wrong_value model_type'],
    [{ hidden_act: 'gelu' }, 'wrong_value hidden_act'],
    [{ attn_mode: 'fused_recurrent' }, 'wrong_value attn_mode'],
    [{ tie_word_embeddings: true }, 'wrong_value tie_word_embeddings'],
    [{ conv_bias: true }, 'wrong_value conv_bias'],
    [{ allow_neg_eigval: true }, 'wrong_value allow_neg_eigval'],
    [{ dropout: 0.1 }, 'wrong_value dropout'],
    [{ expand_v: 2 }, 'wrong_value expand_v'],
    [{ looped_injection_init: 1 }, 'out_of_range looped_injection_init'],
    [{ smebu_beta: 1 }, 'out_of_range smebu_beta'],
    [{ num_loops: 0 }, 'out_of_range num_loops'],
  ])('%j', (change, expected) => {
    expect(issues({ ...TINY, ...change })).toEqual([expected]);
  });
});

describe('fields that do not fit together', () => {
  it.each([
    [{ n_heads: 4 }, ['heads head_dim', 'heads expand_k']],
    [{ head_dim: 8, n_heads: 4, expand_k: 2 }, ['heads head_dim']],
    [{ expand_k: 0.5 }, ['heads expand_k']],
    [{ quasar_layers: 0, gated_layers: 0 }, ['layers quasar_layers']],
    [{ memory_slots: 16, memory_dim: 0 }, ['memory memory_slots']],
    [{ memory_slots: 8, memory_dim: 8 }, ['memory memory_dim']],
    [{ top_k: 5 }, ['experts top_k']],
    [{ bigmac_r: 0.3 }, ['experts bigmac_r']],
    [
      { bos_token_id: TINY.vocab_size, eos_token_id: TINY.vocab_size },
      ['token_id bos_token_id', 'token_id eos_token_id'],
    ],
  ])('%j', (change, expected) => {
    expect(issues({ ...TINY, ...change })).toEqual(expected);
  });
});

describe('hostile', () => {
  it('unknown, missing and wrong fields are reported together', () => {
    const { vocab_size: _, ...rest } = TINY;
    expect(issues({ ...rest, code: 'code.py', d_model: '32', n_layers: 0, model_type: 'x' })).toEqual(
      [
        'unknown_field code',
        'missing_field vocab_size',
        'wrong_value model_type',
        'wrong_type d_model',
        'out_of_range n_layers',
      ].sort(byFieldOrder),
    );
  });

  it('__proto__, constructor and control characters are just unknown fields', () => {
    const text = JSON.stringify(TINY).replace('{', '{"__proto__": {"d_ff": 1}, "constructor": 1, "\\u001b[31m": 1, ');
    expect(issues(JSON.parse(text))).toEqual([
      'unknown_field __proto__',
      'unknown_field constructor',
      'unknown_field \\u001b[31m',
    ]);
    expect(issues(Object.create(TINY))).toHaveLength(Object.keys(SIZES['3b']).length);
  });

  it('deeply nested and long values give short messages', () => {
    const deep = JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`);
    expect(issues({ ...TINY, d_ff: deep })).toEqual(['wrong_type d_ff']);
    expect(issues({ ...TINY, model_type: 'x'.repeat(1e6) })).toEqual(['wrong_value model_type']);
    expect(issues({ ...TINY, ['x'.repeat(1e6)]: 1 })[0]?.length).toBeLessThan(100);
  });

  it('anything at all gives issues, never an exception', () => {
    const fields = fc.constantFrom(...Object.keys(TINY), '__proto__', 'toString');
    fc.assert(
      fc.property(fc.dictionary(fields, fc.jsonValue()), fc.jsonValue(), (changes, other) => {
        expect(parseConfig(other).ok).toBe(false);
        const result = parseConfig({ ...TINY, ...changes });
        if (!result.ok) expect(result.issues.length).toBeGreaterThan(0);
      }),
    );
  });
});

/** Unknown fields first, then in the order of the config. */
function byFieldOrder(a: string, b: string): number {
  const order = Object.keys(SIZES['3b']);
  return order.indexOf(a.split(' ')[1] as string) - order.indexOf(b.split(' ')[1] as string);
}
