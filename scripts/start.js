/** @file `npm start -- ...args`: bootstrap, then `quasar up ...args` in this same process (so signals need no relay). */
import { bootstrapOrExit, root } from './bootstrap.js';

await bootstrapOrExit();
process.argv.splice(2, 0, 'up');
await import(`${root}/packages/cli/bin/quasar.js`);
