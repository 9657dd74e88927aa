/** @file Check: tokenizer.json is the base model's, byte for byte: another tokenizer would change what a KL means. */
import type { Issue } from '@quasar/base';
import type { HubFile } from '@quasar/hub';
import type { ModelLock } from './model-lock.ts';

export function checkLockedTokenizer(file: HubFile, lock: ModelLock): Issue[] {
  if (file.sha256 === lock.tokenizerSha256) return [];
  return [
    {
      code: 'precheck.tokenizer_mismatch',
      path: 'tokenizer.json',
      message: `sha256 ${file.sha256.slice(0, 16)}..., expected ${lock.tokenizerSha256.slice(0, 16)}...`,
      hint: 'Copy tokenizer.json from the base model unchanged.',
    },
  ];
}
