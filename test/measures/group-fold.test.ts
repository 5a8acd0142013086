import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  count,
  countIf,
  distinct,
  max,
  mean,
  min,
  quantiles,
  sum,
  type Measures,
} from '../../src/domain/measure.ts';
import { createGroupFold } from '../../src/application/measures/group-fold.ts';
import { measures, message } from './values.ts';

interface Grouped {
  readonly group: unknown;
}

const groupBy = (m: Grouped): string => m.group as string;

function thrownBy(work: () => unknown): { code: string; message: string; cause: unknown } {
  try {
    work();
  } catch (error) {
    return error as { code: string; message: string; cause: unknown };
  }
  return expect.fail('nothing was thrown');
}

test('messages go to their groups, whatever these are called', () => {
  const groups = ['', '__proto__', 'constructor', '0', ' ', 'ü', 1, -0, 1.5, 10n ** 20n, 1e21, NaN];
  const fold = createGroupFold({ groupBy, measures: { n: count() } });
  expect(groups.map((group) => fold.add({ group }))).toEqual([
    '',
    '__proto__',
    'constructor',
    '0',
    ' ',
    'ü',
    '1',
    '0',
    '1.5',
    '100000000000000000000',
    '1e+21',
    'NaN',
  ]);
  expect(fold.finish()).toHaveLength(11);
});

test('groups come in ascending order of their UTF-8 bytes', () => {
  const group = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('\uffff', '🛫', '\ue000', '', 'a', 'ab'),
  );
  fc.assert(
    fc.property(fc.array(group), (groups) => {
      const fold = createGroupFold({ groupBy, measures: { n: count() } });
      for (const each of groups) fold.add({ group: each });
      const found = fold.finish().map((state) => Buffer.from(state.group));
      expect(found).toEqual([...found].sort((a, b) => Buffer.compare(a, b)));
      expect(new Set(found.map(String))).toEqual(new Set(groups));
    }),
  );
});

test('groups that UTF-8 cannot tell apart are one', () => {
  const fold = createGroupFold({ groupBy, measures: { n: count() } });
  expect([
    fold.add({ group: 'x\ud800' }),
    fold.add({ group: 'x\udfff' }),
    fold.add({ group: 'x\ufffd' }),
  ]).toEqual(['x\ufffd', 'x\ufffd', 'x\ufffd']);
  expect(fold.finish()).toHaveLength(1);
});

test.each([[undefined], [null], [true], [{}], [[]], [Symbol('s')], [new Date(0)]])(
  'a group %s is refused',
  (group) => {
    const fold = createGroupFold({ groupBy, measures: {} });
    expect(thrownBy(() => fold.add({ group })).code).toBe('E_ANALYZE');
    expect(fold.finish()).toEqual([]);
  },
);

test('what groupBy or a measure throws is kept as the cause', () => {
  const cause = new RangeError('no such lane');
  const failing = (): never => {
    throw cause;
  };
  const byGroup = createGroupFold({ groupBy: failing, measures: {} });
  expect(thrownBy(() => byGroup.add({}))).toMatchObject({
    code: 'E_ANALYZE',
    cause,
    message: 'groupBy threw: no such lane',
  });
  const byMeasure = createGroupFold({ groupBy: () => 'g', measures: { n: count(), late: countIf(failing) } });
  expect(thrownBy(() => byMeasure.add({}))).toMatchObject({
    code: 'E_ANALYZE',
    cause,
    message: 'measure late threw: no such lane',
  });
});

const secret = 'secret-value';
const refused: [string, Measures, unknown, string][] = [
  ['countIf', { late: countIf((m) => m.v) }, 1, 'a number'],
  ['sum', { late: sum((m) => m.v) }, secret, 'a string'],
  ['sum of a bigint over 65,536 bits', { late: sum((m) => m.v) }, 1n << 65_536n, 'a bigint'],
  ['mean', { late: mean((m) => m.v) }, [secret], 'an object'],
  ['mean', { late: mean((m) => m.v) }, Promise.resolve(1), 'a promise'],
  ['min', { late: min((m) => m.v) }, 1n, 'a bigint'],
  ['max', { late: max((m) => m.v) }, true, 'a boolean'],
  ['max', { late: max((m) => m.v) }, Object.create(Date.prototype), 'an object'],
  ['distinct', { late: distinct((m) => m.v) }, { secret }, 'an object'],
  ['distinct', { late: distinct((m) => m.v) }, Symbol(secret), 'a symbol'],
  ['quantiles', { late: quantiles((m) => m.v) }, new Date(0), 'a date'],
  ['quantiles', { late: quantiles((m) => m.v) }, 1n, 'a bigint'],
  ['a revoked proxy', { late: distinct((m) => m.v) }, revoked(), 'an object'],
];

