import type { Counter } from '../../domain/ports/ambient.ts';
import type { PublishedGroup } from '../../domain/ports/result-store.ts';
import type { MeasureKind } from '../../domain/measure.ts';

/** What `sluice run --json` prints: counts of this run, and the state of the objects that it planned. */
export interface RunReport {
  readonly run: string;
  readonly pipeline: string;
  readonly version: number;
  /** The generation's id: pipeline and version, and a digest of the ad-hoc predicate where there is one. */
  readonly generation: string;
  /** Where messages from elsewhere came from; absent for objects. */
  readonly source?: string;
  /** Objects planned. */
  readonly objects: number;
  /** Sections sent by this run. */
  readonly sections: number;
  readonly tasks: number;
  /** Stored bytes that were read, of `bytesTotal` that the objects have. */
  readonly bytesRead: number;
  readonly bytesTotal: number;
  /** Rows decoded. */
  readonly rowsRead: number;
  /** Rows that statistics ruled out: never decoded. */
  readonly rowsPruned: number;
  /** Rows that the predicate refused. */
  readonly rowsFiltered: number;
  readonly messages: number;
  readonly frames: number;
  /** Packed and compressed. */
  readonly frameBytes: number;
  /** Messages applied. */
  readonly applied: number;
  /** Frames (or keys of messages from elsewhere) that were seen again and dropped. */
  readonly duplicates: number;
  /** Open failures of the planned objects, those of earlier runs too. */
  readonly failed: { readonly total: number; readonly byCode: Readonly<Record<string, number>> };
  /** Objects that were left as they are, by code. */
  readonly refused: { readonly total: number; readonly byCode: Readonly<Record<string, number>> };
  readonly groups: number;
  readonly findings: number;
  readonly seconds: number;
  /** Whether every planned object is complete. */
  readonly complete: boolean;
}

/** The counters at one moment of a run. */
export interface ProgressSample {
  /** Since the run began. */
  readonly seconds: number;
  readonly counters: Readonly<Partial<Record<Counter, number>>>;
  readonly objects: number;
  /** Stored bytes of all objects that are to be read, as far as they are listed. */
  readonly bytesToRead: number;
  /** Whether the listing is over and `bytesToRead` final. */
  readonly listed: boolean;
}

/** One line of the balance: the parts have to add up to the whole. */
export interface BalanceLine {
  readonly label: string;
  readonly whole: { readonly label: string; readonly value: number };
  readonly parts: readonly { readonly label: string; readonly value: number }[];
  readonly balanced: boolean;
}

/** Everything that the HTML page shows. */
export interface ReportPageData {
  readonly report: RunReport;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly build: string;
  readonly sluiceVersion: string;
  readonly samples: readonly ProgressSample[];
  readonly measures: readonly { readonly name: string; readonly kind: MeasureKind }[];
  /** The largest groups by the first measure that counts, at most 1,000. */
  readonly groups: readonly PublishedGroup[];
  /** Findings and flags by kind and severity. */
  readonly findingsByKind: readonly {
    readonly kind: string;
    readonly severity: string;
    readonly count: number;
  }[];
  readonly failures: readonly {
    readonly code: string;
    readonly stage: string;
    readonly count: number;
    /** Where one of them stands, and what it says. */
    readonly example: { readonly position: string; readonly message: string };
  }[];
  readonly balance: readonly BalanceLine[];
}
