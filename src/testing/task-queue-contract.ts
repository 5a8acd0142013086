import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ReceivedTask, TaskQueue } from '../domain/ports/task-queue.ts';
import type { Task } from '../domain/section.ts';
import { expectAborted } from './expectations.ts';
import { unstopped, withHarness, type ContractHarness } from './harness.ts';

export interface TaskQueueHarness extends ContractHarness {
  /** A queue that is empty and delivers a task as often as it comes back. */
  readonly queue: TaskQueue;
  /** Lets the queue's time pass, in milliseconds: its clock moves, nobody waits. */
  advance(ms: number): Promise<void>;
}

/** How often in a row a queue may give nothing although it has something. */
const MAX_EMPTY_RECEIVES = 5;

/** What the port promises of a queue, as data. */
interface QueueModel {
  now: number;
  readonly stepMs: number;
  sent: number;
  /** By id; deleted ones are gone. */
  readonly tasks: Map<
    string,
    { readonly task: Task; receipt: string | null; visibleAt: number; receiveCount: number }
  >;
  /** All that were ever given, with whose delivery they were. */
  readonly receipts: { readonly receipt: string; readonly id: string }[];
}

type QueueCommand = fc.AsyncCommand<QueueModel, TaskQueueHarness>;

/** Checks every sentence of the port's description. */
export function taskQueueContract(name: string, make: () => Promise<TaskQueueHarness>): void {
  describe(`TaskQueue: ${name}`, () => {
    it('keeps a task as it was sent', () =>
      withHarness(make, async ({ queue }) => {
        const sent: Task = {
          ...task('a'),
          sections: { from: 3, to: null },
          start: 12_345_678_901,
          done: [4, 7, 100],
        };
        await queue.send([sent], unstopped);
        const received = await receiveSome(queue, 1, 1_000);
        expect(received.map(({ task: { ...fields } }) => fields)).toEqual([sent]);
      }));

    it('gives nothing where there is nothing', () =>
      withHarness(make, async ({ queue }) => {
        await queue.send([], unstopped);
        expect(await queue.receive(10, 1_000, unstopped)).toEqual([]);
        expect(await queue.delete('no-such-receipt', unstopped)).toBe(false);
        expect(await queue.extend('no-such-receipt', 1_000, unstopped)).toBe(false);
      }));

    it('takes and gives more than one call of the provider does', () =>
      withHarness(make, async ({ queue }) => {
        const { maxBatchTasks, maxReceiveTasks, maxVisibilityMs = Infinity } = queue.capabilities;
        const count = Math.min(2_000, 2 * Math.max(maxBatchTasks, maxReceiveTasks) + 1);
        const ids = Array.from({ length: count }, (_, at) => `t${at}`);
        await queue.send(ids.map(task), unstopped);
        const seen: string[] = [];
        while (seen.length < count) {
          const received = await receiveSome(queue, count, Math.min(1e9, maxVisibilityMs));
          expect(received.length).toBeLessThanOrEqual(maxReceiveTasks);
          seen.push(...received.map(({ task: { id } }) => id));
          if (received.length === 0) break;
        }
        expect(seen.toSorted()).toEqual(ids.toSorted());
      }));

    it('does nothing for a signal that is aborted already', () =>
      withHarness(make, async ({ queue }) => {
        await expectAborted((signal) => queue.send([task('never')], signal));
        expect(await queue.receive(10, 1_000, unstopped)).toEqual([]);
        await queue.send([task('a')], unstopped);
        await expectAborted((signal) => queue.receive(1, 1_000, signal));
        const [received] = (await receiveSome(queue, 1, 1_000)) as [ReceivedTask];
        expect(received.receiveCount).toBe(1);
        await expectAborted((signal) => queue.extend(received.receipt, 0, signal));
        await expectAborted((signal) => queue.delete(received.receipt, signal));
        expect(await queue.delete(received.receipt, unstopped)).toBe(true);
      }));

    it('hides, gives back, counts and ends tasks as it should, whatever the order of calls', () => {
      // In steps, which are as long as the queue counts in.
      const visibility = fc.integer({ min: 0, max: 9 });
      const commands = [
        fc.integer({ min: 1, max: 4 }).map((tasks) => new Send(tasks)),
        fc.tuple(fc.integer({ min: 1, max: 5 }), visibility).map(([max, steps]) => new Receive(max, steps)),
        fc.tuple(fc.nat(), visibility).map(([which, steps]) => new Extend(which, steps)),
        fc.nat().map((which) => new Delete(which)),
        fc.integer({ min: 0, max: 9 }).map((steps) => new Advance(steps)),
      ];
      return fc.assert(
        fc.asyncProperty(fc.commands(commands, { size: 'large', maxCommands: 60 }), (run) =>
          withHarness(make, async (harness) => {
            const stepMs = Math.max(100, harness.queue.capabilities.visibilityStepMs ?? 1);
            const model: QueueModel = { now: 0, stepMs, sent: 0, tasks: new Map(), receipts: [] };
            await fc.asyncModelRun(() => ({ model, real: harness }), run);
            await expectDrains(model, harness);
          }),
        ),
        { numRuns: 60 },
      );
    });
  });
}

