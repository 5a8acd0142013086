import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { InMemoryKilledRows } from '../../../../src/adapters/inmemory/killed-rows.ts';
import { InMemoryLog } from '../../../../src/adapters/inmemory/log.ts';
import { FileMark, SharedMark } from '../../../../src/adapters/local/workers/row-marks.ts';
import { RowWatch, type RowLimits } from '../../../../src/adapters/local/workers/row-watch.ts';
import { stretchOf, Suspects } from '../../../../src/adapters/local/workers/suspects.ts';
import { JOURNAL_FOLDER, TaskJournal } from '../../../../src/adapters/local/workers/task-journal.ts';
import type { WatchedWorker, WorkedOut } from '../../../../src/adapters/local/workers/transform-worker.ts';
import { TransformWorkers } from '../../../../src/adapters/local/workers/transform-workers.ts';
import { WorkerEnded } from '../../../../src/adapters/local/workers/worker-ended.ts';
import type { MarkedRow } from '../../../../src/domain/ports/row-mark.ts';
import type { Task } from '../../../../src/domain/section.ts';
import { removeFolder, scratchFolder } from '../scratch.ts';

const never = new AbortController().signal;
const limits: RowLimits = { rowTimeoutMs: 1_000, maxMemoryBytes: 1_000 };

let out: string;
beforeEach(async () => {
  out = await scratchFolder();
});
afterEach(() => removeFolder(out));

function taskOf(key: string, from = 0, to: number | null = 3): Task {
  const object = { bucket: 'file:', key, version: 'v', size: 1 };
  const sections = { from, to };
  return {
    id: `${key}-${from}`,
    run: 'run',
    generation: 'g@1',
    build: 'build',
    epoch: 1,
    where: null,
    object,
    sections,
    start: null,
    done: [],
  };
}

const rowAt = (coordinate: number): MarkedRow => ({ section: 0, coordinate });
const died = (row: MarkedRow | null) => new WorkerEnded('it died', { how: 'died', row });

/** What a worker does with its task: nothing, or end. */
type Deed = (task: Task, alone: boolean) => Promise<void>;

function workersDoing(deed: Deed) {
  const under = new Set<string>();
  const alone: string[] = [];
  let ended = 0;
  const worker = (isProcess: boolean): WatchedWorker => ({
    transform: async ({ task }) => {
      if (isProcess) {
        expect([...under], 'something else is under way').toEqual([]);
        alone.push(task.id);
      }
      under.add(task.id);
      try {
        await deed(task, isProcess);
      } finally {
        under.delete(task.id);
      }
    },
    workOut: async () => undefined,
    end: async () => void ended++,
    look: () => ({ count: 0, row: null }),
  });
  const journal = new TaskJournal(out, 'run');
  const killed = new InMemoryKilledRows();
  const log = new InMemoryLog();
  const workers = new TransformWorkers(
    {
      limits,
      startThread: () => worker(false),
      startProcess: () => worker(true),
      known: async () => undefined,
    },
    { journal, killed, log },
  );
  return { workers, journal, killed, log, alone, ended: () => ended };
}

