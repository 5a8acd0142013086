import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import {
  type FunctionError,
  type FunctionLogLine,
  ProcessFunction,
  type ProcessFunctionSettings,
  ThrottledError,
} from '../../../src/testing/lambda/index.ts';
import { bundleOf, runtimeClient } from './runtime-client.ts';

const atEnd: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of atEnd.splice(0).toReversed()) await end();
});

/** A function from source, its log, and everything cleaned up after the test. */
async function functionOf(source: string, settings: Partial<ProcessFunctionSettings> = {}) {
  const { folder, remove } = await bundleOf(source);
  const log: FunctionLogLine[] = [];
  const deployed = new ProcessFunction({ name: 'tried', folder, runtimeClient, ...settings }, (line) => {
    log.push(line);
  });
  atEnd.push(remove, () => deployed.stop());
  const lines = () => log.map(({ line }) => line).join('\n');
  return { deployed, folder, log, lines };
}

const failing = (invocation: Promise<unknown>) =>
  invocation.then(
    () => {
      throw new Error('The invocation should have failed');
    },
    (error: unknown) => error as FunctionError,
  );

/** Processes of the machine that have this folder as theirs. */
async function processesIn(folder: string): Promise<number> {
  const { readdir, readlink } = await import('node:fs/promises');
  const cwds = await Promise.all(
    (await readdir('/proc'))
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')),
  );
  return cwds.filter((cwd) => cwd === folder).length;
}

test('answers with what the handler returns, and tells it of itself', async () => {
  const { deployed, folder, lines } = await functionOf(
    `export async function handler(event, context) {
      console.log('got', event.word);
      return { event, name: context.functionName, left: context.getRemainingTimeInMillis(), id: context.awsRequestId,
        memory: context.memoryLimitInMB, arn: context.invokedFunctionArn, own: process.env.OWN, home: process.env.HOME };
    }`,
    { environment: { OWN: 'yes' }, memoryMb: 256, timeoutMs: 20_000, region: 'eu-central-1' },
  );
  const answer = (await deployed.invoke({ word: 'grüß\n"dich"' })) as Record<string, unknown>;
  expect(answer).toMatchObject({
    event: { word: 'grüß\n"dich"' },
    name: 'tried',
    memory: '256',
    own: 'yes',
    arn: 'arn:aws:lambda:eu-central-1:000000000000:function:tried',
  });
  expect(answer).not.toHaveProperty('home');
  expect(answer['left']).toBeGreaterThan(10_000);
  expect(answer['left']).toBeLessThanOrEqual(20_000);
  expect(lines()).toContain(`START RequestId: ${String(answer['id'])}`);
  expect(lines()).toMatch(/got grüß/);
  expect(lines()).toMatch(
    /REPORT RequestId: .*Memory Size: 256 MB\tMax Memory Used: \d+ MB\tInit Duration: /,
  );
  await deployed.stop();
  expect(await processesIn(folder)).toBe(0);
});

test('two invocations use one environment; its state stays', async () => {
  const { deployed, log, lines } = await functionOf(
    `let calls = 0; export const handler = async () => ({ calls: ++calls, pid: process.pid });`,
  );
  const first = (await deployed.invoke({})) as { calls: number; pid: number };
  const second = (await deployed.invoke({})) as { calls: number; pid: number };
  expect(second).toEqual({ calls: 2, pid: first.pid });
  expect(deployed.counts).toMatchObject({ invocations: 2, coldStarts: 1, errors: 0 });
  expect(new Set(log.map(({ environment }) => environment)).size).toBe(1);
  // What ends afterwards has failed neither of them.
  await deployed.stop();
  expect(lines()).not.toContain('Runtime.ExitError');
});

test('several at once have environments of their own; one more is throttled', async () => {
  const { deployed } = await functionOf(
    `export const handler = async () => { await new Promise((r) => setTimeout(r, 1000)); return process.pid; };`,
    { concurrency: 2 },
  );
  const both = Promise.all([deployed.invoke({}), deployed.invoke({})]);
  await expect(deployed.invoke({})).rejects.toBeInstanceOf(ThrottledError);
  expect(new Set(await both).size).toBe(2);
  expect(deployed.counts).toMatchObject({ invocations: 2, throttles: 1, coldStarts: 2 });
});

