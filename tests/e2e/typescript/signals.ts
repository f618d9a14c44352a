// How a task under test tells the test something, and waits for its permission: as workers/signals.py.

import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';

const directory = process.env.E2E_DIRECTORY ?? '.';
const POLL_MILLISECONDS = 20;

export function mark(name: string, text = ''): void {
  appendFileSync(join(directory, `${name}.marks`), `${text}\n`);
}

export async function passGate(name: string, signal?: AbortSignal): Promise<void> {
  while (!existsSync(join(directory, `${name}.gate`))) {
    signal?.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
  }
}
