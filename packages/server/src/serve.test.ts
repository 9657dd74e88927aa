import { openStore } from '@quasar/store';
import { expect, it } from 'vitest';
import { createApp } from './app.ts';
import { createLog } from './log.ts';
import { serve } from './serve.ts';

const log = createLog('silent');

it('says which port is taken and what to do', async () => {
  const store = openStore({ path: ':memory:' });
  const first = await serve(createApp({ store, log }), { port: 0 });
  const second = createApp({ store, log });
  const port = Number(new URL(first.url).port);
  try {
    await expect(serve(second, { port })).rejects.toMatchObject({
      code: 'server.port_in_use',
      message: expect.stringContaining(String(port)),
      hint: expect.stringContaining(String(port + 1)),
    });
    expect((await fetch(`${first.url}/health`)).status).toBe(200);
  } finally {
    await second.close();
    await first.close();
    store.close();
  }
});

it('says that an address is not one of this machine', async () => {
  const store = openStore({ path: ':memory:' });
  const app = createApp({ store, log });
  await expect(serve(app, { port: 0, host: '203.0.113.1' })).rejects.toMatchObject({ code: 'server.listen_failed' });
  await app.close();
  store.close();
});

it('closes with an event stream open', async () => {
  const store = openStore({ path: ':memory:' });
  const served = await serve(createApp({ store, log }), { port: 0 });
  const response = await fetch(`${served.url}/api/events`);
  const reader = response.body?.getReader();
  await reader?.read();
  await served.close();
  await expect(fetch(`${served.url}/health`)).rejects.toThrow();
  await reader?.cancel().catch(() => {});
  store.close();
});
