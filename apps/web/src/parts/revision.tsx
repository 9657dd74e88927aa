/** @file A long hash: the page holds it in full, the eye sees as much as fits, a click copies all of it. */
import { useState } from 'react';

const COPIED_MS = 1500;

export function Revision({ value, label, testId }: { value: string; label: string; testId?: string }) {
  const [isCopied, setIsCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard?.writeText(value);
    setIsCopied(true);
    setTimeout(() => setIsCopied(false), COPIED_MS);
  };
  return (
    <button
      type="button"
      className={isCopied ? 'hash is-copied' : 'hash'}
      title={`${value} (click to copy)`}
      aria-label={`Copy ${label} ${value}`}
      onClick={copy}
    >
      <span className="hash-text" data-testid={testId}>
        {value}
      </span>
      <svg className="hash-icon" viewBox="0 0 16 16" aria-hidden="true">
        {isCopied ? <path d="M3 8.5 6.5 12 13 4.5" /> : <path d="M5.5 5.5v-3h8v8h-3m-8-5h8v8h-8z" />}
      </svg>
    </button>
  );
}
