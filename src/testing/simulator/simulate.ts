import { messageOf } from '../../domain/errors.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import { generationOf } from '../../application/generation.ts';
import { expectationsOf, type Expectation } from './expectation.ts';
import type { FaultKind, PlatformFault } from './faults.ts';
import { useCases, type Functions, type Program } from './functions.ts';
import { judge, judgeQuiet, type Verdict } from './oracle.ts';
import type { Scenario } from './scenario.ts';
import { Stack } from './stack.ts';
import type { Subject, VersionOfCode } from './subject.ts';
import { unstopped, World } from './world.ts';

/** What a history came to. */
export interface Outcome extends Verdict {
  readonly rows: number;
  readonly faults: number;
  readonly struck: Readonly<Record<FaultKind, number>>;
  /** What happened last. */
  readonly history: readonly string[];
}

const BUCKET = 'lake';
/** Messages from elsewhere that are delivered together. */
const MESSAGES_PER_BATCH = 20;
/** Dispatches after which what is not complete never will be. */
const CALM_ROUNDS = 8;
const SECTION_ROWS = 200;
/** Batches of frames after which another build comes, at most: work takes a moment, and time may go by without any. */
const MOST_BATCHES = 30;
const MOST_BATCHES_OF_A_MISTAKE = 3;

/**
 * Runs the use cases, not a model of them, through one history: faults strike until they are used up or their time is over; then
 * nothing goes wrong any more, what is not done is dispatched again, what failed is redriven, and everything is counted.
 */
export async function simulate(
  scenario: Scenario,
  subject: Subject,
  functions: Functions = useCases,
): Promise<Outcome> {
  const world = new World(scenario.seed, scenario.rates, scenario.maxFaults);
  const verdict: Verdict = { lost: 0, duplicated: 0, wrong: [] };
  const rows = { total: 0 };
  try {
    await new History(scenario, subject, functions, world, verdict, rows).play();
  } catch (thrown) {
    verdict.wrong.push(
      `the simulation broke: ${thrown instanceof Error ? (thrown.stack ?? '') : messageOf(thrown)}`,
    );
  }
  return {
    ...verdict,
    rows: rows.total,
    faults: world.faults.total,
    struck: world.faults.struck,
    history: world.history.lines,
  };
}

interface DeployedVersion {
  readonly stack: Stack;
  readonly pipeline: AnyPipeline;
  readonly deployed: AnyPipeline;
  readonly mended: AnyPipeline | null;
}

class History {
  readonly #scenario: Scenario;
  readonly #subject: Subject;
  readonly #functions: Functions;
  readonly #world: World;
  readonly #verdict: Verdict;
  readonly #rows: { total: number };

  constructor(
    scenario: Scenario,
    subject: Subject,
    functions: Functions,
    world: World,
    verdict: Verdict,
    rows: { total: number },
  ) {
    this.#scenario = scenario;
    this.#subject = subject;
    this.#functions = functions;
    this.#world = world;
    this.#verdict = verdict;
    this.#rows = rows;
  }

