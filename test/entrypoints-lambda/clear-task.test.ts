import { describe, expect, it } from 'vitest';
import { InfrastructureError, DomainError } from '../../src/domain/errors.ts';
import { isBehind, type MarkedRow } from '../../src/domain/ports/row-mark.ts';
import type { Task } from '../../src/domain/section.ts';
import type { Probe, ProbeOutcome } from '../../src/entrypoints/lambda/probe-process.ts';
import { ARNS, failedItems, jsonl, sqsEvent, unstopped, World } from './harness.ts';

const ROWS = 6;
/** Each row is a line of this length. */
const ROW_BYTES = jsonl([{ lane: 'a', delay: 0 }]).length;
const rowAt = (index: number): MarkedRow => ({ section: 0, coordinate: index * ROW_BYTES });

/** What a probe meets at a row: it dies there always, only behind others, or is too slow for this invocation. */
type Fate = 'poison' | 'last-straw' | 'slow';

interface Probed {
  readonly from: number;
  readonly rowTimeoutMs: number;
}

/** A probe of an object of some rows; slow ones use up the time. */
function probeOf(world: World, fates: Readonly<Record<number, Fate>>) {
  const probes: Probed[] = [];
  const indexOf = ({ coordinate }: MarkedRow) => coordinate / ROW_BYTES;
  const probe: Probe = async ({ task, killed }, rowTimeoutMs, signal): Promise<ProbeOutcome> => {
    const from = typeof task.cleared === 'object' ? indexOf(task.cleared) : 0;
    probes.push({ from, rowTimeoutMs });
    for (let index = from; index < ROWS; index++) {
      if (killed.some((row) => indexOf(row) === index)) continue;
      const fate = fates[index];
      const row = rowAt(index);
      if (fate === 'poison' || (fate === 'last-straw' && index > from))
        return { kind: 'ended', how: 'died', row, message: 'it died' };
      if (fate === 'slow') {
        await world.clock.advance(28_000);
        if (signal.aborted) return { kind: 'stopped', last: row };
      }
    }
    return { kind: 'clear' };
  };
  return { probe, probes };
}

async function worldWithTask(): Promise<{ world: World; body: string }> {
  const world = new World();
  const rows = Array.from({ length: ROWS }, () => ({ lane: 'a', delay: 0 }));
  world.lake.put({ bucket: 'lake', key: 'a.jsonl' }, jsonl(rows));
  await world.dispatch()({ prefix: 's3://lake/', run: 'run-1' }, world.context());
  const [body = ''] = await world.takeTasks();
  return { world, body };
}

/** A delivery of a task: what it left in the queue, and what the reply gives back. */
async function deliver(world: World, probe: Probe | null, body: string, receiveCount: number) {
  const event = sqsEvent(ARNS.tasks, [body]);
  event.Records[0]!.attributes.ApproximateReceiveCount = `${receiveCount}`;
  const reply = await world.transform({ probe })(event, world.context());
  const [next] = await world.takeTasks();
  return { failed: failedItems(reply), next, task: next === undefined ? null : (JSON.parse(next) as Task) };
}

const verdicts = async (world: World, body: string) =>
  (await world.killed.of(JSON.parse(body) as Task, unstopped)).map(
    ({ coordinate }) => coordinate / ROW_BYTES,
  );

