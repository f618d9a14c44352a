// What the tests ask a client program to do.

import * as tasks from './tasks.js';

const { hatchet } = tasks;

type Given = Record<string, any>;

export const run = ({ name, input, metadata }: Given) =>
  hatchet.run(name, input ?? {}, { additionalMetadata: metadata });

export const start = async ({ name, input }: Given) =>
  (await hatchet.runNoWait(name, input ?? {}, {})).getWorkflowRunId();

export const result = ({ runId }: Given) => hatchet.runs.runRef(runId).output;

export const runMany = ({ name, inputs }: Given) =>
  Promise.all(inputs.map((input: Given) => hatchet.run(name, input)));

export const push = ({ key, payload, scope }: Given) => hatchet.events.push(key, payload, { scope });

export const cancel = async ({ runId }: Given) => {
  await hatchet.runs.cancel({ ids: [runId] });
};

export const branch = async ({ runId, nodeId }: Given) =>
  (await hatchet.runs.branchDurableTask(runId, nodeId)).data;

export const follow = async ({ runId }: Given) => {
  const parts: string[] = [];
  for await (const part of hatchet.runs.subscribeToStream(runId)) {
    parts.push(part);
  }
  return parts;
};
