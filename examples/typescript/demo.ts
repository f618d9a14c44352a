import { approval, greet, hatchet, order } from './tasks.js';

console.log('greet:', await greet.run({ name: 'Ada' }));

const receipt = await order.runNoWait({ item: 'axe', quantity: 3 });
for await (const part of hatchet.runs.subscribeToStream(await receipt.getWorkflowRunId())) {
  console.log('streamed:', part);
}
console.log('order:', await receipt.output);

const asked = await approval.runNoWait({ name: 'Grace' });
await new Promise((resolve) => setTimeout(resolve, 2000)); // an event counts once it is waited for
await hatchet.events.push('ts:answered', { name: 'Grace', approved: true });
console.log('approval:', await asked.output);
process.exit(0);
