/** @file Opens a page in the user's browser, where there is one. Failing to is no error: the address is printed. */
import { spawn } from 'node:child_process';

export function openBrowser(url: string): void {
  const [command, ...args] = { darwin: ['open'], win32: ['cmd', '/c', 'start', ''] }[process.platform as string] ?? [
    'xdg-open',
  ];
  spawn(command as string, [...args, url], { detached: true, stdio: 'ignore' })
    .on('error', () => {})
    .unref();
}
