import * as tasks from './tasks.js';

const { hatchet, ...workflows } = tasks;
const worker = await hatchet.worker(process.env.E2E_WORKER_NAME ?? 'typescript', {
  workflows: Object.values(workflows),
  slots: 20,
});
await worker.start();
