// One of everything that a worker in TypeScript is used for.

import { HatchetClient } from '@hatchet-dev/typescript-sdk';

import { mark, passGate } from './signals.js';

export const hatchet = HatchetClient.init();

export const double = hatchet.task({
  name: 'ts-double',
  fn: async (input: { value: number }) => ({ value: 2 * input.value }),
});

// Without input the SDK sends what it likes; the task is given an object all the same.
export const echo = hatchet.task({
  name: 'ts-echo',
  fn: async (input: Record<string, unknown>, ctx) => ({
    input,
    metadata: ctx.additionalMetadata(),
  }),
});

export const failing = hatchet.task({
  name: 'ts-failing',
  retries: 1,
  fn: async (_input: object, ctx) => {
    mark('failing', `${ctx.retryCount()}`);
    throw new Error('the reason is kept: äöü €');
  },
});

export const invoice = hatchet.workflow<{ cents: number }>({ name: 'ts-invoice' });
const net = invoice.task({ name: 'net', fn: async (input) => ({ cents: input.cents }) });
const tax = invoice.task({
  name: 'tax',
  parents: [net],
  fn: async (_input, ctx) => ({ cents: (await ctx.parentOutput(net)).cents / 5 }),
});
invoice.task({
  name: 'total',
  parents: [net, tax],
  fn: async (_input, ctx) => ({
    cents: (await ctx.parentOutput(net)).cents + (await ctx.parentOutput(tax)).cents,
  }),
});

export const parent = hatchet.task({
  name: 'ts-parent',
  fn: async (input: { values: number[] }, ctx) => {
    const children = await ctx.bulkRunChildren(
      input.values.map((value) => ({ workflow: double, input: { value } }))
    );
    return { values: children.map((child) => (child as { value: number }).value) };
  },
});

export const sleeper = hatchet.durableTask({
  name: 'ts-sleeper',
  executionTimeout: '5m',
  fn: async (input: { who: string }, ctx) => {
    mark('sleeper-begun', input.who);
    await ctx.sleepFor('1s');
    mark('sleeper-slept', input.who);
    const answer = await ctx.waitForEvent(
      'ts:answered',
      `input.who == '${input.who}'`,
      undefined,
      input.who,
      '1h'
    );
    const doubled = await ctx.spawnChild(double, { value: Number(answer.value) });
    return { who: input.who, doubled: doubled.value };
  },
});

export const batch = hatchet.batchTask({
  name: 'ts-batch',
  batch: { maxSize: 3, maxInterval: 60_000, groupKey: 'input.group' },
  fn: async (tasks: Record<string, { group: string; value: number }>) => {
    const size = Object.keys(tasks).length;
    return Object.fromEntries(
      Object.entries(tasks).map(([id, task]) => [id, { ...task, size }])
    );
  },
});

export const chunks = hatchet.task({
  name: 'ts-chunks',
  fn: async (input: { parts: string[] }, ctx) => {
    await passGate('chunks');
    for (const part of input.parts) {
      await ctx.putStream(part);
    }
    return { count: input.parts.length };
  },
});

export const endless = hatchet.task({
  name: 'ts-endless',
  executionTimeout: '10m',
  fn: async (_input: object, ctx) => {
    mark('endless-begun', ctx.workflowRunId());
    try {
      await passGate('never', ctx.abortController.signal);
    } finally {
      mark('endless-ended', `${ctx.cancelled}`);
    }
    return {};
  },
});