  async play(): Promise<void> {
    const { scheduler, faults } = this.#world;
    for (const { key, content } of this.#subject.objects)
      this.#world.source.put({ bucket: BUCKET, key }, content);
    const stacks = this.#subject.versions.map((version) => this.#open(version));
    const work: Promise<unknown>[] = [];
    for (const { stack, deployed } of stacks) {
      work.push(stack.dispatch(BUCKET));
      this.#planTrouble(stack, deployed);
      for (let at = 0; at < this.#subject.messages.length; at += MESSAGES_PER_BATCH)
        work.push(stack.deliver('elsewhere', this.#subject.messages.slice(at, at + MESSAGES_PER_BATCH)));
    }
    scheduler.after(this.#scenario.troubledMs, () => faults.end());
    await scheduler.run();
    await Promise.all(work);

    faults.end();
    for (const deployed of stacks) await this.#finish(deployed);
    for (const { stack } of stacks) {
      judgeQuiet(this.#world, stack, this.#verdict);
      await stack.close();
    }
  }

  /** Nothing goes wrong any more: what is missing is dispatched again, what failed is redriven, and everything is counted. */
  async #finish({ stack, pipeline, mended }: DeployedVersion): Promise<void> {
    // First: what was given up may be the beginning of an object.
    await this.#putAgain(stack);
    await this.#settleLake(pipeline);
    await this.#complete(stack, pipeline);
    const codes = mended === null ? [pipeline] : [pipeline, mended];
    const [expected, expectedMended = null] = (await this.#expect(codes)) as [Expectation, Expectation?];
    for (const { rows } of [...expected.objects.values(), expected.messages]) this.#rows.total += rows;
    if (mended !== null) {
      stack.deploy({ build: 'mended', pipeline: mended });
      // Two at once, because each failure may be settled by one of them alone; once more, because that must change nothing.
      await this.#calmly(async () => void (await Promise.all([stack.reprocess(), stack.reprocess()])));
      await this.#calmly(() => stack.reprocess());
    }
    await judge(this.#world, pipeline, expected, expectedMended, this.#verdict);
  }

  async #calmly(work: () => Promise<void>): Promise<void> {
    const done = work();
    await this.#world.scheduler.run();
    await done;
  }

  #expect(codes: readonly AnyPipeline[]): Promise<readonly Expectation[]> {
    return expectationsOf(codes, this.#subject, this.#world.source, BUCKET);
  }

  /** An object that was begun while it had another content keeps that: measures cannot take anything back. */
  async #settleLake(pipeline: AnyPipeline): Promise<void> {
    const { source, store } = this.#world;
    const replaced = new Map<string, string>();
    for (const { key, content } of this.#subject.objects) {
      replaced.set(key, source.put({ bucket: BUCKET, key }, halfOf(content)).version);
      source.put({ bucket: BUCKET, key }, content);
    }
    const generation = generationOf(pipeline, undefined).id;
    for await (const { object, frames, sectionsComplete } of store.objects({ generation }, unstopped)) {
      const content = this.#subject.objects.find(({ key }) => key === object.key)?.content;
      if (content === undefined || frames + sectionsComplete === 0) continue;
      if (object.version === replaced.get(object.key)) source.put(object, halfOf(content));
    }
  }

  #open({ pipeline, deployed, mended }: VersionOfCode): DeployedVersion {
    const { partitions, sectionBytes, maxFrameMessages } = this.#scenario;
    // Small ones, so that a small lake has many sections, and each of them many frames.
    const cut = (whole: AnyPipeline): AnyPipeline => ({
      ...whole,
      partitions,
      limits: { ...whole.limits, sectionBytes, maxFrameMessages, sectionRows: SECTION_ROWS },
    });
    const program = { build: 'build-1', pipeline: cut(pipeline) };
    const stack = new Stack(this.#world, this.#functions, program, this.#scenario);
    return {
      stack,
      pipeline: program.pipeline,
      deployed: cut(deployed),
      mended: mended === null ? null : cut(mended),
    };
  }

  /** What goes wrong between functions, at times of its own. */
  #planTrouble(stack: Stack, deployed: AnyPipeline): void {
    const { random, dedup, history } = this.#world;
    this.#sometimes('reshard', () => stack.reshard(1 + Math.floor(random.next() * 6)));
    this.#sometimes('dedup-flushed', () => dedup.flush());
    this.#sometimes('dedup-failover', () => dedup.failOver());
    this.#sometimes('dedup-away', () => dedup.goAway(random.next() * 60_000));
    this.#sometimes('store-restart', () => this.#world.restartStore(random.next() * 20_000));
    this.#sometimes('overwrite', () => this.#overwrite());
    this.#planDeployments(stack, deployed);
    this.#sometimes('poison-record', async () => {
      history.note('something that is no frame is in the stream');
      const partition = Math.floor(random.next() * this.#scenario.partitions);
      await stack.stream.append(partition, new TextEncoder().encode('SLF1 no frame'), unstopped);
    });
  }

  /** Other code is deployed, in the middle of the work, and every other time taken back soon: what the build before began is its own again. */
  #planDeployments(stack: Stack, pipeline: AnyPipeline): void {
    const { random, faults } = this.#world;
    const deploy = (program: Program) => {
      stack.deploy(program);
      if (random.next() < 0.5) this.#world.killAll('transform', `${program.build} was deployed`);
      void stack.takeOver();
    };
    for (let time = 0; time < faults.rate('deploy'); time++) {
      const isTakenBack = random.next() < 0.5;
      const standsFor = 1 + Math.floor(random.next() * MOST_BATCHES_OF_A_MISTAKE);
      stack.afterBatches(1 + Math.floor(MOST_BATCHES * random.next() ** 3), () => {
        if (!faults.planned('deploy')) return;
        const before = stack.program;
        deploy({ build: `build-${stack.programs.length + 1}`, pipeline });
        if (isTakenBack)
          stack.afterBatches(1 + standsFor, () => void (faults.planned('deploy') && deploy(before)));
      });
    }
  }

  #sometimes(kind: PlatformFault, happen: () => void | Promise<void>): void {
    const { scheduler, random, faults } = this.#world;
    for (let time = 0; time < faults.rate(kind); time++) {
      scheduler.after(random.next() * this.#scenario.troubledMs, () => {
        if (faults.planned(kind)) return happen();
      });
    }
  }

  /** An object has another content for a while. */
  #overwrite(): void {
    const { scheduler, random, source, history } = this.#world;
    const { objects } = this.#subject;
    const object = objects[Math.floor(random.next() * objects.length)];
    if (object === undefined) return;
    const name = { bucket: BUCKET, key: object.key };
    history.note(`${object.key} is replaced`);
    source.put(name, halfOf(object.content));
    scheduler.after(random.next() * 120_000, () => void source.put(name, object.content));
  }

  /** Puts records again that were given up. One beside one that is no frame may be given up once more. */
  async #putAgain(stack: Stack): Promise<void> {
    const { scheduler } = this.#world;
    for (let again = 0; again < CALM_ROUNDS && (await stack.putAgain()) > 0; again++) await scheduler.run();
    await scheduler.run();
  }

  /** What is missing is dispatched again, until nothing is. */
  async #complete(stack: Stack, pipeline: AnyPipeline): Promise<void> {
    const { store, history } = this.#world;
    const generation = generationOf(pipeline, undefined).id;
    for (let round = 0; round < CALM_ROUNDS; round++) {
      await this.#putAgain(stack);
      let complete = 0;
      for await (const progress of store.objects({ generation }, unstopped))
        if (progress.complete) complete++;
      const missing = this.#subject.objects.length - complete;
      if (missing === 0) return;
      if (this.#world.faults.total === 0)
        this.#verdict.wrong.push(`${missing} objects are not complete although nothing went wrong`);
      history.note(`${missing} objects are not complete: dispatched again`);
      await this.#calmly(() => stack.dispatch(BUCKET));
    }
  }
}

/** Another content: sections that were there are there no more. */
function halfOf(content: Uint8Array | string): Uint8Array | string {
  return content.slice(0, content.length >> 1);
}
