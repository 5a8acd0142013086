import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ResultStore } from '../../../src/domain/ports/result-store.ts';
import { reconcileKeyed, reconcileObject } from '../../../src/domain/reconcile.ts';
import { buildPipeline } from '../../../src/entrypoints/cli/build/build-pipeline.ts';
import { repository } from '../../cli/harness.ts';
import { measuresOf, openResults } from '../stack/results.ts';
import { LAKE_BUCKET, startStack, type Stack } from '../stack/stack.ts';
import pipeline from './pipelines/mischief.ts';
import { csvOf, lanesOf, shipments, type Shipment } from './shipments.ts';

const GENERATION = 'mischief@1';
const never = new AbortController().signal;
const fails = ({ id }: Shipment) => id % 500 === 7;

describe('a pipeline that hangs, eats all memory and ends its process', () => {
  let folder: string;
  let stack: Stack;
  let store: ResultStore;
  const log: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'sluice-mischief-'));
    await mkdir(path.join(folder, 'marks'));
    const build = path.join(folder, 'build');
    await buildPipeline(path.join(repository, 'test/servers/e2e/pipelines/mischief.ts'), build);
    stack = await startStack({
      build,
      memoryMb: 256,
      timeoutMs: 5_000,
      environment: { MISCHIEF: path.join(folder, 'marks') },
      log: ({ line }) => void log.push(line),
    });
    store = await openResults(stack.peers.postgres.url);
  });

  afterAll(async () => {
    await store?.close();
    await stack?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const lanes = () => measuresOf(store, GENERATION, pipeline);

  it(
    'loses nothing and counts nothing twice, and what failed is processed again when it is mended',
    { timeout: 240_000 },
    async () => {
      const rows = shipments(0, 10_000);
      await stack.put('shipments.csv', Buffer.from(csvOf(rows)));
      await stack.twin.invoke('dispatch', { objects: [`s3://${LAKE_BUCKET}/shipments.csv`] });
      await stack.twin.idle(AbortSignal.timeout(180_000));

      const { timeouts, exits } = stack.functions.transform.counts;
      expect(timeouts + exits).toBeGreaterThan(0);
      // What comes again is probed: the rows behind the first one end probes, and none of them gets a verdict.
      expect(log.filter((line) => line.includes('a probe ended')).length).toBeGreaterThan(1);
      const [object] = await Array.fromAsync(store.objects({ generation: GENERATION }, never));
      expect(object).toMatchObject({ complete: true, rows: rows.length, failed: rows.filter(fails).length });
      expect(reconcileObject(object!).balances).toBe(true);
      expect(await lanes()).toEqual(lanesOf(rows.filter((row) => !fails(row))));

      const { wouldRedrive } = (await stack.twin.invoke('reprocess', {
        code: 'E_NOT_TODAY',
        dryRun: true,
      })) as { wouldRedrive: readonly string[] };
      expect(wouldRedrive).toHaveLength(rows.filter(fails).length);
      // Before it is mended it fails again, and stays one failure.
      await stack.twin.invoke('reprocess', { id: wouldRedrive[0] });
      await stack.twin.idle(AbortSignal.timeout(60_000));
      expect(await Array.fromAsync(store.failures({ id: wouldRedrive[0]! }, never))).toMatchObject([
        { state: 'open', attempts: 2 },
      ]);

      // What nobody awaits fails the invocation that it belongs to, says where it is from, and ends no process.
      await writeFile(path.join(folder, 'marks/forgetful'), '');
      const { coldStarts } = stack.functions.reprocess.counts;
      await expect(stack.twin.invoke('reprocess', { id: wouldRedrive[1] })).rejects.toThrow(
        'a promise that nobody awaits was rejected with Error',
      );
      await rm(path.join(folder, 'marks/forgetful'));
      expect(log.find((line) => line.includes('"code":"E_NOT_AWAITED"'))).toMatch(
        /"origin":" {4}at [^"]*mischief\.ts:\d+/,
      );
      expect(stack.functions.reprocess.counts).toMatchObject({ coldStarts, exits: 0 });

      await writeFile(path.join(folder, 'marks/mended'), '');
      const begunAt = performance.now();
      const selected = { code: 'E_NOT_TODAY', object: 'shipments.csv', rate: rows.filter(fails).length / 2 };
      while (((await stack.twin.invoke('reprocess', selected)) as { readonly more: boolean }).more);
      expect(performance.now() - begunAt).toBeGreaterThan(1_000);
      await stack.twin.idle(AbortSignal.timeout(60_000));
      expect(await lanes()).toEqual(lanesOf(rows));
      expect(await store.countOpenFailures({ generation: GENERATION }, never)).toEqual({});
      // Twice is harmless.
      await stack.twin.invoke('reprocess', { code: 'E_NOT_TODAY' });
      await stack.twin.idle(AbortSignal.timeout(60_000));
      expect(await lanes()).toEqual(lanesOf(rows));

      const more = shipments(20_000, 20_300);
      for (const batch of [more, more.toReversed()]) await send(stack, batch);
      await stack.twin.idle(AbortSignal.timeout(60_000));
      expect(await lanes()).toEqual(lanesOf([...rows, ...more]));
      const [source] = await store.keyedSources(GENERATION, never);
      expect(source).toMatchObject({ rows: more.length, applied: more.length });
      expect(reconcileKeyed(source!).balances).toBe(true);

      // An ad-hoc question has results of its own.
      const reply = (await stack.twin.invoke('dispatch', {
        prefix: `s3://${LAKE_BUCKET}/`,
        where: { id: { $lt: 100 } },
      })) as { generation: string };
      expect(reply.generation).toMatch(/^mischief@1\?/);
      await stack.twin.idle(AbortSignal.timeout(60_000));
      const [asked] = await Array.fromAsync(store.objects({ generation: reply.generation }, never));
      expect(asked).toMatchObject({ complete: true, transformed: 100 });
      expect(await lanes()).toEqual(lanesOf([...rows, ...more]));
    },
  );
});

async function send({ peers }: Stack, messages: readonly Shipment[]): Promise<void> {
  for (let at = 0; at < messages.length; at += 10) {
    await peers.sqs.send(
      new SendMessageBatchCommand({
        QueueUrl: peers.queues.messages,
        Entries: messages
          .slice(at, at + 10)
          .map((message, index) => ({ Id: `${index}`, MessageBody: JSON.stringify(message) })),
      }),
    );
  }
}
