import type { LakeObject } from '../../domain/lake-object.ts';

/** An object that was not taken on, and why. */
export interface RefusedObject {
  readonly object: LakeObject;
  readonly code: 'E_OTHER_BUILD' | 'E_OBJECT_CHANGED';
}

/** Counted all, kept the first ones: there may be as many as there are objects. */
export class RefusedObjects {
  readonly first: RefusedObject[] = [];
  readonly #byCode = new Map<RefusedObject['code'], number>();

  add(refused: RefusedObject): void {
    this.#byCode.set(refused.code, (this.#byCode.get(refused.code) ?? 0) + 1);
    if (this.first.length < KEPT) this.first.push(refused);
  }

  get total(): number {
    return [...this.#byCode.values()].reduce((total, many) => total + many, 0);
  }

  get byCode(): Readonly<Partial<Record<RefusedObject['code'], number>>> {
    return Object.fromEntries(this.#byCode);
  }
}

const KEPT = 100;

/** What planning came to. */
export interface PlanCounts {
  /** Objects that were to be planned. */
  objects: number;
  /** Of these, complete already. */
  completeObjects: number;
  /** Of these, shared with other builds: what those began, they finish. */
  sharedObjects: number;
  /** Of these, could not be opened here; each is an open failure. */
  failedObjects: number;
  tasks: number;
  /** Stored bytes of the objects. */
  bytes: number;
  /** Stored bytes of the objects that have sections to do. */
  bytesToRead: number;
}

export function nothingPlanned(): PlanCounts {
  return {
    objects: 0,
    completeObjects: 0,
    sharedObjects: 0,
    failedObjects: 0,
    tasks: 0,
    bytes: 0,
    bytesToRead: 0,
  };
}

export interface DispatchSummary extends PlanCounts {
  /** Objects at the locations that `where` rules out by their path. */
  prunedObjects: number;
  readonly refused: RefusedObjects;
  /** What is left where it became late before the listing's end: the request that goes on there. */
  rest: Rest | null;
}

/** Where a listing goes on: behind a key of the first location. */
export interface Rest {
  readonly locations: readonly string[];
  readonly after?: string;
}

/** What a run plans that reads no objects, and what every other one starts from. */
export function nothingDispatched(): DispatchSummary {
  return { ...nothingPlanned(), prunedObjects: 0, refused: new RefusedObjects(), rest: null };
}
