/** What a measured process did, by name: rows, bytes and requests. The same for every round. */
export type Counts = Readonly<Record<string, number>>;

/** A contender's module. */
export interface ContenderModule {
  /** What is not measured, before it: its result is what the work is given. */
  readonly prepare?: (options: never) => Promise<unknown>;
  readonly default: (options: never, prepared: never) => Promise<Counts>;
}

/** One measurement. */
export interface Measured {
  readonly wallMs: number;
  /** Of all threads. */
  readonly cpuMs: number;
  /** The same from the start of the process to its end. */
  readonly wholeWallMs: number;
  readonly wholeCpuMs: number;
  /** Resident at most, from the start of the process on. */
  readonly peakBytes: number;
  readonly counts: Counts;
}

/** What the process itself can say of it. */
export type MeasuredHere = Omit<Measured, 'wholeWallMs'>;

/** One way to do what a case measures. */
export interface Contender {
  /** Unique in its case. */
  readonly name: string;
  /** URL of the module that does it. */
  readonly module: URL;
  /** What the module is given; travels as JSON. */
  readonly options: unknown;
  /** How much it does, in the case's unit. A slow one may be given less: what is compared is speed. */
  readonly amount: number;
  /** Of its counts, which must be what; else it did something else than what is measured. */
  readonly expected: Counts;
}

/** What is measured, and how it is told. */
export interface Case {
  readonly title: string;
  /** What `amount` counts, and what speed is told in: `MB of CSV`. */
  readonly unit: string;
  /** Whether a process is measured from its start to its end, and not only its work. Default: only its work. */
  readonly whole?: boolean;
  readonly contenders: readonly Contender[];
  readonly goals: readonly Goal[];
}

/** One contender in one round. */
export interface Turn {
  readonly measured: Measured;
  /** Amount a second on the clock, and a second of CPU time. */
  readonly wall: number;
  readonly cpu: number;
}

/** What is to be reached; told as the median over the rounds. */
export interface Goal {
  readonly says: string;
  readonly value: (round: (contender: string) => Turn) => number;
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** Sizes and rounds of a run of the benchmark. */
export interface Scale {
  readonly quick: boolean;
  /** Rows of the data. */
  readonly rows: number;
  /** Rows for those who would take minutes for all. */
  readonly slowRows: number;
}

/** A case's module exports this by default. Data is made here, not while anything is measured. */
export type MakeCase = (scale: Scale) => Promise<Case>;
