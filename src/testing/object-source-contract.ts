import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LakeObject, ObjectName } from '../domain/lake-object.ts';
import type { ObjectSource } from '../domain/ports/object-source.ts';
import { compareUtf8 } from '../domain/text-order.ts';
import { expectAborted, expectDomainError } from './expectations.ts';
import { collect, thrownBy, unstopped, withHarness, type ContractHarness } from './harness.ts';

export interface ObjectSourceHarness extends ContractHarness {
  /** Over a lake that is empty. */
  readonly source: ObjectSource;
  /** Adds an object or replaces it whole. Keys look like `folder/name.csv`; no key is a folder of another. */
  put(key: string, content: Uint8Array): Promise<void>;
  remove(key: string): Promise<void>;
  /** Where `list` finds all that was put, or the one object with this key. */
  locationOf(key?: string): string;
  nameOf(key: string): ObjectName;
  /** How many reads hold something open just now; `undefined` where the provider cannot tell. */
  openReads(): Promise<number | undefined>;
}

/** Tells apart what orders by UTF-16 code units, by code points, by path parts, and without regard to case. */
const AWKWARD_KEYS = [
  'b/\u{1F600}.csv',
  'a.csv',
  'b/\uFF21.csv',
  'b/\uE000.csv',
  '\u{1F600}/\u{10000}.csv',
  '\uFFFD.csv',
  'a/x.csv',
  'a-1.csv',
  'B.csv',
  'b/50% + #1?.csv',
  'b/a=1/ü x.csv',
];