describe('Workers', () => {
  it('give a row its verdict when a worker ends in it for the second time, alone', async () => {
    const task = taskOf('a');
    let verdicts = 0;
    const { workers, killed, log, alone, journal } = workersDoing(async () => {
      verdicts = (await killed.of(task, never)).length;
      if (verdicts === 0) throw died(rowAt(7));
    });
    await expect(workers.transform(task, never)).rejects.toBeInstanceOf(WorkerEnded);
    expect(await killed.of(task, never)).toEqual([]);
    await workers.transform(task, never);
    expect(await killed.of(task, never)).toMatchObject([{ section: 0, coordinate: 7, how: 'died' }]);
    expect(alone).toEqual([task.id, task.id]);
    expect(log.lines.map(({ fields }) => fields)).toMatchObject([
      { task: task.id, object: 'file:/a', section: 0, coordinate: 7, deaths: 1 },
      { deaths: 2 },
    ]);
    expect(journal.suspects.list).toEqual([]);
    await workers.close();
  });

  it('condemn no row in which a worker ended once, beside others', async () => {
    let first = true;
    const { workers, killed } = workersDoing(async () => {
      if (first) {
        first = false;
        throw died(rowAt(7));
      }
    });
    const task = taskOf('a');
    await expect(workers.transform(task, never)).rejects.toBeInstanceOf(WorkerEnded);
    await workers.transform(task, never);
    expect(await killed.of(task, never)).toEqual([]);
    await workers.close();
  });

  it('let a suspected task wait until it is alone, and others until it is through', async () => {
    const events: string[] = [];
    const slow = Promise.withResolvers<void>();
    let isFirst = true;
    const { workers } = workersDoing(async (task, isAlone) => {
      if (task.id === 'bad-0' && isFirst) {
        isFirst = false;
        throw died(rowAt(1));
      }
      events.push(`${task.id} begins${isAlone ? ' alone' : ''}`);
      if (task.id === 'slow-0') await slow.promise;
      events.push(`${task.id} ends`);
    });
    await expect(workers.transform(taskOf('bad'), never)).rejects.toBeInstanceOf(WorkerEnded);
    const all = ['slow', 'bad', 'late'].map((key) => workers.transform(taskOf(key), never));
    slow.resolve();
    await Promise.all(all);
    expect(events).toEqual([
      'slow-0 begins',
      'slow-0 ends',
      'bad-0 begins alone',
      'bad-0 ends',
      'late-0 begins',
      'late-0 ends',
    ]);
    await workers.close();
  });

  it('give a task back whose worker ended in no row, and up where its rows end one after the other', async () => {
    let row = 0;
    const task = taskOf('a');
    const anyRow = workersDoing(async () => {
      throw died(rowAt(row++));
    });
    await expect(anyRow.workers.transform(task, never)).rejects.toBeInstanceOf(WorkerEnded);
    await expect(anyRow.workers.transform(task, never)).rejects.toMatchObject({
      code: 'E_KILLED',
      message: expect.stringMatching(/20 times in a, .*transform is broken/) as string,
    });
    expect(row).toBe(21);
    await anyRow.workers.close();
    const noRow = workersDoing(async () => {
      throw died(null);
    });
    for (let time = 0; time < 3; time++)
      await expect(noRow.workers.transform(task, never)).rejects.toBeInstanceOf(WorkerEnded);
    await noRow.workers.close();
  });

  it('are stopped at once, whatever a row does, and suspect nothing for that', async () => {
    const stop = new AbortController();
    const hanging = Promise.withResolvers<void>();
    const { workers, ended, journal } = workersDoing(async () => {
      queueMicrotask(() => stop.abort(new Error('stop')));
      await hanging.promise;
    });
    await expect(workers.transform(taskOf('a'), stop.signal)).rejects.toThrow('stop');
    expect(ended()).toBe(1);
    expect(journal.suspects.list).toEqual([]);
    await workers.close();
  });

  it('use a thread again that has done its task, also one that refused it', async () => {
    let threads = 0;
    const journal = new TaskJournal(out, 'run');
    const workers = new TransformWorkers(
      {
        limits,
        startThread: () => {
          threads++;
          return {
            transform: ({ task }) =>
              task.id === 'b-0' ? Promise.reject(new Error('no')) : Promise.resolve(),
            workOut: async () => undefined,
            end: async () => undefined,
            look: () => ({ count: 0, row: null }),
          };
        },
        startProcess: () => expect.fail('nothing is suspected'),
        known: async () => undefined,
      },
      { journal, killed: new InMemoryKilledRows(), log: new InMemoryLog() },
    );
    workers.prepare();
    await workers.transform(taskOf('a'), never);
    await expect(workers.transform(taskOf('b'), never)).rejects.toThrow('no');
    await workers.transform(taskOf('c'), never);
    expect(threads).toBe(1);
    await workers.close();
  });
});

