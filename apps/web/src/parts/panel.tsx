/** @file A titled card of the page, and what it shows while it has nothing to show. */
import type { ReactNode } from 'react';

interface PanelProps {
  name: string;
  title: string;
  aside?: ReactNode;
  children: ReactNode;
}

/** `name` is the `data-testid` and the anchor of the heading. */
export function Panel({ name, title, aside, children }: PanelProps) {
  return (
    <section className={`panel panel-${name}`} data-testid={name} aria-labelledby={`${name}-title`}>
      <header className="panel-head">
        <h2 id={`${name}-title`}>{title}</h2>
        {aside && <div className="panel-aside">{aside}</div>}
      </header>
      {children}
    </section>
  );
}

export function Empty({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="empty" data-testid="empty">
      <p className="empty-title">{title}</p>
      <p>{children}</p>
    </div>
  );
}
