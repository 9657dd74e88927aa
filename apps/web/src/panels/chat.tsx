/** @file A small conversation with the king, or with the base student while there is none. */
import type { King } from '@quasar/server/wire';
import { type FormEvent, type KeyboardEvent, useEffect, useRef, useState } from 'react';
import { ChatFailure, type ChatTurn, streamChat } from '../live/chat-client.ts';
import { Panel } from '../parts/panel.tsx';

interface Turn extends ChatTurn {
  note?: string;
  isError?: boolean;
}

const SUGGESTIONS = ['Add 2 seeds and 6 seeds.', 'Sort: 9 4 7 1', 'Hi, I am Zoe. I like blue.'];

/** Which models the server has right now; asked again with each crown. */
function useModels(king: King | null): string[] {
  const [models, setModels] = useState<string[]>([]);
  const revision = king?.king_revision;
  useEffect(() => {
    const stop = new AbortController();
    const ask = async () => {
      try {
        const response = await fetch('/v1/models', { signal: stop.signal });
        const { data } = (await response.json()) as { data: { id: string }[] };
        setModels(data.map((one) => one.id).filter((id) => id === 'king' || id === 'base'));
      } catch {
        // The header already says when the server is away.
      }
    };
    void ask();
    // A new king is still being downloaded when its crown is announced.
    const timer = setInterval(ask, revision ? 5000 : 10_000);
    return () => {
      stop.abort();
      clearInterval(timer);
    };
  }, [revision]);
  return models;
}

export function Chat({ king }: { king: King | null }) {
  const models = useModels(king);
  const [chosen, setChosen] = useState<string | null>(null);
  const [turns, setTurns] = useState<Turn[]>([]);
  const [draft, setDraft] = useState('');
  const [running, setRunning] = useState<AbortController | null>(null);
  const log = useRef<HTMLDivElement>(null);
  const model = chosen && models.includes(chosen) ? chosen : (models[0] ?? null);

  useEffect(() => {
    log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [turns]);

  const send = async (text: string) => {
    if (!text.trim() || !model || running) return;
    const abort = new AbortController();
    const history: Turn[] = [...turns.filter((turn) => !turn.isError), { role: 'user', content: text.trim() }];
    setDraft('');
    setRunning(abort);
    setTurns([...history, { role: 'assistant', content: '' }]);
    const change = (edit: (turn: Turn) => Turn) =>
      setTurns((before) => before.map((turn, index) => (index === before.length - 1 ? edit(turn) : turn)));
    const startMs = performance.now();
    try {
      const messages = history.map(({ role, content }) => ({ role, content }));
      const append = (piece: string) => change((turn) => ({ ...turn, content: turn.content + piece }));
      const { king: by, tokens } = await streamChat(model, messages, append, abort.signal);
      const rate = tokens / Math.max(0.001, (performance.now() - startMs) / 1000);
      const name = by ? `king uid ${by.split('/')[0]}` : 'base student';
      change((turn) => ({ ...turn, note: `${name}, ${tokens} tokens, ${rate.toFixed(rate < 10 ? 1 : 0)} per second` }));
    } catch (error) {
      if (abort.signal.aborted) change((turn) => ({ ...turn, note: 'stopped' }));
      else {
        const message = error instanceof ChatFailure ? error.message : 'The server does not answer.';
        change((turn) => ({ ...turn, content: turn.content || message, isError: true }));
      }
    } finally {
      setRunning(null);
    }
  };

  const submit = (event: FormEvent) => {
    event.preventDefault();
    void send(draft);
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    void send(draft);
  };

  return (
    <Panel
      name="chat"
      title="Ask the king"
      aside={
        models.length > 1 && (
          <fieldset className="chips">
            <legend className="hidden">Model</legend>
            {models.map((id) => (
              <button key={id} type="button" aria-pressed={id === model} onClick={() => setChosen(id)}>
                {id}
              </button>
            ))}
          </fieldset>
        )
      }
    >
      <div className="chat-log" ref={log} role="log" aria-live="polite" aria-label="Conversation">
        {turns.length === 0 ? (
          <Opening model={model} king={king} onPick={(text) => void send(text)} />
        ) : (
          turns.map((turn, index) => (
            <div key={index} className={`turn turn-${turn.role}${turn.isError ? ' is-error' : ''}`}>
              <p data-testid={turn.role === 'assistant' ? 'answer' : undefined}>
                {turn.content}
                {running && index === turns.length - 1 && <span className="caret" aria-hidden="true" />}
              </p>
              {turn.note && <p className="fine">{turn.note}</p>}
            </div>
          ))
        )}
      </div>
      <form className="chat-form" onSubmit={submit}>
        <label className="hidden" htmlFor="chat-text">
          Your message
        </label>
        <textarea
          id="chat-text"
          data-testid="chat-text"
          rows={1}
          maxLength={8000}
          value={draft}
          placeholder={model ? `Message the ${model === 'base' ? 'base student' : model}` : 'No model is loaded yet'}
          disabled={!model}
          onChange={(event) => setDraft(event.target.value)}
          onKeyDown={onKey}
        />
        {running ? (
          <button type="button" className="button" onClick={() => running.abort()}>
            Stop
          </button>
        ) : (
          <button
            type="submit"
            className="button button-main"
            disabled={!model || !draft.trim()}
            data-testid="chat-send"
          >
            Send
          </button>
        )}
      </form>
    </Panel>
  );
}

function Opening({ model, king, onPick }: { model: string | null; king: King | null; onPick: (text: string) => void }) {
  if (!model)
    return (
      <div className="chat-opening">
        <p className="empty-title">Nobody to talk to yet</p>
        <p>A model answers here as soon as one is loaded.</p>
      </div>
    );
  return (
    <div className="chat-opening">
      <p>
        {model === 'king'
          ? 'The answers come from the reigning revision, computed on this machine.'
          : king
            ? 'The base student answers: the revision of the king is not loaded here yet.'
            : 'The base student answers: there is no king to ask yet.'}
      </p>
      <div className="suggestions">
        {SUGGESTIONS.map((text) => (
          <button key={text} type="button" onClick={() => onPick(text)}>
            {text}
          </button>
        ))}
      </div>
    </div>
  );
}
