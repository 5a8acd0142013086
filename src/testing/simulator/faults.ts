import type { SeededRandom } from '../../adapters/inmemory/random.ts';

/** What goes wrong with a call of a port, or with the process that makes it. */
export const callFaults = [
  /** The process is killed before its call reaches the port. */
  'crash-before',
  /** The process is killed while its call is on its way: it may arrive yet, and much later. */
  'crash-during',
  /** The process is killed when the port has done what it was asked for. */
  'crash-after',
  /** The call never reaches the port. */
  'lost-call',
  /** The port does what it was asked for; its answer gets lost. */
  'lost-answer',
  /** The port takes no more just now. */
  'throttled',
  /** The answer takes so long that the function's time may run out. */
  'slow',
  /** The process stands still, past every lease; the platform takes it for dead, and then it goes on. */
  'zombie',
  /** Of a batch that is put, some records are rejected. */
  'partial-put',
] as const;

/** What goes wrong between functions, and with what they share. */
export const platformFaults = [
  /** What was done is delivered again. */
  'duplicate-delivery',
  /** A record that was delivered comes once more, long after. */
  'late-delivery',
  /** A task is lost on its way: it expired, or somebody emptied its queue. */
  'lost-task',
  /** Clocks of functions differ. */
  'clock-skew',
  /** The stream gets another number of shards. */
  'reshard',
  /** An object is replaced. */
  'overwrite',
  /** The store of keys forgets everything. */
  'dedup-flushed',
  /** The store of keys falls back to an older copy of itself. */
  'dedup-failover',
  /** The store of keys cannot be reached for a while. */
  'dedup-away',
  /** The result store restarts: what is under way may have been applied, or not. */
  'store-restart',
  /** Another build of the same pipeline is deployed. */
  'deploy',
  /** A record that is no frame, or a damaged one, gets into the stream. */
  'poison-record',
] as const;

export type CallFault = (typeof callFaults)[number];
export type PlatformFault = (typeof platformFaults)[number];
export type FaultKind = CallFault | PlatformFault;

/** How often a fault strikes: per thousand calls for those of calls, deliveries and functions; how many times for the others. */
export type FaultRates = Readonly<Record<FaultKind, number>>;

export const noFaults = Object.fromEntries(
  [...callFaults, ...platformFaults].map((kind) => [kind, 0]),
) as FaultRates;

/** Draws faults, and counts what struck. */
export class Faults {
  readonly struck: Record<FaultKind, number> = { ...noFaults };
  readonly #random: SeededRandom;
  readonly #rates: FaultRates;
  #left: number;

  /** @param most no more than this many strike */
  constructor(random: SeededRandom, rates: FaultRates, most: number) {
    this.#random = random;
    this.#rates = rates;
    this.#left = most;
  }

  get total(): number {
    let total = 0;
    for (const times of Object.values(this.struck)) total += times;
    return total;
  }

  /** Nothing goes wrong any more. */
  end(): void {
    this.#left = 0;
  }

  get ended(): boolean {
    return this.#left === 0;
  }

  rate(kind: PlatformFault): number {
    return this.#rates[kind];
  }

  /** What strikes a call; `null`: nothing. One draw a call, so that the history of a seed depends on little else. */
  ofCall(isPut: boolean): CallFault | null {
    if (this.#left === 0) return null;
    let drawn = this.#random.next() * 1000;
    for (const kind of callFaults) {
      if (kind === 'partial-put' && !isPut) continue;
      drawn -= this.#rates[kind];
      if (drawn < 0) return this.#strike(kind);
    }
    return null;
  }

  /** Whether a fault that has a rate strikes now. */
  strikes(kind: PlatformFault): boolean {
    if (this.#left === 0 || this.#random.next() * 1000 >= this.#rates[kind]) return false;
    return this.#strike(kind) === kind;
  }

  /** A fault that was planned strikes. `false`: there are to be no more. */
  planned(kind: PlatformFault): boolean {
    return this.#left > 0 && this.#strike(kind) === kind;
  }

  #strike<K extends FaultKind>(kind: K): K {
    this.#left--;
    this.struck[kind]++;
    return kind;
  }
}
