import { approval, greet, hatchet, order } from './tasks.js';

const worker = await hatchet.worker('typescript-example', {
  workflows: [greet, order, approval],
  slots: 10,
});
await worker.start();