describe('Frames', () => {
  /** Threads that work out frames as they are told, each with what it was given. */
  function threadsDoing(deed: (thread: number) => Promise<WorkedOut | undefined>) {
    const given: number[] = [];
    const ended: number[] = [];
    const endTask = Promise.withResolvers<void>();
    const workers = new TransformWorkers(
      {
        limits,
        startThread: () => {
          const thread = given.push(0) - 1;
          return {
            transform: () => endTask.promise,
            workOut: () => {
              given[thread] = (given[thread] as number) + 1;
              return deed(thread);
            },
            end: async () => void ended.push(thread),
            look: () => ({ count: 0, row: null }),
          };
        },
        startProcess: () => expect.fail('nothing is suspected'),
        known: async () => undefined,
      },
      { journal: new TaskJournal(out, 'run'), killed: new InMemoryKilledRows(), log: new InMemoryLog() },
    );
    return { workers, given, ended, endTask: () => endTask.resolve() };
  }
  const record = new Uint8Array([1]);

  it('are worked out by whoever has the least in hand', async () => {
    const hold = Promise.withResolvers<undefined>();
    const { workers, given, endTask } = threadsDoing(() => hold.promise);
    const tasks = [workers.transform(taskOf('a'), never), workers.transform(taskOf('b'), never)];
    await vi.waitFor(() => expect(given).toEqual([0, 0]));
    const frames = Array.from({ length: 6 }, () => workers.workOut(record, never));
    expect(given).toEqual([3, 3]);
    hold.resolve(undefined);
    await Promise.all(frames);
    endTask();
    await Promise.all(tasks);
    await workers.close();
  });

  it('start a thread where there is none, and none beside it', async () => {
    const { workers, given, ended } = threadsDoing(async () => undefined);
    await workers.workOut(record, never);
    await workers.workOut(record, never);
    expect(given).toEqual([2]);
    await workers.close();
    expect(ended).toEqual([0]);
  });

  it('are worked out by another thread where theirs ended; which is not asked again', async () => {
    const { workers, given, ended } = threadsDoing((thread) =>
      thread === 0 ? Promise.reject(died(null)) : Promise.resolve(undefined),
    );
    await workers.workOut(record, never);
    expect(given).toEqual([1, 1]);
    await workers.close();
    expect(ended).toEqual([1]);
  });

  it('that end every thread end the run, which says so', async () => {
    const { workers, given } = threadsDoing(() => Promise.reject(died(null)));
    await expect(workers.workOut(record, never)).rejects.toMatchObject({
      code: 'E_ANALYZE_KILLED',
      retryable: false,
      message: 'workers ended 3 times while they worked out one frame, last because it died',
    });
    expect(given).toEqual([1, 1, 1]);
    await workers.close();
  });

  it('are not blamed for rows that end their threads, however many', async () => {
    const { workers, given } = threadsDoing((thread) =>
      thread < 10 ? Promise.reject(died(rowAt(thread))) : Promise.resolve(undefined),
    );
    await workers.workOut(record, never);
    expect(given).toHaveLength(11);
    await workers.close();
  });

  it('that hang are left where the run is stopped', async () => {
    const { workers, ended } = threadsDoing(() => new Promise(() => undefined));
    const stop = new AbortController();
    const hanging = workers.workOut(record, stop.signal);
    stop.abort(new Error('Ctrl-C'));
    await expect(hanging).rejects.toThrow('Ctrl-C');
    await workers.close();
    expect(ended).toEqual([0]);
  });

  it('that are refused are refused to whoever asked', async () => {
    const { workers, given } = threadsDoing(() => Promise.reject(new Error('no frame')));
    await expect(workers.workOut(record, never)).rejects.toThrow('no frame');
    expect(given).toEqual([1]);
    await workers.close();
  });
});

