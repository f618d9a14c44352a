// Runs functions of calls.ts on request, one JSON object a line in and out: as answer_calls.py.

import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';

// Whatever the SDK prints belongs to the log, not between the answers.
process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;

const calls: Record<string, (given: any) => Promise<unknown>> = { ...(await import('./calls.js')) };

for await (const line of createInterface({ input: process.stdin })) {
  const { call, given } = JSON.parse(line);
  let answer: object;
  try {
    answer = { value: (await calls[call](given)) ?? null };
  } catch (error) {
    const { name, message, stack } = error instanceof Error ? error : new Error(`${error}`);
    answer = { error: name, text: message, traceback: stack ?? '' };
  }
  writeSync(1, `${JSON.stringify(answer)}\n`);
}
process.exit(0);
