/** @file Attacks by what is in the repository: code, other formats, missing files, names, sizes. */
import { writeSafetensors } from '@quasar/model';
import {
  type Attack,
  bytes,
  type Entry,
  type Files,
  type Honest,
  refused,
  text,
  withFile,
  withoutFile,
} from './attack.ts';
import { SMALLEST } from './ground.ts';

const PICKLE = bytes(0x80, 0x04, 0x95, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x8c, 0x02, 0x6f, 0x73, 0x2e);
const ZIP = bytes(0x50, 0x4b, 0x03, 0x04, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
const GZIP = bytes(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3);
const GGUF = bytes(0x47, 0x47, 0x55, 0x46, 3, 0, 0, 0, 0, 0, 0, 0);
const ELF = bytes(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0);
const WASM = bytes(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
const EXE = bytes(0x4d, 0x5a, 0x90, 0, 3, 0, 0, 0);
const NUMPY = bytes(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0);
const POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 5880000000\n`;

const extra = (path: string, tries: string, content: string | Uint8Array = 'x'): Attack => ({
  name: path,
  tries,
  label: 'INVALID',
  code: 'precheck.file_refused',
  files: withFile(path, content),
});

export const CODE_AND_FORMATS: Attack[] = [
  extra('modeling_quasar.py', 'code that a loader with remote code on would run', 'import os; os.system("id")'),
  extra('configuration_quasar.py', 'the same through the config class'),
  extra('tokenizer.py', 'a tokenizer that forges the results it is measured by (a real incident)'),
  extra('setup.py', 'code at install time'),
  extra('sitecustomize.pyc', 'compiled code that an interpreter loads by itself', bytes(0xa7, 0x0d, 0x0d, 0x0a)),
  extra('libquasar.so', 'a native library', ELF),
  extra('hook.js', 'code for our own runtime'),
  extra('kernel.wasm', 'a module for a sandbox that might have holes', WASM),
  extra('run.sh', 'a shell script'),
  extra('patch.dll', 'a native library for another system', EXE),
  extra('pytorch_model.bin', 'the weights again as a pickle, which runs code when it is loaded', PICKLE),
  extra('model.pt', 'pickled weights under another name', ZIP),
  extra('optimizer.pth', 'pickled optimizer state', ZIP),
  extra('last.ckpt', 'a pickled training checkpoint', PICKLE),
  extra('vocab.pkl', 'a pickled vocabulary', PICKLE),
  extra('weights.npz', 'a zip of arrays, any of them pickled', ZIP),
  extra('model.gguf', 'quantised weights beside the real ones', GGUF),
  extra('model.onnx', 'a graph of its own'),
  extra('tf_model.h5', 'weights of another framework'),
  extra('flax_model.msgpack', 'weights of another framework'),
  extra('adapter_model.safetensors', 'an adapter that a loader might merge unseen'),
  extra('model-00001-of-00002.safetensors', 'a second set of weights: which one is measured?'),
  extra('weights.zip', 'an archive, perhaps one that unpacks without end', ZIP),
  extra('tokenizer_config.json', 'a chat template that flatters the model', '{"chat_template":"{{ answer }}"}'),
  extra('chat_template.jinja', 'a template that runs in a template engine'),
  extra('special_tokens_map.json', 'special tokens that end every answer at once'),
  extra('generation_config.json', 'sampling settings of its own'),
  extra('added_tokens.json', 'tokens beyond the vocabulary'),
  extra('notes.txt', 'anything else: what is not needed is not accepted'),
  {
    name: 'decoy weights',
    tries: 'a tiny model.safetensors beside the real weights in a pickle (a real incident)',
    label: 'INVALID',
    code: 'precheck.size',
    files: ({ files }) =>
      new Map(files)
        .set('pytorch_model.bin', new Uint8Array(200_000))
        .set('model.safetensors', text(`${'\x40'.padEnd(8, '\0')}${'{}'.padEnd(64)}`)),
  },
  {
    name: 'weights as a pickle only',
    tries: 'no safetensors at all',
    label: 'INVALID',
    code: 'precheck.missing_file',
    files: ({ files }) =>
      withoutFile('model.safetensors')({ files: new Map(files).set('pytorch_model.bin', PICKLE), weights: new Map() }),
  },
  ...['config.json', 'tokenizer.json', 'model.safetensors'].map(
    (path): Attack => ({
      name: `no ${path}`,
      tries: 'a default that might be taken in its place',
      label: 'INVALID',
      code: 'precheck.missing_file',
      files: withoutFile(path),
    }),
  ),
  {
    name: 'only a README',
    tries: 'a commitment to an empty repository, filled with a copy of the king later (a real incident)',
    label: 'INVALID',
    code: 'precheck.missing_file',
    files: () => new Map([['README.md', text('soon')]]),
    later: 'moved on',
  },
];

const disguised = (path: string, what: string, content: Uint8Array): Attack => ({
  name: `${path} is ${what}`,
  tries: 'another format under an accepted name, told by its first bytes',
  label: 'INVALID',
  code: 'precheck.file_content',
  files: withFile(path, (old) => {
    // As long as the file it stands in for, so that its size says nothing.
    const whole = new Uint8Array(Math.max(old.length, content.length));
    whole.set(content);
    return whole;
  }),
});

export const DISGUISES: Attack[] = [
  disguised('model.safetensors', 'a pickle', PICKLE),
  disguised('model.safetensors', 'a zip of pickles', ZIP),
  disguised('model.safetensors', 'a GGUF file', GGUF),
  disguised('model.safetensors', 'a gzip stream', GZIP),
  disguised('model.safetensors', 'a numpy array', NUMPY),
  disguised('model.safetensors', 'an unresolved LFS pointer', text(POINTER)),
  disguised('model.safetensors', 'an HTML page', text('<!DOCTYPE html><html><body>404</body></html>')),
  disguised('config.json', 'a pickle', PICKLE),
  disguised('config.json', 'an unresolved LFS pointer', text(POINTER)),
  disguised('tokenizer.json', 'a zip', ZIP),
  disguised('README.md', 'a pickle', PICKLE),
  disguised('README.md', 'a zip', ZIP),
  disguised('README.md', 'a gzip stream', GZIP),
  disguised('README.md', 'a native library', ELF),
  disguised('README.md', 'a Windows program', EXE),
  disguised('README.md', 'a WebAssembly module', WASM),
  disguised('README.md', 'a script', text('#!/bin/sh\nrm -rf /\n')),
  disguised('README.md', 'no text at all', bytes(0xff, 0xfe, 0, 0xd8, 0, 0)),
  disguised('README.md', 'full of terminal escapes', text('hello \x1b]0;owned\x07\x1b[2J')),
  {
    name: 'README.md with HTML and a script',
    tries: 'a page that runs where somebody shows it; nobody here does',
    label: 'judged',
    code: null,
    files: withFile('README.md', '<script>fetch("//evil")</script><img src=x onerror=alert(1)>'),
  },
];

const renamed = (name: string, path: string, code = 'hub.name_refused'): Attack => ({
  name,
  tries: `a file called ${JSON.stringify(path.length > 40 ? `${path.slice(0, 40)}...` : path)}`,
  label: 'INVALID',
  code,
  listing: (entries) => [...entries, { ...(entries[0] as Entry), path }],
});

const entryOf = (name: string, type: string, tries: string): Attack => ({
  name,
  tries,
  label: 'INVALID',
  code: 'hub.entry_not_file',
  listing: (entries) => [...entries, { ...(entries[0] as Entry), path: 'data', type }],
});

export const NAMES: Attack[] = [
  renamed('parent folder', '..'),
  renamed('path upwards', '../../home/validator/.ssh/authorized_keys'),
  renamed('path upwards, encoded', '%2e%2e%2fconfig.json'),
  renamed('path upwards, other slash', '..\\config.json'),
  renamed('absolute path', '/etc/passwd'),
  renamed('drive letter', 'C:model.safetensors'),
  renamed('NUL in a name', 'config.json\0.py'),
  renamed('line break in a name', 'config.json\n200 OK'),
  renamed('terminal escape in a name', '\x1b[2Jmodel'),
  renamed('look-alike letter', 'mоdel.safetensors'),
  renamed('right-to-left mark', 'model\u202esnetsrofetas.exe'),
  renamed('full-width letters', 'ｍodel.safetensors'),
  renamed('combining accent', 'mode\u0301l.safetensors'),
  renamed('hidden file', '.bashrc'),
  renamed('empty name', ''),
  renamed('space at the end', 'config.json '),
  renamed('name of 201 characters', 'w'.repeat(201)),
  renamed('name of 100,000 characters', 'w'.repeat(100_000)),
  renamed('nested file', 'weights/model.safetensors'),
  renamed('code in a folder', 'quasar/modeling.py'),
  renamed('case-colliding name', 'CONFIG.JSON', 'hub.name_twice'),
  renamed('the same name twice', 'config.json', 'hub.name_twice'),
  entryOf('folder', 'directory', 'a folder: what is below is listed apart'),
  entryOf('symbolic link', 'symlink', 'a link to a file of the validator'),
  entryOf('submodule', 'commit', 'a link to another repository'),
  {
    name: 'real folder',
    tries: 'a folder that is really there, with weights in it',
    label: 'INVALID',
    code: 'hub.entry_not_file',
    files: withFile('weights/model.safetensors', 'x'),
  },
  {
    name: '500 files',
    tries: 'more files than a listing may have',
    label: 'INVALID',
    code: 'hub.too_many_files',
    listing: (entries) => Array.from({ length: 500 }, (_, i) => ({ ...(entries[0] as Entry), path: `f${i}` })),
  },
  {
    name: '65 real files',
    tries: 'one file more than allowed, really there',
    label: 'INVALID',
    code: 'hub.too_many_files',
    files: ({ files }) => new Map([...files, ...Array.from({ length: 62 }, (_, i) => [`f${i}`, text('x')] as const)]),
  },
];

const declared = (name: string, path: string, size: number, tries: string, code = 'precheck.size'): Attack => ({
  name,
  tries,
  label: 'INVALID',
  code,
  listing: (entries) =>
    entries.map((one) => (one.path === path && one.lfs ? { ...one, size, lfs: { ...one.lfs, size } } : one)),
});

export const SIZES: Attack[] = [
  declared('weights of 1 TB', 'model.safetensors', 1e12, 'fills the disk of the validator'),
  declared('weights of 9 PB', 'model.safetensors', Number.MAX_SAFE_INTEGER, 'fills the disk, or overflows a sum'),
  declared('weights of half the size', 'model.safetensors', 40_000, 'a smaller model, or weights in 8 bits'),
  declared('weights of no size', 'model.safetensors', 0, 'an empty file'),
  declared('config of 1 GB', 'config.json', 1e9, 'fills the memory of whoever parses it'),
  declared('tokenizer of 1 GB', 'tokenizer.json', 1e9, 'fills the memory of whoever parses it'),
  {
    name: 'README of 2 MiB',
    tries: 'padding: more than a description needs',
    label: 'INVALID',
    code: 'precheck.size',
    files: withFile('README.md', 'x'.repeat(2 ** 21)),
  },
  {
    name: 'config of 100 kB',
    tries: 'padding with blanks',
    label: 'INVALID',
    code: 'precheck.size',
    files: withFile('config.json', (old) => text(`${new TextDecoder().decode(old)}${' '.repeat(100_000)}`)),
  },
  {
    name: 'full precision',
    tries: 'weights in F32: twice the size, finer than anybody else has',
    label: 'INVALID',
    code: 'precheck.size',
    files: withFile('model.safetensors', (old) => {
      const twice = new Uint8Array(2 * old.length);
      twice.set(old);
      return twice;
    }),
  },
  {
    name: 'large file outside LFS',
    tries: 'a file that has to be read whole to learn its digest',
    label: 'INVALID',
    code: 'hub.git_files_too_large',
    listing: (entries) => entries.map(({ lfs: _, ...one }) => ({ ...one, size: 64 * 2 ** 20 })),
  },
];

/** Somebody else's weights cut into files; `indexName` null: no index. The pieces are accepted, so it is asked whose they are. */
function resharded(parts: number, indexName: string | null, nameOf = canonicalName) {
  return ({ files }: Honest): Files => {
    const tensors = [...SMALLEST.victim];
    const shardOf = (i: number) => Math.floor((i * parts) / tensors.length);
    const cut = new Map(files);
    cut.delete('model.safetensors');
    for (let part = 0; part < parts; part++) {
      const shard = new Map(tensors.filter((_, i) => shardOf(i) === part));
      cut.set(nameOf(part + 1, parts), writeSafetensors(shard));
    }
    const weight_map = Object.fromEntries(tensors.map(([name], i) => [name, nameOf(shardOf(i) + 1, parts)]));
    const total_size = tensors.reduce(
      (sum, [, { dtype, values }]) => sum + values.length * (dtype === 'F32' ? 4 : 2),
      0,
    );
    const index = JSON.stringify({ metadata: { total_size }, weight_map });
    if (indexName !== null) cut.set(indexName, text(index));
    return cut;
  };
}

const canonicalName = (part: number, parts: number) =>
  `model-${String(part).padStart(5, '0')}-of-${String(parts).padStart(5, '0')}.safetensors`;

const INDEX = 'model.safetensors.index.json';

const copied = (name: string, tries: string, files: (honest: Honest) => Files): Attack => ({
  name,
  tries,
  label: 'COPY',
  code: 'copy.same_content',
  files,
});

export const RESHARDS: Attack[] = [
  copied('two shards', 'the weights of somebody else in two files', resharded(2, INDEX)),
  copied('four shards', 'and in four, as many as these rules take', resharded(4, INDEX)),
  refused('seven shards', 'more than these rules take', 'shards', resharded(7, INDEX)),
  copied(
    'shards counted backwards',
    'the last tensors in the first file',
    resharded(3, INDEX, (part, parts) => canonicalName(parts + 1 - part, parts)),
  ),
  refused(
    'shards of other names',
    'files that no pattern of names knows',
    'file_refused',
    resharded(2, INDEX, (part) => `part${part}.safetensors`),
  ),
  refused(
    'index of another name',
    'an index that only some readers look for',
    'file_refused',
    resharded(2, 'weights.index.json'),
  ),
  refused(
    'shards without an index',
    'an order that every reader guesses for itself',
    'missing_file',
    resharded(2, null),
  ),
  refused('whole and in shards', 'two sets of weights: which one is measured?', 'file_refused', (honest) =>
    new Map(resharded(2, INDEX)(honest)).set('model.safetensors', honest.files.get('model.safetensors')!),
  ),
];
