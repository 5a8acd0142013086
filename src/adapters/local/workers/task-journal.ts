import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { InfrastructureError } from '../../../domain/errors.ts';
import { FileMark } from './row-marks.ts';
import { Suspects, type Stretch, type Suspect } from './suspects.ts';

/** Name of the folder in the output folder. */
export const JOURNAL_FOLDER = 'under-way';

/** What a process writes of itself. */
interface Journal {
  readonly pid: number;
  /** Tells this process from a later one of the same number; `null` where the system does not. */
  readonly startedAt: string | null;
  readonly underWay: readonly Stretch[];
  /** The stretch that a process of its own has, which marks its rows in a file. */
  readonly marked: Stretch | null;
  readonly suspects: readonly Suspect[];
}

/**
 * Says in the output folder what this process has under way, so that the next one knows where it died: a file of its own, written
 * anew whenever a task begins or ends. A process that ends in order takes it away, or leaves only the suspects that it
 * found and did not get to.
 *
 * @throws InfrastructureError `E_OUTPUT`
 */
export class TaskJournal {
  /** Where tasks may hang or kill: what earlier processes left behind, and what was noted since. */
  readonly suspects: Suspects;
  readonly markFile: string;
  readonly #path: string;
  readonly #file: number;
  readonly #underWay = new Set<Stretch>();
  #marked: Stretch | null = null;
  readonly #close = () => this.close();
  #closed = false;

  /** @param name nobody else's: the run's id */
  constructor(outputFolder: string, name: string) {
    const folder = path.join(outputFolder, JOURNAL_FOLDER);
    this.#path = path.join(folder, `${name}.json`);
    this.markFile = path.join(folder, `${name}.mark`);
    try {
      mkdirSync(folder, { recursive: true });
      const dead = deadJournals(folder);
      this.suspects = new Suspects(dead.flatMap(({ suspects }) => suspects));
      for (const { journal, row } of dead) {
        for (const stretch of journal.underWay) this.suspects.add(stretch, null);
        if (journal.marked !== null) this.suspects.add(journal.marked, row);
      }
      this.#file = openSync(this.#path, 'w');
      this.save();
      // Only now: dying in between must not lose them.
      for (const { files } of dead) for (const file of files) rmSync(file, { force: true });
    } catch (cause) {
      throw explained(this.#path, cause);
    }
    // However the process ends, unless it is killed.
    process.once('exit', this.#close);
  }

  /** @param stretch as it is given to `ended` */
  begun(stretch: Stretch, { marked = false }: { readonly marked?: boolean } = {}): void {
    if (marked) this.#marked = stretch;
    else this.#underWay.add(stretch);
    this.save();
  }

  /** It is not under way any more, however it ended. */
  ended(stretch: Stretch): void {
    if (this.#marked === stretch) this.#marked = null;
    this.#underWay.delete(stretch);
    this.save();
  }

  save(): void {
    const journal: Journal = {
      pid: process.pid,
      startedAt: startOf(process.pid),
      underWay: [...this.#underWay],
      marked: this.#marked,
      suspects: this.suspects.list,
    };
    const line = Buffer.from(`${JSON.stringify(journal)}\n`, 'utf8');
    try {
      // Whoever reads takes the first line: what is left of a longer one does no harm.
      writeSync(this.#file, line, 0, line.length, 0);
      ftruncateSync(this.#file, line.length);
    } catch (cause) {
      throw explained(this.#path, cause);
    }
  }

  /** What this process did not come to the end of is not suspected for that: it was stopped. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    process.off('exit', this.#close);
    this.#underWay.clear();
    this.#marked = null;
    if (this.suspects.list.length > 0) this.save();
    else rmSync(this.#path, { force: true });
    closeSync(this.#file);
    rmSync(this.markFile, { force: true });
  }
}

interface DeadJournal {
  readonly journal: Journal;
  readonly suspects: readonly Suspect[];
  readonly row: ReturnType<typeof FileMark.read>;
  readonly files: readonly string[];
}

function deadJournals(folder: string): readonly DeadJournal[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => {
      const file = path.join(folder, name);
      const markFile = path.join(folder, `${name.slice(0, -'.json'.length)}.mark`);
      const journal = readJournal(file);
      if (journal === undefined || isAlive(journal)) return [];
      return [{ journal, suspects: journal.suspects, row: FileMark.read(markFile), files: [file, markFile] }];
    });
}

function readJournal(file: string): Journal | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8').split('\n', 1)[0] as string) as Journal;
  } catch {
    // Torn while it was written, or taken away by its process: it tells nothing.
    return undefined;
  }
}

function isAlive({ pid, startedAt }: Journal): boolean {
  // In a container every process may have the number that this one has.
  if (pid === process.pid) return startedAt !== null && startedAt === startOf(pid);
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
  return startedAt === startOf(pid);
}

/** When a process started, in the system's own words; `null` where it does not say. */
function startOf(pid: number): string | null {
  try {
    // The 22nd field; the second is a name in parentheses, which may hold anything.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')')).split(' ')[20] ?? null;
  } catch {
    return null;
  }
}

function explained(file: string, cause: unknown): InfrastructureError {
  return new InfrastructureError(`what is under way cannot be written to ${file}`, {
    code: 'E_OUTPUT',
    cause,
  });
}