describe('The watch', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function watched(memory?: () => number) {
    const mark = new SharedMark();
    const ends: WorkerEnded[] = [];
    const worker: WatchedWorker = {
      transform: async () => undefined,
      workOut: async () => undefined,
      end: async (why) => void ends.push(why),
      look: () => mark.look(),
    };
    const watch = new RowWatch(limits, memory ?? (() => 0));
    watch.add(worker);
    return { mark, ends, watch, worker };
  }

  it('ends a worker whose row takes too long', () => {
    const { mark, ends } = watched();
    mark.enter(2, 55);
    vi.advanceTimersByTime(900);
    expect(ends).toEqual([]);
    vi.advanceTimersByTime(300);
    expect(ends).toMatchObject([{ how: 'hung', row: { section: 2, coordinate: 55 } }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('leaves one alone that goes from row to row, or is in none', () => {
    const { mark, ends, watch, worker } = watched(() => 5_000);
    for (let row = 0; row < 10; row++) {
      mark.enter(0, row);
      vi.advanceTimersByTime(900);
    }
    mark.leave();
    vi.advanceTimersByTime(60_000);
    expect(ends).toEqual([]);
    watch.remove(worker);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('ends one whose row makes the process grow over its limit', () => {
    let memory = 900;
    const { mark, ends } = watched(() => memory);
    mark.enter(0, 3);
    vi.advanceTimersByTime(60);
    memory = 1_001;
    vi.advanceTimersByTime(60);
    expect(ends).toMatchObject([{ how: 'died', row: { section: 0, coordinate: 3 } }]);
  });
});

describe('The journal', () => {
  const journals = () => readdirSync(path.join(out, JOURNAL_FOLDER));
  /** As if the process that wrote it had been killed: none has this number. */
  function kill(name: string): void {
    const file = path.join(out, JOURNAL_FOLDER, `${name}.json`);
    writeFileSync(file, readFileSync(file, 'utf8').replace(/"pid":\d+/, '"pid":999999999'));
  }

  it('makes the next process suspect what was under way when its process was killed', () => {
    const dead = new TaskJournal(out, 'dead');
    const [done, open] = [stretchOf(taskOf('done')), stretchOf(taskOf('open', 2, 5))];
    dead.begun(done);
    dead.begun(open);
    dead.ended(done);
    kill('dead');
    const next = new TaskJournal(out, 'next');
    expect(next.suspects.has(stretchOf(taskOf('done')))).toBe(false);
    expect(next.suspects.has(stretchOf(taskOf('open', 0, 1)))).toBe(false);
    // Tasks are dealt anew in every run.
    expect(next.suspects.has(stretchOf(taskOf('open', 4, null)))).toBe(true);
    expect(next.suspects.has({ ...open, build: 'another' })).toBe(false);
    expect(journals()).toEqual(['next.json']);
    // Nothing of it was tried: it is suspected still.
    next.close();
    expect(journals()).toEqual(['next.json']);
    kill('next');
    const last = new TaskJournal(out, 'last');
    last.suspects.remove(open);
    last.close();
    expect(journals()).toEqual([]);
    dead.close();
  });

  it('counts a death in the row that was marked', () => {
    const dead = new TaskJournal(out, 'dead');
    const stretch = stretchOf(taskOf('a'));
    dead.begun(stretch, { marked: true });
    writeFileSync(dead.markFile, '');
    const mark = new FileMark(dead.markFile);
    mark.enter(1, 12_345_678_901);
    mark.close();
    kill('dead');
    const next = new TaskJournal(out, 'next');
    expect(next.suspects.add(stretch, { section: 1, coordinate: 12_345_678_901 })).toBe(2);
    expect(existsSync(dead.markFile)).toBe(false);
    next.suspects.remove(stretch);
    next.close();
    dead.close();
  });

  it('leaves that of a process alone that lives, and one that is torn', () => {
    const living = new TaskJournal(out, 'living');
    living.begun(stretchOf(taskOf('a')));
    writeFileSync(path.join(out, JOURNAL_FOLDER, 'torn.json'), '{"pid":');
    const next = new TaskJournal(out, 'next');
    expect(next.suspects.list).toEqual([]);
    expect(journals().toSorted()).toEqual(['living.json', 'next.json', 'torn.json']);
    next.close();
    living.close();
    expect(journals()).toEqual(['torn.json']);
  });

  it('says so where it cannot be written', () => {
    writeFileSync(path.join(out, JOURNAL_FOLDER), 'a file');
    expect(() => new TaskJournal(out, 'run')).toThrow(expect.objectContaining({ code: 'E_OUTPUT' }) as Error);
  });
});

describe('Suspects', () => {
  it('count deaths by row, in whatever order they come', () => {
    const suspects = new Suspects();
    const stretch = stretchOf(taskOf('a'));
    expect(suspects.add(stretch, null)).toBe(0);
    expect(suspects.add(stretch, rowAt(1))).toBe(1);
    expect(suspects.add(stretch, rowAt(2))).toBe(1);
    expect(suspects.add(stretch, null)).toBe(0);
    expect(suspects.add(stretch, rowAt(1))).toBe(2);
    expect(suspects.list).toHaveLength(1);
  });
});

describe('A mark in a file', () => {
  it('shows the row that was entered last and not left', () => {
    const file = path.join(out, 'mark');
    expect(FileMark.read(file)).toBeNull();
    writeFileSync(file, '');
    expect(FileMark.read(file)).toBeNull();
    const mark = new FileMark(file);
    mark.enter(3, 2 ** 40 + 1);
    expect(FileMark.read(file)).toEqual({ section: 3, coordinate: 2 ** 40 + 1 });
    mark.leave();
    expect(FileMark.read(file)).toBeNull();
    mark.close();
  });
});
