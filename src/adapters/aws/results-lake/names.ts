import { createHash } from 'node:crypto';
import type { Generation } from '../../../domain/generation.ts';
import type { LakeObject, ObjectName } from '../../../domain/lake-object.ts';

/*
 * Everything is an object whose name follows from what it is: done twice, it writes its own name again.
 *
 *     generations/<generation>.jsonl.gz                     as it was declared
 *     runs/<run>.jsonl.gz
 *     state/<generation>/
 *       plans/<object>.jsonl.gz                             what binds the object now, and which sections others have
 *       members/<run>/<digest>.jsonl.gz                     objects of a run
 *       sections/<object>/<binding>/                        of one version, build and epoch
 *         s=<section>/p=<partition>-n=<number>.jsonl.gz     a frame
 *         s=<section>/record.jsonl.gz                       the section record
 *         s=<section>/…-k=<digest>.jsonl.gz                 both, of a try that had verdicts on rows
 *         end.jsonl.gz                                      which section is the last, where only reading told
 *         merged.jsonl.gz, complete.jsonl.gz                of an object that is complete: all its frames in one, its totals
 *       failures/<failure>/state.jsonl.gz
 *       failures/<failure>/settled.jsonl.gz                 what its redrive did
 *       settled/<object>.jsonl.gz                           a redrive applied something of it
 *       keyed/<source and keys>.jsonl.gz                    a batch of messages from elsewhere
 *     results/pipeline=<name>/version=<n>/results.jsonl.gz  for other tools
 *     ad-hoc/pipeline=<name>/version=<n>/where=<digest>/results.jsonl.gz
 */

const DIGEST_LENGTH = 32;

export function digestOf(...parts: readonly (string | number)[]): string {
  const text = JSON.stringify(parts.map((part) => (typeof part === 'string' ? part.toWellFormed() : part)));
  return createHash('sha256').update(text).digest('hex').slice(0, DIGEST_LENGTH);
}

export const declarations = 'generations/';
export const runs = 'runs/';
export const plans = 'plans/';
export const keyedBatches = 'keyed/';
export const sections = 'sections/';
export const settledMarks = 'settled/';
export const failures = 'failures/';

export function declarationName(generation: string): string {
  return `${declarations}${encoded(generation)}.jsonl.gz`;
}

export function runName(run: string): string {
  return `${runs}${digestOf(run)}.jsonl.gz`;
}

export function stateFolder(generation: string): string {
  return `state/${encoded(generation)}/`;
}

/** Where other tools find the results of a generation: as a lake, partitioned the way Hive does it. */
export function resultsName({
  id,
  pipeline,
  version,
}: Pick<Generation, 'id' | 'pipeline' | 'version'>): string {
  const place = `pipeline=${encoded(pipeline)}/version=${version}`;
  const where = /\?([^?]*)$/.exec(id)?.[1];
  return where === undefined
    ? `results/${place}/results.jsonl.gz`
    : `ad-hoc/${place}/where=${encoded(where)}/results.jsonl.gz`;
}

export function objectId({ bucket, key }: ObjectName): string {
  return digestOf(bucket, key);
}

export function planName(object: string): string {
  return `${plans}${object}.jsonl.gz`;
}

export function membersFolder(run: string): string {
  return `members/${digestOf(run)}/`;
}

export function settledMarkName(object: string): string {
  return `${settledMarks}${object}.jsonl.gz`;
}

export function failureFolder(id: string): string {
  return `${failures}${digestOf(id)}/`;
}

export interface BoundObject {
  readonly object: LakeObject;
  readonly epoch: number;
  readonly build: string;
}

/** Two that plan an object at once may come to the same epoch, never to the same folder. */
export function sectionsFolder({ object, epoch, build }: BoundObject): string {
  return `${sections}${objectId(object)}/${padded(epoch, 8)}-${digestOf(object.version, build).slice(0, 8)}/`;
}

export function sectionFolder(section: number): string {
  return `s=${padded(section, 10)}/`;
}

export function recordName(section: number, verdicts = ''): string {
  return `${sectionFolder(section)}record${verdicts}.jsonl.gz`;
}

export function frameName({ section, partition, number, verdicts }: FramePlace): string {
  return `${sectionFolder(section)}p=${padded(partition, 6)}-n=${padded(number, 10)}${verdicts}.jsonl.gz`;
}

/** Part of a name: tries that had other verdicts lie side by side. Empty where there is none. */
export function verdictsPart(killed: readonly number[]): string {
  return killed.length === 0 ? '' : `-k=${digestOf(...killed).slice(0, 16)}`;
}

export function hasVerdicts(name: string): boolean {
  return /-k=[^/]*$/.test(name);
}

/** Behind all names of a section. */
export function endOfSection(section: number): string {
  return `${sectionFolder(section)}~`;
}

export interface FramePlace {
  readonly section: number;
  readonly partition: number;
  readonly number: number;
  /** See `verdictsPart`. */
  readonly verdicts: string;
}

/** `null` where it names no frame. */
export function framePlaceOf(name: string): FramePlace | null {
  const found = /^s=(\d+)\/p=(\d+)-n=(\d+)(-k=[0-9a-f]+)?\.jsonl\.gz$/.exec(name);
  if (found === null) return null;
  const [section, partition, number] = found.slice(1, 4).map(Number) as [number, number, number];
  return { section, partition, number, verdicts: found[4] ?? '' };
}

/** `null` where it names nothing of a section. */
export function sectionOf(name: string): number | null {
  const section = /^s=(\d+)\//.exec(name)?.[1];
  return section === undefined ? null : Number(section);
}

/** In the order of numbers. */
function padded(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}

function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}