describe('a task', () => {
  it('is transformed without a probe when it comes for the first time', async () => {
    const { world, body } = await worldWithTask();
    const { probe, probes } = probeOf(world, {});
    expect(await deliver(world, probe, body, 1)).toMatchObject({ failed: [], task: null });
    expect(probes).toEqual([]);
    expect(world.records().length).toBeGreaterThan(0);
  });

  it('that comes again is probed before anything of it is put, and handed on; then it is transformed, however often it comes', async () => {
    const { world, body } = await worldWithTask();
    const { probe, probes } = probeOf(world, {});
    const { next, task } = await deliver(world, probe, body, 2);
    expect(task).toMatchObject({ cleared: 'all' });
    expect(task!.id).not.toBe((JSON.parse(body) as Task).id);
    expect(world.records()).toEqual([]);
    expect(await deliver(world, probe, next!, 3)).toMatchObject({ failed: [], task: null });
    expect(world.records().length).toBeGreaterThan(0);
    expect(probes).toHaveLength(1);
  });

  it('gets a verdict for each row that a fresh process does not come past', async () => {
    const { world, body } = await worldWithTask();
    const { probe, probes } = probeOf(world, { 0: 'poison', 3: 'poison' });
    expect((await deliver(world, probe, body, 2)).task).toMatchObject({ cleared: 'all' });
    expect(await verdicts(world, body)).toEqual([0, 3]);
    expect(probes.map(({ from }) => from)).toEqual([0, 0, 0, 3, 3]);
  });

  it('gets none for a row that is only the last of many', async () => {
    const { world, body } = await worldWithTask();
    const { probe } = probeOf(world, { 2: 'last-straw', 4: 'last-straw' });
    expect((await deliver(world, probe, body, 2)).task).toMatchObject({ cleared: 'all' });
    expect(await verdicts(world, body)).toEqual([]);
  });

  it('that takes longer to probe than an invocation is probed by one after the other', async () => {
    const { world, body } = await worldWithTask();
    const { probe } = probeOf(world, { 1: 'slow', 2: 'slow', 3: 'slow', 4: 'poison', 5: 'slow' });
    const seen: (Task['cleared'] | null)[] = [];
    let next: string | undefined = body;
    for (let count = 2; next !== undefined; count = 1) {
      const delivery = await deliver(world, probe, next, count);
      expect(delivery.failed).toEqual([]);
      seen.push(delivery.task?.cleared ?? null);
      next = delivery.next;
    }
    expect(seen.at(-2)).toBe('all');
    const places = seen.slice(0, -2) as MarkedRow[];
    expect(places.length).toBeGreaterThan(1);
    for (const [index, place] of places.slice(1).entries())
      expect(isBehind(place, places[index] as MarkedRow)).toBe(true);
    expect(await verdicts(world, body)).toEqual([4]);
    expect(world.records().length).toBeGreaterThan(0);
  });

  it('comes again where the time does not suffice for a single row', async () => {
    const { world, body } = await worldWithTask();
    const stuck: Probe = async (_order, _ms, signal) => {
      await world.clock.advance(60_000);
      expect(signal.aborted).toBe(true);
      return { kind: 'stopped', last: null };
    };
    expect(await deliver(world, stuck, body, 2)).toMatchObject({ failed: ['message-0'], task: null });
  });

  it('has rows that hang judged within the time of an invocation, whatever the setting', async () => {
    const { world, body } = await worldWithTask();
    const { probe, probes } = probeOf(world, {});
    await deliver(world, probe, body, 2);
    expect(probes[0]!.rowTimeoutMs).toBeLessThan(60_000 / 3);
  });

  it('is given up where row after row has a verdict: transform is broken', async () => {
    const { world, body } = await worldWithTask();
    const task = JSON.parse(body) as Task;
    for (let coordinate = 0; coordinate < 20; coordinate++)
      await world.killed.add(task, { section: 0, coordinate, how: 'hung', message: 'it hung' }, unstopped);
    const { probe, probes } = probeOf(world, {});
    expect(await deliver(world, probe, body, 2)).toMatchObject({ failed: ['message-0'], task: null });
    expect(probes).toEqual([]);
    expect(world.errors().join()).toContain('transform is broken');
  });

  it('whose probe ends in no row is transformed as it is, and so is one that cannot be read', async () => {
    const { world, body } = await worldWithTask();
    const nowhere: Probe = async () => ({
      kind: 'ended',
      how: 'died',
      row: null,
      message: 'it did not start',
    });
    expect((await deliver(world, nowhere, body, 2)).task).toMatchObject({ cleared: 'all' });
    const unreadable: Probe = async () => {
      throw new DomainError('it is another one now', { code: 'E_OBJECT_CHANGED' });
    };
    expect((await deliver(world, unreadable, body, 2)).task).toMatchObject({ cleared: 'all' });
    const away: Probe = async () => {
      throw new InfrastructureError('the lake is away', { retryable: true });
    };
    expect(await deliver(world, away, body, 2)).toMatchObject({ failed: ['message-0'], task: null });
  });
});
