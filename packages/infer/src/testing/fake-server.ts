/** @file For tests: an HTTP server that answers what a test says, and remembers what it was asked. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  path: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever a client sends
  body: any;
  authorization: string | undefined;
}

/** A JSON body (200), a status with a body, or what the function writes itself. */
export type Reply =
  | { status?: number; headers?: Record<string, string>; json: unknown }
  | ((response: ServerResponse) => void);

export interface FakeServer {
  url: string;
  asked: Asked[];
  close(): Promise<void>;
}

export async function fakeServer(reply: (asked: Asked, number: number) => Reply): Promise<FakeServer> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    request.on('end', () => {
      const { authorization } = request.headers;
      const one = { path: request.url ?? '', body: text === '' ? null : JSON.parse(text), authorization };
      asked.push(one);
      const answer = reply(one, asked.length);
      if (typeof answer === 'function') return answer(response);
      const { status = 200, headers = {}, json } = answer;
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(json));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