test('what the handler throws is its error, and the environment lives on', async () => {
  const { deployed } = await functionOf(
    `let calls = 0;
     class Mishap extends Error { name = 'Mishap' }
     export const handler = async () => { if (++calls === 1) throw new Mishap('not today'); return calls; };`,
  );
  const error = await failing(deployed.invoke({}));
  expect(error).toMatchObject({ errorType: 'Mishap', message: 'not today' });
  expect(await deployed.invoke({})).toBe(2);
  expect(deployed.counts).toMatchObject({ errors: 1, coldStarts: 1 });
});

test('a handler that hangs is killed at its deadline, and the next call has a new environment', async () => {
  const { deployed, lines } = await functionOf(
    `let calls = 0; export const handler = async ({ hang }) => { calls += 1; if (hang) await new Promise((r) => setTimeout(r, 60000)); return calls; };`,
    { timeoutMs: 2000 },
  );
  await deployed.invoke({});
  const error = await failing(deployed.invoke({ hang: true }));
  expect(error).toMatchObject({ errorType: 'Sandbox.Timedout' });
  expect(lines()).toMatch(/Z [\da-f-]{36} Task timed out after 2\.00 seconds/);
  expect(await deployed.invoke({})).toBe(1);
  expect(deployed.counts).toMatchObject({ timeouts: 1, errors: 1, coldStarts: 2, exits: 0, kills: 0 });
});

test('a loop that never yields is killed at its deadline, too', async () => {
  const { deployed } = await functionOf(`export const handler = async () => { for (;;); };`, {
    timeoutMs: 2000,
  });
  expect(await failing(deployed.invoke({}))).toMatchObject({ errorType: 'Sandbox.Timedout' });
});

test('a heap that is full aborts the process', async () => {
  const { deployed, lines } = await functionOf(
    `export const handler = async ({ eat }) => { const kept = []; while (eat) kept.push(new Array(1000).fill(Math.random())); return 'fed'; };`,
    { memoryMb: 128 },
  );
  const error = await failing(deployed.invoke({ eat: true }));
  expect(error).toMatchObject({ errorType: 'Runtime.ExitError' });
  expect(error.message).toMatch(/Runtime exited with error: signal: (aborted|killed)/);
  expect(lines()).toMatch(/Runtime\.ExitError/);
  expect(await deployed.invoke({})).toBe('fed');
  expect(deployed.counts).toMatchObject({ exits: 1, coldStarts: 2 });
});

test('memory outside of the heap counts, too', async () => {
  const { deployed } = await functionOf(
    `export const handler = async () => { const kept = []; for (;;) { kept.push(Buffer.alloc(2 ** 22, 1)); await new Promise((r) => setTimeout(r, 1)); } };`,
    { memoryMb: 256 },
  );
  const error = await failing(deployed.invoke({}));
  expect(error.message).toMatch(/Runtime exited with error: signal: killed/);
  expect(deployed.counts).toMatchObject({ exits: 1 });
});

test('process.exit fails the invocation', async () => {
  const { deployed } = await functionOf(`export const handler = async ({ code }) => process.exit(code);`);
  expect(await failing(deployed.invoke({ code: 3 }))).toMatchObject({
    errorType: 'Runtime.ExitError',
    message: expect.stringMatching(/Runtime exited with error: exit status 3$/) as string,
  });
  expect((await failing(deployed.invoke({ code: 0 }))).message).toMatch(
    /Runtime exited without providing a reason$/,
  );
});

test('a promise that never settles ends the process, as nothing is left to do', async () => {
  const { deployed } = await functionOf(`export const handler = () => new Promise(() => {});`, {
    timeoutMs: 20_000,
  });
  expect(await failing(deployed.invoke({}))).toMatchObject({ errorType: 'Runtime.ExitError' });
});

test('a rejection that nobody awaits ends the process', async () => {
  const { deployed } = await functionOf(
    `export const handler = async () => { void Promise.reject(new Error('lost')); await new Promise((r) => setTimeout(r, 5000)); };`,
  );
  expect(await failing(deployed.invoke({}))).toMatchObject({ errorType: 'Runtime.ExitError' });
});

