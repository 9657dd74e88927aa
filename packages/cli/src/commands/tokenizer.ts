/** @file `quasar tokenizer train`: a byte-level BPE vocabulary from the world and from text of one's own. */
import { Command } from 'commander';
import { contextOf, fromCaller } from '../context.ts';
import { wholeNumber } from '../options.ts';

const DEFAULT_CONVERSATIONS = 20_000;
const DEFAULT_VOCABULARY = 1024;

interface TrainFlags {
  out: string;
  size: number;
  seed: string;
  conversations: number;
  data?: string;
}

export function tokenizer(): Command {
  const train = new Command('train')
    .description('Learn a vocabulary from conversations of the world, and from your own text with --data.')
    .requiredOption('--out <file>', 'where tokenizer.json goes')
    .option('--size <number>', 'tokens in all', wholeNumber(264, 2 ** 20), DEFAULT_VOCABULARY)
    .option('--seed <text>', 'of the conversations', '0')
    .option('--conversations <number>', 'how many conversations to read', wholeNumber(1), DEFAULT_CONVERSATIONS)
    .option('--data <path>', 'text to read as well: a file, or a folder with .txt, .md or .jsonl files')
    .action(async (options: TrainFlags, command: Command) => {
      const context = contextOf(command);
      const { writeFileAtomic } = await import('@quasar/base');
      const { emitTokenizerJson, trainBpe } = await import('@quasar/model');
      const { readText } = await import('@quasar/train');
      const { generateConversation } = await import('@quasar/world');
      const texts = options.data === undefined ? [] : readText(fromCaller(options.data));
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
