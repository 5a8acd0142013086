import { isDeepStrictEqual } from 'node:util';
import { existsSync, readFileSync } from 'node:fs';
import { SystemClock } from '../../src/adapters/inmemory/clock.ts';
import { SeededRandom } from '../../src/adapters/inmemory/random.ts';
import { oneJson, type Scratch } from '../cli/harness.ts';
import type { RunReport } from '../../src/entrypoints/cli/run-report.ts';
import { leftIn, outcomeOf, processesIn, type Outcome } from './outcome.ts';

/** What is run over and over. */
export interface Subject {
  readonly name: string;
  readonly pipeline: string;
  readonly objects: readonly string[];
}

export interface CampaignOptions {
  readonly subjects: readonly Subject[];
  /** In all. */
  readonly kills: number;
  /** Of how long after its start a process is killed; how far it is by then does not follow from it. */
  readonly seed: number;
  /** How much of a clean run's work a process may get done before it is killed, at most. */
  readonly reach: number;
  readonly say: (line: string) => void;
}

/** Where a kill found its process. */
export type Phase = 'starting' | 'working' | 'ending';

export interface Totals {
  readonly kills: Record<Phase, number>;
  /** Of those at work, with some frames of a section applied and others not. */
  midway: number;
  folders: number;
  /** What differs from a clean run, or is left over. */
  readonly problems: string[];
}

interface Clean {
  readonly outcome: Outcome;
  readonly ms: number;
  /** Of a run that finds everything done: what remains is to start, to plan, to publish, to report. */
  readonly idleMs: number;
}

/** How often a process is killed that has only to start. */
const EARLY_SHARE = 0.3;
/** Kills before a folder is let come to its end: on a busy machine it would not by itself, and all kills would meet one subject. */
const INTERRUPTIONS = 15;
/** Kills of processes that find everything done, for each folder. */
const ENDINGS = 5;

/**
 * Starts runs and kills them with SIGKILL, again and again, until each folder is complete; then compares it with that of a run that was never
 * interrupted.
 */
export async function killAndRestart(scratch: Scratch, options: CampaignOptions): Promise<Totals> {
  const { subjects, seed, say } = options;
  const random = new SeededRandom({ clock: new SystemClock() }, seed);
  const totals: Totals = {
    kills: { starting: 0, working: 0, ending: 0 },
    midway: 0,
    folders: 0,
    problems: [],
  };
  const cleans = new Map<Subject, Clean>();
  for (let folder = 0; killsOf(totals) < options.kills; folder++) {
    const subject = subjects[folder % subjects.length] as Subject;
    let clean = cleans.get(subject);
    if (clean === undefined) cleans.set(subject, (clean = await runClean(scratch, subject)));
    const out = `${subject.name}-${folder}`;
    const attempts = new Attempts(scratch, subject, out, totals);
    const { ms, idleMs } = clean;
    const moment = () =>
      random.next() * (random.next() < EARLY_SHARE ? idleMs : idleMs + (ms - idleMs) * options.reach);
    const left = () => killsOf(totals) < options.kills;
    for (let kill = 0; kill < INTERRUPTIONS && left(); kill++) if (!(await attempts.killed(moment()))) break;
    await attempts.finish();
    for (let ending = 0; ending < ENDINGS && left(); ending++) await attempts.killed(random.next() * idleMs);
    await attempts.finish();
    attempts.compare(clean.outcome, await outcomeOf(scratch, subject.pipeline, out));
    totals.folders++;
    const { starting, working, ending } = totals.kills;
    say(
      `${out}: so far ${starting} kills while it started, ${working} at work, ${ending} while it published; ${totals.problems.length} problems`,
    );
  }
  totals.problems.push(...processesIn(scratch.folder).map((path) => `${path} still runs`));
  return totals;
}

export function killsOf({ kills }: Totals): number {
  return kills.starting + kills.working + kills.ending;
}

