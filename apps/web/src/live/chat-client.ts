/** @file One streamed answer from `POST /v1/chat/completions`, read with fetch. */

export interface ChatTurn {
  role: 'user' | 'assistant';
  content: string;
}

export interface ChatOutcome {
  /** `<uid>/<revision>/<crowned at block>` of the king that answered; null for the base student. */
  king: string | null;
  tokens: number;
  finishReason: string | null;
}

interface Chunk {
  choices: { delta: { content?: string }; finish_reason: string | null }[];
  usage?: { completion_tokens: number } | null;
  error?: { message: string };
}

/** Thrown with the server's own words. */
export class ChatFailure extends Error {}

export async function streamChat(
  model: string,
  messages: ChatTurn[],
  onText: (text: string) => void,
  signal: AbortSignal,
): Promise<ChatOutcome> {
  const response = await fetch('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0.7,
      max_completion_tokens: 256,
    }),
    signal,
  });
  if (!response.ok || !response.body) {
    const body = (await response.json().catch(() => null)) as { error?: { message?: string } } | null;
    throw new ChatFailure(body?.error?.message ?? `The server answered ${response.status}.`);
  }
  const outcome: ChatOutcome = { king: response.headers.get('x-quasar-king'), tokens: 0, finishReason: null };
  for await (const data of serverSentData(response.body)) {
    if (data === '[DONE]') break;
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error) throw new ChatFailure(chunk.error.message);
    const [choice] = chunk.choices;
    if (choice?.delta.content) onText(choice.delta.content);
    outcome.finishReason = choice?.finish_reason ?? outcome.finishReason;
    outcome.tokens = chunk.usage?.completion_tokens ?? outcome.tokens;
  }
  return outcome;
}

/** The `data:` lines of a server-sent event stream; ours have one line per event. */
async function* serverSentData(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('data: ')) yield line.slice(6);
  }
}
