import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ErrorRouter, RoutedFailure } from '../domain/ports/error-router.ts';
import type { Position } from '../domain/position.ts';
import { expectAborted } from './expectations.ts';
import { unstopped, withHarness, type ContractHarness } from './harness.ts';

/** What a reader of the delivered failures can tell of one. */
export type DeliveredFailure = Pick<
  RoutedFailure,
  'generation' | 'pipeline' | 'version' | 'run' | 'build' | 'route' | 'at'
> &
  Pick<RoutedFailure['failure'], 'id' | 'stage' | 'code' | 'message' | 'rows'>;

export interface ErrorRouterHarness extends ContractHarness {
  readonly router: ErrorRouter;
  /** Everything that was delivered so far, as a reader of it sees it, in any order. */
  delivered(): Promise<readonly DeliveredFailure[]>;
}

/** Checks every sentence of the port's description. */
export function errorRouterContract(name: string, make: () => Promise<ErrorRouterHarness>): void {
  describe(`ErrorRouter: ${name}`, () => {
    it('has delivered every failure when it resolves, whatever is in it', () =>
      fc.assert(
        fc.asyncProperty(fc.array(fc.array(routedFailure, { maxLength: 5 }), { maxLength: 5 }), (batches) =>
          withHarness(make, async ({ router, delivered }) => {
            const expected: RoutedFailure[] = [];
            for (const batch of batches) {
              await router.route(batch, unstopped);
              expected.push(...batch);
              expect(sorted(await delivered())).toEqual(sorted(expected.map(asDelivered)));
            }
          }),
        ),
        { numRuns: 25 },
      ));

    it('takes no failures at all', () =>
      withHarness(make, async ({ router, delivered }) => {
        await router.route([], unstopped);
        expect(await delivered()).toEqual([]);
      }));

    it('keeps calls apart that come at the same time', () =>
      withHarness(make, async ({ router, delivered }) => {
        const batches = Array.from({ length: 20 }, (_, batch) =>
          Array.from({ length: 10 }, (_unused, at) => example(`f${batch}-${at}`, 'x'.repeat(1_000))),
        );
        await Promise.all(batches.map((batch) => router.route(batch, unstopped)));
        expect(sorted(await delivered())).toEqual(sorted(batches.flat().map(asDelivered)));
      }));

    it('loses nothing and invents nothing when a failure is delivered twice', () =>
      withHarness(make, async ({ router, delivered }) => {
        const failures = [example('a', 'one'), example('b', 'two')];
        await router.route(failures, unstopped);
        await router.route(failures, unstopped);
        const byId = new Map((await delivered()).map((failure) => [failure.id, failure]));
        expect([...byId.keys()].toSorted()).toEqual(['a', 'b']);
        expect(byId.get('a')).toEqual(asDelivered(failures[0] as RoutedFailure));
      }));

    it('does nothing for a signal that is aborted already', () =>
      withHarness(make, async ({ router, delivered }) => {
        await expectAborted((signal) => router.route([example('a', 'one')], signal));
        expect(await delivered()).toEqual([]);
      }));
  });
}

const awkwardText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.constantFrom('', '\n', '\r\n"}{', '\u2028\u2029', '\ud800', '__proto__', '../../x'),
);

const object = fc.record({
  bucket: awkwardText,
  key: awkwardText,
  version: awkwardText,
  size: fc.maxSafeNat(),
});
const output = fc.option(fc.nat(), { nil: null });
const position: fc.Arbitrary<Position> = fc.oneof(
  fc.record({
    kind: fc.constant('row' as const),
    object,
    coordinate: fc.option(fc.maxSafeNat(), { nil: null }),
    output,
  }),
  fc.record({ kind: fc.constant('key' as const), source: awkwardText, key: awkwardText, output }),
);

/** Ids differ only where they have to: readers go by them. */
const routedFailure: fc.Arbitrary<RoutedFailure> = fc.record({
  generation: fc.constantFrom('flights@1', 'flights@1?0a1b'),
  pipeline: fc.constantFrom('flights', 'lane-performance'),
  version: fc.integer({ min: 1, max: 99 }),
  run: fc.constantFrom('0m8a7b-1', '0m8a7b-2'),
  build: awkwardText,
  route: fc.constantFrom('dead-letter' as const, 'ledger' as const),
  at: fc.integer({ min: 0, max: Date.UTC(2100, 0) }),
  failure: fc.record({
    id: fc.uuid(),
    position,
    stage: fc.constantFrom(
      'open' as const,
      'read' as const,
      'transform' as const,
      'analyze' as const,
      'findings' as const,
    ),
    code: fc.constantFrom('E_TRANSFORM', 'E_MY_OWN'),
    message: awkwardText,
    rows: fc.nat(),
    payload: fc.option(fc.uint8Array({ maxLength: 40 }), { nil: null }),
  }),
});

function example(id: string, message: string): RoutedFailure {
  return {
    generation: 'flights@1',
    pipeline: 'flights',
    version: 1,
    run: 'r1',
    build: 'b1',
    route: 'ledger',
    at: Date.UTC(2019, 4, 25, 12),
    failure: {
      id,
      position: { kind: 'key', source: 'pipe', key: id, output: null },
      stage: 'transform',
      code: 'E_TRANSFORM',
      message,
      rows: 1,
      payload: null,
    },
  };
}

function asDelivered({ failure, ...routed }: RoutedFailure): DeliveredFailure {
  const { generation, pipeline, version, run, build, route, at } = routed;
  const { id, stage, code, message, rows } = failure;
  return { generation, pipeline, version, run, build, route, at, id, stage, code, message, rows };
}

function sorted(failures: readonly DeliveredFailure[]): DeliveredFailure[] {
  return failures.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}