class Send implements QueueCommand {
  readonly #count: number;
  constructor(count: number) {
    this.#count = count;
  }
  check(): boolean {
    return true;
  }
  async run(model: QueueModel, { queue }: TaskQueueHarness): Promise<void> {
    const tasks = Array.from({ length: this.#count }, () => task(`t${model.sent++}`));
    await queue.send(tasks, unstopped);
    for (const sent of tasks)
      model.tasks.set(sent.id, { task: sent, receipt: null, visibleAt: 0, receiveCount: 0 });
  }
  toString(): string {
    return `send(${this.#count})`;
  }
}

class Receive implements QueueCommand {
  readonly #max: number;
  readonly #steps: number;
  constructor(max: number, steps: number) {
    this.#max = max;
    this.#steps = steps;
  }
  check(): boolean {
    return true;
  }
  async run(model: QueueModel, { queue }: TaskQueueHarness): Promise<void> {
    const visibilityMs = this.#steps * model.stepMs;
    const visible = [...model.tasks.values()].filter(({ visibleAt }) => visibleAt <= model.now).length;
    const received =
      visible === 0
        ? await queue.receive(this.#max, visibilityMs, unstopped)
        : await receiveSome(queue, this.#max, visibilityMs);
    expect(received.length).toBeLessThanOrEqual(Math.min(visible, this.#max));
    if (visible > 0) expect(received.length).toBeGreaterThan(0);
    for (const delivery of received) expectDelivery(model, delivery, visibilityMs);
  }
  toString(): string {
    return `receive(${this.#max}, ${this.#steps})`;
  }
}

class Extend implements QueueCommand {
  readonly #which: number;
  readonly #steps: number;
  constructor(which: number, steps: number) {
    this.#which = which;
    this.#steps = steps;
  }
  check(model: QueueModel): boolean {
    return model.receipts.length > 0;
  }
  async run(model: QueueModel, { queue }: TaskQueueHarness): Promise<void> {
    const visibilityMs = this.#steps * model.stepMs;
    const { receipt, held } = chosen(model, this.#which);
    expect(await queue.extend(receipt, visibilityMs, unstopped)).toBe(held !== undefined);
    if (held !== undefined) held.visibleAt = model.now + visibilityMs;
  }
  toString(): string {
    return `extend(#${this.#which}, ${this.#steps})`;
  }
}

class Delete implements QueueCommand {
  readonly #which: number;
  constructor(which: number) {
    this.#which = which;
  }
  check(model: QueueModel): boolean {
    return model.receipts.length > 0;
  }
  async run(model: QueueModel, { queue }: TaskQueueHarness): Promise<void> {
    const { receipt, held } = chosen(model, this.#which);
    expect(await queue.delete(receipt, unstopped)).toBe(held !== undefined);
    if (held !== undefined) model.tasks.delete(held.task.id);
  }
  toString(): string {
    return `delete(#${this.#which})`;
  }
}

class Advance implements QueueCommand {
  readonly #steps: number;
  constructor(steps: number) {
    this.#steps = steps;
  }
  check(): boolean {
    return true;
  }
  async run(model: QueueModel, { advance }: TaskQueueHarness): Promise<void> {
    // Never to the millisecond at which a task comes back.
    const ms = this.#steps * model.stepMs + 1;
    await advance(ms);
    model.now += ms;
  }
  toString(): string {
    return `advance(${this.#steps})`;
  }
}

/** A receipt that was given at some time, with its task where it still holds it. */
function chosen(model: QueueModel, which: number) {
  const { receipt, id } = model.receipts[which % model.receipts.length] as QueueModel['receipts'][number];
  const entry = model.tasks.get(id);
  return { receipt, held: entry?.receipt === receipt && entry.visibleAt > model.now ? entry : undefined };
}

function expectDelivery(model: QueueModel, delivery: ReceivedTask, visibilityMs: number): void {
  const entry = model.tasks.get(delivery.task.id);
  if (entry === undefined) throw new Error(`${delivery.task.id} was delivered after it was deleted`);
  expect(delivery.task).toEqual(entry.task);
  expect(entry.visibleAt, `${delivery.task.id} was delivered while it was hidden`).toBeLessThanOrEqual(
    model.now,
  );
  expect(delivery.receiveCount).toBe(++entry.receiveCount);
  expect(model.receipts.map(({ receipt }) => receipt)).not.toContain(delivery.receipt);
  entry.receipt = delivery.receipt;
  entry.visibleAt = model.now + visibilityMs;
  model.receipts.push({ receipt: delivery.receipt, id: delivery.task.id });
}

/** Whatever was sent and not deleted comes again. */
async function expectDrains(model: QueueModel, { queue, advance }: TaskQueueHarness): Promise<void> {
  const ms = 10 * model.stepMs + 1;
  await advance(ms);
  model.now += ms;
  while (model.tasks.size > 0) {
    const received = await receiveSome(queue, 10, 1_000);
    expect(received.length, 'undeleted tasks that never come back').toBeGreaterThan(0);
    for (const delivery of received) {
      expectDelivery(model, delivery, 1_000);
      expect(await queue.delete(delivery.receipt, unstopped)).toBe(true);
      model.tasks.delete(delivery.task.id);
    }
  }
  expect(await queue.receive(10, 1_000, unstopped)).toEqual([]);
}

async function receiveSome(
  queue: TaskQueue,
  max: number,
  visibilityMs: number,
): Promise<readonly ReceivedTask[]> {
  for (let tries = 0; tries < MAX_EMPTY_RECEIVES; tries++) {
    const received = await queue.receive(max, visibilityMs, unstopped);
    if (received.length > 0) return received;
  }
  return [];
}

function task(id: string): Task {
  return {
    id,
    run: 'run-1',
    generation: 'flights@1',
    build: 'b1',
    epoch: 1,
    where: null,
    object: { bucket: 'lake', key: 'flights/yyyy=2019/ü "1".csv', version: 'v1', size: 5_000_000_000 },
    sections: { from: 0, to: 3 },
    start: null,
    done: [],
  };
}
