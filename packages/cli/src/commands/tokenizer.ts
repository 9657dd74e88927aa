/** @file `quasar tokenizer train`: a byte-level BPE vocabulary from the world and from text of one's own. */
import { Command } from 'commander';
import { contextOf, fromCaller } from '../context.ts';
import { type DataFlags, readSpecs, stageData, withDataOptions } from '../data-options.ts';
import { wholeNumber } from '../options.ts';

const DEFAULT_CONVERSATIONS = 20_000;
const DEFAULT_VOCABULARY = 1024;

/** Of the data: a vocabulary of any size is learned from less. */
const SAMPLE_BYTES = 64 * 2 ** 20;

interface TrainFlags extends DataFlags {
  out: string;
  size: number;
  seed: string;
  conversations: number;
}

export function tokenizer(): Command {
  const train = withDataOptions(new Command('train'), 'text to read as well')
    .description('Learn a vocabulary from conversations of the world, and from your own text with --data.')
    .requiredOption('--out <file>', 'where tokenizer.json goes')
    .option('--size <number>', 'tokens in all', wholeNumber(264, 2 ** 20), DEFAULT_VOCABULARY)
    .option('--seed <text>', 'of the conversations', '0')
    .option('--conversations <number>', 'how many conversations to read', wholeNumber(1), DEFAULT_CONVERSATIONS)
    .action(async (options: TrainFlags, command: Command) => {
      const context = contextOf(command);
      const { writeFileAtomic } = await import('@quasar/base');
      const { emitTokenizerJson, trainBpe } = await import('@quasar/model');
      const { sampleTexts } = await import('@quasar/train');
      const { generateConversation } = await import('@quasar/world');
      const given = await stageData(context, await readSpecs(options.data ?? []), options);
      const { texts, skipped } = await sampleTexts(given.specs, SAMPLE_BYTES, given);
      for (const one of skipped) given.onSkipped?.(one);
      for (let i = 0; i < options.conversations; i++) {
        const { messages } = generateConversation(`${options.seed}/tokenizer/${i}`, 'train', { turns: 2 });
        texts.push(...messages.map((message) => message.content));
      }
      const trained = trainBpe(texts, { vocabSize: options.size });
      const path = fromCaller(options.out);
      writeFileAtomic(path, emitTokenizerJson(trained.vocabulary));
      const chars = texts.reduce((sum, text) => sum + text.length, 0);
      context.result(
        { tokenizer: path, vocabSize: trained.vocabSize, chars },
        `${path}: ${trained.vocabSize} tokens from ${chars} characters`,
      );
    });
  return new Command('tokenizer').description('Tokenizers.').addCommand(train);
}
