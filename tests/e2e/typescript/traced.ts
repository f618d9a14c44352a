// An instrumented worker: its SDK's spans, and one of its own within a task.

import { trace } from '@opentelemetry/api';
import { registerInstrumentations } from '@opentelemetry/instrumentation';
import { HatchetInstrumentor } from '@hatchet-dev/typescript-sdk/opentelemetry';

registerInstrumentations({ instrumentations: [new HatchetInstrumentor({ bspConfig: { scheduledDelayMillis: 100 } })] });

// What is instrumented is loaded after.
const { HatchetClient } = await import('@hatchet-dev/typescript-sdk');
const hatchet = HatchetClient.init();
const traced = hatchet.task({
  name: 'ts-traced',
  fn: async () => trace.getTracer('shop').startActiveSpan('charge', (span) => {
    span.end();
    return { done: true };
  }),
});
const worker = await hatchet.worker(process.env.E2E_WORKER_NAME ?? 'traced', { workflows: [traced] });
await worker.start();
