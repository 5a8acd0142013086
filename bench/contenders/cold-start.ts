/** One cold start: a process of AWS's runtime client with a function, until it asks for its first event, and until that is answered. */
import { firstEnvironment, firstEvents, firstReply } from '../../src/entrypoints/cli/build/first-call.ts';
import { ExecutionEnvironment } from '../../src/testing/lambda/index.ts';
import { runtimeClient } from '../../test/servers/lambda/runtime-client.ts';
import type { FunctionBundle } from '../data/function-bundles.ts';
import type { Counts } from '../harness/contender.ts';

export default async function coldStart({ name, folder, bytes }: FunctionBundle): Promise<Counts> {
  const begunAt = performance.now();
  const environment = await ExecutionEnvironment.start(
    { name, folder, runtimeClient, environment: firstEnvironment, memoryMb: 1024 },
    () => {},
  );
  try {
    const initMs = performance.now() - begunAt;
    const answer = await environment.invoke(JSON.stringify(firstEvents[name]));
    const firstReplyMs = performance.now() - begunAt;
    if (answer !== JSON.stringify(firstReply)) throw new Error(`${name} replied ${answer}`);
    return { bundleBytes: bytes, initMs, firstReplyMs };
  } finally {
    await environment.stop();
  }
}