test.each(refused)('%s refuses a wrong type by name, without the value', (_, of, v, type) => {
  const fold = createGroupFold({ groupBy: () => 'g', measures: { n: count(), ...of } });
  const { code, message: text } = thrownBy(() => fold.add({ v }));
  expect(code).toBe('E_MEASURE_VALUE');
  expect(text).toContain('late');
  expect(text).toContain(type);
  expect(text).not.toContain(secret);
  expect(fold.finish()).toEqual([]);
});

test('a promise that is refused may reject later', async () => {
  const rejecting = (): never => Promise.reject(new Error('later')) as never;
  const rejections: unknown[] = [];
  const keep = (reason: unknown): number => rejections.push(reason);
  process.on('unhandledRejection', keep);
  const byMeasure = createGroupFold({
    groupBy: () => 'g',
    measures: { late: countIf(rejecting), more: sum(rejecting) },
  });
  expect(thrownBy(() => byMeasure.add({})).code).toBe('E_MEASURE_VALUE');
  const failing = (): never => {
    throw new Error('at once');
  };
  const byAnother = createGroupFold({
    groupBy: () => 'g',
    measures: { late: countIf(rejecting), sum: sum(failing) },
  });
  expect(thrownBy(() => byAnother.add({})).code).toBe('E_ANALYZE');
  const byGroup = createGroupFold({ groupBy: rejecting, measures: {} });
  expect(thrownBy(() => byGroup.add({})).code).toBe('E_ANALYZE');
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', keep);
  expect(rejections).toEqual([]);
});

test.each(['constructor', 'median'])('a measure of kind %s is refused at once', (kind) => {
  const measure = { ...count(), kind: kind as 'count' };
  expect(thrownBy(() => createGroupFold({ groupBy, measures: { odd: measure } })).code).toBe(
    'E_PIPELINE_INVALID',
  );
});

test('min and max take one type in a frame: that of the first message that was added', () => {
  const of = { low: min((m) => m.v), n: sum((m) => m.n) };
  const fold = createGroupFold({ groupBy, measures: of });
  expect(thrownBy(() => fold.add({ group: 'a', v: 'text', n: 'refused' })).message).toContain('measure n');
  fold.add({ group: 'a', v: 5, n: 1 });
  expect(thrownBy(() => fold.add({ group: 'b', v: 'text', n: 1 })).code).toBe('E_MEASURE_VALUE');
  expect(thrownBy(() => fold.add({ group: 'b', v: new Date(0), n: 1 })).code).toBe('E_MEASURE_VALUE');
  expect(fold.finish().map(({ group }) => group)).toEqual(['a']);
});

test('a message that throws leaves no trace, wherever it throws', () => {
  const names = Object.keys(measures);
  const broken = fc.record({
    at: fc.nat(names.length - 1),
    throws: fc.boolean(),
    each: message,
    group: fc.constantFrom('a', 'b', 'c'),
  });
  const good = fc.record({ each: message, group: fc.constantFrom('a', 'b') });
  fc.assert(
    fc.property(fc.array(fc.oneof(good, broken), { maxLength: 30 }), (all) => {
      const guarded = Object.fromEntries(
        Object.entries(measures).map(([name, measure], i) => {
          const of = (m: (typeof all)[number]): unknown => {
            if ('at' in m && m.at === i) {
              if (m.throws || name === 'count') throw new Error('broken');
              return Symbol('refused');
            }
            return measure.of?.(m.each);
          };
          return [name, { ...measure, of }];
        }),
      );
      const disturbed = createGroupFold({ groupBy, measures: guarded });
      const clean = createGroupFold({ groupBy, measures: guarded });
      for (const each of all) {
        if ('at' in each) thrownBy(() => disturbed.add(each));
        else expect(disturbed.add(each)).toBe(clean.add(each));
      }
      expect(disturbed.finish()).toEqual(clean.finish());
    }),
  );
});

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

test('a thousand measures are folded, and the one that refuses or throws is named', () => {
  const many = (at: number, of: (m: Grouped) => number): Measures =>
    Object.fromEntries(
      Array.from({ length: 1_000 }, (_, each) => [`m${each}`, each === at ? sum(of) : count()]),
    );
  const folded = createGroupFold({ groupBy, measures: many(700, () => 1) });
  folded.add({ group: 'a' });
  expect(folded.finish()).toHaveLength(1);
  const refusing = createGroupFold({ groupBy, measures: many(700, () => 'x' as never) });
  expect(thrownBy(() => refusing.add({ group: 'a' }))).toMatchObject({
    code: 'E_MEASURE_VALUE',
    message: 'measure m700 cannot take a string here',
  });
  expect(refusing.finish()).toEqual([]);
  const throwing = createGroupFold({
    groupBy,
    measures: many(999, () => {
      throw new Error('no');
    }),
  });
  expect(thrownBy(() => throwing.add({ group: 'a' }))).toMatchObject({
    code: 'E_ANALYZE',
    message: 'measure m999 threw: no',
  });
});