test('SIGKILL in the middle fails the invocation; the next one is served', async () => {
  const { deployed, folder } = await functionOf(
    `import { writeFileSync } from 'node:fs';
     export const handler = async ({ wait }) => { if (wait) { writeFileSync('begun', ''); await new Promise((r) => setTimeout(r, 60000)); } return 'done'; };`,
  );
  const invocation = failing(deployed.invoke({ wait: true }));
  await expect.poll(() => existsSync(join(folder, 'begun')), { timeout: 20_000 }).toBe(true);
  expect(await deployed.kill()).toBe(true);
  expect((await invocation).message).toMatch(/signal: killed/);
  expect(await deployed.invoke({})).toBe('done');
  expect(await deployed.kill()).toBe(false);
  expect(deployed.counts).toMatchObject({ kills: 1, exits: 0, timeouts: 0, coldStarts: 2 });
});

test.for([
  { way: 'stand-still', signal: 'SIGSTOP', errorType: 'Sandbox.Timedout', count: 'timeouts' },
  { way: 'take-memory', signal: 'SIGUSR2', errorType: 'Runtime.ExitError', count: 'exits' },
] as const)('one that works can be made to $way', async ({ signal, errorType, count }) => {
  const takeMemory = new URL('../stack/take-memory.ts', import.meta.url).href;
  const { deployed, folder } = await functionOf(
    `import { writeFileSync } from 'node:fs';
     export const handler = async () => { writeFileSync('begun', ''); await new Promise((r) => setTimeout(r, 60000)); };`,
    { timeoutMs: 5_000, memoryMb: 256, environment: { NODE_OPTIONS: `--import ${takeMemory}` } },
  );
  expect(deployed.signal(signal)).toBe(false);
  const invocation = failing(deployed.invoke({}));
  await expect.poll(() => existsSync(join(folder, 'begun')), { timeout: 20_000 }).toBe(true);
  expect(deployed.signal(signal)).toBe(true);
  expect(await invocation).toMatchObject({ errorType });
  expect(deployed.counts).toMatchObject({ kills: 0, [count]: 1 });
});

test('a module that does not load fails the call, and the next call tries again', async () => {
  const { deployed, folder } = await functionOf(
    `import { existsSync } from 'node:fs';
     if (!existsSync('ready')) throw new TypeError('not yet');
     export const handler = async () => 'up';`,
  );
  expect(await failing(deployed.invoke({}))).toMatchObject({ errorType: 'TypeError', message: 'not yet' });
  await writeFile(join(folder, 'ready'), '');
  expect(await deployed.invoke({})).toBe('up');
  expect(deployed.counts).toMatchObject({ initErrors: 1, coldStarts: 2, invocations: 2, errors: 1 });
});

test('an answer over 6 MB is an error', async () => {
  const { deployed } = await functionOf(`export const handler = async ({ bytes }) => 'x'.repeat(bytes);`);
  expect(await failing(deployed.invoke({ bytes: 6_300_000 }))).toMatchObject({
    errorType: 'Function.ResponseSizeTooLarge',
  });
  expect(await deployed.invoke({ bytes: 5 })).toBe('xxxxx');
  await expect(deployed.invoke({ large: 'x'.repeat(6_300_000) })).rejects.toThrow(/bytes/);
});

test('a frozen environment does not work between invocations', async () => {
  const { deployed } = await functionOf(
    `let ticks = 0; setInterval(() => { ticks += 1; }, 10); export const handler = async () => ticks;`,
    { freeze: true },
  );
  await deployed.invoke({});
  const before = (await deployed.invoke({})) as number;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  // Timers that were missed fire once.
  expect((await deployed.invoke({})) as number).toBeLessThan(before + 30);
});

test('stop ends what is under way, and leaves no process', async () => {
  const { deployed, folder } = await functionOf(
    `export const handler = async () => { await new Promise((r) => setTimeout(r, 60000)); };`,
    { concurrency: 3 },
  );
  const under = [failing(deployed.invoke({})), failing(deployed.invoke({}))];
  await expect.poll(() => deployed.running, { timeout: 20_000 }).toBe(2);
  const starting = failing(deployed.invoke({}));
  await deployed.stop();
  expect(await Promise.all([...under, starting])).toHaveLength(3);
  expect(await processesIn(folder)).toBe(0);
});
