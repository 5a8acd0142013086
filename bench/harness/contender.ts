/** What a measured process did, by name: rows, bytes and requests. The same for every round. */
export type Counts = Readonly<Record<string, number>>;

/** What a contender's module exports by default. */
export type Work<Options = never> = (options: Options) => Promise<Counts>;

/** One measurement. */
export interface Measured {
  readonly wallMs: number;
  /** Of all threads. */
  readonly cpuMs: number;
  /** Resident at most, from the start of the process on. */
  readonly peakBytes: number;
  readonly counts: Counts;
}

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
  /** As `--only` picks it: the name of its file. */
  readonly name: string;
  readonly title: string;
  /** What `amount` counts, and what speed is told in: `MB of CSV`. */
  readonly unit: string;
  readonly contenders: readonly Contender[];
  /** What is to be reached: the speed of one over that of another. */
  readonly goals: readonly Goal[];
}

export interface Goal {
  readonly says: string;
  readonly of: string;
  readonly over: string;
  readonly atLeast: number;
  /** What is compared: amount a second on the clock, or a second of CPU time. */
  readonly by: 'wall' | 'cpu';
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
