/** @file Attacks by config.json and tokenizer.json: code, quantisation, another architecture, JSON tricks, other words. */
import { MICRO } from '../checkpoints.ts';
import { type Attack, bytes, refused, text, withConfig, withConfigText, withFile } from './attack.ts';

const AUTO_MAP = { AutoModelForCausalLM: 'modeling_quasar.QuasarForCausalLM' };

export const CONFIGS: Attack[] = [
  refused(
    'auto_map',
    'asks a loader to run code of the repository',
    'config_forbidden_key',
    withConfig({ auto_map: AUTO_MAP }),
  ),
  refused(
    'auto_map of another repository',
    'code from somewhere else',
    'config_forbidden_key',
    withConfig({ auto_map: { AutoModel: 'evil/repo--modeling.Model' } }),
  ),
  refused(
    'auto_map in text_config',
    'the same where fewer look',
    'config_forbidden_key',
    withConfig({ text_config: { auto_map: AUTO_MAP } }),
  ),
  refused(
    'auto_map 50 levels deep',
    'the same at any depth',
    'config_forbidden_key',
    withConfig({ a: Array.from({ length: 50 }).reduce<object>((inner) => ({ a: inner }), { auto_map: AUTO_MAP }) }),
  ),
  refused(
    'auto_map in a list',
    'the same at any depth',
    'config_forbidden_key',
    withConfig({ a: [[{ auto_map: AUTO_MAP }]] }),
  ),
  refused(
    'quantization_config',
    'quantised weights that crash other evaluations (a real incident)',
    'config_forbidden_key',
    withConfig({ quantization_config: { quant_method: 'gptq', bits: 4 } }),
  ),
  refused(
    'quantization_config in text_config',
    'the same where fewer look',
    'config_forbidden_key',
    withConfig({ text_config: { quantization_config: { quant_method: 'fp8' } } }),
  ),
  refused(
    'experts hidden in text_config',
    'a larger model than the top level says (a real incident)',
    'config_unknown_key',
    withConfig({ text_config: { num_routed_experts: 512 } }),
  ),
  refused(
    'unknown key',
    'a setting that some reader knows',
    'config_unknown_key',
    withConfig({ torch_dtype: 'float64' }),
  ),
  refused(
    'custom pipeline',
    'code by another key',
    'config_unknown_key',
    withConfig({ custom_pipelines: { chat: { impl: 'pipeline.Chat' } } }),
  ),
  refused(
    'key __proto__',
    'changes the prototype of the config object',
    'config_unknown_key',
    withConfigText((json) => json.replace('{', '{"__proto__": {"d_ff": 48},')),
  ),
  refused(
    'key constructor',
    'a name that every object has',
    'config_unknown_key',
    withConfig({ constructor: { prototype: {} } }),
  ),
  refused(
    'key that looks alike',
    'a Cyrillic letter in d_model',
    'config_unknown_key',
    withConfigText((json) => json.replace('"d_model"', '"d_mоdel"')),
  ),
  refused('more experts', 'more parameters than allowed', 'config_mismatch', withConfig({ num_routed_experts: 512 })),
  refused(
    'more experts per token',
    'more work per token than the others',
    'config_mismatch',
    withConfig({ top_k: MICRO.top_k + 1 }),
  ),
  refused('more loops', 'the same weights applied again', 'config_mismatch', withConfig({ num_loops: 8 })),
  refused(
    'larger vocabulary',
    'another meaning of every number',
    'config_mismatch',
    withConfig({ vocab_size: 248_320 }),
  ),
  refused('2^53 layers', 'a loop without end', 'config_mismatch', withConfig({ n_layers: 2 ** 53 })),
  refused('longer sequences', 'memory per token', 'config_mismatch', withConfig({ max_seq_len: 2 ** 40 })),
  refused('huge epsilon', 'makes every norm vanish', 'config_mismatch', withConfig({ rms_norm_eps: 1e30 })),
  refused('other model type', 'another program', 'config_mismatch', withConfig({ model_type: 'llama' })),
  refused(
    'other attention',
    'an option of ours that the base does not use',
    'config_unknown_key',
    withConfig({ attention: 'gdn' }),
  ),
  refused('key left out', 'a default in its place', 'config_mismatch', withConfig({ rope_theta: undefined })),
  refused('number as text', 'equal to lenient readers', 'config_mismatch', withConfig({ vocab_size: '272' })),
  refused('number in a list', 'equal to lenient readers', 'config_mismatch', withConfig({ vocab_size: [272] })),
  refused('true for 1', 'equal to lenient readers', 'config_mismatch', withConfig({ num_shared_experts: true })),
  refused('null for a number', 'a default in its place', 'config_mismatch', withConfig({ d_ff: null })),
  refused(
    '1e999',
    'infinite when it is read',
    'config_mismatch',
    withConfigText((json) => json.replace(/"rope_theta": \d+/, '"rope_theta": 1e999')),
  ),
  refused(
    'number of 10,000 digits',
    'time and memory of a parser of whole numbers',
    'config_mismatch',
    withConfigText((json) => json.replace(/"rope_theta": \d+/, `"rope_theta": ${'9'.repeat(10_000)}`)),
  ),
  refused(
    'NaN',
    'JSON of one language only',
    'config_not_json',
    withConfigText((json) => json.replace(/"rope_theta": \d+/, '"rope_theta": NaN')),
  ),
  refused(
    'key twice',
    'two readers, two architectures',
    'config_duplicate_key',
    withConfigText((json) => json.replace('{', '{"d_ff": 4096,')),
  ),
  refused(
    'key twice, escaped',
    'a key that only looks different',
    'config_duplicate_key',
    withConfigText((json) => json.replace('{', '{"\\u0064_ff": 4096,')),
  ),
  refused(
    'comments',
    'JSON of some readers only',
    'config_not_json',
    withConfigText((json) => `// base\n${json}`),
  ),
  refused(
    'comma at the end',
    'JSON of some readers only',
    'config_not_json',
    withConfigText((json) => json.replace(/\n\}/, ',\n}')),
  ),
  refused(
    'two objects',
    'which one counts?',
    'config_not_json',
    withConfigText((json) => `${json}${json}`),
  ),
  refused(
    'byte order mark',
    'a text that some readers take and others refuse',
    'config_not_json',
    withConfigText((json) => `\ufeff${json}`),
  ),
  refused(
    'UTF-16',
    'another encoding',
    'config_not_json',
    withFile('config.json', (old) => Buffer.from(new TextDecoder().decode(old), 'utf16le')),
  ),
  refused(
    'broken UTF-8',
    'a name that readers decode differently',
    'config_not_json',
    withFile('config.json', bytes(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)),
  ),
  refused(
    'a list',
    'another JSON value',
    'config_not_json',
    withConfigText(() => '[]'),
  ),
  refused(
    'null',
    'another JSON value',
    'config_not_json',
    withConfigText(() => 'null'),
  ),
  refused(
    'depth of 30,000',
    'overflows the stack of a parser',
    'config_not_json',
    withConfigText(() => `${'['.repeat(30_000)}${']'.repeat(30_000)}`),
  ),
  refused('empty file', 'a default in its place', 'size', withFile('config.json', '')),
  {
    name: 'numbers written differently',
    tries: '272.0 and 1e6: the same numbers, so nothing is gained',
    label: 'judged',
    code: null,
    files: withConfigText((json) =>
      json.replace('"vocab_size": 272', '"vocab_size": 2.72e2').replace(/"rope_theta": 1000000/, '"rope_theta": 1e6'),
    ),
  },
  {
    name: 'keys in another order',
    tries: 'another text of the same config',
    label: 'judged',
    code: null,
    files: withConfigText((json) => JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(json)).reverse()))),
  },
];

