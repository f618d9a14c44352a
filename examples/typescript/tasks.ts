// What the worker runs and the demo triggers: a task, a workflow of two steps, a durable task.

import { HatchetClient } from '@hatchet-dev/typescript-sdk';

export const hatchet = HatchetClient.init();

type Guest = { name: string };

export const greet = hatchet.task({
  name: 'ts-greet',
  retries: 2,
  fn: async (input: Guest, ctx) => {
    await ctx.logger.info(`attempt ${ctx.retryCount() + 1}`);
    return { text: `Welcome, ${input.name}!` };
  },
});

type Order = { item: string; quantity: number };

export const order = hatchet.workflow<Order>({ name: 'ts-order' });

const price = order.task({
  name: 'price',
  fn: async (input: Order) => ({ cents: 250 * input.quantity }),
});

order.task({
  name: 'receipt',
  parents: [price],
  fn: async (input: Order, ctx) => {
    const { cents } = await ctx.parentOutput(price);
    for (const part of [input.item, ' × ', `${input.quantity}`]) {
      await ctx.putStream(part);
    }
    return { line: `${input.quantity} ${input.item}: ${(cents / 100).toFixed(2)}` };
  },
});

// Sleeps a second, then waits for an event; both waits survive a restart of the worker and of the engine.
export const approval = hatchet.durableTask({
  name: 'ts-approval',
  executionTimeout: '2m',
  fn: async (input: Guest, ctx) => {
    await ctx.sleepFor('1s');
    const answer = await ctx.waitForEvent('ts:answered', `input.name == '${input.name}'`);
    const greeting = await ctx.spawnChild(greet, input);
    return { approved: Boolean(answer.approved), greeting: greeting.text };
  },
});