async function runClean(scratch: Scratch, subject: Subject): Promise<Clean> {
  const out = `${subject.name}-clean`;
  const timed = async () => {
    const startedAt = performance.now();
    const { code, stdout, stderr } = await scratch.start(argsOf(subject, out)).ended;
    if (code !== 0 || !oneJson<RunReport>(stdout, stderr).complete) throw new Error(stderr);
    return performance.now() - startedAt;
  };
  const ms = await timed();
  const idleMs = await timed();
  return { ms, idleMs, outcome: await outcomeOf(scratch, subject.pipeline, out) };
}

function argsOf({ pipeline, objects }: Subject, out: string): string[] {
  const report = `${out}.html`;
  return [
    'run',
    pipeline,
    ...objects,
    '--out',
    out,
    '--report',
    report,
    '--max-failures',
    '1000000',
    '--json',
  ];
}

/** The runs into one folder. */
class Attempts {
  readonly #scratch: Scratch;
  readonly #subject: Subject;
  readonly #out: string;
  readonly #totals: Totals;
  readonly #moments: number[] = [];

  constructor(scratch: Scratch, subject: Subject, out: string, totals: Totals) {
    this.#scratch = scratch;
    this.#subject = subject;
    this.#out = out;
    this.#totals = totals;
  }

  /** Whether the process was still there to be killed. */
  async killed(afterMs: number): Promise<boolean> {
    const before = this.#count('SELECT count(*) FROM runs');
    const running = this.#scratch.start(argsOf(this.#subject, this.#out));
    const timer = setTimeout(() => running.child.kill('SIGKILL'), afterMs);
    const { signal, code, stderr } = await running.ended;
    clearTimeout(timer);
    this.#lookAtPage();
    if (signal !== 'SIGKILL') {
      if (code !== 0) this.#problem(`exit code ${code}: ${stderr}`);
      return false;
    }
    this.#moments.push(Math.round(afterMs));
    const { kills } = this.#totals;
    const incomplete = 'SELECT count(*) FROM objects WHERE complete = 0';
    const complete = 'SELECT count(*) FROM objects WHERE complete = 1';
    if (this.#count('SELECT count(*) FROM runs') === before) kills.starting++;
    else if (this.#count(incomplete) === 0 && this.#count(complete) > 0) kills.ending++;
    else {
      kills.working++;
      if (this.#count('SELECT count(*) FROM frames') > 0) this.#totals.midway++;
    }
    return true;
  }

  async finish(): Promise<void> {
    const { code, stdout, stderr } = await this.#scratch.start(argsOf(this.#subject, this.#out)).ended;
    if (code !== 0 || !oneJson<RunReport>(stdout, stderr).complete) this.#problem(`not finished: ${stderr}`);
    this.#lookAtPage();
  }

  compare(expected: Outcome, found: Outcome): void {
    for (const field of Object.keys(expected) as (keyof Outcome)[])
      if (!isDeepStrictEqual(found[field], expected[field])) this.#problem(`${field} differ`);
    // Whoever killed the process, it was no row.
    const verdicts = found.failures.filter(({ code }) => code === 'E_KILLED');
    if (verdicts.length > 0) this.#problem(`${verdicts.length} innocent rows are E_KILLED`);
    for (const left of leftIn(this.#scratch.path(this.#out), found)) this.#problem(`left over: ${left}`);
  }

  /** A page that is there is whole. */
  #lookAtPage(): void {
    const file = this.#scratch.path(`${this.#out}.html`);
    if (existsSync(file) && !readFileSync(file, 'utf8').trimEnd().endsWith('</html>'))
      this.#problem('half a report');
  }

  #count(sql: string): number {
    try {
      return this.#scratch.count(sql, this.#out);
    } catch {
      // No file yet, or no tables in it.
      return 0;
    }
  }

  #problem(what: string): void {
    this.#totals.problems.push(`${this.#out}, killed after ${this.#moments.join(', ')} ms: ${what}`);
  }
}