/** Checks every sentence of the port's description, also those that a caller only notices years later. */
export function objectSourceContract(name: string, make: () => Promise<ObjectSourceHarness>): void {
  describe(`ObjectSource: ${name}`, () => {
    it('lists nothing where nothing is', () =>
      withHarness(make, async ({ source, locationOf }) => {
        expect(await collect(source.list(locationOf(), unstopped))).toEqual([]);
      }));

    it('lists objects in ascending order of key, by code point', () =>
      withHarness(make, async ({ source, put, locationOf, nameOf }) => {
        for (const key of AWKWARD_KEYS) await put(key, bytes(key));
        const listed = await collect(source.list(locationOf(), unstopped));
        expect(listed.map(({ bucket, key }) => ({ bucket, key }))).toEqual(inOrder(AWKWARD_KEYS.map(nameOf)));
      }));

    it('goes on behind any key, whether there is such an object or not', () =>
      withHarness(make, async ({ source, put, locationOf, nameOf }) => {
        for (const key of AWKWARD_KEYS) await put(key, bytes(key));
        const names = inOrder(AWKWARD_KEYS.map(nameOf));
        const between = names.flatMap(({ key }) => [key, `${key}\u0001`, key.slice(0, -1)]);
        for (const after of [...between, '', '\u{10FFFF}']) {
          const listed = await collect(source.list(locationOf(), unstopped, after));
          expect(listed.map(({ bucket, key }) => ({ bucket, key }))).toEqual(
            names.filter(({ key }) => compareUtf8(key, after) > 0),
          );
        }
      }));

    it('goes on behind a single object with nothing, and still misses one that is not there', () =>
      withHarness(make, async ({ source, put, locationOf, nameOf }) => {
        await put('a/one.csv', bytes('1'));
        const { key } = nameOf('a/one.csv');
        const behind = (after: string) => collect(source.list(locationOf('a/one.csv'), unstopped, after));
        expect(await behind(key)).toEqual([]);
        expect(await behind(`${key}x`)).toEqual([]);
        expect((await behind(key.slice(0, -1))).map((object) => object.key)).toEqual([key]);
        await expectDomainError(
          () => collect(source.list(locationOf('gone.csv'), unstopped, '\u{10FFFF}')),
          'E_OBJECT_NOT_FOUND',
        );
      }));

    it('lists the one object that a location names', () =>
      withHarness(make, async ({ source, put, locationOf, nameOf }) => {
        await put('a/one.csv', bytes('1'));
        await put('a/one.csv2', bytes('2'));
        const listed = await collect(source.list(locationOf('a/one.csv'), unstopped));
        expect(listed.map(({ key }) => key)).toEqual([nameOf('a/one.csv').key]);
      }));

    it('says the same of an object in list and stat: name, size in bytes, version', () =>
      withHarness(make, async ({ source, put, locationOf, nameOf }) => {
        await put('empty.csv', bytes(''));
        await put('ü.csv', bytes('üü'));
        for (const listed of await collect(source.list(locationOf(), unstopped))) {
          expect(await source.stat({ bucket: listed.bucket, key: listed.key }, unstopped)).toEqual(listed);
        }
        expect(await source.stat(nameOf('empty.csv'), unstopped)).toMatchObject({
          ...nameOf('empty.csv'),
          size: 0,
        });
        expect(await source.stat(nameOf('ü.csv'), unstopped)).toMatchObject({ ...nameOf('ü.csv'), size: 4 });
      }));

    it('gives another version to other bytes, and keeps it while they stay', () =>
      withHarness(make, async ({ source, put, nameOf }) => {
        const versions = new Set<string>();
        for (const content of ['one', 'two', 'three', '']) {
          await put('a.csv', bytes(content));
          const { version } = await source.stat(nameOf('a.csv'), unstopped);
          expect((await source.stat(nameOf('a.csv'), unstopped)).version).toBe(version);
          versions.add(version);
        }
        expect(versions.size).toBe(4);
      }));

    it('throws E_OBJECT_NOT_FOUND for a named object that does not exist', () =>
      withHarness(make, async ({ source, put, remove, locationOf, nameOf }) => {
        await put('there.csv', bytes('1'));
        await put('gone.csv', bytes('1'));
        const gone = await source.stat(nameOf('gone.csv'), unstopped);
        await remove('gone.csv');
        await expectDomainError(
          () => collect(source.list(locationOf('gone.csv'), unstopped)),
          'E_OBJECT_NOT_FOUND',
        );
        await expectDomainError(() => source.stat(nameOf('gone.csv'), unstopped), 'E_OBJECT_NOT_FOUND');
        await expectDomainError(
          () => collect(source.read(gone, whole(gone), unstopped)),
          'E_OBJECT_NOT_FOUND',
        );
        await expectDomainError(() => source.stat(nameOf('never/was.csv'), unstopped), 'E_OBJECT_NOT_FOUND');
      }));

    it('reads exactly the bytes of any stretch, in chunks of which none is empty', () =>
      withHarness(make, async ({ source, put, nameOf }) => {
        const content = pattern(300_000);
        await put('big.bin', content);
        const object = await source.stat(nameOf('big.bin'), unstopped);
        const place = fc.oneof(fc.integer({ min: 0, max: content.length }), fc.integer({ min: 0, max: 200 }));
        await fc.assert(
          fc.asyncProperty(place, place, async (a, b) => {
            const range = { start: Math.min(a, b), end: Math.max(a, b) };
            const chunks = await collect(source.read(object, range, unstopped));
            expect(chunks.every((chunk) => chunk.length > 0)).toBe(true);
            expect(sameBytes(joined(chunks), content.subarray(range.start, range.end))).toBe(true);
          }),
          {
            numRuns: 25,
            examples: [
              [0, content.length],
              [content.length, content.length],
              [content.length - 1, content.length],
            ],
          },
        );
      }));

    it('ends a stretch where the object ends', () =>
      withHarness(make, async ({ source, put, nameOf }) => {
        await put('a.csv', bytes('0123456789'));
        await put('empty.csv', bytes(''));
        const object = await source.stat(nameOf('a.csv'), unstopped);
        const empty = await source.stat(nameOf('empty.csv'), unstopped);
        expect(joined(await collect(source.read(object, { start: 8, end: 100 }, unstopped)))).toEqual(
          bytes('89'),
        );
        expect(await collect(source.read(object, { start: 10, end: 100 }, unstopped))).toEqual([]);
        expect(await collect(source.read(empty, { start: 0, end: 10 }, unstopped))).toEqual([]);
      }));

    it('reads several stretches at the same time', () =>
      withHarness(make, async ({ source, put, nameOf }) => {
        const content = pattern(200_000);
        await put('big.bin', content);
        const object = await source.stat(nameOf('big.bin'), unstopped);
        const starts = Array.from({ length: 8 }, (_, at) => at * 25_000);
        const parts = await Promise.all(
          starts.map(async (start) =>
            joined(await collect(source.read(object, { start, end: start + 25_000 }, unstopped))),
          ),
        );
        expect(sameBytes(joined(parts), content)).toBe(true);
      }));

    it('notices that an object has changed, when its capabilities say', () =>
      withHarness(make, async ({ source, put, nameOf }) => {
        await put('a.csv', bytes('old'));
        const object = await source.stat(nameOf('a.csv'), unstopped);
        await put('a.csv', bytes('new'));
        if (source.capabilities.detectsChange === 'on-read') {
          const seen: Uint8Array[] = [];
          const read = async () => {
            for await (const chunk of source.read(object, whole(object), unstopped)) seen.push(chunk);
          };
          await expectDomainError(read, 'E_OBJECT_CHANGED');
          expect(seen).toEqual([]);
        }
        expect((await source.stat(nameOf('a.csv'), unstopped)).version).not.toBe(object.version);
      }));

    it('never mixes two versions in one read', () =>
      withHarness(make, async ({ source, put, nameOf }) => {
        const content = pattern(3_000_000);
        await put('big.bin', content);
        const object = await source.stat(nameOf('big.bin'), unstopped);
        const chunks: Uint8Array[] = [];
        const read = async () => {
          for await (const chunk of source.read(object, whole(object), unstopped)) {
            if (chunks.length === 0)
              await put(
                'big.bin',
                content.map((byte) => byte ^ 0xff),
              );
            chunks.push(chunk);
          }
        };
        if (source.capabilities.detectsChange === 'on-read') {
          const error = await read().catch((thrown: unknown) => thrown);
          if (error !== undefined) expect(error).toMatchObject({ code: 'E_OBJECT_CHANGED' });
          const read1 = joined(chunks);
          expect(sameBytes(read1, content.subarray(0, read1.length))).toBe(true);
          if (error === undefined) expect(read1.length).toBe(content.length);
        } else {
          await read();
          expect((await source.stat(nameOf('big.bin'), unstopped)).version).not.toBe(object.version);
        }
      }));

    it('releases what is open when its consumer stops early, or is stopped', () =>
      withHarness(make, async ({ source, put, nameOf, locationOf, openReads }) => {
        await put('big.bin', pattern(3_000_000));
        const object = await source.stat(nameOf('big.bin'), unstopped);
        for await (const chunk of source.read(object, whole(object), unstopped)) {
          expect(chunk.length).toBeGreaterThan(0);
          break;
        }
        expect((await openReads()) ?? 0).toBe(0);

        const reason = new Error('stopped by the contract');
        const stop = new AbortController();
        const read = async () => {
          for await (const chunk of source.read(object, whole(object), stop.signal)) {
            expect(chunk.length).toBeLessThan(object.size);
            stop.abort(reason);
          }
        };
        expect(await thrownBy(read)).toBe(reason);
        expect((await openReads()) ?? 0).toBe(0);

        for await (const listed of source.list(locationOf(), unstopped)) {
          expect(listed).toEqual(object);
          break;
        }
        const chunks = await collect(source.read(object, { start: 0, end: 10 }, unstopped));
        expect(joined(chunks).length).toBe(10);
        expect((await openReads()) ?? 0).toBe(0);
      }));

    it('does nothing for a signal that is aborted already', () =>
      withHarness(make, async ({ source, put, nameOf, locationOf }) => {
        await put('a.csv', bytes('1'));
        const object = await source.stat(nameOf('a.csv'), unstopped);
        await expectAborted((signal) => collect(source.list(locationOf(), signal)));
        await expectAborted((signal) => source.stat(nameOf('a.csv'), signal));
        await expectAborted((signal) => collect(source.read(object, whole(object), signal)));
      }));
  });
}

function inOrder(names: readonly ObjectName[]): ObjectName[] {
  return names.toSorted((a, b) => compareUtf8(a.key, b.key));
}

function whole(object: LakeObject): { start: number; end: number } {
  return { start: 0, end: object.size };
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Bytes of which no two stretches are easily the same. */
function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (Math.imul(at, 2_654_435_761) >>> 24) ^ (at >>> 8));
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
