import { ManualClock } from '../../src/adapters/inmemory/clock.ts';
import { SeededRandom } from '../../src/adapters/inmemory/random.ts';
import type { AnyPipeline } from '../../src/domain/pipeline.ts';
import type { Subject } from '../../src/testing/simulator/subject.ts';
import { backwards, broken, lakePipeline, mended, type Settings } from '../usecases/lake-pipeline.ts';
import { contentOf, SKIPPED, type LakeFile, type LakeRow } from '../usecases/lakes.ts';

const FORMS = ['csv', 'csv.gz', 'jsonl', 'jsonl.gz', 'json'] as const;
const LANES = ['ZRH-JFK', 'JFK-ZRH', 'LAX-LAS', 'LAS-LAX', 'ü', '', SKIPPED];
const NOTES = ['', 'x', 'a, b', 'say "hi"', 'two\nlines', 'y'.repeat(60)];
const FATES = ['throws', 'rejects', 'unsendable', 'large', 'nowhere'] as const;

/** Where rows stand that fail: nowhere, at one end or the other, in the middle, here and there, everywhere. */
const POISON = ['none', 'none', 'first', 'middle', 'last', 'some', 'some', 'all'] as const;

const random = (seed: number) => new SeededRandom({ clock: new ManualClock() }, seed);

/** Rows of an object that fail, at most about: each is a frame of its own when it is redriven. */
const MOST_FAILING = 8;

/**
 * From so many rows on, each gives fewer messages, and what fails mostly stays open: what mended code gives takes another loop over all
 * of them.
 */
const MANY_ROWS = 2_000;

/** A lake of about so many rows, with rows that fail in every way; a few messages from elsewhere; one or two versions of the code. */
export function subjectOfSeed(seed: number, rows: number): Subject {
  // Not the numbers that the scenario of this seed was drawn from.
  const numbers = random(seed ^ 0x5bd1e995);
  const upTo = (most: number) => Math.floor(numbers.next() * (most + 1));
  const oneOf = <T>(choices: readonly T[]) => choices[upTo(choices.length - 1)] as T;

  const row = (id: number, fails: boolean): LakeRow => ({
    id,
    // Some rows are a group of their own: it shows at once what is missing, or counted twice.
    lane: id % 60 === 0 ? `row ${id}` : oneOf(LANES),
    fan: oneOf(rows >= MANY_ROWS ? [0, 0, 1, 1, 1, 2] : [0, 1, 1, 1, 2, 3]),
    fate: fails ? oneOf(FATES) : 'ok',
    hurt: fails && numbers.next() < 0.5 ? upTo(2) : 9,
    flag: id % 50 === 0 ? 0 : 9,
    value: oneOf([0.1, 0.2, -7, 1e300, -1e300, 3]),
    note: oneOf(NOTES),
  });
  const file = (index: number, most: number): LakeFile => {
    const poison = oneOf(POISON);
    const count = poison === 'all' ? Math.min(most, MOST_FAILING) : most;
    const isPoison = (at: number) =>
      poison === 'all' ||
      (poison === 'some' && numbers.next() < MOST_FAILING / (2 * count)) ||
      (poison === 'first' && at === 0) ||
      (poison === 'middle' && at === count >> 1) ||
      (poison === 'last' && at === count - 1);
    return {
      form: oneOf(FORMS),
      rows: Array.from({ length: count }, (_, at) => row(index * 100_000 + at, isPoison(at))),
      brokenAt: numbers.next() < 0.3 ? upTo(count) : null,
    };
  };

  const files = Array.from({ length: 1 + upTo(3) }, (_, index) => file(index, 1 + upTo(rows - 1)));
  const settings: Settings = {
    limits: { sectionBytes: 1_000, maxFrameMessages: 10, maxFrameBytes: 60_000 },
    partitions: 1,
    partitioned: numbers.next() < 0.7,
    frames: numbers.next() < 0.8 ? 'packed' : 'json',
  };
  // Without ids of their own, messages are named by where they arrived.
  const named = numbers.next() < 0.7;
  const isMended = numbers.next() < (rows >= MANY_ROWS ? 0.25 : 0.75);
  const versionOf = (version: number) => ({
    pipeline: versioned(lakePipeline(settings, broken), version, named),
    deployed: backwards(versioned(lakePipeline(settings, broken), version, named)),
    mended: isMended ? versioned(lakePipeline(settings, mended), version, named) : null,
  });
  const messages =
    numbers.next() < 0.5
      ? []
      : Array.from({ length: upTo(200) }, (_, id) => row(9_000_000 + id, numbers.next() < 0.05));
  return {
    objects: files.map((one, index) => ({ key: `day=${index}/rows.${one.form}`, content: contentOf(one) })),
    messages: messages.map((message) => ({ key: String(message.id), row: { ...message } })),
    versions: numbers.next() < 0.2 ? [versionOf(1), versionOf(2)] : [versionOf(1)],
  };
}

function versioned(pipeline: AnyPipeline, version: number, named: boolean): AnyPipeline {
  const { id, ...source } = pipeline.source;
  return { ...pipeline, version, source: named && id !== undefined ? { ...source, id } : source };
}
