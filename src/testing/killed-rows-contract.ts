import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KilledRow, KilledRows, KilledScope } from '../domain/ports/killed-rows.ts';
import { expectAborted } from './expectations.ts';
import { unstopped, withHarness, type ContractHarness } from './harness.ts';

export interface KilledRowsHarness extends ContractHarness {
  /** Keeps no verdict yet. */
  readonly killed: KilledRows;
  /** Another instance on the same verdicts, as another process has it; `undefined` where they do not outlive one. */
  readonly again?: () => Promise<KilledRows>;
}

const scope: KilledScope = {
  generation: 'lanes@1',
  build: 'A',
  object: { bucket: 'lake', key: 'day/1.csv', version: 'v1', size: 100 },
};

function row(coordinate: number, fields: Partial<KilledRow> = {}): KilledRow {
  return { section: 0, coordinate, how: 'hung', message: `row ${coordinate} hung`, ...fields };
}

/** Checks every sentence of the port's description. */
export function killedRowsContract(name: string, make: () => Promise<KilledRowsHarness>): void {
  describe(`KilledRows: ${name}`, () => {
    it('gives the verdicts on rows of an object by ascending coordinate', () =>
      withHarness(make, async ({ killed }) => {
        expect(await killed.of(scope, unstopped)).toEqual([]);
        const rows = [row(10), row(9), row(2 ** 40, { section: 7, how: 'died' }), row(0), row(100)];
        for (const one of rows) await killed.add(scope, one, unstopped);
        expect(await killed.of(scope, unstopped)).toEqual(
          rows.toSorted((a, b) => a.coordinate - b.coordinate),
        );
      }));

    it('keeps the first verdict on a row', () =>
      withHarness(make, async ({ killed }) => {
        await killed.add(scope, row(5), unstopped);
        await killed.add(scope, row(5), unstopped);
        await killed.add(scope, row(5, { how: 'died', message: 'later' }), unstopped);
        expect(await killed.of(scope, unstopped)).toEqual([row(5)]);
      }));

    it('agrees on one verdict where many come at once', () =>
      withHarness(make, async ({ killed, again }) => {
        const other = (await again?.()) ?? killed;
        const verdicts = Array.from({ length: 8 }, (_, i) => row(5, { message: `of process ${i}` }));
        await Promise.all(
          verdicts.map((one, i) => (i % 2 === 0 ? killed : other).add(scope, one, unstopped)),
        );
        const kept = await killed.of(scope, unstopped);
        expect(kept).toHaveLength(1);
        expect(verdicts).toContainEqual(kept[0]);
        expect(await other.of(scope, unstopped)).toEqual(kept);
      }));

    it('tells generations, builds, objects and versions apart, whatever their names', () =>
      withHarness(make, async ({ killed }) => {
        const { object } = scope;
        const scopes: KilledScope[] = [
          scope,
          { ...scope, generation: 'lanes@2' },
          { ...scope, generation: 'lanes@1?0f' },
          { ...scope, build: 'B' },
          { ...scope, object: { ...object, bucket: 'pond' } },
          { ...scope, object: { ...object, key: 'day/1.csv/../2' } },
          { ...scope, object: { ...object, key: 'day/1' } },
          { ...scope, object: { ...object, key: 'day' } },
          { ...scope, object: { ...object, key: 'ü "\n%2F\0' } },
          { ...scope, object: { ...object, key: 'x'.repeat(1_024) } },
          { ...scope, object: { ...object, version: 'v2' } },
        ];
        for (const [i, one] of scopes.entries())
          await killed.add(one, row(i, { message: `"ü\n\0 ${i}` }), unstopped);
        for (const [i, one] of scopes.entries())
          expect(await killed.of(one, unstopped)).toEqual([row(i, { message: `"ü\n\0 ${i}` })]);
        expect(await killed.of({ ...scope, object: { ...object, size: 7 } }, unstopped)).toHaveLength(1);
      }));

    it('keeps verdicts for the next process', () =>
      withHarness(make, async ({ killed, again }) => {
        if (again === undefined) return;
        const other = await again();
        await killed.add(scope, row(5), unstopped);
        expect(await other.of(scope, unstopped)).toEqual([row(5)]);
        await other.add(scope, row(4), unstopped);
        await other.add(scope, row(5, { how: 'died' }), unstopped);
        expect(await killed.of(scope, unstopped)).toEqual([row(4), row(5)]);
        expect(await (await again()).of(scope, unstopped)).toEqual([row(4), row(5)]);
      }));

    it('does nothing for a signal that is aborted already', () =>
      withHarness(make, async ({ killed }) => {
        await expectAborted((signal) => killed.add(scope, row(1), signal));
        await expectAborted((signal) => killed.of(scope, signal));
        expect(await killed.of(scope, unstopped)).toEqual([]);
      }));

    it('agrees with a map of it over random histories', () =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat(2), fc.nat(5), fc.constantFrom('hung' as const, 'died' as const))),
          (added) =>
            withHarness(make, async ({ killed }) => {
              const model = new Map<string, Map<number, KilledRow>>();
              for (const [build, coordinate, how] of added) {
                const of = { ...scope, build: `${build}` };
                const known = model.get(of.build) ?? new Map<number, KilledRow>();
                model.set(of.build, known);
                if (!known.has(coordinate)) known.set(coordinate, row(coordinate, { how }));
                await killed.add(of, row(coordinate, { how }), unstopped);
                expect(await killed.of(of, unstopped)).toEqual(
                  [...known.values()].sort((a, b) => a.coordinate - b.coordinate),
                );
              }
            }),
        ),
        { numRuns: 10 },
      ));
  });
}