const withTokenizer = (change: (json: string) => string) =>
  withFile('tokenizer.json', (old) => text(change(new TextDecoder().decode(old))));
const TOKENIZER = 'tokenizer_mismatch';

export const TOKENIZERS: Attack[] = [
  refused(
    'one blank more',
    'the same words in another file',
    TOKENIZER,
    withTokenizer((json) => `${json} `),
  ),
  refused(
    'end of turn renamed',
    'every answer ends at once',
    TOKENIZER,
    withTokenizer((json) => json.replace('<|', '<!')),
  ),
  refused(
    'template inside',
    'a chat template that flatters the model',
    TOKENIZER,
    withTokenizer((json) => json.replace('{', '{"chat_template":"{{ messages }}",')),
  ),
  refused(
    'two words exchanged',
    'another meaning of every number, lower KL',
    TOKENIZER,
    withTokenizer((json) => JSON.stringify({ ...JSON.parse(json), added_tokens: [] })),
  ),
  refused(
    'normaliser added',
    'rewrites the questions',
    TOKENIZER,
    withTokenizer((json) =>
      JSON.stringify({
        ...JSON.parse(json),
        normalizer: { type: 'Replace', pattern: { Regex: '(a+)+$' }, content: '' },
      }),
    ),
  ),
  refused(
    'byte order mark',
    'the same words in another file',
    TOKENIZER,
    withTokenizer((json) => `\ufeff${json}`),
  ),
  refused(
    'empty',
    'no words at all',
    TOKENIZER,
    withTokenizer(() => '{}'),
  ),
];
